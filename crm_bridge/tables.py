"""Every table of the bridge: the embedded CRM's own, and our records of conversations, wrap-ups and the outbox.

``SQLModel.metadata`` is the one metadata of the whole house. Times are Unix seconds (UTC) as float, money is integer
minor units beside its currency, numbers of phones are E.164.

Our records carry no foreign keys to each other: conversations are written in batches, a moment after they happened,
and an agent's wrap-up must never be refused because its conversation is still in a batch.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

# Named constraints, so that a migration can find them on every database.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def table_of(model: type[SQLModel]) -> Table:
    """The Core table behind a model."""
    return cast(Table, model.__table__)  # type: ignore[attr-defined]


def _text(**options: Any) -> Any:
    return Field(sa_type=Text, **options)


def _time(**options: Any) -> Any:
    return Field(sa_type=Float, **options)


def _serial() -> Any:
    # SQLite numbers rows by itself only in a column that is exactly INTEGER.
    return Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))


def _owner(*, nullable: bool = False, ondelete: str = "CASCADE") -> Any:
    column = Column(Text, ForeignKey("customer.id", ondelete=ondelete), nullable=nullable, index=True)
    return Field(default=None if nullable else ..., sa_column=column)


# The embedded CRM


class Customer(SQLModel, table=True):
    """A customer. ``number`` is the one people know and type."""

    __tablename__: ClassVar[str] = "customer"

    id: str = _text(primary_key=True)
    number: str = _text(unique=True)
    name: str = _text()
    company: str = _text(default="")
    email: str = _text(default="")
    language: str = _text(default="")
    blocked: bool = False
    created_at: float = _time()
    updated_at: float = _time()


class CustomerPhone(SQLModel, table=True):
    """One number of one customer. The same number may belong to several customers."""

    __tablename__: ClassVar[str] = "customer_phone"
    __table_args__ = (UniqueConstraint("customer_id", "e164"),)

    id: int | None = _serial()
    customer_id: str = Field(sa_column=Column(Text, ForeignKey("customer.id", ondelete="CASCADE"), nullable=False))
    e164: str = _text(index=True)
    raw: str = _text(default="")
    """As it was written in the source it came from."""
    kind: str = _text(default="")
    """``home``, ``mobile``, ``work`` or empty."""
    is_primary: bool = False


class SalesOrder(SQLModel, table=True):
    __tablename__: ClassVar[str] = "sales_order"

    id: str = _text(primary_key=True)
    customer_id: str = _owner()
    number: str = _text(unique=True)
    status: str = _text()
    placed_at: float = _time()
    total_minor: int = Field(sa_type=BigInteger)
    currency: str = _text()
    tracking: str = _text(default="")


class Invoice(SQLModel, table=True):
    __tablename__: ClassVar[str] = "invoice"

    id: str = _text(primary_key=True)
    customer_id: str = _owner()
    number: str = _text(unique=True)
    status: str = _text()
    """``open``, ``partial``, ``paid`` or ``void``."""
    issued: str = _text()
    """ISO date."""
    due: str = _text()
    total_minor: int = Field(sa_type=BigInteger)
    residual_minor: int = Field(sa_type=BigInteger)
    currency: str = _text()


class Activity(SQLModel, table=True):
    """What happened with a customer; the embedded CRM's record of a call is one of these."""

    __tablename__: ClassVar[str] = "activity"

    id: int | None = _serial()
    customer_id: str | None = _owner(nullable=True, ondelete="SET NULL")
    key: str = _text(unique=True)
    """Idempotency key: the same call written twice is one activity."""
    at: float = _time()
    kind: str = _text()
    text: str = _text(default="")
    agent: str = _text(default="")
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON_TYPE, nullable=False))
    """The whole report, as it was handed over."""


# Our records


class Conversation(SQLModel, table=True):
    """One caller's journey."""

    __tablename__: ClassVar[str] = "conversation"
    __table_args__ = (Index(None, "started_at"),)

    id: str = _text(primary_key=True)
    number: str | None = _text(default=None)
    """E.164; none when withheld or not a number."""
    raw: str = _text(default="")
    """As it came, cleaned; empty when withheld."""
    direction: str = _text(default="in")
    customer_id: str | None = _text(default=None)
    customer_name: str = _text(default="")
    certainty: str = _text(default="")
    reason: str = _text(default="")
    level: str = _text(default="none")
    """What the caller has proven: ``none``, ``number`` or ``pin``."""
    queue: str = _text(default="")
    """The last queue the caller waited in."""
    agent: str = _text(default="")
    """Log-in of the last agent who talked; the others are in ``talk``."""
    interface: str = _text(default="")
    path: list[str] = Field(default_factory=list, sa_column=Column(JSON_TYPE, nullable=False))
    """The IVR's nodes the caller passed, in order."""
    language: str = _text(default="")
    started_at: float = _time()
    queued_at: float | None = _time(default=None)
    answered_at: float | None = _time(default=None)
    ended_at: float | None = _time(default=None)
    talked: float = _time(default=0.0)
    """Seconds, all agents together."""
    outcome: str = _text(default="")
    lost: bool = False
    """The end was found by a resync; its true time is unknown."""


