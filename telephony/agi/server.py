"""The FastAGI server: one task for each caller, every read bounded, nobody let in who is not on the list.

A peer that stays silent, sends garbage or too much is cut off: its caller is in the dialplan's hands at once, and the
dialplan knows a second address and a fallback queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from ivr_flows.ports import CallerGone, CallFacts
from telephony.agi.caller import AgiCaller, facts_of
from telephony.agi.codec import (
    AgiError,
    AgiProtocolError,
    Decoder,
    Environment,
    Hangup,
    Item,
    Reply,
    encode_command,
)
from telephony.logs import Thinner
from telephony.settings import Agi

READ_BYTES = 16 * 1024
ENVIRONMENT_SECONDS = 5.0
"""How long a peer may take to say who it is."""
MAX_SESSIONS = 1000
"""Callers at once; one more is left to the dialplan's next address."""

_ANSWERS = frozenset((200, 511))
"""Done, and not on a channel that has hung up."""

Handler = Callable[[AgiCaller, CallFacts], Awaitable[object]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counters:
    """What the server has seen since it started."""

    accepted: int = 0
    refused: int = 0
    """Peers that are not on the list or do not know the secret, and peers beyond ``MAX_SESSIONS``."""
    cut: int = 0
    """Sessions ended by us because the peer broke the protocol, refused our commands or kept silent."""
    gone: int = 0
    """Sessions in which the caller hung up."""
    failed: int = 0
    """Sessions whose handler raised."""


class AgiServer:
    """Listens on ``settings.host:port``; ``handler`` is called once for each caller, in a task of its own.

    ``secret``: what the dialplan must say; empty to believe everybody who may connect.
    """

    def __init__(
        self,
        settings: Agi,
        handler: Handler,
        *,
        secret: str = "",
        environment_seconds: float = ENVIRONMENT_SECONDS,
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        self._settings = settings
        self._allow = [_network(network) for network in settings.allow]
        self._handler = handler
        self._script = f"ivr/{secret}".encode() if secret else b""
        self._environment_seconds = environment_seconds
        self._max_sessions = max_sessions
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self._thinner = Thinner()
        self.counters = Counters()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise AgiError("the FastAGI server is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def sessions(self) -> int:
        """Callers being served."""
        return len(self._sessions)

    async def start(self, port: int | None = None) -> None:
        """Listen; ``port`` overrides the settings' (0: any free one). Raises ``AgiError`` fit to be shown."""
        wanted = self._settings.port if port is None else port
        try:
            self._server = await asyncio.start_server(
                self._accept, self._settings.host, wanted, limit=READ_BYTES, reuse_address=True
            )
        except OSError as failed:
            raise AgiError(
                f"agi.host, agi.port: cannot listen on {self._settings.host}:{wanted} ({failed.strerror or failed}); "
                "end the program that holds it, or set another port"
            ) from failed
        log.info("agi_listening", host=self._settings.host, port=self.port)

    async def stop(self, drain_seconds: float = 0.0) -> None:
        """Take no new callers, let those inside finish for so long, then hand the rest back to the dialplan."""
        if self._server is not None:
            self._server.close()
        if self._sessions and drain_seconds > 0:
            log.info("agi_draining", sessions=len(self._sessions), seconds=drain_seconds)
            await asyncio.wait(self._sessions, timeout=drain_seconds)
        left = list(self._sessions)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _peer(writer)
        why = "" if self._may_connect(peer) else "not_allowed"
        if not why and len(self._sessions) >= self._max_sessions:
            why = "too_many"
        if why:
            self.counters.refused += 1
            self._complain("agi_refused", peer, why)
            writer.transport.abort()
            return
        self.counters.accepted += 1
        task = asyncio.create_task(self._serve(reader, writer, peer), name=f"agi-{self.counters.accepted}")
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    def _complain(self, event: str, peer: str, why: str, **more: str) -> None:
        """Log what a peer has done wrong; one who does it over and over does not fill the log."""
        left_out = self._thinner.left_out((event, peer, why))
        if left_out is not None:
            log.warning(event, peer=peer, why=why, left_out=left_out, **more)

    def _may_connect(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._allow)

    def _is_ours(self, environment: Environment) -> bool:
        """Whether the peer has said the word that stands in our dialplan: a peer can say of any caller who he is."""
        said = environment.values.get("agi_network_script", "").encode("utf-8", "surrogateescape")
        return not self._script or hmac.compare_digest(said, self._script)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        session = _Session(reader, writer)
        conversation = ""
        try:
            environment = await session.environment(self._environment_seconds)
            if not self._is_ours(environment):
                self.counters.refused += 1
                self._complain("agi_refused", peer, "wrong_secret")
                return
            facts = facts_of(environment)
            conversation = facts.conversation
            log.debug("agi_session_started", conversation=conversation)
            await self._handler(AgiCaller(session.ask), facts)
        except CallerGone:
            if session.broken is None:
                self.counters.gone += 1
                log.debug("agi_caller_gone", conversation=conversation)
        except Exception:
            # The last fence: the connection closes, and the dialplan takes the caller on.
            self.counters.failed += 1
            log.exception("agi_session_failed", conversation=conversation)
        finally:
            if session.broken is not None:
                # Said here and once: the handler may have taken it for a caller who is gone, and ended in peace.
                self.counters.cut += 1
                self._complain("agi_session_cut", peer, str(session.broken), conversation=conversation)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()


class _Session:
    """One connection: strictly one command at a time.

    ``broken``: how the peer broke the protocol, if it did. To the handler its caller is then gone, as after a hang-up:
    there is nobody to lead any more, and a peer's fault is no fault of the flow.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._items: list[Item] = []
        self._gone = False
        self.broken: AgiProtocolError | None = None

    async def environment(self, seconds: float) -> Environment:
        """Who is there. Raises ``CallerGone``."""
        try:
            item = await self._next(seconds, "its environment")
            if not isinstance(item, Environment):
                raise AgiProtocolError("no environment")
        except AgiProtocolError as broken:
            raise self._lost(broken) from None
        return item

    async def ask(self, words: Sequence[str], seconds: float) -> Reply:
        """One command and its reply. Raises ``CallerGone``, also when the peer breaks the protocol."""
        if self._gone:
            raise CallerGone
        try:
            return await self._exchange(words, seconds)
        except AgiProtocolError as broken:
            raise self._lost(broken) from None

    def _lost(self, broken: AgiProtocolError) -> CallerGone:
        self.broken, self._gone = broken, True
        return CallerGone()

    async def _exchange(self, words: Sequence[str], seconds: float) -> Reply:
        if any(isinstance(item, Reply) for item in self._items):
            raise AgiProtocolError("a reply that was not asked for")
        self._writer.write(encode_command(*words))
        try:
            async with asyncio.timeout(seconds):
                await self._writer.drain()
        except TimeoutError:
            raise AgiProtocolError("the peer reads nothing") from None
        except OSError:
            self._gone = True
            raise CallerGone from None
        while True:
            item = await self._next(seconds, f"a reply to {words[0]}")
            if isinstance(item, Reply):
                if item.code not in _ANSWERS:
                    # An Asterisk that knows none of our commands leads nobody through a flow.
                    raise AgiProtocolError(f"{words[0]} was refused: {item.text.splitlines()[0][:80]}")
                return item
            if isinstance(item, Hangup):
                self._gone = True
                raise CallerGone

    async def _next(self, seconds: float, what: str) -> Item:
        try:
            async with asyncio.timeout(seconds):
                while not self._items:
                    data = await self._reader.read(READ_BYTES)
                    if not data:
                        self._gone = True
                        raise CallerGone
                    self._items = self._decoder.feed(data)
        except TimeoutError:
            raise AgiProtocolError(f"{what} did not come within {seconds:g} s") from None
        except OSError:
            self._gone = True
            raise CallerGone from None
        return self._items.pop(0)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise AgiError(f"agi.allow: {text!r} is no network; write one like 127.0.0.0/8 or 10.0.0.5") from None


def _peer(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return str(name[0]) if name else ""
