"""The tables of the reception. Times are Unix seconds."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import JSON, Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

# First, because it sets the naming convention of every constraint in the house.
import crm_bridge.tables  # noqa: F401


class FlowVersion(SQLModel, table=True):
    """A flow as it was published. Never changed: what is changed is where an alias points."""

    __tablename__: ClassVar[str] = "flow_version"

    flow: str = Field(primary_key=True, max_length=39)
    version: int = Field(primary_key=True)
    fingerprint: str = Field(max_length=16)
    files: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    """Name and text of the flow's file and of its sub-flows'; the first one is the main file."""
    main: str = Field(max_length=80)
    published_at: float
    published_by: str = Field(default="", max_length=80)


class FlowAlias(SQLModel, table=True):
    """Which version is meant by ``live`` or ``test``."""

    __tablename__: ClassVar[str] = "flow_alias"

    alias: str = Field(primary_key=True, max_length=16)
    flow: str = Field(max_length=39)
    version: int
    before_flow: str = Field(default="", max_length=39)
    before_version: int = 0
    """What it meant before: where a roll-back leads. Empty: nothing."""
    set_at: float
    set_by: str = Field(default="", max_length=80)


class FlowCount(SQLModel, table=True):
    """How often callers left a node by a branch, by day (the office's)."""

    __tablename__: ClassVar[str] = "flow_count"

    flow: str = Field(primary_key=True, max_length=39)
    fingerprint: str = Field(primary_key=True, max_length=16)
    day: str = Field(primary_key=True, max_length=10)
    node: str = Field(primary_key=True, max_length=160)
    branch: str = Field(primary_key=True, max_length=48)
    count: int = 0


class CallBackPromise(SQLModel, table=True):
    """A call-back that was promised."""

    __tablename__: ClassVar[str] = "call_back"
    __table_args__ = (UniqueConstraint("open_number"), Index(None, "state", "place_at"))

    id: str = Field(primary_key=True, max_length=32)
    queue: str = Field(max_length=39)
    number: str = Field(max_length=16)
    open_number: str | None = Field(default=None, max_length=16)
    """The number while the promise is open: one at a time for one number."""
    language: str = Field(default="", max_length=2)
    customer_id: str = Field(default="", max_length=64)
    customer_name: str = Field(default="", max_length=120)
    conversation_id: str = Field(default="", max_length=64)
    """The call in which it was promised; empty when it came over the API."""
    place_at: float
    """When the caller would have joined the queue: that place is kept."""
    expires_at: float
    state: str = Field(default="waiting", max_length=16)
    """``waiting``, ``calling``, ``kept``, ``unreached``, ``expired`` or ``withdrawn``."""
    attempts: int = 0
    next_at: float
    leased_until: float | None = None
    """While it is being called; after that it is open again, whoever died meanwhile."""
    done_at: float | None = None
    agent: str = Field(default="", max_length=32)


class VoiceMessage(SQLModel, table=True):
    """A message a caller left."""

    __tablename__: ClassVar[str] = "voice_message"
    __table_args__ = (UniqueConstraint("place"), Index(None, "heard_at", "left_at"))

    id: str = Field(primary_key=True, max_length=32)
    conversation_id: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    agent: str = Field(default="", max_length=32)
    """Log-in of whom it is for; empty: for everyone of ``queue``."""
    queue: str = Field(default="", max_length=39)
    place: str = Field(max_length=120)
    """File below the folder of messages."""
    seconds: int
    number: str = Field(default="", max_length=16)
    customer_id: str = Field(default="", max_length=64)
    customer_name: str = Field(default="", max_length=120)
    left_at: float
    heard_at: float | None = None
    heard_by: str = Field(default="", max_length=32)


class HouseSwitch(SQLModel, table=True):
    """A switch that people throw: ``closed`` is the emergency closure."""

    __tablename__: ClassVar[str] = "house_switch"

    name: str = Field(primary_key=True, max_length=16)
    on: bool = Field(default=False, sa_column_kwargs={"name": "is_on"})
    reason: str = Field(default="", max_length=80)
    by: str = Field(default="", max_length=32, sa_column_kwargs={"name": "thrown_by"})
    at: float = Field(sa_column_kwargs={"name": "thrown_at"})


class KeptPlace(SQLModel, table=True):
    """Where a caller was who was cut off, for the next call from the same number."""

    __tablename__: ClassVar[str] = "kept_place"

    number: str = Field(primary_key=True, max_length=16)
    conversation_id: str = Field(max_length=64)
    checkpoint: str = Field(default="", max_length=1000)
    """The place in the flow, without anything that was proven."""
    queue: str = Field(default="", max_length=39)
    joined_at: float | None = None
    priority: int = 0
    agent: str = Field(default="", max_length=32)
    kept_at: float = Field(index=True)
