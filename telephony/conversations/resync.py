"""Resync: compare what we believe with Asterisk's own lists, and correct ourselves. Pure.

Mark and sweep by generation (asterisk.md section 3). A list is never older than any event received before it was asked
for, and events go on while it is on its way. So what an event says while a resync runs (of a channel's life, of its
bridge, of a caller's wait) carries the new generation and outranks the lists, whatever hangs up meanwhile is remembered
as gone, and only what is neither in the lists nor heard of is swept away. The same code runs at the first connect,
after every reconnect, and from time to time as an insurance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from telephony.conversations.events import Happening, MemberSeen, Resynced, StintEnd
from telephony.conversations.model import ID_VARIABLE, AmiEvent, Channel, Conversation, number_of, variable_of
from telephony.conversations.tracker import Tracker

RINGING = "5"
ROUTES_CONTEXT = "callfloor-route"
"""Where the dialplan tries one agent before the queue; the extension is the queue's name."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The answers to ``CoreShowChannels`` and ``QueueStatus``: their items, without the closing events."""

    channels: tuple[AmiEvent, ...]
    queues: tuple[AmiEvent, ...]


def begin(tracker: Tracker) -> None:
    """Call this before the lists are asked for."""
    tracker.generation += 1
    tracker.syncing = True


def abandon(tracker: Tracker) -> None:
    """The lists did not come; nothing is swept."""
    tracker.syncing = False


def finish(tracker: Tracker, lists: Lists, now: float) -> list[Happening]:
    """Merge the lists into the tracker's state; the last happening is ``Resynced`` with the number of corrections."""
    gone = tracker.gone
    tracker.begin_correction(now)
    items = {uniqueid: item for item in lists.channels if (uniqueid := item.get("Uniqueid")) and uniqueid not in gone}
    entries = [item for item in lists.queues if item.name == "QueueEntry" and item.get("Uniqueid") not in gone]
    _channels(tracker, items)
    _waiting(tracker, entries, now)
    _sweep(tracker, items, entries)
    _ringing(tracker, items)
    _members(tracker, lists.queues)
    tracker.syncing = False
    for conversation in tracker.conversations.values():
        conversation.queue = ""
    found = tracker.finish_correction()
    return [*found, Resynced(now, sum(not isinstance(one, MemberSeen) for one in found))]


def corrections(happenings: Iterable[Happening]) -> int:
    """How many beliefs a finished resync had to correct."""
    return sum(one.corrections for one in happenings if isinstance(one, Resynced))


def _channels(tracker: Tracker, items: dict[str, AmiEvent]) -> None:
    for uniqueid, item in items.items():
        channel = tracker.channel(uniqueid, item.get("Channel"))
        channel.rename(item.get("Channel"))
        conversation = tracker.attach(channel, variable_of(item, "ChanVariable", ID_VARIABLE))
        if conversation is not None and not conversation.opened and uniqueid == conversation.id:
            tracker.open(conversation, item)
        if conversation is not None and uniqueid == conversation.id:
            in_queue = item.get("Application") == "Queue"
            conversation.queue = item.get("ApplicationData").partition(",")[0] if in_queue else ""
            if item.get("Application") == "Dial" and item.get("Context") == ROUTES_CONTEXT and not conversation.talks:
                conversation.direct = item.get("Exten")
    for uniqueid, item in items.items():
        channel, bridge = tracker.channels[uniqueid], item.get("BridgeId")
        if channel.bridge_seen == tracker.generation:
            continue
        if bridge:
            tracker.enter_bridge(channel, bridge)
        elif channel.bridge:
            tracker.leave_bridge(channel)


def _waiting(tracker: Tracker, entries: Iterable[AmiEvent], now: float) -> None:
    for entry in entries:
        channel = tracker.channels.get(entry.get("Uniqueid"))
        conversation = tracker.conversations.get(channel.conversation) if channel is not None else None
        if channel is not None and conversation is not None and conversation.queue_seen < tracker.generation:
            joined_at, position = now - number_of(entry.get("Wait")), int(number_of(entry.get("Position")))
            tracker.join(conversation, entry.get("Queue"), position, joined_at, channel)


def _sweep(tracker: Tracker, items: dict[str, AmiEvent], entries: Iterable[AmiEvent]) -> None:
    for uniqueid, channel in list(tracker.channels.items()):
        if uniqueid not in items and channel.seen < tracker.generation:
            tracker.remove_channel(uniqueid, "lost")
    waiting = {(entry.get("Uniqueid"), entry.get("Queue")) for entry in entries}
    for conversation in tracker.conversations.values():
        stint = conversation.stint
        item = items.get(stint.channel) if stint is not None else None
        if stint is None or item is None or conversation.queue_seen == tracker.generation:
            continue
        if (stint.channel, stint.queue) not in waiting and item.get("Application") not in ("Queue", "AppQueue"):
            # Not waiting, and no longer in Queue() either, where those are who talk to its agents.
            tracker.leave(conversation, StintEnd.LOST)


def _ringing(tracker: Tracker, items: dict[str, AmiEvent]) -> None:
    for uniqueid, item in items.items():
        channel = tracker.channels.get(uniqueid)
        conversation = tracker.conversations.get(channel.conversation) if channel is not None else None
        if channel is None or conversation is None or not conversation.inbound or uniqueid == conversation.id:
            continue
        queue = conversation.stint.queue if conversation.stint is not None else conversation.direct
        if item.get("ChannelState") == RINGING and queue and not _known(conversation, channel):
            tracker.ring(conversation, channel.interface, queue, uniqueid)


def _known(conversation: Conversation, channel: Channel) -> bool:
    return any(one.channel == channel.uniqueid for one in conversation.attempts.values())


def _members(tracker: Tracker, items: Iterable[AmiEvent]) -> None:
    for item in items:
        if item.name == "QueueMember":
            tracker.member(
                item.get("Queue"),
                item.get("Location"),
                item.get("Paused") == "1",
                item.get("PausedReason"),
                int(number_of(item.get("Status"))),
                item.get("Membership") != "static",
            )
    for (queue, interface), member in list(tracker.members.items()):
        if member.seen < tracker.generation:
            tracker.member_gone(queue, interface)
