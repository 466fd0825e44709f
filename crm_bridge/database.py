"""One database, two engines: SQLite in WAL mode, or PostgreSQL by URL.

``session()`` reads, ``transaction()`` writes; a write inside ``session()`` is refused by either database. The split is
what keeps "database is locked" out of the house: a SQLite transaction that begins by reading and then writes can be
refused at once, whatever the time-out, when somebody else wrote in between. So readers never write, and writers take
the write lock first (``BEGIN IMMEDIATE``), one at a time within this process, and wait for other processes up to
``busy_seconds``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Insert, Select, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only
from sqlmodel.ext.asyncio.session import AsyncSession

NEWS = "news"
"""Key in ``session.info``: the set of topics to announce once the transaction is committed."""

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_CONNECT_SECONDS = 10.0
_END_SECONDS = 5.0
_UNDEFINED_TABLE = "42P01"
_NO_ENTRY = ("08", "28", "3D", "53", "57P")
"""PostgreSQL's SQLSTATEs: connection, log-in, no such database, no resources left, shutting down."""


UNFIT = "\ufffd"
"""Stands in for a character that cannot be kept."""
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as every database takes it: PostgreSQL has no NUL, and a lone surrogate (a byte that was no UTF-8 when
    it reached us) is no text to either."""
    return _NOT_STORABLE.sub(UNFIT, text)


Question = tuple[Select[Any], Mapping[str, object]]
"""A select and the values of its parameters."""


class DatabaseError(Exception):
    """The root of what can be wrong with the database; the text is one line and fit to be shown.

    DatabaseError
    ├── DatabaseUrlInvalid     the setting cannot be used
    ├── DatabaseUnreachable    no server, no such database, no permission, no disk
    ├── DatabaseMissing        there is none, and it was not to be made
    ├── DatabaseNotMigrated    its tables are not those of this version
    └── DatabaseBusy           somebody else kept the write lock for too long; try again
    """


class DatabaseUrlInvalid(DatabaseError):
    """The setting cannot be used."""


class DatabaseUnreachable(DatabaseError):
    """The database cannot be opened now."""


class DatabaseMissing(DatabaseError):
    """There is no database file yet."""


class DatabaseNotMigrated(DatabaseError):
    """The tables are missing, too old, or too new."""


class DatabaseBusy(DatabaseError):
    """The write lock was not to be had in time; nothing was written."""


class Database:
    """The connections of one process. Creating it opens nothing but, for SQLite, creates the folder and an empty file.

    ``busy_seconds``: how long a writer waits for another process's write lock.
    ``foreign_keys``: whether SQLite keeps them; only a migration, which copies tables, wants them off.
    ``create``: whether a SQLite file that is not there is made; who only wants to read says no.

    Raises ``DatabaseUrlInvalid`` for a URL that cannot be used, ``DatabaseUnreachable`` if the folder cannot be made,
    ``DatabaseMissing``.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        busy_seconds: float = 10.0,
        pool_size: int = 5,
        foreign_keys: bool = True,
        create: bool = True,
    ) -> None:
        self.url = _understood(url)
        self.busy_seconds = busy_seconds
        self._foreign_keys = foreign_keys
        self._signals: dict[str, asyncio.Event] = {}
        self._fast: _FastReader | None = None
        self._rows: _RowWriter | None = None
        self._write_lock: asyncio.Lock | None = None
        self._opened: list[aiosqlite.Connection] = []
        if self.is_sqlite:
            path = self._sqlite_path()
            if not create and not path.exists():
                raise DatabaseMissing(
                    f"there is no database at {path.absolute()}; make one with: callfloor db upgrade, "
                    "or name the office's own settings with --config"
                )
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as failed:
                raise DatabaseUnreachable(
                    f"storage.url: the folder {path.parent} cannot be made ({failed.strerror}); "
                    "create it, or name another in storage.url"
                ) from None
            _make_for_us_alone(path)
            self._reader = self._sqlite_engine(pool_size, read_only=True)
            # One connection for one writer: more would only wait for each other.
            self._writer = self._sqlite_engine(1, read_only=False)
            self._write_lock = asyncio.Lock()
        else:
            options: dict[str, Any] = {"timeout": _CONNECT_SECONDS}
            engine = create_async_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                connect_args=options,
                hide_parameters=True,  # callers' numbers are among them, and errors end in logs
            )
            self._reader = engine.execution_options(postgresql_readonly=True)
            self._writer = engine

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session that reads one consistent state. Writing in it fails.

        Raises ``DatabaseUnreachable``.
        """
        with self._explained():
            async with AsyncSession(self._reader, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that writes: committed at the end of the block, rolled back when the block raises.

        Raises ``DatabaseBusy`` and ``DatabaseUnreachable``; in both cases nothing was written. (A PostgreSQL that dies
        during the commit itself may have written: whoever repeats a write needs a key that makes it harmless.)
        """
        with self._explained():
            async with self._one_writer(), AsyncSession(self._writer, expire_on_commit=False) as session:
                async with session.begin():
                    yield session
                for topic in session.info.get(NEWS, ()):
                    self.signal(topic).set()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A writing transaction on a bare connection, for batches and migrations. Raises as ``transaction`` does."""
        with self._explained():
            async with self._one_writer(), self._writer.begin() as connection:
                yield connection

    async def fetch(self, statement: Select[Any], values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        """The rows of a small select, by the quickest way there is.

        For SQLite that is one hop to one thread with a prepared statement, beside the engine's several hops per
        statement: nine times quicker, measured with ``tests/bench/lookup.py``. Columns come back as the database has
        them (no type conversion), so select text and numbers only.
        """
        return (await self.fetch_all([(statement, values)]))[0]

    async def fetch_all(self, questions: Sequence[Question]) -> list[Sequence[Sequence[Any]]]:
        """As ``fetch``, for several selects in one go: one hop instead of one for each."""
        with self._explained():
            if not self.is_sqlite:
                async with self._reader.connect() as connection:
                    return [
                        [tuple(row) for row in await connection.execute(statement, dict(values))]
                        for statement, values in questions
                    ]
            if self._fast is None:
                self._fast = _FastReader(self._sqlite_path(), self.busy_seconds)
            return await self._fast.fetch(questions)

    async def write_rows(self, batches: Sequence[tuple[Insert, Sequence[Mapping[str, object]]]]) -> None:
        """Many rows of few kinds, in one transaction. Every row of a batch has the same keys.

        For SQLite they go through in one hop to a thread of their own: composed by the engine, a batch of many rows
        holds up everything else in the loop. Raises as ``transaction`` does.
        """
        batches = [(statement, rows) for statement, rows in batches if rows]
        if not batches:
            return
        with self._explained():
            if not self.is_sqlite:
                async with self._writer.begin() as connection:
                    for statement, rows in batches:
                        await connection.execute(statement, [dict(row) for row in rows])
                return
            if self._rows is None:
                self._rows = _RowWriter(self._sqlite_path(), self.busy_seconds, self._foreign_keys)
            async with self._one_writer():
                await self._rows.write(batches)

    async def check(self) -> None:
        """Open the database once. Raises ``DatabaseUnreachable``."""
        with self._explained():
            async with self._reader.connect():
                pass

    def signal(self, topic: str) -> asyncio.Event:
        """The event that is set after each commit whose transaction noted ``topic`` (``announce``)."""
        return self._signals.setdefault(topic, asyncio.Event())

    async def close(self) -> None:
        """Close every connection. Calling it again does nothing."""
        if self._fast is not None:
            fast, self._fast = self._fast, None
            await fast.close()
        if self._rows is not None:
            writer, self._rows = self._rows, None
            await writer.close()
        await self._reader.dispose()
        await self._writer.dispose()
        await self._end_threads()

    def _open_sqlite(self, *arguments: Any, **options: Any) -> aiosqlite.Connection:
        self._opened = [one for one in self._opened if _thread(one).is_alive()]
        connection = aiosqlite.connect(*arguments, **options)
        _thread(connection).daemon = True
        self._opened.append(connection)
        return connection

    async def _end_threads(self) -> None:
        """Wait for the driver's threads, those too whose query was given up while it ran.

        Neither the driver nor the engine does: such a thread answers into a loop that may be closed by then, and one
        whose connecting was given up is never told to stop.
        """
        alive, self._opened = [one for one in self._opened if _thread(one).is_alive()], []
        if not alive:
            return
        with ThreadPoolExecutor(max_workers=1) as waiting:
            for connection in alive:
                connection.stop()
                await asyncio.get_running_loop().run_in_executor(waiting, _thread(connection).join, _END_SECONDS)

    def _sqlite_path(self) -> Path:
        return Path(str(self.url.database))

    @asynccontextmanager
    async def _one_writer(self) -> AsyncIterator[None]:
        if self._write_lock is None:
            yield
        else:
            async with self._write_lock:
                yield

    def _sqlite_engine(self, size: int, *, read_only: bool) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            pool_size=size,
            max_overflow=0,
            connect_args={"timeout": self.busy_seconds, "async_creator_fn": self._open_sqlite},
            hide_parameters=True,  # callers' numbers are among them, and errors end in logs
        )
        begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

        @event.listens_for(engine.sync_engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:
            # The driver must not begin transactions of its own: it would begin them late, and without the lock.
            connection.isolation_level = None
            cursor = connection.cursor()
            _switch_to_wal(cursor, self.busy_seconds)
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute(f"PRAGMA foreign_keys = {'ON' if self._foreign_keys else 'OFF'}")
            if read_only:
                cursor.execute("PRAGMA query_only = ON")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def _explained(self) -> _Explained:
        return _Explained(self)


def _thread(connection: aiosqlite.Connection) -> threading.Thread:
    return connection._thread  # SQLAlchemy reaches for it, too: the driver has no public name for it


def _make_for_us_alone(path: Path) -> None:
    """Make the file, unless it is there: customers, notes and password hashes are in it.

    SQLite would make it readable by everybody, and gives its ``-wal`` and ``-shm`` the file's own rights. A file that
    is there keeps what its owner gave it. What cannot be made is told when it is opened.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def announce(session: AsyncSession, topic: str) -> None:
    """Have ``Database.signal(topic)`` set once this transaction is committed."""
    session.info.setdefault(NEWS, set()).add(topic)


