"""Which values are there where, and where secure ones may go."""

from __future__ import annotations

import pytest
from unit.ivr_flows.everything import FLOW, at

from ivr_flows.checks import House, check_flow
from ivr_flows.names import CALL_NAMES, assigned, readings
from ivr_flows.schema import parse
from ivr_flows.walk import values_of

HEAD = """\
callfloor_flow: 1
name: t
languages: [de]
default: {queue: service}
constants: {house: Linden}
words: {other: {de: x}}
start: a
nodes:
"""
HOUSE = House(queues=["service"], hours=["office"], http=["https://x/"])
SECURE = "  a: {type: collect, text: {de: x}, into: pin, secure: true, most: 20, next: b}\n"
IBAN = "  a: {type: collect, text: {de: x}, into: iban, secure: true, form: iban_de, next: b}\n"


def found(nodes: str) -> list[str]:
    return [str(problem) for problem in check_flow(parse(HEAD + nodes, "f.yaml"), HOUSE)]


@pytest.mark.parametrize(
    ("node", "place", "name"),
    [
        ("condition, when: caller.rich", "9:24", "caller.rich"),
        ("condition, when: caller", "9:24", "caller"),
        ("route, queue: service, priority: x + 1", "9:36", "x"),
        ("route, queue: service, prefer: {agent: x}", "9:45", "x"),
        ("set, values: {v: '{{ w }}'}", "9:27", "w"),
        ("callback, queue: service, number: x", "9:39", "x"),
        ("message, text: {de: x}, recipient: x", "9:37", "x"),
        ("lookup, what: orders, into: o, arguments: {number: '{{ x }}'}", "9:56", "x"),
        ("request, kind: complaint, fields: {order: '{{ x }}'}", "9:48", "x"),
        ("http, url: 'https://x/{{ x }}', into: e", "9:19", "x"),
        ("http, url: 'https://x/', into: e, body: {b: '{{ x }}'}", "9:54", "x"),
        ("say, text: {de: '{{ x | digits }}'}", "9:25", "x"),
        ("say, text: {de: '{{ house | amount(x) }}'}", "9:25", "x"),
        ("hangup, text: {de: '{{ order.total | number }}'}", "9:28", "order.total"),
    ],
)
def test_a_name_that_nothing_sets(node: str, place: str, name: str) -> None:
    assert found(f"  a: {{type: {node}}}\n") == [f"f.yaml:{place}: nothing is called {name!r} in a flow"]


def test_every_name_of_a_call_can_be_read() -> None:
    values = values_of(FLOW, at("main")[0])
    there = {name for name, value in values.items() if not isinstance(value, dict)}
    there |= {f"{name}.{key}" for name, value in values.items() if isinstance(value, dict) for key in value}
    assert there - FLOW.constants.keys() == CALL_NAMES
    for name in CALL_NAMES:
        assert found(f"  a: {{type: condition, when: {name}}}\n") == []


READ = "  z: {type: say, text: {de: '{{ NAME | word }}'}}\n"


@pytest.mark.parametrize(
    ("nodes", "name"),
    [
        ("  a: {type: lookup, what: orders, into: o, next: z, BRANCH: z}\n", "o.status"),
        ("  a: {type: http, url: 'https://x/', into: o, take: [status], next: z, BRANCH: z}\n", "o.status"),
        ("  a: {type: collect, text: {de: x}, into: o, skip: '*', next: z, BRANCH: z}\n", "o"),
        ("  a: {type: set, values: {o: 1}, next: z, BRANCH: z}\n", "o"),
        ("  a: {type: request, kind: complaint, next: z, BRANCH: z}\n", "request_reference"),
        (
            "  a: {type: hours, hours: office, open: z, closed: z, holiday: z, emergency: z, BRANCH: z}\n",
            "hours.reason",
        ),
    ],
)
def test_a_name_that_is_not_there_on_every_way(nodes: str, name: str) -> None:
    good = nodes.replace(", BRANCH: z", "")
    assert found(good + READ.replace("NAME", name)) == []
    for branch in ("error: z", "visits: 2, exhausted: z"):
        bad = nodes.replace("BRANCH: z", branch)
        assert found(bad + READ.replace("NAME", name)) == [
            f"f.yaml:10:25: {name!r} is not there on every way that leads here"
        ]


@pytest.mark.parametrize(
    ("nodes", "good"),
    [
        # Both ways set it.
        (
            "  a: {type: condition, when: caller.known, then: b, otherwise: c}\n"
            "  b: {type: set, values: {v: 1}, next: z}\n  c: {type: set, values: {v: 2}, next: z}\n",
            True,
        ),
        (
            "  a: {type: condition, when: caller.known, then: b, otherwise: z}\n"
            "  b: {type: set, values: {v: 1}, next: z}\n",
            False,
        ),
        # Around a loop.
        (
            "  a: {type: set, values: {v: 1}, next: b}\n"
            "  b: {type: menu, text: {de: x}, choices: {1: b, 2: z}, visits: 3, exhausted: z}\n",
            True,
        ),
        (
            "  a: {type: menu, text: {de: x}, choices: {1: b, 2: z}, visits: 3, exhausted: z}\n"
            "  b: {type: set, values: {v: 1}, next: a}\n",
            False,
        ),
        # What was looked up is asked again for who comes back.
        ("  a: {type: set, values: {v: 1}, next: b}\n  b: {type: route, queue: service, overflow: z}\n", True),
    ],
)
def test_every_way_counts(nodes: str, good: bool) -> None:
    problems = found(nodes + READ.replace("NAME", "v"))
    missing = ["'v' is not there on every way that leads here"]
    assert [problem.split(": ")[1] for problem in problems] == ([] if good else missing)


