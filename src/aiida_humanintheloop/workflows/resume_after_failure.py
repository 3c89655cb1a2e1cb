"""Worked example: a calculation that fails until somebody has mended the computer."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from aiida.common import AttributeDict
from aiida.common.exceptions import NotExistent
from aiida.engine import while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec
from aiida.orm import Computer, load_computer

from ..restart import InteractiveRestartWorkChain
from .lattice_energy import LatticeEnergyCalculation

__all__ = ["ResumeAfterFailureWorkChain", "ailing_computer"]


def ailing_computer(label: str, scratch: Path) -> Computer:
    """Return a computer on which all jobs fail while a folder is not there.

    It is this machine under another name, and set up on first use. To mend it, make the
    folder.

    :param label: of the computer.
    :param scratch: the folder.
    """
    try:
        return load_computer(label)
    except NotExistent:
        pass
    this = load_computer("localhost")
    computer = Computer(
        label=label,
        hostname="localhost",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=this.get_workdir(),
    )
    computer.set_prepend_text(
        f"test -d {quote(str(scratch))} || {{ echo 'no scratch space' >&2; exit 1; }}"
    )
    computer.set_minimum_job_poll_interval(this.get_minimum_job_poll_interval())
    computer.store()
    computer.configure(safe_interval=0)
    return computer


class ResumeAfterFailureWorkChain(InteractiveRestartWorkChain):
    """Run a calculation, and where it fails have a person say how to go on.

    The person sees what the program and the scheduler have printed, mends what is
    broken, and has it run once more, as it is or with other inputs.
    """

    _process_class = LatticeEnergyCalculation

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:  # type: ignore[override]
        """Declare the inputs, the steps and the outputs."""
        super().define(spec)
        spec.expose_inputs(LatticeEnergyCalculation, namespace="calculation")
        spec.expose_outputs(LatticeEnergyCalculation)
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def setup(self) -> None:
        """Begin with the inputs that were given."""
        super().setup()
        self.ctx.inputs = AttributeDict(
            self.exposed_inputs(LatticeEnergyCalculation, "calculation")
        )
