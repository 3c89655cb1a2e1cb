"""Workflows that ask in every way there is; the workers of the daemon import them."""

from __future__ import annotations

import gc
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from aiida.common import AttributeDict
from aiida.engine import (
    BaseRestartWorkChain,
    ProcessHandlerReport,
    WorkChain,
    calcfunction,
    process_handler,
    while_,
    workfunction,
)
from aiida.orm import Bool, Dict, Int, QueryBuilder, Str, WorkChainNode
from aiida.plugins import CalculationFactory

from aiida_humanintheloop import (
    Integer,
    InteractiveRestartWorkChain,
    InteractiveWorkChain,
    Question,
)
from aiida_humanintheloop.replay import REPLAY


def plain(node):
    """Return what a decision was; of a node that was chosen, the UUID."""
    return node.uuid if node.creator is None else getattr(node, "value", None)


class AskOne(InteractiveWorkChain):
    """Ask the question of the inputs, and return the answer."""

    @classmethod
    def define(cls, spec):
        """Take a question as its record."""
        super().define(spec)
        spec.input("question", valid_type=Dict)
        spec.outline(cls.before, cls.put, cls.after)
        spec.output("answer", valid_type=Dict)
        spec.exit_code(400, "ERROR_NOBODY_CARED", message="Nobody answered in time.")

    def before(self):
        """Count that the code before the question runs once."""
        before = self.node.base.extras.get("ran_before", 0)
        self.node.base.extras.set("ran_before", before + 1)

    def put(self):
        """Ask."""
        self.ask(Question.from_record(self.inputs.question.get_dict()))

    def after(self):
        """Return the value, or the UUID of a node."""
        self.out("answer", Dict({"value": plain(self.answer())}).store())

    def even(self, value):
        """Refuse odd numbers; fail on 13."""
        if value == 13:
            raise RuntimeError("unlucky")
        return None if value % 2 == 0 else "it must be even."


class AskAndReturnNested(AskOne):
    """Return the answer in a namespace, as what exposes outputs does."""

    @classmethod
    def define(cls, spec):
        """Have a namespace of outputs."""
        super().define(spec)
        spec.output("deep.answer", valid_type=Dict)

    def after(self):
        """Return it there, too."""
        super().after()
        self.out("deep.answer", self.outputs["answer"])


class AskTwo(InteractiveWorkChain):
    """Ask two questions at once."""

    @classmethod
    def define(cls, spec):
        """Take whether all or any is enough, and when the first has a default."""
        super().define(spec)
        spec.input("until", valid_type=Str)
        spec.input("within", valid_type=Int, required=False)
        spec.outline(cls.put, cls.after)
        spec.output("answers", valid_type=Dict)

    def put(self):
        """Ask both."""
        due = {}
        if "within" in self.inputs:
            within = timedelta(seconds=self.inputs.within.value)
            due = {"default": "late", "within": within, "at_deadline": "default"}
        self.ask(
            until=self.inputs.until.value,
            first=Question("The first?", **due),
            second=Question("The second?"),
        )

    def after(self):
        """Return what was answered."""
        names = [name for name in ("first", "second") if self.answered(name)]
        answers = {name: plain(self.answer(name)) for name in names}
        self.out("answers", Dict(answers).store())


class AskInRounds(InteractiveWorkChain):
    """Ask two questions twice, of which one answer is enough."""

    @classmethod
    def define(cls, spec):
        """Return what was answered."""
        super().define(spec)
        spec.outline(cls.put, cls.put, cls.after)
        spec.output("answers", valid_type=Dict)

    def put(self):
        """Ask both."""
        self.ask(until="any", method=Question("How?"), point=Question("Where?"))

    def after(self):
        """Return all answers, in order."""
        answers = [plain(each) for each in self.answers()]
        self.out("answers", Dict({"all": answers}).store())


class AskTwoInTime(InteractiveWorkChain):
    """Ask two questions, and end where nobody answers the second."""

    @classmethod
    def define(cls, spec):
        """Take how long that may take, in seconds."""
        super().define(spec)
        spec.input("seconds", valid_type=Int)
        spec.outline(cls.put, cls.after)
        spec.exit_code(400, "ERROR_NOBODY_CARED", message="Nobody answered in time.")

    def put(self):
        """Ask both."""
        self.ask(
            first=Question("The first?"),
            second=Question(
                "The second?",
                within=timedelta(seconds=self.inputs.seconds.value),
                at_deadline="ERROR_NOBODY_CARED",
            ),
        )

    def after(self):
        """Go on."""


class AskWithUnstored(InteractiveWorkChain):
    """Show what nobody can find."""

    @classmethod
    def define(cls, spec):
        """Ask at once."""
        super().define(spec)
        spec.outline(cls.put)

    def put(self):
        """Ask."""
        self.ask(Question("Look?", evidence=[Int(1)]))


