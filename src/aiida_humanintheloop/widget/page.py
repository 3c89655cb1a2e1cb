"""What the page of an inbox is sent, and what it means by what it says, as records."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from shlex import quote
from typing import Any

from aiida.common.links import LinkType
from aiida.orm import Node, WorkflowNode

from .. import inbox, kinds
from ..database import DatabaseLost
from ..exceptions import HumanInTheLoopError, NoQuestion, NoSuchWorkflow
from ..letter import Letter
from ..listing import Waiting
from ..mailbox import Mailbox
from ..question import Question
from ..records import history_rows
from .evidence import View, title_of, view_of

__all__ = [
    "MOST_CLOSED",
    "closed_records",
    "closed_within",
    "end_of",
    "evidence_records",
    "in_a_line",
    "key_of",
    "letter_of",
    "meant",
    "offered",
    "outputs",
    "rows",
]

_LOGGER = logging.getLogger(__name__)
_TEXT_CHARACTERS = 300
#: How many of the last closed questions the page shows.
MOST_CLOSED = 5


def closed_within(node: WorkflowNode) -> dict[tuple[str, str], Letter]:
    """Return the questions that are no longer open, of a workflow and all it called."""
    called = [
        each for each in node.called_descendants if isinstance(each, WorkflowNode)
    ]
    return {
        (each.uuid, letter.id): letter
        for each in [node, *called]
        for letter in Mailbox(each).letters()
        if not letter.is_open
    }


def key_of(each: Waiting, letter: Letter | None) -> str:
    """Return by what the page tells what waits apart."""
    return f"{each.uuid}.{letter.id if letter else ''}"


def rows(each: Waiting) -> list[dict[str, Any]]:
    """Return a record per open question, or for what waits without one."""
    of_the_workflow = {
        "pk": each.pk,
        "workflow": each.workflow,
        "caller": "" if each.root[0] == each.pk else f"{each.root[1]} <{each.root[0]}>",
    }
    if not each.letters:
        by_computer = f"aiida-hitl play --computer {quote(each.computer)}"
        about = {
            "key": key_of(each, None),
            "id": None,
            "text": each.reason,
            "since": each.since.isoformat(),
            "play": by_computer if each.computer else f"verdi process play {each.pk}",
        }
        return [{**of_the_workflow, **about}]
    return [
        {
            **of_the_workflow,
            "key": key_of(each, letter),
            "id": letter.id,
            "name": letter.name,
            "text": letter.question.text[:_TEXT_CHARACTERS],
            "since": letter.asked_at.isoformat(),
            "deadline": letter.deadline.isoformat() if letter.deadline else None,
            "assignees": list(letter.question.assignees),
        }
        for letter in each.letters
    ]


def closed_records(gone: list[tuple[Waiting, Letter]]) -> list[dict[str, Any]]:
    """Return what became of questions that are no longer open, newest last."""
    records = []
    for each, asked in gone[-MOST_CLOSED:]:
        try:
            letters = inbox.history(each.uuid)
        except NoSuchWorkflow:  # it was deleted
            continue
        for row in history_rows(x for x in letters if x.id == asked.id):
            _, question, value, by, _, via, *_ = row
            records.append(
                {
                    "key": key_of(each, asked),
                    "pk": each.pk,
                    "workflow": f"{each.workflow} <{each.pk}>",
                    "question": question[:_TEXT_CHARACTERS],
                    "value": value,
                    "by": by,
                    "via": via,
                }
            )
    return records


def letter_of(pk: int, question: str) -> Letter:
    """Return a question of a workflow, open or not.

    :raises NoQuestion: if it was never asked.
    """
    for letter in inbox.history(pk):
        if letter.id == question:
            return letter
    raise NoQuestion(f"{pk} never asked question {question}.")


def evidence_records(letter: Letter, images: list[bytes]) -> list[dict[str, Any]]:
    """Return what the page shows of the evidence.

    :param images: gets their contents, which the records name by position.
    """
    found = inbox.named([letter])
    records: list[dict[str, Any]] = []
    for uuid in letter.question.evidence:
        node = found.get(uuid)
        if node is None:
            records.append({"uuid": uuid, "title": uuid, "note": "It was deleted."})
            continue
        record: dict[str, Any] = {"uuid": uuid, "title": title_of(node)}
        view = _view(node)
        if view.image:
            record["buffer"] = len(images)
            images.append(view.image)
        seen = {k: v for k, v in asdict(view).items() if v and k != "image"}
        records.append({**record, **seen})
    return records


def _view(node: Node) -> View:
    """Return what to show; one node that cannot be shown hides no other."""
    try:
        return view_of(node)
    except Exception as error:
        _LOGGER.exception("%s cannot be shown", node)
        return View(note=f"It cannot be shown: {in_a_line(error)}")


def offered(question: Question) -> dict[str, Any]:
    """Return what is offered: the default, options as text, those chosen, nodes.

    Default and schema are JSON text, as the page would round long numbers.
    """
    options: list[str] = []
    chosen: list[int] = []
    kind = question.kind
    if isinstance(kind, (kinds.Choice, kinds.Choices)):
        options = [kinds.option_text(each) for each in kind.options]
        several = isinstance(kind, kinds.Choices)
        default: Any = question.default if several else [question.default]
        taken = [kinds.option_text(each) for each in default or []]
        chosen = [number for number, text in enumerate(options) if text in taken]
    nodes = _node_records(kind) if isinstance(kind, kinds.Node) else []
    has_default, is_json = question.default is not None, isinstance(kind, kinds.Json)
    return {
        "default": json.dumps(question.default) if has_default else None,
        "schema": json.dumps(kind.schema) if is_json else None,
        "options": options,
        "chosen": chosen,
        "nodes": nodes,
    }


def meant(content: Mapping[str, Any]) -> Any:
    """Return what was answered, where the page tells it by its position.

    A default that nobody has touched is not read from the page, which could change it.
    """
    question = letter_of(content["pk"], content["id"]).question
    value, kind = content["value"], question.kind
    if content.get("isDefault"):
        return question.default
    if isinstance(kind, kinds.Choice):
        return None if value is None else kind.options[value]
    if isinstance(kind, kinds.Choices):
        return [kind.options[position] for position in value]
    return value


def _node_records(kind: kinds.Node) -> list[dict[str, str]]:
    return [
        {
            "uuid": node.uuid,
            "title": title_of(node),
            "description": node.description or f"{node.ctime:%Y-%m-%d %H:%M}",
        }
        for node in inbox.nodes_for(kind)
    ]


def end_of(node: WorkflowNode) -> str:
    """Return in one line how a workflow ended."""
    if node.is_finished_ok:
        return "The workflow has finished."
    state = node.process_state.value if node.process_state else "gone"
    code = f" [{node.exit_status}]" if node.exit_status else ""
    return f"The workflow is {state}{code}. {node.exit_message or ''}".rstrip()


def outputs(node: WorkflowNode) -> list[str]:
    """Return a line for each output."""
    links = node.base.links.get_outgoing(link_type=LinkType.RETURN).all()
    return sorted(f"{link.link_label}: {title_of(link.node)}" for link in links)


def in_a_line(error: BaseException) -> str:
    """Return what to tell a person of an error."""
    if isinstance(error, DatabaseLost):
        return "The database of the profile is away: try again."
    if not isinstance(error, HumanInTheLoopError):
        _LOGGER.error("the inbox met a mistake", exc_info=error)
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return str(error)
