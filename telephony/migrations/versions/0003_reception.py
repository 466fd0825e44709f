"""The reception: published flows, call-backs, voice messages, PINs, requests, kept places, switches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_back",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("queue", sa.String(39), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("open_number", sa.String(16), nullable=True),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("customer_name", sa.String(120), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("place_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("leased_until", sa.Float(), nullable=True),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.Column("agent", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_call_back"),
        sa.UniqueConstraint("open_number", name="uq_call_back_open_number"),
    )
    op.create_index("ix_call_back_state_place_at", "call_back", ["state", "place_at"])

    op.create_table(
        "caller_pin",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("pin_hash", sa.Text(), nullable=False),
        sa.Column("set_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("source", "customer_id", name="pk_caller_pin"),
    )
    op.create_table(
        "flow_alias",
        sa.Column("alias", sa.String(16), nullable=False),
        sa.Column("flow", sa.String(39), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("before_flow", sa.String(39), nullable=False),
        sa.Column("before_version", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.Float(), nullable=False),
        sa.Column("set_by", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("alias", name="pk_flow_alias"),
    )
    op.create_table(
        "flow_count",
        sa.Column("flow", sa.String(39), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("node", sa.String(160), nullable=False),
        sa.Column("branch", sa.String(48), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("flow", "fingerprint", "day", "node", "branch", name="pk_flow_count"),
    )
    op.create_table(
        "flow_version",
        sa.Column("flow", sa.String(39), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("main", sa.String(80), nullable=False),
        sa.Column("published_at", sa.Float(), nullable=False),
        sa.Column("published_by", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("flow", "version", name="pk_flow_version"),
    )
    op.create_table(
        "house_switch",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(80), nullable=False),
        sa.Column("thrown_by", sa.String(32), nullable=False),
        sa.Column("thrown_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_house_switch"),
    )
    op.create_table(
        "kept_place",
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("checkpoint", sa.String(1000), nullable=False),
        sa.Column("queue", sa.String(39), nullable=False),
        sa.Column("joined_at", sa.Float(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("agent", sa.String(32), nullable=False),
        sa.Column("kept_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_kept_place"),
    )
    op.create_index("ix_kept_place_kept_at", "kept_place", ["kept_at"])

    op.create_table(
        "pin_guard",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.Column("locked_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_pin_guard"),
    )
    op.create_table(
        "service_request",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("customer_name", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("filed_at", sa.Float(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Float(), nullable=True),
        sa.Column("vouched", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name="pk_service_request"),
        sa.UniqueConstraint("conversation_id", "node", name="uq_service_request_conversation_id_node"),
    )
    op.create_index(
        "ix_service_request_source_customer_id_filed_at", "service_request", ["source", "customer_id", "filed_at"]
    )
    op.create_index("ix_service_request_state_filed_at", "service_request", ["state", "filed_at"])

    op.create_table(
        "voice_message",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("agent", sa.String(32), nullable=False),
        sa.Column("queue", sa.String(39), nullable=False),
        sa.Column("place", sa.String(120), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("customer_name", sa.String(120), nullable=False),
        sa.Column("left_at", sa.Float(), nullable=False),
        sa.Column("heard_at", sa.Float(), nullable=True),
        sa.Column("heard_by", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_voice_message"),
        sa.UniqueConstraint("place", name="uq_voice_message_place"),
    )
    op.create_index("ix_voice_message_heard_at_left_at", "voice_message", ["heard_at", "left_at"])

    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.add_column(sa.Column("level", sa.Text(), nullable=False, server_default="none"))
