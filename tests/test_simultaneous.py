"""Two people answer at the same moment, from two processes, again and again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

from aiida.orm import WorkChainNode

from aiida_humanintheloop import Question
from tests.asking import AskAgain

ROUNDS = 50


def answer_all(profile: str, pk: int, name: str, together: Barrier, said: Any) -> None:
    """Answer each question in the moment in which the other does."""
    from aiida import load_profile

    load_profile(profile)
    from aiida_humanintheloop.inbox import Conversation, load_workflow

    verdicts = []
    with Conversation(load_workflow(pk), by=f"{name}@example.org") as talk:
        for number in range(1, ROUNDS + 1):
            letter = talk.wait(60)
            while letter.id != str(number):
                letter = talk.wait(60)
            together.wait(60)
            verdict = talk.answer(name, letter.id)
            verdicts.append((verdict.outcome, verdict.reason))
            together.wait(60)
    said.put((name, verdicts))


def test_of_fifty_pairs_one_is_accepted_and_one_is_told_who_was_first(
    profile: str, ask: Callable[..., WorkChainNode]
) -> None:
    """None is lost, none counts for the next question, none resumes twice."""
    node = ask(AskAgain, question=Question("Who is faster?"))
    context = multiprocessing.get_context("spawn")
    together, said = context.Barrier(2), context.Queue()
    people = [
        context.Process(
            target=answer_all, args=(profile, node.pk, name, together, said)
        )
        for name in ("ada", "bob")
    ]
    for person in people:
        person.start()
    verdicts = dict(said.get(timeout=200) for _ in people)
    for person in people:
        person.join(60)
    assert all(len(given) == ROUNDS for given in verdicts.values())
    for ada, bob in zip(verdicts["ada"], verdicts["bob"], strict=True):
        first, second = ("ada", bob) if ada[0] == "accepted" else ("bob", ada)
        assert sorted((ada[0], bob[0])) == ["accepted", "refused"]
        assert f"already answered with '{first}' by {first}@example.org" in second[1]
