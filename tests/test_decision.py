"""What a person decided lies on the way from the question to the result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida.common.links import LinkType
from aiida.engine import submit
from aiida.orm import (
    ArrayData,
    Bool,
    CalcFunctionNode,
    Dict,
    Float,
    Int,
    List,
    Node,
    ProcessNode,
    Str,
    WorkChainNode,
)

from aiida_humanintheloop import (
    Boolean,
    Choices,
    HumanLoopWorkChain,
    Integer,
    Json,
    Question,
    Text,
    kinds,
)
from aiida_humanintheloop.decision import Decision, decide, decisions, record
from aiida_humanintheloop.inbox import answer, history, wait_for_question
from aiida_humanintheloop.letter import Letter
from aiida_humanintheloop.picture import picture
from aiida_humanintheloop.replay import replay
from tests.asking import AskOne, AskTwoInTime, AskWithUnstored
from tests.commands import hitl, hitl_program, verdi
from tests.dying import AskAndDieAfter, has_died
from tests.game import target_of
from tests.patience import wait_until
from tests.processes import ended, kill_unfinished, paused
from tests.profile import have_daemon, refresh


def decided(node: ProcessNode) -> list[CalcFunctionNode]:
    """Return the decisions that a workflow has called itself."""
    links = node.base.links.get_outgoing(node_class=CalcFunctionNode).all()
    return [link.node for link in links if link.link_label.startswith("decision")]


@pytest.fixture(scope="module")
def won(_daemon_of_the_session: None) -> WorkChainNode:
    """Return a game that was won with the third guess."""
    have_daemon()
    game = submit(HumanLoopWorkChain, max_iters=10)
    wait_until(lambda: paused(game), "it asks")
    number = target_of(game)
    guesses = [*[guess for guess in (1, 2, 3) if guess != number][:2], number]
    for each in guesses:
        verdict = answer(game, each, comment=f"why not {each}?", by="ada@example.org")
        assert verdict.accepted
        wait_until(lambda: refresh() or is_next(game), "it goes on")
    return ended(game)


def is_next(game: WorkChainNode) -> bool:
    """Return whether the game has taken a guess and asks again, or has ended."""
    last = history(game)[-1]
    return game.is_terminated or (last.is_open and last.id != "1")


def test_a_result_rests_on_all_guesses(won: WorkChainNode) -> None:
    """And each says what was asked, who answered what, how and why."""
    found = decisions(won.outputs.result)
    made = [entry["guess"] for entry in won.outputs.result["history"]]
    assert [each.response["value"] for each in found] == made
    for number, each in enumerate(found, start=1):
        assert each.question["id"] == str(number)
        assert each.question["workflow"]["uuid"] == won.uuid
        assert each.response["by"] == "ada@example.org"
        assert each.response["comment"] == f"why not {made[number - 1]}?"
        assert (each.response["kind"], each.response["via"]) == ("human", "python")
        assert each.response["at"] >= each.question["asked_at"]
    assert found[0].question["text"] == "Guess a number between 1 and 100."
    assert found == decisions(won), "a workflow rests on what it called"


def test_no_data_comes_from_nowhere(won: WorkChainNode) -> None:
    """What a workflow returns was made by a calculation, from what was decided."""
    made = won.outputs.result.creator
    guesses = made.base.links.get_incoming(link_label_filter="guess_%").all_nodes()
    assert {guess.creator.pk for guess in guesses} == {node.pk for node in decided(won)}
    labels = won.base.links.get_outgoing(link_label_filter="decision_%").all()
    assert {x.link_label for x in labels} == {"decision_1", "decision_2", "decision_3"}
    letters = history(won)
    assert [x.decision for x in letters] == [
        x.node.outputs.result.uuid for x in sorted(labels, key=lambda x: x.link_label)
    ]


def test_a_decision_is_what_the_engine_would_have_left(won: WorkChainNode) -> None:
    """Attribute by attribute and link by link, though no engine has run it."""
    ours = decided(won)[0]
    asked, said = ours.inputs.question, ours.inputs.response
    metadata = {
        "label": ours.label,
        "description": ours.description,
        "disable_cache": True,
    }
    _, theirs = decide.run_get_node(question=asked, response=said, metadata=metadata)
    assert looks(ours) == looks(theirs)
    result, same = ours.outputs.result, theirs.outputs.result
    assert looks(result) == looks(same)
    assert result.base.extras.get("_aiida_hash") == same.base.extras.get("_aiida_hash")
    assert ours.is_sealed
    assert ours.is_finished_ok


def test_a_picture_has_the_decisions_stand_out(
    ask: Callable[..., WorkChainNode], tmp_path: Path
) -> None:
    """Between what was shown and what came of it; text of a person stays text."""
    seen = ArrayData(np.arange(3)).store()
    question = Question(r'Take "it"\N<b>?', evidence=[seen])
    node = ask(AskOne, question=question)
    assert answer(node, "yes", by="ada@example.org").accepted
    (decision,) = decided(ended(node))
    dot = hitl("decisions", str(decision.outputs.result.pk), "--dot")
    lines = [line.strip() for line in dot.splitlines()]
    assert f"N{seen.pk} -> N{decision.pk}" in " ".join(lines)
    assert f"N{decision.pk} -> N{decision.outputs.result.pk}" in " ".join(lines)
    drawn = dot.partition(f"\tN{decision.pk} [")[2].partition("]")[0]
    assert "octagon" in drawn
    assert dot.count("octagon") == 1
    assert r"Take \"it\"\\N<b>?" in dot
    assert "'yes' · ada@example.org" in dot
    assert f"N{decision.pk} [" in hitl("decisions", str(node.pk), "--dot")
    file = tmp_path / "why.png"
    if shutil.which("dot"):
        printed = hitl("decisions", str(node.pk), "--png", str(file))
        assert printed == f"{file} is drawn.\n"
        assert file.read_bytes().startswith(b"\x89PNG")
        nowhere = str(tmp_path / "nowhere" / "why.png")
        said = hitl("decisions", str(node.pk), "--png", nowhere, fails=1)
        assert "cannot be written: No such file or directory." in said
    else:
        said = hitl("decisions", str(node.pk), "--png", str(file), fails=1)
        assert "install its program `dot`" in said
        assert not file.exists()


def looks(node: Node) -> list[Any]:
    """Return what the database has of a node, less what differs from node to node."""
    incoming = node.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()
    outgoing = node.base.links.get_outgoing().all()
    return [
        (type(node), node.process_type, node.label, node.description, node.computer),
        node.base.attributes.all,
        node.base.repository.metadata,
        sorted((x.link_type, x.link_label, x.node.pk) for x in incoming),
        sorted(
            (x.link_type, x.link_label) for x in outgoing if "guess" not in x.link_label
        ),
        node.user.pk,
    ]


@pytest.mark.parametrize(
    ("kind", "value", "node_type"),
    [
        (Text(), "yes", Str),
        (Integer(), 7, Int),
        (kinds.Float(), 0.5, Float),
        (Boolean(), False, Bool),
        (Choices(["a", "b", "c"]), ["a", "c"], List),
        (Json({"type": "object"}), {"a": [1, None]}, Dict),
    ],
)
def test_a_value_goes_on_as_a_node(
    ask: Callable[..., WorkChainNode], kind: Any, value: Any, node_type: type[Node]
) -> None:
    """Of the type that AiiDA has for it."""
    node = ask(AskOne, question=Question("Well?", kind))
    assert answer(node, value).accepted
    (decision,) = decided(ended(node))
    result = decision.outputs.result
    assert type(result) is node_type
    assert result.value == value
    assert node.outputs.answer["value"] == value


def test_what_was_shown_and_what_was_chosen_are_inputs(
    ask: Callable[..., WorkChainNode],
) -> None:
    """A process that was shown is named, a node that was deleted since is left out."""
    plot, chosen = ArrayData().store(), Int(3).store()
    shown = ask(AskOne, question=Question("Which?"))
    question = Question("Which?", kinds.Node(of=Int), evidence=(plot, shown))
    node = ask(AskOne, question=question)
    assert answer(node, str(chosen.pk)).accepted
    (decision,) = decided(ended(node))
    assert decision.inputs.evidence_1.uuid == plot.uuid
    assert decision.inputs.chosen.uuid == chosen.uuid
    assert decision.outputs.result.value == chosen.uuid
    assert node.outputs.answer["value"] == chosen.uuid, "it goes on with the node"
    (found,) = decisions(node)
    assert found.evidence == [plot.uuid, shown.uuid]


def test_a_default_is_a_decision_of_nobody(ask: Callable[..., WorkChainNode]) -> None:
    """Its kind says that the deadline passed."""
    question = Question(
        "In time?", default="no", within=timedelta(seconds=1), at_deadline="default"
    )
    node = ended(ask(AskOne, question=question))
    (found,) = decisions(node)
    assert (found.response["kind"], found.response["value"]) == ("default", "no")
    assert "by" not in found.response


def test_an_answer_is_a_decision_however_the_workflow_ends(
    ask: Callable[..., WorkChainNode],
) -> None:
    """By the deadline of another question, or because somebody kills it."""
    late = ask(AskTwoInTime, seconds=Int(5))
    killed = ask(AskTwoInTime, seconds=Int(600))
    for node in (late, killed):
        assert answer(node, "yes", question="first").accepted
    kill_unfinished([killed])
    ended(late, 400)
    wait_until(lambda: refresh() or killed.is_sealed, "it is killed")
    for node in (late, killed):
        (found,) = decisions(node)
        assert (found.question["name"], found.response["value"]) == ("first", "yes")
        assert history(node)[0].decision is not None


def test_a_node_that_is_not_stored_cannot_be_shown(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Nor offered: nobody would find it."""
    node = ask(AskWithUnstored)
    assert node.is_excepted
    assert "this node is not stored, so store it first: Int" in node.exception
    with pytest.raises(ValueError, match="so store it first: Int"):
        kinds.Node(among=[Int(1)])


