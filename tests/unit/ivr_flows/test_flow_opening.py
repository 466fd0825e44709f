"""Opening hours: weekdays, spans, holidays by federal state, exceptions, the emergency switch, the clock's changes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ivr_flows.opening import Hours, Opening, opening, spans

BERLIN = ZoneInfo("Europe/Berlin")
DAY = spans(["08:00-12:00", "13:00-20:00"])
HOURS = Hours(
    BERLIN,
    {**dict.fromkeys(range(5), DAY), 5: spans(["09:00-16:00"])},
    "DE-BY",
    {date(2026, 12, 24): spans(["08:00-12:00"]), date(2026, 12, 27): spans(["10:00-18:00"]), date(2026, 12, 28): ()},
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("when", "state", "reason", "opens"),
    [
        ("2026-11-24 08:00", "open", "", ""),
        ("2026-11-24 07:59", "closed", "", "2026-11-24 08:00"),
        ("2026-11-24 12:00", "closed", "", "2026-11-24 13:00"),
        ("2026-11-24 20:00", "closed", "", "2026-11-25 08:00"),
        ("2026-11-28 16:30", "closed", "", "2026-11-30 08:00"),
        # All Saints is one in Bavaria; in 2027 it is a Monday.
        ("2027-11-01 10:00", "holiday", "Allerheiligen", "2027-11-02 08:00"),
        ("2026-12-25 10:00", "holiday", "Erster Weihnachtstag", "2026-12-27 10:00"),
        # Exceptions: a short day, a Sunday that is open, a Monday that is not.
        ("2026-12-24 11:59", "open", "", ""),
        ("2026-12-24 12:01", "closed", "", "2026-12-27 10:00"),
        ("2026-12-27 11:00", "open", "", ""),
        ("2026-12-28 11:00", "closed", "", "2026-12-29 08:00"),
    ],
)
def test_how_it_stands(when: str, state: str, reason: str, opens: str) -> None:
    found = opening(HOURS, at(when))
    shown = f"{found.opens_on} {found.opens_at}" if found.opens_on is not None else ""
    assert (found.state, found.reason, shown) == (state, reason, opens)


def test_another_state_has_other_holidays() -> None:
    hamburg = Hours(BERLIN, HOURS.week, "DE-HH")
    assert opening(hamburg, at("2027-11-01 10:00")).state == "open"
    assert opening(hamburg, at("2026-10-31 10:00")).state == "holiday"


def test_holidays_have_names_in_english_too() -> None:
    assert opening(HOURS, at("2026-12-25 10:00"), language="en").reason == "Christmas Day"


def test_somebody_has_closed_the_office() -> None:
    assert opening(HOURS, at("2026-11-24 10:00"), "Wasserschaden") == Opening("emergency", "Wasserschaden")


def test_it_is_the_offices_clock_that_counts() -> None:
    # 06:30 in UTC is 07:30 in Berlin in winter, and 08:30 in summer.
    assert opening(HOURS, datetime(2026, 11, 24, 6, 30, tzinfo=UTC)).state == "closed"
    assert opening(HOURS, datetime(2026, 7, 14, 6, 30, tzinfo=UTC)).state == "open"


def test_until_midnight_and_never() -> None:
    night = Hours(BERLIN, {1: spans(["00:00-24:00"])})
    assert opening(night, at("2026-11-24 23:59")).state == "open"
    never = opening(Hours(BERLIN, {}), at("2026-11-24 10:00"))
    assert (never.state, never.opens_on, never.opens_at) == ("closed", None, "")
