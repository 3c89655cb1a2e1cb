"""`aiida-hitl play`: answer question after question, or play after an outage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from aiida.cmdline.params.types import ComputerParamType
from aiida.cmdline.utils.decorators import with_dbenv

if TYPE_CHECKING:
    from aiida.orm import Computer


@click.command("play")
@click.argument("workflow", metavar="[PK]", required=False)
@click.option(
    "--computer",
    metavar="NAME",
    type=ComputerParamType(),
    help="Instead, have all calculations go on that were paused as this one failed.",
)
@with_dbenv()
def command(workflow: str | None, computer: Computer | None) -> None:
    """Answer the workflow PK, question after question, until it ends.

    The exit code is 0 where it ended well, 130 after Ctrl-C, 1 otherwise; then the
    workflow waits, and you can come back.

    \b
    For example:
      aiida-hitl play 42
      printf '50\\n25\\n' | aiida-hitl play 42
      aiida-hitl play --computer cluster
    """
    from .. import inbox, render
    from ..outages import play_all
    from ..play import play_at_the_terminal

    if (workflow is None) == (computer is None):
        raise click.UsageError("Say which: the PK of a workflow, or --computer NAME.")
    if workflow is not None:
        node = inbox.load_workflow(workflow)
        sys.exit(play_at_the_terminal(node, "aiida-hitl play"))
    assert computer is not None
    played = play_all(computer.label)
    if not played:
        render.print_text(f"Nothing is paused because {computer.label} failed.")
    for pk, reason in played:
        render.print_text(f"{pk}: {reason or 'goes on'}", "yellow" if reason else "")
    sys.exit(1 if any(reason for _, reason in played) else 0)
