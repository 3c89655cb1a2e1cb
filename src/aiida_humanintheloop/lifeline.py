"""What a worker does when its broker goes away, so that no process fails for that.

A ZeroMQ broker that was killed is started anew by the daemon, at another address and
without knowledge of any worker. The workers of aiida-core 2.9 do not notice: no task
and no message reaches them any more, until somebody restarts the daemon: such a worker
is ended, and the daemon starts one that the broker knows. Nor does such a broker always
notice the end of a worker, see `witness`. RabbitMQ needs none of this: its client
connects again by itself. But what goes away in the moment of a subscription may hold
the name for ever, see `custody`, and a step fails that needs the broker in the moment
in which it goes away, as each function does to tell of its state.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any
from weakref import WeakSet

import kiwipy
from aiida.brokers.zeromq import ZeromqBroker
from aiida.common.log import AIIDA_LOGGER
from aiida.engine.runners import Runner
from aiida.manage import get_manager

from . import witness

__all__ = [
    "BrokerLost",
    "end_in_time",
    "end_worker",
    "hold",
    "in_thread",
    "is_away",
    "lost_not_failed",
    "returns",
]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.lifeline")
_ENDPOINT = "_router_endpoint"
_LOOK_AGAIN_SECONDS = 0.5
# An orderly end writes nothing that matters. It may wait for what is gone, and for ever
# where aiida-core 2.9 fails to close its connection to RabbitMQ.
_END_SECONDS = 10

# For any other beginning each process of a worker would create a task.
_HEARD_BY_NOBODY = "state_changed.broker.returned"

# In whose code an error of the broker begins, and not one of what else a step talks to.
_CLIENTS = ("kiwipy.", "aio_pika.", "aiormq.", "aiida.brokers.")

_held: WeakSet[Runner] = WeakSet()
_one_at_a_time = asyncio.Lock()


class BrokerLost(BaseException):
    """The broker went away in the middle of a step.

    Not an Exception, and followed by the same, as `database.DatabaseLost`.
    """


def hold(runner: Runner) -> None:
    """Watch whether the broker of this worker is still the one it is connected to."""
    broker: Any = get_manager().get_broker()
    if runner not in _held and isinstance(broker, ZeromqBroker):
        _held.add(runner)
        # Asked for once: where the worker ends it is closed, and another would be made.
        communicator = broker.get_communicator()
        # Both are private in aiida-core 2.9, and there is no other sign of it.
        if hasattr(broker, _ENDPOINT) and hasattr(communicator, _ENDPOINT):
            _look(runner, broker, communicator)
            _have_witness(getattr(communicator, _ENDPOINT))
        else:
            _LOGGER.warning(
                "this aiida-core is not known: restart the daemon when its broker died"
            )


def _have_witness(endpoint: str) -> None:
    try:
        witness.stand_by(endpoint)
    except OSError as error:
        _LOGGER.warning("the broker may overlook it should this worker die: %s", error)


def _look(runner: Runner, broker: Any, communicator: Any) -> None:
    if getattr(broker, _ENDPOINT) in (None, getattr(communicator, _ENDPOINT)):
        runner.loop.call_later(_LOOK_AGAIN_SECONDS, _look, runner, broker, communicator)
        return
    end_worker("its broker was started anew")


def end_worker(reason: str) -> None:
    """End this worker; the daemon starts another, and all tasks go to that."""
    _LOGGER.warning("this worker ends, for one to follow: %s", reason)
    end_in_time()
    os.kill(os.getpid(), signal.SIGTERM)


def end_in_time() -> None:
    """Have this worker, which was told to end, be ended by force if it does not.

    Its daemon would do so after 30 s, in which nobody takes up what it had, and
    `verdi daemon restart` may give up.
    """
    signal.alarm(_END_SECONDS)


def is_away(error: Exception) -> bool:
    """Return whether an error says that the broker is away, or goes away just now.

    plumpy and aiida-core know some of these; the others would end a process.
    """
    from aio_pika.exceptions import AMQPError, ChannelInvalidStateError  # takes 0.1 s

    known = (
        ConnectionError,
        TimeoutError,
        concurrent.futures.TimeoutError,
        kiwipy.TimeoutError,
        kiwipy.CommunicatorClosed,
        kiwipy.TaskRejected,
        AMQPError,
        ChannelInvalidStateError,
    )
    # aio_pika says in words alone that it is closed, or is not yet open again.
    in_words = isinstance(error, RuntimeError) and "Connection" in str(error)
    return in_words or isinstance(error, known)


@contextmanager
def lost_not_failed() -> Iterator[None]:
    """Have a broker that goes away not end the process that runs within.

    :raises BrokerLost: in place of whatever that was noticed by.
    """
    try:
        yield
    except Exception as error:
        if is_away(error) and _is_of_client(error):
            raise BrokerLost from error
        raise


async def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call the client of a broker, which takes long, while the loop does other things.

    :raises ConnectionError: where the client gives a connection up that hangs: it
        cancels what waits for that, and who awaits it would take itself for cancelled.
    """

    def call() -> Any:
        try:
            return function(*args, **kwargs)
        except concurrent.futures.CancelledError as error:
            raise ConnectionError("the broker hangs") from error

    return await asyncio.to_thread(call)


async def returns(communicator: Any) -> None:
    """Wait until the broker takes what is sent, or says something else of it.

    A step that submits makes a child each time that it runs: it is to do so once more,
    and not again and again until it can.
    """
    async with _one_at_a_time:
        while True:
            try:
                await in_thread(
                    communicator.broadcast_send, None, None, _HEARD_BY_NOBODY
                )
            except Exception as error:
                if not is_away(error):
                    return  # the step will hear the same
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return


def _is_of_client(error: Exception) -> bool:
    """Return whether an error was raised in the code of a client of a broker."""
    modules = [
        frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)
    ]
    return any(module.startswith(_CLIENTS) for module in modules)
