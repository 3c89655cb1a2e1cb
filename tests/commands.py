"""The commands that a person types, run as that person would."""

from __future__ import annotations

import os
import subprocess
import warnings

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


def hitl(*arguments: str, fails: int = 0) -> str:
    """Run `aiida-hitl` on 80 columns in this process, and return what it printed.

    As a program it takes two seconds each time, nearly all of it to import AiiDA.

    :param fails: with this exit code, and the reason on standard error.
    """
    # Not before it is said where the settings of AiiDA are, see `tests.profile`.
    from click.testing import CliRunner

    from aiida_humanintheloop.cli.root import hitl as group
    from aiida_humanintheloop.database import look_anew

    look_anew()
    with warnings.catch_warnings():  # of Apprise, which takes an error for no answer
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(group, arguments, env={"COLUMNS": "80"})
    how = (done.exit_code, bool(done.stderr))
    assert how == (fails, bool(fails)), (done.output, done.exception)
    return done.stderr if fails else done.stdout


def hitl_program(
    *arguments: str, env: dict[str, str] | None = None, fails: int = 0
) -> str:
    """Run `aiida-hitl` as a program of its own, and return the same."""
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
