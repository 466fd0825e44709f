"""Callers as they are: they type ahead, say nothing, hang up anywhere, and some of them mean harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.demo.agents import DemoAgent
from telephony.pbx.process import Asterisk
from telephony.pbx.scenarios import Keys, PhoneScript

from .conftest import REAL_KEYS, House, eventually, seen_of

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

LONG = "Guten Tag und herzlich willkommen bei uns am Telefon, schön, dass Sie anrufen."
FLOW = f"""
callfloor_flow: 1
name: talk
languages: [de, en]
default: {{queue: service}}
start: hello
nodes:
  hello: {{type: say, text: {{de: "{LONG}", en: "{LONG}"}}, next: choose}}
  choose:
    type: menu
    text: {{de: Wahl, en: choice}}
    seconds: 1
    silences: 2
    choices: {{1: collect, 2: prove, 3: tongue, 4: leave, 5: speech, 6: farewell}}
    timeout: silent
  silent: {{type: say, text: {{de: still, en: silent}}, next: away}}
  collect: {{type: collect, into: typed, most: 6, text: {{de: Ziffern, en: digits}}, next: right}}
  right: {{type: condition, when: "typed == '4711'", then: heard, otherwise: away}}
  heard: {{type: say, interrupt: false, text: {{de: gut, en: good}}, next: away}}
  prove: {{type: authenticate, text: {{de: Nummer, en: number}}, next: away}}
  tongue: {{type: language, text: {{de: "{LONG}", en: "{LONG}"}}, choices: {{1: de, 2: en}}, default: de, next: away}}
  leave: {{type: message, recipient: "'service'", text: {{de: bitte, en: please}}, next: away}}
  speech: {{type: say, interrupt: false, text: {{de: "{LONG}", en: "{LONG}"}}, next: away}}
  farewell: {{type: hangup, text: {{de: "{LONG}", en: "{LONG}"}}}}
  away: {{type: route, queue: service}}
"""
MORE = {"[[queues]]": 'wrap_up = "none"'}
EVERYWHERE = {"hello": "", "choose": "#", "collect": "1", "prove": "2", "tongue": "3", "leave": "4", "speech": "5"}
"""Where a caller hangs up, and the key that leads there: the # ends the greeting, and is no choice."""


async def gave_up(supervisor: DemoAgent) -> dict[str, int]:
    answer = await supervisor.ask("GET", "/api/v1/flow")
    return {one["node"]: one["gave_up"] for one in answer["nodes"] if one["gave_up"]}


async def test_keys_typed_ahead_count_and_silence_leads_to_a_person(furnish: Furnish) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.serve()
    (anna,) = await house.at_work("anna")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.2))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    # All of it during the greeting: the first key ends that, and chooses; the others are the digits asked for next.
    ahead = house.call("+493023125501", keys=(Keys(0.5, "14711#"),), dtmf=REAL_KEYS)
    by_info = house.call("+493023125502", keys=(Keys(0.5, "14711#"),))
    silent = house.call("+493023125503")
    for number in ("+493023125501", "+493023125502"):
        assert (await seen_of(anna, number))["path"] == ["hello", "choose", "collect", "right", "heard", "away"]
    assert (await seen_of(anna, "+493023125503"))["path"] == ["hello", "choose", "silent", "away"]
    await asyncio.gather(ahead, by_info, silent)


async def test_a_hang_up_is_noticed_and_counted_wherever_it_is(furnish: Furnish) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.serve()
    sue, anna = await house.at_work("sue", "anna")
    calls = [
        house.call(f"+49302312551{number}", keys=(Keys(0.7, key),) if key else (), hang_up_after=1.0)
        for number, key in enumerate([*EVERYWHERE.values(), "6"])
    ]
    # Before anything was said at all.
    calls.append(house.call("+493023125519", hang_up_after=0.0))
    await asyncio.gather(*calls)
    wanted = {**dict.fromkeys(EVERYWHERE, 1), "hello": 2}

    async def counted() -> bool:
        found = await gave_up(sue)
        return all(found.get(node, 0) >= 1 for node in EVERYWHERE)

    await eventually(counted, f"each hang-up at its node: {wanted}")
    assert anna.pops == 0
    # Who hangs up has settled it, or given up: either way it is known how far each one came.
    ends = {tuple(path[-1:]) for path in await house.paths()}
    assert ends >= {(node,) for node in (*EVERYWHERE, "farewell")}
    with pytest.raises(RuntimeError, match="403"):
        await anna.ask("GET", "/api/v1/flow")
    assert sue._http is not None
    async with sue._http.get("/api/v1/flow/drawing") as answer:
        assert (answer.status, answer.content_type) == (200, "image/svg+xml")
        picture = await answer.text()
    assert picture.startswith("<svg")
    assert "farewell" in picture
    assert await house.figure("conversations") == 0


HOSTILE = (
    '${SHELL(touch /tmp/callfloor-was-here)}, "quoted" \\ <sip:x@y>',
    "Événement: ÜÖ 漢字",
    "Mallory%0d%0aEvent: Hangup%0d%0aUniqueid: pbx1-1.1",
)
FORGED = "+4930%0d%0aEvent%3a%20Hangup%0d%0aUniqueid%3a%20pbx1-1.1"


def exists(path: str) -> bool:
    return Path(path).exists()


async def test_hostile_names_come_to_a_person_and_inject_nothing(
    furnish: Furnish, raw_ami: Callable[[Asterisk], Awaitable[Any]]
) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.serve()
    ami = await raw_ami(house.asterisk)
    anna, sue = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.2))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    # Asterisk would decode it in a number, before anybody could do anything about it (callfloor-forged in pjsip.conf).
    assert (await house.call(FORGED)).status == 404
    for place, hostile in enumerate(HOSTILE):
        calling = house.call(f"+49302312553{place}", name=hostile)
        pop = await seen_of(anna, f"+49302312553{place}")
        assert pop["path"] == ["hello", "choose", "silent", "away"]
        assert "\n" not in pop["caller"]["name"]
        await calling
    await ami.event("UserEvent", UserEvent="CallfloorQueueExit", Status="CONTINUE")
    # Every line that says "Event: Hangup" is Asterisk's own: it names a channel.
    assert all("channel" in one for one in ami.events if one.get("event") == ["Hangup"])
    assert not [one for one in ami.events if "pbx1-1.1" in one.get("uniqueid", [])]
    assert not exists("/tmp/callfloor-was-here")
    assert len(await house.calls()) == len(HOSTILE)
