"""Callers who prove who they are by key presses: what that opens, and what locks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from telephony.pbx.scenarios import Keys, PhoneScript

from .conftest import KNOWN, REAL_KEYS, House, eventually, seen_of

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

FLOW = """
callfloor_flow: 1
name: proof
languages: [de]
default: {queue: service}
start: who
nodes:
  who: {type: recognise, known: unproven, shared: ask, withheld: ask, unknown: ask}
  unproven: {type: lookup, what: orders, into: order, next: told_a_stranger, refused: ask}
  told_a_stranger: {type: hangup}
  ask:
    type: authenticate
    text: {de: Nummer}
    pin_text: {de: Pin}
    tries: 4
    next: orders
    no_pin: orders
    locked: closed
  closed: {type: say, text: {de: gesperrt}, next: away}
  orders: {type: lookup, what: orders, into: order, next: told, refused: refused}
  told: {type: say, text: {de: "{{ order.number | digits }}"}, next: invoices}
  invoices: {type: lookup, what: invoices, into: bill, next: owed, refused: away}
  owed: {type: say, text: {de: "{{ bill.residual | amount }}"}, next: away}
  refused: {type: say, text: {de: nein}, next: away}
  away: {type: route, queue: service}
"""
MORE = {
    "[flows]": "pin_tries = 3",
    "[[queues]]": 'wrap_up = "none"',
    "": '[flows.levels]\norders = "number"\ninvoices = "pin"',
}
STRANGER = "+493023125501"
GUESSER = "+493023125502"


async def opened(furnish: Furnish) -> House:
    house = await furnish(flow=FLOW, more=MORE)
    await house.pins({"204117": "2580", "5520034": "1379", "718902": "8642", "725544": "9753", "60023117": "9753"})
    await house.serve()
    await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    return house


async def test_what_is_proven_decides_what_is_told_and_reaches_the_agent(furnish: Furnish) -> None:
    house = await opened(furnish)
    anna = house.agents["anna"]
    # With number and PIN, from a telephone nobody knows.
    keys = (Keys(1.2, "204117#"), Keys(1.0, "2580#"))
    both = house.call(STRANGER, keys=keys, dtmf=REAL_KEYS)
    # With a number alone, of a customer who has no PIN.
    one = house.call("+493023125503", keys=(Keys(1.2, "9014478#"), Keys(1.0, "2580#")))
    pin = await seen_of(anna, STRANGER)
    assert pin["path"] == ["who", "ask", "orders", "told", "invoices", "owed", "away"]
    assert (pin["level"], pin["match"]["certainty"], pin["customer"]) == (
        "pin",
        "certain",
        pin["card"]["customer"]["id"],
    )
    assert pin["card"]["customer"]["name"] == "Annegret Sommerfeld"
    number = await seen_of(anna, "+493023125503")
    assert (number["path"], number["level"]) == (["who", "ask", "orders", "told", "invoices", "away"], "number")
    for calling in (both, one):
        await calling
    # Nobody who listens to Asterisk or reads a log has seen the PIN.
    assert "2580" not in house.log.replace(STRANGER, "")


async def test_wrong_pins_lock_the_customer_and_the_number_and_a_restart_unlocks_neither(furnish: Furnish) -> None:
    house = await opened(furnish)
    anna = house.agents["anna"]
    # A caller ID alone tells nothing: the customer whose number it shows is asked for the PIN.
    wrong = tuple(Keys(after, "1111#") for after in (1.5, 1.5, 1.8, 1.8))
    guessing = house.call(KNOWN, keys=wrong)
    guess = await seen_of(anna, KNOWN)
    assert guess["path"] == ["who", "unproven", "ask", "closed", "away"]
    assert guess["level"] == "none"
    await guessing
    # Eight wrong ones at three customers, the ninth over the telephone.
    await house.pins({}, {"5520034": 3, "718902": 3, "725544": 2}, by=GUESSER)
    ninth = house.call(GUESSER, keys=(Keys(1.2, "725544#"), Keys(1.0, "1111#"), Keys(1.5, "*")))
    await seen_of(anna, GUESSER)
    await ninth
    await house.kill()
    await house.serve()
    await anna.until(lambda: anna.presence == "ready", "to be at her desk again")
    anna.seen.clear()
    right = house.call(STRANGER, keys=(Keys(1.2, "204117#"), Keys(1.0, "2580#")))
    fresh = house.call(GUESSER, keys=(Keys(1.2, "60023117#"), Keys(1.0, "9753#")))
    locked = await seen_of(anna, STRANGER)
    assert locked["path"] == ["who", "ask", "closed", "away"]
    assert locked["level"] == "number"
    other = await seen_of(anna, GUESSER)
    assert other["path"] == ["who", "ask", "closed", "away"]
    for calling in (right, fresh):
        await calling
    await eventually(lambda: house.log.count('"pin_refused"') >= 6, "every refusal in the log")
