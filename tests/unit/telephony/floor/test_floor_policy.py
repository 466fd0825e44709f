"""People at work: presence by table, after-call work, wishes, expiry, merges; and a state machine over all of it."""

from __future__ import annotations

from typing import Any

import pytest
from asterisk.ami import SimpleAction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from telephony.conversations.events import (
    AgentRinging,
    ConversationEnded,
    Happening,
    Merged,
    RingEnd,
    RingEnded,
    TalkEnded,
    TalkStarted,
)
from telephony.floor.membership import Membership, Place, desired, steps
from telephony.floor.model import (
    AFTER_CALL_REASON,
    EXPIRED_REASON,
    Agent,
    Desk,
    FloorEffect,
    MembershipChanged,
    NotAnAgent,
    NothingToWrapUp,
    Presence,
    PresenceChanged,
    QueueRules,
    WrapUpDue,
    WrapUpExpired,
    WrapUpOpened,
    WrapUpOwed,
)
from telephony.floor.policy import Floor

RULES = (
    QueueRules("must", "required", codes=frozenset({"OK"})),
    QueueRules("limit", "required", 30, "ready", "EXPIRED", frozenset({"OK"})),
    QueueRules("strict", "required", 30, "paused", "LATE", frozenset({"OK"})),
    QueueRules("may", "optional", codes=frozenset({"OK"})),
    QueueRules("none", "none"),
)
ANNA = Agent("anna", "Anna", "PJSIP/phone1", (("must", 0), ("limit", 5)))
BEN = Agent("ben", "Ben", "PJSIP/phone2", (("must", 0),))
CALL = "pbx1-1.1"


def floor_of(*agents: Agent) -> Floor:
    floor = Floor(RULES)
    for agent in agents or (ANNA, BEN):
        floor.enrol(agent)
    return floor


def rings(conversation: str = CALL, at: float = 1.0, agent: Agent = ANNA, queue: str = "must") -> AgentRinging:
    return AgentRinging(conversation, at, agent.interface, queue)


def talks(conversation: str = CALL, at: float = 2.0, agent: Agent = ANNA, queue: str = "must") -> TalkStarted:
    return TalkStarted(conversation, at, agent.interface, queue)


def hangs_up(conversation: str = CALL, at: float = 3.0, agent: Agent = ANNA, queue: str = "must") -> TalkEnded:
    return TalkEnded(conversation, at, agent.interface, queue, 1.0)


def play(floor: Floor, *happenings: Happening) -> list[FloorEffect]:
    """Apply them all; the effects of the last one."""
    out: list[FloorEffect] = []
    for one in happenings:
        out = floor.apply(one)
    return out


@pytest.mark.parametrize(
    ("desk", "presence", "conversation"),
    [
        ({}, "offline", None),
        ({"signed_in": True}, "ready", None),
        ({"signed_in": True, "pause": "break"}, "paused", None),
        ({"signed_in": True, "ringing": ["r"]}, "ringing", "r"),
        ({"signed_in": True, "ringing": ["r"], "pause": "break"}, "ringing", "r"),
        ({"signed_in": True, "ringing": ["r"], "owed": ["o"]}, "after_call_work", "o"),
        ({"signed_in": True, "talking": ["t"], "owed": ["o"], "ringing": ["r"]}, "talking", "t"),
        ({"talking": ["t"]}, "talking", "t"),
        ({"owed": ["o"]}, "offline", "o"),
        ({"ringing": ["r"]}, "offline", "r"),
    ],
)
def test_presence_is_the_first_thing_that_holds(desk: dict[str, Any], presence: str, conversation: str | None) -> None:
    owed = [WrapUpDue(one, "must", True, None) for one in desk.pop("owed", [])]
    made = Desk(ANNA, owed=owed, **desk)
    assert (made.presence, made.conversation) == (presence, conversation)


