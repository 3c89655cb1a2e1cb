"""Send a message with Apprise, in a time that is limited."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any
from urllib.parse import unquote

from ..text import one_line

__all__ = ["send", "service_of", "why_not"]

# Apprise ends each step of a transfer in time; a server may go on with small ones.
_SEND_SECONDS = 30.0
# A receiver that does its work before it replies has taken the message: sent again, it
# would be there twice. Apprise itself waits for 4 s.
_REPLY_SECONDS = 20.0
_REASON_CHARACTERS = 200
_WORD = re.compile(r"\w{3,}")


def send(url: str, title: str, body: str) -> str | None:
    """Send a message; takes half a minute at most.

    :param url: of Apprise.
    :return: why it was not sent, on one line; None if it was.
    """
    reasons: list[str | None] = []
    # One that hangs is left alone: an executor would wait for it when a worker ends.
    thread = threading.Thread(
        target=lambda: reasons.append(_send(url, title, body)), daemon=True
    )
    thread.start()
    thread.join(_SEND_SECONDS)
    return reasons[0] if reasons else f"it took longer than {_SEND_SECONDS:.0f} s"


def _send(url: str, title: str, body: str) -> str | None:
    apprise = _apprise()
    service = service_of(url)
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


def why_not(url: str) -> str:
    """Return why Apprise can send nothing to an address, as far as it says so.

    Without any word of the address: each may be a secret.
    """
    apprise = _apprise()
    try:
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
            apprise.Apprise.instantiate(url, suppress_exceptions=True)
            lines = said.getvalue().splitlines()
    except Exception:  # its text may have the address in it
        return ""
    # The last line only repeats the address.
    reason = one_line(" ".join(line for line in lines if "://" not in line))
    for word in sorted(set(_WORD.findall(unquote(url))), key=len, reverse=True):
        reason = reason.replace(word, "****")
    return reason.rstrip(" :.")[:_REASON_CHARACTERS]


def service_of(url: str) -> Any:
    """Return what sends to an address, or None."""
    apprise = _apprise()
    try:
        with apprise.LogCapture():  # we say it in a line of our own
            service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    except Exception:  # of some plugins, or for characters that are none
        return None
    if service is not None:
        if "rto=" not in url:
            service.socket_read_timeout = _REPLY_SECONDS
        if "overflow=" not in url:  # else a service refuses what is too long for it
            service.overflow_mode = apprise.OverflowMode.SPLIT
    return service


def _apprise() -> Any:
    """Import it when it is needed: most profiles have no address."""
    import apprise

    return apprise
