"""What a worker does by itself for workflows that would stand still for ever.

Two things of aiida-core 2.9 are lost when the database goes away for a moment. What was
loaded is cut off from it, and every process of the worker would fail or stand still:
such a process is loaded again. And a task that is delivered meanwhile is acknowledged
as failed before any code of ours is asked: a process that no worker has gets a new one.
The worker that lost it may die before it has looked, so each worker looks after its
start, too.

An answer may be kept by a client in the very moment in which the process is loaded, and
looks for one in vain: the worker looks now and then.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from weakref import WeakKeyDictionary

from aiida.common.log import AIIDA_LOGGER
from aiida.engine.runners import Runner
from aiida.orm import QueryBuilder, WorkChainNode
from plumpy.process_comms import MessageBuilder
from sqlalchemy.exc import SQLAlchemyError

from . import backlog, database, lifeline, ownership
from .connection import Connection
from .custody import Custody
from .database import DatabaseLost
from .exceptions import NotLoaded, Unreachable
from .mailbox import NOTE
from .unfinished import unfinished

__all__ = ["watch"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.recovery")
_LOOK_AGAIN_SECONDS = 0.5
# Until then the tasks that are there have been delivered, as far as there are slots.
_QUIET_SECONDS = 5.0
# To put one to rest takes a few ms, and others want the worker, too.
_REST_TOGETHER = 10
# What has begun is looked for first. What has not may queue behind others: it is looked
# for when nothing queues any more.
_BEGUN = {"attributes.process_state": {"in": ["running", "waiting"]}}
_NOT_BEGUN = {"attributes.process_state": "created"}

_watched: WeakKeyDictionary[Runner, asyncio.Task[None]] = WeakKeyDictionary()


def watch(runner: Runner) -> None:
    """Have a worker recover by itself from a database that goes away and returns."""
    if runner not in _watched:
        # The loop itself would let go of a task that nobody else knows.
        _watched[runner] = runner.loop.create_task(_watch())


async def _watch() -> None:
    """Look after the processes of this worker until it is told to end."""
    try:
        await _look_after_all()
    except asyncio.CancelledError:
        lifeline.end_in_time()
        raise


async def _look_after_all() -> None:
    """Look after the processes of this worker for as long as it lives."""
    clock = asyncio.get_running_loop().time
    # The worker before this one may have died before it had looked for lost tasks.
    missing: list[dict[str, Any]] = [_BEGUN, _NOT_BEGUN]
    losses = (Custody.reloads, database.losses())
    news, quiet_since, look = Custody.news, clock(), clock()
    while True:
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        try:
            for each in Custody.here():
                if each.is_stale:
                    each.reload()
            idle = [each for each in Custody.here() if each.is_idle]
            await asyncio.gather(
                *(each.put_to_rest() for each in idle[:_REST_TOGETHER]),
                return_exceptions=True,  # the database is away, and it goes on waiting
            )
            if losses != (losses := (Custody.reloads, database.losses())):
                missing = [_BEGUN, _NOT_BEGUN]
            if Custody.news != news:
                news, quiet_since = Custody.news, clock()
            if missing and clock() >= quiet_since + _QUIET_SECONDS:
                quiet_since = clock()
                if missing[0] is _BEGUN or await backlog.is_empty():
                    await _bring_back(unfinished(missing[0]))
                    missing = missing[1:]
            elif clock() >= look:
                look = clock() + _QUIET_SECONDS
                _look_for_kept_answers()
        except (DatabaseLost, SQLAlchemyError, Unreachable):
            continue  # it is away again; what is due was put off
        except Exception:
            # Whatever a broker says of its end: who looks after all must not end.
            _LOGGER.exception("could not look after the workflows of this worker")
            await asyncio.sleep(_QUIET_SECONDS)


def _look_for_kept_answers() -> None:
    """Have each process look that has an answer by our client and does not know it.

    Only those of this worker: to ask for all would read every workflow there ever was.
    """
    here = {each.pk: each for each in Custody.here()}
    if not here:
        return
    database.reconnect()
    query = QueryBuilder().append(
        WorkChainNode,
        filters={"id": {"in": list(here)}, f"extras.{NOTE}": {"of_type": "object"}},
        project="id",
    )
    for pk in query.all(flat=True):
        here[pk].look_again()


async def _bring_back(pks: list[int]) -> None:
    """Make a task for each of these processes that nobody has, here or elsewhere."""
    pks = [pk for pk in pks if not ownership.is_taken(pk)]
    if not pks:
        return
    connection = Connection()
    # A worker that ends waits for its threads, and hundreds of replies take minutes.
    is_over = threading.Event()

    def make_tasks() -> list[int]:
        made = []
        try:
            for pk in pks:
                if is_over.is_set():
                    break
                try:
                    connection.send(pk, MessageBuilder.status())
                except NotLoaded:
                    connection.bring_back(pk)
                    made.append(pk)
        finally:
            connection.close()
        return made

    try:
        made = await asyncio.to_thread(make_tasks)
    finally:
        is_over.set()
    if made:
        _LOGGER.warning("brought back, their tasks were lost: %s", made)
