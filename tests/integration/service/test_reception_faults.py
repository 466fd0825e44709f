"""Nobody gets stuck: the service is killed or hangs in the middle of a menu, callers are cut off and call again."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.pbx.process import Asterisk
from telephony.pbx.scenarios import Keys, PhoneScript

from .conftest import KNOWN, SLOW, House, eventually, passed, pop_of, seen_of

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

FLOW = """
callfloor_flow: 1
name: faults
languages: [de]
default: {queue: service}
start: hello
nodes:
  hello: {type: say, text: {de: hallo}, next: ask}
  ask: {type: authenticate, text: {de: Nummer}, next: orders}
  orders: {type: lookup, what: orders, into: order, next: choose}
  choose: {type: menu, text: {de: Wahl}, silences: 9, choices: {1: tell, 2: bills}}
  tell: {type: say, text: {de: "{{ order.number | spell }}"}, next: away, error: lost}
  lost: {type: say, text: {de: leider}, next: away}
  bills: {type: lookup, what: invoices, into: bill, next: owed, refused: refused}
  owed: {type: say, text: {de: ja}, next: away}
  refused: {type: say, text: {de: nein}, next: away}
  away: {type: route, queue: service}
"""
MORE = {"[pbx]": "ivr_limit = 15", "[[queues]]": 'wrap_up = "none"'}
STRANGER = "+493023125501"
NUMBER = Keys(1.5, "204117#")


def insistent(key: str, after: float) -> tuple[Keys, ...]:
    """The key again and again, until it is heard."""
    return (Keys(after, key), *(Keys(1.5, key) for _ in range(12)))


async def test_the_service_dies_and_comes_back_in_the_middle_of_a_menu(furnish: Furnish) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.serve()
    anna, sue = await house.at_work("anna", "sue")
    phone = await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    calling = house.call(STRANGER, keys=(NUMBER, *insistent("1", 6.0)))
    await eventually(lambda: passed(sue, "choose", "here"), "the caller in the menu")
    await house.kill()
    await house.serve()
    pop = await seen_of(anna, STRANGER)
    # What was looked up is known again, and what she had proven.
    assert pop["path"] == ["hello", "ask", "orders", "choose", "tell", "away"]
    await anna.until(lambda: anna.seen[pop["conversation"]].value["card"] is not None, "her card")
    pop = anna.seen[pop["conversation"]].value
    assert (pop["level"], pop["match"]["certainty"]) == ("number", "certain")
    assert pop["card"]["customer"]["name"] == "Annegret Sommerfeld"
    await calling

    # Nothing comes back: the fallback queue.
    answered = len([event for event in phone.events if event.what == "answered"])
    house.call(STRANGER, keys=(NUMBER,))
    await eventually(lambda: passed(sue, "choose", "here"), "the caller in the menu")
    await house.kill()
    died = time.time()
    await phone.wait_for("answered", answered + 1, deadline=20)
    assert time.time() - died < 14


async def test_a_service_that_hangs_is_cut_off(furnish: Furnish) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.serve()
    anna, sue = await house.at_work("anna", "sue")
    phone = await house.phone("phone1", PhoneScript(answer_after=0.1, talk=4.0))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    began = time.time()
    calling = house.call(STRANGER, keys=(NUMBER,))
    await eventually(lambda: passed(sue, "choose", "here"), "the caller in the menu")
    assert house.service is not None
    os.kill(house.service.pid, signal.SIGSTOP)
    try:
        answered = await phone.wait_for("answered", deadline=30)
        assert 13 < answered.at - began < 22
    finally:
        os.kill(house.service.pid, signal.SIGCONT)
    pop = await seen_of(anna, STRANGER)
    assert pop["state"] == "talking"
    await calling
    await eventually(house.ready, "the service to be in sync again")
    assert await passed(sue, "choose", "here") == 0


async def test_who_was_cut_off_has_the_old_place_back_and_nothing_proven(
    furnish: Furnish, raw_ami: Callable[[Asterisk], Awaitable[Any]]
) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.serve()
    anna, ben, sue = await house.at_work("anna", "ben", "sue")
    await ben.be("paused", "lunch")
    waiting = lambda count: lambda: sue.entities["queue"]["service"]["waiting"] == count  # noqa: E731
    await house.phone("phone1", SLOW)
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    # In the queue.
    await house.call(STRANGER, keys=(NUMBER, Keys(1.2, "2")), hang_up_after=4.0)
    await sue.until(waiting(0), "the queue to be empty")
    again = house.call(STRANGER, hang_up_after=4.0)
    await sue.until(waiting(1), "her place in the queue", 5)
    assert re.findall(r"prio: (\d+)\)", await house.asterisk.cli("queue show service")) == ["100"]
    await again
    await house.agents["anna"].until(lambda: anna.presence == "ready", "to be ready")

    # In the flow: she is where she was, and has to prove herself anew.
    await house.call("+493023125502", keys=(NUMBER,), hang_up_after=2.5)
    await eventually(lambda: passed(sue, "choose", "gave_up"), "the caller who gave up")
    back = house.call("+493023125502", keys=(Keys(1.5, "2"), Keys(1.5, "2")), hang_up_after=4.0)
    pop = await seen_of(anna, "+493023125502")
    assert pop["path"] == ["hello", "ask", "orders", "choose", "bills", "refused", "away"]
    assert pop["level"] == "none"
    await back
    await sue.until(waiting(0), "the queue to be empty")

    # In the middle of a talk: the same agent is tried first.
    ami = await raw_ami(house.asterisk)
    await ben.be("ready")
    await anna.be("paused", "lunch")
    phone2 = await house.phone("phone2", PhoneScript(answer_after=0.1, talk=60.0))
    talking = house.call(KNOWN, keys=(NUMBER, Keys(1.2, "2")))
    before = await pop_of(ben, "talking")
    await anna.be("ready")
    channel = before["conversation"]
    assert (await ami.action("Hangup", Channel=channel, Cause="38"))["response"] == ["Success"]
    await talking
    await ben.until(lambda: not ben.entities["pop"], "the pop to go")
    await ben.until(lambda: ben.presence == "ready", "to be ready")
    house.call(KNOWN)
    pop = await pop_of(ben, "talking")
    assert pop["conversation"] != channel
    assert pop["conversation"] not in anna.seen
    assert len([event for event in phone2.events if event.what == "answered"]) == 2
