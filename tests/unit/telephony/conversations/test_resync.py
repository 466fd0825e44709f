"""Resync: what was missed, what was wrong, and what an event knows better than a list."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from telephony.ami.codec import Event
from telephony.conversations import resync
from telephony.conversations.events import (
    AgentRinging,
    ConversationEnded,
    ConversationOpened,
    Happening,
    MemberSeen,
    QueueJoined,
    QueueLeft,
    Resynced,
    RingEnd,
    RingEnded,
    StintEnd,
    TalkEnded,
    TalkStarted,
)
from telephony.conversations.tracker import Tracker

CALL, AGENT = "c.1", "a.1"
PHONE = "PJSIP/phone1"
NOW = 2000.0


def item(
    uniqueid: str, channel: str, call: str = CALL, *, state: str = "6", bridge: str = "", app: str = "Queue"
) -> Event:
    pairs = [("Channel", channel), ("ChannelState", state), ("CallerIDNum", "+4930111"), ("Context", "callfloor-route")]
    pairs += [("Exten", "service"), ("Uniqueid", uniqueid), ("ChanVariable", f"CALLFLOOR_ID={call}")]
    pairs += [("Application", app), ("ApplicationData", "service,tck,,,600"), ("BridgeId", bridge)]
    return Event.of("CoreShowChannel", pairs)


def caller(**more: str) -> Event:
    return item(CALL, "PJSIP/trunk-00000001", **more)


def agent(**more: str) -> Event:
    return item(AGENT, f"{PHONE}-00000002", **more)


def entry(uniqueid: str = CALL, queue: str = "service", wait: str = "30") -> Event:
    return Event.of("QueueEntry", {"Queue": queue, "Position": "1", "Uniqueid": uniqueid, "Wait": wait})


def member(paused: str = "0") -> Event:
    headers = {"Queue": "service", "Location": PHONE, "Membership": "dynamic", "Paused": paused, "Status": "1"}
    return Event.of("QueueMember", headers)


def lists(channels: Iterable[Event] = (), queues: Iterable[Event] = ()) -> resync.Lists:
    return resync.Lists(tuple(channels), tuple(queues))


def event(name: str, uniqueid: str = CALL, channel: str = "PJSIP/trunk-00000001", **headers: str) -> Event:
    pairs = [("Timestamp", "1500.0"), ("Channel", channel), ("Uniqueid", uniqueid)]
    return Event.of(name, [*pairs, ("ChanVariable", f"CALLFLOOR_ID={CALL}"), *headers.items()])


def of_agent(name: str, **headers: str) -> Event:
    return event(name, AGENT, f"{PHONE}-00000002", **headers)


WAITING = [event("Newstate"), event("QueueCallerJoin", Queue="service", Position="1")]
DEST = {"Queue": "service", "Interface": PHONE, "DestChannel": f"{PHONE}-00000002", "DestUniqueid": AGENT}
RINGING = [*WAITING, event("AgentCalled", **DEST)]
CONNECTED = [event("QueueCallerLeave", Queue="service"), event("AgentConnect", **DEST)]
BRIDGED = [of_agent("BridgeEnter", BridgeUniqueid="b1"), event("BridgeEnter", BridgeUniqueid="b1")]
TALKING = [*RINGING, *CONNECTED, *BRIDGED]
HUNG_UP = [of_agent("Hangup"), event("Hangup")]


def synced(
    before: Iterable[Event], snapshot: resync.Lists, during: Iterable[Event] = ()
) -> tuple[Tracker, list[Happening]]:
    """What a resync found; the last happening, ``Resynced``, agrees and a second resync finds nothing."""
    tracker = Tracker()
    for one in before:
        tracker.apply(one, NOW)
    resync.begin(tracker)
    for one in during:
        tracker.apply(one, NOW)
    *found, last = resync.finish(tracker, snapshot, NOW)
    assert last == Resynced(NOW, sum(not isinstance(one, MemberSeen) for one in found))
    return tracker, found


def again(tracker: Tracker, snapshot: resync.Lists) -> list[Happening]:
    resync.begin(tracker)
    return resync.finish(tracker, snapshot, NOW)


def kinds(found: Iterable[Happening]) -> list[type]:
    return [type(one) for one in found]


TALK_LISTS = lists([caller(bridge="b1"), agent(bridge="b1", app="AppQueue")], [member()])


@pytest.mark.parametrize(
    ("before", "snapshot"),
    [
        ([], lists()),
        (WAITING, lists([caller()], [entry()])),
        (RINGING, lists([caller(), agent(state="5", app="AppQueue")], [entry()])),
        (TALKING, TALK_LISTS),
    ],
)
def test_on_a_healthy_link_nothing_is_corrected(before: list[Event], snapshot: resync.Lists) -> None:
    tracker, found = synced(before, snapshot)
    assert [one for one in found if not isinstance(one, MemberSeen)] == []
    assert again(tracker, snapshot) == [Resynced(NOW, 0)]


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (lists([caller()], [entry()]), [ConversationOpened, QueueJoined]),
        (
            lists([caller(), agent(state="5", app="AppQueue")], [entry()]),
            [ConversationOpened, QueueJoined, AgentRinging],
        ),
        (TALK_LISTS, [ConversationOpened, TalkStarted, MemberSeen]),
        (lists([agent(bridge="b1", app="AppQueue"), caller(bridge="b1")]), [ConversationOpened, TalkStarted]),
        (lists([caller(app="AGI")]), [ConversationOpened]),
        (lists([item("x.1", "PJSIP/boss-00000007", call="")]), []),
    ],
)
def test_who_comes_in_the_middle_sees_what_is(snapshot: resync.Lists, expected: list[type]) -> None:
    tracker, found = synced([], snapshot)
    assert kinds(found) == expected
    assert again(tracker, snapshot) == [Resynced(NOW, 0)]


def test_a_wait_that_was_found_began_when_the_list_says() -> None:
    _, found = synced([], lists([caller()], [entry(wait="30")]))
    assert QueueJoined(CALL, NOW - 30, "service", 1) in found


def test_a_talk_that_was_found_is_for_the_queue_the_caller_is_in() -> None:
    _, found = synced([], TALK_LISTS)
    assert TalkStarted(CALL, NOW, PHONE, "service") in found


@pytest.mark.parametrize(
    ("before", "snapshot", "expected"),
    [
        (WAITING, lists(), [QueueLeft, ConversationEnded]),
        (RINGING, lists(), [QueueLeft, RingEnded, ConversationEnded]),
        (RINGING, lists([caller()], [entry()]), [RingEnded]),
        (TALKING, lists(), [TalkEnded, ConversationEnded]),
        (TALKING, lists([caller()]), [TalkEnded]),
        (TALKING, lists([agent()]), []),
        (WAITING, lists([caller(app="Playback")]), [QueueLeft]),
        (WAITING, lists([caller()], [entry(queue="sales")]), [QueueLeft, QueueJoined]),
        (RINGING, TALK_LISTS, [QueueLeft, RingEnded, TalkStarted]),
        (TALKING, lists([caller()], [entry(queue="sales")]), [QueueJoined, TalkEnded]),
    ],
    ids=[
        "hang-up while waiting",
        "hang-up while ringing",
        "no answer",
        "hang-up",
        "agent hung up",
        "caller hung up",
        "left the queue",
        "overflow",
        "answer",
        "join after a talk",
    ],
)
def test_what_was_missed_is_made_good_and_marked(
    before: list[Event], snapshot: resync.Lists, expected: list[type]
) -> None:
    tracker, found = synced(before, snapshot)
    found = [one for one in found if not isinstance(one, MemberSeen)]
    assert sorted(map(str, kinds(found))) == sorted(map(str, expected))
    for one in found:
        match one:
            case QueueLeft():
                assert one.end in (StintEnd.LOST, StintEnd.ANSWERED)
            case RingEnded():
                assert one.end in (RingEnd.LOST, RingEnd.ANSWERED)
            case TalkEnded() | ConversationEnded():
                assert one.lost
    assert again(tracker, snapshot)[-1] == Resynced(NOW, 0)


@pytest.mark.parametrize(
    ("before", "during", "snapshot", "left"),
    [
        (TALKING, HUNG_UP, TALK_LISTS, set()),
        ([], [*TALKING, *HUNG_UP], TALK_LISTS, set()),
        (WAITING, [event("Hangup")], lists([caller()], [entry()]), set()),
        ([], [event("Newstate")], lists(), {CALL}),
    ],
    ids=["gone while the lists came", "came and went", "gave up", "came after the list"],
)
def test_a_hang_up_or_a_birth_while_the_lists_are_on_their_way(
    before: list[Event], during: list[Event], snapshot: resync.Lists, left: set[str]
) -> None:
    tracker, found = synced(before, snapshot, during)
    assert [one for one in found if not isinstance(one, MemberSeen)] == []
    assert set(tracker.channels) == left
    assert set(tracker.conversations) == left


def test_an_event_knows_better_whether_somebody_waits() -> None:
    connected = [event("AgentCalled", **DEST), *CONNECTED]
    _, found = synced(WAITING, lists([caller()], [entry()]), connected)
    assert found == []


def test_an_event_knows_better_whether_somebody_has_left_the_queue() -> None:
    out = event("UserEvent", UserEvent="CallfloorQueueExit", Queue="service", Status="TIMEOUT")
    tracker, found = synced(WAITING, lists([caller()], [entry()]), [out])
    assert found == []
    assert tracker.conversations[CALL].stint is None


def test_a_channel_that_was_renamed_unseen_has_its_new_name() -> None:
    tracker, _ = synced(TALKING, lists([caller(bridge="b1"), item(AGENT, "PJSIP/phone9-00000009", bridge="b1")]))
    assert tracker.channels[AGENT].interface == "PJSIP/phone9"


def test_an_event_about_something_else_does_not_hide_a_missed_join() -> None:
    _, found = synced([event("Newstate")], lists([caller()], [entry()]), [event("NewCallerid")])
    assert kinds(found) == [QueueJoined]


def test_an_event_knows_better_who_is_in_a_bridge() -> None:
    left = [of_agent("BridgeLeave", BridgeUniqueid="b1"), event("BridgeLeave", BridgeUniqueid="b1")]
    tracker, found = synced(TALKING, TALK_LISTS, left)
    assert [one for one in found if not isinstance(one, MemberSeen)] == []
    assert {channel.bridge for channel in tracker.channels.values()} == {""}


def test_an_event_about_something_else_does_not_hide_a_missed_answer() -> None:
    _, found = synced(RINGING, TALK_LISTS, [event("NewCallerid"), of_agent("Newstate")])
    assert [type(one) for one in found if not isinstance(one, MemberSeen)] == [QueueLeft, RingEnded, TalkStarted]


def test_the_answers_own_events_that_come_after_the_lists_are_no_second_talk() -> None:
    tracker, _ = synced(RINGING, TALK_LISTS)
    later = [happened for one in (*CONNECTED, *BRIDGED) for happened in tracker.apply(one, NOW)]
    assert later == []


def test_the_join_that_comes_after_a_list_that_knew_of_the_talk_is_ended_by_the_connection() -> None:
    tracker, _ = synced([], TALK_LISTS)
    later = [happened for one in TALKING for happened in tracker.apply(one, NOW)]
    assert kinds(later) == [QueueJoined, AgentRinging, QueueLeft, RingEnded]
    conversation = tracker.conversations[CALL]
    assert conversation.stint is None
    assert not conversation.attempts


def test_lists_that_did_not_come_change_nothing() -> None:
    tracker = Tracker()
    for one in TALKING:
        tracker.apply(one, NOW)
    resync.begin(tracker)
    resync.abandon(tracker)
    assert set(tracker.channels) == {CALL, AGENT}
    assert not tracker.syncing


def test_after_a_restart_the_members_are_told_anew() -> None:
    tracker, _ = synced(TALKING, TALK_LISTS)
    tracker.restarted(NOW)
    assert kinds(again(tracker, lists([], [member()]))) == [MemberSeen, Resynced]


def test_members_that_are_not_listed_are_gone() -> None:
    tracker, _ = synced([], lists([], [member()]))
    assert again(tracker, lists([], [member(paused="1")]))[0] == MemberSeen("service", PHONE, True, "", 1, True)
    assert again(tracker, lists())[0] == MemberSeen("service", PHONE, False, "", 0, True, present=False)


def test_an_item_with_nonsense_in_it_does_no_harm() -> None:
    odd = Event.of("QueueEntry", {"Queue": "service", "Uniqueid": CALL, "Wait": "soon", "Position": "first"})
    _, found = synced([], lists([caller(), Event.of("CoreShowChannel")], [odd, Event.of("QueueEntry")]))
    assert QueueJoined(CALL, NOW, "service", 0) in found
