"""The profile of the tests and its daemon: embedded and thrown away, or one there is.

Nothing here may import AiiDA before `empty_folder` has said where its settings are.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests import REPOSITORY
from tests.commands import verdi

# A profile that is there already, as the image's with PostgreSQL and RabbitMQ.
PROFILE = os.environ.get("AIIDA_TEST_PROFILE")


def empty_folder() -> Path:
    """Return a new folder, which is AiiDA's unless a profile is there already.

    To be called before anything imports AiiDA.
    """
    # Short, and not below pytest's own folder: socket paths end at 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="hitl-"))
    (folder / ".aiida").mkdir()
    if PROFILE is None:
        os.environ["AIIDA_PATH"] = str(folder)
    # `verdi` and `python` of this environment, for everything that is started.
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    find_modules_in(REPOSITORY)
    return folder


def find_modules_in(folder: Path) -> None:
    """Have whatever is started import from a folder, first of all."""
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def have_profile() -> str:
    """Load the profile that is there, or else make one, and return its name."""
    from aiida import load_profile
    from aiida.manage.configuration import reset_config

    if PROFILE is not None:
        return load_profile(PROFILE).name
    verdi("presto", "--use-zeromq", "-p", "test", "--non-interactive")
    # Longer than the 30 s after which it kills a worker that does not end.
    verdi("config", "set", "daemon.timeout", "45")
    reset_config()  # a test before this one may have read it without the profile
    return load_profile("test").name


def have_daemon() -> None:
    """Start the daemon if a test stopped it, and connect to it."""
    from aiida.engine.daemon.client import get_daemon_client
    from aiida.manage import get_manager

    if not get_daemon_client().is_daemon_running:
        verdi("daemon", "start")
    # AiiDA's own connection does not find a ZeroMQ broker that was started anew, and a
    # runner that is closed stops its loop, which may not be that of a browser.
    manager = get_manager()
    manager.reset_broker()
    manager.reset_runner()
    manager.set_runner(manager.create_runner(loop=asyncio.new_event_loop()))


def refresh() -> None:
    """End the read transaction, so that SQLite shows what the daemon wrote."""
    from aiida_humanintheloop.database import look_anew

    look_anew()
