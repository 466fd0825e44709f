"""A caller who hangs up: what is still done without one, and nothing else."""

from __future__ import annotations

import pytest
from unit.ivr_flows.everything import FLOW, KNOWN, NONE, asked, at, ended, found, lead, recognised

from ivr_flows.engine import hang_up
from ivr_flows.ports import UNMEASURED, CallHttp, KeepMessage, LookUp
from ivr_flows.schema import parse
from ivr_flows.state import Answer, Consult, Done, Failed, Finish, Played, SetLanguage, Typed

HEAD = "callfloor_flow: 1\nname: t\nlanguages: [de, en]\ndefault: {queue: person}\nstart: a\n"


def test_the_nodes_own_branch_goes_before_the_flows() -> None:
    state, command = hang_up(FLOW, at("main")[0])
    assert (state.trail, asked(command)) == ((("main", "hangup"),), LookUp("queue", {"queue": "service"}))
    state, command = hang_up(FLOW, at("hello")[0])
    assert state.trail == (("hello", "hangup"),)
    assert isinstance(asked(command), CallHttp)
    state, command = lead((state, command), found("next"), found("next"))
    outcome = ended(command)
    assert (outcome.route, outcome.ended, outcome.path) == (None, "gone", ("hello", "gone", "gone_too"))


def test_without_a_branch_it_is_the_end() -> None:
    flow = parse(HEAD + "nodes:\n  a: {type: say, text: {de: x}}\n")
    outcome = ended(hang_up(flow, at("a", flow=flow)[0])[1])
    assert (outcome.route, outcome.ended, outcome.trail) == (None, "gone", (("a", "hangup"),))


def test_a_second_hang_up_is_the_end() -> None:
    state, _ = hang_up(FLOW, at("main")[0])
    assert ended(hang_up(FLOW, state)[1]).ended == "gone"


@pytest.mark.parametrize(
    "answer", [found("none"), found("no such branch"), Failed("no CRM"), Played(), Typed("1"), Done()]
)
def test_whatever_the_office_says_then_nobody_is_routed(answer: Answer) -> None:
    outcome = ended(lead(hang_up(FLOW, at("main")[0]), answer)[1])
    assert (outcome.route, outcome.ended) == (None, "gone")


@pytest.mark.parametrize(
    "node",
    [
        "b: {type: say, text: {de: x}, next: c}",
        "b: {type: language, text: {de: x}, choices: {1: de}, default: de, next: c}",
        "b: {type: menu, text: {de: x}, choices: {1: c}}",
        "b: {type: collect, text: {de: x}, into: v, next: c}",
        "b: {type: authenticate, text: {de: x}, next: c}",
        "b: {type: message, text: {de: x}, recipient: \"'q'\", next: c}",
        "b: {type: message, text: {de: x}, recipient: \"'q'\", hangup: b}",
        "b: {type: route, queue: q}",
        "b: {type: route, queue: q, overflow: c}",
        "b: {type: transfer, to: t}",
        "b: {type: hangup}",
        "b: {type: hangup, text: {de: x}}",
    ],
)
def test_a_node_that_needs_a_caller_is_the_end_then(node: str) -> None:
    flow = parse(
        HEAD
        + "nodes:\n  a: {type: menu, text: {de: x}, choices: {1: c}, hangup: b}\n"
        + f"  {node}\n  c: {{type: hours, hours: x}}\n"
    )
    outcome = ended(hang_up(flow, at("a", {"typed": "1"}, flow=flow)[0])[1])
    assert (outcome.route, outcome.ended) == (None, "gone")


def test_a_key_that_was_in_hand_does_not_pass_an_announcement_then() -> None:
    flow = parse(HEAD + "nodes:\n  a: {type: hours, hours: x, hangup: b}\n  b: {type: say, text: {de: x}, next: a}\n")
    assert ended(hang_up(flow, at("a", {"typed": "1"}, flow=flow)[0])[1]).path == ("a", "b")


def test_nobody_is_spoken_to_in_her_language_then() -> None:
    flow = parse(
        HEAD + "hangup: who\nnodes:\n  a: {type: say, text: {de: x}}\n  who: {type: recognise, known: look}\n"
        "  look: {type: lookup, what: orders, into: o}\n"
    )
    after = hang_up(flow, at("a", flow=flow)[0])
    after = lead(after, recognised("known", KNOWN), flow=flow)
    assert asked(after[1]) == LookUp("orders", {})
    assert after[0].language == "de"


def test_a_language_that_was_being_set_is_forgotten() -> None:
    state, command = lead(at("who"), recognised("known", KNOWN))
    assert command == SetLanguage("en")
    state, command = hang_up(FLOW, state)
    assert (state.pending, state.trail) == (None, (("who", "hangup"),))
    assert isinstance(command, Consult)


def test_a_message_that_is_being_recorded_is_kept() -> None:
    state, command = hang_up(FLOW, lead(at("message"), found("next", place="/m/1"))[0])
    assert asked(command) == KeepMessage("message", "service", "/m/1", UNMEASURED)
    state, command = lead((state, command), found("next"))
    assert (state.trail, asked(command)) == ((("message", "hangup"),), LookUp("queue", {"queue": "service"}))


def test_a_message_that_could_not_be_kept_is_the_end() -> None:
    after = hang_up(FLOW, lead(at("message"), found("next", place="/m/1"))[0])
    outcome = ended(lead(after, Failed("disk full"))[1])
    assert (outcome.ended, outcome.error) == ("gone", "message: disk full")


@pytest.mark.parametrize("answers", [[], [found("refused")]], ids=["before it was opened", "after it was refused"])
def test_before_recording_there_is_nothing_to_keep(answers: list[Answer]) -> None:
    _, command = hang_up(FLOW, lead(at("message"), *answers)[0])
    assert isinstance(command, Finish | Consult)
    assert not (isinstance(command, Consult) and isinstance(command.question, KeepMessage))


def test_what_was_to_be_asked_again_is_not_asked_for_the_gone() -> None:
    state, _ = lead(at("who"), recognised("unknown", NONE))
    state, command = hang_up(FLOW, state)
    assert (state.redo, isinstance(command, Consult)) == ((), True)
