"""What the benches on a real Asterisk stand on: a network of their own, an office on disk, an Asterisk, its CPU."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import secrets
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from crm_bridge.database import Database
from telephony.floor.accounts import token_key
from telephony.floor.tables import AgentState, DeskSession, QueueMembership, UserAccount
from telephony.migrations import upgrade
from telephony.pbx.image import Image
from telephony.pbx.process import Asterisk, die_with
from telephony.settings import Settings, load

ROOT = Path(__file__).resolve().parent.parent.parent
QUEUE = "service"
DIAL = "+493023125000"
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 60.0
"""Seconds that anything may take to come up."""


def in_own_network() -> None:
    """Go on in a network namespace: the ports below are free there, and nothing leaves the machine."""
    if "TEST_NAMESPACE" in os.environ:
        return
    os.chdir(ROOT)
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    wrapper = str(ROOT / "tests/integration/in-namespace")
    sys.stdout.flush()
    # What the wrapper says of the packaged Asterisk is no result.
    os.execvpe("sh", ["sh", "-c", '{ "$@" 3>&1 1>&2; }', "bench", wrapper, sys.executable, *sys.argv], environment)


def result(**figures: object) -> None:
    """Print one result."""
    line = json.dumps(figures) + "\n"
    if os.environ.get("TEST_NAMESPACE"):
        try:
            os.write(3, line.encode())
            return
        except OSError:
            pass
    sys.stdout.write(line)
    sys.stdout.flush()


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def looked_up() -> None:
    """Wait until no look-up of a caller is under way in this process."""
    names = ("look-up ", "card ", "identity ", "crm look-up ")
    while under_way := [task for task in asyncio.all_tasks() if task.get_name().startswith(names)]:
        await asyncio.wait(under_way)


def cpu_seconds(pid: int) -> float:
    """What the process and its threads have used since their start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


# --- the office -------------------------------------------------------------------------------------------------------

_SETTINGS = """
[pbx]
folder = "{folder}/pbx"
sip_port = 5060
ws_port = 8088
rtp_start = 20000
rtp_end = 40000

[ami]
port = 5038

[agi]
port = 4573

[http]
port = 8080

[storage]
folder = "{folder}"
url = "sqlite+aiosqlite:///{folder}/callfloor.db"

[log]
format = "json"

[[queues]]
name = "service"
label = {{ de = "Kundenservice", en = "Customer care" }}
strategy = "rrmemory"
wrap_up = "none"
"""


@dataclass(frozen=True)
class Desk:
    login: str
    token: str
    interface: str


@dataclass(frozen=True)
class Office:
    folder: Path
    config: Path
    settings: Settings
    desks: tuple[Desk, ...]


def number(place: int) -> str:
    """Made-up numbers of an unassigned area code; nothing leaves the machine."""
    return f"+4939999{place:07}"


async def furnish(
    folder: Path,
    *,
    desks: int = 500,
    phones: Sequence[str] = tuple(f"bench{place}" for place in range(20)),
    numbers: Sequence[str] = tuple(map(number, range(100_000))),
) -> Office:
    """An office with its database: ``desks`` agents, the first of them with phones and ready; customers by number."""
    config = folder / "callfloor.toml"
    text = _SETTINGS.format(folder=folder)
    for name in phones:
        text += f'\n[[phones]]\nname = "{name}"\ncontact = "sip:{name}@127.0.0.1:6001"\n'
    config.write_text(text, encoding="utf-8")
    settings = load(config, {})
    database = Database(settings.storage.url)
    await upgrade(database)
    people = tuple(
        Desk(f"agent{place}", secrets.token_urlsafe(32), f"PJSIP/{phones[place]}" if place < len(phones) else "")
        for place in range(desks)
    )
    now = time.time()
    unused = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(secrets.token_urlsafe())
    async with database.transaction() as session:
        for one in people:
            phone = one.interface.removeprefix("PJSIP/") or None
            session.add(
                UserAccount(
                    login=one.login,
                    name=one.login.title(),
                    password_hash=unused,
                    role="agent",
                    language="de",
                    phone=phone,
                    created_at=now,
                )
            )
        await session.flush()
        for one in people:
            expires = now + 3600
            session.add(
                DeskSession(
                    token_hash=token_key(one.token), login=one.login, created_at=now, expires_at=expires, last_seen=now
                )
            )
            if one.interface:
                session.add(QueueMembership(login=one.login, queue=QUEUE))
                session.add(AgentState(login=one.login, presence="ready", since=now, logged_in=True, updated_at=now))
    await database.close()
    _fill(folder / "callfloor.db", numbers)
    return Office(folder, config, settings, people)


