"""Several people, and several views, at the same questions in a real browser."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from aiida_humanintheloop import Boolean, Integer, Question
from aiida_humanintheloop.inbox import answer, history
from tests.asking import AskAgain, AskOne
from tests.browser.conftest import Lab, click_menu, keep
from tests.browser.notebook import Ask, of, said, show, unfold


def line(inbox: Locator) -> Locator:
    """Return where the answer of the first open form is typed."""
    return inbox.locator("form .hitl-input").first


def test_nobody_answers_what_they_have_not_read(page: Page, lab: Lab, ask: Ask) -> None:
    """Where somebody else answers first, keys that follow go nowhere."""
    node = ask(AskAgain, question=Question("Which number?", Integer()))
    other = ask(AskOne, question=Question("Another?", Integer()))
    inbox = show(page, lab, of(node))
    line(inbox).press_sequentially("7")
    assert answer(node, 1).accepted
    second = inbox.locator(f'li[data-key="{node.uuid}.2"]')
    second.locator("form").wait_for()
    expect(inbox.locator(".hitl-count")).to_be_focused()
    expect(inbox.locator(".hitl-count")).to_contain_text(
        "“Which number?” was answered meanwhile by"
    )
    expect(inbox.locator(".hitl-draft pre")).to_have_text("7")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    expect(line(second)).to_have_value("")
    keep(inbox, "answered-meanwhile")
    # Their own answer leads on, and clears the draft.
    line(second).fill("2")
    line(second).press("Enter")
    third = inbox.locator(f'li[data-key="{node.uuid}.3"]')
    expect(line(third)).to_be_focused()
    expect(inbox.locator(".hitl-draft")).to_be_empty()
    assert [x.answer.value for x in history(node) if x.answer] == [1, 2]
    assert not any(x.answer for x in history(other))


def test_who_is_second_is_told(page: Page, lab: Lab, ask: Ask) -> None:
    """Nothing is sent twice, and the focus is at no other question."""
    first = ask(AskOne, question=Question("First?", Integer()))
    ask(AskOne, question=Question("Second?", Integer()))
    inbox = show(page, lab, of())
    item = inbox.locator(f'li[data-key="{first.uuid}.1"]')
    unfold(item)
    line(item).press_sequentially("7")
    answer(first, 1)
    item.wait_for(state="detached")
    expect(inbox.locator(".hitl-count")).to_be_focused()
    assert said(first) == 1


def test_two_inboxes_do_not_share_what_is_named(page: Page, lab: Lab, ask: Ask) -> None:
    """What is ticked in one stays ticked, and each field has its own hint."""
    nodes = [ask(AskOne, question=Question("Go?", Boolean())) for _ in range(2)]
    inboxes = show(page, lab, of(nodes[0]), of(nodes[1]))
    for number in range(2):
        inboxes.nth(number).get_by_label("Yes").check()
    expect(inboxes.nth(0).get_by_label("Yes")).to_be_checked()
    ids = page.locator(".hitl-inbox [id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids)) > 0


def test_two_views_of_one_inbox(page: Page, lab: Lab, ask: Ask) -> None:
    """A verdict is for the view that has sent the answer."""
    node = ask(AskOne, question=Question("How many?", Integer()))
    source = of(node).replace("Inbox(", "inbox = Inbox(")
    views = show(page, lab, f"{source}\ninbox", "inbox")
    expect(views).to_have_count(2)
    first, second = views.nth(0), views.nth(1)
    line(second).fill("8")
    line(first).fill("no number")
    line(first).press("Enter")
    expect(first.locator(".hitl-verdict")).to_contain_text("was not taken")
    expect(line(first)).to_be_focused()
    expect(second.locator(".hitl-verdict")).to_be_empty()
    line(first).fill("9")
    line(first).press("Enter")
    expect(first.locator(".hitl-count")).to_contain_text("Accepted: 9.")
    expect(second.locator(".hitl-count")).not_to_contain_text("Accepted")
    expect(second.locator(".hitl-draft pre")).to_have_text("8")
    assert said(node) == 9


def test_a_kernel_that_is_gone_is_said(page: Page, lab: Lab, ask: Ask) -> None:
    """Or the list, and its clock, would look alive for ever."""
    node = ask(AskOne, question=Question("Are you there?", Integer()))
    inbox = show(page, lab, of(node))
    line(inbox).fill("7")
    trouble = inbox.locator(".hitl-trouble")
    expect(trouble).to_be_hidden()
    page.get_by_role("button", name="Restart the kernel", exact=True).click()
    page.locator(".jp-Dialog button", has_text="Restart").click()
    expect(trouble).to_contain_text("run this cell again")
    keep(page, "kernel-gone")
    click_menu(page, "Run", "Run All Cells")
    expect(line(inbox)).to_have_value("")
    expect(trouble).to_be_hidden()
