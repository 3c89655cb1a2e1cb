"""Every chapter in the image, in a seat that has no network at all."""

from __future__ import annotations

import json

import pytest

from tests.container.conftest import REPOSITORY, Seat

CHAPTERS = sorted(path.name for path in (REPOSITORY / "tutorial").glob("[0-9]*.md"))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_runs_from_top_to_bottom(seat: Seat, chapter: str) -> None:
    """As "Run All Cells" does, in the kernel that JupyterLab would start."""
    seat.run(
        *("jupytext", "--to", "ipynb", "--output", "/tmp/chapter.ipynb"),
        *("--run-path", "/home/aiida/tutorial", f"/home/aiida/tutorial/{chapter}"),
    )
    notebook = json.loads(seat.run("cat", "/tmp/chapter.ipynb"))
    outputs = [each for cell in notebook["cells"] for each in cell.get("outputs", [])]
    assert outputs
    assert not any(each.get("name") == "stderr" for each in outputs)
    if chapter.startswith("07"):  # what only the image is sure to draw, with `dot`
        assert any("image/png" in each.get("data", {}) for each in outputs)
