"""What each AMI event does to the tracker: one short function an event, and the table that names them all.

An event that is not in ``HANDLERS`` is ignored by decision, not by accident; it is not even parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from telephony.conversations.events import (
    CallerIdentified,
    FlowLeft,
    HoldStarted,
    RingEnd,
    StintEnd,
    Transferred,
)
from telephony.conversations.model import ID_VARIABLE, AmiEvent, interface_of, variable_of

if TYPE_CHECKING:
    from telephony.conversations.tracker import Tracker

QUEUE_STATUS: dict[str, StintEnd] = {
    "TIMEOUT": StintEnd.TIMEOUT,
    "LEAVEEMPTY": StintEnd.EMPTY,
    "LEAVEUNAVAIL": StintEnd.EMPTY,
    "JOINEMPTY": StintEnd.EMPTY,
    "JOINUNAVAIL": StintEnd.EMPTY,
    "FULL": StintEnd.OVERFLOW,
    "WITHDRAW": StintEnd.WITHDRAWN,
    "CONTINUE": StintEnd.ANSWERED,
    "": StintEnd.KEY,
}
"""``QUEUESTATUS`` after ``Queue()``; it stays unset when the caller left by key (asterisk.md 2.3 B)."""

DIAL_STATUS: dict[str, RingEnd] = {
    "BUSY": RingEnd.REJECTED,
    "CONGESTION": RingEnd.UNREACHABLE,
    "CHANUNAVAIL": RingEnd.UNREACHABLE,
    "DONTCALL": RingEnd.REJECTED,
    "TORTURE": RingEnd.REJECTED,
    "CANCEL": RingEnd.CALLER_LEFT,
}

HANGUP_CAUSE: dict[str, RingEnd] = {
    "1": RingEnd.UNREACHABLE,
    "3": RingEnd.UNREACHABLE,
    "17": RingEnd.REJECTED,
    "18": RingEnd.UNREACHABLE,
    "20": RingEnd.UNREACHABLE,
    "21": RingEnd.REJECTED,
    "26": RingEnd.ELSEWHERE,
    "27": RingEnd.UNREACHABLE,
    "34": RingEnd.UNREACHABLE,
    "38": RingEnd.UNREACHABLE,
    "58": RingEnd.UNREACHABLE,
}
"""What a ringing leg's hang-up says of its phone. A queue says NOANSWER even of one that was rejected with 486."""


LONGEST_NUMBER = 9
"""Digits of a position or a status; longer ones are none, and thousands of them are a way to keep us busy."""


def on_sighting(tracker: Tracker, event: AmiEvent) -> None:
    tracker.sight(event)


def on_user_event(tracker: Tracker, event: AmiEvent) -> None:
    handler = USER_EVENTS.get(event.get("UserEvent"))
    if handler is not None:
        handler(tracker, event)


def on_identity(tracker: Tracker, event: AmiEvent) -> None:
    _, conversation = tracker.sight(event)
    if conversation is not None:
        customer = unquote(event.get("Customer"))  # told as ``AgiCaller.tell`` writes it
        tracker.emit(
            CallerIdentified(conversation.id, tracker.now, customer, event.get("Certainty"), event.get("Reason"))
        )


def on_flow(tracker: Tracker, event: AmiEvent) -> None:
    _, conversation = tracker.sight(event)
    if conversation is not None:
        path = tuple(node for node in event.get("Path").split(">") if node)
        tracker.emit(FlowLeft(conversation.id, tracker.now, path, event.get_last("Language"), event.get("Route")))


def on_queue_exit(tracker: Tracker, event: AmiEvent) -> None:
    _, conversation = tracker.sight(event)
    if conversation is None:
        return
    conversation.queue_seen = tracker.generation
    stint = conversation.stint
    if stint is not None and event.get("Queue") in ("", stint.queue):
        status = event.get("Status")
        tracker.leave(conversation, QUEUE_STATUS.get(status, StintEnd.OVERFLOW))


def on_join(tracker: Tracker, event: AmiEvent) -> None:
    channel, conversation = tracker.sight(event)
    if conversation is not None:
        conversation.queue_seen = tracker.generation
        tracker.join(conversation, event.get("Queue"), _integer(event.get("Position")), tracker.now, channel)


def on_leave(tracker: Tracker, event: AmiEvent) -> None:
    _, conversation = tracker.sight(event)
    if conversation is not None:
        conversation.queue_seen = tracker.generation
        if conversation.stint is not None and conversation.stint.queue == event.get("Queue"):
            conversation.stint.left_at = tracker.now


def on_agent_called(tracker: Tracker, event: AmiEvent) -> None:
    _, conversation = tracker.sight(event)
    if conversation is None:
        return
    if not conversation.opened:
        tracker.open(conversation, event)
    uniqueid = event.get("DestUniqueid")
    tracker.attach(tracker.channel(uniqueid, event.get("DestChannel")), conversation.id)
    tracker.ring(conversation, event.get("Interface"), event.get("Queue"), uniqueid)


