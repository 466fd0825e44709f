"""The outbox: delays, never loses, never writes twice."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import sqlmodel
import structlog
from hypothesis import given
from hypothesis import strategies as st

from crm_bridge.adapters.embedded import EmbeddedAdapter
from crm_bridge.database import Database, DatabaseUnreachable
from crm_bridge.outbox import (
    MAX_RETRY_AFTER,
    OutboxWorker,
    RetryDecision,
    RetryPolicy,
    backoff,
    counts,
    decide,
    idempotency_key,
    items,
    retry,
    retry_dead,
)
from crm_bridge.ports import CallReport, Card, CrmError, CrmRefused, CrmUnavailable, CustomerRef
from crm_bridge.records import ConversationRecord as Record
from crm_bridge.records import recent_calls, save_wrap_up, write_records
from crm_bridge.samples import SAMPLES, load_samples
from crm_bridge.tables import OutboxRow

POLICY = RetryPolicy(first=2.0, cap=300.0, attempts=60)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Crm:
    """A CRM that keeps its promise: one key, one call. ``answer`` decides what becomes of each attempt."""

    name = "fake"

    def __init__(self) -> None:
        self.written: dict[str, CallReport] = {}
        self.attempts = 0
        self.failure: CrmError | None = None
        self.forgets_to_answer = False

    async def record_call(self, report: CallReport, key: str) -> str:
        self.attempts += 1
        if self.failure is not None:
            raise self.failure
        reference = f"R{list(self.written).index(key) if key in self.written else len(self.written)}"
        self.written.setdefault(key, report)
        if self.forgets_to_answer:
            raise CrmUnavailable("the connection was dropped after the write")
        return reference

    async def find_by_number(self, e164: str) -> tuple[CustomerRef, ...]:
        return ()

    async def find_by_customer_number(self, number: str) -> CustomerRef | None:
        return None

    async def card(self, customer_id: str) -> Card | None:
        return None

    async def check(self) -> None:
        return None


def report(conversation: str, note: str = "") -> CallReport:
    return CallReport(
        conversation, None, "in", "+493023125042", "service", "eva", "Eva", 1.0, 2.0, 3.0, 1.0, "PARCEL", "Paket", note,
        ("hello",), "certain",
    )  # fmt: skip


def worker(database: Database, crm: Crm, clock: Clock, **more: object) -> OutboxWorker:
    return OutboxWorker(database, crm, POLICY, clock=clock, jitter=lambda: 1.0, **more)  # type: ignore[arg-type]


async def owe(database: Database, *conversations: str, at: float) -> None:
    for conversation in conversations:
        await save_wrap_up(database, report(conversation), adapter="fake", at=at)


async def advance(one: OutboxWorker, clock: Clock, until: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Let virtual time pass, turn by turn, until the condition holds."""
    end = clock.now + seconds
    while not await until():
        assert clock.now < end, "the condition did not come true in time"
        if not await one.turn():
            clock.now += max(await one.idle_for(), 0.5)


# The policy


def test_a_refusal_is_final_and_so_is_the_last_attempt() -> None:
    assert decide(CrmRefused("no"), 1, POLICY, 0.5) == RetryDecision("dead")
    assert decide(CrmUnavailable("later"), 60, POLICY, 0.5) == RetryDecision("dead")
    assert decide(CrmUnavailable("later"), 59, POLICY, 0.5).state == "waiting"


def test_the_wait_doubles_up_to_the_cap() -> None:
    assert [backoff(failures, POLICY, 1.0) for failures in (1, 2, 3, 8, 9, 5000)] == [2, 4, 8, 256, 300, 300]


@given(
    failures=st.integers(1, 10_000),
    jitter=st.floats(0, 1),
    asked=st.none() | st.floats(0, 1e9),
)
def test_the_wait_is_bounded_and_never_shorter_than_asked(failures: int, jitter: float, asked: float | None) -> None:
    wait = backoff(failures, POLICY, jitter, asked)
    assert min(asked or 0.0, MAX_RETRY_AFTER) <= wait <= max(POLICY.cap, MAX_RETRY_AFTER)
    assert wait >= POLICY.first / 2


# The worker


