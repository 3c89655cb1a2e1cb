"""The inputs of a process, in the words in which a person could change them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sized
from typing import Any

from aiida.engine import Process
from aiida.engine.processes.ports import PortNamespace
from aiida.orm import Dict, Node

from .text import shortened

__all__ = ["described"]

_LINE_CHARACTERS, _SHOWN_CHARACTERS = 60, 800


def described(inputs: Mapping[str, Any], process_class: type[Process]) -> list[str]:
    """Return name and value of each input that says something, nodes first.

    :param inputs: of a process, as a work chain submits it.
    :return: of each `name = value`; a long value as JSON on several lines.
    """
    found = list(_described(inputs, process_class.spec().inputs))
    found.sort(key=lambda entry: entry[0].startswith("metadata."))
    return [f"{name} = {value}" for name, value in found]


def _described(
    inputs: Mapping[str, Any], ports: PortNamespace, at: str = ""
) -> Iterator[tuple[str, str]]:
    for name, value in inputs.items():
        port = ports.get(name)
        if isinstance(port, PortNamespace):
            yield from _described(value, port, f"{at}{name}.")
        elif isinstance(value, Node):
            yield f"{at}{name}", _in_words(value)
        elif name != "call_link_label" and not _is_default(port, value):
            yield f"{at}{name}", _as_json(value)


def _in_words(node: Node) -> str:
    """Return the value of a node where it has one, or how one finds the node."""
    if isinstance(node, Dict):
        return _as_json(node.base.attributes.all)
    name = getattr(node, "full_label", f"{type(node).__name__} <{node.pk}>")
    return _as_json(node.value) if hasattr(node, "value") else name


def _as_json(value: Any) -> str:
    """Return a value as a person would write it into an answer."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _LINE_CHARACTERS:
        text = json.dumps(value, ensure_ascii=False, default=str, indent=2)
    return shortened(text, _SHOWN_CHARACTERS)


def _is_default(port: Any, value: Any) -> bool:
    is_empty = value is None or (isinstance(value, Sized) and not value)
    return is_empty or (
        port is not None and port.has_default() and port.default == value
    )
