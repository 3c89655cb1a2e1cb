"""What a work chain keeps is there again, or it does not ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import pytest
from aiida.common.extendeddicts import AttributeDict
from aiida.orm import Int, Str, WorkChainNode

from aiida_humanintheloop import Question
from aiida_humanintheloop.context import check
from aiida_humanintheloop.inbox import history
from tests.asking import AskWithContext


class Method(Enum):
    """A method."""

    BISECT = "bisect"


@dataclass
class Inner:
    """What another has."""

    value: int


@dataclass
class Outer:
    """What has others."""

    inner: Any


class Pair(NamedTuple):
    """Two."""

    one: int
    other: str


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.5,
        "text",
        ("a", 1),
        AttributeDict({"deep": {"er": [1, None]}}),
        Method.BISECT,
        Inner(1),
        Inner,
        Outer([1, {"a": (2,)}]),
        Pair(1, "a"),
        {1, 2},
        Question("Well?"),
    ],
    ids=repr,
)
def test_what_is_loaded_as_it_was_is_kept(value: Any) -> None:
    """By itself, and within."""
    check({"kept": value, "list": [value], "dict": {"a": value}})


def test_a_node_is_kept(profile: str) -> None:
    """Also one that the engine stores only at the end of the step."""
    check({"kept": [Int(1).store()], "other": Int(2)})


@pytest.mark.parametrize(
    "value",
    [
        threading.Lock(),
        lambda: 1,
        (x for x in "ab"),
        Outer(Inner(1)),
        Outer([Inner(1)]),
    ],
    ids=["lock", "lambda", "generator", "nested", "nested deeper"],
)
def test_what_would_be_lost_is_named(value: Any) -> None:
    """By itself, and within."""
    for kept in (value, [value], {"a": value}):
        with pytest.raises(
            ValueError, match=r"self\.ctx\.kept \(\w+\) cannot be saved"
        ):
            check({"first": 1, "kept": kept})


def test_who_keeps_what_would_be_lost_does_not_ask(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The step that asked would run again, or nothing could go on at all."""
    node = ask(AskWithContext, question=Question("Go?"), kept=Str("lock"))
    assert node.is_excepted
    assert "self.ctx.kept (lock) cannot be saved" in node.exception
    assert [letter.is_open for letter in history(node)] == [False]
