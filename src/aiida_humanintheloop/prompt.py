"""Ask a person at the terminal, with a prompt that fits the question."""

from __future__ import annotations

import sys
from typing import Any

from .exceptions import InvalidAnswer
from .kinds import Boolean, Choice, Choices, Kind, option_text
from .letter import Letter
from .text import one_line

__all__ = ["ask_person"]


def ask_person(letter: Letter) -> Any:
    """Read an answer from the terminal, or from whatever is piped in.

    An empty line takes the default, where the question has one.

    :return: the text that was typed; the default or an option, where that was chosen.
    :raises EOFError: at the end of the input.
    :raises InvalidAnswer: if it is not text.
    """
    kind, default = letter.question.kind, letter.question.default
    offered = "" if default is None else f" [{_typed_for(kind, default)}]"
    try:
        answer = input(f"Your answer{_hint(kind)}{offered}: ")
    except UnicodeDecodeError:
        raise InvalidAnswer("That is not text in UTF-8: nothing was sent.") from None
    if not sys.stdin.isatty():
        print(answer)
    if answer == "" and default is not None:
        return default
    return _by_number(kind, answer)


def _typed_for(kind: Kind, default: Any) -> str:
    """Return what a person would type for the default."""
    value = kind.read(default)
    if isinstance(kind, Boolean):
        return "yes" if value else "no"
    if isinstance(kind, Choices):
        return ", ".join(one_line(option_text(each)) for each in value)
    return one_line(option_text(value))


def _hint(kind: Kind) -> str:
    if isinstance(kind, Boolean):
        return " (yes/no)"
    if isinstance(kind, (Choice, Choices)):
        return f" (1-{len(kind.options)}, or the text)"
    return ""


def _by_number(kind: Kind, answer: str) -> Any:
    """Take the number in front of an option for the option.

    Where options are numbers themselves, what was typed is always the option.
    """
    if not isinstance(kind, (Choice, Choices)):
        return answer
    numbers = [part.strip() for part in answer.split(",")]
    if any(option_text(option).isdecimal() for option in kind.options) or not all(
        number.isdecimal() and 1 <= int(number) <= len(kind.options)
        for number in numbers
    ):
        return answer
    chosen = [kind.options[int(number) - 1] for number in numbers]
    if isinstance(kind, Choices):
        return chosen
    return chosen[0] if len(chosen) == 1 else answer
