"""Every branch of every kind of node, in one table: together its rows take every edge there is."""

from __future__ import annotations

import pytest
from unit.ivr_flows.everything import (
    FLOW,
    IBAN,
    KNOWN,
    NONE,
    ORDER,
    SHARED,
    WITHHELD,
    Brought,
    all_edges,
    at,
    found,
    lead,
    proven,
    recognised,
)

from ivr_flows import engine
from ivr_flows.branches import BRANCHES, changed, follow
from ivr_flows.state import Answer, Done, Failed, Finish, Play, Played, Recorded, Typed
from ivr_flows.walk import COMMANDS

P = Played()
SILENCE = Typed("")
NUMBER: list[Answer] = [Typed("4711"), recognised("known", KNOWN), Done()]
WITH_ORDER: Brought = {"results": {"order": ORDER}, "sources": {"order": "orders"}}
WITH_IBAN: Brought = {"vault": {"iban": f"DE{IBAN}"}, "anchor": "bank"}
WITH_REFERENCE: Brought = {"values": {"request_reference": "1000001"}}
DAYS: Brought = {"results": {"erp": {"days": 14}}, "sources": {"erp": "erp"}}
FEW_DAYS: Brought = {"results": {"erp": {"days": 2}}}
NO_DAYS: Brought = {"results": {"erp": {"days": "soon"}}}

CHOICES: list[tuple[str, str, Brought, list[Answer]]] = [
    ("main", f"choices.{key}", {}, [Typed(key)]) for key in "1234567890*"
]

# Node, branch, what the caller brings along, what is answered from there on.
WAYS: list[tuple[str, str, Brought, list[Answer]]] = [
    ("hello", "next", {}, [P]),
    ("who", "known", {}, [recognised("known", KNOWN), Done()]),
    ("who", "known", proven("number"), []),
    ("who", "shared", {}, [recognised("shared", SHARED)]),
    ("who", "withheld", {}, [recognised("withheld", WITHHELD)]),
    ("who", "unknown", {}, [recognised("unknown", NONE)]),
    ("speak", "next", {}, [Typed("2"), Done()]),
    ("speak", "next", {}, [SILENCE]),
    ("number", "next", {}, [*NUMBER, Typed("1234"), recognised("right", KNOWN)]),
    ("number", "invalid", {}, [Typed("1"), Typed("1234567"), Typed("4711"), recognised("unknown", NONE)]),
    ("number", "timeout", {}, [SILENCE, SILENCE]),
    ("number", "skipped", {}, [Typed("*")]),
    ("number", "locked", {}, [*NUMBER, Typed("1234"), found("locked")]),
    ("number", "no_pin", {}, [*NUMBER, Typed("1234"), found("none")]),
    ("open", "open", {}, [found("open", reason="")]),
    ("open", "closed", {}, [found("closed", opens_on="2026-11-30", opens_at="08:00")]),
    ("open", "holiday", {}, [found("holiday")]),
    ("open", "emergency", {}, [found("emergency")]),
    *CHOICES,
    ("main", "invalid", {}, [Typed("#"), Typed("#")]),
    ("main", "timeout", {}, [SILENCE, SILENCE]),
    ("orders", "next", {}, [found("next", **ORDER)]),
    ("orders", "none", {}, [found("none")]),
    ("orders", "refused", {}, [found("refused")]),
    ("tell", "next", WITH_ORDER, [P]),
    ("nothing", "next", {}, [P]),
    ("bank", "next", {}, [Typed(IBAN)]),
    ("bank", "invalid", {}, [Typed("1"), Typed("2"), Typed("3")]),
    ("bank", "timeout", {}, [SILENCE, SILENCE]),
    ("bank", "skipped", {}, [Typed("*")]),
    ("code", "next", {}, [Typed("12")]),
    ("code", "invalid", {}, [Typed("1"), Typed("12345"), Typed("1*")]),
    ("code", "timeout", {}, [SILENCE, SILENCE]),
    ("confirm", "choices.1", WITH_IBAN, [Typed("1")]),
    ("confirm", "choices.2", WITH_IBAN, [Typed("2")]),
    ("confirm", "invalid", WITH_IBAN, [Typed("3"), Typed("4"), Typed("5")]),
    ("confirm", "timeout", WITH_IBAN, [SILENCE, SILENCE]),
    ("file", "next", WITH_IBAN, [found("next", reference="1000001")]),
    ("file", "refused", WITH_IBAN, [found("refused")]),
    ("filed", "next", WITH_REFERENCE, [P]),
    ("later", "next", {}, [found("next")]),
    ("later", "already", {}, [found("already")]),
    ("later", "refused", {}, [found("refused")]),
    ("message", "next", {}, [found("next", place="/m/1"), Recorded(7), found("next")]),
    ("message", "empty", {}, [found("next", place="/m/1"), Recorded(0)]),
    ("message", "refused", {}, [found("refused")]),
    ("erp", "next", {}, [found("next", days=14)]),
    ("erp", "timeout", {}, [found("timeout")]),
    ("days", "next", DAYS, [P]),
    ("note", "next", DAYS, []),
    ("note", "error", NO_DAYS, []),
    ("late", "then", DAYS, []),
    ("late", "otherwise", FEW_DAYS, []),
    ("late", "error", NO_DAYS, []),
    ("part", "next", {}, []),
    ("part.a", "next", {}, [P]),
    ("part.b", "next", {}, []),
    ("part.b.a", "then", proven("number"), []),
    ("part.b.a", "otherwise", {}, []),
    ("part.b.a", "error", {"values": {"product": 7}}, []),
    ("part.b.b", "next", {}, [P]),
    ("part.b.c", "next", {}, []),
    ("part.c", "next", {}, []),
    ("gone", "next", {}, [found("next")]),
    ("gone", "timeout", {}, [found("timeout")]),
    ("gone_too", "next", {}, [found("next", waiting=2)]),
    ("gone_too", "none", {}, [found("none")]),
]


