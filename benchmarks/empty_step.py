"""A work chain that only pauses: what the engine itself takes for pause and play."""

from __future__ import annotations

from aiida.engine import WorkChain, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec
from aiida.orm import Int, to_aiida_type


class EmptySteps(WorkChain):
    """Pause in one step and do nothing in the next, a number of times."""

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:  # type: ignore[override]
        """Declare the number of rounds."""
        super().define(spec)
        spec.input("rounds", valid_type=Int, serializer=to_aiida_type)
        spec.outline(cls.begin, while_(cls.more)(cls.stop_here, cls.do_nothing))

    def begin(self) -> None:
        """Begin at zero."""
        self.ctx.round = 0

    def more(self) -> bool:
        """Go on until all rounds are over."""
        return self.ctx.round < self.inputs.rounds

    def stop_here(self) -> None:
        """Pause, as the blog's workflow does."""
        self.pause("nothing to do")

    def do_nothing(self) -> None:
        """Count."""
        self.ctx.round += 1
