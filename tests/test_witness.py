"""That a ZeroMQ broker hears of the end of a worker, with a broker of aiida-core."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiida.brokers.zeromq.communicator import ZeromqCommunicator
from aiida.brokers.zeromq.server import ZeromqBrokerServer
from zmq.utils.monitor import recv_monitor_message

from tests.patience import wait_until

# As a worker does: take a task, and never be done with it.
WORKER = """
import sys, time
from concurrent.futures import Future
from aiida.brokers.zeromq.communicator import ZeromqCommunicator
from aiida_humanintheloop import witness

if sys.argv[2] == "with":
    witness.stand_by(sys.argv[1])
communicator = ZeromqCommunicator(sys.argv[1])
communicator.start()
communicator.add_task_subscriber(lambda *_: Future(), "worker")
time.sleep(600)
"""


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZeromqBrokerServer]:
    """Return a broker that does something when it is told to."""
    folder = tmp_path_factory.mktemp("zmq")
    server = ZeromqBrokerServer(folder / "tasks", folder / "sockets")
    server.start()
    yield server
    server.stop()


def overlook_a_worker(broker: ZeromqBrokerServer, has_witness: bool) -> None:
    """Kill a worker that has a task, and have the broker not notice."""
    endpoint = f"ipc://{broker.sockets_path}/router.sock"
    how = "with" if has_witness else "without"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, endpoint, how])
    with ZeromqCommunicator(endpoint) as client:
        client.task_send("a task", no_reply=True)
        wait_until(lambda: held(broker) == 1, "it has the task")
    hear_of_an_end(broker)
    worker.kill()
    worker.wait()
    hear_of_an_end(broker)


def hear_of_an_end(broker: ZeromqBrokerServer) -> None:
    """Wait until somebody has left, and look after nobody."""
    wait_until(lambda: broker._monitor.poll(100) != 0, "somebody has left")
    recv_monitor_message(broker._monitor)


def held(broker: ZeromqBrokerServer) -> int:
    """Return how many tasks workers have, once the next message was heard."""
    broker.run_once(0.1)
    return len(broker.get_processing_tasks())


def test_a_witness_has_the_broker_look_again(broker: ZeromqBrokerServer) -> None:
    """The tasks of the dead go to the next worker, without anybody who does a thing."""
    overlook_a_worker(broker, has_witness=True)
    wait_until(lambda: held(broker) == 0, "it is there for another")
    assert len(broker.get_pending_tasks()) == 1


def test_without_one_it_would_not(broker: ZeromqBrokerServer) -> None:
    """If this fails, aiida-core looks by itself: remove the witness."""
    overlook_a_worker(broker, has_witness=False)
    assert {held(broker) for _ in range(50)} == {1}
