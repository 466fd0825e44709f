"""Scripts: what a caller does, and how the world is meanwhile. The format of ``<flow>.scripts.yaml``, strictly read.

    callers:
      impatient:
        steps: [press: 1, hangup]

Everything but the steps has a default: the office is open and answers, customer numbers and PINs are right, queues are
served. Raises ``FlowError`` with file, line and column, as flow files do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as model

from ivr_flows import nodes, schema, yaml_text
from ivr_flows.branches import WITH_CALLER
from ivr_flows.nodes import STRICT, Language, Scalar, ValueName
from ivr_flows.ports import Level
from ivr_flows.schema import Flow, FlowError, Problem
from ivr_flows.state import Ended
from ivr_flows.yaml_text import Place

SUFFIX = ".scripts.yaml"
"""``customer-care.scripts.yaml`` lies beside ``customer-care.yaml``."""
FAILS = "fails"
"""In place of a branch: there is no answer, or the prompt cannot be played."""

WORDS: Mapping[str, tuple[str, ...]] = {
    # What can be answered; the first is what is meant when only values are given.
    "recognise": ("known", "shared", "withheld", "unknown"),
    "customer_number": ("known", "unknown"),
    "pin": ("right", "wrong", "locked", "none"),
    "hours": ("open", "closed", "holiday", "emergency"),
    "lookups": ("next", "none", "refused"),
    "requests": ("next", "refused"),
    "callback": ("next", "already", "refused"),
    "message": ("next", "refused"),
    "http": ("next", "timeout"),
}
KINDS: Mapping[type, str] = {
    nodes.Recognise: "recognise",
    nodes.Hours: "hours",
    nodes.LookUp: "lookups",
    nodes.Request: "requests",
    nodes.CallBack: "callback",
    nodes.Message: "message",
    nodes.Http: "http",
}
"""Which of the ``WORDS`` answer a kind of node. An authentication asks two things, so it is not among them."""


def _text(value: object) -> object:
    # Without quotation marks YAML takes keys for a number; that loses nothing, as a leading 0 keeps them text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Keys = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[0-9*#]{1,64}$")]
NodeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,4}$")]
"""Nodes of sub-flows are ``node.inner``."""
Said = Annotated[str, Field(min_length=1, max_length=2000)]
Status = Annotated[
    str,
    Field(pattern=r"^(answered|TIMEOUT|FULL|JOINEMPTY|JOINUNAVAIL|LEAVEEMPTY|LEAVEUNAVAIL|KEY-[0-9*#])$"),
]
"""How the caller's time in a queue ends: ``answered``, Asterisk's ``QUEUESTATUS``, or ``KEY-`` and the key."""


@model(frozen=True, config=STRICT, kw_only=True)
class Press:
    """Press keys at the next question. ``#`` ends a number; keys that a question leaves over count at the next one."""

    press: Keys


@model(frozen=True, config=STRICT, kw_only=True)
class Type:
    """The same as ``press``; reads better for numbers."""

    type: Keys


@model(frozen=True, config=STRICT, kw_only=True)
class Ahead:
    """Press keys while the next thing is being said."""

    ahead: Keys


@model(frozen=True, config=STRICT, kw_only=True)
class Speak:
    """Leave a voice message of so many seconds."""

    speak: Annotated[int, Field(ge=1, le=300)]


@model(frozen=True, config=STRICT, kw_only=True)
class HangUpAt:
    """Hang up once that node talks (or asks the office, if it never talks), or in that queue; do nothing until then."""

    hangup: NodeName


_DEEDS: Mapping[str, str] = {"press": "press", "type": "type", "ahead": "ahead", "speak": "speak", "hangup": "at"}


def _kind_of_step(value: object) -> str | None:
    if isinstance(value, str):
        return "word"
    if isinstance(value, dict):
        return next((tag for key, tag in _DEEDS.items() if key in value), None)
    return _DEEDS.get(str(next(iter(getattr(value, "__dataclass_fields__", "?")))))


Step: TypeAlias = Annotated[
    Annotated[Literal["silence", "hangup"], Tag("word")]
    | Annotated[Press, Tag("press")]
    | Annotated[Type, Tag("type")]
    | Annotated[Ahead, Tag("ahead")]
    | Annotated[Speak, Tag("speak")]
    | Annotated[HangUpAt, Tag("at")],
    Discriminator(
        _kind_of_step,
        custom_error_type="step",
        custom_error_message="a step is press, type, ahead, speak, silence or hangup",
    ),
]


