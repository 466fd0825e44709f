"""PINs have few digits: what protects them is the lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from crm_bridge.database import Database
from crm_bridge.pins import NUMBER_FACTOR, Guard, Lock, PinInvalid, Pins, attempted

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
LOCK = Lock(tries=3, seconds=600.0)
HER, HIS = "+493023125042", "+493023125555"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def pins(database: Database, clock: Clock) -> AsyncIterator[Pins]:
    made = Pins(database, LOCK, hasher=CHEAP, clock=clock)
    await made.set("crm", "c1", "4719")
    yield made
    made.close()


async def test_the_right_pin_is_right_and_others_are_wrong(pins: Pins) -> None:
    assert await pins.check("crm", "c1", "4719", HER) == "right"
    assert await pins.check("crm", "c1", "4718", HER) == "wrong"
    assert await pins.check("crm", "c2", "4719", HER) == "none"
    assert await pins.check("other crm", "c1", "4719", HER) == "none"


async def test_wrong_ones_in_a_row_lock_even_the_right_one_until_time_has_passed(pins: Pins, clock: Clock) -> None:
    assert [await pins.check("crm", "c1", "0000", HER) for _ in range(4)] == ["wrong", "wrong", "wrong", "locked"]
    assert await pins.check("crm", "c1", "4719", HIS) == "locked"
    clock.now += LOCK.seconds
    assert await pins.check("crm", "c1", "4719", HER) == "right"


async def test_a_right_one_forgets_the_wrong_ones_before_it(pins: Pins) -> None:
    for _ in range(4):
        assert [await pins.check("crm", "c1", pin, HER) for pin in ("0000", "0000", "4719")] == [
            "wrong",
            "wrong",
            "right",
        ]


async def test_a_number_that_tries_one_pin_at_many_customers_is_locked(pins: Pins) -> None:
    many = LOCK.tries * NUMBER_FACTOR
    for index in range(many + 1):
        await pins.set("crm", f"x{index}", "8642")
    assert [await pins.check("crm", f"x{index}", "0000", HIS) for index in range(many)] == ["wrong"] * many
    assert await pins.check("crm", f"x{many}", "8642", HIS) == "locked"
    assert await pins.check("crm", f"x{many}", "8642", HER) == "right"


async def test_many_calls_at_once_do_not_all_find_the_door_open(pins: Pins) -> None:
    verdicts = await asyncio.gather(*(pins.check("crm", "c1", f"{1000 + index}", "") for index in range(20)))
    assert sorted(set(verdicts)) == ["locked", "wrong"]
    assert verdicts.count("wrong") == LOCK.tries


async def test_a_new_pin_lifts_the_lock(pins: Pins) -> None:
    for _ in range(4):
        await pins.check("crm", "c1", "0000", "")
    await pins.set("crm", "c1", "8264")
    assert await pins.check("crm", "c1", "8264", "") == "right"


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12a4", "1111", "1234", "8765", "٤٧١٩"])
async def test_pins_that_are_none_or_too_simple(pins: Pins, pin: str) -> None:
    with pytest.raises(PinInvalid):
        await pins.set("crm", "c1", pin)
    assert await pins.check("crm", "c1", "4719", "") == "right"


async def test_what_lies_in_the_database_is_no_pin(pins: Pins, database: Database) -> None:
    async with database.connection() as connection:
        rows = (await connection.exec_driver_sql("SELECT pin_hash FROM caller_pin")).all()
    assert all(row[0].startswith("$argon2id$") and "4719" not in row[0] for row in rows)


@given(st.lists(st.floats(0, 1000), max_size=40))
def test_within_any_stretch_as_long_as_the_lock_no_more_are_tried_than_allowed(gaps: list[float]) -> None:
    guard, now, tried = Guard(), 0.0, []
    for gap in gaps:
        now += gap
        after = attempted(guard, LOCK.tries, LOCK, now)
        if after is not None:
            guard = after
            tried.append(now)
    for start in tried:
        # One more than the tries: the lock's end is where the next ones begin.
        assert sum(start <= one < start + LOCK.seconds for one in tried) <= 2 * LOCK.tries
