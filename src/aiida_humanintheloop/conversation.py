"""A person's talk with one workflow: read its question, answer, wait for the next."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Any

from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.engine import ProcessState
from aiida.manage import get_manager
from aiida.orm import Node, ProcessNode, WorkChainNode, WorkflowNode, load_node
from plumpy.process_comms import INTENT_KEY, MessageBuilder

from . import ownership
from .connection import Connection, daemon_runs
from .database import DatabaseLost, look_anew
from .exceptions import InvalidAnswer, NoSuchWorkflow, NotLoaded, Unreachable
from .interactive import InteractiveWorkChain
from .letter import Letter, timestamp
from .mailbox import Mailbox
from .messages import ANSWER_INTENT, STATUS
from .question import WAIT, Answer, Verdict
from .verdict import read_answer, verdict_on_late

__all__ = ["Conversation", "load_any_workflow", "load_workflow"]

_ENDED = (ProcessState.FINISHED, ProcessState.EXCEPTED, ProcessState.KILLED)
_LOST_SECONDS = 5.0
_GIVE_UP_SECONDS = 15.0
_RETRY_SECONDS = 0.2
# A process that takes no messages looks twice a second.
_FOUND_SECONDS = 2.0


def load_any_workflow(identifier: int | str | ProcessNode) -> WorkflowNode:
    """Return the node of a workflow, which asks or calls others that may.

    :param identifier: PK, UUID (or its beginning), or the node itself.
    :raises NoSuchWorkflow: if there is none.
    :raises Unreachable: if the database is away.
    """
    look_anew()
    try:
        node = (
            identifier
            if isinstance(identifier, ProcessNode)
            else load_node(identifier=identifier)
        )
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise NoSuchWorkflow(
            f"There is no workflow {identifier}: `verdi process list -a` shows them."
        ) from error
    if not isinstance(node, WorkflowNode):
        raise _asks_nothing(node)
    return node


def load_workflow(identifier: int | str | ProcessNode) -> WorkChainNode:
    """Return the node of a workflow that asks questions.

    :param identifier: PK, UUID (or its beginning), or the node itself.
    :raises NoSuchWorkflow: if there is none, or if it is of a kind that never asks.
    :raises Unreachable: if the database is away.
    """
    node = load_any_workflow(identifier)
    if not isinstance(node, WorkChainNode) or not _asks(node):
        raise _asks_nothing(node)
    return node


def _asks_nothing(node: Node) -> NoSuchWorkflow:
    kind = getattr(node, "process_label", None) or type(node).__name__
    return NoSuchWorkflow(
        f"{node.pk} is a {kind}, which asks no questions: "
        "`verdi process list -a` shows the workflows."
    )


def _asks(node: WorkChainNode) -> bool:
    try:
        return issubclass(node.process_class, InteractiveWorkChain)
    except ValueError:  # the plugin that it came from is not installed here
        return bool(Mailbox(node).letters())


class Conversation:
    """One person's talk with one workflow.

    Use it as a context manager: it listens to the workflow as long as it is open, and
    so sees the next question as soon as it is asked.

    :param node: the workflow, see `load_workflow`.
    :param by: email of the person, by default of the profile's user.
    :param via: the way that the answers come, for the record.
    """

    def __init__(
        self, node: WorkChainNode, by: str | None = None, via: str = "python"
    ) -> None:
        """Prepare; nothing is sent or listened to yet."""
        self.node = node
        self.pk = int(node.pk or 0)
        self.mailbox = Mailbox(node)
        # Not the user's node, which belongs to the thread that has loaded it first.
        profile = get_manager().get_profile()
        self._by = by or (profile.default_user_email if profile else None)
        self._via = via
        self._connection = Connection(sender=self.pk)

    def __enter__(self) -> Conversation:
        """Listen to what the workflow says."""
        self._connection.listen()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self.close()

    def close(self) -> None:
        """Close the connection to the broker; the next use opens a new one."""
        self._connection.close()

    # region reading

    def question(self) -> Letter | None:
        """Return the open question, or the first of several; None where none is."""
        waiting = self.questions()
        return waiting[0] if waiting else None

    def questions(self) -> list[Letter]:
        """Return all open questions, oldest first."""
        look_anew()
        return [] if self.has_ended else self.mailbox.open_letters()

    @property
    def has_ended(self) -> bool:
        """Whether the workflow has ended, well or not.

        `node.is_terminated` asks the database three times.
        """
        return self.node.process_state in _ENDED

    def wait(self, timeout: float | None = None) -> Letter | None:
        """Return the next open question as soon as there is one.

        :param timeout: seconds, None waits for as long as it takes.
        :return: None once the workflow has ended.
        :raises TimeoutError: if there is neither question nor end in that time.
        :raises Unreachable: if the daemon is not running, so that none can come, or the
            database is away.
        """
        begin, is_looked_for = time.monotonic(), False
        deadline = float("inf") if timeout is None else begin + timeout
        while True:
            self._connection.forget_news()
            letter = self.question()
            if letter is not None or self.has_ended:
                return letter
            if not daemon_runs() and not ownership.is_deaf(self.pk):
                raise Unreachable(
                    "The daemon is not running, so the workflow stands still. "
                    "Start it with `verdi daemon start`."
                )
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"No question within {timeout:g} s.")
            if not is_looked_for and time.monotonic() > begin + _LOST_SECONDS:
                self._bring_back_if_lost()
                is_looked_for = True
            self._connection.wait(left)

    def _bring_back_if_lost(self) -> None:
        """Have a worker take the workflow up, if none has it."""
        with suppress(Unreachable):
            try:
                self._connection.send(self.pk, MessageBuilder.status())
            except NotLoaded:
                if not ownership.is_deaf(self.pk):
                    self._connection.bring_back(self.pk)

    # endregion
    # region answering

    def answer(
        self, value: Any, question: str | None = None, comment: str | None = None
    ) -> Verdict:
        """Give an answer, and return what became of it.

        :param value: anything that JSON can hold.
        :param question: id or name of the question that it is meant for, by default
            the one that is open now. It never counts for another.
        :param comment: why, for the record.
        :raises Unreachable: if the database is away, so that it is not kept either.
        """
        waiting = self.questions()
        if not waiting and (self.has_ended or question is None):
            # Sent without an id it would count for whatever is asked next.
            return self._verdict_without_question(Answer(value, question))
        # By its id: under the same name another may be asked meanwhile.
        called = [x.id for x in waiting if x.is_called(question or x.id)]
        answer = Answer(
            value=value,
            question=called[0] if len(called) == 1 else question,
            by=self._by,
            at=timestamp(),
            via=self._via,
            comment=comment,
            key=uuid.uuid4().hex,
        )
        try:
            message = {INTENT_KEY: ANSWER_INTENT, "answer": answer.to_json()}
        except InvalidAnswer as error:
            return Verdict("refused", str(error), answer.question)
        verdict = self._deliver(message)
        return self._keep(answer) if verdict is None else verdict

    def _verdict_without_question(self, answer: Answer) -> Verdict:
        """Tell who was first, or that nothing was ever asked."""
        letters = self.mailbox.letters()
        if letters:
            return verdict_on_late(letters, answer)
        state = "has ended" if self.has_ended else "asks nothing now"
        return Verdict("refused", f"The workflow {state}.", answer.question)

    def _deliver(self, message: dict[str, Any]) -> Verdict | None:
        """Return the verdict; None if the process could not be reached.

        A worker that was killed has a successor within a second or two, which takes
        the process up, one after the other. One that nobody has by then may have lost
        its task with the broker's memory: it gets a new one. What `engine.run` runs
        hears no message; it looks for kept answers.
        """
        if ownership.is_deaf(self.pk):
            return None
        begin = time.monotonic()
        missing = brought_back = False
        while daemon_runs() and time.monotonic() < begin + _GIVE_UP_SECONDS:
            late = time.monotonic() > begin + _LOST_SECONDS
            try:
                if missing and late and not brought_back:
                    self._connection.bring_back(self.pk)
                    brought_back = True
                reply = self._connection.send(self.pk, message)
                if reply:
                    return Verdict.from_json(reply)
            except NotLoaded:
                look_anew()
                if self.has_ended:
                    return None
                missing = True
            except Unreachable:
                pass  # and the next try connects anew
            time.sleep(_RETRY_SECONDS)
        return None

    def _keep(self, answer: Answer) -> Verdict:
        """Leave the answer where the process looks when it is next loaded."""
        meant = [
            letter
            for letter in self.questions()
            if answer.question is None or letter.is_called(answer.question)
        ]
        if verdict := self._lost_verdict(answer):
            return verdict
        if not meant:
            return verdict_on_late(self.mailbox.letters(), answer)
        if len(meant) > 1:
            return Verdict("refused", "Say which question is answered.")
        letter = meant[0]
        try:
            read_answer(letter.question, answer, validator=None)
        except InvalidAnswer as error:
            return Verdict("refused", str(error), letter.id)
        if letter.question.at_deadline != WAIT and not letter.is_in_time(answer):
            reason = f"The deadline of question {letter.id} has passed."
            return Verdict("refused", reason, letter.id)
        first = self._leave(answer)
        if verdict := self._lost_verdict(answer):  # an earlier try arrived meanwhile
            return verdict
        if first.key != answer.key:
            return Verdict(
                "refused",
                f"An answer by {first.by or 'somebody'} is kept already, and one is "
                "all that can be kept: it is taken when a worker takes the workflow up "
                "again.",
                letter.id,
            )
        if ownership.is_deaf(self.pk):
            verdict = self._verdict_on_kept(answer, letter)
            if verdict is not None:
                return verdict
        if not daemon_runs():
            return Verdict(
                "kept",
                "The daemon is not running: your answer is kept, and taken when the "
                "daemon is started (`verdi daemon start`).",
                letter.id,
            )
        # The process may have been loaded between the last try and now, and then
        # nothing makes it look again.
        try:
            reply = self._connection.send(self.pk, MessageBuilder.play())
        except Unreachable:
            return Verdict(
                "kept",
                "The workflow cannot be reached now: your answer is kept, and taken "
                "when a worker of the daemon takes the workflow up again.",
                letter.id,
            )
        look_anew()
        if verdict := self._lost_verdict(answer):
            return verdict
        if isinstance(reply, str):
            return Verdict("refused", reply, letter.id)
        return Verdict("kept", "Your answer is handed over.", letter.id)

    def _lost_verdict(self, answer: Answer) -> Verdict | None:
        """Return the verdict on an answer that was taken, and whose reply got lost."""
        for letter in self.mailbox.taken(answer)[-1:]:
            value = letter.answer.value if letter.answer else None
            return Verdict("accepted", "Accepted.", letter.id, value)
        return None

    def _leave(self, answer: Answer) -> Answer:
        """Leave an answer in the extras, and return the one that lies there then."""
        try:
            return self.mailbox.keep(answer)
        except DatabaseLost as lost:
            raise Unreachable(
                "The database of the profile is away, so your answer was not kept: try "
                "again."
            ) from lost

    def _verdict_on_kept(self, answer: Answer, letter: Letter) -> Verdict | None:
        """Return what whoever runs the process said of the answer that was just kept.

        :return: None if it was not looked at within a moment.
        """
        deadline = time.monotonic() + _FOUND_SECONDS
        while time.monotonic() < deadline:
            look_anew()
            kept = self.mailbox.kept()  # first: one that is taken lies there no more
            if verdict := self._lost_verdict(answer):
                return verdict
            if kept is None or kept.key != answer.key:
                reason = (self.node.process_status or "").removeprefix(STATUS).strip()
                return Verdict("refused", reason or "It was not taken.", letter.id)
            time.sleep(_RETRY_SECONDS)
        return None

    # endregion
