"""How a question and an answer lie in a node's extras.

`question` (text) and `answer` (raw value, None once taken) are what a person reads
and writes; everything structured lies under `humanintheloop`, which only the process
writes: two writers of one extra would undo each other's work. An answer that waits for
its judge has who gave it, and when, under `answer_note`.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from aiida.orm import ProcessNode

from .database import lock, one_commit
from .letter import Letter, Until, now, timestamp
from .question import Answer, Question

__all__ = [
    "ANSWER",
    "NOTE",
    "RECORD",
    "Mailbox",
    "OwnMailbox",
    "letters_of",
    "open_letters_of",
]

VERSION = 1
_AT_ONCE = timedelta(seconds=3)
# Why a question was closed that a step has put twice, in other words.
ANEW = "asked anew"
QUESTION, ANSWER, NOTE, RECORD = "question", "answer", "answer_note", "humanintheloop"


def _is_late(answer: Answer) -> bool:
    """Return whether it took a while from the giving of an answer to its judge."""
    try:
        given = datetime.fromisoformat(answer.at or "")
        return now() - given > _AT_ONCE
    except (TypeError, ValueError):
        return False  # nobody knows when it was given


def letters_of(extras: dict[str, Any]) -> list[Letter]:
    """Return the questions that lie in a node's extras, oldest first."""
    record = extras.get(RECORD) or {}
    return [Letter(entry) for entry in record.get("history", [])]


def open_letters_of(record: dict[str, Any]) -> list[Letter]:
    """Return the questions that wait for an answer, without a look at the others.

    :param record: the extra `humanintheloop` of a node.
    """
    return [
        Letter(entry)
        for entry in record["history"]
        if not (entry.get("answer") or entry.get("closed"))
    ]


class Mailbox:
    """The questions of one workflow, read from its node's extras."""

    def __init__(self, node: ProcessNode) -> None:
        """Look at the extras of `node`; nothing is read before it is asked for."""
        self._node = node
        self._extras = node.base.extras

    def letters(self) -> list[Letter]:
        """Return every question that was asked, oldest first."""
        return letters_of({RECORD: self._extras.get(RECORD, None)})

    def open_letters(self) -> list[Letter]:
        """Return the questions that wait for an answer, oldest first."""
        return [letter for letter in self.letters() if letter.is_open]

    def last_batch(self, is_over: bool = True) -> list[Letter]:
        """Return what was asked together, last.

        :param is_over: of what waits for nobody any more. A step that was interrupted
            after it had asked runs again, and wants the answer that it began with.
        """
        letters = self.letters()
        if is_over:
            letters = [x for x in letters if not x.is_open and x.closed != ANEW]
        return [letter for letter in letters if letter.batch == letters[-1].batch]

    def kept(self) -> Answer | None:
        """Return the answer that lies in the extras, with the note on it if any."""
        value = self._extras.get(ANSWER, None)
        if value is None:
            return None
        note: dict[str, Any] = self._extras.get(NOTE, None) or {}
        return Answer(**{**note, "value": value})

    def keep(self, answer: Answer) -> Answer:
        """Leave an answer for a process that cannot be reached now.

        :return: the answer that is kept, or was taken: one that lies there already
            stays.
        :raises DatabaseLost: if the server of the database went away.
        """
        note = asdict(replace(answer, value=None))
        with one_commit():
            lock(self._node)
            first = self.kept()
            if first is not None and first.key != answer.key:
                return first
            if self.taken(answer):
                return answer  # an earlier try has arrived meanwhile
            self._extras.set_many({ANSWER: answer.value, NOTE: note})
        return answer

    def _write(self, extras: dict[str, Any]) -> None:
        """Write some extras, and leave the others as others have left them."""
        with one_commit():
            lock(self._node)
            if ANSWER in extras and self._extras.get(NOTE, None) is not None:
                extras = {**extras, NOTE: None}  # it belongs to the answer that goes
            self._extras.set_many(extras)

    def taken(self, answer: Answer) -> list[Letter]:
        """Return the questions to which this very answer was accepted."""
        return [
            letter
            for letter in self.letters()
            if answer.key and letter.answer and letter.answer.key == answer.key
        ]


