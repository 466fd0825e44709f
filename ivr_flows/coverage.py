"""Which branches of a flow were taken by somebody, and which ones never."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ivr_flows.branches import edges
from ivr_flows.graph import branch_path
from ivr_flows.schema import Flow, Problem
from ivr_flows.state import Trail

BUILT_IN = ("error", "hangup")
"""Branches that count only where the file says where they lead. Else it is the engine that sees to it, not the flow."""


@dataclass(slots=True)
class Coverage:
    """The branches of all nodes, those of sub-flows included, and how often each was taken."""

    flow: Flow
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By node and branch; also of branches that do not count for the percentage."""

    def add(self, trail: Trail) -> None:
        """Count what one caller took."""
        self.counts.update(trail)

    def branches(self) -> tuple[tuple[str, str], ...]:
        """Every branch that counts, in the order of the files."""
        return tuple(
            (node_id, edge.branch)
            for node_id, node in self.flow.nodes.items()
            for edge in edges(node)
            if edge.branch not in BUILT_IN or edge.target is not None
        )

    def missing(self) -> tuple[Problem, ...]:
        """The branches nobody took, each with its place."""
        return tuple(
            sorted(
                self.flow.problem(branch_path(node_id, branch), f"{node_id}: nobody took the branch {branch!r}")
                for node_id, branch in self.branches()
                if not self.counts[node_id, branch]
            )
        )

    @property
    def percent(self) -> int:
        """Rounded down: 100 is all of them. A flow without branches has all."""
        branches = self.branches()
        taken = sum(1 for branch in branches if self.counts[branch])
        return taken * 100 // len(branches) if branches else 100

    def __str__(self) -> str:
        branches = self.branches()
        taken = sum(1 for branch in branches if self.counts[branch])
        return f"{self.percent} % of the branches ({taken} of {len(branches)})"
