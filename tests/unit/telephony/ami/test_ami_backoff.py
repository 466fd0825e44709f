"""How long the client waits between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telephony.ami.client import backoff


def test_backoff_doubles_up_to_the_cap() -> None:
    assert [backoff(attempt, 0.25, 3, lambda: 0) for attempt in range(6)] == [0.25, 0.5, 1, 2, 3, 3]
    assert [backoff(attempt, 0.25, 3, lambda: 1) for attempt in range(6)] == [0.125, 0.25, 0.5, 1, 1.5, 1.5]


@given(
    attempt=st.integers(min_value=0),
    first=st.floats(0.01, 30),
    cap=st.floats(0.05, 60),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_backoff_stays_in_its_bounds(attempt: int, first: float, cap: float, chance: float) -> None:
    assert min(first, cap) / 2 <= backoff(attempt, first, cap, lambda: chance) <= cap
