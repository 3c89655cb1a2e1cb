"""A picture of the provenance of a node, in which the decisions stand out."""

from __future__ import annotations

import json
from typing import Any

import graphviz
from aiida.common.links import LinkType
from aiida.orm import Node, ProcessNode, WorkflowNode
from aiida.tools.visualization.graph import (
    Graph,
    default_node_styles,
    default_node_sublabels,
)

from .decision import DECISION_TYPE
from .text import one_line, shortened, shown

__all__ = ["picture"]

_DECISION = {
    "shape": "octagon",
    "style": "filled,bold",
    "fillcolor": "#ffd54f",  # amber: nothing else of AiiDA's graphs is
    "penwidth": "3",
}
_QUESTION_CHARACTERS = 50


def picture(node: Node) -> Graph:
    """Return the graph of what a node rests on, to be rendered by Graphviz.

    :param node: any stored node; of a workflow, what it called counts, too.
    :return: `graphviz.source` is its text in the language DOT.
    """
    graph = Graph(node_style_fn=_style, node_sublabel_fn=_sublabel)
    ends = [node]
    if isinstance(node, WorkflowNode):
        graph.recurse_descendants(node, link_types=["call_calc", "call_work", "return"])
        returned = node.base.links.get_outgoing(link_type=LinkType.RETURN)
        ends += [*node.called_descendants, *returned.all_nodes()]
    for each in ends:
        graph.recurse_ancestors(each)
    return graph


def _is_decision(node: Node) -> bool:
    return isinstance(node, ProcessNode) and node.process_type == DECISION_TYPE


def _style(node: Node) -> dict[str, Any]:
    return dict(_DECISION) if _is_decision(node) else default_node_styles(node)


def _sublabel(node: Node) -> str:
    """Return what was asked, and who said what; of other nodes, what AiiDA says."""
    if not _is_decision(node):
        return default_node_sublabels(node)
    question, response = node.inputs.question, node.inputs.response
    text = shortened(one_line(question["text"]), _QUESTION_CHARACTERS)
    value = response["value"]
    said = shown(value) if isinstance(value, str) else json.dumps(value)[:40]
    who = response.get("by") or response["kind"]
    lines = (text, f"{said} · {one_line(who)}")
    return "\n".join(graphviz.escape(line) for line in lines)
