"""Lists that do not come whole, from the wire to the conversations: what is missing in them may well be alive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from asterisk.ami import SimpleAction

from telephony.ami.client import AmiClient
from telephony.ami.errors import ListBroken
from telephony.conversations import watch as watch_module
from telephony.conversations.events import ConversationEnded, Happening, TalkEnded
from telephony.conversations.watch import Watch
from telephony.settings import Ami

if TYPE_CHECKING:
    from conftest import FakeAsterisk, Peer

CALL = "pbx1-7.1"
OURS = f"ChanVariable: CALLFLOOR_ID={CALL}"
TALKING = (
    ("Event: Newchannel", f"Uniqueid: {CALL}", "Channel: PJSIP/trunk-1", "Context: callfloor-in", OURS),
    ("Event: QueueCallerJoin", f"Uniqueid: {CALL}", "Queue: service", "Position: 1", OURS),
    ("Event: AgentConnect", f"Uniqueid: {CALL}", "Queue: service", "Interface: PJSIP/phone1", "DestUniqueid: 7.2",
     "DestChannel: PJSIP/phone1-2", OURS),
)  # fmt: skip
CHANNELS = (
    ("Event: CoreShowChannel", f"Uniqueid: {CALL}", "Channel: PJSIP/trunk-1", "BridgeId: b", OURS),
    ("Event: CoreShowChannel", "Uniqueid: 7.2", "Channel: PJSIP/phone1-2", "BridgeId: b", OURS),
)


def listed(*items: tuple[str, ...], end: str = "Complete", count: int | None = None) -> Callable[[Peer, str], None]:
    def answer(peer: Peer, action_id: str) -> None:
        peer.say("Response: Success", action_id, "EventList: start")
        for item in items:
            peer.say(*item, action_id)
        said = f"ListItems: {len(items) if count is None else count}"
        peer.say("Event: Complete", action_id, f"EventList: {end}", said)

    return answer


def no_list(peer: Peer, action_id: str) -> None:
    peer.say("Response: Success", action_id, "Message: hm")


BROKEN = {
    "cancelled": listed(end="cancelled"),
    "no list": no_list,
    "fewer than counted": listed(CHANNELS[0], count=2),
    "more than counted": listed(*CHANNELS, count=1),
    "a count that is none": listed(*CHANNELS, count=-1),
}


@pytest.mark.parametrize("which", ["CoreShowChannels", "QueueStatus"])
@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_list_ends_no_call_and_is_asked_for_again(
    asterisk: FakeAsterisk, how: str, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "RETRY_SECONDS", 0.01)
    happened: list[Happening] = []
    asterisk.answers["CoreShowChannels"] = listed(*CHANNELS)
    asterisk.answers["QueueStatus"] = listed()
    await asterisk.start()
    seen = type(asterisk.watch)()

    def heard(happenings: list[Happening]) -> None:
        happened.extend(happenings)
        seen.touch()

    watch = Watch(
        journal=None, listener=heard, on_link=lambda _: seen.touch(), clock=time.time, interval=0.01,
    )  # fmt: skip
    client = AmiClient(Ami(port=asterisk.port), "s3cret", on_batch=watch.on_batch, on_link=watch.on_state)
    tasks = [asyncio.create_task(client.run()), asyncio.create_task(watch.run(client))]
    try:
        peer = await asterisk.peer("on")
        await seen.until(lambda: watch.resyncs > 0)
        for event in TALKING:
            peer.say(*event)
        await seen.until(lambda: any(one.talks for one in watch.tracker.conversations.values()))
        asterisk.answers[which] = BROKEN[how]
        actions = await asterisk.peer("off")
        asked, done = actions.did(which), watch.resyncs
        await asterisk.watch.until(lambda: actions.did(which) > asked + 3)
        assert watch.resyncs <= done + 1  # one may have been under way
        assert not any(isinstance(one, ConversationEnded | TalkEnded) for one in happened)
        assert CALL in watch.tracker.conversations
        done = watch.resyncs
        asterisk.answers[which] = listed(*CHANNELS) if which == "CoreShowChannels" else listed()
        await seen.until(lambda: watch.resyncs > done)
        assert not any(isinstance(one, ConversationEnded | TalkEnded) for one in happened)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_the_error_names_the_action_and_what_is_wrong(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    client = AmiClient(Ami(port=asterisk.port), "s3cret", on_batch=lambda *_: None)
    task = asyncio.create_task(client.run())
    try:
        async with asyncio.timeout(10):
            await client.wait_ready()
        for how, says in (("cancelled", "cut short"), ("fewer than counted", "1 items came where it counts '2'")):
            asterisk.answers["CoreShowChannels"] = BROKEN[how]
            with pytest.raises(ListBroken, match=f"CoreShowChannels is .*{says}"):
                await client.send(SimpleAction("CoreShowChannels"))
        asterisk.answers["CoreShowChannels"] = no_list
        assert (await client.send(SimpleAction("CoreShowChannels"))).items == ()
        with pytest.raises(ListBroken, match="without a list"):
            await client.listing(SimpleAction("CoreShowChannels"))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
