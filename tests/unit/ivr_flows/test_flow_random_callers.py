"""A caller who does anything, an office that answers anything: nobody finds a dead end, and nothing secret gets out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.ivr_flows.everything import FACTS, FLOW, IBAN, KNOWN, NONE, ORDER, SHARED, WITHHELD, all_edges, at, texts

from ivr_flows import engine, nodes, ports
from ivr_flows.checkpoint import MAX_CHARACTERS, checkpoint, resume
from ivr_flows.ports import Finding, Recognition
from ivr_flows.state import (
    Answer,
    Ask,
    Command,
    Consult,
    Consulted,
    Done,
    Failed,
    Finish,
    Next,
    Play,
    Played,
    Record,
    Recorded,
    State,
    Typed,
)

WILD = ["", "next", "next.1", "choices.1", "type", "text", "error", "hangup", "exhausted", "no such branch"]
USUAL: Mapping[type, tuple[str, ...]] = {
    ports.WhoCalls: ("known", "shared", "withheld", "unknown"),
    ports.WhoHasNumber: ("known", "known", "unknown"),
    ports.IsPinRight: ("right", "right", "wrong", "locked", "none"),
    ports.LookUp: ("next", "next", "none", "refused"),
    ports.FileRequest: ("next", "refused"),
    ports.AreWeOpen: ("open", "open", "open", "closed", "holiday", "emergency"),
    ports.PromiseCallBack: ("next", "already", "refused"),
    ports.OpenMessage: ("next", "next", "refused"),
    ports.KeepMessage: ("next",),
    ports.CallHttp: ("next", "next", "timeout"),
}
STATUSES = ["FULL", "JOINEMPTY", "TIMEOUT", "LEAVEEMPTY", "KEY-1", "KEY-9", "", "x"]
GOOD: dict[str, object] = {**ORDER, "reference": "RQ-1", "place": "/m/1", "days": 3, "opens_at": "08:00"}
NAMES = st.sampled_from(sorted(GOOD))
TEXT = st.text(max_size=9)
GARBAGE = (
    st.text(max_size=80)
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats()
    | st.binary(max_size=9)
    | st.lists(st.text(max_size=3), max_size=2)
    | st.just(10**5000)
    | st.just("x" * 10_000)
)


@dataclass(frozen=True)
class Move:
    """What happens at one moment, whatever the flow asks for then."""

    deed: str
    pick: int
    """Which of the usual answers."""
    wild: str | None
    """Keys, or a branch, in place of a usual answer."""
    values: dict[str, object]
    recognition: Recognition | None
    status: str


MOVES = st.builds(
    Move,
    deed=st.sampled_from(["fits"] * 40 + ["fails", "misfits", "hangs up", "is handed over"]),
    pick=st.integers(0, 59),
    wild=st.sampled_from([None] * 30 + WILD) | st.text("0123456789*#", max_size=22).map(lambda keys: keys or None),
    values=st.just(GOOD) | st.dictionaries(NAMES, GARBAGE, max_size=2).map(lambda odd: {**GOOD, **odd}),
    recognition=st.sampled_from([KNOWN] * 9 + [NONE, SHARED, WITHHELD, None])
    | st.builds(Recognition, TEXT, st.text(max_size=99), st.text(max_size=99), language=TEXT),
    status=st.sampled_from(STATUSES),
)
CALLERS = st.lists(MOVES, max_size=60) | st.lists(MOVES, min_size=25, max_size=60)
ANYWHERE = st.sampled_from([FLOW.document.start, *FLOW.order])
SILENT = Move("fits", 0, "", {}, NONE, "TIMEOUT")


def usual_keys(state: State) -> tuple[str, ...]:
    node = FLOW.nodes[state.node]
    if isinstance(node, nodes.Menu):
        return (*node.choices, "#", "")
    if isinstance(node, nodes.Collect):
        return (IBAN, IBAN, IBAN, "*", "", "1") if node.secure else ("77", "77", "")
    return ("4711", "4711", "4711", "1", "*", "")


def fitting(state: State, command: Command, move: Move) -> Answer:
    if isinstance(command, Play):
        return Played(move.wild[:1] if move.wild else "")
    if isinstance(command, Ask):
        keys = usual_keys(state)
        return Typed(keys[move.pick % len(keys)] if move.wild is None else move.wild)
    if isinstance(command, Record):
        return Recorded(move.pick - 1)
    if isinstance(command, Consult):
        branches = USUAL[type(command.question)]
        branch = branches[move.pick % len(branches)] if move.wild is None else move.wild
        return Consulted(Finding(branch, move.values, move.recognition))  # type: ignore[arg-type]
    return Done()


def misfitting(state: State, command: Command, move: Move) -> Answer:
    right = type(fitting(state, command, move))
    others: list[Answer] = [Played("1"), Typed(IBAN), Recorded(7), Done(), Consulted(Finding("next"))]
    wrong = [answer for answer in others if type(answer) is not right]
    return wrong[move.pick % len(wrong)]


def handed_over(state: State) -> Next | None:
    """What the next server makes of the checkpoint; none: the caller begins anew."""
    text = checkpoint(FLOW, state)
    assert len(text) <= MAX_CHARACTERS
    kept = resume(FLOW, text, FACTS)
    return engine.again(FLOW, kept) if kept is not None else None


def after(state: State, command: Command, move: Move) -> Next | None:
    """None: the caller is gone for good, or with an agent."""
    if isinstance(command, Finish):
        route = command.outcome.route
        kept = resume(FLOW, checkpoint(FLOW, state), FACTS) if route is not None and route.returns else None
        return engine.come_back(FLOW, kept, move.status) if kept is not None else None
    if move.deed == "hangs up":
        return engine.hang_up(FLOW, state)
    if move.deed == "is handed over" and isinstance(command, Play | Ask | Record) and not state.gone:
        return handed_over(state) or engine.start(FLOW, FACTS)
    if move.deed == "fails":
        return engine.step(FLOW, state, Failed("chance"))
    return engine.step(FLOW, state, (misfitting if move.deed == "misfits" else fitting)(state, command, move))


def prove(state: State, command: Command, edges: set[tuple[str, str]]) -> None:
    assert state.steps <= FLOW.document.step_limit
    assert set(state.trail) - edges <= {(node, "hangup") for node in FLOW.nodes}
    assert not (state.gone and not isinstance(command, Consult | Finish))
    secrets = [value for value in state.vault.values() if len(value) > 9]
    if not isinstance(command, Finish):
        text = checkpoint(FLOW, state)
        assert text
        assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=.-")
        assert all(secret not in repr(resume(FLOW, text, FACTS)) for secret in secrets)
    shown = repr((replace(state, values={}), command)) + state.error
    assert all(secret not in shown for secret in secrets)


ROUND = Move("fits", 0, None, GOOD, KNOWN, "KEY-1")


@given(ANYWHERE, CALLERS)
@settings(max_examples=150, deadline=None)
@example(FLOW.document.start, [ROUND] * 60)
@example("bank", [ROUND] * 60)
@example(FLOW.document.start, [ROUND, replace(ROUND, pick=1)] * 30)
@example(FLOW.document.start, [replace(ROUND, deed="fails")] * 60)
@example(FLOW.document.start, [replace(ROUND, deed="misfits")] * 60)
def test_nobody_finds_a_dead_end(beginning: str, caller: list[Move]) -> None:
    edges = set(all_edges(FLOW))
    state, command = at(beginning)
    prove(state, command, edges)
    for move in caller:
        following = after(state, command, move)
        if following is None:
            break
        state, command = following
        prove(state, command, edges)
    # From wherever the caller fell silent, silence alone leads to an end.
    budget = FLOW.document.step_limit * 8
    while not isinstance(command, Finish):
        state, command = engine.step(FLOW, state, fitting(state, command, SILENT))
        budget -= 1
        assert budget > 0
    outcome = command.outcome
    assert (outcome.route is None) == (outcome.ended in ("hung_up", "gone"))


@given(ANYWHERE, CALLERS)
@settings(max_examples=150, deadline=None)
@example(FLOW.document.start, [ROUND] * 60)
@example("bank", [ROUND] * 60)
def test_who_is_handed_over_hears_the_same_question(beginning: str, caller: list[Move]) -> None:
    state, command = at(beginning)
    for move in caller:
        following = after(state, command, replace(move, deed="fits"))
        if following is None:
            return
        state, command = following
        if not isinstance(command, Play | Ask) or state.anchor:
            continue
        again = handed_over(state)
        assert again is not None
        while again[0].redo:
            # The office knows what it knew before.
            source = again[0].redo[0]
            values = next(state.results[name] for name, node in again[0].sources.items() if node == source)
            again = engine.step(FLOW, again[0], Consulted(Finding("next", values)))
        assert texts(again[1]) == texts(command)
        assert (type(again[1]), again[0].node, again[0].language) == (type(command), state.node, state.language)
        assert (again[0].trail, again[0].level, again[0].values) == ((), state.level, state.values)


@given(ANYWHERE, CALLERS, st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_a_hang_up_at_any_moment_ends_without_a_route(beginning: str, caller: list[Move], moment: int) -> None:
    state, command = at(beginning)
    for move in caller[:moment]:
        if isinstance(command, Finish):
            return
        state, command = engine.step(FLOW, state, fitting(state, command, move))
    if isinstance(command, Finish):
        return
    state, command = engine.hang_up(FLOW, state)
    for move in [*caller, *[SILENT] * 5]:
        assert isinstance(command, Consult | Finish)
        if isinstance(command, Finish):
            break
        state, command = engine.step(FLOW, state, fitting(state, command, move))
    assert isinstance(command, Finish)
    assert (command.outcome.route, command.outcome.ended) == (None, "gone")
