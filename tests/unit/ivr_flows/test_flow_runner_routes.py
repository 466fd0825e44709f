"""How callers are handed to the dialplan, how they come back, and hang-ups at every act of a long way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from unit.ivr_flows.callers import Desk, Reply, Script, name
from unit.ivr_flows.everything import FACTS, FLOW, IBAN, KNOWN, ORDER

from ivr_flows.ports import (
    UNMEASURED,
    AreWeOpen,
    CallHttp,
    FileRequest,
    Finding,
    IsPinRight,
    KeepMessage,
    LookUp,
    OpenMessage,
    PromiseCallBack,
    Recognition,
    Route,
    WhoCalls,
    WhoHasNumber,
)
from ivr_flows.runner import Seat, run
from ivr_flows.schema import parse

HEAD = "callfloor_flow: 1\nname: t\nlanguages: [de, en]\ndefault: {queue: person}\nstart: a\nnodes:\n"
BACK = "  b: {type: say, text: {de: zurück}}\n"
PLAIN = {"PRIORITY": "0", "LANGUAGE": "de", "ROUTE": "q"}
GERMAN = Recognition("certain", "number", "id-7", "Max", "de")
REPLIES: dict[type, Reply] = {
    WhoCalls: Finding("known", recognition=GERMAN),
    WhoHasNumber: Finding("known", recognition=KNOWN),
    IsPinRight: Finding("right", recognition=KNOWN),
    AreWeOpen: Finding("open", {"reason": "", "opens_on": "2026-11-30", "opens_at": "08:00"}),
    LookUp: Finding("next", ORDER),
    FileRequest: Finding("next", {"reference": "1000001"}),
    PromiseCallBack: Finding("next"),
    OpenMessage: Finding("next", {"place": "/m/1"}),
    KeepMessage: Finding("next"),
    CallHttp: Finding("next", {"days": 2}),
}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("route, queue: q", PLAIN),
        ("route, queue: q, priority: 7, language: en", {**PLAIN, "PRIORITY": "7", "LANGUAGE": "en"}),
        ("route, queue: q, wait: 90", {**PLAIN, "WAIT": "90"}),
        ("route, queue: q, penalty: {least: 1, most: 5}", {**PLAIN, "PENALTIES": "1-5"}),
        ("route, queue: q, prefer: {seconds: 9}", {**PLAIN, "PREFERRED": "PJSIP/rosa", "PREFERRED_SECONDS": "9"}),
        ("transfer, to: partner", {**PLAIN, "ROUTE": "person", "TRANSFER": "partner"}),
        ("route, queue: q, overflow: b", {**PLAIN, "RETURNS": "1"}),
        ("say, text: {de: x}", {**PLAIN, "ROUTE": "person"}),
    ],
)
async def test_each_kind_of_route_sets_its_variables_and_the_route_last(node: str, expected: dict[str, str]) -> None:
    async def seat(route: Route, who: Recognition | None) -> str:
        return "PJSIP/rosa"

    flow = parse(HEAD + f"  a: {{type: {node}}}\n" + (BACK if "b}" in node + "}" else ""))
    caller = Script()
    await run(flow, FACTS, caller, Desk(), name, seat=seat)
    found = {key.removeprefix("CALLFLOOR_"): value for key, value in caller.variables.items()}
    checkpoint = found.pop("CHECKPOINT")
    assert {key: value for key, value in found.items() if value} == expected
    assert bool(checkpoint) == ("RETURNS" in expected)
    assert caller.acts[-1].endswith(",ROUTE")
    # All at once, so that a line that breaks leaves nothing half set.
    assert sum("ROUTE" in act for act in caller.acts) == 1


async def test_an_agent_without_a_seat_is_not_waited_for() -> None:
    flow = parse(HEAD + "  a: {type: route, queue: q, prefer: {seconds: 9}}\n")
    caller = Script()
    await run(flow, FACTS, caller, Desk(), name)
    assert not caller.variables.get("CALLFLOOR_PREFERRED")
    assert not caller.variables.get("CALLFLOOR_PREFERRED_SECONDS")


async def _seat_breaks(route: Route, who: Recognition | None) -> str:
    raise OSError("the database is away")


async def _seat_hangs(route: Route, who: Recognition | None) -> str:
    await asyncio.Event().wait()
    return "never"


@pytest.mark.parametrize("seat", [_seat_breaks, _seat_hangs])
async def test_a_look_up_of_the_agent_that_fails_costs_the_caller_the_agent_and_not_the_queue(seat: Seat) -> None:
    flow = parse(HEAD + "  a: {type: route, queue: q, priority: 7, prefer: {seconds: 9}}\n")
    caller = Script()
    outcome = await run(flow, FACTS, caller, Desk(), name, seat=seat, consult_seconds=0.01)
    assert outcome.ended == "routed"
    assert (caller.variables["CALLFLOOR_ROUTE"], caller.variables["CALLFLOOR_PRIORITY"]) == ("q", "7")
    assert not caller.variables.get("CALLFLOOR_PREFERRED")


async def test_the_language_of_the_queue_is_spoken_in_it() -> None:
    caller = Script()
    await run(parse(HEAD + "  a: {type: route, queue: q, language: en}\n"), FACTS, caller, Desk(), name)
    assert caller.languages == ["en"]


@pytest.mark.parametrize(
    ("status", "trail", "heard"),
    [
        ("TIMEOUT", ("queue", "overflow"), ["/s/de/tschüss"]),
        ("FULL", ("queue", "full"), ["/s/de/nichts"]),
        ("JOINEMPTY", ("queue", "empty"), ["/s/de/nach dem Ton"]),
        ("KEY-1", ("queue", "keys.1"), ["/s/de/Menü"]),
    ],
)
async def test_who_comes_back_goes_on_where_the_queue_was(
    status: str, trail: tuple[str, str], heard: list[str]
) -> None:
    first = Script(collects=["9"])
    outcome = await run(FLOW, FACTS, first, Desk(REPLIES), name)
    assert outcome.route is not None
    assert outcome.route.returns
    facts = replace(FACTS, checkpoint=first.variables["CALLFLOOR_CHECKPOINT"], left_queue=status)
    second = Script(collects=["*"])
    outcome = await run(FLOW, facts, second, Desk(REPLIES), name)
    assert outcome.trail[0] == trail
    assert second.heard[:1] == heard
    # The way so far is remembered.
    assert outcome.path[:5] == ("hello", "who", "open", "main", "queue")


async def test_what_an_earlier_queue_was_told_is_cleared_for_the_next() -> None:
    node = "  a: {type: route, queue: q, wait: 90, penalty: {most: 5}, overflow: b}\n"
    flow = parse(HEAD + node + "  b: {type: route, queue: r}\n")
    first = Script()
    await run(flow, FACTS, first, Desk(), name)
    facts = replace(FACTS, checkpoint=first.variables["CALLFLOOR_CHECKPOINT"], left_queue="TIMEOUT")
    second = Script(variables=dict(first.variables))
    await run(flow, facts, second, Desk(), name)
    left = {key.removeprefix("CALLFLOOR_"): value for key, value in second.variables.items() if value}
    assert left == {"PRIORITY": "0", "LANGUAGE": "de", "ROUTE": "r"}


async def test_a_message_is_recorded_and_kept() -> None:
    desk = Desk(REPLIES)
    caller = Script(collects=["4"], records=9)
    outcome = await run(FLOW, FACTS, caller, desk, name)
    assert caller.recorded == [("/m/1", 120, 5)]
    assert desk.questions[-2:] == [OpenMessage("message", "service"), KeepMessage("message", "service", "/m/1", 9)]
    assert (outcome.ended, caller.hung_up) == ("hung_up", True)


async def test_hanging_up_ends_a_recording_and_keeps_it() -> None:
    desk = Desk(REPLIES)
    acts = Script(collects=["4"])
    await run(FLOW, FACTS, acts, Desk(REPLIES), name)
    caller = Script(collects=["4"], break_at=acts.acts.index("record"))
    outcome = await run(FLOW, FACTS, caller, desk, name)
    assert KeepMessage("message", "service", "/m/1", UNMEASURED) in desk.questions
    # The node's own branch for it is gone through, too.
    assert desk.questions[-1] == LookUp("queue", {"queue": "service"})
    assert (outcome.ended, outcome.route) == ("gone", None)


WAY = ["2", IBAN, "77", "1", "5", "4"]


async def whole_way() -> Script:
    caller = Script(collects=list(WAY))
    outcome = await run(FLOW, FACTS, caller, Desk(REPLIES), name)
    assert outcome.ended == "hung_up"
    return caller


async def test_a_hang_up_at_each_act_of_a_long_way() -> None:
    acts = (await whole_way()).acts
    assert len(acts) > 25
    for moment in range(len(acts)):
        desk = Desk(REPLIES)
        caller = Script(collects=list(WAY), break_at=moment)
        outcome = await run(FLOW, FACTS, caller, desk, name)
        assert (outcome.ended, outcome.route) == ("gone", None), acts[moment]
        # After it the line is left alone, but for the end of a secure question.
        assert caller.acts[moment + 1 :] == ["tell CallfloorSecure end"] * (acts[moment] == "collect in secret")
        assert "CALLFLOOR_ROUTE" not in caller.variables


async def test_a_fault_at_each_act_of_a_long_way_leads_to_a_queue_or_the_end() -> None:
    acts = (await whole_way()).acts
    for moment in range(len(acts)):
        caller = Script(collects=list(WAY), break_at=moment, error=RuntimeError, breaks_once=True)
        outcome = await run(FLOW, FACTS, caller, Desk(REPLIES), name)
        assert outcome.ended in ("routed", "hung_up", "error"), acts[moment]
        assert outcome.route is not None or outcome.ended in ("hung_up", "error")
