"""The tracker's rules, one table each: events in, happenings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from telephony.ami.codec import Event
from telephony.conversations.events import (
    AgentRinging,
    Anomaly,
    AsteriskRestarted,
    CallerIdentified,
    ConversationEnded,
    ConversationOpened,
    FlowLeft,
    Happening,
    HoldEnded,
    HoldStarted,
    MemberSeen,
    Merged,
    QueueJoined,
    QueueLeft,
    RingEnd,
    RingEnded,
    StintEnd,
    TalkEnded,
    TalkStarted,
    Transferred,
)
from telephony.conversations.tracker import GONE, Tracker
from telephony.conversations.transitions import HANDLERS

CALL = "pbx1-1.1"
TRUNK = "PJSIP/trunk-00000001"
PHONE1, PHONE2 = "PJSIP/phone1", "PJSIP/phone2"


class Script:
    """Events with the time running: one second a step."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.happened: list[Happening] = []
        self.at = 1000.0

    def say(self, name: str, uniqueid: str = CALL, channel: str = TRUNK, call: str = CALL, **headers: str) -> Script:
        self.at += 1
        pairs = [("Timestamp", f"{self.at:.6f}"), ("Channel", channel), ("Uniqueid", uniqueid)]
        pairs += [("Context", "callfloor-in"), ("Exten", "+4930230001"), ("CallerIDNum", "+4930111")]
        pairs += [("ChanVariable", f"CALLFLOOR_ID={call}"), ("ChanVariable", "CALLERID(pres)=allowed")]
        over = {key.replace("_", "-"): value for key, value in headers.items()}
        pairs = [(key, over.pop(key, value)) for key, value in pairs]
        self.happened += self.tracker.apply(Event.of(name, [*pairs, *over.items()]), 0.0)
        return self

    def opened(self) -> Script:
        return self.say("Newstate")

    def waiting(self, queue: str = "service") -> Script:
        return self.opened().say("QueueCallerJoin", Queue=queue, Position="1")

    def ring(self, phone: str = "1", queue: str = "service") -> Script:
        return self.say(
            "AgentCalled",
            Queue=queue,
            Interface=f"PJSIP/phone{phone}",
            DestChannel=f"PJSIP/phone{phone}-0000000{phone}",
            DestUniqueid=f"pbx1-2.{phone}",
        )

    def dial_end(self, status: str, phone: str = "1") -> Script:
        return self.say("DialEnd", DestUniqueid=f"pbx1-2.{phone}", DialStatus=status)

    def connect(self, phone: str = "1", queue: str = "service") -> Script:
        self.say("QueueCallerLeave", Queue=queue)
        return self.say(
            "AgentConnect",
            Queue=queue,
            Interface=f"PJSIP/phone{phone}",
            DestChannel=f"PJSIP/phone{phone}-0000000{phone}",
            DestUniqueid=f"pbx1-2.{phone}",
        )

    def bridge(self, phone: str = "1", bridge: str = "b1") -> Script:
        self.of_phone("BridgeEnter", phone, BridgeUniqueid=bridge)
        return self.say("BridgeEnter", BridgeUniqueid=bridge)

    def talking(self) -> Script:
        return self.waiting().ring().dial_end("ANSWER").connect().bridge()

    def of_phone(self, name: str, phone: str = "1", **headers: str) -> Script:
        return self.say(name, f"pbx1-2.{phone}", f"PJSIP/phone{phone}-0000000{phone}", **headers)

    def hang_up(self, phone: str = "", cause: str = "16") -> Script:
        return self.of_phone("Hangup", phone, Cause=cause) if phone else self.say("Hangup", Cause=cause)

    def all(self, kind: type) -> list[Happening]:
        return [one for one in self.happened if type(one) is kind]

    def one(self, kind: type) -> Happening:
        (found,) = self.all(kind)
        return found


def ends(happened: Iterable[Happening]) -> list[tuple[str, str]]:
    return [(one.interface, str(one.end)) for one in happened if isinstance(one, RingEnded)]


