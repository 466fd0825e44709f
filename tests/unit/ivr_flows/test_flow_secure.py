"""What is collected secure: where it may be, where it never is, and where its caller resumes."""

from __future__ import annotations

import pytest
from unit.ivr_flows.everything import FACTS, FLOW, IBAN, asked, at, ended, found, lead, proven, texts

from ivr_flows.checkpoint import checkpoint, resume
from ivr_flows.engine import again, come_back, start
from ivr_flows.iban import german_iban
from ivr_flows.ports import FileRequest
from ivr_flows.schema import parse
from ivr_flows.state import Answer, Ask, Failed, Played, Typed

TO_CONFIRM: list[Answer] = [Typed(IBAN), Typed("77")]


@pytest.mark.parametrize(
    ("typed", "iban"),
    [
        (IBAN, f"DE{IBAN}"),
        ("02120300000000202051", "DE02120300000000202051"),
        ("89370400440532013001", None),
        ("98370400440532013000", None),
        (IBAN[:-1], None),
        (IBAN + "0", None),
        ("", None),
        ("8937040044053201300*", None),
        ("٨٩٣٧٠٤٠٠٤٤٠٥٣٢٠١٣٠٠٠", None),
    ],
)
def test_a_german_iban_has_right_check_digits(typed: str, iban: str | None) -> None:
    assert german_iban(typed) == iban


def test_every_single_wrong_digit_and_every_swap_of_neighbours_is_noticed() -> None:
    for place, digit in enumerate(IBAN):
        wrong = [IBAN[:place] + other + IBAN[place + 1 :] for other in "0123456789" if other != digit]
        if IBAN[place : place + 2] not in (digit, digit * 2):
            wrong.append(IBAN[:place] + IBAN[place + 1] + digit + IBAN[place + 2 :])
        assert [typed for typed in wrong if german_iban(typed) is not None] == []


def test_it_is_asked_in_secret_and_kept_in_the_vault_alone() -> None:
    state, command = at("bank")
    assert isinstance(command, Ask)
    assert (command.most, command.stop, command.secure) == (20, "*", True)
    state, command = lead((state, command), Typed(IBAN))
    assert (state.node, state.vault, state.values) == ("code", {"iban": f"DE{IBAN}"}, {})


def test_a_wrong_one_is_asked_again() -> None:
    state, command = lead(at("bank"), Typed("12345678901234567890"))
    assert (texts(command), state.vault) == (["keine IBAN", "IBAN"], {})


def test_it_is_read_back_by_its_end_and_filed_as_a_whole() -> None:
    after = lead(at("bank", proven("pin")), *TO_CONFIRM)
    assert texts(after[1]) == ["Endet sie auf", "drei", "null", "null", "null"]
    after = lead(after, Typed("1"))
    assert asked(after[1]) == FileRequest("bank_details", {"iban": f"DE{IBAN}"})
    state, command = lead(after, found("next", reference="RQ-7", other="ignored"))
    assert (state.vault, state.anchor) == ({}, "")
    assert state.values == {"code": "77", "request_reference": "RQ-7"}
    assert texts(command)[1:] == ["err", "kuh", "Strich", "sieben"]


@pytest.mark.parametrize("answer", [found("refused"), found("no such branch"), Failed("no database")])
def test_what_was_not_filed_has_no_reference(answer: Answer) -> None:
    after = lead(at("bank", proven("pin")), *TO_CONFIRM, Typed("1"))
    assert asked(after[1]) == FileRequest("bank_details", {"iban": f"DE{IBAN}"})
    state, _ = lead(after, answer)
    assert "request_reference" not in state.values


def test_a_filed_request_whose_reference_is_missing_takes_the_error_branch_when_it_is_said() -> None:
    state, _ = lead(at("file", {"vault": {"iban": "DE1"}}), found("next"))
    assert state.trail == (("file", "next"), ("filed", "error"))


def test_the_vault_is_in_nothing_that_leaves_the_engine() -> None:
    after = at("bank", proven("pin"))
    for answer in [*TO_CONFIRM, Typed("1"), found("next", reference="1"), Played()]:
        assert IBAN not in repr(answer)
        after = lead(after, answer)
        for shown in (repr(after), checkpoint(FLOW, after[0]), after[0].error, repr(after[0].trail)):
            assert IBAN not in shown
            assert "0532013000" not in shown


@pytest.mark.parametrize(
    "expression",
    ["iban.x | digits", "(house[iban] ~ '') | digits", "('x' ~ iban) | number", "iban | date", "iban | amount(iban)"],
)
def test_no_failure_quotes_it(expression: str) -> None:
    flow = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: person}\nconstants: {house: x}\nstart: a\n"
        "nodes:\n  a: {type: collect, text: {de: x}, into: iban, secure: true, form: iban_de, next: b}\n"
        f'  b: {{type: say, text: {{de: "{{{{ {expression} }}}}"}}}}\n'
    )
    outcome = ended(lead(start(flow, FACTS), Typed(IBAN), flow=flow)[1])
    assert outcome.error.startswith("b: ")
    assert IBAN not in repr(outcome)


def test_who_is_handed_over_begins_again_at_the_first_secure_question() -> None:
    flow = parse(
        """
callfloor_flow: 1
name: t
languages: [de]
default: {queue: person}
start: a
nodes:
  a: {type: collect, text: {de: Code}, into: code, next: b}
  b: {type: collect, text: {de: erste}, into: first, secure: true, next: c}
  c: {type: collect, text: {de: zweite}, into: second, secure: true, next: d}
  d: {type: menu, text: {de: gut}, choices: {1: a}}
"""
    )
    after = lead(start(flow, FACTS), Typed("1"), flow=flow)
    for answer, question in [(None, "erste"), (Typed("222"), "zweite"), (Typed("333"), "gut")]:
        after = lead(after, answer, flow=flow) if answer is not None else after
        assert texts(after[1]) == [question]
        # A wrong answer here is none there.
        state, _ = lead(after, Typed("*"), flow=flow)
        kept = resume(flow, checkpoint(flow, state), FACTS)
        assert kept is not None
        assert (texts(again(flow, kept)[1])[-1], kept.values, kept.vault) == ("erste", {"code": "1"}, {})
        assert (kept.tries, kept.wrong) == ((state.tries, True) if question == "erste" else (0, False))


def test_it_does_not_wait_in_a_queue() -> None:
    state, _ = lead(at("bank"), *TO_CONFIRM, Typed("#"), Typed("#"), Typed("#"))
    assert (state.node, state.vault) == ("queue", {})
    kept = resume(FLOW, checkpoint(FLOW, state), FACTS)
    assert kept is not None
    assert come_back(FLOW, kept, "FULL")[0].trail == (("queue", "full"),)
