"""Scenarios are well-formed whatever a caller is called, and nothing she is called becomes a header."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.pbx.errors import CallError
from telephony.pbx.scenarios import CallerScript, Keys, PhoneScript, caller, phone


def _messages(scenario: str) -> list[str]:
    return [(element.text or "").strip() for element in ElementTree.fromstring(scenario).iter("send")]


def _headers(message: str) -> dict[str, str]:
    head = message.partition("\n\n")[0].splitlines()[1:]
    return {line.partition(": ")[0]: line.partition(": ")[2] for line in head}


def test_an_invite_carries_the_caller_and_the_trunk_mark() -> None:
    script = CallerScript("+4930230000", "+493023125001", "Anna", headers=("X-Callfloor-Trunk: yes",))
    headers = _headers(_messages(caller(script, "info"))[0])
    assert headers["From"].startswith('"Anna" <sip:+493023125001@')
    assert headers["To"] == "<sip:+4930230000@[remote_ip]:[remote_port]>"
    assert headers["X-Callfloor-Trunk"] == "yes"
    assert "Privacy" not in headers


def test_a_withheld_number_is_told_to_the_network_only() -> None:
    headers = _headers(_messages(caller(CallerScript("1", "+493023125001", "Anna", withheld="privacy"), "info"))[0])
    assert "493023125001" not in headers["From"]
    assert "Anna" not in headers["From"]
    assert headers["P-Asserted-Identity"] == "<sip:+493023125001@[local_ip]>"
    assert headers["Privacy"] == "id"
    assert "493023125001" not in caller(CallerScript("1", "+493023125001", withheld="anonymous"), "info")


def test_keys_by_info_are_counted_in_the_sequence() -> None:
    messages = _messages(caller(CallerScript("1", "2", keys=(Keys(1, "19"), Keys(1, "#"))), "info"))
    in_dialog = [_headers(message)["CSeq"] for message in messages if message.startswith(("INFO", "BYE"))]
    assert in_dialog == ["2 INFO", "3 INFO", "4 INFO", "5 BYE"]
    assert [re.findall(r"Signal=(.)", message) for message in messages if message.startswith("INFO")] == [
        ["1"], ["9"], ["#"]
    ]  # fmt: skip


def test_keys_by_rtp_are_played() -> None:
    tree = ElementTree.fromstring(caller(CallerScript("1", "2", keys=(Keys(1, "19#"),)), "rtp"))
    assert [element.attrib["play_dtmf"] for element in tree.iter("exec")] == ["19#"]


@given(st.text(max_size=30))
def test_no_name_breaks_the_message(name: str) -> None:
    plain = _headers(_messages(caller(CallerScript("1", "2"), "info"))[0])
    try:
        scenario = caller(CallerScript("1", "2", name), "info")
    except CallError:
        assert not name.isprintable() or "[" in name or "]" in name
        return
    headers = _headers(_messages(scenario)[0])
    assert set(headers) == set(plain)
    shown = re.match(r'"((?:[^"\\]|\\.)*)" <sip:2@', headers["From"])
    assert (re.sub(r"\\(.)", r"\1", shown[1]) if shown else "") == name


@pytest.mark.parametrize(
    "script",
    [
        CallerScript("1 2", "3"),
        CallerScript("1", "3\r\nX: y"),
        CallerScript("1", "[pid]"),
        CallerScript("1", "2", headers=("X: [pid]",)),
        CallerScript("1", "2", headers=("X: a\r\nY: b",)),
        CallerScript("1", "2", keys=(Keys(0, "12x"),)),
    ],
)
def test_hostile_values_are_refused(script: CallerScript) -> None:
    with pytest.raises(CallError):
        caller(script, "info")


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        (PhoneScript(), ["180", "200"]),
        (PhoneScript(reject=486), ["486"]),
        (PhoneScript(answer_after=None), ["180", "200"]),
        (PhoneScript(talk=1, transfer_to="q-sales"), ["180", "200"]),
    ],
)
def test_what_a_phone_answers_first(script: PhoneScript, answers: list[str]) -> None:
    said = [message.split()[1] for message in _messages(phone(script)) if message.startswith("SIP/2.0")]
    assert said[: len(answers)] == answers


def test_a_phone_that_lets_it_ring_waits_for_the_cancel_without_limit() -> None:
    for patience, limited in ((None, False), (0.5, True)):
        tree = ElementTree.fromstring(phone(PhoneScript(answer_after=patience)))
        cancel = next(element for element in tree.iter("recv") if element.get("request") == "CANCEL")
        assert ("timeout" in cancel.attrib) is limited


def test_a_phone_cannot_refuse_with_an_unknown_status() -> None:
    with pytest.raises(CallError, match="200"):
        phone(PhoneScript(reject=200))
