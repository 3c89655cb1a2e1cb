"""A seat without Docker: a fresh clone, and a user of its own."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


def files_below(folder):
    """Return the names of all files, to see whether anything came or went.

    Left out: what rustup writes when pip asks rustc for its version.
    """
    names = (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return sorted(name for name in names if not name.startswith(".rustup"))


def copy_of_the_project(folder):
    """Copy what git knows or would take, as a fresh clone has it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Seat:
    """A clone with a user of its own: home folder, environment, port."""

    def __init__(self, place):
        """Lay out the clone and the user's home."""
        self.clone = place / "Übung mit Leerzeichen"
        self.home = place / "home"
        self.port = free_port()
        copy_of_the_project(self.clone)
        (self.home / ".aiida").mkdir(parents=True)
        (self.home / ".aiida" / "config.json").write_text("not to be read")
        (self.home / "broken").mkdir()
        (self.home / "broken" / "json.py").write_text("raise SystemExit('leaked in')")
        self.variables = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("COMPOSE", "DOCKER", "ENGINE", "PYTEST"))
            },
            "HOME": str(self.home),
            "ENGINE": "local",
            "PORT": str(self.port),
            "PYTHON": sys.executable,
            "AIIDA_PATH": str(self.home),
            "AIIDA_PROFILE": "mine",
            "JUPYTER_CONFIG_DIR": str(self.home / "jupyter"),
            "JUPYTER_TOKEN": "mine",
            "PIP_USER": "1",
            "TMPDIR": str(place),
            "http_proxy": "http://127.0.0.1:9",
        }

    def make(self, target, expect=0, **variables):
        """Run make and return the lines of the answer, what went wrong included."""
        done = subprocess.run(
            ["make", "--no-print-directory", target],
            cwd=self.clone,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
        )
        assert done.returncode == expect, done.stdout
        return done.stdout.splitlines()

    def inside(self, code):
        """Run Python inside the tutorial and return what it prints."""
        return self.run("python", "-c", code)

    def run(self, *command):
        """Run a command as in a terminal of the tutorial; return what it prints."""
        return subprocess.run(
            [sys.executable, "scripts/embedded", "run", *command],
            cwd=self.clone,
            env=self.variables,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    def pids(self, *roles):
        """Return the PIDs that `make status` shows, by role."""
        expect = 0 if not roles else None
        done = subprocess.run(
            ["make", "--silent", "status"],
            cwd=self.clone,
            env=self.variables,
            capture_output=True,
            text=True,
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return dict(re.findall(r"^(\w+) +running \(PID (\d+)\)", done.stdout, re.M))

    def processes(self):
        """Return the command lines of this user's processes that name the clone."""
        listing = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True
        ).stdout
        link = next(
            str(link)
            for link in Path(f"/tmp/aiida-hitl-{os.getuid()}").iterdir()
            if link.is_symlink() and os.readlink(link) == str(self.clone)
        )
        return [line for line in listing.splitlines() if link in line]
