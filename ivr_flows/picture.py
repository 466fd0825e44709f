"""What a drawing of a flow shows, whatever it is drawn with: boxes, arrows between them, panels of sub-flows. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, TypeAlias

from ivr_flows import nodes, phrases
from ivr_flows.branches import edges
from ivr_flows.nodes import Node
from ivr_flows.schema import Flow

Kind: TypeAlias = Literal["say", "ask", "office", "logic", "end"]
Counts: TypeAlias = Mapping[tuple[str, str], int]
"""How often each branch was taken, by node and branch: ``Outcome.trail`` counted."""
Now: TypeAlias = Mapping[str, int]
"""How many callers are at a node."""

START = "@start"
GONE = "@hangup"
"""Where a flow begins, and where it goes on when the caller hangs up: boxes that are no nodes."""
DEFAULT = "@default"
"""The default queue, for branches that are left out."""

KINDS: Mapping[type, Kind] = {
    nodes.Say: "say",
    nodes.ChooseLanguage: "ask",
    nodes.Menu: "ask",
    nodes.Collect: "ask",
    nodes.Authenticate: "ask",
    nodes.Message: "ask",
    nodes.Recognise: "office",
    nodes.LookUp: "office",
    nodes.Request: "office",
    nodes.Hours: "office",
    nodes.CallBack: "office",
    nodes.Http: "office",
    nodes.Condition: "logic",
    nodes.Set: "logic",
    nodes.SubFlow: "logic",
    nodes.Return: "end",
    nodes.ToQueue: "end",
    nodes.Transfer: "end",
    nodes.HangUp: "end",
}
INK = "#1a202c"
COLOURS: Mapping[Kind, tuple[str, str]] = {
    # Fill and border.
    "say": ("#e6f0fb", "#2b6cb0"),
    "ask": ("#fff2d1", "#b7791f"),
    "office": ("#efe7fb", "#6b46c1"),
    "logic": ("#edf0f2", "#5a6672"),
    "end": ("#def4e5", "#2f855a"),
}
ROOTS: Mapping[str, str] = {START: "start", GONE: "caller hangs up"}
THIN, THICK = 1.4, 6.0
"""Lines, in pixels."""
BUILT_IN = ("error", "hangup")
"""Branches that are drawn only where they lead to a node of the flow."""
MAX_TEXT = 200
"""Characters of a box's text."""


@dataclass(frozen=True, slots=True)
class Box:
    """One node."""

    id: str
    """In the whole flow; ``name`` is what its own file calls it."""
    name: str
    type: str
    kind: Kind
    text: str
    """What it says in the flow's first language, or what it does."""
    now: int = 0
    came: int = 0
    """Callers who left it by any branch."""
    gave_up: int = 0
    """Those of them who hung up."""

    @property
    def given_up(self) -> str:
        """How many hung up, in words; empty: nobody did, or this is where calls end anyway."""
        if not self.gave_up or self.kind == "end":
            return ""
        return f"{self.gave_up * 100 // max(self.came, 1) or '< 1'} % hung up ({self.gave_up})"


@dataclass(frozen=True, slots=True)
class Arrow:
    """All branches of a node that lead to the same place."""

    source: str
    target: str
    """A box of the same panel, or ``DEFAULT``."""
    branches: tuple[str, ...]
    """Empty: the only way on, which needs no label."""
    count: int | None = None
    """None: not counted."""
    fault: bool = False
    """Only taken when something fails, or somebody hangs up."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One file's nodes: the flow itself, or a sub-flow."""

    caller: str
    """The id of the first node that calls the sub-flow; empty: this is the flow itself."""
    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    roots: tuple[str, ...]
    """Of ``START`` and ``GONE`` those that are there."""


def label(arrow: Arrow) -> str:
    """The branches by the keys they stand under, and the count, with spaces at which no line ends."""
    words = ", ".join(branch.partition(".")[2] or branch for branch in arrow.branches)
    if not arrow.count:
        return words
    return f"{words}\u00a0·\u00a0{arrow.count}" if words else str(arrow.count)


def thickness(count: int | None, most: int) -> float:
    """Of the line that ``count`` callers took, where ``most`` took the busiest one. Pixels."""
    return THIN + (THICK - THIN) * math.sqrt(min(count / most, 1.0)) if count and most else THIN


def panels(flow: Flow, counts: Counts | None = None, now: Now | None = None) -> tuple[Panel, ...]:
    """The flow, then each sub-flow once, with the counts of all who call it."""
    callers: dict[str, list[str]] = {"": [""]}
    for name, node in flow.nodes.items():
        if isinstance(node, nodes.SubFlow):
            callers.setdefault(node.flow, []).append(name)
    return tuple(
        reduce(_together, (_panel(flow, caller, counts, now or {}) for caller in found)) for found in callers.values()
    )


