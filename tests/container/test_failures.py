"""What goes wrong in the field, as users of neighbouring projects reported it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.container.conftest import REPOSITORY, Seat, docker, wait_until

PROGRAMS = {
    "postgresql": "head -n 1 ~/.services/postgresql/17/postmaster.pid",
    "rabbitmq": "pgrep -x beam.smp",
    "daemon": "cat ~/.aiida/daemon/circus-*.pid",
    "jupyterlab": "pgrep -f [j]upyter-lab",
}
# What makes each of them fail at every start from now on.
DAMAGE = {
    "postgresql": "rm ~/.services/postgresql/17/PG_VERSION",
    "rabbitmq": "echo nonsense > ~/.services/rabbitmq/user.config",
    "daemon": "rm ~/.aiida/config.json",
    "jupyterlab": ": > ~/.services/jupyter-token",
}


def test_second_container_on_the_volume_stops_at_once(seat: Seat) -> None:
    """Two servers on one data folder destroy it; a PID file would not tell."""
    said = docker(
        *("run", "--rm", "--volume", f"{seat.volume}:/home/aiida"),
        "aiida-hitl-tutorial",
        check=False,
    )
    [line] = said.splitlines()
    assert "Another container runs on this volume" in line
    assert "docker compose down" in line
    assert seat.is_healthy()


@pytest.mark.parametrize("token", ["", " ", "with space", "a&b"])
def test_empty_or_broken_token_is_refused(new_seat: Seat, token: str) -> None:
    """A JupyterLab without a token is open to everybody."""
    up = new_seat.try_compose("up", "--wait", "--detach", TOKEN=token)
    assert up.returncode != 0
    assert "TOKEN is empty or has other characters" in new_seat.logs()


def test_empty_token_file_is_refused(new_seat: Seat) -> None:
    """The other way to a server without a token."""
    script = "/opt/tutorial/container/first-start.py && touch .services/jupyter-token"
    new_seat.in_volume("bash", "-c", script)
    assert new_seat.try_compose("up", "--wait", "--detach").returncode != 0
    assert "is empty" in new_seat.logs()


def test_a_stop_has_time_for_all_four() -> None:
    """Docker kills what is left after its grace period: PostgreSQL, the last one."""
    compose = (REPOSITORY / "docker-compose.yml").read_text()
    [grace] = re.findall(r"stop_grace_period: (\d+)s", compose)
    supervisor = (REPOSITORY / "container" / "supervisord.conf").read_text()
    waits = re.findall(r"^stopwaitsecs = (\d+)$", supervisor, re.MULTILINE)
    assert len(waits) == len(PROGRAMS)
    assert sum(map(int, waits)) < int(grace)


def test_given_token_is_the_token(published_seat: Seat) -> None:
    """And it is where a generated one would be, so that everybody finds it."""
    published_seat.compose("up", "--wait", "--detach", TOKEN="my-own_token.1")
    assert published_seat.run("cat", ".services/jupyter-token") == "my-own_token.1"
    assert published_seat.ask("/api/contents?token=my-own_token.1")[0] == 200
    assert published_seat.ask("/api/contents?token=another")[0] == 403


def test_services_that_die_come_back(new_seat: Seat) -> None:
    """Each is killed once; the container lives, and a game played then is won."""
    seat = new_seat
    seat.up()
    pk = seat.submit_game()
    for name, find in PROGRAMS.items():
        before = seat.shell(find)
        seat.shell(f"kill -KILL $({find})")
        wait_until(
            lambda find=find, before=before: (
                seat.shell(f"{find} || true").strip() not in ("", before.strip())
            ),
            f"{name} is started again",
        )
    wait_until(seat.is_healthy, "all four answer")
    game = seat.auto_guess(str(pk), "--auto")
    assert game.returncode == 0, game.stdout
    # The worker of the daemon that was killed ends too, but may take its time.
    workers = "pgrep -fc [c]ontainer/worker.py"
    wait_until(lambda: seat.shell(workers) == "1\n", "one worker is left")


@pytest.mark.parametrize("name", PROGRAMS)
def test_service_that_dies_for_good_stops_the_container(
    new_seat: Seat, name: str
) -> None:
    """Not with 0, and the reason stands in `docker logs`."""
    seat = new_seat
    seat.up()
    seat.shell(f"{DAMAGE[name]}; kill -KILL $({PROGRAMS[name]})")
    wait_until(lambda: not seat.is_running(), "the container stops")
    assert seat.inspect()["State"]["ExitCode"] not in (0, 137)
    assert f"{name} does not stay up, so the container stops" in seat.logs()


def test_killed_container_starts_again(new_seat: Seat, tmp_path: Path) -> None:
    """Neither its PID files nor a folder that the group may write is in the way."""
    seat = new_seat
    seat.up()
    pk = seat.submit_game()
    docker("kill", "--signal", "KILL", seat.container)
    seat.in_volume("ls", "/home/aiida/.services/postgresql/17/postmaster.pid")
    seat.in_volume("chmod", "-R", "g+rwxs", "/home/aiida/.services/postgresql/17")
    # The PID of the server that was killed may be that of any other process now.
    lock = tmp_path / ".s.PGSQL.5432.lock"
    lock.write_text("1\n")
    docker("cp", str(lock), f"{seat.container}:/run/postgresql/{lock.name}")
    seat.up()
    game = seat.auto_guess(str(pk), "--auto")
    assert game.returncode == 0, game.stdout


WRONG_GUESS = """
from aiida.orm import load_node
from aiida_humanintheloop.workflows.guessing_game import hidden_number
def wrong_guess(pk):
    return hidden_number(load_node(pk).uuid) % 100 + 1
