from __future__ import annotations

from pathlib import Path

import pytest

from ivr_flows.checks import check

HEAD = """\
callfloor_flow: 1
name: t
languages: [de, en]
default: {queue: service}
constants: {house: Linden}
start: a
nodes:
"""
END = "  z: {type: route, queue: service}\n"


def found(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "f.yaml"
    file.write_text(text, encoding="utf-8")
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in check(file, ["service", "sales"])]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("  a: {type: say, text: {de: x, en: y}, next: q}\n", ["f.yaml:8:40: next: there is no node 'q'"]),
        (
            "  a: {type: route, queue: service}\n  b: {type: hangup}\n",
            ["f.yaml:9:3: b: no caller can come here; use it, or remove it"],
        ),
        (
            "  a: {type: say, text: {de: x, en: y}, next: b}\n  b: {type: set, values: {v: 1}, next: a}\n",
            ["f.yaml:8:3: a loop without a limit: a > b > a; give one of them 'visits'"],
        ),
        ("  a: {type: say, text: {de: x}}\n", ["f.yaml:8:18: a.text: the text in 'en' is missing"]),
        ("  a: {type: say, text: {de: '{{ x }}', en: y}}\n", ["f.yaml:8:25: 'x' is no constant"]),
        ("  a: {type: say, text: {de: ' ', en: y}}\n", ["f.yaml:8:25: the text is empty"]),
        ("  a: {type: say, text: {de: '{{ house / 0 }}', en: y}}\n", ["f.yaml:8:25: the text cannot be rendered"]),
        ("  a: {type: route, queue: golf}\n", ["f.yaml:8:20: there is no queue 'golf' in the settings"]),
        ("  a: {type: condition, when: caller.rich}\n", ["f.yaml:8:24: nothing is called 'caller.rich' in a flow"]),
        ("  a: {type: route, queue: sales, priority: x + 1}\n", ["f.yaml:8:34: nothing is called 'x' in a flow"]),
        ("  a: {type: set, values: {v: '{{ w }}'}}\n", ["f.yaml:8:27: nothing is called 'w' in a flow"]),
        ("  a: {type: set, values: {caller: x}}\n", ["f.yaml:8:27: 'caller' cannot be set"]),
        (
            "  a: {type: collect, text: {de: x, en: y}, least: 9, most: 3}\n",
            ["f.yaml:8:44: least (9) is more than most (3)"],
        ),
        (
            "  a: {type: hangup, exhausted: z}\n" + END,
            ["f.yaml:8:21: exhausted never happens without 'visits'", "f.yaml:9:3: z: no caller can come here"],
        ),
    ],
)
def test_each_problem_with_its_place(tmp_path: Path, nodes: str, expected: list[str]) -> None:
    problems = found(tmp_path, HEAD + nodes)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


def test_a_loop_with_a_limit_is_none(tmp_path: Path) -> None:
    nodes = "  a: {type: menu, text: {de: x, en: y}, choices: {1: b}, visits: 3, exhausted: z}\n"
    assert found(tmp_path, HEAD + nodes + "  b: {type: set, values: {v: 1}, next: a}\n" + END) == []


def test_a_limit_that_leads_back_into_its_loop_is_no_limit(tmp_path: Path) -> None:
    nodes = "  a: {type: say, text: {de: x, en: y}, next: a, visits: 3, exhausted: b}\n"
    problems = found(tmp_path, HEAD + nodes + "  b: {type: set, values: {v: 1}, next: a}\n")
    assert [problem.split(": ")[1] for problem in problems] == ["a loop without a limit"]


def test_languages_outside_the_flow(tmp_path: Path) -> None:
    text = HEAD.replace("[de, en]", "[de]") + (
        "  a: {type: language, text: {de: x, en: y}, choices: {1: de, 2: en}, default: en, next: z}\n"
        "  z: {type: route, queue: service, language: en}\n"
    )
    problems = found(tmp_path, text)
    assert len(problems) == 4
    assert all("'en' is not among the flow's languages ['de']" in problem for problem in problems)


def test_a_start_that_is_not_there(tmp_path: Path) -> None:
    assert found(tmp_path, HEAD.replace("start: a", "start: nope") + END) == [
        "f.yaml:6:1: start: there is no node 'nope'"
    ]


def test_a_file_that_does_not_parse_is_a_problem_too(tmp_path: Path) -> None:
    assert found(tmp_path, "a: [") == ["f.yaml:1:5: expected the node content, but found '<stream end>'"]
