"""Customer number and PIN: what is asked, what is proven by it, and every way it can end."""

from __future__ import annotations

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

from ivr_flows.checkpoint import checkpoint, resume
from ivr_flows.engine import again, start
from ivr_flows.ports import AreWeOpen, IsPinRight, Level, Recognition, WhoHasNumber
from ivr_flows.schema import parse
from ivr_flows.state import Answer, Ask, Done, SetLanguage, Typed

GERMAN = Recognition("certain", "by customer number", "id-2", "Max", "de")
NUMBER: list[Answer] = [Typed("4711"), recognised("known", GERMAN)]
NUMBER_ONLY = parse(
    "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: person}\nstart: a\nnodes:\n"
    "  a: {type: authenticate, text: {de: Nummer}, next: b, invalid: c}\n"
    "  b: {type: route, queue: in}\n  c: {type: route, queue: out}\n"
)


def test_number_and_pin() -> None:
    after = at("number")
    assert isinstance(after[1], Ask)
    assert (texts(after[1]), after[1].most, after[1].stop, after[1].secure) == (["Nummer"], 6, "*", False)
    after = lead(after, Typed("4711"))
    assert asked(after[1]) == WhoHasNumber("4711")
    after = lead(after, recognised("known", GERMAN))
    assert isinstance(after[1], Ask)
    assert (texts(after[1]), after[1].most, after[1].secure) == (["PIN"], 8, True)
    assert (after[0].level, after[0].recognition) == ("number", GERMAN)
    after = lead(after, Typed("1234"))
    assert asked(after[1]) == IsPinRight("id-2", "1234")
    state, command = lead(after, found("right"))
    assert (state.level, state.recognition, asked(command)) == ("pin", GERMAN, AreWeOpen("office"))


def test_the_number_alone_where_no_pin_is_asked() -> None:
    state, command = lead(start(NUMBER_ONLY, FACTS), *NUMBER, flow=NUMBER_ONLY)
    assert (state.level, ended(command).route and ended(command).path) == ("number", ("a", "b"))


@pytest.mark.parametrize(
    ("answers", "branch", "level"),
    [
        ([Typed("*")], "skipped", "none"),
        ([Typed("*123")], "skipped", "none"),
        ([Typed(""), Typed("")], "timeout", "none"),
        ([Typed("12"), Typed("1234567"), Typed("12a4")], "invalid", "none"),
        ([Typed("4711"), recognised("unknown", NONE), Typed("1"), Typed("2")], "invalid", "none"),
        # A number that several customers have, and one without an id, are no customer's.
        ([Typed("4711"), recognised("known", SHARED), Typed("1"), Typed("2")], "invalid", "none"),
        ([Typed("4711"), found("known"), Typed("1"), Typed("2")], "invalid", "none"),
        ([*NUMBER, Typed("*")], "skipped", "number"),
        ([*NUMBER, Typed(""), Typed("")], "timeout", "number"),
        ([*NUMBER, Typed("123"), Typed("123456789"), Typed("12*4")], "invalid", "number"),
        ([*NUMBER, Typed("1234"), found("wrong"), Typed("1235"), found("wrong"), Typed("1")], "invalid", "number"),
        ([*NUMBER, Typed("1234"), found("locked")], "locked", "number"),
        ([*NUMBER, Typed("1234"), found("none")], "no_pin", "number"),
        ([*NUMBER, Typed("1234"), found("rihgt")], "error", "number"),
        ([*NUMBER, Typed("1234"), found("next")], "error", "number"),
        ([*NUMBER, Typed("1234"), found("wrong"), Typed("1235"), found("right")], "next", "pin"),
    ],
)
def test_every_end_and_what_is_proven_by_then(answers: list[Answer], branch: str, level: Level) -> None:
    state, _ = lead(at("number"), *answers)
    assert (state.trail[0], state.level) == (("number", branch), level)


def test_a_wrong_number_and_a_wrong_pin_are_told_in_their_own_words() -> None:
    assert texts(lead(at("number"), Typed("4711"), recognised("unknown", NONE))[1]) == ["falsch", "Nummer"]
    assert texts(lead(at("number"), *NUMBER, Typed("1234"), found("wrong"))[1]) == ["falsche PIN", "PIN"]


def test_tries_begin_anew_with_the_pin() -> None:
    wrong: list[Answer] = [Typed("1"), Typed("2")]
    state, command = lead(at("number"), *wrong, *NUMBER)
    assert (state.tries, texts(command)) == (0, ["PIN"])


def test_a_failed_look_up_keeps_what_was_known_before() -> None:
    state, _ = lead(at("number", {"recognition": WITHHELD}), Typed("4711"), recognised("unknown", NONE))
    assert (state.recognition, state.level) == (WITHHELD, "none")


def test_the_customers_language_is_spoken_from_the_pin_on() -> None:
    after = lead(at("number"), Typed("4711"), recognised("known", KNOWN))
    assert after[1] == SetLanguage("en")
    after = lead(after, Done())
    assert texts(after[1]) == ["your PIN"]
    assert texts(lead(after, Typed("1"))[1]) == ["wrong PIN", "your PIN"]
    # The branch was kept while the language was set; it is not taken again.
    assert lead(after, Typed("1234"), found("right"))[0].trail == (("number", "next"),)


@pytest.mark.parametrize(("level", "says"), [("none", "PIN"), ("number", "PIN"), ("pin", None)])
def test_what_is_proven_already_is_not_asked(level: Level, says: str | None) -> None:
    state, command = at("number", {"recognition": GERMAN, "level": level})
    if says is None:
        assert (state.trail, asked(command)) == ((("number", "next"),), AreWeOpen("office"))
    else:
        assert texts(command) == [says]


def test_who_was_recognised_with_doubt_is_asked_for_the_number() -> None:
    doubtful = Recognition("shared", "two customers", "id-3")
    assert texts(at("number", {"recognition": doubtful})[1]) == ["Nummer"]


def test_the_number_is_not_asked_twice() -> None:
    state, _ = at("a", proven("number"), flow=NUMBER_ONLY)
    assert state.path == ("a", "b")


@pytest.mark.parametrize("answers", [NUMBER, [*NUMBER, Typed("12")], [*NUMBER, Typed("")], [Typed("1")]])
def test_a_caller_who_is_handed_over_hears_the_same_question(answers: list[Answer]) -> None:
    state, command = lead(at("number"), *answers)
    kept = resume(FLOW, checkpoint(FLOW, state), FACTS)
    assert kept is not None
    assert texts(again(FLOW, kept)[1]) == texts(command)


def test_neither_number_nor_pin_is_in_what_may_be_logged() -> None:
    after = at("number")
    for answer in (Typed("4711"), recognised("known", GERMAN), Typed("8642"), found("locked")):
        assert "4711" not in repr(answer)
        assert "8642" not in repr(answer)
        after = lead(after, answer)
        for shown in (repr(after), checkpoint(FLOW, after[0])):
            assert "4711" not in shown
            assert "8642" not in shown
