"""What waits for a person, as the database tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiida.common.links import LinkType
from aiida.manage import get_manager
from aiida.orm import WorkChainNode
from plumpy.process_states import ProcessState
from sqlalchemy import event

from aiida_humanintheloop import Question
from aiida_humanintheloop.listing import waiting
from aiida_humanintheloop.mailbox import OwnMailbox


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what is sent to the database meanwhile."""
    said: list[str] = []

    def listen(_connection: object, _cursor: object, text: str, *_: object) -> None:
        said.append(text)

    engine = get_manager().get_profile_storage().get_session().get_bind()
    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", listen)


@pytest.fixture
def asking(profile: str) -> Iterator[list[WorkChainNode]]:
    """Return thirty workflows that ask, each called by another; nobody runs them."""
    nodes = []
    for _ in range(30):
        caller, called = WorkChainNode(), WorkChainNode()
        called.base.links.add_incoming(caller, LinkType.CALL_WORK, "asks")
        for each in (caller.store(), called.store()):
            each.set_process_label("Asking")
            each.set_process_state(ProcessState.RUNNING)
            nodes.append(each)
        OwnMailbox(called).ask({None: Question("Go on?")}, "all")
        called.pause()
    yield nodes
    for each in nodes:
        each.set_process_state(ProcessState.KILLED)


def test_a_list_takes_as_many_queries_however_much_waits(
    asking: list[WorkChainNode],
) -> None:
    """With the callers of each, as `aiida-hitl list` shows them."""
    pks = {node.pk for node in asking}
    with statements() as many:
        found = [each for each in waiting() if each.pk in pks]
    assert len(found) == 30
    assert all(each.letters and each.callers for each in found)
    for each in asking[2:]:
        each.set_process_state(ProcessState.KILLED)
    with statements() as few:
        found = [each for each in waiting() if each.pk in pks]
    assert len(found) == 1
    assert len(many) == len(few) <= 8
