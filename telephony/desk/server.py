"""The desk's HTTP server: one way in for every request, with all checks in one place.

Nothing is registered but through ``DeskServer._register``, which takes a ``Route`` and puts the checks of
``DeskServer._answer`` before its handler: where the request comes from, who sends it, what it holds. A route without
roles does not exist; a public one says so.

DeskError    the server cannot start; the text is one line and fit to be shown
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
import weakref
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import orjson
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import BaseModel, ValidationError

from crm_bridge.database import DatabaseError
from telephony.desk import openapi, problems
from telephony.desk.api import COOKIE, Api
from telephony.desk.bodies import BODY_LIMIT
from telephony.desk.connections import Connection, Connections, Patience, is_loopback
from telephony.desk.pages import STATIC, Pages
from telephony.desk.ports import Office, OfficeError
from telephony.desk.problems import Problem
from telephony.desk.routes import Call, Route
from telephony.desk.sockets import SOCKETS_PER_PERSON, Pacer, Sockets
from telephony.desk.stream import Board
from telephony.floor.accounts import Accounts, Session
from telephony.settings import Settings, origin_of

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 10.0
STOP_SECONDS = 2.0
BACKLOG = 512
"""Connections that may wait to be taken in: after a restart the whole office comes at once."""
TOKEN_LONGEST = 128
_LANGUAGE = web.RequestKey("desk_language", str)

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The microphone is for the softphone in the page.
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    # In place of the library's, which names its version and Python's.
    "Server": "Callfloor",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class DeskError(Exception):
    """The desk's server cannot start."""


