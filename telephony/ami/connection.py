"""One TCP (or TLS) connection to Asterisk: moves bytes between a socket and a ``Session``, keeps its time."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import Any

import structlog
from asterisk.ami import Action, LogoffAction

from telephony.ami.codec import Event
from telephony.ami.errors import (
    ActionTimeout,
    AmiError,
    CertificateRefused,
    LinkLost,
    NotReady,
    ProtocolError,
    TlsRequired,
)
from telephony.ami.session import EventsArrived, LoggedIn, Ponged, Replied, Reply, Session, State
from telephony.ami.stats import Stats
from telephony.settings import Ami

_log = structlog.get_logger(__name__)

CLOSE_GRACE = 1.0
"""Seconds that a connection may take to say goodbye."""


class Connection(asyncio.Protocol):
    """Made by ``open_connection``. ``lost`` is done, with the reason as its result, when the connection is no more.

    ``on_ready`` is called when logged in, before the first event. ``on_events`` is called from the read loop with
    every event that answers no action; neither may raise.
    """

    def __init__(
        self,
        session: Session,
        stats: Stats,
        on_ready: Callable[[Connection], None],
        on_events: Callable[[list[Event]], None],
    ) -> None:
        self.session = session
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[AmiError] = self._loop.create_future()
        self._stats = stats
        self._on_ready = on_ready
        self._on_events = on_events
        self._transport: asyncio.Transport | None = None
        self._reason: AmiError | None = None
        self._waiters: dict[str, asyncio.Future[Reply]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._seen_messages = 0
        self._seen_unmatched = 0
        self._seen_malformed: dict[str, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        session = self.session
        for happening in session.receive(data, self._loop.time()):
            match happening:
                case EventsArrived():
                    self._on_events(happening.events)
                case Replied():
                    waiter = self._waiters.pop(happening.reply.action_id, None)
                    if waiter is not None and not waiter.done():
                        waiter.set_result(happening.reply)
                case Ponged():
                    self._stats.ping_rtt = happening.seconds
                    self._tick()
                case LoggedIn():
                    if not self.ready.done():
                        self.ready.set_result(None)
                    self._on_ready(self)
                    self._tick()
        self._count()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._reason is None:
            self._reason = self.session.failure or NotReady(
                f"the connection to Asterisk broke ({exc})" if exc else "Asterisk closed the connection"
            )
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(LinkLost(f"{self._reason}; nobody knows whether the action was carried out"))
        self._waiters.clear()
        if not self.ready.done():
            self.ready.cancel()
        if not self.lost.done():
            self.lost.set_result(self._reason)

    async def ask(self, action: Action, timeout: float) -> Reply:
        """Send the action and wait for its complete answer, an error included.

        Raises ``NotReady``, ``LinkLost``, ``ActionTimeout``, ``EncodeError``.
        """
        given = next((value for key, value in action.keys.items() if str(key).lower() == "actionid"), None)
        action_id = self.session.request(action, self._loop.time(), None if given is None else str(given))
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiters[action_id] = waiter
        self._flush()
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            raise ActionTimeout(f"Asterisk did not answer {action.name} within {timeout:g} s") from None
        finally:
            if self._waiters.pop(action_id, None) is not None:
                self.session.forget(action_id)

    def drop(self, reason: AmiError) -> None:
        """Cut the connection at once."""
        if self._reason is None:
            self._reason = reason
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Say goodbye and wait until the connection is no more."""
        if self._transport is None or self.lost.done():
            return
        if self._reason is None:
            self._reason = NotReady("the link was closed by us")
        if self.session.state is State.READY:
            with contextlib.suppress(NotReady):
                self.session.request(LogoffAction(), self._loop.time())
            self._transport.write(self.session.data_to_send())
        self._transport.close()
        try:
            await asyncio.wait([self.lost], timeout=CLOSE_GRACE)
        finally:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is None:
            return
        if self.session.failure is not None:
            self.drop(self.session.failure)
            return
        data = self.session.data_to_send()
        if data:
            self._transport.write(data)

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.session.tick(self._loop.time())
        self._flush()
        if self.session.failure is None:
            self._timer = self._loop.call_at(due, self._tick)

    def _count(self) -> None:
        decoder, stats = self.session.decoder, self._stats
        stats.messages += decoder.messages - self._seen_messages
        self._seen_messages = decoder.messages
        stats.unmatched += self.session.unmatched - self._seen_unmatched
        self._seen_unmatched = self.session.unmatched
        if decoder.malformed != self._seen_malformed:
            for kind, count in decoder.malformed.items():
                if kind not in stats.malformed:
                    # Once a kind: what a broken peer repeats all day is in the metrics.
                    _log.warning(
                        "ami_malformed", kind=kind, frames=count, what="skipped; further ones are counted only"
                    )
                stats.malformed[kind] = stats.malformed.get(kind, 0) + count - self._seen_malformed.get(kind, 0)
            self._seen_malformed = dict(decoder.malformed)


async def open_connection(settings: Ami, make: Callable[[], Connection], timeout: float) -> Connection:
    """Connect and log in, within ``timeout`` seconds.

    Raises ``NotReady`` (not reachable, too slow), ``Misconfigured`` (see the tree), ``ProtocolError``.
    """
    where = f"{settings.host}:{settings.port}"
    if settings.require_tls and not settings.tls and not is_loopback(settings.host):
        raise TlsRequired(
            f"ami.require_tls forbids sending the password to {where} without TLS: set ami.tls = true and the port of "
            "tlsbindaddr in Asterisk's manager.conf"
        )
    context = _tls_context(settings) if settings.tls else None
    connection: Connection | None = None
    try:
        async with asyncio.timeout(timeout):
            _, connection = await asyncio.get_running_loop().create_connection(
                make,
                settings.host,
                settings.port,
                ssl=context,
                server_hostname=(settings.tls_server_name or settings.host) if context else None,
            )
            either: list[asyncio.Future[Any]] = [connection.ready, connection.lost]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        stage = "did not answer" if connection is None else "accepted a connection, but no log-in,"
        problem: AmiError = NotReady(f"Asterisk at {where} {stage} within {timeout:g} s; is this its AMI port?")
    except ssl.SSLCertVerificationError as refused:
        problem = CertificateRefused(
            f"the certificate of {where} is not trusted ({refused.verify_message}): "
            "check ami.tls_ca and ami.tls_server_name"
        )
    except ssl.SSLError as failed:
        problem = ProtocolError("tls", f"{where} does not speak TLS ({failed.reason}): check ami.port and ami.tls")
    except (OSError, UnicodeError) as failed:  # the latter: a host that is no name
        cause = getattr(failed, "strerror", None) or failed
        problem = NotReady(f"Asterisk at {where} cannot be reached ({cause}); is it running?")
    except BaseException:
        if connection is not None:
            connection.drop(NotReady("the link was closed by us"))
        raise
    else:
        if connection.lost.done():
            raise connection.lost.result()
        return connection
    if connection is not None:
        connection.drop(problem)
    raise problem


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, told from its name alone."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tls_context(settings: Ami) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except (OSError, ssl.SSLError) as failed:
        reason = failed.strerror or "it holds no certificate"
        raise CertificateRefused(f"ami.tls_ca {settings.tls_ca} cannot be used ({reason}): name a PEM file") from failed
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _keep_alive(sock: socket.socket | None) -> None:
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
