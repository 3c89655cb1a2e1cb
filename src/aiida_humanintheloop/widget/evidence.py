"""A node as something that a person can look at: a picture, a table or text."""

from __future__ import annotations

import codecs
import io
import json
import mimetypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np
from aiida.orm import (
    ArrayData,
    BaseType,
    Dict,
    EnumData,
    FolderData,
    JsonableData,
    List,
    Node,
    ProcessNode,
    RemoteData,
    SinglefileData,
    StructureData,
    XyData,
)

from ..decision import name_of
from ..failure import last_lines
from ..text import shortened

__all__ = ["View", "title_of", "view_of"]

_MOST_CHARACTERS, _MOST_IN_A_CELL = 20_000, 500
_MOST_FILE_BYTES = 10_000_000
_MOST_ROWS, _MOST_LINES, _MOST_NAMED = 100, 50, 10
_INDENT = "  "
# matplotlib is not made for threads, and each inbox has some.
_DRAWING = threading.Lock()
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")


@dataclass(frozen=True)
class View:
    """What a page shows of a node.

    :param text: as it is, in lines.
    :param columns: heads of a table.
    :param rows: of the table, as text.
    :param image: the content of an image file.
    :param mime: of which kind the image is.
    :param says: what is in the image, for whoever does not see it.
    :param note: what is not shown.
    """

    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    image: bytes = b""
    mime: str = ""
    says: str = ""
    note: str = ""


def title_of(node: Node) -> str:
    """Return the name of a node: what it is, its PK, its label."""
    return f"{name_of(node)} {node.label}".rstrip()


@singledispatch
def view_of(node: Node) -> View:
    """Return what to show of a node; `view_of.register` adds a class of your own."""
    return _of_json(node.base.attributes.all)


@view_of.register
def _(node: SinglefileData) -> View:
    with node.open(mode="rb") as file:
        # It may be larger than the memory of this machine.
        return _of_file(node.filename, file.read(_MOST_FILE_BYTES + 1))


@view_of.register
def _(node: FolderData) -> View:
    walk = node.base.repository.walk()
    return _of_rows(["File"], [[str(path / x)] for path, _, xs in walk for x in xs])


@view_of.register
def _(node: RemoteData) -> View:
    computer = node.computer.label if node.computer else "?"
    return View(text=f"{computer}:{node.get_remote_path()}")


@view_of.register
def _(node: BaseType) -> View:
    return _of_text(str(node.value))


@view_of.register
def _(node: EnumData) -> View:
    return _of_text(node.name)


@view_of.register
def _(node: Dict) -> View:
    content = node.get_dict()
    if any(isinstance(value, (dict, list)) for value in content.values()):
        return _of_json(content)
    rows = [[_in_a_cell(name), _in_a_cell(value)] for name, value in content.items()]
    return _of_rows(["Name", "Value"], rows)


@view_of.register
def _(node: List) -> View:
    return _of_json(node.get_list())


@view_of.register
def _(node: JsonableData) -> View:
    return _of_json(node.base.attributes.all)


@view_of.register
def _(node: StructureData) -> View:
    lengths = ", ".join(f"{length:.4g}" for length in node.cell_lengths)
    angles = ", ".join(f"{angle:.4g}" for angle in node.cell_angles)
    rows = [
        [site.kind_name, *(f"{x:.4f}" for x in site.position)] for site in node.sites
    ]
    view = _of_rows(["Kind", "x (Å)", "y (Å)", "z (Å)"], rows)
    cell = (
        f"{node.get_formula()}, {len(rows)} sites in {node.get_cell_volume():.4g} Å³; "
        f"cell of {lengths} Å with angles {angles}°"
    )
    return replace(view, text=cell)


@view_of.register
def _(node: XyData) -> View:
    name, x, unit = node.get_x()
    curves = [(f"{label} ({of})" if of else label, y) for label, y, of in node.get_y()]
    return _of_curves(f"{name} ({unit})" if unit else name, x, curves)


@view_of.register
def _(node: ArrayData) -> View:
    """Draw what can be a curve, and describe the rest."""
    arrays = {name: node.get_array(name) for name in node.get_arraynames()}
    curves = [(name, array) for name, array in arrays.items() if _is_curve(array)]
    if curves and len(curves) == len(arrays):
        return _of_curves("index", np.arange(max(len(y) for _, y in curves)), curves)
    rows = [
        [name, " x ".join(map(str, array.shape)), str(array.dtype), *_range_of(array)]
        for name, array in arrays.items()
    ]
    return _of_rows(["Array", "Shape", "Type", "Lowest", "Highest"], rows)


