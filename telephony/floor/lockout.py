"""How often a password may be guessed (pure).

Some failures are free: people mistype. Each further one closes the door for twice as long as the one before, up to a
cap; after a quiet while all is forgotten. An attempt is counted when it begins, not when it has failed: otherwise a
thousand guesses sent at once would all find the door open.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Times in seconds."""

    free: int
    """Failures that cost nothing."""
    first: float
    cap: float
    forget: float
    """After so long without an attempt the count begins anew; not below ``cap``."""


PER_LOGIN = Rule(free=5, first=5.0, cap=300.0, forget=3600.0)
PER_ADDRESS = Rule(free=40, first=5.0, cap=900.0, forget=3600.0)
"""More room: a whole office may stand behind one address."""


@dataclass(frozen=True, slots=True)
class Tries:
    """The attempts on one login, or from one address, that have not succeeded."""

    count: int = 0
    last: float = 0.0
    closed_until: float = 0.0


def wait(tries: Tries, now: float) -> float:
    """Seconds until the next attempt is heard; 0 when the door is open."""
    return max(0.0, tries.closed_until - now)


def attempted(tries: Tries, rule: Rule, now: float) -> Tries:
    """The state after one more attempt; one that succeeds is taken back with ``succeeded``."""
    count = tries.count + 1 if now - tries.last < rule.forget else 1
    over = count - rule.free
    # The exponent is bounded: two to the power of a million attempts is a way to keep a processor busy.
    pause = 0.0 if over <= 0 else min(rule.cap, rule.first * 2.0 ** min(over - 1, 30))
    return Tries(count=count, last=now, closed_until=now + pause)


def succeeded(tries: Tries) -> Tries:
    """Take the last attempt back. The earlier ones stay: one known password must not buy guesses at others."""
    return Tries(count=max(0, tries.count - 1), last=tries.last, closed_until=0.0)


def forgotten(tries: Tries, rule: Rule, now: float) -> bool:
    """Whether this entry says nothing any more."""
    return now - tries.last >= rule.forget
