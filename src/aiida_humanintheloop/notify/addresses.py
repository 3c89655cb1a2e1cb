"""Whom to tell that a question is open: addresses, kept in the profile.

An address is a URL of Apprise, which knows mail, chat and webhooks of all kinds. It has
secrets in it: it lies in the database of the profile, as settings do, which goes into
no archive, and is shown masked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from aiida.manage import get_manager
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass
from sqlalchemy.exc import SQLAlchemyError

from ..database import DatabaseLost, one_commit
from ..exceptions import InvalidAddress, Unreachable
from ..letter import now
from .sending import service_of, why_not

__all__ = ["EVERY_SECONDS", "MOST_SECONDS", "Address", "add", "addresses", "remove"]

#: Between two messages to one address, unless said otherwise, and at most.
EVERY_SECONDS, MOST_SECONDS = 60.0, 7 * 86400.0
_KEY = "humanintheloop.addresses"
# Of these the host says enough; anywhere in the path of a webhook may be its secret.
_WEBHOOKS = ("form", "forms", "json", "jsons", "xml", "xmls")
_MAIL = ("mailto", "mailtos")


@dataclass(frozen=True)
class Address:
    """Somebody, or a place, to be told.

    :param number: by which a person names it; that of one that was removed is used no
        more.
    :param url: as Apprise reads it, with its secrets.
    :param since: only what was asked later is told.
    :param only_for: email of an AiiDA user: no questions that are for others only.
    :param every: seconds from a message to the next one, at least.
    """

    number: int
    url: str
    since: datetime
    only_for: str | None = None
    every: float = EVERY_SECONDS

    @property
    def masked(self) -> str:
        """The address without what is nobody's business."""
        service = service_of(self.url)
        if service is None:  # a later Apprise may not know it any more
            return f"{urlsplit(self.url).scheme}://****"
        parts = urlsplit(service.url(privacy=True))
        user, _, host = parts.netloc.rpartition("@")
        path = unquote(parts.path).rstrip("/")
        if parts.scheme in _MAIL:
            return f"{parts.scheme}://{parts.netloc}{path}"
        if parts.scheme in _WEBHOOKS:
            return f"{parts.scheme}://{'****@' if user else ''}{host}{path and '/****'}"
        # Apprise leaves open what is a secret with some services, like ntfy's topic.
        shown = re.sub(r"[^/@:.*]{3,}", _masked_word, f"{parts.netloc}{path}")
        return f"{parts.scheme}://{shown}"

    def is_for(self, assignees: tuple[str, ...]) -> bool:
        """Return whether a question for these people is told here."""
        return not assignees or self.only_for in (None, *assignees)


def _masked_word(word: re.Match[str]) -> str:
    return f"{word[0][0]}...{word[0][-1]}"


@dataclass(frozen=True)
class _Book:
    """All addresses, and the number that was given last."""

    addresses: list[Address] = field(default_factory=list)
    last: int = 0


_BOOK: TypeAdapter[Any] = TypeAdapter(_Book)


def addresses() -> list[Address]:
    """Return all that the profile has, oldest first."""
    found: list[Address] = _read().addresses
    return found


def add(url: str, only_for: str | None = None, every: float = EVERY_SECONDS) -> Address:
    """Have an address be told of what is asked from now on.

    :raises InvalidAddress: if Apprise cannot send to it, or it is there already.
    :raises Unreachable: if the database does not take it.
    """
    if not (math.isfinite(every) and 0 <= every <= MOST_SECONDS):
        raise InvalidAddress(
            f"Nothing was added: between two messages are 0 to {MOST_SECONDS:.0f} s."
        )
    service = service_of(url)
    if service is None:
        reason = why_not(url)
        raise InvalidAddress(
            "Nothing was added: that is no address that Apprise can send to, like "
            "mailto://USER:PASSWORD@SERVER?to=ADDRESS"
            f"{reason and f' ({reason})'}. See: appriseit.com/services"
        )
    with _changing():
        book = _read()
        for each in book.addresses:
            known = service_of(each.url)
            if each.url == url or (known and known.url() == service.url()):
                raise InvalidAddress(
                    f"That address is there already, as {each.number}."
                )
        added = Address(book.last + 1, url, now(), only_for, every)
        _write(_Book([*book.addresses, added], added.number))
    return added


def remove(number: int) -> Address:
    """Tell an address no more.

    :raises InvalidAddress: if there is none of this number.
    :raises Unreachable: if the database does not take it.
    """
    with _changing():
        book = _read()
        known = {each.number: each for each in book.addresses}
        if number not in known:
            raise InvalidAddress(
                f"There is no address {number}. See: aiida-hitl notify list"
            )
        removed: Address = known.pop(number)
        _write(replace(book, addresses=list(known.values())))
    return removed


@contextmanager
def _changing() -> Iterator[None]:
    """Change the addresses as a whole; an error says nothing of what they are."""
    try:
        with one_commit():
            yield
    except (SQLAlchemyError, DatabaseLost) as error:
        raise Unreachable(
            f"The database did not take it ({type(error).__name__}): nothing was "
            "changed. Try again."
        ) from None


def _read() -> Any:
    try:
        return _BOOK.validate_json(str(_storage().get_global_variable(_KEY)))
    except KeyError:
        return _Book()


def _write(book: _Book) -> None:
    _storage().set_global_variable(
        _KEY,
        _BOOK.dump_json(book).decode(),
        "Whom aiida-human-in-the-loop tells of open questions.",
    )


def _storage() -> Any:
    return get_manager().get_profile_storage()
