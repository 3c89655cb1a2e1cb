"""A question, an answer, and the verdict on it: plain data and its validation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from jsonschema import Draft202012Validator

from .exceptions import InvalidAnswer

__all__ = ["Answer", "Question", "Verdict"]

# int() also takes underscores, and digits of every script: "1_0" would be a guess
# that nobody meant. Ten digits are more than any question here needs, and keep
# int() from chewing on a megabyte.
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Question:
    """What a workflow wants to know.

    :param text: the question as a person reads it.
    :param schema: JSON Schema (2020-12) of the value that answers it.
    """

    text: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})

    @classmethod
    def integer(
        cls, text: str, minimum: int | None = None, maximum: int | None = None
    ) -> Question:
        """Ask for a whole number, `minimum` and `maximum` included."""
        schema: dict[str, Any] = {"type": "integer"}
        if minimum is not None:
            schema["minimum"] = minimum
        if maximum is not None:
            schema["maximum"] = maximum
        return cls(text, schema)

    @property
    def expects(self) -> str:
        """What an answer has to be, in words that follow "must be"."""
        if self.schema.get("type") != "integer":
            return "text"
        low, high = self.schema.get("minimum"), self.schema.get("maximum")
        if low is not None and high is not None:
            return f"an integer between {low} and {high}"
        if low is not None:
            return f"an integer of {low} or more"
        if high is not None:
            return f"an integer of {high} or less"
        return "an integer"

    def judge(self, raw: object) -> Any:
        """Return the value that `raw` stands for.

        A string is read as a person typed it: "50" answers a question for an integer.

        :raises InvalidAnswer: if it does not fit; the text says what is expected.
        """
        value = raw
        if self.schema.get("type") == "integer":
            value = _read_integer(raw)
        if value is None or not Draft202012Validator(self.schema).is_valid(value):
            if raw is None or raw == "":
                raise InvalidAnswer(f"No answer was given: it must be {self.expects}.")
            raise InvalidAnswer(
                f"{shown(raw)} was not taken: the answer must be {self.expects}."
            )
        return value


def _read_integer(raw: object) -> int | None:
    """Return the integer that a person meant by `raw`, or None."""
    if isinstance(raw, bool):  # a bool is an int to Python, a float like 1.0 to JSON
        return None
    if isinstance(raw, int):
        return raw
    if isinstance(raw, str) and _INTEGER.fullmatch(raw.strip()):
        return int(raw)
    return None


def shown(raw: object) -> str:
    """Return `raw` as one short line: no control character, no wall of text."""
    text = ascii(raw) if isinstance(raw, str) and not raw.isprintable() else repr(raw)
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}…"
    return text


@dataclass(frozen=True)
class Answer:
    """What a person says to a question, before anybody judged it.

    :param value: anything that JSON can hold.
    :param question: id of the question that it is meant for; None for the open one.
    :param by: email of the person, None where nobody knows (the extra `answer`).
    :param at: ISO 8601 time, UTC, at which the person gave it.
    :param via: the way that it came: `extra`, `terminal`, `python`, ...
    :param key: made by the sender; the same answer sent twice has the same key.
    """

    value: Any
    question: str | None = None
    by: str | None = None
    at: str | None = None
    via: str = "extra"
    key: str | None = None

    def to_json(self) -> str:
        """Return it as ASCII text, which every broker carries unharmed.

        :raises InvalidAnswer: if the value is nothing that JSON can hold.
        """
        try:
            return json.dumps(asdict(self), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidAnswer(
                f"{shown(self.value)} was not sent: an answer must be text, a number, "
                "true or false, or a list or object of these."
            ) from error

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Return what `to_json` was given."""
        return cls(**json.loads(text))


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
        """Whether the workflow took the answer and goes on."""
        return self.outcome == "accepted"

    def to_json(self) -> str:
        """Return it as ASCII text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Return what `to_json` was given."""
        return cls(**json.loads(text))
