"""Answer a workflow at the terminal, question after question, until it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aiida.orm import WorkChainNode

from . import render
from .conversation import Conversation
from .exceptions import Stopped
from .inbox import asking_below, named
from .letter import Letter
from .prompt import ask_person
from .text import one_line

__all__ = ["play_at_the_terminal"]

# "Waiting" is worth a line only if there is time to read it.
_PATIENCE_SECONDS = 1.0
_INTERRUPTED = 130

Player = Callable[[Conversation, Letter], object]


def play_at_the_terminal(
    node: WorkChainNode,
    command: str,
    player: Player | None = None,
    show_end: Callable[[WorkChainNode], None] = render.print_end,
    via: str = "terminal",
) -> int:
    """Show each question, send the answer, show the next.

    :param command: how the user called it, to tell how to come back.
    :param player: takes the talk and the open question and returns an answer; by
        default the person at the terminal does.
    :param show_end: prints how the workflow ended.
    :return: the exit code: 0 where the workflow ended well, 130 after Ctrl-C, else 1.
    """
    player = player or (lambda _talk, letter: ask_person(letter))
    come_back = f"Come back with: {command} {node.pk}"
    try:
        with Conversation(node, via=via) as talk:
            for letter in _questions(talk):
                _answer(talk, letter, player, come_back)
            show_end(node)
            return 0 if node.is_finished_ok else 1
    except (KeyboardInterrupt, EOFError) as stop:
        render.print_text(f"\nThe workflow waits for you. {come_back}")
        return _INTERRUPTED if isinstance(stop, KeyboardInterrupt) else 1


def _questions(talk: Conversation) -> Iterator[Letter]:
    """Yield each question as soon as it is asked, until the workflow ends."""
    while not talk.node.is_terminated:
        try:
            letter = talk.wait(_PATIENCE_SECONDS)
        except TimeoutError:
            if talk.node.paused:
                raise Stopped(
                    "Somebody paused the workflow, and it asks nothing. "
                    f"Let it go on with: verdi process play {talk.node.pk}"
                ) from None
            if where := asking_below(talk.node):
                raise Stopped(where) from None
            render.print_text("Waiting for the next question...", "dim")
            letter = talk.wait()
        if letter is not None:
            yield letter


def _answer(talk: Conversation, letter: Letter, player: Player, come_back: str) -> None:
    """Have one question answered; what is refused is asked for again."""
    render.print_question(letter, named([letter]))
    while True:
        verdict = talk.answer(player(talk, letter), letter.id)
        if verdict.outcome != "accepted":
            render.print_text(one_line(verdict.reason), "yellow")
        if verdict.outcome == "kept":
            raise Stopped(come_back)
        if verdict.accepted or letter.id not in [x.id for x in talk.questions()]:
            return
