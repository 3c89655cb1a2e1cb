"""The plugin on the image's Python: its own tests, run inside."""

from __future__ import annotations

import os

from tests.container.conftest import REPOSITORY, docker


def test_plugin_works_on_python_3_13(image: str) -> None:
    """Its tests, with a daemon and an embedded profile of their own."""
    bundle = os.environ.get("EXTRA_CA_CERTIFICATES") or "/dev/null"
    docker(
        *("build", "--quiet", "--target", "test", "--tag", f"{image}-test"),
        *("--secret", f"id=extra-ca-certificates,src={bundle}", str(REPOSITORY)),
    )
    said = docker(
        *("run", "--rm", "--workdir", "/src", f"{image}-test"),
        *("bash", "-c", 'python --version && exec pytest "$@"', "bash"),
        *("tests", "--ignore", "tests/container", "--ignore", "tests/scripts"),
        *("--ignore", "tests/tutorial", "-p", "no:cacheprovider"),
    )
    assert said.startswith("Python 3.13.")
    assert " passed" in said
