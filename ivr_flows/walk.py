"""From node to node: entering, leaving, failing, ending. What each kind of node does stands in ``steps``.

Whatever happens, the caller gets on: a branch that is missing is the flow's default queue, and ``step_limit`` ends what
would not end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from ivr_flows.branches import BRANCHES, edges, follow
from ivr_flows.expressions import ExpressionError, Values
from ivr_flows.nodes import Node
from ivr_flows.ports import Finding, Question, Recognition, Route, Standing, Value
from ivr_flows.schema import Flow
from ivr_flows.state import STAY, Answer, Consult, Ended, Finish, Next, Outcome, SetLanguage, State

MAX_VALUE = 64
"""Characters of a value a flow sets or is told."""
MAX_TOLD = 24
"""Values that one answer of the office may bring."""
MAX_WHOLE = 10**15
"""The largest whole number that the office may bring."""
KNOWN = ("certain", "likely")

Inner: TypeAlias = tuple[State, str]
"""What became of a node that needs no one outside, and the branch to leave it by."""

# Filled by ``steps``.
INNER: dict[type, Callable[[Flow, State, Node], Inner]] = {}
COMMANDS: dict[type, Callable[[Flow, State, Node], Next]] = {}
REACTIONS: dict[tuple[type, type], Callable[[Flow, State, Node, Answer], Next]] = {}


def enter(flow: Flow, state: State, target: str | None) -> Next:
    """Go to a node. Nodes that need no one outside are done on the way, so this is a loop, bounded by the limit."""
    while True:
        if target is None:
            return default(flow, state, "routed")
        node = flow.nodes.get(target)
        if node is None:
            return default(flow, replace(state, error=f"no node {target}"), "error")
        if state.steps >= flow.document.step_limit:
            return default(flow, replace(state, error="step limit"), "limit")
        state = replace(
            state,
            node=target,
            phase="",
            tries=0,
            silences=0,
            wrong=False,
            steps=state.steps + 1,
            path=(*state.path, target),
        )
        if node.visits is not None:
            count = state.visits.get(target, 0) + 1
            if count > node.visits:
                state, target = left(state, node, "exhausted")
                continue
            state = replace(state, visits={**state.visits, target: count})
        inner = INNER.get(type(node))
        if inner is None:
            return perform(flow, state)
        try:
            state, branch = inner(flow, state, node)
        except ExpressionError as wrong:
            return fail(flow, state, str(wrong))
        state, target = left(state, node, branch)


def left(state: State, node: Node, branch: str) -> tuple[State, str | None]:
    return replace(state, trail=(*state.trail, (state.node, branch))), follow(node, branch)


def leave(flow: Flow, state: State, branch: str) -> Next:
    state, target = left(state, flow.nodes[state.node], branch)
    return enter(flow, state, target)


def leave_as_found(flow: Flow, state: State, finding: Finding) -> Next:
    """Leave by the branch the office names; one that this node does not have is a failure."""
    node = flow.nodes[state.node]
    own = {names[0] for names in BRANCHES[type(node)]} & {edge.branch for edge in edges(node)}
    if finding.branch in own:
        return leave(flow, state, finding.branch)
    return fail(flow, state, "the office gave an answer that is none")


def perform(flow: Flow, state: State) -> Next:
    node = flow.nodes[state.node]
    try:
        following, command = COMMANDS[type(node)](flow, state, node)
    except ExpressionError as wrong:
        return fail(flow, state, str(wrong))
    if following.gone and not isinstance(command, Consult | Finish):
        return finish(state, None, "gone")
    return following, command


def fail(flow: Flow, state: State, reason: str) -> Next:
    node = flow.nodes[state.node]
    if any(secret in reason for secret in state.vault.values()):
        # Jinja quotes a key that is not there.
        reason = "an expression failed on a secure value"
    state = replace(state, error=f"{state.node}: {reason}", pending=None, typed="", redo=())
    state, target = left(state, node, "error")
    return default(flow, state, "error") if target is None else enter(flow, state, target)


def default(flow: Flow, state: State, ended: Ended) -> Next:
    default = flow.document.default
    return finish(state, Route(default.queue, default.priority, state.language), ended)


def finish(state: State, route: Route | None, ended: Ended) -> Next:
    if state.gone:
        route, ended = None, "gone"
    outcome = Outcome(
        route, state.path, state.language, state.recognition, ended, state.error, state.level, state.trail
    )
    return state, Finish(outcome)


def speak(flow: Flow, state: State, language: str, branch: str) -> Next:
    """Change the language where that is a change and somebody listens, then leave by ``branch``."""
    if language == state.language or language not in flow.document.languages or state.gone:
        return perform(flow, state) if branch == STAY else leave(flow, state, branch)
    return replace(state, language=language, pending=branch), SetLanguage(language)


def values_of(flow: Flow, state: State) -> Values:
    """What expressions can read: ``caller``, ``call``, ``language``, the flow's constants and what it has set."""
    recognition = state.recognition or Recognition("none", "")
    return {
        **flow.constants,
        **state.values,
        **state.results,
        **state.vault,
        "language": state.language,
        "caller": {
            "certainty": recognition.certainty,
            "known": bool(recognition.customer) and recognition.certainty in KNOWN,
            "proven": state.proven,
            "level": state.level,
            "withheld": recognition.certainty == "withheld",
        },
        "call": {"dialled": state.facts.dialled[:32]},
    }


def consult(state: State, question: Question) -> Next:
    standing = Standing(state.facts, state.recognition, state.level, state.language, state.node)
    return state, Consult(question, standing)


def told(finding: Finding) -> dict[str, Value]:
    """What the office's answer holds, as far as a flow can work with it; the rest is as if it were not there."""
    found = {
        key: value[:MAX_VALUE] if isinstance(value, str) else value
        for key, value in finding.values.items()
        if isinstance(value, str) or (isinstance(value, int) and abs(value) <= MAX_WHOLE)
    }
    return dict(list(found.items())[:MAX_TOLD])


def with_result(state: State, name: str, source: str, finding: Finding) -> State:
    results = {**state.results, name: told(finding)}
    return replace(state, results=results, sources={**state.sources, name: source})


def after_hang_up(flow: Flow, state: State) -> Next:
    node = flow.nodes.get(state.node)
    target = (node.hangup if node is not None else None) or flow.document.hangup
    state = replace(state, trail=(*state.trail, (state.node, "hangup")))
    return finish(state, None, "gone") if target is None else enter(flow, state, target)
