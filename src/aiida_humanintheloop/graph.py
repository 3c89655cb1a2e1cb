"""Write a piece of the provenance graph, and read what lies upstream, at once.

AiiDA stores one node after the other: it writes it, reads it back, asks for its hash
what its inputs are, writes that, and asks of each link whether it may be. For a node
that is not run but recorded, all that is known before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiida.common import timezone
from aiida.common.hashing import make_hash
from aiida.common.links import LinkType
from aiida.manage import get_manager
from aiida.orm import Data, Node
from aiida.orm.entities import EntityTypes
from sqlalchemy import text

__all__ = ["Link", "link", "links_upstream", "store", "upstream"]

#: PK of the source, PK of the target, type, label.
Link = tuple[int, int, LinkType, str]

_UPSTREAM = text(
    """
    WITH RECURSIVE called (id) AS (
        SELECT CAST(:pk AS INTEGER)
        UNION SELECT link.output_id FROM db_dblink link JOIN called
            ON link.input_id = called.id AND link.type IN ('call_calc', 'call_work')
    ), upstream (id) AS (
        SELECT id FROM called
        UNION SELECT link.input_id FROM db_dblink link JOIN upstream
            ON link.output_id = upstream.id
            AND link.type IN ('input_calc', 'input_work', 'create')
    )
    SELECT node.id FROM upstream JOIN db_dbnode node ON node.id = upstream.id
    WHERE node.process_type = :type
    """
)

_LINKS_UPSTREAM = text(
    """
    WITH RECURSIVE below (id) AS (
        SELECT CAST(:pk AS INTEGER)
        UNION SELECT link.output_id FROM db_dblink link JOIN below
            ON link.input_id = below.id
            AND link.type IN ('call_calc', 'call_work', 'return')
    ), upstream (id) AS (
        SELECT id FROM below
        UNION SELECT link.input_id FROM db_dblink link JOIN upstream
            ON link.output_id = upstream.id
    )
    SELECT link.input_id, link.output_id, link.type, link.label
    FROM upstream JOIN db_dblink link ON link.output_id = upstream.id
    ORDER BY link.id
    """
)


def store(nodes: Sequence[Node], user: int | None) -> dict[str, int]:
    """Store nodes in one statement; to go on with one, it has to be loaded.

    :param nodes: of which none is stored, or is of a computer; what files one has lie
        in the repository of the profile already.
    :param user: PK of the user whose they are. AiiDA's own default user cannot be asked
        for it any more once a query has failed in this worker.
    :return: their PKs, by UUID.
    """
    time = timezone.now()
    rows = []
    for node in nodes:
        entity: Any = node.backend_entity
        entity.clean_values()
        extras = dict(node.base.extras.all)
        if isinstance(node, Data):  # what it goes into may be taken from the cache
            key = node.base.caching._HASH_EXTRA_KEY
            extras[key] = make_hash(node.base.caching.get_objects_to_hash())
        rows.append(
            {
                "uuid": node.uuid,
                "node_type": node.node_type,
                "process_type": node.process_type,
                "label": node.label,
                "description": node.description,
                "ctime": time,
                "mtime": time,
                "attributes": node.base.attributes.all,
                "extras": extras,
                "repository_metadata": entity.repository_metadata,
                "user_id": user,
                "dbcomputer_id": None,
            }
        )
    pks = _storage().bulk_insert(EntityTypes.NODE, rows)
    return dict(zip([node.uuid for node in nodes], pks, strict=True))


def link(links: Iterable[tuple[int, LinkType, str, int]]) -> None:
    """Link stored nodes, in one statement.

    :param links: PK of the source, type, label and PK of the target of each, all of
        which may be.
    """
    rows = [
        {"input_id": source, "output_id": target, "type": kind.value, "label": label}
        for source, kind, label, target in links
    ]
    _storage().bulk_insert(EntityTypes.LINK, rows)


def upstream(pk: int, process_type: str) -> list[int]:
    """Return the PKs of the processes of a type that a node rests on.

    In one statement, and each node once. `QueryBuilder` has `with_descendants` for it,
    which returns a row for each path, and an adaptive search has millions of paths.

    :param pk: of the node; of a workflow, what it called counts, too.
    """
    found = (
        _storage().get_session().execute(_UPSTREAM, {"pk": pk, "type": process_type})
    )
    return [pk for (pk,) in found]


def links_upstream(pk: int) -> list[Link]:
    """Return all links on the ways to a node, of whatever type, each once.

    :param pk: of the node; of a workflow, the ways to what it called and returned, too.
    """
    found = _storage().get_session().execute(_LINKS_UPSTREAM, {"pk": pk})
    return [(start, end, LinkType(kind), label) for start, end, kind, label in found]


def _storage() -> Any:
    return get_manager().get_profile_storage()
