"""What the desk asks of the office: one protocol, its answers, and the ways in which it says no.

The desk knows who is asking and that his role may ask; whether a conversation is his is the office's to say.

OfficeError       ``id``: stable, part of the problem's type; ``params``: what the texts name
├── NotFound      there is no such thing, or none that this person may know of
├── Conflict      it is there, and in a state in which this cannot be done
├── Refused       this person, or this value, is not allowed here
└── Unavailable   something behind us is down; later it works
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from telephony.floor.accounts import User


class OfficeError(Exception):
    """Something the office does not do. ``problems.py`` holds the texts for each ``id``, in both languages."""

    def __init__(self, id: str, **params: str | int | float) -> None:
        super().__init__(id)
        self.id = id
        self.params = params


class NotFound(OfficeError):
    pass


class Conflict(OfficeError):
    pass


class Refused(OfficeError):
    pass


class Unavailable(OfficeError):
    pass


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether calls are handled as they should be; if not, why not, in words for the one who runs it."""

    ready: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecentConversation:
    """One conversation in an agent's list. Times are Unix seconds, ``talked`` is in seconds."""

    conversation: str
    started_at: float
    answered_at: float | None
    ended_at: float | None
    talked: float
    queue: str
    agent: str
    number_display: str
    customer_name: str
    certainty: str
    code: str
    note: str
    crm_state: str
    """How far the CRM has it: ``waiting``, ``delivered``, ``dead``, or empty when there is nothing to write."""
    crm_reference: str
    path: tuple[str, ...] = ()
    """Through the IVR flow; of a caller who hung up there, as far as it was."""


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A write to the CRM that has not arrived."""

    id: str
    conversation: str
    agent: str
    code: str
    created_at: float
    attempts: int
    next_at: float | None
    """When it is tried again; none for a dead letter."""
    dead: bool
    error: str


class Office(Protocol):
    """The rest of Callfloor, as the desk sees it. Methods raise ``OfficeError`` and nothing else on purpose.

    What a call changes reaches people through the board; when a method returns, the board has it.
    """

    async def signed_in(self, user: User) -> None:
        """A person logged in, or came back after a restart: put ``me/<login>``. Again for the same person: no harm."""
        ...

    async def signed_out(self, user: User) -> None:
        """The last session of this person ended: drop ``me/<login>``, and send him no more calls.

        Also said of people who were at work before a restart and whose session ended meanwhile.
        """
        ...

    async def set_presence(self, login: str, presence: str, reason: str) -> None:
        """``presence``: ready, paused or offline. ``reason``: a pause's code, or empty."""
        ...

    async def wrap_up(self, login: str, conversation: str, code: str, note: str) -> None: ...

    async def save_note(self, login: str, conversation: str, note: str) -> None: ...

    async def choose_customer(self, login: str, conversation: str, customer: str) -> None: ...

    async def recent_conversations(self, login: str, role: str, limit: int) -> Sequence[RecentConversation]:
        """The newest first: an agent's own, everybody's for supervisors and admins."""
        ...

    async def outbox(self) -> Sequence[OutboxItem]: ...

    async def retry_outbox(self, id: str) -> None: ...

    def pop_shown(self, login: str, conversation: str) -> None:
        """A pop is on this person's screen. What a browser says: it may name any conversation, at any time."""
        ...

    def readiness(self) -> Readiness: ...
