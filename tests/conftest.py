"""A profile and a daemon of the test session's own: embedded, real, thrown away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pexpect
import pytest

if TYPE_CHECKING:
    from aiida.orm import InstalledCode, WorkChainNode

    from tests.receivers import Webhook

T = TypeVar("T")

REPOSITORY = Path(__file__).parent.parent
# A profile that is there already, as the image's with PostgreSQL and RabbitMQ.
PROFILE = os.environ.get("AIIDA_TEST_PROFILE")
PATIENCE_SECONDS = 60.0
LOG_LINES = 40
TOGETHER = 20


def pytest_configure(config: pytest.Config) -> None:
    """Point AiiDA to an empty folder before anything imports it."""
    config.stash[folder] = empty_folder()
    # Where a test puts a workflow that the workers of the daemon shall find, and a
    # reader of the tutorial does.
    modules = config.stash[folder] / "my_workflows"
    modules.mkdir()
    sys.path.append(str(modules))
    find_modules_in(modules)


def empty_folder() -> Path:
    """Return a new folder, which is AiiDA's unless a profile is there already.

    To be called before anything imports AiiDA.
    """
    # Short, and not below pytest's own folder: socket paths end at 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="hitl-"))
    (folder / ".aiida").mkdir()
    if PROFILE is None:
        os.environ["AIIDA_PATH"] = str(folder)
    # `verdi` and `python` of this environment, for everything that is started.
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    find_modules_in(REPOSITORY)
    return folder


def find_modules_in(folder: Path) -> None:
    """Have whatever is started import from a folder, first of all."""
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a daemon, and put last what restarts it.

    So the daemon of the image is tried, too: only the image itself starts that, and
    `verdi daemon start` AiiDA's, as anywhere.
    """
    for item in items:
        if _daemon_of_the_session.__name__ in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.daemon)
    items.sort(key=lambda item: item.get_closest_marker("restarts_daemon") is not None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    shutil.rmtree(config.stash[folder], ignore_errors=True)


folder = pytest.StashKey[Path]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:
    """Show beside a failure what the daemon said: its logs are thrown away."""
    report: Any = yield
    if report.failed and PROFILE is None:
        for log in sorted(item.config.stash[folder].rglob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            report.sections.append((f"The end of {log.name}", "\n".join(lines)))
    return report


def wait_until(
    holds: Callable[[], bool], what: str, timeout: float = PATIENCE_SECONDS
) -> None:
    """Wait for a condition, never for a time."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own: `asyncio.run` would drop AiiDA's, unclosed."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(coroutine)


def verdi(*arguments: str) -> str:
    """Run `verdi` as a person would, and return what it printed."""
    done = subprocess.run(
        ["verdi", *arguments], text=True, capture_output=True, timeout=PATIENCE_SECONDS
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"verdi {' '.join(arguments)}: {output}"
    return output


def hitl(*arguments: str, env: dict[str, str] | None = None, fails: int = 0) -> str:
    """Run `aiida-hitl` on 80 columns, and return what it printed.

    :param fails: with this exit code, and the reason on standard error.
    """
    environment = {**os.environ, "COLUMNS": "80", **(env or {})}
    done = subprocess.run(
        ["aiida-hitl", *arguments],
        text=True,
        capture_output=True,
        env=environment,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, bool(done.stderr)) == (fails, bool(fails)), done
    return done.stderr if fails else done.stdout


def terminal(program: str, *arguments: object) -> pexpect.spawn:
    """Start a program in a terminal of 80 columns."""
    return pexpect.spawn(
        program,
        [str(argument) for argument in arguments],
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 80),
        env={**os.environ, "TERM": "xterm"},
        # A test run in the background of a shell hands on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="session")
def profile() -> str:
    """Return the name of a loaded profile, of SQLite and ZeroMQ unless one is given."""
    return have_profile()


def have_profile() -> str:
    """Load the profile that is there, or else make one, and return its name."""
    from aiida import load_profile
    from aiida.manage.configuration import reset_config

    if PROFILE is not None:
        return load_profile(PROFILE).name
    verdi("presto", "--use-zeromq", "-p", "test", "--non-interactive")
    # A busy machine needs more than the 2 s in which a daemon has to stop by default.
    verdi("config", "set", "daemon.timeout", "30")
    reset_config()  # a test before this one may have read it without the profile
    return load_profile("test").name


@pytest.fixture(scope="session")
def _daemon_of_the_session(profile: str) -> Iterator[None]:
    yield
    if PROFILE is None:
        verdi("daemon", "stop")
    from aiida.manage import get_manager

    refresh()  # AiiDA does not close the connection of a transaction that is open
    get_manager().unload_profile()


@pytest.fixture
def daemon(_daemon_of_the_session: None) -> None:
    """Have the daemon running, also where the test before stopped it."""
    have_daemon()


@pytest.fixture
def modules(daemon: None, pytestconfig: pytest.Config) -> Path:
    """Return the folder from which the workers of the daemon import as well."""
    if PROFILE is not None:  # its daemon may be older than the folder
        verdi("daemon", "restart")
        have_daemon()
    return pytestconfig.stash[folder] / "my_workflows"


@pytest.fixture
def code(profile: str) -> InstalledCode:
    """Return `bash` as the code of an ArithmeticAddCalculation on this machine."""
    from aiida.orm import InstalledCode, load_computer

    return InstalledCode(
        label="add",
        computer=load_computer("localhost"),
        filepath_executable="/bin/bash",
        default_calc_job_plugin="core.arithmetic.add",
    ).store()


@pytest.fixture
def submit_game(daemon: None) -> Iterator[Callable[..., WorkChainNode]]:
    """Return a function that submits a game; what is left of it is killed."""
    from aiida.engine import submit

    from aiida_humanintheloop import HumanLoopWorkChain

    nodes: list[WorkChainNode] = []

    def submit_one(max_iters: int = 10) -> WorkChainNode:
        nodes.append(submit(HumanLoopWorkChain, max_iters=max_iters))
        return nodes[-1]

    yield submit_one
    kill_unfinished(nodes)


@pytest.fixture
def ask(daemon: None) -> Iterator[Callable[..., WorkChainNode]]:
    """Return a function that submits a workflow of `asking` and waits for a question.

    A question among the inputs goes as its record; what is left in the end is killed.
    """
    from aiida.engine import submit
    from aiida.orm import Dict

    from aiida_humanintheloop import Question
    from aiida_humanintheloop.inbox import open_questions

    nodes: list[WorkChainNode] = []

    def submit_one(process: type, **inputs: Any) -> WorkChainNode:
        if isinstance(inputs.get("question"), Question):
            inputs["question"] = Dict(inputs["question"].to_record())
        node = submit(process, **inputs)
        nodes.append(node)
        wait_until(
            lambda: (
                refresh()
                or node.is_terminated
                or any(node.pk in (each.pk, each.root[0]) for each in open_questions())
            ),
            "it asks",
        )
        return node

    yield submit_one
    kill_unfinished(nodes)


@pytest.fixture
def no_address(profile: str) -> Iterator[None]:
    """Begin and end with nobody who is told."""
    from aiida_humanintheloop.notify.addresses import addresses, remove

    yield
    refresh()
    for each in addresses():
        remove(each.number)


@pytest.fixture
def webhook(no_address: None) -> Iterator[Webhook]:
    """Return a web server that takes messages."""
    from tests.receivers import Webhook

    server = Webhook()
    yield server
    server.close()


@pytest.fixture
def game(submit_game: Callable[..., WorkChainNode]) -> WorkChainNode:
    """Return a game that waits for its first guess."""
    node = submit_game()
    wait_until(lambda: paused(node), f"{node.pk} asks its first question")
    return node


def paused(node: WorkChainNode) -> bool:
    """Return whether the workflow is paused, as the database has it now."""
    refresh()
    return node.paused


def ended(node: WorkChainNode, exit_status: int = 0) -> WorkChainNode:
    """Return the workflow once it has ended as it should."""
    wait_until(lambda: refresh() or node.is_terminated, "it ends")
    how = node.exit_message or node.exception
    assert node.exit_status == exit_status, how
    return node


def refresh() -> None:
    """End the read transaction, so that SQLite shows what the daemon wrote."""
    from aiida_humanintheloop.database import look_anew

    look_anew()


def kill_unfinished(nodes: list[WorkChainNode]) -> None:
    """Leave no workflow of a test waiting."""
    from aiida.engine.processes.control import kill_processes

    unfinished = [node for node in nodes if not node.is_terminated]
    if unfinished:
        have_daemon()
    for some in together(unfinished):
        kill_processes(some)


def together(nodes: Sequence[WorkChainNode]) -> Iterator[list[WorkChainNode]]:
    """Yield as many at a time as AiiDA can do something with in the time it has.

    Of hundreds at once some are told that it took too long, though it is done.
    """
    for first in range(0, len(nodes), TOGETHER):
        yield list(nodes[first : first + TOGETHER])


def have_daemon() -> None:
    """Start the daemon if a test stopped it, and connect to it."""
    from aiida.engine.daemon.client import get_daemon_client
    from aiida.manage import get_manager

    if not get_daemon_client().is_daemon_running:
        verdi("daemon", "start")
    # AiiDA's own connection does not find a ZeroMQ broker that was started anew, and a
    # runner that is closed stops its loop, which may not be that of a browser.
    manager = get_manager()
    manager.reset_broker()
    manager.reset_runner()
    manager.set_runner(manager.create_runner(loop=asyncio.new_event_loop()))


def target_of(node: WorkChainNode) -> int:
    """Return the hidden number, for a test that must hit or miss it."""
    from aiida_humanintheloop.workflows.guessing_game import hidden_number

    return hidden_number(node.uuid)


def a_wrong_guess(node: WorkChainNode) -> int:
    """Return a guess that does not end the game."""
    return target_of(node) % 100 + 1
