"""`aiida-hitl decisions`: which human decisions a node rests on."""

from __future__ import annotations

import click
from aiida.cmdline.params import arguments
from aiida.cmdline.utils.decorators import with_dbenv
from aiida.orm import Node

from .options import JSON, RAW


@click.command("decisions")
@arguments.NODE()
@RAW
@JSON
@with_dbenv()
def command(node: Node, raw: bool, as_json: bool) -> None:
    """Show which decisions NODE rests on: what was asked, and who said what.

    NODE is the PK or UUID of any node: a result, a calculation or a workflow. All that
    lies upstream counts, through any number of steps.

    \b
    For example:
      aiida-hitl decisions 42
      aiida-hitl decisions 42 --json
    """
    from .. import records, render
    from ..decision import decisions

    found = decisions(node)
    if as_json:
        render.print_json([records.decision_record(each) for each in found])
    elif raw:
        render.print_raw(records.decision_rows(found))
    else:
        render.print_decisions(found)
