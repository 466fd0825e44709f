"""The keeper against an Asterisk that obeys, refuses, hangs up and forgets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from asterisk.ami import SimpleAction

from telephony.ami.errors import NotReady
from telephony.conversations.events import AsteriskRestarted, MemberSeen, TalkEnded, TalkStarted
from telephony.floor.keeper import Keeper
from telephony.floor.model import Agent, FloorEffect, MembershipChanged, Presence, QueueRules
from telephony.floor.policy import Floor

ANNA = Agent("anna", "Anna", "PJSIP/phone1", (("orders", 0), ("service", 3)))
BEN = Agent("ben", "Ben", "PJSIP/phone2", (("service", 0),))
SPARE = "PJSIP/phone9"


class Asterisk:
    """Keeps members as Asterisk does; its events come when ``report`` is called, after the answers."""

    def __init__(self) -> None:
        self.members: dict[tuple[str, str], tuple[bool, str]] = {}
        self.said: list[str] = []
        self.refuse: set[str] = set()
        """Queues that do not exist."""
        self.down = False
        self.news: list[MemberSeen] = []

    async def send(self, action: SimpleAction) -> object:
        keys = action.keys
        place = (keys["Queue"], keys["Interface"])
        if self.down:
            raise NotReady("no link")
        self.said.append(f"{action.name} {place[0]} {place[1]} {keys.get('Paused', '')}".strip())
        if place[0] in self.refuse:
            raise RuntimeError("no such queue")
        if action.name == "QueueRemove":
            del self.members[place]
            self.news.append(MemberSeen(*place, False, "", 0, True, present=False))
        else:
            self.members[place] = (keys["Paused"] == "true", keys["Reason"])
            self.news.append(MemberSeen(*place, *self.members[place], 1, True))
        return None

    def list(self) -> list[MemberSeen]:
        return [MemberSeen(*place, *state, 1, True) for place, state in self.members.items()]


class House:
    """A floor, its keeper at work, and the Asterisk they talk to."""

    def __init__(self, asterisk: Asterisk) -> None:
        self.asterisk = asterisk
        self.floor = Floor([QueueRules("service"), QueueRules("orders")])
        self.keeper = Keeper(self.floor, asterisk.send, [SPARE])

    def do(self, effects: list[FloorEffect]) -> None:
        for effect in effects:
            if isinstance(effect, MembershipChanged):
                self.keeper.changed(effect.login)

    def report(self) -> None:
        news, self.asterisk.news = self.asterisk.news, []
        for one in news:
            self.keeper.seen(one)

    def resync(self) -> None:
        """What the watch tells after it has asked Asterisk for its lists."""
        for one in self.asterisk.list():
            self.keeper.seen(one)
        self.keeper.resynced()

    async def settled(self, test: Callable[[], bool]) -> None:
        for _ in range(1000):
            if test():
                return
            await asyncio.sleep(0)
        raise AssertionError(f"not so after 1000 turns: {self.asterisk.members}")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House(Asterisk())
    for agent in (ANNA, BEN):
        made.do(made.floor.enrol(agent))
    work = asyncio.create_task(made.keeper.run())
    yield made
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def quiet() -> None:
    """Let the keeper do what it would do."""
    for _ in range(20):
        await asyncio.sleep(0)


Members = dict[tuple[str, str], tuple[bool, str]]
ANNA_FREE: Members = {("orders", ANNA.interface): (False, ""), ("service", ANNA.interface): (False, "")}


async def test_nothing_is_told_before_the_first_resync_and_everything_after_it(house: House) -> None:
    house.do(house.floor.wish("anna", Presence.READY, "", 1.0))
    await quiet()
    assert house.asterisk.said == []
    house.resync()
    await house.settled(lambda: house.asterisk.members == ANNA_FREE)
    assert house.keeper.corrections == 0  # a wish, not a difference


async def test_a_pause_its_reason_and_going_home(house: House) -> None:
    house.resync()
    house.do(house.floor.wish("anna", Presence.READY, "", 1.0))
    await house.settled(lambda: house.asterisk.members == ANNA_FREE)
    for wish, reason, want in (("paused", "lunch", (True, "lunch")), ("paused", "break", (True, "break"))):
        house.do(house.floor.wish("anna", Presence(wish), reason, 2.0))
        await house.settled(lambda want=want: set(house.asterisk.members.values()) == {want})  # type: ignore[misc]
        house.report()
    house.do(house.floor.wish("anna", Presence.OFFLINE, "", 3.0))
    await house.settled(lambda: house.asterisk.members == {})
    house.report()
    await quiet()
    assert len(house.asterisk.said) == 8
    assert house.keeper.corrections == 0


async def test_writing_up_pauses_and_the_code_frees(house: House) -> None:
    house.resync()
    house.do(house.floor.wish("ben", Presence.READY, "", 1.0))
    house.do(house.floor.apply(TalkStarted("c", 2.0, BEN.interface, "service")))
    house.do(house.floor.apply(TalkEnded("c", 3.0, BEN.interface, "service", 1.0)))
    place = ("service", BEN.interface)
    await house.settled(lambda: house.asterisk.members.get(place) == (True, "after-call-work"))
    house.do(house.floor.finish_wrap_up("ben", "c", 4.0))
    await house.settled(lambda: house.asterisk.members.get(place) == (False, ""))


async def test_a_refused_step_leaves_the_other_queues_alone_and_is_tried_after_the_next_resync(house: House) -> None:
    house.asterisk.refuse = {"orders"}
    house.resync()
    house.do(house.floor.wish("anna", Presence.READY, "", 1.0))
    await house.settled(lambda: house.asterisk.members == {("service", ANNA.interface): (False, "")})
    await quiet()
    assert house.asterisk.said == ["QueueAdd orders PJSIP/phone1 false", "QueueAdd service PJSIP/phone1 false"]
    house.asterisk.refuse = set()
    house.resync()
    await house.settled(lambda: house.asterisk.members == ANNA_FREE)
    assert house.keeper.corrections == 1


async def test_wishes_made_while_the_link_is_down_are_told_when_it_is_back(house: House) -> None:
    house.resync()
    house.asterisk.down = True
    house.do(house.floor.wish("anna", Presence.READY, "", 1.0))
    await quiet()
    house.keeper.disconnected()
    house.do(house.floor.wish("ben", Presence.PAUSED, "lunch", 2.0))
    await quiet()
    assert house.asterisk.said == []
    house.asterisk.down = False
    house.resync()
    await house.settled(lambda: house.asterisk.members == {**ANNA_FREE, ("service", BEN.interface): (True, "lunch")})


async def test_a_restarted_asterisk_is_told_again_and_the_second_resync_finds_nothing(house: House) -> None:
    house.resync()
    house.do(house.floor.wish("anna", Presence.PAUSED, "lunch", 1.0))
    await house.settled(lambda: len(house.asterisk.members) == 2)
    house.report()
    # It comes back with one member of before, without the pause: reasons are lost in a restart.
    house.asterisk.members = {("orders", ANNA.interface): (False, "")}
    house.keeper.disconnected()
    house.keeper.restarted(AsteriskRestarted(2.0))
    house.resync()
    await house.settled(lambda: set(house.asterisk.members.values()) == {(True, "lunch")})
    assert (len(house.asterisk.members), house.keeper.corrections) == (2, 2)
    house.report()
    said = len(house.asterisk.said)
    house.resync()
    await quiet()
    assert (house.keeper.corrections, len(house.asterisk.said)) == (2, said)


async def test_a_change_made_behind_our_back_is_undone(house: House) -> None:
    house.resync()
    house.do(house.floor.wish("ben", Presence.READY, "", 1.0))
    place = ("service", BEN.interface)
    await house.settled(lambda: place in house.asterisk.members)
    house.report()
    house.asterisk.members[place] = (True, "somebody at the console")
    house.keeper.seen(MemberSeen(*place, True, "somebody at the console", 1, True))
    await house.settled(lambda: house.asterisk.members[place] == (False, ""))


async def test_strangers_stay_and_what_was_left_at_a_phone_of_ours_goes(house: House) -> None:
    stranger, left = ("service", "PJSIP/boss"), ("service", SPARE)
    house.asterisk.members = {stranger: (False, ""), left: (False, "")}
    house.resync()
    await house.settled(lambda: left not in house.asterisk.members)
    assert stranger in house.asterisk.members
    assert house.keeper.corrections == 1


async def test_the_old_phone_of_who_moved_is_no_member_any_more(house: House) -> None:
    house.resync()
    house.do(house.floor.wish("ben", Presence.READY, "", 1.0))
    await house.settled(lambda: ("service", BEN.interface) in house.asterisk.members)
    house.report()
    house.do(house.floor.enrol(Agent("ben", "Ben", "PJSIP/phone3", BEN.queues)))
    house.do(house.floor.wish("ben", Presence.READY, "", 2.0))
    await house.settled(lambda: set(house.asterisk.members) == {("service", "PJSIP/phone3")})


@pytest.mark.parametrize("status", [1, 2, 6])
async def test_a_phone_that_rings_is_no_difference(house: House, status: int) -> None:
    house.resync()
    house.do(house.floor.wish("ben", Presence.READY, "", 1.0))
    await house.settled(lambda: bool(house.asterisk.members))
    house.report()
    house.keeper.seen(MemberSeen("service", BEN.interface, False, "", status, True))
    await quiet()
    assert house.asterisk.said == ["QueueAdd service PJSIP/phone2 false"]


async def test_a_member_is_added_with_name_penalty_and_state() -> None:
    sent: list[SimpleAction] = []

    async def send(action: SimpleAction) -> object:
        sent.append(action)
        return None

    floor = Floor([QueueRules("service")])
    keeper = Keeper(floor, send)
    floor.enrol(Agent("anna", "Anna", "PJSIP/phone1", (("service", 7),)))
    floor.wish("anna", Presence.READY, "", 1.0)
    keeper.changed("anna")
    keeper.changed("nobody")
    keeper.resynced()
    work = asyncio.create_task(keeper.run())
    await quiet()
    work.cancel()
    assert dict(sent[0].keys) == {
        "Queue": "service",
        "Interface": "PJSIP/phone1",
        "MemberName": "anna",
        "Penalty": "7",
        "Paused": "false",
        "Reason": "",
        "StateInterface": "PJSIP/phone1",
    }
