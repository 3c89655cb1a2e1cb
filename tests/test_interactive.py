"""The process is the only judge, and loses no answer, whoever is killed meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import kiwipy
import pytest
from aiida.engine import submit
from aiida.engine.processes.control import pause_processes, play_processes
from aiida.manage import get_manager
from aiida.orm import Dict, QueryBuilder, WorkChainNode
from plumpy.process_comms import MessageBuilder

from aiida_humanintheloop import Answer, Question, Verdict
from aiida_humanintheloop.exceptions import HumanInTheLoopError
from aiida_humanintheloop.inbox import Connection, Conversation, answer
from aiida_humanintheloop.mailbox import OwnMailbox
from aiida_humanintheloop.messages import ANSWER_INTENT
from tests.asking import AskAgain, AskAndAnswer, AskAndEnd
from tests.commands import verdi
from tests.daemon_log import DaemonLog
from tests.dying import (
    AskAndBePlayedEarly,
    AskAndDie,
    AskAndDieAsking,
    AskAndFailToPause,
    has_died,
)
from tests.faults import kill_worker
from tests.game import a_wrong_guess, target_of
from tests.patience import wait_until
from tests.processes import ended, paused
from tests.profile import refresh


def ask_count(node: WorkChainNode) -> int:
    """Return how many questions the game has asked."""
    refresh()
    return len(Conversation(node).mailbox.letters())


def test_an_accepted_answer_leads_to_the_next_question(game: WorkChainNode) -> None:
    """The verdict names the value as the workflow took it."""
    guess = a_wrong_guess(game)
    with Conversation(game, by="ada@example.org", via="test") as talk:
        first = talk.wait(30)
        verdict = talk.answer(str(guess), first.id)
        assert verdict.accepted
        assert verdict.value == guess
        second = talk.wait(30)
    assert (first.id, second.id) == ("1", "2")
    answer = talk.mailbox.letters()[0].answer
    assert (answer.value, answer.by, answer.via) == (guess, "ada@example.org", "test")


def test_the_second_of_two_answers_is_told_who_was_first(game: WorkChainNode) -> None:
    """An answer counts for the question that it was meant for, never for the next."""
    guess = a_wrong_guess(game)
    with Conversation(game, by="ada@example.org") as talk:
        first = talk.wait(30)
        talk.answer(guess, first.id)
        talk.wait(30)
    with Conversation(game, by="bob@example.org") as talk:
        late = talk.answer(50, first.id)
        assert late.outcome == "refused"
        assert f"already answered with {guess} by ada@example.org at 20" in late.reason
        assert talk.question().id == "2"
    assert ask_count(game) == 2


def test_of_simultaneous_answers_exactly_one_is_accepted(game: WorkChainNode) -> None:
    """Ten people at once: one is first, nine are told so, one attempt is made."""
    guess = a_wrong_guess(game)
    with Conversation(game) as talk:
        letter = talk.wait(30)
        # Straight to the broker: one database session is not for many threads.
        verdicts: list[Verdict] = []

        def answer(person: int) -> None:
            note = Answer(guess, letter.id, by=f"p{person}", key=str(person))
            reply = talk._connection.send(
                game.pk, {"intent": ANSWER_INTENT, "answer": note.to_json()}
            )
            verdicts.append(Verdict.from_json(reply))

        people = [threading.Thread(target=answer, args=(n,)) for n in range(10)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        talk.wait(30)
    accepted = [verdict for verdict in verdicts if verdict.accepted]
    refused = [verdict for verdict in verdicts if not verdict.accepted]
    assert (len(accepted), len(refused)) == (1, 9)
    assert all("already answered" in verdict.reason for verdict in refused)
    assert ask_count(game) == 2


def test_the_same_answer_delivered_twice_counts_once(game: WorkChainNode) -> None:
    """A sender whose reply got lost sends again, and is not told "too late"."""
    with Conversation(game) as talk:
        note = Answer(a_wrong_guess(game), talk.wait(30).id, key="once")
        message = {"intent": ANSWER_INTENT, "answer": note.to_json()}
        replies = [
            Verdict.from_json(talk._connection.send(game.pk, message)) for _ in range(2)
        ]
        assert [reply.outcome for reply in replies] == ["accepted", "accepted"]
        assert talk.wait(30).id == "2"
    assert ask_count(game) == 2


def test_a_bad_answer_is_refused_with_the_reason(game: WorkChainNode) -> None:
    """The question stays open under its id."""
    with Conversation(game) as talk:
        verdict = talk.answer("fifty")
        assert verdict.outcome == "refused"
        assert "must be an integer between 1 and 100" in verdict.reason
        assert talk.question().id == "1"
    assert paused(game)


def test_an_answer_left_in_the_extras_never_counts_for_the_next_question(
    game: WorkChainNode,
) -> None:
    """What somebody sets while another is faster is dropped with the question."""
    game.base.extras.set("answer", 50)
    with Conversation(game) as talk:
        letter = talk.wait(30)
        assert talk.answer(a_wrong_guess(game), letter.id).accepted
        assert talk.wait(30).id == "2"
    assert game.base.extras.get("answer") is None


def test_a_game_paused_by_hand_plays_on_as_before(game: WorkChainNode) -> None:
    """Pausing what waits already changes nothing."""
    pause_processes([game])
    with Conversation(game) as talk:
        assert talk.answer(a_wrong_guess(game)).accepted
        assert talk.wait(30).id == "2"


def test_an_answer_without_a_question_is_refused_by_the_sender(
    game: WorkChainNode,
) -> None:
    """It must not wait to count for a question that nobody has read."""
    with Conversation(game) as talk:
        talk.wait(30)
        OwnMailbox(game).close("as the workflow does")
        assert talk.answer(50).reason == "Question 1 is closed: as the workflow does."


@pytest.mark.restarts_daemon
def test_a_paused_game_survives_a_restart_of_the_daemon(game: WorkChainNode) -> None:
    """The question is open afterwards under its id, and takes an answer."""
    with Conversation(game) as talk:
        talk.wait(30)
        verdi("daemon", "restart")
        assert talk.answer(a_wrong_guess(game), "1").accepted
        assert talk.wait(30).id == "2"
    assert ask_count(game) == 2


@pytest.mark.restarts_daemon
def test_an_answer_given_while_the_daemon_is_down_is_taken_when_it_starts(
    game: WorkChainNode,
) -> None:
    """The person is told that it is kept; nobody has to play anything."""
    with Conversation(game, by="ada@example.org") as talk:
        talk.wait(30)
        verdi("daemon", "stop")
        bad = talk.answer("fifty")
        assert (bad.outcome, talk.mailbox.kept()) == ("refused", None)
        kept = talk.answer(a_wrong_guess(game))
        assert kept.outcome == "kept"
        assert "verdi daemon start" in kept.reason
        second = Conversation(game, by="bob@example.org").answer(7)
        assert second.outcome == "refused"
        assert "ada@example.org" in second.reason
        time.sleep(4)  # that it is late shall be seen
        verdi("daemon", "start")
        wait_until(lambda: ask_count(game) == 2, "the kept answer is taken")
        answer = talk.mailbox.letters()[0].answer
        assert answer.at < talk.mailbox.letters()[0].taken_at
        assert (answer.by, answer.value) == ("ada@example.org", a_wrong_guess(game))


@pytest.mark.restarts_daemon
def test_an_extra_set_while_the_daemon_is_down_is_taken_when_it_starts(
    game: WorkChainNode,
) -> None:
    """The blog's way, on a machine whose daemon was off."""
    verdi("daemon", "stop")
    game.base.extras.set("answer", target_of(game))
    verdi("daemon", "start")
    wait_until(lambda: refresh() or game.is_finished_ok, "the kept answer is taken")


