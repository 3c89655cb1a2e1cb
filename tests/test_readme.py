"""The workflow that the README shows runs as it stands there."""

import importlib
import re
from pathlib import Path

import pytest
from aiida.engine import submit

from aiida_humanintheloop.inbox import Conversation
from tests.conftest import REPOSITORY, refresh


@pytest.mark.restarts_daemon
def test_the_example_asks_and_goes_on_with_the_answer(modules: Path) -> None:
    """An answer out of bounds is refused, one within becomes the output."""
    (code,) = re.findall(
        r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), flags=re.DOTALL
    )
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
