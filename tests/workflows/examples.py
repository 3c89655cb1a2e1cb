"""What the tests of the worked examples have in common: a textbook, and a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida.orm import CalcJobNode, WorkChainNode

from aiida_humanintheloop.inbox import answer, history
from tests.patience import wait_until
from tests.profile import refresh

Ask = Callable[..., WorkChainNode]
# Ashcroft and Mermin, Solid State Physics, chapter 20: of a crystal of Lennard-Jones
# atoms that see each other to infinity.
NEIGHBOUR_DISTANCE = 1.09  # sigma
COHESIVE_ENERGY = 8.61  # epsilon
BULK_MODULUS = 75.0  # epsilon / sigma^3
GPA = 160.21766208  # of 1 eV / A^3


def asks(node: WorkChainNode, number: int) -> str:
    """Return the text of a question as soon as it is asked."""
    wait_until(
        lambda: (
            refresh()
            or node.is_terminated
            or (len(history(node)) >= number and node.paused)
        ),
        "it asks",
    )
    assert not node.is_terminated, node.exit_message
    return history(node)[number - 1].question.text


def say(node: WorkChainNode, value: Any, **how: Any) -> None:
    """Answer, and see that it counts."""
    verdict = answer(node, value, **how)
    assert verdict.accepted, verdict.reason


def calculations(node: WorkChainNode) -> list[CalcJobNode]:
    """Return what was calculated, oldest first."""
    refresh()
    called = [each for each in node.called if isinstance(each, CalcJobNode)]
    return sorted(called, key=lambda each: each.pk)
