"""`aiida-hitl` itself: its options, and which commands there are."""

from __future__ import annotations

import importlib
import sys
from typing import Any, NoReturn

import click
from aiida.cmdline.groups import VerdiCommandGroup
from aiida.cmdline.params import options, types

__all__ = ["hitl"]

# Name of a command, and the module and function that it is. They are imported when they
# are called: completion and --help do not wait for a database.
_COMMANDS = (
    "answer",
    "decisions",
    "history",
    "list",
    "notify",
    "play",
    "replay",
    "show",
    "watch",
)


# As a shell has it for a program that Ctrl-C ended.
_INTERRUPTED = 130
_AWAY = (
    "The database of the profile is away, or something else writes to it, as an import "
    "does: try again in a moment."
)


class _Commands(VerdiCommandGroup):
    """A group that imports a command when it is called, and tells errors in a line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name in _COMMANDS and cmd_name not in self.commands:
            module = importlib.import_module(f".{cmd_name}_", __package__)
            self.add_command(module.command, cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it raises becomes one line and exit code 1."""
        from ..exceptions import HumanInTheLoopError

        try:
            return super().invoke(ctx)
        except HumanInTheLoopError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)
        except (SystemExit, click.exceptions.Exit, click.ClickException, click.Abort):
            raise  # what is below takes a second to import
        except BaseException as error:
            from ..database import is_lost

            if not is_lost(error):
                raise
            _fail(_AWAY)


def _fail(reason: str) -> NoReturn:
    click.secho(f"Error: {reason}", fg="red", err=True)
    sys.exit(1)


@click.group(
    "aiida-hitl",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@options.PROFILE(type=types.ProfileParamType(load_profile=True), expose_value=False)
@click.version_option(package_name="aiida-human-in-the-loop")
def hitl() -> None:
    """See what waits for a person in AiiDA, and answer.

    \b
    For example:
      aiida-hitl list             what waits, newest last
      aiida-hitl answer 42 60     answer the workflow 42 with 60
      aiida-hitl play 42          answer question after question
    """
