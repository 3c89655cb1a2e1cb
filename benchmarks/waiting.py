#!/usr/bin/env python
"""Measure what workflows that wait for a person cost everybody else.

On the default profile, whose daemon has to run (it is restarted): how long ordinary
workflows with a calculation each take with none waiting, with many that have just
asked, with many that have waited for a while, and with none again, which tells how far
the machine itself has changed meanwhile (medians and ranges of some rounds); how much
memory each but the first takes in the worker; and, after a restart of the daemon, how
much CPU each of them takes, how long until any can be reached, and how long a workflow
takes that is submitted meanwhile.

Use: benchmarks/waiting.py [WAITING]

With fewer slots than workflows, to see that they hold none:
    verdi config set daemon.worker_process_slots 5
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil
from aiida import load_profile
from aiida.common.log import AIIDA_LOGGER
from aiida.engine import submit
from aiida.engine.daemon.client import get_daemon_client
from aiida.engine.processes.control import kill_processes
from aiida.manage import get_config_option, get_manager
from aiida.orm import InstalledCode, Int, WorkChainNode, load_computer
from aiida.plugins import WorkflowFactory
from plumpy.process_comms import MessageBuilder
from rich.console import Console
from rich.table import Table

from aiida_humanintheloop import HumanLoopWorkChain
from aiida_humanintheloop.database import look_anew
from aiida_humanintheloop.exceptions import Unreachable
from aiida_humanintheloop.inbox import Connection, open_questions

JOBS = 4  # each holds a slot while its calculation wants one: fewer than 5 slots
ROUNDS = 10
SETTLED_SECONDS = 5
IDLE_SECONDS = 2
IDLE_CPU = 0.1  # of a core: looking after hundreds takes a bit of one
CONTROL_LOGGER = AIIDA_LOGGER.getChild("process_control")
RESTS_AFTER_SECONDS = 10
RESTS_PER_SECOND = 20
KILLED_TOGETHER = 100
SAMPLE = 25
BEGIN = time.perf_counter()


def say(what: str) -> None:
    """Tell whoever waits for minutes how far it is."""
    print(f"[{time.perf_counter() - BEGIN:4.0f} s] {what}", file=sys.stderr, flush=True)


def worker() -> psutil.Process:
    """Return the one worker of the daemon."""
    (pid,) = get_daemon_client().get_worker_info()["info"]
    return psutil.Process(int(pid))


def restart() -> None:
    """Have a new worker."""
    subprocess.run(["verdi", "daemon", "restart"], check=True, capture_output=True)
    get_manager().reset_broker()
    get_manager().reset_runner()


def cpu() -> float:
    """Return the seconds of CPU that the worker has taken."""
    times = worker().cpu_times()
    return times.user + times.system


def submit_job(code: InstalledCode, number: int) -> WorkChainNode:
    """Submit a plain workflow with a calculation that takes no time by itself."""
    return submit(
        WorkflowFactory("core.arithmetic.multiply_add"),
        code=code,
        x=Int(1),
        y=Int(number),
        z=Int(1),
    )


def submit_games(count: int) -> list[WorkChainNode]:
    """Submit workflows, and return them when all of them ask."""
    games = [submit(HumanLoopWorkChain) for _ in range(count)]
    pks = {game.pk for game in games}
    while not pks <= {each.pk for each in open_questions()}:
        time.sleep(0.5)
    return games


def rounds_of_jobs(code: InstalledCode) -> list[float]:
    """Return how long some workflows take, submitted together, round after round."""
    return [seconds_of_jobs(code) for _ in range(ROUNDS)]


def seconds_of_jobs(code: InstalledCode, count: int = JOBS) -> float:
    """Return how long some workflows take, submitted together."""
    start = time.perf_counter()
    wait_for([submit_job(code, number) for number in range(count)])
    return time.perf_counter() - start


def wait_for(jobs: Sequence[WorkChainNode]) -> None:
    """Wait until all have ended well."""
    while not all(job.is_terminated for job in jobs):
        time.sleep(0.02)
        look_anew()
    assert all(job.is_finished_ok for job in jobs)


def seconds_until_idle() -> float:
    """Return how long the worker is busy yet."""
    start = idle_since = time.perf_counter()
    spent = cpu()
    while time.perf_counter() < idle_since + IDLE_SECONDS:
        time.sleep(0.2)
        if cpu() > spent + IDLE_CPU * IDLE_SECONDS:
            idle_since, spent = time.perf_counter(), cpu()
    return idle_since - start


def seconds_to_reach(pks: Sequence[int]) -> float:
    """Return how long it takes until each of these replies."""
    start, connection = time.perf_counter(), Connection()
    for pk in pks:
        while True:
            try:
                connection.send(pk, MessageBuilder.pause("benchmark"))
                break
            except Unreachable:
                time.sleep(0.02)
    connection.close()
    return time.perf_counter() - start


def main(count: int) -> None:
    """Measure and print."""
    profile = load_profile()
    code = InstalledCode(
        label="benchmark",
        default_calc_job_plugin="core.arithmetic.add",
        computer=load_computer("localhost"),
        filepath_executable="/bin/bash",
    )
    rows = []

    restart()
    alone_after_restart = seconds_of_jobs(code, 1)
    before = rounds_of_jobs(code)
    say(f"measured with none, {count} are submitted")
    # What a worker loads for the first one, it loads once.
    games = submit_games(1)
    restart()
    time.sleep(SETTLED_SECONDS)
    memory, idle_cpu = worker().memory_info().rss, cpu()

    games += submit_games(count)
    grown = worker().memory_info().rss - memory
    say("all ask")
    just_asked = rounds_of_jobs(code)
    time.sleep(SETTLED_SECONDS + RESTS_AFTER_SECONDS + count / RESTS_PER_SECOND)
    after = rounds_of_jobs(code)
    say("measured with all, the daemon is restarted")
    rows.append(("memory of one that waits", f"{grown / count / 1e3:.0f} kB", ""))

    restart()
    seconds_until_idle()
    spent = cpu() - idle_cpu
    grown = worker().memory_info().rss - memory
    rows.append(("restart, CPU for each of them", f"{spent / count * 1e3:.1f} ms", ""))
    rows.append(("memory for each of them", f"{grown / count / 1e3:.0f} kB", ""))

    say("all are taken up, the daemon is restarted")
    restart()
    some = sorted(game.pk for game in games)[:: -(count // SAMPLE or 1)]
    reached = seconds_to_reach(some)
    text = f"restart until {len(some)} of them were reached, the last one first"
    rows.append((text, f"{reached:.1f} s", ""))

    say("some were reached, the daemon is restarted")
    restart()
    meanwhile = seconds_of_jobs(code, 1)
    ratio = f"{meanwhile / alone_after_restart:.2f}"
    rows.append(
        ("restart, one workflow, none waits", f"{alone_after_restart:.2f} s", "")
    )
    rows.append((f"restart, one workflow, {count} wait", f"{meanwhile:.2f} s", ratio))
    seconds_until_idle()
    say("one workflow went past them, all are killed")
    CONTROL_LOGGER.setLevel("WARNING")  # it has a line for each
    for first in range(0, len(games), KILLED_TOGETHER):
        kill_processes(games[first : first + KILLED_TOGETHER], timeout=60)
    again = rounds_of_jobs(code)
    rounds = []
    for how, seconds in (
        ("none waits", before),
        (f"{count} have just asked", just_asked),
        (f"{count} wait", after),
        ("none waits any more", again),
    ):
        median = statistics.median(seconds)
        text = f"{median:.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        ratio = f"{median / statistics.median(before):.2f}"
        rounds.append((f"{JOBS} workflows, {how}", text, ratio))

    slots = get_config_option("daemon.worker_process_slots")
    table = Table("", "", "ratio")
    for row in rounds + rows:
        table.add_row(*row)
    console = Console()
    console.print(
        f"{count} workflows wait, 1 worker with {slots} slots "
        f"({profile.storage_backend}, {profile.process_control_backend})"
    )
    console.print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
