"""Run a workflow again, with the answers that were given then, or with others.

The root of the new run says in its extras which run it repeats. A process that asks
finds the process that stood in its place then: the same kind, called as the same child
of the same caller. What that one was answered, as its decisions have it, is judged like
any other answer, and what was not asked then, or does not fit now, is asked of a
person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.common.links import LinkType
from aiida.manage import get_manager
from aiida.orm import Node, ProcessNode, User, WorkflowNode, load_node

from . import kinds
from .connection import daemon_runs
from .decision import Decision, decisions_of
from .exceptions import NoQuestion, NoSuchWorkflow, Unreachable
from .letter import Letter
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
    :raises NoSuchWorkflow: if it cannot be run again: its plugin is not installed, or
        takes other inputs by now.
    :raises NoQuestion: if a question was not answered then, or more than one of that
        name was.
    :raises Unreachable: if the daemon does not run.
    """
    changed: dict[str, dict[str, Any]] = {}
    for name, value in (changes or {}).items():
        uuid, question = _find_question(node, name)
        changed.setdefault(uuid, {})[question] = value
    if not daemon_runs():
        raise Unreachable(
            "The daemon is not running, so nothing was run again. "
            "Start it with `verdi daemon start`."
        )
    runner = get_manager().get_runner()
    try:
        process = runner.instantiate_process(node.get_builder_restart())
    except (ValueError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise NoSuchWorkflow(f"{node.pk} cannot be run again: {why}") from error
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
    run = {each.uuid: each.pk for each in (root, *root.called_descendants)}
    found = [
        (asker, letter.id)
        for asker, letter in _answered(root, *root.called_descendants)
        if letter.is_called(question) and pk in ("", str(run.get(asker)))
    ]
    if not found:
        raise NoQuestion(
            f"{name} was not asked then, or not answered. See: aiida-hitl decisions "
            f"{root.pk}"
        )
    if len({asker for asker, _ in found}) > 1:
        raise NoQuestion(
            f"Several workflows below {root.pk} asked {name}: say which, as PK:{name}."
        )
    if len(found) > 1:
        ids = ", ".join(number for _, number in found)
        raise NoQuestion(f"{name} was answered several times: say which, by id: {ids}.")
    return found[0]


def _answered(*askers: Node) -> list[tuple[str, Letter]]:
    """Return what workflows were answered, in that order.

    As the decisions have it: anybody can change extras, and an archive may lack them.

    :return: of each the UUID of the workflow that asked, and the question, of which
        `decision` is the UUID of the decision itself.
    """
    found = [
        (str(each.question["workflow"]["uuid"]), _letter(each))
        for each in decisions_of(askers)
    ]
    return sorted(found, key=lambda entry: int(entry[1].id))


def _letter(decision: Decision) -> Letter:
    """Return a question with its answer."""
    asked, said = dict(decision.question), dict(decision.response)
    said.pop("taken_at", None)
    record = {key: asked.pop(key, None) for key in ("id", "name", "asked_at")}
    asked.pop("workflow")
    return Letter(
        {
            **record,
            "batch": 0,
            "question": asked,
            "answer": said,
            "decision": decision.uuid,
        }
    )


class Replay:
    """The answers that a process of ours was given in the run that is repeated."""

    def __init__(self, then: ProcessNode, changes: Mapping[str, Any], by: str | None):
        """Read what was asked then.

        :param then: what stood in the place of the process.
        :param changes: other answers, by the id of the question.
        """
        self._letters = [letter for _, letter in _answered(then)]
        self._changes = changes
        self._by = by

    @classmethod
    def of(cls, node: ProcessNode) -> Replay | None:
        """Return what a process is to be answered; None where nothing is repeated."""
        chain = [node]
        while (caller := chain[-1].caller) is not None:
            chain.append(caller)
        said = chain[-1].base.extras.get(REPLAY, None)
        if not isinstance(said, dict):
            return None
        path: list[tuple[tuple[str, str], int]] = []
        for child, caller in pairwise(chain):
            for place, children in _called(caller).items():
                if child.pk in children:
                    path.append((place, children.index(child.pk)))
        try:
            then: Any = load_node(said["of"])
            for place, number in reversed(path):
                then = load_node(_called(then)[place][number])
        except (NotExistent, KeyError, IndexError):
            return None  # deleted, or nothing stood there
        return cls(then, said["changes"].get(then.uuid, {}), said["by"])

    def answers_to(
        self, waiting: Iterable[Letter], asked: Sequence[Letter]
    ) -> list[tuple[Letter, Answer]]:
        """Return how questions were answered then, or are to be answered now.

        Each answer of then counts once: what fails more often than then asks a person.

        :param waiting: what is open now.
        :param asked: all that was asked this time so far.
        :return: in the order of then, for one answer may be enough for all.
        """
        found = []
        for letter in waiting:
            alike = [x for x in self._letters if _is_like(x, letter)]
            before = [x for x in asked if x.answer and _is_like(x, letter)]
            if len(before) < len(alike):
                found.append((alike[len(before)], letter))
        found.sort(key=lambda pair: int(pair[0].id))
        return [(letter, self._repeated(then, letter)) for then, letter in found]

    def _repeated(self, then: Letter, letter: Letter) -> Answer:
        """Return the answer of then as one to a question of now."""
        answer = then.answer
        assert answer is not None
        if then.id in self._changes:
            value, by = self._changes[then.id], self._by
            answer = replace(answer, value=value, by=by, comment=None)
        elif isinstance(letter.question.kind, kinds.Node):
            answer = replace(answer, value=_in_its_place(then, letter))
        elif isinstance(letter.question.kind, kinds.Json):
            # Text would be read as JSON that somebody typed.
            answer = replace(answer, value=json.dumps(answer.value))
        return replace(
            answer,
            question=letter.id,
            kind="policy",
            via="replay",
            at=None,
            key=None,
            repeats=then.decision,
        )


def _is_like(then: Letter, now: Letter) -> bool:
    """Return whether the same was asked, of whatever nodes."""
    one, other = (
        (letter.name, letter.question.text, letter.question.kind.kind)
        for letter in (then, now)
    )
    return one == other


def _in_its_place(then: Letter, now: Letter) -> Any:
    """Return the node that is now what the chosen one was then, among those offered."""
    answer = then.answer
    assert answer is not None
    offered_then = getattr(then.question.kind, "among", None) or ()
    offered_now = getattr(now.question.kind, "among", None) or ()
    if answer.value in offered_then and len(offered_then) == len(offered_now):
        return offered_now[offered_then.index(answer.value)]
    return answer.value


def _called(caller: ProcessNode) -> dict[tuple[str, str], list[int]]:
    """Return the PKs of what a process has called, oldest first, by kind and label.

    Children that have labels of their own are told apart by these, others by their
    order.
    """
    calls = (LinkType.CALL_CALC, LinkType.CALL_WORK)
    found: dict[tuple[str, str], list[int]] = {}
    for each in caller.base.links.get_outgoing(link_type=calls).all():
        place = (_kind(each.node), each.link_label)
        found.setdefault(place, []).append(each.node.pk or 0)
    return {place: sorted(pks) for place, pks in found.items()}


def _kind(node: Any) -> str:
    return str(node.process_type or node.process_label or "")
