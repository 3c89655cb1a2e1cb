"""`aiida-hitl answer`: answer one question, or many equal ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.utils.decorators import with_dbenv

from .options import JSON, WORKFLOW

if TYPE_CHECKING:
    from ..question import Verdict


@click.command("answer")
@WORKFLOW
@click.argument("value", required=False)
@click.option("--question", help="Id or name of the question, where several are open.")
@click.option("-m", "--comment", help="Why, for the record.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Take the answer from a file; '-' is the standard input.",
)
@click.option("-w", "--wait", is_flag=True, help="Wait for the next question, show it.")
@click.option(
    "--all-matching",
    is_flag=True,
    help="Give the same answer to every open question like this one; each workflow "
    "judges and records it by itself.",
)
@JSON
@with_dbenv()
def command(
    workflow: str,
    value: str | None,
    question: str | None,
    comment: str | None,
    path: Path | None,
    wait: bool,
    all_matching: bool,
    as_json: bool,
) -> None:
    """Answer the workflow PK with VALUE; without one it is asked for.

    The exit code is 0 where the answer was accepted, 1 where it was refused, and 3
    where it is kept because nothing runs that could judge it.

    \b
    For example:
      aiida-hitl answer 42 60 --comment "converged at 55"
      aiida-hitl answer 42 --file mesh.json
      aiida-hitl answer 42 yes --all-matching
    """
    from .. import inbox, records, render
    from ..prompt import ask_person

    if value is not None and path is not None:
        raise click.UsageError("Give VALUE or --file, not both.")
    if path is not None:
        value = sys.stdin.read() if str(path) == "-" else path.read_text()
        value = value.removesuffix("\n")
    node = inbox.load_workflow(workflow)
    targets = [(int(node.pk or 0), question)]
    if value is None or all_matching:
        asked = inbox.find_question(node, question)
        targets = (
            inbox.like(node, asked) if all_matching else [(targets[0][0], asked.id)]
        )
        if value is None:
            render.print_question(asked)
            value = ask_person(asked)
    verdicts: list[tuple[int, Verdict]] = [
        (pk, inbox.answer(pk, value, question=name, comment=comment, via="terminal"))
        for pk, name in targets
    ]
    if as_json:
        render.print_json([records.verdict_record(*each) for each in verdicts])
    else:
        render.print_verdicts(verdicts)
    if wait and verdicts[0][1].accepted:
        letter = inbox.wait_for_question(node)
        if letter is not None:
            render.print_question(letter)
    outcomes = {verdict.outcome for _, verdict in verdicts}
    sys.exit(1 if "refused" in outcomes else 3 if "kept" in outcomes else 0)
