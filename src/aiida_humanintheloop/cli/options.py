"""Arguments and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["JSON", "RAW", "WORKFLOW"]

F = TypeVar("F", bound=Callable[..., Any])

WORKFLOW = click.argument("workflow", metavar="PK")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
RAW = click.option(
    "-r", "--raw", is_flag=True, help="Print tab-separated lines without headers."
)
