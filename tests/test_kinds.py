"""Whatever is thrown at a question, it gets a verdict, and never a wrong one."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiida.orm import WorkChainNode, to_aiida_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, field_validator

from aiida_humanintheloop import (
    Boolean,
    Choice,
    Choices,
    Float,
    Integer,
    InvalidAnswer,
    Json,
    Node,
    Question,
    Text,
)
from aiida_humanintheloop.inbox import Conversation
from tests.asking import AskAgain
from tests.patience import wait_until
from tests.processes import paused

KINDS = [
    Text(),
    Text(max_length=5, pattern="[a-z]*"),
    Integer(1, 100),
    Float(-1, 1, unit="eV"),
    Boolean(),
    Choice(("scf", "relax", 3, 2.5, True)),
    Choices(("a", "b", "c"), at_least=1, at_most=2),
    Node(),
    Json({"type": ["object", "array", "null"], "maxProperties": 3}),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
# What fits one kind or another, so that not only refusals are tried.
FITTING = st.one_of(
    st.integers(1, 100),
    st.integers(1, 100).map(str),
    st.floats(-1, 1),
    st.sampled_from(["yes", "NO", "scf", "3", "2.5", "true", "a,b", "c", "abc", "{}"]),
    st.lists(st.sampled_from("abc"), max_size=3),
    st.dictionaries(st.text("a.\0", max_size=3), SCALARS, max_size=4),
)
# In a daemon each costs tens of milliseconds; the full thousand is for a quiet hour.
EXAMPLES_IN_A_DAEMON = int(os.environ.get("EXAMPLES_IN_A_DAEMON", "40"))


class Mesh(BaseModel):
    """A model that says more than its schema, under a name that no Python has."""

    points: int = Field(alias="n-points")

    @field_validator("points")
    @classmethod
    def odd(cls, value: int) -> int:
        """Refuse even numbers."""
        if value % 2 == 0:
            raise ValueError("it must be odd")
        return value


def name_of(kind: Any) -> str:
    """Return the name of a kind for the name of a test."""
    return str(kind.kind)


def reading(kind: Any, raw: Any) -> tuple[Any, str | None]:
    """Return the value, and why there is none."""
    try:
        return kind.read(raw), None
    except InvalidAnswer as refusal:
        return None, str(refusal)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@settings(max_examples=1000, deadline=None)
@given(raw=VALUES | FITTING)
def test_a_kind_takes_what_fits_its_schema_or_says_why(
    profile: str, kind: Any, raw: Any
) -> None:
    """A value that is taken fits the schema that a form is made from, and is a node."""
    value, refusal = reading(kind, raw)
    if refusal is None:
        to_aiida_type(value)
        assert Draft202012Validator(kind.schema).is_valid(value)
        assert kind.read(value) == value
    else:
        assert refusal.isprintable()
        assert len(refusal) < 400


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"": 1}, "a name that is empty"),
        ({"a.b": 1}, "a dot in it"),
        ({"a": "\0"}, "the character NUL"),
        ({"a": float("nan")}, "a number or character"),
        ("null", "null is no answer"),
        ("[" * 102 + "]" * 102, "nested more than 100 deep"),
    ],
)
def test_json_that_no_node_can_hold_is_refused(raw: Any, reason: str) -> None:
    """Where it is judged: stored later, it would end the workflow."""
    assert reason in str(reading(KINDS[-1], raw)[1])
    assert reading(KINDS[-1], {"a": {"": 1, "a.b": 1}})[1] is None


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (Float(), 10**400, None),
        (Json({"multipleOf": 0.1}), "9" * 400, None),
        (Json({"$ref": "#/$defs/nothing"}), "1", None),
        (Json({"type": "string"}), "5", "5"),
        (Json({"type": ["string", "integer"]}), "5", 5),
        (Choices(("k=2,2,2", "gamma")), '["k=2,2,2"]', ["k=2,2,2"]),
        (Choices(("a",), at_least=0), "[]", []),
        (Choices(("[a", "b")), "[a, b", ["[a", "b"]),
        (Json(Mesh), {"n-points": 3}, {"n-points": 3}),
        (Json(Mesh), {"n-points": 2}, None),
    ],
)
def test_what_lies_on_the_edge(kind: Any, raw: Any, value: Any) -> None:
    """Refused or taken, and never an error."""
    assert reading(kind, raw)[0] == value


def test_what_could_never_be_judged_is_no_question() -> None:
    """It is refused where the question is written."""

    class Hidden(BaseModel):
        """Not to be found by its name."""

    for write in (lambda: Text(pattern="("), lambda: Json(Hidden)):
        with pytest.raises(
            ValueError, match=r"no pattern|define the model in a module"
        ):
            write()


@pytest.mark.parametrize("default", [[], 0, False, {}])
def test_a_default_survives_its_way_through_the_database(default: Any) -> None:
    """Also one that is as good as nothing."""
    question = Question(
        "?", Json({}), default, within=timedelta(1), at_deadline="default"
    )
    assert Question.from_record(question.to_record()) == question


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_whatever_is_answered_gets_a_verdict_from_the_daemon(
    ask: Callable[..., WorkChainNode], kind: Any
) -> None:
    """A refusal resumes nothing, an answer leads to the next question; none fails."""
    node = ask(AskAgain, question=Question("What?", kind))

    @settings(
        max_examples=EXAMPLES_IN_A_DAEMON,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(raw=VALUES | FITTING)
    def throw(raw: Any) -> None:
        letter = talk.wait(30)
        _, refusal = reading(kind, raw)
        verdict = talk.answer(raw, letter.id)
        if kind.kind == "node" and refusal is None:
            # Whether there is a node of that number only the database knows.
            assert verdict.accepted or "There is no node" in verdict.reason
        else:
            assert verdict.accepted == (refusal is None)
            assert verdict.reason
        following = talk.wait(30)
        assert (following.id != letter.id) == verdict.accepted

    with Conversation(node) as talk:
        throw()
    wait_until(lambda: paused(node), "it waits")
