"""The demo's customers: loaded once, found by number, and all of them fiction."""

from __future__ import annotations

import re
from collections import Counter

from sqlalchemy import func, select

from crm_bridge.adapters.embedded import EmbeddedAdapter
from crm_bridge.database import Database
from crm_bridge.samples import SAMPLES, load_samples
from crm_bridge.tables import Activity, Customer, CustomerPhone, Invoice, SalesOrder

FICTION = re.compile(
    r"\+49(3023125\d{3}|6990009\d{3}|4066969\d{3}|2214710\d{3}|8999998\d{3}|17139200\d{2}"
    r"|152(28817386|28895456|54599371)|1729925904)|\+442079460\d{3}"
)


def test_every_number_is_from_a_range_kept_free_for_fiction() -> None:
    for sample in SAMPLES:
        for e164, _ in sample.phones:
            assert FICTION.fullmatch(e164), e164


def test_the_office_has_every_kind_of_caller() -> None:
    numbers = Counter(e164 for sample in SAMPLES for e164, _ in sample.phones)
    assert 2 in numbers.values()
    assert any(len(sample.phones) > 1 for sample in SAMPLES)
    assert {sample.language for sample in SAMPLES} == {"de", "en"}
    assert all(re.fullmatch(r"\d{6,8}", sample.number) for sample in SAMPLES)


async def test_loading_twice_is_loading_once(database: Database) -> None:
    for now in (1_700_000_000.0, 1_700_000_900.0):
        assert await load_samples(database, now=now) == len(SAMPLES)
    async with database.session() as session:
        sizes = [
            await session.scalar(select(func.count()).select_from(model))
            for model in (Customer, CustomerPhone, SalesOrder, Invoice, Activity)
        ]
    assert sizes == [
        len(SAMPLES),
        sum(len(sample.phones) for sample in SAMPLES),
        sum(len(sample.sales) for sample in SAMPLES),
        sum(sale.unpaid is not None for sample in SAMPLES for sale in sample.sales),
        sum(len(sample.notes) for sample in SAMPLES),
    ]


async def test_a_sample_is_found_and_has_a_card(database: Database) -> None:
    await load_samples(database, now=1_700_000_000.0)
    adapter = EmbeddedAdapter(database, now=lambda: 7.0)
    (found,) = await adapter.find_by_number("+493023125042")
    card = await adapter.card(found.id)
    assert card is not None
    assert (card.customer.number, card.fetched_at, len(card.phones)) == ("204117", 7.0, 2)
    assert [invoice.status for invoice in card.invoices] == ["open", "paid"]
    assert card.invoices[0].due > card.invoices[0].issued > "2023"
