"""`aiida-hitl list`: what waits for a person."""

from __future__ import annotations

import click
from aiida.cmdline.utils.decorators import with_dbenv

from .options import JSON, RAW


@click.command("list")
@click.option(
    "-a",
    "--all",
    "everything",
    is_flag=True,
    help="Also what is paused without a question: by hand, or by the engine after "
    "repeated failures.",
)
@RAW
@JSON
@with_dbenv()
def command(everything: bool, raw: bool, as_json: bool) -> None:
    """List what waits for a person, newest last.

    \b
    For example:
      aiida-hitl list --all
      aiida-hitl list --raw | cut -f 1    the PKs
    """
    from .. import inbox, records, render

    paused = inbox.waiting()
    found = paused if everything else [x for x in paused if x.wants_a_person]
    if as_json:
        render.print_json([records.waiting_record(each) for each in found])
    elif raw:
        render.print_raw(records.waiting_rows(found))
    else:
        render.print_waiting(found, everything, len(paused) - len(found))