@view_of.register
def _(node: ProcessNode) -> View:
    state = node.process_state.value if node.process_state else "created"
    facts = {"State": state, "Exit code": node.exit_status, "Why": node.exit_message}
    rows = [[name, str(fact)] for name, fact in facts.items() if fact is not None]
    return View(columns=["Fact", "Value"], rows=rows, text=last_lines(node))


def _is_curve(array: Any) -> bool:
    return bool(array.ndim == 1 and array.size and array.dtype.kind in "iuf")


def _range_of(array: Any) -> tuple[str, str]:
    if not array.size or array.dtype.kind not in "iuf":
        return "", ""
    return f"{array.min():.6g}", f"{array.max():.6g}"


def _of_file(name: str, content: bytes) -> View:
    """Show a file, of which one byte more is there than is shown of a large one."""
    is_whole = len(content) <= _MOST_FILE_BYTES
    size = f"{len(content):,} bytes"
    if not is_whole:
        size = f"more than {_MOST_FILE_BYTES:,} bytes"
    mime = mimetypes.guess_type(name)[0] or ""
    if mime in _IMAGES and is_whole:
        return View(image=content, mime=mime, says=name)
    try:
        # The end may be in the middle of a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(content, is_whole)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return View(note=f"{name}: {size} that are no text.")
    if not is_whole:
        note = f"The first {_MOST_CHARACTERS:,} characters of {size}."
        return View(text=text[:_MOST_CHARACTERS], note=note)
    return _of_text(text)


def _of_text(text: str) -> View:
    if len(text) <= _MOST_CHARACTERS:
        return View(text=text)
    return View(
        text=text[:_MOST_CHARACTERS],
        note=f"The first {_MOST_CHARACTERS:,} of {len(text):,} characters.",
    )


def _in_a_cell(value: object) -> str:
    return shortened(str(value), _MOST_IN_A_CELL)


def _of_json(value: Any) -> View:
    return _of_text(_indented(value))


def _indented(value: Any, margin: str = "\n") -> str:
    """Return it as JSON, with a list of numbers or words on one line."""
    inner = margin + _INDENT
    if isinstance(value, dict) and value:
        parts = [f"{_on_a_line(k)}: {_indented(v, inner)}" for k, v in value.items()]
        return f"{{{inner}{f',{inner}'.join(parts)}{margin}}}"
    if not isinstance(value, list) or not value:
        return _on_a_line(value)
    if any(isinstance(each, (dict, list)) for each in value):
        parts = [_indented(each, inner) for each in value]
        return f"[{inner}{f',{inner}'.join(parts)}{margin}]"
    return f"[ {', '.join(map(_on_a_line, value))} ]"


def _on_a_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _of_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], of: int | None = None
) -> View:
    """Show a table, or its beginning.

    :param of: how many rows there are, if not all were made.
    """
    count = len(rows) if of is None else of
    more = count > _MOST_ROWS
    note = f"The first {_MOST_ROWS} of {count:,} rows." if more else ""
    return View(columns=columns, rows=rows[:_MOST_ROWS], note=note)


def _of_curves(label: str, x: Any, curves: Sequence[tuple[str, Any]]) -> View:
    """Draw them; where nothing is installed that draws, return them as a table."""
    columns = [label, *(name for name, _ in curves)]
    try:
        # Not pyplot, which is not made for threads and keeps every figure.
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        arrays = [x, *(y for _, y in curves)]
        rows = [
            [f"{array[i]:.6g}" if i < len(array) else "" for array in arrays]
            for i in range(min(len(x), _MOST_ROWS))
        ]
        return _of_rows(columns, rows, of=len(x))
    with _DRAWING:
        figure = Figure(figsize=(5, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.set_xlabel(label, parse_math=False)  # a lone $ would be a mistake in TeX
        if np.asarray(x).dtype.kind in "iu":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawn = curves[:_MOST_LINES]
        for name, y in drawn:
            axes.plot(x[: len(y)], y, ".-" if len(y) <= _MOST_ROWS else "-", label=name)
        if len(drawn) == 1:
            axes.set_ylabel(columns[1], parse_math=False)
        elif len(drawn) <= _MOST_NAMED:
            for text in axes.legend().get_texts():
                text.set_parse_math(False)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=160)
    return View(
        image=file.getvalue(),
        mime="image/png",
        says=f"{', '.join(columns[1 : _MOST_LINES + 1])} against {label}",
        note=f"The first {_MOST_LINES} of {len(curves)} curves."
        if len(curves) > len(drawn)
        else "",
    )
