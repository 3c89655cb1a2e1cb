"""`aiida-hitl play`: answer question after question."""

from __future__ import annotations

import sys

import click
from aiida.cmdline.utils.decorators import with_dbenv

from .options import WORKFLOW


@click.command("play")
@WORKFLOW
@with_dbenv()
def command(workflow: str) -> None:
    """Answer the workflow PK, question after question, until it ends.

    The exit code is 0 where it ended well, 130 after Ctrl-C, 1 otherwise; then the
    workflow waits, and you can come back.

    \b
    For example:
      aiida-hitl play 42
      printf '50\\n25\\n' | aiida-hitl play 42
    """
    from .. import inbox
    from ..play import play_at_the_terminal

    sys.exit(play_at_the_terminal(inbox.load_workflow(workflow), "aiida-hitl play"))
