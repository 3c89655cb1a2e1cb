#!/usr/bin/python3 -ISs
"""Stop the container when supervisord gives a service up: it would stay, and exit 0.

Speaks supervisord's event protocol: a header line with the payload's length, then the
payload. The entrypoint finds the name that is left here, says why, and ends with 1.
"""

import os
import signal
import sys
from pathlib import Path


def fields(text: str) -> dict[str, str]:
    """Take "key:value key:value" apart."""
    return dict(pair.split(":", 1) for pair in text.split())


while True:
    print("READY", flush=True)
    header = fields(sys.stdin.readline())
    event = fields(sys.stdin.read(int(header["len"])))
    Path("/run/tutorial/fatal").write_text(event["processname"])
    os.kill(os.getppid(), signal.SIGTERM)
    print("RESULT 2\nOK", end="", flush=True)
