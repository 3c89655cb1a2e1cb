"""Ask a person at the terminal, with a prompt that fits the question."""

from __future__ import annotations

import sys

from .kinds import Boolean, Choice, Choices
from .mailbox import Letter

__all__ = ["ask_person"]


def ask_person(letter: Letter) -> str:
    """Read an answer from the terminal, or from whatever is piped in.

    An empty line takes the default, where the question has one.

    :raises EOFError: at the end of the input.
    """
    default = letter.question.default
    offered = "" if default is None else f" [{default}]"
    answer = input(f"Your answer{_hint(letter)}{offered}: ")
    if not sys.stdin.isatty():
        print(answer)
    if answer == "" and default is not None:
        return default if isinstance(default, str) else str(default).lower()
    return _by_number(letter, answer)


def _hint(letter: Letter) -> str:
    kind = letter.question.kind
    if isinstance(kind, Boolean):
        return " (yes/no)"
    if isinstance(kind, (Choice, Choices)):
        return f" (1-{len(kind.options)}, or the text)"
    return ""


def _by_number(letter: Letter, answer: str) -> str:
    """Take the number in front of an option for the option.

    Where options are numbers themselves, what was typed is always the option.
    """
    kind = letter.question.kind
    if not isinstance(kind, (Choice, Choices)):
        return answer
    texts = [str(option) for option in kind.options]
    parts = [part.strip() for part in answer.split(",")]
    if any(text.isdecimal() for text in texts) or not all(
        part.isdecimal() and 1 <= int(part) <= len(texts) for part in parts
    ):
        return answer
    return ",".join(texts[int(part) - 1] for part in parts)
