"""What a worker looks after by itself, where no message tells it to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiida.engine import ProcessState, submit
from aiida.engine.processes.control import (
    kill_processes,
    pause_processes,
    play_processes,
)
from aiida.manage import get_manager
from aiida.orm import Bool, Dict, Str, WorkChainNode

from aiida_humanintheloop import Question
from aiida_humanintheloop.inbox import answer, history, wait_for_question
from aiida_humanintheloop.letter import timestamp
from aiida_humanintheloop.mailbox import Mailbox
from aiida_humanintheloop.question import Answer
from tests.asking import AskInTwoChildren, AskWithContext
from tests.daemon_log import DaemonLog
from tests.dying import (
    AskAfterAFailure,
    AskAndLoseBroker,
    AskBeforeLongFunction,
    AskWhereNothingEnds,
    SayWhatCannotBeWritten,
    SubmitWithoutBroker,
)
from tests.faults import (
    all_workers_listen,
    hang_up,
    kill,
    kill_worker,
    restart_daemon,
    restart_database,
    services,
    wait_for_services,
    workers,
)
from tests.game import a_wrong_guess
from tests.patience import wait_until
from tests.processes import ended, paused
from tests.profile import PROFILE, refresh


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
    guess = a_wrong_guess(by_client)
    Mailbox(by_client).keep(
        Answer(guess, by="ada@example.org", at=timestamp(), via="terminal", key="1")
    )
    wait_until(lambda: refresh() or history(by_client)[0].answer, "it is taken")
    assert history(by_client)[0].answer.by == "ada@example.org"
    assert history(by_hand)[0].is_open


def test_a_write_of_others_that_failed_harms_nobody(
    game: WorkChainNode, submit_game: Callable[..., WorkChainNode]
) -> None:
    """The session of their worker wants to be rolled back before it is used again."""
    time.sleep(14)  # it is put to rest 10 s after the last word
    node = submit(SayWhatCannotBeWritten)
    try:
        running = ProcessState.RUNNING
        wait_until(lambda: refresh() or node.process_state is running, "it runs")
        assert answer(game, a_wrong_guess(game)).accepted
        wait_until(lambda: paused(game), "it asks again")
        other = submit_game()
        wait_until(lambda: paused(other), "so does what comes after it")
    finally:  # the engine could not write that it failed
        node.set_process_state(ProcessState.KILLED)


@pytest.mark.restarts_daemon
@pytest.mark.skipif(PROFILE is None, reason="SQLite has no server")
def test_a_kill_that_meets_a_dead_connection_can_be_repeated(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Nothing of the first try is in its way."""
    node = ask(AskWithContext, question=Question("Go?"), kept=Str("node"))
    time.sleep(5)  # nothing of it is fresh
    restart_database()
    wait_for_services()
    for _ in range(2):
        kill_processes([node], timeout=30)
    wait_until(lambda: refresh() or node.is_terminated, "it ends")
    assert node.is_killed


def test_a_worker_that_is_told_to_end_does(ask: Callable[..., WorkChainNode]) -> None:
    """AiiDA would wait for all that it has cancelled, and what waits for the worker."""
    node = ask(AskWhereNothingEnds, question=Question("Go?"))
    kill(*workers(), by=signal.SIGTERM)
    assert answer(node, "yes").accepted
    ended(node)


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
@pytest.mark.parametrize("state", ["created", "running"])
def test_a_worker_that_starts_looks_for_what_has_no_task(
    without_task: WorkChainNode, game: WorkChainNode, state: str
) -> None:
    """The worker before it may have died in a step, or when it had just lost a task."""
    without_task.set_process_state(state)
    restart_daemon()
    wait_until(lambda: paused(without_task), "somebody has brought it back")
    assert paused(game)


@pytest.mark.restarts_daemon
def test_a_step_that_loses_its_broker_runs_again(
    ask: Callable[..., WorkChainNode], tmp_path: Path
) -> None:
    """A function tells of each of its states, and would fail with whoever calls it.

    With RabbitMQ it does in a worker that told of nothing before.
    """
    question = Question("Go?", validator="lose_broker")
    node = ask(AskAndLoseBroker, question=question, folder=Str(str(tmp_path)))
    kill_worker()
    hang_up()
    assert answer(node, "yes").outcome in ("accepted", "kept")
    ended(node)
    wait_until(all_workers_listen, "the broker knows all workers")
    assert node.outputs.answer["value"] == "yes"
    assert all(each.is_terminated for each in node.called_descendants)


