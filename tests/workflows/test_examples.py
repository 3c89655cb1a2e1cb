"""The worked examples: real calculations, and a person who looks, chooses and mends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    WorkChainNode,
    load_node,
)
from aiida.plugins import WorkflowFactory
from aiida.tools.visualization import Graph

from aiida_humanintheloop.decision import DECISION_TYPE, decisions
from aiida_humanintheloop.inbox import answer, evidence, history
from aiida_humanintheloop.replay import replay
from aiida_humanintheloop.workflows.adaptive_search import (
    AdaptiveSearchWorkChain,
    proposals,
)
from aiida_humanintheloop.workflows.birch_murnaghan import fit_birch_murnaghan
from aiida_humanintheloop.workflows.equation_of_state import EquationOfStateWorkChain
from aiida_humanintheloop.workflows.lattice_energy import (
    ARGON,
    LatticeEnergyCalculation,
    argon,
    python_on,
    scaled,
)
from aiida_humanintheloop.workflows.resume_after_failure import (
    ResumeAfterFailureWorkChain,
    ailing_computer,
)
from tests.conftest import ended, have_daemon, refresh, verdi, wait_until

Ask = Callable[..., WorkChainNode]
# Ashcroft and Mermin, Solid State Physics, chapter 20: of a crystal of Lennard-Jones
# atoms that see each other to infinity.
NEIGHBOUR_DISTANCE = 1.09  # sigma
COHESIVE_ENERGY = 8.61  # epsilon
BULK_MODULUS = 75.0  # epsilon / sigma^3
GPA = 160.21766208  # of 1 eV / A^3


@pytest.fixture
def code(daemon: None) -> AbstractCode:
    """Return the code of the examples."""
    return python_on("localhost")


@pytest.fixture
def caching(daemon: None) -> Iterator[None]:
    """Have the daemon take a calculation from the cache that was made before."""
    entry_point = "aiida.calculations:humanintheloop.lattice_energy"
    verdi("config", "set", "caching.enabled_for", entry_point)
    verdi("daemon", "restart")
    have_daemon()
    yield
    verdi("config", "unset", "caching.enabled_for")
    verdi("daemon", "restart")
    have_daemon()


def asks(node: WorkChainNode, number: int) -> str:
    """Return the text of a question as soon as it is asked."""
    wait_until(
        lambda: (
            refresh()
            or node.is_terminated
            or (len(history(node)) >= number and node.paused)
        ),
        "it asks",
    )
    assert not node.is_terminated, node.exit_message
    return history(node)[number - 1].question.text


def say(node: WorkChainNode, value: Any, **how: Any) -> None:
    """Answer, and see that it counts."""
    verdict = answer(node, value, **how)
    assert verdict.accepted, verdict.reason


def test_they_have_entry_points(profile: str) -> None:
    """By which the database names them."""
    for name, process in (
        ("equation_of_state", EquationOfStateWorkChain),
        ("adaptive_search", AdaptiveSearchWorkChain),
        ("resume_after_failure", ResumeAfterFailureWorkChain),
    ):
        assert WorkflowFactory(f"humanintheloop.{name}") is process


def test_argon_is_that_of_the_textbook(code: AbstractCode) -> None:
    """Cohesive energy, pressure at the minimum, and what is left out by a cutoff."""
    far = Dict({**ARGON, "cutoff": 40.0})
    distance = argon().cell[0][1] * 2**0.5
    at_minimum = scaled(argon(), NEIGHBOUR_DISTANCE * ARGON["sigma"] / distance)
    results, node = run_get_node(
        LatticeEnergyCalculation, code=code, structure=at_minimum, parameters=far
    )
    assert node.is_finished_ok
    found = results["results"]
    expected = -COHESIVE_ENERGY * ARGON["epsilon"]
    assert found["energy_per_atom"] == pytest.approx(expected, rel=2e-3)
    assert abs(found["pressure"]) < 0.02


def test_a_calculation_says_what_is_wrong(code: AbstractCode) -> None:
    """Parameters before it is submitted, a missing result as its exit code."""
    with pytest.raises(ValueError, match="each above 0, got"):
        submit(
            LatticeEnergyCalculation,
            code=code,
            structure=argon(),
            parameters=Dict({"epsilon": -1}),
        )
    options = {"prepend_text": "exit 1"}
    _, node = run_get_node(
        LatticeEnergyCalculation,
        code=code,
        structure=argon(),
        metadata={"options": options},
    )
    assert node.exit_status == 310


def test_a_fit_finds_what_it_was_made_of(profile: str) -> None:
    """A polynomial whose minimum is known; and no minimum where there is none."""

    def energy(volume: float) -> float:
        x = volume ** (-2 / 3)
        x0 = 36.0 ** (-2 / 3)
        return 40 * (x - x0) ** 2 - 0.09

    def points(*volumes: float) -> dict[str, Dict]:
        return {
            f"point_{number}": Dict(
                {"volume_per_atom": volume, "energy_per_atom": energy(volume)}
            )
            for number, volume in enumerate(volumes)
        }

    fitted = fit_birch_murnaghan(**points(30, 33, 36.5, 39, 42))
    assert fitted["volume"] == pytest.approx(36.0)
    assert fitted["energy"] == pytest.approx(-0.09)
    expected = 4 / 9 * 80 * 36.0 ** (-7 / 3) * GPA
    assert fitted["bulk_modulus"] == pytest.approx(expected)
    assert fitted["residual"] == pytest.approx(0, abs=1e-9)
    assert "volume" not in fit_birch_murnaghan(**points(37, 38, 39, 40)).get_dict()


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

    graph = Graph(node_id_type="pk")  # what `verdi node graph generate` draws
    graph.recurse_ancestors(precise, link_types=("input_calc", "create"))
    drawn = graph.graphviz.source
    (plot,) = (each for each in shown.values() if isinstance(each, SinglefileData))
    (approved,) = load_node(approval.pk).base.links.get_outgoing().all_nodes()
    maker = precise.inputs.structure.creator
    for start, end in ((plot, approval), (approval, approved), (approved, maker)):
        assert f"N{start.pk} -> N{end.pk}" in drawn
    assert f"N{precise.inputs.structure.pk} -> N{precise.pk}" in drawn


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
    ("process", "inputs", "reason"),
    [
        (EquationOfStateWorkChain, {"range": [1.1, 0.9]}, "a range is"),
        (EquationOfStateWorkChain, {"range": ["a", "b"]}, "a range is"),
        (EquationOfStateWorkChain, {"range": ["x", 0.9, 1.1]}, "a range is"),
        (EquationOfStateWorkChain, {"precise": {"cutof": 40}}, "each above 0"),
        (EquationOfStateWorkChain, {"quick": {"cutoff": 0}}, "each above 0"),
        (AdaptiveSearchWorkChain, {"parameters": {"sigma": "3"}}, "each above 0"),
        (AdaptiveSearchWorkChain, {"pressure": -0.5}, "must be 0 GPa or more"),
        (AdaptiveSearchWorkChain, {"max_points": 1}, "must be 2 or more"),
        (AdaptiveSearchWorkChain, {"tolerance": 0.0}, "must be above 0 GPa"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    code: AbstractCode, process: type, inputs: dict[str, Any], reason: str
) -> None:
    """Before anything runs."""
    with pytest.raises(ValueError, match=reason):
        submit(process, code=code, **inputs)


def test_a_person_chooses_each_step(ask: Ask, code: AbstractCode) -> None:
    """By a method or by a point, until the pressure is met."""
    node = ask(AdaptiveSearchWorkChain, code=code, pressure=0.5)
    assert "wanted are 0.5 GPa" in asks(node, 1)
    assert "secant: goes to 0.9" in history(node)[0].question.help
    assert "between 0.7 and 1.5" in answer(node, 9.0, question="point").reason
    say(node, 0.97, question="point")
    asks(node, 3)
    say(node, "bisect", question="method")
    number = 5
    while not met(node, number):
        say(node, "secant", question="method")
        number += 2
    ended(node)
    _, calculation = run_get_node(
        LatticeEnergyCalculation,
        code=code,
        structure=node.outputs.structure,
        parameters=Dict(ARGON),
    )
    assert calculation.outputs.results["pressure"] == pytest.approx(0.5, abs=0.02)
    said = [each.response["value"] for each in decisions(node.outputs.structure)]
    assert said[:2] == [0.97, "bisect"]
    assert set(said[2:]) <= {"secant"}


def met(node: WorkChainNode, number: int) -> bool:
    """Return whether the search has ended, and not asked another question."""
    wait_until(
        lambda: (
            refresh()
            or node.is_terminated
            or (len(history(node)) > number and node.paused)
        ),
        "it asks or ends",
    )
    return node.is_terminated


def test_a_search_ends_without_a_result(ask: Ask, code: AbstractCode) -> None:
    """Where the person stops it, and where the calculations are used up."""
    node = ask(AdaptiveSearchWorkChain, code=code)
    asks(node, 1)
    say(node, "stop", question="method")
    ended(node, 410)
    node = ask(AdaptiveSearchWorkChain, code=code, max_points=3)
    asks(node, 1)
    say(node, 1.2, question="point")
    ended(node, 401)
    assert "plot" in node.outputs


def test_proposals_lead_to_the_pressure(profile: str) -> None:
    """And there is none where no method can say anything."""
    points = [[0.9, 3.0], [1.0, -1.0]]
    assert proposals(points, 1.0) == pytest.approx({"bisect": 0.95, "secant": 0.95})
    assert proposals(points, 4.0) == pytest.approx({"secant": 0.875})
    assert proposals([[0.9, 1.0], [1.0, 1.0]], 2.0) == {}
    rises_again = [[0.9, 3.0], [1.0, -0.2], [1.4, -0.1]]
    assert proposals(rises_again, 0.0)["bisect"] == pytest.approx(0.95)
    assert proposals([[0.9, 1.01], [1.0, 1.0]], 9.0) == {}


def test_what_fails_goes_on_once_it_is_mended(
    ask: Ask, code: AbstractCode, tmp_path: Path
) -> None:
    """The person sees what the computer said, mends it, and has it run once more."""
    scratch = tmp_path / "it's scratch"
    computer = ailing_computer(f"ailing-{tmp_path.parent.name}", scratch)
    assert ailing_computer(computer.label, scratch).pk == computer.pk
    inputs = {"code": python_on(computer), "structure": argon()}
    node = ask(ResumeAfterFailureWorkChain, calculation=inputs)
    assert "The program left no result" in asks(node, 1)
    assert "no scratch space" in history(node)[0].question.help
    say(node, "restart")
    asks(node, 2)
    scratch.mkdir()
    say(node, "restart")
    ended(node)
    assert [each.exit_status for each in calculations(node)] == [310, 310, 0]
    assert node.outputs.results["energy_per_atom"] < 0
    assert len(decisions(node)) == 2


def calculations(node: WorkChainNode) -> list[CalcJobNode]:
    """Return what was calculated, oldest first."""
    refresh()
    called = [each for each in node.called if isinstance(each, CalcJobNode)]
    return sorted(called, key=lambda each: each.pk)


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
