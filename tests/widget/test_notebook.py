"""The inbox beneath its page: what it knows, from which thread, and for how long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from aiida.orm import ArrayData, BandsData, Data, Int, WorkChainNode

from aiida_humanintheloop import Choice, Node, NoSuchWorkflow, Question
from aiida_humanintheloop.inbox import Waiting, answer
from aiida_humanintheloop.widget import Inbox
from aiida_humanintheloop.widget import ask as ask_here
from aiida_humanintheloop.widget.page import rows
from tests.asking import AskOne, AskTwo, Parent
from tests.commands import verdi
from tests.patience import run_async, wait_until
from tests.processes import ended
from tests.profile import have_daemon

Ask = Callable[..., WorkChainNode]
SHOWN = {"type": "shown", "page": "a"}
HIDDEN = {"type": "hidden", "page": "a"}


def hears(inbox: Inbox, content: dict[str, Any]) -> None:
    """Deliver what a page sends, as the kernel does."""
    inbox._handle_custom_msg(content, [])


def lookouts() -> list[str]:
    """Return the threads that look what waits."""
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name == "aiida-hitl-lookout"
    ]


def test_one_thread_looks_for_all_and_only_as_long_as_somebody_does(
    daemon: None, ask: Ask
) -> None:
    """A cell that is run ten times leaves nothing behind."""
    inboxes = [Inbox() for _ in range(3)]
    assert lookouts() == []
    for inbox in inboxes:
        hears(inbox, SHOWN)
    node = ask(AskOne, question=Question("What now?"))
    for inbox in inboxes:
        wait_until(lambda inbox=inbox: node.pk in pks(inbox), "the question is seen")
    assert len(lookouts()) == 1
    assert answer(node, "x").accepted
    wait_until(lambda: node.pk not in pks(inboxes[0]), "the answer is seen")
    assert inboxes[0].closed[-1]["value"] == "x"
    for inbox in inboxes:
        hears(inbox, HIDDEN)
    wait_until(lambda: not lookouts(), "nobody looks")


def pks(inbox: Inbox) -> list[int]:
    """Return which workflows wait, as the page has it."""
    return [row["pk"] for row in inbox.questions]


def test_one_workflow_has_its_past(daemon: None, ask: Ask) -> None:
    """And nothing of others."""
    node, other = ask(AskTwo, until="all"), ask(AskOne, question=Question("Other?"))
    answer(node, "a", question="first")
    inbox = Inbox(node.pk)
    assert [row["name"] for row in inbox.questions] == ["second"]
    assert [row[2] for row in inbox.history] == ["a"]
    assert inbox.ended == ""
    answer(node, "b", question="second")
    wait_until(lambda: Inbox(node).ended == "The workflow has finished.", "it ends")
    last = Inbox(node)
    assert [row[1] for row in last.decisions] == ["a", "b"]
    assert last.outputs[0].startswith("answers: Dict <")
    assert last.questions == []
    assert other.pk in pks(Inbox())
    assert "questions wait" in repr(last)


def test_a_workflow_that_only_calls_is_shown_with_what_it_called(
    daemon: None, ask: Ask
) -> None:
    """And can be waited for: it asks through what it called."""
    parent = ask(Parent, question=Question("Of the child?"))
    ask(AskOne, question=Question("Other?"))
    inbox = Inbox(parent.pk)
    (row,) = inbox.questions
    assert (row["text"], row["caller"]) == ("Of the child?", f"Parent <{parent.pk}>")
    assert inbox.history == []

    async def answered() -> Any:
        asked = asyncio.create_task(ask_here(parent, timeout=60))
        await asyncio.sleep(0)
        threading.Thread(target=answer, args=[row["pk"], "yes"]).start()
        return await asked

    assert run_async(answered()).answer.value == "yes"
    ended(parent)
    assert Inbox(parent).ended == "The workflow has finished."


def test_what_is_no_workflow_is_refused(daemon: None) -> None:
    """At once, and in a line."""
    with pytest.raises(NoSuchWorkflow, match="There is no workflow 99999999"):
        Inbox(99999999)
    with pytest.raises(NoSuchWorkflow, match="is a Int, which asks no questions"):
        Inbox(Int(1).store().pk)


def test_what_only_was_paused_says_how_it_goes_on(profile: str) -> None:
    """By its computer, where that had failed."""
    about: dict[str, Any] = {"uuid": "u", "workflow": "W", "callers": (), "reason": "r"}
    paused = Waiting(pk=1, since=datetime.now(timezone.utc), **about)
    assert rows(paused)[0]["play"] == "verdi process play 1"
    held_up = replace(paused, computer="my cluster")
    assert rows(held_up)[0]["play"] == "aiida-hitl play --computer 'my cluster'"


def test_a_page_that_sends_nonsense_is_not_heard(daemon: None) -> None:
    """The kernel goes on."""
    wait_until(lambda: lookouts() == [], "the inboxes before it look no more")
    inbox = Inbox()
    for content in ({}, {"type": "nonsense"}, [], "text", None):
        hears(inbox, content)
    assert lookouts() == []


def test_evidence_that_was_deleted_hides_no_question(
    daemon: None, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page gets the question, and is told what is missing."""
    gone = "00000000-0000-4000-8000-000000000000"
    node = ask(AskOne, question=Question("Good?", evidence=[gone]))
    inbox, sent = Inbox(node), []
    monkeypatch.setattr(inbox, "send", lambda reply, buffers: sent.append(reply))
    hears(inbox, {"type": "open", "key": "k", "pk": node.pk, "id": "1"})
    wait_until(lambda: bool(sent), "the page is answered")
    assert sent[0]["question"]["question"]["text"] == "Good?"
    assert sent[0]["evidence"][0]["note"] == "It was deleted."


