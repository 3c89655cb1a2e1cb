"""What people are told: open questions, and how to answer them, as a message."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ..letter import Letter
from ..question import DEFAULT, WAIT
from ..text import one_line, shortened, shown
from .news import Item

__all__ = ["message", "trial"]

_IN_FULL = 10
_TITLE_CHARACTERS, _SHOWN_CHARACTERS = 70, 500


def message(items: Sequence[Item], profile: str) -> tuple[str, str]:
    """Return title and text of one message for all of these, plain text.

    :param items: at least one, the most urgent first.
    :param profile: name of the profile in which they wait.
    """
    where = f"-p {profile} "
    lines = [f"Profile {profile} on {socket.gethostname()}."]
    for item in items[:_IN_FULL]:
        lines += ["", *_in_full(item, where)]
    if (more := len(items) - _IN_FULL) > 0:
        lines += ["", f"And {more} more: aiida-hitl {where}list"]
    return _title(items), "\n".join(lines)


def trial(profile: str) -> tuple[str, str]:
    """Return title and text of a message that only shows that messages arrive."""
    return (
        "AiiDA: this is a test",
        f"Open questions of the profile {profile} on {socket.gethostname()} will be "
        "told here.",
    )


def _title(items: Sequence[Item]) -> str:
    first = items[0]
    if first.letter is None:
        title = f"{first.about.computer} failed"
    elif first.kind == "reminder":
        title = f"still waits: {one_line(first.letter.label)}"
    else:
        title = one_line(first.letter.label)
    more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    return f"AiiDA: {shortened(title, _TITLE_CHARACTERS)}{more}"


def _in_full(item: Item, where: str) -> list[str]:
    about, letter = item.about, item.letter
    who = f"{one_line(about.workflow)} <{about.pk}>"
    if about.root[0] != about.pk:
        who += f", called by {one_line(about.root[1])} <{about.root[0]}>,"
    if letter is None:
        return [f"{who} is paused: {_short(about.reason)}."]
    question = letter.question
    lines = [
        f"{who} {'still waits' if item.kind == 'reminder' else 'asks'}:",
        _short(letter.label),
        f"Expected: {_short(question.expects)}.",
    ]
    if letter.deadline is not None:
        lines.append(f"Until {letter.deadline:%Y-%m-%d %H:%M} UTC, {_then(letter)}.")
    if question.assignees:
        lines.append(f"For {one_line(', '.join(question.assignees))} only.")
    name = f" --question {letter.name}" if letter.name else ""
    return [
        *lines,
        f"Look: aiida-hitl {where}show {about.pk}",
        f"Answer: aiida-hitl {where}answer {about.pk}{name} VALUE",
    ]


def _short(text: str) -> str:
    """Return it on a line, and where it is long its beginning."""
    return shortened(one_line(text), _SHOWN_CHARACTERS)


def _then(letter: Letter) -> str:
    """Return the words that say what happens at the deadline."""
    question = letter.question
    if question.at_deadline == WAIT:
        return "though it goes on waiting then"
    if question.at_deadline == DEFAULT:
        return f"then {shown(question.default)} is taken"
    return f"then the workflow ends with {question.at_deadline}"
