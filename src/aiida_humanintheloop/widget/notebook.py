"""The inbox in a notebook: a live list of what waits, and a form for each question."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from aiida.common.links import LinkType
from aiida.orm import Node, ProcessNode, QueryBuilder, WorkChainNode
from aiida.orm.utils.node import get_query_type_from_type_string

from .. import inbox, kinds
from ..database import DatabaseLost
from ..decision import decisions
from ..exceptions import HumanInTheLoopError, NoQuestion, NoSuchWorkflow
from ..inbox import Waiting
from ..mailbox import Letter
from ..question import Question
from ..records import decision_rows, history_rows, letter_record
from ..text import shown
from .evidence import View, title_of, view_of
from .lookout import LOOKOUT, Sight, end_transaction

__all__ = ["Inbox", "ask"]

_LOGGER = logging.getLogger(__name__)
# To answer, and to fetch what is shown, takes a while where the daemon is busy.
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="aiida-hitl-inbox")
_TEXT_CHARACTERS = 300
_MOST_CLOSED = 5
_MOST_OFFERED, _MOST_LOOKED_AT = 50, 500
_VIA = "notebook"
# A page says each minute that it is there, one in the background sometimes later.
_SILENCE_SECONDS = 300.0


class Inbox(anywidget.AnyWidget):
    """What waits for a person, with a form for each question.

    It keeps itself up to date for as long as it is shown, and the kernel stays free.

    :param workflow: PK, UUID or node of the only one that is wanted, with what it
        called; its history and decisions are shown as well.
    :param everything: also what waits without a question, as `aiida-hitl list --all`.
    :ivar questions: what waits, newest last, as records.
    :ivar trouble: what is in the way of an answer; empty if nothing is.
    :raises NoSuchWorkflow: if there is no such workflow, or it never asks.
    """

    _esm = Path(__file__).with_name("widget.js")
    _css = Path(__file__).with_name("widget.css")

    questions: Any = traitlets.List().tag(sync=True)
    closed: Any = traitlets.List().tag(sync=True)
    trouble = traitlets.Unicode().tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)
    outputs: Any = traitlets.List().tag(sync=True)
    history: Any = traitlets.List().tag(sync=True)
    decisions: Any = traitlets.List().tag(sync=True)
    only = traitlets.Int(None, allow_none=True).tag(sync=True)

    def __init__(
        self,
        workflow: int | str | ProcessNode | None = None,
        everything: bool = False,
    ) -> None:
        """Look what waits; from when it is shown, it does so again at each news."""
        # Not the node, which belongs to the thread that has loaded it.
        pk = None if workflow is None else inbox.load_workflow(workflow).pk
        self._everything = everything
        # When each page last said that it shows this.
        self._pages: dict[str, float] = {}
        # By key, what was open at the last look.
        self._open: dict[str, tuple[Waiting, Letter]] = {}
        self._past: tuple[Any, bool] | None = None
        super().__init__(only=pk)
        # What the page says comes over a subshell, which is free while a cell runs; but
        # ipykernel 7.4 would hand it to that of the cells, where it waits for them.
        comm: Any = self.comm
        comm._reply_subshell_for = lambda _, subshell: subshell
        self._show(LOOKOUT.look())
        end_transaction()
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        """Say what a page without widgets cannot show."""
        count = len(self.questions)
        what = "1 question waits" if count == 1 else f"{count} questions wait"
        return f"<Inbox: {what}; run this cell in JupyterLab to answer>"

    def close(self) -> None:
        """Show nothing any more."""
        LOOKOUT.forget(self)
        super().close()

    # region what is seen

    def _show(self, sight: Sight) -> None:
        """Have the page show it; called from the lookout's thread."""
        self._forget_silent_pages()
        with self.hold_sync():
            self.trouble = sight.trouble
            if sight.waiting is None:
                return
            wanted = [each for each in sight.waiting if self._is_wanted(each)]
            now = {_key(x, letter): (x, letter) for x in wanted for letter in x.letters}
            gone = [asked for key, asked in self._open.items() if key not in now]
            self._open = now
            if gone:
                self._past = None  # of what the workflow called, it does not see it
                self.closed = [*self.closed, *_closed(gone)][-_MOST_CLOSED:]
            self.questions = [row for each in wanted for row in _rows(each)]
            self._show_past()

    def _is_wanted(self, each: Waiting) -> bool:
        if not each.letters and not self._everything:
            return False
        return self.only in (None, each.pk, *(pk for pk, _ in each.callers))

    def _show_past(self) -> None:
        """Have the page show what was asked of the one workflow, and how it ended."""
        if self.only is None:
            return
        try:
            node = inbox.load_workflow(self.only)
        except NoSuchWorkflow:  # it was deleted
            self.ended = f"The workflow {self.only} is no longer there."
            return
        letters = inbox.history(node)
        said = [(letter.is_open, letter.decision) for letter in letters]
        if self._past == (said, node.is_terminated):
            return
        self._past = said, node.is_terminated
        self.history = history_rows(x for x in letters if not x.is_open)
        self.decisions = decision_rows(decisions(node))
        if node.is_terminated:
            self.ended = _end_of(node)
            self.outputs = _outputs(node)

    # endregion
    # region what the page says

    def _hear(self, _: Any, content: Any, _buffers: Any) -> None:
        """Do what the page asks for; in another thread where that takes a while."""
        said = content if isinstance(content, dict) else {}
        match said.get("type"):
            case "shown":
                self._is_shown(said)
            case "hidden":
                self._is_hidden(said)
            case "open":
                _THREADS.submit(self._send_question, said)
            case "answer":
                _THREADS.submit(self._answer, said)

    def _is_shown(self, content: Mapping[str, Any]) -> None:
        self._pages[str(content.get("page"))] = time.monotonic()
        LOOKOUT.tell(self, self._show)

    def _is_hidden(self, content: Mapping[str, Any]) -> None:
        if self._pages.pop(str(content.get("page")), None) and not self._pages:
            LOOKOUT.forget(self)

    def _forget_silent_pages(self) -> None:
        """Look no more for pages that were closed, or reloaded, without a word."""
        for page, said_at in list(self._pages.items()):
            if time.monotonic() > said_at + _SILENCE_SECONDS:
                self._is_hidden({"page": page})

    def _send_question(self, content: Mapping[str, Any]) -> None:
        """Send what a form needs: the question in full, what to look at."""
        reply: dict[str, Any] = {"type": "question", "key": content["key"]}
        images: list[bytes] = []
        try:
            letter = _letter(content["pk"], content["id"])
            reply["question"] = letter_record(letter)
            reply["offered"] = _offered(letter.question)
            reply["evidence"] = _evidence(letter, images)
        except (Exception, DatabaseLost) as error:
            reply["error"] = _in_a_line(error)
        end_transaction()
        self.send(reply, buffers=images)

    def _answer(self, content: Mapping[str, Any]) -> None:
        """Give an answer, and send the verdict."""
        reply: dict[str, Any] = {"type": "verdict", "key": content["key"]}
        try:
            verdict = inbox.answer(
                content["pk"],
                _meant(content),
                question=content["id"],
                comment=content.get("comment") or None,
                via=_VIA,
            )
            reply["verdict"] = asdict(verdict)
            if verdict.accepted:
                reply["said"] = shown(verdict.value)
        except (Exception, DatabaseLost) as error:
            reply["error"] = _in_a_line(error)
        end_transaction()
        self.send(reply)
        LOOKOUT.hurry()

    # endregion


