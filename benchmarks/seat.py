#!/usr/bin/env python3
"""Measure a seat in the image: time to healthy, size of the image, memory when idle.

Each round starts on a fresh volume, under a Compose project and a port of its own. The
image has to be built (docker compose build). Memory is the proportional set size of all
processes of the container (what each has for itself, and its share of what several
have), a quarter of a minute after the start, with no notebook open.

Use: benchmarks/seat.py [ROUNDS]
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
IMAGE = "aiida-hitl-tutorial"
SETTLED_SECONDS = 15
MEMORY = """
import os, pathlib, re
total = 0
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if process.name == str(os.getpid()):
        continue
    try:
        rollup = (process / "smaps_rollup").read_text()
        total += int(re.search(r"Pss: +(\\d+)", rollup)[1])
    except (OSError, TypeError):
        continue
print(total * 1024)
"""


def compose(*arguments: str, stdin: str = "") -> str:
    """Run docker compose under this benchmark's own project; fail with it."""
    project = f"hitl-benchmark-{os.getpid()}"
    return subprocess.run(
        ["docker", "compose", "--project-name", project, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PORT": str(PORT), "TUTORIAL_IMAGE": IMAGE},
        input=stdin,
        text=True,
        capture_output=True,
        check=True,
    ).stdout


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def main(rounds: int) -> None:
    """Measure and print."""
    seconds = []
    try:
        for _ in range(rounds):
            compose("down", "--volumes")
            begin = time.monotonic()
            compose("up", "--detach", "--wait", "--no-build")
            seconds.append(time.monotonic() - begin)
        time.sleep(SETTLED_SECONDS)
        memory = int(compose("exec", "-T", "tutorial", "python3", "-", stdin=MEMORY))
    finally:
        compose("down", "--volumes")
    size = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", IMAGE],
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
    median = statistics.median(seconds)
    print(f"from up to healthy, fresh volume  {median:6.1f} s  ({rounds}: {spread})")
    print(f"size of the image                 {int(size) / 1e6:6.0f} MB")
    print(f"memory of an idle seat            {memory / 1e6:6.0f} MB")


if __name__ == "__main__":
    PORT = free_port()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
