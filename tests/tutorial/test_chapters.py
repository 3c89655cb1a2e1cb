"""Every chapter of the tutorial, run from top to bottom as "Run All Cells" does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from aiida.manage.configuration import get_config
from aiida.orm import WorkChainNode, load_node
from nbclient import NotebookClient
from nbformat import NotebookNode

from aiida_humanintheloop.inbox import open_questions
from tests import REPOSITORY
from tests.patience import run_async
from tests.profile import refresh

TUTORIAL = REPOSITORY / "tutorial"
CHAPTERS = sorted(TUTORIAL.glob("[0-9][0-9]-*.md"))
(BY_HAND,) = (path for path in CHAPTERS if path.stem == "02-ask-through-extras")
(WRITE_YOUR_OWN,) = (path for path in CHAPTERS if path.stem == "08-write-your-own")
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
LINK = re.compile(r"\]\((?!https?://)([^)#]+)\)")

# What each page promises to show, in this order.
PRINTS = {
    "00-start-here": [
        "This cell has run.",
        "AiiDA version",
        "This is the profile",
        "Daemon is running",
        "humanintheloop.equation_of_state",
        "humanintheloop.humanloop",
        "max_iters",
        "Usage: aiida-hitl",
    ],
    "01-pause-and-play": [
        "Your workflow has the number (PK)",
        "Waiting",
        "processed.",
        "Paused through `verdi process pause`",
        "ArithmeticAddCalculation",
        "Finished [0]",
        "processed.",
        "6 times 7, less 2, is 40.",
        "Total results: 3",
        "finished",
        "finished",
        "killed",
    ],
    "02-ask-through-extras": [
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
    ],
    "03-play-it": [
        "asks: Guess a number between 1 and 100.",
        "Answer with: aiida-hitl answer PK",
        "an integer between 1 and 100",
        "'101' was not taken: the answer must be an integer between 1 and 100.",
        "Accepted: 50",
        "half of",
        "Found",
        "correct",
    ],
    "04-when-the-cluster-goes-down": [
        "The program left no result. How to go on?",
        "no scratch space",
        "Accepted: 'restart'",
        "The program left no result. How to go on?",
        "Accepted: 'restart'",
        "eV per atom.",
        "Finished [310]",
        "Finished [310]",
        "Finished [0]",
        "set to 1",
        "ok",
        "night-cluster failed",
        "Once it is back: aiida-hitl play --computer night-cluster",
        "goes on",
        "goes on",
        "eV per atom",
        "unset",
        "ok",
    ],
    "05-look-before-the-expensive-part": [
        "There is no minimum in this range.",
        "SinglefileData",
        "1. other range",
        "2. stop",
        "Accepted: 'other range'",
        "Which range shall be scanned?",
        "a range is [lowest, highest], from 0.7 to 1.5.",
        "Accepted.",
        "Minimum at 3",
        "14 calculations so far",
        "Accepted: 'approve'",
        "21 calculations in all",
        "bulk modulus",
        "[0.9, 1.1]",
        "points on both sides, and a smooth fit",
    ],
    "06-choose-the-next-step": [
        "-0.004 GPa at 1.0000, wanted are 0.5 GPa.",
        "Or at which length to calculate next?",
        "Accepted: 0.97",
        "0.394 GPa at 0.9700",
        "bisect: goes to 0.9350",
        "Accepted: 'bisect'",
        "secant: Accepted.",
        "No more questions.",
        "the crystal has a pressure of about 0.5 GPa.",
        "closer to the right one",
        "secant",
    ],
    "07-who-decided-what": [
        "-0.004 GPa at 1.0000",
        "0.156 GPa at 0.9853",
        "Found: 32.",
        "nothing better to begin with",
        "it bends, so go further than a line",
        "secant by",
        "0.965 by",
        "decisions",
        "evidence_1",
        "decision_1",
        "Refused:",
        "wrote the export archive file to result.aiida",
        "'secant' by",
        "0.965 by",
        "Å³ per atom",
        "policy",
        "Å³ per atom",
    ],
    "08-write-your-own": [
        "Which cutoff? It must be an integer between 20 and 200 Ry",
        "10 was not taken",
        "The cutoff is 80",
        "ok",
        "class PickCandidate(InteractiveWorkChain):",
        "✗ Not yet: it ended and did not ask for a candidate:",
        "✓ it refuses a pressure that is too high",
        "All of it works. Well done!",
    ],
    "09-in-production": [
        "is told from now on.",
        "sent",
        "will be told here.",
        "AiiDA: Guess a number between 1 and 100.",
        "HumanLoopWorkChain",
        "Expected: an integer between 1 and 100.",
        "How many hours may it take? Until 20",
        "May it begin?",
        "was not asked: only ada@example.org may answer.",
        "Accepted.",
        "default",
        "go ahead",
        "The sum of the operands is a negative number. How to go on?",
        "y = -5",
        "y: 'five' is no Int or Float",
        "The sum is 6",
        "is told no more.",
    ],
}
# How many pictures the cells of a page show.
PICTURES = {
    "05-look-before-the-expensive-part": 3,
    "06-choose-the-next-step": 3,
    "07-who-decided-what": 1,
}
DRAWN_BY_DOT = "07-who-decided-what"

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


@pytest.fixture
def pages(modules: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the pages as a reader has it, beside `my_workflows`."""
    folder = modules.parent / "tutorial"
    deliver = [sys.executable, REPOSITORY / "scripts" / "deliver-tutorial.py"]
    subprocess.run([*deliver, TUTORIAL, folder], check=True)
    # Both ways to start the tutorial have these two there, and no other of the scripts.
    commands = modules.parent / "commands"
    commands.mkdir(exist_ok=True)
    for name in ("auto-guess.py", "walkthrough.py"):
        if not (commands / name).exists():
            (commands / name).symlink_to(REPOSITORY / "scripts" / name)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    return folder


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run a chapter in a folder; a cell that fails fails the test."""
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=120, resources=resources)
    return run_async(client.async_execute())


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
    ).replace("\r\n", "\n")


def pictures(notebook: NotebookNode) -> int:
    """Return how many pictures a page shows."""
    return sum(
        "image/png" in output.get("data", {})
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def assert_it_shows_what_it_promises(
    name: str, notebook: NotebookNode, has_dot: bool
) -> None:
    """See that a page that was run printed and drew all that belongs there.

    :param has_dot: whether Graphviz's program is there to draw with.
    """
    stdout = printed(notebook, "stdout")
    assert printed(notebook, "stderr") == ""
    assert "Traceback" not in stdout
    assert "Warning" not in stdout
    assert_in_order(PRINTS[name], stdout)
    if name != DRAWN_BY_DOT or has_dot:
        assert pictures(notebook) == PICTURES.get(name, 0)


def game_of(notebook: NotebookNode) -> WorkChainNode:
    """Return the game that a run of the chapter by hand submitted."""
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
def test_what_a_chapter_links_to_is_there(chapter: Path) -> None:
    """Other pages, and pictures; but not what a reader has yet to write."""
    for target in LINK.findall(chapter.read_text(encoding="utf-8")):
        if not target.startswith("../my_workflows/"):
            assert (TUTORIAL / target).is_file(), target


def test_the_first_page_leads_to_all_others() -> None:
    """In their order, and with the minutes that they say themselves."""
    start, *others = CHAPTERS
    rows = re.findall(
        r"^\| (\d) \| \[.*\]\((.*?)\).* \| (\d+) \|$", start.read_text(), re.MULTILINE
    )
    said = [
        (path.stem[1], path.name, re.search(r"(\d+) minutes", path.read_text())[1])
        for path in others
    ]
    assert rows == said
    own = re.search(r"About (\d+) minutes", start.read_text())
    assert own
    total = int(own[1]) + sum(int(minutes) for *_, minutes in said)
    assert f"about {total} minutes" in start.read_text()


def test_each_picture_is_on_a_page_and_has_words_for_who_cannot_see_it() -> None:
    """More than a title."""
    pages = "".join(path.read_text(encoding="utf-8") for path in CHAPTERS)
    shown = {path: words for words, path in re.findall(r"!\[(.*?)\]\((.*?)\)", pages)}
    drawn = [f"images/{path.name}" for path in (TUTORIAL / "images").iterdir()]
    assert sorted(shown) == sorted(drawn)
    assert all(len(words) > 40 for words in shown.values())


@each_chapter
def test_a_chapter_runs_twice_in_a_row(chapter: Path, pages: Path) -> None:
    """The second run finds what the first has left, and does what the page says."""
    before = {each.pk for each in open_questions()}
    settings = Path(get_config().filepath).read_text()
    for _ in range(2):
        notebook = run(jupytext.read(pages / chapter.name), pages)
        has_dot = shutil.which("dot") is not None
        assert_it_shows_what_it_promises(chapter.stem, notebook, has_dot)
        if chapter == BY_HAND:
            assert_the_game_was_won_by_the_middle(game_of(notebook))
    assert {each.pk for each in open_questions()} == before
    assert Path(get_config().filepath).read_text() == settings


def assert_in_order(texts: list[str], stdout: str) -> None:
    """Find each text behind the one before it, wherever a table breaks its lines."""
    stdout = " ".join(stdout.split())
    position = 0
    for text in texts:
        assert text in stdout[position:], f"{text!r} is missing or too early: {stdout}"
        position = stdout.index(text, position) + len(text)


def assert_the_game_was_won_by_the_middle(game: WorkChainNode) -> None:
    """Two answers were refused, one started the game, the rest won it."""
    assert game.is_finished_ok
    history = game.outputs.result["history"]
    assert history[0]["guess"] == 50
    assert history[-1]["feedback"] == "correct"


def test_a_reader_may_win_the_game_in_a_terminal(pages: Path) -> None:
    """The cell that would play to the end finds nothing left to guess, and goes on."""
    notebook = jupytext.read(pages / BY_HAND.name)
    # Straight from the start of the game to its end; a terminal beside the page.
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code"
        and not cell.source.startswith(("!verdi", "game.base.extras.set"))
    ]
    (playing,) = (cell for cell in notebook.cells if "talk.answer(" in cell.source)
    playing.source = f"!auto-guess.py {{pk}} --auto\n{playing.source}"
    stdout = printed(run(notebook, pages), "stdout")
    assert "No more questions." in stdout
    assert "I say" not in stdout
    assert game_of(notebook).is_finished_ok


def test_the_exercise_of_a_reader_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page brings the frame where there is none, and never over what is there."""
    notebook = jupytext.read(WRITE_YOUR_OWN)
    (cell,) = (cell for cell in notebook.cells if "skeleton.py" in cell.source)
    pages, my_workflows = tmp_path / "tutorial", tmp_path / "my_workflows"
    shutil.copytree(TUTORIAL / "exercise", pages / "exercise")
    my_workflows.mkdir()
    mine = my_workflows / "my_pick.py"
    monkeypatch.chdir(pages)
    exec(cell.source, {})
    assert mine.read_text() == (TUTORIAL / "exercise" / "skeleton.py").read_text()
    mine.write_text("mine")
    exec(cell.source, {})
    assert mine.read_text() == "mine"
