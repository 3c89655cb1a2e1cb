"""An equation of state: what is expensive waits until a person has looked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiida.engine import run_get_node, submit
from aiida.orm import (
    AbstractCode,
    CalcJobNode,
    Dict,
    Node,
    QueryBuilder,
    SinglefileData,
    load_node,
)
from aiida.plugins import WorkflowFactory
from aiida.tools.visualization import Graph

from aiida_humanintheloop.decision import DECISION_TYPE, decisions
from aiida_humanintheloop.inbox import answer, evidence, history
from aiida_humanintheloop.replay import replay
from aiida_humanintheloop.workflows.equation_of_state import EquationOfStateWorkChain
from aiida_humanintheloop.workflows.lattice_energy import ARGON, python_on
from aiida_humanintheloop.workflows.resume_after_failure import ailing_computer
from tests.faults import workers_with
from tests.processes import ended
from tests.workflows.examples import (
    BULK_MODULUS,
    COHESIVE_ENERGY,
    GPA,
    NEIGHBOUR_DISTANCE,
    Ask,
    asks,
    calculations,
    say,
)


@pytest.fixture
def caching(daemon: None) -> Iterator[None]:
    """Have the daemon take a calculation from the cache that was made before."""
    entry_point = "aiida.calculations:humanintheloop.lattice_energy"
    with workers_with({"caching.enabled_for": entry_point}):
        yield


def test_it_has_an_entry_point(profile: str) -> None:
    """By which the database names it."""
    assert (
        WorkflowFactory("humanintheloop.equation_of_state") is EquationOfStateWorkChain
    )


def test_the_expensive_part_waits_for_approval(ask: Ask, code: AbstractCode) -> None:
    """It comes after the decision, which comes after what the person was shown."""
    node = ask(EquationOfStateWorkChain, code=code, range=[1.05, 1.15])
    assert asks(node, 1).startswith("There is no minimum in this range.")
    assert "approve" not in history(node)[0].question.kind.options
    quick = len(calculations(node))
    say(node, "other range")
    asks(node, 2)
    refused = answer(node, [1.1, 0.9])
    assert "a range is [lowest, highest]" in refused.reason
    say(node, [0.9, 1.1])
    assert asks(node, 3).startswith("Minimum at 3")
    shown = evidence(history(node)[2:])
    assert {type(each) for each in shown.values()} == {SinglefileData, Dict}
    assert len(calculations(node)) == 2 * quick
    say(node, "approve", comment="smooth enough")
    ended(node)

    assert len(calculations(node)) == 3 * quick
    equation = node.outputs.equation.get_dict()
    side = (4 * equation["volume"]) ** (1 / 3)
    assert side / 2**0.5 / ARGON["sigma"] == pytest.approx(NEIGHBOUR_DISTANCE, rel=2e-3)
    expected = -COHESIVE_ENERGY * ARGON["epsilon"]
    assert equation["energy"] == pytest.approx(expected, rel=2e-3)
    expected = BULK_MODULUS * ARGON["epsilon"] / ARGON["sigma"] ** 3 * GPA
    assert equation["bulk_modulus"] == pytest.approx(expected, rel=0.03)
    content = node.outputs.plot.base.repository.get_object_content(
        "equation-of-state.png", "rb"
    )
    assert content.startswith(b"\x89PNG")

    said = [each.response["value"] for each in decisions(node.outputs.equation)]
    assert said == [[0.9, 1.1], "approve"]
    assert len(decisions(node)) == 3
    approval = decisions(node.outputs.equation)[-1]
    precise = calculations(node)[-1]
    assert rests_on(precise, approval.pk)
    assert all(rests_on_node(approval.pk, uuid) for uuid in shown)
    assert not rests_on(calculations(node)[0], approval.pk)

    graph = Graph(node_id_type="pk")  # as `verdi node graph generate` does
    graph.recurse_ancestors(precise, annotate_links="both")
    graph.recurse_descendants(precise, annotate_links="both")
    drawn = graph.graphviz.source
    (plot,) = (each for each in shown.values() if isinstance(each, SinglefileData))
    (approved,) = load_node(approval.pk).base.links.get_outgoing().all_nodes()
    maker = precise.inputs.structure.creator
    for start, end in ((plot, approval), (approval, approved), (approved, maker)):
        assert f"N{start.pk} -> N{end.pk}" in drawn
    assert f"N{precise.inputs.structure.pk} -> N{precise.pk}" in drawn


def rests_on(node: Node, pk: int) -> bool:
    """Return whether a process comes of another, in the provenance of the data."""
    query = QueryBuilder().append(Node, filters={"id": pk}, tag="first")
    query.append(Node, filters={"id": node.pk}, with_ancestors="first")
    return query.count() > 0


def rests_on_node(pk: int, uuid: str) -> bool:
    """Return whether a decision was made on what was shown."""
    query = QueryBuilder().append(Node, filters={"uuid": uuid}, tag="shown")
    query.append(
        Node,
        filters={"id": pk, "process_type": DECISION_TYPE},
        with_incoming="shown",
    )
    return query.count() > 0


@pytest.mark.restarts_daemon
def test_a_replay_calculates_nothing_twice(
    caching: None, ask: Ask, code: AbstractCode
) -> None:
    """With caching on; and answered otherwise, only what then is another one."""
    node = ask(EquationOfStateWorkChain, code=code, range=[0.88, 1.12])
    asks(node, 1)
    say(node, "approve")
    ended(node)
    again = ended(replay(node))
    assert len(calculations(again)) == len(calculations(node))
    assert all(from_cache(each) for each in calculations(again))
    assert [each.response["kind"] for each in decisions(again)] == ["policy"]
    assert again.outputs.equation.get_dict() == node.outputs.equation.get_dict()

    otherwise = replay(node, {"1": "other range"})
    quick = len(calculations(node)) // 2
    asks(otherwise, 2)
    say(otherwise, [0.8617, 1.1531])
    asks(otherwise, 3)
    scanned = [from_cache(each) for each in calculations(otherwise)]
    assert scanned == [True] * quick + [False] * quick
    say(otherwise, "stop")
    ended(otherwise, 410)


def from_cache(node: CalcJobNode) -> bool:
    """Return whether a calculation was not run."""
    return node.base.caching.is_created_from_cache


def test_a_person_can_stop_it(ask: Ask, code: AbstractCode) -> None:
    """Before anything expensive has run."""
    node = ask(EquationOfStateWorkChain, code=code)
    asks(node, 1)
    quick = len(calculations(node))
    say(node, "stop")
    ended(node, 410)
    assert len(calculations(node)) == quick


def test_an_approval_of_what_is_wrong_has_its_own_exit_code(
    ask: Ask, code: AbstractCode
) -> None:
    """Scanned too coarsely, the minimum is not where the person saw it."""
    node = ask(EquationOfStateWorkChain, code=code, range=[0.7, 1.5])
    asks(node, 1)
    say(node, "approve")
    ended(node, 402)
    assert "volume" not in node.outputs.equation.get_dict()


def test_a_failed_scan_asks_nobody(code: AbstractCode, tmp_path: Path) -> None:
    """There is nothing to look at."""
    broken = ailing_computer(f"broken-{tmp_path.parent.name}", tmp_path / "none")
    _, node = run_get_node(EquationOfStateWorkChain, code=python_on(broken))
    assert node.exit_status == 400
    assert history(node) == []


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"range": [1.1, 0.9]}, "a range is"),
        ({"range": ["a", "b"]}, "a range is"),
        ({"range": ["x", 0.9, 1.1]}, "a range is"),
        ({"precise": {"cutof": 40}}, "each above 0"),
        ({"quick": {"cutoff": 0}}, "each above 0"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    code: AbstractCode, inputs: dict[str, Any], reason: str
) -> None:
    """Before anything runs."""
    with pytest.raises(ValueError, match=reason):
        submit(EquationOfStateWorkChain, code=code, **inputs)
