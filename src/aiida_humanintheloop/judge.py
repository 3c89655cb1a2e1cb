"""The judge of answers, and of questions that nobody answered in time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from aiida.engine.processes.workchains.workchain import WorkChainSpec
from sqlalchemy.exc import SQLAlchemyError

from .context import check
from .database import DatabaseLost, catch_up, is_lost
from .deadlines import Deadlines
from .exceptions import InvalidAnswer
from .letter import Letter, timestamp
from .mailbox import OwnMailbox
from .messages import ASKED, STATUS
from .question import DEFAULT, Answer, Verdict
from .text import shown
from .verdict import read_answer, read_value, verdict_on_late
from .waiting import WaitingWorkChain

__all__ = ["PASSED", "JudgingWorkChain"]

#: Why a question was closed that nobody answered in time.
PASSED = "the deadline passed"
_TRY_AGAIN_SECONDS = 1.0


def _object_in(value: Any) -> dict[str, Any]:
    """Return the JSON object that was sent, or typed; {} where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


class JudgingWorkChain(WaitingWorkChain):
    """A work chain that waits for an answer, judges it, and goes on.

    Whatever way an answer comes (see `delivery`), it passes `_judge` in the process's
    own event loop, one after the other and after the deadlines, so that of two answers
    the first is taken and the second is told so.
    """

    _ends_with: str | None = None

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:  # type: ignore[override]
        """Declare the exit code for a deadline that nobody met."""
        super().define(spec)
        spec.exit_code(
            461,
            "ERROR_NOT_ANSWERED",
            message="A question was not answered before its deadline.",
        )

    @cached_property
    def mailbox(self) -> OwnMailbox:
        """The questions and answers in the extras of this workflow's node."""
        return OwnMailbox(self.node)

    # region the judge

    def _judge(self, answer: Answer) -> Verdict:
        """Take the answer and go on, or say why not and go on waiting."""
        for letter in self.mailbox.taken(answer):
            if letter.answer and letter.is_called(answer.question or letter.id):
                # Sent twice, because the first reply got lost.
                return Verdict("accepted", "Accepted.", letter.id, letter.answer.value)
        self._enforce_deadlines()
        waiting = self.mailbox.open_letters()
        if answer.question is None and len(waiting) > 1:
            return self._judge_several(answer, waiting)
        meant = [
            letter
            for letter in waiting
            if letter.is_called(answer.question or letter.id)
        ]
        if not meant:
            with self._one_commit():
                self.mailbox.drop(answer)  # or nobody could leave another one
            return verdict_on_late(self.mailbox.letters(), answer)
        return self._judge_one(answer, meant[-1])

    def _judge_one(self, answer: Answer, letter: Letter) -> Verdict:
        question = letter.question
        try:
            validator = getattr(self, question.validator or "", None)
            value = read_answer(question, answer, validator)
        except InvalidAnswer as error:
            return self._refuse(letter, answer, str(error))
        self._accept(letter, replace(answer, value=value))
        return Verdict("accepted", "Accepted.", letter.id, value)

    def _judge_several(self, answer: Answer, waiting: list[Letter]) -> Verdict:
        """Judge an answer without a name where several questions are open."""
        names = [letter.name or letter.id for letter in waiting]
        values = _object_in(answer.value)
        if values.keys() <= set(names):
            verdicts = [
                self._judge_part(replace(answer, value=values[name]), letter)
                for name, letter in zip(names, waiting, strict=True)
                if name in values
            ]
            refused = [verdict for verdict in verdicts if not verdict.accepted]
            if verdicts:
                return (refused or verdicts)[-1]
        reason = (
            f"{len(waiting)} questions are open: say which one is answered, or answer "
            f"with an object that has the names {', '.join(names)}."
        )
        return self._refuse(waiting[0], answer, reason)

    def _judge_part(self, answer: Answer, letter: Letter) -> Verdict:
        """Judge one of several answers; one before it may have been enough."""
        if self._is_open(letter):
            return self._judge_one(answer, letter)
        late = replace(answer, question=letter.id, key=None)
        return verdict_on_late(self.mailbox.letters(), late)

    def _is_open(self, letter: Letter) -> bool:
        return letter.id in {other.id for other in self.mailbox.open_letters()}

    def _accept(self, letter: Letter, answer: Answer) -> None:
        """Record the answer, and go on if nothing is left to wait for."""
        answer = replace(answer, question=letter.id, at=answer.at or timestamp())
        with self._decision():
            self.report(f"Answer: {shown(answer.value)}. Clearing it...")
            still_open = self.mailbox.accept(letter, answer)
            if not still_open:
                self._play_on()
        if still_open:
            self._tell(letter)

    def _refuse(self, letter: Letter, answer: Answer, reason: str) -> Verdict:
        with self._one_commit():
            self.mailbox.complain(reason, answer)
            self.set_status(f"{STATUS} {reason}")
            self.report(reason)
        return Verdict("refused", reason, letter.id)

    @contextmanager
    def _one_commit(self) -> Iterator[None]:
        """Write together; what did not reach the database is not in the mailbox."""
        try:
            with super()._one_commit():
                yield
        except BaseException:
            self.mailbox.forget()
            raise

    @contextmanager
    def _decision(self) -> Iterator[None]:
        """Write what the next step will follow from; unwritten, none may follow."""
        try:
            with self._one_commit():
                yield
        except BaseException:
            self._is_ahead = True
            raise

    # endregion
    # region deadlines

    def _enforce_deadlines(self) -> None:
        """Decide what nobody decided in time, and look again before the next deadline.

        An answer that was kept while no worker had the process is judged first if it
        was given in time: the deadline loses against an answer that came first.
        """
        if self.has_terminated():
            return
        passed = self._deadlines.passed(self.mailbox.open_letters())
        if passed:
            self._judge_kept_in_time()
        for letter in passed:
            # what was decided for one question may have closed the next
            if self._is_open(letter):
                self._pass_deadline(letter)

    @cached_property
    def _deadlines(self) -> Deadlines:
        enforce = partial(self._guarded, self._enforce_deadlines)
        return Deadlines(self.loop, enforce)

    def _judge_kept_in_time(self) -> None:
        """Judge an answer that was kept for a question before its deadline."""
        kept = self.mailbox.kept()
        if kept is None:
            return
        waiting = self.mailbox.open_letters()
        meant = [x for x in waiting if x.is_called(kept.question or x.id)]
        if not all(letter.is_in_time(kept) for letter in meant):
            return
        if len(meant) > 1:
            self._judge_several(kept, meant)
        elif meant:
            self._judge_one(kept, meant[0])

    def _pass_deadline(self, letter: Letter) -> None:
        """Decide; where that fails, the question stays open for a person."""
        try:
            self._decide(letter)
        except SQLAlchemyError:
            raise
        except Exception:
            self.logger.exception("the deadline of %r has no effect", letter.label)

    def _decide(self, letter: Letter) -> None:
        """Take the default, or end with the exit code."""
        if letter.question.at_deadline == DEFAULT:
            self.report(f"{PASSED}, the default is taken")
            value = read_value(letter.question, letter.question.default)
            self._accept(letter, Answer(value, kind="default", via="deadline"))
            return
        with self._decision():
            self.report(f"{PASSED}: {letter.label!r} was not answered")
            self.mailbox.close(PASSED, letter)
            self.mailbox.close(f"question {letter.id} was not answered in time")
            self._ends_with = letter.question.at_deadline
            self._play_on()

    def _guarded(self, callback: Callable[[], Any]) -> None:
        """Call back from the event loop; a mistake is logged, the workflow waits."""
        try:
            if not self._closed and not self.has_terminated():
                catch_up()
                callback()
        except (DatabaseLost, Exception) as error:
            if is_lost(error):
                self.loop.call_later(_TRY_AGAIN_SECONDS, self._guarded, callback)
            else:
                self.logger.exception("could not look after the open questions")

    # endregion
    # region what follows

    def on_pausing(self, msg: str | None = None) -> None:
        """Ask only where the answer can find what was there before.

        :raises ValueError: if `ctx` has what would be lost with the worker.
        """
        super().on_pausing(msg)
        if self._enable_persistence and self.mailbox.open_letters():
            check(self.ctx)

    def _play_on(self) -> None:
        """Have the engine go on; `play` itself looks first what is open."""
        with self._decision():
            super().play()

    def _tell(self, letter: Letter) -> None:
        """Wake whoever listens to this workflow; the others look now and then."""
        if self.runner.communicator is None:
            return
        try:
            self.runner.communicator.broadcast_send(
                body={"question": letter.id}, sender=self.pid, subject=ASKED
            )
        except Exception:
            self.logger.warning("nobody was told of %r: no broker", letter.label)

    def on_close(self) -> None:
        """Decide nothing any more."""
        super().on_close()
        self._deadlines.stop()

    def on_terminated(self) -> None:
        """Take back a question that nobody can answer any more.

        First, so that no question is open where the engine says that all is done.
        """
        try:
            self.mailbox.close("the workflow ended")
        finally:
            super().on_terminated()

    # endregion
