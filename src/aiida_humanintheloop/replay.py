"""Run a workflow again, with the answers that were given then, or with others.

The root of the new run says in its extras which run it repeats. A process that asks
finds the process that stood in its place then: the same kind, called as the same child
of the same caller. What that one was answered is judged like any other answer, and what
was not asked then, or does not fit now, is asked of a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.manage import get_manager
from aiida.orm import ProcessNode, QueryBuilder, User, WorkflowNode, load_node

from .exceptions import NoQuestion, NoSuchWorkflow
from .kinds import Node
from .mailbox import RECORD, Letter, Mailbox, letters_of
from .question import Answer

__all__ = ["Replay", "replay"]

REPLAY = "humanintheloop_replay"


def replay(
    node: WorkflowNode, changes: Mapping[str, Any] | None = None, by: str | None = None
) -> WorkflowNode:
    """Submit a workflow again, to be answered as it was.

    :param node: the workflow, of any kind; what it called is answered, too.
    :param changes: other answers, by the id or name of the question; where several
        workflows asked, by the PK of that which did, a colon, and the id or name.
    :param by: who wants these, by default the profile's user.
    :return: the new one.
    :raises NoSuchWorkflow: if it cannot be run again, as its plugin is not installed.
    :raises NoQuestion: if a question was not asked, not answered, or asked by more than
        one workflow.
    """
    changed: dict[str, dict[str, Any]] = {}
    for name, value in (changes or {}).items():
        uuid, question = _find_question(node, name)
        changed.setdefault(uuid, {})[question] = value
    try:
        builder = node.get_builder_restart()
    except (ValueError, AttributeError) as error:
        raise NoSuchWorkflow(f"{node.pk} cannot be run again: {error}") from error
    runner = get_manager().get_runner()
    process = runner.instantiate_process(builder)
    again: WorkflowNode = process.node
    # Before any worker has it: this is what `submit` does, with a word in between.
    user = User.collection.get_default()
    by = by or (user.email if user else None)
    again.base.extras.set(REPLAY, {"of": node.uuid, "changes": changed, "by": by})
    assert runner.persister is not None
    assert runner.controller is not None
    runner.persister.save_checkpoint(process)
    process.close()
    runner.controller.continue_process(process.pid, nowait=False, no_reply=True)
    return again


def _find_question(root: WorkflowNode, name: str) -> tuple[str, str]:
    """Return the UUID of the workflow that asked, and the id of its question."""
    pk, _, question = name.rpartition(":")
    found = [
        (str(uuid), letter)
        for uuid, asker_pk, letters in _asked_below(root)
        for letter in letters
        if letter.is_called(question) and pk in ("", str(asker_pk))
    ]
    if not found:
        raise NoQuestion(f"{root.pk} never asked {name}: `aiida-hitl history` shows.")
    if len({uuid for uuid, _ in found}) > 1:
        raise NoQuestion(
            f"Several workflows below {root.pk} asked {name}: say which, as PK:{name}."
        )
    # Where one of several was enough, the others have no answer that could be changed.
    answered = [(uuid, letter.id) for uuid, letter in found if letter.answer]
    if not answered:
        raise NoQuestion(f"{root.pk} asked {name}, but was not answered.")
    return answered[-1]


def _asked_below(root: WorkflowNode) -> list[tuple[str, int, list[Letter]]]:
    """Return all that asked in a run, with what they asked."""
    pks = [root.pk, *(each.pk for each in root.called_descendants)]
    query = QueryBuilder().append(
        WorkflowNode,
        filters={"id": {"in": pks}, "extras": {"has_key": RECORD}},
        project=["uuid", "id", f"extras.{RECORD}"],
    )
    return [(uuid, pk, letters_of({RECORD: found})) for uuid, pk, found in query.all()]


class Replay:
    """The answers that a process of ours was given in the run that is repeated."""

    def __init__(self, then: ProcessNode, changes: Mapping[str, Any], by: str | None):
        """Read what was asked then.

        :param then: what stood in the place of the process.
        :param changes: other answers, by the id of the question.
        """
        self._letters = Mailbox(then).letters()
        self._changes = changes
        self._by = by

    @classmethod
    def of(cls, node: ProcessNode) -> Replay | None:
        """Return what a process is to be answered; None where nothing is repeated."""
        path: list[tuple[str, int]] = []
        while (caller := node.caller) is not None:
            pks = [each.pk for each in _called(caller, _kind(node))]
            path.append((_kind(node), pks.index(node.pk)))
            node = caller
        said = node.base.extras.get(REPLAY, None)
        if not isinstance(said, dict):
            return None
        try:
            then: Any = load_node(said["of"])
            for kind, place in reversed(path):
                then = _called(then, kind)[place]
        except (NotExistent, IndexError):
            return None  # deleted, or nothing stood there
        return cls(then, said["changes"].get(then.uuid, {}), said["by"])

    def answer_to(self, letter: Letter, asked: Sequence[Letter]) -> Answer | None:
        """Return how a question was answered then, or is to be answered now.

        Each answer of then counts once: what fails more often than then asks a person.

        :param asked: all that was asked this time so far.
        """
        alike = [x for x in self._letters if x.answer and _is_like(x, letter)]
        before = [x for x in asked if x.answer and _is_like(x, letter)]
        if len(before) >= len(alike):
            return None
        then = alike[len(before)]
        answer = then.answer
        assert answer is not None
        if then.id in self._changes:
            value, by = self._changes[then.id], self._by
            answer = replace(answer, value=value, by=by, comment=None)
        elif isinstance(letter.question.kind, Node):
            answer = replace(answer, value=_in_its_place(then, letter))
        return replace(
            answer,
            question=letter.id,
            kind="policy",
            via="replay",
            at=None,
            key=None,
            repeats=_decision(then),
        )


def _is_like(then: Letter, now: Letter) -> bool:
    """Return whether the same was asked, of whatever nodes."""
    one, other = (
        (letter.name, letter.question.text, letter.question.kind.kind)
        for letter in (then, now)
    )
    return one == other


def _decision(letter: Letter) -> str | None:
    """Return the UUID of the decision on a question, if it is still there."""
    try:
        value: Any = load_node(letter.decision)
    except (NotExistent, ValueError):
        return None
    return None if value.creator is None else str(value.creator.uuid)


def _in_its_place(then: Letter, now: Letter) -> Any:
    """Return the node that is now what the chosen one was then, among those offered."""
    answer = then.answer
    assert answer is not None
    offered_then = getattr(then.question.kind, "among", None) or ()
    offered_now = getattr(now.question.kind, "among", None) or ()
    if answer.value in offered_then and len(offered_then) == len(offered_now):
        return offered_now[offered_then.index(answer.value)]
    return answer.value


def _called(caller: ProcessNode, kind: str) -> list[ProcessNode]:
    """Return all of a kind that a process has called, oldest first."""
    found = [each for each in getattr(caller, "called", []) if _kind(each) == kind]
    return sorted(found, key=lambda each: each.pk)


def _kind(node: ProcessNode) -> str:
    return node.process_type or node.process_label or ""
