from __future__ import annotations

import pytest

from telephony.reception.waits import FIRST_SECONDS, MOST_MINUTES, Waits


@pytest.mark.parametrize(
    ("waiting", "ready", "staffed", "minutes"),
    [(0, 1, 1, 0), (2, 3, 3, 0), (0, 0, 1, 4), (0, 0, 4, 1), (7, 0, 4, 8), (3, 0, 0, 16), (999, 0, 1, MOST_MINUTES)],
)
def test_an_estimate(waiting: int, ready: int, staffed: int, minutes: int) -> None:
    assert Waits().minutes("service", waiting, ready, staffed) == minutes


def test_it_follows_how_long_calls_take() -> None:
    waits = Waits()
    for _ in range(100):
        waits.took("service", 60.0)
    assert waits.minutes("service", 3, 0, 2) == 2
    assert waits.minutes("orders", 0, 0, 1) == FIRST_SECONDS / 60
