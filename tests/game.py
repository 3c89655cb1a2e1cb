"""The guessing game, for a test that must hit its number or miss it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiida.orm import WorkChainNode


def target_of(node: WorkChainNode) -> int:
    """Return the hidden number."""
    from aiida_humanintheloop.workflows.guessing_game import hidden_number

    return hidden_number(node.uuid)


def a_wrong_guess(node: WorkChainNode) -> int:
    """Return a guess that does not end the game."""
    return target_of(node) % 100 + 1
