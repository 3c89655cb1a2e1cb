"""Fit an equation of state to energies, and draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Dict, SinglefileData

from .drawing import Drawing
from .lattice_energy_program import GPA

__all__ = ["fit_birch_murnaghan", "plot_of"]

_FEWEST = 4
_DRAWN = 200


@calcfunction
def fit_birch_murnaghan(**results: Dict) -> Dict:
    """Fit a Birch-Murnaghan equation of the third order.

    Which is a polynomial of the third degree in V^(-2/3): F. Birch, Phys. Rev. 71, 809
    (1947).

    :param results: of calculations, with `volume_per_atom` in A^3 and
        `energy_per_atom` in eV; four at least.
    :return: `volume` (A^3) and `energy` (eV) of the minimum per atom, `bulk_modulus`
        (GPa), `residual` (root mean square, eV), and the `points`; without a minimum
        among the points only the last two.
    :raises ValueError: if there are fewer than four.
    """
    points = sorted(
        (each["volume_per_atom"], each["energy_per_atom"]) for each in results.values()
    )
    if len(points) < _FEWEST:
        raise ValueError(f"a fit needs {_FEWEST} points, there are {len(points)}")
    volumes, energies = np.array(points).T
    energy = _fitted(volumes, energies)
    missed = energy(volumes ** (-2 / 3)) - energies
    equation = {"points": points, "residual": float(np.sqrt(np.mean(missed**2)))}
    x = _minimum_between(volumes[-1] ** (-2 / 3), volumes[0] ** (-2 / 3), energy)
    if x is not None:
        volume = x ** (-3 / 2)
        modulus = 4 / 9 * float(energy.deriv(2)(x)) * volume ** (-7 / 3)
        equation["volume"] = volume
        equation["energy"] = float(energy(x))
        equation["bulk_modulus"] = modulus * GPA
    return Dict(equation)


def _minimum_between(lowest: float, highest: float, energy: Any) -> float | None:
    """Return where a polynomial of the third degree has its minimum, if there."""
    slope, curvature = energy.deriv(), energy.deriv(2)
    for root in slope.roots():
        if np.isreal(root) and lowest < root.real < highest:
            # Where the third degree is next to nothing, the root is a rough one.
            x = float(root.real - slope(root.real) / curvature(root.real))
            if lowest < x < highest and curvature(x) > 0:
                return x
    return None


@calcfunction
def plot_of(equation: Dict) -> SinglefileData:
    """Draw energy against volume, with the minimum where there is one.

    :param equation: what `fit_birch_murnaghan` returns.
    :return: a PNG.
    """
    volumes, energies = np.array(equation["points"]).T
    drawing = Drawing("volume per atom (Å³)", "energy per atom (eV)")
    drawing.axes.plot(volumes, energies, "o")
    between = np.linspace(volumes[0], volumes[-1], _DRAWN)
    drawing.axes.plot(between, _fitted(volumes, energies)(between ** (-2 / 3)))
    if "volume" in equation.get_dict():
        drawing.axes.axvline(equation["volume"], linestyle=":", color="grey")
        drawing.axes.set_title(f"B = {equation['bulk_modulus']:.2f} GPa")
    else:
        drawing.axes.set_title("no minimum among these points")
    return drawing.to_node("equation-of-state.png")


def _fitted(volumes: Any, energies: Any) -> Any:
    """Return the energy as a polynomial of V^(-2/3), from arrays of the same length."""
    return np.polynomial.Polynomial.fit(volumes ** (-2 / 3), energies, 3)
