"""Waiting costs no slot, and what kills a worker loses no question and no answer."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from aiida.common.log import AIIDA_LOGGER
from aiida.engine import ProcessState, submit
from aiida.engine.processes.control import (
    kill_processes,
    pause_processes,
    play_processes,
)
from aiida.manage import get_manager
from aiida.orm import (
    Bool,
    CalcJobNode,
    Dict,
    InstalledCode,
    Int,
    WorkChainNode,
    load_node,
)
from aiida.plugins import CalculationFactory
from click.testing import CliRunner

from aiida_humanintheloop import HumanLoopWorkChain, Question
from aiida_humanintheloop.cli.root import hitl
from aiida_humanintheloop.inbox import answer, history, open_questions
from tests.asking import Parent
from tests.commands import verdi
from tests.dying import AskAfterAFailure
from tests.faults import (
    FAULTS,
    possible,
    wait_for_services,
    workers,
    workers_with,
)
from tests.game import a_wrong_guess, target_of
from tests.patience import wait_until
from tests.processes import kill_unfinished, together
from tests.profile import have_daemon, refresh

pytestmark = pytest.mark.restarts_daemon
SLOTS = 5
GAMES = int(os.environ.get("WAITING_GAMES", "50"))
ACCEPTED, KEPT = 0, 3
MOMENTS = (0.1, 0.5, 1, 2, 3, 5, 8, 13, 21, 30)  # seconds after a kill
CONTROL_LOGGER = AIIDA_LOGGER.getChild("process_control")


@pytest.fixture(scope="module")
def few_slots(_daemon_of_the_session: None) -> Iterator[None]:
    """Have workers with fewer slots than there are questions."""
    with workers_with({"daemon.worker_process_slots": str(SLOTS)}):
        yield


@pytest.fixture(scope="module")
def games(few_slots: None) -> Iterator[list[WorkChainNode]]:
    """Return games that all wait for an answer, many more than there are slots."""
    nodes = [submit(HumanLoopWorkChain, max_iters=100) for _ in range(GAMES)]
    wait_until(lambda: all_ask(nodes), "all of them ask", 30 + GAMES)
    yield nodes
    kill_unfinished(nodes)


def all_ask(nodes: list[WorkChainNode]) -> bool:
    """Return whether each of them has an open question."""
    return {node.pk for node in nodes} <= {each.pk for each in open_questions()}


def open_letter(node: WorkChainNode) -> bool:
    """Return whether the workflow asks now."""
    return history(node)[-1].is_open


def guess(node: WorkChainNode) -> None:
    """Make one more guess as a person does, and see that it counts once.

    Now, or when it is taken.
    """
    refresh()  # the connection to a server that was killed
    wait_until(lambda: open_letter(node), f"{node.pk} asks")
    before = len(history(node))
    command = ["answer", str(node.pk), str(a_wrong_guess(node))]
    done = CliRunner().invoke(hitl, command)
    assert done.exit_code in (ACCEPTED, KEPT), (done.output, done.exception)
    wait_until(
        lambda: len([x for x in history(node) if x.answer]) == before,
        f"the answer to {node.pk} is taken",
    )


def check(nodes: list[WorkChainNode]) -> None:
    """See that in each game every guess was asked for, reported and counted once."""
    wait_until(lambda: all_ask(nodes), "all of them ask", 60)
    for node in nodes:
        letters = history(node)
        reports = [log.message for log in get_logs(node)]
        assert [letter.id for letter in letters] == [
            str(number) for number in range(1, len(letters) + 1)
        ]
        assert all(letter.answer for letter in letters[:-1])
        attempts = [text for text in reports if "Attempt " in text]
        assert len(attempts) == len(letters) - 1, attempts


def get_logs(node: WorkChainNode) -> list:
    """Return what a workflow has reported."""
    from aiida.orm import Log

    refresh()
    return Log.collection.get_logs_for(node)


def see_others_run(code: InstalledCode) -> None:
    """See that ordinary calculations, more than there are slots, come to their end."""
    add = CalculationFactory("core.arithmetic.add")
    metadata = {"options": {"resources": {"num_machines": 1}}}
    jobs = [
        submit(add, code=code, x=Int(1), y=Int(n), metadata=metadata)
        for n in range(2 * SLOTS)
    ]
    wait_until(lambda: refresh() or all(job.is_terminated for job in jobs), "they run")
    assert all(job.is_finished_ok for job in jobs)


def see_the_engine_controls(
    games: list[WorkChainNode], caplog: pytest.LogCaptureFixture
) -> None:
    """See that `verdi process` shows, pauses and plays each, and kills what it is told.

    New games take the place of those that were killed.
    """
    refresh()
    listed = verdi("process", "list", "--raw", "--paused", "-P", "pk").split()
    assert {str(node.pk) for node in games} <= set(listed)
    for some in together(games):
        status = verdi("process", "status", *(str(node.pk) for node in some))
        assert all(f"<{node.pk}>" in status for node in some)
    control(pause_processes, games, caplog)
    asked = {node.pk: len(history(node)) for node in games}
    for node in games:
        node.base.extras.set("answer", a_wrong_guess(node))
    control(play_processes, games, caplog)
    check(games)
    assert {node.pk: len(history(node)) - 1 for node in games} == asked
    killed = random.sample(games, 2 * SLOTS)
    control(kill_processes, killed, caplog)
    wait_until(lambda: refresh() or all(n.is_killed for n in killed), "they are killed")
    for node in killed:
        games.remove(node)
        games.append(submit(HumanLoopWorkChain, max_iters=100))
    wait_until(lambda: all_ask(games), "the new ones ask")


def control(
    do: Callable[..., None],
    nodes: list[WorkChainNode],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Do what `verdi process` does to each, and see that it says it is done."""
    CONTROL_LOGGER.addHandler(caplog.handler)
    try:
        for some in together(nodes):
            do(some, timeout=60)
    finally:
        CONTROL_LOGGER.removeHandler(caplog.handler)
    said = {record.getMessage() for record in caplog.records}
    caplog.clear()
    # A process that was just loaded looks for an answer by itself, before it is played.
    done = (" processed.", ": No answer was given: it must be an integer")
    assert sum(any(each in text for each in done) for text in said) == len(nodes), said


