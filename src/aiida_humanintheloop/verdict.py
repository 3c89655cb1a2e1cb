"""What an answer is worth to a question, and what to tell one that comes too late."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.orm import load_node

from .exceptions import InvalidAnswer
from .kinds import Node
from .letter import Letter
from .question import Answer, Question, Verdict
from .text import one_line, shown

__all__ = ["Validator", "read_answer", "read_value", "verdict_on_late"]

Validator = Callable[[Any], "str | None"]

_LOGGER = logging.getLogger(__name__)
# The largest integer that the databases take for a PK has ten digits.
_PK_DIGITS = 9


def read_answer(
    question: Question, answer: Answer, validator: Validator | None
) -> object:
    """Return the value with which the workflow goes on.

    :raises InvalidAnswer: if the person may not answer, or the value does not fit.
    """
    if question.assignees and answer.by not in question.assignees:
        who = f"{answer.by} was not asked" if answer.by else "Nobody knows who answers"
        raise InvalidAnswer(f"{who}: only {', '.join(question.assignees)} may answer.")
    value = read_value(question, answer.value)
    _validate(value, validator)
    return value


def read_value(question: Question, raw: object) -> Any:
    """Return the value that `raw` stands for; for a node, its UUID.

    :raises InvalidAnswer: if it does not fit.
    """
    value = question.kind.read(raw)
    if isinstance(question.kind, Node):
        return _find_node(question.kind, value)
    return value


def _find_node(kind: Node, identifier: str) -> str:
    """Return the UUID of the node that was meant."""
    try:
        if identifier.isdecimal() and len(identifier) <= _PK_DIGITS:
            node = load_node(pk=int(identifier))
        else:
            node = load_node(uuid=identifier)
    except (NotExistent, MultipleObjectsError, ValueError):
        raise InvalidAnswer(
            f"There is no node {identifier}: the answer must be {kind.expects}."
        ) from None
    is_among = not kind.among or node.uuid in kind.among
    if not is_among or not kind.has_type_of(node):
        raise InvalidAnswer(
            f"{identifier} is a {type(node).__name__}: "
            f"the answer must be {kind.expects}."
        )
    return node.uuid


def _validate(value: object, validator: Validator | None) -> None:
    """Ask the author's own validator; it must not be able to end the workflow."""
    if validator is None:
        return
    try:
        reason = validator(value)
    except Exception as error:
        _LOGGER.exception("validator %s failed", validator)
        reason = f"it could not be checked ({type(error).__name__}: {error})"
    if reason is not None:
        reason = one_line(str(reason))
        raise InvalidAnswer(f"{shown(value)} was not taken: {reason}")


def verdict_on_late(letters: Sequence[Letter], answer: Answer) -> Verdict:
    """Tell somebody whose question is not open who was first, and when.

    :param letters: all questions of the workflow, oldest first.
    """
    meant = [letter for letter in letters if letter.is_called(answer.question or "")]
    if answer.question is not None and not meant:
        text = f"There is no question {shown(answer.question)}."
        names = [each.name or each.id for each in letters if each.is_open]
        return Verdict("refused", f"{text} Open: {', '.join(names) or 'none'}.")
    if not letters or (meant or letters)[-1].is_open:
        return Verdict("refused", "This workflow does not wait for an answer now.")
    letter = (meant or letters)[-1]
    first = letter.answer
    if first is None:
        reason = f"Question {letter.id} is closed: {letter.closed}."
    elif answer.key is not None and first.key == answer.key:
        # Sent twice, because the first reply got lost.
        return Verdict("accepted", "Accepted.", letter.id, first.value)
    elif first.kind == "default":
        reason = (
            f"The deadline of question {letter.id} passed, and its default "
            f"{shown(first.value)} was taken at {first.at}."
        )
    else:
        reason = (
            f"Question {letter.id} was already answered with {shown(first.value)} "
            f"by {first.by or 'somebody'} at {first.at}."
        )
    return Verdict("refused", reason, letter.id)
