"""A workflow runs again without a person, and otherwise where it is told to."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest
from aiida.common.links import LinkType
from aiida.engine import submit
from aiida.orm import Dict, Int, WorkChainNode, load_node

from aiida_humanintheloop import Integer, Question, kinds
from aiida_humanintheloop.decision import decisions
from aiida_humanintheloop.exceptions import NoQuestion
from aiida_humanintheloop.inbox import answer, history, wait_for_question
from aiida_humanintheloop.replay import replay
from tests.asking import AskInRounds, AskOne, AskTwo, AskWhatHasNoNode, CallsTwo, Parent
from tests.commands import hitl, verdi
from tests.patience import wait_until
from tests.processes import ended, kill_unfinished
from tests.profile import refresh

EVEN = Question("Even?", Integer(0, 20), validator="even")


@pytest.fixture
def asked(ask: Callable[..., WorkChainNode]) -> WorkChainNode:
    """Return a workflow that was answered by Ada, and has ended."""
    node = ask(AskOne, question=EVEN)
    assert answer(node, 8, by="ada@example.org", comment="the smallest").accepted
    return ended(node)


def test_it_gives_the_same_without_a_person(asked: WorkChainNode) -> None:
    """The record says that nobody answered, and what was repeated."""
    again = ended(replay(asked))
    assert again.outputs.answer["value"] == asked.outputs.answer["value"] == 8
    (then,), (now,) = decisions(asked), decisions(again)
    said = now.response
    assert (said["kind"], said["via"], said["by"]) == (
        "policy",
        "replay",
        "ada@example.org",
    )
    assert said["comment"] == "the smallest"
    assert said["repeats"] == then.uuid
    third = ended(replay(again))
    assert decisions(third)[0].response["repeats"] == now.uuid


def test_what_is_changed_is_judged_too(asked: WorkChainNode) -> None:
    """What fits gives another result; what does not is left to a person."""
    other = ended(replay(asked, {"1": "10"}))
    assert other.outputs.answer["value"] == 10
    (said,) = (each.response for each in decisions(other))
    assert said["kind"] == "policy"
    assert said["by"] != "ada@example.org"
    odd = replay(asked, {"1": 9})
    wait_until(lambda: "must be even" in text_of(odd), "it is refused")
    assert answer(odd, 12).accepted
    assert ended(odd).outputs.answer["value"] == 12


def text_of(node: WorkChainNode) -> str:
    """Return the question as it stands in the extras."""
    refresh()
    return node.base.extras.get("question", "")


def test_a_child_of_a_plain_work_chain_is_answered(
    ask: Callable[..., WorkChainNode],
) -> None:
    """By the place in which it stands below the workflow that is run again."""
    node = ask(Parent, question=EVEN)
    (child,) = node.called
    assert answer(child, 6).accepted
    again = ended(replay(ended(node), {f"{child.pk}:1": 4}))
    assert again.called[0].outputs.answer["value"] == 4
    ended(replay(again))


def test_several_at_once_are_answered_by_name(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Each by itself; the one that is changed is changed."""
    from aiida.orm import Str

    node = ask(AskTwo, until=Str("all"))
    assert answer(node, {"first": "a", "second": "b"}).accepted
    again = ended(replay(ended(node), {"second": "c"}))
    assert again.outputs.answers.get_dict() == {"first": "a", "second": "c"}