def _fill(path: Path, numbers: Sequence[str]) -> None:
    """Customers, each with a number, an order and an invoice."""
    ids = [f"{place:08x}-0000-4000-8000-000000000000" for place in range(len(numbers))]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO customer (id, number, name, company, email, language, blocked, created_at, updated_at) "
            "VALUES (?, ?, ?, '', '', 'de', 0, 0, 0)",
            ((id_, f"{1_000_000 + place}", f"Customer {place}") for place, id_ in enumerate(ids)),
        )
        connection.executemany(
            "INSERT INTO customer_phone (customer_id, e164, raw, kind, is_primary) VALUES (?, ?, '', '', 1)",
            zip(ids, numbers, strict=True),
        )
        connection.executemany(
            "INSERT INTO sales_order (id, customer_id, number, status, placed_at, total_minor, currency, tracking) "
            "VALUES (?, ?, ?, 'shipped', 0, 4995, 'EUR', '')",
            ((f"o{place}", id_, f"O{place}") for place, id_ in enumerate(ids)),
        )
        connection.executemany(
            "INSERT INTO invoice (id, customer_id, number, status, issued, due, total_minor, residual_minor, currency) "
            "VALUES (?, ?, ?, 'open', '2026-11-01', '2026-12-01', 4995, 4995, 'EUR')",
            ((f"i{place}", id_, f"I{place}") for place, id_ in enumerate(ids)),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# --- the Asterisk -----------------------------------------------------------------------------------------------------


class BenchAsterisk(Asterisk):
    """The packaged Asterisk as Callfloor configures it, but for three things a load test cannot have.

    Callers go to the queue without the IVR; members may be rung while they talk, and at once after a call: twenty
    phones stand for a hall full of them.
    """

    def configure(self) -> frozenset[str]:
        changed = super().configure()
        etc = self.folders.etc
        self._edit(etc / "pjsip.conf", r"context = callfloor-in", "context = bench-in")
        self._edit(etc / "queues.conf", r"ringinuse = no", "ringinuse = yes")
        self._edit(etc / "queues.conf", r"wrapuptime = 2", "wrapuptime = 0")
        # Of the endpoints of phones only: the trunk's line has another value.
        self._edit(etc / "pjsip.conf", r"device_state_busy_at = 1", "device_state_busy_at = 0")
        with (etc / "extensions.conf").open("a", encoding="utf-8") as dialplan:
            dialplan.write(
                "\n[bench-in]\nexten => _[+0-9]!,1,Set(__CALLFLOOR_ID=${UNIQUEID})\n"
                f" same => n,Goto(callfloor-route,{QUEUE},1)\n"
                "exten => park,1,Set(__CALLFLOOR_ID=${UNIQUEID})\n same => n,Answer()\n same => n,Wait(600)\n"
                "exten => far,1,Answer()\n same => n,Wait(600)\n"
            )
        return changed

    def _edit(self, path: Path, pattern: str, replacement: str) -> None:
        text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"))
        if not count:
            raise RuntimeError(f"{path.name} has no {pattern!r} any more: adapt the bench")
        path.write_text(text, encoding="utf-8")

    async def staff(self, office: Office) -> None:
        """Put the agents with phones into the queue, as Callfloor itself would."""
        for desk in office.desks:
            if desk.interface:
                await self.cli(f"queue add member {desk.interface} to {QUEUE} penalty 0 as {desk.login}")


# --- processes --------------------------------------------------------------------------------------------------------


async def spawn(*command: str, log: Path, stdin: bool = False, stdout: bool = False) -> asyncio.subprocess.Process:
    with log.open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if stdout else errors,
            stderr=errors,
            cwd=ROOT,
            env=_environment(),
            preexec_fn=die_with(os.getpid()),
            limit=1 << 26,
        )


def _environment() -> dict[str, str]:
    """Ours, without what the service would take for settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("CALLFLOOR_")}
    return {**inherited, "PYTHONPATH": str(ROOT)}


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


# --- callers ----------------------------------------------------------------------------------------------------------

_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_FROM = 'From: "Customer" <sip:[field0]@[local_ip]>;tag=[call_number]'
_SDP = """v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 0
a=rtpmap:8 PCMA/8000"""

_CALLER = f"""<?xml version="1.0" encoding="UTF-8"?>
<scenario name="bench">
<send retrans="500"><![CDATA[

INVITE sip:{DIAL}@[remote_ip]:[remote_port] SIP/2.0
{_VIA}
{_FROM}
To: <sip:{DIAL}@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
X-Callfloor-Trunk: yes
Content-Type: application/sdp
Content-Length: [len]

{_SDP}

]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[

ACK [next_url] SIP/2.0
{_VIA}
[routes]
{_FROM}
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<pause milliseconds="%(talk)d"/>
<send retrans="500"><![CDATA[

BYE [next_url] SIP/2.0
{_VIA}
[routes]
{_FROM}
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""


async def phones(image: Image, folder: Path) -> asyncio.subprocess.Process:
    """One SIPp that answers at once: every phone of the office."""
    command = image.command(
        "sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", "6001", "-mi", "127.0.0.1", "-mp", "7010", "-nostdin"
    )
    return await _sipp(command, image, folder)


async def calls(image: Image, folder: Path, rate: int, count: int, seed: int, talk_ms: int = 100) -> tuple[int, int]:
    """Place calls at a fixed rate, each from another customer's number; returns how many went well and how many not."""
    _write_scenario(folder, count, seed, talk_ms)
    options = ["-sf", "caller.xml", "-inf", "numbers.csv", "-r", str(rate), "-m", str(count), "-l", "4000"]
    options += ["-i", "127.0.0.1", "-p", "5090", "-mi", "127.0.0.1", "-mp", "8010", "-nostdin"]
    options += ["-trace_stat", "-stf", "stat.csv", "-fd", "1", "-timeout", "120s", "127.0.0.1:5060"]
    process = await _sipp(image.command("sipp", *options), image, folder)
    await process.wait()
    with (folder / "stat.csv").open(encoding="utf-8") as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])


def _write_scenario(folder: Path, count: int, seed: int, talk_ms: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "caller.xml").write_text(_CALLER % {"talk": talk_ms}, encoding="utf-8")
    (folder / "numbers.csv").write_text(
        "SEQUENTIAL\n" + "".join(f"{number(seed + place)};\n" for place in range(count)), encoding="utf-8"
    )
    (folder / "stat.csv").unlink(missing_ok=True)


async def _sipp(command: list[str], image: Image, folder: Path) -> asyncio.subprocess.Process:
    with (folder / "sipp.log").open("ab") as screen:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=screen,
            stderr=screen,
            cwd=folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb", **image.env},
            preexec_fn=die_with(os.getpid()),
        )
