"""The place keeper: who was cut off has the old place back, once, and nothing that was proven."""

from __future__ import annotations

import pytest

from crm_bridge.database import Database
from ivr_flows import CUSTOMER_CARE
from ivr_flows.ports import CallFacts
from ivr_flows.schema import load
from ivr_flows.state import State
from telephony.conversations.events import ConversationEnded, Happening, QueueLeft, StintEnd
from telephony.reception.places import Place, Places
from telephony.reception.reception import Caught, place_lost, was_done

NUMBER = "+493023125042"
WAITED = Place("pbx1-1.1", queue="service", joined_at=940.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_place_is_given_back_once_and_only_in_time(database: Database) -> None:
    clock = Clock()
    places = Places(database, 300, clock)
    assert await places.take(NUMBER) is None
    await places.keep(NUMBER, Place("pbx1-0.0", checkpoint="x"))
    await places.keep(NUMBER, WAITED)
    assert await places.take("+4930") is None
    assert await places.take(NUMBER) == WAITED
    assert await places.take(NUMBER) is None
    await places.keep(NUMBER, WAITED)
    clock.now += 301
    assert await places.take(NUMBER) is None
    await places.keep(NUMBER, WAITED)
    clock.now += 301
    await places.forget()
    clock.now -= 301
    assert await places.take(NUMBER) is None


async def test_where_it_is_switched_off_nothing_is_kept(database: Database) -> None:
    off = Places(database, 0, Clock())
    await off.keep(NUMBER, WAITED)
    assert await Places(database, 300, Clock()).take(NUMBER) is None


NOBODY = Caught("n", "", "", "")
WITH_ANNA = Caught("n", "", "service", "anna")
BROKEN = "Network out of order"


@pytest.mark.parametrize(
    ("happening", "who", "expected"),
    [
        (QueueLeft("c", 100.0, "service", StintEnd.ABANDONED, 60.0), NOBODY, Place("c", "", "service", 40.0)),
        (QueueLeft("c", 100.0, "service", StintEnd.ANSWERED, 60.0), NOBODY, None),
        (QueueLeft("c", 100.0, "service", StintEnd.TIMEOUT, 60.0), NOBODY, None),
        (ConversationEnded("c", 100.0, "Normal Clearing", False), WITH_ANNA, None),
        (ConversationEnded("c", 100.0, BROKEN, False), WITH_ANNA, Place("c", queue="service", agent="anna")),
        (ConversationEnded("c", 100.0, BROKEN, False), Caught("n", "", "service", ""), None),
    ],
)
def test_what_counts_as_cut_off(happening: Happening, who: Caught, expected: Place | None) -> None:
    assert place_lost(happening, who) == expected


@pytest.mark.parametrize(
    ("node", "done"),
    [
        ("main", False),
        ("bank_iban", False),
        ("call_back_number", False),
        ("more", True),
        ("bye", True),
    ],
)
def test_who_hangs_up_at_the_end_begins_anew(node: str, done: bool) -> None:
    caller = CallFacts("c", NUMBER, "", "allowed", "", "de")
    assert was_done(load(CUSTOMER_CARE), State(facts=caller, language="de", node=node)) is done
