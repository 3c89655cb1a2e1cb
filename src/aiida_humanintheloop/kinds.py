"""The kinds of answer that a question can ask for: what fits, and how it is read.

A kind is plain data (it lies in the database as JSON) and imports no AiiDA. `read`
takes what a person typed as well as what a program sent; what it returns fits `schema`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue
from pydantic.dataclasses import dataclass

from .json_kind import Json
from .kind import BaseKind

__all__ = [
    "Boolean",
    "Choice",
    "Choices",
    "Float",
    "Integer",
    "Json",
    "Kind",
    "Node",
    "Text",
    "option_text",
]

# int() and float() also take underscores, and digits of every script: "1_0" would be an
# answer that nobody meant. 18 digits are what a database holds as an integer, and keep
# int() from chewing on a megabyte.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(
    r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?"
)
_WORDS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
_SHOWN_OPTIONS = 12


def _bounds(low: float | None, high: float | None, unit: str) -> str:
    """Return the words that say which numbers are allowed."""
    behind = f" {unit}" if unit else ""
    if low is not None and high is not None:
        return f" between {low} and {high}{behind}"
    if low is not None:
        return f" of {low}{behind} or more"
    if high is not None:
        return f" of {high}{behind} or less"
    return f", in {unit}" if unit else ""


@dataclass(frozen=True)
class Text(BaseKind):
    """Any text.

    :param pattern: regular expression that the whole text has to match.
    """

    max_length: int | None = None
    pattern: str | None = None
    kind: Literal["text"] = "text"

    def __post_init__(self) -> None:
        """Refuse what is no regular expression, when the question is written."""
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is no pattern: {error}") from None

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        schema: dict[str, Any] = {"type": "string"}
        if self.max_length is not None:
            schema["maxLength"] = self.max_length
        if self.pattern is not None:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return schema

    @property
    def expects(self) -> str:
        """What an answer has to be."""
        length = (
            "" if self.max_length is None else f" of up to {self.max_length} characters"
        )
        return f"text{length}" + (f" like {self.pattern}" if self.pattern else "")

    def parse(self, raw: object) -> object:
        """Take text as it is; anything else is none."""
        return raw if isinstance(raw, str) else None

    def fits(self, value: Any) -> bool:
        """Return whether it is short enough and matches the pattern."""
        short = self.max_length is None or len(value) <= self.max_length
        return short and (not self.pattern or bool(re.fullmatch(self.pattern, value)))


@dataclass(frozen=True)
class Integer(BaseKind):
    """A whole number, `minimum` and `maximum` included."""

    minimum: int | None = None
    maximum: int | None = None
    unit: str = ""
    kind: Literal["integer"] = "integer"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        return {"type": "integer", **_limits(self.minimum, self.maximum)}

    @property
    def expects(self) -> str:
        """What an answer has to be."""
        return "an integer" + _bounds(self.minimum, self.maximum, self.unit)

    def parse(self, raw: object) -> object:
        """Read digits as a number; a bool or a float is none, even 1.0."""
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and _INTEGER.fullmatch(raw.strip()):
            return int(raw)
        return None

    def fits(self, value: Any) -> bool:
        """Return whether it is within the bounds."""
        return _within(value, self.minimum, self.maximum)


@dataclass(frozen=True)
class Float(BaseKind):
    """A finite number, `minimum` and `maximum` included."""

    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    kind: Literal["float"] = "float"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        return {"type": "number", **_limits(self.minimum, self.maximum)}

    @property
    def expects(self) -> str:
        """What an answer has to be."""
        return "a number" + _bounds(self.minimum, self.maximum, self.unit)

    def parse(self, raw: object) -> object:
        """Read what looks like a number; an integer counts, a bool does not."""
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            return float(raw) if math.isfinite(raw) else None
        if isinstance(raw, str) and _FLOAT.fullmatch(raw.strip()):
            return float(raw)
        return None

    def fits(self, value: Any) -> bool:
        """Return whether it is within the bounds."""
        return _within(value, self.minimum, self.maximum)


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (
        maximum is None or value <= maximum
    )


def _limits(minimum: float | None, maximum: float | None) -> dict[str, Any]:
    limits = {"minimum": minimum, "maximum": maximum}
    return {key: value for key, value in limits.items() if value is not None}


@dataclass(frozen=True)
class Boolean(BaseKind):
    """Yes or no."""

    kind: Literal["boolean"] = "boolean"
    schema = property(lambda _: {"type": "boolean"}, doc="JSON Schema of the value.")
    expects = property(lambda _: "yes or no", doc="What an answer has to be.")

    def parse(self, raw: object) -> object:
        """Read the words for it; 1 and 0 are numbers."""
        if isinstance(raw, str):
            return _WORDS.get(raw.strip().lower())
        return raw if isinstance(raw, bool) else None


def option_text(option: object) -> str:
    """Return an option as people read it, and may type it."""
    return option if isinstance(option, str) else json.dumps(option)


def _list_of(options: Iterable[object]) -> str:
    texts = [option_text(option) for option in options]
    more = f", … ({len(texts)} in all)" if len(texts) > _SHOWN_OPTIONS else ""
    return ", ".join(texts[:_SHOWN_OPTIONS]) + more


def _option(options: tuple[JsonValue, ...], raw: object) -> object:
    """Return the option that was meant: itself, or its text as it is shown."""
    for option in options:
        if type(option) is type(raw) and option == raw:
            return option
    if isinstance(raw, str):
        for option in options:
            if option_text(option) == raw.strip():
                return option
    return None


@dataclass(frozen=True)
class Choice(BaseKind):
    """One of the options."""

    options: Annotated[tuple[JsonValue, ...], Field(min_length=1)]
    kind: Literal["choice"] = "choice"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        return {"enum": list(self.options)}

    @property
    def expects(self) -> str:
        """What an answer has to be."""
        return f"one of: {_list_of(self.options)}"

    def parse(self, raw: object) -> object:
        """Return the option that was meant."""
        return _option(self.options, raw)


@dataclass(frozen=True)
class Choices(BaseKind):
    """Several of the options, each at most once, in the order of the answer."""

    options: Annotated[tuple[JsonValue, ...], Field(min_length=1)]
    at_least: int = 1
    at_most: int | None = None
    kind: Literal["choices"] = "choices"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        schema = {
            "type": "array",
            "items": {"enum": list(self.options)},
            "uniqueItems": True,
            "minItems": self.at_least,
        }
        return schema if self.at_most is None else {**schema, "maxItems": self.at_most}

    @property
    def expects(self) -> str:
        """What an answer has to be."""
        most = len(self.options) if self.at_most is None else self.at_most
        count = (
            f"{self.at_least}"
            if most == self.at_least
            else f"{self.at_least} to {most}"
        )
        return f"{count} of: {_list_of(self.options)}"

    def parse(self, raw: object) -> object:
        """Read a list, also as JSON, or the options with commas between them."""
        items = raw
        if isinstance(raw, str):
            listed = _list_in(raw)
            items = raw.split(",") if listed is None else listed
        if not isinstance(items, list):
            return None
        found = [_option(self.options, item) for item in items]
        return None if None in found else found

    def fits(self, value: Any) -> bool:
        """Return whether there are as many as there may be, each once."""
        most = len(self.options) if self.at_most is None else self.at_most
        once = len({json.dumps(item) for item in value}) == len(value)
        return once and self.at_least <= len(value) <= most


def _list_in(text: str) -> list[object] | None:
    """Return the JSON list that was typed, None where it is none."""
    try:
        value = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _node_types(value: object) -> object:
    """Take node classes for their types."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(getattr(item, "class_node_type", item) for item in items)


