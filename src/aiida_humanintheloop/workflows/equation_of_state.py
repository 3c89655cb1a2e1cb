"""Worked example: look at a quick result before the expensive part starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.engine import ExitCode, ToContext, calcfunction, if_, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec
from aiida.orm import (
    AbstractCode,
    Dict,
    List,
    SinglefileData,
    Str,
    StructureData,
    to_aiida_type,
)

from ..interactive import InteractiveWorkChain
from ..kinds import Choice, Json
from ..question import Question
from .birch_murnaghan import fit_birch_murnaghan, plot_of
from .lattice_energy import (
    HIGHEST_SCALE,
    LOWEST_SCALE,
    LatticeEnergyCalculation,
    argon,
    scaled,
    wrong_parameters,
)

__all__ = ["EquationOfStateWorkChain"]

APPROVE, CHANGE, STOP = "approve", "other range", "stop"
_POINTS = 7
# Around the minimum, of which the person has seen that it is one.
_FINE_WINDOW = (0.97, 1.03)
_RANGE = Json(
    {
        "title": "[lowest, highest], the lengths as multiples of the structure's",
        "type": "array",
        "items": {"type": "number", "minimum": LOWEST_SCALE, "maximum": HIGHEST_SCALE},
        "minItems": 2,
        "maxItems": 2,
    }
)


def wrong_range(value: List | None, _port: object) -> str | None:
    """Refuse what is no range of scales."""
    if value is None:
        return None
    return why_no_range(value.get_list())


def why_no_range(value: list[Any]) -> str | None:
    """Return why this is no range of scales; None if it is one."""
    are_numbers = all(isinstance(each, (int, float)) for each in value)
    if len(value) != 2 or not (
        are_numbers and LOWEST_SCALE <= value[0] < value[1] <= HIGHEST_SCALE
    ):
        return f"a range is [lowest, highest], from {LOWEST_SCALE} to {HIGHEST_SCALE}."
    return None


@calcfunction
def structures_in(structure: StructureData, window: List) -> dict[str, StructureData]:
    """Return the structures of a scan, evenly in a range.

    :param window: lowest and highest scale of all lengths.
    """
    lowest, highest = window.get_list()
    return _scaled_by(structure, np.linspace(lowest, highest, _POINTS))


@calcfunction
def structures_at_minimum(
    structure: StructureData, equation: Dict, decision: Str
) -> dict[str, StructureData]:
    """Return structures close to the minimum of an equation of state.

    :param equation: what `fit_birch_murnaghan` returns.
    :param decision: of the person who approved it, on which all this rests.
    """
    volume = structure.get_cell_volume() / len(structure.sites)
    middle = (equation["volume"] / volume) ** (1 / 3)
    return _scaled_by(structure, middle * np.linspace(*_FINE_WINDOW, _POINTS))


def _scaled_by(structure: StructureData, scales: Any) -> dict[str, StructureData]:
    return {
        f"point_{number}": scaled(structure, float(scale))
        for number, scale in enumerate(scales, start=1)
    }


class EquationOfStateWorkChain(InteractiveWorkChain):
    """Energy against volume: quick first, and precise once a person has looked.

    A quick scan, in which atoms do not see far, is fitted and drawn. The person
    approves it, has another range scanned, or stops. Only then come the precise
    calculations, around the minimum that was approved.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:  # type: ignore[override]
        """Declare the inputs, the steps, the outputs and the exit codes."""
        super().define(spec)
        spec.input("code", valid_type=AbstractCode)
        spec.input("structure", valid_type=StructureData, default=argon)
        spec.input(
            "range",
            valid_type=List,
            default=lambda: List([0.9, 1.15]),
            serializer=to_aiida_type,
            validator=wrong_range,
            help="Lowest and highest scale of all lengths in the first scan.",
        )
        spec.input(
            "quick",
            valid_type=Dict,
            default=lambda: Dict({"cutoff": 8.0}),
            serializer=to_aiida_type,
            validator=wrong_parameters,
            help="Parameters of the quick calculations.",
        )
        spec.input(
            "precise",
            valid_type=Dict,
            default=lambda: Dict({"cutoff": 40.0}),
            serializer=to_aiida_type,
            validator=wrong_parameters,
            help="Parameters of the precise calculations.",
        )
        spec.outline(
            cls.setup,
            while_(cls.is_undecided)(
                cls.scan,
                cls.show_and_ask,
                cls.take_decision,
                if_(cls.wants_another_range)(cls.ask_for_range, cls.take_range),
            ),
            if_(cls.is_stopped)(cls.stop),
            cls.calculate_precisely,
            cls.finish,
        )
        spec.output("equation", valid_type=Dict, help="Of the precise calculations.")
        spec.output("plot", valid_type=SinglefileData)
        spec.exit_code(400, "ERROR_CALCULATION_FAILED", message="A calculation failed.")
        spec.exit_code(
            402,
            "ERROR_NO_MINIMUM",
            message="There is no minimum close to the one that was approved.",
        )
        spec.exit_code(
            410, "ERROR_STOPPED", message="A person stopped it after the quick scan."
        )

    def setup(self) -> None:
        """Begin with the range that was given."""
        self.ctx.range = self.inputs.range
        self.ctx.decision = None

    def is_undecided(self) -> bool:
        """Scan until the person approves or stops."""
        return self.ctx.decision not in (APPROVE, STOP)

    def scan(self) -> ToContext:
        """Calculate quickly over the whole range."""
        structures = structures_in(self.inputs.structure, self.ctx.range)
        return self._calculate(structures, self.inputs.quick)

    def show_and_ask(self) -> ExitCode | None:
        """Draw what came out, and ask how to go on."""
        if (equation := self._fit()) is None:
            return self.exit_codes.ERROR_CALCULATION_FAILED
        self.ctx.equation, self.ctx.plot = equation, plot_of(equation)
        fitted = equation.get_dict()
        if "volume" in fitted:
            found = (
                f"Minimum at {fitted['volume']:.2f} A^3 per atom, bulk modulus "
                f"{fitted['bulk_modulus']:.2f} GPa."
            )
            options = [APPROVE, CHANGE, STOP]
        else:
            found, options = "There is no minimum in this range.", [CHANGE, STOP]
        lowest, highest = self.ctx.range.get_list()
        self.ask(
            Question(
                f"{found} Is that good enough for the precise calculations?",
                Choice(tuple(options)),
                help=f"Scanned from {lowest:g} to {highest:g} of the lengths, with "
                f"{_POINTS} points; the fit misses them by "
                f"{fitted['residual'] * 1000:.2f} meV.",
                evidence=(self.ctx.plot, equation),
            )
        )
        return None

    def take_decision(self) -> None:
        """Remember what was decided."""
        self.ctx.approval = self.answer()
        self.ctx.decision = self.ctx.approval.value

    def wants_another_range(self) -> bool:
        """Return whether to scan once more."""
        return bool(self.ctx.decision == CHANGE)

    def ask_for_range(self) -> None:
        """Ask where to scan."""
        self.ask(
            Question(
                "Which range shall be scanned?",
                _RANGE,
                default=self.ctx.range.get_list(),
                evidence=(self.ctx.plot,),
                validator=self.is_range,
            )
        )

    def is_range(self, value: list[float]) -> str | None:
        """Return why this cannot be scanned."""
        return why_no_range(value)

    def take_range(self) -> None:
        """Scan what the person wants."""
        self.ctx.range = self.answer()

    def is_stopped(self) -> bool:
        """Return whether the person stopped it."""
        return bool(self.ctx.decision == STOP)

    def stop(self) -> ExitCode | None:
        """End here."""
        return self.exit_codes.ERROR_STOPPED

    def calculate_precisely(self) -> ToContext:
        """Do what was approved."""
        structures = structures_at_minimum(
            self.inputs.structure, self.ctx.equation, self.ctx.approval
        )
        return self._calculate(structures, self.inputs.precise)

    def finish(self) -> ExitCode | None:
        """Return the precise equation."""
        if (equation := self._fit()) is None:
            return self.exit_codes.ERROR_CALCULATION_FAILED
        self.out("equation", equation)
        self.out("plot", plot_of(equation))
        if "volume" not in equation.get_dict():
            return self.exit_codes.ERROR_NO_MINIMUM
        return None

    def _calculate(
        self, structures: Mapping[str, StructureData], parameters: Dict
    ) -> ToContext:
        """Run a calculation for each structure, all at the same time."""
        running = {
            label: self.submit(
                LatticeEnergyCalculation,
                code=self.inputs.code,
                structure=structure,
                parameters=parameters,
            )
            for label, structure in structures.items()
        }
        self.ctx.labels = list(running)
        return ToContext(**running)

    def _fit(self) -> Dict | None:
        """Return the equation of what was calculated last; None where that failed."""
        calculations = [self.ctx[label] for label in self.ctx.labels]
        if not all(each.is_finished_ok for each in calculations):
            return None
        results = {
            label: each.outputs.results
            for label, each in zip(self.ctx.labels, calculations, strict=True)
        }
        return fit_birch_murnaghan(**results)
