"""Tell people that a question is open, from a worker of the daemon.

One worker does it for all, in a thread of its own with a database session of its own,
so that no workflow waits for a mail server or fails with it. Whom it has told of what
lies in the profile: when that worker is killed, another goes on. A message that went
out just before is sent twice then, and none is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any
from weakref import WeakSet

import kiwipy
from aiida.common.log import AIIDA_LOGGER
from aiida.engine.runners import Runner
from aiida.manage import get_manager

from .. import ownership
from ..database import DatabaseLost, catch_up, look_anew
from ..letter import now
from ..listing import Waiting, waiting
from ..messages import ASKED
from .addresses import Address, addresses
from .message import message
from .news import Item, items, keys, keys_told_by, reminders
from .sending import send
from .told import Told, keep, told

__all__ = ["watch"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.notify")
# Which worker does it: no process has this PK.
_NOBODY = 0
# After a question others may come, or its answer.
_SETTLE_SECONDS, _SETTLE_AT_MOST_SECONDS = 2.0, 10.0
# News may get lost, and of a computer that failed none comes.
_LOOK_AGAIN_SECONDS = 300.0
_TAKE_OVER_SECONDS = 5.0
_TRY_AGAIN_SECONDS, _TRY_AGAIN_AT_MOST_SECONDS = 5.0, 600.0
_MOST_DOUBLINGS = 10
_NEVER = datetime.max.replace(tzinfo=timezone.utc)

_watched: WeakSet[Runner] = WeakSet()


def watch(runner: Runner) -> None:
    """Have people be told, if this is the worker that does it."""
    if runner not in _watched:
        _watched.add(runner)
        # Nobody waits for it: it may hang at a server when the worker ends.
        threading.Thread(target=_Notifier(runner).run, daemon=True).start()


class _Notifier:
    """Tells people, for as long as its worker lives."""

    def __init__(self, runner: Runner) -> None:
        """Prepare; another worker may do it."""
        self._communicator: Any = runner.communicator
        self._listens = False
        self._heard = threading.Event()
        # What is said here counts also where the database did not take it.
        self._past: dict[int, Told] = {}
        self._unkept: set[int] = set()
        self._failures: dict[int, int] = {}

    def run(self) -> None:
        """Tell for ever, once no other worker does."""
        is_ours = False
        while True:
            due = now() + timedelta(seconds=_TAKE_OVER_SECONDS)
            with _logged("could not look whom to tell"):
                is_ours = is_ours or ownership.take(_NOBODY)
                if is_ours:
                    self._listen()
                    due = self._look_and_tell()
            self._wait(due)

    def _listen(self) -> None:
        """Hear of questions; what gets lost is found at the next look."""
        if not self._listens:
            news = kiwipy.BroadcastFilter(self._hear, subject=ASKED)
            self._communicator.add_broadcast_subscriber(news)
            self._listens = True

    def _hear(self, *_: Any, **__: Any) -> None:
        self._heard.set()

    def _wait(self, due: datetime) -> None:
        """Return at that time, or when the questions that were heard of have settled.

        A laptop may sleep meanwhile, which only the time of day shows.
        """
        while (left := (due - now()).total_seconds()) > 0:
            if self._heard.wait(min(left, _TAKE_OVER_SECONDS)):
                break
        until = time.monotonic() + _SETTLE_AT_MOST_SECONDS
        while self._heard.is_set() and time.monotonic() < until:
            self._heard.clear()
            self._heard.wait(_SETTLE_SECONDS)
        self._heard.clear()

    def _look_and_tell(self) -> datetime:
        """Tell each address what it does not know, and return when to look again."""
        look_anew()
        due = now() + timedelta(seconds=_LOOK_AGAIN_SECONDS)
        if known := addresses():
            found = waiting()
            catch_up()  # a transaction that is open for minutes is in the way of others
            self._past = {**told(), **self._past}
            for address in known:
                past = self._past.setdefault(address.number, Told())
                soon = now() + timedelta(seconds=_TRY_AGAIN_SECONDS)
                with _logged(f"could not look what to tell {address.number}"):
                    soon = self._look_and_tell_one(address, found, past)
                due = min(due, soon)
        return due

    def _look_and_tell_one(
        self, address: Address, found: Sequence[Waiting], past: Told
    ) -> datetime:
        """Tell one address, and return when there may be more to tell."""
        if address.number in self._unkept:
            self._keep(address, past)
        moment = now()  # to send takes a while, in which a reminder may become due
        past.keys.intersection_update(keys(found))
        new = items(address, found, past.keys, moment)
        if new:
            if (due := self._not_before(address, past)) > moment:
                return due
            self._tell(address, new, past, moment)
            if past.error is not None:
                return self._not_before(address, past)
        return min(reminders(address, found, moment), default=_NEVER)

    def _not_before(self, address: Address, past: Told) -> datetime:
        """Return when the next message may go out."""
        if past.at is None:
            return now()
        wait = address.every
        if past.error is not None:
            tries = self._failures.get(address.number, 0)
            wait = min(_TRY_AGAIN_SECONDS * 2**tries, _TRY_AGAIN_AT_MOST_SECONDS)
        return past.at + timedelta(seconds=wait)

    def _tell(
        self, address: Address, new: Sequence[Item], past: Told, moment: datetime
    ) -> None:
        """Send one message for all, and keep what became of it."""
        profile: Any = get_manager().get_profile()
        past.error = send(address.url, *message(new, profile.name))
        past.at = now()
        if past.error is None:
            self._failures.pop(address.number, None)
            for item in new:
                past.keys.update(keys_told_by(item, moment))
            _LOGGER.info("%s was told of %d", address.masked, len(new))
        else:
            tries = self._failures.get(address.number, -1) + 1
            self._failures[address.number] = min(tries, _MOST_DOUBLINGS)
            _LOGGER.warning(
                "%s was not told of %d, and will be: %s",
                *(address.masked, len(new), past.error),
            )
        self._keep(address, past)

    def _keep(self, address: Address, past: Told) -> None:
        """Keep in the profile what became of a message, or at the next look."""
        self._unkept.add(address.number)
        keep(address, past)
        self._unkept.discard(address.number)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Go on whatever fails: the database may just be away; no log gets a secret."""
    try:
        yield
    except (Exception, DatabaseLost) as error:
        _LOGGER.warning("%s, and tries again: %s", what, type(error).__name__)
