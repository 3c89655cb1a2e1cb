#!/usr/bin/env python
"""Walk through the guessing game: every command as a person types it, run for real.

Use it as `verdi run scripts/walkthrough.py` or as a program. It needs a profile and a
running daemon, and fails as soon as a command does not do what the text says.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# Importing AiiDA takes a second or two, in which Ctrl-C is no traceback either.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

import click
from aiida import load_profile
from aiida.common.exceptions import ConfigurationError
from aiida.manage.configuration import get_profile
from rich.console import Console
from rich.text import Text

from aiida_humanintheloop import HumanInTheLoopError
from aiida_humanintheloop.inbox import Conversation, daemon_runs, load_workflow

console = Console(highlight=False)
INTERRUPTED = 130
# Far more than anything here takes, on a machine that is busy with something else.
PATIENCE_SECONDS = 60.0

PROMPT = re.compile(r"^In \[\d+\]: ", re.MULTILINE)
FIRST_QUESTION = "Guess a number between 1 and 100."
STATUS = 'Need user input via "answer" extra before replaying!'
# Said once in the question, once in the report, and to whoever typed `play`.
NO_ANSWER = "No answer was given: it must be an integer between 1 and 100."
NO_NUMBER = "'fifty' was not taken: the answer must be an integer between 1 and 100."


class StepFailed(HumanInTheLoopError):
    """A command did not do what the text says."""


def auto_guess() -> str:
    """Return what to type for auto-guess: the tutorial has it on the PATH."""
    if shutil.which("auto-guess.py"):
        return "auto-guess.py"
    # Not `__file__`, which has no folder under `verdi run`.
    script = Path(sys.argv[0]).with_name("auto-guess.py")
    return f"verdi run {shlex.quote(str(script))}"


def expect(holds: bool, what: str) -> None:
    """Stop the walk where something is not as the text said."""
    if not holds:
        raise StepFailed(f"This went wrong: expected {what}.")


class Terminal:
    """What a person would type, and what comes back.

    :param pause: wait for Enter before each command.
    """

    def __init__(self, pause: bool) -> None:
        """Prepare; nothing is typed yet."""
        self._pause = pause
        self._step = 0

    def explain(self, text: str) -> None:
        """Begin a step with a short sentence."""
        self._step += 1
        console.print()
        console.print(Text(f"{self._step}. {text}", style="bold"))

    def run(self, command: str) -> str:
        """Type a command, show what it prints, and return that."""
        self._type(command)
        output = self._output_of(command)
        self._show(output)
        return output

    def run_in_shell(self, *lines: str) -> str:
        """Type lines into `verdi shell`, show what it prints, and return that."""
        self._type("verdi shell")
        output = self._output_of("verdi shell", "\n".join([*lines, "exit()\n"]))
        # The shell is not on a terminal and so echoes nothing: each line goes behind
        # the prompt at which it was read. Before the first prompt is only a banner.
        prompts = PROMPT.findall(output)
        replies = PROMPT.split(output)[1:]
        expect(len(prompts) > len(lines), f"a prompt for each line, got: {output!r}")
        for prompt, line, reply in zip(prompts, lines, replies, strict=False):
            console.print(Text(prompt, style="green"), Text(line, style="cyan"), sep="")
            self._show(reply)
        expect("Traceback" not in output, "no error in `verdi shell`")
        return "".join(replies)

    def _type(self, command: str) -> None:
        if self._pause:
            console.input(Text("(Enter)", style="dim"))
        else:
            console.print()
        console.print(Text(f"$ {command}", style="cyan"))

    def _output_of(self, command: str, typed: str = "") -> str:
        try:
            done = subprocess.run(
                shlex.split(command),
                input=typed,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                env=os.environ | {"COLUMNS": str(console.width)},
                timeout=PATIENCE_SECONDS,
            )
        except FileNotFoundError as error:
            raise StepFailed(f"There is no `{error.filename}` on the PATH.") from error
        except subprocess.TimeoutExpired as error:
            raise StepFailed(
                f"`{command}` did not end within {PATIENCE_SECONDS:g} s."
            ) from error
        if done.returncode:
            self._show(done.stdout)
            raise StepFailed(f"`{command}` ended with exit code {done.returncode}.")
        return done.stdout

    def _show(self, output: str) -> None:
        # The tables of verdi are wider than a terminal; a file keeps their lines whole.
        if output.strip():
            console.print(Text(output.rstrip()), soft_wrap=not console.is_terminal)


def submit_game(terminal: Terminal) -> int:
    """Submit a game and return its PK."""
    terminal.explain("Submit the game. The daemon runs it.")
    output = terminal.run_in_shell(
        "from aiida.engine import submit",
        "from aiida.orm import Int",
        "from aiida_humanintheloop import HumanLoopWorkChain",
        "wf = submit(HumanLoopWorkChain, max_iters=Int(10))",
        "print(f'Submitted the game with PK={wf.pk}')",
    )
    submitted = re.search(r"PK=(\d+)", output)
    expect(submitted is not None, "the PK of the submitted game")
    return int(submitted[1])


def wait_for_question(talk: Conversation) -> None:
    """Return as soon as the game has asked and paused, or has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        letter = talk.wait(PATIENCE_SECONDS)
    except TimeoutError as error:
        raise StepFailed(f"The game asks nothing. {error}") from error
    # The question is in the extras a moment before the pause is in the database.
    while letter is not None and not talk.node.paused:
        expect(time.monotonic() < deadline, "the game to pause at its question")
        time.sleep(0.02)
        letter = talk.question()


