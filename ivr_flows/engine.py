"""The flow engine: a pure step. ``start`` and ``step`` say what to do next; a shell does it and brings the answer.

    State, Command = start(flow, facts)
    State, Command = step(flow, state, answer)      until the command is Finish

Whatever is answered, the caller gets on: a node that fails takes its ``error`` branch, a branch that is missing is the
flow's default queue, and ``step_limit`` ends what would not end. Nothing here raises for what a caller did. No digit a
caller typed is ever part of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, TypeVar

from ivr_flows import phrases, schema
from ivr_flows.expressions import ExpressionError, Value, Values, evaluate, render
from ivr_flows.phrases import Phrase
from ivr_flows.ports import CallFacts, Recognition, Route
from ivr_flows.schema import Flow

ALL_DIGITS = "0123456789*#"
MAX_SPOKEN_DIGITS = 20
MAX_VALUE = 64
"""Characters of a value a flow sets."""
KNOWN = ("certain", "likely")

Ended = Literal["routed", "hung_up", "limit", "error", "gone"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a flow ended for one caller."""

    route: Route | None
    """Where the caller goes; none when the call is over."""
    path: tuple[str, ...]
    """The nodes the caller came through, in order."""
    language: str
    recognition: Recognition | None
    ended: Ended
    """``limit`` and ``error``: the flow did not get to its end, and the default route was taken."""
    error: str = ""
    """What went wrong last, if anything did; without personal data."""


@dataclass(frozen=True, slots=True)
class Play:
    """Say it. Answer: ``Played``."""

    phrases: tuple[Phrase, ...]
    interrupt: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Say it and read keys. Answer: ``Typed``."""

    phrases: tuple[Phrase, ...]
    most: int
    seconds: int
    stop: str
    """A first key among these ends the input at once."""
    typed: str
    """What was typed ahead already, to be put in front; nothing is said then."""


@dataclass(frozen=True, slots=True)
class Recognise:
    """Look the caller up by number. Answer: ``Recognised``."""


@dataclass(frozen=True, slots=True)
class LookUpCustomerNumber:
    """Look up what was typed. Answer: ``Recognised``."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetLanguage:
    """Speak this language from now on. Answer: ``Done``."""

    language: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end."""

    outcome: Outcome


Command: TypeAlias = Play | Ask | Recognise | LookUpCustomerNumber | SetLanguage | Finish


@dataclass(frozen=True, slots=True)
class Played:
    """It was said; ``digit`` interrupted it, or is empty."""

    digit: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """Keys, without the ``#`` that ended them; empty: silence, or ``#`` alone."""

    digits: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the directory knows."""

    recognition: Recognition


@dataclass(frozen=True, slots=True)
class Done:
    """It is done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be done; the node's ``error`` branch is next. ``reason`` holds no personal data."""

    reason: str


Answer: TypeAlias = Played | Typed | Recognised | Done | Failed


@dataclass(frozen=True, slots=True)
class State:
    """Where one caller is in a flow."""

    facts: CallFacts
    language: str
    node: str = ""
    tries: int = 0
    """Wrong answers in this node."""
    silences: int = 0
    """Silences in this node."""
    wrong: bool = False
    """The last answer was wrong, and that has to be said before asking again."""
    then: str | None = None
    """Where to go once the language is set; empty: the default route."""
    typed: str = ""
    """One key that was pressed ahead of its question."""
    recognition: Recognition | None = None
    proven: bool = False
    """The caller gave a customer number that is right."""
    values: Mapping[str, Value] = field(default_factory=dict)
    visits: Mapping[str, int] = field(default_factory=dict)
    """Only of nodes that limit them."""
    path: tuple[str, ...] = ()
    steps: int = 0
    error: str = ""


Next: TypeAlias = tuple[State, Command]


def start(flow: Flow, facts: CallFacts) -> Next:
    """Begin with a caller."""
    return _enter(flow, State(facts=facts, language=flow.document.languages[0]), flow.document.start)


def step(flow: Flow, state: State, answer: Answer) -> Next:
    """Go on. An answer that does not fit the command counts as a failure of the node."""
    node = flow.document.nodes.get(state.node)
    if node is None:
        return _default(flow, state, "error")
    if isinstance(answer, Failed):
        return _fail(flow, state, answer.reason)
    if isinstance(answer, Done) and state.then is not None:
        return _enter(flow, replace(state, then=None), state.then or None)
    react = _REACTIONS.get((type(node), type(answer)))
    if react is None:
        return _fail(flow, state, f"{type(answer).__name__} does not answer {node.type}")
    return react(flow, state, node, answer)


def again(flow: Flow, state: State) -> Next:
    """The command of the node the caller is in, from its beginning: for a caller who was handed over."""
    return _perform(flow, replace(state, then=None, typed=""))


