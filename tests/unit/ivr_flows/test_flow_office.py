"""What the office is asked and what becomes of its answers: look-ups, hours, web services, call-backs, messages."""

from __future__ import annotations

import pytest
from unit.ivr_flows.everything import FACTS, FLOW, KNOWN, ORDER, Brought, asked, at, ended, found, lead, proven, texts

from ivr_flows.checkpoint import checkpoint, resume
from ivr_flows.engine import again, come_back, start
from ivr_flows.ports import (
    UNMEASURED,
    AreWeOpen,
    CallHttp,
    Finding,
    KeepMessage,
    LookUp,
    OpenMessage,
    PromiseCallBack,
    Standing,
    Value,
)
from ivr_flows.schema import parse
from ivr_flows.state import Answer, Consult, Consulted, Failed, Next, Played, Record, Recorded, Typed
from ivr_flows.walk import MAX_TOLD, MAX_VALUE, MAX_WHOLE

SEVERAL = parse(
    """
callfloor_flow: 1
name: t
languages: [de]
default: {queue: person}
start: open
nodes:
  open: {type: hours, hours: office, open: order, closed: order}
  order: {type: lookup, what: orders, arguments: {number: "{{ 41 + 1 }}"}, into: order, next: bill, none: bill}
  bill: {type: lookup, what: invoices, into: bill, next: erp, none: erp}
  erp: {type: http, url: "https://x/{{ order.number }}", method: GET, take: [days], into: erp, next: menu, seconds: 2}
  menu:
    type: menu
    text:
      de: "{{ order.number | digits }} {{ bill.open | number }} {{ erp.days | number }} {{ hours.opens_at | time }}"
    choices: {1: wait}
  wait: {type: route, queue: q, overflow: tell}
  tell: {type: say, text: {de: "{{ order.number | digits }}"}}
"""
)
ANSWERS: list[Answer] = [
    found("closed", opens_at="08:00"),
    found("next", number="12"),
    found("next", open=3),
    found("next", days=4),
]
SAID = ["eins", "zwo", "drei", "vier", "acht", "Uhr"]


def handed_over(after: Next, left_queue: str = "") -> Next:
    kept = resume(SEVERAL, checkpoint(SEVERAL, after[0]), FACTS)
    assert kept is not None
    assert kept.results == {}
    return come_back(SEVERAL, kept, left_queue) if left_queue else again(SEVERAL, kept)


def test_each_question_tells_who_asks() -> None:
    _, command = at("orders", {**proven("number"), "language": "en"})
    assert command == Consult(LookUp("orders", {}), Standing(FACTS, KNOWN, "number", "en", "orders"))


def test_results_are_read_by_the_nodes_that_come_after() -> None:
    after = start(SEVERAL, FACTS)
    questions = []
    for answer in ANSWERS:
        questions.append(asked(after[1]))
        after = lead(after, answer, flow=SEVERAL)
    assert texts(after[1]) == SAID
    assert questions == [
        AreWeOpen("office"),
        LookUp("orders", {"number": "42"}),
        LookUp("invoices", {}),
        CallHttp("https://x/12", "GET", {}, ("days",), 2),
    ]


def test_after_a_hand_over_each_is_asked_again_and_the_same_question_is_heard() -> None:
    after = handed_over(lead(start(SEVERAL, FACTS), *ANSWERS, flow=SEVERAL))
    for answer in ANSWERS:
        assert isinstance(after[1], Consult)
        after = lead(after, answer, flow=SEVERAL)
    assert texts(after[1]) == SAID
    assert after[0].trail == ()


def test_what_has_changed_meanwhile_is_told_as_it_is_now() -> None:
    after = handed_over(lead(start(SEVERAL, FACTS), *ANSWERS, flow=SEVERAL))
    fresh: list[Answer] = [found("open", opens_at="09:00"), found("next", number="7"), *ANSWERS[2:]]
    assert texts(lead(after, *fresh, flow=SEVERAL)[1])[:1] == ["sieben"]


@pytest.mark.parametrize("answer", [found("none"), found("next"), found("no such branch")])
def test_what_is_not_there_any_more_takes_the_error_branch_of_the_node_that_says_it(answer: Consulted) -> None:
    after = handed_over(lead(start(SEVERAL, FACTS), *ANSWERS, flow=SEVERAL))
    # The address of the web service holds the number, too: it cannot be asked any more.
    outcome = ended(lead(after, ANSWERS[0], answer, ANSWERS[2], flow=SEVERAL)[1])
    assert (outcome.ended, outcome.trail) == ("error", (("menu", "error"),))


