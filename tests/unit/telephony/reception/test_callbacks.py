"""Call-backs: the place is kept, agents are not overrun, and nobody is called twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_bridge.database import Database
from telephony.reception.callbacks import LEASE_SECONDS, CallBacks, QueueView, Wanted, due, may_call
from telephony.reception.tables import CallBackPromise
from telephony.settings import CallBacks as Rules

RULES = Rules(allow=("+49",), attempts=2, retry_minutes=5, valid_hours=1)
WANTED = Wanted("service", "+493023125042", "de", "c1", "Erika", "pbx1-1.1")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def callbacks(database: Database, clock: Clock) -> CallBacks:
    return CallBacks(database, RULES, clock)


def promise(id_: str, place: float, queue: str = "service", state: str = "waiting", **more: float) -> CallBackPromise:
    times = {"next_at": 0.0, "expires_at": 1e9, **more}
    return CallBackPromise(id=id_, queue=queue, number="+4930", place_at=place, state=state, **times)


@pytest.mark.parametrize(
    ("promises", "waiting", "ready", "expected"),
    [
        ([], [], 3, []),
        ([promise("a", 10)], [], 1, ["a"]),
        ([promise("a", 10)], [], 0, []),
        ([promise("b", 20), promise("a", 10)], [], 2, ["a", "b"]),
        ([promise("b", 20), promise("a", 10)], [], 1, ["a"]),
        # Who joined before the promise and still waits comes first; who joined after it does not.
        ([promise("a", 10)], [5.0], 2, []),
        ([promise("a", 10)], [15.0], 2, ["a"]),
        ([promise("a", 10), promise("b", 20)], [15.0], 2, ["a"]),
        # One that is being called takes one of the agents.
        ([promise("a", 10, state="calling"), promise("b", 20)], [], 1, []),
        ([promise("a", 10, state="calling"), promise("b", 20)], [], 2, ["b"]),
        # Not yet again, or too late.
        ([promise("a", 10, next_at=600.0), promise("b", 20)], [], 2, ["b"]),
        ([promise("a", 10, expires_at=500.0)], [], 2, []),
        # Another queue's agents are not this one's.
        ([promise("a", 10, queue="orders")], [], 2, []),
    ],
)
def test_who_is_called_now(
    promises: list[CallBackPromise], waiting: list[float], ready: int, expected: list[str]
) -> None:
    found = due(promises, {"service": QueueView(waiting, ready), "orders": QueueView([], 0)}, 500.0)
    assert [one.id for one in found] == expected


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=12),
    st.lists(st.floats(0, 100), max_size=6),
    st.integers(0, 6),
)
def test_never_more_than_there_are_agents_and_never_before_ones_turn(
    places: list[tuple[float, bool]], waiting: list[float], ready: int
) -> None:
    promises = [
        promise(f"p{index}", place, state="calling" if calling else "waiting")
        for index, (place, calling) in enumerate(places)
    ]
    chosen = due(promises, {"service": QueueView(waiting, ready)}, 500.0)
    calling = sum(one.state == "calling" for one in promises)
    assert len(chosen) <= max(0, ready - calling)
    assert all(one.place_at <= min(waiting, default=1e9) for one in chosen)


@pytest.mark.parametrize(
    ("number", "allowed"), [("+4930123", True), ("+12025550100", False), ("0049", False), ("", False)]
)
def test_which_numbers_may_be_called(number: str, allowed: bool) -> None:
    assert may_call(number, RULES) is allowed


async def test_one_number_has_one_promise(callbacks: CallBacks) -> None:
    answers = await asyncio.gather(*(callbacks.promise(WANTED) for _ in range(6)))
    assert sorted(answers) == ["already"] * 5 + ["next"]
    assert await callbacks.promise(replace(WANTED, number="+12025550100")) == "refused"
    (open_,) = await callbacks.open()
    assert (open_.number, open_.customer_name, open_.place_at) == ("+493023125042", "Erika", 1000.0)
    assert await callbacks.end(open_.id, "withdrawn")
    assert not await callbacks.end(open_.id, "withdrawn")
    assert await callbacks.promise(WANTED) == "next"


async def test_one_promise_is_claimed_once(callbacks: CallBacks) -> None:
    await callbacks.promise(WANTED)
    (open_,) = await callbacks.open()
    claims = await asyncio.gather(*(callbacks.claim(open_.id) for _ in range(6)))
    assert [claim.attempts for claim in claims if claim is not None] == [1]


async def test_missed_calls_are_tried_again_and_then_given_up(callbacks: CallBacks, clock: Clock) -> None:
    await callbacks.promise(WANTED)
    (open_,) = await callbacks.open()
    assert await callbacks.claim(open_.id)
    await callbacks.missed(open_.id)
    (again,) = await callbacks.open()
    assert (again.state, again.next_at, again.place_at) == ("waiting", clock.now + 300, 1000.0)
    assert await callbacks.claim(open_.id)
    await callbacks.missed(open_.id)
    assert await callbacks.open() == []
    assert await callbacks.promise(WANTED) == "next"


async def test_a_claim_of_a_process_that_died_runs_out_and_one_that_lives_does_not(
    callbacks: CallBacks, clock: Clock
) -> None:
    await callbacks.promise(WANTED)
    (open_,) = await callbacks.open()
    assert await callbacks.claim(open_.id)
    clock.now += LEASE_SECONDS - 1
    await callbacks.renew({open_.id})
    clock.now += LEASE_SECONDS - 1
    await callbacks.tidy()
    assert [one.state for one in await callbacks.open()] == ["calling"]
    clock.now += 2
    await callbacks.tidy()
    assert [one.state for one in await callbacks.open()] == ["waiting"]


async def test_a_promise_nobody_could_keep_expires(callbacks: CallBacks, clock: Clock) -> None:
    await callbacks.promise(WANTED)
    clock.now += 3601
    await callbacks.tidy()
    assert await callbacks.open() == []
    assert await callbacks.promise(WANTED) == "next"
