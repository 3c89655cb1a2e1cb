"""Play hundreds of games while everything that can fail fails, and judge all of it.

`make soak` is the long form, tests/test_soak.py runs a short one. The profile is an
embedded one, made for it and thrown away, or what AIIDA_TEST_PROFILE names.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psutil

from tests.commands import verdi
from tests.profile import PROFILE, empty_folder, have_daemon, have_profile

SLOTS = 5  # far fewer than there are games
INTERRUPTED = 130


@click.command(help=__doc__)
@click.option("--games", default=500, show_default=True, help="How many are played.")
@click.option("--players", default=20, show_default=True, help="How many play them.")
@click.option("--minutes", default=20.0, show_default=True, help="At most so long.")
@click.option("--faults", default=100, show_default=True, help="At most so many.")
@click.option("--workers", default=1, show_default=True, help="Of the daemon.")
@click.option("--seed", type=int, help="Of faults and guesses; by default a new one.")
@click.option("--keep", is_flag=True, help="Keep the folder, with notes and logs.")
def main(
    games: int,
    players: int,
    minutes: float,
    faults: int,
    workers: int,
    seed: int | None,
    keep: bool,
) -> None:
    """Soak, and exit with 0 if all went well, with 1 if not."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.randrange(10**6) if seed is None else seed
    try:
        with own_folder(keep) as folder, services(folder, workers):
            print(f"{games} games, {players} players, seed {seed}, folder {folder}")
            from tests.soak.course import Soak  # AiiDA knows its folder by now

            well = Soak(folder, games, players, minutes, faults, seed).run()
    except KeyboardInterrupt:
        print("\nInterrupted: all is stopped.")
        sys.exit(INTERRUPTED)
    sys.exit(0 if well else 1)


@contextmanager
def own_folder(keep: bool) -> Iterator[Path]:
    """Give a folder that is AiiDA's, too, unless there is a profile already."""
    folder = empty_folder()
    try:
        yield folder
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def services(folder: Path, workers: int) -> Iterator[None]:
    """Have a profile and its daemon; those of its own are ended, whatever happened."""
    try:
        have_profile()
        if PROFILE is None:
            verdi("config", "set", "daemon.worker_process_slots", str(SLOTS))
            verdi("config", "set", "daemon.default_workers", str(workers))
        have_daemon()
        yield
    finally:
        # A second Ctrl-C would leave half of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if PROFILE is not None:
            have_daemon()
        else:
            kill_all_of(folder)


def kill_all_of(folder: Path) -> None:
    """End what was started with this folder as AiiDA's, in whatever state it is."""
    while left := [each for each in psutil.process_iter() if belongs_to(folder, each)]:
        for process in left:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(left)


def belongs_to(folder: Path, process: psutil.Process) -> bool:
    """Return whether a process, other than this one, has the folder as AiiDA's."""
    try:
        theirs = process.environ().get("AIIDA_PATH", "")
    except psutil.Error:
        return False  # it has ended, or is somebody else's
    return theirs.startswith(str(folder)) and process.pid != os.getpid()


if __name__ == "__main__":
    main()
