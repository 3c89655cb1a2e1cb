#!/usr/bin/env python
"""Measure the time from an answer to the next question.

Plays on the default profile: in auto-guess.py as a player sees it (typed into a
terminal, read from it), from Python, and a few rounds by hand: the extra, the function
behind `verdi process play`, and a look every two seconds, as a script without news has
to. Beside them the engine alone: pause and play of a work chain whose steps are empty.
With the blog post at hand, also its own player against this game, and its own workflow,
answered by hand with a look every millisecond. Prints the medians, and their ratios
within this run.

The daemon has to find this folder, where what the post prints is put, too:

    PYTHONPATH=benchmarks verdi daemon restart
    benchmarks/answer.py [ROUNDS] [--post human-in-the-loop-blog-post.md]
"""

from __future__ import annotations

import importlib
import re
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import click
import pexpect
from aiida import load_profile
from aiida.common.log import AIIDA_LOGGER
from aiida.engine import submit
from aiida.engine.processes.control import kill_processes, play_processes
from aiida.manage import get_manager
from aiida.orm import Int, WorkChainNode
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
    return in_a_terminal([str(AUTO_GUESS), str(node.pk)], "Question ", guesses)


def in_the_player_of_the_blog(
    post: Path, node: WorkChainNode, guesses: list[int]
) -> list[float]:
    """Return the same of the script that the post prints."""
    script = printed(post, "auto_guess", 'input("Your')
    command = ["verdi", "run", str(script), str(node.pk)]
    few = guesses[:ROUNDS_BY_HAND]
    return in_a_terminal(command, "Question from workflow: ", few)


def in_a_terminal(command: list[str], question: str, guesses: list[int]) -> list[float]:
    """Return seconds from the return key to the next question on the screen.

    :param question: how a line with a question begins.
    """
    player = pexpect.spawn(command[0], command[1:], encoding="utf-8")
    player.delaybeforesend = None  # by default it waits 50 ms with each line
    player.expect_exact("Your answer: ", timeout=60)
    seconds = []
    for guess in guesses:
        start = time.perf_counter()
        player.sendline(str(guess))
        player.expect_exact(question, timeout=60)
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


def the_workflow_of_the_blog(post: Path, rounds: int) -> list[float]:
    """Return seconds from the extra to the next pause, of the workflow in the post."""
    module = printed(post, "workflow", "class HumanLoopWorkChain").stem
    workflow = importlib.import_module(module).HumanLoopWorkChain
    node = submit(workflow, max_iters=Int(rounds + 2))
    wait_for_pause(node, 0.1)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        node.base.extras.set("answer", 0)  # which is never right
        play_processes([node])
        wait_for_pause(node, 0.001)
        seconds.append(time.perf_counter() - start)
    kill_processes([node])
    return seconds


def printed(post: Path, name: str, mark: str) -> Path:
    """Return a file with the code of the post that has the mark; git ignores it."""
    blocks = re.findall(r"```python\n(.*?)```", post.read_text(), flags=re.DOTALL)
    (code,) = [block for block in blocks if mark in block]
    path = Path(__file__).with_name(f"blog_{name}.py")
    path.write_text(code)
    return path


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


@click.command(help=__doc__)
@click.argument("rounds", default=25)
@click.option("--post", type=click.Path(exists=True, path_type=Path))
def main(rounds: int, post: Path | None) -> None:
    """Measure and print."""
    profile = load_profile()
    get_manager().get_profile_storage()  # which sets the levels, and for the last time
    AIIDA_LOGGER.getChild("process_control").setLevel("WARNING")  # a line for each play
    measured: dict[str, list[float]] = {}
    ways = dict(WAYS)
    if post is not None:
        ways["the blog's auto-guess.py"] = partial(in_the_player_of_the_blog, post)
    for name, play in ways.items():
        node = new_game(rounds)
        number = hidden_number(node.uuid)
        wrong = [guess for guess in (1, 2, 3) if guess != number]
        measured[name] = play(node, [wrong[n % 2] for n in range(rounds)])
        kill_processes([node])
    if post is not None:
        name = "the blog's workflow, no clock"
        measured[name] = the_workflow_of_the_blog(post, rounds)
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
    main()
