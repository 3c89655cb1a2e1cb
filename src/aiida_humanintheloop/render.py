"""Terminal output from plain data. Text that comes from a person is never markup."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from aiida.common.links import LinkType
from aiida.orm import Node, ProcessNode
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .decision import Decision, name_of
from .kinds import Choice, Choices, Json, option_text
from .kinds import Node as NodeKind
from .letter import Letter
from .listing import Waiting
from .question import Verdict
from .records import age, decision_rows, history_rows, waiting_rows
from .text import one_line, shown

__all__ = [
    "live",
    "newest_that_fit",
    "print_addresses",
    "print_decisions",
    "print_end",
    "print_history",
    "print_json",
    "print_question",
    "print_questions",
    "print_raw",
    "print_text",
    "print_verdicts",
    "print_waiting",
    "waiting_table",
]

_console = Console(highlight=False, soft_wrap=True)
_SCHEMA_LINES = 30
_OUTCOMES = {"accepted": "green", "refused": "yellow", "kept": "cyan"}


def print_json(record: Any) -> None:
    """Print JSON on lines that programs and people can read."""
    click.echo(json.dumps(record, indent=2))


def print_raw(rows: Iterable[Sequence[str]]) -> None:
    """Print rows for `cut` and `awk`."""
    for row in rows:
        click.echo("\t".join(row))


def print_text(text: str, style: str = "") -> None:
    """Print text as it is."""
    _console.print(Text(text, style=style))


def print_waiting(
    found: Sequence[Waiting], everything: bool, without_question: int = 0
) -> None:
    """Print the inbox.

    :param without_question: how many more are paused and are not among these.
    """
    if found:
        _console.print(waiting_table(found, everything))
    elif not without_question:
        print_text("Nothing waits for a person.", "dim")
    if any(each.letters for each in found):
        print_text("Answer with: aiida-hitl answer PK", "dim")
    if without_question:
        text = f"{without_question} paused without a question: aiida-hitl list --all"
        print_text(text, "dim")


def waiting_table(found: Iterable[Waiting], everything: bool) -> Table:
    """Return the inbox as a table that fits a terminal of 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("PK", no_wrap=True)
    table.add_column("Age", no_wrap=True)
    table.add_column("Workflow", no_wrap=True, max_width=20)
    title = "What waits for a person" if everything else "Question"
    table.add_column(title, ratio=1, overflow="fold")
    for row in waiting_rows(found):
        pk, since, workflow, caller, people, question, expected, deadline, number = row
        facts = {"": expected, "for ": people, "until ": deadline, "from ": caller}
        facts["question "] = number
        said = " · ".join(name + fact for name, fact in facts.items() if fact)
        text = Text(question)
        if said:
            text.append(f"\n{said}", style="dim")
        table.add_row(pk, since, Text(workflow), text)
    return table


def print_history(letters: Iterable[Letter]) -> None:
    """Print who answered what."""
    rows = history_rows(letters)
    if not rows:
        print_text("Nothing was asked yet.", "dim")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", no_wrap=True)
    table.add_column("Answer", overflow="fold", max_width=24)
    table.add_column("Question", ratio=1, overflow="fold")
    for row in rows:
        number, question, value, by, at, via, comment, taken_at = row
        facts = (by, at, via and f"via {via}", taken_at and f"taken at {taken_at}")
        table.add_row(number, Text(value), _with_facts(question, facts, comment))
    _console.print(table)


