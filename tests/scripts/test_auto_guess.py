"""auto-guess.py, typed into and read as a person would."""

from __future__ import annotations

import subprocess

import pexpect
import pytest
from aiida.orm import Int, WorkChainNode

from aiida_humanintheloop.inbox import Conversation
from aiida_humanintheloop.mailbox import OwnMailbox
from tests.conftest import (
    REPOSITORY,
    paused,
    refresh,
    target_of,
    terminal,
    verdi,
    wait_until,
)

SCRIPT = str(REPOSITORY / "scripts" / "auto-guess.py")


def auto_guess(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the script with answers piped in, stderr and stdout as one text."""
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        input=typed,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )


def wrong_guesses(node: WorkChainNode, count: int) -> list[int]:
    """Return guesses that do not end the game."""
    return [n for n in range(1, 100) if n != target_of(node)][:count]


def test_a_game_is_won_at_the_terminal(game: WorkChainNode) -> None:
    """Each question is shown, a wrong kind of answer is told so, then the table."""
    wrong, target = wrong_guesses(game, 1)[0], target_of(game)
    player = terminal(SCRIPT, game.pk)
    player.expect_exact("Question 1: Guess a number between 1 and 100.")
    player.expect_exact("Your answer: ")
    player.sendline("fifty")
    player.expect_exact("'fifty' was not taken: the answer must be an integer between")
    player.expect_exact("Your answer: ")
    player.sendline(str(wrong))
    player.expect(f"Question 2: My number is (higher|lower) than {wrong}. Try again.")
    player.expect_exact("Your answer: ")
    player.sendline(str(target))
    player.expect_exact(f"Found {target} in 2 attempts")
    player.expect("correct")
    player.expect(pexpect.EOF)
    player.close()
    assert player.exitstatus == 0


@pytest.mark.parametrize("through_verdi", [False, True])
def test_auto_wins_by_bisection(game: WorkChainNode, through_verdi: bool) -> None:
    """Seven guesses are enough for a hundred numbers, and each is shown."""
    if through_verdi:
        printed = verdi("run", SCRIPT, str(game.pk), "--auto")
    else:
        played = auto_guess(game.pk, "--auto")
        assert played.returncode == 0, played.stdout
        printed = played.stdout
    assert "My guess: 50" in printed
    refresh()
    assert game.is_finished_ok
    assert len(game.outputs.result["history"]) <= 7
    assert f"Found {target_of(game)} in" in printed


def test_auto_goes_on_where_a_person_stopped(game: WorkChainNode) -> None:
    """It reads the hints that others got."""
    wrong = 60 if target_of(game) != 60 else 61
    with Conversation(game) as talk:
        talk.answer(wrong)
    played = auto_guess(game.pk, "--auto")
    assert played.returncode == 0, played.stdout
    assert "My guess: 50" not in played.stdout


def test_answers_can_be_piped_in(game: WorkChainNode) -> None:
    """Without a terminal the answers are shown as well, and nothing is coloured."""
    wrong, target = wrong_guesses(game, 1)[0], target_of(game)
    played = auto_guess(game.pk, typed=f"{wrong}\n{target}\n")
    assert played.returncode == 0, played.stdout
    assert f"Your answer: {wrong}" in played.stdout
    assert "\x1b[" not in played.stdout


def test_the_end_of_input_leaves_the_game_waiting(game: WorkChainNode) -> None:
    """It says how to come back, and the game is as it was."""
    played = auto_guess(game.pk)
    assert played.returncode == 1
    assert f"Come back with: {SCRIPT} {game.pk}" in played.stdout
    assert paused(game)


def test_ctrl_c_leaves_the_game_waiting(game: WorkChainNode) -> None:
    """The exit code is that of an interrupt; there is no traceback."""
    player = terminal(SCRIPT, game.pk)
    player.expect_exact("Your answer: ")
    player.sendintr()
    player.expect_exact("The workflow waits for you. Come back with:")
    player.expect(pexpect.EOF)
    player.close()
    assert player.exitstatus == 130
    assert paused(game)


def test_a_finished_game_shows_its_result_again(game: WorkChainNode) -> None:
    """Nothing is asked."""
    with Conversation(game) as talk:
        talk.answer(target_of(game))
        assert talk.wait(30) is None
    played = auto_guess(game.pk)
    assert played.returncode == 0
    assert f"Found {target_of(game)} in 1 attempts" in played.stdout
    assert "Your answer" not in played.stdout


def test_a_killed_game_has_no_result(game: WorkChainNode) -> None:
    """One line says so, another where to look."""
    verdi("process", "kill", str(game.pk))
    played = auto_guess(game.pk)
    assert played.returncode == 1
    assert "The workflow is killed." in played.stdout
    assert f"verdi process report {game.pk}" in played.stdout
    assert "Traceback" not in played.stdout


def test_a_game_that_excepts_has_no_result(game: WorkChainNode) -> None:
    """A broken checkpoint makes a process except; a player sees a line."""
    verdi("daemon", "stop")
    refresh()
    game.set_checkpoint(game.checkpoint.replace("history: []", "history: 5"))
    verdi("daemon", "start")
    played = auto_guess(game.pk, typed="50\n")
    assert played.returncode == 1
    assert "The workflow is excepted." in played.stdout
    assert "Traceback" not in played.stdout


@pytest.mark.parametrize("pk", ["999999", "-1", "no-such", "0"])
def test_an_unknown_pk_is_told_in_one_line(daemon: None, pk: str) -> None:
    """No traceback, and where to look."""
    played = auto_guess("--", pk)
    assert played.returncode == 1
    assert played.stdout.count("\n") == 1
    assert f"There is no workflow {pk}: `verdi process list -a`" in played.stdout


def test_a_node_of_another_type_is_told_in_one_line(daemon: None) -> None:
    """Data, and processes that ask nothing."""
    played = auto_guess(Int(1).store().pk)
    assert played.returncode == 1
    assert played.stdout.count("\n") == 1
    assert "is a Int, which asks no questions" in played.stdout


def test_without_a_pk_the_usage_is_shown() -> None:
    """Wrong usage has its own exit code."""
    played = auto_guess()
    assert played.returncode == 2
    assert "Missing argument 'PK'" in played.stdout


def test_with_the_daemon_down_the_answer_is_kept(game: WorkChainNode) -> None:
    """It does not hang, says what to do, and the answer counts afterwards."""
    verdi("daemon", "stop")
    played = auto_guess(game.pk, typed=f"{target_of(game)}\n")
    assert played.returncode == 1
    assert "your answer is kept" in played.stdout
    assert "verdi daemon start" in played.stdout
    verdi("daemon", "start")
    wait_until(lambda: refresh() or game.is_finished_ok, "the kept answer is taken")


def test_with_the_daemon_down_and_no_question_it_says_so(game: WorkChainNode) -> None:
    """A question that cannot come is not waited for."""
    OwnMailbox(game).close("taken back by the test")
    verdi("daemon", "stop")
    played = auto_guess(game.pk)
    assert played.returncode == 1
    assert "The daemon is not running" in played.stdout
    assert "verdi daemon start" in played.stdout


def test_two_people_play_one_game(game: WorkChainNode) -> None:
    """The slower one is told who was first, and goes on with the next question."""
    wrong, target = wrong_guesses(game, 1)[0], target_of(game)
    ada, bob = terminal(SCRIPT, game.pk), terminal(SCRIPT, game.pk)
    for player in (ada, bob):
        player.expect_exact("Question 1: ")
        player.expect_exact("Your answer: ")
    ada.sendline(str(wrong))
    ada.expect_exact("Question 2: ")
    bob.sendline("77")
    bob.expect_exact(f"Question 1 was already answered with {wrong} by ")
    bob.expect_exact("Question 2: ")
    bob.expect_exact("Your answer: ")
    bob.sendline(str(target))
    bob.expect_exact(f"Found {target} in 2 attempts")
    ada.sendline("1")
    ada.expect_exact(f"Found {target} in 2 attempts")
    for player in (ada, bob):
        player.expect(pexpect.EOF)
        player.close()
        assert player.exitstatus == 0


def test_a_game_that_is_paused_without_a_question_says_so(game: WorkChainNode) -> None:
    """What only somebody who plays it can end is not waited for."""
    OwnMailbox(game).close("taken back by the test")
    played = auto_guess(game.pk)
    assert played.returncode == 1
    assert f"verdi process play {game.pk}" in played.stdout
