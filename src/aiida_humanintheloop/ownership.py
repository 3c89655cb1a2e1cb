"""Which worker has a process: a lock that the kernel drops with the worker."""

from __future__ import annotations

import fcntl
import os
from functools import lru_cache
from pathlib import Path

from aiida.manage import get_config, get_manager

__all__ = ["is_taken", "release", "take"]

# To take a lock that one has, as the kernel sees it, is no failure.
_taken: set[int] = set()


def take(pk: int) -> bool:
    """Return whether this worker has the process now, which only one can.

    A lock on one byte of a file: the kernel drops it with the worker, however it dies.

    :raises OSError: if the file system of the daemon's folder knows no locks.
    """
    try:
        fcntl.lockf(_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, pk)
    except (BlockingIOError, PermissionError):
        return False
    _taken.add(pk)
    return True


def release(pk: int) -> None:
    """Let another worker have the process."""
    _taken.discard(pk)
    fcntl.lockf(_lock_file(), fcntl.LOCK_UN, 1, pk)


def is_taken(pk: int) -> bool:
    """Return whether a worker of the daemon on this machine has the process."""
    if pk in _taken or not take(pk):
        return True
    release(pk)
    return False


@lru_cache(maxsize=1)
def _lock_file() -> int:
    """Open the file once: to close it anywhere in a worker would drop all its locks."""
    profile = get_manager().get_profile()
    assert profile is not None
    daemon = Path(get_config().filepaths(profile)["daemon"]["pid"]).parent
    path = daemon / f"humanintheloop-{profile.name}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
