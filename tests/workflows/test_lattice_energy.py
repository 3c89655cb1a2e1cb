"""The calculation of the worked examples has the numbers of the textbook."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node, submit
from aiida.orm import AbstractCode, Dict

from aiida_humanintheloop.workflows.lattice_energy import (
    ARGON,
    LatticeEnergyCalculation,
    argon,
    scaled,
)
from tests.workflows.examples import COHESIVE_ENERGY, NEIGHBOUR_DISTANCE


def test_argon_is_that_of_the_textbook(code: AbstractCode) -> None:
    """Cohesive energy, pressure at the minimum, and what is left out by a cutoff."""
    far = Dict({**ARGON, "cutoff": 40.0})
    distance = argon().cell[0][1] * 2**0.5
    at_minimum = scaled(argon(), NEIGHBOUR_DISTANCE * ARGON["sigma"] / distance)
    results, node = run_get_node(
        LatticeEnergyCalculation, code=code, structure=at_minimum, parameters=far
    )
    assert node.is_finished_ok
    found = results["results"]
    expected = -COHESIVE_ENERGY * ARGON["epsilon"]
    assert found["energy_per_atom"] == pytest.approx(expected, rel=2e-3)
    assert abs(found["pressure"]) < 0.02


def test_a_calculation_says_what_is_wrong(code: AbstractCode) -> None:
    """Parameters before it is submitted, a missing result as its exit code."""
    with pytest.raises(ValueError, match="each above 0, got"):
        submit(
            LatticeEnergyCalculation,
            code=code,
            structure=argon(),
            parameters=Dict({"epsilon": -1}),
        )
    options = {"prepend_text": "exit 1"}
    _, node = run_get_node(
        LatticeEnergyCalculation,
        code=code,
        structure=argon(),
        metadata={"options": options},
    )
    assert node.exit_status == 310
