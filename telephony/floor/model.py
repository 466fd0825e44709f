"""People at work: what an agent is, wants and owes. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Presence(StrEnum):
    """What an agent is doing, as everyone sees it."""

    OFFLINE = "offline"
    READY = "ready"
    RINGING = "ringing"
    TALKING = "talking"
    AFTER_CALL_WORK = "after_call_work"
    PAUSED = "paused"


AFTER_CALL_REASON = "after-call-work"
"""The pause reason Asterisk is told while an agent writes up a call."""
EXPIRED_REASON = "wrap-up-expired"
"""Why an agent is paused whose time for writing up ran out, where the queue wants it so."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A person with a phone. ``queues`` maps a queue's name to the agent's penalty there (0: first choice)."""

    login: str
    name: str
    interface: str
    queues: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class QueueRules:
    """After-call work as a queue wants it."""

    name: str
    wrap_up: str = "required"
    """``required``, ``optional`` or ``none``."""
    seconds: int | None = None
    expiry: str = "ready"
    expiry_code: str = "EXPIRED"
    codes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WrapUpDue:
    """A call that an agent still has to write up."""

    conversation: str
    queue: str
    required: bool
    deadline: float | None


@dataclass(slots=True)
class Desk:
    """One agent's live state. Presence is not stored but derived, so that it cannot contradict itself."""

    agent: Agent
    signed_in: bool = False
    pause: str | None = None
    """The agent's own wish to be paused, and why; kept while a call goes on."""
    talking: list[str] = field(default_factory=list)
    ringing: list[str] = field(default_factory=list)
    owed: list[WrapUpDue] = field(default_factory=list)
    since: float = 0.0
    shown: Presence = Presence.OFFLINE

    @property
    def presence(self) -> Presence:
        """The first of these that holds. Talking comes first: a call is a call, even for one who has signed out."""
        if self.talking:
            return Presence.TALKING
        if self.owed and self.signed_in:
            return Presence.AFTER_CALL_WORK
        return Presence.RINGING if self.ringing and self.signed_in else self.wish

    @property
    def wish(self) -> Presence:
        """What the agent asked for last. Presence follows it once the calls and their wrap-ups are done."""
        if not self.signed_in:
            return Presence.OFFLINE
        return Presence.READY if self.pause is None else Presence.PAUSED

    @property
    def reason(self) -> str:
        return self.pause or ""

    @property
    def conversation(self) -> str | None:
        """The one conversation in front of the agent."""
        if self.talking:
            return self.talking[0]
        if self.owed:
            return self.owed[0].conversation
        return self.ringing[0] if self.ringing else None


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """An agent's state is to be shown and stored anew."""

    login: str
    at: float


@dataclass(frozen=True, slots=True)
class MembershipChanged:
    """Asterisk is to be told again what this agent wants."""

    login: str


@dataclass(frozen=True, slots=True)
class WrapUpOpened:
    login: str
    due: WrapUpDue


@dataclass(frozen=True, slots=True)
class WrapUpExpired:
    """The time for writing up is over; ``code`` is to be written in the agent's place."""

    login: str
    due: WrapUpDue
    code: str
    at: float


FloorEffect = PresenceChanged | MembershipChanged | WrapUpOpened | WrapUpExpired


class FloorError(Exception):
    """A wish that cannot be granted.

    FloorError
    ├── NotAnAgent       no such agent, or one without a phone
    ├── WrapUpOwed       a call must be written up first
    └── NothingToWrapUp  no such call is waiting for this agent's code
    """


class NotAnAgent(FloorError):
    pass


class WrapUpOwed(FloorError):
    def __init__(self, conversation: str) -> None:
        super().__init__(conversation)
        self.conversation = conversation


class NothingToWrapUp(FloorError):
    def __init__(self, conversation: str) -> None:
        super().__init__(conversation)
        self.conversation = conversation
