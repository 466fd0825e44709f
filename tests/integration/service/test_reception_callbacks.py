"""Call-backs: promised on the telephone, kept when an agent is free, never twice for one number."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from crm_bridge.database import Database
from telephony.pbx.callers import Phone, free_udp_port
from telephony.pbx.scenarios import Keys, PhoneScript
from telephony.reception.callbacks import CallBacks

from .conftest import KNOWN, House, eventually, passed, pop_of, wrap_up

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

FLOW = """
callfloor_flow: 1
name: backs
languages: [de]
default: {queue: service}
start: choose
nodes:
  choose: {type: menu, text: {de: Wahl}, choices: {1: own, 2: which, 3: wait}}
  own: {type: callback, queue: service, next: promised, already: again, refused: no}
  which: {type: collect, into: other, least: 5, most: 15, text: {de: Nummer}, next: theirs}
  theirs: {type: callback, queue: service, number: other, next: promised, already: again, refused: no}
  promised: {type: say, text: {de: ja}, next: bye}
  again: {type: say, text: {de: schon}, next: bye}
  "no": {type: say, text: {de: nein}, next: bye}
  bye: {type: hangup}
  wait: {type: route, queue: service}
"""
OTHER = "+493023125700"
ROWS = "SELECT number, state, attempts, agent FROM call_back ORDER BY number"


async def opened(furnish: Furnish, customers: PhoneScript) -> tuple[House, Phone]:
    port = free_udp_port()
    rules = '[callbacks]\nring_seconds = 5\nattempts = 2\nretry_minutes = 1\nweb_token = "from the website"'
    more = {"[pbx]": f'trunk_out = "sip:127.0.0.1:{port}"', "": rules}
    house = await furnish(flow=FLOW, more=more)
    await house.serve()
    return house, await house.stack.enter_async_context(Phone(house.asterisk.image, "127.0.0.1", port, customers))


def rows(house: House, query: str = ROWS) -> list[tuple[Any, ...]]:
    with sqlite3.connect(house.folder / "callfloor.db", timeout=10) as connection:
        return connection.execute(query).fetchall()


async def test_a_promise_keeps_the_place_and_is_kept_once(furnish: Furnish) -> None:
    house, customers = await opened(furnish, PhoneScript(answer_after=0.3, talk=8.0))
    anna, sue = await house.at_work("anna", "sue")
    await anna.be("paused", "lunch")
    phone = await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.5))
    # Somebody waits before anybody is promised anything.
    waiting = house.call("+493023125501", keys=(Keys(1.0, "3"),))
    await sue.until(lambda: sue.entities["queue"]["service"]["waiting"] == 1, "the caller who waits")
    first = house.call(KNOWN, keys=(Keys(1.0, "1"),))
    withheld = house.call(KNOWN, keys=(Keys(1.0, "1"),), withheld="privacy")
    typed = house.call("+493023125502", keys=(Keys(1.0, "2"), Keys(1.0, "03023125700#")))
    abroad = house.call("+493023125503", keys=(Keys(1.0, "2"), Keys(1.0, "00442079460321#")))
    await asyncio.gather(first, withheld, typed, abroad)
    await house.call(KNOWN, keys=(Keys(1.0, "1"),))

    async def counted() -> bool:
        return [await passed(sue, node) for node in ("promised", "again", "no")] == [2, 1, 2]

    await eventually(counted, "two promises, one of them asked for twice, and two refusals")
    assert len((await anna.ask("GET", "/api/v1/callbacks"))["items"]) == 2
    assert not customers.events

    await anna.be("ready")
    before = await pop_of(anna, "talking")
    assert before["caller"]["number"] == "+493023125501"
    await waiting
    await pop_of(anna, "wrap_up")
    assert not customers.events
    await wrap_up(anna, before["conversation"])
    await customers.wait_for("answered")
    pop = await pop_of(anna, "talking")
    assert pop["caller"]["number"] == KNOWN
    assert pop["queue"] == "service"
    await anna.until(lambda: any(one["card"] for one in anna.entities["pop"].values()), "her card")
    card = anna.entities["pop"][pop["conversation"]]["card"]
    assert card["customer"]["name"] == "Annegret Sommerfeld"
    await pop_of(anna, "wrap_up")
    await wrap_up(anna, pop["conversation"])
    await customers.wait_for("answered", 2)
    second = await pop_of(anna, "talking")
    assert second["caller"]["number"] == OTHER
    await pop_of(anna, "wrap_up")
    await wrap_up(anna, second["conversation"])

    done = [(KNOWN, "kept", 1, "anna"), (OTHER, "kept", 1, "anna")]
    await eventually(lambda: rows(house) == sorted(done), "both promises to be kept")
    assert [event.what for event in customers.events].count("rang") == 2
    assert [event.what for event in phone.events].count("answered") == 3
    calls = await house.calls()
    assert calls[pop["conversation"]]["code"] == "PARCEL"
    assert (await anna.ask("GET", "/api/v1/callbacks"))["items"] == []
    await sue.until(lambda: sue.entities["office"]["office"]["callbacks"] == 0, "the lamp")


async def test_who_does_not_answer_is_tried_again_and_then_given_up(furnish: Furnish) -> None:
    house, customers = await opened(furnish, PhoneScript(answer_after=None))
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.5))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    wish = {"queue": "service", "number": "030 23125042", "language": "de"}
    assert await anna.ask("POST", "/api/v1/callbacks", wish) == {"promised": True, "already": False}
    assert await anna.ask("POST", "/api/v1/callbacks", wish) == {"promised": True, "already": True}
    with pytest.raises(RuntimeError, match="number-not-callable"):
        await anna.ask("POST", "/api/v1/callbacks", {**wish, "number": "+44 20 7946 0321"})
    await customers.wait_for("rang")
    # Whoever else looks has no part in it.
    database = Database(house.settings.storage.url)
    other = CallBacks(database, house.settings.callbacks)
    (promise,) = await other.open()
    assert (promise.state, await other.claim(promise.id)) == ("calling", None)
    await database.close()
    await customers.wait_for("cancelled")
    await eventually(lambda: rows(house) == [(KNOWN, "waiting", 1, "")], "another attempt to be planned")
    assert anna.pops == 0
    with sqlite3.connect(house.folder / "callfloor.db", timeout=10) as connection:
        connection.execute("UPDATE call_back SET next_at = 0")
    await customers.wait_for("rang", 2)
    await eventually(lambda: rows(house) == [(KNOWN, "unreached", 2, "")], "the promise to be given up")
    assert (await anna.ask("GET", "/api/v1/callbacks"))["items"] == []
    assert anna.presence == "ready"
    assert [event.what for event in customers.events].count("rang") == 2
