"""What every adapter promises, on every CRM that can be had here."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from contract.subjects import NOW, Subject

from crm_bridge.bridge import Bridge
from crm_bridge.ports import CallReport, CrmUnavailable
from crm_bridge.samples import SAMPLES

ANNEGRET, JUERGEN, KATHARINA, MAREIKE = SAMPLES[:4]
REPORT = CallReport(
    "pbx1-1.1", ANNEGRET.id, "in", "+493023125042", "service", "eva", "Eva Kühn", NOW, NOW + 5, NOW + 65, 60.0,
    "PARCEL", "Paket / Sendung", "<b>Ärger</b> & 'Zitat'", ("hello", "route"), "certain",
)  # fmt: skip


@pytest.mark.parametrize(
    "spelling",
    ["+493023125042", "0049 30 23125042", "030 / 23125-042", "sip:+493023125042@10.0.0.1;user=phone", "3023125042"],
)
async def test_found_by_any_spelling(subject: Subject, spelling: str) -> None:
    found = await Bridge(subject.adapter, region="DE", budget=5).identify(spelling)
    assert found.match.customer is not None
    assert (found.match.customer.id, found.match.customer.number) == (ANNEGRET.id, "204117")
    assert found.match.source == subject.adapter.name


async def test_found_by_each_of_several_numbers(subject: Subject) -> None:
    for e164, _ in MAREIKE.phones:
        assert [one.id for one in await subject.adapter.find_by_number(e164)] == [MAREIKE.id]


async def test_several_customers_of_one_number(subject: Subject) -> None:
    found = await subject.adapter.find_by_number("+496990009123")
    assert {one.id for one in found} == {JUERGEN.id, KATHARINA.id}
    assert {one.name for one in found} == {"Jürgen Brandt", "Katharina Brandt"}


async def test_nobody(subject: Subject) -> None:
    assert await subject.adapter.find_by_number("+493023125999") == ()
    assert await subject.adapter.find_by_number("888") == ()
    assert await subject.adapter.find_by_customer_number("999999") is None
    assert await subject.adapter.card("nobody") is None


async def test_by_customer_number(subject: Subject) -> None:
    found = await subject.adapter.find_by_customer_number("204117")
    assert found is not None
    assert (found.id, found.name, found.language) == (ANNEGRET.id, "Annegret Sommerfeld", "de")


async def test_card(subject: Subject) -> None:
    card = await subject.adapter.card(ANNEGRET.id)
    assert card is not None
    assert (card.customer.id, card.email, card.blocked) == (ANNEGRET.id, ANNEGRET.email, False)
    assert set(card.phones) == {e164 for e164, _ in ANNEGRET.phones}
    assert [(order.number, order.total_minor, order.currency) for order in card.orders] == [
        ("B204117-01", 12990, "EUR"),
        ("B204117-02", 7495, "EUR"),
    ]
    assert (card.source, card.fetched_at) == (subject.adapter.name, NOW)


@pytest.mark.parametrize("hostile", ["' OR 1=1 --", "%", "\x00", "../card", "a" * 5000, "🧥"])
async def test_hostile_questions_find_nobody(subject: Subject, hostile: str) -> None:
    if "\x00" in hostile and subject.adapter.name == "embedded":
        # A string PostgreSQL cannot even hold; the bridge lets nothing but E.164 and plain customer numbers through.
        return
    assert await subject.adapter.find_by_number(hostile) == ()
    assert await subject.adapter.find_by_customer_number(hostile) is None
    assert await subject.adapter.card(hostile) is None


async def test_a_call_recorded_twice_is_written_once(subject: Subject) -> None:
    first = await subject.adapter.record_call(REPORT, "pbx1-1.1/wrap_up:eva")
    again = await subject.adapter.record_call(REPORT, "pbx1-1.1/wrap_up:eva")
    assert first == again != ""
    assert await subject.written() == 1
    other = await subject.adapter.record_call(replace(REPORT, agent="ben"), "pbx1-1.1/wrap_up:ben")
    assert other != first
    assert await subject.written() == 2


async def test_a_call_recorded_at_once_from_many_sides_is_written_once(subject: Subject) -> None:
    references = await asyncio.gather(*(subject.adapter.record_call(REPORT, "same") for _ in range(6)))
    assert len(set(references)) == 1
    assert await subject.written() == 1


async def test_a_call_of_nobody_we_know_is_written_too(subject: Subject) -> None:
    for key, customer in (("a", None), ("b", "gone-since")):
        assert await subject.adapter.record_call(replace(REPORT, customer=customer, number=None), key)
    assert await subject.written() == 2


async def test_check(subject: Subject) -> None:
    await subject.adapter.check()


async def test_a_crm_that_is_not_there_is_unavailable_in_every_way(subject: Subject) -> None:
    await subject.take_away()
    adapter = subject.adapter
    for question in (
        adapter.find_by_number("+493023125042"),
        adapter.find_by_customer_number("204117"),
        adapter.card(ANNEGRET.id),
        adapter.record_call(REPORT, "key"),
        adapter.check(),
    ):
        with pytest.raises(CrmUnavailable):
            await question
