"""The four services of the tutorial: what they are called and whether each one answers.

Standard library only: read by the healthcheck, which runs often and must cost little.
"""

import http.client
import json
import os
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

HOME = Path("/home/aiida")
DATA = HOME / ".services"
# On the container's own layer: PIDs and "it is up" mean nothing to the next container.
RUN = Path("/run/tutorial")

TITLES = {
    "postgresql": "PostgreSQL",
    "rabbitmq": "RabbitMQ",
    "daemon": "AiiDA daemon",
    "jupyterlab": "JupyterLab",
}


def postgresql_answers() -> bool:
    """Tell whether PostgreSQL accepts sessions: its PID file says so, and it talks.

    The port alone does not tell, it is open during crash recovery too. The question for
    TLS is the cheapest that gets an answer and leaves no line in the log.
    """
    try:
        status = (DATA / "postgresql/17/postmaster.pid").read_text().splitlines()[-1]
        if status.strip() != "ready":
            return False
        with socket.create_connection(("127.0.0.1", 5432), timeout=5) as connection:
            connection.sendall(struct.pack("!ii", 8, 80877103))
            return connection.recv(1) in (b"N", b"S")
    except (OSError, IndexError):
        return False


def rabbitmq_answers() -> bool:
    """Tell whether RabbitMQ listens: that is the last step of its start."""
    try:
        socket.create_connection(("127.0.0.1", 5672), timeout=5).close()
    except OSError:
        return False
    return True


def daemon_answers() -> bool:
    """Tell whether the daemon runs and at least one of its workers takes tasks.

    A worker of ours leaves a file once it listens; one of a daemon that the user
    restarted by hand is known by its command line.
    """
    try:
        [pid_file] = (HOME / ".aiida/daemon").glob("circus-*.pid")
        daemon = int(pid_file.read_text())
    except (OSError, ValueError):
        return False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent != daemon:
                continue
            if (RUN / "workers" / stat.parent.name).exists():
                return True
            command = (stat.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if b"worker" in command:
            return True
    return False


def jupyterlab_answers() -> bool:
    """Ask JupyterLab where its own record says it serves: port, base URL may be set.

    A direct connection, so that no `http_proxy` of the container gets in between.
    """
    for record in (RUN / "jupyter").glob("jpserver-*.json"):
        try:
            server = json.loads(record.read_text())
            os.kill(server["pid"], 0)
            path = urlsplit(server["url"]).path
            connection = http.client.HTTPConnection(
                "127.0.0.1", server["port"], timeout=5
            )
            connection.request("GET", f"{path}api")
            if connection.getresponse().status == 200:
                return True
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            continue
    return False


ANSWERS = {
    "postgresql": postgresql_answers,
    "rabbitmq": rabbitmq_answers,
    "daemon": daemon_answers,
    "jupyterlab": jupyterlab_answers,
}
