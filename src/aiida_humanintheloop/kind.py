"""What every kind of answer does, and which values no node can keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic.dataclasses import dataclass

from .exceptions import InvalidAnswer
from .text import shown

__all__ = ["BaseKind", "why_not_kept"]

# AiiDA cleans and hashes what it stores with a recursion of its own.
_MOST_NESTED = 100


@dataclass(frozen=True)
class BaseKind:
    """What all kinds of answer do."""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the value that answers."""
        raise NotImplementedError

    @property
    def expects(self) -> str:
        """What an answer has to be, in words that follow "must be"."""
        raise NotImplementedError

    def parse(self, raw: object) -> object:
        """Return the value that `raw` was typed or sent for, before it is checked."""
        return raw

    def read(self, raw: object) -> Any:
        """Return the value that `raw` stands for.

        :raises InvalidAnswer: if it does not fit; the text says what is expected.
        """
        if raw is None or raw == "":
            raise InvalidAnswer(f"No answer was given: it must be {self.expects}.")
        try:
            value = self.parse(raw)
            fits = not why_not_kept(value) and self.fits(value)
        except (ValueError, ArithmeticError, RecursionError):
            fits = False
        if not fits:
            raise InvalidAnswer(
                f"{shown(raw)} was not taken: the answer must be {self.expects}."
            )
        return value

    def fits(self, value: Any) -> bool:
        """Return whether a parsed value is allowed."""
        return True


def why_not_kept(value: object) -> str:
    """Return why the value cannot become a node in every database, or nothing.

    Infinity, NaN and half of a surrogate pair are no JSON, PostgreSQL takes no
    character NUL, and a `Dict` no name that is empty or has a dot in it.
    """
    if value is None:
        return "null is no answer"
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError):
        return "it has a number or character that cannot be kept"
    if any("\x00" in part for part in _strings(value)):
        return "it has the character NUL, which cannot be kept"
    if _is_deeper_than(_MOST_NESTED, value):
        return f"it is nested more than {_MOST_NESTED} deep"
    if isinstance(value, dict) and any(not name or "." in name for name in value):
        return "it has a name that is empty or has a dot in it, which no Dict takes"
    return ""


def _is_deeper_than(levels: int, value: object) -> bool:
    """Return whether lists and objects lie in each other more often than that."""
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and (
        levels == 0 or any(_is_deeper_than(levels - 1, each) for each in value)
    )


def _strings(value: object) -> Iterator[str]:
    """Yield every string in a value that JSON can hold."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