def _enter(flow: Flow, state: State, target: str | None) -> Next:
    """Go to a node. Nodes that need no one outside are done on the way, so this is a loop, bounded by the limit."""
    while True:
        if target is None:
            return _default(flow, state, "routed")
        node = flow.document.nodes.get(target)
        if node is None:
            return _default(flow, replace(state, error=f"no node {target}"), "error")
        if state.steps >= flow.document.step_limit:
            return _default(flow, replace(state, error="step limit"), "limit")
        state = replace(
            state,
            node=target,
            tries=0,
            silences=0,
            wrong=False,
            steps=state.steps + 1,
            path=(*state.path, target),
        )
        if node.visits is not None:
            count = state.visits.get(target, 0) + 1
            if count > node.visits:
                target = node.exhausted
                continue
            state = replace(state, visits={**state.visits, target: count})
        inner = _INNER.get(type(node))
        if inner is None:
            return _perform(flow, state)
        try:
            state, target = inner(flow, state, node)
        except ExpressionError as wrong:
            return _fail(flow, state, str(wrong))


def _perform(flow: Flow, state: State) -> Next:
    node = flow.document.nodes[state.node]
    try:
        return _COMMANDS[type(node)](flow, state, node)
    except ExpressionError as wrong:
        return _fail(flow, state, str(wrong))


def _fail(flow: Flow, state: State, reason: str) -> Next:
    node = flow.document.nodes[state.node]
    state = replace(state, error=f"{state.node}: {reason}", then=None, typed="")
    return _default(flow, state, "error") if node.error is None else _enter(flow, state, node.error)


def _default(flow: Flow, state: State, ended: Ended) -> Next:
    default = flow.document.default
    return _finish(state, Route(default.queue, default.priority, state.language), ended)


def _finish(state: State, route: Route | None, ended: Ended) -> Next:
    outcome = Outcome(route, state.path, state.language, state.recognition, ended, state.error)
    return state, Finish(outcome)


def _speak(flow: Flow, state: State, language: str, target: str | None) -> Next:
    """Change the language where that is a change, then go on."""
    if language == state.language or language not in flow.document.languages:
        return _enter(flow, state, target)
    return replace(state, language=language, then=target or ""), SetLanguage(language)


def values_of(flow: Flow, state: State) -> Values:
    """What expressions can read: ``caller``, ``call``, ``language``, the flow's constants and what it has set."""
    recognition = state.recognition or Recognition("none", "")
    return {
        **flow.document.constants,
        **state.values,
        "language": state.language,
        "caller": {
            "certainty": recognition.certainty,
            "known": bool(recognition.customer) and recognition.certainty in KNOWN,
            "proven": state.proven,
            "withheld": recognition.certainty == "withheld",
        },
        "call": {"dialled": state.facts.dialled[:32]},
    }


# Nodes that need no one outside: (state, node to go to).
_Inner: TypeAlias = tuple[State, str | None]


def _condition(flow: Flow, state: State, node: schema.Condition) -> _Inner:
    return state, node.then if evaluate(node.when, values_of(flow, state)) else node.otherwise


def _set(flow: Flow, state: State, node: schema.Set) -> _Inner:
    found = dict(state.values)
    for name, value in node.values.items():
        found[name] = render(value, values_of(flow, state))[:MAX_VALUE] if isinstance(value, str) else value
    return replace(state, values=found), node.next


# Nodes that ask something of the world: the command.


def _say(flow: Flow, state: State, node: schema.Say) -> Next:
    spoken = _phrases(flow, state, "text")
    if node.digits is not None:
        value = str(evaluate(node.digits, values_of(flow, state)))
        digits = [character for character in value if character in phrases.DIGITS][:MAX_SPOKEN_DIGITS]
        spoken += tuple(phrases.digit(character, state.language) for character in digits)
    # A key that is held in hand already means: do not make me listen.
    if state.typed and node.interrupt:
        return _enter(flow, state, node.next)
    return replace(state, typed=""), Play(spoken, node.interrupt)


def _choose_language(flow: Flow, state: State, node: schema.ChooseLanguage) -> Next:
    offered = dict.fromkeys(node.choices.values())
    spoken = [phrases.phrase(flow, state.node, "text", language) for language in offered if language in node.text]
    return _ask(state, tuple(phrase for phrase in spoken if phrase is not None), 1, node.seconds)


def _recognise(flow: Flow, state: State, node: schema.Recognise) -> Next:
    return state, Recognise()


def _collect(flow: Flow, state: State, node: schema.Collect) -> Next:
    return _ask(state, _question(flow, state), node.most, node.seconds, node.skip or "")


def _menu(flow: Flow, state: State, node: schema.Menu) -> Next:
    return _ask(state, _question(flow, state), 1, node.seconds)


def _route(flow: Flow, state: State, node: schema.ToQueue) -> Next:
    priority = node.priority
    if isinstance(priority, str):
        found = evaluate(priority, values_of(flow, state))
        if not isinstance(found, int):
            raise ExpressionError("priority is no whole number")
        priority = min(max(int(found), 0), 1000)
    return _finish(state, Route(node.queue, priority, node.language or state.language), "routed")


def _hang_up(flow: Flow, state: State, node: schema.HangUp) -> Next:
    spoken = _phrases(flow, state, "text")
    return (state, Play(spoken, False)) if spoken else _finish(state, None, "hung_up")