def test_the_log_has_no_traceback_of_a_game_that_was_killed(
    game: WorkChainNode,
) -> None:
    """A person who has had enough is no failure."""
    with Conversation(game) as talk:
        talk.wait(30)
    log = DaemonLog()
    verdi("process", "kill", str(game.pk))
    wait_until(lambda: refresh() or game.is_killed, "the game is killed")
    time.sleep(1)  # the task ends after the game
    said = log.news()
    assert "Traceback" not in said
    assert "rror" not in said


def test_a_game_survives_the_kill_of_its_worker(game: WorkChainNode) -> None:
    """The code before the question does not run again."""
    kill_worker()
    with Conversation(game) as talk:
        verdict = talk.answer(a_wrong_guess(game), "1")
        assert verdict.outcome in ("accepted", "kept")
        assert talk.wait(60).id == "2"
    assert ask_count(game) == 2


@pytest.mark.parametrize("answer_first", [True, False])
def test_play_while_nothing_is_asked_does_no_harm(
    submit_game: Callable[..., WorkChainNode], answer_first: bool
) -> None:
    """A play that comes before the pause neither skips nor loses the question."""
    node = submit_game()
    if answer_first:
        node.base.extras.set("answer", 50)
    get_manager().get_process_controller().play_all()
    wait_until(lambda: ask_count(node) > 0, "the game asks")
    wait_until(lambda: paused(node), "the game waits")
    play_processes([node])
    assert ask_count(node) == 1
    assert paused(node)


def test_whoever_hears_of_a_state_finds_it(
    submit_game: Callable[..., WorkChainNode],
) -> None:
    """The news of it goes out when it is in the database, and not before."""
    heard: list[tuple[int, str]] = []

    def hear(_comm: Any, _body: Any, sender: int, *_: Any) -> None:
        query = QueryBuilder().append(WorkChainNode, filters={"id": sender})
        query.add_projection(WorkChainNode, "attributes.process_state")
        heard.append((sender, *query.all(flat=True)))
        get_manager().get_profile_storage().get_session().close()  # of this thread

    subject = "state_changed.created.running"
    communicator = get_manager().get_communicator()
    name = communicator.add_broadcast_subscriber(
        kiwipy.BroadcastFilter(hear, subject=subject)
    )
    # The ZeroMQ broker forwards only to who can be called, too.
    called = communicator.add_rpc_subscriber(lambda *_: None)
    try:
        games = [submit_game() for _ in range(20)]
        wait_until(lambda: len(heard) == len(games), "all are heard of")
    finally:
        communicator.remove_broadcast_subscriber(name)
        communicator.remove_rpc_subscriber(called)
    assert set(heard) == {(game.pk, "running") for game in games}


