"""The office behind the flows: each question a flow can ask, and who answers it."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

import httpx
import structlog

from crm_bridge.bridge import Bridge
from crm_bridge.database import DatabaseError
from crm_bridge.matching import Proof, match_proven
from crm_bridge.numbers import NumberStatus
from crm_bridge.pins import Pins
from crm_bridge.ports import Card, CrmError, CrmUnavailable, InvoiceLine, Match, OrderLine
from crm_bridge.requests import NewRequest, Requests
from ivr_flows import ports
from ivr_flows.opening import Hours, opening
from ivr_flows.ports import Finding, Level, OfficeUnable, Question, Recognition, Standing, Value
from telephony.reception.callbacks import CallBacks, QueueView, Wanted
from telephony.reception.messages import Left, Messages, Recipient
from telephony.reception.switches import Switches
from telephony.reception.waits import Waits
from telephony.reception.web_calls import NotAllowed, WebCalls
from telephony.settings import Levels

log = structlog.get_logger(__name__)

LEVELS: tuple[Level, ...] = ("none", "number", "pin")
REQUEST_LEVELS: Mapping[str, str] = {"bank_details": "bank_details", "return": "returns", "complaint": "complaints"}
"""The setting that says what each kind of request needs."""
OWED = ("open", "partial", "overdue")

_Q = TypeVar("_Q")


class People(Protocol):
    """Who can be left a message."""

    def recipient(self, name: str) -> Recipient | None:
        """By log-in, phone, number of the keypad, or queue; none: there is no such recipient."""
        ...


class Proofs(Protocol):
    """Who wants to know what happens to a caller."""

    def prove(self, conversation: str, match: Match, level: str) -> None: ...

    def filed(self, conversation: str) -> None:
        """A request or a message of this caller is there to be seen."""
        ...


class FrontOffice:
    """Implements the ``Office`` port of ``ivr_flows``."""

    def __init__(
        self,
        *,
        bridge: Bridge,
        pins: Pins,
        requests: Requests,
        callbacks: CallBacks,
        messages: Messages,
        switches: Switches,
        web: WebCalls,
        waits: Waits,
        hours: Mapping[str, Hours],
        levels: Levels,
        queues: Callable[[], Mapping[str, QueueView]],
        people: People,
        proofs: Proofs,
        zone: ZoneInfo,
        clock: Callable[[], float],
        can_call: bool,
    ) -> None:
        self._bridge = bridge
        self._pins = pins
        self._requests = requests
        self._callbacks = callbacks
        self._messages = messages
        self._switches = switches
        self._web = web
        self._waits = waits
        self._hours = hours
        self._levels = levels
        self._queues = queues
        self._people = people
        self._proofs = proofs
        self._zone = zone
        self._clock = clock
        self._can_call = can_call
        self._answers: dict[type, Callable[[Standing, Any], Awaitable[Finding]]] = {}
        self._when(ports.WhoCalls, self._who_calls)
        self._when(ports.WhoHasNumber, self._who_has_number)
        self._when(ports.IsPinRight, self._is_pin_right)
        self._when(ports.LookUp, self._look_up)
        self._when(ports.FileRequest, self._file_request)
        self._when(ports.AreWeOpen, self._are_we_open)
        self._when(ports.PromiseCallBack, self._promise_call_back)
        self._when(ports.OpenMessage, self._open_message)
        self._when(ports.KeepMessage, self._keep_message)
        self._when(ports.CallHttp, self._call_http)

    def _when(self, question: type[_Q], answer: Callable[[Standing, _Q], Awaitable[Finding]]) -> None:
        self._answers[question] = answer

    async def answer(self, standing: Standing, question: Question) -> Finding:
        """See ``ivr_flows.ports.Office``."""
        try:
            return await self._answers[type(question)](standing, question)
        except (CrmError, DatabaseError) as failed:
            # Without the message: a database's quotes what was to be stored.
            raise OfficeUnable(type(failed).__name__) from None

    # --- who calls ------------------------------------------------------------------------------------------------

    async def _who_calls(self, standing: Standing, _: ports.WhoCalls) -> Finding:
        facts = standing.facts
        found = await self._bridge.identify(facts.number, facts.presentation)
        recognition = recognition_of(found.match)
        known = bool(recognition.customer)
        return Finding("known" if known else _UNKNOWN.get(recognition.certainty, "unknown"), {}, recognition)

    async def _who_has_number(self, standing: Standing, question: ports.WhoHasNumber) -> Finding:
        facts = standing.facts
        by_number = (await self._bridge.identify(facts.number, facts.presentation)).match
        match = await self._bridge.identify_by_customer_number(question.digits, by_number=by_number)
        if match.customer is None:
            if match.reason == "crm_unavailable":
                raise CrmUnavailable("the CRM did not say whose number this is")
            return Finding("unknown", {}, recognition_of(match))
        self._proofs.prove(facts.conversation, match, "number")
        return Finding("known", {}, recognition_of(match))

    async def _is_pin_right(self, standing: Standing, question: ports.IsPinRight) -> Finding:
        facts = standing.facts
        number = self._bridge.parse(facts.number, facts.presentation)
        source = self._bridge.source
        verdict = await self._pins.check(source, question.customer, question.pin, number.e164 or "")
        if verdict != "right":
            log.info("pin_refused", conversation=facts.conversation, verdict=verdict)
            return Finding(verdict)
        chosen = await self._bridge.choose(question.customer)
        if chosen is None or chosen.customer is None:
            return Finding("none")
        match = match_proven(chosen.customer, Proof.CUSTOMER_NUMBER_AND_PIN, by_number=None, source=source)
        self._proofs.prove(facts.conversation, match, "pin")
        return Finding("right", {}, recognition_of(match))

    # --- what can be known ----------------------------------------------------------------------------------------

    async def _look_up(self, standing: Standing, question: ports.LookUp) -> Finding:
        if question.what == "queue":
            return self._queue(str(question.arguments.get("queue", "")))
        needed: Level = getattr(self._levels, question.what)
        customer = standing.recognition.customer if standing.recognition is not None else ""
        if not customer or not reaches(standing.level, needed):
            return Finding("refused")
        if question.what == "requests":
            return await self._requests_of(customer)
        card = await self._bridge.card(customer)
        if card is None:
            return Finding("none")
        number = str(question.arguments.get("number", ""))
        return _CARDS[question.what](card, number, self._zone)

    def _queue(self, name: str) -> Finding:
        view = self._queues().get(name)
        if view is None:
            return Finding("none")
        minutes = self._waits.minutes(name, len(view.waiting), view.ready, view.staffed)
        return Finding("next", {"waiting": len(view.waiting), "minutes": minutes, "ready": view.ready})

    async def _requests_of(self, customer: str) -> Finding:
        rows = await self._requests.of(self._bridge.source, customer)
        if not rows:
            return Finding("none")
        newest = rows[0]
        filed_on = _day(newest.filed_at, self._zone)
        values: dict[str, Value] = {"count": len(rows), "kind": newest.kind, "status": newest.state}
        return Finding("next", {**values, "filed_on": filed_on, "reference": newest.reference})

    async def _are_we_open(self, standing: Standing, question: ports.AreWeOpen) -> Finding:
        closure = await self._switches.closure()
        now = datetime.datetime.fromtimestamp(self._clock(), self._zone)
        emergency = closure.reason if closure is not None else None
        found = opening(self._hours[question.hours], now, emergency, standing.language)
        opens_on = found.opens_on.isoformat() if found.opens_on is not None else ""
        return Finding(found.state, {"reason": found.reason, "opens_on": opens_on, "opens_at": found.opens_at})

    # --- what is done ---------------------------------------------------------------------------------------------

    async def _file_request(self, standing: Standing, question: ports.FileRequest) -> Finding:
        needed: Level = getattr(self._levels, REQUEST_LEVELS[question.kind])
        known = standing.recognition
        if known is None or not known.customer or not reaches(standing.level, needed):
            return Finding("refused")
        reference = await self._requests.file(
            NewRequest(
                conversation=standing.facts.conversation,
                node=standing.node,
                kind=question.kind,
                source=self._bridge.source,
                customer=known.customer,
                customer_name=known.name,
                level=standing.level,
                fields=question.fields,
            )
        )
        log.info("request_filed", conversation=standing.facts.conversation, kind=question.kind, reference=reference)
        self._proofs.filed(standing.facts.conversation)
        return Finding("next", {"reference": reference})

    async def _promise_call_back(self, standing: Standing, question: ports.PromiseCallBack) -> Finding:
        facts = standing.facts
        number = (
            self._bridge.parse(question.number)
            if question.number
            else self._bridge.parse(facts.number, facts.presentation)
        )
        if not self._can_call or number.status is not NumberStatus.OK or number.e164 is None:
            return Finding("refused")
        known = standing.recognition
        wanted = Wanted(
            queue=question.queue,
            number=number.e164,
            language=question.language,
            customer=known.customer if known is not None else "",
            customer_name=known.name if known is not None else "",
            conversation=facts.conversation,
        )
        branch = await self._callbacks.promise(wanted)
        log.info("callback_promised", conversation=facts.conversation, queue=question.queue, answer=branch)
        return Finding(branch)

    async def _open_message(self, standing: Standing, question: ports.OpenMessage) -> Finding:
        if self._people.recipient(question.recipient) is None:
            return Finding("refused")
        return Finding("next", {"place": str(self._messages.place()[1])})

    async def _keep_message(self, standing: Standing, question: ports.KeepMessage) -> Finding:
        recipient = self._people.recipient(question.recipient)
        if recipient is None:
            return Finding("refused")
        facts, known = standing.facts, standing.recognition
        number = self._bridge.parse(facts.number, facts.presentation)
        place = Path(question.place)
        kept = await self._messages.keep(
            Left(
                conversation=facts.conversation,
                kind=question.kind,
                recipient=recipient,
                place=f"{place.parent.name}/{place.name}",
                seconds=question.seconds,
                number=number.e164 or "",
                customer=known.customer if known is not None else "",
                customer_name=known.name if known is not None else "",
            )
        )
        if kept:
            log.info("message_left", conversation=facts.conversation, kind=question.kind, seconds=question.seconds)
            self._proofs.filed(facts.conversation)
        return Finding("next")

    async def _call_http(self, standing: Standing, question: ports.CallHttp) -> Finding:
        conversation = standing.facts.conversation
        try:
            return await self._web.call(question, conversation, f"{conversation}/{standing.node}")
        except (NotAllowed, httpx.HTTPError, ValueError) as failed:
            raise OfficeUnable(f"the web service: {failed or type(failed).__name__}"[:200]) from None


_UNKNOWN: Mapping[str, str] = {"shared": "shared", "withheld": "withheld"}


def reaches(level: Level, needed: Level) -> bool:
    """Whether what was proven is enough."""
    return LEVELS.index(level) >= LEVELS.index(needed)


def recognition_of(match: Match) -> Recognition:
    """What a flow may know of a match: nothing of the customers among whom there is still a choice."""
    customer = match.customer
    if customer is None:
        return Recognition(str(match.certainty), match.reason)
    return Recognition(str(match.certainty), match.reason, customer.id, customer.name, customer.language)


def _order(card: Card, number: str, zone: ZoneInfo) -> Finding:
    found = _chosen(card.orders, number)
    if found is None:
        return Finding("none")
    return Finding(
        "next",
        {
            "count": len(card.orders),
            "number": found.number,
            "status": found.status,
            "placed_on": _day(found.placed_at, zone),
            "total": found.total_minor,
            "currency": found.currency,
            "tracking": found.tracking,
        },
    )


def _invoice(card: Card, number: str, zone: ZoneInfo) -> Finding:
    owed = [invoice for invoice in card.invoices if invoice.status in OWED and invoice.residual_minor > 0]
    # The oldest that is owed: that is the one a caller rings up about.
    found = _chosen(card.invoices, number) if number else (owed[-1] if owed else None)
    if found is None:
        return Finding("none")
    return Finding(
        "next",
        {
            "count": len(card.invoices),
            "open": len(owed),
            "number": found.number,
            "status": found.status,
            "issued_on": found.issued,
            "due_on": found.due,
            "residual": found.residual_minor,
            "total": found.total_minor,
            "currency": found.currency,
        },
    )


def _customer(card: Card, number: str, zone: ZoneInfo) -> Finding:
    who = card.customer
    return Finding("next", {"number": who.number, "language": who.language, "blocked": card.blocked})


_CARDS: Mapping[str, Callable[[Card, str, ZoneInfo], Finding]] = {
    "orders": _order,
    "invoices": _invoice,
    "customer": _customer,
}

_Line = TypeVar("_Line", OrderLine, InvoiceLine)


def _chosen(lines: Sequence[_Line], number: str) -> _Line | None:
    """The line with this number, of which a caller types only the digits; without one, the newest."""
    if not number:
        return lines[0] if lines else None
    return next((line for line in lines if _digits(line.number) == number), None)


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


def _day(at: float, zone: ZoneInfo) -> str:
    return datetime.datetime.fromtimestamp(at, zone).date().isoformat()
