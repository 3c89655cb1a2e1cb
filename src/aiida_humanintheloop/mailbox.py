"""How a question and an answer lie in a node's extras.

`question` (text) and `answer` (raw value, None once taken) are what a person reads
and writes; everything structured lies under `humanintheloop`, which only the process
writes: two writers of one extra would undo each other's work. An answer that waits for
its judge has who gave it, and when, under `answer_note`.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any

from aiida.orm import ProcessNode

from .question import Answer, Question

__all__ = ["Letter", "Mailbox", "now"]

VERSION = 1
QUESTION, ANSWER, NOTE, RECORD = "question", "answer", "answer_note", "humanintheloop"


def now() -> str:
    """Return the time as ISO 8601, UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Letter:
    """One question of a workflow, and its answer if it has one."""

    def __init__(self, record: dict[str, Any]) -> None:
        """Read the record of one question as it lies in the history."""
        self.id: str = record["id"]
        self.question = Question(record["text"], record["schema"])
        self.asked_at: str = record["asked_at"]
        self.closed: str | None = record.get("closed")
        answer = record.get("answer")
        self.answer: Answer | None = Answer(**answer) if answer else None

    @property
    def is_open(self) -> bool:
        """Whether an answer can still be given."""
        return self.answer is None and self.closed is None


class Mailbox:
    """The questions of one workflow, read from and written to its node's extras."""

    def __init__(self, node: ProcessNode) -> None:
        """Look at the extras of `node`; nothing is read before it is asked for."""
        self._extras = node.base.extras

    def letters(self) -> list[Letter]:
        """Return every question that was asked, oldest first."""
        return [Letter(record) for record in self._history()]

    def latest(self) -> Letter | None:
        """Return the question that was asked last."""
        history = self._history()
        return Letter(history[-1]) if history else None

    def open_letter(self) -> Letter | None:
        """Return the question that waits for an answer."""
        latest = self.latest()
        return latest if latest is not None and latest.is_open else None

    def ask(self, question: Question) -> Letter:
        """Put a question; an answer left over from an earlier one is dropped.

        Where the same question is open already, because a worker was killed between
        asking and pausing, it stays as it is, and so does an answer to it.
        """
        history = self._history()
        if history and Letter(history[-1]).is_open:
            if history[-1]["text"] == question.text:
                return Letter(history[-1])
            history.pop()
        record = {
            "id": str(len(history) + 1),
            "text": question.text,
            "schema": dict(question.schema),
            "asked_at": now(),
        }
        self._post(question.text, [*history, record])
        return Letter(record)

    def complain(self, letter: Letter, reason: str) -> None:
        """Say in the question why an answer was not taken, and clear that answer."""
        self._post(f"{letter.question.text} {reason}")

    def accept(self, letter: Letter, answer: Answer) -> None:
        """Record the answer to a question, and clear the raw one."""
        history = self._history()
        history[-1]["answer"] = asdict(answer)
        self._post(letter.question.text, history)

    def close(self, reason: str) -> None:
        """Take back a question that nobody can answer any more."""
        history = self._history()
        if history and Letter(history[-1]).is_open:
            history[-1]["closed"] = reason
            self._extras.set(RECORD, {"version": VERSION, "history": history})

    def announce(self, text: str) -> None:
        """Put a last word where the questions were."""
        self._extras.set(QUESTION, text)

    def keep(self, answer: Answer) -> None:
        """Leave an answer for a process that cannot be reached now."""
        note = asdict(replace(answer, value=None))
        self._extras.set_many({ANSWER: answer.value, NOTE: note})

    def kept(self) -> Answer | None:
        """Return the answer that lies in the extras, with the note on it if any."""
        value = self._extras.get(ANSWER, None)
        if value is None:
            return None
        note: dict[str, Any] = self._extras.get(NOTE, None) or {}
        return Answer(**{**note, "value": value})

    def _history(self) -> list[dict[str, Any]]:
        record: dict[str, Any] = self._extras.get(RECORD, None) or {}
        return list(record.get("history", []))

    def _post(self, text: str, history: list[dict[str, Any]] | None = None) -> None:
        """Show `text` as the question, and take away whatever answer lies there."""
        extras: dict[str, Any] = {QUESTION: text, ANSWER: None}
        if history is not None:
            extras[RECORD] = {"version": VERSION, "history": history}
        if self._extras.get(NOTE, None) is not None:
            extras[NOTE] = None
        self._extras.set_many(extras)
