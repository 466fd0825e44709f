"""The history of the tables ends where the models are, on both databases, however many upgrade at once."""

from __future__ import annotations

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlmodel import SQLModel

from crm_bridge.database import Database, DatabaseNotMigrated
from telephony.migrations import current_revision, head_revision, require_current, upgrade


async def test_models_and_migrations_are_the_same(database: Database) -> None:
    async with database.session() as session:
        connection = await session.connection()
        found = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), SQLModel.metadata)
        )
    assert found == []


async def test_a_new_database_is_not_migrated_and_says_so(database_url: str) -> None:
    database = Database(database_url)
    try:
        assert await current_revision(database) is None
        with pytest.raises(DatabaseNotMigrated, match="callfloor db upgrade"):
            await require_current(database)
        assert await upgrade(database) == head_revision()
        await require_current(database)
    finally:
        await database.close()


async def test_processes_that_upgrade_at_once_do_not_disturb_each_other(database_url: str) -> None:
    assert set(await asyncio.gather(*(upgrade(database_url) for _ in range(4)))) == {head_revision()}
    database = Database(database_url)
    try:
        await require_current(database)
    finally:
        await database.close()


async def test_a_database_of_a_later_version_is_left_alone(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'zzzz'"))
    for attempt in (require_current, upgrade):
        with pytest.raises(DatabaseNotMigrated, match="later version"):
            await attempt(database)
    assert await current_revision(database) == "zzzz"