def test_after_a_hang_up_only_what_the_way_there_has_set_is_there() -> None:
    text = HEAD.replace("start: a", "start: a\nhangup: y")
    nodes = (
        "  a: {type: set, values: {v: 1}, next: b}\n  b: {type: say, text: {de: x}, hangup: z}\n"
        "  y: {type: condition, when: v}\n  z: {type: condition, when: v}\n"
    )
    problems = [str(problem) for problem in check_flow(parse(text + nodes, "f.yaml"), HOUSE)]
    assert problems == ["f.yaml:12:24: 'v' is not there on every way that leads here"]


@pytest.mark.parametrize(
    "node",
    [
        "set, values: {v: '{{ pin }}'}",
        "set, values: {v: 'x {{ pin | upper }}'}",
        "set, values: {v: '{{ (pin | masked) ~ pin }}'}",
        "condition, when: pin == '1234'",
        "condition, when: pin is defined",
        "lookup, what: orders, into: o, arguments: {number: '{{ pin }}'}",
        "http, into: e, url: 'https://x/{{ pin }}'",
        "http, url: 'https://x/', into: e, body: {p: '{{ pin }}'}",
        "route, queue: service, priority: pin | int",
        "route, queue: service, prefer: {agent: pin}",
        "callback, queue: service, number: pin",
        "message, text: {de: x}, recipient: pin",
    ],
)
def test_a_secure_value_goes_nowhere_bare(node: str) -> None:
    problems = found(SECURE + f"  b: {{type: {node}}}\n")
    assert len(problems) == 1
    assert problems[0].startswith("f.yaml:10:")
    assert problems[0].endswith(": 'pin' is secure: it may be said, go into a request, or be masked")


@pytest.mark.parametrize(
    "node",
    [
        "set, values: {v: '{{ iban | masked }}'}",
        "set, values: {v: '{{ iban | last4 | upper }}'}",
        "condition, when: (iban | last4) == '1234'",
        "http, url: 'https://x/{{ iban | last4 }}', into: e, body: {p: '{{ iban | masked }}'}",
        "say, text: {de: '{{ iban | spell }}'}",
        "say, text: {de: '{{ iban | last4 | digits }}'}",
        "request, kind: bank_details, fields: {iban: '{{ iban }}'}",
    ],
)
def test_said_filed_or_masked_it_may_be(node: str) -> None:
    assert found(IBAN + f"  b: {{type: {node}}}\n") == []


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            "  a: {type: collect, text: {de: x}, into: iban, form: iban_de}\n",
            "f.yaml:9:49: an IBAN is collected with 'secure: true'",
        ),
        (
            SECURE + "  b: {type: set, values: {pin: 1}}\n",
            "f.yaml:10:27: 'pin' is kept secure; use another name",
        ),
        (
            SECURE + "  b: {type: collect, text: {de: x}, into: pin}\n",
            "f.yaml:10:37: 'pin' is kept secure elsewhere; use another name",
        ),
        (
            IBAN + "  b: {type: request, kind: bank_details, fields: {iban: '{{ iban }}'}, next: c}\n"
            "  c: {type: say, text: {de: '{{ iban | last4 | digits }}'}}\n",
            "f.yaml:11:25: 'iban' is not there on every way that leads here",
        ),
        (
            IBAN + "  b: {type: route, queue: service, overflow: c}\n"
            "  c: {type: say, text: {de: '{{ iban | last4 | digits }}'}}\n",
            "f.yaml:11:25: 'iban' is not there on every way that leads here",
        ),
    ],
)
def test_what_is_secure_is_so_everywhere_and_not_for_ever(nodes: str, expected: str) -> None:
    assert found(nodes) == [expected]


def test_what_is_refused_is_still_there() -> None:
    nodes = "  b: {type: request, kind: bank_details, fields: {iban: '{{ iban }}'}, refused: c}\n"
    assert found(IBAN + nodes + "  c: {type: say, text: {de: '{{ iban | last4 | digits }}'}}\n") == []


def test_what_a_node_reads_is_there_by_then() -> None:
    there = assigned(FLOW)
    assert there["filed"] >= {"request_reference", "code", "house"}
    assert "iban" in there["file"]
    assert "iban" not in there["filed"] | there["main"]
    for node_id, node in FLOW.nodes.items():
        for reading in readings(node):
            assert reading.names <= there[node_id] | CALL_NAMES
