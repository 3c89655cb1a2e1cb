"""A browser, and a JupyterLab as a seat has it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests import REPOSITORY
from tests.patience import wait_until

#: Screenshots; git ignores them.
PICTURES = REPOSITORY / "test-output" / "browser"
TOKEN = "t" * 16
# Without these, Debian's Chromium asks Google for news of itself at each start.
_QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # as root it has none
]
_LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, so that `-m 'not browser'` leaves them out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the Chromium of this machine; skip where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(which, names)), None)
    if path is None:
        reason = "there is no Chromium: install it, or say CHROMIUM=/path/to/it"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(f"REQUIRE_BROWSER=1, but {reason}")
        pytest.skip(reason)
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Return a page of a fresh browser, that is looked at when its test has ended.

    Nothing that it shows may come from anywhere but this machine.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 960})
    context.set_default_timeout(60_000)
    opened, asked = context.new_page(), []
    opened.on("request", lambda what: asked.append(what.url))
    opened.on("websocket", lambda what: asked.append(what.url))
    yield opened
    keep(opened, request.node.name)
    context.close()
    assert [url for url in asked if not url.startswith(_LOCAL)] == []


@pytest.fixture(scope="session")
def lab(
    _daemon_of_the_session: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """Start JupyterLab with the settings of a seat, on the profile of the tests."""
    started = Lab(tmp_path_factory.mktemp("lab"))
    yield started
    started.stop()


class Lab:
    """A running JupyterLab.

    :ivar folder: in which its notebooks lie.
    """

    def __init__(self, folder: Path) -> None:
        """Start it, and wait until it answers."""
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        own = {
            f"JUPYTER_{name}_DIR": str(folder / ".jupyter" / name.lower())
            for name in ("CONFIG", "DATA", "RUNTIME")
        }
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--allow-root"),
                *("--ip=127.0.0.1", f"--port={self.port}"),
                f"--ServerApp.root_dir={folder}",
            ],
            env={
                **os.environ,
                **own,
                "JUPYTER_CONFIG_PATH": str(REPOSITORY / "jupyter"),
                "JUPYTER_TOKEN": TOKEN,
                "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".jupyter" / "workspaces"),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "JupyterLab answers")

    def _answers(self) -> bool:
        assert self._process.poll() is None, "JupyterLab has ended"
        try:
            urllib.request.urlopen(f"{self.address('api')}").close()
        except urllib.error.URLError:
            return False
        return True

    def address(self, path: str) -> str:
        """Return the address of a page."""
        return f"http://127.0.0.1:{self.port}/{path}?token={TOKEN}&reset"

    def stop(self) -> None:
        """End it, and its kernels."""
        self._process.terminate()
        self._process.wait()


def keep(what: Page | Locator, name: str) -> None:
    """Keep a picture of what is to be seen now, for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    what.screenshot(path=PICTURES / f"{name}.png")


def click_menu(page: Page, menu: str, entry: str) -> None:
    """Choose from a menu of JupyterLab."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def wait_for_kernel(page: Page, api: str, notebook: str) -> None:
    """Wait until an open notebook has a kernel, and talks to it.

    Who runs a cell before is asked to select one.

    :param api: address of the server's sessions.
    :param notebook: its path.
    """

    def connected() -> bool:
        kernels = [
            session["kernel"]
            for session in page.request.get(api).json()
            if session["path"] == notebook
        ]
        return any(
            each["connections"] and each["execution_state"] == "idle"
            for each in kernels
        )

    wait_until(connected, "the kernel is connected")


def seconds_since(begin: float) -> float:
    """Return how long ago it was."""
    return time.monotonic() - begin
