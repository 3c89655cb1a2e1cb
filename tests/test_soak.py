"""The soak in its short form, and what its judge would find."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import REPOSITORY
from tests.faults import wait_for_services
from tests.profile import PROFILE, have_daemon
from tests.soak.judge import Game, Given, Letter, complaints, repeated

ADA, BOB, CYD = (f"{name}@example.org" for name in ("ada", "bob", "cyd"))
SHORT = ("--games", "50", "--players", "5", "--faults", "6", "--minutes", "3")
TWO_WORKERS = ("--workers", "2")  # where the profile is the soak's own
# More than it takes to end by itself, whatever happens: then it says what is wrong.
SECONDS = 540
Process = subprocess.Popen[str]


@pytest.fixture
def services_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have the tests after this one find what the soak ended under them."""
    if PROFILE is not None:
        request.getfixturevalue("daemon")
    yield
    if PROFILE is not None:
        wait_for_services()
        have_daemon()


@pytest.fixture
def soak() -> Iterator[Callable[..., Process]]:
    """Return a function that starts a soak, which is ended if it is not by then."""
    started: list[Process] = []

    def start(*options: str) -> Process:
        started.append(
            subprocess.Popen(
                [sys.executable, "-u", "-m", "tests.soak", *options],
                cwd=REPOSITORY,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


@pytest.mark.daemon  # its own
@pytest.mark.restarts_daemon
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.usefixtures("services_afterwards")
def test_nothing_is_lost_in_a_bad_minute(soak: Callable[..., Process]) -> None:
    """All games end well, with what the players gave, each answer once."""
    process = soak(*SHORT, *TWO_WORKERS, "--seed", str(random.randrange(10**6)))
    output, _ = process.communicate(timeout=SECONDS)
    print(output)
    assert process.returncode == 0
    assert re.search(r"50 of 50 games ended, .*accepted", output)
    assert re.search(r"^[1-9]\d* faults: ", output, re.M)


@pytest.mark.skipif(PROFILE is not None, reason="that profile is not the soak's to end")
@pytest.mark.daemon
def test_ctrl_c_stops_all_and_removes_the_folder(soak: Callable[..., Process]) -> None:
    """In the middle of it: players, daemon and broker are gone."""
    process = soak("--games", "3", "--players", "2", "--minutes", "5")
    lines = []
    while "games ended" not in "".join(lines):  # by now all of it runs
        lines.append(process.stdout.readline())
        assert lines[-1], "it ended by itself"
    folder = Path(lines[0].split()[-1])
    assert len(users_of(folder)) >= 5  # the soak, players, daemon, broker and worker
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not folder.exists()
    assert users_of(folder) == []


def users_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that have the folder in their environment."""
    users = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(folder) in " ".join(process.environ().values()):
                users.append(process)
    return users


GAME = Game(
    pk=7,
    state="Finished [0]",
    target=75,
    letters=[Letter("1", 50, ADA), Letter("2", 75, BOB)],
    history=[
        {"guess": 50, "feedback": "higher"},
        {"guess": 75, "feedback": "correct"},
    ],
    reports=[
        "initialized (target hidden)",
        "Attempt 1: 50 — answer is higher",
        "Attempt 1: 50 — answer is higher",  # the worker died in that step
        "Attempt 2: 75 — CORRECT",
    ],
    given=[
        Given("1", 50, ADA, "lost", "OperationalError: the server is away"),
        Given("1", 50, ADA, "refused", f"already answered with 50 by {ADA} at noon."),
        Given("2", 60, ADA, "kept"),
        Given("2", 75, BOB, "accepted"),
        Given("2", 80, CYD, "refused", f"already answered with 75 by {BOB} at noon."),
    ],
)


def test_the_judge_takes_what_is_well() -> None:
    """With an answer whose verdict was lost, and one that came too late."""
    assert complaints(GAME) == []
    assert repeated(GAME) == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"state": "Excepted"}, "7 is Excepted, at question 2"),
        ({"history": GAME.history[1:]}, "its result has"),
        ({"history": [GAME.history[0], *GAME.history]}, "its result has"),
        ({"reports": GAME.reports[::-1]}, "it reported"),
        ({"reports": GAME.reports[:-1]}, "it reported"),
        ({"target": 76}, "it ended without 76"),
        ({"letters": GAME.letters[1:]}, "question 1 has the number 2"),
        ({"letters": [Letter("1", None, None), GAME.letters[1]]}, "nobody gave it"),
        ({"letters": [Letter("1", 50, BOB), GAME.letters[1]]}, "nobody gave it"),
        ({"given": GAME.given[2:]}, "nobody gave it"),
        ({"given": [*GAME.given, GAME.given[3]]}, "accepted 2 times"),
        (
            {"given": [*GAME.given, Given("2", 80, ADA, "accepted")]},
            "and the answer 75",
        ),
        ({"given": [*GAME.given, Given("2", 80, BOB, "kept")]}, "and the answer 75"),
        ({"given": [*GAME.given, Given("2", 1, ADA, "refused", "No.")]}, "was refused"),
        (
            {
                "given": [
                    *GAME.given,
                    Given(
                        "2", 1, ADA, "refused", f"already answered with 1 by {BOB} at"
                    ),
                ]
            },
            "was refused",
        ),
        ({"given": [*GAME.given, Given("4", 1, ADA, "accepted")]}, "never asked"),
    ],
)
def test_the_judge_finds(wrong: dict[str, Any], words: str) -> None:
    """Whatever could be wrong with a game."""
    assert any(words in each for each in complaints(replace(GAME, **wrong)))
