"""A layered drawing of a graph, top down: who stands where so that lines are short, cross rarely and meet no box. Pure.

Boxes stand in even ranks by the longest way from the top, labels in the odd ranks below what they lead away from. Lines
to the same box run together as soon as they can. Lines that would lead upwards are not lines: the caller gives their
labels the name of the target (``back``).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TypeAlias

Key: TypeAlias = Hashable
Size: TypeAlias = tuple[float, float]
"""Width and height."""

GAP = 16.0
"""Between things in one rank."""
RANK_GAP = 13.0
"""Between ranks; more where a line goes far to the side, so that it is not flat."""
TIP_GAP = 8.0
"""More above boxes, for the tips of arrows."""
MAX_RANK_GAP = 40.0
SLOPE = 0.06
SWEEPS = 24
"""Passes over the ranks. More than this hardly changes a flow's drawing."""
STRAIGHT = 8.0
"""How much more the bends of one line want to be below each other than a box below another."""


@dataclass(slots=True)
class Item:
    """A box, a label, or a point where lines run together (of no size)."""

    key: Key
    rank: int
    width: float
    height: float
    x: float = 0.0
    """The middle."""
    y: float = 0.0
    """The top."""
    above: list[Item] = field(default_factory=list, repr=False)
    below: list[Item] = field(default_factory=list, repr=False)
    place: int = 0
    """In its rank, from the left."""
    trunk: Item | None = field(default=None, repr=False)
    """Of a bend: the box that the lines lead to."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands, from (0, 0) on."""

    items: Mapping[Key, Item]
    """Boxes by their key, labels by ``("label", source, target)``, bends by ``("bend", target, rank)``."""
    ranks: Sequence[tuple[float, float]]
    """Top and bottom of each rank."""
    width: float
    height: float