async def test_a_delivery_is_noted_with_its_reference(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await write_records(database, [Record("a", clock.now, agent="eva")])
    await owe(database, "a", at=clock.now)
    assert await worker(database, crm, clock).turn() == 1
    assert list(crm.written) == [idempotency_key("a", "wrap_up:eva")]
    assert crm.written["a/wrap_up:eva"] == report("a")
    (call,) = await recent_calls(database)
    assert (call.crm_state, call.crm_reference) == ("done", "R0")
    assert await items(database, "fake") == []


async def test_a_crm_that_is_down_for_an_hour_delays_and_loses_nothing(database: Database) -> None:
    clock, crm = Clock(), Crm()
    names = [f"c{number:02}" for number in range(30)]
    await owe(database, *names, at=clock.now)
    one = worker(database, crm, clock)
    crm.failure = CrmUnavailable("503")
    began = clock.now

    async def an_hour_passed() -> bool:
        return clock.now >= began + 3600

    await advance(one, clock, an_hour_passed, 3700)
    assert crm.written == {}
    assert crm.attempts < 60, "a CRM that is down must not be hammered"
    assert (await counts(database, "fake")).waiting == 30
    crm.failure = None

    async def delivered() -> bool:
        return len(crm.written) == 30

    await advance(one, clock, delivered, 600)
    assert sorted(crm.written) == sorted(idempotency_key(name, "wrap_up:eva") for name in names)
    assert await items(database, "fake") == []


async def test_a_write_whose_answer_was_lost_is_repeated_under_the_same_key(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, "a", at=clock.now)
    one = worker(database, crm, clock)
    crm.forgets_to_answer = True
    await one.turn()
    crm.forgets_to_answer = False

    async def done() -> bool:
        return not await items(database, "fake")

    await advance(one, clock, done, 60)
    assert (crm.attempts, len(crm.written)) == (2, 1)


async def test_retry_after_is_honoured(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, "a", "b", at=clock.now)
    one = worker(database, crm, clock)
    crm.failure = CrmUnavailable("429", retry_after=120.0)
    await one.turn()
    tried = crm.attempts
    clock.now += 119
    assert await one.turn() == 0
    crm.failure = None
    clock.now += 2
    assert await one.turn() == 1
    assert crm.attempts == tried + 1


async def test_a_refusal_is_a_dead_letter_that_people_see_and_retry(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, "a", "b", at=clock.now)
    one = worker(database, crm, clock)
    crm.failure = CrmRefused("401: the secret is wrong")
    await one.turn()
    rows = await items(database, "fake")
    assert [(row.state, row.last_error) for row in rows] == [("dead", "401: the secret is wrong")] * 2
    assert (await counts(database, "fake")).dead == 2
    crm.failure = None
    for nothing in (999_999, 0, 2**31, 2**63, 10**60):
        assert not await retry(database, nothing, now=clock.now)
    assert rows[0].id is not None
    assert await retry(database, rows[0].id, now=clock.now)
    assert not await retry_dead(database, "another adapter", now=clock.now)
    assert await retry_dead(database, "fake", now=clock.now) == 1
    await one.turn()
    assert len(crm.written) == 2


async def test_after_its_attempts_a_row_is_dead(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, "a", at=clock.now)
    one = OutboxWorker(database, crm, replace(POLICY, attempts=3), clock=clock, jitter=lambda: 0.0)
    crm.failure = CrmUnavailable("503")

    async def dead() -> bool:
        return (await counts(database, "fake")).dead == 1

    await advance(one, clock, dead, 60)
    assert crm.attempts == 3


async def test_a_claim_that_ran_out_is_delivered_by_another_worker(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, "a", at=clock.now)
    first = worker(database, crm, clock, claim_seconds=60.0)
    (claim,) = await first._claim(1)
    second = worker(database, crm, clock)
    assert await second.turn() == 0
    clock.now += 61
    assert await second.turn() == 1
    # The first one wakes up late and reports a failure: the delivery stands.
    await first._failed(claim, CrmUnavailable("late"), {})
    assert await items(database, "fake") == []


async def test_workers_side_by_side_never_take_the_same_row(database_url: str, database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, *(f"c{number}" for number in range(20)), at=clock.now)
    others = [Database(database_url, busy_seconds=10) for _ in range(3)]
    workers = [worker(one, crm, clock) for one in (database, *others)]

    async def drain(one: OutboxWorker) -> None:
        while await one.turn():
            pass

    await asyncio.gather(*(drain(one) for one in workers))
    assert (crm.attempts, len(crm.written)) == (20, 20)
    for other in others:
        await other.close()


async def test_a_payload_nobody_can_read_is_dead_at_once(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, "a", at=clock.now)
    async with database.transaction() as session:
        (row,) = await items(database, "fake")
        row.payload = {"colour": "green"}
        await session.merge(row)
    await worker(database, crm, clock).turn()
    (row,) = await items(database, "fake")
    assert (row.state, crm.attempts) == ("dead", 0)


async def test_a_fault_in_the_adapter_is_survived(database: Database) -> None:
    clock, crm = Clock(), Crm()
    await owe(database, "a", at=clock.now)
    crm.failure = ZeroDivisionError()  # type: ignore[assignment]
    await worker(database, crm, clock).turn()
    (row,) = await items(database, "fake")
    assert (row.state, row.last_error) == ("waiting", "fault in the adapter: ZeroDivisionError")


@pytest.mark.parametrize(
    ("reference", "state", "kept"),
    [("REF\0-1\udcff", "done", "REF\ufffd-1\ufffd"), (object(), "dead", None), (10**30, "dead", None)],
)
async def test_a_reference_that_no_database_takes_neither_ends_the_worker_nor_comes_back_for_ever(
    database: Database, reference: object, state: str, kept: str | None
) -> None:
    class Odd(Crm):
        async def record_call(self, report: CallReport, key: str) -> str:
            await super().record_call(report, key)
            return reference if report.conversation == "odd" else "R"  # type: ignore[return-value]

    clock, crm = Clock(), Odd()
    await owe(database, "odd", "a", at=clock.now)
    assert await worker(database, crm, clock).turn() == 2
    async with database.session() as session:
        rows = {row.conversation_id: row for row in (await session.exec(sqlmodel.select(OutboxRow))).all()}
    assert (rows["odd"].state, rows["odd"].external_id) == (state, kept)
    assert (rows["a"].state, rows["a"].external_id) == ("done", "R")
    if state == "dead":
        assert "does not take what became of this delivery" in rows["odd"].last_error
        assert "\n" not in rows["odd"].last_error


async def test_a_fault_that_nobody_foresaw_does_not_end_the_worker(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm, delivered = Crm(), asyncio.Event()
    one = OutboxWorker(database, crm, POLICY, observe=lambda _: delivered.set(), poll_seconds=0.01)
    real, faults = one.turn, [RuntimeError("nobody foresaw it"), DatabaseUnreachable("gone")]

    async def turn() -> int:
        if faults:
            raise faults.pop(0)
        return await real()

    monkeypatch.setattr(one, "turn", turn)
    await owe(database, "a", at=0.0)
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(one.run())
        try:
            await asyncio.wait_for(delivered.wait(), 5)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert [one["event"] for one in logs][:2] == ["outbox_turn_failed", "outbox_database_failed"]


async def test_the_running_worker_wakes_up_for_a_new_row_and_tells_how_the_crm_is(database: Database) -> None:
    crm = Crm()
    seen: list[CrmError | None] = []
    told = asyncio.Event()

    def observe(failure: CrmError | None) -> None:
        seen.append(failure)
        told.set()

    one = OutboxWorker(database, crm, POLICY, observe=observe, poll_seconds=600.0)
    running = asyncio.create_task(one.run())
    try:
        await owe(database, "a", at=0.0)
        await asyncio.wait_for(told.wait(), 5)
        told.clear()
        crm.failure = CrmUnavailable("503")
        await owe(database, "b", at=0.0)
        await asyncio.wait_for(told.wait(), 5)
        crm.failure = None
        told.clear()
        (row,) = await items(database, "fake")
        async with asyncio.timeout(5):
            while not await retry(database, row.id or 0, now=0.0):  # noqa: ASYNC110 - told of before it is noted
                await asyncio.sleep(0.002)
        one.hurry()
        await asyncio.wait_for(told.wait(), 5)
        assert [type(failure) for failure in seen] == [type(None), CrmUnavailable, type(None)]
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


KILLED = textwrap.dedent(
    """
    import asyncio, os, signal, sys
    from crm_bridge.adapters.embedded import EmbeddedAdapter
    from crm_bridge.database import Database
    from crm_bridge.outbox import OutboxWorker, RetryPolicy

    class Killed(EmbeddedAdapter):
        async def record_call(self, report, key):
            await super().record_call(report, key)
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        database = Database(sys.argv[1])
        await OutboxWorker(database, Killed(database), RetryPolicy(), claim_seconds=1.0).run()

    asyncio.run(main())
    """
)


async def test_kill_9_between_the_write_and_its_note_leaves_one_call_in_the_crm(
    database_url: str, database: Database
) -> None:
    await load_samples(database, now=1_700_000_000.0)
    known = replace(report("a", "Paket gesucht"), customer=SAMPLES[0].id)
    await save_wrap_up(database, known, adapter="embedded", at=1.0)
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED, database_url], capture_output=True, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (row,) = await items(database, "embedded")
    assert row.state == "claimed"
    assert row.claimed_until is not None
    until = row.claimed_until
    one = OutboxWorker(database, EmbeddedAdapter(database), RetryPolicy(), clock=lambda: until + 0.1)
    assert await one.turn() == 1
    assert await items(database, "embedded") == []
    card = await EmbeddedAdapter(database).card(SAMPLES[0].id)
    assert card is not None
    assert [activity.text for activity in card.activities if activity.kind == "call"] == ["Paket: Paket gesucht"]