@pytest.mark.parametrize(
    ("queue", "opens", "required", "deadline", "after"),
    [
        ("must", True, True, None, "after_call_work"),
        ("limit", True, True, 33.0, "after_call_work"),
        ("may", True, False, None, "after_call_work"),
        ("none", False, None, None, "ready"),
        ("", False, None, None, "ready"),
        ("a queue we do not know", False, None, None, "ready"),
    ],
)
def test_what_follows_a_call(
    queue: str, opens: bool, required: bool | None, deadline: float | None, after: str
) -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    effects = play(floor, rings(queue=queue), talks(queue=queue), hangs_up(queue=queue))
    due = [one.due for one in effects if isinstance(one, WrapUpOpened)]
    assert due == ([WrapUpDue(CALL, queue, bool(required), deadline)] if opens else [])
    assert floor.desks["anna"].presence == after
    assert (MembershipChanged("anna") in effects) is opens


def test_ready_is_refused_while_a_code_is_owed_and_granted_after_it() -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks(), hangs_up())
    with pytest.raises(WrapUpOwed) as owed:
        floor.wish("anna", Presence.READY, "", 4.0)
    assert owed.value.conversation == CALL
    assert floor.desks["anna"].presence is Presence.AFTER_CALL_WORK
    effects = floor.finish_wrap_up("anna", CALL, 5.0)
    assert MembershipChanged("anna") in effects
    assert floor.desks["anna"].presence is Presence.READY
    with pytest.raises(NothingToWrapUp):
        floor.finish_wrap_up("anna", CALL, 6.0)


def test_an_optional_code_does_not_hold_anybody() -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks(queue="may"), hangs_up(queue="may"))
    floor.wish("anna", Presence.READY, "", 4.0)
    assert (floor.desks["anna"].presence, floor.desks["anna"].owed) == (Presence.READY, [])


def test_a_pause_wished_during_a_call_is_kept_over_call_and_writing_up() -> None:
    floor = floor_of()
    desk = floor.desks["anna"]
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks())
    effects = floor.wish("anna", Presence.PAUSED, "lunch", 2.5)
    assert (desk.presence, desk.since) == (Presence.TALKING, 2.0)  # the call's clock runs on
    assert MembershipChanged("anna") in effects
    assert all(one == Membership(True, "lunch", "anna", one.penalty) for one in desired(desk).values())
    play(floor, hangs_up())
    assert {one.reason for one in desired(desk).values()} == {AFTER_CALL_REASON}
    floor.finish_wrap_up("anna", CALL, 5.0)
    assert (desk.presence, desk.reason, desk.since) == (Presence.PAUSED, "lunch", 5.0)
    floor.wish("anna", Presence.PAUSED, "break", 6.0)
    assert (desk.reason, desk.since) == ("break", 6.0)


def test_who_signs_out_in_a_call_is_gone_after_it_and_owes_the_code_at_the_next_sign_in() -> None:
    floor = floor_of()
    desk = floor.desks["anna"]
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks())
    floor.wish("anna", Presence.OFFLINE, "", 2.5)
    assert (desk.presence, desired(desk)) == (Presence.TALKING, {})
    play(floor, hangs_up())
    assert desk.presence is Presence.OFFLINE
    with pytest.raises(WrapUpOwed):
        floor.wish("anna", Presence.READY, "", 4.0)


@pytest.mark.parametrize(
    ("queue", "code", "presence", "pause"),
    [("limit", "EXPIRED", "ready", None), ("strict", "LATE", "paused", EXPIRED_REASON)],
)
def test_the_time_limit_writes_a_code(queue: str, code: str, presence: str, pause: str | None) -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks(queue=queue), hangs_up(queue=queue))
    assert floor.next_deadline() == 33.0
    assert floor.tick(32.9) == []
    effects = floor.tick(33.0)
    assert WrapUpExpired("anna", WrapUpDue(CALL, queue, True, 33.0), code, 33.0) in effects
    assert MembershipChanged("anna") in effects
    assert (floor.desks["anna"].presence, floor.desks["anna"].pause) == (presence, pause)
    assert (floor.next_deadline(), floor.tick(99.0)) == (None, [])