def on_dial_begin(tracker: Tracker, event: AmiEvent) -> None:
    """A phone rings without a queue: a blind transfer to a colleague. Of a queue's phones ``AgentCalled`` tells."""
    caller = tracker.channels.get(event.get("Uniqueid"))
    conversation = tracker.conversations.get(caller.conversation) if caller is not None else None
    if caller is None or conversation is None or caller.uniqueid != conversation.id or not conversation.inbound:
        return
    name = event.get("DestChannel")
    if conversation.stint is None and not name.startswith("Local/"):
        uniqueid = event.get("DestUniqueid")
        tracker.attach(tracker.channel(uniqueid, name), conversation.id)
        tracker.ring(conversation, interface_of(name), "", uniqueid)


def on_dial_end(tracker: Tracker, event: AmiEvent) -> None:
    channel = tracker.channels.get(event.get("DestUniqueid"))
    if channel is None:
        return
    conversation = tracker.conversations.get(channel.conversation)
    if conversation is None:
        return
    status = event.get("DialStatus")
    for interface, attempt in list(conversation.attempts.items()):
        if attempt.channel == channel.uniqueid:
            if status == "ANSWER":
                conversation.answered_by = interface
            elif attempt.gave_up:
                continue
            elif status == "NOANSWER":
                attempt.gave_up = True
            elif conversation.answered_by not in ("", interface):
                tracker.stop_ringing(conversation, interface, RingEnd.ELSEWHERE)
            else:
                end = DIAL_STATUS.get(status) or tracker.ring_end_at_hangup(conversation, interface)
                tracker.stop_ringing(conversation, interface, end)


def on_pickup(tracker: Tracker, event: AmiEvent) -> None:
    """A colleague takes the call that rings elsewhere; that phone's leg hangs up without a ``DialEnd``."""
    target = tracker.channels.get(event.get("TargetUniqueid"))
    conversation = tracker.conversations.get(target.conversation) if target is not None else None
    if conversation is not None:
        conversation.answered_by = interface_of(event.get("Channel"))


def on_connect(tracker: Tracker, event: AmiEvent) -> None:
    _, conversation = tracker.sight(event)
    if conversation is None:
        return
    if not conversation.opened:
        tracker.open(conversation, event)
    conversation.queue_seen = tracker.generation
    interface, queue = event.get("Interface"), event.get("Queue")
    channel = tracker.channel(event.get("DestUniqueid"), event.get("DestChannel"))
    tracker.attach(channel, conversation.id)
    if not channel.local and not interface.startswith("Local/") and channel.interface != interface:
        # Picked up by a colleague: the event names the member that rang, the channel is the picker's.
        tracker.stop_ringing(conversation, interface, RingEnd.ELSEWHERE)
        interface = channel.interface
    tracker.start_talk(conversation, interface, queue, channel)
    if channel.uniqueid not in tracker.channels:
        tracker.stop_talk(conversation, interface)  # picked up and hung up before the queue has said so


def on_complete(tracker: Tracker, event: AmiEvent) -> None:
    id_ = variable_of(event, "ChanVariable", ID_VARIABLE)
    conversation = tracker.conversations.get(tracker.aliases.get(id_, id_))
    if conversation is None:
        return
    # Late news: the event may come after a second talk of the same agent began. Only its own channel counts.
    uniqueid = event.get("DestUniqueid")
    for interface, talk in list(conversation.talks.items()):
        if talk.channel == uniqueid:
            tracker.stop_talk(conversation, interface)


def on_bridge_enter(tracker: Tracker, event: AmiEvent) -> None:
    channel, _ = tracker.sight(event)
    if channel.uniqueid in tracker.channels:
        channel.bridge_seen = tracker.generation
        tracker.enter_bridge(channel, event.get("BridgeUniqueid"))


def on_bridge_leave(tracker: Tracker, event: AmiEvent) -> None:
    channel = tracker.channels.get(event.get("Uniqueid"))
    if channel is not None and channel.bridge == event.get("BridgeUniqueid"):
        channel.seen = channel.bridge_seen = tracker.generation
        tracker.leave_bridge(channel)


def on_bridge_destroy(tracker: Tracker, event: AmiEvent) -> None:
    for uniqueid in tracker.bridges.pop(event.get("BridgeUniqueid"), ()):
        channel = tracker.channels.get(uniqueid)
        if channel is not None:
            channel.bridge = ""
            channel.bridge_seen = tracker.generation
            tracker.settle_channel(channel)


