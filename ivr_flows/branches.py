"""Which ways lead on from each kind of node, and what stands in for a way that a file leaves out.

One table for everybody: the engine follows it, the checks prove it, the drawing draws it, the coverage counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

from ivr_flows import nodes
from ivr_flows.nodes import Node

_N = TypeVar("_N")

BRANCHES: Mapping[type, tuple[tuple[str, ...], ...]] = {
    # Each branch with the ones that stand in for it when it is left out.
    nodes.Say: (("next",),),
    nodes.ChooseLanguage: (("next",),),
    nodes.Recognise: (("known",), ("shared", "unknown"), ("withheld", "unknown"), ("unknown",)),
    nodes.Menu: (("invalid",), ("timeout", "invalid")),
    nodes.Collect: (("next",), ("invalid",), ("timeout", "invalid"), ("skipped", "timeout", "invalid")),
    nodes.Authenticate: (
        ("next",),
        ("invalid",),
        ("timeout", "invalid"),
        ("skipped", "timeout", "invalid"),
        ("locked", "invalid"),
        ("no_pin", "invalid"),
    ),
    nodes.LookUp: (("next",), ("none",), ("refused", "none")),
    nodes.Request: (("next",), ("refused",)),
    nodes.Hours: (("open",), ("closed",), ("holiday", "closed"), ("emergency", "closed")),
    nodes.CallBack: (("next",), ("already", "next"), ("refused",)),
    nodes.Message: (("next",), ("empty", "next"), ("refused",)),
    nodes.Condition: (("then",), ("otherwise",)),
    nodes.Set: (("next",),),
    nodes.Http: (("next",), ("timeout", "error")),
    nodes.SubFlow: (("next",),),
    nodes.Return: (("next",),),
    nodes.ToQueue: (("overflow",), ("empty", "overflow"), ("full", "overflow")),
    nodes.Transfer: (),
    nodes.HangUp: (),
}
MAPPED: Mapping[type, str] = {nodes.Menu: "choices", nodes.ToQueue: "keys"}
"""Kinds with a mapping of keys to targets, each a branch of its own: ``choices.1``."""
NO_FAULT = (nodes.Return, nodes.SubFlow)
"""Kinds that cannot fail and that no caller is ever in."""
WITH_CALLER = (
    nodes.Say,
    nodes.ChooseLanguage,
    nodes.Menu,
    nodes.Collect,
    nodes.Authenticate,
    nodes.Message,
    nodes.HangUp,
)
"""Kinds that talk with the caller: where a hang-up can be noticed."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One way on from a node."""

    branch: str
    """The key in the file, for instance ``next`` or ``choices.1``."""
    target: str | None
    """None: the flow's default queue; at ``hangup``: the end."""


def edges(node: Node) -> tuple[Edge, ...]:
    """All ways on from a node, those it leaves out included; ``exhausted`` only where there is a limit."""
    found = [Edge(names[0], _first(node, names)) for names in BRANCHES[type(node)] if _happens(node, names[0])]
    if type(node) in MAPPED:
        mapping = MAPPED[type(node)]
        found += [Edge(f"{mapping}.{key}", target) for key, target in getattr(node, mapping).items()]
    if not isinstance(node, NO_FAULT):
        found.append(Edge("error", node.error))
    if isinstance(node, WITH_CALLER) or node.hangup is not None:
        found.append(Edge("hangup", node.hangup))
    if node.visits is not None:
        found.append(Edge("exhausted", node.exhausted))
    return tuple(found)


def follow(node: Node, branch: str) -> str | None:
    """Where a branch leads; none: the flow's default queue."""
    mapping, _, key = branch.partition(".")
    if key:
        target: str | None = getattr(node, mapping).get(key)
        return target
    for names in BRANCHES[type(node)]:
        if names[0] == branch:
            return _first(node, names)
    found: str | None = getattr(node, branch)
    return found


def retarget(node: Node, name: Callable[[str], str]) -> Node:
    """The node with every target renamed."""
    fields = {"error", "hangup", "exhausted"}
    fields |= {names[0] for names in BRANCHES[type(node)]}
    changes: dict[str, Any] = {one: name(target) for one in fields if (target := getattr(node, one)) is not None}
    if type(node) in MAPPED:
        mapping = MAPPED[type(node)]
        changes[mapping] = {key: name(target) for key, target in getattr(node, mapping).items()}
    return changed(node, changes)


def changed(node: _N, changes: Mapping[str, Any]) -> _N:
    """A copy with other targets. Unchecked: ``node.inner`` is no name that a file may give."""
    found = copy(node)
    for key, value in changes.items():
        object.__setattr__(found, key, value)
    return found


def _happens(node: Node, branch: str) -> bool:
    if isinstance(node, nodes.Collect | nodes.Authenticate) and branch == "skipped":
        return node.skip is not None
    if isinstance(node, nodes.Authenticate) and branch in ("locked", "no_pin"):
        return node.pin_text is not None
    if isinstance(node, nodes.LookUp) and branch == "refused":
        return node.what != "queue"  # that one tells nothing of anybody
    if isinstance(node, nodes.ToQueue) and branch in ("overflow", "empty", "full"):
        # Without any of them the caller does not come back: the dialplan says good-bye.
        return returns(node)
    return True


def returns(node: nodes.ToQueue) -> bool:
    """Whether the flow goes on after this queue."""
    return bool(node.overflow or node.empty or node.full or node.keys)


def _first(node: Node, names: tuple[str, ...]) -> str | None:
    for name in names:
        target: str | None = getattr(node, name)
        if target is not None:
            return target
    return None
