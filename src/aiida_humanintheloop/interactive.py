"""The work chain that asks a person, and goes on with the answer."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import load_node
from plumpy.process_states import Continue

from .decision import record
from .delivery import ReceivingWorkChain
from .kinds import Node
from .letter import Letter, Until
from .messages import STATUS
from .question import DEFAULT, WAIT, Question

__all__ = ["InteractiveWorkChain"]


class InteractiveWorkChain(ReceivingWorkChain):
    """A work chain whose outline steps can ask a person.

    `self.ask(question)` ends its step with the workflow paused; the next step starts
    only after an answer that fits, and reads it with `self.answer()`. The process is
    the only judge of what fits, see `judge`.
    """

    def ask(
        self,
        question: Question | None = None,
        /,
        until: Until = "all",
        **questions: Question,
    ) -> None:
        """Ask, and pause at the end of this step until the answer is there.

        :param question: one question, whose answer is `self.answer()`.
        :param questions: or several at once, each under a name, whose answers are
            `self.answer(name)`.
        :param until: `all` waits for all answers, `any` for the first one.
        """
        asked: dict[str | None, Question] = {k: q for k, q in questions.items()}
        if question is not None:
            asked[None] = question
        if not asked or (question is not None and questions):
            raise ValueError("ask takes one question, or several with a name each")
        for each in asked.values():
            self._check_names(each)
        with self._one_commit():
            for letter in self.mailbox.ask(asked, until):
                self.report(f"asked: {letter.label!r}")
        self.pause(STATUS)

    def answer(self, name: str | None = None) -> Any:
        """Return the answer to the question that was asked last, as a stored node.

        :param name: which one, of several that were asked together.
        :return: the value as `Int`, `Float`, `Bool`, `Str`, `List` or `Dict`, output of
            the decision; for a question for a node, that node.
        :raises LookupError: if it was not answered (see `answered`), or not asked.
        """
        for letter in self._last_batch():
            if name in (None, letter.name) and letter.answer is not None:
                return self._node_of(letter)
        raise LookupError(f"no answer{f' to {name}' if name else ''} is there")

    def answers(self) -> list[Any]:
        """Return the answers to all questions so far as nodes, oldest first."""
        letters = self.mailbox.letters()
        return [self._node_of(letter) for letter in letters if letter.decision]

    def _node_of(self, letter: Letter) -> Any:
        if isinstance(letter.question.kind, Node) and letter.answer is not None:
            return load_node(letter.answer.value)
        if letter.id in self._values:
            return self._values[letter.id]
        return load_node(letter.decision)

    @cached_property
    def _values(self) -> dict[str, Any]:
        """What was decided since this process was loaded, by the id of the question."""
        return {}

    def answered(self, name: str) -> bool:
        """Return whether this question, of those asked last, was answered."""
        return any(
            letter.name == name and letter.answer is not None
            for letter in self._last_batch()
        )

    def _last_batch(self) -> list[Letter]:
        """Return what was asked last, which a validator has before it is answered.

        A step that is run again did not ask yet, though its question is open.
        """
        asks = self.paused or self._pausing is not None
        return self.mailbox.last_batch(is_over=not asks)

    def _check_names(self, question: Question) -> None:
        """Refuse names that would only be missed when somebody has answered."""
        if question.validator and not callable(getattr(self, question.validator, None)):
            raise ValueError(f"there is no method {question.validator!r} to validate")
        if question.at_deadline not in (WAIT, DEFAULT, *self.exit_codes):
            raise ValueError(f"there is no exit code {question.at_deadline!r}")

    def _do_step(self) -> Any:
        """Run the next step, or end where a deadline says so."""
        with self._lost_not_failed():
            self._record_decisions()
            if self._ends_with is not None and not self.is_stale:
                return self.exit_codes[self._ends_with]
            code = self._after_decisions()
        if code is not None:
            return code
        if self._pausing is not None:
            return Continue(self._do_step)  # there is something else to ask
        return super()._do_step()

    def _after_decisions(self) -> ExitCode | None:
        """Do what a subclass does of itself, before the outline goes on.

        :return: with what to end, or None to go on.
        """
        return None

    def _record_decisions(self) -> None:
        """Have what was answered be in the provenance graph before it has effects.

        Here, and not where it is judged: what a step calls, the engine links to it.
        """
        for letter in self.mailbox.letters():
            if letter.answer is not None and letter.decision is None:
                with self._one_commit():
                    value = self._values[letter.id] = record(self.node, letter)
                    self.mailbox.decided(letter, value.uuid)

    def on_terminated(self) -> None:
        """Record what was answered also where the workflow was killed, or failed.

        No step follows then; and first, for the engine seals the node.
        """
        try:
            self._record_decisions()
        except Exception:  # it is what failed before, or the database is away
            self.logger.exception("an answer is in no decision")
        finally:
            super().on_terminated()