def _switch_to_wal(cursor: Any, seconds: float) -> None:
    """Put a new database into WAL mode, which lasts.

    Two connections that do this to the same new file at once can each hold what the other needs; SQLite then fails one
    of them without waiting (or after waiting in vain), so the wait is ours.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as refused:
            if "locked" not in str(refused) or loop.time() > deadline:
                raise
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
        await_only(asyncio.sleep(0.01))


class _Explained:
    """Turns a driver's failures into ours; what is not about the database as such passes unchanged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, raised: BaseException | None, _trace: object) -> None:
        if raised is None:
            return
        database = self._database
        reason = _first_line(raised)
        cause = raised.orig if isinstance(raised, DBAPIError) else raised
        state = str(getattr(cause, "sqlstate", None) or "")
        if isinstance(cause, sqlite3.OperationalError) and "locked" in reason:
            raise DatabaseBusy(
                f"the database {database.shown_url} was kept locked for {database.busy_seconds:g} s by another "
                "process; end it, or try again"
            ) from raised
        if state == _UNDEFINED_TABLE or (isinstance(cause, sqlite3.OperationalError) and "no such table" in reason):
            raise DatabaseNotMigrated(
                f"the database {database.shown_url} lacks tables; run: callfloor db upgrade"
            ) from raised
        if (
            state.startswith(_NO_ENTRY)
            # The bare class is SQLite's "not a database" and "malformed"; its subclasses are faults of a statement.
            or type(cause) in (sqlite3.DatabaseError, sqlite3.OperationalError)
            or isinstance(raised, InterfaceError | OperationalError)
            or (isinstance(raised, DBAPIError) and raised.connection_invalidated)
            or (isinstance(raised, OSError) and _came_through_engine(raised))
        ):
            raise DatabaseUnreachable(
                f"the database {database.shown_url} cannot be used: {reason}; check storage.url and that it runs"
            ) from raised


