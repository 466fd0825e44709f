"""The IVR: from a key pressed to the next prompt, against Asterisk's own ``Read()``; memory a session; a big flow.

Sessions are Local channels of a real Asterisk: one half presses a key about once a second, the other half is asked
again and again, by Callfloor's flow over FastAGI (the whole service, as a process of its own) or by the dialplan. Both
times are Asterisk's own time-stamps: from ``DTMFEnd`` on the asked channel to the start of the next prompt there
(``AGIExecStart`` of ``GET DATA``, or ``Newexten`` of ``Read``). Run: ``python tests/bench/ivr.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import _stage as stage

from ivr_flows.checks import House, check_flow
from ivr_flows.schema import parse
from telephony.pbx.provision import provision

GOAL_MS = 20.0
BIG = 500
FLOW = """callfloor_flow: 1
name: bench
languages: [de]
default: {queue: service}
step_limit: 150
start: a
nodes:
  a: {type: menu, text: {de: Bitte wählen Sie.}, choices: {1: a}, visits: 50, exhausted: b, seconds: 20}
  b: {type: menu, text: {de: Bitte wählen Sie.}, choices: {1: b}, visits: 50, exhausted: c, seconds: 20}
  c: {type: menu, text: {de: Bitte wählen Sie.}, choices: {1: c}, visits: 49, exhausted: end, seconds: 20}
  end: {type: hangup}
