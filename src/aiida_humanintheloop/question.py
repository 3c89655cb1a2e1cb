"""A question, an answer, and the verdict on it: plain data and its validation."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass

from .exceptions import InvalidAnswer
from .kinds import Kind, Text, uuids
from .text import one_line, shown

__all__ = ["WAIT", "Answer", "Question", "Verdict"]

WAIT, DEFAULT = "wait", "default"


def _emails(value: object) -> object:
    """Take users for their addresses."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(getattr(item, "email", item) for item in items)


def _uuid(value: object) -> object:
    """Take a node for its UUID."""
    return getattr(value, "uuid", value)


def _method_name(value: object) -> object:
    """Take a method for its name: a method cannot lie in the database."""
    return getattr(value, "__name__", value)


@dataclass(frozen=True)
class Question:
    """What a workflow wants to know.

    :param text: the question as a person reads it.
    :param kind: what an answer has to be, see `kinds`.
    :param default: value that is offered, and taken at the deadline if so said.
    :param help: more than fits a line, for whoever asks for it.
    :param evidence: nodes that the person should look at.
    :param assignees: users (or their emails) who may answer; empty lets anyone.
    :param within: time from the asking to the deadline.
    :param at_deadline: `wait` goes on waiting, `default` takes the default, anything
        else is the label of the exit code with which the workflow ends.
    :param validator: method of the work chain, or its name, that takes the value and
        returns why it is refused, or None. It only judges: it may be asked any number
        of times, and what it keeps in `self.ctx` may be lost.
    :raises ValueError: if the default does not fit, or is missing where it is needed.
    """

    text: Annotated[str, Field(min_length=1)]
    kind: Kind = Text()
    default: Annotated[JsonValue, BeforeValidator(_uuid)] = None
    help: str = ""
    evidence: Annotated[tuple[str, ...], BeforeValidator(uuids)] = ()
    assignees: Annotated[tuple[str, ...], BeforeValidator(_emails)] = ()
    within: timedelta | None = None
    at_deadline: str = WAIT
    validator: Annotated[str | None, BeforeValidator(_method_name)] = None

    def __post_init__(self) -> None:
        """Refuse what could only fail when the workflow waits."""
        if self.default is not None:
            self.kind.read(self.default)
        elif self.at_deadline == DEFAULT:
            raise ValueError("at_deadline='default' needs a default")
        if self.within is None and self.at_deadline != WAIT:
            raise ValueError(f"at_deadline={self.at_deadline!r} needs `within`")

    @property
    def expects(self) -> str:
        """What an answer has to be, in words that follow "must be"."""
        return self.kind.expects

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON can hold it, without what is not said."""
        record: dict[str, Any] = _QUESTION.dump_python(self, mode="json")
        kind = {
            key: value for key, value in record["kind"].items() if value is not None
        }
        said = {
            key: value for key, value in record.items() if value not in (None, "", [])
        }
        if self.default is not None:  # which may be "" or []
            said["default"] = record["default"]
        return {**said, "kind": kind}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Question:
        """Return what `to_record` was given."""
        question: Question = _QUESTION.validate_python(record)
        return question


_QUESTION: TypeAdapter[Any] = TypeAdapter(Question)


@dataclass(frozen=True)
class Answer:
    """What a person says to a question, before anybody judged it.

    :param value: anything that JSON can hold.
    :param question: id or name of the question that it is meant for; None for the one
        that is open.
    :param by: email of the person, None where nobody knows (the extra `answer`).
    :param at: ISO 8601 time, UTC, at which the person gave it.
    :param via: the way that it came: `extra`, `terminal`, `python`, ...
    :param kind: `human`, `default` (taken at the deadline) or `policy`.
    :param comment: why, in the person's words.
    :param key: made by the sender; the same answer sent twice has the same key.
    :param repeats: UUID of an earlier decision that it repeats or replaces.
    """

    value: Any
    question: str | None = None
    by: str | None = None
    at: str | None = None
    via: str = "extra"
    kind: Literal["human", "default", "policy"] = "human"
    comment: str | None = None
    key: str | None = None
    repeats: str | None = None

    def to_json(self) -> str:
        """Return it as ASCII text, which every broker carries unharmed.

        :raises InvalidAnswer: if the value is nothing that JSON can hold.
        """
        try:
            return json.dumps(asdict(self), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidAnswer(
                f"{shown(self.value)} was not sent: an answer must be text, a number, "
                "true or false, or a list or object of these."
            ) from error

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Return what `to_json` was given; what is said of it is on one line each.

        No database can hold the character NUL, and no reader wants the others.
        """
        said = json.loads(text)
        for name in ("by", "via", "comment"):
            if isinstance(said.get(name), str):
                said[name] = one_line(said[name].encode(errors="replace").decode())
        return cls(**said)


@dataclass(frozen=True)
class Verdict:
    """What became of an answer.

    :param outcome: `accepted`; `refused`; or `kept` where nothing runs that could
        judge it: it is judged when the workflow is next loaded.
    :param reason: one line for the person: why, and what to do now.
    :param question: id of the question that was judged, None if none was open.
    :param value: the value as the workflow took it, None unless accepted.
    """

    outcome: Literal["accepted", "refused", "kept"]
    reason: str
    question: str | None = None
    value: Any = None

    @property
    def accepted(self) -> bool:
        """Whether the workflow took the answer."""
        return self.outcome == "accepted"

    def to_json(self) -> str:
        """Return it as ASCII text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Return what `to_json` was given."""
        return cls(**json.loads(text))
