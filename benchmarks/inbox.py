#!/usr/bin/env python
"""Measure `aiida-hitl list` beside `aiida-hitl --version` on a full database.

Makes a profile of its own in a temporary folder, with 10,000 finished workflows and
1,000 that wait, and prints medians, the ratio, and how many queries a list takes.

Use: benchmarks/inbox.py [FINISHED] [OPEN]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table

ROUNDS = 7
LABEL = "HumanLoopWorkChain"
TYPE = "aiida.workflows:humanintheloop.humanloop"


def node(state: str, extras: dict[str, object], user: int) -> dict[str, object]:
    """Return a row of the node table, as a workflow leaves it."""
    now = datetime.now(timezone.utc)
    attributes = {
        "process_label": LABEL,
        "process_state": state,
        "paused": bool(extras),
    }
    return {
        "uuid": str(uuid.uuid4()),
        "node_type": "process.workflow.workchain.WorkChainNode.",
        "process_type": TYPE,
        "label": "",
        "description": "",
        "ctime": now,
        "mtime": now,
        "attributes": attributes,
        "extras": extras,
        "repository_metadata": {},
        "user_id": user,
    }


def fill(finished: int, waiting: int) -> None:
    """Store that many workflows."""
    from aiida import load_profile
    from aiida.manage import get_manager
    from aiida.orm import User
    from aiida.orm.entities import EntityTypes

    from aiida_humanintheloop import Integer, Question
    from aiida_humanintheloop.letter import timestamp
    from aiida_humanintheloop.mailbox import QUESTION, RECORD, VERSION

    load_profile()
    record = {
        "id": "1",
        "batch": 1,
        "question": Question("Guess a number.", Integer(1, 100)).to_record(),
        "asked_at": timestamp(),
    }
    extras = {
        QUESTION: "Guess a number.",
        RECORD: {"version": VERSION, "history": [record]},
    }
    user = User.collection.get_default().pk
    rows = [node("finished", {}, user) for _ in range(finished)]
    rows += [node("running", extras, user) for _ in range(waiting)]
    get_manager().get_profile_storage().bulk_insert(
        EntityTypes.NODE, rows, allow_defaults=True
    )


def seconds(*command: str) -> list[float]:
    """Return how long a command takes, several times."""
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took.append(time.perf_counter() - start)
    return took


def count_queries(expected: int) -> int:
    """Return how many statements a list sends to the database."""
    from aiida.manage import get_manager
    from sqlalchemy import event

    from aiida_humanintheloop.inbox import open_questions

    statements = []
    engine = get_manager().get_profile_storage().get_session().get_bind()
    event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said))
    assert len(open_questions()) == expected
    return len(statements)


def main(finished: int, waiting: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AIIDA_PATH"] = folder
        os.mkdir(os.path.join(folder, ".aiida"))
        presto = ["verdi", "presto", "--use-zeromq", "-n"]
        subprocess.run(presto, check=True, capture_output=True)
        fill(finished, waiting)
        version = statistics.median(seconds("aiida-hitl", "--version"))
        listing = statistics.median(seconds("aiida-hitl", "list"))
        raw = statistics.median(seconds("aiida-hitl", "list", "--raw"))
        queries = count_queries(waiting)
    table = Table("", "median [s]", "times --version")
    for name, took in {
        "--version": version,
        "list": listing,
        "list --raw": raw,
    }.items():
        table.add_row(f"aiida-hitl {name}", f"{took:.2f}", f"{took / version:.2f}")
    console = Console()
    console.print(f"{finished} finished and {waiting} open workflows, {ROUNDS} rounds")
    console.print(table)
    console.print(f"goal: list within {2 * version + 0.5:.2f} s; {queries} queries")


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:] or ("10000", "1000")))
