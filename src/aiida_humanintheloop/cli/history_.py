"""`aiida-hitl history`: who answered what, and when."""

from __future__ import annotations

import click
from aiida.cmdline.utils.decorators import with_dbenv

from .options import JSON, RAW, WORKFLOW


@click.command("history")
@WORKFLOW
@RAW
@JSON
@with_dbenv()
def command(workflow: str, raw: bool, as_json: bool) -> None:
    """Show every question of the workflow PK, with who answered, when and how.

    \b
    For example:
      aiida-hitl history 42
      aiida-hitl history 42 --json
    """
    from .. import inbox, records, render

    letters = inbox.history(workflow)
    if as_json:
        render.print_json([records.letter_record(letter) for letter in letters])
    elif raw:
        render.print_raw(records.history_rows(letters))
    else:
        render.print_history(letters)
