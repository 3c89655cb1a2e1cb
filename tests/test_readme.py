"""The workflows that the README shows run as it says."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from aiida.engine import submit

from aiida_humanintheloop.inbox import Conversation
from tests import REPOSITORY
from tests.profile import refresh

README = REPOSITORY / "README.md"


@pytest.mark.restarts_daemon
def test_the_example_asks_and_goes_on_with_the_answer(modules: Path) -> None:
    """An answer out of bounds is refused, one within becomes the output."""
    code, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (modules / "readme_example.py").write_text(code)
    importlib.invalidate_caches()
    node = submit(importlib.import_module("readme_example").Relax)
    with Conversation(node) as talk:
        asked = talk.wait(60)
        assert asked.question.text == "Which cutoff?"
        refused = talk.answer(10)
        assert "must be an integer between 20 and 200 Ry" in refused.reason
        assert talk.answer(30).accepted
        assert talk.wait(60) is None
    refresh()
    assert node.is_finished_ok
    assert node.outputs.cutoff.value == 30


def test_a_worked_example_starts_as_it_says(daemon: None) -> None:
    """Typed line by line, the last one submits a workflow, which asks."""
    lines = re.findall(r"^>>> (.*)$", README.read_text(), flags=re.MULTILINE)
    names: dict[str, Any] = {}
    for line in lines[:-1]:
        exec(line, names)
    node = eval(lines[-1], names)
    with Conversation(node) as talk:
        asked = talk.wait(60)
        assert asked.question.kind.options == ("approve", "other range", "stop")
        assert talk.answer("stop").accepted
        assert talk.wait(60) is None
