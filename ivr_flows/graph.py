"""A flow as nodes and edges."""

from __future__ import annotations

from ivr_flows.branches import Edge, edges
from ivr_flows.schema import Flow
from ivr_flows.yaml_text import Path


def reachable(flow: Flow) -> frozenset[str]:
    """The nodes a caller can come to."""
    found: set[str] = set()
    waiting = [flow.document.start, *([flow.document.hangup] if flow.document.hangup is not None else [])]
    while waiting:
        node_id = waiting.pop()
        node = flow.nodes.get(node_id)
        if node is None or node_id in found:
            continue
        found.add(node_id)
        waiting += [edge.target for edge in edges(node) if edge.target is not None]
    return frozenset(found)


def endless(flow: Flow) -> tuple[tuple[str, ...], ...]:
    """Loops that nothing limits, each as the nodes on it.

    A node with ``visits`` is left by ``exhausted`` in the end, so only that edge of it counts.
    """
    nodes = flow.nodes
    after: dict[str, list[str]] = {}
    for node_id, node in nodes.items():
        ways = edges(node) if node.visits is None else [Edge("exhausted", node.exhausted)]
        after[node_id] = [edge.target for edge in ways if edge.target is not None and edge.target in nodes]
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