@pytest.mark.parametrize(
    ("after", "end"),
    [
        ((("QueueCallerLeave", {"Queue": "service"}), ("Hangup", {})), StintEnd.ABANDONED),
        ((("Hangup", {}),), StintEnd.ABANDONED),
        *(
            (
                (
                    ("QueueCallerAbandon", {"Queue": "service"}),
                    ("QueueCallerLeave", {"Queue": "service"}),
                    ("UserEvent", {"UserEvent": "CallfloorQueueExit", "Queue": "service", "Status": status}),
                ),
                end,
            )
            for status, end in {
                "TIMEOUT": StintEnd.TIMEOUT,
                "LEAVEEMPTY": StintEnd.EMPTY,
                "JOINUNAVAIL": StintEnd.EMPTY,
                "FULL": StintEnd.OVERFLOW,
                "WITHDRAW": StintEnd.WITHDRAWN,
                "": StintEnd.KEY,
                "SOMETHING_NEW": StintEnd.OVERFLOW,
            }.items()
        ),
        ((("QueueCallerLeave", {"Queue": "service"}), ("QueueCallerJoin", {"Queue": "sales"})), StintEnd.OVERFLOW),
    ],
)
def test_a_stint_ends_as_what_follows_says(after: Sequence[tuple[str, dict[str, str]]], end: StintEnd) -> None:
    script = Script().waiting()
    joined = script.at
    for name, headers in after:
        script.say(name, **headers)
    left = script.one(QueueLeft)
    assert isinstance(left, QueueLeft)
    assert (left.queue, left.end) == ("service", end)
    leaves = [name for name, _ in after].index("QueueCallerLeave") if after[0][0] != "Hangup" else 0
    assert left.waited == pytest.approx(joined + leaves + 1 - joined)


def test_a_second_join_of_the_same_queue_without_a_leave_is_no_news() -> None:
    script = Script().waiting().say("QueueCallerJoin", Queue="service", Position="1")
    assert len(script.all(QueueJoined)) == 1


def test_leaving_another_queue_does_not_stop_this_clock() -> None:
    script = Script().waiting().say("QueueCallerLeave", Queue="sales").say("NewCallerid").hang_up()
    left = script.one(QueueLeft)
    assert isinstance(left, QueueLeft)
    assert left.waited == pytest.approx(3.0)


def test_the_exit_of_another_queue_does_not_end_this_stint() -> None:
    script = Script().waiting().say("UserEvent", UserEvent="CallfloorQueueExit", Queue="sales", Status="TIMEOUT")
    assert script.all(QueueLeft) == []


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        (lambda s: s.dial_end("NOANSWER").hang_up("1", "0"), RingEnd.NO_ANSWER),
        (lambda s: s.dial_end("NOANSWER").dial_end("CANCEL").hang_up("1", "0"), RingEnd.NO_ANSWER),
        (lambda s: s.dial_end("NOANSWER").hang_up("1", "17"), RingEnd.REJECTED),
        (lambda s: s.dial_end("NOANSWER").hang_up("1", "21"), RingEnd.REJECTED),
        (lambda s: s.dial_end("NOANSWER").hang_up("1", "20"), RingEnd.UNREACHABLE),
        (lambda s: s.dial_end("BUSY"), RingEnd.REJECTED),
        (lambda s: s.dial_end("CHANUNAVAIL"), RingEnd.UNREACHABLE),
        (lambda s: s.dial_end("CONGESTION"), RingEnd.UNREACHABLE),
        (lambda s: s.dial_end("CANCEL").dial_end("CANCEL").hang_up("1", "0"), RingEnd.CALLER_LEFT),
        (lambda s: s.hang_up("1", "0"), RingEnd.NO_ANSWER),
        (lambda s: s.hang_up(), RingEnd.CALLER_LEFT),
        (lambda s: s.hang_up("1", "26"), RingEnd.ELSEWHERE),
        (lambda s: s.dial_end("ANSWER").connect(), RingEnd.ANSWERED),
        (lambda s: s.connect(), RingEnd.ANSWERED),
        (lambda s: s.dial_end("ANSWER").hang_up("1"), RingEnd.NO_ANSWER),
        (lambda s: s.ring(), None),
    ],
)
def test_a_phone_ends_ringing_once_and_for_a_reason(steps, end: RingEnd | None) -> None:  # type: ignore[no-untyped-def]
    script = Script().waiting().ring()
    steps(script)
    assert ends(script.happened) == ([(PHONE1, str(end))] if end else [])


def test_a_second_stay_in_the_same_queue_is_another_stint() -> None:
    script = Script().waiting().say("QueueCallerLeave", Queue="service").say("QueueCallerJoin", Queue="service")
    assert len(script.all(QueueJoined)) == 2
    assert [one.end for one in script.all(QueueLeft) if isinstance(one, QueueLeft)] == [StintEnd.OVERFLOW]