def on_hold(tracker: Tracker, event: AmiEvent) -> None:
    channel, conversation = tracker.sight(event)
    if conversation is not None and not channel.held_since and channel.uniqueid in tracker.channels:
        channel.held_since = tracker.now
        tracker.emit(HoldStarted(conversation.id, tracker.now, conversation.party(channel)))


def on_unhold(tracker: Tracker, event: AmiEvent) -> None:
    channel, conversation = tracker.sight(event)
    if conversation is not None:
        tracker.end_hold(conversation, channel)


def on_blind_transfer(tracker: Tracker, event: AmiEvent) -> None:
    if event.get("Result") != "Success":
        return
    by = tracker.channels.get(event.get("TransfererUniqueid"))
    conversation = tracker.conversations.get(by.conversation) if by is not None else None
    if by is not None and conversation is not None and not by.transferred:
        by.transferred = True
        interface = conversation.party(by)
        tracker.emit(Transferred(conversation.id, tracker.now, "blind", interface, event.get("Extension")))
        tracker.stop_talk(conversation, interface)


def on_attended_transfer(tracker: Tracker, event: AmiEvent) -> None:
    if event.get("Result") != "Success":
        return
    by = tracker.channels.get(event.get("OrigTransfererUniqueid"))
    conversation = tracker.conversations.get(by.conversation) if by is not None else None
    if by is None or conversation is None or by.transferred:
        return
    by.transferred = True
    interface = conversation.party(by)
    second = tracker.channels.get(event.get("SecondTransfererUniqueid"))
    other = tracker.conversations.get(second.conversation) if second is not None else None
    if other is not None and other is not conversation:
        conversation = tracker.join_conversations([conversation, other])
    to = tracker.phone_behind(event.get("TransferTargetUniqueid")) or interface_of(
        event.get("TransferTargetChannel") or event.get("DestApp") or event.get("TransfereeChannel")
    )
    tracker.emit(Transferred(conversation.id, tracker.now, "attended", interface, to))


def on_local_bridge(tracker: Tracker, event: AmiEvent) -> None:
    one = tracker.channel(event.get("LocalOneUniqueid"), event.get("LocalOneChannel"))
    two = tracker.channel(event.get("LocalTwoUniqueid"), event.get("LocalTwoChannel"))
    one.peer, two.peer = two.uniqueid, one.uniqueid
    tracker.attach(one, variable_of(event, "LocalOneChanVariable", ID_VARIABLE))
    tracker.attach(two, variable_of(event, "LocalTwoChanVariable", ID_VARIABLE))


def on_rename(tracker: Tracker, event: AmiEvent) -> None:
    channel = tracker.channels.get(event.get("Uniqueid"))
    if channel is not None:
        channel.rename(event.get("Newname"))


def on_hangup(tracker: Tracker, event: AmiEvent) -> None:
    cause = event.get("Cause")
    tracker.remove_channel(event.get("Uniqueid"), event.get("Cause-txt") or cause, HANGUP_CAUSE.get(cause))


def on_member(tracker: Tracker, event: AmiEvent) -> None:
    tracker.member(
        event.get("Queue"),
        event.get("Interface"),
        event.get("Paused") == "1",
        event.get("PausedReason"),
        _integer(event.get("Status")),
        event.get("Membership") != "static",
    )


def on_member_removed(tracker: Tracker, event: AmiEvent) -> None:
    tracker.member_gone(event.get("Queue"), event.get("Interface"))


def _integer(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 0


Handler = Callable[["Tracker", AmiEvent], None]

HANDLERS: dict[str, Handler] = {
    "Newchannel": on_sighting,
    "Newstate": on_sighting,
    "NewCallerid": on_sighting,
    "UserEvent": on_user_event,
    "QueueCallerJoin": on_join,
    "QueueCallerLeave": on_leave,
    "AgentCalled": on_agent_called,
    "DialBegin": on_dial_begin,
    "DialEnd": on_dial_end,
    "Pickup": on_pickup,
    "AgentConnect": on_connect,
    "AgentComplete": on_complete,
    "BridgeEnter": on_bridge_enter,
    "BridgeLeave": on_bridge_leave,
    "BridgeDestroy": on_bridge_destroy,
    "Hold": on_hold,
    "Unhold": on_unhold,
    "BlindTransfer": on_blind_transfer,
    "AttendedTransfer": on_attended_transfer,
    "LocalBridge": on_local_bridge,
    "Rename": on_rename,
    "Hangup": on_hangup,
    "QueueMemberAdded": on_member,
    "QueueMemberPause": on_member,
    "QueueMemberStatus": on_member,
    "QueueMemberRemoved": on_member_removed,
}
"""What the tracker listens to. All other events are none of its business and are not even parsed."""

USER_EVENTS: dict[str, Handler] = {
    "CallfloorIdentity": on_identity,
    "CallfloorFlow": on_flow,
    "CallfloorQueueExit": on_queue_exit,
}