class OwnMailbox(Mailbox):
    """The mailbox in the hands of its process, which alone writes the record.

    So the record is read once: each look at the extras would read, copy and check the
    whole history again, ten times from an answer to the next question.
    """

    def __init__(self, node: ProcessNode) -> None:
        """Look at the extras of `node`; nothing is read before it is asked for."""
        super().__init__(node)
        self._letters: list[Letter] | None = None

    def letters(self) -> list[Letter]:
        """Return every question that was asked, oldest first."""
        if self._letters is None:
            self._letters = super().letters()
        return list(self._letters)

    def forget(self) -> None:
        """Read anew: what was written last did not reach the database."""
        self._letters = None

    def ask(self, questions: dict[str | None, Question], until: Until) -> list[Letter]:
        """Put questions; an answer left over from earlier ones is dropped.

        Where the same are open already, because a worker was killed between asking
        and pausing, they stay as they are, and so does an answer to them.
        """
        letters = self.letters()
        waiting = [letter for letter in letters if letter.is_open]
        if (
            waiting
            and {letter.name: letter.question for letter in waiting} == questions
        ):
            return waiting
        batch = letters[-1].batch + 1 if letters else 1
        letters = [
            letter.but(closed=ANEW) if letter.is_open else letter for letter in letters
        ]
        for name, question in questions.items():
            record = {
                "id": str(len(letters) + 1),
                "batch": batch,
                "question": question.to_record(),
                "asked_at": timestamp(),
            }
            if name is not None:
                record.update(name=name, until=until)
            letters.append(Letter(record))
        self._post(letters)
        return self.open_letters()

    def accept(self, letter: Letter, answer: Answer) -> list[Letter]:
        """Record the answer to a question, and return what is open now.

        Of questions of which any is enough, the others are closed.
        """
        record = asdict(answer)
        said = {key: value for key, value in record.items() if value is not None}
        said["value"] = answer.value
        reason = f"question {letter.id} was answered"
        took: dict[str, Any] = {"answer": said}
        if _is_late(answer):
            took["taken_at"] = timestamp()
        letters = []
        for other in self.letters():
            if other.id == letter.id:
                letters.append(other.but(**took))
            elif other.is_open and letter.until == "any":
                letters.append(other.but(closed=reason))
            else:
                letters.append(other)
        with one_commit():
            lock(self._node)
            is_open = any(each.is_open for each in letters)
            # Somebody may have left one for what is still open.
            self._post(letters, leave=is_open and self._is_of_another(answer))
        return self.open_letters()

    def decided(self, letter: Letter, uuid: str) -> None:
        """Record which node an answer has become."""
        self._letters = [
            other.but(decision=uuid) if other.id == letter.id else other
            for other in self.letters()
        ]
        self._write({RECORD: self._record()})

    def complain(self, reason: str, answer: Answer) -> None:
        """Say in the question why an answer was not taken, and clear that answer.

        Not what somebody else has left there meanwhile.
        """
        with one_commit():
            lock(self._node)
            extras = self._shown(self.letters(), reason)
            if self._is_of_another(answer):
                del extras[ANSWER]
            self._write(extras)

    def drop(self, answer: Answer) -> None:
        """Clear an answer that was kept, and that no open question is waiting for."""
        with one_commit():
            lock(self._node)
            if self.kept() is not None and not self._is_of_another(answer):
                self._write({ANSWER: None})

    def _is_of_another(self, answer: Answer) -> bool:
        """Return whether what is kept is somebody else's than this answer."""
        kept = self.kept()
        return kept is not None and (kept.key, kept.via) != (answer.key, answer.via)

    def close(self, reason: str, letter: Letter | None = None) -> None:
        """Take back a question, or all, that nobody can answer any more."""
        letters = self.letters()
        closing = {
            other.id
            for other in letters
            if other.is_open and (letter is None or other.id == letter.id)
        }
        if closing:
            self._letters = [
                other.but(closed=reason) if other.id in closing else other
                for other in letters
            ]
            self._write({RECORD: self._record()})

    def announce(self, text: str) -> None:
        """Put a last word where the questions were."""
        self._write({QUESTION: text})

    def _post(self, letters: list[Letter], leave: bool = False) -> None:
        """Write the record, and show what is open.

        :param leave: an answer that lies there.
        """
        self._letters = letters
        extras = {**self._shown(letters), RECORD: self._record()}
        if leave:
            del extras[ANSWER]
        self._write(extras)

    def _record(self) -> dict[str, Any]:
        history = [letter.record for letter in self.letters()]
        return {"version": VERSION, "history": history}

    def _shown(self, letters: list[Letter], reason: str = "") -> dict[str, Any]:
        """Return the extras that a person sees; whatever answer lies there goes."""
        shown = [letter for letter in letters if letter.is_open] or letters[-1:]
        text = " | ".join(letter.label for letter in shown)
        return {QUESTION: f"{text} {reason}".strip(), ANSWER: None}
