"""The fit of an equation of state."""

from __future__ import annotations

import pytest
from aiida.orm import Dict

from aiida_humanintheloop.workflows.birch_murnaghan import fit_birch_murnaghan
from tests.workflows.examples import GPA


def test_a_fit_finds_what_it_was_made_of(profile: str) -> None:
    """A polynomial whose minimum is known; and no minimum where there is none."""

    def energy(volume: float) -> float:
        x = volume ** (-2 / 3)
        x0 = 36.0 ** (-2 / 3)
        return 40 * (x - x0) ** 2 - 0.09

    def points(*volumes: float) -> dict[str, Dict]:
        return {
            f"point_{number}": Dict(
                {"volume_per_atom": volume, "energy_per_atom": energy(volume)}
            )
            for number, volume in enumerate(volumes)
        }

    fitted = fit_birch_murnaghan(**points(30, 33, 36.5, 39, 42))
    assert fitted["volume"] == pytest.approx(36.0)
    assert fitted["energy"] == pytest.approx(-0.09)
    expected = 4 / 9 * 80 * 36.0 ** (-7 / 3) * GPA
    assert fitted["bulk_modulus"] == pytest.approx(expected)
    assert fitted["residual"] == pytest.approx(0, abs=1e-9)
    assert "volume" not in fit_birch_murnaghan(**points(37, 38, 39, 40)).get_dict()
