"""A patient person with many games, in a process of its own.

    python -m tests.soak.player NOTES SEED SECONDS PK...

Each answer and each end of a game goes as one line of JSON to the file NOTES.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

from aiida import load_profile
from sqlalchemy.exc import SQLAlchemyError

from aiida_humanintheloop.exceptions import Unreachable
from aiida_humanintheloop.inbox import Conversation, load_workflow
from aiida_humanintheloop.letter import Letter
from tests.profile import PROFILE

AWAY = (Unreachable, SQLAlchemyError)
QUESTION_SECONDS = 1.0
REST_SECONDS = 0.5


class Player:
    """One who plays several games at once, a few questions of one and then another.

    The question that was read last is answered at the next visit, when somebody else
    may have answered it. To the same question a player always says the same.
    """

    def __init__(self, notes: Path, seed: str, seconds: float, pks: list[int]) -> None:
        """Take the games; who this is, is told by the name of the notes."""
        self._by = f"{notes.stem}@example.org"
        self._notes = notes.open("a", buffering=1)
        self._seed = f"{seed} {notes.stem}"
        self._chance = random.Random(self._seed)
        self._bisects = self._chance.random() < 0.5
        self._until = time.monotonic() + seconds
        self._games = pks
        self._read: dict[int, Letter] = {}
        self._kept: dict[int, str] = {}

    def play(self) -> bool:
        """Play until all games have ended, and return whether they have in time."""
        while self._games and self._in_time():
            pk = self._chance.choice(self._games)
            try:
                ended = self._visit(pk)
            except (*AWAY, TimeoutError):
                time.sleep(REST_SECONDS)
                continue
            if ended:
                self._games.remove(pk)
                self._note(pk, ended=True)
        return not self._games

    def _in_time(self) -> bool:
        return time.monotonic() < self._until

    def _visit(self, pk: int) -> bool:
        """Answer a few questions and read one more; return whether the game is over."""
        with Conversation(load_workflow(pk), by=self._by, via="soak") as talk:
            letter = self._read.pop(pk, None) or talk.wait(QUESTION_SECONDS)
            for _ in range(self._chance.randint(1, 3)):
                if letter is None:
                    return True
                if letter.id == self._kept.get(pk):
                    time.sleep(REST_SECONDS)  # it was given, and will be taken
                    return False
                if self._give(talk, letter) != "accepted":
                    return False
                letter = talk.wait(QUESTION_SECONDS)
            if letter is not None:
                self._read[pk] = letter
            return letter is None

    def _give(self, talk: Conversation, letter: Letter) -> str:
        """Answer a question, again where nothing is heard of it; return the outcome."""
        value, begin, outcome = self._guess(talk, letter), time.monotonic(), "lost"
        while outcome == "lost" and self._in_time():
            try:
                verdict = talk.answer(value, letter.id)
                outcome, reason = str(verdict.outcome), verdict.reason
            except AWAY as error:
                reason = f"{type(error).__name__}: {error}"
                time.sleep(REST_SECONDS)
            seconds = time.monotonic() - begin
            said = {"value": value, "by": self._by, "outcome": outcome}
            said.update(reason=reason, seconds=round(seconds, 3))
            self._note(talk.pk, question=letter.id, **said)
        if outcome == "kept":
            self._kept[talk.pk] = letter.id
        if outcome != "accepted":
            time.sleep(REST_SECONDS)
        return outcome

    def _guess(self, talk: Conversation, letter: Letter) -> int:
        """Return a number that is still possible: the middle one, or any."""
        low, high = letter.question.kind.minimum, letter.question.kind.maximum
        for other in talk.mailbox.letters()[: int(letter.id)]:
            hint = re.search(r"(higher|lower) than (\d+)", other.question.text)
            if hint and hint[1] == "higher":
                low = max(low, int(hint[2]) + 1)
            elif hint:
                high = min(high, int(hint[2]) - 1)
        if self._bisects:
            return (low + high) // 2
        return random.Random(f"{self._seed} {talk.pk} {letter.id}").randint(low, high)

    def _note(self, pk: int, **said: Any) -> None:
        self._notes.write(json.dumps({"pk": pk, **said}) + "\n")


if __name__ == "__main__":
    load_profile(PROFILE)
    notes, seed, seconds, *pks = sys.argv[1:]
    player = Player(Path(notes), seed, float(seconds), [int(pk) for pk in pks])
    sys.exit(0 if player.play() else "not all games ended in time")
