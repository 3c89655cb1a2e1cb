"""A calculation that fails goes on once a person has mended its computer."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import AbstractCode
from aiida.plugins import WorkflowFactory

from aiida_humanintheloop.decision import decisions
from aiida_humanintheloop.inbox import history
from aiida_humanintheloop.workflows.lattice_energy import argon, python_on
from aiida_humanintheloop.workflows.resume_after_failure import (
    ResumeAfterFailureWorkChain,
    ailing_computer,
)
from tests.processes import ended
from tests.workflows.examples import Ask, asks, calculations, say


def test_it_has_an_entry_point(profile: str) -> None:
    """By which the database names it."""
    assert (
        WorkflowFactory("humanintheloop.resume_after_failure")
        is ResumeAfterFailureWorkChain
    )


def test_what_fails_goes_on_once_it_is_mended(
    ask: Ask, code: AbstractCode, tmp_path: Path
) -> None:
    """The person sees what the computer said, mends it, and has it run once more."""
    scratch = tmp_path / "it's scratch"
    computer = ailing_computer(f"ailing-{tmp_path.parent.name}", scratch)
    assert ailing_computer(computer.label, scratch).pk == computer.pk
    inputs = {"code": python_on(computer), "structure": argon()}
    node = ask(ResumeAfterFailureWorkChain, calculation=inputs)
    assert "The program left no result" in asks(node, 1)
    assert "no scratch space" in history(node)[0].question.help
    say(node, "restart")
    asks(node, 2)
    scratch.mkdir()
    say(node, "restart")
    ended(node)
    assert [each.exit_status for each in calculations(node)] == [310, 310, 0]
    assert node.outputs.results["energy_per_atom"] < 0
    assert len(decisions(node)) == 2
