"""Secure questions on the line: who is deaf meanwhile, and that no log and no variable ever holds what was typed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from unit.ivr_flows.callers import Desk, Reply, Script, name
from unit.ivr_flows.everything import FACTS, FLOW, IBAN, KNOWN, NONE, WITHHELD

from ivr_flows.phrases import Phrase
from ivr_flows.ports import AreWeOpen, FileRequest, Finding, IsPinRight, LookUp, Question, WhoCalls, WhoHasNumber
from ivr_flows.runner import run
from ivr_flows.schema import parse
from ivr_flows.state import Outcome

PIN = "8642"
NUMBER = "471147"
BEGIN, END = "tell CallfloorSecure begin", "tell CallfloorSecure end"


def fault(question: Question) -> Finding:
    """As a database does: its message quotes what it was given."""
    asked = question.pin if isinstance(question, IsPinRight) else question
    given = question.fields if isinstance(question, FileRequest) else asked
    digits = question.digits if isinstance(question, WhoHasNumber) else ""
    raise RuntimeError(f"statement failed [parameters: {given!r} {digits}]")


REPLIES: dict[type, Reply] = {
    WhoCalls: Finding("withheld", recognition=WITHHELD),
    WhoHasNumber: Finding("known", recognition=KNOWN),
    IsPinRight: Finding("right", recognition=KNOWN),
    AreWeOpen: Finding("open"),
    FileRequest: Finding("next", {"reference": "1000001"}),
}
KEYS = [NUMBER, PIN, "2", IBAN, "77", "1", "*"]


async def go(caller: Script, **faulty: Reply) -> Outcome:
    kinds = {kind.__name__: kind for kind in REPLIES}
    replies = {**REPLIES, **{kinds[one]: reply for one, reply in faulty.items()}}
    return await run(FLOW, FACTS, caller, Desk(replies), name, consult_seconds=0.05)


async def test_a_secure_question_is_surrounded_by_its_event() -> None:
    caller = Script(collects=list(KEYS))
    outcome = await go(caller)
    assert (outcome.level, outcome.route and outcome.route.queue) == ("pin", "person")
    places = [place for place, act in enumerate(caller.acts) if act == "collect in secret"]
    assert len(places) == 2
    assert all((caller.acts[place - 1], caller.acts[place + 1]) == (BEGIN, END) for place in places)
    assert (caller.acts.count(BEGIN), caller.acts.count(END)) == (2, 2)
    assert [asked for asked in caller.asked if asked[2]] == [(8, 6, True, "*"), (20, 6, True, "*")]
    events = [one for event, one in caller.events if event == "CallfloorSecure"]
    assert events == [{"CallId": "pbx1-1.1", "State": state} for state in ("begin", "end")] * 2


async def test_a_key_typed_ahead_is_no_way_around_it() -> None:
    flow = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: person}\nstart: a\nnodes:\n"
        "  a: {type: say, text: {de: x}, next: b}\n"
        "  b: {type: collect, text: {de: y}, into: secret, secure: true}\n"
    )
    caller = Script(plays=["1"], collects=["234"])
    await run(flow, FACTS, caller, Desk(), name)
    place = caller.acts.index("collect in secret")
    assert (caller.acts[place - 1], caller.acts[place + 1]) == (BEGIN, END)
    assert caller.asked == [(11, 6, True, "")]


async def test_nobody_stays_deaf_after_a_fault() -> None:
    for broken in range(100):
        caller = Script(collects=list(KEYS), break_at=broken, error=RuntimeError, breaks_once=True)
        await go(caller)
        # The end itself may be what failed.
        ends = caller.acts.count(END)
        assert ends == caller.acts.count(BEGIN) or caller.acts[broken] == BEGIN
        if len(caller.acts) <= broken:
            return
    raise AssertionError("the flow never ended")


@pytest.mark.parametrize("kind", ["WhoHasNumber", "IsPinRight", "FileRequest"])
async def test_a_fault_of_the_office_is_logged_without_what_was_asked(logged: io.StringIO, kind: str) -> None:
    caller = Script(collects=list(KEYS))
    outcome = await go(caller, **{kind: fault})
    text = logged.getvalue()
    assert any(branch == "error" for _, branch in outcome.trail)
    assert '"flow_office_failed"' in text
    assert '"error": "RuntimeError"' in text
    # Where it failed is told.
    assert "in fault" in text
    for secret in (IBAN, PIN, NUMBER):
        assert secret not in text
        assert secret not in repr(outcome)


async def test_any_other_fault_is_logged_in_full(logged: io.StringIO) -> None:
    await go(Script(collects=["*"]), AreWeOpen=OSError("the calendar is gone"))
    assert "the calendar is gone" in logged.getvalue()


class Deaf(Script):
    async def collect(self, *given: Any, **more: Any) -> str:
        keys = await super().collect(*given, **more)
        if more.get("secure"):
            raise RuntimeError("the line broke")
        return keys


@pytest.mark.parametrize("caller", [Script(collects=list(KEYS)), Deaf(collects=list(KEYS))], ids=["whole", "broken"])
async def test_nothing_that_is_told_or_set_holds_it(logged: io.StringIO, caller: Script) -> None:
    outcome = await go(caller)
    told = repr((caller.events, caller.variables, caller.checkpoints, outcome, caller.acts)) + logged.getvalue()
    for secret in (IBAN, PIN, NUMBER):
        assert secret not in told


async def test_a_prompt_that_fails_in_a_secure_question_holds_nothing(logged: io.StringIO) -> None:
    def missing(phrase: Phrase) -> str:
        if phrase.id.startswith("digit-"):
            raise LookupError("no such sound")
        return name(phrase)

    outcome = await run(FLOW, FACTS, Script(collects=list(KEYS)), Desk(REPLIES), missing)
    assert ("confirm", "error") in outcome.trail
    assert IBAN[-4:] not in logged.getvalue() + repr(outcome)


async def test_a_look_up_says_what_was_asked_for_but_not_by_whom(logged: io.StringIO) -> None:
    desk = Desk({**REPLIES, WhoCalls: Finding("unknown", recognition=NONE), LookUp: OSError("CRM down")})
    await run(FLOW, FACTS, Script(collects=["1", "*", "1", "*"]), desk, name)
    text = logged.getvalue()
    assert '"question": "LookUp"' in text
    assert FACTS.number not in text
    assert FACTS.name not in text
