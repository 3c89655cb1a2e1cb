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

import kiwipy
from aiida.engine import Process
from aiida.engine.runners import Runner
from aiida.manage import get_config, get_manager
from aiida.orm import load_node
from plumpy.persistence import Bundle
from sqlalchemy.exc import SQLAlchemyError

from . import database, lifeline
from .database import DatabaseLost
from .slots import Slots

__all__ = ["Custody", "has_owner"]

_LOOK_AGAIN_SECONDS = 0.5


class _NotYet(Exception):
    """The process could not be loaded, and shall be later."""


class Custody:
    """One task message of a process: what the engine's launcher gets to run.

    The first one in a worker loads the process and runs it. While another worker has
    it, that is waited for: then this task is the heir, and takes the process up when
    the other worker dies. A second task in the same worker takes the place of the
    first, which is let go: if it was delivered again, the first is void.

    :ivar pk: of the process.
    """

    _here: ClassVar[dict[int, Custody]] = {}
    #: How often a process of this worker was loaded again.
    reloads: ClassVar[int] = 0

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
        self.pk: int = saved["_pid"]
        self._relieved = asyncio.Event()
        self._is_kept = True
        # The one of this worker that has the process; that is relieved, not replaced.
        self._owner = self
        self._run: asyncio.Task[Process | None] | None = None
        self._process: Any = None
        self._steps: asyncio.Task[None] | None = None
        self._is_reloading = False

    @classmethod
    def here(cls) -> list[Custody]:
        """Return what this worker has, or is the heir of."""
        return list(cls._here.values())

    async def step_until_terminated(self) -> None:
        """Return when the process has ended, or another task is kept in its place."""
        before = self._here.get(self.pk)
        if before is not None and not self._is_kept:
            return  # what keeps the process must not be let go for this
        self._here[self.pk] = self
        if before is not None and before._owner._run is not None:
            self._owner = before._owner
            before._relieved.set()
        else:
            self._run = asyncio.ensure_future(self._take_and_run())
        run = self._owner._run
        assert run is not None
        relief = asyncio.ensure_future(self._relieved.wait())
        try:
            await asyncio.wait({run, relief}, return_when="FIRST_COMPLETED")
        finally:
            relief.cancel()
            if self._here.get(self.pk) is self:
                del self._here[self.pk]
        if run.done():
            await run  # where it could not be loaded, the launcher shall know

    @property
    def pid(self) -> int:
        """Return the PK of the process.

        The launcher asks for it where whoever made the task does not wait for its end
        (`nowait`): then it acknowledges the task at once.
        """
        self._is_kept = False
        return self.pk

    def future(self) -> Any:
        """Return what the launcher replies with."""
        run = self._owner._run
        process = run.result() if run and run.done() else None
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
        while not _take(self.pk):
            saved = None
            slots.give_back(self.pk)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        try:
            if saved is None:
                slots.take_back(self.pk)
            while True:
                try:
                    saved = saved or self._last_checkpoint()
                    if saved is None:
                        return None
                    return await self._run_from(saved)
                except (DatabaseLost, SQLAlchemyError) as error:
                    if not database.is_lost(error):
                        raise
                except _NotYet:
                    pass
                except asyncio.CancelledError:
                    if not self._is_reloading:
                        raise  # the worker ends
                saved, self._is_reloading = None, False
                Custody.reloads += 1
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                await database.returns()
        finally:
            _release(self.pk)

    async def _run_from(self, saved: Bundle) -> Process:
        """Load the process and run it to its end.

        :raises DatabaseLost: if it has to be loaded again.
        :raises _NotYet: if it cannot be loaded now.
        :raises asyncio.CancelledError: by `reload`, and where the worker ends.
        """
        try:
            process = self._load(saved)
        except kiwipy.DuplicateSubscriberIdentifier:
            # When it was closed last, RabbitMQ was away, and this worker's connection
            # has held its name ever since.
            lifeline.end_worker(f"it cannot listen to {self.pk} any more")
            await asyncio.Event().wait()
            raise
        except Exception as error:
            if lifeline.is_away(error):
                raise _NotYet from error  # the engine would end it as excepted
            raise
        self._process = process
        try:
            self._process.is_in_custody = True
            if self._process.is_cut_off:
                raise DatabaseLost
            self._steps = asyncio.ensure_future(process.step_until_terminated())
            await self._steps
            return process
        finally:
            # Also where the worker ends: what is cancelled judges no more.
            self._process = None
            process.close()

    @property
    def is_stale(self) -> bool:
        """Whether the process is loaded, and cannot go on as it is."""
        process = self._owner._process
        return process is not None and (process.is_stale or process.is_cut_off)

    def look_again(self) -> None:
        """Have the process look whether something happened that it does not know."""
        if self._owner._process is not None:
            self._owner._process.look_again()

    def reload(self) -> None:
        """Have the process go on from its last checkpoint, wherever it is now."""
        owner = self._owner
        if owner._process is not None and owner._steps is not None:
            owner._is_reloading = owner._steps.cancel()

    def _last_checkpoint(self) -> Bundle | None:
        """Return where to go on; None where the process has ended."""
        assert self._runner.persister is not None
        if load_node(self.pk).is_terminated:
            return None
        return self._runner.persister.load_checkpoint(self.pk)


def has_owner(pk: int) -> bool:
    """Return whether a worker of the daemon on this machine has the process."""
    if pk in Custody._here:
        return True
    if not _take(pk):
        return True
    _release(pk)
    return False


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
