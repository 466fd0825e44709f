"""The doctor looks at everything Callfloor needs, part by part, and says how to mend what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from asterisk.ami import SimpleAction

from crm_bridge.database import Database, DatabaseError
from crm_bridge.ports import CrmError
from ivr_flows.schema import FlowError
from telephony import migrations
from telephony.ami.client import AmiClient, LinkState
from telephony.ami.errors import AmiError, NotReady, Rejected
from telephony.ami.session import release_problem
from telephony.app import ami_secret, crm_adapter, load_flow
from telephony.pbx.errors import PbxError
from telephony.settings import Settings

CONNECT_SECONDS = 8.0
CLOCK_SECONDS = 2.0
"""More than this between our clock and Asterisk's makes waiting times and pop latencies lie."""

CONTEXTS = ("callfloor-in", "callfloor-route", "callfloor-fallback", "callfloor-phones")

REFUSED = (SimpleAction("Command", Command="core show version"), SimpleAction("ModuleCheck", Module="app_queue"))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``text``: what is; ``mend``: what to do when it is not right."""

    what: str
    ok: bool
    text: str
    mend: str = ""

    def __str__(self) -> str:
        mark = "ok  " if self.ok else "BAD "
        return f"{mark} {self.what}: {self.text}" + (f"; {self.mend}" if self.mend and not self.ok else "")


async def examine(settings: Settings) -> list[Finding]:
    """Everything, in the order in which things depend on each other. Changes nothing."""
    found = [_flow(settings), await _database(settings), await _crm(settings)]
    found += await _asterisk(settings)
    return found


def _flow(settings: Settings) -> Finding:
    try:
        flow = load_flow(settings)
    except FlowError as wrong:
        return Finding("flow", False, str(wrong).splitlines()[0], "callfloor flow check names every fault")
    return Finding("flow", True, f"{flow.document.name} is sound")


async def _database(settings: Settings) -> Finding:
    try:
        database = Database(settings.storage.url, create=False)
    except DatabaseError as wrong:
        return Finding("database", False, str(wrong))
    try:
        await database.check()
        await migrations.require_current(database)
    except DatabaseError as wrong:
        return Finding("database", False, str(wrong))
    finally:
        await database.close()
    return Finding("database", True, f"{database.shown_url} has this version's tables")


async def _crm(settings: Settings) -> Finding:
    try:
        async with crm_adapter(settings) as adapter:
            try:
                await adapter.check()
            except CrmError as wrong:
                mend = "check crm.adapter in the settings, and the CRM"
                return Finding("crm", False, f"{adapter.name}: {wrong}", mend)
            return Finding("crm", True, f"{adapter.name} answers and lets us in")
    except DatabaseError as wrong:
        return Finding("crm", False, str(wrong))


async def _asterisk(settings: Settings) -> list[Finding]:
    where = f"{settings.ami.host}:{settings.ami.port}"
    try:
        async with _linked(settings) as client:
            return [
                await _release(client, where),
                await _clock(client),
                await _queues(client, settings),
                *await _dialplan(client),
                *await _rights(client),
            ]
    except NotReady as down:
        mend = "start it (callfloor pbx run), or correct ami.host and ami.port"
        return [Finding("asterisk", False, str(down), mend)]
    except TimeoutError:
        return [Finding("asterisk", False, f"no log-in at {where} within {CONNECT_SECONDS:g} s", "look at its log")]
    except (AmiError, PbxError) as wrong:
        return [Finding("asterisk", False, str(wrong))]


@contextlib.asynccontextmanager
async def _linked(settings: Settings) -> AsyncIterator[AmiClient]:
    trouble: asyncio.Future[AmiError] = asyncio.get_running_loop().create_future()

    def note(state: LinkState) -> None:
        if state.problem is not None and not trouble.done():
            trouble.set_result(state.problem)

    client = AmiClient(settings.ami, ami_secret(settings), on_batch=lambda *_: None, on_link=note)
    running = asyncio.create_task(client.run(fail_fast=True), name="doctor's link")
    ready = asyncio.create_task(client.wait_ready(), name="doctor waits")
    try:
        first: set[asyncio.Future[Any]] = {running, ready, trouble}
        await asyncio.wait(first, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        if trouble.done():
            raise trouble.result()
        if not ready.done():
            raise TimeoutError
        yield client
    finally:
        for task in (running, ready):
            task.cancel()
        await asyncio.gather(running, ready, return_exceptions=True)


async def _release(client: AmiClient, where: str) -> Finding:
    # Asked here: the client learns it after it is ready, and may not know it yet.
    reply = await client.send(SimpleAction("CoreSettings"))
    release = reply.response.get("AsteriskVersion")
    if not release:
        return Finding("asterisk", False, f"does not tell its version at {where}", "upgrade Asterisk to 22")
    problem = release_problem(release)
    return Finding("asterisk", problem is None, problem or f"{release} at {where}")


async def _clock(client: AmiClient) -> Finding:
    reply = await client.send(SimpleAction("Ping"))
    text = reply.response.get("Timestamp")
    try:
        apart = abs(time.time() - float(text))
    except ValueError:
        return Finding("clock", False, "Asterisk tells no time", "use Asterisk 20.20.1, 22.10.1 or later")
    mend = "run a time service (chrony, systemd-timesyncd) on both machines"
    return Finding("clock", apart < CLOCK_SECONDS, f"{apart:.3f} s between Asterisk's clock and ours", mend)


async def _queues(client: AmiClient, settings: Settings) -> Finding:
    reply = await client.send(SimpleAction("QueueStatus"))
    have = {item.get("Queue") for item in reply.items if item.name == "QueueParams"}
    missing = sorted({queue.name for queue in settings.queues} - have)
    mend = "render the configuration again (callfloor pbx render) and reload Asterisk"
    if missing:
        return Finding("queues", False, f"Asterisk has no queue {', '.join(missing)}", mend)
    return Finding("queues", True, f"Asterisk has all {len(settings.queues)}")


async def _dialplan(client: AmiClient) -> list[Finding]:
    found = []
    for context in CONTEXTS:
        try:
            await client.send(SimpleAction("ShowDialPlan", Context=context))
        except Rejected as refused:
            mend = "render the configuration again (callfloor pbx render) and reload Asterisk"
            found.append(Finding("dialplan", False, f"{context}: {refused.message}", mend))
    return found or [Finding("dialplan", True, f"has {', '.join(CONTEXTS)}")]


async def _rights(client: AmiClient) -> list[Finding]:
    """What we need is allowed; what would make us root is not."""
    found = []
    try:
        await client.send(SimpleAction("CoreShowChannels"))
        found.append(Finding("rights", True, "may list channels"))
    except Rejected as refused:
        mend = "give the AMI user write = call,agent,originate,reporting"
        found.append(Finding("rights", False, f"may not list channels ({refused})", mend))
    for action in REFUSED:
        try:
            await client.send(action)
        except Rejected:
            found.append(Finding("least rights", True, f"{action.name} is refused, as it should be"))
        else:
            mend = "take command, config and system out of the AMI user's write classes"
            found.append(Finding("least rights", False, f"{action.name} is allowed", mend))
    return found