def expect_waiting(talk: Conversation, attempts: int) -> None:
    """Check that the game is paused at a question, after so many counted attempts."""
    letter = talk.question()
    expect(letter is not None and talk.node.paused, "the game to stay paused")
    counted = sum(1 for letter in talk.mailbox.letters() if letter.answer)
    expect(counted == attempts, f"{attempts} counted attempts, not {counted}")


def look(terminal: Terminal, talk: Conversation) -> None:
    """See that the game waits, and for what."""
    pk = talk.node.pk
    wait_for_question(talk)
    terminal.explain("It is in the list, and its status says that it needs you.")
    table = terminal.run("verdi process list")
    row = re.search(rf"^ *{pk} .*$", table, re.MULTILINE)
    expect(row is not None and STATUS in row[0], f"{STATUS!r} in the row of {pk}")

    terminal.explain("What it wants to know is its extra `question`.")
    extras = terminal.run(f"verdi node extras {pk}")
    expect(f'"question": "{FIRST_QUESTION}"' in extras, f"{FIRST_QUESTION!r}")


def play_too_early(terminal: Terminal, talk: Conversation) -> None:
    """Play without an answer, and with one that is no number: the game stays paused."""
    pk = talk.node.pk
    terminal.explain("Play it without an answer: it says so and stays paused.")
    reply = terminal.run(f"verdi process play {pk}")
    expect(NO_ANSWER in reply, f"{NO_ANSWER!r}")
    expect_waiting(talk, attempts=0)

    terminal.explain("Answer with a word: that is no number, and costs no attempt.")
    terminal.run_in_shell(
        f"wf = load_node({pk})", "wf.base.extras.set('answer', 'fifty')"
    )
    reply = terminal.run(f"verdi process play {pk}")
    expect(NO_NUMBER in reply, f"{NO_NUMBER!r}")
    extras = terminal.run(f"verdi node extras {pk} -k question answer")
    expect(NO_NUMBER in extras, "the reason in the question")
    expect('"answer": null' in extras, "the bad answer to be cleared")
    expect_waiting(talk, attempts=0)


