"""The desk's handlers and the table of its routes. What stands in the table was checked before a handler runs."""

from __future__ import annotations

import asyncio
import math
import re
from typing import TYPE_CHECKING

import orjson
import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from prometheus_client import generate_latest
from pydantic import ValidationError

from telephony.desk import bodies, entities
from telephony.desk.problems import Problem
from telephony.desk.routes import EVERY_ROLE, PUBLIC, SUPERVISION, Call, Route
from telephony.desk.sockets import Socket, viewer_of
from telephony.floor.accounts import LoginLocked, User, WrongCredentials

if TYPE_CHECKING:
    from telephony.desk.server import DeskServer

log = structlog.get_logger(__name__)

COOKIE = "callfloor_session"
HEARTBEAT_SECONDS = 20.0
MESSAGE_LIMIT = 1024
"""Bytes of the largest thing a browser may say on the stream."""
_CONVERSATION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OUTBOX_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def json_response(data: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json")


class Api:
    """The handlers, on top of one desk server."""

    def __init__(self, desk: DeskServer) -> None:
        self._desk = desk

    def routes(self) -> tuple[Route, ...]:
        """Every route there is, but for the pages."""
        limit = {"type": "integer", "minimum": 1, "maximum": bodies.MOST_CONVERSATIONS}
        owned = ("conversation-unknown",)
        return (
            Route(
                "POST", "/api/v1/session", self.sign_in, PUBLIC, "Sign in; sets the session cookie",
                body=bodies.SignIn, answer=entities.Me, problems=("wrong-credentials", "login-locked"),
            ),
            Route("GET", "/api/v1/session", self.who, EVERY_ROLE, "Who is signed in", answer=entities.Me),
            Route("DELETE", "/api/v1/session", self.sign_out, EVERY_ROLE, "Sign out", status=204),
            Route(
                "GET", "/api/v1/snapshot", self.snapshot, EVERY_ROLE, "Everything this person sees, now",
                answer=entities.Snapshot,
            ),
            Route(
                "GET", "/api/v1/stream", self.stream, EVERY_ROLE,
                "WebSocket: a snapshot (or what was missed since `since`), then every change",
                status=101, origin_checked=True, problems=("websocket-only",),
                query={"since": {"type": "integer", "minimum": 0}, "epoch": {"type": "string", "maxLength": 128}},
            ),
            Route(
                "PUT", "/api/v1/presence", self.set_presence, EVERY_ROLE, "Become ready, paused or offline",
                body=bodies.SetPresence, answer=entities.Me,
                problems=("no-phone", "pause-unknown", "presence-locked", "wrap-up-open", "pbx-down"),
            ),
            Route(
                "POST", "/api/v1/conversations/{conversation}/wrap-up", self.wrap_up, EVERY_ROLE,
                "Close one's conversation with a code", body=bodies.WrapUpDone, answer=bodies.WrapUpAnswer,
                problems=(*owned, "wrap-up-not-open", "already-wrapped-up", "code-unknown"),
            ),
            Route(
                "PUT", "/api/v1/conversations/{conversation}/note", self.save_note, EVERY_ROLE,
                "Save the draft of the note", status=204, body=bodies.Note, problems=owned,
            ),
            Route(
                "PUT", "/api/v1/conversations/{conversation}/customer", self.choose_customer, EVERY_ROLE,
                "Say which of the candidates is calling", body=bodies.ChosenCustomer, answer=bodies.CustomerAnswer,
                problems=(*owned, "customer-not-offered"),
            ),
            Route(
                "GET", "/api/v1/conversations", self.conversations, EVERY_ROLE,
                "The latest conversations: one's own, everybody's for supervisors",
                answer=bodies.Conversations, query={"limit": {**limit, "default": bodies.DEFAULT_CONVERSATIONS}},
            ),
            Route(
                "GET", "/api/v1/outbox", self.outbox, SUPERVISION, "What the CRM has not got yet",
                answer=bodies.Outbox,
            ),
            Route(
                "POST", "/api/v1/outbox/{item}/retry", self.retry_outbox, SUPERVISION, "Try a dead letter again",
                status=204, problems=("outbox-item-unknown",),
            ),
            Route("GET", "/api/v1/openapi.json", self.openapi, PUBLIC, "This document"),
            Route("GET", "/healthz", self.alive, PUBLIC, "Whether the process runs", answer=bodies.Health),
            Route(
                "GET", "/readyz", self.ready, PUBLIC, "Whether calls are handled as they should be (503: not)",
                answer=bodies.Ready,
            ),
            Route(
                "GET", "/metrics", self.metrics, PUBLIC, "Figures for Prometheus", content_type="text/plain",
            ),
        )  # fmt: skip

    # -- the session -----------------------------------------------------------------------------------------------

    async def sign_in(self, call: Call) -> web.Response:
        desk, request = self._desk, call.request
        body: bodies.SignIn = call.body
        try:
            user = await desk.accounts.authenticate(body.login, body.password, desk.address(request))
        except WrongCredentials:
            desk.sign_ins.labels("refused").inc()
            raise Problem("wrong-credentials") from None
        except LoginLocked as locked:
            desk.sign_ins.labels("locked").inc()
            seconds = math.ceil(locked.retry_after)
            raise Problem("login-locked", params={"seconds": seconds}, headers={"Retry-After": str(seconds)}) from None
        async with desk.changing(user.login):
            token, session = await desk.accounts.open_session(user, request.headers.get("User-Agent", ""))
            try:
                await desk.office.signed_in(user)
            except BaseException:
                await desk.accounts.end_session(session.key)
                raise
        desk.sign_ins.labels("accepted").inc()
        log.info("signed_in", login=user.login, role=str(user.role))
        answer = json_response(self.me(user))
        answer.set_cookie(
            COOKIE,
            token,
            max_age=round(session.expires_at - desk.clock()),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=desk.secure(request),
        )
        return answer

    async def who(self, call: Call) -> web.Response:
        user = call.known.user
        await self._at_work(user)
        return json_response(self.me(user))

    async def sign_out(self, call: Call) -> web.Response:
        await self._desk.end_session(call.known)
        answer = web.Response(status=204)
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=self._desk.secure(call.request))
        return answer

    def me(self, user: User) -> object:
        """The person's own entity, which the office has put by now."""
        value = self._desk.board.value("me", user.login)
        if value is None:
            raise RuntimeError(f"the office has not put me/{user.login}")
        return value

    async def _at_work(self, user: User) -> None:
        """Sessions outlive the process: make the office know this person again after a restart."""
        if self._desk.board.value("me", user.login) is None:
            await self._desk.office.signed_in(user)

    # -- the stream ------------------------------------------------------------------------------------------------

    async def snapshot(self, call: Call) -> web.Response:
        user = call.known.user
        await self._at_work(user)
        data = self._desk.board.snapshot(user.login, str(user.role))
        return web.Response(body=data, content_type="application/json")

    async def stream(self, call: Call) -> web.StreamResponse:
        desk, request = self._desk, call.request
        since = _number(request, "since", 0, 2**63 - 1) if "since" in request.query else None
        ws = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS, compress=False, max_msg_size=MESSAGE_LIMIT, autoclose=False
        )
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise Problem("websocket-only", headers={"Upgrade": "websocket"})
        # Entered before the first await: a session that ends meanwhile finds this place and closes it.
        socket = desk.sockets.enter(call.known)
        viewer = viewer_of(socket)
        try:
            await self._at_work(call.known.user)
            await ws.prepare(request)
            if request.transport is None:
                raise ConnectionResetError("the client left during the handshake")
            socket.open(request.transport)
            desk.board.attach(viewer, since, request.query.get("epoch"))
            await self._listen(ws, socket)
            if socket.closing is None:
                await ws.close()
        except ConnectionError:
            if not ws.prepared:
                raise
            log.debug("desk_stream_left", login=call.login)
        except Exception:
            if not ws.prepared:
                raise
            # Too late for a problem document: the connection speaks WebSocket now.
            log.exception("desk_stream_failed", login=call.login)
            await ws.close(code=WSCloseCode.INTERNAL_ERROR)
        finally:
            desk.board.detach(viewer)
            desk.sockets.leave(socket)
        return ws

    async def _listen(self, ws: web.WebSocketResponse, socket: Socket) -> None:
        """Take the browser's acknowledgements until it goes."""
        loop, login = asyncio.get_running_loop(), socket.session.user.login
        async for message in ws:
            if socket.closing is not None:
                # Only his goodbye matters now.
                continue
            if message.type is not WSMsgType.TEXT or socket.too_chatty(loop.time()):
                socket.close(WSCloseCode.POLICY_VIOLATION, b"unexpected message")
                continue
            try:
                shown = entities.Shown.model_validate_json(message.data)
            except ValidationError:
                socket.close(WSCloseCode.POLICY_VIOLATION, b"unreadable message")
                continue
            if _CONVERSATION.fullmatch(shown.conversation):
                self._desk.office.pop_shown(login, shown.conversation)

    # -- work ------------------------------------------------------------------------------------------------------

    async def set_presence(self, call: Call) -> web.Response:
        body: bodies.SetPresence = call.body
        await self._at_work(call.known.user)
        await self._desk.office.set_presence(call.login, body.presence, body.reason)
        return json_response(self.me(call.known.user))

    async def wrap_up(self, call: Call) -> web.Response:
        body: bodies.WrapUpDone = call.body
        conversation = _conversation(call)
        await self._desk.office.wrap_up(call.login, conversation, body.code, body.note)
        return json_response({"conversation": conversation, "code": body.code})

    async def save_note(self, call: Call) -> web.Response:
        body: bodies.Note = call.body
        await self._desk.office.save_note(call.login, _conversation(call), body.note)
        return web.Response(status=204)

    async def choose_customer(self, call: Call) -> web.Response:
        body: bodies.ChosenCustomer = call.body
        conversation = _conversation(call)
        await self._desk.office.choose_customer(call.login, conversation, body.customer)
        return json_response({"conversation": conversation, "customer": body.customer})

    async def conversations(self, call: Call) -> web.Response:
        user, limit = call.known.user, bodies.DEFAULT_CONVERSATIONS
        if "limit" in call.request.query:
            limit = _number(call.request, "limit", 1, bodies.MOST_CONVERSATIONS)
        rows = await self._desk.office.recent_conversations(user.login, str(user.role), limit)
        return json_response({"items": list(rows)})

    async def outbox(self, call: Call) -> web.Response:
        return json_response({"items": list(await self._desk.office.outbox())})

    async def retry_outbox(self, call: Call) -> web.Response:
        item = call.request.match_info["item"]
        if not _OUTBOX_ID.fullmatch(item):
            raise Problem("outbox-item-unknown")
        await self._desk.office.retry_outbox(item)
        return web.Response(status=204)

    # -- for machines ----------------------------------------------------------------------------------------------

    async def openapi(self, call: Call) -> web.Response:
        return web.Response(body=self._desk.openapi, content_type="application/json")

    async def alive(self, call: Call) -> web.Response:
        return json_response({"alive": True})

    async def ready(self, call: Call) -> web.Response:
        readiness = self._desk.office.readiness()
        data = {"ready": readiness.ready, "reasons": list(readiness.reasons)}
        return json_response(data, 200 if readiness.ready else 503)

    async def metrics(self, call: Call) -> web.Response:
        return web.Response(
            body=generate_latest(self._desk.registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def _conversation(call: Call) -> str:
    conversation = call.request.match_info["conversation"]
    if not _CONVERSATION.fullmatch(conversation):
        raise Problem("conversation-unknown")
    return conversation


def _number(request: web.Request, name: str, least: int, most: int) -> int:
    text = request.query[name]
    # Only ASCII digits, and not many: Python's int() takes much more than a number in a URL should be.
    if re.fullmatch(r"[0-9]{1,19}", text) and least <= int(text) <= most:
        return int(text)
    raise Problem("invalid-fields", extra={"errors": [{"pointer": f"?{name}", "reason": "out_of_range"}]})
