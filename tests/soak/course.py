"""The course of a soak: games and players begin, faults happen, and all is judged."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiida.engine import submit
from aiida.orm import WorkChainNode

from aiida_humanintheloop import HumanLoopWorkChain
from tests import REPOSITORY
from tests.faults import possible, wait_for_services
from tests.processes import kill_unfinished
from tests.profile import PROFILE, have_daemon, refresh
from tests.soak.evidence import Note, left_over_tasks, look_at, read_notes
from tests.soak.judge import Game, complaints, repeated

__all__ = ["Soak"]

GUESSES = 100  # a game ends before: each guess leaves at least one number less
SHARED = 10  # one game of so many has two players
# Between faults, on average: the more games, the longer a worker takes them up.
SECONDS, SECONDS_PER_GAME = 3.0, 0.02
FAULTS_UNTIL = 0.5  # of the time; the rest is for what was held up
# The image gives a server up that ends a fourth time within 20 s of its start.
MOST_LATELY, LATELY_SECONDS = 3, 80.0
LINE_SECONDS = 10.0
GRACE_SECONDS = 60.0
# A second task of a process that another worker has is dropped when that has ended, by
# a look twice a second. No client can see whether it is.
LAST_TASK_SECONDS = 3.0

Players = dict[str, "subprocess.Popen[bytes]"]


class Soak:
    """One soak of the loaded profile, whose daemon runs.

    :param folder: where the notes and the output of the players go.
    :param games: how many games are played.
    :param players: how many processes play them.
    :param minutes: how long all that may take.
    :param faults: how many faults happen at most.
    :param seed: of the faults and of the guesses.
    """

    def __init__(
        self,
        folder: Path,
        games: int,
        players: int,
        minutes: float,
        faults: int,
        seed: int,
    ) -> None:
        """Begin to count the time; nothing else happens yet."""
        self._folder = folder
        self._games: list[WorkChainNode] = []
        self._number_of_games = games
        self._number_of_players = players
        self._begin = time.monotonic()
        self._end = self._begin + 60 * minutes
        self._peace = self._begin + FAULTS_UNTIL * 60 * minutes
        self._next_line = self._begin
        self._most_faults = faults
        self._seed = seed
        self._faults: Counter[str] = Counter()
        self._last: list[tuple[float, str]] = []
        self._wrong: list[str] = []

    def run(self) -> bool:
        """Do it all and tell of it; return whether all went well."""
        try:
            self._submit()
            with self._players() as players:
                self._do_faults(players)
                self._watch(players, self._end + GRACE_SECONDS)
                self._see_how_they_ended(players)
            self._judge()
        finally:
            if PROFILE is not None:  # others go on with it
                kill_unfinished(self._games)
        self._say(self._summary())
        for each in self._wrong:
            print(f"WRONG: {each}")
        return not self._wrong

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._begin:5.1f} s] {text}", flush=True)

    # region what happens

    def _submit(self) -> None:
        for _ in range(self._number_of_games):
            self._games.append(submit(HumanLoopWorkChain, max_iters=GUESSES))
        self._say(f"{len(self._games)} games are submitted")

    @contextmanager
    def _players(self) -> Iterator[Players]:
        """Have each player play its share of the games, in a process of its own."""
        pks, number = [game.pk for game in self._games], self._number_of_players
        shares = [set(pks[first::number]) for first in range(number)]
        for index in range(0, len(pks), SHARED):
            shares[(index + 1 + index // number) % number].add(pks[index])
        names = [f"player-{each + 1:02}" for each in range(number)]
        players: Players = {}
        try:
            for name, share in zip(names, shares, strict=True):
                players[name] = self._start_player(name, share)
            yield players
        finally:
            for player in players.values():
                player.terminate()
                player.wait()

    def _start_player(self, name: str, share: set[int]) -> subprocess.Popen[bytes]:
        notes = self._folder / f"{name}.jsonl"
        arguments = [notes, self._seed, self._end - time.monotonic(), *sorted(share)]
        with notes.with_suffix(".log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.soak.player", *map(str, arguments)],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the soak, which ends them
            )

    def _do_faults(self, players: Players) -> None:
        """Do one fault after the other, at random moments, while anybody plays."""
        chance, faults = random.Random(self._seed), possible()
        often = 1 / (SECONDS + SECONDS_PER_GAME * self._number_of_games)
        while not read_notes(self._folder) and self._watch(players, self._peace, 0.1):
            pass
        for _ in range(self._most_faults):
            if not self._watch(players, self._peace, chance.expovariate(often)):
                return
            names = [each for each in sorted(faults) if self._may(each)]
            if not names:
                continue
            name = chance.choice(names)
            self._say(name)
            self._last.append((time.monotonic(), name))
            try:
                faults[name]()
                wait_for_services()
                self._faults[name] += 1
            except Exception as error:  # whatever it is, it is told in the end
                self._wrong.append(f"{name}: {type(error).__name__}: {error}")
                self._say(self._wrong[-1])
                have_daemon()
                wait_for_services()

    def _may(self, name: str) -> bool:
        """Return whether what it happens to has not had too much of it lately."""
        since = time.monotonic() - LATELY_SECONDS
        to_whom = name.split()[1]
        lately = [name for when, name in self._last if when > since and to_whom in name]
        return len(lately) < MOST_LATELY

    def _watch(
        self, players: Players, until: float, seconds: float = float("inf")
    ) -> bool:
        """Show for some seconds how it goes; return whether it goes on after them.

        :param until: when it is over, whatever happens.
        """
        until = min(until, self._end + GRACE_SECONDS)
        end = min(until, time.monotonic() + seconds)
        while any(player.poll() is None for player in players.values()):
            if time.monotonic() > self._next_line:
                self._next_line = time.monotonic() + LINE_SECONDS
                self._say(self._progress())
            if time.monotonic() > end:
                return end < until
            time.sleep(0.1)
        return False

    def _see_how_they_ended(self, players: Players) -> None:
        for name, player in players.items():
            if player.poll() != 0:
                said = (self._folder / f"{name}.log").read_text()[-2000:]
                how = "does not end" if player.poll() is None else "ended badly"
                self._wrong.append(f"{name} {how}: {said}")

    # endregion
    # region what is said of it

    def _judge(self) -> None:
        """Look for whatever is wrong, once all is quiet."""
        wait_for_services()
        have_daemon()
        self._say("judging")
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._all_ended() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(LAST_TASK_SECONDS)
        notes: dict[int, list[Note]] = {game.pk: [] for game in self._games}
        for note in read_notes(self._folder):
            notes[note["pk"]].append(note)
        games = [look_at(game, notes[game.pk]) for game in self._games]
        for game in games:
            self._wrong += complaints(game)
        self._wrong += self._of_all(games)
        self._wrong += left_over_tasks([game.pk for game in self._games])

    def _of_all(self, games: list[Game]) -> Iterator[str]:
        """Yield what no single game shows."""
        again, faults = sum(map(repeated, games)), sum(self._faults.values())
        if again > faults:  # a worker is in one step at a time
            yield f"{again} steps ran again, and {faults} faults can have caused it"
        lost = [x for game in games for x in game.given if x.outcome == "lost"]
        if lost and not any("database" in name for name in self._faults):
            yield f"{len(lost)} answers got no verdict: {lost[0].reason}"

    def _all_ended(self) -> bool:
        refresh()
        return all(game.is_terminated for game in self._games)

    def _progress(self) -> str:
        notes = read_notes(self._folder)
        ended = {note["pk"] for note in notes if "ended" in note}
        outcomes = Counter(note["outcome"] for note in notes if "outcome" in note)
        said = [f"{len(ended)} of {self._number_of_games} games ended"]
        said += [f"{number} answers {name}" for name, number in outcomes.most_common()]
        return ", ".join(said)

    def _summary(self) -> str:
        notes = [note for note in read_notes(self._folder) if "outcome" in note]
        slowest = max((note["seconds"] for note in notes), default=0.0)
        faults = [f"{number} x {name}" for name, number in self._faults.most_common()]
        lines = [
            self._progress(),
            f"{sum(self._faults.values())} faults: {', '.join(faults) or 'none'}",
            f"slowest answer: {slowest:.1f} s",
            f"seed {self._seed}: {len(self._wrong) or 'nothing'} wrong",
        ]
        return "\n".join(lines)

    # endregion
