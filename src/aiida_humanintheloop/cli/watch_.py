"""`aiida-hitl watch`: a live inbox."""

from __future__ import annotations

import click
from aiida.cmdline.utils.decorators import with_dbenv


@click.command("watch")
@click.option("-a", "--all", "everything", is_flag=True, help="As for `list`.")
@with_dbenv()
def command(everything: bool) -> None:
    """Show what waits for a person, as it changes, until Ctrl-C.

    \b
    For example:
      aiida-hitl watch
    """
    from .. import inbox, render

    with inbox.Connection() as news, render.live() as screen:
        while True:
            news.forget_news()
            found = inbox.waiting() if everything else inbox.open_questions()
            screen.update(render.waiting_table(found, everything), refresh=True)
            news.wait()
