"""Records as the office keeps them: batches, locked and broken databases, ends, and what a new start finds."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlmodel
import structlog

from crm_bridge import records as rows
from crm_bridge.database import Database, DatabaseBusy
from crm_bridge.numbers import parse_number
from crm_bridge.ports import Certainty, CustomerRef, Match
from crm_bridge.tables import Conversation, OutboxRow
from telephony.conversations.history import History, StintRecord, TalkRecord
from telephony.desk import records as records_module
from telephony.desk.cases import Case
from telephony.desk.records import Records
from telephony.settings import Settings

NUMBER = "+493023125042"
ERIKA = CustomerRef("id-erika", "204117", "Erika Sommer")


def case_of(id_: str, *, talked: bool = True, inbound: bool = True, ended: bool = True, known: bool = True) -> Case:
    history = History(id_, 100.0, NUMBER, inbound=inbound, stints=[StintRecord("service", 101.0, "answered", 2.0)])
    if talked:
        history.talks.append(TalkRecord("PJSIP/phone1", "service", 103.0, 108.0 if ended else None, 5.0))
    history.ended_at = 109.0 if ended else None
    match = Match(Certainty.CERTAIN, "number_unique", (ERIKA,), "played") if known else Match(Certainty.NONE, "x")
    return Case(history, parse_number(NUMBER, region="DE"), match)


@pytest.fixture
async def database(migrated_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(migrated_file, tmp_path / "records.db")
    opened = Database(f"sqlite+aiosqlite:///{tmp_path}/records.db", busy_seconds=0.05)
    yield opened
    await opened.close()


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database, Settings(), "played", {"PJSIP/phone1": "anna"}.__getitem__)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(records_module, "BATCH_SECONDS", 0.0)


async def ids(database: Database) -> set[str]:
    return {one.conversation for one in await rows.recent_calls(database)}


async def written(database: Database, *wanted: str) -> None:
    async with asyncio.timeout(5):
        while not await ids(database) >= set(wanted):  # noqa: ASYNC110 - the records tell nobody
            await asyncio.sleep(0.002)


async def test_a_batch_is_written_and_a_late_one_corrects_it(records: Records, database: Database) -> None:
    case = case_of("c1", ended=False)
    records.touch(case)
    records.touch(case_of("between agents", inbound=False))
    assert records.backlog == 1
    work = asyncio.create_task(records.run())
    await written(database, "c1")
    case.history.ended_at = case.history.talks[0].ended_at = 120.0
    records.touch(case)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)  # what is left is written at the end
    (call,) = await rows.recent_calls(database)
    assert (call.conversation, call.agent, call.queue, call.ended_at) == ("c1", "anna", "service", 120.0)


@pytest.mark.parametrize(("lost", "ended_at"), [(False, 109.0), (True, None)])
async def test_a_call_that_ended_behind_our_back_is_not_said_to_be_missed(
    records: Records, database: Database, lost: bool, ended_at: float | None
) -> None:
    case = case_of("c1", talked=False)
    case.history.lost = lost
    records.touch(case)
    work = asyncio.create_task(records.run())
    await written(database, "c1")
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    async with database.session() as session:
        (owed,) = (await session.exec(sqlmodel.select(OutboxRow))).all()
    assert (owed.payload["ended_at"], owed.payload["answered_at"]) == (ended_at, None)


async def test_a_locked_database_delays_and_loses_nothing(records: Records, database: Database) -> None:
    other = Database(database.url, busy_seconds=1)
    work = asyncio.create_task(records.run())
    async with other.connection():
        for number in range(5):
            records.touch(case_of(f"c{number}"))
        async with asyncio.timeout(5):
            while records.failures < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.002)
    await written(database, *(f"c{number}" for number in range(5)))
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await other.close()
    assert records.backlog == 0


async def test_an_end_in_the_middle_of_a_batch_loses_nothing(
    records: Records, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()
    real = rows.write_records

    async def slow(*arguments: Any) -> None:
        if not begun.is_set():
            begun.set()
            await goes_on.wait()
        await real(*arguments)

    monkeypatch.setattr(records_module.records, "write_records", slow)
    records.touch(case_of("c1"))
    work = asyncio.create_task(records.run())
    await asyncio.wait_for(begun.wait(), 5)
    records.touch(case_of("c2"))
    work.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(work, return_exceptions=True)
    assert await ids(database) == {"c1", "c2"}


async def test_one_record_that_no_database_takes_keeps_none_of_the_others_out(
    records: Records, database: Database
) -> None:
    poison = case_of("bad")
    poison.history.language = "\udcff"
    with structlog.testing.capture_logs() as logs:
        for case in (case_of("c1"), poison, case_of("c2")):
            records.touch(case)
        assert await records._flush()
    assert await ids(database) == {"c1", "c2"}
    assert [one["conversation"] for one in logs if one["event"] == "record_refused"] == ["bad"]
    assert (records.backlog, records.failures) == (0, 1)


@pytest.mark.parametrize(("known", "talked", "owed"), [(True, False, 1), (False, False, 0), (True, True, 0)])
async def test_a_call_that_nobody_had_is_owed_to_the_crm_if_we_know_whose_it_is(
    records: Records, database: Database, known: bool, talked: bool, owed: int
) -> None:
    records.touch(case_of("c1", known=known, talked=talked))
    assert await records._flush()
    records.touch(case_of("c1", known=known, talked=talked))
    assert await records._flush()
    async with database.session() as session:
        found = (await session.exec(sqlmodel.select(OutboxRow))).all()
    assert [one.kind for one in found] == ["call"] * owed


async def test_what_a_new_start_finds_of_an_open_conversation(records: Records, database: Database) -> None:
    records.touch(case_of("c1", ended=False))
    assert await records._flush()
    assert await records.unfinished() == ["c1"]
    found = await records.history("c1")
    assert found is not None
    assert (found.number, found.customer, found.stints[0].queue, found.talks[0].interface) == (
        NUMBER, ERIKA.id, "service", "PJSIP/phone1",
    )  # fmt: skip
    assert await records.close_lost("c1", 150.0, {"PJSIP/phone1"}, False) == []
    assert await records.unfinished() == ["c1"]
    assert await records.close_lost("c1", 150.0) == [("anna", "service")]
    assert await records.close_lost("c1", 160.0) == []
    assert await records.unfinished() == []
    async with database.session() as session:
        row = await session.get_one(Conversation, "c1")
    assert (row.ended_at, row.lost) == (150.0, True)
    assert await records.owed("anna", 200.0) == [("c1", "service", 150.0)]
    assert await records.owed("anna", 150.0 + records_module.OWED_FOR_SECONDS + 1) == []
    assert await records.history("never heard of") is None


async def test_a_busy_database_says_so(records: Records, database: Database) -> None:
    other = Database(database.url)
    async with other.connection():
        with pytest.raises(DatabaseBusy):
            await records.close_lost("c1", 1.0)
    await other.close()
