"""Readers read, writers write, locks are waited for, and what is wrong is said in one line."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import col
from sqlmodel import select as select_model

from crm_bridge.database import (
    Database,
    DatabaseBusy,
    DatabaseError,
    DatabaseNotMigrated,
    DatabaseUnreachable,
    DatabaseUrlInvalid,
    announce,
)
from crm_bridge.tables import Customer, CustomerPhone
from telephony.migrations import upgrade


def customer(number: str) -> Customer:
    return Customer(id=f"id{number}", number=number, name="x", created_at=1.0, updated_at=1.0)


async def numbers(database: Database) -> list[str]:
    async with database.session() as session:
        return list((await session.exec(select_model(Customer.number).order_by(col(Customer.number)))).all())


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    async with database.transaction() as session:
        session.add(customer("1"))

    async def break_off() -> None:
        async with database.transaction() as session:
            session.add(customer("2"))
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()
    assert await numbers(database) == ["1"]


async def test_nobody_else_on_the_machine_can_read_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new/callfloor.db")
    await upgrade(database)
    async with database.transaction() as session:
        session.add(customer("1"))
    rights = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    await database.close()
    assert {"callfloor.db", "callfloor.db-wal"} <= set(rights)
    assert set(rights.values()) == {0o600}


async def test_the_rights_its_owner_gave_it_stay(tmp_path: Path) -> None:
    path = tmp_path / "callfloor.db"
    path.touch(mode=0o640)
    path.chmod(0o640)
    database = Database(f"sqlite:///{path}")
    await upgrade(database)
    await database.close()
    assert path.stat().st_mode & 0o777 == 0o640


async def test_a_reading_session_cannot_write(database: Database) -> None:
    async def write() -> None:
        async with database.session() as session:
            session.add(customer("1"))
            await session.commit()

    with pytest.raises((DBAPIError, DatabaseError)):
        await write()
    assert await numbers(database) == []


async def test_many_writers_at_once_that_read_first_all_succeed(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as session:
            await session.exec(select_model(Customer))
            session.add(customer(f"{number:02}"))

    await asyncio.gather(*(write(number) for number in range(20)))
    assert len(await numbers(database)) == 20


@pytest.mark.parametrize("turns", range(12))
async def test_closing_leaves_no_thread_of_a_query_that_was_given_up(tmp_path: Path, turns: int) -> None:
    """A driver's thread that answers after the loop has closed dies with a traceback that lands anywhere."""
    before = set(threading.enumerate())
    database = Database(f"sqlite:///{tmp_path}/callfloor.db")
    slow = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT sum(i) FROM n"

    async def ask() -> None:
        async with database.session() as session:
            await (await session.connection()).exec_driver_sql(slow)

    asking = asyncio.create_task(ask())
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await database.close()
    assert set(threading.enumerate()) <= before


async def test_foreign_keys_are_kept(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            session.add(CustomerPhone(customer_id="nobody", e164="+493023125001"))


async def test_fetch_reads_what_was_committed(database: Database) -> None:
    query = select(col(Customer.name)).where(col(Customer.number) == bindparam("number"))
    assert list(await database.fetch(query, {"number": "1"})) == []
    async with database.transaction() as session:
        session.add(customer("1"))
    assert [tuple(row) for row in await database.fetch(query, {"number": "1"})] == [("x",)]


async def test_a_signal_is_set_by_the_commit_and_only_by_it(database: Database) -> None:
    signal = database.signal("news")

    async def break_off() -> None:
        async with database.transaction() as session:
            announce(session, "news")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()
    assert not signal.is_set()
    async with database.transaction() as session:
        announce(session, "news")
        assert not signal.is_set()
    assert signal.is_set()


class _Locker:
    """Another process's writer: holds SQLite's write lock for some time, on a thread of its own."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self.holds, self._release = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        self.holds.set()
        self._release.wait(self._seconds)
        connection.execute("ROLLBACK")
        connection.close()

    def __enter__(self) -> _Locker:
        self._thread.start()
        assert self.holds.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._thread.join()


async def test_a_lock_of_two_seconds_delays_a_writer_and_no_reader(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a.db", busy_seconds=10)
    await upgrade(database)
    with _Locker(tmp_path / "a.db", 2.0):
        loop = asyncio.get_running_loop()
        begun = loop.time()

        async def write() -> float:
            async with database.transaction() as session:
                session.add(customer("1"))
            return loop.time() - begun

        writing = asyncio.create_task(write())
        for _ in range(20):
            assert await numbers(database) == []
        read_for = loop.time() - begun
        assert await writing >= 1.5
    assert read_for < 1.5
    assert await numbers(database) == ["1"]
    await database.close()


async def test_a_lock_that_is_never_released_is_said_and_can_be_tried_again(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a.db", busy_seconds=0.2)
    await upgrade(database)
    with _Locker(tmp_path / "a.db", 30), pytest.raises(DatabaseBusy, match="locked for 0.2 s"):
        async with database.transaction() as session:
            session.add(customer("1"))
    async with database.transaction() as session:
        session.add(customer("1"))
    assert await numbers(database) == ["1"]
    await database.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "not a database we know"),
        ("nonsense", "not a database we know"),
        ("mysql://root:hunter2@h/db", "not a database we know"),
        ("sqlite+aiosqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://u@h", "names no database"),
        ("postgresql://u:hunter2@h:port/db", "not a database we know"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(DatabaseUrlInvalid, match=says) as raised:
        Database(url)
    assert "hunter2" not in str(raised.value)


async def test_a_server_that_is_not_there() -> None:
    database = Database("postgresql://u:hunter2@127.0.0.1:1/callfloor")
    with pytest.raises(DatabaseUnreachable, match=r"u:\*\*\*@127.0.0.1:1") as raised:
        await database.check()
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)
    await database.close()


@pytest.mark.postgres
async def test_a_database_that_is_not_there(postgres_server: str) -> None:
    database = Database(f"{postgres_server}/nowhere")
    with pytest.raises(DatabaseUnreachable, match='"nowhere" does not exist'):
        await database.check()
    await database.close()


async def test_a_missing_folder_is_made_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deep/er/a.db")
    await database.check()
    await database.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnreachable, match=r"storage\.url: the folder .*file"):
        Database(f"sqlite:///{tmp_path}/file/a.db")


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database" * 100)
    database = Database(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(DatabaseUnreachable, match="file is not a database"):
        await database.check()
    await database.close()


async def test_tables_that_are_missing(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(DatabaseNotMigrated, match="callfloor db upgrade"):
        await numbers(database)
    await database.close()


async def test_a_fault_of_the_block_itself_is_not_the_databases(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with database.session():
            raise TimeoutError