def _together(first: Panel, other: Panel) -> Panel:
    """Two callers of the same sub-flow as one: the same boxes and arrows, so what was counted is added."""
    boxes = tuple(
        replace(box, now=box.now + more.now, came=box.came + more.came, gave_up=box.gave_up + more.gave_up)
        for box, more in zip(first.boxes, other.boxes, strict=True)
    )
    arrows = tuple(
        arrow if arrow.count is None else replace(arrow, count=arrow.count + (more.count or 0))
        for arrow, more in zip(first.arrows, other.arrows, strict=True)
    )
    return replace(first, title=f"{first.title}, {other.caller}", boxes=boxes, arrows=arrows)


def kind_of(node: Node) -> Kind:
    """Which colour a node has."""
    return KINDS[type(node)]


def _panel(flow: Flow, caller: str, counts: Counts | None, now: Now) -> Panel:
    prefix = f"{caller}." if caller else ""
    inside = {
        name: node
        for name, node in flow.nodes.items()
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    }
    arrows = [arrow for name in inside for arrow in _arrows(flow, name, counts)]
    roots = [START]
    if caller:
        node = flow.nodes[caller]
        assert isinstance(node, nodes.SubFlow)
        start, title = node.next, f"{node.flow} for {caller}"
    else:
        start, title = flow.document.start, flow.document.name
        if flow.document.hangup in inside:
            roots.append(GONE)
            arrows.append(Arrow(GONE, flow.document.hangup or "", (), fault=True))
    if start in inside:
        arrows.insert(0, Arrow(START, start or "", ()))
    boxes = tuple(_box(flow, name, name.removeprefix(prefix), counts, now) for name in inside)
    return Panel(caller, title, boxes, tuple(arrow for arrow in arrows if _shown(arrow, inside)), tuple(roots))


def _shown(arrow: Arrow, inside: Mapping[str, Node]) -> bool:
    return arrow.target == DEFAULT or arrow.target in inside


def _arrows(flow: Flow, name: str, counts: Counts | None) -> list[Arrow]:
    node = flow.nodes[name]
    if isinstance(node, nodes.Return):
        return []
    ways: dict[str, list[str]] = {}
    for edge in edges(node):
        if edge.target is not None:
            ways.setdefault(_outside(flow, name, edge.target), []).append(edge.branch)
        elif edge.branch not in BUILT_IN:
            ways.setdefault(DEFAULT, []).append(edge.branch)
    # A sub-flow without an end of its own leads nowhere.
    ways.pop("", None)
    alone = len(ways) == 1
    return [
        Arrow(
            name,
            target,
            () if alone and len(branches) == 1 and branches[0] in ("next", "open", "then") else tuple(branches),
            None if counts is None else sum(_count(flow, counts, name, branch) for branch in branches),
            all(branch in BUILT_IN for branch in branches),
        )
        for target, branches in ways.items()
    ]


def _outside(flow: Flow, name: str, target: str) -> str:
    """A sub-flow's box leads where its ``return`` nodes lead; empty: it has none."""
    if not isinstance(flow.nodes[name], nodes.SubFlow) or not target.startswith(f"{name}."):
        return target
    endings = _returns(flow, name)
    return (flow.nodes[endings[0]].next or DEFAULT) if endings else ""  # type: ignore[union-attr]  # all are Return


def _returns(flow: Flow, name: str) -> list[str]:
    prefix = f"{name}."
    return [
        one
        for one, node in flow.nodes.items()
        if isinstance(node, nodes.Return) and one.startswith(prefix) and "." not in one.removeprefix(prefix)
    ]


def _count(flow: Flow, counts: Counts, name: str, branch: str) -> int:
    if isinstance(flow.nodes[name], nodes.SubFlow) and branch == "next":
        return sum(counts.get((one, "next"), 0) for one in _returns(flow, name))
    return counts.get((name, branch), 0)


def _box(flow: Flow, name: str, short: str, counts: Counts | None, now: Now) -> Box:
    node = flow.nodes[name]
    came = gave_up = 0
    if counts is not None:
        # By what was counted, not by what the node has: a caller can hang up wherever she hears something.
        came = sum(count for (one, _), count in counts.items() if one == name)
        gave_up = counts.get((name, "hangup"), 0)
    text = " ".join(_text(flow, name, node).split())[:MAX_TEXT]
    return Box(name, short, node.type, kind_of(node), text, now.get(name, 0), came, gave_up)


def _text(flow: Flow, name: str, node: Node) -> str:
    language = flow.document.languages[0]
    if phrases.texts_of(node).get("text"):
        found = phrases.parts(flow, name, "text", language)
        return " ".join(part.text if isinstance(part, phrases.Phrase) else "…" for part in found)
    match node:
        case nodes.LookUp():
            return f"{node.what} → {node.into}"
        case nodes.Request():
            return node.kind.replace("_", " ")
        case nodes.Hours():
            return node.hours
        case nodes.CallBack():
            return node.queue
        case nodes.Condition():
            return node.when
        case nodes.Set():
            return ", ".join(f"{one} = {value}" for one, value in node.values.items())
        case nodes.Http():
            return f"{node.method} {node.url}"
        case nodes.SubFlow():
            return node.flow
        case nodes.ToQueue():
            return node.queue + (f", {node.wait} s" if node.wait else "")
        case nodes.Transfer():
            return node.to
        case _:
            return ""
