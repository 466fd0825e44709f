"""Listeners that cannot keep up."""

from __future__ import annotations

import asyncio

import pytest

from telephony.ami.codec import Event
from telephony.ami.listeners import Listeners
from telephony.ami.stats import Stats

DEADLINE = 10.0


async def test_events_beyond_the_listeners_cap_are_counted() -> None:
    stats = Stats()
    listeners = Listeners(stats, batch_cap=1)
    events = [Event.of("A"), Event.of("B")]
    listeners.offer(events)
    heard: list[str] = []
    listeners.add(lambda event, source: heard.append(event.name))
    listeners.offer(events)
    listeners.offer(events)
    assert stats.listener_dropped == 2
    done = asyncio.Event()
    listeners.add(lambda event, source: done.set() if event.name == "B" else None)
    task = asyncio.create_task(listeners.run(None))
    await asyncio.wait_for(done.wait(), DEADLINE)
    assert heard == ["A", "B"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
