"""Memory: KiB for each of 10,000 live conversations, and whether it stays flat over many replayed calls.

The service's own composition (``App``) without its sockets is fed the bytes of one whole call that a real Asterisk
sent (``tests/captures``), again and again with other ids, callers and agents: codec, tracker, floor, pops with the
customer's card, presence, call records on disk. Live conversations are talking, each with its pop on an agent's desk;
counted are 10,000 that join 10,000 others. What is kept on purpose and bounded (the stream's last changes, known
numbers) is filled before the first look.

Figures are the process's resident memory. There is no peer: panoramisk keeps no state. 200,000 calls take about four
minutes; ``--calls 1000000`` replays the million of the design. Run: ``python tests/bench/memory.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import _stage as stage
import structlog

from telephony import migrations
from telephony.ami.client import LinkState, LinkStatus
from telephony.ami.codec import Event, FrameDecoder, to_bytes
from telephony.app import App, calm_garbage_collector
from telephony.conversations import journal

CAPTURE = stage.ROOT / "tests/captures/conversations/answered.ami"
LIVE = 10_000
LIVE_GOAL_KIB = 8.0
FLAT_GOAL = 0.05
"""From a tenth of the calls to all of them, memory may grow by so much and still be called flat."""
AGENTS = 500
CALLERS = 20_000
AT_ONCE = 20
"""Calls fed between two turns of the loop."""


class Call:
    """The bytes of one call, cut into what happens until the talk, and the rest."""

    def __init__(self) -> None:
        data = b"".join(record.data for record in journal.read(CAPTURE) if record.kind == journal.EVENTS)
        frames = [frame + b"\r\n\r\n" for frame in data.split(b"\r\n\r\n") if b"pbx1-" in frame]
        cut = next(place for place, frame in enumerate(frames) if b"HangupRequest" in frame.partition(b"\r\n")[0])
        self.events = len(frames)
        self._id = re.findall(rb"pbx1-\d+", frames[0])[0]
        self._bridge = re.findall(rb"BridgeUniqueid: ([0-9a-f-]{36})", data)[0]
        self._number = re.findall(rb"CallerIDNum: (\+\d+)", data)[0]
        self._phone = re.findall(rb"Interface: PJSIP/(\w+)", data)[0]
        self._until_talk, self._rest = b"".join(frames[:cut]), b"".join(frames[cut:])

    def until_talk(self, place: int) -> bytes:
        return self._made(self._until_talk, place)

    def rest(self, place: int) -> bytes:
        return self._made(self._rest, place)

    def _made(self, text: bytes, place: int) -> bytes:
        caller, agent = stage.number(place % CALLERS), place % AGENTS
        return (
            text.replace(self._id, b"pbx1-%d" % (1_800_000_000 + place))
            .replace(self._bridge, b"%08x-0000-4000-8000-000000000000" % place)
            .replace(self._number, caller.encode())
            .replace(b"PJSIP/" + self._phone, b"PJSIP/bench%d" % agent)
        )


def resident() -> float:
    """MiB, after everything that can be given back was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Replay:
    """The service, fed with bytes."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._decoder = FrameDecoder()
        self._now = time.time()

    async def feed(self, calls: Iterator[bytes]) -> None:
        for number, data in enumerate(calls):
            events = [message for message in self._decoder.feed(data) if isinstance(message, Event)]
            self._app.watch.on_batch(events, to_bytes(events), self._now)
            if number % AT_ONCE == AT_ONCE - 1:
                await self.settle()
        await self.settle(all_of_it=True)

    async def settle(self, *, all_of_it: bool = False) -> None:
        """Let look-ups end; and, if told, everything be on disk."""
        await stage.looked_up()
        self._app.board.flush()
        if all_of_it:
            await self._app.records._flush()


async def measure(folder: Path, calls: int) -> dict[str, object]:
    phones = [f"bench{place}" for place in range(AGENTS)]
    numbers = [stage.number(place) for place in range(CALLERS)]
    office = await stage.furnish(folder, desks=AGENTS, phones=phones, numbers=numbers)
    app = App(office.settings.model_copy(update={"journal": office.settings.journal.model_copy(update={"files": 2})}))
    await migrations.upgrade(app.database)
    await app.office.begin()
    app.watch.on_state(LinkState(LinkStatus.UP, 1))
    recording = asyncio.create_task(app.records.run())
    calm_garbage_collector()
    call, replay = Call(), Replay(app)

    def whole(first: int, count: int) -> Iterator[bytes]:
        return (call.until_talk(place) + call.rest(place) for place in range(first, first + count))

    first = 25_000  # more than the stream's memory holds, and every number once
    await replay.feed(whole(0, first))
    # The first ones move into what earlier calls have left free; those after them are what counts.
    await replay.feed(call.until_talk(place) for place in range(first, first + LIVE))
    before = resident()
    await replay.feed(call.until_talk(place) for place in range(first + LIVE, first + 2 * LIVE))
    live, pops = len(app.watch.tracker.conversations), len(app.board.ids("pop"))
    during = resident()
    await replay.feed(call.rest(place) for place in range(first, first + 2 * LIVE))
    left = len(app.watch.tracker.conversations) + len(app.board.ids("pop")) + len(app.office.cases)
    if (live, pops, left) != (2 * LIVE, 2 * LIVE, 0):
        raise RuntimeError(f"{live} conversations and {pops} pops alive of {2 * LIVE}, {left} left over at the end")
    start, begun, looks = resident(), time.monotonic(), []
    for part in range(10):
        await replay.feed(whole(100_000 + part * (calls // 10), calls // 10))
        looks.append(resident())
    took = time.monotonic() - begun
    recording.cancel()
    await asyncio.gather(recording, return_exceptions=True)
    await app.office.close()
    await app.bridge.close()
    await app.http.aclose()
    await app.database.close()
    app.accounts.close()
    each = (during - before) * 1024 / LIVE
    growth = looks[-1] / looks[0] - 1
    return {
        "bench": "memory",
        "live": LIVE,
        "kib_per_live_conversation": round(each, 2),
        "goal_kib": LIVE_GOAL_KIB,
        "reached_live": each <= LIVE_GOAL_KIB,
        "calls_replayed": calls,
        "events_per_call": call.events,
        "seconds": round(took, 1),
        "mib_at_start": round(start, 1),
        "mib_at_10_percent": round(looks[0], 1),
        "mib_at_100_percent": round(looks[-1], 1),
        "growth_10_to_100_percent": round(growth, 4),
        "goal_growth": FLAT_GOAL,
        "reached_flat": growth <= FLAT_GOAL,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--calls", type=int, default=200_000)
    options = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="callfloor-memory-") as folder:
        stage.result(**asyncio.run(measure(Path(folder), options.calls)))


if __name__ == "__main__":
    sys.exit(main())