@pytest.mark.restarts_daemon
@pytest.mark.skipif(PROFILE is None, reason="a message to ZeroMQ never fails")
def test_a_step_that_cannot_submit_does_so_once_more(
    ask: Callable[..., WorkChainNode], tmp_path: Path
) -> None:
    """And not again and again until its broker takes what it submits."""
    question = Question("Go?", validator="stop_broker")
    node = ask(SubmitWithoutBroker, question=question, folder=Str(str(tmp_path)))

    def children() -> list[WorkChainNode]:
        refresh()
        called = [each for each in node.called if isinstance(each, WorkChainNode)]
        return sorted(called, key=lambda each: each.pk)

    hang_up()
    log = DaemonLog()
    try:
        # Left, and not sent: a client would wait for the broker, too.
        Mailbox(node).keep(Answer("yes", at=timestamp(), via="terminal", key="1"))
        wait_until(lambda: "without a broker" in log.news(), "the step has failed")
        time.sleep(3)  # that nothing happens cannot be waited for
        assert len(children()) == 1
    finally:
        for each in services("broker"):
            each.resume()
    wait_until(lambda: len(children()) == 2, "it submits once more")
    wait_until(lambda: paused(children()[-1]), "that one asks")
    assert len(children()) == 2


@pytest.fixture
def parent(ask: Callable[..., WorkChainNode]) -> WorkChainNode:
    """Return a workflow that waits for two children, which both ask."""
    node = ask(AskInTwoChildren, question=Question("Go?"))
    wait_until(lambda: refresh() or len(node.called) == 2, "both are there")
    for child in node.called:
        wait_until(lambda child=child: paused(child), f"{child.pk} asks")
    return node


@pytest.mark.restarts_daemon
def test_who_waits_for_two_goes_on_waiting_for_the_second(
    parent: WorkChainNode, ask: Callable[..., WorkChainNode]
) -> None:
    """It was loaded anew, and what it was before still hears of the first one."""
    first, second = sorted(parent.called, key=lambda each: each.pk)
    failing = ask(AskAfterAFailure, question=Question("?"), is_caught=Bool(True))
    assert answer(first, "yes").accepted
    ended(first)
    left = f"Waiting for child processes: {second.pk}"
    wait_until(lambda: refresh() or parent.process_status == left, "it knows")
    kill_worker()
    assert answer(second, "yes").outcome in ("accepted", "kept")
    assert answer(failing, "yes").outcome in ("accepted", "kept")
    ended(second)
    ended(parent)


@pytest.mark.restarts_daemon
def test_what_was_played_after_a_pause_by_hand_goes_on(
    parent: WorkChainNode,
) -> None:
    """The engine saves that it is played only with its next state, hours later."""
    pause_processes([parent], timeout=30)
    wait_until(lambda: paused(parent), "it is paused")
    play_processes([parent], timeout=30)
    wait_until(lambda: not paused(parent), "it is played")
    kill_worker()
    for child in parent.called:
        assert answer(child, "yes").outcome in ("accepted", "kept")
    ended(parent)


@pytest.mark.restarts_daemon
def test_no_function_is_left_running_by_a_worker_that_died(
    ask: Callable[..., WorkChainNode], tmp_path: Path
) -> None:
    """The step runs again and calls it once more; nobody else would end the first."""
    folder = Str(str(tmp_path))
    node = ask(AskBeforeLongFunction, question=Question("Go?"), folder=folder)
    assert answer(node, "yes").accepted
    wait_until((tmp_path / "begun").exists, "the function has begun")
    kill_worker()
    ended(node)
    called = node.called_descendants
    functions = [each for each in called if each.process_label.startswith("take")]
    how = sorted((each.process_label, str(each.process_state)) for each in functions)
    assert how == [
        ("take_long_once", "ProcessState.FINISHED"),
        ("take_long_once", "ProcessState.KILLED"),
        ("take_long_within", "ProcessState.FINISHED"),
        ("take_long_within", "ProcessState.KILLED"),
    ]
    killed = next(each for each in functions if each.is_killed)
    assert (
        killed.process_status == "its worker died; the step that called it runs again"
    )
    assert killed.is_sealed


def test_who_waits_for_a_question_brings_its_workflow_back(
    without_task: WorkChainNode,
) -> None:
    """Also where no worker knows that a task was lost."""
    letter = wait_for_question(without_task, timeout=30)
    assert letter is not None
    assert letter.is_open