@pytest.mark.parametrize("answer", [Failed("no CRM"), Played(), Typed("1")])
def test_an_office_that_cannot_be_asked_again_is_a_failure_of_the_node(answer: Answer) -> None:
    after = handed_over(lead(start(SEVERAL, FACTS), *ANSWERS, flow=SEVERAL))
    outcome = ended(lead(after, answer, flow=SEVERAL)[1])
    assert (outcome.ended, outcome.trail) == ("error", (("menu", "error"),))


def test_who_comes_back_from_a_queue_is_told_what_was_looked_up_before() -> None:
    after = lead(start(SEVERAL, FACTS), *ANSWERS, Typed("1"), flow=SEVERAL)
    assert ended(after[1]).route is not None
    after = handed_over(after, "TIMEOUT")
    assert asked(after[1]) == AreWeOpen("office")
    after = lead(after, *ANSWERS, flow=SEVERAL)
    assert (texts(after[1]), after[0].trail) == (["eins", "zwo"], (("wait", "overflow"),))


GARBAGE: dict[str, object] = {
    "number": ["no", "string"],
    "total": 1.5,
    "currency": None,
    "status": b"bytes",
    "placed_on": 10**5000,
    "note": "x" * 100_000,
    "large": MAX_WHOLE,
    "flag": True,
}


def test_of_garbage_only_what_a_flow_can_work_with_is_kept() -> None:
    state, _ = lead(at("orders"), Consulted(Finding("next", GARBAGE)))  # type: ignore[arg-type]
    assert state.results["order"] == {"note": "x" * MAX_VALUE, "large": MAX_WHOLE, "flag": True}
    assert state.trail == (("orders", "next"), ("tell", "error"))


def test_of_too_many_values_the_first_are_kept() -> None:
    state, _ = lead(at("orders"), found("next", **{f"v{number}": number for number in range(100)}))
    assert len(state.results["order"]) == MAX_TOLD


@pytest.mark.parametrize("currency", ["", "DM", 7, True])
def test_an_amount_in_no_currency_takes_the_error_branch(currency: Value) -> None:
    state, _ = lead(at("orders"), found("next", **{**ORDER, "currency": currency}))
    assert state.trail == (("orders", "next"), ("tell", "error"))


@pytest.mark.parametrize(
    ("number", "brought", "expected"),
    [
        ("", {}, ""),
        (", number: code", {"values": {"code": "030123"}}, "030123"),
        (", number: code", {"values": {"code": "9" * 99}}, "9" * MAX_VALUE),
    ],
)
def test_a_call_back_goes_to_the_callers_number_or_to_the_one_given(
    number: str, brought: Brought, expected: str
) -> None:
    flow = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: person}\nstart: a\nnodes:\n"
        f"  a: {{type: callback, queue: service{number}}}\n"
    )
    assert asked(at("a", brought, flow=flow)[1]) == PromiseCallBack("service", expected, "de")
    assert "030123" not in repr(asked(at("a", brought, flow=flow)[1]))


def test_a_message_is_opened_recorded_and_kept() -> None:
    after = at("message")
    assert asked(after[1]) == OpenMessage("message", "service")
    after = lead(after, found("next", place="/m/1"))
    assert isinstance(after[1], Record)
    assert (texts(after[1]), after[1].place, after[1].longest, after[1].silence) == (["nach dem Ton"], "/m/1", 120, 5)
    after = lead(after, Recorded(7))
    assert asked(after[1]) == KeepMessage("message", "service", "/m/1", 7)
    assert lead(after, found("next"))[0].trail == (("message", "next"),)


@pytest.mark.parametrize("seconds", [0, UNMEASURED])
def test_a_message_without_a_word_is_not_kept(seconds: int) -> None:
    state, _ = lead(at("message"), found("next", place="/m/1"), Recorded(seconds))
    assert state.trail == (("message", "empty"),)


@pytest.mark.parametrize("values", [{}, {"place": ""}, {"place": 7}])
def test_a_message_without_a_place_is_a_failure(values: dict[str, Value]) -> None:
    assert lead(at("message"), found("next", **values))[0].trail == (("message", "error"),)


def test_who_is_handed_over_while_recording_records_anew() -> None:
    state, _ = lead(at("message"), found("next", place="/m/1"))
    kept = resume(FLOW, checkpoint(FLOW, state), FACTS)
    assert kept is not None
    assert asked(again(FLOW, kept)[1]) == OpenMessage("message", "service")


def test_a_recipient_that_cannot_be_told_is_a_failure_before_and_after_recording() -> None:
    text = (
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: person}\nstart: a\nnodes:\n"
        "  a: {type: message, text: {de: x}, recipient: agent}\n"
    )
    flow = parse(text)
    assert ended(at("a", flow=flow)[1]).error == "a: 'agent' is undefined"
    state, command = lead(at("a", {"values": {"agent": "rosa"}}, flow=flow), found("next", place="/m/1"), flow=flow)
    assert isinstance(command, Record)
    assert state.values["agent"] == "rosa"
