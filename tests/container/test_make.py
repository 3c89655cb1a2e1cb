"""`make` with Docker, as somebody types it in a fresh clone."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.conftest import Seat, docker
from tests.scripts.seat import copy_of_the_project, free_port

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=[0-9a-f]{48}")


class Clone:
    """A fresh clone in an empty folder, and a user whose home is empty."""

    def __init__(self, folder: Path) -> None:
        """Lay it out; nothing is started."""
        self.folder, home = folder / "clone", folder / "home"
        copy_of_the_project(self.folder)
        home.mkdir()
        mine = ("COMPOSE", "ENGINE", "TUTORIAL_IMAGE", "PORT", "TOKEN", "FORCE", "MAKE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
        plugins = os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
        self.environment = {**kept, "HOME": str(home), "DOCKER_CONFIG": plugins}

    def run(self, *command: str, **variables: str) -> tuple[int, list[str]]:
        """Run a command in its folder; return its exit code and all lines."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout.splitlines()

    def make(self, target: str, **variables: str) -> list[str]:
        """Run make, with Docker, and return the lines."""
        command = ("make", "--no-print-directory", target)
        code, lines = self.run(*command, ENGINE="docker", **variables)
        assert code == 0, "\n".join(lines)
        return lines

    def containers(self) -> list[str]:
        """Return the IDs of its containers."""
        code, lines = self.run("docker", "compose", "ps", "--all", "--quiet")
        assert code == 0, lines
        return lines


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    """Return a clone; whatever a failed test leaves of it is removed."""
    clone = Clone(tmp_path)
    try:
        yield clone
    finally:
        # Without .env this would be the project of whoever runs the tests.
        if (clone.folder / ".env").exists():
            clone.run("docker", "compose", "down", "--volumes", "--rmi", "all")


@pytest.mark.timeout(900)
def test_every_target_does_what_it_says(seat: Seat, clone: Clone) -> None:
    """From the first `make up` to `make clean`, beside the tutorial of another."""
    port = free_port()
    building, *started = clone.make("up", PORT=str(port))
    assert building.startswith("Building the image; the first time takes some minutes.")
    said, address = started
    assert said == "The tutorial is running in Docker (PostgreSQL and RabbitMQ). Open:"
    assert int(ADDRESS.fullmatch(address)[1]) == port

    # Without the port: it is remembered, and nothing is made anew.
    containers = clone.containers()
    assert clone.make("up") == started
    assert clone.make("url") == [address]
    by_hand = ("docker", "compose", "run", "--rm", "-T", "auto-guess", "999999")
    code, lines = clone.run(*by_hand)
    assert code == 1
    assert any(line.startswith("There is no workflow 999999") for line in lines)
    assert clone.containers() == containers

    header, row, last = clone.make("status")
    assert (header.split()[0], last) == ("NAME", address)
    assert "(healthy)" in row
    assert any("RabbitMQ v4" in line for line in clone.make("profile"))
    assert clone.make("walkthrough")[-1] == "Everything did what the text says."
    logs = clone.make("logs")
    assert "The tutorial is ready." in logs
    assert "--- /home/aiida/.services/log/postgresql.log" in logs
    assert clone.make("reset")[-1] == "The pages in /home/aiida/tutorial are fresh."

    assert clone.make("down") == [
        "The tutorial is stopped; its data is kept. `make up` goes on from here."
    ]
    assert clone.make("down") == ["The tutorial is not running: nothing to stop."]

    settings = (clone.folder / ".env").read_text()
    project = re.search(r"^COMPOSE_PROJECT_NAME=(.*)$", settings, re.MULTILINE)[1]
    assert f"{project}_home" in docker("volume", "ls", "--quiet").split()
    assert clone.make("clean", FORCE="1") == [
        f"Removed: the Docker project {project} with its volume and image."
    ]
    assert f"{project}_home" not in docker("volume", "ls", "--quiet").split()
    assert docker("image", "ls", "--quiet", project) == ""
    assert not (clone.folder / ".env").exists()
    assert seat.is_healthy()
