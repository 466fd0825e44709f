"""Moving from node to node: who gets where, what is said, and that every way ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.ivr_flows.everything import (
    FACTS,
    FLOW,
    KNOWN,
    NONE,
    SHARED,
    WITHHELD,
    asked,
    at,
    ended,
    found,
    lead,
    proven,
    recognised,
    texts,
)

from ivr_flows.engine import come_back, start, step
from ivr_flows.ports import AreWeOpen, Recognition, Route, WhoCalls
from ivr_flows.schema import parse
from ivr_flows.state import Answer, Ask, Consulted, Done, Failed, Played, Recorded, SetLanguage, State, Typed

HEAD = """\
callfloor_flow: 1
name: t
languages: [de]
default: {queue: person, priority: 2}
step_limit: 150
start: a
nodes:
"""


def test_a_known_customer_goes_on_in_her_language() -> None:
    after = lead(start(FLOW, FACTS), Played())
    assert asked(after[1]) == WhoCalls()
    after = lead(after, recognised("known", KNOWN))
    assert after[1] == SetLanguage("en")
    after = lead(after, Done())
    assert asked(after[1]) == AreWeOpen("office")
    state, command = lead(after, found("open"))
    assert (texts(command), state.language) == (["menu"], "en")
    outcome = ended(lead((state, command), Typed("*"))[1])
    assert (outcome.route, outcome.ended) == (Route("person", 0, "de"), "routed")
    assert outcome.path == ("hello", "who", "open", "main", "last")
    assert outcome.trail == (("hello", "next"), ("who", "known"), ("open", "open"), ("main", "choices.*"))
    # A number alone proves nothing.
    assert (outcome.recognition, outcome.level) == (KNOWN, "none")


@pytest.mark.parametrize(
    ("answer", "node"),
    [
        (recognised("unknown", NONE), "speak"),
        (recognised("shared", SHARED), "speak"),
        (recognised("withheld", WITHHELD), "number"),
        # An answer that contradicts itself makes nobody known.
        (recognised("known", SHARED), "speak"),
        (recognised("known", Recognition("likely", "no id")), "speak"),
        (recognised("no such branch", KNOWN), "speak"),
        (found("known"), "speak"),
    ],
)
def test_who_is_not_known_is_asked(answer: Consulted, node: str) -> None:
    assert lead(at("who"), answer)[0].node == node


def test_a_caller_id_does_not_put_another_customer_in_the_place_of_the_proven_one() -> None:
    state, command = at("who", proven("pin"))
    assert asked(command) == AreWeOpen("office")
    assert (state.recognition, state.level) == (KNOWN, "pin")


def test_the_language_is_asked_in_each_language() -> None:
    _, command = at("speak")
    assert isinstance(command, Ask)
    assert [(phrase.language, phrase.text) for phrase in command.phrases] == [("de", "eins"), ("en", "two")]
    assert lead(at("speak"), Typed("2"))[1] == SetLanguage("en")
    assert lead(at("speak"), Typed("7"))[0].node == "number"


def test_a_wrong_key_is_told_and_a_silence_is_not_blamed() -> None:
    assert texts(lead(at("main"), Typed("#"))[1]) == ["wie bitte", "Menü"]
    assert texts(lead(at("main"), Typed(""))[1]) == ["Menü"]
    assert texts(lead(at("main"), Typed("#"), Typed(""))[1]) == ["Menü"]


def test_silences_and_wrong_keys_are_counted_apart() -> None:
    assert lead(at("number"), Typed("1"), Typed(""), Typed("1"))[0].node == "number"
    assert lead(at("number"), Typed("1"), Typed(""), Typed("1"), Typed(""))[0].trail == (("number", "timeout"),)


def test_a_key_during_an_announcement_is_the_first_of_the_next_question() -> None:
    state, command = lead(at("hello"), Played("4"), recognised("withheld", WITHHELD))
    assert isinstance(command, Ask)
    assert (command.typed, state.typed) == ("4", "")
    assert "typed" not in repr(command)


def test_a_key_in_hand_skips_announcements_that_may_be_interrupted() -> None:
    text = HEAD + (
        "  a: {type: say, text: {de: x}, next: b}\n  b: {type: say, text: {de: y}, next: c}\n"
        "  c: {type: say, text: {de: z}, interrupt: false, next: m}\n"
        "  m: {type: menu, text: {de: w}, choices: {1: a}}\n"
    )
    flow = parse(text)
    after = lead(start(flow, FACTS), Played("1"), flow=flow)
    assert texts(after[1]) == ["z"]
    # What must be heard is heard to its end, and a key from before it answers nothing after it.
    _, command = lead(after, Played("1"), flow=flow)
    assert isinstance(command, Ask)
    assert (texts(command), command.typed) == (["w"], "")


@pytest.mark.parametrize(
    ("nodes", "answers"),
    [
        ("  a: {type: set, values: {v: 1}, next: b}\n  b: {type: set, values: {v: 2}, next: a}\n", []),
        ("  a: {type: condition, when: nothing, error: a}\n", []),
        ("  a: {type: say, text: {de: '{{ x | digits }}'}, error: a}\n", []),
        ("  a: {type: http, url: 'https://x/{{ x }}', into: y, error: a}\n", []),
        ("  a: {type: say, text: {de: x}, next: a}\n", [Played("1")]),
        ("  a: {type: set, values: {v: 1}, next: a, visits: 1, exhausted: a}\n", []),
    ],
    ids=["calculating", "failing inside", "failing at a prompt", "failing look-up", "a key held down", "worn out"],
)
def test_what_would_not_end_is_ended_by_the_step_limit(nodes: str, answers: list[Answer]) -> None:
    flow = parse(HEAD + nodes)
    outcome = ended(lead(start(flow, FACTS), *answers, flow=flow)[1])
    assert (outcome.route, outcome.ended, outcome.error) == (Route("person", 2, "de"), "limit", "step limit")
    assert len(outcome.path) == 150


def test_visits_are_counted_for_the_whole_call() -> None:
    after = at("main")
    for _ in range(3):
        assert texts(after[1]) == ["Menü"]
        after = lead(after, Typed("1"), found("none"), Played())
    outcome = ended(after[1])
    assert (outcome.route is not None and outcome.route.queue, outcome.path.count("main")) == ("service", 4)
    assert outcome.trail[-1] == ("main", "exhausted")


@pytest.mark.parametrize(
    ("node", "answer"),
    [
        ("hello", Typed("1")),
        ("hello", Done()),
        ("hello", Recorded(3)),
        ("main", Played()),
        ("who", Played()),
        ("message", Recorded(3)),
        ("queue", Done()),
    ],
)
def test_an_answer_that_does_not_fit_is_a_failure_of_the_node(node: str, answer: Answer) -> None:
    state, _ = step(FLOW, at(node)[0], answer)
    assert state.trail == ((node, "error"),)


def test_what_is_left_out_is_a_person() -> None:
    flow = parse(HEAD + "  a: {type: menu, text: {de: x}, choices: {1: a}}\n")
    outcome = ended(lead(start(flow, FACTS), Typed(""), Typed(""), flow=flow)[1])
    assert (outcome.route, outcome.ended) == (Route("person", 2, "de"), "routed")
    outcome = ended(lead(start(flow, FACTS), Failed("no sound"), flow=flow)[1])
    assert (outcome.route, outcome.ended, outcome.error) == (Route("person", 2, "de"), "error", "a: no sound")


def test_a_state_that_fits_no_node_is_a_person() -> None:
    nowhere = replace(State(facts=FACTS, language="de"), node="no such node")
    assert ended(step(FLOW, nowhere, Played())[1]).route == Route("person", 2, "de")
    assert ended(come_back(FLOW, nowhere, "FULL")[1]).ended == "error"
    assert ended(come_back(FLOW, at("last")[0], "FULL")[1]).ended == "error"


def test_a_farewell_is_said_before_the_end() -> None:
    after = at("bye")
    assert texts(after[1]) == ["tschüss"]
    outcome = ended(lead(after, Played())[1])
    assert (outcome.route, outcome.ended) == (None, "hung_up")
