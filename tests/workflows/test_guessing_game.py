"""The guessing game does what the blog post shows, and stands what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import yaml
from aiida.cmdline.utils.common import get_workchain_report
from aiida.engine import submit
from aiida.engine.processes.control import play_processes
from aiida.orm import QueryBuilder, WorkChainNode

from aiida_humanintheloop import HumanLoopWorkChain
from aiida_humanintheloop.inbox import Conversation
from tests.commands import verdi
from tests.game import a_wrong_guess, target_of
from tests.patience import wait_until
from tests.processes import kill_unfinished, paused
from tests.profile import have_daemon, refresh

STATUS = 'Need user input via "answer" extra before replaying!'
FIRST_QUESTION = "Guess a number between 1 and 100."


def reports(node: WorkChainNode) -> str:
    """Return the report as `verdi process report` prints it, without its start-up."""
    refresh()
    return get_workchain_report(node, "REPORT")


def guess_in_the_way_of_the_blog(node: WorkChainNode, answer: object) -> None:
    """Set the extra, play, and wait until the game asks again or has ended."""
    node.base.extras.set("answer", answer)
    play_processes([node])
    wait_until(lambda: paused(node) or node.is_terminated, "the game goes on")


def test_the_entry_point_is_the_one_of_the_blog(profile: str) -> None:
    """The process type in the database is the entry point, not a path of a module."""
    from aiida.plugins import WorkflowFactory

    assert WorkflowFactory("humanintheloop.humanloop") is HumanLoopWorkChain
    assert (
        HumanLoopWorkChain.build_process_type()
        == "aiida.workflows:humanintheloop.humanloop"
    )


def test_a_new_game_waits_with_its_question_in_the_extras(game: WorkChainNode) -> None:
    """Status, extra, list and report are those of the blog."""
    assert game.process_status == STATUS
    assert game.base.extras.get("question") == FIRST_QUESTION
    assert FIRST_QUESTION in verdi("node", "extras", str(game.pk))
    assert STATUS in verdi("process", "list")
    report = reports(game)
    assert report in verdi("process", "report", str(game.pk))
    assert "initialized (target hidden)" in report
    assert f"asked: '{FIRST_QUESTION}'" in report


def test_a_game_is_won_in_the_way_of_the_blog(game: WorkChainNode) -> None:
    """Guesses below and above are told so, the right one ends the game."""
    target = target_of(game)
    below, above = target - 1, target + 1
    history = []
    if below >= 1:
        guess_in_the_way_of_the_blog(game, below)
        hint = f"My number is higher than {below}. Try again."
        assert game.base.extras.get("question") == hint
        assert game.base.extras.get("answer") is None
        history.append({"guess": below, "feedback": "higher"})
    if above <= 100:
        guess_in_the_way_of_the_blog(game, str(above))
        hint = f"My number is lower than {above}. Try again."
        assert game.base.extras.get("question") == hint
        history.append({"guess": above, "feedback": "lower"})
    guess_in_the_way_of_the_blog(game, target)
    history.append({"guess": target, "feedback": "correct"})

    attempts = len(history)
    assert game.is_finished_ok
    assert game.outputs.result.get_dict() == {
        "message": f"Found {target} in {attempts} attempts",
        "history": history,
    }
    assert game.base.extras.get("question") == (
        f"Correct! The number was {target}. Attempts: {attempts}. Finished!"
    )
    assert f"Attempt {attempts}: {target} — CORRECT" in reports(game)


def test_a_game_is_lost_after_its_last_guess(
    submit_game: Callable[..., WorkChainNode],
) -> None:
    """The number stays hidden; the result says how often was guessed."""
    node = submit_game(max_iters=1)
    wait_until(lambda: paused(node), "the game asks")
    wrong = a_wrong_guess(node)
    guess_in_the_way_of_the_blog(node, wrong)
    assert node.is_finished_ok
    assert node.outputs.result["message"] == "Failed after 1 attempts"
    assert len(node.outputs.result["history"]) == 1
    last_word = "Stopped after 1 attempts. (target hidden)"
    assert node.base.extras.get("question") == last_word


def test_without_an_input_there_are_twenty_guesses(daemon: None) -> None:
    """The default is the one of the blog."""
    assert HumanLoopWorkChain.spec().inputs["max_iters"].default().value == 20


@pytest.mark.parametrize("max_iters", [0, -1])
def test_a_game_without_guesses_is_refused_at_submission(
    daemon: None, max_iters: int
) -> None:
    """The message names the input and what it must be; nothing is stored."""
    before = QueryBuilder().append(WorkChainNode).count()
    with pytest.raises(ValueError, match=r"`max_iters` must be 1 or more, got"):
        submit(HumanLoopWorkChain, max_iters=max_iters)
    assert QueryBuilder().append(WorkChainNode).count() == before


@pytest.fixture(scope="module")
def patient(_daemon_of_the_session: None) -> Iterator[WorkChainNode]:
    """Return a game for all answers that leave it as it is."""
    have_daemon()
    node = submit(HumanLoopWorkChain, max_iters=1)
    wait_until(lambda: paused(node), "it asks")
    yield node
    kill_unfinished([node])


@pytest.mark.parametrize(
    "answer",
    [
        "fifty",
        "",
        50.5,
        50.0,
        True,
        0,
        101,
        [50],
        {"a": 1},
        "x" * 100_000,
        "\u0665\u0660 🎲",
        "\t",
    ],
    ids=lambda answer: ascii(answer)[:12],
)
def test_a_bad_answer_is_no_attempt(
    daemon: None, patient: WorkChainNode, answer: object
) -> None:
    """The game stays paused, and the question says what is expected."""
    before = reports(patient)
    guess_in_the_way_of_the_blog(patient, answer)
    assert paused(patient)
    question = patient.base.extras.get("question")
    assert question.startswith(FIRST_QUESTION)
    assert "must be an integer between 1 and 100" in question
    assert len(question) < 200
    assert patient.base.extras.get("answer") is None
    assert patient.process_status.startswith(STATUS)
    report = reports(patient).removeprefix(before)
    assert report.count("must be an integer between 1 and 100") == 1
    assert "Attempt" not in report


def test_playing_without_an_answer_leaves_the_game_paused(game: WorkChainNode) -> None:
    """`verdi process play` says why, and so does the report."""
    printed = verdi("process", "play", str(game.pk))
    assert "No answer was given: it must be an integer between 1 and 100." in printed
    assert paused(game)
    assert "No answer was given" in reports(game)
    guess_in_the_way_of_the_blog(game, target_of(game))
    assert game.is_finished_ok


def test_the_hidden_number_lies_nowhere(game: WorkChainNode) -> None:
    """Neither the context in the checkpoint nor an extra has it under any name."""
    wrong, target = a_wrong_guess(game), target_of(game)
    with Conversation(game) as talk:
        talk.answer(wrong)
        talk.wait(30)
    refresh()
    checkpoint = game.base.attributes.get("checkpoints")
    context = checkpoint.split("CONTEXT:")[1].split("INPUTS_PARSED:")[0]
    context = yaml.safe_load(context.replace("!aiida_attributedict", ""))
    assert set(context) == {"history", "question"}
    assert [entry["guess"] for entry in context["history"]] == [wrong]
    extras = json.dumps(game.base.extras.all["humanintheloop"]["history"])
    assert f'"value": {target}' not in extras
    for line in reports(game).splitlines():
        said = line.split("]: ", 2)[-1]
        for known in ("between 1 and 100", "Attempt 1:"):
            said = said.replace(known, "")
        assert str(target) not in said.replace(str(wrong), "").replace("100", "")


def test_a_killed_game_takes_its_question_back(game: WorkChainNode) -> None:
    """Nobody is asked for what cannot go on."""
    verdi("process", "kill", str(game.pk))
    wait_until(lambda: refresh() or game.is_killed, "the game is killed")
    with Conversation(game) as talk:
        assert talk.question() is None
        assert talk.wait(1) is None
        assert talk.answer(50).outcome == "refused"
