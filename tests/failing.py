"""Work chains that restart what fails, and ask a person: before it, or then."""

from __future__ import annotations

from aiida.common import AttributeDict
from aiida.engine import (
    BaseRestartWorkChain,
    ProcessHandlerReport,
    WorkChain,
    calcfunction,
    process_handler,
    while_,
)
from aiida.orm import Bool, Dict, Int
from aiida.plugins import CalculationFactory

from aiida_humanintheloop import (
    Integer,
    InteractiveRestartWorkChain,
    InteractiveWorkChain,
    Question,
)


class GiveUp(BaseRestartWorkChain):
    """One that exists already, and fails with whatever its child fails with."""

    _process_class = CalculationFactory("core.arithmetic.add")

    @classmethod
    def define(cls, spec):
        """Take what the calculation takes."""
        super().define(spec)
        spec.expose_inputs(cls._process_class, namespace="add")
        spec.expose_outputs(cls._process_class)
        spec.outline(
            cls.setup,
            cls.prepare,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def prepare(self):
        """Begin with the inputs as they are."""
        self.ctx.inputs = self.exposed_inputs(self._process_class, "add")


class AskInRestart(InteractiveWorkChain, GiveUp):
    """The mixin: ask for a number, then add it in a restartable calculation."""

    @classmethod
    def define(cls, spec):
        """Ask before the loop of the base class."""
        super().define(spec)
        spec.outline(
            cls.setup,
            cls.put,
            cls.take,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def put(self):
        """Ask for the second number."""
        self.ask(Question("Add how much?", Integer(), default=1))

    def take(self):
        """Go on with the answer as an input."""
        self.prepare()
        self.ctx.inputs = AttributeDict({**self.ctx.inputs, "y": self.answer()})


@calcfunction
def same(parameters):
    """Return what was given."""
    return parameters.clone()


class NeedTwo(WorkChain):
    """Fail unless two is where it should be, and enough besides."""

    @classmethod
    def define(cls, spec):
        """Take a dictionary."""
        super().define(spec)
        spec.input("parameters", valid_type=Dict)
        spec.input("enough", valid_type=Bool, default=lambda: Bool(True))
        spec.outline(cls.check)
        spec.output("parameters", valid_type=Dict)
        spec.exit_code(400, "ERROR_NOT_TWO", message="It is not two.")

    def check(self):
        """Look, and count what else there is."""
        parameters = self.inputs.parameters.get_dict()
        self.report(f"got {parameters}")
        if parameters["deep"]["number"] != 2 or not self.inputs.enough.value:
            return self.exit_codes.ERROR_NOT_TWO
        self.out("parameters", same(self.inputs.parameters))


class AskWithPlainDictionary(InteractiveRestartWorkChain):
    """Keep a plain dictionary and write into it, as many work chains do."""

    _process_class = NeedTwo

    @classmethod
    def define(cls, spec):
        """Take what the child takes."""
        super().define(spec)
        spec.expose_inputs(NeedTwo)
        spec.expose_outputs(NeedTwo)
        spec.input("counts", valid_type=Bool, default=lambda: Bool(False))
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(
                cls.prepare, cls.run_process, cls.inspect_process
            ),
            cls.results,
        )

    def setup(self):
        """Begin with the dictionary as it is."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(NeedTwo))
        self.ctx.inputs.parameters = self.inputs.parameters.get_dict()

    def prepare(self):
        """Write into it."""
        self.ctx.inputs.parameters.setdefault("deep", {})["prepared"] = True
        if self.inputs.counts.value:
            self.ctx.inputs.parameters["runs"] = self.ctx.iteration


class AskBeforeGivingUp(InteractiveRestartWorkChain, GiveUp):
    """The same, that asks."""


class AskWhereItFails(AskBeforeGivingUp):
    """Add numbers until the sum is not negative; a handler may mend it."""

    @classmethod
    def define(cls, spec):
        """Take whether the handler is to mend it."""
        super().define(spec)
        spec.input("mend", valid_type=Bool, default=lambda: Bool(False))

    @process_handler
    def add_more(self, node):
        """Deal with a negative sum: add one more."""
        if not self.inputs.mend.value or node.is_finished_ok:
            return None
        self.ctx.inputs.y = Int(self.ctx.inputs.y.value + 1)
        return ProcessHandlerReport()
