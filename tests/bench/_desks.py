"""Five hundred open desks in one light process: bytes are kept with their time, and understood when it is over.

Reads one JSON line: where, and the request line and headers of each desk. Says ``ready`` when all are open, and at
the next line it reads prints what came: per pop the latency of its first frame, and of the first that names the
customer. Only then does it parse a frame, so that while calls run it takes next to nothing from the others.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Any


class Desk(asyncio.Protocol):
    def __init__(self, request: str) -> None:
        self.request = request
        self.pieces: list[tuple[float, bytes]] = []
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request.encode())

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.time(), data))
        if not self.open.done():
            head = b"".join(piece for _, piece in self.pieces)
            if b"\r\n\r\n" in head:
                if head.startswith(b"HTTP/1.1 101"):
                    self.open.set_result(None)
                else:
                    self.open.set_exception(RuntimeError(head.partition(b"\r\n")[0].decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def frames(self) -> list[tuple[float, bytes]]:
        """The text messages, each with the time of its last byte."""
        buffer, found, opened = b"", [], False
        for at, piece in self.pieces:
            buffer += piece
            if not opened:
                _, end, buffer = buffer.partition(b"\r\n\r\n")
                opened = bool(end)
            while opened and len(buffer) >= 2:
                size, start = buffer[1] & 127, 2
                if size > 125:
                    start = 4 if size == 126 else 10
                    size = int.from_bytes(buffer[2:start], "big")
                if len(buffer) < start + size:
                    break
                if buffer[0] & 15 == 1:
                    found.append((at, buffer[start : start + size]))
                buffer = buffer[start + size :]
        return found


def ours(frame: dict[str, Any]) -> tuple[str, float, bool] | None:
    if frame["type"] == "put" and frame["kind"] == "pop":
        value = frame["value"]
        return frame["id"], value["rang_at"], value["customer"] is not None
    return None


def peers(frame: dict[str, Any]) -> tuple[str, float, bool] | None:
    return frame["id"], float(frame["timestamp"]), bool(frame["customers"])


def latencies(desks: list[Desk], since: float) -> dict[str, Any]:
    first: dict[str, float] = {}
    named: dict[str, float] = {}
    everything = 0
    for desk in desks:
        for at, data in desk.frames():
            everything += 1
            frame = json.loads(data)
            seen = ours(frame) if "type" in frame else peers(frame)
            if seen is None or seen[1] < since:
                continue
            id_, rang, known = seen
            first.setdefault(id_, at - rang)
            if known:
                named.setdefault(id_, at - rang)
    return {
        "first": list(first.values()),
        "named": list(named.values()),
        "frames": everything,
        "lost": sum(desk.lost for desk in desks),
    }


async def main() -> None:
    loop = asyncio.get_running_loop()
    order = json.loads(sys.stdin.readline())
    desks: list[Desk] = []
    for request in order["requests"]:
        _, desk = await loop.create_connection(lambda request=request: Desk(request), order["host"], order["port"])
        await asyncio.wait_for(desk.open, 10)
        desks.append(desk)
    gc.disable()
    print("ready", flush=True)
    while since := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(latencies(desks, float(since))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
