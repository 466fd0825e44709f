"""Pop latency and CPU per call, at 60 and 200 calls/s through a real queue with 500 desks open, beside the peer.

Latency: from the ``Timestamp`` of Asterisk's ``AgentCalled`` to the last byte of the first frame about that call at a
WebSocket client on the same machine. CPU: what the process (with its threads) used from the first call to one second
after the last, per call, beside what Asterisk used for the same calls. Ours is ``callfloor serve`` doing everything it
does: journal, tracking, call records on disk, presence, look-up and card in the embedded CRM with 100,000 customers.
The peer is ``peer.py`` with the same customers in memory. Both run in processes of their own, take turns, and get the
same calls from SIPp; one JSON line for each rate gives the medians of the rounds, and every round's p99.

``named`` is the first frame that names the customer. Run: ``python tests/bench/pop.py [--rounds N] [--seconds S]``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _stage as stage
import httpx

from telephony.pbx.image import Image
from telephony.pbx.provision import provision

CPU_SHARE_GOAL = 0.25


@dataclass(frozen=True)
class Run:
    """One load on one of the two."""

    p50: float
    p99: float
    named_p99: float
    pops: int
    named: int
    """Pops that named the customer before the call, of a tenth of a second, was over."""
    cpu: float
    asterisk: float
    failed: int


class Desks:
    """The process with the 500 WebSockets."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    @classmethod
    async def opened(cls, port: int, requests: list[str], log: Path) -> Desks:
        here = Path(__file__).with_name("_desks.py")
        desks = cls(await stage.spawn(sys.executable, str(here), log=log, stdin=True, stdout=True))
        desks._in.write(json.dumps({"host": "127.0.0.1", "port": port, "requests": requests}).encode() + b"\n")
        async with asyncio.timeout(stage.PATIENCE):
            if await desks._out.readline() != b"ready\n":
                raise RuntimeError(f"the desks did not open: see {log}")
        return desks

    async def seen(self, since: float) -> dict[str, Any]:
        self._in.write(f"{since}\n".encode())
        found: dict[str, Any] = json.loads(await self._out.readline())
        return found

    async def close(self) -> None:
        await stage.end(self._process)


def upgrade_request(path: str, cookie: str = "") -> str:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nOrigin: http://127.0.0.1:8080\r\n{cookie}"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )


