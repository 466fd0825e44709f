"""What each kind of node does: the command it begins with, and what an answer to it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from ivr_flows import iban, nodes, ports, spoken
from ivr_flows.branches import returns
from ivr_flows.expressions import ExpressionError, evaluate, render
from ivr_flows.phrases import Phrase, filled, parts
from ivr_flows.ports import Preferred, Recognition, Route, Value
from ivr_flows.schema import Flow
from ivr_flows.state import STAY, Ask, Consulted, Next, Play, Played, Record, Recorded, State, Typed
from ivr_flows.walk import (
    COMMANDS,
    INNER,
    KNOWN,
    MAX_VALUE,
    REACTIONS,
    Inner,
    after_hang_up,
    consult,
    fail,
    finish,
    leave,
    leave_as_found,
    perform,
    speak,
    told,
    values_of,
    with_result,
)

ALL_DIGITS = "0123456789*#"
LEAST_PIN = 4
MOST_PIN = 8


# Nodes that need no one outside: (state, branch to leave by).


def _condition(flow: Flow, state: State, node: nodes.Condition) -> Inner:
    return state, "then" if evaluate(node.when, values_of(flow, state)) else "otherwise"


def _set(flow: Flow, state: State, node: nodes.Set) -> Inner:
    return replace(state, values={**state.values, **rendered(flow, state, node.values)}), "next"


def _through(flow: Flow, state: State, node: nodes.SubFlow | nodes.Return) -> Inner:
    return state, "next"


# Nodes that ask something of the world: the command.


def _say(flow: Flow, state: State, node: nodes.Say) -> Next:
    said = _phrases(flow, state, "text")
    # A key that is held in hand already means: do not make me listen.
    if state.typed and node.interrupt:
        return leave(flow, state, "next")
    return replace(state, typed=""), Play(said, node.interrupt)


def _choose_language(flow: Flow, state: State, node: nodes.ChooseLanguage) -> Next:
    offered = [language for language in dict.fromkeys(node.choices.values()) if language in node.text]
    said = [phrase for language in offered for phrase in _in_language(flow, state, "text", language)]
    return _ask(state, tuple(said), 1, node.seconds)


def _recognise(flow: Flow, state: State, node: nodes.Recognise) -> Next:
    if state.proven:
        # What was proven stands: a caller ID must not put another customer in its place.
        return leave(flow, state, "known")
    return consult(state, ports.WhoCalls())


def _collect(flow: Flow, state: State, node: nodes.Collect) -> Next:
    most = spoken_digits(node)
    return _ask(state, _question(flow, state, "text", "wrong"), most, node.seconds, node.skip or "", node.secure)


def spoken_digits(node: nodes.Collect) -> int:
    """How many keys a collect node reads at most."""
    return iban.DIGITS if node.form == "iban_de" else node.most


def _authenticate(flow: Flow, state: State, node: nodes.Authenticate) -> Next:
    found = state.recognition
    customer = found.customer if found is not None and found.certainty in KNOWN else ""
    if state.level == "pin" or (state.level == "number" and node.pin_text is None):
        return leave(flow, state, "next")
    if node.pin_text is not None and customer and not state.phase:
        state = replace(state, phase="pin")
    if state.phase == "pin":
        said = _question(flow, state, "pin_text", "pin_wrong")
        return _ask(state, said, MOST_PIN, node.seconds, node.skip or "", secure=True)
    return _ask(state, _question(flow, state, "text", "wrong"), node.most, node.seconds, node.skip or "")


def _menu(flow: Flow, state: State, node: nodes.Menu) -> Next:
    return _ask(state, _question(flow, state, "text", "wrong"), 1, node.seconds)


def _look_up(flow: Flow, state: State, node: nodes.LookUp) -> Next:
    return consult(state, ports.LookUp(node.what, rendered(flow, state, node.arguments)))


def _request(flow: Flow, state: State, node: nodes.Request) -> Next:
    return consult(state, ports.FileRequest(node.kind, rendered(flow, state, node.fields)))


def _hours(flow: Flow, state: State, node: nodes.Hours) -> Next:
    return consult(state, ports.AreWeOpen(node.hours))


def _call_back(flow: Flow, state: State, node: nodes.CallBack) -> Next:
    number = "" if node.number is None else str(evaluate(node.number, values_of(flow, state)))
    return consult(state, ports.PromiseCallBack(node.queue, number[:MAX_VALUE], state.language))


def _message(flow: Flow, state: State, node: nodes.Message) -> Next:
    if state.gone:
        return after_hang_up(flow, state)
    if state.phase == "record":
        return state, Record(_phrases(flow, state, "text"), state.place, node.longest, node.silence)
    return consult(state, ports.OpenMessage(node.kind, _recipient(flow, state, node)))


def _recipient(flow: Flow, state: State, node: nodes.Message) -> str:
    return str(evaluate(node.recipient, values_of(flow, state)))[:MAX_VALUE]


def _http(flow: Flow, state: State, node: nodes.Http) -> Next:
    url = render(node.url, values_of(flow, state))
    body = rendered(flow, state, node.body)
    return consult(state, ports.CallHttp(url, node.method, body, tuple(node.take), node.seconds))


def _route(flow: Flow, state: State, node: nodes.ToQueue) -> Next:
    values = values_of(flow, state)
    priority = node.priority
    if isinstance(priority, str):
        found = evaluate(priority, values)
        if not isinstance(found, int):
            raise ExpressionError("priority is no whole number")
        priority = min(max(int(found), 0), 1000)
    prefer = node.prefer
    agent = "" if prefer is None or prefer.agent is None else str(evaluate(prefer.agent, values))[:MAX_VALUE]
    route = Route(
        queue=node.queue,
        priority=priority,
        language=node.language or state.language,
        wait=node.wait or 0,
        penalties=(node.penalty.least, node.penalty.most) if node.penalty is not None else None,
        preferred=Preferred(agent, prefer.seconds) if prefer is not None else None,
        returns=returns(node),
    )
    # What was collected secure does not wait in a queue; without it the caller comes back to this node.
    return finish(replace(state, vault={}, anchor=""), route, "routed")


def _transfer(flow: Flow, state: State, node: nodes.Transfer) -> Next:
    default = flow.document.default
    return finish(state, Route(default.queue, default.priority, state.language, transfer=node.to), "routed")


def _say_goodbye(flow: Flow, state: State, node: nodes.HangUp) -> Next:
    said = _phrases(flow, state, "text")
    return (state, Play(said, False)) if said else finish(state, None, "hung_up")


def _in_language(flow: Flow, state: State, key: str, language: str) -> tuple[Phrase, ...]:
    return filled(flow, parts(flow, state.node, key, language), language, values_of(flow, state))


def _phrases(flow: Flow, state: State, key: str) -> tuple[Phrase, ...]:
    return _in_language(flow, state, key, state.language)


def _question(flow: Flow, state: State, key: str, wrong: str) -> tuple[Phrase, ...]:
    before = _phrases(flow, state, wrong) if state.wrong else ()
    return before + _phrases(flow, state, key)


def _ask(state: State, said: tuple[Phrase, ...], most: int, seconds: int, stop: str = "", secure: bool = False) -> Next:
    return replace(state, typed=""), Ask(said, most, seconds, stop, state.typed, secure)


def rendered(flow: Flow, state: State, given: Mapping[str, Value]) -> dict[str, Value]:
    values = values_of(flow, state)
    return {
        name: render(value, values)[:MAX_VALUE] if isinstance(value, str) else value for name, value in given.items()
    }


# What an answer does.


def _said(flow: Flow, state: State, node: nodes.Say, answer: Played) -> Next:
    typed = answer.digit if node.interrupt and answer.digit in ALL_DIGITS else ""
    return leave(flow, replace(state, typed=typed), "next")


def _language_chosen(flow: Flow, state: State, node: nodes.ChooseLanguage, answer: Typed) -> Next:
    return speak(flow, state, node.choices.get(answer.digits, node.default), "next")


def _number_recognised(flow: Flow, state: State, node: nodes.Recognise, answer: Consulted) -> Next:
    finding = answer.finding
    found = finding.recognition or Recognition("none", "")
    state = replace(state, recognition=found)
    if finding.branch == "known" and found.certainty in KNOWN and found.customer:
        return speak(flow, state, found.language if node.speak_language else state.language, "known")
    return leave(flow, state, finding.branch if finding.branch in ("shared", "withheld") else "unknown")


def _collected(flow: Flow, state: State, node: nodes.Collect, answer: Typed) -> Next:
    digits = answer.digits
    if node.skip is not None and digits.startswith(node.skip):
        return leave(flow, state, "skipped")
    if not digits:
        return _silence(flow, state, node)
    value: str | None = digits
    if node.form == "iban_de":
        value = iban.german_iban(digits)
    elif not _fits(digits, node.least, node.most):
        value = None
    if value is None:
        return _wrong(flow, state, node)
    if node.secure:
        anchor = state.anchor or state.node
        state = replace(state, vault={**state.vault, node.into: value}, anchor=anchor)
    else:
        state = replace(state, values={**state.values, node.into: value})
    return leave(flow, state, "next")


def _fits(digits: str, least: int, most: int) -> bool:
    return least <= len(digits) <= most and all(key in spoken.DIGITS for key in digits)


def _proof_typed(flow: Flow, state: State, node: nodes.Authenticate, answer: Typed) -> Next:
    digits = answer.digits
    if node.skip is not None and digits.startswith(node.skip):
        return leave(flow, state, "skipped")
    if not digits:
        return _silence(flow, state, node)
    if state.phase == "pin" and state.recognition is not None:
        if not _fits(digits, LEAST_PIN, MOST_PIN):
            return _wrong(flow, state, node)
        return consult(state, ports.IsPinRight(state.recognition.customer, digits))
    if not _fits(digits, node.least, node.most):
        return _wrong(flow, state, node)
    return consult(state, ports.WhoHasNumber(digits))


def _proof_checked(flow: Flow, state: State, node: nodes.Authenticate, answer: Consulted) -> Next:
    finding = answer.finding
    found = finding.recognition
    if state.phase == "pin":
        if finding.branch == "right":
            state = replace(state, level="pin", recognition=found or state.recognition)
            return _greet_known(flow, state, node, "next")
        if finding.branch == "wrong":
            return _wrong(flow, state, node)
        if finding.branch in ("locked", "none"):
            return leave(flow, state, "locked" if finding.branch == "locked" else "no_pin")
        return fail(flow, state, "the office gave an answer that is none")
    if finding.branch != "known" or found is None or found.certainty not in KNOWN or not found.customer:
        return _wrong(flow, state, node)
    state = replace(state, recognition=found, level="number", tries=0, silences=0, wrong=False)
    if node.pin_text is not None:
        return _greet_known(flow, replace(state, phase="pin"), node, STAY)
    return _greet_known(flow, state, node, "next")


def _greet_known(flow: Flow, state: State, node: nodes.Authenticate, branch: str) -> Next:
    theirs = state.recognition.language if state.recognition is not None else ""
    return speak(flow, state, theirs if node.speak_language else state.language, branch)


def _menu_chosen(flow: Flow, state: State, node: nodes.Menu, answer: Typed) -> Next:
    if answer.digits in node.choices:
        return leave(flow, state, f"choices.{answer.digits}")
    return _wrong(flow, state, node) if answer.digits else _silence(flow, state, node)


def _told(flow: Flow, state: State, node: nodes.LookUp | nodes.Http, answer: Consulted) -> Next:
    finding = answer.finding
    if finding.branch == "next":
        state = with_result(state, node.into, state.node, finding)
    return leave_as_found(flow, state, finding)


def _request_filed(flow: Flow, state: State, node: nodes.Request, answer: Consulted) -> Next:
    if answer.finding.branch == "next":
        # What was filed is not filed again: its reference is a plain value that a checkpoint keeps.
        values = {**state.values, "request_reference": told(answer.finding).get("reference", "")}
        state = replace(state, values=values, vault={}, anchor="")
    return leave_as_found(flow, state, answer.finding)


def _hours_known(flow: Flow, state: State, node: nodes.Hours, answer: Consulted) -> Next:
    return leave_as_found(flow, with_result(state, "hours", state.node, answer.finding), answer.finding)


def _promised(flow: Flow, state: State, node: nodes.CallBack, answer: Consulted) -> Next:
    return leave_as_found(flow, state, answer.finding)


def _message_opened(flow: Flow, state: State, node: nodes.Message, answer: Consulted) -> Next:
    finding = answer.finding
    if state.phase == "keep":
        state = replace(state, place="")
        return after_hang_up(flow, state) if state.gone else leave(flow, state, "next")
    if finding.branch != "next":
        return leave_as_found(flow, state, finding)
    place = finding.values.get("place")
    if not isinstance(place, str) or not place:
        return fail(flow, state, "the office gave no place for the message")
    return perform(flow, replace(state, phase="record", place=place))


def _message_left(flow: Flow, state: State, node: nodes.Message, answer: Recorded) -> Next:
    if state.phase != "record":
        return fail(flow, state, "there was nothing to record")
    return keep(flow, state, node, answer.seconds) if answer.seconds > 0 else leave(flow, state, "empty")


def keep(flow: Flow, state: State, node: nodes.Message, seconds: int) -> Next:
    try:
        recipient = _recipient(flow, state, node)
    except ExpressionError as wrong:
        return fail(flow, state, str(wrong))
    state = replace(state, phase="keep")
    return consult(state, ports.KeepMessage(node.kind, recipient, state.place, seconds))


def _farewell(flow: Flow, state: State, node: nodes.HangUp, answer: Played) -> Next:
    return finish(state, None, "hung_up")


def _wrong(flow: Flow, state: State, node: nodes.Collect | nodes.Authenticate | nodes.Menu) -> Next:
    state = replace(state, tries=state.tries + 1, wrong=True)
    return leave(flow, state, "invalid") if state.tries >= node.tries else perform(flow, state)


def _silence(flow: Flow, state: State, node: nodes.Collect | nodes.Authenticate | nodes.Menu) -> Next:
    state = replace(state, silences=state.silences + 1, wrong=False)
    return leave(flow, state, "timeout") if state.silences >= node.silences else perform(flow, state)


_N = TypeVar("_N")
_A = TypeVar("_A")


def _on(node: type[_N], answer: type[_A], react: Callable[[Flow, State, _N, _A], Next]) -> None:
    REACTIONS[node, answer] = react  # type: ignore[assignment]  # the key says which types it is called with


_on(nodes.Say, Played, _said)
_on(nodes.ChooseLanguage, Typed, _language_chosen)
_on(nodes.Recognise, Consulted, _number_recognised)
_on(nodes.Collect, Typed, _collected)
_on(nodes.Authenticate, Typed, _proof_typed)
_on(nodes.Authenticate, Consulted, _proof_checked)
_on(nodes.Menu, Typed, _menu_chosen)
_on(nodes.LookUp, Consulted, _told)
_on(nodes.Http, Consulted, _told)
_on(nodes.Request, Consulted, _request_filed)
_on(nodes.Hours, Consulted, _hours_known)
_on(nodes.CallBack, Consulted, _promised)
_on(nodes.Message, Consulted, _message_opened)
_on(nodes.Message, Recorded, _message_left)
_on(nodes.HangUp, Played, _farewell)

INNER.update(
    {
        nodes.Condition: _condition,  # type: ignore[dict-item]
        nodes.Set: _set,  # type: ignore[dict-item]
        nodes.SubFlow: _through,  # type: ignore[dict-item]
        nodes.Return: _through,  # type: ignore[dict-item]
    }
)
COMMANDS.update(
    {
        nodes.LookUp: _look_up,  # type: ignore[dict-item]
        nodes.Http: _http,  # type: ignore[dict-item]
        nodes.Hours: _hours,  # type: ignore[dict-item]
        nodes.Say: _say,  # type: ignore[dict-item]
        nodes.ChooseLanguage: _choose_language,  # type: ignore[dict-item]
        nodes.Recognise: _recognise,  # type: ignore[dict-item]
        nodes.Collect: _collect,  # type: ignore[dict-item]
        nodes.Authenticate: _authenticate,  # type: ignore[dict-item]
        nodes.Menu: _menu,  # type: ignore[dict-item]
        nodes.Request: _request,  # type: ignore[dict-item]
        nodes.CallBack: _call_back,  # type: ignore[dict-item]
        nodes.Message: _message,  # type: ignore[dict-item]
        nodes.ToQueue: _route,  # type: ignore[dict-item]
        nodes.Transfer: _transfer,  # type: ignore[dict-item]
        nodes.HangUp: _say_goodbye,  # type: ignore[dict-item]
    }
)