def print_decisions(
    found: Sequence[Decision],
    names: Mapping[str, str],
    further: Mapping[str, int],
) -> None:
    """Print who decided what.

    :param names: what nodes of the profile are called, by UUID.
    :param further: how many more decisions lie in workflows that returned the node, by
        what these are called.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("PK", no_wrap=True)
    table.add_column("Decision", overflow="fold", max_width=24)
    table.add_column("Question", ratio=1, overflow="fold")
    for each, row in zip(found, decision_rows(found), strict=True):
        pk, value, question, workflow, by, at, kind, via, comment, _, repeats = row
        asker = names.get(each.question["workflow"].get("uuid", ""), workflow)
        again = repeats and f"repeats {names.get(repeats, repeats)}"
        facts = (f"{kind} {by}".strip(), at, f"via {via}", asker, again)
        text = _with_facts(question, facts, comment)
        if shown_to := ", ".join(names.get(uuid, uuid) for uuid in each.evidence):
            text.append(f"\nshown: {one_line(shown_to)}", style="dim")
        table.add_row(pk, Text(value), text)
    if found:
        _console.print(table)
    else:
        print_text("No decision of a person lies on the way to it.", "dim")
    for name, more in further.items():
        print_text(f"{more} more in {one_line(name)}, which returned it.", "dim")


def _with_facts(question: str, facts: Iterable[str], comment: str) -> Text:
    """Return a question, and below it who answered, when and how, and why."""
    text = Text(question)
    if said := " · ".join(fact for fact in facts if fact):
        text.append(f"\n{said}", style="dim")
    if comment:
        text.append(f"\n{comment}", style="italic")
    return text


def print_addresses(found: Sequence[Mapping[str, Any]]) -> None:
    """Print who is told, and what became of the last message.

    :param found: as `aiida-hitl notify list --json` has them.
    """
    if not found:
        print_text("Nobody is told. See: aiida-hitl notify --help", "dim")
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("#", no_wrap=True)
    for name in ("Address", "Only for", "At most every", "Last message"):
        table.add_column(name, overflow="fold")
    for each in found:
        table.add_row(
            str(each["number"]),
            Text(each["address"]),
            Text(each["for"] or "everybody"),
            f"{each['every_seconds']:g} s",
            Text(one_line(each["error"] or each["last_message"] or "none yet")),
        )
    _console.print(table)


def print_question(letter: Letter, nodes: Mapping[str, Node]) -> None:
    """Print a question for whoever is about to answer it.

    :param nodes: what it names, by UUID, see `inbox.named`.
    """
    _console.rule(style="dim")
    print_text(f"Question {letter.id}: {one_line(letter.label)}")
    kind = letter.question.kind
    if isinstance(kind, (Choice, Choices)):
        for number, option in enumerate(kind.options, start=1):
            print_text(f"  {number}. {one_line(option_text(option))}")
    else:
        print_text(f"  It must be {one_line(kind.expects)}.", "dim")
    if isinstance(kind, NodeKind):
        for uuid in kind.among:
            print_text(f"  {_name_of(uuid, nodes)}")
    if isinstance(kind, Json):
        _print_schema(kind)
    for line in letter.question.help.splitlines():
        indent = " " * (len(line) - len(line.lstrip(" ")))
        print_text(f"  {indent}{one_line(line)}")
    if shown := [_name_of(uuid, nodes) for uuid in letter.question.evidence]:
        print_text(f"  Look at:   {', '.join(shown)}")


def _print_schema(kind: Json) -> None:
    """Print what JSON is wanted; of a long one the beginning."""
    lines = json.dumps(kind.schema, indent=2, ensure_ascii=False).splitlines()
    for line in lines[:_SCHEMA_LINES]:
        # Indented as it is; no other white space can be in a line.
        start = line[: len(line) - len(line.lstrip())]
        print_text(f"  {start}{one_line(line)}", "dim")
    if len(lines) > _SCHEMA_LINES:
        print_text("  … in full: aiida-hitl show PK --json", "dim")


def print_questions(
    node: ProcessNode, letters: Sequence[Letter], nodes: Mapping[str, Node]
) -> None:
    """Print all that there is to know about a workflow's questions.

    :param nodes: what they name, by UUID, see `inbox.named`.
    """
    waiting = [
        letter for letter in letters if letter.is_open and not node.is_terminated
    ]
    print_text(f"{node.process_label} <{node.pk}>", "bold")
    for letter in waiting:
        _print_in_full(node, letter, nodes)
    if not waiting:
        state = node.process_state.value if node.process_state else "new"
        print_text(f"No question is open; the workflow is {state}.", "dim")
    if len(letters) > len(waiting):
        print_history([letter for letter in letters if letter not in waiting])


def _print_in_full(
    node: ProcessNode, letter: Letter, nodes: Mapping[str, Node]
) -> None:
    question = letter.question
    print_question(letter, nodes)
    facts = {}
    if question.default is not None:
        facts["Default"] = shown(question.default)
    if question.assignees:
        facts["For"] = ", ".join(question.assignees)
    facts["Asked"] = f"{age(letter.asked_at)} ago, {letter.asked_at:%Y-%m-%d %H:%M} UTC"
    if letter.deadline:
        then = {"wait": "goes on waiting", "default": "takes the default"}
        what = then.get(question.at_deadline, f"ends with {question.at_deadline}")
        facts["Until"] = f"{letter.deadline:%Y-%m-%d %H:%M} UTC, then {what}"
    for name, fact in facts.items():
        print_text(f"  {name + ':':<10} {one_line(fact)}")
    # With its number: without, it would count for whatever is asked by then.
    print_text(
        f"  Answer:    aiida-hitl answer {node.pk} --question {letter.id}", "dim"
    )


def _name_of(uuid: str, nodes: Mapping[str, Node]) -> str:
    """Return what a person knows a node by; its UUID, where it is gone."""
    node = nodes.get(uuid)
    if node is None:
        return uuid
    return one_line(f"{name_of(node)} {node.label}")


def print_verdicts(verdicts: Sequence[tuple[int, Verdict]]) -> None:
    """Print what became of answers, one line each."""
    for pk, verdict in verdicts:
        text = verdict.reason
        if verdict.accepted:
            text = f"Accepted: {shown(verdict.value)}"
        print_text(f"{pk}: {one_line(text)}", _OUTCOMES[verdict.outcome])


def print_end(node: ProcessNode) -> None:
    """Print how a workflow ended, and what it has left."""
    _console.rule(style="dim")
    if not node.is_finished_ok:
        state = node.process_state.value if node.process_state else "gone"
        why = node.exit_message or node.process_status or ""
        code = f" [{node.exit_status}]" if node.exit_status else ""
        print_text(one_line(f"The workflow is {state}{code}. {why}"), "yellow")
        print_text(f"How it went: verdi process report {node.pk}")
        return
    print_text(f"The workflow has finished: {node.process_label} <{node.pk}>", "bold")
    returned = node.base.links.get_outgoing(
        link_type=(LinkType.RETURN, LinkType.CREATE)
    ).all()
    for name, output in sorted((x.link_label, x.node) for x in returned):
        # As it is called in `node.outputs`, also within a namespace.
        name = name.replace("__", ".")
        print_text(f"  {name}: {type(output).__name__} <{output.pk}>")


def live() -> Live:
    """Return a screen that is drawn anew in place."""
    return Live(console=_console, screen=False, auto_refresh=False)


def newest_that_fit(found: Sequence[Waiting], everything: bool) -> RenderableType:
    """Return the inbox, of which the newest are on the screen where it is long."""
    room = max(_console.height - 2, 1)
    last = list(found[-room:])
    while len(last) > 1 and _height(waiting_table(last, everything)) > room:
        last.pop(0)
    table = waiting_table(last, everything)
    if (earlier := len(found) - len(last)) > 0:
        return Group(Text(f"{earlier} earlier: aiida-hitl list", style="dim"), table)
    return table


def _height(table: Table) -> int:
    return len(_console.render_lines(table))