class DeskServer:
    """The server. ``board``: make it with ``frame=text_frame``, and ``paced=PACED_KINDS`` for an office of any size."""

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        office: Office,
        board: Board,
        registry: CollectorRegistry,
        *,
        clock: Callable[[], float] = time.time,
        static: Path = STATIC,
        sockets_per_person: int = SOCKETS_PER_PERSON,
        patience: Patience | None = None,
    ) -> None:
        self.accounts = accounts
        self.office = office
        self.board = board
        self.registry = registry
        self.clock = clock
        self._settings = settings
        self.sign_ins = Counter("callfloor_desk_sign_ins", "Attempts to sign in", ["result"], registry=registry)
        slow = Counter("callfloor_desk_slow_cut", "Desks cut off because they could not keep up", registry=registry)
        self.sockets = Sockets(sockets_per_person, on_slow=slow.inc)
        self.unreadable = Counter(
            "callfloor_desk_unreadable", "What came to the port and was no request", ["error"], registry=registry
        )
        self.connections = Connections(settings.http, registry, patience)
        Gauge("callfloor_desk_sockets", "Open desks", registry=registry).set_function(lambda: len(self.sockets))
        Gauge("callfloor_desk_seq", "Number of the last change", registry=registry).set_function(lambda: board.seq)
        self.routes = (*Api(self).routes(), *Pages(static).routes())
        self.openapi = orjson.dumps(openapi.document(self.routes, version("callfloor")))
        self.app = web.Application(middlewares=[self._as_problems], client_max_size=BODY_LIMIT)
        self.app.on_response_prepare.append(self._add_headers)
        for route in self.routes:
            self._register(route)
        self._pacer = Pacer(board)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self, port: int | None = None) -> None:
        """Listen. ``port``: in place of the settings' one; 0 for any. Raises ``DeskError``."""
        http = self._settings.http
        wanted = http.port if port is None else port
        runner = web.AppRunner(self.app, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        server = runner.server
        assert server is not None

        def connection() -> Connection:
            return Connection(server, self.connections, self._complain)

        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(connection, http.host, wanted, backlog=BACKLOG)
        except OSError as failed:
            await runner.cleanup()
            raise DeskError(
                f"http: cannot listen on {http.host}:{wanted} ({failed.strerror or failed}); "
                "end what listens there, or set http.host and http.port"
            ) from None
        self._runner = runner
        self._pacer.start()
        self._sweeper = asyncio.create_task(self._keep_sweeping(), name="desk-sweeper")
        log.info("desk_listening", host=http.host, port=self.port)

    async def stop(self) -> None:
        """Say goodbye to every desk and stop listening. Calling it again does nothing."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
            self._sweeper = None
        self._pacer.stop()
        await self.sockets.close_all()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        return int(self._listener.sockets[0].getsockname()[1]) if self._listener is not None else 0

    # -- sessions --------------------------------------------------------------------------------------------------

    def changing(self, login: str) -> asyncio.Lock:
        """Held while sessions of this person begin or end, so that the office hears of it in the true order."""
        lock = self._locks.get(login)
        if lock is None:
            lock = self._locks[login] = asyncio.Lock()
        return lock

    async def end_session(self, session: Session) -> None:
        """End a session and close its desks; with a person's last one he is signed out."""
        login = session.user.login
        async with self.changing(login):
            await self.accounts.end_session(session.key)
            self.sockets.close_sessions([session.key])
            if login not in await self.accounts.signed_in():
                await self.office.signed_out(session.user)
        log.info("signed_out", login=login)

    async def sweep(self) -> None:
        """Close the desks whose session has expired, was revoked, or has another role now; sign out who has none left.

        Sessions also end behind our back: on the command line, or with the clock.
        """
        opened = self.sockets.roles()
        valid = await self.accounts.valid(opened) if opened else {}
        self.sockets.close_sessions(key for key, person in opened.items() if valid.get(key) != person)
        for login in set(self.board.ids("me")) - await self.accounts.signed_in():
            async with self.changing(login):
                if login not in await self.accounts.signed_in():
                    await self.office.signed_out(await self.accounts.get(login))
                    log.info("session_over", login=login)

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except (DatabaseError, OfficeError) as failed:
                log.warning("session_sweep_failed", reason=str(failed))
            except Exception:
                # It must go on: it is what ends revoked sessions.
                log.exception("session_sweep_failed")

    # -- every request ---------------------------------------------------------------------------------------------

    def _register(self, route: Route) -> None:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            return await self._answer(route, request)

        self.app.router.add_route(route.method, route.path, endpoint)
        if route.method == "GET" and route.status == 200:
            self.app.router.add_route("HEAD", route.path, endpoint)

    async def _answer(self, route: Route, request: web.Request) -> web.StreamResponse:
        if route.unsafe and not self._own_origin(request):
            raise Problem("foreign-origin")
        session = None
        if route.roles:
            token = request.cookies.get(COOKIE, "")
            session = await self.accounts.session(token) if 0 < len(token) <= TOKEN_LONGEST else None
            if session is None:
                raise Problem("not-signed-in")
            request[_LANGUAGE] = session.user.language
            _connection(request).known()
            if session.user.role not in route.roles:
                raise Problem("role-missing", params={"roles": ", ".join(sorted(route.roles))})
        body = None if route.body is None else await self._read(request, route.body)
        _connection(request).heard()
        return await route.handler(Call(request, session, body))

    async def _read(self, request: web.Request, model: type[BaseModel]) -> BaseModel:
        """The body, checked against its model. What was sent is never repeated in the answer: it may be a password."""
        if request.content_type != "application/json":
            raise Problem("not-json", headers={"Accept": "application/json"})
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem("body-encoded", headers={"Accept-Encoding": "identity"})
        try:
            async with asyncio.timeout(self.connections.patience.body):
                raw = await request.read()
        except TimeoutError:
            raise Problem("body-late", headers={"Connection": "close"}) from None
        except web.RequestPayloadError:
            raise Problem("bad-request") from None
        try:
            return model.model_validate_json(raw)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False, include_context=False, include_input=False)
        if errors[0]["type"] in ("json_invalid", "model_type"):
            raise Problem("malformed-json")
        listed = [{"pointer": _pointer(error["loc"]), "reason": error["type"]} for error in errors[:20]]
        raise Problem("invalid-fields", extra={"errors": listed})

    def _own_origin(self, request: web.Request) -> bool:
        """Whether a request that changes something comes from our own page. Every browser says where it comes from."""
        origin = origin_of(request.headers.get("Origin", ""))
        if origin is None:
            return False
        public = self._settings.http.public_url
        return origin == (public or origin_of(f"{origin.partition(':')[0]}://{request.host or ''}"))

    def secure(self, request: web.Request) -> bool:
        """Whether people reach us over TLS."""
        public = self._settings.http.public_url
        return public.startswith("https://") if public is not None else request.secure

    def address(self, request: web.Request) -> str:
        """The client's address: the peer's, or what a trusted proxy on this machine says it is."""
        peer = request.remote or ""
        if self._settings.http.trust_proxy and is_loopback(peer):
            # The last one is the proxy's own word; those before it, and header lines before its own, are the client's.
            forwarded = ",".join(request.headers.getall("X-Forwarded-For", ())).rpartition(",")[2].strip()
            with contextlib.suppress(ValueError):
                return str(ipaddress.ip_address(forwarded))
        return peer

    @web.middleware
    async def _as_problems(self, request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        """Turn everything that goes wrong into a problem document in the reader's language."""
        fallback = None
        try:
            return await handler(request)  # type: ignore[misc,no-any-return]
        except Problem as raised:
            problem = raised
        except OfficeError as refused:
            problem, fallback = problems.of_office(refused)
        except web.HTTPNotFound:
            problem = Problem("no-such-page")
        except web.HTTPMethodNotAllowed as wrong:
            allowed = ", ".join(sorted(wrong.allowed_methods))
            problem = Problem("wrong-method", params={"method": request.method[:16]}, headers={"Allow": allowed})
        except web.HTTPRequestEntityTooLarge:
            problem = Problem("body-too-large", params={"limit": BODY_LIMIT})
        except web.HTTPException:
            problem = Problem("bad-request")
        except DatabaseError as failed:
            log.error("database_failed", path=request.path[:200], reason=str(failed))
            problem = Problem("database-down")
        except ConnectionError:
            # The client is gone; there is nobody to tell.
            raise
        except Exception:
            log.exception("request_failed", method=request.method, path=request.path[:200])
            problem = Problem("internal")
        finally:
            _connection(request).answered()
        # The page says what it is switched to. The account's language is for clients that say nothing we speak.
        own = request.get(_LANGUAGE, self._settings.office.language)
        spoken = problems.language(request.headers.get("Accept-Language"), own)
        return problems.response(problem, spoken, fallback)

    def _complain(self, request: web.BaseRequest, status: int, error: BaseException | None) -> web.Response:
        """The answer to what is no request, or could not be answered by those who should."""
        self.unreadable.labels(type(error).__name__).inc()
        if status < 500:
            log.debug("request_unreadable", error=type(error).__name__, peer=request.remote)
        else:
            log.error("request_failed", error=type(error).__name__, exc_info=error)
        problem = Problem("bad-request" if status < 500 else "internal")
        answer = problems.response(problem, self._settings.office.language)
        answer.headers.update(SECURITY_HEADERS)
        return answer

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(SECURITY_HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        if self.secure(request):
            response.headers["Strict-Transport-Security"] = "max-age=31536000"


def _connection(request: web.Request) -> Connection:
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join("/" + str(step)[:64].replace("~", "~0").replace("/", "~1") for step in location)
