"""The work chain that asks a person, waits, judges the answer and goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import kiwipy
from aiida.engine import WorkChain
from plumpy.process_comms import INTENT_KEY, Intent

from .exceptions import InvalidAnswer
from .mailbox import Letter, Mailbox, now
from .question import Answer, Question, Verdict, shown

__all__ = ["ANSWER_INTENT", "ASKED", "InteractiveWorkChain"]

ANSWER_INTENT = "humanintheloop.answer"

# Subject of the broadcast that a question is open. It begins like the engine's own news
# of a state because every process of a worker listens to everything that does not: with
# 500 workflows waiting, each question would wake 500 tasks that have nothing to do.
ASKED = "state_changed.running.asked"

STATUS = 'Need user input via "answer" extra before replaying!'


class InteractiveWorkChain(WorkChain):
    """A work chain whose outline steps can ask a person.

    `self.ask(question)` ends its step with the workflow paused; the next step starts
    only after an answer that fits, and reads it with `self.answer()`. The process is
    the only judge: whatever way an answer comes (the extra `answer` and then
    `verdi process play`, or a message), it passes `_judge` in the process's own event
    loop, one after the other, so that of two answers the first is taken and the
    second is told so.
    """

    # region for the author of a workflow

    def ask(self, question: Question) -> None:
        """Ask, and pause at the end of this step until the answer is there."""
        letter = self.mailbox.ask(question)
        self.report(f"asked: {letter.question.text!r}")
        self.pause(STATUS)

    def answer(self) -> Any:
        """Return the answer to the question that was asked last.

        :raises RuntimeError: if there is none, which is a mistake in the outline.
        """
        letter = self.mailbox.latest()
        if letter is None or letter.answer is None:
            raise RuntimeError("no answer: `answer` has to follow `ask` in the outline")
        return letter.answer.value

    @property
    def mailbox(self) -> Mailbox:
        """The questions and answers in the extras of this workflow's node."""
        return Mailbox(self.node)

    # endregion
    # region the judge

    def _judge(self, answer: Answer) -> Verdict:
        """Take the answer and go on, or say why not and go on waiting."""
        letter = self.mailbox.open_letter()
        if letter is None or (answer.question or letter.id) != letter.id:
            return self._judge_late(answer)
        try:
            value = letter.question.judge(answer.value)
        except InvalidAnswer as error:
            return self._refuse(letter, str(error))
        self.report(f"Answer: {shown(answer.value)}. Clearing it...")
        taken = replace(answer, value=value, question=letter.id, at=answer.at or now())
        self.mailbox.accept(letter, taken)
        super().play()
        return Verdict("accepted", "Accepted.", letter.id, value)

    def _refuse(self, letter: Letter, reason: str) -> Verdict:
        self.mailbox.complain(letter, reason)
        self.set_status(f"{STATUS} {reason}")
        self.report(reason)
        return Verdict("refused", reason, letter.id)

    def _judge_late(self, answer: Answer) -> Verdict:
        """Tell somebody whose question is not open who was first, and when."""
        asked = {letter.id: letter for letter in self.mailbox.letters()}
        letter = asked.get(answer.question or "") or self.mailbox.latest()
        if letter is None or letter.answer is None:
            return Verdict("refused", "This workflow does not wait for an answer now.")
        first = letter.answer
        if answer.key is not None and first.key == answer.key:
            # Sent twice, because the first reply got lost.
            return Verdict("accepted", "Accepted.", letter.id, first.value)
        return Verdict(
            "refused",
            f"Question {letter.id} was already answered with {shown(first.value)} "
            f"by {first.by or 'somebody'} at {first.at}.",
            letter.id,
        )

    # endregion
    # region ways in

    def play(self) -> bool:
        """Go on; with a question open only if a fitting answer lies in the extras.

        :return: False if the workflow goes on waiting for an answer.
        """
        verdict = self._play()
        return verdict is None or verdict.accepted

    def _play(self) -> Verdict | None:
        """Play, and return the verdict on the answer in the extras if one was due."""
        if self.has_terminated() or self.mailbox.open_letter() is None:
            super().play()
            return None
        return self._judge(self.mailbox.kept() or Answer(None))

    def message_receive(self, _comm: kiwipy.Communicator, msg: dict[str, Any]) -> Any:
        """Judge an answer that came as a message; leave all else to the engine."""
        if msg[INTENT_KEY] == ANSWER_INTENT:
            return self._schedule_rpc(self._receive_answer, msg["answer"])
        if msg[INTENT_KEY] == Intent.PLAY:
            return self._schedule_rpc(self._receive_play)
        return super().message_receive(_comm, msg)

    def _receive_answer(self, text: str) -> str:
        return self._judge(Answer.from_json(text)).to_json()

    def _receive_play(self) -> bool | str:
        """Play; `verdi process play` prints a reply that is not True or False."""
        verdict = self._play()
        return True if verdict is None or verdict.accepted else verdict.reason

    def init(self) -> None:
        """Take an answer that came while no worker had this process loaded."""
        super().init()
        if not self.paused:
            return
        latest = self.mailbox.latest()
        answered = latest is not None and latest.answer is not None
        if answered or self.mailbox.kept() is not None:
            # `answered`: the worker was killed after it took the answer and before
            # the process could save that it goes on.
            self.call_soon(self.play)

    # endregion
    # region what the engine tells

    def on_paused(self, msg: str | None = None) -> None:
        """Say that a question is open, once the pause is in the database."""
        super().on_paused(msg)
        letter = self.mailbox.open_letter()
        if letter is not None and self.runner.communicator is not None:
            self.runner.communicator.broadcast_send(
                body={"question": letter.id}, sender=self.pid, subject=ASKED
            )

    def on_terminated(self) -> None:
        """Take back a question that nobody can answer any more."""
        super().on_terminated()
        self.mailbox.close("the workflow ended")

    # endregion
