"""Any CRM that speaks our small JSON protocol over HTTP; ``docs/webhook-crm.md`` is its contract.

Every request is a POST signed with HMAC-SHA256 over its time and body. Every answer is hostile until it has passed the
models below: bounded in size, not compressed, not a redirect, of the expected shape.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar

import httpx
import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from crm_bridge.database import UNFIT
from crm_bridge.ports import (
    ActivityLine,
    CallReport,
    Card,
    CrmRefused,
    CrmUnavailable,
    CustomerRef,
    InvoiceLine,
    OrderLine,
)

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are read."""
SIGNATURE_VERSION = "v1"
_RETRY_LATER = frozenset((408, 425, 429))
_MAX_PEOPLE = 100
_MAX_LINES = 500

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""What no name or id holds: control characters, line ends of any kind, and what turns the direction of a text."""
_CONTROL_IN_TEXT = re.compile(f"(?![\\n\\t])[{_CONTROL}]")

_ONE_LINE = f"^[^{_CONTROL}]*$"
# Refused, not cleaned: an id must come back as it was, and two names must not look alike because one was mended.
_Short = Annotated[str, Field(max_length=200, pattern=_ONE_LINE)]
_Id = Annotated[str, Field(min_length=1, max_length=200, pattern=_ONE_LINE)]
_Long = Annotated[
    str,
    Field(max_length=8000),
    AfterValidator(lambda text: _CONTROL_IN_TEXT.sub(UNFIT, text.replace("\r\n", "\n").replace("\r", "\n"))),
]
"""Lines and tabs stay; of a text that somebody typed, a stray control character costs itself alone."""
_Money = Annotated[int, Field(ge=-(2**53), le=2**53)]
_Time = Annotated[float, Field(ge=0, le=32503680000, allow_inf_nan=False)]
_Date = Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]


class _Answer(BaseModel):
    # Strict: "12.50" is no amount of minor units, and a CRM that sends it must hear so, not be guessed at.
    # Unknown fields are left alone, so that a CRM may send more than we know.
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Customer(_Answer):
    id: _Id
    number: _Short = ""
    name: _Short
    company: _Short = ""
    language: Annotated[str, Field(pattern="^(de|en)?$")] = ""

    def ref(self) -> CustomerRef:
        return CustomerRef(**self.model_dump())


class _Order(_Answer):
    number: _Short
    status: _Short
    placed_at: _Time
    total_minor: _Money
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    tracking: _Short = ""


class _Invoice(_Answer):
    number: _Short
    status: _Short
    issued: _Date
    due: _Date = ""
    total_minor: _Money
    residual_minor: _Money
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class _Activity(_Answer):
    at: _Time
    kind: _Short
    text: _Long = ""
    agent: _Short = ""


class _Card(_Answer):
    customer: _Customer
    email: _Short = ""
    phones: Annotated[list[_Short], Field(max_length=_MAX_PEOPLE)] = []
    blocked: bool = False
    orders: Annotated[list[_Order], Field(max_length=_MAX_LINES)] = []
    invoices: Annotated[list[_Invoice], Field(max_length=_MAX_LINES)] = []
    activities: Annotated[list[_Activity], Field(max_length=_MAX_LINES)] = []


class _LookupAnswer(_Answer):
    customers: Annotated[list[_Customer], Field(max_length=_MAX_PEOPLE)]


class _CardAnswer(_Answer):
    card: _Card | None


class _CallAnswer(_Answer):
    reference: _Id


class _CheckAnswer(_Answer):
    ok: bool


_AnswerT = TypeVar("_AnswerT", bound=_Answer)


class WebhookAdapter:
    """A CRM behind a URL.

    ``client``: an ``httpx.AsyncClient``; whoever made it closes it. ``url``: the base all paths are appended to.
    ``secret``: the shared key of the signature. ``timeout``: seconds for a whole exchange.
    ``clock``: Unix seconds.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        url: str,
        secret: str,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._secret = secret.encode()
        self._timeout = timeout
        self._clock = clock

    @property
    def name(self) -> str:
        return "webhook"

    async def find_by_number(self, e164: str) -> tuple[CustomerRef, ...]:
        answer = await self._ask("lookup", {"number": e164}, _LookupAnswer)
        return tuple(customer.ref() for customer in answer.customers)

    async def find_by_customer_number(self, number: str) -> CustomerRef | None:
        answer = await self._ask("lookup", {"customer_number": number}, _LookupAnswer)
        # Several customers of one customer number is a fault of that CRM; opening one of them would be ours.
        return answer.customers[0].ref() if len(answer.customers) == 1 else None

    async def card(self, customer_id: str) -> Card | None:
        card = (await self._ask("card", {"customer": customer_id}, _CardAnswer)).card
        if card is None:
            return None
        if card.customer.id != customer_id:
            raise CrmRefused("the CRM answered with another customer's card")
        return Card(
            card.customer.ref(),
            email=card.email,
            phones=tuple(card.phones),
            blocked=card.blocked,
            orders=tuple(OrderLine(**order.model_dump()) for order in card.orders),
            invoices=tuple(InvoiceLine(**invoice.model_dump()) for invoice in card.invoices),
            activities=tuple(ActivityLine(**activity.model_dump()) for activity in card.activities),
            source=self.name,
            fetched_at=self._clock(),
        )

    async def record_call(self, report: CallReport, key: str) -> str:
        return (await self._ask("calls", {"call": asdict(report)}, _CallAnswer, {"Idempotency-Key": key})).reference

    async def check(self) -> None:
        if not (await self._ask("check", {}, _CheckAnswer)).ok:
            raise CrmUnavailable("the CRM says that it is not ready")

    async def _ask(
        self, path: str, question: dict[str, Any], shape: type[_AnswerT], headers: dict[str, str] | None = None
    ) -> _AnswerT:
        # The request's name is inside the signed body, so that a signed look-up cannot be replayed as something else.
        body = orjson.dumps({"request": path, **question})
        stamp = str(int(self._clock()))
        request = self._client.build_request(
            "POST",
            f"{self._url}/{path}",
            content=body,
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                # A few bytes can unpack to gigabytes.
                "Accept-Encoding": "identity",
                "X-Callfloor-Timestamp": stamp,
                "X-Callfloor-Signature": f"{SIGNATURE_VERSION}={sign(self._secret, stamp, body)}",
                **(headers or {}),
            },
            timeout=self._timeout,
        )
        try:
            # httpx times each step; an answer that drips in byte by byte would never end.
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(request, stream=True, follow_redirects=False)
                try:
                    self._judge(response)
                    answer = await self._read(response)
                finally:
                    await response.aclose()
        except (httpx.TimeoutException, TimeoutError):
            raise CrmUnavailable(f"the CRM did not answer within {self._timeout:g} s") from None
        except (httpx.TransportError, OSError) as failed:
            raise CrmUnavailable(f"the CRM cannot be reached: {type(failed).__name__}: {_line(failed)}") from None
        except (httpx.InvalidURL, httpx.HTTPError) as failed:
            raise CrmRefused(f"the CRM's address cannot be used: {type(failed).__name__}") from None
        return _checked(answer, shape)

    def _judge(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in _RETRY_LATER or status >= 500:
            raise CrmUnavailable(f"the CRM answered {status}", self._retry_after(response.headers.get("Retry-After")))
        if status in (401, 403):
            raise CrmRefused(f"the CRM does not let us in ({status}); check crm.adapter.secret and both clocks")
        if 300 <= status < 400:
            raise CrmRefused(
                f"the CRM redirects ({status}), which is not followed; write the final address in the settings"
            )
        raise CrmRefused(f"the CRM refused the request ({status})")

    def _retry_after(self, header: str | None) -> float | None:
        """Seconds, from either form of the header (RFC 9110, 10.2.3); none when it cannot be read."""
        if header is None:
            return None
        if header.strip().isdecimal() and len(header) <= 9:
            return float(header)
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        # A date without a zone is GMT by the same section.
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - datetime.fromtimestamp(self._clock(), UTC)).total_seconds())

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise CrmRefused("the CRM's answer is compressed, which was not asked for")
        answer = bytearray()
        async for chunk in response.aiter_raw():
            answer += chunk
            if len(answer) > MAX_ANSWER:
                raise CrmRefused(f"the CRM's answer is longer than {MAX_ANSWER} bytes")
        return bytes(answer)


def sign(secret: bytes, stamp: str, body: bytes) -> str:
    """The signature: HMAC-SHA256 over the time stamp, a full stop and the body; lower-case hexadecimal."""
    return hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _checked(answer: bytes, shape: type[_AnswerT]) -> _AnswerT:
    try:
        return shape.model_validate_json(answer)
    except ValidationError as wrong:
        # Only where and what: the values are somebody's personal data.
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "answer"
        raise CrmRefused(f"the CRM's answer cannot be read: {place[:80]}: {first['type']}") from None


def _line(failed: BaseException) -> str:
    return (str(failed).splitlines() or [""])[0][:200]
