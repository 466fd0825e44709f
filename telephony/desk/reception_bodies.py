"""What clients send and get about the reception: requests, voice messages, call-backs, flows, the emergency closure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from telephony.desk.bodies import NoteText

_PLAIN = r"^[^\x00-\x1f\x7f]*$"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Decision(_Body):
    decision: Literal["approved", "rejected"]
    note: NoteText = ""
    vouched: bool = False
    """Who decides has checked who had called: bank details asked for without a PIN are approved by nobody else."""


class NewCallBack(_Body):
    queue: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,38}$")]
    number: Annotated[str, Field(min_length=3, max_length=40, pattern=_PLAIN)]
    language: Literal["", "de", "en"] = ""


class SetClosure(_Body):
    closed: bool
    reason: Annotated[str, Field(max_length=80, pattern=_PLAIN)] = ""


class SetPin(_Body):
    pin: Annotated[str, Field(pattern=r"^[0-9]{4,8}$")]


class SetLive(_Body):
    flow: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,38}$")]
    version: Annotated[int, Field(ge=1, le=10**6)]


class RequestItem(BaseModel):
    """Something a customer asked for in the IVR. Secret fields show their last four characters."""

    reference: str
    conversation: str
    kind: Literal["bank_details", "return", "complaint"]
    customer: str
    customer_name: str
    level: Literal["none", "number", "pin"]
    fields: dict[str, str | int | bool]
    state: Literal["pending", "approved", "rejected"]
    filed_at: float
    decided_by: str
    decided_at: float | None
    vouched: bool
    note: str


class Requests(BaseModel):
    items: list[RequestItem]


class MessageItem(BaseModel):
    """A voice message; its sound is at ``/messages/{id}/audio``."""

    id: str
    conversation: str
    kind: Literal["greeting", "complaint", "message"]
    for_queue: str
    seconds: int
    number_display: str
    customer: str
    customer_name: str
    left_at: float
    heard_at: float | None
    heard_by: str


class Messages(BaseModel):
    items: list[MessageItem]


class CallBackItem(BaseModel):
    id: str
    queue: str
    number_display: str
    customer: str
    customer_name: str
    place_at: float
    expires_at: float
    state: str
    attempts: int
    next_at: float


class CallBacks(BaseModel):
    items: list[CallBackItem]


class CallBackAnswer(BaseModel):
    promised: bool
    already: bool


class ClosureAnswer(BaseModel):
    closed: bool
    reason: str
    by: str
    at: float | None


class FlowVersionItem(BaseModel):
    flow: str
    version: int
    published_at: float
    published_by: str
    aliases: list[str]


class FlowNode(BaseModel):
    """One node of the live flow: how many callers are there now, came by in the time shown, and gave up there."""

    node: str
    here: int
    passed: int
    gave_up: int


class FlowAnswer(BaseModel):
    flow: str
    shown: str
    """The live flow in words."""
    nodes: list[FlowNode]
    versions: list[FlowVersionItem]


class Done(BaseModel):
    done: bool
