"""The whole pipeline on a real capture, beside panoramisk merely parsing the same bytes.

``pipeline``: bytes, codec, journal on disk, tracker, floor, presence, queue figures, and every pop as a JSON frame for
its agent's desk, in the service's own composition (``App``) without its sockets. ``everything`` adds what the loop does
beside: look-up and card of each caller in the embedded CRM, and call records on disk; it is shown, and has no goal.

The capture is repeated with other ids each time, so that every call is a new one. Figures are messages per second of
the process's CPU time, best of five rounds in turns; by the wall clock a busy neighbour would decide. Run:
``python tests/bench/pipeline.py``.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

import _stage as stage
import structlog
from codec import CAPTURE, MESSAGES, ROUNDS, panoramisk

from telephony import migrations
from telephony.ami.client import LinkState, LinkStatus
from telephony.ami.codec import FrameDecoder, to_bytes
from telephony.app import App, calm_garbage_collector
from telephony.desk.stream import Viewer

NUMBERS = [f"+493012341{place}" for place in ("", *range(10))] + [f"+49301234{place}" for place in range(2, 23)]
PIECE = 4 * 1024
"""What a busy Asterisk gives at one read, about seven messages."""


def stream() -> tuple[list[bytes], int]:
    """The capture's events, repeated with other ids, in pieces; and how many messages that is."""
    banner, _, body = CAPTURE.read_bytes().partition(b"\r\n")
    count = body.count(b"\r\n\r\n")
    times = -(-MESSAGES // count)
    whole = banner + b"\r\n" + b"".join(body.replace(b"pbx1-", b"pbx%03d-" % turn) for turn in range(times))
    return [whole[start : start + PIECE] for start in range(0, len(whole), PIECE)], count * times


class Desk:
    """One open desk that counts."""

    def __init__(self) -> None:
        self.frames = 0
        self.pops = 0

    def send(self, frames: bytes) -> None:
        self.frames += 1
        self.pops += frames.count(b'"kind":"pop"')


async def ours(folder: Path, pieces: list[bytes], *, everything: bool) -> tuple[int, float, Desk]:
    """Messages, CPU seconds, and what the three desks got."""
    office = await stage.furnish(folder, desks=3, phones=("phone1", "phone2", "phone3"), numbers=NUMBERS)
    app = App(office.settings)
    await migrations.upgrade(app.database)
    await app.office.begin()
    desk = Desk()
    for one in office.desks:
        await app.office.signed_in(await app.accounts.get(one.login))
        app.board.attach(Viewer(one.login, "agent", desk.send))
    app.watch.on_state(LinkState(LinkStatus.UP, 1))
    recording = asyncio.create_task(app.records.run()) if everything else None
    calm_garbage_collector()
    decoder, now = FrameDecoder(), time.time()
    before = time.process_time()
    for piece in pieces:
        events = [message for message in decoder.feed(piece) if hasattr(message, "name")]
        if events:
            app.watch.on_batch(events, to_bytes(events), now)
        if everything:
            await asyncio.sleep(0)
    if recording is not None:
        # Look-ups that are under way first, then what is not on disk yet.
        await stage.looked_up()
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
    app.journal.flush() if app.journal is not None else None
    spent = time.process_time() - before
    await app.office.close()
    if app.journal is not None:
        app.journal.close()
    await app.bridge.close()
    await app.http.aclose()
    await app.database.close()
    app.accounts.close()
    return decoder.messages, spent, desk


def theirs(pieces: list[bytes]) -> tuple[int, float]:
    before = time.process_time()
    count = panoramisk(pieces, None)
    return count, time.process_time() - before


async def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.CRITICAL)
    pieces, expected = stream()
    best = {"pipeline": 0.0, "everything": 0.0, "panoramisk": 0.0}
    desk = Desk()
    for _ in range(ROUNDS):
        for what, variant in (("pipeline", False), ("everything", True)):
            with tempfile.TemporaryDirectory(prefix="callfloor-pipeline-") as folder:
                count, spent, desk = await ours(Path(folder), pieces, everything=variant)
            if count != expected or not desk.pops:
                print(f"{count} messages of {expected}, {desk.pops} pops", file=sys.stderr)
                return 1
            best[what] = max(best[what], count / spent)
        count, spent = theirs(pieces)
        if count != expected:
            print(f"panoramisk read {count} messages of {expected}", file=sys.stderr)
            return 1
        best["panoramisk"] = max(best["panoramisk"], count / spent)
    stage.result(
        bench="pipeline",
        messages=expected,
        callfloor_messages_per_s=round(best["pipeline"]),
        callfloor_everything_messages_per_s=round(best["everything"]),
        panoramisk_parse_messages_per_s=round(best["panoramisk"]),
        pop_frames=desk.pops,
        ratio=round(best["pipeline"] / best["panoramisk"], 2),
        goal="more messages a second than panoramisk merely parses",
        reached=best["pipeline"] > best["panoramisk"],
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
