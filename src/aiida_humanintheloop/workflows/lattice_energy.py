"""The calculation that the worked examples are made of: a crystal of noble gas atoms.

Lennard-Jones argon: simple, fast, and its numbers stand in the textbooks, so that one
sees whether a workflow does the right thing. In place of it stands a density functional
code in a workflow of one's own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiida.common import CalcInfo, CodeInfo
from aiida.common.exceptions import NotExistent
from aiida.common.folders import Folder
from aiida.engine import CalcJob, ExitCode
from aiida.engine.processes.process_spec import CalcJobProcessSpec
from aiida.orm import (
    AbstractCode,
    Computer,
    Dict,
    InstalledCode,
    StructureData,
    load_code,
    load_computer,
)
from aiida.orm.nodes.data.structure import Site
from aiida.parsers import Parser

__all__ = [
    "ARGON",
    "HIGHEST_SCALE",
    "LOWEST_SCALE",
    "LatticeEnergyCalculation",
    "LatticeEnergyParser",
    "argon",
    "python_on",
    "scaled",
    "wrong_parameters",
]

#: Well depth in eV and diameter in A of argon: Ashcroft and Mermin, Solid State Physics
#: (1976), table 20.2; how far atoms see each other, in A.
ARGON = {"epsilon": 0.0104, "sigma": 3.40, "cutoff": 10.0}
#: Scales of all lengths that make sense at all.
LOWEST_SCALE, HIGHEST_SCALE = 0.7, 1.5
_PLUGIN = "humanintheloop.lattice_energy"
_PROGRAM = Path(__file__).with_name("lattice_energy_program.py")
_INPUT, _OUTPUT = "input.json", "output.json"


def argon() -> StructureData:
    """Return argon, not stored: face-centred cubic, 5.26 A, one atom."""
    half = 5.26 / 2
    structure = StructureData(cell=[[0, half, half], [half, 0, half], [half, half, 0]])
    structure.append_atom(position=(0, 0, 0), symbols="Ar")
    return structure


def python_on(computer: Computer | str = "localhost") -> AbstractCode:
    """Return the code that runs the calculation, set up on first use.

    :param computer: or its label; it has to have `python3`.
    :raises NotExistent: if there is no computer of this label.
    """
    if isinstance(computer, str):
        computer = load_computer(computer)
    try:
        return load_code(f"python3@{computer.label}")
    except NotExistent:
        return InstalledCode(
            label="python3",
            computer=computer,
            filepath_executable="python3",
            default_calc_job_plugin=_PLUGIN,
        ).store()


def scaled(structure: StructureData, scale: float) -> StructureData:
    """Return the structure, not stored, with all lengths times `scale`."""
    result = StructureData(cell=[[x * scale for x in side] for side in structure.cell])
    for kind in structure.kinds:
        result.append_kind(kind)
    for site in structure.sites:
        position = [x * scale for x in site.position]
        result.append_site(Site(kind_name=site.kind_name, position=position))
    return result


def wrong_parameters(value: Dict | None, _port: object) -> str | None:
    """Refuse parameters that are not numbers above 0."""
    wrong = {
        name: number
        for name, number in (value.get_dict() if value else {}).items()
        if name not in ARGON
        or not isinstance(number, (int, float))
        or isinstance(number, bool)
        or number <= 0
    }
    if wrong:
        return f"parameters are {', '.join(ARGON)}, each above 0, got {wrong}."
    return None


class LatticeEnergyCalculation(CalcJob):
    """Energy and pressure of a crystal of Lennard-Jones atoms of one kind."""

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData)
        spec.input(
            "parameters",
            valid_type=Dict,
            default=lambda: Dict(ARGON),
            validator=wrong_parameters,
            help="`epsilon` in eV, `sigma` and `cutoff` in A; of argon by default.",
        )
        options: Any = spec.inputs["metadata"]["options"]  # type: ignore[index]
        options["parser_name"].default = _PLUGIN
        options["resources"].default = lambda: {
            "num_machines": 1,
            "num_mpiprocs_per_machine": 1,
        }
        options["withmpi"].default = False
        spec.output(
            "results",
            valid_type=Dict,
            help="`energy_per_atom` in eV, `volume_per_atom` in A^3, `pressure` in GPa "
            "and `neighbours` of an atom.",
        )
        spec.default_output_node = "results"
        spec.exit_code(
            310,
            "ERROR_NO_RESULT",
            message="The program left no result.",
            invalidates_cache=True,  # the computer may be mended by then
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the program and its input."""
        structure = self.inputs.structure
        asked = {
            **ARGON,
            **self.inputs.parameters.get_dict(),
            "cell": structure.cell,
            "positions": [site.position for site in structure.sites],
        }
        with folder.open(_INPUT, "w") as file:
            json.dump(asked, file)
        folder.insert_path(str(_PROGRAM), _PROGRAM.name)
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = [_PROGRAM.name]
        code.stdin_name, code.stdout_name = _INPUT, _OUTPUT
        info = CalcInfo()
        info.codes_info = [code]
        info.retrieve_list = [_OUTPUT]
        return info


class LatticeEnergyParser(Parser):
    """Reads what the program has left."""

    def parse(self, **_: Any) -> ExitCode | None:
        """Return the results, or the exit code for none."""
        try:
            text = self.retrieved.base.repository.get_object_content(_OUTPUT, "r")
            self.out("results", Dict(json.loads(text)))
        except (OSError, ValueError):
            return self.exit_codes.ERROR_NO_RESULT
        return None
