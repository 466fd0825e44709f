"""Opening hours: is somebody there, why not, and when again. Pure: the time is handed in.

Public holidays come from the library ``holidays``, by country and federal state. An exception by date goes before
everything but the emergency switch.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from holidays import country_holidays

State = Literal["open", "closed", "holiday", "emergency"]
AHEAD_DAYS = 60
"""How far ahead the next opening is looked for."""
_MIDNIGHT = 24 * 60

Spans = tuple[tuple[int, int], ...]
"""Minutes after midnight, from and to."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When an office is open. ``week``: by weekday, Monday is 0."""

    zone: ZoneInfo
    week: Mapping[int, Spans]
    holidays: str | None = None
    """``DE``, ``DE-BY``."""
    exceptions: Mapping[datetime.date, Spans] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opening:
    """How it stands. ``reason``: the holiday's name, or why somebody closed; may be empty."""

    state: State
    reason: str = ""
    opens_on: datetime.date | None = None
    opens_at: str = ""
    """``08:00``; empty when it is open, or when no opening is known."""


def spans(texts: Sequence[str]) -> Spans:
    """``08:00-20:00`` as minutes. The settings have checked the form."""
    return tuple((_minute(text[:5]), _minute(text[6:])) for text in texts)


def opening(hours: Hours, now: datetime.datetime, emergency: str | None = None, language: str = "de") -> Opening:
    """How it stands at ``now`` (an aware time). ``emergency``: why somebody has closed the office; none: nobody has."""
    local = now.astimezone(hours.zone)
    if emergency is not None:
        return Opening("emergency", emergency)
    minute = local.hour * 60 + local.minute
    today = _day(hours, local.date())
    if any(start <= minute < end for start, end in today):
        return Opening("open")
    on, at = _next(hours, local.date(), minute)
    holiday = "" if local.date() in hours.exceptions else _holiday(hours.holidays, local.date(), language)
    return Opening("holiday" if holiday else "closed", holiday, on, at)


def _next(hours: Hours, day: datetime.date, minute: int) -> tuple[datetime.date | None, str]:
    for ahead in range(AHEAD_DAYS):
        date = day + datetime.timedelta(days=ahead)
        later = [start for start, _ in _day(hours, date) if ahead or start > minute]
        if later:
            return date, f"{min(later) // 60:02}:{min(later) % 60:02}"
    return None, ""


def _day(hours: Hours, date: datetime.date) -> Spans:
    if date in hours.exceptions:
        return hours.exceptions[date]
    if _holiday(hours.holidays, date, ""):
        return ()
    return hours.week.get(date.weekday(), ())


@lru_cache(maxsize=4096)
def _holiday(where: str | None, date: datetime.date, language: str) -> str:
    if where is None:
        return ""
    country, _, state = where.partition("-")
    # Without a language the library would take the machine's; one it lacks becomes the country's own.
    tongue = {"de": "de", "en": "en_US"}.get(language, "de")
    try:
        found = country_holidays(country, subdiv=state or None, years=date.year, language=tongue)
    except NotImplementedError:
        found = country_holidays(country, subdiv=state or None, years=date.year)
    return str(found.get(date) or "")


def _minute(text: str) -> int:
    return min(int(text[:2]) * 60 + int(text[3:]), _MIDNIGHT)
