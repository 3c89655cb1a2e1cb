"""The inbox in a notebook, in a real browser, with workflows that really ask."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import numpy as np
import pytest
from aiida.engine.processes.control import pause_processes, play_processes
from aiida.manage import get_manager
from aiida.orm import ArrayData, Dict, SinglefileData, WorkChainNode, XyData
from aiida.orm.entities import EntityTypes
from playwright.sync_api import Page, expect

from aiida_humanintheloop import Boolean, Choice, Integer, Question
from aiida_humanintheloop.inbox import answer, history
from aiida_humanintheloop.workflows.lattice_energy import argon
from tests.asking import AskAgain, AskOne, AskTwo, Parent
from tests.browser.conftest import Lab, keep, seconds_since
from tests.browser.notebook import HOSTILE, Ask, of, said, show, unfold
from tests.commands import hitl_program
from tests.patience import wait_until
from tests.processes import ended
from tests.profile import refresh

MANY = 500
# As on a busy machine: what asks for a subshell is held back.
LATE_SUBSHELL = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  const text = typeof data === "string" ? data : new TextDecoder().decode(data);
  const isLate = text.includes("create_subshell_request");
  setTimeout(() => send.call(this, data), isLate ? 4000 : 0);
};
"""


def test_evidence_is_shown_in_place(page: Page, lab: Lab, ask: Ask) -> None:
    """Curves and images as images, structures and numbers as tables, or as text."""
    curve, points = ArrayData(), XyData()
    curve.set_array("energy", np.array([1.0, 0.0, 2.0]))
    points.set_x(np.arange(3.0), "volume", "Å^3")
    points.set_y(np.array([2.0, 1.0, 2.0]), "energy", "eV")
    image = SinglefileData.from_string(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "a.svg"
    )
    nodes = [
        curve,
        points,
        image,
        argon(),
        Dict({"a": 1}),
        SinglefileData.from_string(HOSTILE, "a.txt"),
    ]
    for node in nodes:
        node.store()
    node = ask(AskOne, question=Question("Good?", Boolean(), evidence=nodes))
    page.set_viewport_size({"width": 1280, "height": 2400})
    inbox = show(page, lab, of(node))
    shown = inbox.locator(".hitl-evidence")
    expect(shown).to_have_count(len(nodes))
    for number, alt in enumerate(
        ["energy against index", "energy (eV) against volume"]
    ):
        expect(shown.nth(number).get_by_alt_text(alt)).to_be_visible()
    for number in range(3):
        expect(shown.nth(number).locator("img")).to_have_js_property("complete", True)
        assert shown.nth(number).locator("img").evaluate("i => i.naturalWidth > 0")
    expect(shown.nth(3).locator("tbody tr")).to_have_count(1)
    expect(shown.nth(3)).to_contain_text("Ar, 1 sites")
    expect(shown.nth(4).locator("tbody td")).to_have_text(["a", "1"])
    expect(shown.nth(5).locator("pre")).to_have_text(HOSTILE)
    expect(shown.nth(5)).to_contain_text(f"SinglefileData <{nodes[5].pk}>")
    keep(page, "evidence")
    # What leads to the node: copied, or selected where the page has no clipboard.
    code = f'load_node("{nodes[0].uuid}")'
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.first.get_by_role("button", name=f"Copy {code}").click()
    expect(shown.first.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == code
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    shown.first.get_by_role("button", name=f"Copy {code}").click()
    expect(shown.first.get_by_role("status")).to_have_text("Press Ctrl+C to copy it.")
    assert page.evaluate("getSelection().toString()") == code


def test_hostile_text_stays_text(page: Page, lab: Lab, ask: Ask) -> None:
    """In questions, options, help, and in what people have answered."""
    again = ask(
        AskAgain, question=Question(HOSTILE, Choice([HOSTILE, "b"]), help=HOSTILE)
    )
    inbox = show(page, lab, of(again))
    form = inbox.locator("form")
    expect(inbox.locator(".hitl-question")).to_have_text(HOSTILE)
    expect(inbox.locator(".hitl-in-full").last).to_have_text(HOSTILE)
    form.get_by_role("radio", name=HOSTILE).check()
    form.get_by_label("Comment", exact=True).fill(HOSTILE)
    keep(page, "hostile")
    form.get_by_role("button", name="Answer", exact=True).click()
    expect(inbox.locator("tbody td", has_text="onerror").first).to_be_visible()
    assert page.title() != "owned"
    assert inbox.locator("img, script").count() == 0


def test_a_bad_answer_is_told_why_and_keeps_what_was_typed(
    page: Page, lab: Lab, game: WorkChainNode
) -> None:
    """With the keyboard alone; the next question comes into the same place."""
    inbox = show(page, lab, of(game))
    line = inbox.locator("form .hitl-input").first
    line.fill("101")
    line.press("Enter")
    verdict = inbox.locator(".hitl-verdict")
    expect(verdict).to_have_text(
        "'101' was not taken: the answer must be an integer between 1 and 100."
    )
    expect(line).to_be_focused()
    expect(line).to_have_value("101")
    target = 50  # whatever it is, the game is won or asks again
    line.fill(str(target))
    line.press("Enter")
    wait_until(
        lambda: refresh() or game.is_terminated or len(history(game)) == 2, "it goes on"
    )
    if not game.is_terminated:
        expect(inbox.locator(".hitl-question")).to_contain_text("than 50. Try again.")
        expect(inbox.locator("form .hitl-input").first).to_be_focused()
    expect(inbox.locator(".hitl-count")).to_contain_text("Accepted: 50.")
    expect(inbox.locator("details[data-name=History]")).to_contain_text("notebook")


def test_the_keyboard_is_enough(page: Page, lab: Lab, ask: Ask) -> None:
    """And no key that is pressed in the inbox is taken for one of the notebook."""
    ask(AskOne, question=Question("Another?"))
    node = ask(AskOne, question=Question("Which?", Choice(["a", "b", "c"])))
    inbox = show(page, lab, of())
    cells = page.locator(".jp-Cell").count()
    inbox.locator(f'li[data-key="{node.uuid}.1"] .hitl-head').focus()
    page.keyboard.press("Enter")
    expect(inbox.get_by_role("radio").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    for key in ("b", "d", "d", "x", "0", "0"):  # adds and deletes cells, restarts
        page.keyboard.press(key)
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    assert said(node) == "b"
    assert page.locator(".jp-Cell").count() == cells
    # Who has answered one is at the next.
    expect(inbox.locator("li.hitl-item")).to_have_count(1)
    expect(inbox.locator("li.hitl-item .hitl-head")).to_be_focused()


def test_a_key_held_down_answers_one_question(page: Page, lab: Lab, ask: Ask) -> None:
    """And the button keeps the focus, where an answer is refused."""
    node = ask(AskAgain, question=Question("Again?", Integer(), default=7))
    inbox = show(page, lab, of(node))
    line = inbox.locator("form .hitl-input").first
    line.fill("x")
    inbox.get_by_role("button", name="Answer", exact=True).click()
    expect(inbox.locator(".hitl-verdict")).to_contain_text("'x' was not taken")
    expect(line).to_be_focused()
    line.fill("7")
    page.keyboard.down("Enter")
    inbox.locator(f'li[data-key="{node.uuid}.2"] form').wait_for()
    expect(inbox.locator("form .hitl-input").first).to_be_focused()
    page.keyboard.down("Enter")  # as the browser repeats it
    page.keyboard.up("Enter")
    page.wait_for_timeout(500)
    assert len(history(node)) == 2


def test_an_open_form_sees_what_others_answer(page: Page, lab: Lab, ask: Ask) -> None:
    """In a terminal, while somebody types; the draft for another is kept."""
    mine = ask(AskOne, question=Question("Mine?"))
    other = ask(AskOne, question=Question("The other's?"))
    inbox = show(page, lab, of())
    for node in (mine, other):
        unfold(inbox.locator(f'li[data-key="{node.uuid}.1"]'))
    draft = inbox.locator(f'li[data-key="{mine.uuid}.1"] textarea')
    draft.fill("half a th")
    hitl_program("answer", str(other.pk), "theirs")
    item = inbox.locator(f'li[data-key="{other.uuid}.1"]')
    item.wait_for(state="detached", timeout=5_000)
    expect(inbox.locator(".hitl-closed")).to_contain_text("theirs by")
    expect(draft).to_have_value("half a th")
    expect(draft).to_be_focused()


@pytest.mark.parametrize("late", [False, True])
def test_the_kernel_stays_free(page: Page, lab: Lab, ask: Ask, late: bool) -> None:
    """Cells run while it waits, and it answers while a cell runs.

    What JupyterLab sends before the kernel has made a subshell waits for the cells.
    """
    if late:
        page.add_init_script(LATE_SUBSHELL)
    node = ask(AskOne, question=Question("When?"))
    inbox = show(
        page,
        lab,
        of(node),
        "import time\nfrom aiida_humanintheloop.inbox import open_questions\n"
        f"def waits():\n    return {node.pk} in [x.pk for x in open_questions()]\n"
        "print('free')\nwhile waits():\n    time.sleep(0.1)\nprint('seen')",
    )
    output = page.locator(".jp-OutputArea-output pre")
    expect(output).to_have_text("free\n")
    inbox.locator("textarea").fill("now")
    inbox.get_by_role("button", name="Answer", exact=True).click()
    expect(output).to_have_text("free\nseen\n")
    assert said(node) == "now"


def test_a_notebook_can_wait_for_its_answer(page: Page, lab: Lab, ask: Ask) -> None:
    """The form comes inline, and the cell goes on with the answer."""
    node = ask(AskOne, question=Question("How many?", Integer()))
    inbox = show(
        page,
        lab,
        of(node).rpartition("\n")[0] + "\nfrom aiida_humanintheloop.widget import ask\n"
        f"letter = await ask({node.pk})\nprint('so', letter.answer.value + 1)",
    )
    inbox.locator("form .hitl-input").first.fill("41")
    inbox.locator("form .hitl-input").first.press("Enter")
    expect(page.locator(".jp-OutputArea-output pre")).to_have_text("so 42\n")


def choose_theme(page: Page, name: str) -> None:
    """Choose how JupyterLab looks."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Theme", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).click()
    is_light = str(name == "JupyterLab Light").lower()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", is_light)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)


def test_deadline_people_and_names_are_said(page: Page, lab: Lab, ask: Ask) -> None:
    """Beside the question, before anybody has answered."""
    node = ask(
        AskOne,
        question=Question(
            "Go on?",
            Boolean(),
            default=True,
            within=timedelta(hours=3),
            at_deadline="default",
            assignees=["ada@example.org"],
        ),
    )
    inbox = show(page, lab, of(node))
    expect(inbox.locator(".hitl-head")).to_contain_text("for ada@example.org")
    head = inbox.get_by_role("button", name="for ada@example.org")
    # The clock, which changes each second, describes the button and does not name it.
    expect(head).to_have_accessible_name(
        re.compile(r"^Go on\? AskOne <\d+> · for ada@example.org · until [^·]+$")
    )
    expect(head).to_have_accessible_description(re.compile(r"^waiting for \d+ \w+$"))
    expect(inbox.locator(".hitl-panel")).to_contain_text(
        "(in 2 h), then the default is taken"
    )
    expect(inbox.get_by_label("Yes")).to_be_checked()
    keep(page, "deadline")
    choose_theme(page, "JupyterLab Dark")
    expect(inbox.locator("li")).not_to_have_css(
        "background-color", "rgb(255, 255, 255)"
    )
    keep(page, "dark")
    choose_theme(page, "JupyterLab Light")
    inbox.get_by_role("button", name="Answer", exact=True).click()
    expect(inbox.locator(".hitl-verdict")).to_contain_text("only ada@example.org may")


def test_what_was_paused_says_how_it_goes_on(page: Page, lab: Lab, ask: Ask) -> None:
    """Beside the questions; and what is said of it changes with it."""
    parent = ask(Parent, question=Question("Of the child?", Boolean()))
    pause_processes([parent], msg_text="Paused for lunch", timeout=30)
    inbox = show(page, lab, of().replace("Inbox()", "Inbox(everything=True)"))
    item = inbox.locator("li.hitl-item", has_text="· waiting").filter(
        has_not_text="called by"
    )
    expect(item.locator(".hitl-question")).to_have_text("Paused for lunch")
    item.locator(".hitl-head").click()
    expect(item.locator("code")).to_have_text(f"verdi process play {parent.pk}")
    expect(inbox.locator(".hitl-count")).to_have_text(
        "1 question waits. 1 paused without one."
    )
    keep(inbox, "paused")
    refresh()
    parent.set_process_status("Paused for the night")
    refresh()
    expect(item.locator(".hitl-question")).to_have_text("Paused for the night")
    play_processes([parent], timeout=30)
    item.wait_for(state="detached")
    (child,) = parent.called
    assert answer(child, True).accepted
    ended(parent)


def test_several_questions_of_one_workflow(page: Page, lab: Lab, ask: Ask) -> None:
    """Each has a form of its own; when all are answered it ends."""
    node = ask(AskTwo, until="all")
    inbox = show(page, lab, of(node))
    expect(inbox.locator(".hitl-question")).to_have_text(
        ["first: The first?", "second: The second?"]
    )
    for name in ("second", "first"):
        item = inbox.locator("li", has_text=f"{name}: ")
        item.locator("textarea").fill(name)
        item.get_by_role("button", name="Answer", exact=True).click()
        item.wait_for(state="detached")
    expect(inbox.locator(".hitl-end")).to_contain_text("The workflow has finished.")
    expect(inbox.locator(".hitl-end")).to_contain_text("answers: Dict")
    assert ended(node).outputs.answers.get_dict() == {
        "first": "first",
        "second": "second",
    }


@pytest.fixture
def many(ask: Ask) -> Iterator[list[int]]:
    """Return the PKs of hundreds that wait: copies of one, in the database alone."""
    one = ask(AskOne, question=Question("One of many?", Integer()))
    refresh()
    storage, now = get_manager().get_profile_storage(), datetime.now(timezone.utc)
    row = {
        "node_type": one.node_type,
        "process_type": one.process_type,
        "ctime": now,
        "mtime": now,
        "attributes": one.base.attributes.all,
        "extras": one.base.extras.all,
        "repository_metadata": {},
        "user_id": one.user.pk,
        "label": "",
        "description": "",
    }
    copies = [{**row, "uuid": str(uuid4())} for _ in range(MANY)]
    pks = storage.bulk_insert(EntityTypes.NODE, copies, allow_defaults=True)
    refresh()
    yield pks
    refresh()
    with storage.transaction():
        storage.delete_nodes_and_connections(pks)


def test_many_questions_stay_usable(
    page: Page, lab: Lab, ask: Ask, many: list[int]
) -> None:
    """Of hundreds, one is found by words, answered and gone in seconds."""
    special = ask(AskOne, question=Question("The needle?", Integer()))
    begin = time.monotonic()
    inbox = show(page, lab, of())
    count = MANY + 2
    expect(inbox.locator("li.hitl-item")).to_have_count(count)
    print(f"{count} questions are on the page after {seconds_since(begin):.1f} s")
    keep(page, "many")
    begin = time.monotonic()
    inbox.get_by_role("searchbox").fill("needle")
    visible = inbox.locator("li.hitl-item:visible")
    expect(visible).to_have_count(1)
    print(f"one of them is found after {seconds_since(begin):.2f} s")
    expect(inbox.get_by_text(f"1 of {count} match.")).to_be_visible()
    visible.locator(".hitl-head").click()
    visible.locator(".hitl-input").first.fill("7")
    begin = time.monotonic()
    visible.locator(".hitl-input").first.press("Enter")
    expect(inbox.locator(".hitl-count")).to_contain_text("Accepted: 7.")
    print(f"its verdict is there after {seconds_since(begin):.2f} s")
    expect(visible).to_have_count(0)
    print(f"and it is gone after {seconds_since(begin):.2f} s")
    assert said(special) == 7
    expect(inbox.locator(".hitl-count")).to_have_text(
        f"Accepted: 7. {count - 1} questions wait."
    )
