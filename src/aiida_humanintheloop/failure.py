"""What a person has to see of a process that failed."""

from __future__ import annotations

import os
from typing import Any

from aiida.orm import CalcJobNode, Node, ProcessNode

__all__ = ["evidence_of", "last_lines", "what_happened"]

_LINES = 10
_BYTES = 4096
_OUTPUTS = {
    "output_filename": "output",
    "scheduler_stdout": "scheduler output",
    "scheduler_stderr": "scheduler errors",
}


def what_happened(node: ProcessNode) -> str:
    """Return in one line how a process ended, without its PK.

    Whoever runs the workflow again is to be asked in the same words.
    """
    name = node.process_label
    if node.is_killed:
        return f"{name} was killed"
    if node.is_excepted:
        lines = (node.exception or "").strip().splitlines()
        return f"{name} excepted" + (f": {lines[-1]}" if lines else "")
    if node.is_finished_ok:
        return f"{name} finished"
    message = f": {node.exit_message}" if node.exit_message else ""
    return f"{name} failed with exit code {node.exit_status}{message}".rstrip(".")


def evidence_of(node: ProcessNode) -> list[Node]:
    """Return the process, what of it failed first, and the files of that."""
    failed = _first_failure(node)
    files = getattr(failed.outputs, "retrieved", None)
    return [each for each in dict.fromkeys([node, failed, files]) if each is not None]


def last_lines(node: ProcessNode) -> str:
    """Return the end of what program and scheduler said, where anything was said."""
    failed = _first_failure(node)
    if not isinstance(failed, CalcJobNode) or "retrieved" not in failed.outputs:
        return ""
    parts = []
    for option, what in _OUTPUTS.items():
        name = failed.get_option(option)
        lines = _tail(failed.outputs.retrieved, name) if name else []
        if lines:
            parts += [f"The last lines of the {what} ({name}):", *lines]
    return "\n".join(parts)


def _first_failure(node: ProcessNode) -> ProcessNode:
    """Return the process from which a failure came up, through any depth."""
    failed = [
        each
        for each in getattr(node, "called", [])
        if each.is_terminated and not each.is_finished_ok
    ]
    last = max(failed, key=lambda each: each.ctime, default=None)
    return node if last is None else _first_failure(last)


def _tail(files: Any, name: str) -> list[str]:
    """Return the last lines of a file, which may be large, and may be no text."""
    end = b""
    try:
        with files.base.repository.open(name, "rb") as handle:
            try:
                handle.seek(-_BYTES, os.SEEK_END)
            except (OSError, ValueError, NotImplementedError):
                handle.seek(0)  # it is short, or packed
            while chunk := handle.read(2**20):
                end = (end + chunk)[-_BYTES:]
    except (OSError, TypeError):
        return []  # not retrieved, or its name is no relative path
    # PostgreSQL takes no NUL, of which a crashed job's output may be full.
    text = end.decode(errors="replace").replace("\0", "\ufffd")
    return text.splitlines()[-_LINES:]
