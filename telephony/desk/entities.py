"""The shapes of what people see: the values on the board and the frames of the stream.

They document the stream (they are in the OpenAPI document) and check values in tests. The board itself sends what it
is given: it carries hundreds of changes a second, and their maker is our own code.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Presence = Literal["offline", "ready", "ringing", "talking", "after_call_work", "paused"]
Certainty = Literal["certain", "likely", "shared", "none", "withheld"]
Language = Literal["de", "en"]
Level = Literal["none", "number", "pin"]
Wish = Literal["ready", "paused", "offline"]
RoleName = Literal["agent", "supervisor", "admin"]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Label(Shape):
    de: str
    en: str


class CodeLabel(Shape):
    code: str
    label: Label


class WrapUp(Shape):
    """After-call work that is open."""

    conversation: str
    queue: str
    required: bool
    deadline: float | None


class Me(Shape):
    """``me/<login>``: the person himself. ``wish``: what he asked for; it holds once calls and wrap-ups are done."""

    login: str
    name: str
    role: RoleName
    language: Language
    interface: str | None
    presence: Presence
    wish: Wish
    reason: str
    since: float
    queues: list[str]
    messages: int
    """Voice messages nobody has heard: the person's own and their queues'."""
    wrap_up: WrapUp | None


class AgentValue(Shape):
    """``agent/<login>``: one who has a phone. ``caller`` and ``queue`` say who is talked to, or written up."""

    login: str
    name: str
    presence: Presence
    wish: Wish
    reason: str
    since: float
    conversation: str | None
    caller: str
    queue: str
    queues: list[str]


class QueueValue(Shape):
    """``queue/<name>``."""

    name: str
    label: Label
    waiting: int
    longest_since: float | None
    ready: int
    talking: int
    wrap_up: Literal["required", "optional", "none"]
    codes: list[CodeLabel]


class Caller(Shape):
    number: str
    display: str
    name: str
    withheld: bool


class MatchValue(Shape):
    certainty: Certainty
    reason: str
    source: str


class Candidate(Shape):
    id: str
    number: str
    name: str
    company: str


class CardCustomer(Candidate):
    language: str


class CardOrder(Shape):
    number: str
    status: str
    placed_at: float
    total_minor: int
    currency: str
    tracking: str


class CardInvoice(Shape):
    number: str
    status: str
    issued: str
    due: str
    total_minor: int
    residual_minor: int
    currency: str


class CardActivity(Shape):
    at: float
    kind: str
    text: str
    agent: str


class CardValue(Shape):
    """Numbers are written for people, and agents of the house go by their names."""

    customer: CardCustomer
    email: str
    phones: list[str]
    blocked: bool
    orders: list[CardOrder]
    invoices: list[CardInvoice]
    activities: list[CardActivity]
    source: str
    fetched_at: float


class PopValue(Shape):
    """``pop/<conversation>``: a call that rings at an agent, is his, or waits for his wrap-up."""

    conversation: str
    state: Literal["ringing", "talking", "wrap_up"]
    queue: str
    caller: Caller
    match: MatchValue
    candidates: list[Candidate]
    customer: str | None
    card: CardValue | None
    card_state: Literal["none", "loading", "ready", "failed"]
    level: Level
    """What the caller has proven."""
    filed: int
    """Counts up when a request or a message of this caller came in: ask for them again."""
    language: str
    path: list[str]
    joined_at: float | None
    rang_at: float
    answered_at: float | None
    ended_at: float | None
    held: bool
    note: str


class WaitingValue(Shape):
    """``waiting/<conversation>``."""

    queue: str
    joined_at: float
    name: str
    display: str
    certainty: Certainty


class ClosedValue(Shape):
    reason: str
    by: str
    at: float


class OfficeValue(Shape):
    """``office/office``."""

    pbx: Literal["in_sync", "syncing", "down"]
    crm: Literal["up", "down"]
    outbox_waiting: int
    outbox_dead: int
    requests: int
    """Requests of customers that wait for a decision."""
    callbacks: int
    """Call-backs that were promised and not kept yet."""
    closed: ClosedValue | None
    """The emergency closure, while there is one."""
    pauses: list[CodeLabel]


SHAPES: dict[str, type[Shape]] = {
    "me": Me,
    "agent": AgentValue,
    "queue": QueueValue,
    "pop": PopValue,
    "waiting": WaitingValue,
    "office": OfficeValue,
}
"""What a value of each kind looks like."""


class Entities(Shape):
    """Kind, then id, then value; a kind of which this person sees nothing is absent."""

    me: dict[str, Me] = {}
    agent: dict[str, AgentValue] = {}
    queue: dict[str, QueueValue] = {}
    pop: dict[str, PopValue] = {}
    waiting: dict[str, WaitingValue] = {}
    office: dict[str, OfficeValue] = {}


class Snapshot(Shape):
    """The first frame, and the answer of ``/snapshot``."""

    type: Literal["snapshot"]
    epoch: str
    seq: int
    entities: Entities


class Hello(Shape):
    """The first frame when ``since`` could be resumed; what was missed follows. ``seq`` is ``since``."""

    type: Literal["hello"]
    epoch: str
    seq: int
    resumed: Literal[True]


class Put(Shape):
    """An entity's value, whole; ``value`` has the shape of its kind."""

    type: Literal["put"]
    seq: int
    kind: str
    id: str
    value: dict[str, Any]


class Drop(Shape):
    """An entity is gone, or not this person's to see any more."""

    type: Literal["drop"]
    seq: int
    kind: str
    id: str


class Shown(Shape):
    """From the browser: this pop is on the screen."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["shown"]
    conversation: str
