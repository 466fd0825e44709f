from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ivr_flows
from ivr_flows import schema
from ivr_flows.branches import BRANCHES
from ivr_flows.nodes import Collect, Menu, ToQueue
from ivr_flows.schema import FlowError, json_schema, load, parse
from ivr_flows.yaml_text import MAX_BYTES

HEAD = """\
callfloor_flow: 1
name: t
languages: [de, en]
default: {queue: service}
start: a
nodes:
"""
ROUTE = "  a: {type: route, queue: service}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(FlowError) as refused:
        parse(text, "f.yaml")
    assert "\n" not in str(refused.value)
    return [str(problem) for problem in refused.value.problems]


def test_reads_a_flow_into_frozen_dataclasses() -> None:
    flow = parse(HEAD + ROUTE + '  m: {type: menu, text: {de: x, en: no}, choices: {1: a, "*": a}}\n')
    menu = flow.document.nodes["m"]
    assert isinstance(menu, Menu)
    assert menu.choices == {"1": "a", "*": "a"}
    assert menu.text["en"] == "no"  # a word, not a boolean
    assert (menu.tries, menu.timeout, flow.order) == (3, None, ("a", "m"))
    with pytest.raises(AttributeError):
        menu.tries = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "  a: {type: route, queue: service, prio: 1}\n", "f.yaml:7:36: unknown key 'prio'"),
        (HEAD + "  a: {type: foo}\n", "f.yaml:7:3: a: Input tag 'foo'"),
        (HEAD + "  a: {type: route}\n", "f.yaml:7:3: 'queue' is missing"),
        (HEAD + "  A1: {type: hangup}\n", "f.yaml:7:3: A1: String should match"),
        (HEAD + "  a:\n    type: say\n    text: {de: x, fr: y}\n", "f.yaml:9:19: fr: Input should be 'de' or 'en'"),
        (HEAD + "  a:\n    type: say\n    text: {de: '{{ x'}\n", "f.yaml:9:12: de: cannot be read as a template"),
        (HEAD + "  a: {type: condition, when: 'x +'}\n", "f.yaml:7:24: when: cannot be read as an expression"),
        (HEAD + "  a: {type: say, text: {de: x}, visits: x}\n", "f.yaml:7:33: visits: Input should be a valid integer"),
        (HEAD + "  a: {type: set, values: {x: '{{ y'}}\n", "f.yaml:7:27: x: cannot be read as a template"),
        (HEAD + "  a: {type: set, values: {x: '{% if x %}'}}\n", "f.yaml:7:27: x: cannot be read as a template"),
        (HEAD + "  a: {type: set, values: {x: '{{ y | digits }}'}}\n", "f.yaml:7:27: x: 'digits' is for what is said"),
        (HEAD + "  a: {type: condition, when: y | word}\n", "f.yaml:7:24: when: 'word' is for what is said"),
        (HEAD + "  a: {type: http, url: 'https://x/{{ y | number }}', into: v}\n", "f.yaml:7:19: url: 'number' is for"),
        (HEAD + "  a:\n    type: say\n    text: {de: '{{ y | date | upper }}'}\n", "f.yaml:9:12: de: 'date' is for"),
        (HEAD + "  a: {type: lookup, what: x, into: v, arguments: {b: '{{ ('}}\n", "f.yaml:7:51: b: cannot be read"),
        (HEAD + "  a: {type: set, values: {x: [1]}}\n", "f.yaml:7:27: x: Input should be"),
        (HEAD + ROUTE + ROUTE, "f.yaml:8:3: 'a' is there already (line 7)"),
        (HEAD + "  a: &x {type: hangup}\n", "f.yaml:7:6: anchors (&) and aliases (*) are not allowed"),
        (HEAD + "  a: !!python/name:os.system {}\n", "f.yaml:7:6: tags (!) are not allowed"),
        (HEAD + "  a: [\n", "f.yaml:8:1: expected the node content"),
        ("a: b: c\n", "f.yaml:1:5: mapping values are not allowed here"),
        ("a:\n\t- b\n", "f.yaml:2:1: found character '\\t'"),
        ("[" * 5000, "f.yaml:1:13: nested more than 12 deep"),
        ("a: \x00\n", "f.yaml:1:4: a character that is not allowed"),
        ("? [a]\n: b\n", "f.yaml:1:3: a key must be a word"),
        ("", "f.yaml:1:1: the file is empty"),
        ("- 1\n", "f.yaml:1:1: Input should be an object"),
        ("x: " + "y" * MAX_BYTES, "f.yaml:1:1: more than 512 KiB"),
    ],
)
def test_every_error_has_its_place(text: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(text)), problems(text)


