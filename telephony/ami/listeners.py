"""Listeners with the filters of ``asterisk.ami``, outside the read loop.

``on_batch`` of the client is the fast and complete way to hear events. Listeners are the convenient one: they are
called by a task of their own, one event at a time, so that a slow or a raising one harms neither the link nor
``on_batch``. When they cannot keep up, events are dropped and counted.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import structlog
from asterisk.ami import EventListener

from telephony.ami.codec import Event
from telephony.ami.stats import Stats

_log = structlog.get_logger(__name__)

BATCH_CAP = 10_000
"""Batches that may wait for the listeners before events are dropped."""

Listener = Callable[..., Any]


class Listeners:
    """The listeners of one client, and the queue in front of them."""

    def __init__(self, stats: Stats, batch_cap: int = BATCH_CAP) -> None:
        self._stats = stats
        self._listeners: list[Listener] = []
        self._waiting: asyncio.Queue[list[Event]] = asyncio.Queue(batch_cap)

    def add(self, on_event: Listener | None = None, **kwargs: Any) -> Listener:
        """As ``AMIClient.add_event_listener``: a listener, or a callable with filters around it."""
        listener = on_event
        if listener is None or (kwargs and not isinstance(listener, EventListener)):
            listener = EventListener(on_event=on_event, **kwargs)
        self._listeners.append(listener)
        return listener

    def remove(self, listener: Listener) -> None:
        """Raises ``ValueError`` if it is none of ours."""
        self._listeners.remove(listener)

    def offer(self, events: list[Event]) -> None:
        """Queue the events if anybody listens; never waits."""
        if not self._listeners:
            return
        try:
            self._waiting.put_nowait(events)
        except asyncio.QueueFull:
            if self._stats.listener_dropped == 0:
                _log.warning("ami_listener_too_slow", waiting=self._waiting.qsize())
            self._stats.listener_dropped += len(events)

    async def run(self, source: object) -> None:
        """Call the listeners, forever. Each gets ``event`` and ``source``; what is awaitable is awaited."""
        while True:
            for event in await self._waiting.get():
                for listener in tuple(self._listeners):
                    try:
                        result = listener(event=event, source=source)
                        if inspect.isawaitable(result):
                            await result
                    except Exception:
                        self._stats.listener_errors += 1
                        _log.exception("ami_listener_failed", ami_event=event.name)
            await asyncio.sleep(0)  # listeners that never wait must not starve the read loop
