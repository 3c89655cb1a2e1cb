"""How an answer reaches the judge: in a message, or because it lies there already."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

import kiwipy
from aiida.engine.runners import Runner
from plumpy.persistence import LoadSaveContext
from plumpy.process_comms import INTENT_KEY, Intent
from plumpy.process_states import State
from sqlalchemy.exc import SQLAlchemyError

from .database import DatabaseLost
from .judge import PASSED, JudgingWorkChain
from .messages import ANSWER_INTENT, STATUS
from .question import Answer, Verdict
from .replay import Replay
from .text import one_line

__all__ = ["ReceivingWorkChain"]

_LOOK_AGAIN_SECONDS = 0.5


class ReceivingWorkChain(JudgingWorkChain):
    """A work chain that takes an answer whatever way it comes.

    That is in a message, from the extra `answer` with `verdi process play`, from the
    same extra where it was kept while no worker had the process, or from the run that
    this one repeats.
    """

    _next_look: asyncio.TimerHandle | None = None
    # Whether it was played while a question was open whose step had yet to run again.
    _was_played_early = False

    @classmethod
    def recreate_from(
        cls, saved_state: Any, load_context: LoadSaveContext | None = None
    ) -> Any:
        """Take this process up, in a worker that may also tell people of questions."""
        runner: Runner | None = getattr(load_context, "runner", None)
        if runner is not None and runner.is_daemon_runner:
            # A client tells nobody, and does not wait for what that takes to load.
            from .notify.notifier import watch

            watch(runner)
        return super().recreate_from(saved_state, load_context)

    # region what comes in a message

    def play(self) -> bool:
        """Go on; with a question open only if a fitting answer lies in the extras.

        :return: False if the workflow goes on waiting for an answer.
        """
        verdict = self._play()
        return verdict is None or verdict.accepted

    def pause(self, msg_text: str | None = None) -> Any:
        """Pause, also what the engine takes for paused though it had gone on since."""
        if self._is_interrupted and not self.mailbox.open_letters():
            self.node.pause()
        return super().pause(msg_text)

    def _play(self) -> Verdict | None:
        """Play, and return the verdict on the answer in the extras if one was due."""
        asks = self.paused or self._pausing is not None
        is_open = bool(self.mailbox.open_letters())
        if self.has_terminated() or not asks or not is_open or self._is_interrupted:
            # It may have gone on by itself a moment ago, and its step has yet to begin.
            self._was_played_early |= is_open
            self._play_on()
            return None
        return self._judge(self.mailbox.kept() or Answer(None))

    def receive(self, _comm: kiwipy.Communicator, msg: dict[str, Any]) -> Any:
        """Judge an answer that came as a message; leave all else to the engine."""
        if msg[INTENT_KEY] == ANSWER_INTENT:
            return self._schedule_rpc(self._receive_answer, msg["answer"])
        if msg[INTENT_KEY] == Intent.PLAY:
            return self._schedule_rpc(self._receive_play)
        return super().receive(_comm, msg)

    def _receive_answer(self, text: str) -> str:
        """Return the verdict; nothing where it was lost, to be sent again."""
        try:
            if self._closed or self.is_stale:
                return ""  # it is being loaded anew
            is_open = bool(self.mailbox.open_letters())
            if is_open and (not self.paused or self._is_interrupted):
                return ""  # it is not yet where it asks
            answer = Answer.from_json(text)
            kept = self.mailbox.kept()
            if kept is not None and kept.key not in (None, answer.key):
                self._judge(kept)  # it came first
            return self._judge(answer).to_json()
        except (DatabaseLost, SQLAlchemyError) as error:
            self.logger.warning("an answer waits to be judged: %s", type(error))
            return ""
        except Exception as error:
            self.logger.exception("an answer could not be judged")
            why = one_line(f"{type(error).__name__}: {error}")
            return Verdict("refused", f"It could not be judged ({why}).").to_json()

    def _receive_play(self) -> bool | str:
        """Play; `verdi process play` prints a reply that is not True or False."""
        try:
            if self.is_stale:
                return "the database was away: try again"
            verdict = None if self._closed else self._play()
        except (DatabaseLost, SQLAlchemyError):
            return "the database is away: try again"
        return True if verdict is None or verdict.accepted else verdict.reason

    # endregion
    # region what lies there already

    def look_again(self) -> None:
        """Take a kept answer, unless the process is busy."""
        super().look_again()
        if self.paused:
            self.loop.call_soon(self._guarded, self._catch_up)

    def _catch_up(self) -> None:
        """Take a kept answer, enforce a deadline, or go on if it is decided."""
        if self.mailbox.open_letters():
            if self._is_interrupted:
                self._play_on()
                return
            if self.status == STATUS:
                self._repeat()
            self._enforce_deadlines()
            if self.mailbox.open_letters() and self.mailbox.kept() is not None:
                self.play()
            return
        letters = self.mailbox.letters()
        if letters and self.status and self.status.startswith(STATUS):
            # The worker was killed after it took the answer, or saw the deadline pass,
            # and before the process could save that it goes on.
            late = [x for x in self.mailbox.last_batch() if x.closed == PASSED]
            self._ends_with = late[0].question.at_deadline if late else None
            self._play_on()
        elif self._is_interrupted:
            self._play_on()

    @property
    def _is_interrupted(self) -> bool:
        """Whether it went on from this pause before its worker was killed.

        The engine saves that only with the next state. Where a step has asked and was
        not yet paused, it runs again: the question stays as it is, and an answer is for
        what comes after the step.
        """
        return self.paused and not self.node.paused

    def _repeat(self) -> None:
        """Answer as in the run that this one repeats, if it does.

        That answer was there before the question, so no deadline comes before it.
        """
        if self._replay is None:
            return
        waiting, asked = self.mailbox.open_letters(), self.mailbox.letters()
        for letter, answer in self._replay.answers_to(waiting, asked):
            if self._is_open(letter):
                self._judge_one(answer, letter)

    @cached_property
    def _replay(self) -> Replay | None:
        return Replay.of(self.node)

    def _do_pause(self, state_msg: Any, next_state: State | None = None) -> bool:
        """Say that a question is open, once the pause is in the database."""
        paused = super()._do_pause(state_msg, next_state)
        waiting = self.mailbox.open_letters()
        if paused and waiting:
            self._guarded(self._repeat)
            self._enforce_deadlines()
            self._tell(waiting[-1])
            if self._was_played_early:
                self._was_played_early = False
                self.look_again()
            if self.runner.communicator is None:
                self._look_now_and_then()
        return paused

    def _look_now_and_then(self) -> None:
        """Look for a kept answer: no message reaches what `engine.run` runs."""
        if self._next_look is not None:
            self._next_look.cancel()  # of the question before this one
        if self.paused and not self._closed:
            self._guarded(self._catch_up)
            self._next_look = self.loop.call_later(
                _LOOK_AGAIN_SECONDS, self._look_now_and_then
            )

    # endregion
