"""A seat of the tutorial: the real compose file under a project name of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import which

import pytest

from tests import REPOSITORY, patience
from tests.scripts.seat import free_port

ALONE = Path(__file__).with_name("alone.yml")
IMAGE = "aiida-hitl-tutorial"
# An image is built from nothing, over a slow network.
BUILD_SECONDS = 1800.0

wait_until = partial(patience.wait_until, timeout=180.0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, so that `-m 'not container'` leaves them out.

    The clock of a test runs only in the test itself: the first one has the image built.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.container)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300, func_only=True))


def docker(*arguments: str, check: bool = True) -> str:
    """Run docker and return what it printed on both streams."""
    done = subprocess.run(
        ["docker", *arguments], text=True, stdout=-1, stderr=subprocess.STDOUT
    )
    assert not check or done.returncode == 0, f"docker {arguments}: {done.stdout}"
    return done.stdout


def is_healthy(container: str) -> bool:
    """Whether all services answer, as Docker knows."""
    status = "{{.State.Health.Status}}"
    return docker("inspect", "--format", status, container) == "healthy\n"


class Seat:
    """One project of the compose file: a container, its volume, its port.

    :param published: its port is open to this machine; without, it has no network.
    """

    def __init__(self, published: bool = False) -> None:
        """Choose a name and a port that nobody uses."""
        self.project = f"hitl-test-{os.getpid()}-{secrets.token_hex(2)}"
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "TOKEN"},
            "PORT": str(self.port),
            "TUTORIAL_IMAGE": IMAGE,  # .env may name another one
        }
        if not published:
            files = REPOSITORY / "docker-compose.yml", ALONE
            self.environment["COMPOSE_FILE"] = ":".join(map(str, files))

    @property
    def volume(self) -> str:
        """The name of the volume that holds everything of this seat."""
        return f"{self.project}_home"

    @property
    def container(self) -> str:
        """The name that Compose gives the container."""
        return f"{self.project}-tutorial-1"

    def try_compose(
        self,
        *arguments: str,
        stdin: str = "",
        timeout: float = 300.0,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run docker compose for this seat; both streams are in `stdout`."""
        return subprocess.run(
            ["docker", "compose", "--project-name", self.project, *arguments],
            cwd=REPOSITORY,
            env={**self.environment, **environment},
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )

    def compose(self, *arguments: str, **keywords: str) -> str:
        """Run docker compose for this seat, and fail with it."""
        done = self.try_compose(*arguments, **keywords)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{self.logs()}"
        return done.stdout

    def up(self) -> None:
        """Start it and wait until it is healthy."""
        self.compose("up", "--detach", "--wait")

    def down(self) -> None:
        """Stop it; what the user has is kept."""
        self.compose("down")

    def remove(self) -> None:
        """Stop it and delete everything."""
        self.try_compose("kill")
        self.try_compose("down", "--volumes", "--remove-orphans")
        docker("volume", "rm", "--force", self.volume)

    def logs(self) -> str:
        """Return what `docker compose logs` shows."""
        return self.try_compose("logs", "--no-log-prefix", "--no-color").stdout

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command in the running container."""
        return self.compose("exec", "-T", "tutorial", *command, stdin=stdin)

    def shell(self, script: str) -> str:
        """Run a line of shell in the running container."""
        return self.run("bash", "-c", script)

    def python(self, script: str) -> str:
        """Run Python with the profile loaded, in the running container."""
        self.run("tee", "/tmp/script.py", stdin=script)
        return self.run("verdi", "run", "/tmp/script.py").strip()

    def auto_guess(
        self, *arguments: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Play from a second container, as a user does."""
        return self.try_compose(
            "run", "--rm", "-T", "auto-guess", *arguments, stdin=stdin
        )

    def begin_auto_guess(self, *arguments: str) -> subprocess.Popen[str]:
        """Play from a second container, and answer later."""
        play = ("run", "--rm", "-T", "auto-guess", *arguments)
        return subprocess.Popen(
            ["docker", "compose", "--project-name", self.project, *play],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def in_volume(self, *command: str) -> str:
        """Run a command on the volume in a container that starts no service."""
        return docker(
            *("run", "--rm", "--volume", f"{self.volume}:/home/aiida"),
            *("aiida-hitl-tutorial", *command),
        )

    def ask(self, path: str) -> tuple[int, str]:
        """Ask JupyterLab from the host: status code and body."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}") as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""

    def inspect(self) -> dict:
        """Return all that the engine knows of the container."""
        return json.loads(docker("inspect", self.container))[0]

    def is_healthy(self) -> bool:
        """Ask all four services now, not after the pause that Docker is given."""
        probe = (
            "rm -f /run/tutorial/healthy; exec /opt/tutorial/container/healthcheck.py"
        )
        done = self.try_compose("exec", "-T", "tutorial", "bash", "-c", probe)
        return done.returncode == 0

    def is_running(self) -> bool:
        """Whether the container runs."""
        return self.inspect()["State"]["Running"]

    def submit_game(self) -> int:
        """Submit a game and return its PK once it waits for a guess."""
        pk = int(
            self.python(
                "from aiida.engine import submit\n"
                "from aiida_humanintheloop import HumanLoopWorkChain\n"
                "print(submit(HumanLoopWorkChain).pk)\n"
            )
        )
        wait_until(lambda: "question" in self.extras(pk), f"{pk} asks its question")
        return pk

    def extras(self, pk: int) -> dict:
        """Return the extras of a node."""
        text = self.run("verdi", "node", "extras", "-f", "json+date", str(pk))
        return json.loads(text[text.index("{") :]) if "{" in text else {}

    def is_finished(self, pk: int) -> bool:
        """Whether a process came to its end, and to a good one."""
        listing = self.run("verdi", "process", "list", "--all", "--raw")
        return any(
            re.match(rf"\s*{pk}\s.*Finished \[0\]", line)
            for line in listing.split("\n")
        )


@pytest.fixture(scope="session")
def image() -> str:
    """Build the image as `docker compose build` does; skip where no engine answers."""
    reason = None
    if which("docker") is None:
        reason = "there is no docker command"
    elif subprocess.run(
        ["docker", "compose", "version"], capture_output=True
    ).returncode:
        reason = "docker has no compose plugin"
    elif subprocess.run(["docker", "info"], capture_output=True).returncode:
        reason = "no Docker engine answers"
    if reason and os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but {reason}")
    if reason:
        pytest.skip(reason)
    build = Seat().try_compose("build", timeout=BUILD_SECONDS)
    assert build.returncode == 0, build.stdout[-4000:]
    return IMAGE


@pytest.fixture(scope="session")
def seat(image: str) -> Iterator[Seat]:
    """Return the seat that most tests share: it runs, with no network, to the end."""
    shared = Seat()
    try:
        shared.up()
        yield shared
    finally:
        shared.remove()


@pytest.fixture
def new_seat(image: str) -> Iterator[Seat]:
    """Return a seat for a test that stops or breaks it; not started yet."""
    own = Seat()
    try:
        yield own
    finally:
        own.remove()


@pytest.fixture
def published_seat(image: str) -> Iterator[Seat]:
    """Return a seat that a browser on this machine reaches; not started yet."""
    own = Seat(published=True)
    try:
        yield own
    finally:
        own.remove()