async def start_ours(office: stage.Office, _: stage.BenchAsterisk) -> tuple[asyncio.subprocess.Process, Desks]:
    log = office.folder / "ours.log"
    command = [sys.executable, "-m", "telephony.cli", "--config", str(office.config), "serve"]
    process = await stage.spawn(*command, log=log)
    async with httpx.AsyncClient(base_url="http://127.0.0.1:8080") as http, asyncio.timeout(stage.PATIENCE):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"the service has ended: see {log}")
            try:
                if (await http.get("/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    requests = [
        upgrade_request("/api/v1/stream", f"Cookie: callfloor_session={desk.token}\r\n") for desk in office.desks
    ]
    return process, await Desks.opened(8080, requests, office.folder / "desks.log")


async def start_peer(office: stage.Office, asterisk: stage.BenchAsterisk) -> tuple[asyncio.subprocess.Process, Desks]:
    log = office.folder / "peer.log"
    ami = {"port": 5038, "username": office.settings.ami.username, "secret": asterisk.secrets.ami}
    order = {
        "port": 8081,
        "ami": ami,
        "database": str(office.folder / "callfloor.db"),
        "desks": {desk.interface: desk.login for desk in office.desks},
    }
    here = Path(__file__).with_name("peer.py")
    process = await stage.spawn(sys.executable, str(here), json.dumps(order), log=log, stdout=True)
    assert process.stdout is not None
    async with asyncio.timeout(stage.PATIENCE):
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the peer did not start: see {log}")
    requests = [upgrade_request(f"/stream?desk={desk.login}") for desk in office.desks]
    return process, await Desks.opened(8081, requests, office.folder / "desks.log")


async def load(
    office: stage.Office,
    image: Image,
    asterisk: stage.BenchAsterisk,
    under_test: tuple[asyncio.subprocess.Process, Desks],
    rate: int,
    seconds: float,
    seed: int,
) -> Run:
    process, desks = under_test
    await stage.calls(image, office.folder / "callers", 20, 20, seed)  # everything has been touched once
    await asyncio.sleep(1)
    assert asterisk.pid is not None
    since, count = time.time(), round(rate * seconds)
    before = stage.cpu_seconds(process.pid), stage.cpu_seconds(asterisk.pid)
    well, failed = await stage.calls(image, office.folder / "callers", rate, count, seed + 20)
    await asyncio.sleep(1)
    cpu, asterisks = stage.cpu_seconds(process.pid) - before[0], stage.cpu_seconds(asterisk.pid) - before[1]
    seen = await desks.seen(since)
    first, named = seen["first"], seen["named"]
    # On a machine that cannot keep up, a call may be over in the very read that tells of its ringing: never shown.
    if len(first) < 0.9 * well or not named or seen["lost"]:
        raise RuntimeError(f"of {well} calls {len(first)} popped, {len(named)} with a name; {seen['lost']} desks lost")
    return Run(
        stage.percentile(first, 0.5) * 1000,
        stage.percentile(first, 0.99) * 1000,
        stage.percentile(named, 0.99) * 1000,
        len(first),
        len(named),
        cpu / count * 1000,
        asterisks / count * 1000,
        failed,
    )


def summary(runs: list[Run]) -> dict[str, object]:
    return {
        "p50_ms": round(stage.median([run.p50 for run in runs]), 2),
        "p99_ms": round(stage.median([run.p99 for run in runs]), 2),
        "named_p99_ms": round(stage.median([run.named_p99 for run in runs]), 2),
        "cpu_ms_per_call": round(stage.median([run.cpu for run in runs]), 3),
        "share_of_asterisk": round(stage.median([run.cpu / run.asterisk for run in runs]), 3),
        "asterisk_ms_per_call": round(stage.median([run.asterisk for run in runs]), 3),
        "pops": sum(run.pops for run in runs),
        "named_pops": sum(run.named for run in runs),
        "failed_calls": sum(run.failed for run in runs),
        "p99_of_each_round": [round(run.p99, 2) for run in runs],
    }


async def measure(folder: Path, options: argparse.Namespace) -> None:
    office = await stage.furnish(
        folder, desks=options.desks, phones=[f"bench{place}" for place in range(options.phones)]
    )
    image = provision(office.settings.pbx, lambda said: print(said, file=sys.stderr))
    asterisk = stage.BenchAsterisk(office.settings, image)
    runs: dict[tuple[str, int], list[Run]] = {}
    async with asterisk:
        await asterisk.staff(office)
        phones = await stage.phones(image, folder)
        seed = 0
        try:
            for _ in range(options.rounds):
                for name, start in (("callfloor", start_ours), ("peer", start_peer)):
                    if options.only not in ("", name):
                        continue
                    under_test = await start(office, asterisk)
                    try:
                        for rate in options.rates:
                            run = await load(office, image, asterisk, under_test, rate, options.seconds, seed)
                            runs.setdefault((name, rate), []).append(run)
                            seed += 50 + round(rate * options.seconds)
                            print(name, rate, run, file=sys.stderr)
                    finally:
                        await under_test[1].close()
                        await stage.end(under_test[0])
        finally:
            phones.kill()
            await phones.wait()
    for rate in options.rates:
        if options.only:
            continue
        ours, peer = runs["callfloor", rate], runs["peer", rate]
        mine, theirs = summary(ours), summary(peer)
        p99, cpu = (stage.median([getattr(run, key) for run in ours]) for key in ("p99", "cpu"))
        peer_p99, peer_cpu = (stage.median([getattr(run, key) for run in peer]) for key in ("p99", "cpu"))
        stage.result(
            bench="pop",
            calls_per_s=rate,
            desks=options.desks,
            rounds=options.rounds,
            callfloor=mine,
            peer=theirs,
            ratio_p99=round(p99 / peer_p99, 2),
            ratio_cpu=round(cpu / peer_cpu, 2),
            goal="p99 and CPU not above the peer's, CPU at most a quarter of Asterisk's",
            reached_p99=p99 <= peer_p99,
            reached_cpu=cpu <= peer_cpu,
            reached_share=stage.median([run.cpu / run.asterisk for run in ours]) <= CPU_SHARE_GOAL,
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--rates", type=int, nargs="+", default=[60, 200])
    arguments.add_argument("--desks", type=int, default=500)
    arguments.add_argument("--phones", type=int, default=20)
    arguments.add_argument(
        "--only", choices=("", "callfloor", "peer"), default="", help="for profiling; no result line"
    )
    arguments.add_argument("--folder", type=Path, help="keep what is written, here")
    options = arguments.parse_args()
    stage.in_own_network()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(options.folder.resolve(), options))
        return
    with tempfile.TemporaryDirectory(prefix="callfloor-pop-") as folder:
        asyncio.run(measure(Path(folder), options))


if __name__ == "__main__":
    main()
