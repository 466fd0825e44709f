"""The facade: inside its budget, honest when the CRM is slow or down, one question for many callers."""

from __future__ import annotations

import asyncio

import pytest

from crm_bridge.bridge import Bridge, Health
from crm_bridge.numbers import NumberStatus
from crm_bridge.ports import CallReport, Card, Certainty, CrmError, CrmUnavailable, CustomerRef

ANNA = CustomerRef("1", "204117", "Anna")
JAN = CustomerRef("2", "311820", "Jan")
BERLIN = "+493023125042"


class Crm:
    """A CRM of two customers that answers when it is let."""

    name = "fake"

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.asked = 0
        self.failure: Exception | None = None

    async def _answer(self) -> None:
        self.asked += 1
        await self.open.wait()
        if self.failure is not None:
            raise self.failure

    async def find_by_number(self, e164: str) -> tuple[CustomerRef, ...]:
        await self._answer()
        return (ANNA,) if e164 == BERLIN else ()

    async def find_by_customer_number(self, number: str) -> CustomerRef | None:
        await self._answer()
        return next((one for one in (ANNA, JAN) if one.number == number), None)

    async def card(self, customer_id: str) -> Card | None:
        await self._answer()
        return next((Card(one) for one in (ANNA, JAN) if one.id == customer_id), None)

    async def record_call(self, report: CallReport, key: str) -> str:
        raise NotImplementedError

    async def check(self) -> None:
        await self._answer()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_known_number() -> None:
    found = await Bridge(Crm()).identify("030 23125042", "allowed")
    assert (found.match.customer, found.match.certainty, found.match.source) == (ANNA, Certainty.CERTAIN, "fake")
    assert found.late is None


@pytest.mark.parametrize(
    ("raw", "presentation", "status"),
    [
        (BERLIN, "prohib", NumberStatus.WITHHELD),
        ("", "", NumberStatus.WITHHELD),
        ("alice", "", NumberStatus.INVALID),
        ("101", "", NumberStatus.INTERNAL),
    ],
)
async def test_what_must_not_be_matched_is_not_even_asked_for(
    raw: str, presentation: str, status: NumberStatus
) -> None:
    crm = Crm()
    found = await Bridge(crm).identify(raw, presentation)
    assert (found.number.status, found.match.customer, crm.asked) == (status, None, 0)


async def test_a_slow_crm_costs_the_budget_and_answers_late() -> None:
    crm = Crm()
    crm.open.clear()
    bridge = Bridge(crm, budget=0.02)
    found = await bridge.identify(BERLIN)
    assert (found.match.certainty, found.match.reason) == (Certainty.NONE, "crm_unavailable")
    assert found.late is not None
    crm.open.set()
    match = await asyncio.wait_for(found.late, 5)
    assert match.customer == ANNA
    assert (await bridge.identify(BERLIN)).match.customer == ANNA
    assert crm.asked == 1


async def test_a_late_failure_is_a_match_too() -> None:
    crm = Crm()
    crm.open.clear()
    bridge = Bridge(crm, budget=0.02)
    found = await bridge.identify(BERLIN)
    crm.failure = CrmUnavailable("503")
    crm.open.set()
    assert found.late is not None
    assert (await asyncio.wait_for(found.late, 5)).reason == "crm_unavailable"
    assert not bridge.health.up


async def test_many_callers_of_one_number_ask_once() -> None:
    crm = Crm()
    bridge = Bridge(crm)
    found = await asyncio.gather(*(bridge.identify(BERLIN) for _ in range(20)))
    assert {one.match.customer for one in found} == {ANNA}
    assert crm.asked == 1


async def test_an_answer_is_remembered_for_a_while_and_a_failure_is_not() -> None:
    crm, clock = Crm(), Clock()
    bridge = Bridge(crm, remember=15.0, clock=clock)
    crm.failure = CrmUnavailable("503")
    assert (await bridge.identify(BERLIN)).match.reason == "crm_unavailable"
    crm.failure = None
    for _ in range(3):
        assert (await bridge.identify(BERLIN)).match.customer == ANNA
    assert crm.asked == 2
    clock.now += 16
    await bridge.identify(BERLIN)
    assert crm.asked == 3


async def test_health_follows_the_answers_and_each_change_is_told_once() -> None:
    crm, told = Crm(), list[Health]()
    clock = Clock()
    bridge = Bridge(crm, clock=clock, on_health=told.append)
    crm.failure = CrmUnavailable("503")
    for now in (1.0, 2.0):
        clock.now = now
        with pytest.raises(CrmUnavailable):
            await bridge.check()
    crm.failure = None
    clock.now = 3.0
    await bridge.check()
    assert told == [Health(False, 1.0, "503"), Health(True, 3.0)]


async def test_a_fault_in_the_adapter_does_not_cost_the_call() -> None:
    crm = Crm()
    crm.failure = ZeroDivisionError()
    bridge = Bridge(crm)
    assert (await bridge.identify(BERLIN)).match.reason == "crm_unavailable"
    assert (await bridge.identify_by_customer_number("204117")).reason == "crm_unavailable"


async def test_a_typed_customer_number_outranks_the_caller_id() -> None:
    bridge = Bridge(Crm())
    by_number = (await bridge.identify(BERLIN)).match
    match = await bridge.identify_by_customer_number("311 820", by_number=by_number)
    assert (match.customer, match.certainty, match.reason) == (JAN, Certainty.LIKELY, "customer_number")
    withheld = (await bridge.identify(BERLIN, "prohib")).match
    match = await bridge.identify_by_customer_number("204117", by_number=withheld)
    assert (match.customer, match.certainty) == (ANNA, Certainty.CERTAIN)
    match = await bridge.identify_by_customer_number("311820", by_number=by_number, pin=True)
    assert (match.certainty, match.reason) == (Certainty.CERTAIN, "customer_number_and_pin")


@pytest.mark.parametrize("typed", ["", "999", "*", "1" * 33, "'; DROP TABLE customer"])
async def test_a_customer_number_nobody_has(typed: str) -> None:
    match = await Bridge(Crm()).identify_by_customer_number(typed)
    assert (match.certainty, match.reason, match.customers) == (Certainty.NONE, "customer_number_unknown", ())


async def test_a_caller_who_typed_is_not_kept_waiting_for_ever() -> None:
    crm = Crm()
    crm.open.clear()
    match = await Bridge(crm).identify_by_customer_number("204117", patience=0.02)
    assert match.reason == "crm_unavailable"


async def test_an_agent_chooses() -> None:
    crm = Crm()
    bridge = Bridge(crm)
    offered = (await bridge.identify(BERLIN)).match
    asked = crm.asked
    chosen = await bridge.choose("1", among=offered)
    assert chosen is not None
    assert (chosen.customer, chosen.reason, crm.asked) == (ANNA, "chosen_by_agent", asked)
    other = await bridge.choose("2", among=offered)
    assert other is not None
    assert other.customer == JAN
    assert await bridge.choose("nobody", among=offered) is None


async def test_a_card_that_cannot_be_had_says_why() -> None:
    crm = Crm()
    bridge = Bridge(crm)
    assert (await bridge.card("1")) == Card(ANNA)
    crm.failure = CrmUnavailable("503")
    with pytest.raises(CrmError, match="503"):
        await bridge.card("1")


async def test_closing_leaves_no_task_behind() -> None:
    crm = Crm()
    crm.open.clear()
    bridge = Bridge(crm, budget=0.01)
    before = asyncio.all_tasks()
    found = await bridge.identify(BERLIN)
    await bridge.close()
    assert found.late is not None
    assert found.late.cancelled()
    assert asyncio.all_tasks() == before