async def ask(
    workflow: int | str | ProcessNode, timeout: float | None = None
) -> Letter | None:
    """Show the form of a workflow's next question here, and go on once it is answered.

    For a notebook that needs the answer in its next cell: `letter = await ask(pk)`.
    Whoever answers, and wherever, it goes on.

    :param timeout: seconds, None waits for as long as it takes.
    :return: the question with its answer; None if the workflow ended without one.
    :raises NoSuchWorkflow: if there is no such workflow, or it never asks.
    :raises TimeoutError: if nobody has answered in that time.
    """
    from IPython.display import display

    node = inbox.load_workflow(workflow)
    known = {letter.id for letter in inbox.history(node) if not letter.is_open}
    display(Inbox(node))  # type: ignore[no-untyped-call]
    news, loop, watcher = asyncio.Event(), asyncio.get_running_loop(), object()

    async def answered() -> Letter | None:
        while True:
            news.clear()
            closed = [x for x in inbox.history(node) if not x.is_open]
            new = [letter for letter in closed if letter.id not in known]
            if new or node.is_terminated:
                return new[0] if new else None
            await news.wait()

    def heard(_: Sight) -> None:
        loop.call_soon_threadsafe(news.set)

    LOOKOUT.tell(watcher, heard)
    try:
        return await asyncio.wait_for(answered(), timeout)
    except asyncio.TimeoutError:  # another than TimeoutError before Python 3.11
        raise TimeoutError(
            f"{node.pk} was not answered within {timeout:g} s."
        ) from None
    finally:
        LOOKOUT.forget(watcher)


def _key(each: Waiting, letter: Letter | None) -> str:
    return f"{each.uuid}.{letter.id if letter else ''}"


