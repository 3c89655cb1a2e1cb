"""The processes of the embedded tutorial: which are running, and how they end.

They are found by their command lines, which name this clone's own folder. So no PID
file can be stale, and no program of somebody else can be meant.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from layout import FOLDER, Refused

ROLES = {
    "JupyterLab": r"bin/jupyter-lab( |$)",
    "kernel": r"ipykernel_launcher",
    "daemon": r"bin/verdi .*daemon start-circus",
    "worker": r"bin/verdi .*daemon worker",
    "broker": r"bin/verdi .*daemon broker",
    "stats": r"from circus import stats",
}
DAEMON_ROLES = {"daemon", "worker", "broker", "stats"}


@dataclass(frozen=True)
class Process:
    """A running process of the tutorial; its age is in seconds."""

    pid: int
    role: str
    age: int


def seconds(elapsed: str) -> int:
    """Return the seconds of what ps calls elapsed time: [[days-]hours:]minutes:seconds.

    >>> seconds("1-02:03:04")
    93784
    """
    days, _, clock = elapsed.rpartition("-")
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total + int(days or 0) * 86400


def is_in(folder: Path, command: str) -> bool:
    """Return whether a word of a command line is the path of something in a folder.

    >>> is_in(Path("/repo"), "/bin/python /repo/venv/bin/verdi")
    True
    >>> is_in(Path("/repo"), "/tmp/repo/venv/bin/verdi")
    False
    """
    return re.search(rf"(^|\s){re.escape(str(folder))}/", command) is not None


def running() -> list[Process]:
    """Return the tutorial's processes, oldest first."""
    try:
        listing = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,uid=,etime=,args="],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(
            f"The program ps does not work here ({error}), and AiiDA needs it too. "
            "On Debian and Ubuntu: sudo apt install procps"
        ) from None
    found = []
    for line in listing.splitlines():
        pid, uid, elapsed, *command = line.split(None, 3)
        if int(uid) != os.getuid() or not command:
            continue
        if not is_in(FOLDER, command[0]):
            continue
        for role, sign in ROLES.items():
            if re.search(sign, command[0]):
                found.append(Process(int(pid), role, seconds(elapsed)))
                break
    return sorted(found, key=lambda process: -process.age)


def of(*roles: str) -> list[Process]:
    """Return the running processes of these roles."""
    return [process for process in running() if process.role in roles]


def wait_until(condition: Callable[[], object], timeout: float) -> bool:
    """Return whether the condition came true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def send(number: signal.Signals, *roles: str) -> None:
    """Send a signal to the processes of these roles that run at this moment."""
    for process in of(*roles):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def end(*roles: str, patience: float = 10) -> None:
    """End all processes of these roles: first ask, then make them."""
    send(signal.SIGTERM, *roles)
    if wait_until(lambda: not of(*roles), patience):
        return
    send(signal.SIGKILL, *roles)
    if not wait_until(lambda: not of(*roles), 10):
        left = ", ".join(f"{process.role} {process.pid}" for process in of(*roles))
        raise Refused(f"These do not end, not even when killed: {left}.")
