"""What `engine.run` runs, in a script or a notebook: asked, answered, and run once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiida.manage import get_manager
from aiida.orm import QueryBuilder, WorkChainNode, load_node
from plumpy.persistence import LoadSaveContext

from aiida_humanintheloop import HumanLoopWorkChain, Unreachable
from aiida_humanintheloop.inbox import answer, history, wait_for_question
from tests.commands import verdi
from tests.game import a_wrong_guess, target_of
from tests.patience import wait_until
from tests.processes import ended, paused
from tests.profile import refresh

SCRIPT = """
from aiida import load_profile
load_profile("{profile}")
from aiida.engine import run
from plumpy.persistence import LoadSaveContext

from aiida_humanintheloop import HumanLoopWorkChain
run(HumanLoopWorkChain, max_iters=5)
"""


@pytest.fixture
def game_in_a_script(profile: str) -> Iterator[WorkChainNode]:
    """Return a game that a script runs, which waits for its first guess."""
    before = newest_game()
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(profile=profile)],
        stderr=subprocess.DEVNULL,  # that it is killed in the end is said at length
    )
    try:
        wait_until(lambda: newest_game() != before, "it has begun")
        node = load_node(newest_game())
        wait_until(lambda: paused(node), "it asks")
        yield node
    finally:
        script.terminate()  # which kills the game, if it has not ended
        script.wait(60)


def newest_game() -> int:
    """Return the PK of the game that was begun last, 0 where none was."""
    refresh()
    query = QueryBuilder().append(HumanLoopWorkChain, project="id")
    return max(query.all(flat=True), default=0)


def see_it_play(node: WorkChainNode) -> None:
    """See that a bad guess is refused, and that each other counts once."""
    refused = answer(node, 101)
    assert refused.outcome == "refused"
    assert "between 1 and 100" in refused.reason
    wrong = a_wrong_guess(node)
    assert answer(node, wrong).outcome == "accepted"
    assert wait_for_question(node, timeout=60) is not None
    assert answer(node, target_of(node)).outcome == "accepted"
    ended(node)
    guesses = [entry["guess"] for entry in node.outputs.result["history"]]
    assert guesses == [wrong, target_of(node)]
    assert [letter.answer.value for letter in history(node)] == guesses


def test_an_answer_reaches_what_a_script_runs(
    game_in_a_script: WorkChainNode, daemon: None
) -> None:
    """A worker that takes it for lost, or is told to run it, leaves it alone."""
    controller = get_manager().get_process_controller()
    controller.continue_process(game_in_a_script.pk, nowait=False, no_reply=True)
    see_it_play(game_in_a_script)


def test_what_a_script_runs_is_not_loaded_here(
    game_in_a_script: WorkChainNode, daemon: None
) -> None:
    """Whoever tries is told why not."""
    runner = get_manager().get_runner()
    saved = runner.persister.load_checkpoint(game_in_a_script.pk)
    with pytest.raises(Unreachable, match="is run elsewhere"):
        saved.unbundle(LoadSaveContext(runner=runner))


@pytest.mark.restarts_daemon
def test_a_script_needs_no_daemon_to_ask(
    daemon: None, game_in_a_script: WorkChainNode
) -> None:
    """The answer is kept, found, and judged."""
    verdi("daemon", "stop")
    see_it_play(game_in_a_script)
    verdi("daemon", "start")
