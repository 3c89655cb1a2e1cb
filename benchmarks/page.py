#!/usr/bin/env python
"""Measure how long a reader waits from the address of `make up` to a first result.

Each round is a fresh browser, as on a laptop that has never seen the page: until its text
can be read, until its kernel is connected, until its first cell has printed. Beside it
the time of a bare page of the same server.

Use: benchmarks/page.py "$(make url)" [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import time
from shutil import which

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.table import Table

ROUNDS = 5
STEPS = ("a bare page", "text", "kernel", "first result")
_QUIET = ["--disable-background-networking", "--disable-gpu", "--no-sandbox"]


def measure(browser: Browser, url: str) -> list[float]:
    """Return the seconds from the opening of the address to each of the steps."""
    context = browser.new_context()
    page = context.new_page()
    sessions = url.replace("/?", "/api/sessions?")
    for session in page.request.get(sessions).json():
        page.request.delete(sessions.replace("?", f"/{session['id']}?"))
    begin = time.perf_counter()
    page.goto(url.replace("/?", "/api/status?"))
    bare = time.perf_counter() - begin
    begin = time.perf_counter()
    page.goto(f"{url}&reset")
    page.get_by_role("heading", name="Start here").wait_for()
    text = time.perf_counter() - begin
    while not any(
        each["kernel"]["connections"] and each["kernel"]["execution_state"] == "idle"
        for each in page.request.get(sessions).json()
    ):
        time.sleep(0.02)
    kernel = time.perf_counter() - begin
    page.locator(".jp-CodeCell").first.click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("This cell has run.", exact=True).wait_for()
    result = time.perf_counter() - begin
    context.close()
    return [bare, text, kernel, result]


def main(url: str, rounds: int) -> None:
    """Measure that often, and print the medians."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=which("chromium") or which("google-chrome"), args=_QUIET
        )
        found = [measure(browser, url) for _ in range(rounds)]
        browser.close()
    table = Table("step", "median, s", "slowest, s", "bare pages")
    bare = statistics.median(each[0] for each in found)
    for step, times in zip(STEPS, zip(*found, strict=True), strict=True):
        median = statistics.median(times)
        ratio = f"{median / bare:.0f}"
        table.add_row(step, f"{median:.2f}", f"{max(times):.2f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS)
