"""The watch over a real Asterisk: what it sees live, what a reconnection mends, and that its journal says the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asterisk.ami import SimpleAction

from telephony.ami.client import AmiClient
from telephony.conversations.events import (
    AgentRinging,
    ConversationEnded,
    ConversationOpened,
    Happening,
    MemberSeen,
    QueueJoined,
    Resynced,
    TalkEnded,
    TalkStarted,
)
from telephony.conversations.journal import Journal, read
from telephony.conversations.replay import happenings
from telephony.conversations.tracker import Tracker
from telephony.conversations.watch import Watch
from telephony.pbx.callers import Phone, call
from telephony.pbx.process import Asterisk
from telephony.pbx.scenarios import PhoneScript

pytestmark = pytest.mark.asterisk

PHONE = "PJSIP/phone1"
DEADLINE = 20.0


class Watcher:
    """A watch with its client, and everything it has said."""

    def __init__(self, asterisk: Asterisk, folder: Path, interval: float) -> None:
        self.happened: list[Happening] = []
        self.links: list[str] = []
        self._changed = asyncio.Event()
        self.journal = Journal(folder, 1 << 30, 2)
        self.watch = Watch(
            journal=self.journal, listener=self._heard, on_link=self._linked, clock=time.time, interval=interval
        )
        self.client = AmiClient(
            asterisk.settings.ami, asterisk.secrets.ami, on_batch=self.watch.on_batch, on_link=self.watch.on_state
        )
        self._tasks: list[asyncio.Task[None]] = []

    def _heard(self, happened: list[Happening]) -> None:
        self.happened += happened
        self._changed.set()

    def _linked(self, link: str) -> None:
        self.links.append(link)
        self._changed.set()

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self.client.run()), asyncio.create_task(self.watch.run(self.client))]
        await self.until(lambda: "in_sync" in self.links)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.journal.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def seen(self, kind: type) -> list[Any]:
        return [one for one in self.happened if isinstance(one, kind)]


Watching = Callable[..., Awaitable[Watcher]]


@pytest.fixture
async def watching(pbx: Asterisk, tmp_path: Path) -> AsyncIterator[Watching]:
    started: list[Watcher] = []

    async def start(interval: float = 3600.0) -> Watcher:
        watcher = Watcher(pbx, tmp_path / f"journal-{len(started)}", interval)
        started.append(watcher)
        await watcher.start()
        return watcher

    yield start
    for watcher in started:
        await watcher.stop()


def phone(asterisk: Asterisk, script: PhoneScript) -> Phone:
    contact = next(one.contact for one in asterisk.settings.phones if one.name == "phone1")
    assert contact is not None
    return Phone(asterisk.image, "127.0.0.1", int(contact.rpartition(":")[2]), script)


async def member(watcher: Watcher) -> None:
    action = SimpleAction("QueueAdd", Queue="service", Interface=PHONE, MemberName="agent")
    await watcher.client.send(action, timeout=5.0)
    await watcher.until(lambda: bool(watcher.seen(MemberSeen)))


async def test_a_healthy_link_needs_no_correction_however_often_it_is_asked(pbx: Asterisk, watching: Watching) -> None:
    watcher = await watching(interval=0.02)
    await member(watcher)
    async with phone(pbx, PhoneScript(answer_after=0.2, talk=0.5)):
        for _ in range(3):
            await call(pbx.settings, pbx.image, dial="+4930230001", number="+493023125001", deadline=DEADLINE)
    await watcher.until(lambda: len(watcher.seen(ConversationEnded)) == 3)
    assert len(watcher.seen(TalkStarted)) == len(watcher.seen(TalkEnded)) == 3
    assert all(0.3 < one.talked < 3 and not one.lost for one in watcher.seen(TalkEnded))
    resyncs = watcher.seen(Resynced)
    assert len(resyncs) > 20
    assert [one for one in resyncs if one.corrections] == []


async def test_who_connects_in_mid_call_sees_it_and_its_end_and_the_journal_says_the_same(
    pbx: Asterisk, watching: Watching, tmp_path: Path
) -> None:
    first = await watching()
    await member(first)
    async with phone(pbx, PhoneScript(answer_after=0.0)) as answering:
        caller = asyncio.create_task(
            call(
                pbx.settings,
                pbx.image,
                dial="+4930230001",
                number="+493023125001",
                hang_up_after=6.0,
                deadline=DEADLINE,
            )
        )
        await answering.wait_for("answered")
        await first.until(lambda: bool(first.seen(TalkStarted)))
        second = await watching()
        await caller
        for watcher in (first, second):
            await watcher.until(lambda watcher=watcher: bool(watcher.seen(ConversationEnded)))  # type: ignore[misc]
    assert [len(second.seen(kind)) for kind in (ConversationOpened, TalkStarted, TalkEnded)] == [1, 1, 1]
    assert second.seen(TalkStarted)[0].queue == "service"
    assert second.seen(ConversationOpened)[0].conversation == first.seen(ConversationOpened)[0].conversation
    assert second.seen(QueueJoined) == second.seen(AgentRinging) == []
    assert not second.seen(ConversationEnded)[0].lost
    for number, watcher in enumerate((first, second)):
        watcher.journal.flush()
        assert list(happenings(read(tmp_path / f"journal-{number}"), Tracker())) == watcher.happened


async def test_a_connection_that_breaks_in_mid_call_is_made_good(pbx: Asterisk, watching: Watching) -> None:
    watcher = await watching()
    await member(watcher)
    async with phone(pbx, PhoneScript(answer_after=0.0, talk=1.0)) as answering:
        caller = asyncio.create_task(
            call(pbx.settings, pbx.image, dial="+4930230001", number="+493023125001", deadline=DEADLINE)
        )
        await answering.wait_for("answered")
        await watcher.until(lambda: bool(watcher.seen(TalkStarted)))
        # The network is gone until the call is over.
        for task in watcher._tasks:
            task.cancel()
        await asyncio.gather(*watcher._tasks, return_exceptions=True)
        await caller
        watcher.links.clear()
        await watcher.start()
    await watcher.until(lambda: bool(watcher.seen(ConversationEnded)))
    assert [one.lost for one in watcher.seen(ConversationEnded)] == [True]
    assert [one.lost for one in watcher.seen(TalkEnded)] == [True]
    assert watcher.seen(Resynced)[-1].corrections == 2
    assert watcher.watch.tracker.channels == {}