def test_all_problems_are_told_at_once_and_in_order() -> None:
    found = problems(HEAD + "  a: {type: route}\n  b: {type: foo}\n  c: {type: say}\n")
    assert [problem.split(":")[1] for problem in found] == ["7", "8", "9"]


def test_an_alias_bomb_is_refused_before_it_unfolds() -> None:
    bomb = "a: &a [x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert problems(bomb) == ["f.yaml:1:4: anchors (&) and aliases (*) are not allowed; write it out"]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="no such file; check flows.file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: Gr\xfc\xdfe")
    with pytest.raises(FlowError, match="is not UTF-8"):
        load(tmp_path / "latin.yaml")
    with pytest.raises(FlowError, match="cannot be read"):
        load(tmp_path)


def test_the_fingerprint_is_of_the_meaning() -> None:
    plain = parse(HEAD + ROUTE).fingerprint
    assert parse("# a note\n" + HEAD + "\n" + ROUTE).fingerprint == plain
    assert parse(HEAD + ROUTE.replace("service", "sales")).fingerprint != plain


def test_the_published_json_schema_is_current() -> None:
    published = Path(ivr_flows.__file__).with_name("flow.schema.json")
    assert json.loads(published.read_text(encoding="utf-8")) == json_schema(), (
        "write ivr_flows.schema.json_schema() to ivr_flows/flow.schema.json"
    )


def test_the_json_schema_tells_an_editor_what_it_needs() -> None:
    definitions = json_schema()["$defs"]
    kinds = {
        entry["properties"]["type"]["const"]: entry for entry in definitions.values() if "type" in entry["properties"]
    }
    assert set(kinds) == {
        *("say", "language", "recognise", "menu", "collect", "authenticate", "lookup", "request", "hours", "callback"),
        *("message", "condition", "set", "http", "subflow", "return", "route", "transfer", "hangup"),
    }
    assert len(kinds) == len(BRANCHES)
    for kind, entry in kinds.items():
        assert entry["description"], kind
        # What all kinds have is explained at each of them.
        assert {"error", "hangup", "visits"} <= {
            key for key, one in entry["properties"].items() if "description" in one
        }
    assert kinds["menu"]["properties"]["silences"]["description"] == "After so many silences: ``timeout``."
    assert kinds["say"]["additionalProperties"] is False
    assert kinds["collect"]["properties"]["skip"]["description"] == "A key that goes to ``skipped`` at once."
    assert set(kinds["route"]["required"]) == {"type", "queue"}


def test_what_a_file_leaves_out() -> None:
    flow = parse(HEAD + "  a: {type: collect, text: {de: x}, into: v}\n  q: {type: route, queue: service}\n")
    collect, route = flow.nodes["a"], flow.nodes["q"]
    assert isinstance(collect, Collect)
    assert (collect.secure, collect.form, collect.least, collect.most, collect.skip) == (False, "digits", 1, 12, None)
    assert (collect.seconds, collect.tries, collect.silences) == (6, 3, 2)
    assert isinstance(route, ToQueue)
    assert (route.priority, route.wait, route.prefer, dict(route.keys)) == (0, None, None, {})
    assert (flow.document.step_limit, flow.document.hangup) == (100, None)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_flow_or_a_clean_error(text: str) -> None:
    for candidate in (text, HEAD + text):
        with contextlib.suppress(FlowError):
            schema.parse(candidate)
