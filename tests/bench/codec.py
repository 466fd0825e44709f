"""How many AMI messages a second our codec, panoramisk's and asterisk-ami's read from one real capture.

Each is fed the same bytes in the same pieces, the way its own connection does it: panoramisk through
``AMIProtocol.data_received`` up to the message it would dispatch, asterisk-ami through its client's own cutting and
``Event.read``. The variant ``one_header`` also reads one header of every message, ``all_headers`` every one.

Prints one JSON object per variant. Figures are messages per second of the process's own CPU time, best of five rounds;
the three take turns within a round. By the wall clock a busy neighbour on a shared machine halved single figures, and
hit one of the three only: not a property of any codec. What the wall clock said is printed all the same
(``wall_messages_per_s``), and so is our slowest round (``slowest``). Run: ``python tests/bench/codec.py``.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from asterisk.ami import AMIClient
from panoramisk.ami_protocol import AMIProtocol

from telephony.ami.codec import FrameDecoder

CAPTURE = Path(__file__).parent.parent / "captures" / "codec-mixed.ami"
MESSAGES = 40_000
ROUNDS = 5
PIECE = 64 * 1024
"""What one read gives at most; asterisk-ami's client asks for 1 KiB at a time, and gets it."""

Use = Callable[[Any], object]


def ours(pieces: list[bytes], use: Use | None) -> int:
    decoder = FrameDecoder()
    for piece in pieces:
        messages = decoder.feed(piece)
        if use is not None:
            for message in messages:
                use(message)
    return decoder.messages


def panoramisk(pieces: list[bytes], use: Use | None) -> int:
    count = 0

    class Counting(AMIProtocol):  # type: ignore[misc]
        def handle_message(self, message: Any) -> None:
            nonlocal count
            count += 1
            if use is not None:
                use(message)

    protocol = Counting()
    protocol.connection_made(None)
    protocol.encoding = "utf8"
    for piece in pieces:
        protocol.data_received(piece)
    return count


class _Pieces:
    """Stands where asterisk-ami's client has its socket."""

    def __init__(self, pieces: list[bytes], size: int) -> None:
        self._left: Iterator[bytes] = (
            piece[start : start + size] for piece in pieces for start in range(0, len(piece), size)
        )

    def recv(self, size: int) -> bytes:
        return next(self._left, b"")

    def close(self) -> None:
        pass


def asterisk_ami(pieces: list[bytes], use: Use | None) -> int:
    client = AMIClient()
    client._socket = _Pieces(pieces, client._buffer_size)
    client.finished = threading.Event()
    count = 0

    def take(**message: Any) -> None:
        nonlocal count
        count += 1
        if use is not None:
            use(message.get("event") or message.get("response"))

    client.add_listener(on_event=take, on_response=take)
    packs = client._next_pack()
    next(packs)  # the banner
    for pack in packs:
        client.fire_recv_pack(pack)
    return count


VARIANTS: dict[str, tuple[Use | None, Use | None, Use | None]] = {
    "codec": (None, None, None),
    "codec_one_header": (
        lambda message: message.get("Uniqueid"),
        lambda message: message.get("Uniqueid", ""),
        lambda message: message.keys.get("Uniqueid", ""),
    ),
    "codec_all_headers": (lambda message: message.keys, lambda message: message, lambda message: message.keys),
}


Reader = Callable[[list[bytes], Use | None], int]


def timed(read: Reader, pieces: list[bytes], use: Use | None) -> tuple[int, float, float]:
    """How many messages there were, and their rates by CPU time and by the wall clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = read(pieces, use)
    return count, count / (time.process_time() - cpu), count / (time.perf_counter() - wall)


def main() -> int:
    logging.disable(logging.CRITICAL)  # panoramisk formats a debug line per message if anybody listens
    capture = CAPTURE.read_bytes()
    banner, _, body = capture.partition(b"\r\n")
    times = -(-MESSAGES // body.count(b"\r\n\r\n"))
    stream = banner + b"\r\n" + body * times
    pieces = [stream[start : start + PIECE] for start in range(0, len(stream), PIECE)]
    expected = body.count(b"\r\n\r\n") * times
    readers: tuple[Reader, ...] = (ours, panoramisk, asterisk_ami)
    for what, uses in VARIANTS.items():
        rounds = [[timed(read, pieces, use) for read, use in zip(readers, uses, strict=True)] for _ in range(ROUNDS)]
        counts = {count for results in rounds for count, _, _ in results}
        if counts != {expected}:
            print(f"{what}: the codecs disagree on the number of messages: {counts}, not {expected}", file=sys.stderr)
            return 1
        mine, panoramisks, asterisks = (max(results[i][1] for results in rounds) for i in range(3))
        print(
            json.dumps(
                {
                    "what": what,
                    "messages": expected,
                    "messages_per_s": round(mine),
                    "panoramisk": round(panoramisks),
                    "asterisk_ami": round(asterisks),
                    "ratio_panoramisk": round(mine / panoramisks, 2),
                    "ratio_asterisk_ami": round(mine / asterisks, 2),
                    "slowest": round(min(results[0][1] for results in rounds)),
                    "wall_messages_per_s": round(max(results[0][2] for results in rounds)),
                }
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