def given(node: str) -> Brought:
    """What a caller in this node always has by then."""
    needs = {"tell": WITH_ORDER, "confirm": WITH_IBAN, "file": WITH_IBAN, "filed": WITH_REFERENCE, "days": DAYS}
    return needs.get(node, {})


@pytest.mark.parametrize(("node", "branch", "brought", "answers"), WAYS)
def test_a_branch_leads_where_the_file_says(node: str, branch: str, brought: Brought, answers: list[Answer]) -> None:
    state, command = at(node, brought)
    for answer in answers:
        assert state.trail == ()
        assert not isinstance(command, Finish)
        state, command = engine.step(FLOW, state, answer)
    assert state.trail[0] == (node, branch)
    target = all_edges(FLOW)[node, branch].target
    assert state.path[1:2] == (() if target is None else (target,))
    assert target is not None or isinstance(command, Finish)


CAN_FAIL = [node for node, kind in FLOW.nodes.items() if type(kind) in COMMANDS]
"""The others need no one outside; their failures are in the table."""


@pytest.mark.parametrize("node", CAN_FAIL)
def test_every_failure_takes_the_error_branch(node: str) -> None:
    state, command = engine.step(FLOW, at(node, given(node))[0], Failed("chance"))
    assert state.trail[0] == (node, "error")
    assert state.error.startswith(f"{node}: chance")
    target = FLOW.nodes[node].error
    assert state.path[1:2] == (() if target is None else (target,))
    if target is None:
        assert isinstance(command, Finish)
        assert command.outcome.ended == "error"


@pytest.mark.parametrize("node", [node for node in FLOW.nodes if (node, "hangup") in all_edges(FLOW)])
def test_every_hang_up_takes_its_branch(node: str) -> None:
    state, _ = engine.hang_up(FLOW, at(node, given(node))[0])
    assert state.trail[0] == (node, "hangup")
    assert state.path[1] == (FLOW.nodes[node].hangup or "gone")


@pytest.mark.parametrize("node", [node for node in FLOW.nodes if (node, "exhausted") in all_edges(FLOW)])
def test_one_visit_too_many_takes_its_branch(node: str) -> None:
    state, _ = at(node, {"visits": {node: FLOW.nodes[node].visits}})
    assert state.trail[0] == (node, "exhausted")
    assert state.path[1] == FLOW.nodes[node].exhausted


@pytest.mark.parametrize(
    ("status", "branch"),
    [
        ("FULL", "full"),
        ("JOINEMPTY", "empty"),
        ("JOINUNAVAIL", "empty"),
        ("LEAVEEMPTY", "empty"),
        ("LEAVEUNAVAIL", "empty"),
        ("TIMEOUT", "overflow"),
        ("KEY-1", "keys.1"),
        ("KEY-2", "overflow"),
        ("KEY-", "overflow"),
        ("", "overflow"),
        ("never heard of", "overflow"),
    ],
)
def test_who_comes_back_from_a_queue_goes_by_its_status(status: str, branch: str) -> None:
    state, _ = engine.come_back(FLOW, at("queue")[0], status)
    assert state.trail == (("queue", branch),)
    assert state.path[1] == follow(FLOW.nodes["queue"], branch)


def test_together_these_tables_take_every_edge() -> None:
    taken = {(node, branch) for node, branch, *_ in WAYS}
    taken |= {(node, "error") for node in CAN_FAIL}
    taken |= {edge for edge in all_edges(FLOW) if edge[1] in ("hangup", "exhausted")}
    taken |= {("queue", branch) for branch in ("full", "empty", "overflow", "keys.1")}
    assert taken == all_edges(FLOW).keys()
    assert {type(node) for node in FLOW.nodes.values()} == BRANCHES.keys()


@pytest.mark.parametrize(
    ("kind", "branch"),
    [(kind, names[0]) for kind, all_names in BRANCHES.items() for names in all_names],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_each_branch_has_the_stand_ins_that_its_table_names(kind: type, branch: str) -> None:
    chain = next(names for names in BRANCHES[kind] if names[0] == branch)
    node = next(node for node in FLOW.nodes.values() if type(node) is kind)
    without = {name: None for names in BRANCHES[kind] for name in names}
    for name in chain:
        assert follow(changed(node, {**without, name: "there"}), branch) == "there"
    assert follow(changed(node, without), branch) is None


@pytest.mark.parametrize("node", ["orders", "open", "file", "later", "message", "erp", "gone_too"])
@pytest.mark.parametrize(
    "branch", ["", "next.1", "choices.1", "type", "error", "hangup", "exhausted", "no such branch"]
)
def test_a_branch_that_the_node_does_not_have_is_a_failure(node: str, branch: str) -> None:
    state, command = lead(at(node, given(node)), found(branch))
    assert state.trail[0] == (node, "error")
    assert state.error == f"{node}: the office gave an answer that is none"


def test_a_branch_that_this_look_up_cannot_have_is_a_failure() -> None:
    # How long a queue is tells nothing of anybody, so nobody is refused.
    assert lead(at("gone_too"), found("refused"))[0].trail == (("gone_too", "error"),)


def test_what_is_said_first_is_the_text_of_the_first_language() -> None:
    _, command = engine.start(FLOW, at("hello")[0].facts)
    assert isinstance(command, Play)
    assert [(phrase.id, phrase.language, phrase.text) for phrase in command.phrases] == [
        ("hello", "de", "Hallo Linden")
    ]
