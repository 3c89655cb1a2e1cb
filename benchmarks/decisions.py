#!/usr/bin/env python
"""Measure `aiida-hitl decisions` beside `aiida-hitl --version` on a long chain.

Makes a profile of its own in a temporary folder, with decisions each of which was made
in view of the two before, so that the last rests on all, and by ever more ways.

Use: benchmarks/decisions.py [DECISIONS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from inbox import ROUNDS, seconds
from rich.console import Console
from rich.table import Table

HITL = "aiida-hitl"


def chain(count: int) -> int:
    """Decide that often, and return the PK of what was decided last."""
    from aiida import load_profile
    from aiida.orm import Data, Int, to_aiida_type

    from aiida_humanintheloop.decision import decide

    load_profile()
    last: list[Data] = [Int(0).store(), Int(1).store()]
    question = {"text": "Go on?", "kind": {"kind": "integer"}, "id": "1"}
    for number in range(count):
        value = decide(
            question=to_aiida_type({**question, "workflow": {"type": "Chain"}}),
            response=to_aiida_type({"value": number, "kind": "human", "by": "a@b.c"}),
            evidence_1=last[0],
            evidence_2=last[1],
        )
        last = [last[1], value]
    return int(last[1].pk or 0)


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AIIDA_PATH"] = folder
        os.mkdir(os.path.join(folder, ".aiida"))
        presto = ["verdi", "presto", "--use-zeromq", "-n"]
        subprocess.run(presto, check=True, capture_output=True)
        start = time.perf_counter()
        pk = str(chain(count))
        each = (time.perf_counter() - start) / count
        lines = subprocess.check_output([HITL, "decisions", pk, "--raw"], text=True)
        assert len(lines.splitlines()) == count
        version = sorted(seconds(HITL, "--version"))[ROUNDS // 2]
        raw = sorted(seconds(HITL, "decisions", pk, "--raw"))[ROUNDS // 2]
        table = sorted(seconds(HITL, "decisions", pk))[ROUNDS // 2]
    rows = {"--version": version, "decisions": table, "decisions --raw": raw}
    shown = Table("", "median [s]", "times --version")
    for name, took in rows.items():
        shown.add_row(f"{HITL} {name}", f"{took:.2f}", f"{took / version:.2f}")
    console = Console()
    console.print(
        f"{count} decisions, {each * 1e3:.0f} ms to make each, {ROUNDS} rounds"
    )
    console.print(shown)
    console.print(f"goal: within {version + 1:.2f} s")


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:] or ("1000",)))
