"""What the settings have that flows can name, in the flows' own terms."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from ivr_flows.checks import House
from ivr_flows.opening import Hours, spans
from telephony.settings import OpeningHours, Settings

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def house_of(settings: Settings) -> House:
    """What a flow can be proven against."""
    return House(
        queues={queue.name for queue in settings.queues},
        hours={hours.name for hours in settings.hours},
        transfers={transfer.name for transfer in settings.transfers},
        exit_keys={queue.name: queue.exit_keys for queue in settings.queues},
        http=settings.flows.http_allow,
        constants=settings.flows.constants,
    )


def hours_of(settings: Settings) -> dict[str, Hours]:
    """The opening hours, by name."""
    zone = ZoneInfo(settings.office.time_zone)
    return {hours.name: _hours(hours, zone) for hours in settings.hours}


def _hours(hours: OpeningHours, zone: ZoneInfo) -> Hours:
    return Hours(
        zone=zone,
        week={WEEKDAYS.index(day): spans(open_) for day, open_ in hours.week.items()},
        holidays=hours.holidays,
        exceptions={one.date: spans(one.open) for one in hours.exceptions},
    )
