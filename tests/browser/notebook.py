"""A notebook with an inbox in it, as tests open one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nbformat
from aiida.orm import WorkChainNode
from playwright.sync_api import Locator, Page

from tests.browser.conftest import Lab, click_menu, wait_for_kernel
from tests.processes import ended

#: Submits a workflow of `asking`, and waits until it asks.
Ask = Callable[..., WorkChainNode]
#: What must stay text, wherever it is shown.
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> & [red]<script> Größe 体积 🧪"


def show(page: Page, lab: Lab, *cells: str) -> Locator:
    """Run a notebook of these cells, and return the inbox in it."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    name = f"inbox-{len(list(lab.folder.glob('*.ipynb')))}.ipynb"
    nbformat.write(notebook, lab.folder / name)
    # Kernels of earlier tests would go on to look what waits.
    for session in page.request.get(lab.address("api/sessions")).json():
        page.request.delete(lab.address(f"api/sessions/{session['id']}"))
    page.goto(lab.address(f"lab/tree/{name}"))
    wait_for_kernel(page, lab.address("api/sessions"), name)
    click_menu(page, "Run", "Run All Cells")
    inbox = page.locator(".hitl-inbox")
    inbox.first.wait_for()
    return inbox


def of(node: WorkChainNode | None = None) -> str:
    """Return the source of a cell that shows the inbox."""
    which = "" if node is None else node.pk
    return (
        "from aiida import load_profile\nload_profile()\n"
        f"from aiida_humanintheloop.widget import Inbox\nInbox({which})"
    )


def unfold(item: Locator) -> None:
    """Have the form of a question on the page; the only one is there by itself."""
    head = item.locator(".hitl-head")
    if head.get_attribute("aria-expanded") == "false":
        head.click()
    item.locator("form").wait_for()


def said(node: WorkChainNode) -> Any:
    """Return what a workflow was answered, once it has ended."""
    return ended(node).outputs.answer["value"]
