"""One worker of the AiiDA daemon: loads AiiDA while the services start, then listens.

The first worker of a container also brings back the processes whose task was lost.
"""

import asyncio
import atexit
import ctypes
import importlib
import os
import signal
import sys
import time

sys.path.append("/opt/tutorial/container")
from services import ANSWERS, RUN

PATIENCE = 120  # seconds; a crash recovery of PostgreSQL may take a while


def load_aiida() -> None:
    """Import what a worker needs: two seconds, which the services need as well."""
    for name in (
        "aiida.brokers.rabbitmq.broker",
        "aiida.engine.daemon.worker",
        "aiida.orm",
        "aiida.storage.psql_dos.backend",
        "aiida_humanintheloop",
        "kiwipy.rmq",
    ):
        importlib.import_module(name)


def wait_for(*names: str) -> None:
    """Wait until the services answer; end the worker when one does not."""
    deadline = time.monotonic() + PATIENCE
    while not all(ANSWERS[name]() for name in names):
        if time.monotonic() > deadline:
            sys.exit(f"{' or '.join(names)} did not answer within {PATIENCE} s")
        time.sleep(0.05)


def bring_back_lost_processes() -> None:
    """Queue a task for each unfinished process that has none.

    As `verdi process repair` does. A process that waits for a person may hold no task,
    and a broker that was killed may have lost one. Only the first worker of a container
    does this: nobody holds a task yet.
    """
    from aiida.engine.processes.control import get_active_processes, get_process_tasks
    from aiida.manage import get_manager

    try:
        (RUN / "repair").unlink()
    except FileNotFoundError:
        return
    unfinished = set(get_active_processes(project="id"))
    if not unfinished:
        return
    lost = unfinished.difference(get_process_tasks(get_manager().get_broker()))
    controller = get_manager().get_process_controller()
    for pk in sorted(lost):
        controller.continue_process(pk, nowait=False, no_reply=True)
    print(
        f"brought back {len(lost)} of {len(unfinished)} unfinished processes",
        flush=True,
    )


def end_with_the_daemon() -> None:
    """Have the kernel end this worker when the daemon is killed: nobody else would.

    With SIGKILL: a worker whose services were killed as well may never get through its
    orderly end, and two workers would then share the work. Its tasks are delivered
    again as soon as its connection is gone.
    """
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def main() -> None:
    """Load, wait, repair, listen."""
    end_with_the_daemon()
    load_aiida()
    wait_for("postgresql", "rabbitmq")

    from aiida.engine.daemon.worker import start_daemon_worker
    from aiida.manage import get_manager

    get_manager().load_profile("tutorial")
    bring_back_lost_processes()

    # The runner takes this thread's loop, and runs it once it has subscribed to tasks.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    listening = RUN / "workers" / str(os.getpid())
    loop.call_soon(listening.touch)
    loop.call_soon((RUN / "a-worker-listened").touch)
    atexit.register(listening.unlink, missing_ok=True)
    start_daemon_worker(foreground=True, profile_name="tutorial")


if __name__ == "__main__":
    main()
