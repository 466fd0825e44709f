"""A manager of Asterisk in small: greets, lets in, answers; and does on demand what the real one does on bad days."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable

import pytest

DEADLINE = 10.0
"""Seconds after which a test gives up waiting; only failing tests ever wait so long."""


class Watch:
    """Lets a test wait for a condition on whatever callbacks have recorded."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def touch(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.actions: list[dict[str, str]] = []
        self.before_login: list[str] = []
        self.events_mask = ""
        self.logged_in = False
        self.open = True

    def did(self, name: str) -> int:
        """How often the client asked for this action."""
        return sum(action["Action"] == name for action in self.actions)

    def say(self, *lines: str) -> bytes:
        data = "\r\n".join(lines).encode() + b"\r\n\r\n"
        self.writer.write(data)
        return data


class FakeAsterisk:
    """``answers`` maps an action's name to what is said to it; everything else in it succeeds at once."""

    def __init__(self) -> None:
        self.secret = "s3cret"
        self.banner = "Asterisk Call Manager/11.0.0"
        self.mute: set[str] = set()
        """Actions that get no answer."""
        self.answers: dict[str, Callable[[Peer, str], None]] = {}
        self.peers: list[Peer] = []
        self.watch = Watch()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()
        self._server = None

    def live(self, mask: str) -> list[Peer]:
        """The logged-in connections with that event mask."""
        return [peer for peer in self.peers if peer.open and peer.logged_in and peer.events_mask == mask]

    async def peer(self, mask: str) -> Peer:
        await self.watch.until(lambda: bool(self.live(mask)))
        return self.live(mask)[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = Peer(writer)
        self.peers.append(peer)
        try:
            writer.write(f"{self.banner}\r\n".encode())
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode()
                action = dict(line.split(": ", 1) for line in text.split("\r\n") if line)
                peer.actions.append(action)
                self._act(peer, action)
                self.watch.touch()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            peer.open = False
            self.watch.touch()
            writer.close()

    def _act(self, peer: Peer, action: dict[str, str]) -> None:
        name, action_id = action["Action"], f"ActionID: {action['ActionID']}"
        if not peer.logged_in and name not in ("Challenge", "Login"):
            peer.before_login.append(name)
        if name in self.mute:
            return
        if name in self.answers:
            self.answers[name](peer, action_id)
        elif name == "Challenge":
            peer.say("Response: Success", action_id, "Challenge: 42")
        elif name == "Login":
            key = hashlib.md5(f"42{self.secret}".encode(), usedforsecurity=False).hexdigest()
            if action.get("Secret") == self.secret or action.get("Key") == key:
                peer.logged_in = True
                peer.events_mask = action["Events"]
                peer.say("Response: Success", action_id, "Message: Authentication accepted")
            else:
                peer.say("Response: Error", action_id, "Message: Authentication failed")
                peer.writer.close()
        elif name == "Logoff":
            peer.say("Response: Goodbye", action_id)
            peer.writer.close()
        elif name == "CoreSettings":
            peer.say("Response: Success", action_id, "AMIversion: 11.0.0", "AsteriskVersion: 22.10.1")
        else:
            peer.say("Response: Success", action_id)


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAsterisk]:
    """A fake that is not yet started: ``await asterisk.start()``."""
    fake = FakeAsterisk()
    yield fake
    await fake.stop()
