"""The open WebSockets: writing to them at once, cutting off those who cannot keep up, closing those who must go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiohttp import WSCloseCode

from telephony.desk.stream import Board, Viewer
from telephony.floor.accounts import Session

log = structlog.get_logger(__name__)

SESSION_ENDED = 4401
"""Close code: ask ``GET /session``, and sign in again if that says so."""
TOO_MANY_SOCKETS = 4429
"""Close code: this person opened more desks than he may; this one was the oldest. Do not reconnect by yourself."""

OUTGOING_LIMIT = 1024 * 1024
"""Bytes that may wait for a slow client beyond its first frame."""
SOCKETS_PER_PERSON = 8
MESSAGES_PER_WINDOW = 200
WINDOW_SECONDS = 10.0
CLOSE_SECONDS = 2.0


def text_frame(payload: bytes) -> bytes:
    """An unfragmented, unmasked WebSocket text message (RFC 6455, 5.2).

    Made once per change and written as it is to every transport; the library would make it once per viewer, in a
    coroutine of its own.
    """
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def close_frame(code: int, reason: bytes) -> bytes:
    """A WebSocket close (RFC 6455, 5.5.1). ``reason``: at most 123 bytes of UTF-8."""
    return bytes((0x88, 2 + len(reason))) + code.to_bytes(2, "big") + reason


@dataclass(slots=True, eq=False)
class Socket:
    """One open desk, from before its handshake until it is gone."""

    session: Session
    limit: int = 0
    """Bytes that may wait; set with the first frame, which may be as large as it must."""
    transport: asyncio.Transport | None = None
    closing: int | None = None
    """The close code, once it must go."""
    reason: bytes = b""
    received: int = 0
    window_from: float = 0.0
    slow: bool = False
    patience: asyncio.TimerHandle | None = None

    def open(self, transport: asyncio.Transport) -> None:
        """The handshake is done; one that was told to go before says goodbye now."""
        self.transport = transport
        if self.closing is not None:
            self._say_goodbye()

    def close(self, code: int, reason: bytes = b"") -> None:
        """Begin to close; nothing else is sent any more. Who does not answer in time is cut off.

        The library's own ``close`` is not used: called from outside the socket's handler it drops the connection
        without waiting for the answer, and a client that is just writing loses the code.
        """
        if self.closing is None:
            self.closing, self.reason = code, reason
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        transport = self.transport
        if transport is not None and not transport.is_closing() and self.closing is not None:
            transport.write(close_frame(self.closing, self.reason))
            self.patience = asyncio.get_running_loop().call_later(CLOSE_SECONDS, transport.abort)

    def gone(self) -> None:
        """Its handler is done with it."""
        if self.patience is not None:
            self.patience.cancel()
        if self.transport is not None:
            self.transport.close()

    def send(self, frames: bytes) -> None:
        """Hand frames to the operating system, or cut the connection when the client has let too much pile up.

        Nothing is written once we have begun to close: after the close frame the peer may hear no more.
        """
        transport = self.transport
        if transport is None or self.closing is not None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > self.limit > 0:
            # He resumes with ``since=`` when he is back; buffering for him would take everybody's memory.
            self.slow = True
            self.closing = WSCloseCode.ABNORMAL_CLOSURE
            transport.abort()
            return
        if not self.limit:
            self.limit = OUTGOING_LIMIT + len(frames)
        transport.write(frames)

    def too_chatty(self, now: float) -> bool:
        """Count a message; whether there were too many of late."""
        if now - self.window_from > WINDOW_SECONDS:
            self.window_from, self.received = now, 0
        self.received += 1
        return self.received > MESSAGES_PER_WINDOW


class Sockets:
    """Everybody's open desks."""

    def __init__(self, per_person: int = SOCKETS_PER_PERSON, *, on_slow: Callable[[], None]) -> None:
        self._per_person = per_person
        self._on_slow = on_slow
        self._open: dict[str, list[Socket]] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def enter(self, session: Session) -> Socket:
        """A place for one more desk. Beyond the allowed number the oldest goes: most likely nobody sits there."""
        socket = Socket(session)
        mine = self._open.setdefault(session.user.login, [])
        mine.append(socket)
        self._empty.clear()
        for oldest in mine[: -self._per_person]:
            oldest.close(TOO_MANY_SOCKETS, b"too many desks")
        return socket

    def leave(self, socket: Socket) -> None:
        """Forget a desk that is gone, or never came to be."""
        socket.gone()
        mine = self._open.get(socket.session.user.login, [])
        if socket in mine:
            mine.remove(socket)
        if not mine:
            self._open.pop(socket.session.user.login, None)
        if not self._open:
            self._empty.set()
        if socket.slow:
            self._on_slow()
            log.warning("desk_cut_off_slow", login=socket.session.user.login)

    def close_sessions(self, keys: Iterable[str]) -> None:
        """Close the desks of these sessions, which have ended or changed."""
        gone = set(keys)
        for sockets in self._open.values():
            for socket in sockets:
                if socket.session.key in gone:
                    socket.close(SESSION_ENDED, b"session ended")

    def of(self, login: str) -> list[Socket]:
        """A person's open desks, the oldest first."""
        return list(self._open.get(login, ()))

    def roles(self) -> dict[str, tuple[str, str]]:
        """For each session with an open desk the login and role it was opened with."""
        return {
            socket.session.key: (socket.session.user.login, str(socket.session.user.role))
            for sockets in self._open.values()
            for socket in sockets
        }

    async def close_all(self) -> None:
        """Say goodbye to everybody and wait until they have gone, a bounded time."""
        for sockets in self._open.values():
            for socket in sockets:
                socket.close(WSCloseCode.GOING_AWAY, b"going down")
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                await self._empty.wait()


VIEWERS_AT_ONCE = 50
"""Writes to so many desks take well under a millisecond; a pop that comes meanwhile waits no longer than that."""


class Pacer:
    """Flushes the board's waiting changes: at once after a quiet while, and at most once per ``interval`` seconds."""

    def __init__(self, board: Board, interval: float = 1.0) -> None:
        self._board = board
        self._interval = interval
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rest: asyncio.Handle | None = None

    def start(self) -> None:
        self._board.on_pending = self._wake
        if self._board.pending:
            self._wake()

    def stop(self) -> None:
        self._board.on_pending = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _wake(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._due, loop.time()), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._due = asyncio.get_running_loop().time() + self._interval
        self._go_on(self._board.flush(VIEWERS_AT_ONCE))

    def _send_rest(self) -> None:
        self._rest = None
        self._go_on(self._board.send_rest(VIEWERS_AT_ONCE))

    def _go_on(self, others_wait: bool) -> None:
        if others_wait and self._rest is None:
            self._rest = asyncio.get_running_loop().call_soon(self._send_rest)


def viewer_of(socket: Socket) -> Viewer:
    user = socket.session.user
    return Viewer(user.login, str(user.role), socket.send)
