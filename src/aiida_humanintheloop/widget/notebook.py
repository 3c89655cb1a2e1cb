"""The inbox in a notebook: a live list of what waits, and a form for each question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from aiida.orm import ProcessNode

from .. import inbox
from ..database import DatabaseLost, look_anew
from ..decision import decisions
from ..exceptions import NoSuchWorkflow
from ..letter import Letter
from ..listing import Waiting
from ..mailbox import Mailbox
from ..records import decision_rows, history_rows, letter_record
from ..text import shown
from .lookout import LOOKOUT, Sight, end_transaction
from .page import (
    MOST_CLOSED,
    closed_records,
    closed_within,
    end_of,
    evidence_records,
    in_a_line,
    key_of,
    letter_of,
    meant,
    offered,
    outputs,
    rows,
)

__all__ = ["Inbox", "ask"]

# To answer, and to fetch what is shown, takes a while where the daemon is busy.
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="aiida-hitl-inbox")
_VIA = "notebook"
# A page says every 20 s that it is there, one in the background less often.
_SILENCE_SECONDS = 300.0


class Inbox(anywidget.AnyWidget):
    """What waits for a person, with a form for each question.

    It keeps itself up to date for as long as it is shown, and the kernel stays free.

    :param workflow: PK, UUID or node of the only one that is wanted, with what it
        called; its history and decisions are shown as well.
    :param everything: also what waits without a question, as `aiida-hitl list --all`.
    :ivar questions: what waits, newest last, as records.
    :ivar trouble: what is in the way of an answer; empty if nothing is.
    :raises NoSuchWorkflow: if there is no such workflow.
    :raises Unreachable: if the database of the profile does not answer.
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
        pk = None if workflow is None else inbox.load_any_workflow(workflow).pk
        self._everything = everything
        # When each page last said that it shows this.
        self._pages: dict[str, float] = {}
        # What is on its way: a page that had no reply for a while asks again.
        self._fetching: set[tuple[Any, Any]] = set()
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
            now = {
                key_of(x, letter): (x, letter) for x in wanted for letter in x.letters
            }
            gone = [asked for key, asked in self._open.items() if key not in now]
            self._open = now
            if gone:
                self._past = None  # of what the workflow called, it does not see it
                self.closed = [*self.closed, *closed_records(gone)][-MOST_CLOSED:]
            self.questions = [row for each in wanted for row in rows(each)]
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
            node = inbox.load_any_workflow(self.only)
        except NoSuchWorkflow:  # it was deleted
            self.ended = f"The workflow {self.only} is no longer there."
            return
        letters = Mailbox(node).letters()
        said = [(letter.is_open, letter.decision) for letter in letters]
        if self._past == (said, node.is_terminated):
            return
        self._past = said, node.is_terminated
        self.history = history_rows(x for x in letters if not x.is_open)
        self.decisions = decision_rows(decisions(node))
        if node.is_terminated:
            self.ended = end_of(node)
            self.outputs = outputs(node)

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
                self._fetch(said)
            case "answer":
                _THREADS.submit(self._answer, said)

    def _is_shown(self, content: Mapping[str, Any]) -> None:
        self._pages[str(content.get("page"))] = time.monotonic()
        LOOKOUT.tell(self, self._show)
        self.send({"type": "seen", "page": content.get("page")})

    def _is_hidden(self, content: Mapping[str, Any]) -> None:
        if self._pages.pop(str(content.get("page")), None) and not self._pages:
            LOOKOUT.forget(self)

    def _forget_silent_pages(self) -> None:
        """Look no more for pages that were closed, or reloaded, without a word."""
        for page, said_at in list(self._pages.items()):
            if time.monotonic() > said_at + _SILENCE_SECONDS:
                self._is_hidden({"page": page})

    def _fetch(self, content: Mapping[str, Any]) -> None:
        wanted = content.get("page"), content.get("key")
        if wanted not in self._fetching:
            self._fetching.add(wanted)
            sent = _THREADS.submit(self._send_question, content)
            sent.add_done_callback(lambda _: self._fetching.discard(wanted))

    def _send_question(self, content: Mapping[str, Any]) -> None:
        """Send what a form needs: the question in full, what to look at."""
        reply = _reply("question", content)
        images: list[bytes] = []
        try:
            letter = letter_of(content["pk"], content["id"])
            reply["question"] = letter_record(letter)
            reply["offered"] = offered(letter.question)
            reply["evidence"] = evidence_records(letter, images)
        except (Exception, DatabaseLost) as error:
            reply["error"] = in_a_line(error)
        end_transaction()
        self.send(reply, buffers=images)

    def _answer(self, content: Mapping[str, Any]) -> None:
        """Give an answer, and send the verdict."""
        reply = _reply("verdict", content)
        try:
            verdict = inbox.answer(
                content["pk"],
                meant(content),
                question=content["id"],
                comment=content.get("comment") or None,
                via=_VIA,
            )
            reply["verdict"] = asdict(verdict)
            if verdict.accepted:
                reply["said"] = shown(verdict.value)
        except (Exception, DatabaseLost) as error:
            reply["error"] = in_a_line(error)
        end_transaction()
        self.send(reply)
        LOOKOUT.hurry()

    # endregion


async def ask(
    workflow: int | str | ProcessNode, timeout: float | None = None
) -> Letter | None:
    """Show the form of a workflow's next question here, and go on once it is answered.

    Or that of a workflow that it called.
    For a notebook that needs the answer in its next cell: `letter = await ask(pk)`.
    Whoever answers, and wherever, it goes on.

    :param timeout: seconds, None waits for as long as it takes.
    :return: the question with its answer; None if the workflow ended without one.
    :raises NoSuchWorkflow: if there is no such workflow.
    :raises Unreachable: if the database of the profile does not answer.
    :raises TimeoutError: if nobody has answered in that time.
    """
    from IPython.display import display

    node = inbox.load_any_workflow(workflow)
    known = set(closed_within(node))
    display(Inbox(node))  # type: ignore[no-untyped-call]  # IPython's has no types
    news, loop, watcher = asyncio.Event(), asyncio.get_running_loop(), object()

    async def answered() -> Letter | None:
        while True:
            news.clear()
            look_anew()
            has_ended, closed = node.is_terminated, closed_within(node)
            new = [letter for key, letter in closed.items() if key not in known]
            if new or has_ended:
                return new[0] if new else None
            end_transaction()  # it would be in the way of those who write
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


def _reply(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the beginning of a reply to what a page has said.

    All pages of an inbox hear it, so it names the one that is meant.
    """
    return {"type": kind, "key": content["key"], "page": content.get("page")}
