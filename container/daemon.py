"""The AiiDA daemon in the foreground: AiiDA's own, less the memory that a seat has not.

`verdi daemon start --foreground` keeps four Python processes, two of which load all of
AiiDA to no use. This one starts the same circus arbiter at the same endpoints, so that
`verdi daemon status`, `incr`, `decr`, `restart` and `stop` work as ever. It leaves out
the statistics process, and loads no more of AiiDA than its configuration. The workers
are worker.py.
"""

import os
import sys
import tempfile
from pathlib import Path

from aiida.manage.configuration import get_config
from circus import get_arbiter
from circus.pidfile import Pidfile

WORKERS = Path("/run/tutorial/workers")
# Also where it does so no more: when all begin anew, none listens for a moment.
ONE_LISTENED = Path("/run/tutorial/a-worker-listened")
DEATHS = 5  # this many workers in a row that never listened are no accident


def main() -> None:
    """Run the arbiter until somebody quits it; leave no PID file behind."""
    config = get_config()
    profile = config.get_profile("tutorial")
    files = config.filepaths(profile)
    # Where aiida.engine.daemon.client.DaemonClient looks for the sockets.
    sockets = tempfile.mkdtemp(prefix="circus-")
    Path(files["circus"]["socket"]["file"]).write_text(sockets)
    log = {
        "class": "FileStream",
        "filename": files["daemon"]["log"],
        "time_format": "%Y-%m-%d %H:%M:%S",
        "max_bytes": 2_000_000,
        "backup_count": 1,
    }
    # No stats_endpoint: naming one starts a process that gathers statistics for nobody.
    arbiter = get_arbiter(
        controller=f"ipc://{sockets}/{files['circus']['socket']['controller']}",
        pubsub_endpoint=f"ipc://{sockets}/{files['circus']['socket']['pubsub']}",
        logoutput="-",
        loglevel="WARNING",
        pidfile=files["circus"]["pid"],
        watchers=[
            {
                "name": f"aiida-{profile.name}",
                "cmd": sys.executable,
                "args": ["/opt/tutorial/container/worker.py"],
                "numprocesses": 1,
                "copy_env": True,
                "stdout_stream": log,
                "stderr_stream": log,
                "hooks": {"before_spawn": (give_up_on_dying_workers, False)},
            }
        ],
    )
    pidfile = Pidfile(arbiter.pidfile)
    pidfile.create(os.getpid())
    try:
        arbiter.start()
    finally:
        pidfile.unlink()


spawned = 0


def give_up_on_dying_workers(**_: object) -> bool:
    """End the daemon with an error when worker after worker dies at its start."""
    global spawned
    some_listen = any(WORKERS.iterdir()) or ONE_LISTENED.exists()
    ONE_LISTENED.unlink(missing_ok=True)
    spawned = 0 if some_listen else spawned + 1
    if spawned > DEATHS:
        print(
            f"{DEATHS} workers died before they listened; see ~/.aiida/daemon/log",
            flush=True,
        )
        os._exit(1)
    return True


if __name__ == "__main__":
    main()