@model(frozen=True, config=STRICT, kw_only=True)
class Answer:
    """What the office answers: a branch, and values (which go over the usual ones)."""

    branch: str = ""
    """Default: the good one, which is ``next``, ``open``, ``known`` or ``right``."""
    values: dict[ValueName, Scalar] = field(default_factory=dict)


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list) else "word"


def _kind_of_answer(value: object) -> str | None:
    if isinstance(value, str):
        return "word"
    return "several" if isinstance(value, list) else "answer"


_One = Annotated[Annotated[str, Tag("word")] | Annotated[Answer, Tag("answer")], Discriminator(_kind_of_answer)]
Canned: TypeAlias = Annotated[
    Annotated[str, Tag("word")]
    | Annotated[Answer, Tag("answer")]
    | Annotated[list[_One], Field(min_length=1), Tag("several")],
    Discriminator(_kind_of_answer),
]
"""A branch, an ``Answer``, or a list of them: one for each time it is asked, the last one from then on."""


Statuses: TypeAlias = Annotated[
    Annotated[Status, Tag("word")] | Annotated[list[Status], Field(max_length=50), Tag("several")],
    Discriminator(_one_or_several),
]


@model(frozen=True, config=STRICT, kw_only=True)
class Person:
    """Who calls."""

    number: Annotated[str, Field(max_length=80)] = "+49301234567"
    withheld: bool = False
    """The number is not shown."""
    certainty: Literal["certain", "likely", "shared", "none"] | None = None
    """How sure the number makes; default: ``certain`` where there is a ``customer``, else ``none``."""
    customer: Annotated[str, BeforeValidator(_text), Field(max_length=64)] = ""
    """The customer number, which is then the only one that is right."""
    pin: Annotated[str, BeforeValidator(_text), Field(max_length=8)] = ""
    """The PIN, which is then the only one that is right."""
    language: Language | None = None
    """The customer's, as the office knows it."""
    dialled: Annotated[str, BeforeValidator(_text), Field(max_length=32)] = "0301000"


@model(frozen=True, config=STRICT, kw_only=True)
class Office:
    """What the office says when the flow asks it. What is left out is answered well."""

    down: bool = False
    """Every question fails."""
    recognise: Canned | None = None
    customer_number: Canned | None = None
    pin: Canned | None = None
    hours: Canned | None = None
    lookups: dict[ValueName, Canned] = field(default_factory=dict)
    """By what is looked up: ``orders``."""
    requests: dict[ValueName, Canned] = field(default_factory=dict)
    """By kind: ``bank_details``."""
    callback: Canned | None = None
    message: Canned | None = None
    http: Canned | None = None
    nodes: dict[NodeName, Canned] = field(default_factory=dict)
    """By node, before all others; ``fails`` at a node that talks: its prompt cannot be played."""


@model(frozen=True, config=STRICT, kw_only=True)
class Filed:
    """A request that must have been filed."""

    kind: str
    fields: dict[ValueName, Scalar] = field(default_factory=dict)
    """These at least."""


@model(frozen=True, config=STRICT, kw_only=True)
class Expect:
    """What must have come out. Left out: not looked at."""

    route: str | None = None
    """The queue in the end."""
    transfer: str | None = None
    priority: int | None = None
    ended: Ended | None = None
    language: Language | None = None
    level: Level | None = None
    path: list[NodeName] | None = None
    """These nodes in this order; there may be others between them."""
    said: list[Said] | None = None
    """Texts that must have been said."""
    request: Filed | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class Script:
    """One caller. Whose steps are used up stays silent."""

    note: str = ""
    """What it is for."""
    caller: Person = Person()
    steps: Annotated[list[Step], Field(max_length=200)] = field(default_factory=list)
    office: Office = Office()
    queue: Statuses = field(default_factory=list)
    """How the waiting ends in the queues that the flow can come back from, one after the other; then ``answered``."""
    expect: Expect = Expect()


@model(frozen=True, config=STRICT, kw_only=True)
class _Document:
    callers: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")], Script], Field(min_length=1, max_length=1000)
    ]