@pytest.mark.parametrize(("waits", "queues"), [(True, ["service"]), (False, [""])])
def test_a_dialled_phone_rings_without_a_queue_only_if_the_caller_waits_in_none(waits: bool, queues: list[str]) -> None:
    script = Script().waiting() if waits else Script().opened()
    script.say("DialBegin", DestChannel="PJSIP/phone1-00000001", DestUniqueid="pbx1-2.1")
    if waits:
        script.ring()
    assert [one.queue for one in script.all(AgentRinging) if isinstance(one, AgentRinging)] == queues


def test_a_channel_that_is_renamed_has_its_new_interface() -> None:
    script = Script().opened().say("Newstate", "pbx1-2.2", "PJSIP/old-00000002")
    script.say("Rename", "pbx1-2.2", "PJSIP/old-00000002", Newname="PJSIP/phone2-00000002")
    script.of_phone("BridgeEnter", "2", BridgeUniqueid="b1").say("BridgeEnter", BridgeUniqueid="b1")
    started = script.one(TalkStarted)
    assert isinstance(started, TalkStarted)
    assert started.interface == PHONE2


def test_colleagues_phones_stop_when_one_answers() -> None:
    script = Script().waiting().ring("1").ring("2").dial_end("ANSWER", "2").dial_end("CANCEL", "1")
    assert ends(script.happened) == [(PHONE1, "elsewhere")]
    script.connect("2")
    assert ends(script.happened) == [(PHONE1, "elsewhere"), (PHONE2, "answered")]


def test_without_the_dial_ends_the_connection_says_who_was_quicker() -> None:
    script = Script().waiting().ring("1").ring("2").connect("2")
    assert sorted(ends(script.happened)) == [(PHONE1, "elsewhere"), (PHONE2, "answered")]


def test_an_answer_that_came_to_nothing_does_not_colour_the_next_ring() -> None:
    script = Script().waiting().ring("1").dial_end("ANSWER", "1").hang_up("1")
    script.ring("2").dial_end("CANCEL", "2")
    assert ends(script.happened)[-1] == (PHONE2, "caller_left")


def test_a_phone_that_rings_again_before_its_last_leg_is_gone_rings_twice() -> None:
    script = Script().waiting().ring("1").dial_end("NOANSWER")
    script.say(
        "AgentCalled", Queue="service", Interface=PHONE1, DestChannel="PJSIP/phone1-000000aa", DestUniqueid="pbx1-9.9"
    )
    assert ends(script.happened) == [(PHONE1, "no_answer")]
    assert len(script.all(AgentRinging)) == 2


def test_a_pick_up_belongs_to_the_colleague() -> None:
    script = Script().waiting().ring("1")
    script.say("Newchannel", "pbx1-2.2", "PJSIP/phone2-00000002", call="")
    script.say("Pickup", "pbx1-2.2", "PJSIP/phone2-00000002", call="", TargetUniqueid="pbx1-2.1").hang_up("1", "0")
    assert ends(script.happened) == [(PHONE1, "elsewhere")]
    script.say(
        "AgentConnect",
        Queue="service",
        Interface=PHONE1,
        DestChannel="PJSIP/phone2-00000002",
        DestUniqueid="pbx1-2.2",
    )
    started = script.one(TalkStarted)
    assert isinstance(started, TalkStarted)
    assert (started.interface, started.queue) == (PHONE2, "service")


