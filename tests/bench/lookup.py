"""Bench: a customer looked up by number among 1,000,000 in SQLite, each row for the first time.

One JSON line. ``callfloor`` is the embedded adapter as the service uses it (an awaited call on the event loop);
``callfloor_bridge`` adds number reading, matching and the budget; ``engine`` is a select through the async engine,
which the adapter avoids; ``peer`` is plain ``sqlite3``, called synchronously on the same file; ``peer_memory`` is the
same table in an in-memory SQLite, the peer of the design's table. Times are milliseconds per look-up.

Cold row cache: every number is looked up once, from a connection whose page cache began empty, after the file was
dropped from the kernel's page cache. ``--customers N`` and ``--lookups N`` make it smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

from sqlmodel import col
from sqlmodel import select as select_model

from crm_bridge.adapters.embedded import EmbeddedAdapter
from crm_bridge.bridge import Bridge
from crm_bridge.database import Database
from crm_bridge.tables import Customer, CustomerPhone
from telephony.migrations import upgrade

QUERY = (
    "SELECT c.id, c.number, c.name, c.company, c.language "
    "FROM customer c JOIN customer_phone p ON p.customer_id = c.id "
    "WHERE p.e164 = ? ORDER BY p.is_primary DESC, c.number LIMIT 50"
)
GOAL_MS = 1.0


def number(place: int) -> str:
    """Made-up numbers of an unassigned area code; nothing is dialled."""
    return f"+4939999{place:07}"


def customers(count: int) -> Iterator[tuple[str, str, str]]:
    for place in range(count):
        yield f"{place:08x}-0000-4000-8000-000000000000", f"{1_000_000 + place}", f"Customer {place}"


def fill(connection: sqlite3.Connection, count: int) -> None:
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO customer (id, number, name, company, email, language, blocked, created_at, updated_at) "
        "VALUES (?, ?, ?, '', '', 'de', 0, 0, 0)",
        customers(count),
    )
    # In another order than the customers, as in life: neighbours in one table are no neighbours in the other.
    order = list(range(count))
    random.Random(1).shuffle(order)
    connection.executemany(
        "INSERT INTO customer_phone (customer_id, e164, raw, kind, is_primary) VALUES (?, ?, '', '', 1)",
        ((f"{place:08x}-0000-4000-8000-000000000000", number(place)) for place in order),
    )
    connection.execute("COMMIT")


def drop_from_cache(path: Path) -> None:
    """Have the kernel forget the file's pages."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def percentiles(samples: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(samples, n=1000)
    return {
        "p50_ms": round(cuts[499] * 1000, 4),
        "p99_ms": round(cuts[989] * 1000, 4),
        "max_ms": round(max(samples) * 1000, 3),
    }


async def timed(ask: Callable[[str], Awaitable[object]], numbers: list[str]) -> dict[str, float]:
    samples = []
    for one in numbers:
        begun = time.perf_counter()
        found = await ask(one)
        samples.append(time.perf_counter() - begun)
        assert found, one
    return percentiles(samples)


def timed_peer(connection: sqlite3.Connection, numbers: list[str]) -> dict[str, float]:
    samples = []
    for one in numbers:
        begun = time.perf_counter()
        found = connection.execute(QUERY, (one,)).fetchall()
        samples.append(time.perf_counter() - begun)
        assert len(found) == 1, one
    return percentiles(samples)


async def measure(folder: Path, count: int, lookups: int) -> dict[str, object]:
    path = folder / "customers.db"
    database = Database(f"sqlite:///{path}")
    await upgrade(database)
    await database.close()
    begun = time.perf_counter()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        fill(connection, count)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        schema = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql LIKE 'CREATE %'")]
    filled = time.perf_counter() - begun
    every = random.Random(2).sample(range(count), lookups * 5)
    shares = [[number(place) for place in every[part::5]] for part in range(5)]

    result: dict[str, object] = {
        "bench": "lookup",
        "customers": count,
        "lookups": lookups,
        "file_mb": round(path.stat().st_size / 1e6),
        "fill_s": round(filled, 1),
        "goal_p99_ms": GOAL_MS,
    }
    drop_from_cache(path)
    database = Database(f"sqlite:///{path}")
    result["callfloor"] = ours = await timed(EmbeddedAdapter(database).find_by_number, shares[0])
    await database.close()

    drop_from_cache(path)
    database = Database(f"sqlite:///{path}")
    bridge = Bridge(EmbeddedAdapter(database))

    async def identified(one: str) -> bool:
        return (await bridge.identify(one)).match.customer is not None

    result["callfloor_bridge"] = await timed(identified, shares[1])
    await bridge.close()
    await database.close()

    drop_from_cache(path)
    database = Database(f"sqlite:///{path}")

    async def through_engine(one: str) -> bool:
        query = select_model(Customer).join(CustomerPhone).where(col(CustomerPhone.e164) == one)
        async with database.session() as session:
            return (await session.exec(query)).first() is not None

    result["engine"] = await timed(through_engine, shares[2][: max(lookups // 10, 100)])
    await database.close()

    drop_from_cache(path)
    with closing(sqlite3.connect(path)) as connection:
        result["peer"] = timed_peer(connection, shares[3])
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in schema:
            connection.execute(statement)
        fill(connection, count)
        result["peer_memory"] = timed_peer(connection, shares[4])
    result["reached"] = ours["p99_ms"] <= GOAL_MS
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--customers", type=int, default=1_000_000)
    arguments.add_argument("--lookups", type=int, default=20_000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="callfloor-lookup-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), options.customers, options.lookups))), flush=True)


if __name__ == "__main__":
    main()