"""


class IvrAsterisk(stage.BenchAsterisk):
    """With a caller who presses keys, one who is asked by the dialplan, and a log-in that sees both."""

    def configure(self) -> frozenset[str]:
        changed = super().configure()
        etc = self.folders.etc
        with (etc / "extensions.conf").open("a", encoding="utf-8") as dialplan:
            dialplan.write(
                "\n[bench-ivr]\nexten => read,1,Answer()\n"
                " same => n(again),Read(KEY,${BENCH_SOUND},1,,1,20)\n same => n,Goto(again)\n"
                "exten => agi,1,Answer()\n"
                f" same => n,AGI(agi://127.0.0.1:4573/ivr/{self.secrets.agi},${{UNIQUEID}},,,)\n"
                " same => n,Hangup()\n"
                "[bench-keys]\nexten => s,1,Answer()\n same => n(again),Wait(${BENCH_GAP})\n"
                " same => n,SendDTMF(1)\n same => n,Goto(again)\n"
            )
        with (etc / "manager.conf").open("a", encoding="utf-8") as manager:
            manager.write("\n[bench]\nsecret = bench\nread = dtmf,dialplan,agi,call\nwrite = originate,call\n")
            manager.write("writetimeout = 5000\n")
        return changed


class Watcher:
    """Reads AMI as plainly as can be, and takes down how long each prompt took."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.counting = False
        self.asked: set[str] = set()
        self.all_asked = asyncio.Event()
        self._wanted = 0
        self._pressed: dict[str, float] = {}

    def begin(self, sessions: int) -> None:
        """Forget what was; expect so many sessions."""
        self.took, self.asked, self._wanted = [], set(), sessions
        self.all_asked.clear()

    async def start(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", 5038)
        self._send(Action="Login", Username="bench", Secret="bench")
        self._task = asyncio.create_task(self._read(), name="watcher")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()

    def originate(self, exten: str, place: int, sound: str) -> None:
        gap = 0.8 + 0.4 * (place % 20) / 20
        self._send(
            Action="Originate",
            Channel=f"Local/{exten}@bench-ivr/n",
            Context="bench-keys",
            Exten="s",
            Priority="1",
            Async="true",
            Variable=f"__BENCH_GAP={gap:.2f},__BENCH_SOUND={sound}",
        )

    def hang_up(self) -> None:
        self._send(Action="Hangup", Channel="/^Local\\/.*;1$/")

    def _send(self, **headers: str) -> None:
        self._writer.write("".join(f"{key}: {value}\r\n" for key, value in headers.items()).encode() + b"\r\n")

    async def _read(self) -> None:
        event: dict[str, str] = {}
        while line := await self._reader.readline():
            key, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
            if key:
                event[key] = value
                continue
            self._take(event)
            event = {}

    def _take(self, event: dict[str, str]) -> None:
        kind, channel = event.get("Event"), event.get("Uniqueid", "")
        if kind == "DTMFEnd" and event.get("Direction") == "Received":
            self._pressed[channel] = float(event["Timestamp"])
            return
        prompt = (kind == "AGIExecStart" and event.get("Command", "").startswith("GET DATA")) or (
            kind == "Newexten" and event.get("Application") == "Read"
        )
        if not prompt:
            return
        self.asked.add(channel)
        if len(self.asked) >= self._wanted:
            self.all_asked.set()
        pressed = self._pressed.pop(channel, None)
        if pressed is not None and self.counting:
            self.took.append(float(event["Timestamp"]) - pressed)


async def play(watcher: Watcher, exten: str, sound: str, options: argparse.Namespace) -> dict[str, object]:
    """So many sessions at once; what their prompts took, in milliseconds."""
    watcher.begin(options.sessions)
    for place in range(options.sessions):
        watcher.originate(exten, place, sound)
        await asyncio.sleep(0.01)
    async with asyncio.timeout(stage.PATIENCE):
        await watcher.all_asked.wait()
    watcher.counting = True
    await asyncio.sleep(options.seconds)
    watcher.counting = False
    took = [one * 1000 for one in watcher.took]
    return {
        "sessions": len(watcher.asked),
        "steps": len(took),
        "p50_ms": round(stage.median(took), 2),
        "p99_ms": round(stage.percentile(took, 0.99), 2),
    }


def rss(pid: int) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def measure(folder: Path, options: argparse.Namespace) -> None:
    office = await stage.furnish(folder, desks=5, phones=["bench0"], numbers=[])
    (folder / "flow.yaml").write_text(FLOW, encoding="utf-8")
    text = office.config.read_text(encoding="utf-8")
    office.config.write_text(text.replace("[log]", f'[flows]\nfile = "{folder}/flow.yaml"\n\n[log]'), encoding="utf-8")
    image = provision(office.settings.pbx, lambda said: print(said, file=sys.stderr))
    async with IvrAsterisk(office.settings, image) as asterisk:
        await asterisk.wait_booted()
        service = await stage.spawn(
            sys.executable, "-m", "telephony.cli", "--config", str(office.config), "serve", log=folder / "service.log"
        )
        watcher = Watcher()
        await watcher.start()
        try:
            sound = await first_sound(folder)
            own = await play(watcher, "read", sound, options)
            watcher.hang_up()
            await asyncio.sleep(2)
            before, cpu_before = rss(service.pid), stage.cpu_seconds(service.pid)
            ours = await play(watcher, "agi", sound, options)
            memory = (rss(service.pid) - before) / options.sessions / 1024
            cpu = stage.cpu_seconds(service.pid) - cpu_before
            watcher.hang_up()
        finally:
            await watcher.stop()
            await stage.end(service)
    above = float(str(ours["p99_ms"])) - float(str(own["p99_ms"]))
    stage.result(
        bench="ivr_step",
        sessions_at_once=options.sessions,
        callfloor=ours,
        asterisk_read=own,
        above_p99_ms=round(above, 2),
        kib_per_session=round(memory, 1),
        cpu_ms_per_step=round(cpu * 1000 / max(1, int(str(ours["steps"]))), 3),
        goal=f"p99 at most {GOAL_MS:g} ms above Read()",
        reached=above <= GOAL_MS and ours["sessions"] == options.sessions,
    )


async def first_sound(folder: Path) -> str:
    """The prompt the flow plays, so that the dialplan plays the same."""
    deadline = time.monotonic() + stage.PATIENCE
    while time.monotonic() < deadline:
        log = folder / "service.log"
        if log.exists() and "service_up" in log.read_text(encoding="utf-8"):
            return str(next((folder / "prompts").rglob("*.wav")).with_suffix(""))
        await asyncio.sleep(0.05)
    raise RuntimeError(f"the service did not come up: {(folder / 'service.log').read_text(encoding='utf-8')[-2000:]}")


def big_flow(nodes: int) -> str:
    """A flow of so many nodes: menus that lead on, each with all its texts."""
    text = "callfloor_flow: 1\nname: big\nlanguages: [de, en]\ndefault: {queue: service}\nstart: n0\nnodes:\n"
    for place in range(nodes - 1):
        on = f"n{place + 1}"
        text += (
            f"  n{place}:\n    type: menu\n    text: {{de: Menü {place}, en: Menu {place}}}\n"
            f"    choices: {{1: {on}, 2: {on}, 3: n{nodes - 1}}}\n    timeout: {on}\n    invalid: n{nodes - 1}\n"
        )
    return text + f"  n{nodes - 1}: {{type: route, queue: service}}\n"


def measure_big() -> None:
    text, house = big_flow(BIG), House(queues=["service"])
    loads, checks = [], []
    for _ in range(7):
        start = time.perf_counter()
        flow = parse(text, "big.yaml")
        loads.append(time.perf_counter() - start)
        start = time.perf_counter()
        problems = check_flow(flow, house)
        checks.append(time.perf_counter() - start)
        if problems:
            raise RuntimeError(f"the flow of the bench is not sound: {problems[0]}")
    stage.result(
        bench="flow_load_and_check",
        nodes=BIG,
        load_ms=round(stage.median(loads) * 1000, 1),
        check_ms=round(stage.median(checks) * 1000, 1),
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--sessions", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=15)
    options = arguments.parse_args()
    stage.in_own_network()
    measure_big()
    with tempfile.TemporaryDirectory(prefix="callfloor-ivr-") as folder:
        asyncio.run(measure(Path(folder), options))


if __name__ == "__main__":
    main()
