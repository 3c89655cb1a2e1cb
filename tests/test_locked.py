"""What a SQLite that somebody else writes to for long does to what waits: nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiida.engine import submit
from aiida.manage import get_manager
from aiida.orm import Dict, Str, WorkChainNode

from aiida_humanintheloop import Question
from aiida_humanintheloop.inbox import answer, history
from tests.commands import hitl_program
from tests.dying import AskAndBeLockedOut, AskAndCountLockedOut, WaitForALock
from tests.faults import is_sqlite, lock_database
from tests.game import a_wrong_guess
from tests.patience import wait_until
from tests.processes import ended, paused


@pytest.fixture(autouse=True)
def only_with_sqlite(profile: str) -> None:
    """Skip where others may write at the same time."""
    if not is_sqlite():
        pytest.skip("a PostgreSQL is not locked")


def test_a_pause_that_cannot_be_written_is_written_later(
    daemon: None, tmp_path: Path
) -> None:
    """The worker would step on without it for ever, and do nothing else."""
    question = Dict(Question("Well?").to_record())
    node = submit(AskAndBeLockedOut, question=question, folder=Str(str(tmp_path)))
    wait_until((tmp_path / "free").exists, "the database is free again")
    wait_until(lambda: paused(node), "it waits")
    assert answer(node, "yes").accepted
    ended(node)
    assert len(history(node)) == 1
    assert node.base.extras.get("ran_before") == 1


def test_a_step_that_cannot_write_runs_again_once(
    ask: Callable[..., WorkChainNode], tmp_path: Path
) -> None:
    """And not every five seconds until it can."""
    node = ask(
        AskAndCountLockedOut, question=Question("Go?"), folder=Str(str(tmp_path))
    )
    assert answer(node, "yes").accepted
    ended(node)
    assert (tmp_path / "runs").read_text() == 2 * "run\n"


def test_who_hears_of_a_child_meanwhile_goes_on_later(daemon: None) -> None:
    """It is told only once, and could not write that it knows."""
    ended(submit(WaitForALock))


def test_what_is_wanted_meanwhile_is_loaded_later(game: WorkChainNode) -> None:
    """It is at rest, and its database can be neither read nor written."""
    time.sleep(14)  # it is put to rest 10 s after the last word
    controller, pk = get_manager().get_process_controller(), game.pk
    writer = lock_database()
    controller.play_process(pk)
    writer.communicate(timeout=60)
    assert answer(game, a_wrong_guess(game)).accepted
    wait_until(lambda: paused(game), "it asks again")
    assert [letter.is_open for letter in history(game)] == [False, True]


def test_a_task_that_comes_meanwhile_is_not_lost(
    without_task: WorkChainNode, game: WorkChainNode
) -> None:
    """The engine would take it for failed, and the broker for done."""
    controller, pk = get_manager().get_process_controller(), without_task.pk
    writer = lock_database()
    controller.continue_process(pk, nowait=False, no_reply=True)
    writer.communicate(timeout=60)
    wait_until(lambda: paused(without_task), "it asks")


def test_who_looks_meanwhile_reads_why_not(profile: str) -> None:
    """In a line, and not where in a library it came up."""
    writer = lock_database()
    said = hitl_program("list", fails=1)
    writer.communicate(timeout=60)
    assert said.startswith("Error: The database of the profile is away, or something ")
    assert said.count("\n") == 1
