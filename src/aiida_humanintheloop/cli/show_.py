"""`aiida-hitl show`: one workflow's questions in full."""

from __future__ import annotations

import click
from aiida.cmdline.utils.decorators import with_dbenv

from .options import JSON, WORKFLOW


@click.command("show")
@WORKFLOW
@JSON
@with_dbenv()
def command(workflow: str, as_json: bool) -> None:
    """Show the questions of the workflow PK in full, and how to answer them.

    \b
    For example:
      aiida-hitl show 42
    """
    from .. import inbox, records, render

    node = inbox.load_workflow(workflow)
    letters = inbox.history(node)
    if as_json:
        render.print_json([records.letter_record(letter) for letter in letters])
    else:
        render.print_questions(node, letters, inbox.named(letters))
