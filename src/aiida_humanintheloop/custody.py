"""Which of the task messages of a process is kept, and whether it is loaded.

A broker delivers the task of a process again when it lost sight of the worker, and
somebody may have made a second task (`verdi process repair`, or our own client where a
workflow does not reply). The engine would load the process a second time, in the same
worker or in another, and run it twice. See docs/waiting.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import kiwipy
from aiida.common.log import AIIDA_LOGGER
from aiida.engine import Process
from aiida.engine.persistence import get_object_loader
from aiida.engine.runners import Runner
from aiida.orm import ProcessNode, QueryBuilder
from plumpy.exceptions import PersistenceError
from plumpy.persistence import Bundle, LoadSaveContext
from sqlalchemy.exc import SQLAlchemyError

from . import database, lifeline, ownership
from .database import DatabaseLost
from .exceptions import Unreachable
from .leftovers import end_leftovers
from .lifeline import BrokerLost
from .rest import Rest, rest_of
from .slots import Slots

__all__ = ["Custody"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.custody")
_LOOK_AGAIN_SECONDS = 0.5
_AFTER_THE_MAIL_SECONDS = 0.5

_one_at_a_time = asyncio.Lock()


class _NotYet(Exception):
    """The process could not be loaded, and shall be later."""


class _Reload(Exception):
    """The process shall go on from its last checkpoint."""


class Custody:
    """One task message of a process: what the engine's launcher gets to run.

    The first one in a worker loads the process and runs it. While another worker has
    it, that is waited for: then this task is the heir, and takes the process up when
    the other worker dies. A second task in the same worker takes the place of the
    first, which is let go: if it was delivered again, the first is void.

    :ivar pk: of the process.
    """

    _here: ClassVar[dict[int, Custody]] = {}
    #: How often a process of this worker was lost and loaded again.
    reloads: ClassVar[int] = 0
    #: How often that happened, or this worker got a task.
    news: ClassVar[int] = 0

    def __init__(self, pk: int, runner: Runner) -> None:
        """Prepare; nothing is loaded yet."""
        self._runner = runner
        self.pk = pk
        self._listens = self._has_mail = False
        self._wanted = asyncio.Event()
        self._loaded = asyncio.Event()
        self._relieved = asyncio.Event()
        self._is_kept = True
        # The one of this worker that has the process; that is relieved, not replaced.
        self._owner = self
        self._run: asyncio.Task[Process | None] | None = None
        self._process: Any = None
        self._steps: asyncio.Task[None] | None = None
        self._next_rest: Rest | None = None

    @classmethod
    def here(cls) -> list[Custody]:
        """Return what this worker has, or is the heir of."""
        return list(cls._here.values())

    async def step_until_terminated(self) -> None:
        """Return when the process has ended, or another task is kept in its place."""
        Custody.news += 1
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
        """Return what the launcher replies with.

        Nothing where the process was killed or failed, as its node says: of a task that
        raises, kiwipy logs a traceback, and another where its subscribers have changed
        meanwhile, as those do that give slots back.
        """
        run = self._owner._run
        process = run.result() if run and run.done() else None
        if process is not None and process.future().exception() is None:
            return process.future()
        nothing = asyncio.get_running_loop().create_future()
        nothing.set_result({})
        return nothing

    async def _take_and_run(self) -> Process | None:
        """Run the process from its checkpoint, as soon as no other worker has it.

        :return: None if it ended elsewhere meanwhile.
        """
        slots, is_at_end = Slots.of(self._runner), False
        while not ownership.take(self.pk):
            slots.give_back(self.pk)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        try:
            while True:
                try:
                    if not await self._rest():
                        if not self._is_unfinished():
                            return None
                        await self._listen()
                    await self._load()
                    return await self._run_to_its_end()
                except kiwipy.DuplicateSubscriberIdentifier:
                    # RabbitMQ went away as it began to listen, and it does after all.
                    lifeline.end_worker(f"it cannot listen to {self.pk} any more")
                    await asyncio.Event().wait()
                except (DatabaseLost, SQLAlchemyError) as error:
                    if not database.is_lost(error):
                        raise
                except BrokerLost as lost:
                    _LOGGER.warning(
                        "%d goes on from its last checkpoint, without a broker: %r",
                        self.pk,
                        lost.__cause__,
                    )
                    await lifeline.returns(self._runner.communicator)
                except (_NotYet, _Reload):
                    pass
                if self._next_rest is not None:
                    continue  # nothing was lost
                Custody.reloads += 1
                Custody.news += 1
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                await database.returns()
        except asyncio.CancelledError:
            # The worker ends, which closes its connection, and then drops the lock. To
            # sign off one by one takes seconds for hundreds, and RabbitMQ may hang.
            is_at_end = True
            raise
        finally:
            self._loaded.set()
            if not is_at_end:
                slots.take_back(self.pk)
                # First: a broker may drop the name that its next owner listens under.
                self._listen_no_more()
                ownership.release(self.pk)

    async def _listen(self) -> None:
        """Take the messages for the process from now on, whether it is loaded or not.

        RabbitMQ makes a queue for it, 5 to 10 ms in which the worker does other things.

        :raises _NotYet: if the broker is away.
        """
        communicator = self._runner.communicator
        if self._listens or communicator is None:
            return
        with _not_yet():
            await lifeline.in_thread(
                communicator.add_rpc_subscriber, self._receive, identifier=str(self.pk)
            )
        self._listens = True

    def _listen_no_more(self) -> None:
        communicator = self._runner.communicator
        if self._listens and communicator is not None:
            try:
                communicator.remove_rpc_subscriber(str(self.pk))
            except Exception as error:
                _LOGGER.warning("cannot stop listening to %d: %r", self.pk, error)

    async def _receive(self, communicator: kiwipy.Communicator, message: Any) -> Any:
        """Hand the process a message, and have it loaded for that."""
        if not self._loaded.is_set():
            self._has_mail = True
            self._wanted.set()
            await self._loaded.wait()
        if self._process is None:
            raise Unreachable("The process could not be loaded, or has ended.")
        return self._process.message_receive(communicator, message)

    async def _rest(self) -> bool:
        """Stand by for a process that only waits, until somebody has a word for it.

        :return: False if it does not rest, but has to be loaded at once.
        """
        rest, self._next_rest = self._next_rest, None
        try:
            rest = rest or await rest_of(self.pk)
        except Exception as error:
            if database.is_lost(error):
                raise
            _LOGGER.exception("cannot tell whether %d rests", self.pk)
        if rest is None:
            return False
        Slots.of(self._runner).give_back(self.pk, rest.callers)
        await self._listen()
        await rest.lasts(self._wanted)
        return True

    async def _load(self) -> None:
        """Load the process.

        Where hundreds are wanted at once, the worker has time for others in between.

        :raises _NotYet: if it cannot be loaded now.
        """
        async with _one_at_a_time:
            await asyncio.sleep(0)
            database.reconnect()
            end_leftovers(self.pk)
            saved = self._last_checkpoint()
            context = LoadSaveContext(
                runner=self._runner, loader=get_object_loader(), in_custody=True
            )
            with _not_yet():  # the engine would end it as excepted
                self._process = saved.unbundle(context)

    def _last_checkpoint(self) -> Bundle:
        """Return where to go on.

        :raises DatabaseLost: if it went away in between.
        """
        assert self._runner.persister is not None
        try:
            return self._runner.persister.load_checkpoint(self.pk)
        except PersistenceError as error:
            if error.__context__ is not None and database.is_lost(error.__context__):
                raise DatabaseLost from error
            raise

    async def _run_to_its_end(self) -> Process:
        """Run the process that is loaded.

        :raises DatabaseLost: if it has to be loaded again.
        :raises _Reload: by `reload`.
        """
        process = self._process
        try:
            process.is_in_custody = True
            if process.is_cut_off:
                raise DatabaseLost
            if not process.paused:
                Slots.of(self._runner).take_back(self.pk)
            # A message may be about an answer that lies there: it is heard first.
            wait = _AFTER_THE_MAIL_SECONDS if self._has_mail else 0
            self._runner.loop.call_later(wait, self.look_again)
            self._has_mail = False
            self._wanted.clear()
            self._loaded.set()
            self._steps = asyncio.ensure_future(process.step_until_terminated())
            # What is cancelled here is this worker; what is cancelled there, see below.
            await asyncio.wait({self._steps})
            if self._steps.cancelled():
                raise _Reload
            self._steps.result()
            ended: Process = process
            return ended
        finally:
            if self._steps is not None:
                self._steps.cancel()
                # Its traceback has the process, and with that hundreds of nodes that
                # each commit marks as out of date.
                self._steps = None
            # Also where the worker ends: what is cancelled judges no more.
            self._loaded.clear()
            self._process = None
            process.close()

    @property
    def is_stale(self) -> bool:
        """Whether the process is loaded, and cannot go on as it is."""
        process = self._owner._process
        return process is not None and (process.is_stale or process.is_cut_off)

    def look_again(self) -> None:
        """Have the process look whether something happened that it does not know."""
        if self._owner._process is None:
            self._owner._wanted.set()
        else:
            self._owner._process.look_again()

    def reload(self) -> None:
        """Have the process go on from its last checkpoint, wherever it is now."""
        owner = self._owner
        if owner._process is not None and owner._steps is not None:
            owner._steps.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether the process is loaded, and has waited for a while."""
        process = self._owner._process
        return process is not None and process.is_idle

    async def put_to_rest(self) -> None:
        """Have a process that is idle be loaded no more, until somebody wants it."""
        owner = self._owner
        rest = await rest_of(self.pk)
        if rest is None or rest.is_over:
            if owner._process is not None:
                owner._process.touch()  # do not ask again at once
        elif owner.is_idle:
            owner._next_rest = rest
            owner._loaded.clear()
            owner.reload()

    def _is_unfinished(self) -> bool:
        """Return whether the process was not run to its end by another worker.

        Asked with the lock in hand, and not of a node that was loaded before.
        """
        database.catch_up()
        query = QueryBuilder().append(
            ProcessNode, filters={"id": self.pk, **database.UNFINISHED}
        )
        return query.count() > 0


@contextmanager
def _not_yet() -> Iterator[None]:
    """Have what fails because the broker is away be tried again.

    :raises _NotYet: in place of whatever said so.
    """
    try:
        yield
    except Exception as error:
        if lifeline.is_away(error):
            raise _NotYet from error
        raise
