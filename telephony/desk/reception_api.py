"""The desk's handlers for the reception. What stands in the table was checked before a handler runs."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web

from crm_bridge import requests as crm_requests
from crm_bridge.numbers import NumberStatus, format_number, parse_number
from crm_bridge.pins import PinInvalid, Pins
from crm_bridge.tables import ServiceRequest
from ivr_flows import drawing
from telephony.desk import reception_bodies as bodies
from telephony.desk.api import json_response
from telephony.desk.problems import Problem
from telephony.desk.routes import EVERY_ROLE, PUBLIC, SUPERVISION, Call, Route
from telephony.floor.accounts import Role
from telephony.reception.callbacks import CallBacks, Wanted
from telephony.reception.counts import FlowCounts
from telephony.reception.library import LIVE, Library, LibraryError
from telephony.reception.messages import Messages
from telephony.reception.shelf import Shelf
from telephony.reception.switches import Switches
from telephony.reception.tables import CallBackPromise, VoiceMessage
from telephony.settings import Settings

log = structlog.get_logger(__name__)

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_CUSTOMER = re.compile(r"[^\x00-\x1f\x7f/]{1,200}")
MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Stores:
    """What the reception keeps."""

    requests: crm_requests.Requests
    messages: Messages
    callbacks: CallBacks
    switches: Switches
    library: Library
    shelf: Shelf
    counts: FlowCounts
    pins: Pins
    source: str
    """The CRM that knows the customers."""


class ReceptionApi:
    """``changed`` is told when what everybody sees of the reception is out of date."""

    def __init__(self, settings: Settings, stores: Stores, changed: Callable[[], None]) -> None:
        self._settings = settings
        self._stores = stores
        self._changed = changed

    def routes(self) -> tuple[Route, ...]:
        """Every route about the reception."""
        days = {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": 7}
        return (
            Route(
                "GET", "/api/v1/requests", self.requests, EVERY_ROLE,
                "What customers asked for in the IVR: what waits for a decision, or one customer's",
                answer=bodies.Requests, query={"customer": {"type": "string", "maxLength": 200}},
            ),
            Route(
                "POST", "/api/v1/requests/{reference}/decision", self.decide, EVERY_ROLE, "Approve or reject a request",
                body=bodies.Decision, answer=bodies.RequestItem,
                problems=("request-unknown", "request-decided", "request-locked"),
            ),
            Route(
                "GET", "/api/v1/messages", self.messages, EVERY_ROLE, "One's own voice messages, and one's queues'",
                answer=bodies.Messages,
            ),
            Route(
                "GET", "/api/v1/messages/{message}/audio", self.audio, EVERY_ROLE, "The sound of a message",
                content_type="audio/wav", problems=("message-unknown",),
            ),
            Route(
                "PUT", "/api/v1/messages/{message}/heard", self.heard, EVERY_ROLE, "This message is dealt with",
                status=204, problems=("message-unknown",),
            ),
            Route(
                "GET", "/api/v1/callbacks", self.callbacks, EVERY_ROLE, "The call-backs that were promised",
                answer=bodies.CallBacks,
            ),
            Route(
                "POST", "/api/v1/callbacks", self.promise, EVERY_ROLE, "Promise a call-back",
                body=bodies.NewCallBack, answer=bodies.CallBackAnswer,
                problems=("queue-unknown", "number-not-callable"),
            ),
            Route(
                "POST", "/api/v1/web/callbacks", self.promise_to_web, PUBLIC,
                "Promise a call-back to somebody on the house's website (bearer token: callbacks.web_token)",
                body=bodies.NewCallBack, answer=bodies.CallBackAnswer, origin_checked=False,
                problems=("web-token-wrong", "queue-unknown", "number-not-callable"),
            ),
            Route(
                "DELETE", "/api/v1/callbacks/{callback}", self.withdraw, EVERY_ROLE, "Withdraw a call-back",
                status=204, problems=("callback-unknown",),
            ),
            Route(
                "GET", "/api/v1/closure", self.closure, EVERY_ROLE, "Whether the office is closed by hand",
                answer=bodies.ClosureAnswer,
            ),
            Route(
                "PUT", "/api/v1/closure", self.set_closure, SUPERVISION, "Close the office at once, or open it again",
                body=bodies.SetClosure, answer=bodies.ClosureAnswer,
            ),
            Route(
                "GET", "/api/v1/flow", self.flow, SUPERVISION,
                "The live flow: callers at each node now, and how many came by and gave up",
                answer=bodies.FlowAnswer, query={"days": days},
            ),
            Route(
                "GET", "/api/v1/flow/drawing", self.drawing, SUPERVISION, "The live flow as a picture",
                content_type="image/svg+xml", query={"days": days},
            ),
            Route(
                "PUT", "/api/v1/flow/live", self.set_live, frozenset({Role.ADMIN}),
                "Make a published version live: forward or back", status=204, body=bodies.SetLive,
                problems=("flow-version-unknown",),
            ),
            Route(
                "PUT", "/api/v1/customers/{customer}/pin", self.set_pin, SUPERVISION,
                "Give a customer a PIN for the telephone", status=204, body=bodies.SetPin, problems=("pin-too-simple",),
            ),
        )  # fmt: skip

    # -- requests --------------------------------------------------------------------------------------------------

    async def requests(self, call: Call) -> web.Response:
        customer = call.request.query.get("customer", "")
        stores = self._stores
        rows = await stores.requests.of(stores.source, customer) if customer else await stores.requests.pending()
        return json_response({"items": [_request(row) for row in rows]})

    async def decide(self, call: Call) -> web.Response:
        body: bodies.Decision = call.body
        reference = _known_id(call, "reference", "request-unknown")
        try:
            row = await self._stores.requests.decide(reference, body.decision, call.login, body.note, body.vouched)
        except crm_requests.RequestUnknown:
            raise Problem("request-unknown") from None
        except crm_requests.RequestDecided as decided:
            raise Problem("request-decided", params={"by": decided.by, "state": decided.state}) from None
        except crm_requests.RequestLocked:
            raise Problem("request-locked") from None
        log.info("request_decided", reference=reference, decision=body.decision, by=call.login, vouched=body.vouched)
        self._changed()
        return json_response(_request(row))

    # -- voice messages --------------------------------------------------------------------------------------------

    async def messages(self, call: Call) -> web.Response:
        rows = await self._stores.messages.for_agent(call.login, self._queues(call))
        return json_response({"items": [_message(row) for row in rows]})

    async def audio(self, call: Call) -> web.StreamResponse:
        found = await self._stores.messages.one(
            _known_id(call, "message", "message-unknown"), call.login, self._queues(call)
        )
        if found is None or not found[1].is_file():
            raise Problem("message-unknown")
        log.info("message_played", message=found[0].id, by=call.login)
        return web.FileResponse(found[1], headers={"Content-Type": "audio/wav", "Cache-Control": "no-store"})

    async def heard(self, call: Call) -> web.Response:
        id_ = _known_id(call, "message", "message-unknown")
        if await self._stores.messages.one(id_, call.login, self._queues(call)) is None:
            raise Problem("message-unknown")
        await self._stores.messages.heard(id_, call.login)
        self._changed()
        return web.Response(status=204)

    def _queues(self, call: Call) -> list[str]:
        """The queues whose messages this person hears: one's own; everybody's for supervisors."""
        user = call.known.user
        if user.role in SUPERVISION:
            return [queue.name for queue in self._settings.queues]
        return [one.queue for one in user.queues]

    # -- call-backs ------------------------------------------------------------------------------------------------

    async def callbacks(self, call: Call) -> web.Response:
        return json_response({"items": [_callback(row) for row in await self._stores.callbacks.open()]})

    async def promise(self, call: Call) -> web.Response:
        return await self._promise(call.body)

    async def promise_to_web(self, call: Call) -> web.Response:
        token = self._settings.callbacks.web_token
        given = call.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token is None or not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
            raise Problem("web-token-wrong")
        return await self._promise(call.body)

    async def _promise(self, body: bodies.NewCallBack) -> web.Response:
        if self._settings.queue(body.queue) is None:
            raise Problem("queue-unknown", params={"queue": body.queue})
        number = parse_number(body.number, region=self._settings.office.region)
        if number.status is not NumberStatus.OK or number.e164 is None or self._settings.pbx.trunk_out is None:
            raise Problem("number-not-callable")
        answer = await self._stores.callbacks.promise(Wanted(body.queue, number.e164, body.language))
        if answer == "refused":
            raise Problem("number-not-callable")
        self._changed()
        return json_response({"promised": True, "already": answer == "already"})

    async def withdraw(self, call: Call) -> web.Response:
        if not await self._stores.callbacks.end(_known_id(call, "callback", "callback-unknown"), "withdrawn"):
            raise Problem("callback-unknown")
        self._changed()
        return web.Response(status=204)

    # -- the house -------------------------------------------------------------------------------------------------

    async def closure(self, call: Call) -> web.Response:
        found = await self._stores.switches.closure()
        return json_response(
            {
                "closed": found is not None,
                "reason": found.reason if found is not None else "",
                "by": found.by if found is not None else "",
                "at": found.at if found is not None else None,
            }
        )

    async def set_closure(self, call: Call) -> web.Response:
        body: bodies.SetClosure = call.body
        if body.closed:
            await self._stores.switches.close(body.reason, call.login)
        else:
            await self._stores.switches.reopen(call.login)
        log.warning("office_closed" if body.closed else "office_reopened", by=call.login, reason=body.reason)
        self._changed()
        return await self.closure(call)

    async def flow(self, call: Call) -> web.Response:
        live = self._stores.shelf.live
        edges = await self._stores.counts.edges(live, self._since(call))
        here = self._stores.counts.now(live.document.name)
        versions = await self._stores.library.versions()
        return json_response(
            {
                "flow": live.document.name,
                "shown": self._stores.shelf.shown,
                "nodes": [
                    {
                        "node": node,
                        "here": here.get(node, 0),
                        "passed": sum(count for (one, _), count in edges.items() if one == node),
                        "gave_up": edges.get((node, "hangup"), 0),
                    }
                    for node in live.order
                ],
                "versions": [
                    {
                        "flow": one.flow,
                        "version": one.version,
                        "published_at": one.published_at,
                        "published_by": one.published_by,
                        "aliases": list(one.aliases),
                    }
                    for one in versions
                ],
            }
        )

    async def drawing(self, call: Call) -> web.Response:
        live = self._stores.shelf.live
        edges = await self._stores.counts.edges(live, self._since(call))
        picture = drawing.svg(live, counts=edges, now=self._stores.counts.now(live.document.name))
        return web.Response(text=picture, content_type="image/svg+xml", headers={"Cache-Control": "no-store"})

    def _since(self, call: Call) -> str:
        """The first of the days asked for, in the office's calendar."""
        text = call.request.query.get("days", "7")
        days = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 7
        return self._stores.counts.since(min(max(days, 1), MOST_DAYS))

    async def set_live(self, call: Call) -> web.Response:
        body: bodies.SetLive = call.body
        try:
            await self._stores.library.point(LIVE, body.flow, body.version, call.login)
        except LibraryError:
            raise Problem("flow-version-unknown", params={"flow": body.flow, "version": body.version}) from None
        log.warning("flow_made_live", flow=body.flow, version=body.version, by=call.login)
        return web.Response(status=204)

    async def set_pin(self, call: Call) -> web.Response:
        body: bodies.SetPin = call.body
        customer = call.request.match_info["customer"]
        if not _CUSTOMER.fullmatch(customer):
            raise Problem("not-found")
        try:
            await self._stores.pins.set(self._stores.source, customer, body.pin)
        except PinInvalid:
            raise Problem("pin-too-simple") from None
        log.info("pin_set", customer=customer, by=call.login)
        return web.Response(status=204)


