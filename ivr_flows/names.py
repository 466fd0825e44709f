"""Which values a flow has where: what each node sets, what each node reads, and whether it is there by then. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ivr_flows import catalogue, nodes, phrases
from ivr_flows.branches import edges
from ivr_flows.expressions import bare_names, names_in_template, pieces
from ivr_flows.nodes import Node
from ivr_flows.schema import Flow
from ivr_flows.yaml_text import Path

CALL_NAMES = frozenset(
    {
        "language",
        "caller.certainty",
        "caller.known",
        "caller.proven",
        "caller.level",
        "caller.withheld",
        "call.dialled",
    }
)
"""What expressions can read of a call; ``walk.values_of`` supplies it."""
TAKEN = frozenset({"language", "caller", "call", "hours", "request_reference"})
"""Names that a flow cannot give to values of its own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One place where a node reads values."""

    path: Path
    """Below the node."""
    names: frozenset[str]
    bare: frozenset[str]
    """Those of them that are read unmasked."""
    spoken: bool = False
    """They are said to the caller and go nowhere else."""


def sets(node: Node, branch: str) -> frozenset[str]:
    """The names that are there once this node was left by this branch."""
    if isinstance(node, nodes.Hours) and branch in ("open", "closed", "holiday", "emergency"):
        return frozenset(f"hours.{name}" for name in catalogue.HOURS)
    if branch != "next":
        return frozenset()
    if isinstance(node, nodes.Set):
        return frozenset(node.values)
    if isinstance(node, nodes.Collect):
        return frozenset({node.into})
    if isinstance(node, nodes.LookUp):
        return frozenset(f"{node.into}.{name}" for name in catalogue.LOOKUPS.get(node.what, frozenset()))
    if isinstance(node, nodes.Http):
        return frozenset(f"{node.into}.{name}" for name in node.take)
    if isinstance(node, nodes.Request):
        return frozenset({"request_reference"})
    return frozenset()


def readings(node: Node) -> Iterator[Reading]:
    """Every place where this node reads values."""
    for key, texts in phrases.texts_of(node).items():
        for language, text in texts.items():
            for piece in pieces(text):
                if isinstance(piece, tuple):
                    yield _reading((key, language), "{{" + piece[0] + "}}", spoken=True)
    for name, expression in _expressions(node).items():
        yield _reading(tuple(name.split(".")), "{{" + expression + "}}")
    for name, template in _templates(node).items():
        yield _reading(tuple(name.split(".")), template)


def _expressions(node: Node) -> dict[str, str]:
    found: dict[str, object] = {}
    if isinstance(node, nodes.Condition):
        found["when"] = node.when
    elif isinstance(node, nodes.ToQueue):
        found["priority"] = node.priority
        found["prefer.agent"] = node.prefer.agent if node.prefer is not None else None
    elif isinstance(node, nodes.CallBack):
        found["number"] = node.number
    elif isinstance(node, nodes.Message):
        found["recipient"] = node.recipient
    return {name: expression for name, expression in found.items() if isinstance(expression, str)}


def _templates(node: Node) -> dict[str, str]:
    found: dict[str, object] = {}
    if isinstance(node, nodes.Set):
        found = {f"values.{name}": value for name, value in node.values.items()}
    elif isinstance(node, nodes.LookUp):
        found = {f"arguments.{name}": value for name, value in node.arguments.items()}
    elif isinstance(node, nodes.Request):
        found = {f"fields.{name}": value for name, value in node.fields.items()}
    elif isinstance(node, nodes.Http):
        found = {"url": node.url, **{f"body.{name}": value for name, value in node.body.items()}}
    return {name: template for name, template in found.items() if isinstance(template, str)}


def _reading(path: Path, template: str, *, spoken: bool = False) -> Reading:
    return Reading(path, names_in_template(template), bare_names(template), spoken)


def secure_names(flow: Flow) -> frozenset[str]:
    """The names under which secure values are kept."""
    return frozenset(node.into for node in flow.nodes.values() if isinstance(node, nodes.Collect) and node.secure)


def empties_vault(node: Node, branch: str) -> bool:
    """Whether what was collected secure is gone once this node was left by this branch."""
    return isinstance(node, nodes.ToQueue) or (isinstance(node, nodes.Request) and branch == "next")


def settable(flow: Flow) -> frozenset[str]:
    """Every name that some node sets, and the constants."""
    found = {name for node in flow.nodes.values() for edge in edges(node) for name in sets(node, edge.branch)}
    return frozenset(found | flow.constants.keys())


def assigned(flow: Flow) -> dict[str, frozenset[str]]:
    """The names that are there whenever a caller comes to a node, whichever way she came. Only of reachable nodes."""
    everything, secure = settable(flow), secure_names(flow)
    beginning = frozenset(flow.constants)
    there: dict[str, frozenset[str]] = {}
    roots = [flow.document.start, *([flow.document.hangup] if flow.document.hangup else [])]
    waiting = []
    for root in roots:
        if root in flow.nodes:
            there[root] = beginning
            waiting.append(root)
    while waiting:
        node_id = waiting.pop()
        node = flow.nodes[node_id]
        for edge in edges(node):
            if edge.target is None or edge.target not in flow.nodes:
                continue
            after = there[node_id] | sets(node, edge.branch)
            if empties_vault(node, edge.branch):
                after -= secure
            before = there.get(edge.target, everything)
            if edge.target not in there or not before <= after:
                there[edge.target] = before & after
                waiting.append(edge.target)
    return there