class TestTalk:
    def test_counts_from_bridge_to_bridge(self) -> None:
        script = Script().talking()
        met = script.at
        for _ in range(5):
            script.say("NewCallerid")
        script.of_phone("BridgeLeave", BridgeUniqueid="b1").say("BridgeLeave", BridgeUniqueid="b1")
        for _ in range(5):
            script.say("NewCallerid")
        script.hang_up("1")
        ended = script.one(TalkEnded)
        assert isinstance(ended, TalkEnded)
        assert ended.talked == pytest.approx(6.0)
        assert ended.at == pytest.approx(met + 13)

    def test_ends_once_whatever_comes_first(self) -> None:
        for order in (("AgentComplete", "Hangup"), ("Hangup", "AgentComplete")):
            script = Script().talking()
            for name in order:
                if name == "Hangup":
                    script.hang_up("1")
                else:
                    script.say("AgentComplete", Interface=PHONE1, DestUniqueid="pbx1-2.1")
            assert len(script.all(TalkEnded)) == 1

    def test_late_news_of_an_older_talk_does_not_end_a_newer_one(self) -> None:
        script = Script().talking().hang_up("1").say("QueueCallerJoin", Queue="sales")
        script.say(
            "AgentConnect",
            Queue="sales",
            Interface=PHONE1,
            DestChannel="PJSIP/phone1-000000aa",
            DestUniqueid="pbx1-9.9",
        )
        script.say("AgentComplete", Interface=PHONE1, DestUniqueid="pbx1-2.1")
        assert len(script.all(TalkEnded)) == 1

    def test_news_of_an_answer_after_the_agent_has_hung_up_is_a_talk_of_no_length(self) -> None:
        script = Script().waiting().ring().dial_end("ANSWER").hang_up("1").connect()
        assert len(script.all(TalkStarted)) == len(script.all(TalkEnded)) == 1
        script.hang_up()
        assert script.tracker.channels == {}

    def test_hold_ends_with_the_talk_at_the_latest(self) -> None:
        script = Script().talking().of_phone("Hold").of_phone("Hold")
        held_at = script.at - 1
        script.say("AgentComplete", Interface=PHONE1, DestUniqueid="pbx1-2.1").of_phone("Unhold")
        assert script.one(HoldStarted) == HoldStarted(CALL, held_at, PHONE1)
        ended = script.one(HoldEnded)
        assert isinstance(ended, HoldEnded)
        assert ended.held == pytest.approx(2.0)
        assert script.happened.index(ended) < script.happened.index(script.one(TalkEnded))

    def test_an_unhold_without_a_hold_is_no_news(self) -> None:
        assert Script().talking().of_phone("Unhold").all(HoldEnded) == []


class TestTransfer:
    def test_blind_ends_the_agents_talk_and_is_told_once(self) -> None:
        script = Script().talking()
        for _ in range(2):
            script.say("BlindTransfer", "", "", Result="Success", TransfererUniqueid="pbx1-2.1", Extension="q-sales")
        transferred = script.one(Transferred)
        assert isinstance(transferred, Transferred)
        assert (transferred.kind, transferred.by, transferred.to) == ("blind", PHONE1, "q-sales")
        assert len(script.all(TalkEnded)) == 1

    @pytest.mark.parametrize("result", ["Fail", "Invalid", "Not Permitted", ""])
    def test_one_that_failed_is_none(self, result: str) -> None:
        script = Script().talking()
        for name in ("BlindTransfer", "AttendedTransfer"):
            script.say(name, "", "", Result=result, TransfererUniqueid="pbx1-2.1", OrigTransfererUniqueid="pbx1-2.1")
        assert script.all(Transferred) == script.all(TalkEnded) == []

    @pytest.mark.parametrize("bridge_first", [True, False])
    def test_attended_folds_the_consultation_in_whichever_event_comes_first(self, bridge_first: bool) -> None:
        script = Script().talking()
        consultation = {"call": "pbx1-3.1", "Context": "callfloor-phones"}
        script.say("Newstate", "pbx1-3.1", "PJSIP/phone1-00000031", **consultation)
        script.say("BridgeEnter", "pbx1-3.1", "PJSIP/phone1-00000031", BridgeUniqueid="b2", **consultation)
        script.say("BridgeEnter", "pbx1-3.2", "PJSIP/phone2-00000032", BridgeUniqueid="b2", **consultation)

        def meet() -> None:
            script.say("BridgeLeave", "pbx1-3.2", "PJSIP/phone2-00000032", BridgeUniqueid="b2", **consultation)
            script.of_phone("BridgeLeave", BridgeUniqueid="b1")
            script.say("BridgeEnter", "pbx1-3.2", "PJSIP/phone2-00000032", BridgeUniqueid="b1", **consultation)

        def told() -> None:
            script.say(
                "AttendedTransfer",
                "",
                "",
                Result="Success",
                OrigTransfererUniqueid="pbx1-2.1",
                SecondTransfererUniqueid="pbx1-3.1",
                TransferTargetUniqueid="pbx1-3.2",
                TransferTargetChannel="PJSIP/phone2-00000032",
            )

        for step in (meet, told) if bridge_first else (told, meet):
            step()
        script.hang_up("1")
        script.say("Hangup", "pbx1-3.1", "PJSIP/phone1-00000031", **consultation)
        merged, transferred = script.one(Merged), script.one(Transferred)
        assert isinstance(merged, Merged)
        assert isinstance(transferred, Transferred)
        assert (merged.conversation, merged.folded) == (CALL, "pbx1-3.1")
        assert (transferred.conversation, transferred.by, transferred.to) == (CALL, PHONE1, PHONE2)
        assert [one.interface for one in script.all(TalkStarted) if isinstance(one, TalkStarted)] == [PHONE1, PHONE2]
        # The colleague's leg still carries the consultation's id: that is an alias now.
        script.say("NewCallerid", "pbx1-3.2", "PJSIP/phone2-00000032", **consultation)
        script.hang_up().say("Hangup", "pbx1-3.2", "PJSIP/phone2-00000032", **consultation)
        assert [one.conversation for one in script.all(ConversationEnded) if isinstance(one, ConversationEnded)] == [
            CALL
        ]
        assert (script.tracker.aliases, script.tracker.channels, script.tracker.conversations) == ({}, {}, {})

    def test_a_wait_of_what_is_folded_in_ends_before(self) -> None:
        script = Script().talking()
        script.say("Newstate", "pbx1-3.1", call="pbx1-3.1").say(
            "QueueCallerJoin", "pbx1-3.1", call="pbx1-3.1", Queue="sales"
        )
        script.say("BridgeEnter", "pbx1-3.1", call="pbx1-3.1", BridgeUniqueid="b1")
        left = script.all(QueueLeft)[-1]
        assert isinstance(left, QueueLeft)
        assert (left.conversation, left.end) == ("pbx1-3.1", StintEnd.WITHDRAWN)
        assert script.happened.index(left) < script.happened.index(script.one(Merged))

    def test_an_agents_own_wait_in_a_queue_ends_with_the_channel_that_waits(self) -> None:
        script = Script().talking()
        script.say("QueueCallerJoin", "pbx1-4.2", "Local/802@callfloor-phones-00000001;2", Queue="sales")
        script.say("Hangup", "pbx1-4.2", "Local/802@callfloor-phones-00000001;2", Queue="sales")
        left = script.all(QueueLeft)[-1]
        assert isinstance(left, QueueLeft)
        assert (left.queue, left.end) == ("sales", StintEnd.WITHDRAWN)


