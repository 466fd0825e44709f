"""The history of the tables, and the way from any of its points to the present one."""

from telephony.migrations.runner import current_revision, head_revision, require_current, upgrade

__all__ = ["current_revision", "head_revision", "require_current", "upgrade"]
