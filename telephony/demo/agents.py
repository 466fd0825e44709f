"""The demo's agents: real users on the API and the stream, with hands that type. Their phones are SIPp's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

RETRY_SECONDS = 0.2


@dataclass(slots=True)
class Seen:
    """What one agent saw of one conversation."""

    conversation: str
    first_at: float
    rang_at: float
    states: list[str] = field(default_factory=list)
    value: dict[str, Any] = field(default_factory=dict)
    certainties: list[str] = field(default_factory=list)

    @property
    def latency(self) -> float:
        """Seconds from the moment Asterisk rang the phone to the pop on the screen."""
        return self.first_at - self.rang_at


class DemoAgent:
    """One person at one desk. ``answer_with``: the wrap-up this agent types for a pop, or none to leave it open."""

    def __init__(
        self, base: str, login: str, password: str, answer_with: Callable[[dict[str, Any]], tuple[str, str] | None]
    ) -> None:
        self.login = login
        self.base = base
        self.password = password
        self.seen: dict[str, Seen] = {}
        self.entities: dict[str, dict[str, Any]] = {}
        self.wrapped: dict[str, str] = {}
        """Conversation to code, as accepted by the service."""
        self.waiting_seen: dict[str, dict[str, Any]] = {}
        self.picks: Callable[[dict[str, Any]], str | None] = lambda _pop: None
        """Which customer to choose when the pop offers several."""
        self.types_for = 0.0
        """Seconds this agent takes to write a call up."""
        self._answer_with = answer_with
        self._http: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._seq: int | None = None
        self._epoch = ""
        self._changed = asyncio.Event()
        self.pops = 0
        self.failures: list[str] = []
        """What went wrong in the background."""

    async def start(self) -> None:
        """Log in and watch the stream from now on."""
        # The service speaks on loopback by address: cookies of addresses have to be allowed.
        self._http = aiohttp.ClientSession(
            self.base, cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Origin": self.base}
        )
        async with self._http.post("/api/v1/session", json={"login": self.login, "password": self.password}) as answer:
            answer.raise_for_status()
        self._spawn(self._watch(), "stream")
        await self.until(lambda: self.login in self.entities.get("me", {}), "the first snapshot")

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    async def until(self, test: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Wait until the stream has made ``test`` true. Raises ``TimeoutError`` that names ``what``."""
        try:
            async with asyncio.timeout(seconds):
                while not test():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.login}: waited {seconds:.0f} s in vain for {what}") from None

    async def be(self, presence: str, reason: str = "") -> None:
        """Go ready, paused or offline, and wait until the screen says so."""
        await self.ask("PUT", "/api/v1/presence", {"presence": presence, "reason": reason})
        await self.until(lambda: self.presence == presence, f"presence {presence}")

    @property
    def presence(self) -> str:
        return str(self.entities.get("me", {}).get(self.login, {}).get("presence", ""))

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        assert self._http is not None
        async with self._http.request(method, path, json=body) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{self.login}: {method} {path}: {answer.status} {await answer.text()}")
            return await answer.json() if answer.content_type == "application/json" else None

    # --- the stream -------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        assert self._http is not None
        while True:
            where = {} if self._seq is None else {"since": str(self._seq), "epoch": self._epoch}
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                async with self._http.ws_connect("/api/v1/stream", params=where, max_msg_size=0) as stream:
                    async for message in stream:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            self._take(message.json(), time.time())
            await asyncio.sleep(RETRY_SECONDS)

    def _take(self, frame: dict[str, Any], now: float) -> None:
        kind = frame["type"]
        if "seq" in frame:
            self._seq = frame["seq"]
        if kind == "snapshot":
            self._epoch, self.entities = frame["epoch"], frame["entities"]
            for value in self.entities.get("pop", {}).values():
                self._pop(value, now)
        elif kind == "hello":
            self._epoch = frame["epoch"]
        elif kind == "put":
            self.entities.setdefault(frame["kind"], {})[frame["id"]] = frame["value"]
            if frame["kind"] == "pop":
                self._pop(frame["value"], now)
            elif frame["kind"] == "waiting":
                self.waiting_seen[frame["id"]] = frame["value"]
        elif kind == "drop":
            gone = self.entities.get(frame["kind"], {}).pop(frame["id"], None)
            if frame["kind"] == "pop" and gone is not None:
                self.seen[gone["conversation"]].states.append("gone")
        self._changed.set()

    def _pop(self, value: dict[str, Any], now: float) -> None:
        conversation, state = value["conversation"], value["state"]
        seen = self.seen.get(conversation)
        if seen is None:
            seen = self.seen[conversation] = Seen(conversation, now, value["rang_at"])
            self.pops += 1
        seen.value = value
        if not seen.states or seen.states[-1] != state:
            seen.states.append(state)
            if state == "wrap_up":
                self._spawn(self._wrap_up(conversation), f"wrap-up {conversation}")
        certainty = value["match"]["certainty"]
        if not seen.certainties or seen.certainties[-1] != certainty:
            seen.certainties.append(certainty)
        if state == "talking" and value["customer"] is None and value["candidates"]:
            customer = self.picks(value)
            if customer is not None:
                self._spawn(self._choose(conversation, customer), f"choose {conversation}")

    async def _choose(self, conversation: str, customer: str) -> None:
        await self.ask("PUT", f"/api/v1/conversations/{conversation}/customer", {"customer": customer})

    async def _wrap_up(self, conversation: str) -> None:
        given = self._answer_with(self.seen[conversation].value)
        if given is None:
            return
        code, note = given
        await asyncio.sleep(self.types_for)
        await self.ask("PUT", f"/api/v1/conversations/{conversation}/note", {"note": note[: len(note) // 2]})
        await self.ask("POST", f"/api/v1/conversations/{conversation}/wrap-up", {"code": code, "note": note})
        self.wrapped[conversation] = code
        self._changed.set()

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.login} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failures.append(f"{task.get_name()}: {task.exception()}")
            self._changed.set()
