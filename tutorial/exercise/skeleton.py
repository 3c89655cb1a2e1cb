"""The exercise of chapter 8: a workflow of your own that asks."""

from aiida import orm

from aiida_humanintheloop import InteractiveWorkChain


class PickCandidate(InteractiveWorkChain):
    """Ask which candidate to calculate, and at which pressure."""

    @classmethod
    def define(cls, spec):
        """Say what goes in, which steps there are, and what comes out."""
        super().define(spec)
        spec.input("candidates", valid_type=orm.List)
        spec.outline(cls.ask_candidate, cls.ask_pressure, cls.finish)
        spec.output("candidate", valid_type=orm.Str)
        spec.output("pressure", valid_type=orm.Float)

    def ask_candidate(self):
        """Ask for one of `self.inputs.candidates`."""

    def ask_pressure(self):
        """Keep the answer in `self.ctx`, and ask for 0 to 100 GPa."""

    def finish(self):
        """Return both answers, each with `self.out`."""
