#!/usr/bin/python3 -ISs
"""Print one line for each service as it comes up, and one when all are."""

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, "/opt/tutorial/container")
from services import ANSWERS, RUN, TITLES


def age() -> float:
    """Return the seconds since the container's first process started."""
    ticks = float(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


def knock() -> None:
    """Have supervisord look at its programs now; it does so once a second otherwise."""
    with socket.socket(socket.AF_UNIX) as door, contextlib.suppress(OSError):
        door.connect("/run/tutorial/supervisord.socket")


waiting = dict(ANSWERS)
while waiting:
    if not (RUN / "launched-jupyterlab").exists():
        knock()
    for name in list(waiting):
        if waiting[name]():
            del waiting[name]
            print(f"{TITLES[name]} is up ({age():.1f} s)", flush=True)
    time.sleep(0.05)
print("The tutorial is ready.", flush=True)
