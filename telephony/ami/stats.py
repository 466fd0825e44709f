"""What an AMI client counts, for metrics and the doctor."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counters since the client was made; both connections together unless said otherwise."""

    messages: int = 0
    events: int = 0
    """Events of the event connection."""
    malformed: dict[str, int] = field(default_factory=dict)
    """Frames that were skipped, by kind."""
    unmatched: int = 0
    """Answers nobody waits for: late ones, and complaints about actions Asterisk could not parse."""
    reconnects: int = 0
    """How often a connection that had been logged in was lost."""
    lag: float | None = None
    """Seconds between the newest event's time-stamp and its arrival. The clocks of both machines are in it."""
    ping_rtt: float | None = None
    """Seconds the newest ping took."""
    consumer_errors: int = 0
    """Exceptions of ``on_batch`` and ``on_link``."""
    listener_errors: int = 0
    listener_dropped: int = 0
    """Events that listeners missed because one of them was too slow."""
