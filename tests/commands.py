"""The commands that a person types, run as that person would."""

from __future__ import annotations

import os
import subprocess

import pexpect

from tests.patience import PATIENCE_SECONDS


def verdi(*arguments: str) -> str:
    """Run `verdi` as a person would, and return what it printed."""
    done = subprocess.run(
        ["verdi", *arguments], text=True, capture_output=True, timeout=PATIENCE_SECONDS
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"verdi {' '.join(arguments)}: {output}"
    return output


def hitl(*arguments: str, env: dict[str, str] | None = None, fails: int = 0) -> str:
    """Run `aiida-hitl` on 80 columns, and return what it printed.

    :param fails: with this exit code, and the reason on standard error.
    """
    environment = {**os.environ, "COLUMNS": "80", **(env or {})}
    done = subprocess.run(
        ["aiida-hitl", *arguments],
        text=True,
        capture_output=True,
        env=environment,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, bool(done.stderr)) == (fails, bool(fails)), done
    return done.stderr if fails else done.stdout


def terminal(program: str, *arguments: object) -> pexpect.spawn:
    """Start a program in a terminal of 80 columns."""
    return pexpect.spawn(
        program,
        [str(argument) for argument in arguments],
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 80),
        env={**os.environ, "TERM": "xterm"},
    )
