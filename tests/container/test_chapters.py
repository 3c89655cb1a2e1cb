"""Every chapter in the image, in a seat that has no network at all."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.container.conftest import Seat
from tests.tutorial.test_chapters import CHAPTERS, assert_it_shows_what_it_promises


# From the last to the first: the embedded start runs them the other way round, and each
# twice, so no page can rely on what another one has left.
@pytest.mark.parametrize("chapter", CHAPTERS[::-1], ids=lambda path: path.stem)
def test_a_chapter_runs_from_top_to_bottom(seat: Seat, chapter: Path) -> None:
    """As "Run All Cells" does, in the kernel that JupyterLab would start."""
    seat.run(
        *("jupytext", "--to", "ipynb", "--output", "/tmp/chapter.ipynb"),
        *("--run-path", "/home/aiida/tutorial", f"/home/aiida/tutorial/{chapter.name}"),
    )
    notebook = nbformat.reads(seat.run("cat", "/tmp/chapter.ipynb"), as_version=4)
    assert_it_shows_what_it_promises(chapter.stem, notebook, has_dot=True)
