"""Accounts, queue memberships, sessions at the desk, and what agents were doing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "user_account",
        sa.Column("login", sa.String(32), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("phone", sa.String(39), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("login", name="pk_user_account"),
    )
    op.create_table(
        "queue_membership",
        sa.Column("login", sa.String(32), nullable=False),
        sa.Column("queue", sa.String(39), nullable=False),
        sa.Column("penalty", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["login"], ["user_account.login"], name="fk_queue_membership_login", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("login", "queue", name="pk_queue_membership"),
    )
    op.create_table(
        "desk_session",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("login", sa.String(32), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("last_seen", sa.Float(), nullable=False),
        sa.Column("user_agent", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["login"], ["user_account.login"], name="fk_desk_session_login", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_desk_session"),
    )
    op.create_index("ix_desk_session_login", "desk_session", ["login"])
    op.create_index("ix_desk_session_expires_at", "desk_session", ["expires_at"])
    op.create_table(
        "agent_state",
        sa.Column("login", sa.String(32), nullable=False),
        sa.Column("presence", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("logged_in", sa.Boolean(), nullable=False),
        sa.Column("conversation", sa.String(64), nullable=True),
        sa.Column("wrap_up_queue", sa.String(39), nullable=True),
        sa.Column("wrap_up_deadline", sa.Float(), nullable=True),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["login"], ["user_account.login"], name="fk_agent_state_login", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("login", name="pk_agent_state"),
    )
