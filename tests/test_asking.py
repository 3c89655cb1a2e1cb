"""Every way to ask, answered at a real daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiida.engine.processes.control import play_processes
from aiida.orm import Int, Str, WorkChainNode
from pydantic import BaseModel, field_validator

from aiida_humanintheloop import (
    Boolean,
    Choice,
    Choices,
    Float,
    Integer,
    Json,
    Node,
    Question,
    Text,
)
from aiida_humanintheloop.inbox import Conversation, answer, history
from aiida_humanintheloop.mailbox import Mailbox
from tests.asking import AskInTurns, AskOne, AskTwo
from tests.commands import verdi
from tests.failing import AskInRestart
from tests.patience import wait_until
from tests.processes import ended, paused
from tests.profile import refresh


class Mesh(BaseModel):
    """A model whose validator says more than its schema can."""

    points: list[int]

    @field_validator("points")
    @classmethod
    def three(cls, points: list[int]) -> list[int]:
        """Refuse what is no mesh in three dimensions."""
        if len(points) != 3:
            raise ValueError("a mesh has three numbers")
        return points


@pytest.mark.parametrize(
    ("kind", "refused", "given", "value"),
    [
        (Text(max_length=3), "four", "abc", "abc"),
        (Integer(1, 9), "ten", "7", 7),
        (Float(0, 1, unit="eV"), "nan", "0.5", 0.5),
        (Boolean(), "perhaps", "yes", True),
        (Choice(("scf", "relax")), "vc-relax", "relax", "relax"),
        (Choices(("a", "b", "c"), at_most=2), "a, b, c", "c, a", ["c", "a"]),
        (Json({"type": "object", "required": ["x"]}), '{"y": 1}', '{"x": 1}', {"x": 1}),
        (Json(Mesh), {"points": [1, 2]}, {"points": [1, 2, 3]}, {"points": [1, 2, 3]}),
    ],
    ids=lambda each: getattr(each, "kind", ""),
)
def test_each_kind_refuses_what_does_not_fit_and_takes_what_does(
    ask: Callable[..., WorkChainNode],
    kind: Any,
    refused: Any,
    given: Any,
    value: Any,
) -> None:
    """A refusal leaves the workflow waiting, an answer becomes its output."""
    node = ask(AskOne, question=Question("Which?", kind))
    with Conversation(node) as talk:
        no = talk.answer(refused)
        assert no.outcome == "refused"
        assert f"must be {kind.expects}" in no.reason
        assert talk.answer(given).accepted
        assert talk.wait(30) is None
    refresh()
    assert node.is_finished_ok
    assert node.outputs.answer["value"] == value
    assert node.base.extras.get("ran_before") == 1


def test_a_node_is_answered_by_pk_or_uuid(ask: Callable[..., WorkChainNode]) -> None:
    """The type is checked, and so is whether the node is one of those offered."""
    first, second, other = Int(1).store(), Int(2).store(), Str("x").store()
    node = ask(AskOne, question=Question("Which?", Node(of=Int)))
    with Conversation(node) as talk:
        assert "is a Str" in talk.answer(other.pk).reason
        assert "There is no node 999999" in talk.answer(999999).reason
        assert "must be the PK or UUID" in talk.answer("the first").reason
        assert talk.answer(first.uuid).accepted
        assert talk.wait(30) is None
    assert node.outputs.answer["value"] == first.uuid

    node = ask(AskOne, question=Question("Which?", Node(among=(first, second))))
    with Conversation(node) as talk:
        assert "one of the 2 nodes offered" in talk.answer(other.pk).reason
        assert talk.answer(second.pk).accepted
        assert talk.wait(30) is None
    assert node.outputs.answer["value"] == second.uuid


def test_a_validator_runs_before_anything_resumes(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Its reason is told; where it fails, the workflow does not."""
    question = Question("An even one?", Integer(), validator=AskOne.even)
    node = ask(AskOne, question=question)
    with Conversation(node) as talk:
        assert talk.answer(3).reason == "3 was not taken: it must be even."
        assert "could not be checked (RuntimeError: unlucky)" in talk.answer(13).reason
        assert talk.answer(4).accepted
        assert talk.wait(30) is None
    assert node.is_finished_ok


