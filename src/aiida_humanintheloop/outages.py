"""Calculations that the engine paused because it failed to use their computer.

A cluster that is down for a night stops all that runs on it, and each has to be played
when it is back.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from aiida.orm import CalcJobNode, Computer, Log, QueryBuilder
from plumpy.process_comms import MessageBuilder

from .connection import Connection, daemon_runs
from .database import UNFINISHED, look_anew
from .exceptions import NotLoaded, Unreachable

__all__ = ["Outage", "is_outage", "outages", "play_all"]

# So begins the status that aiida-core 2.9 gives such a process.
_STATUS = "Pausing after failed transport task"
# Where an exception comes from says nothing to a person.
_MODULES = re.compile(r"^(\w+\.)+(?=\w+:)")
_PATIENCE_SECONDS = 5.0
_TRY_AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class Outage:
    """A calculation that stands still for its computer.

    :param computer: label of the computer.
    :param error: what the engine was told, in one line.
    """

    pk: int
    computer: str
    error: str

    @property
    def reason(self) -> str:
        """Why it stands still, and what one can do."""
        return (
            f"{self.computer} failed: {self.error}. Once it is back: aiida-hitl play "
            f"--computer {self.computer}; or give it up: verdi process kill {self.pk}"
        )


def is_outage(status: str | None) -> bool:
    """Return whether the status of a paused process says that its computer failed."""
    return (status or "").startswith(_STATUS)


def outages(computer: str | None = None) -> list[Outage]:
    """Return what stands still for its computer, oldest first, with two queries.

    :param computer: label of the only one that is meant.
    """
    query = QueryBuilder().append(
        CalcJobNode,
        filters={
            **UNFINISHED,
            "attributes.paused": True,
            "attributes.process_status": {"like": f"{_STATUS}%"},
        },
        project="id",
        tag="job",
    )
    named = {} if computer is None else {"label": computer}
    query.append(Computer, with_node="job", filters=named, project="label")
    found = dict(query.all())
    errors = _last_errors(list(found)) if found else {}
    return [
        Outage(pk, label, errors.get(pk, "see `verdi process report`"))
        for pk, label in sorted(found.items())
    ]


def _last_errors(pks: list[int]) -> dict[int, str]:
    """Return the last line of the last traceback that was logged of each."""
    query = QueryBuilder().append(
        CalcJobNode, filters={"id": {"in": pks}}, project="id", tag="job"
    )
    query.append(
        Log,
        with_node="job",
        filters={"levelname": "ERROR"},
        project="message",
        tag="log",
    )
    query.order_by({"log": "time"})
    return {
        pk: _MODULES.sub("", text.strip().splitlines()[-1])
        for pk, text in query.all()
        if text.strip()
    }


def play_all(computer: str) -> list[tuple[int, str | None]]:
    """Have all go on that stand still for a computer.

    :param computer: its label.
    :return: of each the PK, and why it does not go on, or None.
    :raises Unreachable: if the daemon does not run.
    """
    look_anew()
    found = outages(computer)
    if found and not daemon_runs():
        raise Unreachable(
            "The daemon is not running, so nothing can go on. "
            "Start it with `verdi daemon start`."
        )
    connection = Connection()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    try:
        return [(each.pk, _play(each.pk, connection, deadline)) for each in found]
    finally:
        connection.close()


def _play(pk: int, connection: Connection, deadline: float) -> str | None:
    """Play one, at least once; return why that failed, or None."""
    while True:
        try:
            reply = connection.send(pk, MessageBuilder.play())
        except NotLoaded:
            # A second task, which would bring one of ours back, would run this twice.
            reason = (
                "no worker has it: try again in a minute, and if that does not help, "
                "stop the daemon and call `verdi process repair`"
            )
        except Unreachable as error:
            reason = f"it does not reply ({error}): try again"
        else:
            return None if reply is True else str(reply)
        if time.monotonic() > deadline:
            return reason
        time.sleep(_TRY_AGAIN_SECONDS)