def uuids(value: object) -> object:
    """Take nodes for their UUIDs, if somebody else can find them by these."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    for item in items:
        if not getattr(item, "is_stored", True):
            kind = type(item).__name__
            raise ValueError(f"this node is not stored, so store it first: {kind}")
    return tuple(getattr(item, "uuid", item) for item in items)


@dataclass(frozen=True)
class Node(BaseKind):
    """A node of AiiDA, given by PK or UUID.

    :param of: class or classes that it may be of, subclasses included.
    :param among: nodes of which it has to be one; empty allows any.
    """

    of: Annotated[tuple[str, ...], BeforeValidator(_node_types)] = ()
    among: Annotated[tuple[str, ...], BeforeValidator(uuids)] = ()
    kind: Literal["node"] = "node"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value, a UUID."""
        return {"enum": list(self.among)} if self.among else {"type": "string"}

    @property
    def expects(self) -> str:
        """What an answer has to be."""
        if self.among:
            return "the PK or UUID of " + (
                f"one of the {len(self.among)} nodes offered"
                if len(self.among) > 1
                else "the node offered"
            )
        names = [name.rstrip(".").rsplit(".", 1)[-1] for name in self.of]
        return f"the PK or UUID of a stored {' or '.join(names) or 'node'}"

    def has_type_of(self, node: object) -> bool:
        """Return whether the node is of a class that is wanted."""
        types = {getattr(base, "class_node_type", None) for base in type(node).__mro__}
        return not self.of or not types.isdisjoint(self.of)

    def parse(self, raw: object) -> object:
        """Return an identifier; whether there is such a node, the judge finds out."""
        if isinstance(raw, int) and not isinstance(raw, bool):
            return str(raw)
        return raw.strip() if isinstance(raw, str) else None

    def fits(self, value: Any) -> bool:
        """Return whether it has the characters of a PK or a UUID."""
        return re.fullmatch(r"[0-9a-fA-F-]{1,36}", str(value)) is not None


Kind = Annotated[
    Text | Integer | Float | Boolean | Choice | Choices | Node | Json,
    Field(discriminator="kind"),
]
