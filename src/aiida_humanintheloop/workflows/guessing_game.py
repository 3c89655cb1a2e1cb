"""The guessing game: the smallest workflow that needs a person to go on."""

from __future__ import annotations

import random

from aiida.engine import calcfunction, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec
from aiida.orm import Dict, Int, Str, to_aiida_type

from ..interactive import InteractiveWorkChain
from ..kinds import Integer
from ..question import Question

__all__ = ["HumanLoopWorkChain"]

LOWEST, HIGHEST = 1, 100


def at_least_one(value: Int | None, _port: object) -> str | None:
    """Refuse a game in which nobody may guess."""
    if value is not None and value.value < 1:
        return f"`max_iters` must be 1 or more, got {value.value}."
    return None


def hidden_number(uuid: str) -> int:
    """Return the number of the game with this UUID.

    Made anew each time: what a process keeps in its context lies readable in the node's
    checkpoint, where a player would find it.
    """
    return random.Random(uuid).randint(LOWEST, HIGHEST)


def feedback_on(guess: int, target: int) -> str:
    """Return where the hidden number is, as seen from the guess."""
    if guess == target:
        return "correct"
    return "higher" if guess < target else "lower"


@calcfunction
def sum_up(game: Str, **guesses: Int) -> Dict:
    """Return how a game went: `message`, and `history`.

    :param game: UUID of the workflow, from which its number follows.
    :param guesses: the decisions of the player, as `guess_1` and so on.
    """
    target = hidden_number(game.value)
    made = [guesses[f"guess_{number + 1}"].value for number in range(len(guesses))]
    history = [{"guess": each, "feedback": feedback_on(each, target)} for each in made]
    found = f"Found {target} in" if target in made else "Failed after"
    message = f"{found} {len(made)} attempts"
    return Dict(dict={"message": message, "history": history})


class HumanLoopWorkChain(InteractiveWorkChain):
    """Pick a number between 1 and 100 and let a person guess it.

    The answers come from outside, so `result` depends on more than the inputs.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:  # type: ignore[override]
        """Declare the inputs, the steps and the outputs."""
        super().define(spec)
        spec.input(
            "max_iters",
            valid_type=Int,
            default=lambda: Int(20),
            serializer=to_aiida_type,
            validator=at_least_one,
            help="How many guesses there are at most.",
        )
        spec.outline(
            cls.setup,
            while_(cls.not_finished)(cls.ask_and_pause, cls.process_answer),
            cls.finish,
        )
        spec.output(
            "result",
            valid_type=Dict,
            required=False,
            help="`message`, and `history`: each `guess` with its `feedback`.",
        )

    def setup(self) -> None:
        """Begin with no guess made."""
        self.ctx.history = []
        self.ctx.question = f"Guess a number between {LOWEST} and {HIGHEST}."
        self.report("initialized (target hidden)")

    def not_finished(self) -> bool:
        """Go on until the number is found, or the guesses are used up."""
        return not self._found and len(self.ctx.history) < self.inputs.max_iters.value

    def ask_and_pause(self) -> None:
        """Ask for a guess."""
        self.ask(Question(self.ctx.question, Integer(LOWEST, HIGHEST)))

    def process_answer(self) -> None:
        """Compare the guess with the hidden number."""
        guess = self.answer().value
        feedback = feedback_on(guess, hidden_number(self.uuid))
        self.ctx.history.append({"guess": guess, "feedback": feedback})
        self.ctx.question = f"My number is {feedback} than {guess}. Try again."
        told = "CORRECT" if self._found else f"answer is {feedback}"
        self.report(f"Attempt {len(self.ctx.history)}: {guess} — {told}")

    def finish(self) -> None:
        """Say how it ended."""
        made = {f"guess_{n}": guess for n, guess in enumerate(self.answers(), start=1)}
        self.out("result", sum_up(Str(self.uuid), **made))
        attempts = len(made)
        if self._found:
            guess = self.ctx.history[-1]["guess"]
            last_word = (
                f"Correct! The number was {guess}. Attempts: {attempts}. Finished!"
            )
        else:
            last_word = f"Stopped after {attempts} attempts. (target hidden)"
            self.report(f"finished without finding the number in {attempts} attempts")
        self.mailbox.announce(last_word)

    @property
    def _found(self) -> bool:
        history = self.ctx.history
        return bool(history) and history[-1]["feedback"] == "correct"