def _phrases(flow: Flow, state: State, *keys: str) -> tuple[Phrase, ...]:
    found = (phrases.phrase(flow, state.node, key, state.language) for key in keys)
    return tuple(phrase for phrase in found if phrase is not None)


def _question(flow: Flow, state: State) -> tuple[Phrase, ...]:
    return _phrases(flow, state, "wrong", "text") if state.wrong else _phrases(flow, state, "text")


def _ask(state: State, spoken: tuple[Phrase, ...], most: int, seconds: int, stop: str = "") -> Next:
    return replace(state, typed=""), Ask(spoken, most, seconds, stop, state.typed)


# What an answer does.


def _said(flow: Flow, state: State, node: schema.Say, answer: Played) -> Next:
    typed = answer.digit if node.interrupt and answer.digit in ALL_DIGITS else ""
    return _enter(flow, replace(state, typed=typed), node.next)


def _language_chosen(flow: Flow, state: State, node: schema.ChooseLanguage, answer: Typed) -> Next:
    return _speak(flow, state, node.choices.get(answer.digits, node.default), node.next)


def _number_recognised(flow: Flow, state: State, node: schema.Recognise, answer: Recognised) -> Next:
    found = answer.recognition
    state = replace(state, recognition=found)
    if found.certainty in KNOWN and found.customer:
        return _speak(flow, state, found.language if node.speak_language else state.language, node.known)
    branches = {"shared": node.shared, "withheld": node.withheld}
    return _enter(flow, state, branches.get(found.certainty) or node.unknown)


def _number_typed(flow: Flow, state: State, node: schema.Collect, answer: Typed) -> Next:
    digits = answer.digits
    if node.skip is not None and digits.startswith(node.skip):
        return _enter(flow, state, node.skipped or node.timeout or node.invalid)
    if not digits:
        return _silence(flow, state, node)
    if not node.least <= len(digits) <= node.most or any(key not in phrases.DIGITS for key in digits):
        return _wrong(flow, state, node)
    return state, LookUpCustomerNumber(digits)


def _number_looked_up(flow: Flow, state: State, node: schema.Collect, answer: Recognised) -> Next:
    found = answer.recognition
    if found.certainty not in KNOWN or not found.customer:
        return _wrong(flow, state, node)
    state = replace(state, recognition=found, proven=True)
    return _speak(flow, state, found.language if node.speak_language else state.language, node.next)


def _menu_chosen(flow: Flow, state: State, node: schema.Menu, answer: Typed) -> Next:
    target = node.choices.get(answer.digits)
    if target is not None:
        return _enter(flow, state, target)
    return _wrong(flow, state, node) if answer.digits else _silence(flow, state, node)


def _farewell(flow: Flow, state: State, node: schema.HangUp, answer: Played) -> Next:
    return _finish(state, None, "hung_up")


def _wrong(flow: Flow, state: State, node: schema.Collect | schema.Menu) -> Next:
    state = replace(state, tries=state.tries + 1, wrong=True)
    return _enter(flow, state, node.invalid) if state.tries >= node.tries else _perform(flow, state)


def _silence(flow: Flow, state: State, node: schema.Collect | schema.Menu) -> Next:
    state = replace(state, silences=state.silences + 1, wrong=False)
    if state.silences >= node.silences:
        return _enter(flow, state, node.timeout or node.invalid)
    return _perform(flow, state)


_N = TypeVar("_N")
_A = TypeVar("_A")
_React: TypeAlias = Callable[[Flow, State, schema.Node, Answer], Next]
_REACTIONS: dict[tuple[type, type], _React] = {}


def _on(node: type[_N], answer: type[_A], react: Callable[[Flow, State, _N, _A], Next]) -> None:
    _REACTIONS[node, answer] = react  # type: ignore[assignment]  # the key says which types it is called with


_on(schema.Say, Played, _said)
_on(schema.ChooseLanguage, Typed, _language_chosen)
_on(schema.Recognise, Recognised, _number_recognised)
_on(schema.Collect, Typed, _number_typed)
_on(schema.Collect, Recognised, _number_looked_up)
_on(schema.Menu, Typed, _menu_chosen)
_on(schema.HangUp, Played, _farewell)

_INNER: dict[type, Callable[[Flow, State, schema.Node], _Inner]] = {
    schema.Condition: _condition,  # type: ignore[dict-item]
    schema.Set: _set,  # type: ignore[dict-item]
}
_COMMANDS: dict[type, Callable[[Flow, State, schema.Node], Next]] = {
    schema.Say: _say,  # type: ignore[dict-item]
    schema.ChooseLanguage: _choose_language,  # type: ignore[dict-item]
    schema.Recognise: _recognise,  # type: ignore[dict-item]
    schema.Collect: _collect,  # type: ignore[dict-item]
    schema.Menu: _menu,  # type: ignore[dict-item]
    schema.ToQueue: _route,  # type: ignore[dict-item]
    schema.HangUp: _hang_up,  # type: ignore[dict-item]
}
