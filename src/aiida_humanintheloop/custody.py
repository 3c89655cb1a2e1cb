"""Which worker has a process, and which of its task messages is kept.

A broker delivers the task of a process again when it lost sight of the worker, and
somebody may have made a second task (`verdi process repair`, or our own client where a
workflow does not reply). The engine would load the process a second time, in the same
worker or in another, and run it twice. See docs/waiting.md.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from aiida.engine import Process
from aiida.engine.runners import Runner
from aiida.manage import get_config, get_manager
from aiida.orm import load_node
from plumpy.persistence import Bundle
from sqlalchemy.exc import SQLAlchemyError

from . import database
from .database import DatabaseLost
from .slots import Slots

__all__ = ["Custody"]

_LOOK_AGAIN_SECONDS = 0.5


class Custody:
    """One task message of a process: what the engine's launcher gets to run.

    The first one in a worker loads the process and runs it. While another worker has
    it, that is waited for: then this task is the heir, and takes the process up when
    the other worker dies. A second task in the same worker takes the place of the
    first, which is let go: if it was delivered again, the first is void.
    """

    _here: ClassVar[dict[int, Custody]] = {}

    def __init__(
        self, saved: Bundle, load: Callable[[Bundle], Process], runner: Runner
    ) -> None:
        """Prepare; nothing is loaded yet.

        :param saved: the checkpoint that the launcher has read.
        :param load: makes the process from a checkpoint.
        """
        self._saved = saved
        self._load = load
        self._runner = runner
        self._pk: int = saved["_pid"]
        self._relieved = asyncio.Event()
        self._is_kept = True
        self._run: asyncio.Task[Process | None] | None = None

    async def step_until_terminated(self) -> None:
        """Return when the process has ended, or another task is kept in its place."""
        before = self._here.get(self._pk)
        if before is not None and not self._is_kept:
            return  # what keeps the process must not be let go for this
        self._here[self._pk] = self
        if before is not None and before._run is not None:
            self._run = before._run
            before._relieved.set()
        else:
            self._run = asyncio.ensure_future(self._take_and_run())
        relief = asyncio.ensure_future(self._relieved.wait())
        try:
            await asyncio.wait({self._run, relief}, return_when="FIRST_COMPLETED")
        finally:
            relief.cancel()
            if self._here.get(self._pk) is self:
                del self._here[self._pk]
        if self._run.done():
            await self._run  # where it could not be loaded, the launcher shall know

    @property
    def pid(self) -> int:
        """Return the PK of the process.

        The launcher asks for it where whoever made the task does not wait for its end
        (`nowait`): then it acknowledges the task at once.
        """
        self._is_kept = False
        return self._pk

    def future(self) -> Any:
        """Return what the launcher replies with."""
        process = self._run.result() if self._run and self._run.done() else None
        if process is not None:
            return process.future()
        nothing = asyncio.get_running_loop().create_future()
        nothing.set_result({})
        return nothing

    async def _take_and_run(self) -> Process | None:
        """Run the process from its checkpoint, as soon as no other worker has it.

        :return: None if it ended elsewhere meanwhile.
        """
        saved: Bundle | None = self._saved
        slots = Slots.of(self._runner)
        while not _take(self._pk):
            saved = None
            slots.give_back(self._pk)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        try:
            if saved is None:
                slots.take_back(self._pk)
            while True:
                process = None
                try:
                    saved = saved or self._last_checkpoint()
                    if saved is None:
                        return None
                    process, saved = self._load(saved), None
                    await process.step_until_terminated()
                    return process
                except (DatabaseLost, SQLAlchemyError) as error:
                    if not database.is_lost(error):
                        raise
                    saved = None
                finally:
                    # Also where the worker ends: what is cancelled judges no more.
                    if process is not None:
                        process.close()
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                await database.returns()
        finally:
            _release(self._pk)

    def _last_checkpoint(self) -> Bundle | None:
        """Return where to go on; None where the process has ended."""
        assert self._runner.persister is not None
        if load_node(self._pk).is_terminated:
            return None
        return self._runner.persister.load_checkpoint(self._pk)


def _take(pk: int) -> bool:
    """Return whether this worker has the process now, which only one can.

    A lock on one byte of a file: the kernel drops it with the worker, however it dies.

    :raises OSError: if the file system of the daemon's folder knows no locks.
    """
    try:
        fcntl.lockf(_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, pk)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _release(pk: int) -> None:
    fcntl.lockf(_lock_file(), fcntl.LOCK_UN, 1, pk)


@lru_cache(maxsize=1)
def _lock_file() -> int:
    """Open the file once: to close it anywhere in a worker would drop all its locks."""
    profile = get_manager().get_profile()
    assert profile is not None
    daemon = Path(get_config().filepaths(profile)["daemon"]["pid"]).parent
    path = daemon / f"humanintheloop-{profile.name}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
