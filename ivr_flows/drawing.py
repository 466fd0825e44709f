"""A flow as a picture: SVG of our own layout, or Mermaid. Pure: the same flow and counts, the same text.

``counts``: how often each branch was taken; makes lines thicker and says how many hung up where. ``now``: how many
callers are at a node. The SVG stands alone (no script, no style sheet, no font from elsewhere) and has a background of
its own, so that it can be read on any page.
"""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ivr_flows import layering
from ivr_flows.layering import Item, Layout
from ivr_flows.lettering import NAME, SMALL, TINY, printable, width_of, wrapped
from ivr_flows.mermaid import mermaid
from ivr_flows.picture import (
    COLOURS,
    DEFAULT,
    INK,
    ROOTS,
    Arrow,
    Box,
    Counts,
    Kind,
    Now,
    Panel,
    label,
    panels,
    thickness,
)
from ivr_flows.schema import Flow

__all__ = ["mermaid", "svg"]

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
PAPER, LINE, FAULT, FRAME = "#ffffff", "#5a6672", "#c53030", "#a0aec0"
UNUSED = "#b4bfcc"
LEGEND: Mapping[Kind, str] = {
    "say": "says something",
    "ask": "asks the caller",
    "office": "asks the office",
    "logic": "decides",
    "end": "ends",
}
LEAD = 14.0
PAD = 9.0
MARGIN = 24.0
TEXT_WIDTH = 200.0
LABEL_WIDTH = 130.0
TEXT_LINES = 2
LEGEND_WIDTH = 560.0
TITLE_WIDTH = 240.0


def svg(flow: Flow, counts: Counts | None = None, now: Now | None = None) -> str:
    """The flow as one SVG picture, sub-flows in frames beside it."""
    drawn = [_Drawing(flow, panel) for panel in panels(flow, counts, now)]
    most = max((arrow.count or 0 for one in drawn for arrow in one.panel.arrows), default=0)
    width, placed = _packed(drawn)
    height = max(y + one.height for one, _, y in placed) + 34
    whole, tall = width + 2 * MARGIN, height + MARGIN
    title = f"Flow {flow.document.name}"
    description = f"{len(flow.nodes)} nodes, top down from where a call begins."
    if counts is not None:
        description += " Thicker lines: more callers. Red: callers who hung up there."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole:.0f} {tall:.0f}" width="{whole:.0f}" '
        f'height="{tall:.0f}" role="img" font-family="{FONT}" fill="{INK}">',
        f"<title>{_xml(title)}</title>",
        f"<desc>{_xml(description)}</desc>",
        f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>',
    ]
    for one, x, y in placed:
        parts.append(f'<g transform="translate({x + MARGIN:.1f} {y + MARGIN:.1f})">')
        parts += one.drawn(most)
        parts.append("</g>")
    parts += _legend(MARGIN, height)
    return "\n".join([*parts, "</svg>\n"])


def _packed(drawn: Sequence[_Drawing]) -> tuple[float, list[tuple[_Drawing, float, float]]]:
    """The flow, sub-flows in columns beside it; the whole width, and each with its place."""
    tall = max(one.height for one in drawn)
    placed: list[tuple[_Drawing, float, float]] = []
    x = y = column = 0.0
    for one in drawn:
        if y and y + one.height > tall:
            x, y, column = x + column + MARGIN, 0.0, 0.0
        placed.append((one, x, y))
        y += one.height + MARGIN
        column = max(column, one.width)
    return max(LEGEND_WIDTH, x + column), placed


