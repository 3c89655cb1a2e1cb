"""What has to hold of a game in the end, whatever happened meanwhile.

The engine's result, the plugin's record and the reports have to tell of the same
guesses, each once and in order; and these have to be what the players gave, and were
told of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Game", "Given", "Letter", "complaints", "repeated"]

# Given to a question on which nobody else had a say, these came to count.
_MAY_COUNT = ("accepted", "kept", "lost")


@dataclass(frozen=True)
class Letter:
    """A question as the plugin's record has it, with the answer that counted."""

    id: str
    value: Any
    by: str | None


@dataclass(frozen=True)
class Given:
    """An answer as its player noted it.

    :param outcome: of the verdict, or `lost` where none came.
    :param reason: of the verdict.
    :param seconds: since the player began to answer this question.
    """

    question: str
    value: int
    by: str
    outcome: str
    reason: str = ""
    seconds: float = 0.0

    def is_in(self, letter: Letter) -> bool:
        """Return whether this is the answer that counted."""
        return (self.value, self.by) == (letter.value, letter.by)


@dataclass(frozen=True)
class Game:
    """What is left of a game.

    :param state: as `verdi process list` shows it.
    :param target: the number that was to be guessed.
    :param letters: the questions, oldest first.
    :param history: the entries of the output `result`.
    :param reports: what the workflow reported, oldest first.
    :param given: what the players noted.
    """

    pk: int
    state: str
    target: int
    letters: list[Letter]
    history: list[dict[str, Any]] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)


def repeated(game: Game) -> int:
    """Return how many steps of a game have run again after they had reported."""
    attempts = [each for each in game.reports if each.startswith("Attempt ")]
    return len(attempts) - len(set(attempts))


def complaints(game: Game) -> list[str]:
    """Return what is wrong with a game, in words; nothing if it went well."""
    if game.state != "Finished [0]":
        return [f"{game.pk} is {game.state}, at question {len(game.letters)}"]
    wrong = [*_of_its_record(game)]
    for number, letter in enumerate(game.letters, start=1):
        if letter.id != str(number):
            wrong.append(f"question {number} has the number {letter.id}")
        wrong += _of_a_question(letter, game.given)
    asked = {letter.id for letter in game.letters}
    wrong += [
        f"question {each.question} was answered and never asked"
        for each in game.given
        if each.question not in asked
    ]
    return [f"{game.pk}: {each}" for each in wrong]


def _of_its_record(game: Game) -> Iterator[str]:
    """Yield where result and reports differ from the answers that counted."""
    history, reports = [], []
    for number, letter in enumerate(game.letters, start=1):
        feedback = _feedback(letter.value, game.target)
        told = "CORRECT" if feedback == "correct" else f"answer is {feedback}"
        history.append({"guess": letter.value, "feedback": feedback})
        reports.append(f"Attempt {number}: {letter.value} — {told}")
    if game.history != history:
        yield f"its result has {game.history}, and its questions {history}"
    attempts = [report for report in game.reports if report.startswith("Attempt ")]
    # A step that its worker dies in runs again, and reports again, see `repeated`.
    if list(dict.fromkeys(attempts)) != reports:
        yield f"it reported {attempts}, and its questions have {reports}"
    if not game.letters or game.letters[-1].value != game.target:
        yield f"it ended without {game.target}"


def _feedback(guess: Any, target: int) -> str:
    if not isinstance(guess, int):
        return "none"
    return "correct" if guess == target else "higher" if guess < target else "lower"


def _of_a_question(letter: Letter, given: list[Given]) -> Iterator[str]:
    """Yield where the players were told something else than what came to count."""
    here = [each for each in given if each.question == letter.id]
    what = f"the answer {letter.value} by {letter.by} to question {letter.id}"
    if not any(each.is_in(letter) and each.outcome in _MAY_COUNT for each in here):
        yield f"{what} counted, and nobody gave it"
    accepted = [each for each in here if each.outcome == "accepted"]
    if len(accepted) > 1:
        yield f"question {letter.id} was accepted {len(accepted)} times"
    for each in here:
        told = f"{each.by}'s {each.value} to question {letter.id} was {each.outcome}"
        if each.outcome == "accepted" and not each.is_in(letter):
            yield f"{told}, and {what} counted"
        elif each.outcome == "kept" and each.by == letter.by and not each.is_in(letter):
            # Somebody else's may be judged before it: the first that is judged counts.
            yield f"{told}, and {what} counted"
        elif each.outcome == "refused" and not _is_true(each.reason, letter):
            yield f"{told}: {each.reason!r}, and {what} counted"


def _is_true(reason: str, letter: Letter) -> bool:
    """Return whether somebody was told rightly why an answer did not count."""
    first = re.search(r"already answered with (\S+) by (\S+) at ", reason)
    if first:
        return (first[1], first[2]) == (str(letter.value), str(letter.by))
    return "is kept already" in reason
