"""End a worker that its broker has lost, so that the daemon starts one that it knows.

A ZeroMQ broker that was killed is started anew by the daemon, at another address and
without knowledge of any worker. The workers of aiida-core 2.9 do not notice: no task
and no message reaches them any more, until somebody restarts the daemon. RabbitMQ needs
none of this: its client connects again by itself. But what goes away in the moment of a
subscription may hold the name for ever, see `custody`.
"""

from __future__ import annotations

import concurrent.futures
import os
import signal
from typing import Any
from weakref import WeakSet

import kiwipy
from aiida.brokers.zeromq import ZeromqBroker
from aiida.common.log import AIIDA_LOGGER
from aiida.engine.runners import Runner
from aiida.manage import get_manager

__all__ = ["end_worker", "hold", "is_away"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.lifeline")
_ENDPOINT = "_router_endpoint"
_LOOK_AGAIN_SECONDS = 0.5
# An orderly end writes nothing that matters, and may wait for what is gone.
_END_SECONDS = 10

_held: WeakSet[Runner] = WeakSet()


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
        else:
            _LOGGER.warning(
                "this aiida-core is not known: restart the daemon when its broker died"
            )


def _look(runner: Runner, broker: Any, communicator: Any) -> None:
    if getattr(broker, _ENDPOINT) in (None, getattr(communicator, _ENDPOINT)):
        runner.loop.call_later(_LOOK_AGAIN_SECONDS, _look, runner, broker, communicator)
        return
    end_worker("its broker was started anew")


def end_worker(reason: str) -> None:
    """End this worker; the daemon starts another, and all tasks go to that."""
    _LOGGER.warning("this worker ends, for one to follow: %s", reason)
    signal.alarm(_END_SECONDS)  # ends the worker by force
    os.kill(os.getpid(), signal.SIGTERM)


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
        AMQPError,
        ChannelInvalidStateError,
    )
    # aio_pika says in words alone that it is closed, or is not yet open again.
    in_words = isinstance(error, RuntimeError) and "Connection" in str(error)
    return in_words or isinstance(error, known)