def test_a_limit_that_passes_during_the_next_call_pauses_in_asterisk_too() -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks(queue="strict"), hangs_up(queue="strict"), talks("pbx1-2.1", 10.0, queue="none"))
    before = desired(floor.desks["anna"])
    effects = floor.tick(40.0)
    assert desired(floor.desks["anna"]) != before
    assert MembershipChanged("anna") in effects


def test_a_limit_does_not_pause_who_has_gone_home() -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks(queue="strict"), hangs_up(queue="strict"))
    floor.wish("anna", Presence.OFFLINE, "", 5.0)
    floor.tick(40.0)
    assert floor.desks["anna"].pause is None


def test_a_transferred_call_is_written_up_by_both() -> None:
    floor = floor_of()
    for login in ("anna", "ben"):
        floor.wish(login, Presence.READY, "", 0.0)
    play(floor, talks(), hangs_up(), rings(at=4.0, agent=BEN), talks(at=5.0, agent=BEN), hangs_up(at=9.0, agent=BEN))
    for login in ("anna", "ben"):
        assert floor.due(login, CALL).required


def test_a_second_turn_in_one_conversation_is_written_up_once_and_shown_again() -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    first = play(floor, talks(), hangs_up())
    second = play(floor, talks(at=10.0), hangs_up(at=12.0))
    opened = [one for effects in (first, second) for one in effects if isinstance(one, WrapUpOpened)]
    assert opened == [WrapUpOpened("anna", WrapUpDue(CALL, "must", True, None))] * 2
    assert len(floor.desks["anna"].owed) == 1


def test_what_is_owed_for_a_folded_conversation_is_owed_for_the_one_that_lives_on() -> None:
    floor = floor_of()
    floor.wish("ben", Presence.READY, "", 0.0)
    consult = "pbx1-9.1"
    play(floor, rings(consult, agent=BEN), talks(consult, agent=BEN), hangs_up(consult, agent=BEN))
    effects = play(floor, Merged(CALL, consult, 3.0))
    kept = WrapUpDue(CALL, "must", True, None)
    assert effects == [WrapUpOpened("ben", kept), PresenceChanged("ben", 3.0)]
    play(floor, talks(at=3.1, agent=BEN, queue=""))
    assert floor.desks["ben"].presence is Presence.TALKING
    assert WrapUpOpened("ben", kept) in play(floor, hangs_up(at=8.0, agent=BEN, queue=""))
    floor.finish_wrap_up("ben", CALL, 9.0)
    assert floor.desks["ben"].presence is Presence.READY


def test_calls_move_along_with_a_merge() -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, talks("pbx1-9.1"), Merged(CALL, "pbx1-9.1", 2.5))
    assert floor.desks["anna"].talking == [CALL]
    play(floor, ConversationEnded(CALL, 3.0, "lost", True))
    assert floor.desks["anna"].presence is Presence.READY


@pytest.mark.parametrize("end", [RingEnd.NO_ANSWER, RingEnd.ELSEWHERE, RingEnd.CALLER_LEFT])
def test_a_phone_that_stops_ringing(end: RingEnd) -> None:
    floor = floor_of()
    floor.wish("anna", Presence.READY, "", 0.0)
    play(floor, rings())
    assert floor.desks["anna"].presence is Presence.RINGING
    play(floor, RingEnded(CALL, 2.0, ANNA.interface, "must", end, 1.0))
    assert floor.desks["anna"].presence is Presence.READY


def test_people_without_a_phone_have_no_presence_to_wish_for() -> None:
    floor = floor_of(Agent("sue", "Sue", ""))
    for login in ("sue", "nobody"):
        with pytest.raises(NotAnAgent):
            floor.wish(login, Presence.READY, "", 0.0)


def test_agents_can_swap_their_phones() -> None:
    floor = floor_of()
    floor.enrol(Agent("anna", "Anna", BEN.interface))
    floor.enrol(Agent("ben", "Ben", ANNA.interface))
    for interface, login in ((BEN.interface, "anna"), (ANNA.interface, "ben")):
        found = floor.agent_at(interface)
        assert found is not None
        assert found.login == login


