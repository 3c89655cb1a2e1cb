"""What happens to the services of a profile in a bad week: done to them for real."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from aiida.brokers.zeromq import ZeromqBroker
from aiida.engine.daemon.client import get_daemon_client
from aiida.manage import get_manager

from tests.commands import verdi
from tests.patience import wait_until
from tests.profile import have_daemon

# Longer than the five seconds for which AiiDA waits.
LOCKED_SECONDS = 8.0
_WRITE_FOR_LONG = """
import pathlib, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60)
connection.execute("BEGIN " + sys.argv[2])
print("locked", flush=True)
time.sleep(float(sys.argv[3]))
connection.close()
pathlib.Path(sys.argv[4]).touch()
"""


def workers() -> list[psutil.Process]:
    """Return the workers of the daemon, as the daemon sees them."""
    answer: dict[str, Any] = {}

    def knows() -> bool:
        answer.update(get_daemon_client().get_worker_info())
        return "info" in answer  # not while the daemon does something else

    wait_until(knows, "the daemon tells of its workers")
    pids = [int(pid) for pid in answer["info"]]
    # circus notices the end of one only after a moment
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


def services(name: str) -> list[psutil.Process]:
    """Return the servers of the loaded profile: `broker` or `database`."""
    sign = _sign(name)
    return [each for each in psutil.process_iter() if sign and sign in _line(each)]


def _sign(name: str) -> str | None:
    """Return by what words a server is known among all processes of the machine."""
    profile = get_manager().get_profile()
    if name == "database":
        return "postgres -D" if profile.storage_backend == "core.psql_dos" else None
    if profile.process_control_backend == "core.rabbitmq":
        return "beam.smp"
    return f"--service-dir {get_manager().get_broker()._service_dir}"


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill(*processes: psutil.Process, by: int = signal.SIGKILL) -> None:
    """End processes, and wait until they are gone."""
    assert processes, "there is nothing to kill"
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it ended with the one before
            process.send_signal(by)
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def kill_worker() -> None:
    """As the kernel does when memory is short."""
    kill(*workers())


def is_sqlite() -> bool:
    """Return whether the loaded profile has its database in a file."""
    return get_manager().get_profile().storage_backend == "core.sqlite_dos"


def lock_database(
    at_end: Path | None = None,
    seconds: float = LOCKED_SECONDS,
    how: str = "EXCLUSIVE",
) -> subprocess.Popen[bytes]:
    """Write for long, as an import into SQLite does.

    :param at_end: a file that is made when others may go on.
    :param how: `EXCLUSIVE` if nobody else may even read, `IMMEDIATE` if they may.
    :return: the process that writes.
    """
    storage = Path(get_manager().get_profile().storage_config["filepath"])
    file, end = storage / "database.sqlite", at_end or "/dev/null"
    program = [sys.executable, "-c", _WRITE_FOR_LONG, file, how, str(seconds), end]
    writer = subprocess.Popen(program, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline()
    # Of a worker that has a dead child, its daemon cannot tell anything.
    threading.Thread(target=writer.wait, daemon=True).start()
    return writer


def restart_daemon() -> None:
    """As somebody does who has changed a setting."""
    have_daemon()
    verdi("daemon", "restart")
    have_daemon()


@contextmanager
def workers_with(settings: Mapping[str, str]) -> Iterator[None]:
    """Have workers that know these settings of the profile, for a while."""
    for name, value in settings.items():
        verdi("config", "set", name, value)
    _restart_workers()
    yield
    for name in settings:
        verdi("config", "unset", name)
    _restart_workers()


def _restart_workers() -> None:
    have_daemon()
    client = get_daemon_client()
    wait_until(  # it may be busy with one that was killed
        lambda: client.restart_daemon(timeout=60).get("status") == "ok",
        "the workers begin anew",
    )
    have_daemon()


def stop_daemon_for_a_while() -> None:
    """As over a weekend, only shorter."""
    verdi("daemon", "stop")
    time.sleep(1)
    verdi("daemon", "start")


def all_workers_listen() -> bool:
    """Return whether the ZeroMQ broker knows all workers that run.

    A worker of aiida-core 2.9 that is about to start when the broker dies takes the
    address of the dead one. Nothing reaches it until somebody restarts the daemon, and
    as it never has a process, no code of ours runs in it that could notice.
    """
    broker = get_manager().get_broker()
    if not isinstance(broker, ZeromqBroker):
        return True  # RabbitMQ keeps its address
    if not broker._service_status_file.exists():
        return False
    status, here = broker.probe_service_status(), workers()
    # The broker writes it every five seconds, and another one may have before.
    is_of_now = status.get("timestamp", 0) > max(
        (each.create_time() for each in [*here, *services("broker")]), default=0
    )
    return bool(here) and is_of_now and status["task_subscribers"] >= len(here)


def hang_up() -> None:
    """Close AiiDA's own connection: one that breaks leaves a warning, much later."""
    get_manager().reset_broker()
    get_manager().reset_runner()


def kill_broker() -> None:
    """Whoever supervises it starts it again."""
    wait_until(all_workers_listen, "the broker knows all workers")
    hang_up()
    kill(*services("broker"))


def restart_broker() -> None:
    """End it in good order; whoever supervises it starts it again."""
    wait_until(all_workers_listen, "the broker knows all workers")
    hang_up()
    kill(*services("broker"), by=signal.SIGTERM)


def kill_database() -> None:
    """End the server with all that serve a client, at the same moment."""
    (server,) = services("database")
    kill(server, *server.children())


def restart_database() -> None:
    """Throw all clients out and end; whoever supervises it starts it again."""
    (server,) = services("database")
    kill(server, by=signal.SIGINT)


FAULTS: dict[str, Callable[[], None]] = {
    "the worker is killed": kill_worker,
    "the broker is killed": kill_broker,
    "the broker is restarted": restart_broker,
    "the database is killed": kill_database,
    "the database is restarted": restart_database,
    "the daemon is restarted": restart_daemon,
    "the daemon is stopped for a while": stop_daemon_for_a_while,
}


def possible() -> dict[str, Callable[[], None]]:
    """Return what can happen to the loaded profile; SQLite has no server to kill."""
    return {
        name: fault
        for name, fault in FAULTS.items()
        if "database" not in name or services("database")
    }


def wait_for_services() -> None:
    """Wait until database, broker and a worker are there again."""
    wait_until(_is_there(_database_answers), "the database answers")
    wait_until(_is_there(_broker_answers), "the broker answers")
    wait_until(_is_there(workers), "a worker runs")


def _is_there(look: Callable[[], object]) -> Callable[[], bool]:
    """Return what says whether one finds something, and does not fail where not."""

    def holds() -> bool:
        try:
            return bool(look())
        except Exception:
            return False

    return holds


def _database_answers() -> bool:
    from aiida_humanintheloop.database import reconnect

    reconnect()
    return True


def _broker_answers() -> bool:
    """Return whether it takes connections; RabbitMQ runs for some seconds before."""
    from aiida_humanintheloop.connection import knock

    knock(get_manager().get_profile().process_control_config)
    return bool(services("broker"))
