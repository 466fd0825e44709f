"""Scripted callers: what they do reaches the flow as it would on the telephone, and what came out is told truly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from ivr_flows import scripts
from ivr_flows.pytest_plugin import FlowSimulator
from ivr_flows.random_callers import random_caller
from ivr_flows.runs import Run
from ivr_flows.schema import Flow, FlowError, parse
from ivr_flows.scripts import Script
from ivr_flows.simulator import simulate

FLOW = """
callfloor_flow: 1
name: shop
languages: [de, en]
default: {queue: service, priority: 1}
constants: {house: Linden}
words: {shipped: {de: unterwegs, en: on its way}, other: {de: in Arbeit, en: in hand}}
start: hours
hangup: gone
nodes:
  hours: {type: hours, hours: office, open: hello, closed: shut, holiday: feast, emergency: feast, error: hello}
  shut: {type: say, text: {de: "Wieder am {{ hours.opens_on | date }}", en: Closed}, next: voice}
  feast: {type: hangup, text: {de: Feiertag, en: Holiday}}
  hello: {type: say, text: {de: "Hallo bei {{ house }}", en: "Hello at {{ house }}"}, next: who}
  who: {type: recognise, known: menu, withheld: menu, unknown: language}
  language: {type: language, text: {de: eins, en: two}, choices: {1: de, 2: en}, default: de, next: menu}
  menu:
    type: menu
    text: {de: Bitte wählen, en: Please choose}
    wrong: {de: "Wie bitte?", en: "Sorry?"}
    choices: {1: prove, 2: bank, 3: voice, 4: back, 5: parcel, 0: queue}
    visits: 3
    exhausted: queue
  prove:
    type: authenticate
    text: {de: Nummer, en: Number}
    wrong: {de: Unbekannt, en: Unknown}
    pin_text: {de: Geheimzahl, en: Pin}
    pin_wrong: {de: Falsch, en: Wrong}
    least: 4
    most: 6
    next: order
    locked: queue
    invalid: queue
  order: {type: lookup, what: orders, into: order, next: tell, none: menu, error: sorry}
  tell:
    type: say
    text:
      de: "{{ order.number | digits }} ist {{ order.status | word }}, {{ order.total | amount }}"
      en: "{{ order.number | digits }} is {{ order.status | word }}, {{ order.total | amount }}"
    next: menu
  sorry: {type: say, text: {de: Störung, en: Trouble}, next: queue}
  bank: {type: collect, into: iban, secure: true, form: iban_de, text: {de: IBAN, en: IBAN}, skip: "*", next: sign}
  sign: {type: menu, text: {de: "Richtig?", en: "Right?"}, choices: {1: file, 2: menu}}
  file: {type: request, kind: bank_details, fields: {iban: "{{ iban }}"}, next: filed, refused: prove}
  filed: {type: say, text: {de: "Nummer {{ request_reference | digits }}", en: Filed}, next: queue}
  voice: {type: message, recipient: "'service'", text: {de: Sprechen Sie, en: Speak}, next: bye, empty: bye}
  back: {type: callback, queue: service, next: bye, already: bye, refused: queue}
  parcel: {type: http, url: "https://erp.example.org/p", take: [state], into: parcel, next: bye, timeout: sorry}
  queue: {type: route, queue: service, priority: "9 if caller.level == 'pin' else 3", overflow: again, keys: {1: order}}
  again: {type: transfer, to: switchboard}
  bye: {type: hangup, text: {de: Tschüss, en: Bye}}
  gone: {type: http, url: "https://erp.example.org/gone", into: gone, next: leave, error: leave}
  leave: {type: set, values: {noted: true}, next: gone_end}
  gone_end: {type: hangup}