def back_edges(order: Sequence[Key], edges: Iterable[tuple[Key, Key]]) -> frozenset[tuple[Key, Key]]:
    """The edges that lead back to where a caller has been, by the way from the first key on."""
    after: dict[Key, list[Key]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
    found: set[tuple[Key, Key]] = set()
    state: dict[Key, int] = {}
    for root in order:
        stack: list[tuple[Key, int]] = [(root, 0)]
        while stack:
            key, at = stack.pop()
            if at == 0:
                if key in state:
                    continue
                state[key] = 1
            if at < len(after[key]):
                target = after[key][at]
                stack.append((key, at + 1))
                if state.get(target) == 1:
                    found.add((key, target))
                elif target not in state:
                    stack.append((target, 0))
            else:
                state[key] = 2
    return frozenset(found)


def layout(
    boxes: Mapping[Key, Size],
    labels: Mapping[tuple[Key, Key], Size],
    leaves: Mapping[tuple[Key, Key], Size],
) -> Layout:
    """Place boxes and labels.

    ``boxes``: in the order in which they are read. ``labels``: every line by source and target, with the size of its
    label; without a circle. ``leaves``: labels that no line leads on from.
    """
    items = _ranked(boxes, labels, leaves)
    ranks: list[list[Item]] = [[] for _ in range(max((item.rank for item in items.values()), default=-1) + 1)]
    for item in items.values():
        ranks[item.rank].append(item)
    _order(ranks)
    _place(ranks)
    left = min((item.x - item.width / 2 for item in items.values()), default=0.0)
    for item in items.values():
        item.x -= left
    top, lines = 0.0, []
    for rank in ranks:
        height = max((item.height for item in rank), default=0.0)
        for item in rank:
            item.y = top
        lines.append((top, top + height))
        top += height + _gap(rank) + (TIP_GAP if len(lines) % 2 == 0 else 0.0)
    width = max((item.x + item.width / 2 for item in items.values()), default=0.0)
    return Layout(items, lines, width, lines[-1][1] if lines else 0.0)


def _gap(rank: list[Item]) -> float:
    farthest = max((abs(one.x - item.x) - item.width / 2 for item in rank for one in item.below), default=0.0)
    return min(RANK_GAP + max(farthest, 0.0) * SLOPE, MAX_RANK_GAP)


def _ranked(
    boxes: Mapping[Key, Size], labels: Mapping[tuple[Key, Key], Size], leaves: Mapping[tuple[Key, Key], Size]
) -> dict[Key, Item]:
    rank = _ranks(list(boxes), list(labels))
    items: dict[Key, Item] = {key: Item(key, rank[key], *size) for key, size in boxes.items()}
    for (source, target), size in {**labels, **leaves}.items():
        label = Item(("label", source, target), rank[source] + 1, *size)
        items[label.key] = label
        _link(items[source], label)
        if (source, target) not in labels:
            continue
        last = label
        for between in range(label.rank + 1, rank[target]):
            key = ("bend", target, between)
            known = key in items
            bend = items.setdefault(key, Item(key, between, 0.0, 0.0, trunk=items[target]))
            _link(last, bend)
            last = bend
            if known:
                break
        else:
            _link(last, items[target])
    return items


def _link(upper: Item, lower: Item) -> None:
    upper.below.append(lower)
    lower.above.append(upper)


def _ranks(order: list[Key], edges: list[tuple[Key, Key]]) -> dict[Key, int]:
    """Twice the longest way from the top; who has nobody above stands close to whom they lead to."""
    after: dict[Key, list[Key]] = defaultdict(list)
    missing = dict.fromkeys(order, 0)
    for source, target in edges:
        after[source].append(target)
        missing[target] += 1
    roots = [key for key in order if not missing[key]]
    rank = dict.fromkeys(order, 0)
    ready = list(roots)
    while ready:
        key = ready.pop()
        for target in after[key]:
            rank[target] = max(rank[target], rank[key] + 2)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for root in roots[1:]:
        if after[root]:
            rank[root] = max(0, min(rank[target] for target in after[root]) - 2)
    return rank


def _order(ranks: list[list[Item]]) -> None:
    """The order in each rank: by the middle of the neighbours, the best of some passes."""
    _number(ranks)
    best, fewest = [list(rank) for rank in ranks], _all_crossings(ranks)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for rank in ranks if down else reversed(ranks):
            rank.sort(key=lambda item: _middle(item, item.above if down else item.below))
            for place, item in enumerate(rank):
                item.place = place
        _swap(ranks)
        crossings = _all_crossings(ranks)
        if crossings < fewest:
            best, fewest = [list(rank) for rank in ranks], crossings
        if not fewest:
            break
    ranks[:] = best
    _number(ranks)


def _number(ranks: list[list[Item]]) -> None:
    for rank in ranks:
        for place, item in enumerate(rank):
            item.place = place


def _middle(item: Item, neighbours: list[Item]) -> float:
    return sum(one.place for one in neighbours) / len(neighbours) if neighbours else float(item.place)


def _swap(ranks: list[list[Item]]) -> None:
    """Neighbours change places where that takes crossings away."""
    for rank in ranks:
        for place in range(len(rank) - 1):
            left, right = rank[place], rank[place + 1]
            now = _pair(left.above, right.above) + _pair(left.below, right.below)
            then = _pair(right.above, left.above) + _pair(right.below, left.below)
            if then < now:
                rank[place], rank[place + 1] = right, left
                left.place, right.place = place + 1, place


def _pair(left: list[Item], right: list[Item]) -> int:
    return sum(1 for one in left for other in right if one.place > other.place)


def _all_crossings(ranks: list[list[Item]]) -> int:
    total = 0
    for rank in ranks:
        seen: list[int] = []
        for item in rank:
            ends = sorted(one.place for one in item.below)
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _place(ranks: list[list[Item]]) -> None:
    """The middles: each as near as can be to what it is joined with, in order and apart."""
    for rank in ranks:
        x = 0.0
        for item in rank:
            item.x = x + item.width / 2
            x += item.width + GAP
    trunks: dict[Key, list[Item]] = defaultdict(list)
    for rank in ranks:
        for item in rank:
            if item.trunk is not None:
                trunks[item.trunk.key].append(item)
    for sweep in range(SWEEPS * 2):
        down = sweep % 2 == 0
        middles = {key: _trunk(bends) for key, bends in trunks.items()}
        for rank in ranks if down else reversed(ranks):
            wanted = [_wanted(item, down, sweep >= SWEEPS, middles) for item in rank]
            for item, x in zip(rank, _apart(rank, wanted), strict=True):
                item.x = x


def _trunk(bends: list[Item]) -> float:
    """Where the lines to one box run down together."""
    target = bends[0].trunk
    assert target is not None
    return (sum(bend.x for bend in bends) + 2 * target.x) / (len(bends) + 2)


def _wanted(item: Item, down: bool, settled: bool, trunks: Mapping[Key, float]) -> tuple[float, float]:
    """Where it would be, and how much it wants that."""
    near, far = (item.above, item.below) if down else (item.below, item.above)
    neighbours = [*near, *far] if settled or not near else near
    if item.trunk is not None:
        return trunks[item.trunk.key], STRAIGHT
    return (sum(one.x for one in neighbours) / len(neighbours), len(neighbours)) if neighbours else (item.x, 0.1)


def _apart(rank: list[Item], wanted: list[tuple[float, float]]) -> list[float]:
    gaps = [(left.width + right.width) / 2 + GAP for left, right in pairwise(rank)]
    return spread(wanted, gaps)


def spread(wanted: Sequence[tuple[float, float]], gaps: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (place, weight) that keep order and ``gaps``: pooled where they collide."""
    offsets = list(accumulate(gaps, initial=0.0))[: len(wanted)]
    pools: list[tuple[float, float, int]] = []
    for (x, weight), shift in zip(wanted, offsets, strict=True):
        pool = (x - shift, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            before = pools.pop()
            heavy = before[1] + pool[1]
            pool = ((before[0] * before[1] + pool[0] * pool[1]) / heavy, heavy, before[2] + pool[2])
        pools.append(pool)
    flat = [x for x, _, count in pools for _ in range(count)]
    return [x + shift for x, shift in zip(flat, offsets, strict=True)]
