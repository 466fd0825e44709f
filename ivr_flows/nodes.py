"""The nodes of a flow file. Each is a frozen model; its docstring and its fields' are the published schema's.

A branch that a node leaves out is the flow's ``default``: a queue, which means a person. Which branch stands in for
another one is told in ``branches.BRANCHES``.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass as model

from ivr_flows.expressions import ExpressionError, check_expression, check_template, check_text

Language = Literal["de", "en"]
LANGUAGES: tuple[str, ...] = get_args(Language)

STRICT = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


def _expression(source: str) -> str:
    try:
        check_expression(source)
    except ExpressionError as wrong:
        raise ValueError(str(wrong)) from None
    return source


def _template(source: str) -> str:
    try:
        check_template(source)
    except ExpressionError as wrong:
        raise ValueError(str(wrong)) from None
    return source


def _text(source: str) -> str:
    try:
        check_text(source)
    except ExpressionError as wrong:
        raise ValueError(str(wrong)) from None
    return source


NodeId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
QueueName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,38}$")]
ValueName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Expression = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_expression)]
Template = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_template)]
Text = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_text)]
Texts = Annotated[dict[Language, Text], Field(min_length=1)]
"""What is said, by language."""
Digit = Annotated[str, Field(pattern=r"^[0-9*]$")]
"""``#`` ends an input, so it cannot be one."""
QueueKey = Annotated[str, Field(pattern=r"^[0-9*#]$")]
Seconds = Annotated[int, Field(ge=1, le=60)]
Tries = Annotated[int, Field(ge=1, le=9)]
Visits = Annotated[int, Field(ge=1, le=50)]
Priority = Annotated[int, Field(ge=0, le=1000)]
Length = Annotated[int, Field(ge=1, le=32)]
Whole = Annotated[int, Field(ge=-(10**9), le=10**9)]
Scalar = Annotated[str, Field(max_length=200)] | Whole | bool
Given = Annotated[str, Field(max_length=200), AfterValidator(_template)] | Whole | bool
"""A plain value, or a template that makes one."""


@model(frozen=True, config=STRICT, kw_only=True)
class _Node:
    error: NodeId | None = None
    """Where to go when this node fails; default: the flow's default queue."""
    hangup: NodeId | None = None
    """Where to go when the caller hangs up here: nodes that need no caller. Default: the flow's ``hangup``."""
    visits: Visits | None = None
    """How often a caller may come here; the next time goes to ``exhausted``. What makes a loop end."""
    exhausted: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class _Asking(_Node):
    text: Texts
    wrong: Texts | None = None
    """Said before asking again."""
    seconds: Seconds = 6
    """The longest silence before a key."""
    tries: Tries = 3
    silences: Tries = 2
    """After so many silences: ``timeout``."""
    invalid: NodeId | None = None
    """After the last wrong answer."""
    timeout: NodeId | None = None
    """After the last silence; default: ``invalid``."""


@model(frozen=True, config=STRICT, kw_only=True)
class Say(_Node):
    """Say something."""

    type: Literal["say"]
    text: Texts
    interrupt: bool = True
    """A key ends it, and counts as the first key of the next question."""
    next: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class ChooseLanguage(_Node):
    """Ask for the language by a key; every text is said in its own language."""

    type: Literal["language"]
    text: Texts
    choices: Annotated[dict[Digit, Language], Field(min_length=1)]
    default: Language
    """Taken after silence or a wrong key."""
    seconds: Seconds = 5
    next: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class Recognise(_Node):
    """Look the caller up by number. It proves nothing: a caller ID is easily forged."""

    type: Literal["recognise"]
    speak_language: bool = True
    """Go on in the customer's language, when it is known."""
    known: NodeId | None = None
    """One customer has this number."""
    shared: NodeId | None = None
    """Several have; default: ``unknown``."""
    withheld: NodeId | None = None
    """The caller does not show the number; default: ``unknown``."""
    unknown: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class Menu(_Asking):
    """Ask, and go where the key says."""

    type: Literal["menu"]
    choices: Annotated[dict[Digit, NodeId], Field(min_length=1)]


