"""Inputs of a process that a person wants otherwise: judged, and made nodes.

What a person writes is JSON: an object with the names of the inputs, namespaces within
namespaces. A number, text or list becomes a node of the type that the port takes; an
object changes the entries of a `Dict` that it names and leaves the others; any other
node is named by PK, UUID or label; null takes an input away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aiida.common import AttributeDict
from aiida.common.exceptions import MultipleObjectsError, NotExistent, ValidationError
from aiida.engine import Process, calcfunction
from aiida.engine.persistence import get_object_loader
from aiida.engine.processes.ports import PortNamespace
from aiida.orm import (
    AbstractCode,
    Data,
    Dict,
    Float,
    Node,
    Str,
    load_code,
    load_node,
    to_aiida_type,
)

from .text import shown

__all__ = [
    "changed_inputs",
    "make_inputs",
    "problem_with",
    "with_decided",
    "write_into",
]

Path = tuple[str, ...]

_LARGEST_PK = 2**31
# With these nothing could be submitted.
_FIXED = {("metadata", "dry_run"), ("metadata", "store_provenance")}


def problem_with(
    changes: Mapping[str, Any], process_class: type[Process], inputs: Mapping[str, Any]
) -> str | None:
    """Return why a process cannot run with inputs changed like that; None if it can.

    :param inputs: what it ran with, as a work chain submits it.
    """
    ports = process_class.spec().inputs
    try:
        found = dict(_read(changes, ports, lambda path: _at(inputs, path)))
        tried = ports.serialize(_with_dicts(_but(inputs, found), ports))
        error = ports.validate(ports.pre_process(tried or {}))
    except ValueError as problem:
        return f"{problem}."
    return None if error is None else " ".join(str(error).split())


def changed_inputs(
    changes: Any,
    process_class: type[Process],
    inputs: Mapping[str, Any],
    decided: Mapping[str, str],
) -> tuple[AttributeDict, dict[str, str]]:
    """Return the inputs as a person wants them, from within the work chain that asked.

    :param changes: the decision, a `Dict`; what is new is made of it by a calculation.
    :param inputs: what the process ran with; they stay as they are.
    :param decided: the plain dictionaries among them that were decided, as returned.
    :return: the inputs, with a plain dictionary where there was one, and for each of
        these that was decided the UUID of its node, see `with_decided`.
    :raises ValueError: if they do not fit any more.
    """
    found = dict(
        _read(
            changes.get_dict(),
            process_class.spec().inputs,
            lambda path: _at(inputs, path),
        )
    )
    new = [path for path, value in found.items() if _is_new(value)]
    nodes = {**decided}
    if new:
        made = make_inputs(
            changes=changes,
            process=to_aiida_type(get_object_loader().identify_object(process_class)),
            **_dicts_before(new, inputs, decided),
        )
        if isinstance(made, Data):  # so does AiiDA return what is called `result`
            made = {"result": made}
        for path in new:
            found[path] = node = _at(made, path)
            if isinstance(_at(inputs, path), dict):
                found[path], nodes[".".join(path)] = node.get_dict(), node.uuid
    return _but(inputs, found), nodes


def with_decided(
    inputs: Mapping[str, Any], decided: Mapping[str, str]
) -> AttributeDict:
    """Return inputs with the nodes that were decided for the dictionaries made of them.

    A work chain that keeps plain dictionaries, to write into them, makes nodes of them
    when it submits them. Where one is still what was decided, that node is taken; else
    one that a calculation makes of it.

    :param inputs: as they are submitted.
    :param decided: see `changed_inputs`.
    """
    found: dict[Path, Any] = {}
    for name, uuid in decided.items():
        path = tuple(name.split("."))
        now = _at(inputs, path)
        if _is_new(now) and isinstance(now, Dict):
            found[path] = _from_decided(now, uuid)
    return _but(inputs, found)


def _from_decided(now: Dict, uuid: str) -> Any:
    """Return a dictionary as a node that comes of the one that was decided."""
    node: Any = load_node(uuid)
    if now.base.attributes.all == node.base.attributes.all:
        return node
    return write_into(node, now)


@calcfunction
def write_into(decided: Dict, written: Dict) -> Dict:
    """Return what a work chain has made of a dictionary that a person decided.

    :param written: all that is in it by now.
    """
    content: Any = written
    result: Dict = to_aiida_type(content.get_dict())
    return result


def _dicts_before(
    paths: Sequence[Path], inputs: Mapping[str, Any], decided: Mapping[str, str]
) -> dict[str, Any]:
    """Return the dictionaries at these places as nodes, for `make_inputs`."""
    before = {}
    for path in paths:
        old = _at(inputs, path)
        if isinstance(old, dict):
            old, uuid = to_aiida_type(dict(old)), decided.get(".".join(path))
            old = old if uuid is None else _from_decided(old, uuid)
        if isinstance(old, Dict):
            if _label(path) in before:
                raise ValueError(f"change {'.'.join(path)} by itself")
            before[_label(path)] = old
    return before


@calcfunction
def make_inputs(changes: Dict, process: Str, **before: Dict) -> dict[str, Data]:
    """Return the inputs that a person wants otherwise.

    :param changes: by name, namespaces within namespaces.
    :param process: the class of the process, as `module:name`.
    :param before: the dictionaries of which some entries change.
    """
    ports = get_object_loader().load_object(process.value).spec().inputs
    wanted: Any = changes
    found = _read(wanted.get_dict(), ports, lambda path: before.get(_label(path)))
    return {".".join(path): value for path, value in found if _is_new(value)}


def _read(
    changes: Mapping[str, Any],
    ports: PortNamespace,
    before: Callable[[Path], Any],
    at: Path = (),
) -> Iterator[tuple[Path, Any]]:
    """Yield where which value shall stand: a node, what goes without one, or None.

    :param before: returns what stood there.
    :raises ValueError: if there is no such input, or the value cannot be one.
    """
    for name, raw in changes.items():
        path = (*at, name)
        where = ".".join(path)
        port = ports.get(name)
        if port is None and not ports.dynamic:
            raise ValueError(f"there is no input {where}, only {', '.join(ports)}")
        if (port is None and not name.isidentifier()) or "__" in name:
            raise ValueError(f"{where} cannot be the name of an input")
        if path in _FIXED:
            raise ValueError(f"{where} cannot be changed")
        if isinstance(port, PortNamespace):
            if not isinstance(raw, Mapping):
                raise ValueError(f"{where} has to be an object")
            yield from _read(raw, port, before, path)
            continue
        kinds = _kinds((ports if port is None else port).valid_type)
        if getattr(port, "non_db", False) or getattr(port, "is_metadata", False):
            kinds = ()  # it goes without a node
        try:
            yield path, None if raw is None else _value(raw, kinds, before(path))
        except (ValueError, ValidationError) as error:  # AiiDA's own is no ValueError
            raise ValueError(f"{where}: {error}") from error


def _value(raw: Any, kinds: tuple[type, ...], before: Any) -> Any:
    """Return what a port of these types takes for what a person wrote."""
    if not any(issubclass(kind, Node) for kind in kinds):
        return _merged(before, raw)
    if isinstance(raw, dict) and issubclass(Dict, kinds):
        entries = before.base.attributes.all if isinstance(before, Dict) else before
        changed: Data = to_aiida_type(_merged(entries, raw))
        return changed
    makers: list[Callable[[Any], Data]] = [to_aiida_type]
    if isinstance(raw, int) and not isinstance(raw, bool):
        makers.append(Float)
    for node in (make(raw) for make in makers):
        if isinstance(node, kinds):
            return node
    return _named(raw, kinds)


def _named(raw: Any, kinds: tuple[type, ...]) -> Node:
    """Return the node that is there already."""
    wanted = " or ".join(kind.__name__ for kind in kinds)
    is_code = any(issubclass(kind, AbstractCode) for kind in kinds)
    if not isinstance(raw, (int, str)) or isinstance(raw, bool):
        raise ValueError(f"{shown(raw)} is no {wanted}")
    if _is_no_pk(raw):
        raise ValueError(f"{shown(raw)} is no {wanted}, and names none")
    try:
        node: Node = (load_code if is_code else load_node)(raw)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise ValueError(f"{shown(raw)} is no {wanted}, and names none") from error
    if not isinstance(node, kinds):
        raise ValueError(f"{shown(raw)} is a {type(node).__name__}, and no {wanted}")
    return node


def _is_no_pk(raw: int | str) -> bool:
    """Return whether it is a number that no database takes.

    The query would fail, and aiida-core then cuts all processes of the worker off.
    """
    try:
        return not 0 < int(raw) < _LARGEST_PK
    except ValueError:
        return False


def _kinds(valid_type: Any) -> tuple[type, ...]:
    """Return the types that a port takes."""
    kinds = valid_type if isinstance(valid_type, tuple) else (valid_type,)
    return tuple(kind for kind in kinds if isinstance(kind, type)) or (Data,)


def _merged(before: Any, raw: Any) -> Any:
    """Return an object with the entries of both, at every depth; else the new value."""
    if not (isinstance(before, Mapping) and isinstance(raw, Mapping)):
        return raw
    merged = {**before}
    for key, value in raw.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _with_dicts(inputs: Mapping[str, Any], ports: PortNamespace) -> dict[str, Any]:
    """Return inputs as they are submitted: a restarting work chain may keep bare ones.

    What it wraps itself is wrapped here, as `_wrap_bare_dict_inputs` does.
    """
    wrapped = dict(inputs)
    for name, value in inputs.items():
        port = ports.get(name)
        if isinstance(port, PortNamespace):
            wrapped[name] = _with_dicts(value, port)
        elif port is not None and Dict in _kinds(port.valid_type):
            wrapped[name] = to_aiida_type(value) if isinstance(value, dict) else value
    return wrapped


def _but(inputs: Mapping[str, Any], found: Mapping[Path, Any]) -> AttributeDict:
    """Return inputs with other values at some places, without those that are None."""
    result = AttributeDict(dict(inputs))
    for path, value in found.items():
        *namespaces, name = path
        space = result
        for each in namespaces:
            space[each] = AttributeDict(dict(space.get(each, {})))
            space = space[each]
        if value is None:
            space.pop(name, None)
        else:
            space[name] = value
    return result


def _at(inputs: Any, path: Path) -> Any:
    """Return what stands at a place, or None."""
    for name in path:
        inputs = inputs.get(name) if isinstance(inputs, Mapping) else None
    return inputs


def _label(path: Path) -> str:
    return "_".join(("before", *path))


def _is_new(value: Any) -> bool:
    return isinstance(value, Data) and not value.is_stored
