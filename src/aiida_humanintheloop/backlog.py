"""Whether tasks queue up at the broker, which no worker has got yet."""

from __future__ import annotations

from aiida.brokers.rabbitmq import RabbitmqBroker
from aiida.brokers.rabbitmq.utils import get_launch_queue_name
from aiida.brokers.zeromq import ZeromqBroker
from aiida.manage import get_manager

from . import lifeline
from .exceptions import Unreachable

__all__ = ["is_empty"]

_CONNECT_SECONDS = 5.0


async def is_empty() -> bool:
    """Return whether every task has been handed to a worker, as of some seconds ago.

    :raises Unreachable: if the broker is away.
    """
    broker = get_manager().get_broker()
    if isinstance(broker, RabbitmqBroker):
        return await _ready(broker) == 0
    if isinstance(broker, ZeromqBroker):
        return broker.probe_service_status().get("pending_tasks") == 0
    return False  # of an aiida-core that is not known


async def _ready(broker: RabbitmqBroker) -> int:
    """Return how many tasks RabbitMQ has for the next worker that takes one."""
    import aio_pika

    try:
        connection = await aio_pika.connect(broker.get_url(), timeout=_CONNECT_SECONDS)
        async with connection, connection.channel() as channel:
            name = get_launch_queue_name(broker._prefix)
            queue = await channel.declare_queue(name, passive=True)
            return queue.declaration_result.message_count or 0
    except Exception as error:
        if lifeline.is_away(error):
            raise Unreachable("The broker is away.") from error
        raise
