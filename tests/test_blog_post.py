"""The two scripts of the blog post run unchanged against this plugin."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from aiida.orm import load_node

from tests import REPOSITORY
from tests.game import a_wrong_guess, target_of
from tests.patience import wait_until
from tests.processes import paused
from tests.profile import refresh

POST = REPOSITORY.parent / "shared" / "seed" / "human-in-the-loop-blog-post.md"


@pytest.fixture
def scripts(tmp_path: Path) -> dict[str, Path]:
    """Return the scripts as the post prints them: to submit, and to play."""
    if not POST.exists():
        reason = f"the blog post is not beside this clone ({POST})"
        assert not os.environ.get("REQUIRE_BLOG_POST"), reason
        pytest.skip(reason)
    blocks = re.findall(r"```python\n(.*?)```", POST.read_text(), flags=re.DOTALL)
    paths = {}
    for name, mark in {"submit": "pk = submit(", "auto-guess": 'input("Your'}.items():
        (code,) = [block for block in blocks if mark in block]
        paths[name] = tmp_path / f"{name}.py"
        paths[name].write_text(code)
    return paths


def run(script: Path, *arguments: str, typed: str = "") -> str:
    """Run a script with `verdi run`, as the post says."""
    done = subprocess.run(
        ["verdi", "run", str(script), *arguments],
        input=typed,
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_scripts_of_the_post_play_a_game(
    daemon: None, scripts: dict[str, Path]
) -> None:
    """One submits, the other wins, with a wrong kind of answer on the way."""
    submitted = run(scripts["submit"])
    assert submitted.startswith("Submitted HumanLoopWorkChain with PK=")
    found = re.search(r"\(pk: (\d+)\)", submitted)
    assert found, submitted
    node = load_node(int(found[1]))
    assert node.inputs.max_iters.value == 10
    wait_until(lambda: paused(node), "the game asks")
    target = target_of(node)
    wrong = a_wrong_guess(node)
    typed = f"fifty\n{wrong}\n{target}\n"
    printed = run(scripts["auto-guess"], str(node.pk), typed=typed)
    assert "Question from workflow: 'Guess a number between 1 and 100.'" in printed
    assert "must be an integer between 1 and 100" in printed
    assert f"Output message: Found {target} in 2 attempts" in printed
    assert f"{{'guess': {target}, 'feedback': 'correct'}}" in printed.replace('"', "'")
    refresh()
    assert node.is_finished_ok
