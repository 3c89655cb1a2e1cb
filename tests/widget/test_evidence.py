"""What is shown of a node: something that a person can judge, or why nothing is."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from aiida.orm import (
    ArrayData,
    Data,
    Dict,
    Float,
    FolderData,
    List,
    SinglefileData,
    Str,
    XyData,
)

from aiida_humanintheloop.widget.evidence import title_of, view_of
from aiida_humanintheloop.workflows.lattice_energy import argon
from tests.processes import ended

pytestmark = pytest.mark.usefixtures("profile")
PNG = b"\x89PNG"


def test_numbers_and_words_are_shown_as_they_are() -> None:
    """A flat dictionary as a table, what is nested as JSON that can be read."""
    assert view_of(Float(0.25)).text == "0.25"
    assert view_of(Str("<b>")).text == "<b>"
    assert view_of(Dict({"a": 1})).rows == [["a", "1"]]
    assert view_of(Dict({"a": "b" * 600})).rows == [["a", "b" * 500 + "…"]]
    assert view_of(List([[1, 2], [3]])).text == "[\n  [ 1, 2 ],\n  [ 3 ]\n]"
    assert '"a": 1' in view_of(Dict({"b": {"a": 1}})).text
    assert (
        view_of(List(["a  b", "[\n1\n]", 1.0])).text == '[ "a  b", "[\\n1\\n]", 1.0 ]'
    )
    nested = Dict({"b": {"a": [], "c": ["ä"]}, "d": {}})
    assert view_of(nested).text == (
        '{\n  "b": {\n    "a": [],\n    "c": [ "ä" ]\n  },\n  "d": {}\n}'
    )
    assert view_of(Data()).text


def test_curves_are_drawn() -> None:
    """With what is on the axes in words, for whoever does not see them."""
    curve = ArrayData()
    curve.set_array("energy", np.array([1.0, 0.0, 2.0]))
    drawn = view_of(curve)
    assert (drawn.image[:4], drawn.says) == (PNG, "energy against index")
    points = XyData()
    points.set_x(np.arange(200.0), "volume", "Å^3")
    points.set_y([np.arange(200.0)] * 60, ["e"] * 60, ["eV"] * 60)
    drawn = view_of(points)
    assert drawn.image[:4] == PNG
    assert drawn.note == "The first 50 of 60 curves."
    priced = XyData()
    priced.set_x(np.arange(3.0), "a $", "$\\no")
    priced.set_y([np.arange(3.0)] * 2, ["$\\foo$", "_b"], ["$", ""])
    assert view_of(priced).image[:4] == PNG


def test_curves_are_numbers_where_nothing_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without matplotlib."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    curve = ArrayData()
    curve.set_array("energy", np.arange(300) / 8)
    view = view_of(curve)
    assert view.columns == ["index", "energy"]
    assert view.rows[1] == ["1", "0.125"]
    assert view.note == "The first 100 of 300 rows."


def test_other_arrays_are_described() -> None:
    """By their shape and range; text, and nothing, have none."""
    arrays = ArrayData()
    arrays.set_array("forces", np.array([[1.0, -2.0]]))
    arrays.set_array("nothing", np.zeros(0))
    assert view_of(arrays).rows == [
        ["forces", "1 x 2", "float64", "-2", "1"],
        ["nothing", "0", "float64", "", ""],
    ]


def test_a_structure_is_a_table() -> None:
    """With its cell in words."""
    view = view_of(argon())
    assert view.text.startswith("Ar, 1 sites in ")
    assert view.rows == [["Ar", "0.0000", "0.0000", "0.0000"]]


def test_files_are_shown_by_what_is_in_them() -> None:
    """An image, text, the beginning of much text, or how large it is."""

    def view(name: str, content: bytes) -> object:
        return view_of(SinglefileData(io.BytesIO(content), filename=name).store())

    assert view("a.png", PNG).mime == "image/png"
    assert view("a.txt", "ä\n".encode()).text == "ä\n"
    assert view("a.log", b"x" * 30_000).note == "The first 20,000 of 30,000 characters."
    for content in (b"\xff\xfe", b"a\0b"):
        assert view("a.bin", content).note.endswith("bytes that are no text.")
    size = 10_000_001
    noted = view("a.cube", "ä".encode() * (size // 2 + 1)).note
    assert noted == "The first 20,000 characters of more than 10,000,000 bytes."
    for name in ("a.bin", "a.png"):
        noted = view(name, b"\0" * size).note
        assert noted == f"{name}: more than 10,000,000 bytes that are no text."
    folder = FolderData()
    folder.base.repository.put_object_from_bytes(b"", "below/a.txt")
    assert view_of(folder.store()).rows == [["below/a.txt"]]


def test_a_process_is_shown_by_how_it_ended(daemon: None, code: object) -> None:
    """With the end of what its program said."""
    from aiida.engine import submit
    from aiida.orm import Int
    from aiida.plugins import CalculationFactory

    add = CalculationFactory("core.arithmetic.add")
    node = ended(submit(add, code=code, x=Int(4), y=Int(-5)), 410)
    view = view_of(node)
    assert ["Exit code", "410"] in view.rows
    assert "(aiida.out):\n-1" in view.text
    assert title_of(node) == f"ArithmeticAddCalculation <{node.pk}>"
