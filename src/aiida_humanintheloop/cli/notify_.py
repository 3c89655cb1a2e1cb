"""`aiida-hitl notify`: who is told that a question is open."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils.decorators import with_dbenv

from .options import JSON

if TYPE_CHECKING:
    from ..notify.addresses import Address
    from ..notify.told import Told


class _Number(click.ParamType):
    """The number of an address; what else was typed may be a URL with a secret."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return it as a number."""
        try:
            return int(value)
        except ValueError:
            self.fail("it must be a number of `aiida-hitl notify list`.", param, ctx)


@click.group("notify")
def command() -> None:
    """Have people be told that a question is open.

    The daemon tells each address of what is asked from now on, reminds it before a
    deadline, and says when a computer has failed (as soon as one of its workers has
    run a workflow that asks). An address is a URL that Apprise knows: mail, Slack,
    Matrix, a webhook, and a hundred others; see appriseit.com/services.

    \b
    For example:
      aiida-hitl notify add 'mailtos://USER:PASSWORD@SERVER?to=ADDRESS'
      aiida-hitl notify test
    """


@command.command("add")
@click.argument("url", metavar="[URL]", required=False)
@click.option(
    "--for",
    "only_for",
    metavar="EMAIL",
    help="Of an AiiDA user: without the questions that are for others only.",
)
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(min=0, max=7 * 86400),
    default=60.0,
    show_default=True,
    help="From a message to the next one, at least: a burst becomes one message.",
)
@with_dbenv()
def add(url: str | None, only_for: str | None, every: float) -> None:
    """Tell URL from now on; without it, it is asked for and not shown.

    \b
    For example:
      aiida-hitl notify add 'json://localhost:8080/questions'
      aiida-hitl notify add --for alice@example.org 'tgram://TOKEN/CHAT'
    """
    from .. import render
    from ..inbox import Connection
    from ..messages import ASKED
    from ..notify import addresses

    if url is None and sys.stdin.isatty():
        url = click.prompt("Address", hide_input=True)
    added = addresses.add((url or sys.stdin.readline()).strip(), only_for, every)
    Connection.ring(ASKED)  # a reminder may be due before the daemon would look again
    render.print_text(f"{added.number}: {added.masked} is told from now on.", "green")
    render.print_text(f"Try it: aiida-hitl notify test {added.number}", "dim")


@command.command("list")
@JSON
@with_dbenv()
def list_(as_json: bool) -> None:
    """List the addresses, their secrets masked, and what became of the last message.

    \b
    For example:
      aiida-hitl notify list
    """
    from .. import render
    from ..notify.addresses import addresses
    from ..notify.told import told

    past = told()
    found = [_record(each, past.get(each.number)) for each in addresses()]
    if as_json:
        render.print_json(found)
    else:
        render.print_addresses(found)


def _record(address: Address, past: Told | None) -> dict[str, Any]:
    """Return an address and what it was told, as JSON can hold it."""
    at = past.at if past else None
    return {
        "number": address.number,
        "address": address.masked,
        "for": address.only_for,
        "every_seconds": address.every,
        "since": address.since.isoformat(),
        "last_message": at.isoformat() if at else None,
        "error": past.error if past else None,
    }


@command.command("remove")
@click.argument("number", type=_Number())
@with_dbenv()
def remove(number: int) -> None:
    """Tell the address NUMBER of the list no more.

    \b
    For example:
      aiida-hitl notify remove 1
    """
    from .. import render
    from ..notify import addresses

    removed = addresses.remove(number)
    render.print_text(f"{removed.masked} is told no more.")


@command.command("test")
@click.argument("number", type=_Number(), required=False)
@with_dbenv()
def test(number: int | None) -> None:
    """Send a message to the address NUMBER, or to all, and say whether it was sent.

    \b
    For example:
      aiida-hitl notify test 1
    """
    from aiida.manage import get_manager

    from .. import render
    from ..exceptions import InvalidAddress
    from ..notify import addresses
    from ..notify.message import trial
    from ..notify.sending import send

    found = [each for each in addresses.addresses() if number in (None, each.number)]
    if not found:
        which = "no address" if number is None else f"no address {number}"
        raise InvalidAddress(f"There is {which}. See: aiida-hitl notify --help")
    profile = get_manager().get_profile()
    assert profile is not None
    failed = False
    for each in found:
        reason = send(each.url, *trial(profile.name))
        if reason is None:
            render.print_text(f"{each.number}: {each.masked}: sent", "green")
        else:
            failed = True
            text = f"{each.number}: {each.masked}: not sent: {reason}"
            render.print_text(text, "yellow")
    sys.exit(1 if failed else 0)
