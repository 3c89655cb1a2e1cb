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
            paused = inbox.waiting()
            found = paused if everything else [x for x in paused if x.wants_a_person]
            screen.update(render.newest_that_fit(found, everything), refresh=True)
            news.wait()
