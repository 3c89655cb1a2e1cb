"""The functions that a worker was in the middle of when it died.

They run within a step of the workflow that calls them, and the step runs again. Of the
first call a node is left that says for ever that it is running: aiida-core 2.9 never
looks at it again, and `verdi process repair` would have it run as a process of its own.
"""

from __future__ import annotations

from aiida.engine import ProcessState
from aiida.orm import (
    CalcFunctionNode,
    QueryBuilder,
    WorkflowNode,
    WorkFunctionNode,
)

from .database import UNFINISHED, one_commit

__all__ = ["end_leftovers"]

_REASON = "its worker died; the step that called it runs again"


def end_leftovers(pk: int) -> None:
    """Say of each function that a workflow was in, at any depth, that it was killed.

    :param pk: of a workflow that nobody has loaded, so that none of them can run.
    :raises DatabaseLost: if the server of the database went away.
    """
    callers: list[int | None] = [pk]
    while callers:
        query = QueryBuilder().append(
            WorkflowNode, filters={"id": {"in": callers}}, tag="caller"
        )
        query.append(
            (CalcFunctionNode, WorkFunctionNode),
            with_incoming="caller",
            filters=UNFINISHED,
        )
        callers = []
        for node in query.all(flat=True):
            with one_commit():
                node.set_process_state(ProcessState.KILLED)
                node.set_process_status(_REASON)
                node.delete_checkpoint()
                node.seal()
            if isinstance(node, WorkFunctionNode):
                callers.append(node.pk)
