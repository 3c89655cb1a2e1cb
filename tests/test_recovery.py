"""What a worker looks after by itself, where no message tells it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from aiida.engine import submit
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import Bool, Dict, WorkChainNode

from aiida_humanintheloop import HumanLoopWorkChain, Question
from aiida_humanintheloop.inbox import history, wait_for_question
from aiida_humanintheloop.mailbox import Mailbox, timestamp
from aiida_humanintheloop.question import Answer
from tests.asking import AskAfterAFailure
from tests.conftest import kill_unfinished, paused, refresh, target_of, wait_until
from tests.faults import restart_daemon


@pytest.fixture
def without_task(daemon: None) -> Iterator[WorkChainNode]:
    """Return a game that was submitted, and whose task no broker has."""
    runner = get_manager().get_runner()
    process = instantiate_process(runner, HumanLoopWorkChain)
    runner.persister.save_checkpoint(process)
    process.close()
    yield process.node
    kill_unfinished([process.node])


def test_an_answer_is_taken_that_was_kept_a_moment_too_late(
    submit_game: Callable[..., WorkChainNode],
) -> None:
    """The process looked for one when it was loaded; what a person left is not sent."""
    games = [submit_game(), submit_game()]
    for game in games:
        wait_until(lambda game=game: paused(game), f"{game.pk} asks")
    by_hand, by_client = games
    get_manager().get_process_controller().continue_process(
        by_client.pk, nowait=False, no_reply=True
    )  # the process has not changed hands for that
    by_hand.base.extras.set("answer", 50)  # and may think again before playing
    guess = target_of(by_client) % 100 + 1
    Mailbox(by_client).keep(
        Answer(guess, by="ada@example.org", at=timestamp(), via="terminal", key="1")
    )
    wait_until(lambda: refresh() or history(by_client)[0].answer, "it is taken")
    assert history(by_client)[0].answer.by == "ada@example.org"
    assert history(by_hand)[0].is_open


def test_a_task_that_was_lost_is_made_anew(
    without_task: WorkChainNode, game: WorkChainNode
) -> None:
    """After all that cuts a worker off from the database, as a query that fails."""
    assert not paused(without_task)
    get_manager().get_process_controller().continue_process(
        game.pk, nowait=False, no_reply=True
    )
    question = Dict(Question("Well?").to_record())
    submit(AskAfterAFailure, question=question, is_caught=Bool(False))
    wait_until(lambda: paused(without_task), "somebody has brought it back")
    assert paused(game)


@pytest.mark.restarts_daemon
def test_a_worker_that_starts_looks_for_what_had_begun(
    without_task: WorkChainNode, game: WorkChainNode
) -> None:
    """The worker before it may have died in a step, and the task on its way to it."""
    without_task.set_process_state("running")
    restart_daemon()
    wait_until(lambda: paused(without_task), "somebody has brought it back")
    assert paused(game)


def test_who_waits_for_a_question_brings_its_workflow_back(
    without_task: WorkChainNode,
) -> None:
    """Also where no worker knows that a task was lost."""
    letter = wait_for_question(without_task, timeout=30)
    assert letter is not None
    assert letter.is_open
