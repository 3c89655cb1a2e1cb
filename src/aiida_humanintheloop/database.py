"""The database under a process that waits for weeks, and may lose its server."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from aiida.manage import get_manager
from aiida.orm import Entity
from sqlalchemy import inspect, text
from sqlalchemy.exc import (
    DBAPIError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from .exceptions import Unreachable

__all__ = [
    "UNFINISHED",
    "DatabaseLost",
    "after_commit",
    "attach",
    "catch_up",
    "is_detached",
    "is_lost",
    "lock",
    "look_anew",
    "losses",
    "lost_not_failed",
    "one_commit",
    "reconnect",
    "returns",
]

#: The filter of a query for processes that have not ended.
UNFINISHED = {"attributes.process_state": {"in": ["created", "running", "waiting"]}}

_LOOK_AGAIN_SECONDS = 0.5
_PATIENCE_SECONDS = 15.0
_MOST_NESTED = 10
_losses = 0
_one_at_a_time = asyncio.Lock()
# What sqlite3 says where somebody else has written for longer than one waits.
_LOCKED = "database is locked"
# How psycopg names that the server is away, goes away, or has only just come.
_AWAY = re.compile(
    r"psycopg\.(OperationalError"
    r"|errors\.(AdminShutdown|CrashShutdown|CannotConnectNow))\b"
    rf"|\(sqlite3\.OperationalError\) {_LOCKED}"
)


class _Writing(threading.local):
    """What a thread writes, each in a session of its own."""

    #: What is to be done when it is written; None while nothing is.
    afterwards: list[Callable[[], None]] | None = None


_writing = _Writing()


class DatabaseLost(BaseException):
    """The database went away in the middle of a step, or could not be written.

    Not an Exception: the engine would take the step for failed and end the process.
    It is loaded again from its last checkpoint, as after the death of a worker.
    """


@contextmanager
def one_commit() -> Iterator[None]:
    """Write to the database together what belongs together.

    Each write of the engine is a commit of its own, twenty from an answer to the next
    question; together they are atomic, and a third of the time is saved.

    :raises DatabaseLost: if the server of the database went away; nothing is written.
    """
    storage = _storage()
    if storage.in_transaction:
        # AiiDA's transactions do not nest: the inner one would commit the outer.
        yield
        return
    session = storage.get_session()
    due: list[Callable[[], None]] = []
    try:
        session.commit()  # what was read before is read anew within
        if session.bind.dialect.name == "sqlite":
            # A transaction that reads and then writes fails at once where somebody
            # else wrote in between; one that begins as a writer waits its turn.
            session.execute(text("BEGIN IMMEDIATE"))
        with storage.transaction():
            _writing.afterwards = due
            yield
    except BaseException as error:
        _roll_back(session)
        if is_lost(error):
            raise DatabaseLost from error
        raise
    finally:
        _writing.afterwards = None
    for callback in due:
        callback()


def after_commit(callback: Callable[[], None]) -> None:
    """Do something when what is being written is there for all to see.

    At once where nothing is being written, and never where it is not written after all.
    """
    if _writing.afterwards is None:
        callback()
    else:
        _writing.afterwards.append(callback)


def lock(entity: Entity[Any, Any]) -> None:
    """Have nobody else write an entity until the transaction ends, and read it anew.

    AiiDA writes all extras of a node at once, as it has them in memory: of two who do
    so at the same moment, one undoes the other's work.
    """
    session, model = _storage().get_session(), entity.backend_entity.bare_model
    if session.bind.dialect.name != "sqlite":  # where the transaction has locked all
        # Others may still make what refers to it, as a comment or a log does.
        how = {"key_share": True}
        session.refresh(model, ["id", "extras"], with_for_update=how)


@contextmanager
def lost_not_failed() -> Iterator[None]:
    """Have a lost server of the database not end the process that runs within.

    :raises DatabaseLost: in place of whatever the lost connection was noticed by.
    """
    try:
        yield
    except Exception as error:
        if is_lost(error):
            _roll_back(_storage().get_session())
            raise DatabaseLost from error
        raise


def is_lost(error: BaseException) -> bool:
    """Return whether an error says that the server of the database is away.

    Or that SQLite is locked: by an import of an archive, say, from begin to end.
    """
    if isinstance(error, PendingRollbackError):
        # Some other process of this worker noticed it first, while it read or while it
        # wrote. What it wrote may as well have been a mistake.
        return error.code == "8s2b" or bool(_AWAY.search(str(error)))
    if not isinstance(error, DBAPIError):
        return isinstance(error, DatabaseLost)
    is_away = error.statement is None or str(error.orig) == _LOCKED
    return error.connection_invalidated or (
        is_away and isinstance(error, OperationalError)
    )


def is_detached(entity: Entity[Any, Any]) -> bool:
    """Return whether a stored node, or the like, can no longer be read or written.

    A query of aiida-core 2.9 that fails, for whatever reason, closes the session, and
    so takes the database from everything that was loaded in this worker.
    """
    return bool(inspect(entity.backend_entity.bare_model).detached)


def attach(entity: Entity[Any, Any]) -> None:
    """Have a stored node that was detached be read and written again."""
    _storage().get_session().add(entity.backend_entity.bare_model)


def reconnect() -> None:
    """Have a connection that works, in place of one whose server was started anew.

    Or of one that another process of this worker left as it failed to write.

    :raises sqlalchemy.exc.SQLAlchemyError: if the server does not answer now.
    """
    session = _storage().get_session()
    if _storage().in_transaction:
        return  # somebody wants it whole
    if not session.is_active:
        _roll_back(session)
    if session.bind.dialect.name == "sqlite":
        return  # there is no server
    try:
        session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        global _losses
        _losses += 1
        _roll_back(session)
        session.execute(text("SELECT 1"))


def losses() -> int:
    """Return how often this process has found its connection to the server gone."""
    return _losses


def catch_up() -> None:
    """Show what others wrote since the last look.

    SQLite shows the past for as long as a read transaction lasts, and the connection to
    a PostgreSQL that was started anew has to be made anew.

    :raises sqlalchemy.exc.SQLAlchemyError: if the server does not answer now.
    """
    if not _storage().in_transaction:  # of somebody who wants it whole
        reconnect()
        _storage().get_session().commit()


async def returns() -> None:
    """Wait until the database can be written to."""
    session = _storage().get_session()
    while True:
        try:
            reconnect()
            if session.bind.dialect.name == "sqlite":
                async with _one_at_a_time:  # each of hundreds would have a thread
                    await asyncio.to_thread(_write_nothing, session.bind.url.database)
        except (SQLAlchemyError, sqlite3.OperationalError):
            _roll_back(_storage().get_session())
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return


def _write_nothing(file: str) -> None:
    """Wait for one's turn to write to SQLite, for a while.

    :raises sqlite3.OperationalError: if it does not come.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def look_anew() -> None:
    """Show a client what others wrote since its last look, as soon as that is possible.

    :raises Unreachable: if the server of the database does not answer for a while.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            catch_up()
        except SQLAlchemyError as error:
            _roll_back(_storage().get_session())
            if time.monotonic() > deadline:
                raise Unreachable("The database of the profile is away.") from error
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return


def _roll_back(session: Session) -> None:
    """Leave all transactions, also where the connection to roll back is dead.

    That is said once for each of those that are nested.
    """
    for _ in range(_MOST_NESTED):
        with suppress(SQLAlchemyError):
            session.rollback()
            return


def _storage() -> Any:
    return get_manager().get_profile_storage()
