from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ivr_flows.checkpoint import MAX_CHARACTERS, checkpoint, resume
from ivr_flows.engine import (
    Answer,
    Ask,
    Command,
    Done,
    Failed,
    Finish,
    LookUpCustomerNumber,
    Outcome,
    Play,
    Played,
    Recognise,
    Recognised,
    SetLanguage,
    State,
    Typed,
    start,
    step,
)
from ivr_flows.ports import CallFacts, Recognition, Route
from ivr_flows.schema import Flow, parse

FACTS = CallFacts("pbx1-1.1", "+49301234567", "Erika", "allowed", "030123", "de")
KNOWN = Recognition("certain", "number of one customer", "0b51cf1a-8f3c-4b30-a4c5-90a2f0f3c001", "Erika", "en")
NONE = Recognition("none", "no customer has this number")
SHARED = Recognition("shared", "two customers")
WITHHELD = Recognition("withheld", "number not shown")

FLOW = parse(
    """
callfloor_flow: 1
name: everything
languages: [de, en]
default: {queue: person, priority: 2}
constants: {house: Linden}
step_limit: 40
start: hello
nodes:
  hello: {type: say, text: {de: "Hallo {{ house }}", en: Hello}, next: who}
  who: {type: recognise, known: menu, shared: speak, unknown: ask}
  speak:
    type: language
    text: {de: eins, en: two}
    choices: {1: de, 2: en}
    default: de
    next: ask
  ask:
    type: collect
    text: {de: Nummer, en: number}
    wrong: {de: falsch, en: wrong}
    least: 3
    most: 6
    next: note
    invalid: tell
    timeout: menu
  note: {type: set, values: {vip: "{{ 'yes' if caller.proven else 'no' }}"}, next: fork}
  fork: {type: condition, when: vip == 'yes', then: fast, otherwise: menu}
  tell: {type: say, text: {de: schade, en: pity}, digits: "'12'", interrupt: false, next: menu}
  menu:
    type: menu
    text: {de: Menü, en: menu}
    choices: {1: hello, 2: fast, 3: bye, 4: broken}
    tries: 2
    visits: 3
    exhausted: slow
    invalid: slow
  broken: {type: condition, when: nothing, error: slow}
  fast: {type: route, queue: sales, priority: 10 if caller.proven else 1}
  slow: {type: route, queue: service, language: de}
  bye: {type: hangup, text: {de: tschüss, en: bye}}
""",
    "everything.yaml",
)


def lead(flow: Flow, *answers: Answer) -> tuple[State, Command]:
    state, command = start(flow, FACTS)
    for answer in answers:
        assert not isinstance(command, Finish), f"the flow ended before {answer}"
        state, command = step(flow, state, answer)
    return state, command


def outcome(*answers: Answer, flow: Flow = FLOW) -> Outcome:
    _, command = lead(flow, *answers)
    assert isinstance(command, Finish), command
    return command.outcome


def texts(command: Command) -> list[str]:
    assert isinstance(command, Play | Ask)
    return [phrase.text for phrase in command.phrases]


def test_a_known_customer_goes_on_in_her_language() -> None:
    _, command = lead(FLOW, Played(), Recognised(KNOWN))
    assert command == SetLanguage("en")
    state, command = lead(FLOW, Played(), Recognised(KNOWN), Done())
    assert (texts(command), state.language) == (["menu"], "en")
    ended = outcome(Played(), Recognised(KNOWN), Done(), Typed("2"))
    assert ended == Outcome(Route("sales", 1, "en"), ("hello", "who", "menu", "fast"), "en", KNOWN, "routed")


@pytest.mark.parametrize(
    ("recognition", "node"),
    [(NONE, "ask"), (SHARED, "speak"), (WITHHELD, "ask"), (Recognition("likely", "x", "", ""), "ask")],
)
def test_who_is_not_known_is_asked(recognition: Recognition, node: str) -> None:
    state, _ = lead(FLOW, Played(), Recognised(recognition))
    assert state.node == node


def test_the_language_is_asked_in_each_language() -> None:
    _, command = lead(FLOW, Played(), Recognised(SHARED))
    assert isinstance(command, Ask)
    assert [(phrase.language, phrase.text) for phrase in command.phrases] == [("de", "eins"), ("en", "two")]
    assert lead(FLOW, Played(), Recognised(SHARED), Typed("2"))[1] == SetLanguage("en")
    assert lead(FLOW, Played(), Recognised(SHARED), Typed(""))[0].node == "ask"


def test_a_customer_number_that_is_right_proves_the_caller() -> None:
    _, command = lead(FLOW, Played(), Recognised(WITHHELD), Typed("1234"))
    assert command == LookUpCustomerNumber("1234")
    ended = outcome(Played(), Recognised(WITHHELD), Typed("1234"), Recognised(KNOWN))
    assert (ended.route, ended.recognition, ended.path[-3:]) == (
        Route("sales", 10, "de"),
        KNOWN,
        ("note", "fork", "fast"),
    )


def test_three_wrong_numbers_then_on() -> None:
    wrong: list[Answer] = [Typed("1234"), Recognised(NONE)]
    _, command = lead(FLOW, Played(), Recognised(NONE), *wrong)
    assert texts(command) == ["falsch", "Nummer"]
    _, command = lead(FLOW, Played(), Recognised(NONE), *wrong, Typed("12"), Typed("12*4"))
    assert texts(command) == ["schade", "eins", "zwo"]


def test_a_failed_look_up_keeps_what_was_known_before() -> None:
    state, _ = lead(FLOW, Played(), Recognised(SHARED), Typed("1"), Typed("1234"), Recognised(NONE))
    assert state.recognition == SHARED
    assert not state.proven