def test_a_step_that_is_run_again_decides_once(daemon: None) -> None:
    """The worker dies after the decision was recorded, in the step that reads it."""
    node = submit(AskAndDieAfter, question=Dict(Question("Alive?").to_record()))
    wait_until(lambda: refresh() or history(node), "it asks")
    assert answer(node, "yes").outcome in ("accepted", "kept")
    wait_until(lambda: has_died(node), "it dies")
    with suppress(TimeoutError):  # as a person would, which has the broker look
        wait_for_question(node, 20)
    ended(node)
    assert len(decided(node)) == 1


def test_each_decision_is_found_once_however_many_ways_lead_to_it(
    won: WorkChainNode,
) -> None:
    """Forty steps that each use the one before twice: a million million ways."""
    assert len(decisions(after(40, won.outputs.result))) == 3


def after(steps: int, value: Node) -> Node:
    """Return what so many calculations have made, each of the one before twice."""
    for _ in range(steps):
        step = CalcFunctionNode()
        step.set_process_label("add_both")
        for label in ("one", "other"):
            step.base.links.add_incoming(value, LinkType.INPUT_CALC, label)
        value = Int(1)
        value.base.links.add_incoming(step.store(), LinkType.CREATE, "result")
        value.store()
    return value


def test_the_command_shows_who_decided(won: WorkChainNode) -> None:
    """On 80 columns, as JSON and in raw lines; of nothing it says so."""
    pk = str(won.outputs.result.pk)
    text = hitl("decisions", pk)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "ada@example.org" in text
    assert "why not" in text
    records = json.loads(hitl("decisions", won.uuid, "--json"))
    assert [Decision(**less_evidence(each)) for each in records] == decisions(won)
    rows = hitl("decisions", pk, "--raw").splitlines()
    assert [len(row.split("\t")) for row in rows] == [11] * 3
    nothing = Int(1).store()
    assert hitl("decisions", str(nothing.pk)).startswith("No decision of a person")


