"""How often a password may be guessed, as arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telephony.floor.lockout import Rule, Tries, attempted, forgotten, succeeded, wait

RULE = Rule(free=3, first=5.0, cap=60.0, forget=600.0)


def after(*times: float) -> Tries:
    tries = Tries()
    for now in times:
        tries = attempted(tries, RULE, now)
    return tries


def test_some_failures_are_free_and_then_the_door_closes_twice_as_long_each_time() -> None:
    waits = [wait(after(*[0.0] * count), 0.0) for count in range(1, 10)]
    assert waits == [0, 0, 0, 5, 10, 20, 40, 60, 60]


def test_the_door_opens_by_itself() -> None:
    tries = after(0, 0, 0, 0)
    assert (wait(tries, 4.0), wait(tries, 5.0), wait(tries, 50.0)) == (1.0, 0.0, 0.0)


def test_after_a_quiet_while_the_count_begins_anew() -> None:
    tries = after(0, 0, 0, 0, 600)
    assert (tries.count, wait(tries, 600)) == (1, 0.0)
    assert forgotten(tries, RULE, 1200)
    assert not forgotten(tries, RULE, 1199)


@given(known=st.integers(0, 50), guesses=st.integers(0, 50))
def test_successes_of_one_s_own_buy_no_guesses_at_others(known: int, guesses: int) -> None:
    tries = Tries()
    for _ in range(guesses):
        tries = attempted(tries, RULE, 0.0)
        for _ in range(known):
            tries = succeeded(attempted(tries, RULE, 0.0))
    assert tries.count == guesses


@given(times=st.lists(st.floats(0, 10_000), max_size=60).map(sorted))
def test_however_one_tries_the_pause_stays_within_its_bounds(times: list[float]) -> None:
    tries = Tries()
    for now in times:
        tries = attempted(tries, RULE, now)
        # A microsecond for what floats lose when a time is added to and taken away from.
        assert 0 <= wait(tries, now) <= RULE.cap + 1e-6
    assert after(*[0.0] * 5000).closed_until == RULE.cap
