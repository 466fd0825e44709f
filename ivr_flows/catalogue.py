"""What an office can be asked by ``lookup``, and what a ``request`` holds: names only, so that flows can be proven."""

from __future__ import annotations

from collections.abc import Mapping

LOOKUPS: Mapping[str, frozenset[str]] = {
    "orders": frozenset({"count", "number", "status", "placed_on", "total", "currency", "tracking"}),
    "invoices": frozenset(
        {"count", "open", "number", "status", "issued_on", "due_on", "residual", "total", "currency"}
    ),
    "customer": frozenset({"number", "language", "blocked"}),
    "requests": frozenset({"count", "kind", "status", "filed_on", "reference"}),
    "queue": frozenset({"waiting", "minutes", "ready"}),
}
"""What each look-up brings. Of orders, invoices and requests the newest is told (of invoices the oldest open one)."""
ARGUMENTS: Mapping[str, frozenset[str]] = {
    "orders": frozenset({"number"}),
    "invoices": frozenset({"number"}),
    "customer": frozenset(),
    "requests": frozenset(),
    "queue": frozenset({"queue"}),
}
"""``number``: the one order or invoice that is meant, in place of the newest. ``queue``: which queue."""
HOURS = frozenset({"reason", "opens_on", "opens_at"})
REQUESTS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    # What it must have, what it may have.
    "bank_details": (frozenset({"iban"}), frozenset()),
    "return": (frozenset({"order"}), frozenset({"article", "reason"})),
    "complaint": (frozenset(), frozenset({"order", "article", "reason"})),
}