@model(frozen=True, config=STRICT, kw_only=True)
class Collect(_Asking):
    """Ask for digits, and keep them under a name."""

    type: Literal["collect"]
    into: ValueName
    secure: bool = False
    """Never logged, never recorded, never in a variable of Asterisk, and told only masked."""
    form: Literal["digits", "iban_de"] = "digits"
    """``iban_de``: the twenty digits of a German IBAN, whose check digits must be right; kept with its ``DE``."""
    least: Length = 1
    most: Length = 12
    skip: Digit | None = None
    """A key that goes to ``skipped`` at once."""
    next: NodeId | None = None
    skipped: NodeId | None = None
    """Default: ``timeout``."""


@model(frozen=True, config=STRICT, kw_only=True)
class Authenticate(_Asking):
    """Ask for the customer number, and for the PIN where ``pin_text`` is given. What is proven already is not asked."""

    type: Literal["authenticate"]
    least: Length = 1
    most: Length = 12
    skip: Digit | None = "*"
    """A key that goes to ``skipped`` at once."""
    speak_language: bool = False
    """Go on in the customer's language, when it is known."""
    pin_text: Texts | None = None
    pin_wrong: Texts | None = None
    next: NodeId | None = None
    locked: NodeId | None = None
    """Too many wrong PINs, of this customer or from this number; default: ``invalid``."""
    no_pin: NodeId | None = None
    """The customer has no PIN; default: ``invalid``."""
    skipped: NodeId | None = None
    """Default: ``timeout``."""


@model(frozen=True, config=STRICT, kw_only=True)
class LookUp(_Node):
    """Look something up; its values are ``into.name`` from then on."""

    type: Literal["lookup"]
    what: ValueName
    """``orders``, ``invoices``, ``customer``, ``queue`` or ``requests``."""
    into: ValueName
    arguments: Annotated[dict[ValueName, Given], Field(max_length=8)] = field(default_factory=dict)
    """Plain values, or ``{{ expressions }}``."""
    next: NodeId | None = None
    none: NodeId | None = None
    """There is none."""
    refused: NodeId | None = None
    """The caller has not proven enough for this; default: ``none``."""


@model(frozen=True, config=STRICT, kw_only=True)
class Request(_Node):
    """File something the customer wants done; an agent decides on it. Its number is ``request_reference``."""

    type: Literal["request"]
    kind: Literal["bank_details", "return", "complaint"]
    fields: Annotated[dict[ValueName, Given], Field(max_length=8)] = field(default_factory=dict)
    """Plain values, or ``{{ expressions }}``; what was collected ``secure`` is stored encrypted."""
    next: NodeId | None = None
    refused: NodeId | None = None
    """The caller has not proven enough for this."""


@model(frozen=True, config=STRICT, kw_only=True)
class Hours(_Node):
    """Whether the office is open. ``hours.opens_on`` and ``hours.opens_at`` tell when it opens again."""

    type: Literal["hours"]
    hours: QueueName
    """The name of opening hours in the settings."""
    open: NodeId | None = None
    closed: NodeId | None = None
    holiday: NodeId | None = None
    """Default: ``closed``."""
    emergency: NodeId | None = None
    """Somebody has closed the office; default: ``closed``."""


@model(frozen=True, config=STRICT, kw_only=True)
class CallBack(_Node):
    """Promise a call-back that keeps the caller's place in the queue."""

    type: Literal["callback"]
    queue: QueueName
    number: Expression | None = None
    """The number to call; default: the caller's own."""
    next: NodeId | None = None
    already: NodeId | None = None
    """This number is promised one already; default: ``next``."""
    refused: NodeId | None = None
    """There is no number, or none that may be called."""


@model(frozen=True, config=STRICT, kw_only=True)
class Message(_Node):
    """Take a voice message; it comes to an agent's desk, or to everyone's of a queue."""

    type: Literal["message"]
    text: Texts
    kind: Literal["greeting", "complaint", "message"] = "message"
    recipient: Expression
    """An expression for an agent's log-in, an agent's number, or a queue."""
    longest: Annotated[int, Field(ge=5, le=300)] = 120
    """Seconds."""
    silence: Annotated[int, Field(ge=1, le=30)] = 5
    """Seconds of silence that end it."""
    next: NodeId | None = None
    empty: NodeId | None = None
    """Nothing was said; default: ``next``."""
    refused: NodeId | None = None
    """There is no such recipient."""


