"""What waits is not loaded for it, and who has a word for it sees no difference."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from aiida.engine import submit
from aiida.engine.processes.control import (
    kill_processes,
    pause_processes,
    play_processes,
)
from aiida.orm import Dict, WorkChainNode

from aiida_humanintheloop import HumanLoopWorkChain, Question
from aiida_humanintheloop.inbox import answer, history, open_questions
from aiida_humanintheloop.letter import timestamp
from aiida_humanintheloop.mailbox import Mailbox
from aiida_humanintheloop.question import Answer
from tests.asking import AskOne
from tests.counting import CountLoaded
from tests.daemon_log import DaemonLog
from tests.faults import restart_daemon, wait_for_services, workers_with
from tests.game import a_wrong_guess
from tests.patience import wait_until
from tests.processes import kill_unfinished
from tests.profile import refresh

pytestmark = pytest.mark.restarts_daemon
GAMES = 11
# It is put to rest 10 s after the last word, ten workflows at a time.
RESTS_AFTER_SECONDS = 14

Loads = Callable[[], list[int]]


@pytest.fixture(scope="module")
def loads(_daemon_of_the_session: None) -> Iterator[Loads]:
    """Return what tells which processes were loaded since it was last asked."""
    loaded = r"INFO\] Loaded process<(\d+)> from saved state"
    with workers_with({"logging.aiida_loglevel": "INFO"}):
        log = DaemonLog()

        def loaded_since() -> list[int]:
            time.sleep(0.5)
            return [int(pk) for pk in re.findall(loaded, log.news())]

        yield loaded_since


@pytest.fixture(scope="module")
def resting(loads: Loads) -> Iterator[list[WorkChainNode]]:
    """Return games that have waited for a while."""
    wait_for_services()
    nodes = [submit(HumanLoopWorkChain, max_iters=100) for _ in range(GAMES)]
    wait_until(lambda: {n.pk for n in nodes} <= asked(), "all of them ask", 60)
    time.sleep(RESTS_AFTER_SECONDS)
    loads()
    yield nodes
    kill_unfinished(nodes)


def asked() -> set[int]:
    """Return the PKs of all that ask."""
    return {each.pk for each in open_questions()}


def test_nothing_is_left_of_what_was_loaded(
    resting: list[WorkChainNode], loads: Loads
) -> None:
    """In the memory of the worker, once it rests."""
    count = submit(CountLoaded, kind=HumanLoopWorkChain.__name__)
    wait_until(lambda: refresh() or count.is_finished_ok, "it counts")
    assert count.outputs.loaded == 0
    assert loads() == [count.pk]


def test_only_what_is_answered_is_loaded(
    resting: list[WorkChainNode], loads: Loads
) -> None:
    """Once, for any number of answers in a row."""
    for node in resting[:2]:
        assert answer(node, "no number").outcome == "refused"
        assert answer(node, a_wrong_guess(node)).accepted
    assert sorted(loads()) == [node.pk for node in resting[:2]]
    assert [len(history(node)) for node in resting[:3]] == [2, 2, 1]


def test_a_restart_loads_nothing(resting: list[WorkChainNode], loads: Loads) -> None:
    """And each takes an answer after it."""
    restart_daemon()
    time.sleep(RESTS_AFTER_SECONDS)
    assert not loads()
    for node in resting:
        assert answer(node, a_wrong_guess(node)).accepted
    assert sorted(loads()) == [node.pk for node in resting]


def test_of_two_answers_one_is_taken(resting: list[WorkChainNode]) -> None:
    """Also where both find it at rest."""
    time.sleep(RESTS_AFTER_SECONDS)
    node = resting[3]
    number, guess = history(node)[-1].id, str(a_wrong_guess(node))
    command = ["aiida-hitl", "answer", str(node.pk), guess, "--question", number]
    both = [
        subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE) for _ in range(2)
    ]
    verdicts = [json.loads(one.communicate(timeout=60)[0])[0] for one in both]
    outcomes = sorted(verdict["outcome"] for verdict in verdicts)
    assert outcomes == ["accepted", "refused"], verdicts


def test_the_engine_controls_it(resting: list[WorkChainNode], loads: Loads) -> None:
    """Play says what is wrong with the extra, and takes one that is right."""
    bad, good, paused, killed = resting[4:8]
    bad.base.extras.set("answer", "no number")
    good.base.extras.set("answer", a_wrong_guess(good))
    before = len(history(good))
    loads()
    play_processes([bad, good], timeout=30)
    wait_until(lambda: refresh() or len(history(good)) > before, "it is taken")
    assert bad.base.extras.get("question").endswith(
        "'no number' was not taken: the answer must be an integer between 1 and 100."
    )
    pause_processes([paused], timeout=30)
    kill_processes([killed], timeout=30)
    wait_until(lambda: refresh() or killed.is_killed, "it is killed")
    assert sorted(loads()) == [node.pk for node in (bad, good, paused, killed)]
    assert answer(paused, a_wrong_guess(paused)).accepted


def test_an_answer_that_was_kept_is_taken(resting: list[WorkChainNode]) -> None:
    """Though no message told of it."""
    node = resting[8]
    before = len(history(node))
    Mailbox(node).keep(
        Answer(a_wrong_guess(node), by="ada@example.org", at=timestamp(), key="1")
    )
    wait_until(lambda: refresh() or len(history(node)) > before, "it is taken")
    assert history(node)[-2].answer.by == "ada@example.org"


def test_a_deadline_passes(loads: Loads) -> None:
    """In time, and with its default."""
    within = timedelta(seconds=RESTS_AFTER_SECONDS + 6)
    question = Question(
        "Still there?", within=within, at_deadline="default", default="no"
    )
    node = submit(AskOne, question=Dict(question.to_record()))
    wait_until(lambda: node.pk in asked(), "it asks")
    time.sleep(RESTS_AFTER_SECONDS)
    assert node.pk in loads()
    assert node.pk in asked()
    wait_until(lambda: refresh() or node.is_terminated, "its deadline passes")
    assert node.pk in loads()
    assert node.outputs.answer["value"] == "no"
    (letter,) = history(node)
    assert letter.answer.kind == "default"


def test_one_that_cannot_be_read_harms_nobody(resting: list[WorkChainNode]) -> None:
    """Somebody wrote into its extras; it waits, and so do the others."""
    bad, good = resting[9:11]
    record = bad.base.extras.get("humanintheloop")
    bad.base.extras.set("humanintheloop", {"version": 1, "history": [{"id": "1"}]})
    restart_daemon()
    assert answer(good, a_wrong_guess(good)).accepted
    refresh()
    assert not bad.is_terminated
    bad.base.extras.set("humanintheloop", record)
    assert answer(bad, a_wrong_guess(bad)).accepted