def test_silence_is_not_blamed_and_ends_sooner() -> None:
    state, command = lead(FLOW, Played(), Recognised(NONE), Typed(""))
    assert texts(command) == ["Nummer"]
    state, _ = lead(FLOW, Played(), Recognised(NONE), Typed(""), Typed(""))
    assert state.node == "menu"


def test_a_star_skips_at_once() -> None:
    state, _ = lead(FLOW, Played(), Recognised(NONE), Typed("*"))
    assert state.node == "menu"


def test_a_key_during_a_greeting_is_the_first_of_the_next_question() -> None:
    state, _ = lead(FLOW, Played("5"), Recognised(NONE))
    _, command = lead(FLOW, Played("5"), Recognised(NONE))
    assert isinstance(command, Ask)
    assert (command.typed, state.typed) == ("5", "")


def test_a_limit_on_visits_ends_a_loop() -> None:
    round_trip: list[Answer] = [Typed("1"), Played(), Recognised(NONE), Typed("*")]
    ended = outcome(Played(), Recognised(NONE), Typed("*"), *round_trip, *round_trip, *round_trip)
    assert (ended.route, ended.path.count("menu")) == (Route("service", 0, "de"), 4)


def test_the_step_limit_ends_everything() -> None:
    flow = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: person}\nstep_limit: 7\nstart: a\n"
        "nodes:\n  a: {type: set, values: {v: 1}, next: b}\n  b: {type: set, values: {v: 2}, next: a}\n"
    )
    ended = outcome(flow=flow)
    assert (ended.route, ended.ended, len(ended.path)) == (Route("person", 0, "de"), "limit", 7)


def test_a_loop_of_failures_stays_within_the_step_limit() -> None:
    flow = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: person}\nstep_limit: 150\nstart: a\n"
        "nodes:\n  a: {type: say, text: {de: x}, digits: nothing, error: a}\n"
    )
    assert outcome(flow=flow).ended == "limit"


def test_failures_take_the_error_branch_or_go_to_a_person() -> None:
    ended = outcome(Failed("no sound"))
    assert (ended.route, ended.ended, ended.error) == (Route("person", 2, "de"), "error", "hello: no sound")
    ended = outcome(Played(), Recognised(NONE), Typed("*"), Typed("4"))
    assert (ended.route, ended.ended) == (Route("service", 0, "de"), "routed")
    assert ended.error.startswith("broken: ")


def test_an_answer_that_does_not_fit_is_a_failure() -> None:
    assert outcome(Typed("1")).ended == "error"
    assert outcome(Played(), Done()).ended == "error"


def test_hanging_up_says_goodbye_first() -> None:
    _, command = lead(FLOW, Played(), Recognised(NONE), Typed("*"), Typed("3"))
    assert texts(command) == ["tschüss"]
    ended = outcome(Played(), Recognised(NONE), Typed("*"), Typed("3"), Played())
    assert (ended.route, ended.ended) == (None, "hung_up")


RECOGNITIONS = st.sampled_from([KNOWN, NONE, SHARED, WITHHELD])
KEYS = st.text("0123456789*#", max_size=8)
RANDOM_CALLER = st.lists(st.tuples(RECOGNITIONS, KEYS, st.booleans()), max_size=150)


def fitting(command: Command, recognition: Recognition, keys: str, fails: bool) -> Answer:
    if fails:
        return Failed("chance")
    if isinstance(command, Play):
        return Played(keys[:1])
    if isinstance(command, Ask):
        return Typed(keys)
    if isinstance(command, Recognise | LookUpCustomerNumber):
        return Recognised(recognition)
    return Done()


@given(RANDOM_CALLER)
@settings(max_examples=150)
@example([(NONE, "1", False)] * 150)
@example([(KNOWN, "", False)] * 150)
def test_a_random_caller_finds_no_dead_end(caller: list[tuple[Recognition, str, bool]]) -> None:
    state, command = start(FLOW, FACTS)
    for answers in caller:
        if isinstance(command, Finish):
            break
        state, command = step(FLOW, state, fitting(command, *answers))
        assert len(state.path) <= FLOW.document.step_limit
    # From wherever the caller fell silent, silence alone leads to an end.
    budget = FLOW.document.step_limit * 8
    while not isinstance(command, Finish):
        state, command = step(FLOW, state, fitting(command, NONE, "", False))
        budget -= 1
        assert budget > 0
    assert command.outcome.route is not None or command.outcome.ended == "hung_up"


@given(RANDOM_CALLER, st.integers(0, 40))
@settings(max_examples=150)
def test_a_caller_who_is_handed_over_goes_on_where_she_was(
    caller: list[tuple[Recognition, str, bool]], where: int
) -> None:
    state, command = start(FLOW, FACTS)
    for index, answers in enumerate(caller):
        if isinstance(command, Finish) or (index >= where and isinstance(command, Play | Ask)):
            break
        state, command = step(FLOW, state, fitting(command, *answers))
    if not isinstance(command, Play | Ask):
        return
    text = checkpoint(FLOW, state)
    assert 0 < len(text) <= MAX_CHARACTERS
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=.-")
    again = resume(FLOW, text, FACTS)
    assert again is not None
    assert type(again[1]) is type(command)
    assert texts(again[1]) == texts(command)
    both = [(state, command), again]
    for _ in range(40):
        both = [
            pair if isinstance(pair[1], Finish) else step(FLOW, pair[0], fitting(pair[1], KNOWN, "1", False))
            for pair in both
        ]
    (_, first), (_, second) = both
    assert isinstance(first, Finish)
    assert isinstance(second, Finish)
    assert first.outcome.route == second.outcome.route
    assert first.outcome.path == second.outcome.path