def _came_through_engine(raised: BaseException) -> bool:
    """Whether the engine raised it (a connection refused) and not the code inside our block (its own time-out)."""
    step = raised.__traceback__
    while step is not None:
        if step.tb_frame.f_globals.get("__name__", "").startswith("sqlalchemy"):
            return True
        step = step.tb_next
    return False


def _first_line(raised: BaseException) -> str:
    cause = raised.orig if isinstance(raised, DBAPIError) and raised.orig is not None else raised
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def _understood(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.drivername]
    except (ArgumentError, NoSuchModuleError, ValueError, KeyError):
        # The text itself is left out: it may hold a password.
        raise DatabaseUrlInvalid(
            "storage.url is not a database we know; write sqlite+aiosqlite:///folder/file.db or "
            "postgresql+asyncpg://user@host/name"
        ) from None
    parsed = parsed.set(drivername=driver)
    if parsed.get_backend_name() == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise DatabaseUrlInvalid(
            "storage.url names no file: every connection would see an empty database of its own; "
            "write sqlite+aiosqlite:///folder/file.db"
        )
    if parsed.get_backend_name() == "postgresql" and not parsed.database:
        raise DatabaseUrlInvalid("storage.url names no database; write postgresql+asyncpg://user@host/name")
    return parsed


