#!/usr/bin/env python
"""Play the guessing game: show each question, send the answer, show the next.

Use it as `verdi run scripts/auto-guess.py PK` or as a program. With --auto it plays by
itself, by bisection. It is `aiida-hitl play` with a table of the guesses at the end.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys

# Importing AiiDA takes a second or two, in which Ctrl-C is no traceback either.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

import click
from aiida import load_profile
from aiida.common.exceptions import ConfigurationError
from aiida.manage.configuration import get_profile
from aiida.orm import WorkChainNode
from rich.console import Console
from rich.table import Table

from aiida_humanintheloop import (
    HumanInTheLoopError,
    HumanLoopWorkChain,
    NoSuchWorkflow,
    render,
)
from aiida_humanintheloop.inbox import Conversation, load_workflow
from aiida_humanintheloop.letter import Letter
from aiida_humanintheloop.play import play_at_the_terminal
from aiida_humanintheloop.text import one_line

# How the user called it: through Docker Compose that is not what stands in argv.
COMMAND = os.environ.get("AUTO_GUESS_COMMAND", sys.argv[0])


def bisect(talk: Conversation, letter: Letter) -> int:
    """Guess in the middle of what the questions so far leave open."""
    low, high = letter.question.kind.minimum, letter.question.kind.maximum
    for asked in talk.mailbox.letters():
        hint = re.search(r"(higher|lower) than (\d+)", asked.question.text)
        if hint and hint[1] == "higher":
            low = max(low, int(hint[2]) + 1)
        elif hint:
            high = min(high, int(hint[2]) - 1)
    guess = (low + high) // 2
    render.print_text(f"My guess: {guess}")
    return guess


def show_result(node: WorkChainNode) -> None:
    """Print the result of a game, with every guess."""
    if "result" not in node.outputs:
        render.print_end(node)
        return
    result = node.outputs.result.get_dict()
    render.print_text(result["message"], "bold")
    table = Table("Attempt", "Guess", "Feedback")
    for attempt, entry in enumerate(result["history"], start=1):
        table.add_row(str(attempt), str(entry["guess"]), entry["feedback"])
    Console().print(table)


@click.command()
@click.argument("pk")
@click.option("--auto", is_flag=True, help="Play by itself, by bisection.")
@click.option("-p", "--profile", help="AiiDA profile, by default the default one.")
def main(pk: str, auto: bool, profile: str | None) -> None:
    """Play the guessing game with the workflow PK (or UUID)."""
    if isinstance(sys.stdin, io.TextIOWrapper):  # bytes that are no text are no answer
        sys.stdin.reconfigure(errors="replace")
    try:
        if get_profile() is None or profile:  # `verdi run` has loaded one already
            load_profile(profile, allow_switch=True)
        node = load_workflow(pk)
    except ConfigurationError as error:
        raise HumanInTheLoopError(
            f"AiiDA has no profile to play in: {one_line(str(error))}. "
            "`verdi status` tells more; `verdi presto` makes a profile."
        ) from error
    if not issubclass(node.process_class, HumanLoopWorkChain):
        raise NoSuchWorkflow(f"{pk} is a {node.process_label}, not a guessing game.")
    player = bisect if auto else None
    if callable(signal.getsignal(signal.SIGINT)):  # it may be ignored, as by nohup
        # From here on it is for the game, which says how to come back.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(play_at_the_terminal(node, COMMAND, player, show_result, via="auto-guess"))


if __name__ == "__main__":
    try:
        main()
    except HumanInTheLoopError as error:
        render.print_text(str(error), "red")
        sys.exit(1)
