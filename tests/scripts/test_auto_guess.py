"""auto-guess.py, typed into and read as a person would."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest
from aiida.orm import Int, WorkChainNode

from aiida_humanintheloop.inbox import Conversation
from aiida_humanintheloop.mailbox import OwnMailbox
from tests import REPOSITORY
from tests.commands import terminal, verdi
from tests.game import target_of
from tests.patience import wait_until
from tests.processes import paused
from tests.profile import refresh

SCRIPT = str(REPOSITORY / "scripts" / "auto-guess.py")


def auto_guess(
    *arguments: object, typed: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the script with answers piped in, stderr and stdout as one text."""
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        input=typed,
        text=True,
        errors="surrogateescape",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
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


@pytest.mark.parametrize("script", ["auto-guess.py", "walkthrough.py"])
def test_ctrl_c_while_it_loads_is_no_traceback(tmp_path: Path, script: str) -> None:
    """AiiDA takes a second or two; whoever has the wrong PK does not wait for it."""
    (tmp_path / "click.py").write_text("import time; print('here'); time.sleep(60)")
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [REPOSITORY / "scripts" / script, "1"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
    ) as loading:
        assert loading.stdout is not None
        assert loading.stdout.readline() == "here\n"
        loading.send_signal(signal.SIGINT)
        assert (loading.wait(timeout=30), loading.stdout.read()) == (130, "")


@pytest.mark.parametrize("option", [[], ["-p", "no-such"]])
def test_without_a_profile_it_says_so_in_one_line(
    tmp_path: Path, option: list[str]
) -> None:
    """And what makes one."""
    (tmp_path / ".aiida").mkdir()
    played = auto_guess(*option, 1, AIIDA_PATH=str(tmp_path))
    assert played.returncode == 1
    assert played.stdout.count("\n") == 1
    assert played.stdout.startswith("AiiDA has no profile to play in: ")
    assert "`verdi presto` makes a profile." in played.stdout


def test_bytes_that_are_no_text_are_an_answer_that_is_refused(
    game: WorkChainNode,
) -> None:
    """As from a file in another encoding."""
    typed = f"\udcff\n{target_of(game)}\n"
    played = auto_guess(game.pk, typed=typed, PYTHONIOENCODING="utf-8:strict")
    assert played.returncode == 0, played.stdout
    assert "was not taken: the answer must be an integer" in played.stdout
    assert f"Found {target_of(game)} in 1 attempts" in played.stdout


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
