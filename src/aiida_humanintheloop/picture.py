"""A picture of the provenance of a node, in which the decisions stand out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import graphviz
from aiida.orm import Node, ProcessNode, QueryBuilder
from aiida.orm.utils.links import LinkPair
from aiida.tools.visualization.graph import (
    Graph,
    default_link_styles,
    default_node_styles,
    default_node_sublabels,
)

from .decision import DECISION_TYPE, Decision, load_decisions
from .graph import links_upstream
from .text import one_line, shortened, shown

__all__ = ["picture"]

_DECISION = {
    "shape": "octagon",
    "style": "filled,bold",
    "fillcolor": "#ffd54f",  # amber: nothing else of AiiDA's graphs is
    "penwidth": "3",
}
_ORIGIN = {"color": "red", "penwidth": "6"}
_QUESTION_CHARACTERS = 50


def picture(node: Node) -> Graph:
    """Return the graph of what a node rests on, to be rendered by Graphviz.

    Its links come from one query: AiiDA's own walk takes minutes for long histories.

    :param node: any stored node; of a workflow, what it called counts, too.
    :return: `graphviz.source` is its text in the language DOT.
    """
    links = links_upstream(node.pk or 0)
    pks = {node.pk, *(start for start, *_ in links), *(end for _, end, *_ in links)}
    query = QueryBuilder().append(Node, filters={"id": {"in": pks}})
    nodes = {each.pk: each for each in query.all(flat=True)}
    found = [each.pk or 0 for each in nodes.values() if _is_decision(each)]
    decisions = {each.pk: each for each in load_decisions(found)}
    graph = Graph(
        node_style_fn=_style,
        node_sublabel_fn=lambda each: _sublabel(each, decisions),
    )
    graph.add_node(node, style_override=_ORIGIN)
    for each in nodes.values():
        graph.add_node(each)
    for start, end, kind, label in links:
        pair = LinkPair(kind, label)
        style = default_link_styles(pair, add_label=False, add_type=False)
        graph.add_edge(nodes[start], nodes[end], pair, style=style)
    return graph


def _is_decision(node: Node) -> bool:
    return isinstance(node, ProcessNode) and node.process_type == DECISION_TYPE


def _style(node: Node) -> dict[str, Any]:
    return dict(_DECISION) if _is_decision(node) else default_node_styles(node)


def _sublabel(node: Node, decisions: Mapping[int, Decision]) -> str:
    """Return what was asked, and who said what; of other nodes, what AiiDA says."""
    decision = decisions.get(node.pk or 0)
    if decision is None:
        return default_node_sublabels(node)
    question, response = decision.question, decision.response
    text = shortened(one_line(question["text"]), _QUESTION_CHARACTERS)
    value = response["value"]
    said = shown(value) if isinstance(value, str) else json.dumps(value)[:40]
    who = response.get("by") or response["kind"]
    lines = (text, f"{said} · {one_line(who)}")
    return "\n".join(graphviz.escape(line) for line in lines)
