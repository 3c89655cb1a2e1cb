"""To wait: for a condition, and for a coroutine."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 60.0


def wait_until(
    holds: Callable[[], bool], what: str, timeout: float = PATIENCE_SECONDS
) -> None:
    """Wait for a condition, never for a time."""
    deadline, pause = time.monotonic() + timeout, 0.02
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(pause)
        # To look may take a query, and what is waited for wants the machine, too.
        pause = min(1.25 * pause, 0.1)


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own: `asyncio.run` would drop AiiDA's, unclosed."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(coroutine)
