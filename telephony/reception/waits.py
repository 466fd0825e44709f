"""How long a caller will wait: an estimate from how long calls take lately. Pure."""

from __future__ import annotations

import math

FIRST_SECONDS = 240.0
"""How long a call takes, wrap-up included, before we have seen one."""
WEIGHT = 0.1
"""How much the latest call counts."""
MOST_MINUTES = 60
GRACE = 0.1
"""Minutes above a whole one that are not worth another."""


class Waits:
    """Call lengths by queue, as a moving average."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def took(self, queue: str, seconds: float) -> None:
        """A call took so long."""
        before = self._seconds.get(queue, FIRST_SECONDS)
        self._seconds[queue] = before + WEIGHT * (seconds - before)

    def minutes(self, queue: str, waiting: int, ready: int, staffed: int = 0) -> int:
        """Whole minutes that one who joins now waits, rounded up; 0 when an agent is free.

        ``staffed``: agents at work in the queue, busy ones included, if that is known.
        """
        if ready > waiting:
            return 0
        ahead = waiting - ready + 1
        seconds = self._seconds.get(queue, FIRST_SECONDS) * ahead / max(1, staffed or ready)
        return min(MOST_MINUTES, max(1, math.ceil(seconds / 60 - GRACE)))