def test_a_shared_phone_belongs_to_who_signed_in_last() -> None:
    late = Agent("late", "Late shift", ANNA.interface, (("must", 0),))
    floor = floor_of(ANNA, late)
    floor.wish("anna", Presence.READY, "", 0.0)
    floor.enrol(late)
    found = floor.agent_at(ANNA.interface)
    assert found is not None
    assert found.login == "anna"
    effects = floor.wish("late", Presence.READY, "", 9.0)
    assert {one.login for one in effects if isinstance(one, MembershipChanged)} == {"anna", "late"}
    assert (floor.desks["anna"].presence, floor.desks["late"].presence) == (Presence.OFFLINE, Presence.READY)
    play(floor, rings(at=10.0))
    assert floor.desks["late"].presence is Presence.RINGING


def test_restored_people_are_as_they_were() -> None:
    floor = floor_of()
    due = WrapUpDue(CALL, "limit", True, 33.0)
    effects = floor.restore("anna", True, "lunch", [due], 7.0)
    desk = floor.desks["anna"]
    assert effects == [PresenceChanged("anna", 7.0), MembershipChanged("anna")]
    assert (desk.presence, desk.since, floor.next_deadline()) == (Presence.AFTER_CALL_WORK, 7.0, 33.0)
    floor.finish_wrap_up("anna", CALL, 9.0)
    assert (desk.presence, desk.reason) == (Presence.PAUSED, "lunch")


# --- membership --------------------------------------------------------------------------------------------------

PLACE: Place = ("must", ANNA.interface)
FREE, PAUSED = Membership(False, "", "anna"), Membership(True, "lunch", "anna")


@pytest.mark.parametrize(
    ("wanted", "actual", "actions"),
    [
        ({}, {}, []),
        ({PLACE: FREE}, {}, ["QueueAdd"]),
        ({PLACE: FREE}, {PLACE: FREE}, []),
        ({PLACE: FREE}, {PLACE: PAUSED}, ["QueuePause"]),
        ({PLACE: PAUSED}, {PLACE: FREE}, ["QueuePause"]),
        ({PLACE: PAUSED}, {PLACE: Membership(True, "break")}, ["QueuePause"]),
        ({PLACE: FREE}, {PLACE: Membership(False, "what Asterisk keeps of an old pause")}, []),
        ({}, {PLACE: FREE}, ["QueueRemove"]),
        ({}, {("must", "PJSIP/stranger"): FREE}, []),
    ],
)
def test_steps(wanted: dict[Place, Membership], actual: dict[Place, Membership], actions: list[str]) -> None:
    assert [step.name for step in steps(wanted, actual, (ANNA.interface,))] == actions


def obey(actual: dict[Place, Membership], step: SimpleAction) -> None:
    """What Asterisk does when it is told so."""
    keys = step.keys
    place = (keys["Queue"], keys["Interface"])
    if step.name == "QueueRemove":
        del actual[place]
        return
    assert (step.name == "QueueAdd") is (place not in actual)
    paused = keys["Paused"] == "true"
    login = keys["MemberName"] if step.name == "QueueAdd" else actual[place].login
    penalty = int(keys["Penalty"]) if step.name == "QueueAdd" else actual[place].penalty
    actual[place] = Membership(paused, keys["Reason"] if paused else "", login, penalty)


