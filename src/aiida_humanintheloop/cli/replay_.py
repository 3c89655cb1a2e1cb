"""`aiida-hitl replay`: run a workflow again with the answers of before."""

from __future__ import annotations

import click
from aiida.cmdline.params import arguments
from aiida.cmdline.utils.decorators import with_dbenv
from aiida.orm import WorkflowNode

from .options import JSON


@click.command("replay")
@arguments.WORKFLOW("workflow")
@click.option(
    "--change",
    "changes",
    metavar="QUESTION=VALUE",
    multiple=True,
    help="Another answer to a question that was answered, by its id or name; more than "
    "once for more. Where several workflows below PK asked: ASKER:QUESTION=VALUE, with "
    "its PK.",
)
@JSON
@with_dbenv()
def command(workflow: WorkflowNode, changes: tuple[str, ...], as_json: bool) -> None:
    """Run the workflow PK again, answered as it was, or with some answers changed.

    What was not asked then, or does not fit now, is asked of a person. With caching
    enabled, calculations that do not change are not run again.

    \b
    For example:
      aiida-hitl replay 42
      aiida-hitl replay 42 --change 2=stop --change cutoff=40
    """
    from .. import render
    from ..replay import replay

    wanted = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not name or not equals:
            raise click.BadParameter(
                f"{change!r} is not QUESTION=VALUE.", param_hint="--change"
            )
        wanted[name] = value
    again = replay(workflow, wanted)
    if as_json:
        render.print_json(
            {"pk": again.pk, "uuid": again.uuid, "replay_of": workflow.pk}
        )
    else:
        render.print_text(
            f"{again.process_label} <{again.pk}> is answered as <{workflow.pk}> was. "
            f"See: verdi process status {again.pk}"
        )