def test_a_worker_that_dies_between_question_and_pause_asks_once(
    daemon: None,
) -> None:
    """The question is there, the checkpoint is from before it: it is not put twice."""
    node = submit(AskAndDie, question=Dict(Question("Alive?").to_record()))
    with Conversation(node) as talk:
        assert talk.wait(60).question.text == "Alive?"
        assert talk.answer("yes").accepted
        wait_until(lambda: refresh() or node.is_terminated, "it ends")
    assert node.is_finished_ok
    assert node.outputs.answer["value"] == "yes"
    assert ask_count(node) == 1


def test_a_worker_that_dies_as_it_asks_again_loses_no_answer(daemon: None) -> None:
    """The step runs again, with the answer that it began with, and asks once."""
    node = submit(AskAndDieAsking)
    with Conversation(node) as talk:
        assert talk.wait(60).question.text == "The first?"
        assert talk.answer("one").accepted
        wait_until(lambda: ask_count(node) == 2, "it asks again")
        assert talk.answer("two").accepted
        wait_until(lambda: refresh() or node.is_terminated, "it ends")
    assert node.is_finished_ok, node.exception
    assert node.outputs.answers.get_dict() == {"first": "one", "second": "two"}
    assert ask_count(node) == 2


def died_with_an_answer_left(process: type[AskAndDieAsking]) -> WorkChainNode:
    """Return one whose worker died in its step, with an extra for when it asks."""
    node = submit(process)
    with Conversation(node) as talk:
        assert talk.wait(60).question.text == "The first?"
        assert talk.answer("one").accepted
    wait_until(lambda: has_died(node), "it dies")
    node.base.extras.set("answer", "two")
    return node


def test_an_extra_that_is_played_while_the_step_runs_again_is_taken(
    daemon: None,
) -> None:
    """The first word for it comes as soon as the next worker listens, too early."""
    node = died_with_an_answer_left(AskAndDieAsking)
    connection = Connection()

    def is_played() -> bool:
        try:
            connection.send(node.pk, MessageBuilder.play())
        except HumanInTheLoopError:
            return False
        return True

    wait_until(is_played, "it is played")
    connection.close()
    both = ended(node).outputs.answers.get_dict()
    assert both == {"first": "one", "second": "two"}


def test_an_extra_that_is_played_just_before_the_step_runs_again_is_taken(
    daemon: None,
) -> None:
    """By then it has gone on by itself, and does not look as if it waited."""
    node = died_with_an_answer_left(AskAndBePlayedEarly)
    both = ended(node).outputs.answers.get_dict()
    assert both == {"first": "one", "second": "two"}


def test_a_step_that_asks_has_no_answer_yet(ask: Callable[..., WorkChainNode]) -> None:
    """That of the question before is not taken for it."""
    node = ask(AskAndAnswer, question=Question("The first?"))
    assert answer(node, "yes").accepted
    wait_until(lambda: refresh() or node.is_terminated, "it ends")
    assert "LookupError" in node.exception


def test_a_hook_that_fails_ends_a_pause(ask: Callable[..., WorkChainNode]) -> None:
    """The next step is not for what nobody has answered."""
    node = ask(AskAndFailToPause, question=Question("Well?"))
    wait_until(lambda: refresh() or node.is_terminated, "it ends")
    assert "RuntimeError: as the author did not want" in node.exception


def test_a_step_that_asks_and_ends_ends(ask: Callable[..., WorkChainNode]) -> None:
    """With its exit code or its exception, sealed, and without an open question."""
    node = ask(AskAndEnd, question=Question("End?"))
    wait_until(lambda: refresh() or node.is_sealed, "it is sealed")
    assert node.exit_status == 400
    node = ask(AskAndEnd, question=Question("Fail?"))
    wait_until(lambda: refresh() or node.is_sealed, "it is sealed")
    assert "as the author did not want" in node.exception
    assert not node.paused
    assert not Conversation(node).mailbox.open_letters()


def test_an_answer_sent_twice_counts_once(ask: Callable[..., WorkChainNode]) -> None:
    """Also where the next question is open when it comes again."""
    node = ask(AskAgain, question=Question("Again?"))
    answer = Answer("yes", by="a@b.c", key="1" * 32)
    message = {"intent": ANSWER_INTENT, "answer": answer.to_json()}
    connection = Connection()
    for _ in range(3):
        verdict = Verdict.from_json(connection.send(node.pk, message))
        assert (verdict.outcome, verdict.question) == ("accepted", "1")
        wait_until(lambda: ask_count(node) == 2, "it asks again")
    connection.close()
    assert [x.is_open for x in Conversation(node).mailbox.letters()] == [False, True]
