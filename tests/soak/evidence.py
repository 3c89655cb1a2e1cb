"""What is left of a soak: the players' notes, the games, and the broker's tasks."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiida.orm import Log, WorkChainNode

from aiida_humanintheloop.inbox import history
from tests.commands import verdi
from tests.game import target_of
from tests.profile import PROFILE, refresh
from tests.soak.judge import Game, Given, Letter

__all__ = ["Note", "left_over_tasks", "look_at", "read_notes"]

Note = dict[str, Any]


def read_notes(folder: Path) -> list[Note]:
    """Return what the players have noted so far, without a line that is half there."""
    return [
        json.loads(line)
        for file in sorted(folder.glob("player-*.jsonl"))
        for line in file.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]


def look_at(node: WorkChainNode, notes: Iterable[Note]) -> Game:
    """Return what database and players have on a game.

    :param notes: of the players, on this game and its questions.
    """
    refresh()
    state = str(node.process_state.value).title() if node.process_state else "None"
    if node.is_finished:
        state += f" [{node.exit_status}]"
    letters = [
        Letter(
            letter.id,
            letter.answer and letter.answer.value,
            letter.answer and letter.answer.by,
        )
        for letter in history(node)
    ]
    result = node.outputs.result["history"] if "result" in node.outputs else []
    logs = sorted(Log.collection.get_logs_for(node), key=lambda log: log.pk)
    reports = [log.message.partition("]: ")[2] for log in logs]
    given = [
        Given(**{key: value for key, value in note.items() if key != "pk"})
        for note in notes
        if "outcome" in note
    ]
    return Game(node.pk, state, target_of(node), letters, result, reports, given)


def left_over_tasks(pks: list[int]) -> list[str]:
    """Stop the daemon and return what `verdi process repair` would have to repair.

    :param pks: of processes that have ended. In a profile that is shared with others,
        theirs may still have tasks, or have lost them.
    """
    verdi("daemon", "stop")
    command = ["verdi", "process", "repair", "--dry-run"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=60)
    said = done.stdout + done.stderr
    if "No inconsistencies detected" in said:
        return []
    named = {
        int(pk) for found in re.findall(r"\{(.*)\}", said) for pk in found.split(",")
    }
    if PROFILE is not None and named and named.isdisjoint(pks):
        return []
    return [f"{' '.join(command)}: {said}"]
