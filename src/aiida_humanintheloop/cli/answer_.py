"""`aiida-hitl answer`: answer one question, or many equal ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils.decorators import with_dbenv

from .options import JSON, WORKFLOW

if TYPE_CHECKING:
    from ..question import Verdict

_NEGATIVE = re.compile(r"-\.?[0-9]")


class _Answer(click.Command):
    """A command to which -5 is a value, and no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; what begins like a negative number is set off by a space."""
        return super().parse_args(
            ctx, [f" {arg}" if _NEGATIVE.match(arg) else arg for arg in args]
        )


def _without_space(_ctx: click.Context, _param: Any, value: str | None) -> str | None:
    """Return a text as it was typed."""
    is_set_off = value and value[0] == " " and _NEGATIVE.match(value[1:])
    return value[1:] if value and is_set_off else value


@click.command("answer", cls=_Answer)
@WORKFLOW
@click.argument("value", required=False, callback=_without_space)
@click.option("--question", help="Id or name of the question, where several are open.")
@click.option("-m", "--comment", help="Why, for the record.", callback=_without_space)
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Take the answer from a file; '-' is the standard input.",
)
@click.option("-w", "--wait", is_flag=True, help="Wait for the next question, show it.")
@click.option(
    "--all-matching",
    is_flag=True,
    help="Give the same answer to every open question like this one; each workflow "
    "judges and records it by itself.",
)
@JSON
@with_dbenv()
def command(
    workflow: str,
    value: str | None,
    question: str | None,
    comment: str | None,
    path: Path | None,
    wait: bool,
    all_matching: bool,
    as_json: bool,
) -> None:
    """Answer the workflow PK with VALUE; without one it is asked for.

    Without --question it is for the question that is open when it is sent. The exit
    code is 0 where the answer was accepted, 1 where it was refused, and 3 where it is
    kept because nothing runs that could judge it.

    \b
    For example:
      aiida-hitl answer 42 60 --comment "converged at 55"
      aiida-hitl answer 42 --file mesh.json
      aiida-hitl answer 42 yes --all-matching
    """
    from .. import inbox, records, render
    from ..prompt import ask_person

    if value is not None and path is not None:
        raise click.UsageError("Give VALUE or --file, not both.")
    if value is None and path is None and as_json:
        raise click.UsageError("With --json, give VALUE or --file: nobody is asked.")
    answer: Any = value if path is None else _read(path)
    node = inbox.load_workflow(workflow)
    targets = [(int(node.pk or 0), question)]
    if answer is None or all_matching:
        asked = inbox.find_question(node, question)
        targets = [(targets[0][0], asked.id)]
        if all_matching:
            targets += [each for each in inbox.like(node, asked) if each != targets[0]]
        if answer is None:
            render.print_question(asked, inbox.named([asked]))
            answer = ask_person(asked)
    verdicts: list[tuple[int, Verdict]] = []
    for pk, name in targets:
        verdict = inbox.answer(
            pk, answer, question=name, comment=comment, via="terminal"
        )
        verdicts.append((pk, verdict))
        if not as_json:
            render.print_verdicts(verdicts[-1:])
    said = [records.verdict_record(*each) for each in verdicts]
    if wait and verdicts[0][1].accepted:
        following = inbox.wait_for_question(node)
        said[0]["next"] = records.letter_record(following) if following else None
        if following is not None and not as_json:
            render.print_question(following, inbox.named([following]))
        elif not as_json:
            render.print_end(node)
    if as_json:
        render.print_json(said)
    outcomes = {verdict.outcome for _, verdict in verdicts}
    sys.exit(1 if "refused" in outcomes else 3 if "kept" in outcomes else 0)


def _read(path: Path) -> str:
    """Return the answer in a file, or in what is piped in."""
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"{path} is not text in UTF-8: {error.reason}."
        ) from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from None