class AskWhatHasNoNode(AskOne):
    """Take an input that is in no database."""

    @classmethod
    def define(cls, spec):
        """Take any number."""
        super().define(spec)
        spec.input("number", valid_type=int, non_db=True)


class CallsTwo(WorkChain):
    """A workflow whose two children come the other way round when it is run again."""

    @classmethod
    def define(cls, spec):
        """Take what both are to ask."""
        super().define(spec)
        spec.expose_inputs(AskOne)
        spec.outline(cls.first, cls.second, cls.end)

    def first(self):
        """Run one."""
        self.run_child("blue" if REPLAY in self.node.base.extras.all else "red")

    def second(self):
        """Run the other."""
        self.run_child("red" if "blue" in self.ctx else "blue")

    def run_child(self, name):
        """Submit a child of that name and wait for it."""
        inputs = {**self.exposed_inputs(AskOne), "metadata": {"call_link_label": name}}
        self.to_context(**{name: self.submit(AskOne, **inputs)})

    def end(self):
        """Wait for the second one, too."""


class AskAgain(InteractiveWorkChain):
    """Ask the same question again and again, until it is killed."""

    @classmethod
    def define(cls, spec):
        """Take a question as its record."""
        super().define(spec)
        spec.input("question", valid_type=Dict)
        spec.outline(while_(cls.always)(cls.put, cls.take))

    def always(self):
        """Go on."""
        return True

    def put(self):
        """Ask."""
        self.ask(Question.from_record(self.inputs.question.get_dict()))

    def take(self):
        """Fail where the answer is none that was allowed."""
        kind = Question.from_record(self.inputs.question.get_dict()).kind
        value = self.answer()
        if kind.kind != "node":
            kind.read(plain(value))


def die_once(node):
    """Kill this worker, unless it died of this workflow before."""
    if not node.base.extras.get("died", False):
        node.base.extras.set("died", True)
        os.kill(os.getpid(), signal.SIGKILL)


class AskAndDie(AskOne):
    """Lose the worker between the question and the pause, once."""

    def put(self):
        """Ask, and be killed."""
        super().put()
        die_once(self.node)


class AskAndDieAfter(AskOne):
    """Lose the worker in the step that reads the answer, once."""

    def after(self):
        """Read, and be killed."""
        super().after()
        die_once(self.node)


class AskAndEnd(AskOne):
    """Ask, and end in the same step all the same."""

    def put(self):
        """Ask, and return an exit code, or fail."""
        super().put()
        if self.inputs.question["text"] == "Fail?":
            raise RuntimeError("as the author did not want")
        return self.exit_codes.ERROR_NOBODY_CARED


class AskInRestart(InteractiveWorkChain, BaseRestartWorkChain):
    """The mixin: ask for a number, then add it in a restartable calculation."""

    _process_class = CalculationFactory("core.arithmetic.add")

    @classmethod
    def define(cls, spec):
        """Ask before the loop of the base class."""
        super().define(spec)
        spec.expose_inputs(cls._process_class, namespace="add")
        spec.expose_outputs(cls._process_class)
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
        inputs = self.exposed_inputs(self._process_class, "add")
        self.ctx.inputs = AttributeDict({**inputs, "y": self.answer()})


class Parent(WorkChain):
    """A workflow of which a child asks."""

    @classmethod
    def define(cls, spec):
        """Take what the child takes."""
        super().define(spec)
        spec.expose_inputs(AskOne)
        spec.outline(cls.run_child, cls.check)

    def run_child(self):
        """Submit the child and wait for it."""
        return self.to_context(child=self.submit(AskOne, **self.exposed_inputs(AskOne)))

    def check(self):
        """End as the child did."""
        return self.ctx.child.exit_code


class AskAfterAFailure(AskOne):
    """Ask, after a query that fails: the engine closes its session then."""

    @classmethod
    def define(cls, spec):
        """Take whether the step goes on nevertheless."""
        super().define(spec)
        spec.input("is_caught", valid_type=Bool)
        spec.outline(cls.stumble, cls.put, cls.after)

    def stumble(self):
        """Ask the database for what is no integer of its own."""
        self.before()
        is_caught = self.inputs.is_caught.value
        try:
            QueryBuilder().append(WorkChainNode, filters={"id": 2**70}).all()
        except Exception:
            if not is_caught:
                raise


@calcfunction
def take_long_once(folder):
    """Take long where it has never begun before."""
    begun = Path(folder.value) / "begun"
    if not begun.exists():
        begun.touch()
        time.sleep(600)
    return Str("done")


@workfunction
def take_long_within(folder):
    """Call what takes long."""
    return take_long_once(folder)


class AskBeforeLongFunction(AskOne):
    """Run functions after the answer, in which a worker may well die."""

    @classmethod
    def define(cls, spec):
        """Take where to note that it has begun."""
        super().define(spec)
        spec.input("folder", valid_type=Str)

    def after(self):
        """Return what was decided, as soon as the functions are done."""
        take_long_within(self.inputs.folder)
        super().after()


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
