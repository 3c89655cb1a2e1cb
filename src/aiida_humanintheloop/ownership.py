"""Who has a process: a lock that the kernel drops with whoever holds it.

That is a worker of the daemon, or the interpreter in which `engine.run` runs it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from functools import cache
from pathlib import Path

from aiida.common.log import AIIDA_LOGGER
from aiida.manage import get_config, get_manager

__all__ = ["hold", "is_deaf", "is_taken", "release", "take"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.ownership")
# Added to the PK of a process: the place of a second lock, on what hears no message.
_DEAF = 1 << 40
_ASKED_SECONDS = 0.5
# Where one tries whether there are locks: all may have this one, for as long as they
# live, so it is at no place that means anything.
_TRIED = 1 << 41

# To take a lock that one has, as the kernel sees it, is no failure.
_taken: set[int] = set()


def take(pk: int) -> bool:
    """Return whether this worker has the process now, which only one can.

    A lock on one byte of a file: the kernel drops it with the worker, however it dies.
    """
    try:
        fcntl.lockf(_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, pk)
    except (BlockingIOError, PermissionError):
        return False
    _taken.add(pk)
    return True


def hold(pk: int, is_deaf: bool) -> bool:
    """Return whether this interpreter has the process now, which no worker is to run.

    :param is_deaf: whether the process hears no message.
    """
    places = (pk, pk + _DEAF) if is_deaf else (pk,)
    return all(map(_take_at_last, places))


def _take_at_last(place: int) -> bool:
    """Take a lock that somebody may have for a moment, to see whether it is free."""
    deadline = time.monotonic() + _ASKED_SECONDS
    while not take(place):
        if time.monotonic() > deadline:
            return False
        time.sleep(_ASKED_SECONDS / 100)
    return True


def release(pk: int) -> None:
    """Let another worker have the process."""
    for place in (pk, pk + _DEAF):
        _taken.discard(place)
        fcntl.lockf(_lock_file(), fcntl.LOCK_UN, 1, place)


def is_deaf(pk: int) -> bool:
    """Return whether somebody runs the process without a connection to the broker."""
    return is_taken(pk + _DEAF)


def is_taken(pk: int) -> bool:
    """Return whether somebody on this machine has the process.

    Asked with a lock that several can have, so that of two who ask at the same moment
    neither takes the other for the owner.
    """
    if pk in _taken:
        return True
    try:
        fcntl.lockf(_lock_file(), fcntl.LOCK_SH | fcntl.LOCK_NB, 1, pk)
    except (BlockingIOError, PermissionError):
        return True
    fcntl.lockf(_lock_file(), fcntl.LOCK_UN, 1, pk)
    return False


def _lock_file() -> int:
    profile = get_manager().get_profile()
    assert profile is not None
    return _opened(profile.name, profile.uuid)


@cache
def _opened(name: str, uuid: str) -> int:
    """Open the file of a profile once: to close it would drop all locks on it."""
    config = get_config()
    daemon = Path(config.filepaths(config.get_profile(name))["daemon"]["pid"]).parent
    file = _open(daemon / f"humanintheloop-{name}.lock")
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _TRIED)
    except OSError as error:
        # Some file systems of clusters know no locks.
        local = Path(tempfile.gettempdir(), f"humanintheloop-{os.getuid()}-{uuid}.lock")
        _LOGGER.warning("%s knows no locks (%s): they are in %s", daemon, error, local)
        return _open(local)
    return file


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
