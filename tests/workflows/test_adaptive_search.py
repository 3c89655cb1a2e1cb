"""An adaptive search: a person chooses each step."""

from __future__ import annotations

from typing import Any

import pytest
from aiida.engine import run_get_node, submit
from aiida.orm import AbstractCode, Dict, WorkChainNode
from aiida.plugins import WorkflowFactory

from aiida_humanintheloop.decision import decisions
from aiida_humanintheloop.inbox import answer, history
from aiida_humanintheloop.workflows.adaptive_search import (
    AdaptiveSearchWorkChain,
    proposals,
)
from aiida_humanintheloop.workflows.lattice_energy import (
    ARGON,
    LatticeEnergyCalculation,
)
from tests.patience import wait_until
from tests.processes import ended
from tests.profile import refresh
from tests.workflows.examples import Ask, asks, say


def test_it_has_an_entry_point(profile: str) -> None:
    """By which the database names it."""
    found = WorkflowFactory("humanintheloop.adaptive_search")
    assert found is AdaptiveSearchWorkChain


def test_a_person_chooses_each_step(ask: Ask, code: AbstractCode) -> None:
    """By a method or by a point, until the pressure is met."""
    node = ask(AdaptiveSearchWorkChain, code=code, pressure=0.5)
    assert "wanted are 0.5 GPa" in asks(node, 1)
    assert "secant: goes to 0.9" in history(node)[0].question.help
    assert "between 0.7 and 1.5" in answer(node, 9.0, question="point").reason
    say(node, 0.97, question="point")
    asks(node, 3)
    say(node, "bisect", question="method")
    number = 5
    while not met(node, number):
        say(node, "secant", question="method")
        number += 2
    ended(node)
    _, calculation = run_get_node(
        LatticeEnergyCalculation,
        code=code,
        structure=node.outputs.structure,
        parameters=Dict(ARGON),
    )
    assert calculation.outputs.results["pressure"] == pytest.approx(0.5, abs=0.02)
    said = [each.response["value"] for each in decisions(node.outputs.structure)]
    assert said[:2] == [0.97, "bisect"]
    assert set(said[2:]) <= {"secant"}


def met(node: WorkChainNode, number: int) -> bool:
    """Return whether the search has ended, and not asked another question."""
    wait_until(
        lambda: (
            refresh()
            or node.is_terminated
            or (len(history(node)) > number and node.paused)
        ),
        "it asks or ends",
    )
    return node.is_terminated


def test_a_search_ends_without_a_result(ask: Ask, code: AbstractCode) -> None:
    """Where the person stops it, and where the calculations are used up."""
    node = ask(AdaptiveSearchWorkChain, code=code)
    asks(node, 1)
    say(node, "stop", question="method")
    ended(node, 410)
    node = ask(AdaptiveSearchWorkChain, code=code, max_points=3)
    asks(node, 1)
    say(node, 1.2, question="point")
    ended(node, 401)
    assert "plot" in node.outputs


def test_proposals_lead_to_the_pressure(profile: str) -> None:
    """And there is none where no method can say anything."""
    points = [[0.9, 3.0], [1.0, -1.0]]
    assert proposals(points, 1.0) == pytest.approx({"bisect": 0.95, "secant": 0.95})
    assert proposals(points, 4.0) == pytest.approx({"secant": 0.875})
    assert proposals([[0.9, 1.0], [1.0, 1.0]], 2.0) == {}
    rises_again = [[0.9, 3.0], [1.0, -0.2], [1.4, -0.1]]
    assert proposals(rises_again, 0.0)["bisect"] == pytest.approx(0.95)
    assert proposals([[0.9, 1.01], [1.0, 1.0]], 9.0) == {}


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"parameters": {"sigma": "3"}}, "each above 0"),
        ({"pressure": -0.5}, "must be 0 GPa or more"),
        ({"max_points": 1}, "must be 2 or more"),
        ({"tolerance": 0.0}, "must be above 0 GPa"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    code: AbstractCode, inputs: dict[str, Any], reason: str
) -> None:
    """Before anything runs."""
    with pytest.raises(ValueError, match=reason):
        submit(AdaptiveSearchWorkChain, code=code, **inputs)
