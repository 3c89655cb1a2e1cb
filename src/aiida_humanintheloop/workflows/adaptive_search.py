"""Worked example: a person chooses each next step of a search."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from aiida.engine import ExitCode, append_, calcfunction, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec
from aiida.orm import (
    AbstractCode,
    CalcJobNode,
    Data,
    Dict,
    Float,
    Int,
    SinglefileData,
    StructureData,
    to_aiida_type,
)

from ..interactive import InteractiveWorkChain
from ..kinds import Choice
from ..kinds import Float as Number
from ..question import Question
from .drawing import Drawing
from .lattice_energy import (
    ARGON,
    HIGHEST_SCALE,
    LOWEST_SCALE,
    LatticeEnergyCalculation,
    argon,
    scaled,
    wrong_parameters,
)

__all__ = ["AdaptiveSearchWorkChain"]

BISECT, SECANT, STOP = "bisect", "secant", "stop"


def wrong_tolerance(value: Float | None, _port: object) -> str | None:
    """Refuse a tolerance that is never reached."""
    if value is not None and not value.value > 0:
        return f"`tolerance` must be above 0 GPa, got {value.value:g}."
    return None


def wrong_pressure(value: Float | None, _port: object) -> str | None:
    """Refuse tension: beyond some, there is no such crystal."""
    if value is not None and not value.value >= 0:
        return f"`pressure` must be 0 GPa or more, got {value.value:g}."
    return None


def fewer_than_two(value: Int | None, _port: object) -> str | None:
    """Refuse fewer calculations than a search begins with."""
    if value is not None and value.value < 2:
        return f"`max_points` must be 2 or more, got {value.value}."
    return None


@calcfunction
def start_of(structure: StructureData) -> dict[str, StructureData]:
    """Return the two structures with which a search begins."""
    return {"loose": scaled(structure, 1.0), "tight": scaled(structure, 0.9)}


@calcfunction
def points_of(structure: StructureData, **results: Dict) -> Dict:
    """Sum up what is known.

    :param structure: whose lengths are the unit.
    :param results: of calculations: `volume_per_atom` in A^3, `pressure` in GPa.
    :return: `points`: scale and pressure of each, from the smallest scale on.
    """
    volume = structure.get_cell_volume() / len(structure.sites)
    points = [
        [(each["volume_per_atom"] / volume) ** (1 / 3), each["pressure"]]
        for each in results.values()
    ]
    return Dict({"points": sorted(points)})


@calcfunction
def plot_of(known: Dict, pressure: Float) -> SinglefileData:
    """Draw pressure against scale, and the pressure that is wanted.

    :return: a PNG.
    """
    drawing = Drawing("length, as a multiple of the structure's", "pressure (GPa)")
    drawing.axes.plot(*zip(*known["points"], strict=True), "o-")
    drawing.axes.axhline(pressure.value, linestyle=":", color="grey")
    return drawing.to_node("search.png")


@calcfunction
def next_structure(
    structure: StructureData, known: Dict, pressure: Float, decision: Data
) -> StructureData:
    """Return where to calculate next.

    :param known: what `points_of` returns.
    :param decision: of the person: a scale, or how to find one.
    """
    said: Any = decision
    scale = said.value if isinstance(decision, Float) else None
    if scale is None:
        scale = proposals(known["points"], pressure.value)[said.value]
    return scaled(structure, scale)


def proposals(points: list[list[float]], pressure: float) -> dict[str, float]:
    """Return the scale to which each method leads, of those that lead anywhere.

    :param points: scale and pressure (GPa) of each, from the smallest scale on.
    :param pressure: that is wanted, in GPa.
    """
    found = {}
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 >= pressure > y1:
            found[BISECT] = (x0 + x1) / 2
    (x0, y0), (x1, y1) = sorted(points, key=lambda point: abs(point[1] - pressure))[:2]
    if y0 != y1:
        crossing = x0 + (pressure - y0) * (x1 - x0) / (y1 - y0)
        if LOWEST_SCALE <= crossing <= HIGHEST_SCALE:
            found[SECANT] = crossing
    return found


class AdaptiveSearchWorkChain(InteractiveWorkChain):
    """Find the lattice that has a pressure, with a person who chooses each next point.

    After each calculation the person sees what is known, and names a method that finds
    the next point, or the point itself, or stops. It ends by itself when it has it.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:  # type: ignore[override]
        """Declare the inputs, the steps, the outputs and the exit codes."""
        super().define(spec)
        spec.input("code", valid_type=AbstractCode)
        spec.input("structure", valid_type=StructureData, default=argon)
        spec.input(
            "parameters",
            valid_type=Dict,
            default=lambda: Dict(ARGON),
            serializer=to_aiida_type,
            validator=wrong_parameters,
        )
        spec.input(
            "pressure",
            valid_type=Float,
            default=lambda: Float(1.0),
            serializer=to_aiida_type,
            validator=wrong_pressure,
            help="That is wanted, in GPa.",
        )
        spec.input(
            "tolerance",
            valid_type=Float,
            default=lambda: Float(0.02),
            serializer=to_aiida_type,
            validator=wrong_tolerance,
            help="How close is close enough, in GPa.",
        )
        spec.input(
            "max_points",
            valid_type=Int,
            default=lambda: Int(15),
            serializer=to_aiida_type,
            validator=fewer_than_two,
            help="How many calculations there are at most.",
        )
        spec.outline(
            cls.begin,
            cls.inspect,
            while_(cls.goes_on)(cls.ask_for_next, cls.calculate_next, cls.inspect),
            cls.finish,
        )
        spec.output("structure", valid_type=StructureData, help="Of that pressure.")
        spec.output("plot", valid_type=SinglefileData, required=False)
        spec.exit_code(400, "ERROR_CALCULATION_FAILED", message="A calculation failed.")
        spec.exit_code(401, "ERROR_NOT_FOUND", message="The calculations are used up.")
        spec.exit_code(410, "ERROR_STOPPED", message="A person stopped the search.")

    def begin(self) -> None:
        """Calculate two points, for without them nothing can be said."""
        starts = start_of(self.inputs.structure)
        for structure in starts.values():
            self._calculate(structure)

    def inspect(self) -> ExitCode | None:
        """Sum up what is known, with the new point."""
        calculations = self.ctx.calculations
        if not all(each.is_finished_ok for each in calculations):
            return self.exit_codes.ERROR_CALCULATION_FAILED
        results = {
            f"point_{number}": each.outputs.results
            for number, each in enumerate(calculations, start=1)
        }
        self.ctx.known = points_of(self.inputs.structure, **results)
        self.ctx.plot = plot_of(self.ctx.known, self.inputs.pressure)
        return None

    def goes_on(self) -> bool:
        """Go on until the pressure is met, or the calculations are used up."""
        used_up = len(self.ctx.calculations) >= self.inputs.max_points.value
        return self._best() is None and not used_up

    def ask_for_next(self) -> None:
        """Ask for a method, or for a point: one of them is enough."""
        points, pressure = self.ctx.known["points"], self.inputs.pressure.value
        leads_to = proposals(points, pressure)
        scale, closest = min(points, key=lambda point: abs(point[1] - pressure))
        shown = (self.ctx.plot, self.ctx.known)
        self.ask(
            until="any",
            method=Question(
                f"{closest:.3f} GPa at {scale:.4f}, wanted are {pressure:g} GPa. Which "
                "method finds the next point?",
                Choice((*leads_to, STOP)),
                help="\n".join(
                    f"{name}: goes to {scale:.4f}" for name, scale in leads_to.items()
                ),
                evidence=shown,
            ),
            point=Question(
                "Or at which length to calculate next?",
                Number(LOWEST_SCALE, HIGHEST_SCALE),
                evidence=shown,
            ),
        )

    def calculate_next(self) -> ExitCode | None:
        """Do what the person said."""
        by_method = self.answered("method")
        decision = self.answer("method" if by_method else "point")
        if by_method and decision.value == STOP:
            return self.exit_codes.ERROR_STOPPED
        self._calculate(
            next_structure(
                self.inputs.structure, self.ctx.known, self.inputs.pressure, decision
            )
        )
        return None

    def finish(self) -> ExitCode | None:
        """Return what was found."""
        self.out("plot", self.ctx.plot)
        best = self._best()
        if best is None:
            return self.exit_codes.ERROR_NOT_FOUND
        self.out("structure", best.inputs.structure)
        return None

    def _calculate(self, structure: StructureData) -> None:
        """Run a calculation, and wait for it before the next step."""
        running = self.submit(
            LatticeEnergyCalculation,
            code=self.inputs.code,
            structure=structure,
            parameters=self.inputs.parameters,
        )
        self.to_context(calculations=append_(running))

    def _best(self) -> CalcJobNode | None:
        """Return the calculation that meets the pressure, if one does."""
        for each in self.ctx.calculations:
            found = each.outputs.results["pressure"]
            if abs(found - self.inputs.pressure.value) <= self.inputs.tolerance.value:
                return each
        return None
