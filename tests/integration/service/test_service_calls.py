"""The main job, seen from the desks: pop before answer, the card with one agent alone, the code before the next."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.pbx.scenarios import PhoneScript

from .conftest import KNOWN, SLOW, House, eventually, pop_of, wrap_up

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]


async def test_from_the_ring_to_the_crm(furnish: Furnish, database_url: str) -> None:
    house = await furnish(database_url)
    await house.serve()
    anna, ben, _ = await house.at_work("anna", "ben", "sue")
    phone = await house.phone("phone1", PhoneScript(answer_after=1.0, talk=0.5))
    other = await house.phone("phone2", SLOW)
    for name in ("phone1", "phone2"):
        await house.member(name, lambda line: "Not in use" in line, "may be rung")

    calling = house.call(name="A. Sommerfeld")
    pops = [await pop_of(agent, "ringing") for agent in (anna, ben)]
    conversation = pops[0]["conversation"]
    assert {pop["conversation"] for pop in pops} == {conversation}
    await pop_of(anna, "talking")
    answered = await phone.wait_for("answered")
    for agent in (anna, ben):
        assert agent.seen[conversation].first_at < answered.at
        assert agent.seen[conversation].latency < 1.0
    await ben.until(lambda: ben.entities.get("pop", {}) == {}, "the card to leave the other desk")
    await anna.until(lambda: anna.entities["pop"][conversation]["card_state"] == "ready", "the card")
    card = anna.entities["pop"][conversation]
    assert (card["match"]["certainty"], card["card"]["customer"]["name"]) == ("certain", "Annegret Sommerfeld")
    assert card["path"] == ["who", "away"]
    assert (await calling).status == 200
    await pop_of(anna, "wrap_up")
    assert anna.presence == "after_call_work"
    await house.member("phone1", lambda line: "after-call-work" in line, "is paused while she writes")

    # A second caller waits: the one agent left does not get her before the code is typed.
    await ben.be("paused", "lunch")
    second = house.call(number="+493023125555")
    waiting = lambda: anna.entities["queue"]["service"]["waiting"] == 1  # noqa: E731
    await anna.until(waiting, "the second caller")
    joined = anna.entities["queue"]["service"]["longest_since"]
    await eventually(lambda: time.time() > joined + 2.5, "longer than the queue's own pause of two seconds")
    assert waiting()
    typed = time.time()
    await wrap_up(anna, conversation, "PARCEL", "Paket ist unterwegs.")
    rang = await phone.wait_for("rang", 2)
    assert typed < rang.at < typed + 3
    await second
    last = (await pop_of(anna, "wrap_up"))["conversation"]
    await wrap_up(anna, last, "OTHER")

    async def delivered() -> dict[str, Any] | None:
        calls = await house.calls()
        return calls if {calls[one]["crm_state"] for one in (conversation, last)} == {"delivered"} else None

    calls = await eventually(delivered, "both calls in the CRM")
    mine = calls[conversation]
    assert (mine["agent"], mine["code"], mine["note"]) == ("anna", "PARCEL", "Paket ist unterwegs.")
    assert (mine["customer_name"], mine["queue"], mine["certainty"]) == ("Annegret Sommerfeld", "service", "certain")
    assert mine["crm_reference"]
    assert 0.3 < mine["talked"] < 5
    assert calls[last]["code"] == "OTHER"
    assert not [event for event in other.events if event.what == "answered"]
    assert not [*anna.failures, *ben.failures]
    assert await house.figure("records_backlog") == 0
    assert await house.figure("membership_corrections_total") == 0
    # A supervisor without a phone can go home, too.
    await house.agents["sue"].ask("DELETE", "/api/v1/session")


async def test_a_call_while_callfloor_is_away_and_back_in_the_middle_of_it(furnish: Furnish) -> None:
    house = await furnish()
    await house.serve()
    (anna,) = await house.at_work("anna")
    await house.at_work("sue")
    phone = await house.phone("phone1", PhoneScript(answer_after=0.1, talk=6.0))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    await house.kill()
    calling = house.call()
    await phone.wait_for("answered")  # although Callfloor is dead
    await house.serve()
    pop = await pop_of(anna, "talking")
    assert pop["caller"]["number"] == KNOWN
    await calling
    conversation = (await pop_of(anna, "wrap_up"))["conversation"]
    await wrap_up(anna, conversation)
    await eventually(lambda: house.calls(), "the call in the records")
    assert (await house.calls())[conversation]["code"] == "PARCEL"
