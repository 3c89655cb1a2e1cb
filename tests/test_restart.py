"""Where a restarting work chain would give up, a person says how to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiida.common import AttributeDict
from aiida.common.links import LinkType
from aiida.engine import submit
from aiida.engine.processes.control import kill_processes
from aiida.engine.processes.process_spec import ProcessSpec
from aiida.orm import (
    Bool,
    CalcJobNode,
    Dict,
    FolderData,
    InstalledCode,
    Int,
    Node,
    Str,
    WorkChainNode,
    load_node,
)

from aiida_humanintheloop.decision import decisions
from aiida_humanintheloop.failure import last_lines
from aiida_humanintheloop.inbox import answer, history
from aiida_humanintheloop.inputs import described
from aiida_humanintheloop.replay import replay
from aiida_humanintheloop.restart import _has_required
from tests.commands import hitl, verdi
from tests.failing import (
    AskBeforeGivingUp,
    AskWhereItFails,
    AskWithPlainDictionary,
    NeedTwo,
)
from tests.patience import wait_until
from tests.processes import ended, paused
from tests.profile import refresh

Ask = Callable[..., WorkChainNode]


@pytest.fixture
def fails(ask: Ask, code: InstalledCode) -> Ask:
    """Return a function that submits one whose sum is negative, until it asks."""

    def submit_one(
        process: type = AskWhereItFails, is_asking: bool = True, **inputs: Any
    ) -> WorkChainNode:
        add = {
            "x": Int(1),
            "y": Int(-5),
            "code": code,
            "metadata": {"options": {"resources": {"num_machines": 1}}},
        }
        return (ask if is_asking else submit)(process, add=add, **inputs)

    return submit_one


def asks(node: WorkChainNode, number: int) -> None:
    """Wait until a workflow puts its question of that number, or fails otherwise."""
    wait_until(
        lambda: refresh() or node.is_terminated or len(history(node)) == number,
        f"question {number}",
    )
    assert not node.is_terminated, node.exit_message or node.exception
    wait_until(lambda: refresh() or node.paused, "it waits")


def say(node: WorkChainNode, value: Any) -> None:
    """Answer, and see that it counts."""
    verdict = answer(node, value)
    assert verdict.accepted, verdict.reason


def children(node: WorkChainNode) -> list[CalcJobNode]:
    """Return what was run, oldest first."""
    refresh()
    return sorted(
        (each for each in node.called if isinstance(each, CalcJobNode)),
        key=lambda each: each.pk,
    )


def test_the_first_failure_asks_and_shows(fails: Ask) -> None:
    """What failed and how, with the end of what it printed."""
    node = fails()
    (child,) = children(node)
    question = history(node)[0].question
    assert question.text == (
        "ArithmeticAddCalculation failed with exit code 410: The sum of the operands "
        "is a negative number. How to go on?"
    )
    assert question.evidence == (child.uuid, child.outputs.retrieved.uuid)
    assert isinstance(load_node(question.evidence[1]), FolderData)
    assert "The last lines of the output (aiida.out):\n-4" in question.help
    assert question.kind.options == ("restart", "change", "accept", "abort")
    shown = hitl("show", str(node.pk))
    assert "exit code 402" in shown
    assert f"ArithmeticAddCalculation <{child.pk}>" in shown


def test_a_second_failure_asks_again_and_abort_ends_it(fails: Ask) -> None:
    """Restarted as it is, it fails as it did."""
    node = fails()
    say(node, "restart")
    asks(node, 2)
    first, second = children(node)
    assert first.inputs.y.uuid == second.inputs.y.uuid
    say(node, "abort")
    ended(node, 402)
    assert len(children(node)) == 2
    assert [each.response["value"] for each in decisions(node)] == ["restart", "abort"]


def test_it_goes_on_with_other_inputs(fails: Ask) -> None:
    """They are nodes that come of the decision; what cannot be run with is refused."""
    node = fails()
    say(node, "change")
    asks(node, 2)
    question = history(node)[1].question
    assert "y = -5" in question.help
    for value, reason in {
        '{"z": 1}': "there is no input z, only",
        '{"y": "six"}': "y: 'six' is no Int or Float, and names none",
        '{"y": null}': "required value was not provided for 'y'",
        '{"metadata": {"options": {"max_wallclock_seconds": "long"}}}': "wallclock",
        '{"metadata": 7}': "metadata has to be an object",
        '{"code": 999999999}': "is no AbstractCode",
        '{"code": 99999999999}': "is no AbstractCode",  # more than a database takes
        '{"code": "99999999999999999999"}': "is no AbstractCode",
        '{"metadata": {"dry_run": true}}': "metadata.dry_run cannot be changed",
        "[]": "not of type 'object'",
    }.items():
        verdict = answer(node, value)
        assert verdict.outcome == "refused"
        assert reason in verdict.reason, verdict.reason
        assert "\n" not in verdict.reason
    options = {
        "max_wallclock_seconds": 60,
        "resources": {"num_mpiprocs_per_machine": 1},
    }
    say(node, {"y": 6, "metadata": {"options": options}})
    ended(node)
    assert node.outputs.sum == 7
    _, child = children(node)
    assert child.get_option("max_wallclock_seconds") == 60
    assert child.get_option("resources")["num_machines"] == 1
    made = child.inputs.y.creator
    assert (made.process_label, made.caller) == ("make_inputs", node)
    values = [each.response["value"] for each in decisions(node.outputs.sum)]
    assert values == [{"y": 6, "metadata": {"options": options}}]
    again = ended(replay(node, {"inputs": {"y": 9}}))
    assert again.outputs.sum == 10
    assert [each.response["kind"] for each in decisions(again)] == ["policy"] * 2


def test_a_plain_dictionary_is_changed_where_it_was_named(ask: Ask) -> None:
    """And what is submitted is the node of the decision, if nobody writes into it."""
    node = ask(
        AskWithPlainDictionary,
        parameters=Dict({"deep": {"number": 1, "other": 5}, "more": 6}),
    )
    say(node, "change")
    asks(node, 2)
    verdict = answer(node, {"parameters": {"a.b": 1}})
    assert verdict.outcome == "refused"
    assert "parameters: key for attributes" in verdict.reason
    say(node, {"parameters": {"deep": {"number": 2}, "more": None}})
    ended(node)
    child = max(node.called, key=lambda each: each.pk)
    parameters = child.inputs.parameters
    expected = {"deep": {"number": 2, "other": 5, "prepared": True}}
    assert parameters.get_dict() == expected
    assert parameters.creator.process_label == "make_inputs"


@pytest.mark.parametrize("counts", [False, True])
def test_a_plain_dictionary_keeps_its_decision(ask: Ask, counts: bool) -> None:
    """While other inputs change, and while the work chain writes into it."""
    node = ask(
        AskWithPlainDictionary,
        parameters=Dict({"deep": {"number": 1}}),
        enough=Bool(False),
        counts=Bool(counts),
    )
    wanted = [{"parameters": {"deep": {"number": 2}}}, {"enough": True}]
    for number, changes in enumerate(wanted):
        say(node, "change")
        asks(node, 2 * number + 2)
        say(node, changes)
        if changes is not wanted[-1]:
            asks(node, 2 * number + 3)
    result = ended(node).outputs.parameters
    assert result["deep"] == {"number": 2, "prepared": True}
    child = max((x for x in node.called if x.process_label == "NeedTwo"), key=pk_of)
    creator = child.inputs.parameters.creator
    assert creator.process_label == ("write_into" if counts else "make_inputs")
    assert [each.response["value"] for each in decisions(result)] == wanted[:1]


def pk_of(node: Node) -> int:
    """Return its PK."""
    return node.pk


def test_the_inputs_of_now_are_shown_as_one_writes_them(profile: str) -> None:
    """As JSON, long ones on lines of their own."""
    long = {"deep": {"number": 1, "text": "x" * 60}}
    inputs = {"parameters": AttributeDict(long), "enough": Bool(True)}
    assert described(inputs, NeedTwo) == [
        "parameters = {\n"
        '  "deep": {\n'
        '    "number": 1,\n'
        f'    "text": "{"x" * 60}"\n'
        "  }\n"
        "}",
        "enough = true",
    ]


def test_outputs_are_looked_for_at_every_depth(profile: str) -> None:
    """Where one is missing, nobody can accept the others."""
    ours = ProcessSpec()
    ours.output("some.deep.number", valid_type=Int)
    ours.output("some.other", valid_type=Int, required=False)
    ours.output("of_its_own", valid_type=Int)
    of_child = ProcessSpec()
    of_child.output("some.deep.number", valid_type=Int)
    for outputs, is_enough in (
        ({}, False),
        ({"some": {"other": Int(1)}}, False),
        ({"some": {"deep": {"number": Int(1)}}}, True),
    ):
        found = _has_required(outputs, ours.outputs, of_child.outputs)
        assert found is is_enough


def test_what_fails_more_often_than_then_asks_a_person(fails: Ask) -> None:
    """An answer of the run that is repeated counts once."""
    node = fails()
    say(node, "change")
    asks(node, 2)
    say(node, {"y": 6})
    again = replay(ended(node), {"inputs": {"y": -9}})
    asks(again, 3)
    assert [bool(letter.answer) for letter in history(again)] == [True, True, False]
    say(again, "abort")
    ended(again, 402)


def test_output_that_is_no_text_can_be_shown(profile: str) -> None:
    """A crashed job leaves anything; PostgreSQL takes no NUL."""
    job = CalcJobNode(process_type="aiida.calculations:core.arithmetic.add")
    job.set_options({"output_filename": "out", "scheduler_stdout": "/etc/hosts"})
    files = FolderData()
    noise = b"\0\xff" * 3000 + b"\nkilled\0"
    files.base.repository.put_object_from_bytes(noise, "out")
    files.base.links.add_incoming(job.store(), LinkType.CREATE, "retrieved")
    files.store()
    shown = last_lines(job)
    assert shown.endswith("killed\ufffd")
    assert "\0" not in shown
    assert len(shown) < 5000


def test_a_result_is_taken_as_it_is(fails: Ask) -> None:
    """With all that is required of it."""
    node = fails()
    say(node, "accept")
    ended(node)
    assert node.outputs.sum == -4


def test_used_up_iterations_ask_and_are_counted_anew(fails: Ask) -> None:
    """And what is inspected then is the child that ran last, and not the first one."""
    node = fails(mend=Bool(True), max_iterations=Int(2))
    text = history(node)[0].question.text
    assert text.startswith(
        "All 2 iterations are used up; ArithmeticAddCalculation fail"
    )
    assert len(children(node)) == 2
    say(node, "restart")
    asks(node, 2)
    say(node, "restart")
    ended(node)
    assert node.outputs.sum == 0
    assert [each.inputs.y.value for each in children(node)] == [-5, -4, -3, -2, -1]


def test_a_pause_instead_of_a_question_goes_on_with_the_next_child(fails: Ask) -> None:
    """aiida-core 2.9 alone would inspect the first one again, and never end."""
    two = {"max_iterations": Int(2), "pause_on_max_iterations": Bool(True)}
    node = fails(mend=Bool(True), is_asking=False, **two)
    for number in (2, 4):
        wait_until(lambda n=number: len(children(node)) == n, "it runs on")
        wait_until(lambda: paused(node), "it pauses")
        verdi("process", "play", str(node.pk))
    ended(node)
    assert history(node) == []
    assert [each.inputs.y.value for each in children(node)] == [-5, -4, -3, -2, -1]


def test_a_handler_is_asked_before_a_person(fails: Ask) -> None:
    """Who deals with all failures keeps everybody else out of it."""
    node = fails(mend=Bool(True))
    ended(node)
    assert history(node) == []


@pytest.mark.parametrize("process", [AskBeforeGivingUp, AskWhereItFails])
def test_what_the_engine_is_told_to_do_it_does(fails: Ask, process: type) -> None:
    """An input of aiida-core says so."""
    node = fails(process, on_unhandled_failure=Str("restart_once"))
    ended(node, 402)
    assert len(children(node)) == 2
    assert history(node) == []


def test_one_that_exists_already_asks(fails: Ask) -> None:
    """Named behind ours, with an outline of its own."""
    node = fails(AskBeforeGivingUp)
    say(node, "change")
    asks(node, 2)
    say(node, {"x": 5})
    ended(node)
    assert node.outputs.sum == 0


def test_a_killed_child_asks(ask: Ask, code: InstalledCode) -> None:
    """And has no outputs that anybody could accept."""
    options = {"resources": {"num_machines": 1}, "sleep": 60}
    add = {"x": Int(1), "y": Int(2), "code": code, "metadata": {"options": options}}
    node = submit(AskWhereItFails, add=add)
    wait_until(lambda: len(children(node)) == 1, "it runs")
    (child,) = children(node)
    wait_until(lambda: refresh() or child.get_job_id() is not None, "it is submitted")
    kill_processes([child], timeout=30)
    asks(node, 1)
    question = history(node)[0].question
    assert question.text == "ArithmeticAddCalculation was killed. How to go on?"
    assert question.kind.options == ("restart", "change", "abort")
    say(node, "abort")
    ended(node, 302)
