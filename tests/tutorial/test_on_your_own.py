"""What a page only invites to do: it works as the page lets a reader expect.

Where another test does it already, it is not done again here: `test_outages` plays a
computer before it is mended, for one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import pytest
from aiida.engine import submit
from aiida.orm import WorkChainNode, load_node

from aiida_humanintheloop.decision import decisions
from aiida_humanintheloop.inbox import answer, wait_for_question
from aiida_humanintheloop.letter import Letter
from aiida_humanintheloop.workflows.adaptive_search import AdaptiveSearchWorkChain
from aiida_humanintheloop.workflows.equation_of_state import EquationOfStateWorkChain
from aiida_humanintheloop.workflows.lattice_energy import argon, python_on
from aiida_humanintheloop.workflows.resume_after_failure import (
    ResumeAfterFailureWorkChain,
    ailing_computer,
)
from tests.commands import hitl
from tests.processes import ended, kill_unfinished
from tests.tutorial.test_chapters import pages, printed, run
from tests.workflows.examples import calculations

__all__ = ["pages"]  # a fixture
PATIENCE_SECONDS = 200


class Reader:
    """Starts workflows and answers them, as a page does."""

    def __init__(self) -> None:
        """Begin with none."""
        self.started: list[WorkChainNode] = []

    def start(self, process: type, **inputs: Any) -> WorkChainNode:
        """Submit a workflow, and wait for its question."""
        self.started.append(node := submit(process, **inputs))
        assert wait_for_question(node, timeout=PATIENCE_SECONDS)
        return node

    def say(self, node: WorkChainNode, value: Any, **how: Any) -> Letter | None:
        """Answer, see that it counts, and return the next question."""
        verdict = answer(node, value, **how)
        assert verdict.accepted, verdict.reason
        return wait_for_question(node, timeout=PATIENCE_SECONDS)


@pytest.fixture
def reader(daemon: None) -> Iterator[Reader]:
    """Return a reader, who leaves nothing waiting."""
    somebody = Reader()
    yield somebody
    kill_unfinished(somebody.started)


def test_04_a_change_of_the_inputs_is_judged_before_it_is_made(
    reader: Reader, tmp_path: Path
) -> None:
    """A name that is mistyped is told; the right one goes on."""
    scratch = tmp_path / "scratch"
    computer = ailing_computer(f"ailing-{tmp_path.parent.name}-change", scratch)
    inputs = {"code": python_on(computer), "structure": argon()}
    node = reader.start(ResumeAfterFailureWorkChain, calculation=inputs)
    scratch.mkdir()
    assert reader.say(node, "change")
    refused = answer(node, '{"parameters": {"cutof": 12}}')
    assert "parameters are epsilon, sigma, cutoff, each above 0" in refused.reason
    assert "{'cutof': 12}" in refused.reason
    assert reader.say(node, '{"parameters": {"cutoff": 12}}') is None
    ended(node)
    assert calculations(node)[-1].inputs.parameters["cutoff"] == 12


def test_05_a_larger_cutoff_comes_to_the_same_energy(reader: Reader) -> None:
    """So the 40 were enough: 8.61 epsilon is what it is with none."""
    node = reader.start(
        EquationOfStateWorkChain,
        code=python_on("localhost"),
        range=[0.9, 1.1],
        precise={"cutoff": 60.0},
    )
    assert reader.say(node, "approve") is None
    found = ended(node).outputs.equation
    assert found["energy"] == pytest.approx(-8.61 * 0.0104, abs=1e-4)


def test_06_a_reader_who_stops_the_search_still_comes_to_the_end_of_the_page(
    pages: Path,
) -> None:
    """There is no result to show then, and the page says so."""
    notebook = jupytext.read(pages / "06-choose-the-next-step.md")
    (first,) = (cell for cell in notebook.cells if "0.97 --question" in cell.source)
    position = notebook.cells.index(first)
    first.source = "!aiida-hitl answer {pk} stop --question method"
    results = next(
        number
        for number, cell in enumerate(notebook.cells)
        if "Look at the result" in cell.source
    )
    between = notebook.cells[position + 1 : results]
    # What a reader did before `stop` makes no difference; the turn of the reader does.
    notebook.cells = [
        *notebook.cells[: position + 1],
        *(cell for cell in between if "No more questions." in cell.source),
        *notebook.cells[results:],
    ]
    stdout = printed(run(notebook, pages), "stdout")
    assert "Nothing was found: A person stopped the search." in stdout
    assert "stop" in stdout.partition("Nothing was found")[2]


def test_06_a_point_far_away_leaves_the_secant_nowhere_to_go(reader: Reader) -> None:
    """It is not offered then, and not taken; the other method goes on."""
    node = reader.start(
        AdaptiveSearchWorkChain, code=python_on("localhost"), pressure=0.5
    )
    assert reader.say(node, 1.4, question="point")
    refused = answer(node, "secant", question="method")
    assert refused.reason == (
        "'secant' was not taken: the answer must be one of: bisect, stop."
    )
    assert reader.say(node, "bisect", question="method")


def test_07_a_replay_with_another_method_repeats_the_point(reader: Reader) -> None:
    """Though another question of that name was open and not answered, after it."""
    node = reader.start(
        AdaptiveSearchWorkChain,
        code=python_on("localhost"),
        pressure=0.5,
        tolerance=0.05,
    )
    assert reader.say(node, "secant", question="method")
    assert reader.say(node, 0.965, question="point") is None
    ended(node)
    refused = hitl("replay", str(node.pk), "--change", "2=0.95", fails=1)
    assert refused.startswith("Error: 2 was not asked then, or not answered. See: ")
    said = hitl("replay", str(node.pk), "--change", "method=bisect", "--json")
    again = load_node(json.loads(said)["pk"])
    reader.started.append(again)
    assert wait_for_question(again, timeout=PATIENCE_SECONDS) is None
    ended(again)
    assert [each.response["value"] for each in decisions(again)] == ["bisect", 0.965]