def guess_once(terminal: Terminal, talk: Conversation) -> None:
    """Answer with a number: the game goes on and asks the next question."""
    pk = talk.node.pk
    terminal.explain("Answer with a number, and play: the game goes on.")
    terminal.run_in_shell(f"wf = load_node({pk})", "wf.base.extras.set('answer', 50)")
    reply = terminal.run(f"verdi process play {pk}")
    expect(f"Process<{pk}> processed" in reply, "the game to be played")

    wait_for_question(talk)
    terminal.explain("The answer is cleared, and the next question is there.")
    extras = terminal.run(f"verdi node extras {pk} -k question answer")
    # One game in a hundred is won here; all that follows holds for it as well.
    hint = re.search(r"My number is (higher|lower) than 50\.|Correct!", extras)
    expect(hint is not None, "a hint on 50")
    expect('"answer": null' in extras, "the answer to be cleared")
    if not talk.node.is_terminated:
        expect_waiting(talk, attempts=1)


def finish(terminal: Terminal, talk: Conversation) -> None:
    """Let auto-guess win the game, and read how it went."""
    pk = talk.node.pk
    terminal.explain("auto-guess does all this for you; with --auto it even guesses.")
    output = terminal.run(f"{auto_guess()} {pk} --auto")
    talk.question()  # the node as the daemon left it
    expect(talk.node.is_finished_ok, "the game to be won, with exit status 0")
    result = talk.node.outputs.result.get_dict()
    history = result["history"]
    expect(history[0]["guess"] == 50, "50 as the first guess in the history")
    expect(history[-1]["feedback"] == "correct", "the number to be found")
    expect(result["message"] in output, f"{result['message']!r}")

    terminal.explain("The report has the whole history, refused answers too.")
    report = terminal.run(f"verdi process report {pk}")
    for line in (NO_ANSWER, NO_NUMBER, "Attempt 1: 50", "CORRECT"):
        expect(line in report, f"{line!r} in the report")
    attempts = len(re.findall(r"Attempt \d+:", report))
    expect(attempts == len(history), "an attempt in the report for each guess")

    terminal.explain("And the game is over.")
    status = terminal.run(f"verdi process status {pk}")
    expect("Finished [0]" in status, "'Finished [0]'")


def connect() -> None:
    """Load the profile and see that a game can run.

    :raises StepFailed: if there is no profile, or its daemon is not running.
    """
    try:
        if get_profile() is None:  # `verdi run` has loaded one already
            load_profile()
        runs = daemon_runs()
    except ConfigurationError as error:
        raise StepFailed(
            "There is no AiiDA profile with a daemon to walk through. "
            "`make up` starts the tutorial; `verdi presto` makes a profile."
        ) from error
    if not runs:
        raise StepFailed(
            "The daemon is not running, so nothing was submitted. "
            "Start it with `verdi daemon start`."
        )


def walk(terminal: Terminal) -> None:
    """Go through all steps; say what becomes of the game where that is cut short."""
    pk = None
    try:
        pk = submit_game(terminal)
        with Conversation(load_workflow(pk)) as talk:
            for step in (look, play_too_early, guess_once, finish):
                step(terminal, talk)
    except (KeyboardInterrupt, EOFError):
        ways_on = (
            f"The game {pk} is left as it is. Go on with: {auto_guess()} {pk}\n"
            f"or end it with: verdi process kill {pk}"
        )
        unknown = "Whether a game was submitted: verdi process list"
        console.print(Text(f"\n{ways_on if pk else unknown}"), soft_wrap=True)
        raise
    except HumanInTheLoopError as error:
        hint = f" See: verdi process report {pk}" if pk else ""
        raise StepFailed(f"{error}{hint}") from error


@click.command()
@click.option("--pause", is_flag=True, help="Wait for Enter before each command.")
def main(pause: bool) -> None:
    """Play the guessing game step by step, as the blog shows it."""
    if callable(signal.getsignal(signal.SIGINT)):  # it may be ignored, as by nohup
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        connect()
        walk(Terminal(pause))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except EOFError:
        sys.exit(1)
    console.print("\nEverything did what the text says.", style="bold green")


if __name__ == "__main__":
    try:
        main()
    except HumanInTheLoopError as error:
        console.print(Text(str(error), style="red"), soft_wrap=True)
        sys.exit(1)