def test_the_command_names_what_there_is(
    ask: Callable[..., WorkChainNode], profile: str
) -> None:
    """Who asked, what was shown, and what is repeated, of a default as well."""
    seen = ArrayData(np.arange(3)).store()
    question = Question(
        "In time?",
        default="no",
        within=timedelta(milliseconds=1),  # has passed where the answer is repeated
        at_deadline="default",
        evidence=[seen],
    )
    node = ended(ask(AskOne, question=question))
    again = ended(replay(node))
    text = " ".join(hitl("decisions", str(again.pk)).split())
    (then,) = decisions(node)
    assert "policy · " in text
    for name in (f"AskOne <{again.pk}>", f"ArrayData <{seen.pk}>", f"<{then.pk}>"):
        assert name in text
    assert hitl("decisions", str(again.pk), "--raw").rstrip().endswith(then.uuid)
    assert "default · " in hitl("decisions", str(node.pk))


def test_who_only_returned_a_node_is_named(profile: str) -> None:
    """To accept a result is a decision that comes after it."""
    result = ArrayData(np.arange(3)).store()
    workflow = WorkChainNode(process_type="")
    workflow.set_process_label("Accepting")
    workflow.store()
    letter = Letter(
        {
            "id": "1",
            "batch": 1,
            "question": Question("Is it good?").to_record(),
            "asked_at": "2026-01-01T00:00:00+00:00",
            "answer": {"value": "yes", "at": "2026-01-01T00:00:01+00:00"},
        }
    )
    record(workflow, letter)
    result.base.links.add_incoming(workflow, LinkType.RETURN, "result")
    assert decisions(result) == []
    text = hitl("decisions", str(result.pk))
    assert f"1 more in Accepting <{workflow.pk}>, which returned it" in text


