"""What became of the messages, kept in the profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from aiida.manage import get_manager
from pydantic import TypeAdapter

from ..database import one_commit
from .addresses import Address, addresses

__all__ = ["Told", "keep", "told"]

_KEY = "humanintheloop.told"


@dataclass
class Told:
    """What became of the messages to one address.

    :param keys: of what it was told of and is still open.
    :param at: when the last message was tried.
    :param error: why that was not sent, None if it was.
    """

    keys: set[str] = field(default_factory=set)
    at: datetime | None = None
    error: str | None = None


_TOLD: TypeAdapter[dict[int, Told]] = TypeAdapter(dict[int, Told])


def told() -> dict[int, Told]:
    """Return what became of the messages, by the number of the address."""
    try:
        storage = get_manager().get_profile_storage()
        return _TOLD.validate_json(str(storage.get_global_variable(_KEY)))
    except KeyError:
        return {}


def keep(address: Address, past: Told) -> None:
    """Keep in the profile what became of a message.

    :raises DatabaseLost: if the server of the database went away.
    """
    with one_commit():
        numbers = {each.number for each in addresses()}
        kept = {**told(), address.number: past}
        record = {number: past for number, past in kept.items() if number in numbers}
        get_manager().get_profile_storage().set_global_variable(
            _KEY,
            _TOLD.dump_json(record).decode(),
            "Of what aiida-human-in-the-loop has told whom.",
        )
