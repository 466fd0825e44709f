"""What a flow names must be there: queues, hours, transfers, look-ups, fields, keys, addresses."""

from __future__ import annotations

import pytest

from ivr_flows.checks import House, check_flow
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


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            "  a: {type: route, queue: golf}\n",
            ["f.yaml:8:20: there is no queue 'golf' in the settings (have: sales, service)"],
        ),
        ("  a: {type: callback, queue: golf}\n", ["f.yaml:8:23: there is no queue 'golf' in the settings"]),
        ("  a: {type: hours, hours: golf}\n", ["f.yaml:8:20: there is no hours 'golf' in the settings (have: office)"]),
        ("  a: {type: transfer, to: golf}\n", ["f.yaml:8:23: there is no transfer 'golf' in the settings"]),
        (
            "  a: {type: lookup, what: golf, into: o}\n",
            ["f.yaml:8:21: there is no look-up 'golf' (have: custom"],
        ),
        (
            "  a: {type: lookup, what: orders, into: o, arguments: {colour: red}}\n",
            ["f.yaml:8:56: orders has no argument 'colour'"],
        ),
        ("  a: {type: lookup, what: queue, into: q}\n", ["f.yaml:8:3: the look-up 'queue' needs the argument 'queue'"]),
        (
            "  a: {type: lookup, what: queue, into: q, arguments: {queue: golf}}\n",
            ["f.yaml:8:55: there is no queue 'golf' in the settings"],
        ),
        ("  a: {type: lookup, what: queue, into: q, arguments: {queue: '{{ house }}'}}\n", []),
        ("  a: {type: request, kind: return}\n", ["f.yaml:8:3: a request 'return' needs the field 'order'"]),
        (
            "  a: {type: request, kind: complaint, fields: {colour: x}}\n",
            ["f.yaml:8:48: complaint has no field 'colour'"],
        ),
        (
            "  a: {type: route, queue: service, keys: {1: z, '*': z, 2: z}}\n" + END,
            ["f.yaml:8:57: no key '2' leaves the queue 'service'; see its exit_keys"],
        ),
        (
            "  a: {type: route, queue: sales, keys: {1: z}}\n" + END,
            ["f.yaml:8:41: no key '1' leaves the queue 'sales'; see its exit_keys"],
        ),
        ("  a: {type: http, url: 'https://erp.example.org/ivr/{{ house }}', into: e}\n", []),
        *[
            (
                f"  a: {{type: http, url: '{url}', into: e}}\n",
                ["f.yaml:8:19: the settings (flows.http_allow) do not"],
            )
            for url in (
                "http://erp.example.org/ivr/x",
                "https://erp.example.org/other",
                "https://erp.example.org/{{ house }}/ivr/",
                "https://erp.example.org.evil.example/ivr/",
                "{{ house }}",
            )
        ],
    ],
)
def test_what_the_house_does_not_have(nodes: str, expected: list[str]) -> None:
    problems = found(HEAD + nodes)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


def test_the_default_queue_is_there() -> None:
    problems = found(HEAD.replace("{queue: service}", "{queue: golf}") + "  a: {type: hangup}\n")
    assert problems == ["f.yaml:4:11: there is no queue 'golf' in the settings (have: sales, service)"]


def test_a_house_without_anything_has_nothing() -> None:
    problems = found(HEAD + "  a: {type: route, queue: service, keys: {1: z}}\n" + END, House(queues=[]))
    assert [problem.split(":")[1] for problem in problems] == ["4", "8", "8", "9"]
