"""Branch coverage: every branch there is can be taken, is counted when it is, and is named when it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ivr_flows import scripts
from ivr_flows.coverage import Coverage
from ivr_flows.schema import Flow, load, parse
from ivr_flows.simulator import simulate

FLOW = """callfloor_flow: 1
name: small
languages: [de]
default: {queue: service}
start: menu
nodes:
  menu:
    type: menu
    text: {de: Bitte}
    choices: {1: sub, 2: ask}
    visits: 2
    exhausted: queue
    hangup: note
    error: queue
  ask: {type: collect, into: x, text: {de: Zahl}, skip: "*", next: menu}
  sub: {type: subflow, flow: inner.yaml, next: queue}
  queue: {type: route, queue: service, overflow: menu, keys: {1: bye}}
  bye: {type: hangup, text: {de: Tschuess}}
  note: {type: http, url: "https://x.example/", into: x}
"""
INNER = """callfloor_flow: 1
name: inner
languages: [de]
default: {queue: service}
start: known
nodes:
  known:
    type: condition
    when: caller.known
    then: done
    otherwise: done
  done: {type: return}
"""
ALL: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"menu timeout"}),
    ({"steps": [{"press": 9}] * 3}, {"menu invalid"}),
    ({"steps": [{"press": 1}]}, {"menu choices.1", "sub next", "sub.known otherwise", "sub.done next"}),
    ({"steps": ["hangup"]}, {"menu hangup", "note next"}),
    ({"steps": ["hangup"], "office": {"http": "timeout"}}, {"menu hangup", "note timeout"}),
    ({"office": {"nodes": {"menu": "fails"}}}, {"menu error"}),
    ({"steps": [{"press": 2}]}, {"menu choices.2", "ask timeout"}),
    ({"steps": [{"press": 2}, *[{"type": "#*"}] * 0, {"type": "*"}]}, {"menu choices.2", "ask skipped"}),
    ({"steps": [{"press": 2}, *[{"type": "1*"}] * 3]}, {"menu choices.2", "ask invalid"}),
    (
        {"steps": [{"press": 2}, {"type": 5}, {"press": 1}], "queue": ["TIMEOUT"]},
        {"ask next", "menu choices.1", "queue overflow", "menu exhausted"},
    ),
    ({"steps": [{"press": 1}], "queue": "FULL"}, {"queue full"}),
    ({"steps": [{"press": 1}], "queue": "JOINEMPTY"}, {"queue empty"}),
    ({"steps": [{"press": 1}], "queue": "KEY-1"}, {"queue keys.1"}),
]


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    (tmp_path / "inner.yaml").write_text(INNER)
    (tmp_path / "small.yaml").write_text(FLOW)
    return load(tmp_path / "small.yaml")


@pytest.mark.parametrize(("script", "taken"), ALL)
def test_each_branch_is_counted_where_it_was_taken(flow: Flow, script: dict[str, Any], taken: set[str]) -> None:
    trail = simulate(flow, scripts.script(script, flow)).trail
    assert taken <= {" ".join(step) for step in trail}


def test_all_branches_but_one_and_then_that_one(flow: Flow) -> None:
    coverage = Coverage(flow)
    assert (coverage.percent, len(coverage.missing())) == (0, len(coverage.branches()))
    for script, _ in ALL:
        coverage.add(simulate(flow, scripts.script(script, flow)).trail)
    (problem,) = coverage.missing()
    # Whoever calls in ALL is not recognised.
    place = flow.places["nodes", "sub.known", "then"][1]
    assert (Path(problem.file).name, problem.place) == ("inner.yaml", place)
    assert problem.message == "sub.known: nobody took the branch 'then'"
    assert coverage.percent < 100
    coverage.add((("sub.known", "then"),))
    assert (coverage.percent, coverage.missing()) == (100, ())
    assert str(coverage) == f"100 % of the branches ({len(coverage.branches())} of {len(coverage.branches())})"


def test_what_the_engine_does_by_itself_needs_no_script(flow: Flow) -> None:
    branches = Coverage(flow).branches()
    assert {("menu", "error"), ("menu", "hangup"), ("ask", "timeout"), ("queue", "empty")} <= set(branches)
    assert not {("ask", "error"), ("ask", "hangup"), ("bye", "hangup")} & set(branches)


def test_a_missing_branch_is_shown_where_the_file_has_it_or_else_its_node(flow: Flow) -> None:
    places = {
        problem.message.partition(":")[0] + problem.message.rpartition(" ")[2]: problem.place.line
        for problem in Coverage(flow).missing()
    }
    assert (places["menu'choices.2'"], places["menu'timeout'"], places["menu'exhausted'"]) == (10, 7, 12)


def test_a_flow_without_branches_is_covered() -> None:
    end = "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: q}\nstart: a\nnodes: {a: {type: hangup}}\n"
    assert Coverage(parse(end)).percent == 100