@model(frozen=True, config=STRICT, kw_only=True)
class Condition(_Node):
    """Go one way or the other."""

    type: Literal["condition"]
    when: Expression
    then: NodeId | None = None
    otherwise: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class Set(_Node):
    """Set values: plain ones, or ``{{ expressions }}``."""

    type: Literal["set"]
    values: Annotated[dict[ValueName, Given], Field(min_length=1, max_length=16)]
    next: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class Http(_Node):
    """Call a web service that the settings allow, signed. Values of its JSON answer become ``into.name``."""

    type: Literal["http"]
    url: Template
    method: Literal["GET", "POST"] = "POST"
    body: Annotated[dict[ValueName, Given], Field(max_length=16)] = field(default_factory=dict)
    take: Annotated[list[ValueName], Field(max_length=16)] = field(default_factory=list)
    """Which values of the answer to keep."""
    into: ValueName
    seconds: Annotated[int, Field(ge=1, le=10)] = 3
    next: NodeId | None = None
    timeout: NodeId | None = None
    """Default: ``error``."""


@model(frozen=True, config=STRICT, kw_only=True)
class SubFlow(_Node):
    """Go through another flow file; its ``return`` nodes come back to ``next``."""

    type: Literal["subflow"]
    flow: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,38}\.yaml$")]
    """A file beside this one."""
    next: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class Return(_Node):
    """The end of a sub-flow: go on where it was called."""

    type: Literal["return"]
    next: NodeId | None = None


@model(frozen=True, config=STRICT, kw_only=True)
class Penalty:
    """Which members are rung, by their penalty in the queue: skills. The queue's own steps widen it with time."""

    least: Annotated[int, Field(ge=0, le=100)] = 0
    most: Annotated[int, Field(ge=0, le=100)]


@model(frozen=True, config=STRICT, kw_only=True)
class PreferAgent:
    """Try one agent first."""

    agent: Expression | None = None
    """An expression for the log-in; default: who talked to this customer last."""
    seconds: Annotated[int, Field(ge=3, le=300)] = 20


@model(frozen=True, config=STRICT, kw_only=True)
class ToQueue(_Node):
    """A queue. The flow ends here, unless a branch says where to go when no agent was had."""

    type: Literal["route"]
    queue: QueueName
    priority: Priority | Expression = 0
    """Higher is served earlier; a number or an expression."""
    language: Language | None = None
    penalty: Penalty | None = None
    prefer: PreferAgent | None = None
    wait: Annotated[int, Field(ge=5, le=7200)] | None = None
    """Seconds; default: the queue's own limit."""
    overflow: NodeId | None = None
    """The waiting time is over."""
    empty: NodeId | None = None
    """Nobody serves the queue; default: ``overflow``."""
    full: NodeId | None = None
    """The queue takes no more callers; default: ``overflow``."""
    keys: dict[Digit, NodeId] = field(default_factory=dict)
    """Keys pressed while waiting; the queue must allow them (``exit_keys`` in the settings)."""


@model(frozen=True, config=STRICT, kw_only=True)
class Transfer(_Node):
    """The end: somebody outside the queues. Who does not answer there leaves the caller to the default queue."""

    type: Literal["transfer"]
    to: QueueName
    """The name of a transfer in the settings."""


@model(frozen=True, config=STRICT, kw_only=True)
class HangUp(_Node):
    """The end: hang up."""

    type: Literal["hangup"]
    text: Texts | None = None
    """Said before."""


Node: TypeAlias = (
    Say
    | ChooseLanguage
    | Recognise
    | Menu
    | Collect
    | Authenticate
    | LookUp
    | Request
    | Hours
    | CallBack
    | Message
    | Condition
    | Set
    | Http
    | SubFlow
    | Return
    | ToQueue
    | Transfer
    | HangUp
)
