"""An answer becomes a node of the provenance graph, found from all that rests on it.

A process takes no inputs once it runs, and extras can be changed by anybody, so what
was decided goes through a calculation function: what the person was asked, was shown
and said are its inputs, and the workflow goes on with its output.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from aiida.common.links import LinkType
from aiida.engine import ProcessState, calcfunction
from aiida.manage import get_manager
from aiida.orm import (
    CalcFunctionNode,
    Data,
    Dict,
    Node,
    QueryBuilder,
    WorkChainNode,
    load_node,
    to_aiida_type,
)
from aiida.plugins.utils import PluginVersionProvider
from aiida.repository import Repository

from . import kinds
from .database import one_commit
from .graph import link, store, upstream
from .letter import Letter
from .question import Answer

__all__ = [
    "DECISION_TYPE",
    "Decision",
    "decide",
    "decisions",
    "decisions_of",
    "further_decisions",
    "load_decisions",
    "name_of",
    "names_in",
    "record",
]

#: Of the calculation functions that are decisions, the `process_type`.
DECISION_TYPE = "aiida.calculations:humanintheloop.decide"
_LABEL_CHARACTERS = 60


@calcfunction
def decide(question: Dict, response: Dict, **shown: Data) -> Data:
    """Return what was decided.

    :param question: what was asked, when, by which workflow, and what an answer had to
        be.
    :param response: `value`, and who gave it, when, how, why: `by`, `at`, `via`,
        `comment`, and `kind`: `human`, `default` (nobody answered in time) or `policy`;
        of a replay, what it `repeats`.
    :param shown: the evidence, as `evidence_1` and so on; a node that was chosen, as
        `chosen`.
    :return: the value; the UUID of a node that was chosen.
    """
    value: Data = to_aiida_type(response["value"])
    return value


@dataclass(frozen=True)
class Decision:
    """One answer on which something rests.

    :ivar pk: of the calculation function.
    :ivar uuid: of the same.
    :ivar question: as it was asked, with `id`, `text`, `workflow`, `asked_at`, ...
    :ivar response: `value`, `by`, `at`, `via`, `kind` and `comment`, as far as said.
    """

    pk: int
    uuid: str
    question: Mapping[str, Any]
    response: Mapping[str, Any]

    @property
    def workflow(self) -> str:
        """Class of the workflow that asked, as `verdi process list` shows it."""
        return str(self.question["workflow"]["type"])

    @property
    def evidence(self) -> list[str]:
        """UUIDs of the nodes that the person was shown."""
        return list(self.question.get("evidence", ()))


def record(workflow: WorkChainNode, letter: Letter) -> Data:
    """Record the answer to a question, of the workflow that asked.

    Stored is what the engine leaves of `decide`, without the engine: to have it run
    takes a worker three times as long, and the next question comes that much later.

    :return: the value, stored; the UUID of a node that was chosen.
    :raises RuntimeError: if the database gave the nodes each other's PKs.
    :raises DatabaseLost: if the server of the database went away; nothing is written.
    """
    answer = letter.answer
    assert answer is not None
    inputs = _inputs(workflow, letter, answer)
    value: Data = to_aiida_type(answer.value)
    label = " ".join(letter.label.split())[:_LABEL_CHARACTERS]
    decision = _node_of(decide, label, answer.comment or "")
    new = [node for node in (*inputs.values(), value, decision) if not node.is_stored]
    with one_commit():
        stored = store(new, workflow.user.pk)
        made = stored[decision.uuid]
        link(
            [
                (workflow.pk or 0, LinkType.CALL_CALC, f"decision_{letter.id}", made),
                *(
                    (node.pk or stored[node.uuid], LinkType.INPUT_CALC, label, made)
                    for label, node in inputs.items()
                ),
                (made, LinkType.CREATE, "result", stored[value.uuid]),
            ]
        )
        recorded: Any = load_node(stored[value.uuid])
        if recorded.uuid != value.uuid:  # the PKs came in another order
            raise RuntimeError("the database has mixed up the nodes of a decision")
    return cast(Data, recorded)


def _inputs(workflow: WorkChainNode, letter: Letter, answer: Answer) -> dict[str, Data]:
    """Return the inputs of a decision, stored or not."""
    question = {
        **letter.question.to_record(),
        "id": letter.id,
        "asked_at": letter.asked_at.isoformat(),
        "workflow": {"uuid": workflow.uuid, "type": workflow.process_label},
    }
    if letter.name is not None:
        question["name"] = letter.name
    said = {
        "value": answer.value,
        "kind": answer.kind,
        "by": answer.by,
        "at": answer.at,
        "via": answer.via,
        "comment": answer.comment,
        "taken_at": letter.taken_at,
        "repeats": answer.repeats,
    }
    shown = _data(letter.question.evidence, "evidence_{}")
    if isinstance(letter.question.kind, kinds.Node):
        shown.update(_data([answer.value], "chosen"))
    return {
        "question": to_aiida_type(question),
        "response": to_aiida_type({k: v for k, v in said.items() if v is not None}),
        **shown,
    }


def _node_of(function: Any, label: str, description: str) -> CalcFunctionNode:
    """Return the node of a calculation function that has ended well, not yet stored."""
    node = CalcFunctionNode(label=label, description=description)
    node.set_process_type(function.process_class.build_process_type())
    metadata = {"label": label, "description": description, "disable_cache": True}
    node.set_metadata_inputs({"metadata": metadata})
    attributes, files = _attributes_and_files(function)
    node.base.attributes.set_many(attributes)
    node.backend_entity.repository_metadata = files
    # Who says the same once more has decided once more, and not copied this.
    node.base.caching.is_valid_cache = False
    return node


@cache
def _attributes_and_files(function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the nodes of a function have in common, whatever it is called with.

    That includes the source of the function, as of when it was imported.
    """
    node, process_class = CalcFunctionNode(), function.process_class
    node.set_process_label(function.__name__)
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(0)
    provider: Any = PluginVersionProvider
    node.base.attributes.set_many(provider().get_version_info(process_class))
    node.store_source_info(inspect.unwrap(function))
    node.base.attributes.set(node.SEALED_KEY, True)
    files = Repository(backend=get_manager().get_profile_storage().get_repository())
    for name in node.base.repository.list_object_names():
        with node.base.repository.open(name, "rb") as file:
            files.put_object_from_filelike(file, name)
    return node.base.attributes.all, files.serialize()


