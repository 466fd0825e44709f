"""What happened, in the office's words: the domain events that the tracker returns.

Frozen values, complete in themselves, safe to hand to any number of listeners. ``conversation`` is our own id (set
in the dialplan on the first channel, inherited by every other one). ``at`` is the Unix time in seconds at which
Asterisk says it happened. ``interface`` is a queue member's interface such as ``PJSIP/agent7``; who sits at it is
the floor's knowledge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StintEnd(StrEnum):
    """How one stay in one queue ended."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    TIMEOUT = "timeout"
    EMPTY = "empty"
    OVERFLOW = "overflow"
    KEY = "key"
    WITHDRAWN = "withdrawn"
    LOST = "lost"
    """We did not see the end: the link was down, or Asterisk restarted."""


class RingEnd(StrEnum):
    """How one offer to one agent ended."""

    ANSWERED = "answered"
    ELSEWHERE = "elsewhere"
    """A colleague was quicker, or picked it up."""
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    CALLER_LEFT = "caller_left"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ConversationOpened:
    """A caller's journey began."""

    conversation: str
    at: float
    number: str
    """The caller's number as Asterisk printed it: hostile input, not normalised, maybe empty."""
    name: str
    presentation: str
    """``CALLERID(pres)``, such as ``allowed_not_screened`` or ``prohib``; empty when not told."""
    dialled: str
    inbound: bool


@dataclass(frozen=True, slots=True)
class CallerIdentified:
    """The IVR (or an agent) said who calls."""

    conversation: str
    at: float
    customer: str
    certainty: str
    reason: str
    level: str = "none"
    """What was proven: ``none``, ``number`` or ``pin``."""


@dataclass(frozen=True, slots=True)
class FlowLeft:
    """The IVR ended; ``path`` are the nodes that the caller passed, in order."""

    conversation: str
    at: float
    path: tuple[str, ...]
    language: str
    route: str


@dataclass(frozen=True, slots=True)
class QueueJoined:
    conversation: str
    at: float
    queue: str
    position: int


@dataclass(frozen=True, slots=True)
class QueueLeft:
    conversation: str
    at: float
    queue: str
    end: StintEnd
    waited: float


@dataclass(frozen=True, slots=True)
class AgentRinging:
    """A phone began to ring: the moment of the pop."""

    conversation: str
    at: float
    interface: str
    queue: str


@dataclass(frozen=True, slots=True)
class RingEnded:
    conversation: str
    at: float
    interface: str
    queue: str
    end: RingEnd
    rang: float


@dataclass(frozen=True, slots=True)
class TalkStarted:
    """An agent and the caller are in one bridge, or the queue has connected them."""

    conversation: str
    at: float
    interface: str
    queue: str


@dataclass(frozen=True, slots=True)
class TalkEnded:
    conversation: str
    at: float
    interface: str
    queue: str
    talked: float
    """Seconds in a bridge with the other side, hold included."""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class HoldStarted:
    conversation: str
    at: float
    interface: str


@dataclass(frozen=True, slots=True)
class HoldEnded:
    conversation: str
    at: float
    interface: str
    held: float


@dataclass(frozen=True, slots=True)
class Transferred:
    conversation: str
    at: float
    kind: str
    """``blind`` or ``attended``."""
    by: str
    to: str


@dataclass(frozen=True, slots=True)
class Merged:
    """A consultation call became part of a conversation; ``folded`` is gone."""

    conversation: str
    folded: str
    at: float


@dataclass(frozen=True, slots=True)
class ConversationEnded:
    conversation: str
    at: float
    cause: str
    lost: bool = False
    """True when the end was found by a resync and its true time is unknown."""


@dataclass(frozen=True, slots=True)
class MemberSeen:
    """What Asterisk believes of one queue member."""

    queue: str
    interface: str
    paused: bool
    reason: str
    status: int
    dynamic: bool
    present: bool = True
    """False when the member was removed."""


@dataclass(frozen=True, slots=True)
class AsteriskRestarted:
    at: float


@dataclass(frozen=True, slots=True)
class Resynced:
    at: float
    corrections: int
    """How many of our beliefs were wrong; 0 on a healthy link."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that should not happen; counted, and logged once per kind."""

    kind: str
    detail: str


Happening = (
    ConversationOpened
    | CallerIdentified
    | FlowLeft
    | QueueJoined
    | QueueLeft
    | AgentRinging
    | RingEnded
    | TalkStarted
    | TalkEnded
    | HoldStarted
    | HoldEnded
    | Transferred
    | Merged
    | ConversationEnded
    | MemberSeen
    | AsteriskRestarted
    | Resynced
    | Anomaly
)
"""Any domain event."""
