"""Who has a process, as several interpreters see it at the same moment."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from aiida_humanintheloop import ownership

PK, ROUNDS = 4_000_001, 3000


@pytest.fixture(autouse=True)
def free_again(profile: str) -> Iterator[None]:
    """Leave no lock of a test."""
    yield
    ownership.release(PK)


def elsewhere(profile: str, what: str, *arguments: Any) -> Any:
    """Return what a function of `ownership` says in another interpreter."""
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    person = context.Process(target=_ask, args=(profile, said, what, *arguments))
    person.start()
    result = said.get(timeout=60)
    person.join(60)
    return result


def _ask(profile: str, said: Any, what: str, *arguments: Any) -> None:
    from aiida import load_profile

    load_profile(profile)
    said.put(getattr(ownership, what)(*arguments))


def _ask_again_and_again(profile: str, together: Barrier, said: Any) -> None:
    from aiida import load_profile

    load_profile(profile)
    together.wait(60)
    said.put(sum(ownership.is_taken(PK) for _ in range(ROUNDS)))


def test_only_one_has_a_process(profile: str) -> None:
    """And all others see it, until it is let go."""
    assert ownership.take(PK)
    assert elsewhere(profile, "take", PK) is False
    assert elsewhere(profile, "is_taken", PK) is True
    assert elsewhere(profile, "is_deaf", PK) is False
    ownership.release(PK)
    assert elsewhere(profile, "is_taken", PK) is False


def test_what_hears_nothing_is_known_for_it(profile: str) -> None:
    """So that nobody waits for its reply."""
    assert ownership.hold(PK, is_deaf=True)
    assert elsewhere(profile, "is_deaf", PK) is True
    ownership.release(PK)
    assert elsewhere(profile, "is_deaf", PK) is False


def test_who_asks_is_not_taken_for_the_owner(profile: str) -> None:
    """However many ask at the same moment."""
    context = multiprocessing.get_context("spawn")
    together, said = context.Barrier(2), context.Queue()
    people = [
        context.Process(target=_ask_again_and_again, args=(profile, together, said))
        for _ in "ab"
    ]
    for person in people:
        person.start()
    assert [said.get(timeout=60) for _ in people] == [0, 0]
    for person in people:
        person.join(60)
