"""Pictures of flows: everything is there, nothing lies on anything else, and no text gets out of its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_flows import layering
from ivr_flows.drawing import mermaid, svg
from ivr_flows.layering import GAP, Key, Size, back_edges, layout
from ivr_flows.picture import panels
from ivr_flows.schema import Flow, load, parse

SVG = "{http://www.w3.org/2000/svg}"
HEAD = "callfloor_flow: 1\nname: shop\nlanguages: [de]\ndefault: {queue: service}\nstart: menu\n"
FLOW = """
hangup: note
nodes:
  menu: {type: menu, text: {de: Bitte}, choices: {1: sub, 2: say, 3: menu}, error: sorry, hangup: note}
  say: {type: say, text: {de: 'Hallo <b>"&"</b> {{ caller.level | word }} ]]>'}, next: sub}
  sorry: {type: say, text: {de: Schade}}
  sub: {type: subflow, flow: inner.yaml, next: queue}
  queue: {type: route, queue: service, overflow: menu}
  note: {type: http, url: "https://x.example/", into: x, next: end, timeout: end}
  end: {type: hangup}
"""
INNER = "callfloor_flow: 1\nname: inner\nlanguages: [de]\ndefault: {queue: service}\nstart: a\nnodes:\n" + (
    "  a: {type: condition, when: caller.known, then: b, otherwise: b}\n  b: {type: return}\n"
)


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    (tmp_path / "shop.yaml").write_text(HEAD + FLOW)
    (tmp_path / "inner.yaml").write_text(INNER)
    return load(tmp_path / "shop.yaml")


def texts(drawn: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


def test_every_node_is_there_and_every_way_has_its_name(flow: Flow) -> None:
    shown = texts(svg(flow))
    assert {"menu", "say", "sorry", "sub", "queue", "note", "end", "a", "b", "start", "caller hangs up"} <= set(shown)
    assert {"1", "2", "error", "then, otherwise", "3 ↑\u00a0menu", "inner.yaml for sub"} <= set(shown)
    assert any("service (default)" in text for text in shown)


def test_a_sub_flow_is_a_box_that_leads_where_it_ends(flow: Flow) -> None:
    whole, inner = panels(flow)
    assert ("sub", "queue") in {(arrow.source, arrow.target) for arrow in whole.arrows}
    assert (inner.caller, [box.name for box in inner.boxes]) == ("sub", ["a", "b"])


def test_a_sub_flow_that_is_called_twice_is_drawn_once(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(INNER)
    twice = "nodes:\n  menu: {type: subflow, flow: inner.yaml, next: more}\n  more: {type: subflow, flow: inner.yaml}\n"
    (tmp_path / "shop.yaml").write_text(HEAD + twice)
    counts = {("menu.a", "then"): 3, ("more.a", "otherwise"): 4}
    whole, inner = panels(load(tmp_path / "shop.yaml"), counts, {"menu.a": 1, "more.a": 1})
    assert inner.title == "inner.yaml for menu, more"
    assert [(arrow.branches, arrow.count) for arrow in inner.arrows if arrow.branches] == [(("then", "otherwise"), 7)]
    assert [(box.name, box.now, box.came) for box in inner.boxes] == [("a", 2, 7), ("b", 0, 0)]
    assert [arrow.target for arrow in whole.arrows] == ["menu", "more", "@default"]


def test_faults_are_drawn_only_where_the_flow_does_something_about_them(flow: Flow) -> None:
    drawn = [arrow for panel in panels(flow) for arrow in panel.arrows if arrow.fault]
    ways = {(arrow.source, arrow.target) for arrow in drawn}
    assert ways == {("menu", "sorry"), ("menu", "note"), ("@hangup", "note")}


def test_counts_widen_lines_name_themselves_and_tell_who_gave_up(flow: Flow) -> None:
    counts = {("menu", "choices.2"): 80, ("menu", "hangup"): 20, ("say", "next"): 80, ("sub.b", "next"): 80}
    drawn = svg(flow, counts, now={"say": 7})
    shown = texts(drawn)
    assert {"2\u00a0·\u00a080", "hangup\u00a0·\u00a020", "20 % hung up (20)", "7", "80"} <= set(shown)
    widths = {float(width) for width in re.findall(r'stroke-width="([\d.]+)"', drawn)}
    assert max(widths) == 6.0
    assert "menu (menu); Bitte; 100 callers came through; 20 % hung up (20)" in drawn
    assert "hung up" not in svg(flow)


def test_the_picture_stands_alone_and_says_what_it_is(flow: Flow) -> None:
    root = ElementTree.fromstring(svg(flow))
    assert root.get("role") == "img"
    assert [child.tag for child in root][:3] == [f"{SVG}title", f"{SVG}desc", f"{SVG}rect"]
    assert {child.tag.removeprefix(SVG) for child in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "rect",
        "g",
        "path",
        "text",
    }
    assert "://" not in svg(flow).replace("http://www.w3.org/2000/svg", "").replace("https://x.example/", "")
    assert svg(flow) == svg(flow)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=120).filter(lambda text: text.strip() and "{" not in text))
def test_no_text_gets_out_of_its_place(text: str) -> None:
    quoted = '"' + "".join(f"\\U{ord(one):08x}" for one in text if not 0xD800 <= ord(one) <= 0xDFFF) + '"'
    flow = parse(HEAD + f"nodes: {{menu: {{type: say, text: {{de: {quoted}}}}}}}\n")
    root = ElementTree.fromstring(svg(flow))
    assert sum(1 for _ in root.iter(f"{SVG}rect")) == sum(
        1 for _ in ElementTree.fromstring(svg(PLAIN)).iter(f"{SVG}rect")
    )
    drawn = mermaid(flow)
    assert len(drawn.splitlines()) == len(mermaid(PLAIN).splitlines())
    (label,) = re.findall(r'n0\["(.*)"\]:::say', drawn)
    assert not set('"`<>&[]{}|\\') & set(label.replace("<br/>", ""))


PLAIN = parse(HEAD + "nodes: {menu: {type: say, text: {de: x}}}\n")


def test_mermaid_has_the_same_boxes_and_arrows(flow: Flow) -> None:
    drawn = mermaid(flow, {("menu", "choices.2"): 3, ("menu", "hangup"): 1}, {"say": 2})
    assert drawn.startswith("flowchart TD\n")
    assert 'subgraph s1["inner.yaml for sub"]' in drawn
    assert 'n0 -->|"2 · 3"| n1'.replace(" · ", "\u00a0·\u00a0") in drawn.replace("#160;", "\u00a0")
    assert drawn.count(" --> ") + drawn.count(" -->|") + drawn.count(" -.->") == sum(
        len(panel.arrows) for panel in panels(flow)
    )
    assert "25 #37; hung up" in drawn
    assert "2 now" in drawn


Graph = tuple[int, list[tuple[int, int]]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 14))
    node = st.integers(0, count - 1)
    return count, draw(st.lists(st.tuples(node, node), max_size=30, unique=True))


def apart(items: list[layering.Item]) -> Iterator[tuple[layering.Item, layering.Item, float]]:
    for left, right in zip(items, items[1:], strict=False):
        yield left, right, (right.x - right.width / 2) - (left.x + left.width / 2)


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_whatever_the_graph_nothing_lies_on_anything_else(graph: Graph) -> None:
    count, edges = graph
    back = back_edges(range(count), edges)
    down: dict[tuple[Key, Key], Size] = {edge: (30.0, 12.0) for edge in edges if edge not in back}
    found = layout({node: (80.0 + node, 40.0) for node in range(count)}, down, dict.fromkeys(back, (50.0, 12.0)))
    by_rank: dict[int, list[layering.Item]] = {}
    for item in found.items.values():
        by_rank.setdefault(item.rank, []).append(item)
    for items in by_rank.values():
        items.sort(key=lambda item: item.x)
        assert all(room >= GAP - 0.001 for _, _, room in apart(items))
    tops = [top for top, _ in found.ranks]
    assert tops == sorted(tops)
    for source, target in down:
        assert found.items[source].rank < found.items[target].rank
        assert found.items["label", source, target].rank == found.items[source].rank + 1
    assert all(item.x - item.width / 2 >= -0.001 for item in found.items.values())
    assert all(item.x + item.width / 2 <= found.width + 0.001 for item in found.items.values())


@pytest.mark.parametrize(
    ("edges", "back"),
    [
        ([(0, 1), (1, 2)], set()),
        ([(0, 1), (1, 0)], {(1, 0)}),
        ([(0, 0)], {(0, 0)}),
        ([(0, 1), (1, 2), (2, 0), (0, 2)], {(2, 0)}),
        ([(0, 1), (2, 0)], set()),
    ],
)
def test_ways_back_are_those_to_where_one_has_been(edges: list[tuple[int, int]], back: set[tuple[int, int]]) -> None:
    assert back_edges([0, 1, 2], edges) == back


def test_lines_of_one_tree_do_not_cross() -> None:
    found = layout(
        dict.fromkeys("rabcd", (40.0, 20.0)), {("r", "b"): (9.0, 9.0), ("r", "a"): (9.0, 9.0), ("a", "c"): (9.0, 9.0),
        ("b", "d"): (9.0, 9.0)}, {},
    )  # fmt: skip
    order = [found.items[key].x for key in "ab"]
    below = [found.items[key].x for key in "cd"]
    assert (order[0] < order[1]) == (below[0] < below[1])


def test_a_flow_of_five_hundred_nodes_is_drawn() -> None:
    nodes = [
        f"  n{i}: {{type: condition, when: caller.known, then: n{i + 1}, otherwise: n{i + 1 + i % 7}}}"
        for i in range(490)
    ]
    ends = [f"  n{i}: {{type: route, queue: service}}" for i in range(490, 500)]
    flow = parse(HEAD.replace("menu", "n0") + "nodes:\n" + "\n".join(nodes + ends))
    assert {"n0", "n499"} <= set(texts(svg(flow)))
