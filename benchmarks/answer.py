#!/usr/bin/env python
"""Measure the time from an answer to the next question.

Plays on the default profile: in auto-guess.py as a player sees it (typed into a
terminal, read from it), from Python, and a few rounds by hand: the extra, the function
behind `verdi process play`, and a look every two seconds, as a script without news has
to. Beside them the engine alone: pause and play of a work chain whose steps are empty.
Prints the medians, and their ratios within this run.

The daemon has to run, and to find this folder:

    PYTHONPATH=benchmarks verdi daemon start
    benchmarks/answer.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import pexpect
from aiida import load_profile
from aiida.engine import submit
from aiida.engine.processes.control import kill_processes, play_processes
from aiida.manage import get_manager
from aiida.orm import WorkChainNode
from empty_step import EmptySteps
from plumpy.futures import unwrap_kiwi_future
from rich.console import Console
from rich.table import Table

from aiida_humanintheloop import HumanLoopWorkChain
from aiida_humanintheloop.inbox import Conversation
from aiida_humanintheloop.workflows.guessing_game import hidden_number

AUTO_GUESS = Path(__file__).parent.parent / "scripts" / "auto-guess.py"
ROUNDS_BY_HAND = 5


def new_game(rounds: int) -> WorkChainNode:
    """Submit a game that is not over before the last round; wait for its question."""
    node = submit(HumanLoopWorkChain, max_iters=rounds + 2)
    with Conversation(node) as talk:
        talk.wait(60)
    return node


def in_auto_guess(node: WorkChainNode, guesses: list[int]) -> list[float]:
    """Return seconds from the return key to the next question on the screen."""
    player = pexpect.spawn(str(AUTO_GUESS), [str(node.pk)], encoding="utf-8")
    player.delaybeforesend = None  # by default it waits 50 ms with each line
    player.expect_exact("Your answer: ", timeout=60)
    seconds = []
    for number, guess in enumerate(guesses, start=2):
        start = time.perf_counter()
        player.sendline(str(guess))
        player.expect_exact(f"Question {number}: ", timeout=60)
        seconds.append(time.perf_counter() - start)
        player.expect_exact("Your answer: ")
    player.sendintr()
    player.expect(pexpect.EOF)
    return seconds


def from_python(node: WorkChainNode, guesses: list[int]) -> list[float]:
    """Return seconds from `answer` to the next question in hand."""
    seconds = []
    with Conversation(node) as talk:
        for guess in guesses:
            start = time.perf_counter()
            assert talk.answer(guess).accepted
            assert talk.wait(60) is not None
            seconds.append(time.perf_counter() - start)
    return seconds


def by_hand(node: WorkChainNode, guesses: list[int]) -> list[float]:
    """Return seconds from the extra to the next question, on a two-second clock."""
    seconds = []
    for guess in guesses[:ROUNDS_BY_HAND]:
        start = time.perf_counter()
        node.base.extras.set("answer", guess)
        play_processes([node])
        wait_for_pause(node, 2)
        seconds.append(time.perf_counter() - start)
    return seconds


def engine_alone(node: WorkChainNode, guesses: list[int]) -> list[float]:
    """Return seconds from a play to the next pause, of steps that do nothing."""
    controller = get_manager().get_process_controller()
    seconds = []
    for _ in guesses:
        start = time.perf_counter()
        assert unwrap_kiwi_future(controller.play_process(node.pk)).result(60)
        wait_for_pause(node, 0.001)
        seconds.append(time.perf_counter() - start)
    return seconds


def wait_for_pause(node: WorkChainNode, every: float) -> None:
    """Look again and again until the workflow is paused."""
    session = get_manager().get_profile_storage().get_session()
    while not node.paused:
        if node.is_terminated:
            sys.exit(
                f"{node.process_label} <{node.pk}> has ended. Does the daemon find it? "
                "Start it with: PYTHONPATH=benchmarks verdi daemon restart"
            )
        time.sleep(every)
        session.commit()


WAYS = {"auto-guess.py": in_auto_guess, "Python": from_python, "by hand": by_hand}


def main(rounds: int) -> None:
    """Measure and print."""
    profile = load_profile()
    measured: dict[str, list[float]] = {}
    for name, play in WAYS.items():
        node = new_game(rounds)
        number = hidden_number(node.uuid)
        wrong = [guess for guess in (1, 2, 3) if guess != number]
        measured[name] = play(node, [wrong[n % 2] for n in range(rounds)])
        kill_processes([node])
    node = submit(EmptySteps, rounds=rounds + 2)
    wait_for_pause(node, 0.1)
    measured["engine alone"] = engine_alone(node, [0] * rounds)
    kill_processes([node])

    columns = "rounds", "median [s]", "slowest [s]", "/ by hand", "/ engine alone"
    table = Table("", *columns)
    slow = statistics.median(measured["by hand"])
    least = statistics.median(measured["engine alone"])
    for name, seconds in measured.items():
        median = statistics.median(seconds)
        table.add_row(
            name,
            str(len(seconds)),
            f"{median:.3f}",
            f"{max(seconds):.3f}",
            f"1/{slow / median:.1f}",
            f"{median / least:.1f}",
        )
    console = Console()
    console.print(
        "From an answer to the next question "
        f"({profile.storage_backend}, {profile.process_control_backend})"
    )
    console.print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25)
