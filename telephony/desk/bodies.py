"""What clients send and get: the validated edge of the HTTP API. Unknown fields are refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from crm_bridge.records import MAX_NOTE
from telephony.desk.ports import OutboxItem, RecentConversation

BODY_LIMIT = 64 * 1024
NOTE_LIMIT = MAX_NOTE
DEFAULT_CONVERSATIONS = 50
MOST_CONVERSATIONS = 200

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _plain(text: str) -> str:
    # Cleaned, not refused: a stray character in what somebody pasted must not keep his wrap-up open.
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


NoteText = Annotated[str, Field(max_length=NOTE_LIMIT), AfterValidator(_plain)]
"""Lines and tabs stay; other control characters go. PostgreSQL takes no NUL, and terminals obey an escape."""

ConversationId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SignIn(_Body):
    login: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class SetPresence(_Body):
    presence: Literal["ready", "paused", "offline"]
    reason: Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,32}$")] = ""
    """A pause's code; empty for none."""


class WrapUpDone(_Body):
    code: Annotated[str, Field(pattern=r"^[A-Z0-9_]{1,32}$")]
    note: NoteText = ""


class Note(_Body):
    note: NoteText


class ChosenCustomer(_Body):
    customer: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,200}$")]
    """Whatever the CRM calls its customers (docs/webhook-crm.md); the office takes only one that it has offered."""


class WrapUpAnswer(BaseModel):
    conversation: str
    code: str


class CustomerAnswer(BaseModel):
    conversation: str
    customer: str


class Conversations(BaseModel):
    items: list[RecentConversation]


class Outbox(BaseModel):
    items: list[OutboxItem]


class Health(BaseModel):
    alive: Literal[True]


class Ready(BaseModel):
    ready: bool
    reasons: list[str]


class FieldError(BaseModel):
    """One invalid field."""

    pointer: str
    """Where, as a JSON pointer (RFC 6901) into the body."""
    reason: str
    """A stable code, such as ``missing`` or ``extra_forbidden``."""


class ProblemDocument(BaseModel):
    """An error (RFC 9457). ``type`` is stable; the texts are in the reader's language."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(pattern=r"^urn:callfloor:problem:[a-z0-9-]+$")]
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
    params: dict[str, Any] | None = None
