"""Flows inside flows: one graph out of several files, each problem at its place in its own file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from unit.ivr_flows.everything import FACTS, FILES, FLOW, HOUSE, at, ended, lead, proven, texts

from ivr_flows.checks import check_flow
from ivr_flows.engine import start
from ivr_flows.schema import MAX_NODES, Flow, FlowError, load, parse
from ivr_flows.state import Played


def file(name: str, nodes: str, more: str = "") -> str:
    head = f"callfloor_flow: 1\nname: {name}\nlanguages: [de]\ndefault: {{queue: service}}\n"
    return f"{head}{more or 'start: a'}\nnodes:\n{nodes}"


def sub(name: str, more: str = "") -> str:
    return f"  a: {{type: subflow, flow: {name}.yaml{more}}}\n"


RETURN = "  a: {type: return}\n"


def merged(**files: str) -> Flow:
    return parse(files["main"], "main.yaml", lambda name: files[name.removesuffix(".yaml")])


def problems(make: Callable[[], Flow]) -> list[str]:
    with pytest.raises(FlowError) as refused:
        make()
    return [str(problem) for problem in refused.value.problems]


def test_a_caller_goes_in_and_comes_back() -> None:
    state, command = at("part", proven("number"))
    assert texts(command) == ["Linden, Mantel"]
    after = lead((state, command), Played())
    assert texts(after[1]) == ["tief"]
    state, command = lead(after, Played())
    assert texts(command) == ["Menü"]
    assert state.path == ("part", "part.a", "part.b", "part.b.a", "part.b.b", "part.b.c", "part.c", "main")


def test_all_nodes_are_in_the_order_of_the_files() -> None:
    inner = [node for node in FLOW.order if node == "part" or node.startswith("part.")]
    assert inner == ["part", "part.a", "part.b", "part.b.a", "part.b.b", "part.b.c", "part.c"]
    assert FLOW.order == tuple(FLOW.nodes)


def test_the_callers_constants_and_words_go_before() -> None:
    assert (FLOW.constants["house"], FLOW.constants["product"]) == ("Linden", "Mantel")
    assert FLOW.words["shipped"] == {"de": "unterwegs", "en": "on its way"}
    assert FLOW.words["blue"] == {"de": "blau", "en": "blue"}


def test_one_file_can_be_called_twice_and_each_call_comes_back_to_its_own_place() -> None:
    flow = merged(
        main=file("main", sub("s", ", next: b") + sub("s", ", next: c").replace("a:", "b:") + "  c: {type: hangup}\n"),
        s=file("s", "  a: {type: say, text: {de: x}, next: b}\n  b: {type: return}\n"),
    )
    outcome = ended(lead(start(flow, FACTS), Played(), Played(), flow=flow)[1])
    assert outcome.path == ("a", "a.a", "a.b", "b", "b.a", "b.b", "c")


def test_a_return_without_a_way_on_is_a_person() -> None:
    flow = merged(main=file("main", sub("s")), s=file("s", RETURN, "start: a"))
    outcome = ended(start(flow, FACTS)[1])
    assert (outcome.path, outcome.route and outcome.route.queue) == (("a", "a.a"), "service")


def test_a_hang_up_inside_goes_where_the_main_flow_says() -> None:
    assert FLOW.nodes["part.a"].hangup is None
    assert FLOW.document.hangup == "gone"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main": sub("main")}, "main.yaml:7:22: main.yaml: sub-flows call each other in a circle"),
        ({"main": sub("s"), "s": sub("s")}, "s.yaml:7:22: s.yaml: sub-flows call each other in a circle"),
        (
            {"main": sub("s"), "s": sub("t"), "t": sub("s")},
            "t.yaml:7:22: s.yaml: sub-flows call each other in a circle",
        ),
        (
            {"main": sub("s"), "s": sub("t"), "t": sub("u"), "u": sub("v"), "v": sub("w"), "w": RETURN},
            "v.yaml:7:22: w.yaml: sub-flows inside each other (at most 4 deep)",
        ),
        ({"main": sub("s"), "s": "  a: {type: retrun}\n"}, "s.yaml:7:3: a: Input tag 'retrun'"),
        ({"main": sub("s"), "s": "  b: {type: return}\n"}, "s.yaml:5:1: start: there is no node 'a'"),
    ],
)
def test_each_problem_is_at_its_place_in_its_own_file(files: dict[str, str], expected: str) -> None:
    found = problems(lambda: merged(**{name: file(name, nodes) for name, nodes in files.items()}))
    assert [problem[: len(expected)] for problem in found] == [expected]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(file("main", sub("none")), encoding="utf-8")
    found = problems(lambda: load(tmp_path / "main.yaml"))
    assert found == [f"{tmp_path}/main.yaml:7:22: none.yaml: no such file"]


def test_without_files_beside_it_there_are_no_sub_flows() -> None:
    found = problems(lambda: parse(file("main", sub("s")), "main.yaml"))
    assert found == ["main.yaml:7:22: s.yaml: sub-flows are looked for beside a file"]


def test_the_files_beside_it_are_read(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    flow = load(tmp_path / "everything.yaml")
    assert (flow.fingerprint, flow.nodes) == (FLOW.fingerprint, FLOW.nodes)
    assert check_flow(flow, HOUSE) == []


def test_the_fingerprint_is_of_all_files() -> None:
    files = {**FILES, "deep.yaml": FILES["deep.yaml"].replace("tief", "sehr tief")}
    assert parse(files["everything.yaml"], "x", files.__getitem__).fingerprint != FLOW.fingerprint


def test_problems_of_checks_name_the_inner_file() -> None:
    files = {**FILES, "deep.yaml": FILES["deep.yaml"].replace("next: c}", "next: d}")}
    found = [
        str(problem) for problem in check_flow(parse(files["everything.yaml"], "x.yaml", files.__getitem__), HOUSE)
    ]
    assert found == ["deep.yaml:9:46: next: there is no node 'd'"]


def test_words_of_an_inner_file_are_proven_too() -> None:
    files = {**FILES, "part.yaml": FILES["part.yaml"].replace("{de: blau, en: blue}", "{de: blau}")}
    flow = parse(files["everything.yaml"], "x.yaml", files.__getitem__)
    assert [str(problem) for problem in check_flow(flow, HOUSE)] == [
        "part.yaml:7:52: blue: the word in 'en' is missing"
    ]


def test_files_that_call_each_other_often_do_not_unfold_without_bound() -> None:
    def many(target: str) -> str:
        return "".join(f"  n{number}: {{type: subflow, flow: {target}.yaml}}\n" for number in range(50))

    files = {name: file(name, many(target), "start: n0") for name, target in [("main", "s"), ("s", "t"), ("t", "u")]}
    found = problems(lambda: merged(**files, u=file("u", RETURN)))
    assert found == [f"u.yaml:1:1: more than {MAX_NODES} nodes with the sub-flows"]
