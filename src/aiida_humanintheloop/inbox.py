"""What waits for a person: list it, answer it, wait for the next question.

The command line, scripts and the notebook all use these functions, so that they cannot
differ. A talk of several rounds with one workflow is a `Conversation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from aiida.orm import Node, ProcessNode, QueryBuilder, WorkChainNode
from aiida.orm.utils.node import get_query_type_from_type_string

from . import conversation, kinds
from .connection import Connection, daemon_runs
from .conversation import Conversation, load_any_workflow
from .exceptions import NoQuestion, NoSuchWorkflow
from .letter import Letter
from .listing import Waiting, open_questions, waiting
from .question import Verdict

__all__ = [
    "Connection",
    "Conversation",
    "Waiting",
    "answer",
    "daemon_runs",
    "evidence",
    "find_question",
    "history",
    "like",
    "load_any_workflow",
    "load_workflow",
    "named",
    "nodes_for",
    "open_questions",
    "wait_for_question",
    "waiting",
]

_MOST_OFFERED, _MOST_LOOKED_AT = 50, 500


def load_workflow(identifier: int | str | ProcessNode) -> WorkChainNode:
    """Return the node of a workflow that asks questions.

    :param identifier: PK, UUID (or its beginning), or the node itself.
    :raises NoSuchWorkflow: if there is none, or if it is of a kind that never asks; the
        text names what asks that it called.
    :raises Unreachable: if the database is away.
    """
    try:
        return conversation.load_workflow(identifier)
    except NoSuchWorkflow as error:
        if where := asking_below(load_any_workflow(identifier)):
            text = f"{identifier} itself asks no questions. {where}"
            raise NoSuchWorkflow(text) from error
        raise


def history(identifier: int | str | ProcessNode) -> list[Letter]:
    """Return every question of a workflow, with its answer if it has one.

    :raises NoSuchWorkflow: if there is no such workflow.
    :raises Unreachable: if the database is away.
    """
    with _conversation(identifier) as talk:
        return talk.mailbox.letters()


def answer(
    identifier: int | str | ProcessNode,
    value: Any,
    *,
    question: str | None = None,
    by: str | None = None,
    comment: str | None = None,
    via: str = "python",
) -> Verdict:
    """Answer a workflow, and return what became of it.

    :param identifier: PK, UUID or node of the workflow.
    :param value: anything that JSON can hold.
    :param question: id or name of the question, by default the one that is open.
    :param by: email of the person, by default of the profile's user.
    :param comment: why, for the record.
    :raises NoSuchWorkflow: if there is no such workflow.
    :raises Unreachable: if the database is away, so that the answer is not kept either.
    """
    with _conversation(identifier, by=by, via=via) as talk:
        return talk.answer(value, question, comment)


def wait_for_question(
    identifier: int | str | ProcessNode, timeout: float | None = None
) -> Letter | None:
    """Return the open question of a workflow as soon as there is one.

    :param timeout: seconds, None waits for as long as it takes.
    :return: None once the workflow has ended.
    :raises NoSuchWorkflow: if there is no such workflow.
    :raises TimeoutError: if there is neither question nor end in that time.
    :raises Unreachable: if the daemon is not running, so that none can come, or the
        database is away.
    """
    with Conversation(load_workflow(identifier)) as talk:
        return talk.wait(timeout)


@contextmanager
def _conversation(
    identifier: int | str | ProcessNode, **how: Any
) -> Iterator[Conversation]:
    """Talk without listening, which a single answer does not need."""
    talk = Conversation(load_workflow(identifier), **how)
    try:
        yield talk
    finally:
        talk.close()


def find_question(node: ProcessNode, name: str | None = None) -> Letter:
    """Return the open question of a workflow.

    :param name: its id or name, needed where several are open.
    :raises NoQuestion: if it is not open, or not clear which is meant.
    :raises Unreachable: if the database is away.
    """
    with _conversation(node) as talk:
        letters = talk.questions()
    meant = [letter for letter in letters if name is None or letter.is_called(name)]
    if not letters:
        where = asking_below(node) or f"See: aiida-hitl history {node.pk}"
        raise NoQuestion(f"{node.pk} asks nothing now. {where}")
    names = ", ".join(letter.name or letter.id for letter in letters)
    if not meant:
        raise NoQuestion(f"Question {name} is not open now. Open: {names}.")
    if len(meant) > 1:
        raise NoQuestion(f"Say which question is meant with --question: {names}.")
    return meant[0]


def asking_below(node: Node) -> str:
    """Return a sentence that names what a workflow has called and what asks now.

    :return: nothing, where none of it asks.
    """
    asking = [
        f"{each.pk} ({each.workflow})"
        for each in open_questions()
        if node.pk in [pk for pk, _ in each.callers]
    ]
    return f"It has called what asks: {', '.join(asking)}." if asking else ""


def like(node: ProcessNode, asked: Letter) -> list[tuple[int, str | None]]:
    """Return PK and question id of all open questions that are equal to this one.

    Equal are those of the same text and kind, from workflows of the same class.

    :raises Unreachable: if the database is away.
    """
    return [
        (each.pk, letter.id)
        for each in open_questions()
        for letter in each.letters
        if each.workflow == node.process_label
        and (letter.name, letter.question.text, letter.question.kind)
        == (asked.name, asked.question.text, asked.question.kind)
    ]


def evidence(letters: Iterable[Letter]) -> dict[str, Node]:
    """Return the nodes that the questions name as evidence, by UUID, in one query."""
    return _nodes({uuid for each in letters for uuid in each.question.evidence})


def named(letters: Iterable[Letter]) -> dict[str, Node]:
    """Return their evidence, and the nodes of which one is to be chosen."""
    questions = [letter.question for letter in letters]
    offered = [getattr(each.kind, "among", ()) for each in questions]
    shown = [each.evidence for each in questions]
    return _nodes({uuid for uuids in (*offered, *shown) for uuid in uuids})


def _nodes(uuids: set[str]) -> dict[str, Node]:
    if not uuids:
        return {}
    query = QueryBuilder().append(Node, filters={"uuid": {"in": sorted(uuids)}})
    return {node.uuid: node for node in query.all(flat=True)}


def nodes_for(kind: kinds.Node) -> list[Node]:
    """Return the nodes among which to choose: those offered, or the newest that fit."""
    query = QueryBuilder()
    if kind.among:
        query.append(Node, filters={"uuid": {"in": list(kind.among)}})
        found = {node.uuid: node for node in query.all(flat=True)}
        return [found[uuid] for uuid in kind.among if uuid in found]
    names = map(get_query_type_from_type_string, kind.of)
    types = [{"like": f"{name}%"} for name in names]
    query.append(Node, filters={"node_type": {"or": types}} if types else {})
    query.order_by({Node: {"id": "desc"}}).limit(_MOST_LOOKED_AT)
    # All at once: what iterates and stops early leaves its transaction open.
    return list(filter(kind.has_type_of, query.all(flat=True)))[:_MOST_OFFERED]
