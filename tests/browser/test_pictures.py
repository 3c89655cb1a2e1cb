"""The pictures of the inbox in README and tutorial: what they show is to be had.

When what they show has changed, copy them from `test-output/browser/`:
`picture-inbox.png` to `docs/inbox.png`, `picture-game.png` to
`tutorial/images/inbox.png`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiida.orm import WorkChainNode
from playwright.sync_api import Browser, Locator, Page, expect

from aiida_humanintheloop.inbox import answer, history
from aiida_humanintheloop.workflows.equation_of_state import EquationOfStateWorkChain
from aiida_humanintheloop.workflows.lattice_energy import python_on
from tests.browser.conftest import Lab, keep
from tests.browser.notebook import Ask, of, show
from tests.game import target_of
from tests.patience import wait_until
from tests.profile import refresh


@pytest.fixture
def sharp(chromium: Browser) -> Iterator[Page]:
    """Return a page of finer dots, as pictures are enlarged."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 1900}, device_scale_factor=1.5
    )
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def picture(inbox: Locator, name: str) -> None:
    """Keep one, as wide as README and tutorial have it."""
    inbox.evaluate("element => { element.style.width = '748px'; }")
    inbox.page.mouse.move(0, 0)  # what is below it looks otherwise
    keep(inbox, name)


def test_the_picture_of_the_readme(sharp: Page, lab: Lab, ask: Ask) -> None:
    """A plot, what was fitted, three answers to choose from and the history."""
    code = python_on("localhost")
    node = ask(EquationOfStateWorkChain, code=code, range=[1.05, 1.15])
    for number, value, comment in (
        (1, "other range", "the minimum is further to the left"),
        (2, [0.9, 1.1], None),
    ):
        assert answer(node, value, comment=comment).accepted
        wait_until(
            lambda number=number: refresh() or len(history(node)) > number, "it asks"
        )
    inbox = show(sharp, lab, of(node))
    expect(inbox.locator(".hitl-evidence")).to_have_count(2)
    expect(inbox.locator("img")).to_have_js_property("complete", True)
    expect(inbox.get_by_role("radio")).to_have_count(3)
    expect(inbox.locator("details[data-name=History] tbody tr")).to_have_count(2)
    picture(inbox, "picture-inbox")


def test_the_picture_of_the_tutorial(
    sharp: Page, lab: Lab, game: WorkChainNode
) -> None:
    """A game that goes on, and a bad answer that is told why."""
    wrong = 50 if target_of(game) != 50 else 49
    inbox = show(sharp, lab, of(game))
    line = inbox.locator("form .hitl-input").first
    line.fill(str(wrong))
    line.press("Enter")
    expect(inbox.locator(".hitl-question")).to_contain_text(f"than {wrong}. Try again.")
    expect(line).to_be_focused()
    line.fill("101")
    line.press("Enter")
    expect(inbox.locator(".hitl-verdict")).to_contain_text("'101' was not taken")
    expect(inbox.locator(".hitl-count")).to_have_text("1 question waits.")
    picture(inbox, "picture-game")
