"""What must hold whatever happens: a small world of calls, random, with a link that loses and repeats events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.ami.codec import Event
from telephony.conversations import resync
from telephony.conversations.events import (
    AgentRinging,
    ConversationEnded,
    ConversationOpened,
    Happening,
    HoldEnded,
    HoldStarted,
    Merged,
    QueueJoined,
    QueueLeft,
    Resynced,
    RingEnded,
    TalkEnded,
    TalkStarted,
)
from telephony.conversations.history import Histories
from telephony.conversations.tracker import Tracker

AGENTS = 3


@dataclass
class Leg:
    """A channel as it truly is."""

    uniqueid: str
    name: str
    call: str
    state: str = "6"
    bridge: str = ""
    queue: str = ""
    """The queue in which it waits."""
    in_queue: str = ""
    """The queue whose application it is in, waiting or talking."""


class World:
    """The truth, and what Asterisk says of it. Each act does what is possible just then, or nothing."""

    def __init__(self) -> None:
        self.legs: dict[str, Leg] = {}
        self.said: list[Event] = []
        self.number = 0
        self.time = 1000.0

    def say(self, name: str, leg: Leg | None, **headers: str) -> None:
        self.time += 0.5
        pairs = [("Timestamp", f"{self.time}")]
        if leg is not None:
            pairs += [("Channel", leg.name), ("Uniqueid", leg.uniqueid), ("Context", "callfloor-in")]
            pairs += [("ChanVariable", f"CALLFLOOR_ID={leg.call}")]
        self.said.append(Event.of(name, [*pairs, *headers.items()]))

    def _new(self, name: str, call: str = "", state: str = "6") -> Leg:
        self.number += 1
        uniqueid = f"pbx1-1.{self.number}"
        leg = self.legs[uniqueid] = Leg(uniqueid, f"{name}-{self.number:08x}", call or uniqueid, state)
        self.say("Newchannel", leg)
        return leg

    def _callers(self) -> list[Leg]:
        return [leg for leg in self.legs.values() if leg.call == leg.uniqueid]

    def _pick(self, legs: Iterable[Leg], which: int) -> Leg | None:
        found = sorted(legs, key=lambda leg: leg.uniqueid)
        return found[which % len(found)] if found else None

    def arrive(self, _: int) -> None:
        if len(self._callers()) < 4:
            self.say("Newstate", self._new("PJSIP/trunk"))

    def join(self, which: int) -> None:
        leg = self._pick((leg for leg in self._callers() if not leg.in_queue and not leg.bridge), which)
        if leg is not None:
            leg.queue = leg.in_queue = ("service", "sales")[which % 2]
            self.say("QueueCallerJoin", leg, Queue=leg.queue, Position="1")

    def ring(self, which: int) -> None:
        leg = self._pick((leg for leg in self._callers() if leg.queue), which)
        name = f"PJSIP/phone{which % AGENTS}"
        if leg is not None and not any(one.name.startswith(f"{name}-") for one in self.legs.values()):
            phone = self._new(name, leg.call, "5")
            self.say("AgentCalled", leg, Queue=leg.queue, Interface=name, **self._to(phone))

    def no_answer(self, which: int) -> None:
        phone = self._pick((leg for leg in self.legs.values() if leg.state == "5"), which)
        if phone is not None:
            self.say("DialEnd", self.legs.get(phone.call), DialStatus="NOANSWER", **self._to(phone))
            self._gone(phone, "17" if which % 2 else "0")

    def answer(self, which: int) -> None:
        phone = self._pick((leg for leg in self.legs.values() if leg.state == "5"), which)
        if phone is None:
            return
        caller, queue = self.legs[phone.call], self.legs[phone.call].queue
        phone.state = "6"
        self.say("DialEnd", caller, DialStatus="ANSWER", **self._to(phone))
        self._stop_ringing(caller)
        caller.queue = ""
        self.say("QueueCallerLeave", caller, Queue=queue)
        interface = phone.name.rpartition("-")[0]
        self.say("AgentConnect", caller, Queue=queue, Interface=interface, **self._to(phone))
        phone.in_queue = caller.in_queue = queue
        bridge = f"b{self.number}"
        for leg in (phone, caller):
            leg.bridge = bridge
            self.say("BridgeEnter", leg, BridgeUniqueid=bridge)

    def hold(self, which: int) -> None:
        phone = self._pick((leg for leg in self.legs.values() if leg.bridge and leg.call != leg.uniqueid), which)
        if phone is not None:
            self.say("Hold" if which % 2 else "Unhold", phone)

    def time_out(self, which: int) -> None:
        leg = self._pick((leg for leg in self._callers() if leg.queue), which)
        if leg is not None:
            self._stop_ringing(leg)
            queue, leg.queue, leg.in_queue = leg.queue, "", ""
            self.say("QueueCallerAbandon", leg, Queue=queue)
            self.say("QueueCallerLeave", leg, Queue=queue)
            self.say("UserEvent", leg, UserEvent="CallfloorQueueExit", Queue=queue, Status="TIMEOUT")

    def transfer(self, which: int) -> None:
        phone = self._pick((leg for leg in self.legs.values() if leg.bridge and leg.call != leg.uniqueid), which)
        if phone is not None and phone.call in self.legs:
            caller = self.legs[phone.call]
            self._leave(caller)
            self._leave(phone)
            to = {"TransfererUniqueid": phone.uniqueid, "TransfererChannel": phone.name, "Extension": "q-sales"}
            self.say("BlindTransfer", None, Result="Success", **to)
            self._gone(phone)
            caller.in_queue = ""

    def hang_up(self, which: int) -> None:
        leg = self._pick((leg for leg in self.legs.values() if leg.state == "6"), which)
        if leg is None:
            return
        if leg.uniqueid == leg.call:
            self._stop_ringing(leg)
            if leg.queue:
                self.say("QueueCallerAbandon", leg, Queue=leg.queue)
                self.say("QueueCallerLeave", leg, Queue=leg.queue)
        self._gone(leg, "16")

    def end(self) -> None:
        while any(leg.state == "6" for leg in self.legs.values()):
            self.hang_up(0)

    @staticmethod
    def _to(phone: Leg) -> dict[str, str]:
        return {"DestChannel": phone.name, "DestUniqueid": phone.uniqueid}

    def _stop_ringing(self, caller: Leg) -> None:
        for phone in [leg for leg in self.legs.values() if leg.call == caller.call and leg.state == "5"]:
            self.say("DialEnd", caller, DialStatus="CANCEL", **self._to(phone))
            self._gone(phone)

    def _leave(self, leg: Leg) -> None:
        if leg.bridge:
            self.say("BridgeLeave", leg, BridgeUniqueid=leg.bridge)
            bridge, leg.bridge = leg.bridge, ""
            if not any(one.bridge == bridge for one in self.legs.values()):
                self.say("BridgeDestroy", None, BridgeUniqueid=bridge)

    def _gone(self, leg: Leg, cause: str = "0") -> None:
        self._leave(leg)
        self.say("Hangup", leg, Cause=cause)
        del self.legs[leg.uniqueid]
        if leg.uniqueid == leg.call:
            return
        caller = self.legs.get(leg.call)
        if caller is not None and leg.state == "6":
            self._leave(caller)
            caller.in_queue = caller.queue

    def lists(self) -> resync.Lists:
        channels = [
            Event.of(
                "CoreShowChannel",
                [
                    ("Channel", leg.name),
                    ("ChannelState", leg.state),
                    ("Uniqueid", leg.uniqueid),
                    ("ChanVariable", f"CALLFLOOR_ID={leg.call}"),
                    ("Application", "Queue" if leg.in_queue and leg.call == leg.uniqueid else "AppQueue"),
                    ("ApplicationData", f"{leg.in_queue},tck"),
                    ("BridgeId", leg.bridge),
                ]
                if leg.in_queue or leg.call != leg.uniqueid
                else [
                    ("Channel", leg.name),
                    ("ChannelState", leg.state),
                    ("Uniqueid", leg.uniqueid),
                    ("ChanVariable", f"CALLFLOOR_ID={leg.call}"),
                    ("Application", "AGI"),
                ],
            )
            for leg in self.legs.values()
        ]
        entries = [
            Event.of("QueueEntry", {"Queue": leg.queue, "Uniqueid": leg.uniqueid, "Position": "1", "Wait": "3"})
            for leg in self.legs.values()
            if leg.queue
        ]
        return resync.Lists(tuple(channels), tuple(entries))


ACTS: list[Callable[[World, int], None]] = [
    World.arrive,
    World.join,
    World.ring,
    World.answer,
    World.no_answer,
    World.hold,
    World.time_out,
    World.transfer,
    World.hang_up,
]

acts = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 5)), max_size=60)

PAIRS: list[tuple[type, type, str]] = [
    (AgentRinging, RingEnded, "interface"),
    (TalkStarted, TalkEnded, "interface"),
    (QueueJoined, QueueLeft, "queue"),
    (HoldStarted, HoldEnded, "interface"),
]


def check(happened: Iterable[Happening]) -> None:
    """Whatever begins ends once, before its conversation does; nothing happens to one that is not open."""
    live: set[str] = set()
    begun: set[tuple[type, str, str]] = set()
    for one in happened:
        conversation = getattr(one, "conversation", "")
        if isinstance(one, ConversationOpened):
            assert conversation not in live
            live.add(conversation)
        elif conversation:
            assert conversation in live, one
        for start, end, of in PAIRS:
            key = (start, conversation, getattr(one, of, ""))
            if isinstance(one, start):
                assert key not in begun, one
                begun.add(key)
            elif isinstance(one, end):
                assert key in begun, one
                begun.remove(key)
        if isinstance(one, ConversationEnded | Merged):
            gone = one.folded if isinstance(one, Merged) else conversation
            assert not [key for key in begun if key[1] == gone], one
            live.remove(gone)
    assert not live
    assert not begun


def empty(tracker: Tracker) -> bool:
    return not (tracker.channels or tracker.conversations or any(tracker.bridges.values()) or tracker.aliases)


def played(world: World, tracker: Tracker, since: int, repeat: Callable[[], int] = lambda: 1) -> list[Happening]:
    return [
        happening
        for event in world.said[since:]
        for _ in range(repeat())
        for happening in tracker.apply(event, world.time)
    ]


@given(acts)
def test_what_begins_ends_and_nothing_is_left(script: list[tuple[Callable[[World, int], None], int]]) -> None:
    world, tracker = World(), Tracker()
    for act, which in script:
        act(world, which)
    world.end()
    happened = played(world, tracker, 0)
    check(happened)
    assert empty(tracker)
    histories = Histories()
    for happening in happened:
        histories.apply(happening)
    assert not histories.live


@given(acts)
def test_saying_everything_twice_says_nothing_new(script: list[tuple[Callable[[World, int], None], int]]) -> None:
    world, once, twice = World(), Tracker(), Tracker()
    for act, which in script:
        act(world, which)
    world.end()
    assert played(world, once, 0) == played(world, twice, 0, lambda: 2)


@given(acts, acts, st.data())
@settings(max_examples=200)
def test_a_resync_mends_whatever_a_bad_link_has_lost(
    before: list[tuple[Callable[[World, int], None], int]],
    after: list[tuple[Callable[[World, int], None], int]],
    data: st.DataObject,
) -> None:
    world, tracker = World(), Tracker()
    for act, which in before:
        act(world, which)
    fate = data.draw(st.lists(st.integers(0, 2), min_size=len(world.said), max_size=len(world.said)))
    fates = iter(fate)
    happened = played(world, tracker, 0, lambda: next(fates))
    resync.begin(tracker)
    happened += resync.finish(tracker, world.lists(), world.time)
    assert set(tracker.channels) == set(world.legs)
    assert {leg.uniqueid: leg.queue for leg in world.legs.values() if leg.queue} == {
        one.id: one.stint.queue for one in tracker.conversations.values() if one.stint is not None
    }
    assert {leg.uniqueid: leg.bridge for leg in world.legs.values()} == {
        channel.uniqueid: channel.bridge for channel in tracker.channels.values()
    }
    resync.begin(tracker)
    assert resync.finish(tracker, world.lists(), world.time) == [Resynced(world.time, 0)]
    since = len(world.said)
    for act, which in after:
        act(world, which)
    world.end()
    happened += played(world, tracker, since)
    check(happened)
    assert empty(tracker)


@given(acts, st.integers(0, 400), st.integers(0, 40), st.integers(-20, 20))
@settings(max_examples=300)
def test_a_resync_that_takes_its_time_does_no_harm_on_a_healthy_link(
    script: list[tuple[Callable[[World, int], None], int]], begin: int, delay: int, ahead: int
) -> None:
    """The lists are made while events go on; they come on a connection of their own, ahead of events or behind them."""
    world, tracker = World(), Tracker()
    moments: list[tuple[int, resync.Lists]] = [(0, world.lists())]
    for act, which in script:
        act(world, which)
        moments.append((len(world.said), world.lists()))
    world.end()
    moments.append((len(world.said), world.lists()))
    events = world.said
    begin %= len(events) + 1
    made, lists = min((moment for moment in moments if moment[0] >= begin), key=lambda one: abs(one[0] - begin - delay))
    finish = max(begin, min(len(events), made + ahead))
    happened: list[Happening] = []
    for event in events[:begin]:
        happened += tracker.apply(event, 0.0)
    resync.begin(tracker)
    for event in events[begin:finish]:
        happened += tracker.apply(event, 0.0)
    found = resync.finish(tracker, lists, world.time)
    if finish >= made:
        assert [one for one in found if not isinstance(one, ConversationOpened)] == [
            Resynced(world.time, len(found) - 1)
        ]
    happened += found
    for event in events[finish:]:
        happened += tracker.apply(event, 0.0)
    check(happened)
    assert empty(tracker)