class TestConversation:
    def test_ends_with_its_last_channel_that_is_not_local(self) -> None:
        script = Script().talking().say("Newstate", "pbx1-5.1", "Local/x@y-00000001;1").hang_up()
        assert script.all(ConversationEnded) == []
        script.hang_up("1")
        assert script.one(ConversationEnded) == ConversationEnded(CALL, script.at, "16")

    def test_is_that_of_the_id_and_opened_by_its_own_channel_only(self) -> None:
        script = Script().of_phone("Newstate")
        assert script.happened == []
        script.opened()
        opened = script.one(ConversationOpened)
        assert isinstance(opened, ConversationOpened)
        assert (opened.number, opened.presentation, opened.dialled) == ("+4930111", "allowed", "+4930230001")

    def test_a_listening_supervisor_is_part_of_none(self) -> None:
        script = Script().talking()
        script.say("BridgeEnter", "pbx1-6.1", "PJSIP/boss-00000009", call="", BridgeUniqueid="b1")
        script.say("Hangup", "pbx1-6.1", "PJSIP/boss-00000009", call="")
        assert len(script.all(TalkStarted)) == 1
        assert script.all(TalkEnded) == []

    @pytest.mark.parametrize(
        "late",
        [
            ("QueueCallerLeave", {"Queue": "service"}),
            ("QueueCallerJoin", {"Queue": "service"}),
            ("UserEvent", {"UserEvent": "CallfloorIdentity", "Customer": "1"}),
            ("Newstate", {}),
            ("BridgeEnter", {"BridgeUniqueid": "b1"}),
            ("Hold", {}),
            ("Hangup", {}),
        ],
    )
    def test_late_news_brings_nobody_back(self, late: tuple[str, dict[str, str]]) -> None:
        script = Script().talking().hang_up("1").hang_up()
        before = len(script.happened)
        script.say(late[0], **late[1]).of_phone(late[0], **late[1])
        assert script.happened[before:] == []
        assert (script.tracker.channels, script.tracker.conversations) == ({}, {})
        assert not any(script.tracker.bridges.values())

    def test_what_is_remembered_of_the_dead_is_bounded(self) -> None:
        script = Script()
        for number in range(GONE + 50):
            script.say("Newstate", f"x.{number}", call=f"x.{number}").say("Hangup", f"x.{number}")
        assert len(script.tracker.gone) == GONE

    def test_a_restart_ends_everything(self) -> None:
        script = Script().talking()
        script.say("QueueMemberAdded", Queue="service", Interface=PHONE1)
        happened = script.tracker.restarted(5000.0)
        ended = [one for one in happened if isinstance(one, ConversationEnded)]
        assert ended == [ConversationEnded(CALL, 5000.0, "asterisk restarted", lost=True)]
        assert happened[-1] == AsteriskRestarted(5000.0)
        assert not any((script.tracker.channels, script.tracker.conversations, script.tracker.bridges))


