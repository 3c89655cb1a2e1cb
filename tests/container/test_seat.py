"""A seat that runs: what is in it, what listens, what it says."""

from __future__ import annotations

import json

from tests.container.conftest import Seat, docker, wait_until


def test_a_start_is_told_in_a_few_lines(seat: Seat) -> None:
    """One line for each service and one when all are up; details are in files."""
    lines = [line for line in seat.logs().splitlines() if line.strip()]
    for service in ("PostgreSQL", "RabbitMQ", "AiiDA daemon", "JupyterLab"):
        assert any(f"{service} is up (" in line for line in lines)
    assert lines[4].endswith("The tutorial is ready.")


def test_only_jupyterlab_is_published_and_on_loopback_only(
    published_seat: Seat,
) -> None:
    """Nobody else on the host's network reaches a seat."""
    published_seat.up()
    ports = published_seat.inspect()["NetworkSettings"]["Ports"]
    jupyterlab = {"HostIp": "127.0.0.1", "HostPort": str(published_seat.port)}
    assert ports == {"8888/tcp": [jupyterlab]}


def test_a_seat_needs_no_network(seat: Seat) -> None:
    """Nearly all tests here are on one that has none."""
    assert seat.run("ls", "/sys/class/net").split() == ["lo"]


def test_services_listen_on_loopback_inside(seat: Seat) -> None:
    """PostgreSQL, RabbitMQ, its distribution, epmd: closed to other containers."""
    table = seat.shell("cat /proc/net/tcp /proc/net/tcp6")
    listening = {}
    for line in table.splitlines():
        fields = line.split()
        if fields[3] == "0A":
            address, port = fields[1].split(":")
            listening[int(port, 16)] = address
    assert {5432, 5672, 25672, 4369} <= listening.keys()
    # 127.x.y.z, bytes in the host's order; Docker's own name server is at 127.0.0.11
    open_ports = {
        port for port, address in listening.items() if not address.endswith("7F")
    }
    assert open_ports == {8888}


def test_everything_runs_as_an_ordinary_user(seat: Seat) -> None:
    """No process of the container is root's."""
    assert set(seat.run("ps", "-eo", "uid=").split()) == {"1000"}


def test_profile_uses_postgresql_and_rabbitmq(seat: Seat) -> None:
    """AiiDA falls back to SQLite or ZeroMQ silently; the seat must not."""
    config = json.loads(seat.run("cat", ".aiida/config.json"))
    profile = config["profiles"][config["default_profile"]]
    assert config["default_profile"] == "tutorial"
    assert profile["storage"]["backend"] == "core.psql_dos"
    assert profile["process_control"]["backend"] == "core.rabbitmq"
    assert profile["options"]["daemon.timeout"] == 45
    status = seat.run("verdi", "status")
    assert "RabbitMQ v4" in status
    assert "Daemon is running" in status
    assert "not supported" not in status


def test_consumer_timeout_is_off(seat: Seat) -> None:
    """RabbitMQ would hand a task that runs for 30 minutes to a second worker."""
    seen = seat.shell(
        "cd ~/.services/rabbitmq && HOME=$PWD /usr/lib/rabbitmq/bin/rabbitmqctl"
        " -n rabbit@localhost eval 'application:get_env(rabbit, consumer_timeout).'"
    )
    assert "{ok,undefined}" in seen


def test_jupyterlab_wants_the_token(published_seat: Seat) -> None:
    """The page opens with the token of the volume and with nothing else."""
    seat = published_seat
    seat.up()
    token = seat.run("cat", ".services/jupyter-token").strip()
    assert len(token) >= 32
    assert seat.ask("/api/contents")[0] == 403
    assert seat.ask(f"/api/contents?token={token}")[0] == 200
    status, page = seat.ask(f"/lab?token={token}")
    assert status == 200
    script = page.split('src="/static/lab/main')[1].split('"')[0]
    assert seat.ask(f"/static/lab/main{script}")[0] == 200


def test_commands_are_there_in_every_shell(seat: Seat) -> None:
    """A terminal of JupyterLab is a login shell, `docker compose exec` is none."""
    for flag in ("-c", "-lc", "-ic"):
        programs = "verdi jupyter auto-guess.py ps rsync test"
        found = seat.run("bash", flag, f"type -P {programs}").splitlines()
        assert "/opt/tutorial/venv/bin/verdi" in found
        assert "/opt/tutorial/venv/bin/auto-guess.py" in found
        assert "/usr/bin/test" in found
    assert "_verdi_completion" in seat.run("bash", "-ic", "complete -p verdi")
    assert "_aiida_hitl" in seat.run("bash", "-ic", "complete -p aiida-hitl")


