"""The forms of the inbox in a real browser: what is filled in is what counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida.orm import Int
from playwright.sync_api import Locator, Page, expect
from pydantic import BaseModel

from aiida_humanintheloop import (
    Boolean,
    Choice,
    Choices,
    Float,
    Integer,
    Json,
    Node,
    Question,
    Text,
)
from tests.asking import AskOne
from tests.browser.conftest import Lab, keep
from tests.browser.notebook import Ask, of, said, show, unfold


class Point(BaseModel):
    """A part that comes twice."""

    x: int
    y: int | None


class Path(BaseModel):
    """A form in a form, and one that may be left."""

    start: Point
    turn: Point | None = None


class Settings(BaseModel):
    """What a form is made for."""

    cutoff: int
    smearing: str = "cold"
    spin: bool | None = None


def test_each_kind_has_its_form(page: Page, lab: Lab, ask: Ask) -> None:
    """What is typed, chosen or ticked is what the workflow goes on with."""
    first, second = Int(1).store(), Int(2).store()

    def fill(text: str) -> Callable[[Locator], None]:
        return lambda form: form.locator(".hitl-input").first.fill(text)

    def check(*labels: str) -> Callable[[Locator], None]:
        def tick(form: Locator) -> None:
            for label in labels:
                form.get_by_label(label, exact=True).check()

        return tick

    def settings(form: Locator) -> None:
        form.get_by_label("Cutoff", exact=True).fill("60")
        form.get_by_role("radiogroup", name="Spin").get_by_label("Yes").check()

    def choose(form: Locator) -> None:
        form.locator("label", has_text=f"<{second.pk}>").click()

    def path(form: Locator) -> None:
        start = form.get_by_role("group", name="start")
        start.get_by_label("X", exact=True).fill("3")
        expect(form.get_by_role("group", name="turn")).to_be_visible()

    many = [f"method {number}" for number in range(20)]
    cases: list[tuple[Any, Callable[[Locator], None], Any]] = [
        (Text(), fill("two words"), "two words"),
        (Text(max_length=20), fill("a line"), "a line"),
        (Integer(1, 100, unit="Ry"), fill("42"), 42),
        (Float(0, 1), fill("0.25"), 0.25),
        (Boolean(), check("No"), False),
        (Choice(["slow", 2, True]), check("2"), 2),
        (
            Choice(many),
            lambda form: form.get_by_role("combobox").select_option(label="method 7"),
            "method 7",
        ),
        (Choices(["a", "b", "c"]), check("a", "c"), ["a", "c"]),
        (Node(among=[first, second]), choose, second.uuid),
        (Node(of=Int), fill(str(first.pk)), first.uuid),
        (Json(Settings), settings, {"cutoff": 60, "smearing": "cold", "spin": True}),
        (Json({"type": "array"}), fill("[1, 2]"), [1, 2]),
        (Json(Path), path, {"start": {"x": 3, "y": None}, "turn": None}),
        (Json({"type": "string"}), fill("123"), "123"),
        (Json({"type": "array"}), fill("[9007199254740993]"), [2**53 + 1]),
        (Choice([0.5, 1.0]), check("1.0"), 1.0),
    ]
    inbox = show(page, lab, of())
    for number, (kind, does, expected) in enumerate(cases):
        node = ask(AskOne, question=Question("What now?", kind))
        item = inbox.locator(f'li[data-key="{node.uuid}.1"]')
        unfold(item)
        does(item.locator("form"))
        keep(item, f"form-{number:02}-{type(kind).__name__}")
        item.get_by_role("button", name="Answer", exact=True).click()
        assert said(node) == expected
        item.wait_for(state="detached")


LONG = 2**53 + 1  # a page's own numbers end before
DEFAULT = {"cutoff": LONG, "spin": None, "of_another": [1.0, LONG]}


def test_a_default_is_sent_as_it_is(page: Page, lab: Lab, ask: Ask) -> None:
    """Long numbers, and names for which there is no field, also beside what changes."""
    schema = Settings.model_json_schema()
    cases: list[tuple[Any, Any]] = [
        (Integer(), LONG),
        (Text(max_length=20), "two\nlines"),
        (Json({"type": "array"}), [LONG]),
        (Json(schema), DEFAULT),
    ]
    inbox = show(page, lab, of())
    for kind, default in cases:
        node = ask(AskOne, question=Question("As it is?", kind, default=default))
        item = inbox.locator(f'li[data-key="{node.uuid}.1"]')
        unfold(item)
        item.get_by_role("button", name="Answer", exact=True).click()
        assert said(node) == default
        item.wait_for(state="detached")
    node = ask(AskOne, question=Question("Changed?", Json(schema), default=DEFAULT))
    item = inbox.locator(f'li[data-key="{node.uuid}.1"]')
    unfold(item)
    expect(item.get_by_label("Cutoff", exact=True)).to_have_value(str(LONG))
    item.get_by_role("radiogroup", name="Spin").get_by_label("Yes").check()
    item.get_by_role("button", name="Answer", exact=True).click()
    assert said(node) == {**DEFAULT, "spin": True}


def test_numbers_are_typed_as_elsewhere(page: Page, lab: Lab, ask: Ask) -> None:
    """In the form for a JSON Schema as in a field for one number."""
    names = {"a": "1e20", "b": "6.022e23", "c": ".5", "d": "+5", "e": "007"}
    schema = {
        "type": "object",
        "properties": {name: {"type": "number"} for name in [*names, "f"]},
        "required": list(names),
    }
    node = ask(AskOne, question=Question("How many?", Json(schema)))
    inbox = show(page, lab, of(node))
    for name, typed in names.items():
        inbox.get_by_label(name, exact=True).fill(typed)
    last = inbox.get_by_label("f", exact=True)
    expect(last).to_have_js_property("spellcheck", False)
    last.fill("1.2.3")
    inbox.get_by_role("button", name="Answer", exact=True).click()
    expect(inbox.locator("form > .hitl-verdict")).to_contain_text(
        "at $.f, '1.2.3' is not of type 'number'"
    )
    last.fill("")
    inbox.get_by_role("button", name="Answer", exact=True).click()
    assert said(node) == {"a": 1e20, "b": 6.022e23, "c": 0.5, "d": 5, "e": 7}


def test_json_can_be_pasted(page: Page, lab: Lab, ask: Ask) -> None:
    """What the form cannot show stays in the box, with the reason."""
    schema = Settings.model_json_schema()
    node = ask(AskOne, question=Question("Which?", Json(schema)))
    inbox = show(page, lab, of(node))
    inbox.get_by_label("Cutoff", exact=True).fill("40")
    spin = inbox.get_by_role("radiogroup", name="Spin")
    spin.get_by_label("Yes").check()
    spin.get_by_label("not said").check()
    inbox.get_by_role("button", name="Edit as JSON").click()
    box = inbox.locator("textarea")
    expect(box).to_have_value('{\n  "cutoff": 40,\n  "smearing": "cold"\n}')
    for typed, why in (
        ('{"cutoff": 50,}', "JSON"),
        ("[50]", "the form has no place for all of it"),
        ('{"cutoff": {"of": 50}}', "the form has no place for all of it"),
    ):
        box.fill(typed)
        inbox.get_by_role("button", name="Edit as a form").click()
        expect(inbox.locator("form [role=alert]")).to_contain_text(why)
        expect(box).to_have_value(typed)
    keep(inbox, "no-form")
    box.fill(f'{{"cutoff": {LONG}, "more": [1.0]}}')
    inbox.get_by_role("button", name="Edit as a form").click()
    expect(inbox.get_by_label("Cutoff", exact=True)).to_have_value(str(LONG))
    expect(inbox.locator("form [role=alert]")).to_be_empty()
    expect(inbox.get_by_label("Smearing", exact=True)).to_have_value("")
    expect(inbox.get_by_label("Smearing", exact=True)).to_have_accessible_description(
        "(optional)"
    )
    inbox.get_by_label("Smearing", exact=True).fill("hot")
    inbox.get_by_role("button", name="Answer", exact=True).click()
    assert said(node) == {"cutoff": LONG, "more": [1.0], "smearing": "hot"}
