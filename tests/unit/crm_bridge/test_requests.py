"""Requests: filed once, encrypted, shown masked, decided once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from crm_bridge.database import Database
from crm_bridge.requests import NewRequest, RequestDecided, Requests, RequestUnknown
from crm_bridge.sealing import Sealer

IBAN = "DE89370400440532013000"
BANK = NewRequest("pbx1-1.1", "bank_file", "bank_details", "crm", "c1", "Erika", "pin", {"iban": IBAN})


@pytest.fixture
def requests(database: Database) -> Requests:
    return Requests(database, Sealer({"k1": bytes(32)}), clock=lambda: 1000.0)


async def test_a_request_is_shown_masked_and_lies_encrypted(requests: Requests, database: Database) -> None:
    reference = await requests.file(BANK)
    assert len(reference) == 7
    assert reference.isdigit()
    (row,) = await requests.of("crm", "c1")
    assert (row.shown, row.state, row.level, row.customer_name) == ({"iban": "•••• 3000"}, "pending", "pin", "Erika")
    async with database.connection() as connection:
        stored = str((await connection.exec_driver_sql("SELECT * FROM service_request")).all())
    assert IBAN[4:-4] not in stored
    assert await requests.of("crm", "c2") == []


async def test_the_same_node_of_the_same_call_is_the_same_request(requests: Requests) -> None:
    first = await requests.file(BANK)
    assert await asyncio.gather(*(requests.file(BANK) for _ in range(8))) == [first] * 8
    other = await requests.file(replace(BANK, node="other"))
    assert other != first
    assert await requests.count() == 2


async def test_many_at_once_file_one(requests: Requests) -> None:
    assert len(set(await asyncio.gather(*(requests.file(BANK) for _ in range(8))))) == 1
    assert await requests.count() == 1


async def test_it_is_decided_once_and_opened_only_when_approved(requests: Requests) -> None:
    reference = await requests.file(BANK)
    with pytest.raises(RequestUnknown):
        await requests.opened(reference)
    row = await requests.decide(reference, "approved", "anna", "Ausweis gesehen")
    assert (row.state, row.decided_by, row.decided_at, row.note) == ("approved", "anna", 1000.0, "Ausweis gesehen")
    assert await requests.opened(reference) == {"iban": IBAN}
    with pytest.raises(RequestDecided) as decided:
        await requests.decide(reference, "rejected", "ben")
    assert (decided.value.state, decided.value.by) == ("approved", "anna")
    assert await requests.pending() == []


async def test_a_rejected_one_stays_shut(requests: Requests) -> None:
    reference = await requests.file(BANK)
    await requests.decide(reference, "rejected", "anna")
    with pytest.raises(RequestUnknown):
        await requests.opened(reference)


async def test_one_that_is_not_there(requests: Requests) -> None:
    with pytest.raises(RequestUnknown):
        await requests.decide("1234567", "approved", "anna")
