"""`aiida-hitl decisions`: which human decisions a node rests on."""

from __future__ import annotations

from pathlib import Path

import click
from aiida.cmdline.params import arguments
from aiida.cmdline.utils.decorators import with_dbenv
from aiida.orm import Node

from .options import JSON, RAW


@click.command("decisions")
@arguments.NODE()
@RAW
@JSON
@click.option(
    "--dot", is_flag=True, help="Print a graph for Graphviz, where decisions stand out."
)
@click.option(
    "--png",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True),
    help="Draw that graph into a file.",
)
@with_dbenv()
def command(node: Node, raw: bool, as_json: bool, dot: bool, png: str | None) -> None:
    """Show which decisions NODE rests on: what was asked, and who said what.

    NODE is the PK or UUID of any node: a result, a calculation or a workflow. All that
    lies upstream counts, through any number of steps. What a workflow returned as it is
    does not rest on a decision to accept it: that counts for the workflow.

    \b
    For example:
      aiida-hitl decisions 42
      aiida-hitl decisions 42 --json
      aiida-hitl decisions 42 --png why.png
    """
    from .. import records, render
    from ..decision import decisions, further_decisions, names_in

    if dot or png:
        _draw(node, png)
        return
    found = decisions(node)
    if as_json:
        render.print_json([records.decision_record(each) for each in found])
    elif raw:
        render.print_raw(records.decision_rows(found))
    else:
        render.print_decisions(found, names_in(found), further_decisions(node))


def _draw(node: Node, png: str | None) -> None:
    """Print the graph, or draw it into a file."""
    from graphviz import CalledProcessError, ExecutableNotFound

    from ..exceptions import HumanInTheLoopError
    from ..picture import picture

    graph = picture(node).graphviz
    if png is None:
        click.echo(graph.source, nl=False)
        return
    try:
        drawn = graph.pipe(format="png")
    except ExecutableNotFound:
        raise HumanInTheLoopError(
            "Graphviz is not installed, so nothing can be drawn: install its program "
            "`dot`, or take the graph as text with --dot."
        ) from None
    except CalledProcessError as error:
        said = " ".join(str(error.stderr or error).split())
        raise HumanInTheLoopError(f"Graphviz failed: {said}") from None
    try:
        Path(png).write_bytes(drawn)
    except OSError as error:
        raise HumanInTheLoopError(
            f"{png} cannot be written: {error.strerror}."
        ) from None
    click.echo(f"{png} is drawn.")
