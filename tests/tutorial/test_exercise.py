"""The check of the exercise says what is missing, and does not fall for a near miss."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from aiida_humanintheloop.inbox import open_questions
from tests.tutorial.test_chapters import TUTORIAL, WRITE_YOUR_OWN

(SOLUTION,) = (
    cell.partition("solved_pick.py\n")[2]
    for cell in WRITE_YOUR_OWN.read_text(encoding="utf-8").split("```")
    if "%%writefile ../my_workflows/solved_pick.py" in cell
)
NEAR_MISSES = {
    "no_import": (
        "import Choice",
        "import Nothing",
        "cannot be imported",
    ),
    "no_code": ("def finish", "def def", "cannot be imported"),
    "no_module": (
        "from aiida import orm",
        "from aiida import orm\nimport nampy",
        "cannot be imported (ModuleNotFoundError: No module named 'nampy').",
    ),
    "no_base": (
        "(InteractiveWorkChain):",
        "(InteractiveWorkChain, 3):",
        "cannot be imported (TypeError:",
    ),
    "no_class": (
        "class PickCandidate(InteractiveWorkChain)",
        "PickCandidate = 3\n\n\nclass Other(InteractiveWorkChain)",
        "is no Inter",
    ),
    "no_step": (
        "cls.ask_pressure,",
        "cls.ask_presure,",
        "its `define` does not work (AttributeError:",
    ),
    "no_input": (
        'spec.input("cand',
        '# spec.input("cand',
        "does not take `candidates`",
    ),
    "no_asking": (
        "PickCandidate(InteractiveWorkChain)",
        "PickCandidate",
        "is no Inter",
    ),
    "any_text": ("Choice(candidates)", "Text()", "it should be a Choice among"),
    "no_unit": (', unit="GPa"', "", "it should be a Float from 0 to 100 with the unit"),
    "forgets": (
        'self.out("candidate"',
        'print("candidate"',
        "it ends, but not well: The process did not register a required output.",
    ),
    "no_output": (
        'self.out("candidate"',
        'print("candidate"',
        "its output 'candidate' is None, and not 'neon'.",
    ),
    "copies": (
        'self.out("pressure", self.answer())',
        'self.out("pressure", orm.Float(self.answer().value).store())',
        "'pressure' is not the answer, but a copy of its value.",
    ),
}


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return the check as the page imports it."""
    monkeypatch.syspath_prepend(TUTORIAL)
    function: Callable[[str], None] = importlib.import_module("exercise.check").check
    return function


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_told(
    name: str,
    modules: Path,
    check: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In words that lead on, and with nothing left behind that waits."""
    before = {each.pk for each in open_questions()}
    right, wrong, reason = NEAR_MISSES[name]
    assert right in SOLUTION
    text = SOLUTION.replace(right, wrong).replace(
        "import Choice", "import Text, Choice"
    )
    if name == "no_output":
        text = text.replace("valid_type=orm.Str", "valid_type=orm.Str, required=False")
    (modules / f"pick_{name}.py").write_text(text)
    check(f"pick_{name}")
    said = capsys.readouterr().out
    assert "✗ Not yet: " in said
    assert reason in said
    assert "Well done" not in said
    assert {each.pk for each in open_questions()} == before


def test_a_file_that_is_not_there_is_told(
    daemon: None, check: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name may be mistyped."""
    check("no_such_pick")
    said = capsys.readouterr().out
    assert said == "✗ Not yet: there is no no_such_pick.py in my_workflows.\n"
