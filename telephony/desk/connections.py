"""Connections to the desk, and how long one that has not shown who it is may keep a place.

A stranger is a connection on which no request of a session has been seen yet: a browser that loads the page, a proxy,
or somebody who means harm. Strangers are bounded in time by ``Patience`` and in number by ``Connections``; people at
their desks have neither limit on them. When there is no place left, the stranger who has been idle for longest goes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from telephony.logs import Thinner
from telephony.settings import Http

log = structlog.get_logger(__name__)

SHARE = 0.5
"""Of the file descriptors this process may have, the share that desks may take: the rest is for calls and records."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds a stranger may take."""

    request: float = 10.0
    """From the connection's beginning until a whole request is there, body included."""
    body: float = 10.0
    """From a request's head to the end of its body, whoever sends it."""
    answer: float = 60.0
    """From a whole request until it is answered."""
    idle: float = 75.0
    """From an answer's beginning until the next whole request; longer than proxies keep connections for later use."""


class Connections:
    """Everybody who is connected."""

    def __init__(self, settings: Http, registry: CollectorRegistry, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._settings = settings
        self._thinner = Thinner()
        self._open: set[Connection] = set()
        # The one that has been idle for longest stands first.
        self._strangers: dict[Connection, None] = {}
        self._at: dict[str, dict[Connection, None]] = {}
        self._cut = Counter(
            "callfloor_desk_connections_cut", "Connections that were closed on strangers", ["why"], registry=registry
        )
        Gauge("callfloor_desk_connections", "Open connections", registry=registry).set_function(lambda: len(self))
        Gauge("callfloor_desk_strangers", "Open connections without a session", registry=registry).set_function(
            lambda: len(self._strangers)
        )

    def __len__(self) -> int:
        return len(self._open)

    @property
    def places(self) -> int:
        """How many connections there may be."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        ours = self._settings.connections
        return ours if descriptors == resource.RLIM_INFINITY else min(ours, int(descriptors * SHARE))

    def enter(self, one: Connection) -> bool:
        """A place for one more, if need be that of an idle stranger; false when there is none."""
        here = self._at.get(one.address, {})
        if len(here) >= self._settings.strangers_per_address and not self._exempt(one.address):
            if not self._make_room(here, "address"):
                return False
        elif len(self._open) >= self.places and not self._make_room(self._strangers, "full"):
            return False
        self._open.add(one)
        self._strangers[one] = None
        self._at.setdefault(one.address, {})[one] = None
        return True

    def leave(self, one: Connection) -> None:
        """It is gone."""
        self._open.discard(one)
        self.known(one)

    def known(self, one: Connection) -> None:
        """It is no stranger any more."""
        self._strangers.pop(one, None)
        here = self._at.get(one.address)
        if here is not None:
            here.pop(one, None)
            if not here:
                del self._at[one.address]

    def idle(self, one: Connection) -> None:
        """A stranger was answered."""
        for row in (self._strangers, self._at.get(one.address, {})):
            if one in row:
                del row[one]
                row[one] = None

    def cut(self, one: Connection, why: str) -> None:
        """Close on a stranger."""
        self._cut.labels(why).inc()
        self.leave(one)
        one.abort()

    def _exempt(self, address: str) -> bool:
        # Everybody comes from there.
        return self._settings.trust_proxy and is_loopback(address)

    def _make_room(self, strangers: dict[Connection, None], why: str) -> bool:
        left_out = self._thinner.left_out(why)
        if left_out is not None:
            log.warning("desk_connections_full", why=why, open=len(self), places=self.places, left_out=left_out)
        idle = next((one for one in strangers if not one.busy), None)
        if idle is None:
            self._cut.labels("refused").inc()
            return False
        self.cut(idle, why)
        return True


class Connection(web.RequestHandler):
    """One connection: the library's protocol, with a limit on a stranger's time and a voice of ours for its errors."""

    def __init__(
        self,
        server: web.Server,
        connections: Connections,
        complain: Callable[[web.BaseRequest, int, BaseException | None], web.Response],
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=connections.patience.idle,
            access_log=None,  # type: ignore[arg-type]  # the library's own way to have none
            # What is small on the line and large in memory is for attackers; our pages compress nothing.
            auto_decompress=False,
        )
        self.address = ""
        self.busy = False
        """Whether a request of it is being answered."""
        self._connections = connections
        self._complain = complain
        self._stranger = True
        self._line: asyncio.Transport | None = None
        """The transport; the library forgets its own before what was written has gone out."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._line = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if not self._connections.enter(self):
            transport.abort()
            return
        self._wait(self._connections.patience.request)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting()
        self._line = None
        self._connections.leave(self)
        super().connection_lost(exc)

    def heard(self) -> None:
        """A whole request is there."""
        self.busy = True
        if self._stranger:
            self._wait(self._connections.patience.answer)

    def answered(self) -> None:
        """It has its answer, or is getting it."""
        self.busy = False
        if self._stranger:
            self._wait(self._connections.patience.idle)
            self._connections.idle(self)

    def known(self) -> None:
        """A request with a session was seen."""
        if self._stranger:
            self._stranger = False
            self._stop_waiting()
            self._connections.known(self)

    def abort(self) -> None:
        """End it now."""
        if self._line is not None:
            self._line.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what did not get as far as our own handling; ``message`` quotes the peer and is not repeated."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        answer = self._complain(request, status, exc)
        answer.force_close()
        return answer

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._connections.cut, self, "time")

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
