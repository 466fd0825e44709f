"""The watch: what goes into the journal, into the tracker, and out; over a client that does as it is told."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from asterisk.ami import SimpleAction

from telephony.ami.client import LinkState, LinkStatus
from telephony.ami.codec import Event, Response, to_bytes
from telephony.ami.errors import ActionTimeout, LinkLost, ListBroken
from telephony.ami.session import Reply
from telephony.conversations import resync
from telephony.conversations import watch as watch_module
from telephony.conversations.events import (
    AsteriskRestarted,
    ConversationEnded,
    ConversationOpened,
    Happening,
    Resynced,
    TalkEnded,
    TalkStarted,
)
from telephony.conversations.history import Histories
from telephony.conversations.journal import Journal, read
from telephony.conversations.replay import happenings
from telephony.conversations.tracker import Tracker
from telephony.conversations.watch import Watch

DEADLINE = 5.0
UP, DOWN = LinkStatus.UP, LinkStatus.DOWN


def call(name: str = "Newstate", uniqueid: str = "c.1") -> Event:
    return Event.of(name, [("Timestamp", "5.0"), ("Uniqueid", uniqueid), ("ChanVariable", f"CALLFLOOR_ID={uniqueid}")])


def channel(uniqueid: str = "c.1") -> Event:
    return Event.of("CoreShowChannel", [("Uniqueid", uniqueid), ("ChanVariable", f"CALLFLOOR_ID={uniqueid}")])


@dataclass
class Client:
    """Answers actions; ``before`` is called just before each answer, and may raise."""

    channels: list[Event] = field(default_factory=list)
    started: str = "10:00:00"
    before: Callable[[str], None] = lambda name: None
    asked: list[str] = field(default_factory=list)

    async def send(self, action: SimpleAction, timeout: float | None = None) -> Reply:
        self.asked.append(action.name)
        await asyncio.sleep(0)
        self.before(action.name)
        status = {"CoreStartupDate": "2026-11-23", "CoreStartupTime": self.started}
        items = self.channels if action.name == "CoreShowChannels" else []
        return Reply("1", Response.of("Success", status), tuple(items), to_bytes(items))

    listing = send


class Rig:
    def __init__(self, journal: Journal | None, interval: float = 3600.0) -> None:
        self.client = Client()
        self.happened: list[Happening] = []
        self.links: list[str] = []
        self.now = 1795452643.51439251
        self._changed = asyncio.Event()
        self.watch = Watch(
            journal=journal, listener=self._heard, on_link=self._linked, clock=lambda: self.now, interval=interval
        )
        self.task: asyncio.Task[None] | None = None

    def _heard(self, happened: list[Happening]) -> None:
        self.happened += happened
        self._changed.set()

    def _linked(self, link: str) -> None:
        self.links.append(link)
        self._changed.set()

    def link(self, status: LinkStatus, epoch: int = 1) -> None:
        self.watch.on_state(LinkState(status, epoch))

    def hear(self, *events: Event) -> None:
        self.watch.on_batch(events, to_bytes(events), self.now)

    async def until(self, condition: Callable[[], bool]) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self.watch.run(self.client))  # type: ignore[arg-type]
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def resyncs(self) -> list[int]:
        return [one.corrections for one in self.happened if isinstance(one, Resynced)]

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    journal = Journal(tmp_path / "journal", 1 << 20, 2)
    made = Rig(journal)
    yield made
    await made.stop()
    journal.close()


async def test_a_connection_begins_with_a_resync(rig: Rig) -> None:
    rig.client.channels = [channel()]
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    assert rig.links == ["syncing", "in_sync"]
    assert rig.client.asked == ["CoreStatus", "CoreShowChannels", "QueueStatus"]
    assert rig.resyncs() == [1]
    assert (rig.watch.resyncs, rig.watch.corrections) == (1, 1)


async def test_without_a_connection_nothing_is_asked(rig: Rig) -> None:
    rig.link(DOWN)
    assert rig.links == ["down"]
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)


async def test_after_each_reconnection_there_is_another(rig: Rig) -> None:
    rig.link(UP)
    await rig.until(lambda: rig.links.count("in_sync") == 1)
    rig.hear(call())
    rig.link(DOWN)
    rig.link(UP, epoch=2)
    await rig.until(lambda: rig.links.count("in_sync") == 2)
    ended = [one for one in rig.happened if isinstance(one, ConversationEnded)]
    assert [one.lost for one in ended] == [True]
    assert rig.resyncs() == [0, 1]


async def test_from_time_to_time_there_is_one_without_a_reason(tmp_path: Path) -> None:
    rig = Rig(None, interval=0.01)
    rig.link(UP)
    await rig.until(lambda: len(rig.resyncs()) >= 3)
    await rig.stop()


@pytest.mark.parametrize("failure", [ActionTimeout("no answer"), LinkLost("gone"), ListBroken("cut short")])
@pytest.mark.parametrize("at", ["CoreStatus", "CoreShowChannels", "QueueStatus"])
async def test_one_that_fails_sweeps_nothing_and_is_soon_tried_again(
    rig: Rig, failure: Exception, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "RETRY_SECONDS", 0.01)
    rig.hear(call())
    failures = [failure]

    def fail(name: str) -> None:
        if name == at and failures:
            raise failures.pop()

    rig.client.before = fail
    rig.client.channels = [channel()]
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    assert rig.resyncs() == [0]
    assert "c.1" in rig.watch.tracker.conversations


async def test_lists_that_are_stumbled_over_end_neither_the_watch_nor_a_replay(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "RETRY_SECONDS", 0.01)
    real, faults = resync._waiting, [ValueError("a fault of ours")] * 2

    def waiting(*arguments: Any) -> None:
        if faults:
            raise faults.pop()
        real(*arguments)

    monkeypatch.setattr(resync, "_waiting", waiting)
    rig.hear(call())
    rig.client.channels = [channel()]
    rig.link(UP)
    with structlog.testing.capture_logs() as logs:
        await rig.until(lambda: "in_sync" in rig.links)
    assert [one["event"] for one in logs] == ["resync_stumbled"] * 2
    assert rig.resyncs() == [0]
    assert rig.watch._journal is not None
    rig.watch._journal.flush()
    faults[:] = [ValueError("the same again")] * 2
    assert list(happenings(read(tmp_path / "journal"), Tracker())) == rig.happened


async def test_lists_of_an_older_connection_are_not_believed(rig: Rig) -> None:
    rig.hear(call())

    def reconnect(name: str) -> None:
        if name == "QueueStatus" and rig.client.asked.count(name) == 1:
            rig.link(DOWN)
            rig.link(UP, epoch=2)
            rig.client.channels = [channel()]

    rig.client.before = reconnect
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    assert rig.resyncs() == [0]
    assert not any(isinstance(one, ConversationEnded) for one in rig.happened)


async def test_a_restart_is_noticed_by_its_start_time(rig: Rig) -> None:
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    rig.hear(call())
    rig.client.started = "11:00:00"
    rig.link(DOWN)
    rig.link(UP, epoch=2)
    await rig.until(lambda: rig.links.count("in_sync") == 2)
    told = [type(one) for one in rig.happened]
    assert told[-3:] == [ConversationEnded, AsteriskRestarted, Resynced]


async def test_a_hang_up_while_the_lists_come_is_not_undone(rig: Rig) -> None:
    rig.hear(call())
    rig.client.channels = [channel()]

    def hang_up(name: str) -> None:
        if name == "QueueStatus":
            rig.hear(call("Hangup"))

    rig.client.before = hang_up
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    assert rig.resyncs() == [0]
    assert not rig.watch.tracker.conversations


async def test_the_journal_replays_to_what_was_seen(rig: Rig, tmp_path: Path) -> None:
    def meanwhile(name: str) -> None:
        if name == "CoreShowChannels":
            rig.hear(call("Hangup", "c.2"), call("Newstate", "c.3"))

    rig.hear(call(), call(uniqueid="c.2"))
    rig.client.channels = [channel(), channel("c.2"), channel("c.4")]
    rig.client.before = meanwhile
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    rig.client.started = "11:00:00"
    rig.link(DOWN)
    rig.now += 100.123456789
    rig.link(UP, epoch=2)
    await rig.until(lambda: rig.links.count("in_sync") == 2)
    await rig.stop()
    assert rig.watch._journal is not None
    rig.watch._journal.flush()
    assert list(happenings(read(tmp_path / "journal"), Tracker())) == rig.happened
    assert sum(isinstance(one, ConversationOpened) for one in rig.happened) >= 4


async def test_the_journal_does_not_hold_the_secret_of_the_fastagi_server(rig: Rig, tmp_path: Path) -> None:
    in_ivr = [("Uniqueid", "c.1"), ("ApplicationData", "agi://127.0.0.1:4573/ivr/a-long-secret,c.1,+4930,")]
    rig.client.channels = [Event.of("CoreShowChannel", in_ivr)]
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    assert rig.watch._journal is not None
    rig.watch._journal.flush()
    said = b"".join(record.data for record in read(tmp_path / "journal"))
    assert b"ApplicationData: agi://127.0.0.1:4573/ivr,c.1,+4930," in said
    assert b"secret" not in said


async def test_a_full_disk_costs_the_recording_not_the_call(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "write", full)
    rig.hear(call())
    rig.link(UP)
    rig.client.channels = [channel()]
    await rig.until(lambda: "in_sync" in rig.links)
    histories = Histories()
    for one in rig.happened:
        histories.apply(one)
    assert "c.1" in histories.live
    assert rig.watch.journal_errors >= 3


def leg(name: str) -> Event:
    return Event.of(
        name,
        [("Timestamp", "6.0"), ("Uniqueid", "c.1"), ("Queue", "service"), ("Interface", "PJSIP/phone1"),
         ("DestUniqueid", "c.2"), ("DestChannel", "PJSIP/phone1-1"), ("ChanVariable", "CALLFLOOR_ID=c.1")],
    )  # fmt: skip


async def test_what_is_told_of_a_talk_is_in_the_systems_hands_before(rig: Rig, tmp_path: Path) -> None:
    """``kill -9`` in the very moment the agent sees it: a new start finds it in the journal."""
    found: dict[type, bool] = {}
    real = rig.watch._listener

    def heard(happened: list[Happening]) -> None:
        told = list(happenings(read(tmp_path / "journal"), Tracker()))
        found.update({type(one): one in told for one in happened})
        assert rig.watch.recorded or not any(isinstance(one, TalkStarted | TalkEnded) for one in happened)
        real(happened)

    rig.watch._listener = heard
    rig.hear(call())
    assert found == {ConversationOpened: False}  # no pop waits for it
    rig.hear(leg("AgentConnect"))
    rig.hear(call("Hangup", "c.2"))
    assert found[TalkStarted]
    assert found[TalkEnded]


async def test_the_end_of_a_talk_that_a_resync_finds_is_recorded_before_it_is_told(rig: Rig, tmp_path: Path) -> None:
    told: list[Happening] = []
    real = rig.watch._listener

    def heard(happened: list[Happening]) -> None:
        if any(isinstance(one, TalkEnded) for one in happened):
            told.extend(happenings(read(tmp_path / "journal"), Tracker()))
        real(happened)

    rig.watch._listener = heard
    rig.hear(call(), leg("AgentConnect"))
    rig.link(UP)
    await rig.until(lambda: "in_sync" in rig.links)
    assert any(isinstance(one, TalkEnded) and one.lost for one in told)


async def test_without_a_journal_or_with_one_that_fails_nothing_counts_as_recorded(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = Rig(None)
    without.hear(call(), leg("AgentConnect"))
    assert not without.watch.recorded
    rig.hear(call(), leg("AgentConnect"))
    assert rig.watch.recorded

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "_rotate", full)
    monkeypatch.setattr(rig.watch._journal, "_file_bytes", 0)
    rig.hear(call("Hangup", "c.2"))
    assert not rig.watch.recorded


async def test_the_journal_is_flushed_in_the_background(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "FLUSH_SECONDS", 0.01)
    flushed = asyncio.Event()
    real = Journal.flush

    def flush(journal: Journal) -> None:
        real(journal)
        flushed.set()

    monkeypatch.setattr(Journal, "flush", flush)
    rig.hear(call())
    task = asyncio.create_task(rig.watch.flush_journal())
    async with asyncio.timeout(DEADLINE):
        await flushed.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(list(read(tmp_path / "journal"))) == 1
