"""Workflows that ask in every way there is; the workers of the daemon import them."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock

from aiida.engine import WorkChain, while_
from aiida.orm import Dict, Int, Str

from aiida_humanintheloop import InteractiveWorkChain, Question
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

    def mumble(self, value):
        """Refuse, for a reason that no database takes."""
        return "it is\x00\ud800\nodd."

    def even(self, value):
        """Refuse odd numbers; fail on 13."""
        if value == 13:
            raise RuntimeError("unlucky")
        return None if value % 2 == 0 else "it must be even."


class AskWithContext(AskOne):
    """Keep something in the context."""

    @classmethod
    def define(cls, spec):
        """Take which of these."""
        super().define(spec)
        spec.input("kept", valid_type=Str)

    def put(self):
        """Keep it, and ask."""
        kept = {"lock": Lock(), "node": Int(1).store()}
        self.ctx.kept = kept[self.inputs.kept.value]
        super().put()


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


class AskInTurns(InteractiveWorkChain):
    """Ask two questions twice, of which the second takes an answer after the first."""

    @classmethod
    def define(cls, spec):
        """Ask twice."""
        super().define(spec)
        spec.outline(cls.put, cls.put, cls.after)

    def put(self):
        """Ask both."""
        second = Question("The second?", validator="in_turn")
        self.ask(first=Question("The first?"), second=second)

    def in_turn(self, value):
        """Refuse what comes too early."""
        return None if self.answered("first") else "the first is not answered yet"

    def after(self):
        """Go on."""


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


class AskInTwoChildren(InteractiveWorkChain):
    """Wait for two children that ask at the same time."""

    @classmethod
    def define(cls, spec):
        """Take what both are to ask."""
        super().define(spec)
        spec.expose_inputs(AskOne)
        spec.outline(cls.run_children, cls.end)

    def run_children(self):
        """Submit both and wait for them."""
        for name in ("first", "second"):
            child = self.submit(AskOne, **self.exposed_inputs(AskOne))
            self.to_context(**{name: child})

    def end(self):
        """End when both have."""


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


class AskAndAnswer(AskOne):
    """Ask twice, and want the second answer in the step that asks."""

    def after(self):
        """Ask, and do not wait."""
        self.put()
        self.answer()


class AskAndEnd(AskOne):
    """Ask, and end in the same step all the same."""

    def put(self):
        """Ask, and return an exit code, or fail."""
        super().put()
        if self.inputs.question["text"] == "Fail?":
            raise RuntimeError("as the author did not want")
        return self.exit_codes.ERROR_NOBODY_CARED


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