class _Drawing:
    """One panel, laid out from (0, 0) on."""

    def __init__(self, flow: Flow, panel: Panel) -> None:
        self.panel = panel
        self._default = flow.document.default.queue
        boxes = {box.id: box for box in panel.boxes}
        order = [*panel.roots, *boxes]
        back = layering.back_edges(order, [(one.source, one.target) for one in panel.arrows if one.target != DEFAULT])
        self._leaves = [one for one in panel.arrows if one.target == DEFAULT or (one.source, one.target) in back]
        self._lines = [one for one in panel.arrows if one not in self._leaves]
        self._boxes = {**{root: _root(root) for root in panel.roots}, **{box.id: _sized(box) for box in panel.boxes}}
        self._texts = {(one.source, one.target): self._label(one) for one in panel.arrows}
        sizes = {ends: _label_size(text) for ends, text in self._texts.items()}
        self._layout: Layout = layering.layout(
            {key: (one.width, one.height) for key, one in self._boxes.items()},
            {(one.source, one.target): sizes[one.source, one.target] for one in self._lines},
            {(one.source, one.target): sizes[one.source, one.target] for one in self._leaves},
        )
        self._frame = MARGIN if panel.caller else 0.0
        self._title = wrapped(panel.title, max(self._layout.width, TITLE_WIDTH), SMALL, 4) if panel.caller else []
        heading = max((width_of(line, SMALL) for line in self._title), default=0.0)
        self.width = max(self._layout.width, heading) + 2 * self._frame
        self.height = self._layout.height + 2 * self._frame + LEAD * len(self._title)

    def drawn(self, most: int) -> Iterator[str]:
        """``most``: the count of the thickest line in the whole picture."""
        if self.panel.caller:
            yield (
                f'<rect width="{self.width:.1f}" height="{self.height:.1f}" rx="8" fill="none" stroke="{FRAME}" '
                'stroke-width="1.5"/>'
            )
            for index, line in enumerate(self._title):
                yield _words(line, MARGIN, 22 + LEAD * index, SMALL, bold=not index)
            yield f'<g transform="translate({self._frame} {self._frame + LEAD * len(self._title)})">'
        yield from self._all_lines(most)
        for one in self.panel.arrows:
            yield from self._drawn_label(one)
        for key, sized in self._boxes.items():
            item = self._layout.items[key]
            yield from sized.drawn(item.x - item.width / 2, item.y)
        if self.panel.caller:
            yield "</g>"

    def _label(self, arrow: Arrow) -> list[str]:
        words = label(arrow)
        if arrow in self._leaves:
            up = f"↑\u00a0{arrow.target.rpartition('.')[2]}"
            words = f"{words} {f'→ {self._default} (default)' if arrow.target == DEFAULT else up}".strip()
        return wrapped(words, LABEL_WIDTH, TINY, 4) if words else []

    def _all_lines(self, most: int) -> Iterator[str]:
        """Lines of one target run together, so each piece is drawn once, for all who share it."""
        items = self._layout.items
        pieces: dict[tuple[int, int], list[Arrow]] = defaultdict(list)
        ends: dict[tuple[int, int], tuple[Item, Item]] = {}
        for arrow in self.panel.arrows:
            for upper, lower in self._way(arrow):
                pieces[id(upper), id(lower)].append(arrow)
                ends[id(upper), id(lower)] = (upper, lower)
        ports = self._ports(list(ends.values()))
        for key, arrows in pieces.items():
            upper, lower = ends[key]
            yield self._line(upper, lower, ports[key], _stroke_of(arrows, most))
        # Through labels and bends, which have a height of their own.
        through: dict[int, list[Arrow]] = defaultdict(list)
        for arrow in self._lines:
            for _, lower in self._way(arrow)[:-1]:
                through[id(lower)].append(arrow)
        for item in items.values():
            if arrows := through[id(item)]:
                top, bottom = self._layout.ranks[item.rank]
                if bottom > top:
                    yield f'<path d="M{item.x:.1f} {top:.1f}V{bottom:.1f}" {_stroke_of(arrows, most)}/>'

    def _way(self, arrow: Arrow) -> list[tuple[Item, Item]]:
        items = self._layout.items
        stops = [items[arrow.source], items["label", arrow.source, arrow.target]]
        if arrow not in self._leaves:
            target = items[arrow.target]
            stops += [items["bend", arrow.target, rank] for rank in range(stops[1].rank + 1, target.rank)]
            stops.append(target)
        return list(zip(stops, stops[1:], strict=False))

    def _ports(self, ends: Iterable[tuple[Item, Item]]) -> dict[tuple[int, int], float]:
        """Where each line leaves the box or the point above it."""
        below: dict[int, list[tuple[Item, Item]]] = defaultdict(list)
        for upper, lower in ends:
            below[id(upper)].append((upper, lower))
        ports: dict[tuple[int, int], float] = {}
        for lines in below.values():
            lines.sort(key=lambda two: two[1].place)
            upper = lines[0][0]
            if upper.key not in self._boxes:
                ports |= {(id(upper), id(lower)): upper.x for _, lower in lines}
                continue
            half = upper.width / 2 - 12
            step = min(12.0, 2 * half / max(len(lines) - 1, 1))
            places = layering.spread([(lower.x, 1.0) for _, lower in lines], [step] * (len(lines) - 1))
            # All within the box: those that reach too far are drawn in, and keep their order.
            for index, ((_, lower), x) in enumerate(zip(lines, places, strict=True)):
                least = upper.x - half + index * step
                greatest = upper.x + half - (len(lines) - 1 - index) * step
                ports[id(upper), id(lower)] = min(max(x, least), greatest)
        return ports

    def _line(self, upper: Item, lower: Item, x: float, stroke: _Stroke) -> str:
        into_box = lower.key in self._boxes
        leaves = upper.y + upper.height if upper.key in self._boxes else self._layout.ranks[upper.rank][1]
        top, bottom = self._layout.ranks[upper.rank][1], lower.y
        tip = 7.0 + stroke.wide if into_box else 0.0
        end = bottom - tip
        half = (top + end) / 2
        path = f"M{x:.1f} {leaves:.1f}V{top:.1f}C{x:.1f} {half:.1f} {lower.x:.1f} {half:.1f} {lower.x:.1f} {end:.1f}"
        drawn = f'<path d="{path}" {stroke}/>'
        if into_box:
            side = 4.0 + stroke.wide / 2
            drawn += (
                f'<path d="M{lower.x:.1f} {bottom:.1f}l{-side:.1f} {-tip:.1f}h{2 * side:.1f}z" fill="{stroke.colour}"/>'
            )
        return drawn

    def _drawn_label(self, arrow: Arrow) -> Iterator[str]:
        lines = self._texts[arrow.source, arrow.target]
        if not lines:
            return
        item = self._layout.items["label", arrow.source, arrow.target]
        leaf = arrow in self._leaves
        border = f'stroke="{FRAME}"' if leaf else 'stroke="none"'
        fill = "#f7fafc" if leaf else PAPER
        yield (
            f'<rect x="{item.x - item.width / 2:.1f}" y="{item.y:.1f}" width="{item.width:.1f}" '
            f'height="{item.height:.1f}" rx="{8 if leaf else 3}" fill="{fill}" {border}/>'
        )
        for index, line in enumerate(lines):
            y = item.y + 11.5 + index * (TINY + 2)
            colour = FAULT if arrow.fault else INK
            yield _words(line, item.x, y, TINY, anchor="middle", colour=colour)