def test_a_node_that_was_chosen_is_chosen_again(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The very node, where it is offered again."""
    nodes = [Int(1).store(), Int(2).store()]
    question = Question("Which?", kinds.Node(among=nodes))
    node = ask(AskOne, question=question)
    assert answer(node, str(nodes[1].pk)).accepted
    again = ended(replay(ended(node)))
    assert again.outputs.answer["value"] == nodes[1].uuid


def test_what_was_not_asked_then_is_asked(game_won_otherwise: WorkChainNode) -> None:
    """A new game has a new number, and so other questions after the first."""
    first, second = history(game_won_otherwise)[:2]
    assert first.answer is not None
    assert first.answer.kind == "policy"
    assert second.is_open


@pytest.fixture
def game_won_otherwise(game: WorkChainNode) -> WorkChainNode:
    """Return the replay of a game that ended with its first guess."""
    from tests.game import target_of

    assert answer(game, target_of(game)).accepted
    again = replay(ended(game))
    wait_until(lambda: refresh() or len(history(again)) == 2, "it asks anew")
    yield again
    kill_unfinished([again])


def test_who_asks_for_what_was_never_asked_is_told(asked: WorkChainNode) -> None:
    """Before anything is submitted."""
    with pytest.raises(NoQuestion, match="7 was not asked then"):
        replay(asked, {"7": 1})


@pytest.fixture
def rounds(ask: Callable[..., WorkChainNode]) -> WorkChainNode:
    """Return one that was first answered where, and then how."""
    node = ask(AskInRounds)
    for number, (name, value) in enumerate([("point", "here"), ("method", "so")]):
        wait_until(
            lambda n=number: refresh() or len(history(node)) == 2 * n + 2, "it asks"
        )
        assert answer(node, value, question=name).accepted
    return ended(node)


def test_of_several_questions_those_are_answered_that_were(
    rounds: WorkChainNode,
) -> None:
    """In the order of then; one that was not answered cannot be changed."""
    assert ended(replay(rounds)).outputs.answers["all"] == ["here", "so"]
    other = ended(replay(rounds, {"method": "thus"}))
    assert other.outputs.answers["all"] == ["here", "thus"]
    with pytest.raises(NoQuestion, match="1 was not asked then, or not answered"):
        replay(rounds, {"1": "thus"})


def test_of_one_name_that_was_answered_twice_the_id_is_asked_for(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Which one is meant cannot be known."""
    node = ask(AskInRounds)
    for number in (2, 4):
        wait_until(lambda n=number: refresh() or len(history(node)) == n, "it asks")
        assert answer(node, str(number), question="point").accepted
    with pytest.raises(NoQuestion, match="say which, by id: 2, 4"):
        replay(ended(node), {"point": "5"})
    other = ended(replay(node, {"4": "5"}))
    assert other.outputs.answers["all"] == ["2", "5"]


def test_it_needs_no_extras(asked: WorkChainNode) -> None:
    """An archive may have lost them, and anybody can change them."""
    asked.base.extras.reset({})
    again = ended(replay(asked, {"1": 10}))
    assert again.outputs.answer["value"] == 10
    assert decisions(again)[0].response["repeats"] == decisions(asked)[0].uuid


def test_text_stays_text_where_json_is_asked_for(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Though it looks like a number."""
    node = ask(AskOne, question=Question("What?", kinds.Json({})))
    assert answer(node, '"5"').accepted
    assert ended(node).outputs.answer["value"] == "5"
    assert ended(replay(node)).outputs.answer["value"] == "5"


def test_children_are_told_apart_by_what_they_are_called(
    ask: Callable[..., WorkChainNode],
) -> None:
    """In whatever order they come."""
    question = Question("Even?", Integer(0, 20))
    node = ask(CallsTwo, question=question)
    for number, value in enumerate([1, 2]):
        wait_until(lambda n=number: refresh() or len(node.called) > n, "a child runs")
        child = max(node.called, key=lambda each: each.pk)
        wait_for_question(child, 30)
        assert answer(child, value).accepted
    again = replay(ended(node))
    ended(again)
    assert [said(each) for each in (node, again)] == [{"red": 1, "blue": 2}] * 2


def said(node: WorkChainNode) -> dict[str, int]:
    """Return what each child was answered, by what it is called."""
    links = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK).all()
    return {each.link_label: each.node.outputs.answer["value"] for each in links}


def test_what_cannot_be_run_again_is_told_in_a_line(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Where an input was never in the database."""
    node = ask(AskWhatHasNoNode, question=EVEN, number=5)
    assert answer(node, 8).accepted
    printed = hitl("replay", str(ended(node).pk), fails=1)
    assert f"{node.pk} cannot be run again: " in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.restarts_daemon
def test_without_a_daemon_nothing_is_run_again(asked: WorkChainNode) -> None:
    """And that is said in a line, at once."""
    verdi("daemon", "stop")
    printed = hitl("replay", str(asked.pk), fails=1)
    assert "The daemon is not running" in printed
    assert len(printed.splitlines()) == 1


def test_the_command_runs_it_again(asked: WorkChainNode) -> None:
    """It says which one that is; what is no change it refuses in one line."""
    said = hitl("replay", str(asked.pk), "--change", "1=14")
    assert f"is answered as <{asked.pk}> was" in said.replace("\n", " ")
    record = json.loads(hitl("replay", str(asked.pk), "--json"))
    assert ended(load_node(record["uuid"])).outputs.answer["value"] == 8
    for wrong in ("nothing", "=1", "7=1"):
        done = subprocess.run(
            ["aiida-hitl", "replay", str(asked.pk), "--change", wrong],
            text=True,
            capture_output=True,
        )
        assert done.returncode in (1, 2), done
        assert "Error: " in done.stderr.splitlines()[-1]


def test_it_survives_a_worker_that_dies(asked: WorkChainNode) -> None:
    """Between the question and the answer of the run before."""
    from tests.dying import AskAndDie, has_died

    node = submit(AskAndDie, question=Dict(EVEN.to_record()))
    wait_until(lambda: refresh() or history(node), "it asks")
    assert answer(node, 2).outcome in ("accepted", "kept")
    again = replay(ended(node))
    assert again.base.extras.get("died", None) is None
    wait_until(lambda: has_died(again), "it dies")
    with suppress(TimeoutError):  # as a person would, which has the broker look
        wait_for_question(again, 20)
    ended(again)
