"""Replay: rebuild the conversations from a journal. Any moment of the past is one call away, and becomes a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from telephony.ami.codec import Event, FrameDecoder
from telephony.conversations import journal, resync
from telephony.conversations.events import Happening
from telephony.conversations.history import Histories, History
from telephony.conversations.tracker import Tracker


def happenings(records: Iterable[journal.Record], tracker: Tracker) -> Iterator[Happening]:
    """Everything the tracker says of these records, in order; the tracker holds the state that they end in."""
    decoder, epoch, syncing = FrameDecoder(), None, False
    for record in records:
        if record.kind == journal.EVENTS:
            if record.epoch != epoch:
                decoder, epoch = FrameDecoder(), record.epoch
            for message in decoder.feed(record.data):
                if isinstance(message, Event):
                    yield from tracker.apply(message, record.at)
        elif record.kind == journal.RESYNC_BEGAN:
            resync.begin(tracker)
            syncing = True
        elif record.kind == journal.RESYNC_FAILED:
            resync.abandon(tracker)
            syncing = False
        elif record.kind == journal.RESTARTED:
            yield from tracker.restarted(record.at)
        elif record.kind == journal.LISTS:
            if not syncing:
                resync.begin(tracker)  # the file begins in the middle of one
            syncing = False
            try:
                found = resync.finish(tracker, _lists(record.data), record.at)
            except Exception:  # the live run stumbled over it, too, and went on
                resync.abandon(tracker)
            else:
                yield from found


def _lists(data: bytes) -> resync.Lists:
    items = [message for message in FrameDecoder().feed(data) if isinstance(message, Event)]
    return resync.Lists(
        tuple(item for item in items if item.name == "CoreShowChannel"),
        tuple(item for item in items if item.name.startswith("Queue")),
    )


def replay(path: Path, watch: Callable[[Happening], None] | None = None) -> Iterator[History]:
    """The conversations of a journal file or folder, in the order in which they ended; those still live come last.

    Raises ``JournalError``; when a file is damaged, after the conversations that had ended before.
    """
    histories = Histories()
    for happening in happenings(journal.read(path), Tracker()):
        if watch is not None:
            watch(happening)
        history = histories.apply(happening)
        if history is not None and history.ended_at is not None:
            yield history
    yield from histories.live.values()
