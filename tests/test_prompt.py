"""What a person types at a prompt becomes what they meant."""

from __future__ import annotations

import io
from typing import Any

import pytest

from aiida_humanintheloop import (
    Boolean,
    Choice,
    Choices,
    Integer,
    InvalidAnswer,
    Json,
    Question,
    Text,
)
from aiida_humanintheloop.letter import Letter, timestamp
from aiida_humanintheloop.prompt import ask_person


def prompted(
    question: Question, typed: str, capsys: pytest.CaptureFixture[str]
) -> tuple[Any, str]:
    """Return the value that the question takes, and the prompt that was shown."""
    record = {"id": "1", "batch": 1, "question": question.to_record()}
    letter = Letter({**record, "asked_at": timestamp()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
        answer = ask_person(letter)
    return question.kind.read(answer), capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("kind", "default", "offered"),
    [
        (Text(), "as it is", "as it is"),
        (Text(), "Ends\x1b[2J\nhere", "Ends\ufffd[2J here"),
        (Integer(1, 9), "7", "7"),
        (Boolean(), True, "yes"),
        (Boolean(), "no", "no"),
        (Choice(("a", True, {"b": 1})), True, "true"),
        (Choice(("a", True, {"b": 1})), {"b": 1}, '{"b": 1}'),
        (Choices(("a", "b, c", 2.5)), ["b, c", 2.5], "b, c, 2.5"),
        (Json({"type": "object"}), {"A": None}, '{"A": null}'),
    ],
)
def test_an_empty_line_takes_the_default(
    kind: Any, default: Any, offered: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown as one would type it, and taken as it is."""
    value, prompt = prompted(Question("?", kind, default), "", capsys)
    assert value == kind.read(default)
    assert f" [{offered}]: " in prompt


def test_what_is_not_text_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file that was piped in may be."""
    piped = io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", piped)
    record = {"id": "1", "batch": 1, "question": Question("?").to_record()}
    with pytest.raises(InvalidAnswer, match="nothing was sent"):
        ask_person(Letter({**record, "asked_at": timestamp()}))


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        (Choice(("left", True, None)), "2", True),
        (Choice(("left", True, None)), "true", True),
        (Choice(("left", {"b": 1})), "2", {"b": 1}),
        (Choice(("left", "a, b")), "2", "a, b"),
        (Choice((10, 20, 1)), "1", 1),
        (Choices(("a", "b, c", False)), "3,2", [False, "b, c"]),
        (Choices(("a", "b")), "a, b", ["a", "b"]),
    ],
)
def test_an_option_is_chosen_by_its_number_or_its_text(
    kind: Any, typed: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers that are options themselves are never positions."""
    assert prompted(Question("?", kind), typed, capsys)[0] == value
