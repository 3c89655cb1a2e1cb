"""A cluster that is down: what stood still for it is named, and goes on together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiida.engine import submit
from aiida.orm import CalcJobNode, Computer, InstalledCode, Int, WorkChainNode
from aiida.plugins import CalculationFactory

from aiida_humanintheloop import Question
from tests.asking import AskOne
from tests.commands import hitl
from tests.faults import workers_with
from tests.patience import wait_until
from tests.processes import ended, kill_unfinished, paused
from tests.receivers import Webhook

pytestmark = pytest.mark.restarts_daemon
RESOURCES = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
SETTINGS = {
    "transport.task_maximum_attempts": "1",
    "transport.task_retry_initial_interval": "1",
}


@pytest.fixture(scope="module")
def soon(_daemon_of_the_session: None) -> Iterator[None]:
    """Have workers that give up at once, and not after five attempts."""
    with workers_with(SETTINGS):
        yield


@pytest.fixture
def cluster(profile: str, tmp_path: Path) -> Computer:
    """Return a computer whose disk is not there: a file stands in its place."""
    (tmp_path / "disk").touch()
    label = f"cluster-{tmp_path.parent.name}-{tmp_path.name}"
    computer = Computer(
        label=label,
        hostname="localhost",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=str(tmp_path / "disk" / "scratch"),
    ).store()
    computer.set_minimum_job_poll_interval(0)
    computer.configure(safe_interval=0)
    return computer


@pytest.fixture
def stopped(soon: None, cluster: Computer) -> Iterator[list[CalcJobNode]]:
    """Return two calculations that the engine has paused for it."""
    code = InstalledCode(
        label="add", computer=cluster, filepath_executable="/bin/bash"
    ).store()
    jobs = [
        submit(
            CalculationFactory("core.arithmetic.add"),
            code=code,
            x=Int(1),
            y=Int(number),
            metadata={"options": {"resources": RESOURCES}},
        )
        for number in (1, 2)
    ]
    for job in jobs:
        wait_until(lambda job=job: paused(job), "the engine gives it up")
    yield jobs
    kill_unfinished(jobs)


def mend(computer: Computer) -> None:
    """Have its disk be there again."""
    disk = Path(computer.get_workdir()).parent
    disk.unlink()
    disk.mkdir()


def test_the_inbox_says_what_failed_and_what_one_can_do(
    stopped: list[CalcJobNode], cluster: Computer
) -> None:
    """The computer, the error, and the two ways to go on."""
    printed = " ".join(hitl("list").split())
    assert "paused without a question" not in printed
    assert "Not a directory" in printed
    assert "Once it is back: aiida-hitl play --computer" in printed
    records = json.loads(hitl("list", "--json"))
    for job in stopped:
        (record,) = [each for each in records if each["pk"] == job.pk]
        assert record["computer"] == cluster.label
        assert "Not a directory" in record["reason"]
        assert f"aiida-hitl play --computer {cluster.label}" in record["reason"]
        assert f"verdi process kill {job.pk}" in record["reason"]


def test_all_go_on_together_once_it_is_back(
    stopped: list[CalcJobNode], cluster: Computer
) -> None:
    """And before that they only stop again."""
    printed = hitl("play", "--computer", cluster.label)
    assert printed.splitlines() == [f"{job.pk}: goes on" for job in stopped]
    for job in stopped:
        wait_until(lambda job=job: paused(job), "it has failed again")
    mend(cluster)
    hitl("play", "--computer", cluster.label)
    assert [ended(job).outputs.sum.value for job in stopped] == [2, 3]
    printed = hitl("play", "--computer", cluster.label)
    assert printed == f"Nothing is paused because {cluster.label} failed.\n"


@pytest.fixture
def somebody(webhook: Webhook) -> Webhook:
    """Have somebody be told of what comes."""
    hitl("notify", "add", "--every", "0", webhook.url)
    return webhook


def test_people_are_told_of_it(
    somebody: Webhook,
    stopped: list[CalcJobNode],
    cluster: Computer,
    ask: Callable[..., WorkChainNode],
) -> None:
    """At the next look, which here the next question brings about."""
    ask(AskOne, question=Question("Is it told before this?"))
    wait_until(lambda: bool(somebody.messages), "somebody is told")
    title, body = somebody.messages[0]
    assert title.startswith(f"AiiDA: {cluster.label} failed (and ")
    for job in stopped:
        assert f"ArithmeticAddCalculation <{job.pk}> is paused: {cluster.label}" in body
    assert f"aiida-hitl play --computer {cluster.label}" in body


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "Say which: the PK of a workflow, or --computer NAME."),
        (("42", "--computer", "localhost"), "Say which"),
        (("--computer", "nowhere"), "no Computer found with LABEL<nowhere>"),
    ],
)
def test_play_says_what_is_missing(
    profile: str, arguments: tuple[str, ...], reason: str
) -> None:
    """In a line."""
    printed = hitl("play", *arguments, fails=2)
    assert reason in " ".join(printed.split())
