"""A workflow that looks into the worker that runs it."""

from __future__ import annotations

import gc

from aiida.engine import WorkChain
from aiida.orm import Int, Str


class CountLoaded(WorkChain):
    """Return how many processes of a kind are in the memory of this worker."""

    @classmethod
    def define(cls, spec):
        """Take the name of a class."""
        super().define(spec)
        spec.input("kind", valid_type=Str)
        spec.outline(cls.count)
        spec.output("loaded", valid_type=Int)

    def count(self):
        """Count, once the garbage is gone."""
        gc.collect()
        kinds = [type(each).__name__ for each in gc.get_objects()]
        self.out("loaded", Int(kinds.count(self.inputs.kind.value)).store())