@dataclass(frozen=True, slots=True)
class Scripts:
    """A file of scripts."""

    callers: Mapping[str, Script]
    file: str
    places: Mapping[yaml_text.Path, Place] = field(repr=False)

    def problem(self, path: yaml_text.Path, message: str) -> Problem:
        """A problem at that path, or at the nearest place above it."""
        while path not in self.places:
            path = path[:-1]
        return Problem(self.file, self.places[path], message)


def beside(flow: Path) -> Path:
    """Where the scripts of a flow file lie."""
    return flow.with_suffix(SUFFIX)


def load(path: Path, flow: Flow) -> Scripts:
    """Read the scripts for a flow. Raises ``FlowError``."""
    if not path.is_file():
        raise FlowError((Problem(str(path), Place(1, 1), "no such file; write it, or name another with --scripts"),))
    return parse(schema.read(path), flow, str(path))


def parse(text: str, flow: Flow, file: str = "scripts") -> Scripts:
    """Read the text of a file of scripts. Raises ``FlowError``."""
    try:
        tree = yaml_text.read(text)
    except yaml_text.TextProblem as wrong:
        raise FlowError((Problem(file, wrong.place, wrong.message),)) from wrong
    return _read(tree.data, tree.places, flow, file)


def script(data: Mapping[str, Any], flow: Flow, name: str = "caller") -> Script:
    """A script from plain data, as it would stand in a file. Raises ``FlowError``."""
    return _read({"callers": {name: data}}, {(): Place(1, 1)}, flow, name).callers[name]


def _read(data: Any, places: Mapping[yaml_text.Path, Place], flow: Flow, file: str) -> Scripts:
    try:
        document = _adapter().validate_json(json.dumps(data))
    except ValidationError as invalid:
        raise FlowError(schema.problems_of(invalid, places, file)) from invalid
    scripts = Scripts(document.callers, file, places)
    problems = tuple(
        sorted(
            scripts.problem(("callers", name, *path), message)
            for name, one in scripts.callers.items()
            for path, message in _faults(one, flow)
        )
    )
    if problems:
        raise FlowError(problems)
    return scripts


@cache
def _adapter() -> TypeAdapter[_Document]:
    return TypeAdapter(_Document)


def _faults(one: Script, flow: Flow) -> Iterator[tuple[yaml_text.Path, str]]:
    """What a script names and the flow does not have, or the office cannot answer."""
    waits = (*WITH_CALLER, *KINDS, nodes.ToQueue)
    for index, step in enumerate(one.steps):
        if isinstance(step, HangUpAt) and not isinstance(flow.nodes.get(step.hangup), waits):
            yield ("steps", str(index), "hangup"), f"no node {step.hangup!r} where a caller can hang up"
    for index, node in enumerate(one.expect.path or ()):
        if node not in flow.nodes:
            yield ("expect", "path", str(index)), f"there is no node {node!r}"
    office = one.office
    for kind in ("recognise", "customer_number", "pin", "hours", "callback", "message", "http"):
        yield from _unknown((kind,), getattr(office, kind), WORDS[kind])
    for kind, answers in (("lookups", office.lookups), ("requests", office.requests)):
        for what, canned in answers.items():
            yield from _unknown((kind, what), canned, WORDS[kind])
    for name, canned in office.nodes.items():
        node_or_none = flow.nodes.get(name)
        if node_or_none is None:
            yield ("office", "nodes", name), f"there is no node {name!r}"
            continue
        words = WORDS[KINDS[type(node_or_none)]] if type(node_or_none) in KINDS else ()
        if words or isinstance(node_or_none, WITH_CALLER):
            yield from _unknown(("nodes", name), canned, words)
        else:
            yield ("office", "nodes", name), f"{name} asks nothing and says nothing"


def _unknown(
    path: yaml_text.Path, canned: Canned | None, words: tuple[str, ...]
) -> Iterator[tuple[yaml_text.Path, str]]:
    for answer in several(canned):
        branch = answer if isinstance(answer, str) else answer.branch
        if branch not in (FAILS, *words) and not (branch == "" and words):
            yield ("office", *path), f"{path[-1]}: {branch!r} is no answer (have: {', '.join((*words, FAILS))})"


def several(canned: Canned | None) -> list[str | Answer]:
    """A canned answer as a list."""
    if canned is None:
        return []
    return list(canned) if isinstance(canned, list) else [canned]
