"""A flow as nodes and edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ivr_flows import schema
from ivr_flows.schema import Flow, Node
from ivr_flows.yaml_text import Path


@dataclass(frozen=True, slots=True)
class Edge:
    """One way on from a node."""

    branch: str
    """The key in the file, for instance ``next`` or ``choices.1``."""
    target: str | None
    """None: the flow's default queue."""


_BRANCHES: Mapping[type, tuple[tuple[str, ...], ...]] = {
    # Each branch with the ones that stand in for it when it is left out.
    schema.Say: (("next",),),
    schema.ChooseLanguage: (("next",),),
    schema.Recognise: (("known",), ("unknown",), ("shared", "unknown"), ("withheld", "unknown")),
    schema.Collect: (
        ("next",),
        ("invalid",),
        ("timeout", "invalid"),
        ("skipped", "timeout", "invalid"),
    ),
    schema.Condition: (("then",), ("otherwise",)),
    schema.Menu: (("invalid",), ("timeout", "invalid")),
    schema.Set: (("next",),),
    schema.ToQueue: (),
    schema.HangUp: (),
}


def edges(node: Node) -> tuple[Edge, ...]:
    """All ways on from a node, those it leaves out included."""
    found = [Edge(names[0], _first(node, names)) for names in _BRANCHES[type(node)]]
    if isinstance(node, schema.Collect) and node.skip is None:
        found = [edge for edge in found if edge.branch != "skipped"]
    if isinstance(node, schema.Menu):
        found += [Edge(f"choices.{digit}", target) for digit, target in node.choices.items()]
    found.append(Edge("error", node.error))
    if node.visits is not None:
        found.append(Edge("exhausted", node.exhausted))
    return tuple(found)


def reachable(flow: Flow) -> frozenset[str]:
    """The nodes a caller can come to."""
    found: set[str] = set()
    waiting = [flow.document.start]
    while waiting:
        node_id = waiting.pop()
        node = flow.document.nodes.get(node_id)
        if node is None or node_id in found:
            continue
        found.add(node_id)
        waiting += [edge.target for edge in edges(node) if edge.target is not None]
    return frozenset(found)


def endless(flow: Flow) -> tuple[tuple[str, ...], ...]:
    """Loops that nothing limits, each as the nodes on it.

    A node with ``visits`` is left by ``exhausted`` in the end, so only that edge of it counts.
    """
    nodes = flow.document.nodes
    after: dict[str, list[str]] = {}
    for node_id, node in nodes.items():
        ways = edges(node) if node.visits is None else [Edge("exhausted", node.exhausted)]
        after[node_id] = [edge.target for edge in ways if edge.target in nodes]
    found: list[tuple[str, ...]] = []
    done: set[str] = set()
    for root in nodes:
        # Depth first without recursion: a flow may be a long chain.
        trail: list[str] = []
        on_trail: set[str] = set()
        waiting: list[tuple[str, bool]] = [(root, True)]
        while waiting:
            node_id, arriving = waiting.pop()
            if not arriving:
                trail.pop()
                on_trail.discard(node_id)
                done.add(node_id)
            elif node_id in on_trail:
                found.append(tuple(trail[trail.index(node_id) :]))
            elif node_id not in done:
                trail.append(node_id)
                on_trail.add(node_id)
                waiting.append((node_id, False))
                waiting += [(target, True) for target in after[node_id]]
    return tuple(found)


def branch_path(node_id: str, branch: str) -> Path:
    """Where the branch stands in the file."""
    return ("nodes", node_id, *branch.split("."))


def _first(node: Node, names: tuple[str, ...]) -> str | None:
    for name in names:
        target: str | None = getattr(node, name)
        if target is not None:
            return target
    return None