def _data(uuids: Any, label: str) -> dict[str, Data]:
    """Return the data among nodes, which alone can go into a calculation function.

    A process that was shown is named in the question, and so is a node that somebody
    has deleted since.
    """
    query = QueryBuilder().append(
        Data, filters={"uuid": {"in": list(uuids)}}, project=["uuid", "*"]
    )
    found = dict(query.all()) if uuids else {}
    numbered = enumerate((found[uuid] for uuid in uuids if uuid in found), start=1)
    return {label.format(number): node for number, node in numbered}


def decisions(node: Node) -> list[Decision]:
    """Return the decisions that a node rests on, through any depth, oldest first.

    For data and calculations these are all that lie upstream; for a workflow, all that
    its inputs and what it called, and those called in turn, rest on.

    :param node: any stored node.
    """
    return load_decisions(upstream(node.pk or 0, DECISION_TYPE))


def further_decisions(node: Node) -> dict[str, int]:
    """Return how many decisions lie in workflows that have returned a node.

    Not counted are those on which it rests. To accept a result as it is, for one, is a
    decision that comes after the result was made.

    :return: by what the workflow is called, without those that have none.
    """
    own = set(upstream(node.pk or 0, DECISION_TYPE))
    returned = node.base.links.get_incoming(link_type=LinkType.RETURN).all_nodes()
    more = {
        name_of(each): len({*upstream(each.pk or 0, DECISION_TYPE)} - own)
        for each in returned
    }
    return {name: number for name, number in more.items() if number}


def name_of(node: Node) -> str:
    """Return what a node is and how one finds it."""
    kind = getattr(node, "process_label", None) or type(node).__name__
    return f"{kind} <{node.pk}>"


def names_in(found: Iterable[Decision]) -> dict[str, str]:
    """Return what the nodes are called that decisions name, by UUID, in one query.

    An archive may lack some.
    """
    uuids = {
        uuid
        for each in found
        for uuid in (
            *each.evidence,
            each.question["workflow"].get("uuid"),
            each.response.get("repeats"),
        )
        if uuid is not None
    }
    if not uuids:
        return {}
    query = QueryBuilder().append(Node, filters={"uuid": {"in": sorted(uuids)}})
    return {node.uuid: name_of(node) for node in query.all(flat=True)}


def decisions_of(workflows: Iterable[Node]) -> list[Decision]:
    """Return the decisions that workflows have made themselves, oldest first."""
    query = QueryBuilder().append(
        Node, filters={"id": {"in": [each.pk for each in workflows]}}, tag="asker"
    )
    query.append(
        CalcFunctionNode,
        filters={"process_type": DECISION_TYPE},
        with_incoming="asker",
        edge_filters={"type": LinkType.CALL_CALC.value},
        project="id",
    )
    return load_decisions(query.all(flat=True))


def load_decisions(pks: Sequence[int]) -> list[Decision]:
    """Return decisions by their PKs, oldest first, with one query."""
    if not pks:
        return []
    found = QueryBuilder()
    found.append(
        CalcFunctionNode,
        filters={"id": {"in": pks}},
        tag="decision",
        project=["id", "uuid"],
    )
    for label in ("question", "response"):
        found.append(
            Dict,
            with_outgoing="decision",
            edge_filters={"label": label},
            project="attributes",
        )
    found.order_by({"decision": "ctime"})  # an archive gives new PKs, in any order
    return [Decision(*row) for row in found.all()]