def test_daemon_obeys_verdi(seat: Seat) -> None:
    """Workers can be added and removed, as everywhere."""
    workers = "pgrep -fc [c]ontainer/worker.py"
    seat.run("verdi", "daemon", "incr", "1")
    assert seat.shell(workers) == "2\n"
    seat.run("verdi", "daemon", "decr", "1")
    wait_until(lambda: seat.shell(workers) == "1\n", "the second worker ends")


def test_workers_begin_anew_as_often_as_one_likes(seat: Seat) -> None:
    """As the pages have them do: the daemon does not take that for their deaths."""
    pid = seat.shell("cat ~/.aiida/daemon/circus-*.pid")
    for _ in range(7):
        seat.python(
            "from aiida.engine.daemon.client import get_daemon_client\n"
            "get_daemon_client().restart_daemon(timeout=60)\n"
        )
        wait_until(seat.is_healthy, "a worker listens")
    assert seat.shell("cat ~/.aiida/daemon/circus-*.pid") == pid


def test_healthcheck_is_not_led_astray(seat: Seat) -> None:
    """A proxy of the institute's is not asked for the seat's own JupyterLab."""
    seat.shell(
        "rm -f /run/tutorial/healthy; export http_proxy=http://192.0.2.1:3128;"
        " HTTP_PROXY=$http_proxy /opt/tutorial/container/healthcheck.py"
    )


def test_provenance_graph_can_be_drawn_and_data_backed_up(seat: Seat) -> None:
    """The programs that AiiDA calls for these are in the image."""
    pk = seat.python("from aiida.orm import Int; print(Int(1).store().pk)")
    seat.shell(f"cd /tmp && verdi node graph generate {pk} && ls {pk}*.pdf")
    seat.shell("verdi storage backup /tmp/backup && ls /tmp/backup/last-backup")


def test_image_holds_no_secret(image: str) -> None:
    """What is a secret is made for each volume; the image has the places, empty."""
    script = (
        "mkdir /tmp/seed && tar -xzf /opt/tutorial/seed.tar.gz -C /tmp/seed;"
        "find /tmp/seed / -xdev \\( -name .erlang.cookie -o -name jupyter-token"
        " -o -name user.config -o -name 'ssh_host_*' -o -name '*snakeoil*' \\)"
        " -not -path '/proc/*' 2>/dev/null; cat /tmp/seed/.aiida/config.json"
    )
    found = docker("run", "--rm", image, "bash", "-c", script)
    config = json.loads(found[found.index("{") :])
    assert found.startswith("{"), found[: found.index("{")]
    profile = config["profiles"]["tutorial"]
    assert profile["storage"]["config"]["database_password"] == ""
    assert profile["process_control"]["config"]["broker_password"] == ""


def test_two_volumes_share_no_secret(seat: Seat, new_seat: Seat) -> None:
    """Two first starts make different tokens, passwords and cookies."""
    script = (
        "/opt/tutorial/container/first-start.py && cat .aiida/config.json"
        " && cat .services/rabbitmq/.erlang.cookie .services/rabbitmq/user.config"
    )
    other = new_seat.in_volume("bash", "-c", script)
    for file in (".erlang.cookie", "user.config"):
        secret = seat.run("cat", f".services/rabbitmq/{file}").strip()
        assert len(secret) > 20
        assert secret not in other
    profile = json.loads(seat.run("cat", ".aiida/config.json"))["profiles"]["tutorial"]
    for password in (
        profile["storage"]["config"]["database_password"],
        profile["process_control"]["config"]["broker_password"],
    ):
        assert len(password) > 20
        assert password not in other


def test_secrets_are_for_their_owner_only(seat: Seat) -> None:
    """The token and the passwords are closed to others, the cookie even to writing."""
    modes = seat.shell(
        "stat -c %a .services/jupyter-token .services/rabbitmq/user.config"
        " .aiida/config.json .services/rabbitmq/.erlang.cookie"
    )
    assert modes.split() == ["600", "600", "600", "400"]
