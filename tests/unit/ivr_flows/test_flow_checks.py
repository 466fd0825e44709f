"""What is proven of a flow before a caller hears it; each problem with file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.ivr_flows.everything import FLOW
from unit.ivr_flows.everything import HOUSE as ITS_HOUSE

from ivr_flows.checks import House, check, check_flow
from ivr_flows.schema import parse

HEAD = """\
callfloor_flow: 1
name: t
languages: [de, en]
default: {queue: service}
constants: {house: Linden}
start: a
nodes:
"""
TEXT = "text: {de: x, en: y}"
END = "  z: {type: route, queue: service}\n"
HOUSE = House(
    queues=["service", "sales"],
    hours=["office"],
    transfers=["partner"],
    exit_keys={"service": "1*"},
    http=["https://erp.example.org/ivr/"],
)


def found(text: str, house: House = HOUSE) -> list[str]:
    return [str(problem) for problem in check_flow(parse(text, "f.yaml"), house)]


def test_nothing_is_wrong_with_a_flow_of_every_kind() -> None:
    assert check_flow(FLOW, ITS_HOUSE) == []


MISSING = [
    (kind, branch)
    for kind, branches in {
        "say, TEXT": ["next"],
        "language, TEXT, choices: {1: de}, default: de": ["next"],
        "recognise": ["known", "shared", "withheld", "unknown"],
        "menu, TEXT, choices: {1: z}": ["invalid", "timeout"],
        "collect, TEXT, into: v, skip: '*'": ["next", "invalid", "timeout", "skipped"],
        "authenticate, TEXT, pin_text: {de: x, en: y}": [
            *("next", "invalid", "timeout", "skipped", "locked", "no_pin"),
        ],
        "lookup, what: orders, into: o": ["next", "none", "refused"],
        "request, kind: complaint": ["next", "refused"],
        "hours, hours: office": ["open", "closed", "holiday", "emergency"],
        "callback, queue: service": ["next", "already", "refused"],
        "message, TEXT, recipient: language": ["next", "empty", "refused"],
        "condition, when: caller.known": ["then", "otherwise"],
        "set, values: {v: 1}": ["next"],
        "http, url: 'https://erp.example.org/ivr/x', into: e": ["next", "timeout"],
        "route, queue: service": ["overflow", "empty", "full"],
        "hangup": [],
        "transfer, to: partner": [],
    }.items()
    for branch in [*branches, "error", "hangup"]
]


@pytest.mark.parametrize(("kind", "branch"), MISSING)
def test_every_branch_that_leads_nowhere_is_told_at_its_place(kind: str, branch: str) -> None:
    node = f"  a: {{type: {kind.replace('TEXT', TEXT)}, {branch}: q}}\n"
    ends = END if "z" in kind else ""
    assert found(HEAD + node + ends) == [f"f.yaml:8:{node.index(f'{branch}: q') + 1}: {branch}: there is no node 'q'"]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            "  a: {type: menu, TEXT, choices: {1: q}}\n",
            ["f.yaml:8:51: choices.1: there is no node 'q'"],
        ),
        ("  a: {type: route, queue: service, keys: {1: q}}\n", ["f.yaml:8:43: keys.1: there is no node 'q'"]),
        ("  a: {type: say, TEXT, visits: 2, exhausted: q}\n", ["f.yaml:8:51: exhausted: there is no node 'q'"]),
        (
            "  a: {type: route, queue: service}\n  b: {type: hangup}\n",
            ["f.yaml:9:3: b: no caller can come here; use it, or remove it"],
        ),
        (
            "  a: {type: say, TEXT, next: b}\n  b: {type: set, values: {v: 1}, next: a}\n",
            ["f.yaml:8:3: a loop without a limit: a > b > a; give one of them 'visits'"],
        ),
        (
            "  a: {type: menu, TEXT, choices: {1: a}}\n",
            ["f.yaml:8:3: a loop without a limit: a > a; give one of them 'visits'"],
        ),
        (
            "  a: {type: route, queue: service, overflow: b}\n  b: {type: callback, queue: sales, refused: a}\n",
            ["f.yaml:8:3: a loop without a limit: a > b > a; give one of them 'visits'"],
        ),
        ("  a: {type: say, text: {de: x}}\n", ["f.yaml:8:18: a.text: the text in 'en' is missing"]),
        ("  a: {type: hangup, text: {en: x}}\n", ["f.yaml:8:21: a.text: the text in 'de' is missing"]),
        (
            "  a: {type: authenticate, TEXT, wrong: {de: x}, pin_text: {de: x}, pin_wrong: {en: x}}\n",
            [
                "f.yaml:8:49: a.wrong: the text in 'en' is missing",
                "f.yaml:8:65: a.pin_text: the text in 'en' is missing",
                "f.yaml:8:84: a.pin_wrong: the text in 'de' is missing",
            ],
        ),
        ("  a: {type: say, text: {de: '{{ x }}', en: y}}\n", ["f.yaml:8:25: 'x' is no constant; say how it is spoken"]),
        ("  a: {type: say, text: {de: '{{ language }}', en: y}}\n", ["f.yaml:8:25: 'language' is no constant"]),
        ("  a: {type: say, text: {de: ' ', en: y}}\n", ["f.yaml:8:25: the text is empty"]),
        ("  a: {type: say, text: {de: '{{ house / 0 }}', en: y}}\n", ["f.yaml:8:25: the text cannot be rendered"]),
        (
            "  a: {type: say, text: {de: '{{ house | word }}', en: y}}\n",
            ["f.yaml:8:25: 'word' needs a word 'other' in the flow's 'words'"],
        ),
        ("  a: {type: set, values: {caller: x}}\n", ["f.yaml:8:27: 'caller' cannot be set"]),
        ("  a: {type: set, values: {request_reference: x}}\n", ["f.yaml:8:27: 'request_reference' cannot be set"]),
        ("  a: {type: collect, TEXT, into: language}\n", ["f.yaml:8:44: 'language' cannot be set"]),
        ("  a: {type: lookup, what: orders, into: hours}\n", ["f.yaml:8:35: 'hours' cannot be set"]),
        ("  a: {type: collect, TEXT, into: v, least: 9, most: 3}\n", ["f.yaml:8:53: least (9) is more than most (3)"]),
        ("  a: {type: authenticate, TEXT, least: 13}\n", ["f.yaml:8:49: least (13) is more than most (12)"]),
        (
            "  a: {type: route, queue: service, penalty: {least: 3, most: 2}}\n",
            ["f.yaml:8:36: least is more than most"],
        ),
        (
            "  a: {type: hangup, exhausted: z}\n" + END,
            ["f.yaml:8:21: exhausted never happens without 'visits'", "f.yaml:9:3: z: no caller can come here"],
        ),
    ],
)
def test_each_problem_with_its_place(nodes: str, expected: list[str]) -> None:
    problems = found(HEAD + nodes.replace("TEXT", TEXT))
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


NEED_A_CALLER = {
    "say, TEXT": True,
    "language, TEXT, choices: {1: de}, default: de": True,
    "menu, TEXT, choices: {1: c}": True,
    "collect, TEXT, into: v": True,
    "authenticate, TEXT": True,
    "message, TEXT, recipient: language": True,
    "hangup": True,
    "route, queue: service": True,
    "transfer, to: partner": True,
    "recognise": False,
    "lookup, what: orders, into: o": False,
    "request, kind: complaint": False,
    "hours, hours: office": False,
    "callback, queue: service": False,
    "condition, when: caller.known": False,
    "set, values: {v: 1}": False,
    "http, url: 'https://erp.example.org/ivr/x', into: e": False,
}


@pytest.mark.parametrize("kind", NEED_A_CALLER)
def test_after_a_hang_up_nobody_is_talked_to_or_queued(kind: str) -> None:
    last = f"  b: {{type: {kind.replace('TEXT', TEXT)}}}\n  c: {{type: route, queue: service}}\n"
    text = HEAD.replace("start: a", "start: a\nhangup: b") + f"  a: {{type: say, {TEXT}, hangup: b, next: c}}\n" + last
    problem = "hangup: 'b' needs a caller, who is gone by then"
    expected = [f"f.yaml:7:1: {problem}", f"f.yaml:9:40: {problem}"] if NEED_A_CALLER[kind] else []
    assert found(text) == expected


@pytest.mark.parametrize("key", ["start", "hangup"])
def test_a_beginning_that_is_not_there(key: str) -> None:
    text = HEAD.replace("start: a", "start: z\nhangup: z").replace(f"{key}: z", f"{key}: nope")
    problems = found(text + END)
    assert problems[0].startswith(f"f.yaml:{6 if key == 'start' else 7}:1: {key}: there is no node 'nope'")


def test_a_loop_with_a_limit_is_none() -> None:
    nodes = f"  a: {{type: menu, {TEXT}, choices: {{1: b}}, visits: 3, exhausted: z}}\n"
    assert found(HEAD + nodes + "  b: {type: set, values: {v: 1}, next: a}\n" + END) == []


def test_a_limit_that_leads_back_into_its_loop_is_no_limit() -> None:
    nodes = f"  a: {{type: say, {TEXT}, next: a, visits: 3, exhausted: b}}\n"
    problems = found(HEAD + nodes + "  b: {type: set, values: {v: 1}, next: a}\n")
    assert [problem.split(": ")[1] for problem in problems] == ["a loop without a limit"]


def test_languages_outside_the_flow() -> None:
    text = HEAD.replace("[de, en]", "[de]") + (
        f"  a: {{type: language, {TEXT}, choices: {{1: de, 2: en}}, default: en, next: z}}\n"
        "  z: {type: route, queue: service, language: en}\n"
    )
    problems = found(text)
    assert len(problems) == 4
    assert all("'en' is not among the flow's languages ['de']" in problem for problem in problems)


def test_a_word_in_one_language_only() -> None:
    text = HEAD.replace("start: a", "words: {sent: {de: weg}, other: {de: x, en: y}}\nstart: z") + END
    assert found(text) == ["f.yaml:6:9: sent: the word in 'en' is missing"]


def test_problems_are_told_in_the_order_of_the_file() -> None:
    problems = found(HEAD + "  a: {type: route, queue: golf, overflow: q}\n  b: {type: say, text: {de: x}}\n")
    assert [problem.split(":")[1:3] for problem in problems] == [["8", "20"], ["8", "33"], ["9", "3"], ["9", "18"]]


def test_a_file_that_does_not_parse_is_a_problem_too(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("a: [", encoding="utf-8")
    assert [str(problem) for problem in check(tmp_path / "f.yaml", HOUSE)] == [
        f"{tmp_path}/f.yaml:1:5: expected the node content, but found '<stream end>'"
    ]
    assert "no such file" in str(check(tmp_path / "none.yaml", HOUSE)[0])


def test_a_long_chain_is_no_burden() -> None:
    chain = "".join(f"  a{n}: {{type: set, values: {{v: 1}}, next: a{n + 1}}}\n" for n in range(1500))
    assert found(HEAD.replace("start: a", "start: a0") + chain + "  a1500: {type: route, queue: service}\n") == []
