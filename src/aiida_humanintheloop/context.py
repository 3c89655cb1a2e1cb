"""What a work chain keeps in `self.ctx`, and whether it outlives the worker.

aiida-core 2.9 saves it with each state. Of what cannot be saved it logs a traceback and
goes on, with the checkpoint of the state before; and some of what can be saved cannot
be loaded. Whoever waits for a person for weeks is certain to be loaded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from aiida.common.extendeddicts import AttributeDict
from aiida.orm import Node
from aiida.orm.utils.serialize import deserialize_unsafe, serialize

from .database import is_lost

__all__ = ["check"]

_PLAIN = (str, int, float, bool, type(None))


def check(context: Mapping[str, Any]) -> None:
    """See that all that is kept would be there again.

    :raises ValueError: if something would not; its text names it.
    """
    for name, value in context.items():
        if not _can_be_loaded(value):
            kind = type(value).__name__
            raise ValueError(
                f"self.ctx.{name} ({kind}) cannot be saved, and would be lost while a "
                "person is asked: keep it in a node, or make it where it is needed"
            )


def _can_be_loaded(value: Any) -> bool:
    """Return whether a value would come back as what it is.

    Most is plain or a node, each of which would take a query.
    """
    if type(value) in _PLAIN or isinstance(value, Node):
        return True
    if type(value) in (dict, AttributeDict):
        return all(map(_can_be_loaded, value.values()))
    if type(value) in (list, tuple):
        return all(map(_can_be_loaded, value))
    try:
        return _is_alike(value, deserialize_unsafe(serialize(value)))
    except Exception as error:
        if is_lost(error):
            raise
        return False


def _is_alike(value: Any, loaded: Any) -> bool:
    """Return whether both are of one type, also within.

    A dataclass that is in another one is loaded as a dictionary.
    """
    if type(value) is not type(loaded) or isinstance(value, type):
        return value is loaded
    return all(map(_is_alike, _parts(value), _parts(loaded)))


def _parts(value: Any) -> list[Any]:
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else []
