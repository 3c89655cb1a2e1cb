"""What there is to tell, and when it is time for a reminder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ..letter import Letter
from ..listing import Waiting
from .addresses import Address

__all__ = ["Item", "items", "keys", "keys_told_by", "reminders"]

_REMIND_BEFORE = timedelta(hours=1)


@dataclass(frozen=True)
class Item:
    """One thing to tell of.

    :param key: of all that one process may be told of, this.
    :param about: what waits.
    :param letter: the question; None where a computer failed.
    """

    key: str
    about: Waiting
    letter: Letter | None
    kind: Literal["question", "reminder", "outage"] = "question"


def keys(found: Sequence[Waiting]) -> Iterator[str]:
    """Yield the keys of all that anybody may be told of."""
    for each in found:
        yield _outage(each)
        for letter in each.letters:
            yield _question(each, letter)
            yield _reminder(each, letter)


def _outage(about: Waiting) -> str:
    return f"{about.pk}.outage"


def _question(about: Waiting, letter: Letter) -> str:
    return f"{about.pk}.{letter.id}"


def _reminder(about: Waiting, letter: Letter) -> str:
    return f"{about.pk}.{letter.id}.reminder"


def items(
    address: Address,
    found: Sequence[Waiting],
    known: Collection[str],
    moment: datetime,
) -> list[Item]:
    """Return what an address is to be told of now: what is urgent, then what is new.

    :param known: keys of what it was told.
    :param moment: for which this is asked.
    """
    order = ("reminder", "outage", "question")
    new = _items(address, found, known, moment)
    return sorted(new, key=lambda item: order.index(item.kind))


def _items(
    address: Address,
    found: Sequence[Waiting],
    known: Collection[str],
    moment: datetime,
) -> Iterator[Item]:
    """Yield them, newest first."""
    for each in reversed(found):
        key = _outage(each)
        if each.computer and each.since >= address.since and key not in known:
            yield Item(key, each, None, "outage")
        for letter in each.letters:
            if not address.is_for(letter.question.assignees):
                continue
            key, later = _question(each, letter), _reminder(each, letter)
            if letter.asked_at >= address.since and key not in known:
                yield Item(key, each, letter)
            elif _is_urgent(letter, moment) and later not in known:
                yield Item(later, each, letter, "reminder")


def keys_told_by(item: Item, moment: datetime) -> Iterator[str]:
    """Yield the keys of all that need not be told any more after this."""
    yield item.key
    if item.letter is not None and _is_urgent(item.letter, moment):
        yield _reminder(item.about, item.letter)


def _is_urgent(letter: Letter, moment: datetime) -> bool:
    """Return whether it is time for the reminder."""
    remind_at = _reminder_of(letter)
    return remind_at is not None and remind_at <= moment


def reminders(
    address: Address, found: Sequence[Waiting], moment: datetime
) -> Iterator[datetime]:
    """Yield when reminders will be due that were not at that moment."""
    for each in found:
        for letter in each.letters:
            remind_at = _reminder_of(letter)
            if (
                remind_at is not None
                and remind_at > moment
                and address.is_for(letter.question.assignees)
            ):
                yield remind_at


def _reminder_of(letter: Letter) -> datetime | None:
    """Return when to remind of a question: before the last hour, or the last quarter.

    :return: None where there is no deadline.
    """
    if letter.deadline is None:
        return None
    last_quarter = (letter.deadline - letter.asked_at) / 4
    return letter.deadline - min(_REMIND_BEFORE, last_quarter)
