#!/usr/bin/env python
"""Draw docs/game.svg: a real game against the daemon, as its terminal showed it.

Usage: docs/make-picture.py, with a profile whose daemon is running. It types a word and
then guesses, and draws the first game that is neither dull nor long.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pexpect
from aiida import load_profile
from aiida.engine import submit
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from aiida_humanintheloop import HumanLoopWorkChain
from aiida_humanintheloop.inbox import Conversation

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "game.svg"
COLUMNS = 84
GUESSES = (3, 4)
TITLE = "A guessing game in the terminal, played against a running AiiDA workflow"

# Rich asks a server for its font; this picture asks nobody for anything.
SVG = f"""\
<svg role="img" viewBox="0 0 {{width}} {{height}}" xmlns="http://www.w3.org/2000/svg">
<title>{TITLE}</title>
<style>
.{{unique_id}}-matrix {{{{
font: {{char_height}}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
white-space: pre
}}}}
{{styles}}
</style>
{{chrome}}
<g transform="translate({{terminal_x}}, {{terminal_y}})">
{{backgrounds}}
<g class="{{unique_id}}-matrix">
{{matrix}}
</g>
</g>
</svg>
"""


def answer(terminal: pexpect.spawn) -> None:
    """Answer like a person who first answers with a word, then bisects."""
    low, high, said = 1, 100, ["fifty"]
    while terminal.expect_exact(["Your answer: ", pexpect.EOF]) == 0:
        hint = re.search(r"(higher|lower) than (\d+)", terminal.before)
        if hint and hint[1] == "higher":
            low = int(hint[2]) + 1
        elif hint:
            high = int(hint[2]) - 1
        terminal.sendline(said.pop() if said else str((low + high) // 2))


def play() -> tuple[int, str]:
    """Play one game in a terminal; return the number of guesses and what it showed."""
    game = submit(HumanLoopWorkChain)
    with Conversation(game) as talk:
        talk.wait(timeout=60)
        shown = io.StringIO()
        terminal = pexpect.spawn(
            str(ROOT / "scripts" / "auto-guess.py"),
            [str(game.pk)],
            env=os.environ | {"TERM": "xterm-256color"},
            encoding="utf-8",
            dimensions=(60, COLUMNS),
        )
        terminal.logfile_read = shown
        answer(terminal)
        terminal.close()
        talk.question()  # the node as the daemon left it
    if terminal.exitstatus:
        sys.exit(f"The game {game.pk} was not won: {shown.getvalue()}")
    # The command as the tutorial has it on the PATH, not where it lies here.
    prompt = f"\x1b[32m$\x1b[0m \x1b[1mauto-guess.py {game.pk}\x1b[0m\n"
    screen = prompt + shown.getvalue().replace("\r\n", "\n").rstrip()
    return len(game.outputs.result["history"]), screen


def draw(screen: str) -> str:
    """Return the screen as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(screen))
    svg = console.export_svg(theme=MONOKAI, code_format=SVG, title="")
    # Nothing has to be cut off, and an end of a line needs no glyph.
    svg = re.sub(r' clip-path="[^"]*"', "", svg)
    svg = re.sub(r"<text [^>]*>\n</text>", "", svg)
    return re.sub(r"(\d+\.\d)\d+", r"\1", svg)


if __name__ == "__main__":
    load_profile()
    guesses = 0
    while guesses not in GUESSES:
        guesses, screen = play()
    PICTURE.write_text(draw(screen), encoding="utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")