class Talk(SQLModel, table=True):
    """One agent's stint in one conversation."""

    __tablename__: ClassVar[str] = "talk"
    __table_args__ = (
        UniqueConstraint("conversation_id", "interface", "answered_at"),
        Index(None, "agent", "ended_at"),
    )

    id: int | None = _serial()
    conversation_id: str = _text()
    interface: str = _text()
    agent: str = _text(default="")
    queue: str = _text(default="")
    answered_at: float = _time()
    ended_at: float | None = _time(default=None)
    talked: float = _time(default=0.0)


class WrapUp(SQLModel, table=True):
    """How one agent closed one conversation."""

    __tablename__: ClassVar[str] = "wrap_up"

    conversation_id: str = _text(primary_key=True)
    agent: str = _text(primary_key=True)
    code: str = _text()
    note: str = _text(default="")
    at: float = _time()
    expired: bool = False
    """True when the limit ended it, not the agent."""


class WrapUpDraft(SQLModel, table=True):
    """A note in the making, so that a reloaded page or another screen goes on where the agent was."""

    __tablename__: ClassVar[str] = "wrap_up_draft"

    conversation_id: str = _text(primary_key=True)
    agent: str = _text(primary_key=True)
    note: str = _text(default="")
    at: float = _time()


class OutboxRow(SQLModel, table=True):
    """One write the CRM is owed. ``state``: waiting, claimed, done or dead."""

    __tablename__: ClassVar[str] = "crm_outbox"
    __table_args__ = (
        UniqueConstraint("adapter", "conversation_id", "kind"),
        Index(None, "adapter", "state", "next_at"),
        Index(None, "conversation_id"),
    )

    id: int | None = _serial()
    adapter: str = _text()
    conversation_id: str = _text()
    kind: str = _text()
    """``call`` for the conversation itself, ``wrap_up:<login>`` for one agent's part of it."""
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON_TYPE, nullable=False))
    state: str = _text(default="waiting")
    attempts: int = 0
    next_at: float = _time()
    claimed_until: float | None = _time(default=None)
    external_id: str | None = _text(default=None)
    last_error: str = _text(default="")
    created_at: float = _time()
    done_at: float | None = _time(default=None)


# What callers prove, and what they ask for


class CallerPin(SQLModel, table=True):
    """A customer's PIN for the telephone. It is ours, whatever CRM the customer is in."""

    __tablename__: ClassVar[str] = "caller_pin"

    source: str = _text(primary_key=True)
    """The adapter that knows the customer."""
    customer_id: str = _text(primary_key=True)
    pin_hash: str = _text()
    """argon2id."""
    set_at: float = _time()


class PinGuard(SQLModel, table=True):
    """Wrong PINs in a row, by customer and by the number that called."""

    __tablename__: ClassVar[str] = "pin_guard"

    key: str = _text(primary_key=True)
    """``customer:<source>:<id>`` or ``number:<hash>``."""
    count: int = 0
    last: float = _time()
    locked_until: float = _time(default=0.0)


class ServiceRequest(SQLModel, table=True):
    """Something a customer asked for in the IVR, which waits for an agent's decision."""

    __tablename__: ClassVar[str] = "service_request"
    __table_args__ = (
        UniqueConstraint("conversation_id", "node"),
        Index(None, "source", "customer_id", "filed_at"),
        Index(None, "state", "filed_at"),
    )

    reference: str = _text(primary_key=True)
    """Seven digits, as the caller was told."""
    conversation_id: str = _text()
    node: str = _text()
    kind: str = _text()
    """``bank_details``, ``return`` or ``complaint``."""
    source: str = _text()
    customer_id: str = _text()
    customer_name: str = _text(default="")
    level: str = _text()
    """What the caller had proven: ``number`` or ``pin``."""
    shown: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON_TYPE, nullable=False))
    """What people may see of it: secure values by their last four characters."""
    sealed: str = _text()
    """All of it, encrypted."""
    state: str = _text(default="pending")
    """``pending``, ``approved`` or ``rejected``."""
    filed_at: float = _time()
    decided_by: str = _text(default="")
    decided_at: float | None = _time(default=None)
    vouched: bool = False
    """Whether who decided has checked by other means who had called."""
    note: str = _text(default="")
