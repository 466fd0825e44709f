"""The shell that keeps the promises: looks who is due, has Asterisk call, and notes what came of it.

The customer is called first, and only when an agent is free; once she answers she stands at the head of the queue. So
the call is a conversation like any other: it rings at agents, pops, is written up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from asterisk.ami import SimpleAction

from crm_bridge.database import DatabaseError
from telephony.conversations.events import ConversationEnded, Happening, TalkStarted
from telephony.reception.callbacks import CALLING, CallBacks, QueueView, due
from telephony.reception.tables import CallBackPromise
from telephony.settings import Settings

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
SETUP_SECONDS = 15.0
"""How long after its ringing time a call may still be unknown to us."""
MARK = "-cb-"
"""Part of the id of every conversation that is a call-back: ``pbx1-cb-<promise>-<attempt>``."""


class CallerOut:
    """``queues`` shows them as they are now; ``send`` performs an AMI action and raises when it is refused."""

    def __init__(
        self,
        settings: Settings,
        callbacks: CallBacks,
        queues: Callable[[], Mapping[str, QueueView]],
        send: Callable[[SimpleAction], Awaitable[object]],
        clock: Callable[[], float],
        in_sync: Callable[[], bool],
        agent_at: Callable[[str], str],
        alive: Callable[[str], bool],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._callbacks = callbacks
        self._queues = queues
        self._send = send
        self._clock = clock
        self._in_sync = in_sync
        self._agent_at = agent_at
        self._alive = alive
        self._changed = changed
        self._live: dict[str, float] = {}
        """Conversations that were begun and have no agent yet, and since when."""
        self._news: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        """Promise, and what became of it: an agent's log-in, or nothing."""

    def happened(self, happenings: list[Happening]) -> None:
        """Take in what the watch saw, in the read loop."""
        for one in happenings:
            if isinstance(one, TalkStarted) and MARK in one.conversation:
                self._live.pop(one.conversation, None)
                self._news.put_nowait((promise_of(one.conversation), self._agent_at(one.interface) or "?"))
            elif isinstance(one, ConversationEnded) and self._live.pop(one.conversation, None) is not None:
                self._news.put_nowait((promise_of(one.conversation), ""))

    async def run(self) -> None:
        """Work until cancelled."""
        if self._settings.pbx.trunk_out is None:
            await asyncio.Event().wait()  # nothing to do, for ever
        while True:
            try:
                await self._look()
            except DatabaseError as failed:
                log.warning("callbacks_not_looked_at", why=str(failed))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        while not self._news.empty():
            promise, agent = self._news.get_nowait()
            try:
                if agent:
                    await self._callbacks.end(promise, "kept", agent)
                else:
                    await self._callbacks.missed(promise)
            except DatabaseError:
                self._news.put_nowait((promise, agent))
                raise
            self._changed()
        await self._callbacks.renew(self._still_live())
        await self._callbacks.tidy()
        if not self._in_sync():
            return
        for one in due(await self._callbacks.open(), self._queues(), self._clock()):
            await self._call(one)

    async def _call(self, promise: CallBackPromise) -> None:
        claimed = await self._callbacks.claim(promise.id)
        if claimed is None or claimed.state != CALLING:
            return
        conversation = f"{self._settings.pbx.system_name}{MARK}{claimed.id}-{claimed.attempts}"
        self._live[conversation] = self._clock()
        log.info("callback_begun", promise=claimed.id, queue=claimed.queue, attempt=claimed.attempts)
        self._changed()
        try:
            await self._send(_originate(self._settings, claimed, conversation))
        except Exception as failed:
            log.warning("callback_not_begun", promise=claimed.id, why=str(failed))
            self._live.pop(conversation, None)
            await self._callbacks.missed(claimed.id)

    def _still_live(self) -> set[str]:
        """The promises whose calls live. A call of which nothing was seen by the time it should have rung is none."""
        patience = self._settings.callbacks.ring_seconds + SETUP_SECONDS
        for conversation, since in list(self._live.items()):
            if not self._alive(conversation) and self._clock() - since > patience:
                del self._live[conversation]
                self._news.put_nowait((promise_of(conversation), ""))
        return {promise_of(conversation) for conversation in self._live}


def promise_of(conversation: str) -> str:
    """The promise that a conversation's id names."""
    return conversation.partition(MARK)[2].rpartition("-")[0]


def _originate(settings: Settings, promise: CallBackPromise, conversation: str) -> SimpleAction:
    rules = settings.callbacks
    return SimpleAction(
        "Originate",
        Channel=f"PJSIP/{promise.number}@callfloor-out",
        Context="callfloor-callback",
        Exten=promise.queue,
        Priority="1",
        # What our own screens show of the caller; what the customer sees is the endpoint's from_user.
        CallerID=f"<{promise.number}>",
        Timeout=str(rules.ring_seconds * 1000),
        Async="true",
        ChannelId=conversation,
        Variable=[f"__CALLFLOOR_ID={conversation}", f"CALLFLOOR_LANGUAGE={promise.language}"],
    )