def _known_id(call: Call, name: str, problem: str) -> str:
    id_ = call.request.match_info[name]
    if not _ID.fullmatch(id_):
        raise Problem(problem)
    return id_


def _request(row: ServiceRequest) -> dict[str, object]:
    return {
        "reference": row.reference,
        "conversation": row.conversation_id,
        "kind": row.kind,
        "customer": row.customer_id,
        "customer_name": row.customer_name,
        "level": row.level,
        "fields": row.shown,
        "state": row.state,
        "filed_at": row.filed_at,
        "decided_by": row.decided_by,
        "decided_at": row.decided_at,
        "vouched": row.vouched,
        "note": row.note,
    }


def _message(row: VoiceMessage) -> dict[str, object]:
    return {
        "id": row.id,
        "conversation": row.conversation_id,
        "kind": row.kind,
        "for_queue": row.queue,
        "seconds": row.seconds,
        "number_display": format_number(row.number) if row.number else "",
        "customer": row.customer_id,
        "customer_name": row.customer_name,
        "left_at": row.left_at,
        "heard_at": row.heard_at,
        "heard_by": row.heard_by,
    }


def _callback(row: CallBackPromise) -> dict[str, object]:
    return {
        "id": row.id,
        "queue": row.queue,
        "number_display": format_number(row.number),
        "customer": row.customer_id,
        "customer_name": row.customer_name,
        "place_at": row.place_at,
        "expires_at": row.expires_at,
        "state": row.state,
        "attempts": row.attempts,
        "next_at": row.next_at,
    }
