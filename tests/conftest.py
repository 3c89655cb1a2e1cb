"""What pytest is told, and what tests are given: a profile, a daemon, workflows."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import verdi
from tests.patience import wait_until
from tests.processes import kill_unfinished, paused
from tests.profile import (
    PROFILE,
    empty_folder,
    find_modules_in,
    have_daemon,
    have_profile,
    refresh,
)

if TYPE_CHECKING:
    from aiida.orm import InstalledCode, WorkChainNode

    from tests.receivers import Webhook

LOG_LINES = 40


def pytest_configure(config: pytest.Config) -> None:
    """Point AiiDA to an empty folder before anything imports it, and obey Ctrl-C."""
    # A shell hands on to what it runs in the background that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A coroutine that nobody awaits is found when it is collected, in another test.
    sys.set_coroutine_origin_tracking_depth(10)
    config.stash[folder] = empty_folder()
    # Where a test puts a workflow that the workers of the daemon shall find, and a
    # reader of the tutorial does.
    modules = config.stash[folder] / "my_workflows"
    modules.mkdir()
    sys.path.append(str(modules))
    find_modules_in(modules)


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


@pytest.fixture(scope="session")
def profile() -> str:
    """Return the name of a loaded profile, of SQLite and ZeroMQ unless one is given."""
    return have_profile()


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
def without_task(daemon: None) -> Iterator[WorkChainNode]:
    """Return a game that was submitted, and whose task no broker has."""
    from aiida.engine.utils import instantiate_process
    from aiida.manage import get_manager

    from aiida_humanintheloop import HumanLoopWorkChain

    runner = get_manager().get_runner()
    process = instantiate_process(runner, HumanLoopWorkChain)
    runner.persister.save_checkpoint(process)
    process.close()
    yield process.node
    kill_unfinished([process.node])


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