def test_a_long_history_is_drawn_in_seconds(profile: str) -> None:
    """With each node once, though many ways lead to it."""
    value = after(100, Int(0).store())
    begin = time.monotonic()
    drawn = picture(value).graphviz.source
    assert time.monotonic() - begin < 5
    assert drawn.count("add_both") == 100


def less_evidence(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as its fields."""
    return {key: value for key, value in record.items() if key != "evidence"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """Return the environment of somebody who has a profile of their own."""
    folder = tmp_path / "home"
    (folder / ".aiida").mkdir(parents=True)
    environment = {**os.environ, "AIIDA_PATH": str(folder)}
    subprocess.run(
        ["verdi", "presto", "--use-zeromq", "-p", "other", "--non-interactive"],
        env=environment,
        check=True,
        capture_output=True,
    )
    return environment


def test_an_archive_keeps_the_decisions(
    won: WorkChainNode, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    """All that was known of them, also without the workflow and without extras."""
    here = hitl("decisions", won.outputs.result.uuid, "--json")
    archive = tmp_path / "result.aiida"
    verdi("archive", "create", str(archive), "-N", str(won.outputs.result.pk))
    done = subprocess.run(
        ["verdi", "archive", "import", "--extras-mode-new", "none", str(archive)],
        env=elsewhere,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    there = hitl_program("decisions", won.outputs.result.uuid, "--json", env=elsewhere)
    assert [less_pk(each) for each in json.loads(there)] == [
        less_pk(each) for each in json.loads(here)
    ]
    shutil.rmtree(elsewhere["AIIDA_PATH"])


def less_pk(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as every profile has it."""
    return {key: value for key, value in record.items() if key != "pk"}
