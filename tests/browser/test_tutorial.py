"""The started tutorial as a reader meets it, without Docker and in the image."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import keep, wait_for_kernel
from tests.browser.notebook import HOSTILE
from tests.container import conftest as container
from tests.scripts.seat import Seat as EmbeddedSeat

pytestmark = pytest.mark.timeout(900)
GAME = re.compile(r"HumanLoopWorkChain <(\d+)>")


@dataclass(frozen=True)
class Started:
    """A tutorial that is running.

    :ivar url: what `make up` tells a reader to open.
    :ivar shell: runs a command as in a terminal of it, and returns what that printed.
    """

    engine: str
    url: str
    shell: Callable[..., str]

    @property
    def sessions(self) -> str:
        """Address of the server's list of kernels."""
        return self.url.replace("/?", "/api/sessions?")


@pytest.fixture(scope="module", params=["embedded", "image"])
def tutorial(
    request: pytest.FixtureRequest,
    chromium: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Started]:
    """Start it, once for all tests of this file."""
    if request.param == "embedded":
        yield from embedded(EmbeddedSeat(tmp_path_factory.mktemp("seat")))
    else:
        request.getfixturevalue("image")
        yield from in_a_container(container.Seat(published=True))


def embedded(seat: EmbeddedSeat) -> Iterator[Started]:
    """Start it on this machine, in a fresh clone."""
    try:
        seat.make("up")
        (url,) = seat.make("url")
        yield Started("embedded", url, seat.run)
    finally:
        seat.make("clean", FORCE="1", ENGINE="local", DOCKER_HOST="unix:///nowhere")


def in_a_container(seat: container.Seat) -> Iterator[Started]:
    """Start it in the image."""
    try:
        seat.up()
        token = seat.run("cat", ".services/jupyter-token")
        yield Started("image", f"http://127.0.0.1:{seat.port}/?token={token}", seat.run)
    finally:
        seat.remove()


# The fixture of the image's own tests, by its name.
image = container.image


def test_a_reader_begins_at_the_start_page(page: Page, tutorial: Started) -> None:
    """The token of the address logs in; nothing pops up; the page can be run."""
    begin = time.monotonic()
    page.goto(tutorial.url)
    expect(page.get_by_role("heading", name="Start here")).to_be_visible()
    wait_for_kernel(page, tutorial.sessions, "tutorial/00-start-here.md")
    print(f"{tutorial.engine}: start page in {time.monotonic() - begin:.1f} s")
    expect(page.locator(".jp-Dialog, .Toastify__toast")).to_have_count(0)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(page.get_by_text("This cell has run.", exact=True)).to_be_visible()
    assert "token" not in page.url


def test_a_reader_wins_in_the_inbox(page: Page, tutorial: Started) -> None:
    """Chapter 3 by double click; a bad answer is told why; others' answers show."""
    open_chapter(page, tutorial, "03-play-it")
    run_until(page, "Inbox(another)")
    inbox = page.locator(".hitl-inbox")
    question = inbox.locator(".hitl-question")
    expect(question).to_have_text("Guess a number between 1 and 100.")
    pk = GAME.search(inbox.inner_text())[1]
    guess(page, 101)
    expect(inbox.locator(".hitl-verdict")).to_have_text(
        "'101' was not taken: the answer must be an integer between 1 and 100."
    )
    keep(page, f"refused-{tutorial.engine}")

    # Somebody else answers in a terminal, and the form changes by itself.
    target = int(tutorial.shell("verdi", "run", *program(tutorial, HIDDEN), pk))
    wrong = 1 if target > 1 else 2
    tutorial.shell("aiida-hitl", "answer", pk, str(wrong))
    expect(question).to_contain_text(f"than {wrong}. Try again.", timeout=5_000)
    expect(inbox.locator("form .hitl-input").first).to_have_value("")

    guess(page, target)
    expect(inbox.locator(".hitl-end")).to_contain_text("The workflow has finished.")
    expect(inbox.locator(".hitl-end")).to_contain_text("result: Dict")
    history = inbox.locator("details[data-name=History] tbody tr")
    expect(history).to_have_count(2)
    expect(history.nth(1)).to_contain_text("notebook")
    assert f"Attempt 2: {target}" in tutorial.shell("verdi", "process", "report", pk)


def test_the_launcher_opens_the_inbox(page: Page, tutorial: Started) -> None:
    """With nothing to run or to know; and what people wrote stays text."""
    hostile = SUBMIT.replace("TEXT", ascii(HOSTILE))
    tutorial.shell("verdi", "run", *program(tutorial, hostile))
    page.goto(f"{tutorial.url}&reset")
    page.get_by_role("heading", name="Start here").wait_for()
    page.locator(".lm-TabBar-addButton:visible").click()
    page.locator(".jp-LauncherCard", has_text="Inbox").click()
    inbox = page.locator(".hitl-inbox")
    expect(inbox.locator(".hitl-question").last).to_have_text(HOSTILE)
    keep(page, f"launcher-{tutorial.engine}")
    assert inbox.locator("img, script").count() == 0
    assert page.title() != "owned"


HIDDEN = """
import sys
from aiida.orm import load_node
from aiida_humanintheloop.workflows.guessing_game import hidden_number
print(hidden_number(load_node(int(sys.argv[1])).uuid))
"""
# No workflow of the tutorial asks whatever one likes: the text is put in its place.
SUBMIT = """
from aiida.engine import submit
from aiida_humanintheloop import HumanLoopWorkChain
from aiida_humanintheloop.inbox import wait_for_question
from aiida_humanintheloop.mailbox import RECORD
node = submit(HumanLoopWorkChain)
wait_for_question(node, 60)
record = node.base.extras.get(RECORD)
record["history"][0]["question"]["text"] = TEXT
node.base.extras.set(RECORD, record)
"""


def program(tutorial: Started, text: str) -> list[str]:
    """Write a program where the tutorial can read it, and return its path."""
    path = "/tmp/aiida-hitl-browser-test.py"
    write = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    tutorial.shell("python", "-c", write, path, text)
    return [path]


def open_chapter(page: Page, tutorial: Started, name: str) -> None:
    """Open a page of the tutorial by a double click, and wait for its kernel."""
    page.goto(f"{tutorial.url}&reset")
    page.get_by_role("heading", name="Start here").wait_for()
    page.locator(".jp-DirListing-item", has_text=name).dblclick()
    page.locator(".jp-NotebookPanel:visible .jp-Notebook").wait_for()
    wait_for_kernel(page, tutorial.sessions, f"tutorial/{name}.md")


def run_until(page: Page, last: str) -> None:
    """Run the cells from the top to one that has this in it, as a reader does."""
    cells = page.locator(".jp-NotebookPanel:visible .jp-Cell")
    cells.first.click()
    for _ in range(100):
        active: Any = page.locator(".jp-NotebookPanel:visible .jp-Cell.jp-mod-active")
        text = active.inner_text()
        page.keyboard.press("Shift+Enter")
        if last in text:
            return
    raise AssertionError(f"no cell has {last!r} in it")


def guess(page: Page, number: int) -> None:
    """Type a guess into the form."""
    line = page.locator(".hitl-inbox form .hitl-input").first
    line.fill(str(number))
    line.press("Enter")
