"""Which workflows that wait well have not ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import QueryBuilder, WorkChainNode, load_node
from sqlalchemy.exc import SQLAlchemyError

from . import database

__all__ = ["unfinished"]

_ours: dict[str, bool] = {}


def unfinished(filters: Mapping[str, Any] | None = None) -> list[int]:
    """Return the PKs of all workflows that wait well and have not ended.

    :param filters: of the query, further ones.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database is away.
    """
    database.reconnect()
    query = QueryBuilder().append(
        WorkChainNode,
        filters={**database.UNFINISHED, **(filters or {})},
        project=["id", "process_type"],
    )
    return [pk for pk, kind in query.all() if _is_ours(kind, pk)]


def _is_ours(kind: str, pk: int) -> bool:
    """Return whether a process is one that waits well.

    :param kind: the type of the process.
    :param pk: of any process of that type.
    """
    if kind not in _ours:
        try:
            _ours[kind] = hasattr(load_node(pk).process_class, "is_in_custody")
        except SQLAlchemyError:
            raise  # that says nothing of its plugin
        except Exception:
            _ours[kind] = False  # its plugin is not installed, or broken
    return _ours[kind]
