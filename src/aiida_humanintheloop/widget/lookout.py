"""Looks what waits, at each news of it, for all inboxes of a notebook at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiida.manage import get_manager
from sqlalchemy.exc import SQLAlchemyError

from ..connection import Connection, daemon_runs
from ..database import DatabaseLost, catch_up
from ..exceptions import HumanInTheLoopError
from ..listing import Waiting, waiting

__all__ = ["LOOKOUT", "Lookout", "Sight", "end_transaction"]

_LOGGER = logging.getLogger(__name__)

_NO_DAEMON = (
    "The daemon is not running: an answer is kept, and taken when the daemon is "
    "started (verdi daemon start)."
)
# A burst of questions is one look, and a look takes no more of a core than this, but
# one that waited for the database does not keep the next from seeing that it is back.
_PAUSE_SECONDS = 0.2
_PAUSE_PER_LOOK = 4
_LONGEST_PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Sight:
    """What was seen at one look.

    :param waiting: whatever waits for a person, newest last; None if that could not
        be seen.
    :param trouble: what is in the way of an answer, in one line; empty if nothing is.
    """

    waiting: Sequence[Waiting] | None
    trouble: str = ""


class Lookout:
    """One thread for all who want to know, as long as there is anybody.

    Its own, as the kernel shall stay free: a cell can run, or nobody run anything.
    """

    def __init__(self) -> None:
        """Prepare; nobody looks yet."""
        self._told: dict[object, Callable[[Sight], None]] = {}
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def look(self) -> Sight:
        """Look now, in the thread of whoever calls."""
        try:
            found = waiting()
        except (HumanInTheLoopError, DatabaseLost) as error:
            return Sight(None, str(error) or "The database of the profile is away.")
        return Sight(found, "" if daemon_runs() else _NO_DAEMON)

    def tell(self, who: object, how: Callable[[Sight], None]) -> None:
        """Call back with what is seen from now on, from another thread."""
        with self._lock:
            self._told[who] = how
            if self._connection is None:
                self._connection = Connection()
                threading.Thread(
                    target=self._run,
                    args=[self._connection],
                    name="aiida-hitl-lookout",
                    daemon=True,
                ).start()
        self.hurry()

    def forget(self, who: object) -> None:
        """Call back no more."""
        with self._lock:
            self._told.pop(who, None)
        self.hurry()

    def hurry(self) -> None:
        """Look at once: somebody knows that there is news."""
        connection = self._connection
        if connection is not None:
            connection.wake()

    def _run(self, connection: Connection) -> None:
        profile = get_manager().get_profile()
        while (told := self._whom_to_tell()) is not None:
            if profile is not (profile := get_manager().get_profile()):
                connection.close()  # it is to the broker of another
            begin = time.monotonic()
            connection.forget_news()
            sight = self._look_whatever_happens()
            for how in told:
                _tell_whatever_happens(how, sight)
            end_transaction()
            pause = _PAUSE_PER_LOOK * (time.monotonic() - begin)
            time.sleep(min(max(_PAUSE_SECONDS, pause), _LONGEST_PAUSE_SECONDS))
            connection.wait()
        connection.close()

    def _whom_to_tell(self) -> list[Callable[[Sight], None]] | None:
        """Return whom to tell; None, and end, if there is nobody left."""
        with self._lock:
            if not self._told:
                self._connection = None
                return None
            return list(self._told.values())

    def _look_whatever_happens(self) -> Sight:
        """Look; a mistake is told and must not end the thread."""
        try:
            return self.look()
        except Exception as error:
            return Sight(None, f"Could not look what waits: {error}")


def _tell_whatever_happens(how: Callable[[Sight], None], sight: Sight) -> None:
    """Tell one; what it cannot bear must not keep the others from being told."""
    try:
        how(sight)
    except (Exception, DatabaseLost):
        _LOGGER.exception("an inbox could not show what waits")


def end_transaction() -> None:
    """End what this thread reads in, which would be in the way of those who write.

    Where the database is away, there is none.
    """
    with suppress(SQLAlchemyError):
        catch_up()


#: Of this kernel.
LOOKOUT = Lookout()
