"""Who writes what into a node's extras, and whose work nobody else undoes."""

from __future__ import annotations

import pytest
from aiida.orm import WorkChainNode

from aiida_humanintheloop import Answer, Question
from aiida_humanintheloop.mailbox import Mailbox, OwnMailbox

ADA = Answer("a", question="1", by="ada@example.org", via="terminal", key="ada")
BOB = Answer("b", question="2", by="bob@example.org", via="terminal", key="bob")


@pytest.fixture
def node(profile: str) -> WorkChainNode:
    """Return the node of a workflow that nobody runs."""
    return WorkChainNode().store()


@pytest.fixture
def own(node: WorkChainNode) -> OwnMailbox:
    """Return its own mailbox, with two open questions."""
    mailbox = OwnMailbox(node)
    mailbox.ask({"first": Question("The first?"), "second": Question("?")}, "all")
    return mailbox


def test_of_two_answers_to_be_kept_the_first_stays(
    node: WorkChainNode, own: OwnMailbox
) -> None:
    """The second person is given it, to be told whose it is."""
    assert Mailbox(node).keep(ADA) == ADA
    assert Mailbox(node).keep(BOB) == ADA
    assert Mailbox(node).keep(ADA) == ADA
    assert own.kept() == ADA


def test_an_accepted_answer_leaves_one_to_another_question(
    node: WorkChainNode, own: OwnMailbox
) -> None:
    """Until nothing is open any more."""
    Mailbox(node).keep(BOB)
    first, second = own.open_letters()
    own.accept(first, ADA)
    assert own.kept() == BOB
    own.accept(second, BOB)
    assert own.kept() is None
    assert node.base.extras.get("answer_note") is None


def test_a_refusal_leaves_what_somebody_else_has_left(
    node: WorkChainNode, own: OwnMailbox
) -> None:
    """And clears what was refused."""
    Mailbox(node).keep(BOB)
    own.complain("It does not fit.", ADA)
    assert own.kept() == BOB
    own.complain("Nor does this.", BOB)
    assert own.kept() is None
    assert node.base.extras.get("question").endswith("Nor does this.")


def test_an_answer_that_came_too_late_makes_room_for_another(
    node: WorkChainNode, own: OwnMailbox
) -> None:
    """Kept for a question that is closed, it would be in the way for ever."""
    Mailbox(node).keep(ADA)
    own.drop(BOB)
    assert own.kept() == ADA
    own.drop(ADA)
    assert Mailbox(node).keep(BOB) == BOB
