"""Every chapter in the image, in a seat that has no network at all."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.container.conftest import REPOSITORY, docker, is_healthy, wait_until

CHAPTERS = sorted(path.name for path in (REPOSITORY / "tutorial").glob("[0-9]*.md"))


@pytest.fixture(scope="module")
def alone(image: str) -> Iterator[str]:
    """Return a container in which all services run, and that reaches nobody."""
    own = docker("run", "--detach", "--network", "none", image).strip()
    try:
        wait_until(lambda: is_healthy(own), "all four services answer")
        yield own
    finally:
        docker("rm", "--force", "--volumes", own)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_runs_from_top_to_bottom(alone: str, chapter: str) -> None:
    """As "Run All Cells" does, in the kernel that JupyterLab would start."""
    docker(
        *("exec", alone, "jupytext", "--to", "ipynb", "--output", "/tmp/chapter.ipynb"),
        *("--run-path", "/home/aiida/tutorial", f"/home/aiida/tutorial/{chapter}"),
    )
    notebook = json.loads(docker("exec", alone, "cat", "/tmp/chapter.ipynb"))
    outputs = [each for cell in notebook["cells"] for each in cell.get("outputs", [])]
    assert outputs
    assert not any(each.get("name") == "stderr" for each in outputs)
    if chapter.startswith("07"):  # what only the image is sure to draw, with `dot`
        assert any("image/png" in each.get("data", {}) for each in outputs)


def test_it_has_no_network(alone: str) -> None:
    """Or the tests here would show nothing."""
    interfaces = docker("exec", alone, "ls", "/sys/class/net").split()
    assert interfaces == ["lo"]
