"""The tables of the people: who may log in, which queues they serve, who is logged in, what they were doing.

Times are Unix seconds.
"""

from __future__ import annotations

from typing import ClassVar

from sqlmodel import Field, SQLModel

# First, because it sets the naming convention of every constraint in the house.
import crm_bridge.tables  # noqa: F401


class UserAccount(SQLModel, table=True):
    """A person who may log in."""

    __tablename__: ClassVar[str] = "user_account"

    login: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=80)
    password_hash: str = Field(max_length=256)
    role: str = Field(max_length=16)
    language: str = Field(max_length=2)
    phone: str | None = Field(default=None, max_length=39)
    """The PJSIP endpoint this person sits at."""
    active: bool = True
    created_at: float


class QueueMembership(SQLModel, table=True):
    """That a person serves a queue."""

    __tablename__: ClassVar[str] = "queue_membership"

    login: str = Field(primary_key=True, max_length=32, foreign_key="user_account.login", ondelete="CASCADE")
    queue: str = Field(primary_key=True, max_length=39)
    penalty: int = 0


class DeskSession(SQLModel, table=True):
    """One log-in on one browser. The token itself is known to the browser only."""

    __tablename__: ClassVar[str] = "desk_session"

    token_hash: str = Field(primary_key=True, max_length=64)
    login: str = Field(index=True, max_length=32, foreign_key="user_account.login", ondelete="CASCADE")
    created_at: float
    expires_at: float = Field(index=True)
    last_seen: float
    user_agent: str = Field(default="", max_length=120)


class AgentState(SQLModel, table=True):
    """What an agent was doing, so that a killed service goes on where it was."""

    __tablename__: ClassVar[str] = "agent_state"

    login: str = Field(primary_key=True, max_length=32, foreign_key="user_account.login", ondelete="CASCADE")
    presence: str = Field(max_length=16)
    reason: str = Field(default="", max_length=32)
    since: float
    logged_in: bool = False
    conversation: str | None = Field(default=None, max_length=64)
    wrap_up_queue: str | None = Field(default=None, max_length=39)
    wrap_up_deadline: float | None = None
    updated_at: float
