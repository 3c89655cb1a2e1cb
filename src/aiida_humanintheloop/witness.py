"""Tell a ZeroMQ broker that a worker has ended, which it may overlook.

The broker of aiida-core 2.9 tries who is still there in the moment in which it hears of
an end, and may come too early: the tasks of the dead worker go to no other until
anybody else leaves. So a process of a megabyte waits beside the worker until that has
ended, however it did, and then comes and leaves: this file, run as a program.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress

__all__ = ["stand_by"]

# The shell reads until the kernel closes the other end of the pipe. It is no child of
# the worker: the daemon kills those with a worker that does not end in time.
_WAIT_FOR_THE_END = 'exec 3<&0; (read -r _ <&3 || exec "$@") &'
_REPLY_SECONDS = 10.0
_HEARD_BY_NOBODY = "a-worker-has-ended"


def stand_by(endpoint: str) -> None:
    """Have the broker be told as soon as this process has ended.

    :param endpoint: of the broker, as `ipc:///path/router.sock`.
    :raises OSError: if there may be no more processes.
    """
    theirs, _ours = os.pipe()  # ours is never closed, and nothing that runs inherits it
    program = [sys.executable, __file__, endpoint]
    try:
        subprocess.run(
            ["/bin/sh", "-c", _WAIT_FOR_THE_END, "sh", *program],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # whoever interrupts the worker means only that
            check=False,
        )
    finally:
        os.close(theirs)


def _come_and_leave(endpoint: str) -> None:
    """Connect to the broker, and leave once it has done all that came before."""
    from aiida.brokers.zeromq.communicator import ZeromqCommunicator

    with suppress(Exception), ZeromqCommunicator(endpoint) as communicator:
        communicator.rpc_send(_HEARD_BY_NOBODY, None).result(_REPLY_SECONDS)


def _is_there(endpoint: str) -> bool:
    """Return whether the broker did not end with its worker, as a daemon does."""
    with socket.socket(socket.AF_UNIX) as door:
        return door.connect_ex(endpoint.removeprefix("ipc://")) == 0


if __name__ == "__main__":
    del sys.path[0]  # this folder: none of our modules is to be found by its bare name
    if _is_there(sys.argv[1]):
        _come_and_leave(sys.argv[1])
