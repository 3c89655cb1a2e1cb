"""walkthrough.py, run as `make walkthrough` does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pexpect
import pytest
from aiida.orm import QueryBuilder, WorkChainNode, load_node

from tests import REPOSITORY
from tests.commands import terminal, verdi
from tests.processes import paused
from tests.profile import refresh

SCRIPT = str(REPOSITORY / "scripts" / "walkthrough.py")
COMMANDS = [
    "verdi process list",
    "verdi node extras {pk}",
    "wf.base.extras.set('answer', 'fifty')",
    "wf.base.extras.set('answer', 50)",
    "verdi process play {pk}",
    "verdi process report {pk}",
]


def walk(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script, stderr and stdout as one text."""
    return subprocess.run(
        SCRIPT,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
        timeout=200,
    )


def games() -> int:
    """Return how many workflows there are."""
    refresh()
    return QueryBuilder().append(WorkChainNode).count()


def test_every_command_is_shown_and_the_game_is_won(game: WorkChainNode) -> None:
    """Another game that waits in the same list does not confuse it."""
    done = walk()
    assert done.returncode == 0, done.stdout
    submitted = re.search(r"PK=(\d+)$", done.stdout, re.MULTILINE)
    assert submitted, done.stdout
    pk = submitted[1]
    for command in COMMANDS:
        assert command.format(pk=pk) in done.stdout
    assert f"auto-guess.py {pk} --auto" in done.stdout
    assert done.stdout.endswith("Everything did what the text says.\n")
    assert "\x1b" not in done.stdout
    assert paused(game)
    assert load_node(int(pk)).is_finished_ok


def test_without_a_daemon_it_says_so_and_submits_nothing(profile: str) -> None:
    """One line, exit code 1, and no game that nobody asked for later."""
    verdi("daemon", "stop")
    before = games()
    done = walk()
    assert done.returncode == 1
    assert done.stdout == (
        "The daemon is not running, so nothing was submitted. "
        "Start it with `verdi daemon start`.\n"
    )
    assert games() == before


def test_without_a_profile_it_says_what_makes_one(tmp_path: Path) -> None:
    """One line, exit code 1."""
    (tmp_path / ".aiida").mkdir()
    done = walk(AIIDA_PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == (
        "There is no AiiDA profile with a daemon to walk through. "
        "`make up` starts the tutorial; `verdi presto` makes a profile.\n"
    )


@pytest.mark.usefixtures("daemon")
def test_a_command_that_does_something_else_fails_the_walk(tmp_path: Path) -> None:
    """What is shown is judged: a `verdi` that lists nothing is found out."""
    impostor = tmp_path / "verdi"
    impostor.write_text(
        "#!/bin/sh\n"
        'if [ "$1 $2" = "process list" ]; then echo nothing; exit 0; fi\n'
        f'PATH={os.environ["PATH"]} exec verdi "$@"\n'
    )
    impostor.chmod(0o755)
    done = walk(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1
    *_, last = done.stdout.splitlines()
    assert last.startswith("This went wrong: expected ")
    left = re.search(r"See: verdi process report (\d+)$", last)
    assert left, last
    verdi("process", "kill", left[1])


@pytest.mark.usefixtures("daemon")
def test_with_pause_enter_goes_on_and_ctrl_c_leaves_the_game_waiting() -> None:
    """The walk ends with 130 and says how to go on; the game is not lost."""
    walker = terminal(SCRIPT, "--pause")
    walker.expect_exact("(Enter)")
    walker.sendline()
    walker.expect(r"PK=(\d+)\r\n")
    pk = walker.match[1]
    walker.expect_exact("(Enter)")
    walker.sendintr()
    walker.expect(
        rf"The game {pk} is left as it is\. Go on with: .*auto-guess\.py {pk}"
    )
    walker.expect_exact(f"verdi process kill {pk}")
    walker.expect(pexpect.EOF)
    walker.close()
    assert walker.exitstatus == 130
    assert paused(load_node(int(pk)))
    verdi("process", "kill", pk)
