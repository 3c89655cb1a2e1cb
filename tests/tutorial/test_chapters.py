"""Every chapter of the tutorial, run from top to bottom as "Run All Cells" does."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import pytest
from aiida.orm import WorkChainNode, load_node
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.conftest import REPOSITORY, refresh

CHAPTERS = sorted((REPOSITORY / "tutorial").glob("[0-9][0-9]-*.md"))
(GUESS_THE_NUMBER,) = (path for path in CHAPTERS if "guess-the-number" in path.stem)
ANSI = re.compile(r"\x1b\[[0-9;]*m")

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run a chapter in a folder; a cell that fails fails the test."""
    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=120, resources=resources).execute()


def printed(notebook: NotebookNode, name: str) -> str:
    """Return all that the cells wrote to one stream, without colours."""
    return ANSI.sub(
        "",
        "".join(
            output["text"]
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            if output["output_type"] == "stream" and output["name"] == name
        ),
    )


def game_of(notebook: NotebookNode) -> WorkChainNode:
    """Return the game that a run of the first chapter submitted."""
    told = re.search(r"number \(PK\) (\d+)\.", printed(notebook, "stdout"))
    assert told, printed(notebook, "stdout")
    refresh()
    return load_node(int(told[1]))


@each_chapter
def test_a_chapter_is_a_text_notebook_without_outputs(chapter: Path) -> None:
    """JupyterLab opens it as a notebook with the kernel that every seat has."""
    notebook = jupytext.read(chapter)
    assert notebook.metadata["jupytext"]["text_representation"]["format_name"] == "myst"
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert any(cell.cell_type == "code" for cell in notebook.cells)
    assert "{code-cell} ipython3" in chapter.read_text(encoding="utf-8")
    assert not any(cell.get("outputs") for cell in notebook.cells)


@each_chapter
def test_a_chapter_keeps_the_shape_of_all_chapters(chapter: Path) -> None:
    """A reader knows beforehand what comes, what it takes and how long."""
    text = chapter.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:3] == ["What you'll do", "What you'll learn", "What you'll need"]
    assert headings[-1] == "On your own"
    assert re.search(r"\d+ minutes", text)


@each_chapter
@pytest.mark.usefixtures("daemon")
def test_a_chapter_runs_twice_in_a_row(chapter: Path, tmp_path: Path) -> None:
    """The second run finds what the first has left, and does what the page says."""
    for _ in range(2):
        notebook = run(jupytext.read(chapter), tmp_path)
        stdout = printed(notebook, "stdout")
        assert printed(notebook, "stderr") == ""
        assert "Traceback" not in stdout
        assert "Warning" not in stdout
        if chapter == GUESS_THE_NUMBER:
            assert_the_game_went_as_the_page_says(notebook)


def assert_the_game_went_as_the_page_says(notebook: NotebookNode) -> None:
    """Two answers are refused and told so, one starts the game, the rest wins it."""
    stdout = printed(notebook, "stdout")
    position = 0
    for text in [
        "Daemon is running",
        "Guess a number between 1 and 100.",
        'Need user input via "answer" extra before replaying!',
        '"answer": null',
        "No answer was given: it must be an integer between 1 and 100.",
        "'fifty' was not taken: the answer must be an integer between 1 and 100.",
        "processed.",
        "Attempt 1: 50",
        "No more questions.",
        "Finished [0]",
    ]:
        assert text in stdout[position:], f"{text!r} is missing or too early: {stdout}"
        position = stdout.index(text, position)

    game = game_of(notebook)
    assert game.is_finished_ok
    history = game.outputs.result["history"]
    assert history[0]["guess"] == 50
    assert history[-1]["feedback"] == "correct"


@pytest.mark.usefixtures("daemon")
def test_a_reader_may_win_the_game_in_a_terminal(tmp_path: Path) -> None:
    """The cell that would play to the end finds nothing left to guess, and goes on."""
    notebook = jupytext.read(GUESS_THE_NUMBER)
    # Straight from the start of the game to its end; a terminal beside the page.
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code"
        and not cell.source.startswith(("!verdi", "game.base.extras.set"))
    ]
    (playing,) = (cell for cell in notebook.cells if "talk.answer(" in cell.source)
    script = REPOSITORY / "scripts" / "auto-guess.py"
    playing.source = f"!{script} {{pk}} --auto\n{playing.source}"
    stdout = printed(run(notebook, tmp_path), "stdout")
    assert "No more questions." in stdout
    assert "I say" not in stdout
    assert game_of(notebook).is_finished_ok
