"""What the workers of the daemon write into their log."""

from __future__ import annotations

from pathlib import Path

from aiida.engine.daemon.client import get_daemon_client


class DaemonLog:
    """The log from now on: what it had before is not of interest."""

    def __init__(self) -> None:
        """Begin where it ends now."""
        self._path = Path(get_daemon_client().daemon_log_file)
        self._seen = self._path.stat().st_size

    def news(self) -> str:
        """Return what was written since it was last asked for."""
        with self._path.open("rb") as log:
            log.seek(self._seen)
            said = log.read()
        self._seen += len(said)
        return said.decode()
