"""What waits for a person, as the database tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from aiida.common.links import LinkType
from aiida.orm import ProcessNode, QueryBuilder, WorkflowNode

from .database import UNFINISHED, look_anew
from .letter import Letter
from .mailbox import RECORD, letters_of
from .outages import is_outage, outages

__all__ = ["Waiting", "open_questions", "waiting"]


@dataclass(frozen=True)
class Waiting:
    """A workflow that waits for a person.

    :param pk: of the process that waits.
    :param workflow: its class, as `verdi process list` shows it.
    :param callers: PK and class of what called it, directly or not, the nearest first.
    :param since: when it began to wait.
    :param letters: the open questions; empty where it was paused without one.
    :param reason: why it waits, where it does not ask.
    :param computer: label of the computer that it waits for, where it does.
    """

    pk: int
    uuid: str
    workflow: str
    callers: tuple[tuple[int, str], ...]
    since: datetime
    letters: tuple[Letter, ...] = ()
    reason: str = ""
    computer: str = ""

    @property
    def wants_a_person(self) -> bool:
        """Whether it asks, or waits for somebody to mend a computer.

        What somebody has paused by hand wants nobody.
        """
        return bool(self.letters or self.computer)

    @property
    def root(self) -> tuple[int, str]:
        """PK and class of the workflow with which the calls began."""
        return self.callers[-1] if self.callers else (self.pk, self.workflow)


def open_questions() -> list[Waiting]:
    """Return the workflows with open questions, newest last.

    Takes two queries, however many workflows there are.

    :raises Unreachable: if the database is away.
    """
    return [each for each in waiting() if each.letters]


def waiting() -> list[Waiting]:
    """Return whatever waits for a person, newest last.

    Besides workflows that ask, that is what somebody, or the engine after repeated
    failures, has paused. Takes two queries, however many workflows there are, and two
    more where a computer has failed.

    :raises Unreachable: if the database is away.
    """
    look_anew()
    query = QueryBuilder().append(
        ProcessNode,
        filters={**UNFINISHED, "attributes.paused": True},
        project=[
            "id",
            "uuid",
            "attributes.process_label",
            "attributes.process_status",
            "mtime",
            f"extras.{RECORD}",
        ],
    )
    found = []
    callers, rows = _callers(), query.all()
    failed = any(is_outage(status) for _, _, _, status, *_ in rows)
    held_up = {each.pk: each for each in outages()} if failed else {}
    for pk, uuid, label, status, mtime, record in rows:
        try:
            letters = tuple(
                letter for letter in letters_of({RECORD: record}) if letter.is_open
            )
            reason = "" if letters else status or "paused"
        except (KeyError, TypeError, ValueError):
            # Somebody wrote into the extra: one bad record must not hide all others.
            letters, reason = (), "the record of its questions cannot be read"
        since = letters[0].asked_at if letters else mtime
        chain, outage = callers.get(pk, ()), held_up.get(pk)
        computer, reason = (outage.computer, outage.reason) if outage else ("", reason)
        found.append(Waiting(pk, uuid, label, chain, since, letters, reason, computer))
    return sorted(found, key=lambda each: (each.since, each.pk))


def _callers() -> dict[int, tuple[tuple[int, str], ...]]:
    """Return, for each unfinished process that was called, by what, the nearest first.

    :return: PK and class of each caller.
    """
    query = QueryBuilder()
    query.append(
        WorkflowNode,
        filters=UNFINISHED,
        project=["id", "attributes.process_label"],
        tag="caller",
    )
    query.append(
        ProcessNode,
        with_incoming="caller",
        filters=UNFINISHED,
        project="id",
        edge_filters={
            "type": {"in": [LinkType.CALL_CALC.value, LinkType.CALL_WORK.value]}
        },
    )
    callers = {called: (pk, label) for pk, label, called in query.all()}

    def chain(pk: int) -> Iterator[tuple[int, str]]:
        while pk in callers:
            yield callers[pk]
            pk = callers[pk][0]

    return {called: tuple(chain(called)) for called in callers}
