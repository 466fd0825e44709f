"""What the bridge asks of a CRM, and what it hands out: small frozen values and one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class CrmError(Exception):
    """The root of everything a CRM can do to us.

    CrmError
    ├── CrmUnavailable   try again later: no connection, time-out, 429, 5xx
    └── CrmRefused       it will not get better by waiting: bad log-in, bad request, an answer we cannot read
    """


class CrmUnavailable(CrmError):
    """The CRM cannot answer now. ``retry_after``: seconds it asked us to wait, if it did."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CrmRefused(CrmError):
    """The CRM answered, and the answer is no."""


class Certainty(StrEnum):
    """How sure we are of who calls (decision 11)."""

    CERTAIN = "certain"
    LIKELY = "likely"
    SHARED = "shared"
    NONE = "none"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class CustomerRef:
    """A customer, as short as a list needs."""

    id: str
    number: str
    """The customer number people know and type."""
    name: str
    company: str = ""
    language: str = ""
    """``de``, ``en`` or empty."""


@dataclass(frozen=True, slots=True)
class Match:
    """Who calls, how sure we are, and why."""

    certainty: Certainty
    reason: str
    """A stable code: ``number_unique``, ``number_shared``, ``number_unknown``, ``number_withheld``, ``number_invalid``,
    ``customer_number``, ``customer_number_and_pin``, ``customer_number_unknown``, ``chosen_by_agent``,
    ``crm_unavailable``, ``loose_number``."""
    customers: tuple[CustomerRef, ...] = ()
    source: str = ""
    """The adapter that said so."""

    @property
    def customer(self) -> CustomerRef | None:
        """The one customer whose card may open by itself; none when there is a choice to make."""
        if self.certainty in (Certainty.CERTAIN, Certainty.LIKELY) and len(self.customers) == 1:
            return self.customers[0]
        return None


@dataclass(frozen=True, slots=True)
class OrderLine:
    number: str
    status: str
    placed_at: float
    total_minor: int
    currency: str
    tracking: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    number: str
    status: str
    issued: str
    """ISO date."""
    due: str
    total_minor: int
    residual_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class ActivityLine:
    at: float
    kind: str
    text: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What an agent sees of a customer."""

    customer: CustomerRef
    email: str = ""
    phones: tuple[str, ...] = ()
    blocked: bool = False
    orders: tuple[OrderLine, ...] = ()
    invoices: tuple[InvoiceLine, ...] = ()
    activities: tuple[ActivityLine, ...] = ()
    source: str = ""
    fetched_at: float = 0.0


@dataclass(frozen=True, slots=True)
class CallReport:
    """One finished conversation with one agent's wrap-up, as it is written to the CRM."""

    conversation: str
    customer: str | None
    """The customer's id in that CRM, if there is one."""
    direction: str
    number: str | None
    """E.164; none when withheld or not a number."""
    queue: str
    agent: str
    agent_name: str
    started_at: float
    answered_at: float | None
    ended_at: float | None
    talked: float
    code: str
    code_label: str
    note: str
    path: tuple[str, ...] = ()
    certainty: str = ""


class CrmAdapter(Protocol):
    """A CRM. Every method raises ``CrmUnavailable`` or ``CrmRefused`` and nothing else."""

    @property
    def name(self) -> str: ...

    async def find_by_number(self, e164: str) -> tuple[CustomerRef, ...]:
        """Every customer with this number, best first."""
        ...

    async def find_by_customer_number(self, number: str) -> CustomerRef | None: ...

    async def card(self, customer_id: str) -> Card | None: ...

    async def record_call(self, report: CallReport, key: str) -> str:
        """Write one call; return the CRM's reference. The same ``key`` again changes nothing and returns the same."""
        ...

    async def check(self) -> None:
        """Return when the CRM can be reached and lets us in."""
        ...
