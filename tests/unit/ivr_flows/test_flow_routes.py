"""Where a flow sends its callers: queues with all they can be told, and transfers."""

from __future__ import annotations

import pytest
from unit.ivr_flows.everything import FACTS, FLOW, Brought, at, ended, lead, proven, texts

from ivr_flows.engine import come_back, start
from ivr_flows.ports import Preferred, Route
from ivr_flows.schema import parse
from ivr_flows.state import Failed, Finish

HEAD = "callfloor_flow: 1\nname: t\nlanguages: [de, en]\ndefault: {queue: person, priority: 2}\nstart: a\nnodes:\n"
OTHER = "  b: {type: route, queue: other}\n"


@pytest.mark.parametrize(
    ("more", "route"),
    [
        ("", Route("q")),
        (", priority: 7", Route("q", priority=7)),
        (", priority: vip * 10", Route("q", priority=30)),
        (", priority: vip > 2", Route("q", priority=1)),
        (", priority: vip * 1000", Route("q", priority=1000)),
        (", priority: 0 - vip", Route("q", priority=0)),
        (", language: en", Route("q", language="en")),
        (", wait: 90", Route("q", wait=90)),
        (", penalty: {most: 5}", Route("q", penalties=(0, 5))),
        (", penalty: {least: 2, most: 5}", Route("q", penalties=(2, 5))),
        (", prefer: {}", Route("q", preferred=Preferred("", 20))),
        (", prefer: {agent: agent, seconds: 9}", Route("q", preferred=Preferred("rosa", 9))),
        (", overflow: b", Route("q", returns=True)),
        (", empty: b", Route("q", returns=True)),
        (", full: b", Route("q", returns=True)),
        (", keys: {1: b}", Route("q", returns=True)),
        (", error: b", Route("q")),
    ],
)
def test_a_queue_with_all_that_it_is_told(more: str, route: Route) -> None:
    flow = parse(HEAD + f"  a: {{type: route, queue: q{more}}}\n" + OTHER)
    outcome = ended(at("a", {"values": {"vip": 3, "agent": "rosa"}}, flow=flow)[1])
    assert (outcome.route, outcome.ended) == (route, "routed")


@pytest.mark.parametrize("more", ["priority: nothing", "priority: \"'high'\"", "priority: 7 / 2", "prefer: {agent: x}"])
@pytest.mark.parametrize(("branch", "route"), [("", Route("person", 2)), (", error: b", Route("other"))])
def test_a_queue_that_cannot_be_told_is_a_failure(more: str, branch: str, route: Route) -> None:
    flow = parse(HEAD + f"  a: {{type: route, queue: q, {more}{branch}}}\n" + OTHER)
    outcome = ended(start(flow, FACTS)[1])
    assert (outcome.route, outcome.trail) == (route, (("a", "error"),))
    assert outcome.error.startswith("a: ")


@pytest.mark.parametrize(
    ("brought", "priority"), [({}, 0), (proven("number"), 5), (proven("pin"), 10)], ids=["none", "number", "pin"]
)
def test_what_is_proven_can_go_before(brought: Brought, priority: int) -> None:
    route = ended(at("queue", brought)[1]).route
    assert route == Route("service", priority, "de", "", 120, (0, 3), Preferred("", 15), True)


@pytest.mark.parametrize(
    ("more", "status", "path"),
    [
        ("overflow: b", "TIMEOUT", ("a", "b")),
        ("overflow: b", "FULL", ("a", "b")),
        ("overflow: b", "JOINEMPTY", ("a", "b")),
        ("full: b", "FULL", ("a", "b")),
        ("full: b", "TIMEOUT", ("a",)),
        ("keys: {5: b}", "KEY-5", ("a", "b")),
        ("keys: {5: b}", "KEY-6", ("a",)),
        ("keys: {5: b}", "5", ("a",)),
        ("keys: {'*': b}", "KEY-*", ("a", "b")),
    ],
)
def test_without_its_own_branch_a_return_is_an_overflow_and_in_the_end_a_person(
    more: str, status: str, path: tuple[str, ...]
) -> None:
    flow = parse(HEAD + f"  a: {{type: route, queue: q, {more}}}\n" + OTHER)
    outcome = ended(come_back(flow, start(flow, FACTS)[0], status)[1])
    assert (outcome.path, outcome.ended) == (path, "routed")
    assert outcome.route == (Route("other") if path[-1] == "b" else Route("person", 2))


def test_coming_back_to_a_queue_that_does_not_return_is_a_person() -> None:
    state, command = at("last")
    assert isinstance(command, Finish)
    outcome = ended(come_back(FLOW, state, "TIMEOUT")[1])
    assert (outcome.route, outcome.ended, outcome.error) == (Route("person", 2), "error", "came back to no queue")


def test_the_second_wait_is_the_last_where_visits_say_so() -> None:
    after = at("queue")
    after = come_back(FLOW, after[0], "KEY-1")
    assert texts(after[1]) == ["Menü"]
    state, _ = lead(at("main", {"visits": {"queue": 2}}), Failed("x"))
    assert state.path == ("main", "last")
    state, command = at("queue", {"visits": {"queue": 2}})
    assert (state.trail, ended(command).route) == ((("queue", "exhausted"),), Route("person"))


def test_a_transfer_names_the_queue_for_when_nobody_answers() -> None:
    outcome = ended(at("partner", {"language": "en"})[1])
    assert (outcome.route, outcome.ended) == (Route("person", 2, "en", transfer="partner"), "routed")