def test_a_flow_tells_its_own_language_not_the_channels() -> None:
    script = Script().opened()
    script.say("UserEvent", UserEvent="CallfloorFlow", Path="a>b", Route="sales")
    pairs = [("Timestamp", "1.0"), ("Uniqueid", CALL), ("Language", "de"), ("UserEvent", "CallfloorFlow")]
    script.happened += script.tracker.apply(
        Event.of("UserEvent", [*pairs, ("Path", "a>b"), ("Language", "en"), ("Route", "sales")]), 0.0
    )
    assert script.all(FlowLeft)[-1] == FlowLeft(CALL, 1.0, ("a", "b"), "en", "sales")


def test_a_customer_is_known_by_the_crms_own_name_for_him() -> None:
    told = {"UserEvent": "CallfloorIdentity", "Certainty": "certain", "Reason": "customer_number"}
    script = Script().opened().say("UserEvent", Customer="%C3%84-2 K 12/3%25", **told)
    identified = CallerIdentified(CALL, script.at, "Ä-2 K 12/3%", "certain", "customer_number")
    assert script.all(CallerIdentified) == [identified]


def test_members_are_told_when_they_change_and_only_then() -> None:
    script = Script()
    for name, headers in (
        ("QueueMemberAdded", {"Status": "1", "Paused": "0"}),
        ("QueueMemberStatus", {"Status": "1", "Paused": "0"}),
        ("QueueMemberPause", {"Status": "1", "Paused": "1", "PausedReason": "coffee"}),
        ("QueueMemberRemoved", {}),
        ("QueueMemberRemoved", {}),
    ):
        script.say(name, Queue="service", Interface=PHONE1, Membership="dynamic", **headers)
    seen = [(one.paused, one.reason, one.present) for one in script.all(MemberSeen) if isinstance(one, MemberSeen)]
    assert seen == [(False, "", True), (True, "coffee", True), (False, "", False)]


def test_an_event_without_a_usable_time_has_that_of_its_arrival() -> None:
    tracker = Tracker()
    pairs = [("Uniqueid", CALL), ("ChanVariable", f"CALLFLOOR_ID={CALL}")]
    (opened,) = tracker.apply(Event.of("Newstate", pairs), 77.0)
    assert isinstance(opened, ConversationOpened)
    assert opened.at == 77.0
    happened = tracker.apply(Event.of("Hangup", [("Timestamp", "now"), *pairs]), 78.0)
    assert [type(one) for one in happened] == [Anomaly, ConversationEnded]


def test_events_nobody_listens_to_change_nothing() -> None:
    script = Script().say("VarSet").say("DeviceStateChange").say("UserEvent", UserEvent="SomebodyElses")
    assert (script.happened, script.tracker.channels) == ([], {})


@pytest.mark.parametrize("position", ["9" * 5000, "9" * 10, "-1", "", "\u0663", "nan"])
def test_a_position_that_is_none_counts_as_nought(position: str) -> None:
    (joined,) = [one for one in Script().opened().say("QueueCallerJoin", Queue="service", Position=position).happened
                 if isinstance(one, QueueJoined)]  # fmt: skip
    assert joined.position == 0


def test_an_event_that_is_stumbled_over_costs_neither_what_was_found_nor_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stumble(tracker: Tracker, event: Event) -> None:
        tracker.sight(event)
        raise ValueError("a fault of ours")

    monkeypatch.setitem(HANDLERS, "QueueCallerJoin", stumble)
    script = Script().say("QueueCallerJoin", Queue="service", Position="1")
    assert [type(one) for one in script.happened] == [ConversationOpened, Anomaly]
    assert script.happened[-1] == Anomaly("event_failed", "QueueCallerJoin: ValueError: a fault of ours")
    script.say("Hangup")
    assert isinstance(script.happened[-1], ConversationEnded)
