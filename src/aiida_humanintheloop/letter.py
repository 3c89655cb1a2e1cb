"""One question of a workflow as its record has it, with its answer."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Literal

from .question import Answer, Question

__all__ = ["Letter", "Until", "now", "timestamp"]

Until = Literal["all", "any"]


def now() -> datetime:
    """Return the time, UTC, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def timestamp() -> str:
    """Return the time as ISO 8601, UTC, to the second."""
    return now().isoformat()


class Letter:
    """One question of a workflow, and its answer if it has one.

    :ivar id: "1" for the first question of a workflow, "2" for the next.
    :ivar name: what the author calls it, None where it is asked alone.
    :ivar batch: number of the `ask` that put it; what is asked together has the same.
    :ivar deadline: when it is decided without a person, None if never.
    :ivar taken_at: when the answer came to count, where it was kept until then.
    :ivar decision: UUID of the value as a node, None until the decision is recorded.
    :ivar closed: why nobody can answer it any more, None if it is open or answered.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        """Read the record of one question as it lies in the history."""
        self.record = record
        self.id: str = record["id"]
        self.name: str | None = record.get("name")
        self.batch: int = record["batch"]
        self.until: Until = record.get("until", "all")
        self.question = Question.from_record(record["question"])
        self.asked_at = datetime.fromisoformat(record["asked_at"])
        within = self.question.within
        self.deadline = None if within is None else self.asked_at + within
        self.closed: str | None = record.get("closed")
        answer = record.get("answer")
        self.answer: Answer | None = Answer(**answer) if answer else None
        self.taken_at: str | None = record.get("taken_at")
        self.decision: str | None = record.get("decision")

    @property
    def is_open(self) -> bool:
        """Whether an answer can still be given."""
        return self.answer is None and self.closed is None

    @property
    def label(self) -> str:
        """The question as a person reads it, with its name where it has one."""
        name = f"{self.name}: " if self.name else ""
        return f"{name}{self.question.text}"

    def is_in_time(self, answer: Answer) -> bool:
        """Return whether somebody gave this answer before the deadline."""
        if answer.at is None or self.deadline is None:
            return self.deadline is None
        try:
            return datetime.fromisoformat(answer.at) <= self.deadline
        except (TypeError, ValueError):
            return False  # somebody wrote the time by hand

    def but(self, **changed: Any) -> Letter:
        """Return this question with something said of it that was not."""
        return Letter({**self.record, **changed})

    def is_called(self, name: str) -> bool:
        """Return whether somebody who says `name` means this question."""
        return name in (self.id, self.name)