class _OneThread:
    """One thread and its own SQLite connection, made when it is first needed."""

    def __init__(self, path: Path, busy_seconds: float, name: str, pragmas: Sequence[str]) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._pragmas = pragmas
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None)
            for pragma in self._pragmas:
                self._connection.execute(f"PRAGMA {pragma}")
        return self._connection

    async def close(self) -> None:
        def _shut() -> None:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

        await asyncio.get_running_loop().run_in_executor(self._thread, _shut)
        self._thread.shutdown(wait=True)


class _RowWriter(_OneThread):
    """Writes batches of rows; statements are compiled once for each set of columns."""

    def __init__(self, path: Path, busy_seconds: float, foreign_keys: bool) -> None:
        keys = f"foreign_keys = {'ON' if foreign_keys else 'OFF'}"
        super().__init__(path, busy_seconds, "callfloor-writer", ("synchronous = NORMAL", keys))
        self._compiled: dict[tuple[Insert, tuple[str, ...]], tuple[str, tuple[str, ...]]] = {}

    async def write(self, batches: Sequence[tuple[Insert, Sequence[Mapping[str, object]]]]) -> None:
        prepared = [self._prepared(statement, rows) for statement, rows in batches]
        await asyncio.get_running_loop().run_in_executor(self._thread, self._run, prepared)

    def _prepared(
        self, statement: Insert, rows: Sequence[Mapping[str, object]]
    ) -> tuple[str, list[tuple[object, ...]]]:
        key = (statement, tuple(rows[0]))
        if key not in self._compiled:
            compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"), column_keys=list(rows[0]))
            self._compiled[key] = (str(compiled), tuple(compiled.positiontup or ()))
        text, order = self._compiled[key]
        return text, [tuple(_as_sqlite_has_it(row[name]) for name in order) for row in rows]

    def _run(self, prepared: Sequence[tuple[str, list[tuple[object, ...]]]]) -> None:
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for text, rows in prepared:
                connection.executemany(text, rows)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def _as_sqlite_has_it(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


class _FastReader(_OneThread):
    """Reads with statements compiled once and prepared by the driver."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        super().__init__(path, busy_seconds, "callfloor-reader", ("query_only = ON",))
        self._compiled: dict[Select[Any], tuple[str, tuple[str, ...], Mapping[str, Any]]] = {}

    async def fetch(self, questions: Sequence[Question]) -> list[Sequence[Sequence[Any]]]:
        prepared = [self._prepared(statement, values) for statement, values in questions]
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, prepared)

    def _prepared(self, statement: Select[Any], values: Mapping[str, object]) -> tuple[str, tuple[object, ...]]:
        if statement not in self._compiled:
            compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
            self._compiled[statement] = (str(compiled), tuple(compiled.positiontup or ()), compiled.params)
        text, order, fixed = self._compiled[statement]
        return text, tuple(values[name] if name in values else fixed[name] for name in order)

    def _run(self, prepared: Sequence[tuple[str, tuple[object, ...]]]) -> list[Sequence[Sequence[Any]]]:
        connection = self._connected()
        return [connection.execute(text, arguments).fetchall() for text, arguments in prepared]
