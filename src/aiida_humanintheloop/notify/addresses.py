"""Whom to tell that a question is open: addresses in the profile, and a way to send.

An address is a URL of Apprise, which knows mail, chat and webhooks of all kinds. It has
secrets in it: it lies in the database of the profile, as settings do, which goes into
no archive, and is shown masked.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from aiida.manage import get_manager
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from ..database import one_commit
from ..exceptions import InvalidAddress
from ..mailbox import now
from ..records import one_line

__all__ = ["EVERY_SECONDS", "Address", "add", "addresses", "remove", "send"]

#: Between two messages to one address, unless said otherwise.
EVERY_SECONDS = 60.0
_KEY = "humanintheloop.addresses"
# Apprise ends each step of a transfer in time; a server may go on with small ones.
_SEND_SECONDS = 30.0
_REASON_CHARACTERS = 200
# A webhook of one's own may have its secret anywhere in its path.
_GENERIC = ("form", "forms", "json", "jsons", "xml", "xmls")


@dataclass(frozen=True)
class Address:
    """Somebody, or a place, to be told.

    :param number: by which a person names it.
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
        service = _service(self.url)
        if service is None:  # a later Apprise may not know it any more
            return f"{urlsplit(self.url).scheme}://****"
        parts = urlsplit(service.url(privacy=True))
        path = unquote(parts.path).rstrip("/")
        if path and parts.scheme in _GENERIC:
            path = "/****"
        return f"{parts.scheme}://{parts.netloc}{path}"

    def is_for(self, assignees: tuple[str, ...]) -> bool:
        """Return whether a question for these people is told here."""
        return not assignees or self.only_for in (None, *assignees)


_ADDRESSES: TypeAdapter[list[Address]] = TypeAdapter(list[Address])


def addresses() -> list[Address]:
    """Return all that the profile has, oldest first."""
    try:
        return _ADDRESSES.validate_json(str(_storage().get_global_variable(_KEY)))
    except KeyError:
        return []


def add(url: str, only_for: str | None = None, every: float = EVERY_SECONDS) -> Address:
    """Have an address be told of what is asked from now on.

    :raises InvalidAddress: if Apprise cannot send to it, or it is there already.
    """
    if _service(url) is None:
        raise InvalidAddress(
            "Nothing was added: that is no address that Apprise can send to, like "
            "mailto://USER:PASSWORD@SERVER?to=ADDRESS. See: appriseit.com/services"
        )
    with one_commit():
        known = addresses()
        for each in known:
            if each.url == url:
                raise InvalidAddress(
                    f"That address is there already, as {each.number}."
                )
        number = max((each.number for each in known), default=0) + 1
        added = Address(number, url, now(), only_for, every)
        _write([*known, added])
    return added


def remove(number: int) -> Address:
    """Tell an address no more.

    :raises InvalidAddress: if there is none of this number.
    """
    with one_commit():
        known = {each.number: each for each in addresses()}
        if number not in known:
            raise InvalidAddress(
                f"There is no address {number}. See: aiida-hitl notify list"
            )
        removed = known.pop(number)
        _write(list(known.values()))
    return removed


def send(address: Address, title: str, body: str) -> str | None:
    """Send a message; takes half a minute at most.

    :return: why it was not sent, on one line; None if it was.
    """
    reasons: list[str | None] = []
    # One that hangs is left alone: an executor would wait for it when a worker ends.
    thread = threading.Thread(
        target=lambda: reasons.append(_send(address.url, title, body)), daemon=True
    )
    thread.start()
    thread.join(_SEND_SECONDS)
    return reasons[0] if reasons else f"it took longer than {_SEND_SECONDS:.0f} s"


def _send(url: str, title: str, body: str) -> str | None:
    apprise = _apprise()
    service = _service(url)
    if service is None:
        return "Apprise knows no such address any more"
    try:
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
            text = apprise.NotifyFormat.TEXT
            if service.notify(body=body, title=title, body_format=text):
                return None
            lines = said.getvalue().split("\n")
    except Exception as error:  # its text may have the address in it
        lines = [f"Apprise failed with {type(error).__name__}"]
    reason = one_line(" ".join(lines))[:_REASON_CHARACTERS]
    return reason or "Apprise does not say why"


def _service(url: str) -> Any:
    """Return what sends to an address, or None."""
    apprise = _apprise()
    with apprise.LogCapture():  # we say it in a line of our own
        return apprise.Apprise.instantiate(url, suppress_exceptions=True)


def _apprise() -> Any:
    """Import it when it is needed: most profiles have no address."""
    import apprise

    return apprise


def _write(known: list[Address]) -> None:
    _storage().set_global_variable(
        _KEY,
        _ADDRESSES.dump_json(known).decode(),
        "Whom aiida-human-in-the-loop tells of open questions.",
    )


def _storage() -> Any:
    return get_manager().get_profile_storage()
