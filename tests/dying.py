"""Workflows that ask, and in whose steps a worker or its database goes away."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from aiida.engine import WorkChain, calcfunction, workfunction
from aiida.orm import Bool, Dict, QueryBuilder, Str, WorkChainNode

from aiida_humanintheloop import InteractiveWorkChain, Question
from aiida_humanintheloop.database import look_anew
from tests.asking import AskOne, plain
from tests.faults import kill, lock_database, services


def die_once(node):
    """Kill this worker, unless it died of this workflow before."""
    if not node.base.extras.get("died", False):
        node.base.extras.set("died", True)
        os.kill(os.getpid(), signal.SIGKILL)


def has_died(node):
    """Return whether a worker has died of this workflow.

    Before, whoever else writes an extra may undo that it did, or be undone.
    """
    look_anew()
    return node.base.extras.get("died", False)


class AskAndDie(AskOne):
    """Lose the worker between the question and the pause, once."""

    def put(self):
        """Ask, and be killed."""
        super().put()
        die_once(self.node)


class AskAndDieAsking(InteractiveWorkChain):
    """Lose the worker in a step that reads one answer and asks for another, once."""

    @classmethod
    def define(cls, spec):
        """Ask twice."""
        super().define(spec)
        spec.outline(cls.ask_first, cls.ask_second, cls.after)
        spec.output("answers", valid_type=Dict)

    def ask_first(self):
        """Ask."""
        self.ask(Question("The first?"))

    def ask_second(self):
        """Read, ask, and be killed."""
        self.ctx.first = plain(self.answer())
        self.ask(Question("The second?"))
        die_once(self.node)

    def after(self):
        """Return both."""
        answers = {"first": self.ctx.first, "second": plain(self.answer())}
        self.out("answers", Dict(answers).store())


class AskAndBePlayedEarly(AskAndDieAsking):
    """Be played where the next worker lets it go on, before its step runs again."""

    def look_again(self):
        """Have somebody play it right after."""
        super().look_again()
        if self.paused:
            self.loop.call_soon(self.play)


async def never_end():
    """Take being cancelled for nothing."""
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(600)


class AskWhereNothingEnds(AskOne):
    """Have its worker wait for ever for something else when it shall end."""

    def put(self):
        """Begin that, and ask."""
        super().put()
        self.loop.create_task(never_end())


class AskAndDieAfter(AskOne):
    """Lose the worker in the step that reads the answer, once."""

    def after(self):
        """Read, and be killed."""
        super().after()
        die_once(self.node)


def note_first(folder, name):
    """Return whether something was not done before, and note that it is now."""
    note = Path(folder.value) / name
    is_first = not note.exists()
    note.touch()
    return is_first


@calcfunction
def take_long_once(folder):
    """Take long where it has never begun before."""
    if note_first(folder, "begun"):
        time.sleep(600)
    return Str("done")


@workfunction
def take_long_within(folder):
    """Call what takes long."""
    return take_long_once(folder)


class _NotesWhatItDid(AskOne):
    """Have a folder in which to note what is to be done once."""

    @classmethod
    def define(cls, spec):
        """Take the folder."""
        super().define(spec)
        spec.input("folder", valid_type=Str)

    def is_first(self, name):
        """Return whether this was not done before, and note that it is now."""
        return note_first(self.inputs.folder, name)


class AskBeforeLongFunction(_NotesWhatItDid):
    """Run functions after the answer, in which a worker may well die."""

    def after(self):
        """Return what was decided, as soon as the functions are done."""
        take_long_within(self.inputs.folder)
        super().after()


class AskAndLoseBroker(_NotesWhatItDid):
    """Lose the broker between an answer and the step that it is for, once."""

    def lose_broker(self, value):
        """Accept whatever it is; kill the broker, and have that be noticed."""
        if self.is_first("killed"):
            kill(*services("broker"))
            time.sleep(0.5)

    def after(self):
        """Call a function, and return what was decided."""
        quickly(self.inputs.folder)
        super().after()


@calcfunction
def quickly(folder):
    """Return what was given."""
    return folder.clone()


class SubmitWithoutBroker(_NotesWhatItDid):
    """Have the broker stand still between an answer and a step that submits, once."""

    def stop_broker(self, value):
        """Accept whatever it is; stop the broker where that was not done before."""
        if self.is_first("stopped"):
            for each in services("broker"):
                each.suspend()

    def after(self):
        """Submit another that asks."""
        question = Dict(Question("Submitted?").to_record())
        return self.to_context(child=self.submit(AskOne, question=question))


class AskAndBeLockedOut(_NotesWhatItDid):
    """Have somebody else write to SQLite between a question and its pause, once."""

    def put(self):
        """Ask, and be kept from the database for longer than one waits for it."""
        super().put()
        if self.is_first("locked"):
            look_anew()
            lock_database(at_end=Path(self.inputs.folder.value) / "free")


class AskAndCountLockedOut(_NotesWhatItDid):
    """Have somebody else write to SQLite for long in a step, and count its runs."""

    def after(self):
        """Count, and be kept from writing, not from reading."""
        with open(Path(self.inputs.folder.value) / "runs", "a") as runs:
            runs.write("run\n")
        if self.is_first("locked"):
            look_anew()
            lock_database(seconds=16, how="IMMEDIATE")
        super().after()


class AskAndFailToPause(AskOne):
    """Have a hook that does not let it pause."""

    def on_paused(self, msg=None):
        """Fail."""
        super().on_paused(msg)
        raise RuntimeError("as the author did not want")


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


class LockOthersOut(WorkChain):
    """Have somebody else write to SQLite for long, as soon as it has ended."""

    @classmethod
    def define(cls, spec):
        """Do nothing else."""
        super().define(spec)
        spec.outline(cls.do_nothing)

    def do_nothing(self):
        """Go on."""

    def on_terminated(self):
        """Have nobody write it down that this has ended."""
        super().on_terminated()
        lock_database(how="IMMEDIATE")


class WaitForALock(InteractiveWorkChain):
    """Wait for what locks others out."""

    @classmethod
    def define(cls, spec):
        """Call it."""
        super().define(spec)
        spec.outline(cls.call, cls.after)

    def call(self):
        """Submit it."""
        return self.to_context(child=self.submit(LockOthersOut))

    def after(self):
        """Go on."""


class SayWhatCannotBeWritten(WorkChain):
    """Leave the session of the worker as a write that fails does."""

    @classmethod
    def define(cls, spec):
        """Do nothing else."""
        super().define(spec)
        spec.outline(cls.say)

    def say(self):
        """Report text that no database takes."""
        self.report("\x00\ud800")
