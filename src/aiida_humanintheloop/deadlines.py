"""When a question is decided without a person."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from .letter import Letter, now
from .question import WAIT

__all__ = ["Deadlines"]

# The clock of the event loop stands still while a laptop sleeps, a deadline does not.
_LOOK_AGAIN_SECONDS = 60.0


class Deadlines:
    """The deadlines of the open questions of one process.

    :param loop: of the process.
    :param enforce: to be called when a deadline passed, if not before.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, enforce: Callable[[], None]
    ) -> None:
        """Prepare; no time is set yet."""
        self._loop = loop
        self._enforce = enforce
        self._timer: asyncio.TimerHandle | None = None

    def passed(self, waiting: Iterable[Letter]) -> list[Letter]:
        """Return the questions that are to be decided now, and set the time to look.

        :param waiting: all open questions.
        """
        left = {
            letter: (letter.deadline - now()).total_seconds()
            for letter in waiting
            if letter.deadline is not None and letter.question.at_deadline != WAIT
        }
        self.stop()
        ahead = [seconds for seconds in left.values() if seconds > 0]
        if ahead:
            wait = min(*ahead, _LOOK_AGAIN_SECONDS)
            self._timer = self._loop.call_later(wait, self._enforce)
        return [letter for letter, seconds in left.items() if seconds <= 0]

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
