"""Say what the reader's workflow of chapter 8 does right, and what not yet."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from aiida.engine import submit
from aiida.engine.daemon.client import get_daemon_client
from aiida.engine.processes.control import kill_processes
from aiida.orm import List

from aiida_humanintheloop import InteractiveWorkChain
from aiida_humanintheloop.decision import decisions
from aiida_humanintheloop.inbox import Conversation
from aiida_humanintheloop.letter import Letter

__all__ = ["check"]

PATIENCE_SECONDS = 60.0
CANDIDATES = ["argon", "neon", "krypton"]


class NotYet(Exception):
    """Something that the workflow does not do yet."""


def check(module: str) -> None:
    """Run the workflow `PickCandidate` of a module, and print how it does.

    :param module: name of the file in `my_workflows`, without its ending.
    """
    try:
        for done in _walk(module):
            print("✓", done)
    except NotYet as reason:
        print("✗ Not yet:", reason)
    else:
        print("All of it works. Well done!")


def _walk(module: str) -> Iterator[str]:
    """Yield what works, one after the other."""
    process = _load(module)
    yield "there is a class PickCandidate that can ask"
    try:
        node = submit(process, candidates=List(CANDIDATES))
    except (TypeError, ValueError) as error:
        raise NotYet(f"it does not take `candidates` ({_said(error)}).") from None
    try:
        with Conversation(node) as talk:
            yield from _play(talk)
    finally:
        if not node.is_terminated:
            kill_processes([node], timeout=PATIENCE_SECONDS)


def _load(module: str) -> type[InteractiveWorkChain]:
    """Return the class, as it is now in the file, for us and for the workers."""
    importlib.invalidate_caches()
    try:
        found = importlib.reload(importlib.import_module(module)).PickCandidate
    except Exception as error:  # the reader's own code: anything can be wrong in it
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise NotYet(f"there is no {module}.py in my_workflows.") from None
        raise NotYet(f"{module}.py cannot be imported ({_said(error)}).") from None
    if not (isinstance(found, type) and issubclass(found, InteractiveWorkChain)):
        raise NotYet("PickCandidate is no InteractiveWorkChain.")
    try:
        found.spec()
    except Exception as error:  # so is this
        raise NotYet(f"its `define` does not work ({_said(error)}).") from None
    get_daemon_client().restart_daemon(timeout=int(PATIENCE_SECONDS))
    return found


def _said(error: Exception) -> str:
    """Return an error in one line, as the last one of a traceback has it."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _play(talk: Conversation) -> Iterator[str]:
    """Answer as a person would, and yield what is as it should be."""
    asked = _next(talk, "for a candidate")
    if list(getattr(asked.question.kind, "options", ())) != CANDIDATES:
        raise NotYet(
            f"the first question wants {asked.question.expects}; it should be a Choice "
            "among the candidates."
        )
    yield "it asks for one of the candidates"
    _refuse(talk, "gold")
    yield "it refuses a candidate that is none"
    _accept(talk, "neon")

    asked = _next(talk, "for a pressure")
    if asked.question.expects != "a number between 0.0 and 100.0 GPa":
        raise NotYet(
            f"the second question wants {asked.question.expects}; it should be a Float "
            "from 0 to 100 with the unit GPa."
        )
    yield "it asks for a pressure"
    _refuse(talk, 101)
    yield "it refuses a pressure that is too high"
    _accept(talk, 2.5)

    if talk.wait(PATIENCE_SECONDS) is not None:
        raise NotYet("it asks a third time.")
    if not talk.node.is_finished_ok:
        raise NotYet(f"it ends, but not well: {_how_it_ended(talk)}")
    yield "it ends well"
    for name, value in {"candidate": "neon", "pressure": 2.5}.items():
        _returns(talk, name, value)
        yield f"its output {name!r} is what was answered, and rests on that decision"


def _next(talk: Conversation, what: str) -> Letter:
    """Return the next question."""
    try:
        asked = talk.wait(PATIENCE_SECONDS)
    except TimeoutError:
        raise NotYet(f"it does not ask {what}, and does not end.") from None
    if asked is None:
        raise NotYet(f"it ended and did not ask {what}: {_how_it_ended(talk)}")
    return asked


def _how_it_ended(talk: Conversation) -> str:
    node = talk.node
    why = node.exit_message or node.exception or str(node.process_state)
    return " ".join(why.split())


def _refuse(talk: Conversation, value: object) -> None:
    if talk.answer(value).accepted:
        raise NotYet(f"it takes {value!r} for an answer.")


def _accept(talk: Conversation, value: object) -> None:
    verdict = talk.answer(value)
    if not verdict.accepted:
        raise NotYet(f"it does not take {value!r}: {verdict.reason}")


def _returns(talk: Conversation, name: str, value: Any) -> None:
    output: Any = getattr(talk.node.outputs, name, None)
    got = getattr(output, "value", output)
    if got != value:
        raise NotYet(f"its output {name!r} is {got!r}, and not {value!r}.")
    if value not in [each.response["value"] for each in decisions(output)]:
        raise NotYet(f"its output {name!r} is not the answer, but a copy of its value.")