def test_everybody_asks_and_others_run_meanwhile(
    games: list[WorkChainNode], code: InstalledCode
) -> None:
    """Ten times as many questions as slots hold up neither themselves nor others."""
    see_others_run(code)
    assert all_ask(games)


def test_the_engine_controls_each_of_them(
    games: list[WorkChainNode],
    code: InstalledCode,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Play takes the extra; what is killed holds no slot either."""
    see_the_engine_controls(games, caplog)
    see_others_run(code)


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_when(
    fault: str, games: list[WorkChainNode], caplog: pytest.LogCaptureFixture
) -> None:
    """Each takes an answer, first at once and then one after the other.

    And each takes what `verdi process` has to say.
    """
    if fault not in possible():
        pytest.skip("SQLite has no server that could die")
    FAULTS[fault]()
    for node in random.sample(games, 3):
        guess(node)
    wait_for_services()
    have_daemon()
    for node in games:
        guess(node)
    check(games)
    assert not [node for node in games if node.is_terminated]
    see_the_engine_controls(games, caplog)


@pytest.mark.parametrize("fault", ["the worker is killed", "the broker is killed"])
def test_an_answer_at_any_moment_after(fault: str, games: list[WorkChainNode]) -> None:
    """Also while the workflows are being taken up again."""
    some = random.sample(games, len(MOMENTS))
    FAULTS[fault]()
    began = time.monotonic()
    for node, moment in zip(some, MOMENTS, strict=True):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        guess(node)
    check(some)


def test_a_person_reads_nothing_of_a_broker_that_dies(
    games: list[WorkChainNode],
) -> None:
    """One line says what became of the answer."""
    (node,) = random.sample(games, 1)
    pk, guess = str(node.pk), str(a_wrong_guess(node))
    FAULTS["the broker is killed"]()
    done = subprocess.run(
        ["aiida-hitl", "answer", pk, guess], text=True, capture_output=True, timeout=60
    )
    wait_for_services()
    have_daemon()
    assert (done.returncode, done.stderr) in ((0, ""), (3, "")), done
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith(f"{pk}: ")
    check(games)


def test_a_second_task_does_not_run_it_twice(games: list[WorkChainNode]) -> None:
    """Whether it comes to the worker that has the process, or to another one."""
    verdi("daemon", "incr", "1")
    wait_until(lambda: len(workers()) == 2, "there are two workers")
    some = random.sample(games, 5)
    controller = get_manager().get_process_controller()
    for node, nowait in product(some, [True, False, False, True]):
        controller.continue_process(node.pk, nowait=nowait, no_reply=True)
    for node in some:
        guess(node)
    check(some)
    first, _ = workers()
    first.kill()
    for node in games:
        guess(node)
    check(games)
    wait_until(lambda: len(workers()) == 2, "the daemon has replaced it")
    verdi("daemon", "decr", "1")
    wait_until(lambda: len(workers()) == 1, "one has gone in good order")
    for node in games:
        guess(node)
    check(games)


def test_who_waits_for_a_workflow_that_waits_holds_no_slot_either(
    few_slots: None,
) -> None:
    """Plain work chains that called one that asks, more of them than slots."""
    nodes, question = [], Dict(Question("Up there?").to_record())
    for number in range(2 * SLOTS):
        nodes.append(submit(Parent, question=question))
        wait_until(lambda n=number: len(children(nodes)) == n + 1, "its child asks")
    verdi("daemon", "restart")
    have_daemon()
    for child in children(nodes):
        verdict = answer(child, "yes")
        assert verdict.outcome in ("accepted", "kept"), verdict.reason
    wait_until(lambda: refresh() or all(n.is_terminated for n in nodes), "they end")
    assert all(node.is_finished_ok for node in nodes)


def test_a_workflow_that_asks_again_and_again_costs_no_more_slots(
    few_slots: None,
    code: InstalledCode,
    submit_game: Callable[..., WorkChainNode],
    tmp_path: Path,
) -> None:
    """A slot that is given back is taken back, also where others queue for it."""
    go_on = tmp_path / "go-on"
    wait = f"while [ ! -e '{go_on}' ]; do sleep 0.2; done"
    node = submit_game(max_iters=100)
    wait_until(lambda: all_ask([node]), "it asks")
    add = CalculationFactory("core.arithmetic.add")
    options = {"resources": {"num_machines": 1}, "prepend_text": wait}
    jobs = [
        submit(add, code=code, x=Int(1), y=Int(n), metadata={"options": options})
        for n in range(4 * SLOTS)
    ]
    try:
        wait_until(
            lambda: begun(jobs) >= SLOTS, "as many as there are slots have begun"
        )
        for _ in range(6):
            guess(node)
        # RabbitMQ is told in steps of two; what just went on has its slot, too.
        assert begun(jobs) <= SLOTS + 2 * 2 + 1
    finally:
        go_on.touch()
    # What nobody has begun cannot be killed: left in the queue it would hold up others.
    wait_until(lambda: refresh() or all(job.is_terminated for job in jobs), "they run")


def begun(jobs: list[CalcJobNode]) -> int:
    """Return how many of these calculations a worker has taken up."""
    refresh()
    return sum(job.process_state is not ProcessState.CREATED for job in jobs)


def children(nodes: list[WorkChainNode]) -> list[WorkChainNode]:
    """Return the workflows that ask on behalf of these."""
    roots = {node.pk for node in nodes}
    return [load_node(x.pk) for x in open_questions() if x.root[0] in roots]


@pytest.mark.parametrize("is_caught", [True, False])
def test_a_query_that_fails_cuts_nobody_off(
    is_caught: bool, games: list[WorkChainNode]
) -> None:
    """Neither who made it, nor who waits in the same worker."""
    question = Dict(Question("Well?").to_record())
    node = submit(AskAfterAFailure, question=question, is_caught=Bool(is_caught))
    if is_caught:
        wait_until(lambda: all_ask([node]), "it asks")
        assert answer(node, "yes").accepted
    wait_until(lambda: refresh() or node.is_terminated, "it ends")
    assert node.is_finished_ok == is_caught
    assert is_caught or "integer" in node.exception.lower()
    assert node.base.extras.get("ran_before") == 1
    for other in games:
        guess(other)
    check(games)


def test_a_long_game_ends_well(games: list[WorkChainNode]) -> None:
    """After all that, each can be won, and nothing else is left over."""
    for node in games:
        verdict = answer(node, target_of(node))
        assert verdict.accepted, verdict.reason
    wait_until(lambda: refresh() or all(n.is_finished_ok for n in games), "they end")
    for node in games:
        guesses = [entry["guess"] for entry in node.outputs.result["history"]]
        assert guesses == [letter.answer.value for letter in history(node)]