def test_any_reason_of_a_validator_can_be_told(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Also one that no database takes: the answer would neither count nor be told."""
    node = ask(AskOne, question=Question("Which?", validator="mumble"))
    verdict = answer(node, "this")
    assert verdict.outcome == "refused"
    assert verdict.reason == "'this' was not taken: it is\ufffd\ufffd odd."


def test_only_an_assignee_may_answer(ask: Callable[..., WorkChainNode]) -> None:
    """Another person, and an extra of which nobody knows whose it is, are refused."""
    node = ask(AskOne, question=Question("You?", assignees=("ada@example.org",)))
    with Conversation(node, by="bob@example.org") as talk:
        no = talk.answer("me")
        assert no.reason == (
            "bob@example.org was not asked: only ada@example.org may answer."
        )
    node.base.extras.set("answer", "me")
    play_processes([node])
    assert paused(node)
    with Conversation(node, by="ada@example.org") as talk:
        assert talk.answer("me", comment="because").accepted
        assert talk.wait(30) is None
        assert talk.mailbox.letters()[0].answer.comment == "because"


def test_of_two_questions_both_are_answered_in_any_order(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The workflow goes on when the last is."""
    node = ask(AskTwo, until="all")
    assert node.base.extras.get("question") == "first: The first? | second: The second?"
    with Conversation(node) as talk:
        assert "2 questions are open" in talk.answer("which").reason
        assert talk.answer("b", "second").accepted
        assert [letter.name for letter in talk.questions()] == ["first"]
        again = talk.answer("c", "second")
        assert "already answered with 'b'" in again.reason
        assert talk.answer("a").accepted
        assert talk.wait(30) is None
    assert node.outputs.answers.get_dict() == {"first": "a", "second": "b"}


def test_of_two_questions_any_can_be_enough(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The other one is closed, and whoever answers it is told why."""
    node = ask(AskTwo, until="any")
    with Conversation(node) as talk:
        assert talk.answer("b", "second").accepted
        assert talk.wait(30) is None
        first, _ = talk.mailbox.letters()
        assert first.closed == "question 2 was answered"
    assert node.outputs.answers.get_dict() == {"second": "b"}


def test_a_validator_sees_the_round_that_it_judges(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The answers of the round before are no longer the last ones."""
    node = ask(AskInTurns)
    for text in ("one", "two"):
        refused = answer(node, text, question="second")
        assert "the first is not answered yet" in refused.reason
        assert answer(node, text, question="first").accepted
        assert answer(node, text, question="second").accepted
        wait_until(lambda: refresh() or paused(node) or node.is_terminated, "it asks")
    ended(node)


def test_an_answer_that_has_arrived_is_not_kept_as_well(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Who sent it has heard nothing; it would stand in the way of the next one."""
    node = ask(AskTwo, until=Str("all"))
    assert answer(node, "one", question="first").accepted
    first, _ = history(node)
    assert Mailbox(node).keep(first.answer) == first.answer
    assert Mailbox(node).kept() is None
    assert answer(node, "two", question="second").accepted
    assert ended(node).outputs.answers.get_dict() == {"first": "one", "second": "two"}


def test_an_answer_to_more_than_was_needed_is_told_so(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The first one counts, the second one changes nothing of it."""
    node = ask(AskTwo, until="any")
    with Conversation(node) as talk:
        verdict = talk.answer({"first": "a", "second": "b"})
        assert verdict.reason == "Question 2 is closed: question 1 was answered."
        assert talk.wait(30) is None
    assert node.outputs.answers.get_dict() == {"first": "a"}


def test_two_questions_are_answered_in_the_way_of_the_blog(
    ask: Callable[..., WorkChainNode],
) -> None:
    """One extra holds both answers, by name."""
    node = ask(AskTwo, until="all")
    node.base.extras.set("answer", {"first": "a", "second": "b"})
    play_processes([node])
    wait_until(lambda: refresh() or node.is_finished_ok, "it goes on")
    assert node.outputs.answers.get_dict() == {"first": "a", "second": "b"}


def soon(**how: Any) -> Question:
    """Return a question with a deadline in a second."""
    return Question("Now?", Integer(), within=timedelta(seconds=1), **how)


def test_at_the_deadline_the_default_is_taken(
    ask: Callable[..., WorkChainNode],
) -> None:
    """It is on record as a default, and a late answer is told so."""
    node = ask(AskOne, question=soon(default=5, at_deadline="default"))
    with Conversation(node) as talk:
        wait_until(lambda: refresh() or node.is_finished_ok, "the default is taken")
        answer = talk.mailbox.letters()[0].answer
    assert (answer.value, answer.kind, answer.by) == (5, "default", None)
    assert node.outputs.answer["value"] == 5


def test_at_the_deadline_the_workflow_can_end(
    ask: Callable[..., WorkChainNode],
) -> None:
    """It ends with the exit code that the author chose; no later step runs."""
    node = ask(AskOne, question=soon(at_deadline="ERROR_NOBODY_CARED"))
    wait_until(lambda: refresh() or node.is_terminated, "it ends")
    assert node.exit_status == 400
    assert "answer" not in node.outputs


def test_after_the_deadline_the_workflow_can_go_on_waiting(
    ask: Callable[..., WorkChainNode],
) -> None:
    """That is what a deadline does where nothing else is said."""
    node = ask(AskOne, question=soon())
    with Conversation(node) as talk:
        letter = talk.wait(30)
        wait_until(lambda: letter.deadline.timestamp() < time.time(), "")
        assert talk.answer(3).accepted
        assert talk.wait(30) is None
    assert node.is_finished_ok


@pytest.mark.restarts_daemon
@pytest.mark.parametrize("answered", [True, False])
def test_a_deadline_passes_while_the_daemon_is_down(
    ask: Callable[..., WorkChainNode], answered: bool
) -> None:
    """It loses against an answer that was kept before it."""
    question = Question(
        "Now?", Integer(), 5, within=timedelta(seconds=15), at_deadline="default"
    )
    node = ask(AskOne, question=question)
    with Conversation(node) as talk:
        letter = talk.wait(30)
        verdi("daemon", "stop")
        if answered:
            assert talk.answer(7).outcome == "kept"
        wait_until(lambda: letter.deadline.timestamp() < time.time(), "")
        verdi("daemon", "start")
        wait_until(lambda: refresh() or node.is_finished_ok, "it is decided")
    assert node.outputs.answer["value"] == (7 if answered else 5)


@pytest.mark.restarts_daemon
def test_a_kept_answer_is_for_the_question_that_it_was_meant_for(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Whichever deadline passes before it is judged; only who may answer keeps one."""
    node = ask(AskTwo, until="all", within=15)
    question = Question("Whose?", assignees=("ada@example.org",))
    hers = ask(AskOne, question=question)
    with Conversation(node) as talk, Conversation(hers, by="bob@example.org") as bob:
        letter = talk.wait(30)
        verdi("daemon", "stop")
        refused = bob.answer("mine")
        assert refused.outcome == "refused"
        assert "bob@example.org was not asked" in refused.reason
        assert talk.answer("b", "second").outcome == "kept"
        # An answer in the very second of the deadline is in time.
        wait_until(lambda: letter.deadline.timestamp() + 1 < time.time(), "")
        late = talk.answer("a", "first")
        assert (late.outcome, "has passed" in late.reason) == ("refused", True)
        verdi("daemon", "start")
        wait_until(lambda: refresh() or node.is_finished_ok, "it is decided")
    assert node.outputs.answers.get_dict() == {"first": "late", "second": "b"}
    with Conversation(hers, by="ada@example.org") as ada:
        assert ada.answer("mine").accepted


def test_a_refusal_clears_no_answer_of_somebody_else(
    ask: Callable[..., WorkChainNode],
) -> None:
    """One has set the extra, and is about to play; another sends what does not fit."""
    node = ask(AskOne, question=Question("How many?", Integer()))
    node.base.extras.set("answer", 5)
    with Conversation(node, by="bob@example.org") as bob:
        assert bob.answer("many").outcome == "refused"
        assert paused(node)
        play_processes([node])
        assert bob.wait(30) is None
    assert node.outputs.answer["value"] == 5


def test_the_mixin_asks_within_a_restart_work_chain(
    ask: Callable[..., WorkChainNode], code: Any
) -> None:
    """The answer becomes an input of the calculation that the base class runs."""
    add = {"x": Int(40), "y": Int(0), "code": code}
    node = ask(AskInRestart, add=add)
    with Conversation(node) as talk:
        assert talk.answer("2").accepted
        assert talk.wait(60) is None
    refresh()
    assert node.is_finished_ok
    assert node.outputs.sum.value == 42
