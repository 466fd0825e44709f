"""A flow as a Mermaid flowchart, for pages that draw it themselves. Pure."""

from __future__ import annotations

from ivr_flows.lettering import SMALL, printable, wrapped
from ivr_flows.picture import COLOURS, DEFAULT, INK, ROOTS, Box, Counts, Now, label, panels, thickness
from ivr_flows.schema import Flow

TEXT_WIDTH = 200.0
TEXT_LINES = 2


def mermaid(flow: Flow, counts: Counts | None = None, now: Now | None = None) -> str:
    """The flow as a Mermaid flowchart, sub-flows as groups. ``counts`` and ``now`` as in ``drawing``."""
    drawn = panels(flow, counts, now)
    ids = {box.id: f"n{index}" for index, box in enumerate(box for panel in drawn for box in panel.boxes)}
    lines = ["flowchart TD"]
    links: list[str] = []
    styles: list[str] = []
    most = max((arrow.count or 0 for panel in drawn for arrow in panel.arrows), default=0)
    for number, panel in enumerate(drawn):
        indent = "  "
        if panel.caller:
            lines.append(f"  subgraph s{number}[{_quoted(panel.title)}]")
            indent = "    "
        here = {**ids, **{root: f"r{number}{index}" for index, root in enumerate(panel.roots)}, DEFAULT: "queue"}
        lines += [f"{indent}{here[root]}([{_quoted(ROOTS[root])}])" for root in panel.roots]
        for box in panel.boxes:
            text = "<br/>".join(_escaped(part) for part in _mermaid_text(box))
            left, right = ("([", "])") if box.kind == "end" else ("[", "]")
            lines.append(f'{indent}{ids[box.id]}{left}"{text}"{right}:::{box.kind}')
        if panel.caller:
            lines.append("  end")
        for arrow in panel.arrows:
            words = label(arrow)
            line = "-.->" if arrow.fault else "-->"
            between = f"|{_quoted(words)}|" if words else ""
            if arrow.count:
                styles.append(f"  linkStyle {len(links)} stroke-width:{thickness(arrow.count, most):.1f}px")
            links.append(f"  {here[arrow.source]} {line}{between} {here[arrow.target]}")
    if any(arrow.target == DEFAULT for panel in drawn for arrow in panel.arrows):
        lines.append(f"  queue([{_quoted(f'{flow.document.default.queue} (default)')}]):::end")
    looks = [f"  classDef {kind} fill:{fill},stroke:{border},color:{INK}" for kind, (fill, border) in COLOURS.items()]
    return "\n".join([*lines, *links, *looks, *styles]) + "\n"


def _mermaid_text(box: Box) -> list[str]:
    extra = [box.given_up] if box.given_up else []
    extra += [f"{box.now} now"] if box.now else []
    return [f"{box.name} ({box.type})", *wrapped(box.text, TEXT_WIDTH, SMALL, TEXT_LINES), *extra]


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Mermaid has entities of its own: everything that could mean something to it becomes one."""
    return "".join(
        character if character.isalnum() or character in " .,:;_-?!()/·…→" else f"#{ord(character)};"
        for character in printable(text)
    )
