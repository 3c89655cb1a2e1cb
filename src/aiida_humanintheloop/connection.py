"""A client's own connection to the broker: call a process, hear of news."""

from __future__ import annotations

import concurrent.futures
import logging
import re
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

import kiwipy
import psutil
from aiida.brokers import Broker
from aiida.engine.daemon.client import get_daemon_client
from aiida.manage import get_manager
from aiida.plugins import BrokerFactory
from plumpy.futures import unwrap_kiwi_future
from plumpy.process_comms import RemoteProcessThreadController

from .exceptions import NotLoaded, Unreachable

__all__ = ["Connection", "daemon_runs", "knock"]

# Of the steps between two questions nobody needs to hear.
_ASKED_OR_ENDED = re.compile(r"state_changed\..*\.(asked|finished|excepted|killed)$")
# The news of a question comes as a broadcast; this only catches one that got lost.
POLL_SECONDS = 3.0
# A worker answers in milliseconds. One that takes 200 workflows up again needs seconds,
# and a ZeroMQ broker that was started anew is only found by connecting anew.
REPLY_SECONDS = 2.0

# Both log a lost connection with a traceback where a person reads and types. We say it
# in our words, or connect anew and say nothing.
_OF_RABBITMQ = ("aio_pika", "aiormq")

# TimeoutError has several names before Python 3.11; an unknown host is an OSError.
_NO_REPLY = (
    OSError,
    TimeoutError,
    concurrent.futures.TimeoutError,
    kiwipy.TimeoutError,
    kiwipy.DeliveryFailed,
)


def daemon_runs() -> bool:
    """Return whether the daemon of the loaded profile is alive."""
    # The daemon client would take the daemon of another container for dead and delete
    # its PID file: only look.
    pid = get_daemon_client().get_daemon_pid()
    return pid is not None and psutil.pid_exists(pid)


class Connection:
    """A connection to the broker of the loaded profile, as a context manager.

    It is not AiiDA's shared one: that cannot be opened anew without breaking the runner
    that holds it, and has to be after each start of a ZeroMQ broker.

    :param sender: PK of the process whose news is wanted, None for all processes.
    """

    def __init__(self, sender: int | None = None) -> None:
        """Prepare; the connection is opened when it is first used."""
        self._sender = sender
        self._news = threading.Event()
        self._broker: Broker | None = None
        self._listener: str | None = None

    def __enter__(self) -> Connection:
        """Begin to listen."""
        self.listen()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def send(self, pk: int, message: dict[str, Any]) -> Any:
        """Send a message to a process and return its reply.

        :raises NotLoaded: if nobody takes it.
        :raises Unreachable: if nobody replies.
        """
        try:
            future = self._communicator().rpc_send(pk, message)
            return unwrap_kiwi_future(future).result(timeout=REPLY_SECONDS)
        except kiwipy.UnroutableError as error:
            raise NotLoaded(str(error)) from error
        except _NO_REPLY as error:
            self.close()
            raise Unreachable(str(error)) from error
        except Exception as error:
            # The ZeroMQ communicator says it with a plain Exception and its text.
            if "Recipient not found" in str(error) or "No handler" in str(error):
                raise NotLoaded(str(error)) from error
            # A worker that ends has its processes cancelled, and says so in many ways.
            raise Unreachable(str(error)) from error

    def bring_back(self, pk: int) -> None:
        """Have a worker take up a process whose task may be lost.

        As `verdi process repair` does, but at any time: of two tasks of an interactive
        process one is kept, see `custody`.
        """
        try:
            controller = RemoteProcessThreadController(self._communicator())
            controller.continue_process(pk, nowait=False, no_reply=True)
        except Exception as error:  # whatever a broker says that goes away
            self.close()
            raise Unreachable(str(error)) from error

    @classmethod
    def ring(cls, subject: str) -> None:
        """Have whoever listens to a subject look now, if the daemon runs."""
        if not daemon_runs():
            return
        connection = cls()
        try:
            connection._communicator().broadcast_send(body=None, subject=subject)
            connection._wait_until_sent()
        except Exception:  # whatever a broker says that goes away
            return  # they look now and then
        finally:
            connection.close()

    def listen(self) -> None:
        """Have every broadcast of the sender end `wait`, if the daemon runs."""
        if self._listener is not None or not daemon_runs():
            return
        try:
            communicator = self._communicator()
            news = kiwipy.BroadcastFilter(self._ring)
            if self._sender is not None:
                news.add_sender_filter(self._sender)
                news.add_subject_filter(_ASKED_OR_ENDED)
            communicator.add_broadcast_subscriber(news)
            # The ZeroMQ broker of aiida-core 2.9 forwards broadcasts only to clients
            # that can be called themselves.
            self._listener = communicator.add_rpc_subscriber(lambda *_: None)
        except Exception:  # whatever a broker says that goes away
            return  # the poll finds the question, only later

    def forget_news(self) -> None:
        """Take what was heard so far for known; to be called before looking."""
        self._news.clear()

    def wait(self, seconds: float = POLL_SECONDS) -> None:
        """Return when there is news, or after some seconds, for it may get lost."""
        self.listen()
        self._news.wait(min(seconds, POLL_SECONDS))

    def wake(self) -> None:
        """End a wait, from another thread."""
        self._news.set()

    def close(self) -> None:
        """Close it; the next use opens a new one."""
        if self._broker is not None:
            if self._listener is not None:
                self._sign_off()
            with suppress(Exception):  # it is gone either way
                self._broker.close()
        self._broker = self._listener = None

    def _sign_off(self) -> None:
        """Unsubscribe, and wait until the broker has done so.

        The ZeroMQ communicator drops what it has not sent when it is closed, and the
        broker would go on sending to a client that is gone.
        """
        try:
            communicator = self._communicator()
            communicator.remove_rpc_subscriber(self._listener)
            self._wait_until_sent()
        except Exception:  # whatever the broker says of it, this is the end
            return

    def _wait_until_sent(self) -> None:
        """Wait until the broker has all that was sent, and says so with an error."""
        # Nobody has this name: the broker says so when all before it is done.
        future = self._communicator().rpc_send(f"{self._listener}-gone", None)
        unwrap_kiwi_future(future).result(timeout=REPLY_SECONDS)

    def _communicator(self) -> Any:
        if self._broker is None:
            profile = get_manager().get_profile()
            if profile is None or profile.process_control_backend is None:
                raise Unreachable("The profile has no broker, so nothing can be asked.")
            knock(profile.process_control_config)
            for name in _OF_RABBITMQ:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            self._broker = BrokerFactory(profile.process_control_backend)(profile)
        return self._broker.get_communicator()

    def _ring(self, *_: Any, **__: Any) -> None:
        self._news.set()


def knock(server: dict[str, Any]) -> None:
    """Look whether a RabbitMQ server is there at all.

    A connection of kiwipy that comes to nothing leaves a thread behind, and what it
    is made of logs on the person's terminal, then and when it is collected.

    :param server: `process_control_config` of a profile; ZeroMQ's has no host.
    :raises OSError: if nobody listens there.
    """
    if "broker_host" in server:
        address = server["broker_host"], int(server["broker_port"])
        socket.create_connection(address, timeout=REPLY_SECONDS).close()
