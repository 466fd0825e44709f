"""What Alembic runs: our connection, already in a transaction, and all models of the house."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

# The models register themselves.
import telephony.floor.tables
import telephony.reception.tables  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
    # SQLite cannot alter most things in place; Alembic then copies the table.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
