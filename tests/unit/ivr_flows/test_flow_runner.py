"""The shell: what the line and everyone who listens are told, and that whatever breaks leads to a queue."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from unit.ivr_flows.callers import Desk, Script, name
from unit.ivr_flows.everything import FACTS, KNOWN, NONE

from ivr_flows.phrases import Phrase
from ivr_flows.ports import (
    CallFacts,
    CallHttp,
    Finding,
    LookUp,
    Question,
    Route,
    Standing,
    WhoCalls,
    WhoHasNumber,
)
from ivr_flows.runner import run
from ivr_flows.schema import Flow, parse
from ivr_flows.state import Outcome, State

FLOW = parse(
    """
callfloor_flow: 1
name: t
languages: [de, en]
default: {queue: service, priority: 1}
start: hello
nodes:
  hello: {type: say, text: {de: hallo, en: hello}, next: who}
  who: {type: recognise, known: vip, unknown: ask, error: ask}
  ask:
    type: authenticate
    text: {de: nummer, en: number}
    wrong: {de: falsch, en: wrong}
    next: vip
    invalid: vip
    error: vip
  vip: {type: route, queue: sales, priority: 10 if caller.proven else 5 if caller.known else 0}
"""
)
KNOWS = Finding("known", recognition=KNOWN)
KNOWS_NOT = Finding("unknown", recognition=NONE)


def by_digits(question: Question) -> Finding:
    assert isinstance(question, WhoHasNumber)
    return KNOWS if question.digits == "4711" else KNOWS_NOT


def office() -> Desk:
    return Desk({WhoCalls: KNOWS_NOT, WhoHasNumber: by_digits})


async def go(caller: Script, desk: Desk, facts: CallFacts = FACTS, flow: Flow = FLOW) -> Outcome:
    return await run(flow, facts, caller, desk, name, consult_seconds=0.05)


async def test_a_known_caller() -> None:
    caller = Script()
    outcome = await go(caller, Desk({WhoCalls: KNOWS}))
    assert outcome.route == Route("sales", 5, "en")
    assert (outcome.path, outcome.ended, outcome.recognition) == (("hello", "who", "vip"), "routed", KNOWN)
    assert caller.heard == ["/s/de/hallo"]
    assert caller.languages == ["en"]
    identity = {"CallId": "pbx1-1.1", "Customer": KNOWN.customer, "Certainty": "certain", "Reason": KNOWN.reason}
    assert caller.events == [
        ("CallfloorIdentity", {**identity, "Level": "none"}),
        ("CallfloorFlow", {"CallId": "pbx1-1.1", "Path": "hello>who>vip", "Language": "en", "Route": "sales"}),
    ]
    assert (caller.variables["CALLFLOOR_ROUTE"], caller.variables["CALLFLOOR_PRIORITY"]) == ("sales", "5")
    assert caller.variables["CALLFLOOR_LANGUAGE"] == "en"


async def test_a_customer_number_at_the_second_try() -> None:
    caller = Script(collects=["999", "4711"])
    outcome = await go(caller, office())
    assert (outcome.route, outcome.level) == (Route("sales", 10, "de"), "number")
    assert caller.heard == ["/s/de/hallo", "/s/de/nummer", "/s/de/falsch", "/s/de/nummer"]
    told = [(one["Certainty"], one["Level"]) for event, one in caller.events if event == "CallfloorIdentity"]
    assert told == [("none", "none"), ("certain", "number")]


async def test_a_key_typed_ahead_is_the_first_digit() -> None:
    caller = Script(plays=["4"], collects=["711"])
    outcome = await go(caller, office())
    assert outcome.route == Route("sales", 10, "de")
    assert caller.heard == ["/s/de/hallo"]
    assert caller.asked == [(11, 6, False, "")]


@pytest.mark.parametrize(("key", "reads"), [("#", 1), ("*", 0)])
async def test_a_key_that_ends_the_input_is_the_whole_input(key: str, reads: int) -> None:
    caller = Script(plays=[key])
    await go(caller, office())
    # A lone hash is a silence: the question is heard then.
    assert len(caller.asked) == reads


async def test_the_office_is_told_who_asks() -> None:
    desk = office()
    await go(Script(collects=["4711"]), desk)
    assert desk.questions == [WhoCalls(), WhoHasNumber("4711")]
    assert [standing.node for standing in desk.standings] == ["who", "ask"]
    assert desk.standings[1] == Standing(FACTS, NONE, "none", "de", "ask")


async def test_the_server_dies_and_the_next_one_goes_on() -> None:
    first = Script(break_at=6, error=ConnectionError)
    await go(first, office())
    assert first.heard[-1] == "/s/de/nummer" or first.acts[-1] == "collect"
    second = Script(collects=["4711"])
    outcome = await go(second, office(), replace(FACTS, checkpoint=first.checkpoints[-1]))
    assert second.heard == ["/s/de/nummer"]
    assert outcome.path == ("hello", "who", "ask", "vip")
    assert outcome.route == Route("sales", 10, "de")
    # Who began has told the first identity.
    assert [one["Level"] for event, one in second.events if event == "CallfloorIdentity"] == ["number"]


async def test_a_bad_checkpoint_is_a_fresh_start() -> None:
    caller = Script()
    assert (await go(caller, Desk({WhoCalls: KNOWS}), replace(FACTS, checkpoint="2.x.y"))).ended == "routed"
    assert caller.heard == ["/s/de/hallo"]


async def test_another_language_on_the_line_is_set_right() -> None:
    caller = Script()
    await go(caller, office(), replace(FACTS, language="fr"))
    assert caller.languages == ["de"]


async def test_a_broken_sound_costs_the_node_and_not_the_flow() -> None:
    def missing(phrase: Phrase) -> str:
        raise LookupError(phrase.id)

    outcome = await run(FLOW, FACTS, (caller := Script()), office(), missing)
    assert (outcome.route, outcome.ended, outcome.error) == (Route("service", 1, "de"), "error", "hello: LookupError")
    assert caller.variables["CALLFLOOR_ROUTE"] == "service"


async def test_a_flow_that_hangs_up_ends_the_call() -> None:
    head = "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: service}\nstart: a\nnodes:\n"
    flow = parse(head + "  a: {type: hangup, text: {de: weg}}\n")
    outcome = await go(caller := Script(), Desk(), flow=flow)
    assert (outcome.route, outcome.ended, caller.hung_up, caller.heard) == (None, "hung_up", True, ["/s/de/weg"])
    assert "CALLFLOOR_ROUTE" not in caller.variables


async def test_whoever_watches_sees_each_step() -> None:
    seen: list[State] = []
    await run(FLOW, FACTS, Script(collects=["4711"]), office(), name, watch=seen.append)
    assert [state.node for state in seen] == ["hello", "who", "ask", "ask"]


async def test_who_is_sent_straight_hears_nothing() -> None:
    caller = Script()
    outcome = await run(FLOW, FACTS, caller, office(), name, straight=Route("sales", 9, "de"))
    assert (outcome.route, outcome.path, outcome.ended) == (Route("sales", 9, "de"), (), "routed")
    assert (caller.heard, caller.variables["CALLFLOOR_ROUTE"]) == ([], "sales")


class Hanging(Desk):
    async def answer(self, standing: Standing, question: Question) -> Finding:
        self.questions.append(question)
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize(
    "desk",
    [Desk({WhoCalls: ValueError("x"), WhoHasNumber: OSError("x")}), Desk({WhoCalls: TimeoutError()}), Hanging()],
    ids=["raises", "times out", "hangs"],
)
async def test_an_office_that_fails_takes_the_error_branch(desk: Desk) -> None:
    outcome = await go(Script(collects=["4711"]), desk)
    assert (outcome.route, outcome.ended) == (Route("sales", 0, "de"), "routed")
    assert outcome.trail[1] == ("who", "error")


async def test_a_web_service_has_the_time_that_its_node_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []
    timeout = asyncio.timeout

    def noted(seconds: float | None) -> asyncio.Timeout:
        given.append(seconds)
        return timeout(seconds)

    monkeypatch.setattr(asyncio, "timeout", noted)
    head = "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: service}\nstart: a\nnodes:\n"
    nodes = "  a: {type: lookup, what: orders, into: o, none: b}\n"
    nodes += "  b: {type: http, url: 'https://x/', into: e, seconds: 9}\n"
    desk = Desk()
    await go(Script(), desk, flow=parse(head + nodes))
    assert desk.questions == [LookUp("orders", {}), CallHttp("https://x/", "POST", {}, (), 9)]
    assert given == [0.05, 10.0]


@pytest.mark.parametrize("moment", range(13))
async def test_hanging_up_at_any_moment_is_an_outcome(moment: int) -> None:
    caller = Script(break_at=moment)
    outcome = await go(caller, office())
    gone = len(caller.acts) > moment
    assert (outcome.ended, outcome.route is None) == (("gone", True) if gone else ("routed", False))


@pytest.mark.parametrize("moment", range(13))
@pytest.mark.parametrize("once", [True, False], ids=["one act fails", "the line fails"])
async def test_a_fault_at_any_moment_is_an_outcome(moment: int, once: bool) -> None:
    caller = Script(break_at=moment, error=RuntimeError, breaks_once=once)
    outcome = await go(caller, office())
    assert outcome.ended in ("routed", "error")
    assert outcome.route is not None
    assert once or outcome.ended == "error" or len(caller.acts) <= moment
    # With the variable set the dialplan goes by it, without it by its own fallback.
    assert caller.variables.get("CALLFLOOR_ROUTE", outcome.route.queue) == outcome.route.queue
