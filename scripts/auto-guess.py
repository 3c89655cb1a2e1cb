#!/usr/bin/env python
"""Play the guessing game: show each question, send the answer, show the next.

Use it as `verdi run scripts/auto-guess.py PK` or as a program. With --auto it plays by
itself, by bisection.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator

import click
from aiida import load_profile
from aiida.manage.configuration import get_profile
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aiida_humanintheloop import HumanInTheLoopError, HumanLoopWorkChain
from aiida_humanintheloop.inbox import Conversation, load_workflow
from aiida_humanintheloop.mailbox import Letter

console = Console(highlight=False, soft_wrap=True)
# "Waiting" is worth a line only if there is time to read it.
PATIENCE_SECONDS = 1.0
INTERRUPTED = 130
# How the user called it: through Docker Compose that is not what stands in argv.
COMMAND = os.environ.get("AUTO_GUESS_COMMAND", sys.argv[0])


class GameStopped(HumanInTheLoopError):
    """The game cannot go on now, and may later."""


def ask_person(_letters: list[Letter]) -> str:
    """Read an answer from the terminal, or from whatever is piped in."""
    answer = input("Your answer: ")
    if not sys.stdin.isatty():
        print(answer)
    return answer


def bisect(letters: list[Letter]) -> str:
    """Guess in the middle of what the questions so far leave open."""
    kind = letters[-1].question.kind
    low, high = kind.minimum, kind.maximum
    for letter in letters:
        hint = re.search(r"(higher|lower) than (\d+)", letter.question.text)
        if hint and hint[1] == "higher":
            low = max(low, int(hint[2]) + 1)
        elif hint:
            high = min(high, int(hint[2]) - 1)
    guess = str((low + high) // 2)
    console.print(Text(f"My guess: {guess}"))
    return guess


def questions(talk: Conversation) -> Iterator[Letter]:
    """Yield each question as soon as it is asked, until the game ends."""
    while not talk.node.is_terminated:
        try:
            letter = talk.wait(PATIENCE_SECONDS)
        except TimeoutError:
            say_why_it_takes_long(talk)
            letter = talk.wait()
        if letter is not None:
            yield letter


def say_why_it_takes_long(talk: Conversation) -> None:
    """Tell a workflow that somebody paused from one that is only slow."""
    if talk.node.paused:
        raise GameStopped(
            "Somebody paused the workflow, and it asks nothing. "
            f"Let it go on with: verdi process play {talk.node.pk}"
        )
    console.print("Waiting for the next question...", style="dim")


def play(talk: Conversation, guess: Callable[[list[Letter]], str]) -> None:
    """Answer question after question until the game has ended."""
    for letter in questions(talk):
        console.rule(style="dim")
        console.print(Text(f"Question {letter.id}: {letter.question.text}"))
        verdict = None
        while verdict is None or (
            verdict.outcome == "refused" and still_open(talk, letter)
        ):
            verdict = talk.answer(guess(talk.mailbox.letters()), letter.id)
            if verdict.outcome != "accepted":
                console.print(Text(verdict.reason), style="yellow")
        if verdict.outcome == "kept":
            raise GameStopped(f"Come back with: {COMMAND} {talk.node.pk}")


def still_open(talk: Conversation, letter: Letter) -> bool:
    """Return whether the question waits for an answer yet."""
    now = talk.question()
    return now is not None and now.id == letter.id


def show_result(talk: Conversation) -> bool:
    """Print how the game ended; return whether it has a result."""
    node = talk.node
    console.rule(style="dim")
    if "result" not in node.outputs:
        state = node.process_state.value
        why = node.process_status or node.exit_message or ""
        console.print(
            Text(f"The game was {state} and has no result. {why}".strip()),
            style="yellow",
        )
        console.print(f"How it went: verdi process report {node.pk}")
        return False
    result = node.outputs.result.get_dict()
    console.print(Text(result["message"]), style="bold")
    table = Table("Attempt", "Guess", "Feedback")
    for attempt, entry in enumerate(result["history"], start=1):
        table.add_row(str(attempt), str(entry["guess"]), entry["feedback"])
    console.print(table)
    return True


@click.command()
@click.argument("pk")
@click.option("--auto", is_flag=True, help="Play by itself, by bisection.")
@click.option("-p", "--profile", help="AiiDA profile, by default the default one.")
def main(pk: str, auto: bool, profile: str | None) -> None:
    """Play the guessing game with the workflow PK (or UUID)."""
    if get_profile() is None or profile:  # `verdi run` has loaded one already
        load_profile(profile, allow_switch=True)
    node = load_workflow(pk)
    if not issubclass(node.process_class, HumanLoopWorkChain):
        raise GameStopped(f"{pk} is a {node.process_label}, not a guessing game.")
    try:
        with Conversation(node, via="auto-guess") as talk:
            play(talk, bisect if auto else ask_person)
            sys.exit(0 if show_result(talk) else 1)
    except (KeyboardInterrupt, EOFError) as stop:
        console.print(
            Text(f"\nThe game waits for you. Come back with: {COMMAND} {node.pk}")
        )
        sys.exit(INTERRUPTED if isinstance(stop, KeyboardInterrupt) else 1)


if __name__ == "__main__":
    try:
        main()
    except HumanInTheLoopError as error:
        console.print(Text(str(error)), style="red")
        sys.exit(1)
