"""The AiiDA daemon in the foreground: AiiDA's own, less the memory that a seat has not.

`verdi daemon start --foreground` keeps four Python processes, three of which have the whole
of AiiDA loaded. This one starts the same circus arbiter at the same endpoints, so that
`verdi daemon status`, `incr`, `decr`, `restart` and `stop` work as ever; it leaves out the
statistics process, and loads no database code itself. The workers are worker.py.
"""

import os
import sys
from pathlib import Path

from aiida.engine.daemon.client import get_daemon_client
from circus import get_arbiter
from circus.pidfile import Pidfile

WORKERS = Path("/run/tutorial/workers")
DEATHS = 5  # this many workers in a row that never listened are no accident


def main() -> None:
    """Run the arbiter until somebody quits it; leave no PID file behind."""
    client = get_daemon_client("tutorial")
    client._clean_potentially_stale_pid_file()
    log = {
        "class": "FileStream",
        "filename": client.daemon_log_file,
        "time_format": "%Y-%m-%d %H:%M:%S",
        "max_bytes": 2_000_000,
        "backup_count": 1,
    }
    arbiter = get_arbiter(
        controller=client.get_controller_endpoint(),
        pubsub_endpoint=client.get_pubsub_endpoint(),
        stats_endpoint=client.get_stats_endpoint(),
        logoutput="-",
        loglevel="WARNING",
        statsd=False,
        pidfile=client.circus_pid_file,
        watchers=[
            {
                "name": client.daemon_name,
                "cmd": sys.executable,
                "args": ["/opt/tutorial/container/worker.py"],
                "numprocesses": 1,
                "copy_env": True,
                "env": client.get_env(),
                "stdout_stream": log,
                "stderr_stream": log,
                "hooks": {"before_spawn": (give_up_on_dying_workers, False)},
            }
        ],
    )
    pidfile = Pidfile(arbiter.pidfile)
    pidfile.create(os.getpid())
    client._write_version_file()
    try:
        arbiter.start()
    finally:
        pidfile.unlink()


spawned = 0


def give_up_on_dying_workers(**_: object) -> bool:
    """End the daemon, for supervisord to see, when worker after worker dies at its start."""
    global spawned
    spawned = 0 if any(WORKERS.iterdir()) else spawned + 1
    if spawned > DEATHS:
        print(f"{DEATHS} workers died before they listened; see ~/.aiida/daemon/log", flush=True)
        os._exit(1)
    return True


if __name__ == "__main__":
    main()
