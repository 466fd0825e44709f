"""Resync with 1,000 live channels on the real Asterisk, and with 100 callers waiting in a queue.

From ``CoreStatus`` asked to everything compared and ``Resynced`` said, by the service's own client and watch; the
first finds everything new, the others find nothing to correct. The peer asks panoramisk for the same lists and
compares nothing. Medians of the rounds. Run: ``python tests/bench/resync.py``.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import _stage as stage
from asterisk.ami import SimpleAction
from panoramisk import Manager

from telephony.ami.client import AmiClient
from telephony.conversations.events import Happening, Resynced
from telephony.conversations.watch import Watch
from telephony.pbx.provision import provision

CHANNELS = 1000
WAITING = 100
ROUNDS = 7
GOAL_SECONDS = 1.0


async def fill(client: AmiClient, asterisk: stage.BenchAsterisk) -> int:
    """Local calls: one half answers and stays, the other does, too, or waits in a queue nobody serves."""
    for place in range(CHANNELS // 2):
        target = {"Context": "bench-in", "Exten": stage.DIAL if place < WAITING else "park", "Priority": "1"}
        await client.send(
            SimpleAction(
                "Originate",
                Channel="Local/far@bench-in/n",
                CallerID=f"Customer <{stage.number(place)}>",
                Async="true",
                **target,
            )
        )
    async with asyncio.timeout(stage.PATIENCE):
        while True:
            there = len((await client.send(SimpleAction("CoreShowChannels"))).items)
            queued = (await asterisk.cli(f"queue show {stage.QUEUE}")).count("wait:")
            if there >= CHANNELS and queued >= WAITING:
                return there
            await asyncio.sleep(0.2)


async def ours(client: AmiClient, watch: Watch, happenings: list[Happening]) -> tuple[float, int]:
    happenings.clear()
    begun = time.perf_counter()
    if not await watch._resync(client):
        raise RuntimeError("the resync failed")
    seconds = time.perf_counter() - begun
    return seconds, sum(one.corrections for one in happenings if isinstance(one, Resynced))


async def peers(manager: Manager) -> float:
    begun = time.perf_counter()
    await manager.send_action({"Action": "CoreStatus"})
    await manager.send_action({"Action": "CoreShowChannels"}, as_list=True)
    await manager.send_action({"Action": "QueueStatus"}, as_list=True)
    return time.perf_counter() - begun


async def measure(folder: Path) -> None:
    office = await stage.furnish(folder, desks=1, phones=("bench0",), numbers=(stage.number(0),))
    image = provision(office.settings.pbx, lambda said: print(said, file=sys.stderr))
    async with stage.BenchAsterisk(office.settings, image) as asterisk:
        # The member is there, but paused: its callers wait.
        await asterisk.cli(f"queue add member PJSIP/bench0 to {stage.QUEUE} penalty 0 as agent0")
        await asterisk.cli(f"queue pause member PJSIP/bench0 queue {stage.QUEUE}")
        happenings: list[Happening] = []
        watch = Watch(journal=None, listener=happenings.extend, on_link=lambda _: None, clock=time.time, interval=3600)
        client = AmiClient(office.settings.ami, asterisk.secrets.ami, on_batch=lambda *_: None, on_link=watch.on_state)
        running = asyncio.create_task(client.run())
        async with asyncio.timeout(stage.PATIENCE):
            await client.wait_ready()
        channels = await fill(client, asterisk)
        first, found = await ours(client, watch, happenings)
        again = [await ours(client, watch, happenings) for _ in range(ROUNDS)]
        manager = Manager(
            loop=asyncio.get_running_loop(),
            host="127.0.0.1",
            port=5038,
            username=office.settings.ami.username,
            secret=asterisk.secrets.ami,
            events="off",
        )
        await manager.connect()
        await asyncio.sleep(0.5)
        peer = [await peers(manager) for _ in range(ROUNDS)]
        manager.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    seconds = stage.median([one for one, _ in again])
    if any(corrections for _, corrections in again) or len(watch.tracker.channels) != channels:
        raise RuntimeError(f"{again}: a second look found other things; {len(watch.tracker.channels)} channels known")
    stage.result(
        bench="resync",
        channels=channels,
        conversations=len(watch.tracker.conversations),
        waiting=WAITING,
        first_s=round(first, 4),
        found_first=found,
        seconds=round(seconds, 4),
        slowest_s=round(max(one for one, _ in again), 4),
        peer_lists_only_s=round(stage.median(peer), 4),
        ratio=round(seconds / stage.median(peer), 2),
        goal_s=GOAL_SECONDS,
        reached=max(first, seconds) <= GOAL_SECONDS,
    )


def main() -> None:
    stage.in_own_network()
    with tempfile.TemporaryDirectory(prefix="callfloor-resync-") as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
