"""Real servers on loopback that take what people are told: a webhook and a mail box."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message


class Webhook(ThreadingHTTPServer):
    """A web server that takes messages.

    :ivar messages: titles and texts, oldest first.
    :ivar replies: cleared, it takes a message and does not reply.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        """Begin to listen, on any free port unless one is given."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.messages: list[tuple[str, str]] = []
        self.replies = threading.Event()
        self.replies.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return its address, as Apprise has it."""
        return f"json://127.0.0.1:{self.server_port}/hooks/a-secret"

    def told_of(self, text: str) -> list[str]:
        """Return the messages in which this stands."""
        return [body for _, body in self.messages if text in body]

    def close(self) -> None:
        """Listen no more."""
        self.replies.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        record = json.loads(self.rfile.read(size))
        self.server.messages.append((record["title"], record["message"]))
        self.server.replies.wait()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class Mailbox(Message):
    """A mail server, and what it was given.

    :ivar mails: `email.message.Message`, oldest first.
    """

    def __init__(self) -> None:
        """Begin to listen on a free port."""
        super().__init__()
        self.mails: list[Any] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]  # aiosmtpd takes no 0 for any
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port)
        self._controller.start()

    def handle_message(self, message: Any) -> None:
        """Keep a mail."""
        self.mails.append(message)

    @property
    def url(self) -> str:
        """Return the address of somebody there, as Apprise has it."""
        people = "from=aiida@example.org&to=ada@example.org"
        return f"mailto://127.0.0.1:{self._port}?{people}&mode=insecure"

    def close(self) -> None:
        """Listen no more."""
        self._controller.stop()
