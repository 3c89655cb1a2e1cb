#!/usr/bin/python3 -ISs
"""Tell whether all four services answer: exit code 0, or 1 and who does not.

Docker asks every second, so that a start is not called slow for the pause between two
checks. Once the container was healthy, the check first sleeps: that costs nothing.
"""

import sys
import time

sys.path.insert(0, "/opt/tutorial/container")
from services import ANSWERS, RUN, TITLES

PAUSE = 20  # seconds between two looks at a healthy container
PATIENCE = (
    30  # seconds within which a container that starts is looked at again and again
)

healthy = RUN / "healthy"
if healthy.exists():
    time.sleep(PAUSE)

deadline = time.monotonic() + (0 if healthy.exists() else PATIENCE)
while True:
    silent = [TITLES[name] for name, answers in ANSWERS.items() if not answers()]
    if not silent:
        healthy.touch()
        sys.exit(0)
    if time.monotonic() > deadline:
        print(f"no answer from {', '.join(silent)}; see ~/.services/log")
        sys.exit(1)
    time.sleep(0.1)