def _rows(each: Waiting) -> list[dict[str, Any]]:
    """Return a record per open question, or for what waits without one."""
    of_the_workflow = {
        "pk": each.pk,
        "workflow": each.workflow,
        "caller": "" if each.root[0] == each.pk else f"{each.root[1]} <{each.root[0]}>",
    }
    if not each.letters:
        about = {"text": each.reason, "since": each.since.isoformat(), "id": None}
        return [{**of_the_workflow, **about, "key": _key(each, None)}]
    return [
        {
            **of_the_workflow,
            "key": _key(each, letter),
            "id": letter.id,
            "name": letter.name,
            "text": letter.question.text[:_TEXT_CHARACTERS],
            "since": letter.asked_at.isoformat(),
            "deadline": letter.deadline.isoformat() if letter.deadline else None,
            "assignees": list(letter.question.assignees),
        }
        for letter in each.letters
    ]


def _closed(gone: list[tuple[Waiting, Letter]]) -> list[dict[str, Any]]:
    """Return what became of questions that are no longer open, newest last."""
    records = []
    for each, asked in gone[-_MOST_CLOSED:]:
        try:
            letters = inbox.history(each.uuid)
        except NoSuchWorkflow:  # it was deleted
            continue
        for row in history_rows(x for x in letters if x.id == asked.id):
            _, question, value, by, at, via, *_ = row
            records.append(
                {
                    "key": _key(each, asked),
                    "pk": each.pk,
                    "workflow": f"{each.workflow} <{each.pk}>",
                    "question": question[:_TEXT_CHARACTERS],
                    "value": value,
                    "by": by,
                    "at": at,
                    "via": via,
                }
            )
    return records


def _letter(pk: int, question: str) -> Letter:
    for letter in inbox.history(pk):
        if letter.id == question:
            return letter
    raise NoQuestion(f"{pk} never asked question {question}.")


def _evidence(letter: Letter, images: list[bytes]) -> list[dict[str, Any]]:
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
        record = {"uuid": uuid, "pk": node.pk, "title": title_of(node)}
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
        return View(note=f"It cannot be shown: {_in_a_line(error)}")


def _offered(question: Question) -> dict[str, Any]:
    """Return among what to choose: options as text, which of them by default, nodes."""
    options: list[str] = []
    chosen: list[int] = []
    kind = question.kind
    if isinstance(kind, (kinds.Choice, kinds.Choices)):
        options = [kinds.option_text(each) for each in kind.options]
        several = isinstance(kind, kinds.Choices)
        default: Any = question.default if several else [question.default]
        taken = [kinds.option_text(each) for each in default or []]
        chosen = [number for number, text in enumerate(options) if text in taken]
    nodes = _nodes(kind) if isinstance(kind, kinds.Node) else []
    return {"options": options, "chosen": chosen, "nodes": nodes}


def _meant(content: Mapping[str, Any]) -> Any:
    """Return what was answered, where the page tells it by its position."""
    value, kind = content["value"], _letter(content["pk"], content["id"]).question.kind
    if isinstance(kind, kinds.Choice):
        return None if value is None else kind.options[value]
    if isinstance(kind, kinds.Choices):
        return [kind.options[position] for position in value]
    return value


def _nodes(kind: kinds.Node) -> list[dict[str, str]]:
    """Return the nodes among which to choose: those offered, or the newest that fit."""
    query = QueryBuilder()
    if kind.among:
        query.append(Node, filters={"uuid": {"in": list(kind.among)}})
        found = {node.uuid: node for node in query.all(flat=True)}
        nodes = [found[uuid] for uuid in kind.among if uuid in found]
    else:
        names = map(get_query_type_from_type_string, kind.of)
        types = [{"like": f"{name}%"} for name in names]
        query.append(Node, filters={"node_type": {"or": types}} if types else {})
        query.order_by({Node: {"id": "desc"}}).limit(_MOST_LOOKED_AT)
        # All at once: what iterates and stops early leaves its transaction open.
        nodes = list(filter(kind.has_type_of, query.all(flat=True)))[:_MOST_OFFERED]
    return [
        {
            "uuid": node.uuid,
            "title": title_of(node),
            "description": node.description or f"{node.ctime:%Y-%m-%d %H:%M}",
        }
        for node in nodes
    ]


def _end_of(node: WorkChainNode) -> str:
    """Return in one line how a workflow ended."""
    if node.is_finished_ok:
        return "The workflow has finished."
    state = node.process_state.value if node.process_state else "gone"
    code = f" [{node.exit_status}]" if node.exit_status else ""
    return f"The workflow is {state}{code}. {node.exit_message or ''}".rstrip()


def _outputs(node: WorkChainNode) -> list[str]:
    """Return a line for each output."""
    links = node.base.links.get_outgoing(link_type=LinkType.RETURN).all()
    return sorted(f"{link.link_label}: {title_of(link.node)}" for link in links)


def _in_a_line(error: BaseException) -> str:
    """Return what to tell a person of an error."""
    if isinstance(error, DatabaseLost):
        return "The database of the profile is away: try again."
    if not isinstance(error, HumanInTheLoopError):
        _LOGGER.error("the inbox met a mistake", exc_info=error)
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return str(error)
