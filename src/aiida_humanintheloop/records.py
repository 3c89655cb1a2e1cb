"""What waits, was asked and was judged, as records and rows for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from .decision import Decision
from .letter import Letter
from .listing import Waiting
from .question import Verdict
from .text import one_line

__all__ = [
    "age",
    "decision_record",
    "decision_rows",
    "history_rows",
    "letter_record",
    "verdict_record",
    "waiting_record",
    "waiting_rows",
]


def _value_on_a_line(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value))


def age(since: datetime) -> str:
    """Return how long ago it was, in the largest unit that says enough."""
    seconds = max(0.0, (datetime.now(timezone.utc) - since).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"


def letter_record(letter: Letter) -> dict[str, Any]:
    """Return a question and its answer as JSON can hold them."""
    deadline = letter.deadline.isoformat() if letter.deadline else None
    return {
        **letter.record,
        "open": letter.is_open,
        "expects": letter.question.expects,
        "schema": letter.question.kind.schema,
        "deadline": deadline,
    }


def waiting_record(each: Waiting) -> dict[str, Any]:
    """Return what waits as JSON can hold it."""
    return {
        "pk": each.pk,
        "uuid": each.uuid,
        "workflow": each.workflow,
        "root": {"pk": each.root[0], "workflow": each.root[1]},
        "since": each.since.isoformat(),
        "reason": each.reason,
        "computer": each.computer,
        "questions": [letter_record(letter) for letter in each.letters],
    }


def verdict_record(pk: int, verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON can hold it."""
    return {"pk": pk, **asdict(verdict)}


def waiting_rows(found: Iterable[Waiting]) -> list[list[str]]:
    """Return a row per open question, or per workflow that has none."""
    rows = []
    for each in found:
        for letter in each.letters or (None,):
            question = letter.question if letter else None
            deadline = letter.deadline if letter else None
            rows.append(
                [
                    str(each.pk),
                    age(each.since),
                    one_line(each.workflow),
                    "" if each.root[0] == each.pk else f"{each.root[1]} {each.root[0]}",
                    one_line(", ".join(question.assignees)) if question else "",
                    one_line(letter.label if letter else each.reason),
                    one_line(question.expects) if question else "",
                    f"{deadline:%Y-%m-%d %H:%M} UTC" if deadline else "",
                    letter.id if letter else "",
                ]
            )
    return rows


def history_rows(letters: Iterable[Letter]) -> list[list[str]]:
    """Return a row per question, with its answer."""
    rows = []
    for letter in letters:
        answer = letter.answer
        if answer is None:
            said = [
                "(open)" if letter.is_open else f"({letter.closed})",
                *[""] * 5,
            ]
        else:
            value = answer.value
            said = [
                _value_on_a_line(value),
                one_line(answer.by or ("?" if answer.kind == "human" else answer.kind)),
                one_line(answer.at or ""),
                one_line(answer.via),
                one_line(answer.comment or ""),
                one_line(letter.taken_at or ""),
            ]
        rows.append([letter.id, one_line(letter.label), *said])
    return rows


def decision_record(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON can hold it."""
    return {**asdict(decision), "evidence": decision.evidence}


def decision_rows(found: Iterable[Decision]) -> list[list[str]]:
    """Return a row per decision."""
    rows = []
    for each in found:
        said, value = each.response, each.response["value"]
        rows.append(
            [
                str(each.pk),
                _value_on_a_line(value),
                one_line(each.question["text"]),
                one_line(each.workflow),
                one_line(said.get("by") or ("?" if said["kind"] == "human" else "")),
                one_line(said.get("at", "")),
                one_line(said["kind"]),
                one_line(said.get("via", "")),
                one_line(said.get("comment", "")),
                " ".join(each.evidence),
                one_line(said.get("repeats", "")),
            ]
        )
    return rows
