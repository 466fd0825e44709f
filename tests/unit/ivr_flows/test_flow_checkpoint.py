from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ivr_flows.checkpoint import MAX_CHARACTERS, checkpoint, resume
from ivr_flows.engine import start
from ivr_flows.ports import CallFacts, Recognition
from ivr_flows.schema import MAX_NODES, Flow, parse
from ivr_flows.state import State

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
STATE = replace(
    start(FLOW, FACTS)[0],
    recognition=WHO,
    level="pin",
    language="en",
    tries=2,
    silences=1,
    wrong=True,
    values={"v": "x", "n": 1, "b": True},
    sources={"order": "a"},
    visits={"a": 2},
)


def seal(data: bytes) -> str:
    body = base64.urlsafe_b64encode(data).decode()
    return f"2.{body}.{hashlib.sha256(f'2.{body}'.encode()).hexdigest()[:16]}"


def plain(text: str) -> str:
    return zlib.decompress(base64.urlsafe_b64decode(text.split(".")[1])).decode()


def test_there_and_back() -> None:
    # The name is looked up again by those who need it.
    assert resume(FLOW, checkpoint(FLOW, STATE), FACTS) == replace(STATE, recognition=replace(WHO, name=""))


def test_what_belongs_to_this_server_alone_is_left_behind() -> None:
    more = replace(
        STATE,
        phase="pin",
        typed="7",
        pending="next",
        results={"order": {"total": 1}},
        redo=("a",),
        place="/m/1",
        trail=(("a", "choices.1"),),
        error="a: x",
    )
    assert resume(FLOW, checkpoint(FLOW, more), FACTS) == resume(FLOW, checkpoint(FLOW, STATE), FACTS)


def test_it_holds_nothing_secure_and_begins_at_the_anchor() -> None:
    secure = replace(STATE, node="b", vault={"iban": "DE89370400440532013000"}, anchor="a")
    text = checkpoint(FLOW, secure)
    assert "89370400" not in plain(text)
    found = resume(FLOW, text, FACTS)
    assert found is not None
    assert (found.node, found.vault, found.anchor) == ("a", {}, "")
    assert (found.tries, found.silences, found.wrong, found.level) == (0, 0, False, "pin")


def test_it_holds_neither_number_nor_name() -> None:
    kept = plain(checkpoint(FLOW, STATE))
    assert "Erika" not in kept
    assert "301234567" not in kept


def test_a_path_too_long_is_shortened_and_the_rest_kept() -> None:
    values = {f"v{index}": hashlib.sha256(str(index).encode()).hexdigest() for index in range(9)}
    state = replace(STATE, path=("a", "b", "a", "a", "b") * 30, values=values)
    text = checkpoint(FLOW, state)
    assert 0 < len(text) <= MAX_CHARACTERS
    found = resume(FLOW, text, FACTS)
    assert found is not None
    assert (found.values, found.node, found.visits) == (values, "a", {"a": 2})


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
        {**good, "sources": {"order": 7}},
        {**good, "visits": {"7": 1}},
        {**good, "visits": {"a": 1}},
        {**good, "level": "admin"},
        {**good, "steps": -1},
        {**good, "who": ["certain", "x", "id"]},
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


def test_more_steps_than_there_can_be_are_cut() -> None:
    found = resume(FLOW, checkpoint(FLOW, replace(STATE, steps=900)), FACTS)
    assert found is not None
    assert found.steps == FLOW.document.step_limit


def chain(nodes: int) -> Flow:
    text = "".join(f"  n{n}: {{type: menu, text: {{de: x}}, choices: {{1: n{n}}}, visits: 3}}\n" for n in range(nodes))
    return parse(TEXT[: TEXT.index("start:")] + "start: n0\nnodes:\n" + text)


def test_a_flow_of_any_size_and_names_of_any_length_can_be_kept() -> None:
    flow = chain(MAX_NODES)
    last = flow.order[-1]
    state = State(facts=FACTS, language="de", node=last, path=(last,), visits={last: 1})
    assert resume(flow, checkpoint(flow, state), FACTS) == state


def test_nodes_of_nested_flows_can_be_kept() -> None:
    name = "n" * 32
    files = {
        f"{letter}.yaml": TEXT[: TEXT.index("start:")]
        + f"start: {name}\nnodes:\n  {name}: {{type: subflow, flow: {after}.yaml}}\n"
        for letter, after in ("xy", "yz")
    }
    files["z.yaml"] = TEXT.replace("start: a", f"start: {name}").replace("  a:", f"  {name}:")
    files["z.yaml"] = files["z.yaml"].replace("choices: {1: b}", "choices: {1: b}, visits: 3")
    flow = parse(files["x.yaml"], "x.yaml", files.__getitem__)
    state, _ = start(flow, FACTS)
    assert (state.node, state.visits) == (f"{name}.{name}.{name}", {state.node: 1})
    assert resume(flow, checkpoint(flow, state), FACTS) == replace(state, trail=())


def test_any_one_character_changed_is_a_fresh_start() -> None:
    text = checkpoint(FLOW, STATE)
    for index in range(len(text)):
        changed = text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]
        assert resume(FLOW, changed, FACTS) is None
        assert resume(FLOW, text[:index], FACTS) is None


@given(st.text(max_size=1000))
def test_any_text_is_a_fresh_start(text: str) -> None:
    assert resume(FLOW, text, FACTS) is None