"""


@pytest.fixture(scope="module")
def flow() -> Flow:
    return parse(FLOW)


def call(flow: Flow, *steps: Any, **world: Any) -> Run:
    return simulate(flow, scripts.script({"steps": list(steps), **world}, flow))


PROVEN = [{"press": 1}, {"type": "1234"}]
KNOWN = {"customer": 204117}
STRANGER = {"customer": 204117, "certainty": "none"}


def queue(priority: int, *more: str) -> str:
    return f"queue service ({', '.join([f'priority {priority}', *more])})"


OUTSIDE = "transfer switchboard (priority 1)"
HUNG_UP = "the flow hung up"
GONE = "the caller hung up"
DOWN, NO_PROMPT = "error: who: the office failed", "error: hello: the prompt cannot be played"
SERVICE: dict[str, Any] = {"press": 0}
FARES: dict[str, tuple[list[Any], dict[str, Any], str, str]] = {
    # Steps, how the world is for a customer who is known by number, where she comes (at least), how it ends.
    "silence throughout": ([], {}, "hours hello who menu", queue(1)),
    "keys": ([SERVICE], {}, "who menu queue", queue(3)),
    "nobody knows her": ([{"press": 1}, SERVICE], {"caller": {}}, "who language menu queue", queue(3)),
    "withheld": ([SERVICE], {"caller": {"withheld": True}}, "who menu queue", queue(3)),
    "shared": (["silence", SERVICE], {"caller": {"certainty": "shared"}}, "language menu queue", queue(3)),
    "gone at once": (["hangup"], {}, "hours hello gone leave gone_end", GONE),
    "gone in a menu": ([{"hangup": "menu"}], {}, "who menu gone", GONE),
    "gone in a look-up": ([{"hangup": "who"}], {}, "who gone", GONE),
    "gone in a queue": ([SERVICE, {"hangup": "queue"}], {}, "menu queue", queue(3)),
    "holiday": ([], {"office": {"hours": "holiday"}}, "hours feast", HUNG_UP),
    "closed": ([{"speak": 12}], {"office": {"hours": "closed"}}, "shut voice bye", HUNG_UP),
    "all down": ([], {"office": {"down": True}}, "hours hello who", queue(1, DOWN)),
    "one question fails": (PROVEN, {"office": {"nodes": {"order": "fails"}}}, "order sorry queue", queue(9)),
    "a prompt is missing": ([], {"office": {"nodes": {"hello": "fails"}}}, "hello", queue(1, NO_PROMPT)),
    "proven": ([*PROVEN, SERVICE], {}, "prove order tell menu queue", queue(9)),
    "locked": (
        [{"press": 1}, *[{"type": 1111}] * 2],
        {"office": {"pin": ["wrong", "locked"]}},
        "prove queue",
        queue(3),
    ),
    "no order": ([*PROVEN, SERVICE], {"office": {"lookups": {"orders": "none"}}}, "order menu queue", queue(9)),
    "nobody answers": ([SERVICE], {"queue": "TIMEOUT"}, "queue again", OUTSIDE),
    "full": ([SERVICE], {"queue": "FULL"}, "queue again", OUTSIDE),
    "called back": ([{"press": 4}], {"office": {"callback": "already"}}, "back bye", HUNG_UP),
    "no number": ([{"press": 4}], {"caller": {"withheld": True}}, "back queue", queue(3)),
    "slow web": ([{"press": 5}], {"office": {"http": "timeout"}}, "parcel sorry queue", queue(3)),
}


@pytest.mark.parametrize("fare", FARES)
def test_where_callers_come(flow: Flow, fare: str) -> None:
    steps, world, came_to, ending = FARES[fare]
    world = {"caller": KNOWN, **world}
    run = call(flow, *steps, **world)
    assert came_to in " ".join(run.path)
    assert (run.ending(), run.fault, run.failures) == (ending, "", ())
    assert run == call(flow, *steps, **world)


def test_only_the_number_and_the_pin_of_the_script_are_right(flow: Flow) -> None:
    steps = [{"press": 1}, "silence", {"press": 1}, {"type": 999999}, {"type": 204117}, {"type": 1111}, {"type": 1234}]
    run = call(flow, *steps, SERVICE, caller={"customer": "204117", "pin": "1234", "certainty": "none"})
    assert [said for said in ("Unbekannt", "Falsch") if said in run.said] == ["Unbekannt", "Falsch"]
    assert (run.outcome.level, run.failures) == ("pin", ())


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        pytest.param([{"ahead": "0"}], "hello who menu queue", id="it cuts the greeting short"),
        pytest.param([{"ahead": "*1204117"}], "who menu prove", id="what is left over counts at the next question"),
        pytest.param([{"press": "12041171234"}, {"press": 0}], "menu prove order tell", id="all in one go"),
        pytest.param([{"press": "1"}, {"type": "2041#"}], "menu prove", id="a hash ends a number"),
        pytest.param([{"press": "2*"}], "menu bank", id="the key that skips ends the input at once"),
    ],
)
def test_keys_are_read_as_on_the_line(flow: Flow, steps: list[Any], path: str) -> None:
    assert path in " ".join(call(flow, *steps, caller=KNOWN).path)


def test_a_hash_that_is_typed_after_a_full_number_is_left_for_the_next_question(flow: Flow) -> None:
    # So it is on the telephone: six digits were read already.
    run = call(flow, {"press": 1}, {"press": 1}, {"type": "204117#"}, {"type": "1234"}, SERVICE, caller=STRANGER)
    assert run.said.count("Geheimzahl") == 2
    assert run.outcome.level == "pin"


def test_what_is_said_has_its_gaps_filled_and_secrets_are_dots(flow: Flow) -> None:
    office = {"lookups": {"orders": {"values": {"number": "77", "total": 1250}}}}
    steps = [{"press": 1}, {"press": 1}, {"type": 204117}, {"type": 1234}, SERVICE]
    run = call(flow, *steps, caller=STRANGER, office=office)
    assert "sieben sieben ist unterwegs zwölf Euro fünfzig" in run.said
    transcript = "\n".join(" ".join(line.split()) for line in run.transcript().splitlines())
    assert "prove < 204117" in transcript
    assert "prove < ••••" in transcript
    assert "1234" not in transcript
    assert transcript.endswith("= queue service (priority 9)")


def test_a_caller_comes_back_from_a_queue_with_what_she_was_told(flow: Flow) -> None:
    run = call(flow, *PROVEN, {"press": 0}, caller=KNOWN, queue=["KEY-1", "TIMEOUT"])
    # Look-ups are asked again after a queue: no checkpoint keeps them.
    assert " ".join(run.path).endswith("menu queue order tell menu")
    assert ("queue", "keys.1") in run.trail
    assert [route.queue for route in run.routes] == ["service", "service"]
    assert run.said.count("Euro") == 2


def test_messages_and_requests_are_kept(flow: Flow) -> None:
    iban = "89370400440532013000"
    run = call(
        flow, {"press": "2"}, {"type": iban}, {"press": 1}, caller=KNOWN, office={"requests": {"bank_details": "next"}}
    )
    assert [(one.kind, dict(one.fields)) for one in run.requests] == [("bank_details", {"iban": f"DE{iban}"})]
    assert iban not in run.transcript()
    run = call(flow, {"press": "3"}, {"speak": 200}, caller=KNOWN)
    assert [one.seconds for one in run.messages] == [120]
    run = call(flow, {"press": "3"}, {"hangup": "voice"}, caller=KNOWN)
    assert [one.seconds for one in run.messages] == [-1]
    assert call(flow, {"press": "3"}, "silence", caller=KNOWN).trail[-1] == ("voice", "empty")


@pytest.mark.parametrize(
    ("steps", "expect", "says"),
    [
        ([{"press": 0}], {"route": "other"}, ["expect.route: route is service, not other"]),
        ([{"press": 0}], {"priority": 4}, ["expect.priority: priority is 3, not 4"]),
        ([{"press": 0}], {"ended": "gone", "level": "pin"}, ["ended is routed, not gone", "level is none, not pin"]),
        ([{"press": 0}], {"transfer": "switchboard"}, ["transfer is none, not switchboard"]),
        ([{"press": 0}], {"language": "en"}, ["language is de, not en"]),
        ([{"press": 0}], {"path": ["queue", "menu"]}, ["expect.path.1: did not come to menu"]),
        ([{"press": 0}], {"said": ["Hallo bei Linden", "Guten Abend"]}, ["expect.said.1: was not said: Guten Abend"]),
        ([{"press": 0}], {"request": {"kind": "return"}}, ["no such request was filed, but: none"]),
        ([{"press": 0}, {"press": 1}, "hangup"], {}, ["steps.1: the call ended before: press 1, hangup"]),
        ([{"speak": 3}, {"press": 0}], {}, ["steps.0: at menu the caller is to speak, but is asked for keys"]),
        ([{"press": 3}, {"press": 1}], {}, ["steps.1: at voice the caller is to press keys, but is asked to speak"]),
    ],
)
def test_what_is_not_as_expected_is_named(flow: Flow, steps: list[Any], expect: Any, says: list[str]) -> None:
    run = call(flow, *steps, caller=KNOWN, expect=expect)
    failures = [f"{'.'.join(failure.path)}: {failure.message}" for failure in run.failures]
    assert len(failures) == len(says)
    assert all(said in failure for said, failure in zip(says, failures, strict=True))


def test_a_queue_that_nobody_came_to_is_named(flow: Flow) -> None:
    (failure,) = call(flow, "hangup", queue="TIMEOUT").failures
    assert failure.message == "the caller came to no queue to come back from, but: TIMEOUT"


def test_a_flow_that_fails_by_itself_is_at_fault() -> None:
    endless = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: q}\nstart: a\n"
        "nodes: {a: {type: set, values: {x: 1}, next: b}, b: {type: set, values: {x: 2}, next: a}}\n"
    )
    assert call(endless).fault == "step limit"
    torn = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: q}\nstart: a\n"
        "nodes: {a: {type: say, text: {de: 'x {{ language | number }}'}}}\n"
    )
    assert "no whole number" in call(torn).fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("callers: {a: {steps: [dance]}}", ["s:1:23: 0: Input should be 'silence' or 'hangup'"]),
        ("callers: {a: {steps: [pres: 1]}}", ["s:1:23: 0: a step is press, type, ahead, speak, silence or hangup"]),
        ("callers: {a: {steps: [press: 1x]}}", ["s:1:23: press: String should match pattern"]),
        ("callers:\n  a:\n    stepps: []", ["s:3:5: unknown key 'stepps'; check its spelling, or remove it"]),
        ("callers: {a: {office: {hours: shut}}}", ["s:1:24: hours: 'shut' is no answer (have: open, closed"]),
        ("callers: {a: {office: {pin: [right, {branch: no}]}}}", ["s:1:24: pin: 'no' is no answer"]),
        ("callers: {a: {office: {nodes: {lost: fails}}}}", ["s:1:32: there is no node 'lost'"]),
        ("callers: {a: {office: {nodes: {menu: open}}}}", ["s:1:32: menu: 'open' is no answer (have: fails)"]),
        ("callers: {a: {office: {nodes: {leave: fails}}}}", ["s:1:32: leave asks nothing and says nothing"]),
        ("callers: {a: {steps: [hangup: leave]}}", ["s:1:23: no node 'leave' where a caller can hang up"]),
        ("callers: {a: {queue: [FULL, GONE]}}", ["s:1:29: 1: String should match pattern"]),
        ("callers: {a: {expect: {path: [menu, ghost]}}}", ["s:1:37: there is no node 'ghost'"]),
        ("callers: {}", ["s:1:1: callers: Dictionary should have at least 1 item"]),
        ("callers: {a: {}, b: {steps: [{press: ''}], cover: 1}}", ["s:1:31: press", "s:1:44: unknown key 'cover'"]),
        ("callers: &a {}", ["s:1:10: anchors (&) and aliases (*) are not allowed"]),
    ],
)
def test_a_file_of_scripts_is_read_strictly(flow: Flow, text: str, says: list[str]) -> None:
    with pytest.raises(FlowError) as wrong:
        scripts.parse(text, flow, "s")
    problems = [str(problem) for problem in wrong.value.problems]
    assert len(problems) == len(says), problems
    assert all(problem.startswith(said) for problem, said in zip(problems, says, strict=True)), problems


def test_two_lines_are_a_script(flow: Flow) -> None:
    found = scripts.parse("callers:\n  anybody: {}\n", flow)
    assert simulate(flow, found.callers["anybody"]).ended == "routed"


def test_whatever_callers_and_office_do_everybody_gets_somewhere(flow: Flow) -> None:
    @settings(max_examples=150, deadline=None)
    @given(random_caller(flow))
    def anybody(script: Script) -> None:
        run = simulate(flow, script)
        assert not run.fault, run.transcript()
        assert run.outcome.route is not None or run.ended in ("gone", "hung_up")

    anybody()


@pytest.fixture
def made(tmp_path: Path, flow_simulator: Callable[[Path], FlowSimulator]) -> FlowSimulator:
    (tmp_path / "shop.yaml").write_text(FLOW)
    return flow_simulator(tmp_path / "shop.yaml")


def test_the_fixture_for_operators(made: FlowSimulator) -> None:
    run = made.caller({"press": 0}, caller=KNOWN, expect={"route": "service"})
    assert run.path[-1] == "queue"
    assert made.coverage.counts["menu", "choices.0"] == 1
    with pytest.raises(AssertionError, match=r"route is service, not x[\s\S]*Bitte wählen"):
        made.caller({"press": 0}, caller=KNOWN, expect={"route": "x"})
    with pytest.raises(FlowError, match="unknown key"):
        made.caller(ofice={})
    assert made.run(Script(steps=["hangup", "hangup"])).failures
    made.path.with_suffix(".scripts.yaml").write_text("callers:\n  a: {steps: [hangup]}\n  b: {}\n")
    assert [run.ended for run in made.all_callers().values()] == ["gone", "routed"]