"""
SUBMIT = """
from aiida.engine import submit
from aiida_humanintheloop import HumanLoopWorkChain
from aiida_humanintheloop.inbox import wait_for_question
games = [submit(HumanLoopWorkChain) for _ in range(50)]
print(*[game.pk for game in games if wait_for_question(game, 60)])
"""
ANSWER = f"""{WRONG_GUESS}
from aiida_humanintheloop.inbox import answer, wait_for_question
asking = [pk for pk in PKS if wait_for_question(pk, 60)]  # it may have been between two
print([answer(pk, 101).outcome for pk in asking].count("refused"))
print([answer(pk, wrong_guess(pk)).outcome for pk in asking].count("accepted"))
"""
SET_ANSWERS = f"""{WRONG_GUESS}
for pk in PKS:
    load_node(pk).base.extras.set("answer", wrong_guess(pk))
"""
COUNT_ANSWERS = """
from aiida_humanintheloop.inbox import history
print(*[len([each for each in history(pk) if each.answer]) for pk in PKS])
"""


def pks_are(pks: list[str]) -> str:
    """Return the line that those programs begin with."""
    return f"PKS = [{', '.join(pks)}]"


def see_verdi_controls(seat: Seat, pks: list[str]) -> None:
    """See that `verdi process` knows and pauses each, and plays it with an answer."""
    these = pks_are(pks)
    before = seat.python(these + COUNT_ANSWERS).split()
    listed = seat.run("verdi", "process", "list", "--raw", "--paused", "-P", "pk")
    assert set(listed.split()) == set(pks)
    status = seat.run("verdi", "process", "status", *pks)
    assert all(f"<{pk}>" in status for pk in pks)
    assert seat.run("verdi", "process", "pause", *pks).count("processed.") == len(pks)
    seat.python(these + SET_ANSWERS)
    assert seat.run("verdi", "process", "play", *pks).count("processed.") == len(pks)
    after = seat.python(these + COUNT_ANSWERS).split()
    assert [int(count) for count in after] == [int(count) + 1 for count in before]


@pytest.mark.timeout(900)
def test_whoever_waited_in_a_killed_container_goes_on_waiting(new_seat: Seat) -> None:
    """Each takes an answer at the first try, while all are being taken up again.

    And what `verdi process` has to say to it, before and after.
    """
    seat = new_seat
    seat.up()
    pks = seat.python(SUBMIT).split()
    assert len(pks) == 50
    see_verdi_controls(seat, pks)
    docker("kill", "--signal", "KILL", seat.container)
    seat.up()
    assert seat.python(pks_are(pks) + ANSWER) == "50\n50"
    see_verdi_controls(seat, pks)
    assert seat.run("verdi", "process", "kill", *pks).count("processed.") == len(pks)
    killed = seat.run("verdi", "process", "list", "--raw", "-S", "killed", "-P", "pk")
    assert set(killed.split()) == set(pks)


def test_process_without_a_task_is_brought_back(new_seat: Seat) -> None:
    """The broker's queue is lost, the database is not: the game goes on."""
    seat = new_seat
    seat.up()
    pk = seat.submit_game()
    seat.down()
    seat.in_volume("rm", "-r", "/home/aiida/.services/rabbitmq/database")
    seat.up()
    game = seat.auto_guess(str(pk), "--auto")
    assert game.returncode == 0, game.stdout
