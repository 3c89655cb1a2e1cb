"""What every test wants of a workflow: to know how it goes, and to end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tests.patience import wait_until
from tests.profile import have_daemon, refresh

if TYPE_CHECKING:
    from aiida.orm import WorkChainNode

TOGETHER = 20


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
