"""What a worker knows of a workflow that waits for a person and that it has not loaded.

To load a process takes 20 to 40 ms of a worker that has hundreds of them to take up
after a restart, with new work behind them. So what only waits is not loaded before
somebody has a word for it. See docs/waiting.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from aiida.common.links import LinkType
from aiida.common.log import AIIDA_LOGGER
from aiida.orm import ProcessNode, QueryBuilder, WorkChainNode, WorkflowNode

from . import database
from .letter import now
from .mailbox import ANSWER, RECORD, open_letters_of
from .question import WAIT

__all__ = ["Rest", "callers_of", "rest_of"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.rest")

# Hundreds of tasks may come at once: the database is asked for them together.
_TOGETHER_SECONDS = 0.005
# The clock of the event loop stands still while a laptop sleeps, a deadline does not.
_LOOK_AGAIN_SECONDS = 60.0

_asked: dict[int, asyncio.Future[Rest | None]] = {}


@dataclass(frozen=True)
class Rest:
    """That a process waits for a person, and for nothing else.

    :ivar callers: PKs of the workflows that wait for it in turn, through any depth.
    :ivar until: when a deadline passes, None if never.
    """

    callers: tuple[int, ...] = ()
    until: datetime | None = None

    async def lasts(self, wanted: asyncio.Event) -> None:
        """Return when the process is wanted, or its deadline has passed."""
        waiting = asyncio.ensure_future(wanted.wait())
        try:
            while not (waiting.done() or self.is_over):
                left = _LOOK_AGAIN_SECONDS
                if self.until is not None:
                    left = min(left, (self.until - now()).total_seconds())
                await asyncio.wait({waiting}, timeout=left)
        finally:
            waiting.cancel()

    @property
    def is_over(self) -> bool:
        """Whether its deadline has passed."""
        return self.until is not None and self.until <= now()


async def rest_of(pk: int) -> Rest | None:
    """Return how a process rests, as of now; None where it has to be loaded.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database is away.
    """
    if pk not in _asked:
        loop = asyncio.get_running_loop()
        if not _asked:
            loop.call_later(_TOGETHER_SECONDS, _ask)
        _asked[pk] = loop.create_future()
    return await asyncio.shield(_asked[pk])


def _ask() -> None:
    """Answer all who asked."""
    asked = dict(_asked)
    _asked.clear()
    try:
        found = _rests(asked)
    except Exception as error:
        for future in asked.values():
            future.set_exception(error)
        return
    for pk, future in asked.items():
        future.set_result(found.get(pk))


def _rests(pks: Iterable[int]) -> dict[int, Rest]:
    """Return which of these processes of ours rest, and how."""
    database.catch_up()
    query = QueryBuilder().append(
        WorkChainNode,
        filters={
            "id": {"in": list(pks)},
            "attributes.paused": True,
            # One that is `waiting` awaits a calculation, too.
            "attributes.process_state": "running",
            f"extras.{RECORD}": {"of_type": "object"},
        },
        project=["id", f"extras.{RECORD}", f"extras.{ANSWER}"],
    )
    until: dict[int, datetime | None] = {}
    for pk, record, answer in query.all():
        try:
            waiting = open_letters_of(record)
        except Exception:  # whatever it is, it shall not end the others
            _LOGGER.warning("the questions of %d cannot be read", pk)
            continue
        if waiting and answer is None:
            deadlines = [
                letter.deadline
                for letter in waiting
                if letter.deadline and letter.question.at_deadline != WAIT
            ]
            until[pk] = min(deadlines, default=None)
    callers = callers_of(until)
    return {pk: Rest(tuple(callers[pk]), until[pk]) for pk in until}


def callers_of(pks: Iterable[int]) -> dict[int, list[int]]:
    """Return the workflows that wait for each of these in turn, through any depth.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database is away.
    """
    caller: dict[int, int] = {}
    called = set(pks)
    while called:
        query = QueryBuilder()
        query.append(
            ProcessNode, filters={"id": {"in": list(called)}}, project="id", tag="it"
        )
        query.append(
            WorkflowNode,
            with_outgoing="it",
            edge_filters={"type": LinkType.CALL_WORK.value},
            filters=database.UNFINISHED,
            project="id",
        )
        found = {pk: caller_pk for pk, caller_pk in query.all()}
        caller.update(found)
        called = set(found.values()) - set(caller)
    callers: dict[int, list[int]] = {}
    for pk in pks:
        callers[pk] = []
        while (pk_of_caller := caller.get((callers[pk] or [pk])[-1])) is not None:
            callers[pk].append(pk_of_caller)
    return callers