@dataclass(frozen=True, slots=True)
class _Sized:
    """A box with its size and its lines of text."""

    box: Box | None
    name: str
    lines: tuple[str, ...]
    width: float
    height: float

    def drawn(self, x: float, y: float) -> Iterator[str]:
        box = self.box
        if box is None:
            size = f'width="{self.width:.1f}" height="{self.height:.1f}"'
            yield f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="11" fill="{INK}"/>'
            yield _words(self.name, x + self.width / 2, y + 15, SMALL, anchor="middle", colour=PAPER)
            return
        fill, border = COLOURS[box.kind]
        yield f"<g><title>{_xml(_told(box))}</title>"
        radius = 18 if box.kind == "end" else 6
        size = f'width="{self.width:.1f}" height="{self.height:.1f}"'
        yield (
            f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="{radius}" fill="{fill}" stroke="{border}" '
            f'stroke-width="{3 if box.type == "subflow" else 1.5}"/>'
        )
        yield _words(self.name, x + PAD, y + 18, NAME, bold=True)
        yield _words(box.type, x + self.width - PAD, y + 18, TINY, anchor="end", colour=border)
        for index, line in enumerate(self.lines):
            yield _words(line, x + PAD, y + 18 + LEAD * (index + 1), SMALL)
        if box.given_up:
            share = box.gave_up / max(box.came, 1)
            end = y + self.height - PAD
            wide = self.width - 2 * PAD
            yield f'<rect x="{x + PAD:.1f}" y="{end - 4:.1f}" width="{wide:.1f}" height="4" rx="2" fill="#fbd5d5"/>'
            yield (
                f'<rect x="{x + PAD:.1f}" y="{end - 4:.1f}" width="{max(wide * share, 2):.1f}" height="4" rx="2" '
                f'fill="{FAULT}"/>'
            )
            yield _words(box.given_up, x + PAD, end - 8, TINY, colour=FAULT)
        if box.now:
            wide = max(20.0, width_of(str(box.now), SMALL, bold=True) + 10)
            left = x + self.width - wide + 8
            yield f'<rect x="{left:.1f}" y="{y - 9:.1f}" width="{wide:.1f}" height="18" rx="9" fill="#1a56db"/>'
            yield _words(str(box.now), left + wide / 2, y + 4, SMALL, anchor="middle", bold=True, colour=PAPER)
        yield "</g>"


