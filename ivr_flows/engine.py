"""The flow engine: a pure step. ``start`` and ``step`` say what to do next; a shell does it and brings the answer.

    State, Command = start(flow, facts)
    State, Command = step(flow, state, answer)      until the command is Finish
    State, Command = hang_up(flow, state)           when the caller is gone

Whatever is answered, the caller gets on: a node that fails takes its ``error`` branch, a branch that is missing is the
flow's default queue, and ``step_limit`` ends what would not end. Nothing here raises for what a caller did. What was
collected ``secure`` lives in ``State.vault`` alone, which no checkpoint, log or variable ever sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ivr_flows import nodes, ports, steps
from ivr_flows.branches import returns
from ivr_flows.expressions import ExpressionError
from ivr_flows.ports import CallFacts
from ivr_flows.schema import Flow
from ivr_flows.state import STAY, Answer, Consulted, Done, Failed, Next, State
from ivr_flows.walk import (
    COMMANDS,
    REACTIONS,
    after_hang_up,
    default,
    enter,
    fail,
    finish,
    leave,
    perform,
    with_result,
)

_ASKED_AGAIN = (nodes.LookUp, nodes.Http, nodes.Hours)
"""Nodes whose results no checkpoint keeps."""


def start(flow: Flow, facts: CallFacts) -> Next:
    """Begin with a caller."""
    return enter(flow, State(facts=facts, language=flow.document.languages[0]), flow.document.start)


def step(flow: Flow, state: State, answer: Answer) -> Next:
    """Go on. An answer that does not fit the command counts as a failure of the node."""
    node = flow.nodes.get(state.node)
    if node is None:
        return default(flow, state, "error")
    if isinstance(answer, Failed):
        return fail(flow, state, answer.reason)
    if state.redo:
        return _redone(flow, state, answer)
    if isinstance(answer, Done) and state.pending is not None:
        branch, state = state.pending, replace(state, pending=None)
        return perform(flow, state) if branch == STAY else leave(flow, state, branch)
    react = REACTIONS.get((type(node), type(answer)))
    if react is None:
        return fail(flow, state, f"{type(answer).__name__} does not answer {node.type}")
    try:
        return react(flow, state, node, answer)
    except ExpressionError as wrong:
        return fail(flow, state, str(wrong))


def again(flow: Flow, state: State) -> Next:
    """The command of the node the caller is in, from its beginning: for a caller who was handed over."""
    state = replace(state, pending=None, typed="", phase="", redo=tuple(dict.fromkeys(state.sources.values())))
    return _redo(flow, state)


def come_back(flow: Flow, state: State, status: str) -> Next:
    """Go on after a queue that had no agent. ``status``: Asterisk's ``QUEUESTATUS``, or ``KEY-`` and the key."""
    node = flow.nodes.get(state.node)
    if not isinstance(node, nodes.ToQueue) or not returns(node):
        return default(flow, replace(state, error="came back to no queue"), "error")
    key = status.removeprefix("KEY-")
    branch = f"keys.{key}" if status != key and key in node.keys else _QUEUE_ENDS.get(status, "overflow")
    return _redo(flow, replace(state, pending=branch, redo=tuple(dict.fromkeys(state.sources.values()))))


_QUEUE_ENDS: Mapping[str, str] = {
    "FULL": "full",
    "JOINEMPTY": "empty",
    "JOINUNAVAIL": "empty",
    "LEAVEEMPTY": "empty",
    "LEAVEUNAVAIL": "empty",
}


def hang_up(flow: Flow, state: State) -> Next:
    """The caller is gone: what can still be done without one, then the end."""
    if state.gone:
        return finish(state, None, "gone")
    state = replace(state, gone=True, typed="", pending=None, redo=())
    node = flow.nodes.get(state.node)
    if isinstance(node, nodes.Message) and state.phase == "record" and state.place:
        # Hanging up is how most people end a message.
        return steps.keep(flow, state, node, ports.UNMEASURED)
    return after_hang_up(flow, state)


# Look-ups are asked again for a caller who was handed over.


def _redo(flow: Flow, state: State) -> Next:
    while state.redo:
        node = flow.nodes.get(state.redo[0])
        if node is None or not isinstance(node, _ASKED_AGAIN):
            state = replace(state, redo=state.redo[1:])
            continue
        try:
            _, command = COMMANDS[type(node)](flow, state, node)
        except ExpressionError as wrong:
            return fail(flow, state, str(wrong))
        return state, command
    branch, state = state.pending, replace(state, pending=None)
    return perform(flow, state) if branch is None else leave(flow, state, branch)


def _redone(flow: Flow, state: State, answer: Answer) -> Next:
    if not isinstance(answer, Consulted):
        return fail(flow, state, f"{type(answer).__name__} answers no look-up")
    source = state.redo[0]
    for name in [name for name, one in state.sources.items() if one == source]:
        state = with_result(state, name, source, answer.finding)
    return _redo(flow, replace(state, redo=state.redo[1:]))