def test_a_page_that_asks_again_is_answered_once(
    daemon: None, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same evidence is not drawn by several threads at once."""
    node = ask(AskOne, question=Question("Good?"))
    inbox, go = Inbox(node), threading.Event()
    sent = sent_of(inbox, monkeypatch)

    def draw(letter: Any, images: list[bytes]) -> list[Any]:
        go.wait(60)
        return []

    monkeypatch.setattr("aiida_humanintheloop.widget.notebook.evidence_records", draw)
    wanted = {"type": "open", "key": "k", "pk": node.pk, "id": "1", "page": "a"}
    for content in (wanted, wanted, wanted, {**wanted, "page": "b"}):
        hears(inbox, content)
    go.set()
    wait_until(lambda: not inbox._fetching, "all is sent")
    assert sorted(reply["page"] for reply in sent) == ["a", "b"]
    hears(inbox, wanted)
    wait_until(lambda: len(sent) == 3, "it can be asked for again")


def test_a_page_is_told_that_it_was_heard(
    daemon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it could not tell a kernel that is gone from one with no news."""
    inbox = Inbox()
    sent = sent_of(inbox, monkeypatch)
    hears(inbox, SHOWN)
    hears(inbox, HIDDEN)
    assert sent == [{"type": "seen", "page": "a"}]
    wait_until(lambda: not lookouts(), "nobody looks")


def test_to_ask_takes_no_longer_than_it_is_given(daemon: None, ask: Ask) -> None:
    """Where nobody answers."""
    node = ask(AskOne, question=Question("When?"))
    with pytest.raises(TimeoutError, match=f"{node.pk} was not answered within 0.1 s"):
        run_async(ask_here(node, timeout=0.1))
    wait_until(lambda: not lookouts(), "nobody looks")


@pytest.mark.restarts_daemon
def test_without_a_daemon_the_page_says_so(daemon: None, ask: Ask) -> None:
    """With what to do; and no more once it runs."""
    ask(AskOne, question=Question("Are you there?"))
    verdi("daemon", "stop")
    inbox = Inbox()
    assert "The daemon is not running: an answer is kept" in inbox.trouble
    assert inbox.questions
    have_daemon()
    assert Inbox().trouble == ""


@pytest.mark.restarts_daemon
def test_without_a_daemon_the_past_is_shown(daemon: None, ask: Ask) -> None:
    """The record needs nobody who runs."""
    node = ask(AskOne, question=Question("What was it?"))
    answer(node, "this")
    ended(node)
    verdi("daemon", "stop")
    inbox = Inbox(node)
    have_daemon()
    assert "The daemon is not running" in inbox.trouble
    assert [row[2] for row in inbox.history] == ["this"]
    assert inbox.ended == "The workflow has finished."


def sent_of(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return where what the inbox sends to its page will be."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(inbox, "send", lambda reply, buffers=(): sent.append(reply))
    return sent


def offered(
    node: WorkChainNode, monkeypatch: pytest.MonkeyPatch, identifier: str = "1"
) -> dict[str, Any]:
    """Return among what the form of a question lets people choose."""
    inbox = Inbox(node)
    sent = sent_of(inbox, monkeypatch)
    hears(inbox, {"type": "open", "key": "k", "pk": node.pk, "id": identifier})
    wait_until(lambda: bool(sent), "the page is answered")
    found: dict[str, Any] = sent[0]["offered"]
    return found


def test_nodes_of_a_class_are_offered_with_those_of_its_subclasses(
    daemon: None, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no others, newest first."""
    bands, other = BandsData(), Int(1).store()
    bands.set_kpoints(np.zeros((1, 3)))
    bands.set_bands(np.zeros((1, 1)))
    bands.store()
    any_data = ask(AskOne, question=Question("Which?", Node(of=Data)))
    arrays = ask(AskOne, question=Question("Which?", Node(of=ArrayData)))
    uuids = [each["uuid"] for each in offered(arrays, monkeypatch)["nodes"]]
    assert uuids[0] == bands.uuid
    assert other.uuid not in uuids
    of_any = [each["uuid"] for each in offered(any_data, monkeypatch)["nodes"]]
    assert {bands.uuid, other.uuid} <= set(of_any)


def test_options_are_offered_as_text_and_told_by_their_position(
    daemon: None, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page would take 1.0 for 1, and round what is long."""
    long = 2**53 + 1
    kind = Choice([0.5, 1.0, long])
    node = ask(AskOne, question=Question("Which?", kind, default=1.0))
    assert offered(node, monkeypatch) == {
        "default": "1.0",
        "schema": None,
        "options": ["0.5", "1.0", str(long)],
        "chosen": [1],
        "nodes": [],
    }
    inbox = Inbox(node)
    sent_of(inbox, monkeypatch)
    hears(inbox, {"type": "answer", "key": "k", "pk": node.pk, "id": "1", "value": 2})
    assert ended(node).outputs.answer["value"] == long


def test_a_page_that_falls_silent_is_not_looked_for(
    daemon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload says no word; one that comes back is told again."""
    monkeypatch.setattr("aiida_humanintheloop.widget.notebook._SILENCE_SECONDS", 0.5)
    inbox = Inbox()
    hears(inbox, SHOWN)
    wait_until(lambda: not lookouts(), "nobody looks")
    hears(inbox, SHOWN)
    assert len(lookouts()) == 1
    hears(inbox, HIDDEN)
    wait_until(lambda: not lookouts(), "nobody looks")
