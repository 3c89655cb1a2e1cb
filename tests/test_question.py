"""A question judges an answer: the value that it stands for, or why not."""

import pytest

from aiida_humanintheloop import Answer, Integer, InvalidAnswer, Question, Verdict
from aiida_humanintheloop.text import shown

GUESS = Integer(1, 100)


@pytest.mark.parametrize(
    ("raw", "value"),
    [(1, 1), (100, 100), ("50", 50), (" 50\n", 50), ("+7", 7), ("007", 7)],
)
def test_what_a_person_means_by_an_integer_is_taken(raw: object, value: int) -> None:
    """An integer may also come as the text that was typed."""
    assert GUESS.read(raw) == value


NO_GUESS = [
    0,
    101,
    -1,
    50.0,
    50.5,
    float("nan"),
    True,
    False,
    [],
    [50],
    {},
    {"value": 50},
    "fifty",
    "5_0",
    "50.0",
    "0x10",
    "5 0",
    "\u0665\u0660",  # Arabic digits, and full-width ones: int() takes both
    "\uff15\uff10",
    "½",
    "\x00",
    "\ud800",
    "🎲",
    "1" * 5000,
    "x" * 1_000_000,
    10**400,
]


@pytest.mark.parametrize("raw", NO_GUESS, ids=lambda raw: ascii(raw)[:20])
def test_anything_else_is_refused_in_one_short_line(raw: object) -> None:
    """The reason says what is expected, whatever the value was."""
    with pytest.raises(
        InvalidAnswer, match="must be an integer between 1 and 100"
    ) as no:
        GUESS.read(raw)
    reason = str(no.value)
    assert len(reason) < 120
    assert reason.isprintable()


@pytest.mark.parametrize("raw", [None, ""])
def test_no_answer_is_called_so(raw: object) -> None:
    """Playing without an answer is no wrong answer."""
    with pytest.raises(InvalidAnswer, match="No answer was given"):
        GUESS.read(raw)


@pytest.mark.parametrize(
    ("question", "expects"),
    [
        (Question("?", Integer()), "an integer"),
        (Question("?", Integer(minimum=3)), "an integer of 3 or more"),
        (Question("?", Integer(maximum=3)), "an integer of 3 or less"),
        (Question("?"), "text"),
    ],
)
def test_a_question_says_what_it_expects(question: Question, expects: str) -> None:
    """Bounds that are not there are not named."""
    assert question.expects == expects


def test_text_is_taken_as_it_is() -> None:
    """A question for text keeps white space and line ends."""
    assert Question("Why?").kind.read(" two\nlines ") == " two\nlines "


@pytest.mark.parametrize("value", ["½ \ud800 \x00", [1, {"a": None}], True, 1.5])
def test_an_answer_survives_its_way_through_a_broker(value: object) -> None:
    """What is sent is ASCII, which neither JSON nor YAML changes."""
    answer = Answer(value, question="3", by="a@b", at="now", via="test", key="k")
    assert answer.to_json().isascii()
    assert Answer.from_json(answer.to_json()) == answer


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_what_json_cannot_hold_is_not_sent(value: object) -> None:
    """The sender is told before anything is on its way."""
    with pytest.raises(InvalidAnswer, match="was not sent"):
        Answer(value).to_json()


def test_a_verdict_survives_its_way_back() -> None:
    """The sender reads what the judge said."""
    verdict = Verdict("refused", "because", "2")
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert not verdict.accepted


def test_long_text_is_shown_short() -> None:
    """No answer can fill the terminal of whoever reads about it."""
    assert len(shown("x" * 10_000)) < 50
