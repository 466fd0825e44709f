from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ivr_flows.checkpoint import MAX_CHARACTERS, checkpoint, resume
from ivr_flows.engine import State, start
from ivr_flows.ports import CallFacts, Recognition
from ivr_flows.schema import parse

TEXT = """
callfloor_flow: 1
name: t
languages: [de, en]
default: {queue: service}
start: a
nodes:
  a: {type: menu, text: {de: x, en: y}, choices: {1: b}}
  b: {type: route, queue: service}
"""
FLOW = parse(TEXT)
FACTS = CallFacts("pbx1-1.1", "+49301234567", "Erika Muster", "allowed", "030", "de")
WHO = Recognition("certain", "number", "0b51cf1a-8f3c-4b30-a4c5-90a2f0f3c001", "Erika Muster", "de")
STATE = replace(start(FLOW, FACTS)[0], recognition=WHO, language="en", tries=2, values={"v": "x", "n": 1, "b": True})


def seal(data: bytes) -> str:
    body = base64.urlsafe_b64encode(data).decode()
    return f"1.{body}.{hashlib.sha256(f'1.{body}'.encode()).hexdigest()[:16]}"


def test_there_and_back() -> None:
    found = resume(FLOW, checkpoint(FLOW, STATE), FACTS)
    assert found is not None
    # The name is looked up again by those who need it.
    assert found[0] == replace(STATE, recognition=replace(WHO, name=""))


def test_it_holds_neither_number_nor_name() -> None:
    body = checkpoint(FLOW, STATE).split(".")[1]
    plain = zlib.decompress(base64.urlsafe_b64decode(body)).decode()
    assert "Erika" not in plain
    assert "301234567" not in plain


def test_a_path_too_long_is_shortened_and_the_rest_kept() -> None:
    values = {f"v{index}": hashlib.sha256(str(index).encode()).hexdigest() for index in range(9)}
    state = replace(STATE, path=("a", "b", "a", "a", "b") * 30, values=values)
    text = checkpoint(FLOW, state)
    assert 0 < len(text) <= MAX_CHARACTERS
    found = resume(FLOW, text, FACTS)
    assert found is not None
    assert found[0].values == values


def test_what_cannot_fit_is_a_fresh_start() -> None:
    values = {f"v{index}": hashlib.sha256(str(index).encode()).hexdigest() for index in range(30)}
    assert checkpoint(FLOW, replace(STATE, values=values)) == ""
    assert checkpoint(FLOW, State(facts=FACTS, language="de")) == ""


def test_another_flow_does_not_take_it() -> None:
    other = parse(TEXT.replace("de: x", "de: z"))
    assert resume(other, checkpoint(FLOW, STATE), FACTS) is None


def test_bad_ones_are_a_fresh_start() -> None:
    good = {"flow": FLOW.fingerprint, "node": 0, "language": "de"}
    bad: list[object] = [
        {**good, "node": 2},
        {**good, "path": [0, 7]},
        {**good, "node": -1},
        {**good, "language": "fr"},
        {**good, "node": "0"},
        {**good, "extra": 1},
        {**good, "values": {"v": "x" * 1000}},
        {"flow": FLOW.fingerprint},
        [],
    ]
    assert resume(FLOW, seal(zlib.compress(json.dumps(good).encode())), FACTS) is not None
    for data in bad:
        assert resume(FLOW, seal(zlib.compress(json.dumps(data).encode())), FACTS) is None, data
    assert resume(FLOW, seal(zlib.compress(b"0" * 10_000_000, 9)[:600]), FACTS) is None
    assert resume(FLOW, seal(b"no zlib"), FACTS) is None


def test_any_one_character_changed_is_a_fresh_start() -> None:
    text = checkpoint(FLOW, STATE)
    for index in range(len(text)):
        changed = text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]
        assert resume(FLOW, changed, FACTS) is None
        assert resume(FLOW, text[:index], FACTS) is None


@given(st.text(max_size=1000))
def test_any_text_is_a_fresh_start(text: str) -> None:
    assert resume(FLOW, text, FACTS) is None
