"""Bring a database to this version's tables, from within a running loop or the command line.

Two processes may start at the same moment: the first one takes the database's own lock (SQLite's write lock, a
PostgreSQL advisory lock) for the whole upgrade, the second waits and then finds nothing left to do. An upgrade is one
transaction; when it fails, nothing has changed.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from crm_bridge.database import Database, DatabaseNotMigrated

_FOLDER = Path(__file__).parent
_LOCK = 0x63616C6C666C
"""Key of the PostgreSQL advisory lock: arbitrary, but the same in every version."""


def head_revision() -> str:
    """The revision that this version of Callfloor needs."""
    head = ScriptDirectory(str(_FOLDER)).get_current_head()
    assert head is not None, "the wheel lacks telephony/migrations/versions"
    return head


async def current_revision(database: Database) -> str | None:
    """The revision the database is at; none when it is empty."""
    async with database.session() as session:
        connection = await session.connection()
        return await connection.run_sync(_revision)


async def upgrade(database: Database | str) -> str:
    """Bring the database (or the one at this URL) to ``head_revision()`` and return it.

    Raises ``DatabaseError``; ``DatabaseNotMigrated`` when its tables come from a later version.
    """
    url = database if isinstance(database, str) else database.url
    # To change a table SQLite copies and drops it; with foreign keys on, the drop would delete what points to it.
    opened = Database(url, foreign_keys=False)
    try:
        async with opened.connection() as connection:
            if not opened.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            try:
                await connection.run_sync(_upgrade)
            except CommandError as unknown:
                raise DatabaseNotMigrated(_too_new(opened)) from unknown
            if opened.is_sqlite and (await connection.execute(text("PRAGMA foreign_key_check"))).first():
                raise DatabaseNotMigrated(
                    f"the database {opened.shown_url} has rows that point nowhere; restore a backup"
                )
    finally:
        await opened.close()
    return head_revision()


async def require_current(database: Database) -> None:
    """Return when the tables are this version's. Raises ``DatabaseError``, ``DatabaseNotMigrated`` if they are not."""
    current = await current_revision(database)
    if current == head_revision():
        return
    known = {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseNotMigrated(_too_new(database))
    state = "is empty" if current is None else f"is at revision {current}, this version needs {head_revision()}"
    raise DatabaseNotMigrated(f"the database {database.shown_url} {state}; run: callfloor db upgrade")


def _too_new(database: Database) -> str:
    return f"the database {database.shown_url} belongs to a later version; install that version, or restore a backup"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    config = Config()
    # Config is a ConfigParser underneath: a percent sign in the path would be read as a reference.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
