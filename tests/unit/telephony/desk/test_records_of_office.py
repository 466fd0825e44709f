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
from crm_bridge.database import Database
from crm_bridge.numbers import parse_number
from crm_bridge.ports import Certainty, CustomerRef, Match
from crm_bridge.tables import Conversation, OutboxRow, Talk
from telephony.conversations.history import History, StintRecord, TalkRecord
from telephony.conversations.journal import Journal, since_saved
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
    poison.history.language = object()  # type: ignore[assignment]
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            for case in (case_of("c1"), poison, case_of("c2")):
                records.touch(case)
            assert await records._flush()
    assert await ids(database) == {"c1", "c2"}
    (said,) = [one for one in logs if one["event"] == "record_refused"]  # once, however often it is tried again
    assert (said["conversation"], said["log_level"], said.get("exc_info")) == ("bad", "error", None)
    assert "object" in said["why"]
    assert (records.backlog, records.failures) == (0, 2)


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
    kept = await records.kept(["c1", "never heard of", "c1"])
    assert list(kept) == ["c1"]
    found = kept["c1"].history
    assert (found.number, found.customer, found.stints[0].queue, found.talks[0].interface) == (
        NUMBER, ERIKA.id, "service", "PJSIP/phone1",
    )  # fmt: skip
    found.talks[0].ended_at = found.ended_at = 150.0
    found.lost = True
    records.touch(kept["c1"])
    assert await records._flush()
    assert await records.unfinished() == []
    async with database.session() as session:
        row = await session.get_one(Conversation, "c1")
    assert (row.ended_at, row.lost) == (150.0, True)
    assert await records.owed("anna", 200.0) == [("c1", "service", 150.0)]
    assert await records.owed("anna", 150.0 + records_module.OWED_FOR_SECONDS + 1) == []


@pytest.mark.parametrize("number", [NUMBER, "030 / 23125042", "anonymous", "hello"])
async def test_a_row_that_is_taken_up_and_written_again_stays_as_it_was(
    records: Records, database: Database, number: str
) -> None:
    """Whoever sits at the phone by now, and whatever the CRM would say today."""
    case = case_of("c1", ended=False)
    case.number = parse_number(number, region="DE")
    case.agents = {"PJSIP/phone1": "ben"}
    case.history.path, case.history.language = ("greeting", "care"), "en"
    records.touch(case)
    assert await records._flush()

    async def rows_now() -> list[dict[str, Any]]:
        async with database.session() as session:
            found = [*(await session.exec(sqlmodel.select(Conversation))), *(await session.exec(sqlmodel.select(Talk)))]
        return [one.model_dump() for one in found]

    before = await rows_now()
    for kept in (await records.kept(["c1"])).values():
        records.touch(kept)
    assert await records._flush()
    assert await rows_now() == before
    assert before[1]["agent"] == "ben"


async def test_many_conversations_are_taken_up_in_parts(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "KEPT_AT_ONCE", 2)
    wanted = [f"c{number}" for number in range(5)]
    for id_ in wanted:
        records.touch(case_of(id_))
    assert await records._flush()
    assert sorted(await records.kept(wanted)) == wanted


async def test_the_journal_is_told_how_far_the_database_has_got(database: Database, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 1 << 20, 2)
    records = Records(database, Settings(), "played", {"PJSIP/phone1": "anna"}.__getitem__, journal)

    def behind() -> list[bytes]:
        journal.flush()
        return [one.data for one, unsaved in since_saved(tmp_path / "journal", 1 << 20) if unsaved and one.kind != "S"]

    def happens(what: bytes) -> None:
        journal.write("E", 1.0, 1, what)
        records.touch(case_of(what.decode()))

    happens(b"c1")
    assert await records._flush()
    assert behind() == []
    other = Database(database.url)
    async with other.connection():
        happens(b"c2")
        assert not await records._flush()  # locked: not there, not told
        assert behind() == [b"c2"]
    await other.close()
    writing = asyncio.create_task(records._flush())
    await asyncio.sleep(0)
    happens(b"c3")  # too late for the batch that is on its way
    assert await writing
    assert behind() == [b"c3"]
    journal.close()


async def test_in_a_hurry_a_batch_does_not_wait_for_company(
    records: Records, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "BATCH_SECONDS", 3600.0)
    work = asyncio.create_task(records.run())
    records.touch(case_of("c1"))
    await written(database, "c1")
    records.touch(case_of("c2"))
    records.hurry()
    await written(database, "c2")
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