def _sized(box: Box) -> _Sized:
    lines = wrapped(box.text, TEXT_WIDTH, SMALL, TEXT_LINES) if box.text else []
    head = width_of(box.name, NAME, bold=True) + 12 + width_of(box.type, TINY)
    wide = max(
        [head, *(width_of(line, SMALL) for line in lines), width_of(box.given_up, TINY) if box.given_up else 0.0]
    )
    tall = 26 + LEAD * len(lines) + (22 if box.given_up else 0)
    return _Sized(box, box.name, tuple(lines), wide + 2 * PAD, tall)


def _root(key: str) -> _Sized:
    return _Sized(None, ROOTS[key], (), width_of(ROOTS[key], SMALL) + 20, 22)


def _told(box: Box) -> str:
    """A box in words, for screen readers and for who points at it."""
    parts = [f"{box.name} ({box.type})", box.text]
    if box.came:
        parts.append(f"{box.came} callers came through")
    if box.given_up:
        parts.append(box.given_up)
    if box.now:
        parts.append(f"{box.now} now")
    return "; ".join(part for part in parts if part)


def _legend(x: float, y: float) -> Iterator[str]:
    for kind, words in LEGEND.items():
        fill, border = COLOURS[kind]
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="14" height="14" rx="3" fill="{fill}" stroke="{border}"/>'
        yield _words(words, x + 20, y + 11, SMALL)
        x += 20 + width_of(words, SMALL) + 18


@dataclass(frozen=True, slots=True)
class _Stroke:
    """How a line looks."""

    wide: float
    colour: str
    dashed: bool

    def __str__(self) -> str:
        dashes = ' stroke-dasharray="5 3"' if self.dashed else ' stroke-linecap="round"'
        return f'fill="none" stroke="{self.colour}" stroke-width="{self.wide:.1f}"{dashes}'


def _stroke_of(arrows: Sequence[Arrow], most: int) -> _Stroke:
    """Of a line that these arrows share."""
    count = sum(arrow.count or 0 for arrow in arrows)
    fault = all(arrow.fault for arrow in arrows)
    # Where callers were counted and none came, the line stands back.
    unused = not count and all(arrow.count is not None for arrow in arrows)
    return _Stroke(thickness(count, most), UNUSED if unused else FAULT if fault else LINE, fault)


def _words(
    text: str, x: float, y: float, size: float, *, anchor: str = "start", bold: bool = False, colour: str = INK
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{place}{weight} fill="{colour}">{_xml(text)}</text>'


def _xml(text: str) -> str:
    return html.escape(printable(text))


def _label_size(lines: Sequence[str]) -> tuple[float, float]:
    if not lines:
        return 0.0, 0.0
    return max(width_of(line, TINY) for line in lines) + 10, 4 + (TINY + 2) * len(lines)