class Shift(RuleBasedStateMachine):
    """Anything can happen in any order; what Asterisk was told by then is what the floor wants."""

    LOGINS = st.sampled_from(["anna", "ben"])
    IDS = st.sampled_from([f"pbx1-{number}.1" for number in range(3)])
    QUEUES = st.sampled_from([one.name for one in RULES])

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.floor = floor_of()
        self.actual: dict[Place, Membership] = {}
        self.expired = 0

    def follow(self, effects: list[FloorEffect]) -> None:
        """As the office does: only those whose membership changed are told to Asterisk."""
        for effect in effects:
            if isinstance(effect, MembershipChanged):
                desk = self.floor.desks[effect.login]
                mine = {place: one for place, one in self.actual.items() if place[1] == desk.agent.interface}
                for step in steps(desired(desk), mine, (desk.agent.interface,)):
                    obey(self.actual, step)

    def happen(self, one: Happening) -> None:
        self.follow(self.floor.apply(one))

    @rule(seconds=st.floats(0.0, 20.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.follow(self.floor.tick(self.now))
        deadline = self.floor.next_deadline()
        assert deadline is None or deadline > self.now

    @rule(login=LOGINS, reason=st.sampled_from(["break", "lunch"]))
    def pause(self, login: str, reason: str) -> None:
        self.follow(self.floor.wish(login, Presence.PAUSED, reason, self.now))
        assert self.floor.desks[login].reason == reason

    @rule(login=LOGINS)
    def sign_out(self, login: str) -> None:
        self.follow(self.floor.wish(login, Presence.OFFLINE, "", self.now))
        assert desired(self.floor.desks[login]) == {}

    @rule(login=LOGINS)
    def be_ready(self, login: str) -> None:
        desk = self.floor.desks[login]
        required = any(due.required for due in desk.owed)
        before = (desk.signed_in, desk.pause, list(desk.owed))
        if required:
            with pytest.raises(WrapUpOwed):
                self.floor.wish(login, Presence.READY, "", self.now)
            assert (desk.signed_in, desk.pause, desk.owed) == before
        else:
            self.follow(self.floor.wish(login, Presence.READY, "", self.now))
            assert desk.presence in (Presence.READY, Presence.RINGING, Presence.TALKING)

    @precondition(lambda self: any(desk.owed for desk in self.floor.desks.values()))
    @rule()
    def write_up(self) -> None:
        desk = next(one for one in self.floor.desks.values() if one.owed)
        due = desk.owed[0]
        self.follow(self.floor.finish_wrap_up(desk.agent.login, due.conversation, self.now))
        assert due not in desk.owed

    @rule(login=LOGINS, id_=IDS, queue=QUEUES)
    def phone_rings(self, login: str, id_: str, queue: str) -> None:
        self.happen(AgentRinging(id_, self.now, self.floor.desks[login].agent.interface, queue))

    @rule(login=LOGINS, id_=IDS, queue=QUEUES, end=st.sampled_from(list(RingEnd)))
    def phone_stops(self, login: str, id_: str, queue: str, end: RingEnd) -> None:
        self.happen(RingEnded(id_, self.now, self.floor.desks[login].agent.interface, queue, end, 1.0))

    @rule(login=LOGINS, id_=IDS, queue=QUEUES)
    def answer(self, login: str, id_: str, queue: str) -> None:
        self.happen(TalkStarted(id_, self.now, self.floor.desks[login].agent.interface, queue))

    @rule(login=LOGINS, id_=IDS, queue=QUEUES)
    def hang_up(self, login: str, id_: str, queue: str) -> None:
        self.happen(TalkEnded(id_, self.now, self.floor.desks[login].agent.interface, queue, 1.0))

    @rule(kept=IDS, folded=IDS)
    def merge(self, kept: str, folded: str) -> None:
        if kept != folded:
            self.happen(Merged(kept, folded, self.now))

    @rule(id_=IDS)
    def end(self, id_: str) -> None:
        self.happen(ConversationEnded(id_, self.now, "Normal Clearing"))
        assert all(id_ not in (*desk.talking, *desk.ringing) for desk in self.floor.desks.values())

    @rule()
    def asterisk_restarts(self) -> None:
        self.actual.clear()
        self.follow([MembershipChanged(login) for login in self.floor.desks])

    @rule(login=LOGINS)
    def we_restart(self, login: str) -> None:
        desk = self.floor.desks[login]
        self.follow(self.floor.restore(login, desk.signed_in, desk.pause, desk.owed, desk.since))

    @invariant()
    def asterisk_believes_what_we_want(self) -> None:
        wanted = {place: one for desk in self.floor.desks.values() for place, one in desired(desk).items()}
        assert self.actual == wanted

    @invariant()
    def nobody_owes_twice_and_what_was_shown_is_true(self) -> None:
        for desk in self.floor.desks.values():
            ids = [due.conversation for due in desk.owed]
            assert len(ids) == len(set(ids))
            assert desk.shown is desk.presence


TestShift = Shift.TestCase
TestShift.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
