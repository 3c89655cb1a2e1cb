"""The plugin's own tests, run inside the image."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.container.conftest import REPOSITORY, docker, is_healthy, wait_until

pytestmark = pytest.mark.timeout(4800)  # each is a suite, in which each test has 300 s
PYTEST = ("pytest", "-p", "no:cacheprovider")
# The chapters show the examples on PostgreSQL and RabbitMQ, see `test_chapters`.
ELSEWHERE = (
    "container",
    "scripts",
    "tutorial",
    "browser",
    "workflows/test_adaptive_search.py",
    "workflows/test_equation_of_state.py",
    "workflows/test_resume_after_failure.py",
)
ALL = ("tests", *(f"--ignore=tests/{each}" for each in ELSEWHERE))
# What SQLite and ZeroMQ have a part in; all else but the examples meets Python 3.13 in
# the other run.
OF_THE_PROFILE = (
    "tests/test_asking.py",
    "tests/test_interactive.py",
    "tests/test_locked.py",
    "tests/test_recovery.py",
    "tests/test_simultaneous.py",
)
# Nothing here needs anything from outside.
ALONE = ("--network", "none")
# Where it is beside this clone, it is beside the one in the container.
POST = "shared/seed/human-in-the-loop-blog-post.md"
BLOG_POST = (
    ("--volume", f"{REPOSITORY.parent / POST}:/{POST}:ro")
    if (REPOSITORY.parent / POST).exists()
    else ()
)
# In CI the examples of Hypothesis are the same each time; a search is for at home.
AS_OUTSIDE = ("--env", "CI", "--env", "REQUIRE_BLOG_POST")


@pytest.fixture(scope="module")
def test_image(image: str) -> str:
    """Build the image together with the tests and what runs them."""
    bundle = os.environ.get("EXTRA_CA_CERTIFICATES") or "/dev/null"
    docker(
        # Not `docker build`, which is BuildKit only in newer clients.
        *("buildx", "build", "--load", "--quiet"),
        *("--target", "test", "--tag", f"{image}-test"),
        *("--secret", f"id=extra-ca-certificates,src={bundle}", str(REPOSITORY)),
    )
    return f"{image}-test"


@pytest.fixture
def container(test_image: str) -> Iterator[str]:
    """Return a container of that image, in which all services run, with no network."""
    own = docker("run", "--detach", *ALONE, *BLOG_POST, test_image).strip()
    daemon_logs = ("bash", "-c", "tail -n 50 ~/.aiida/daemon/log/*.log")
    try:
        wait_until(lambda: is_healthy(own), "all four services answer")
        yield own
    finally:
        # pytest shows this where a test failed
        print(docker("logs", own, check=False))
        print(docker("exec", own, *daemon_logs, check=False))
        docker("rm", "--force", "--volumes", own)


def test_embedded_profile_works_on_python_3_13(test_image: str) -> None:
    """With a daemon and an embedded profile of the tests' own."""
    said = docker(
        *("run", "--rm", *ALONE, "--workdir", "/src", *AS_OUTSIDE, test_image),
        *("bash", "-c", 'python --version && exec "$@"', "bash"),
        *(*PYTEST, *OF_THE_PROFILE, "-m", "not restarts_daemon"),
    )
    assert said.startswith("Python 3.13.")
    assert " passed" in said


def test_plugin_works_on_postgresql_and_rabbitmq(container: str) -> None:
    """With the profile and the daemon of the image, in which its workflows are left."""
    said = docker(
        *("exec", "--workdir", "/src", "--env", "AIIDA_TEST_PROFILE=tutorial"),
        *(*AS_OUTSIDE, container, *PYTEST, *ALL),
    )
    assert " passed" in said
    left = docker("exec", container, "verdi", "process", "list", "--all")
    assert "AskOne" in left
    assert "HumanLoopWorkChain" in left
