"""Faults made to happen in the middle of calls: the service goes on, catches up, and the desks show it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from telephony.demo.agents import DemoAgent
from telephony.pbx.scenarios import PhoneScript

from .conftest import House, eventually, pop_of, wrap_up

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]


def pbx_lamp(agent: DemoAgent) -> str:
    return str(agent.entities["office"]["office"]["pbx"])


async def in_sync(agent: DemoAgent) -> None:
    await agent.until(lambda: pbx_lamp(agent) == "in_sync", "the desk to show that all is well")


async def quiet_resyncs(house: House) -> None:
    """Two resyncs in a row that find nothing to correct."""
    names = ("resync_corrections_total", "membership_corrections_total")
    before, done = [await house.figure(name) for name in names], await house.figure("resyncs_total")

    async def twice() -> bool:
        return await house.figure("resyncs_total") >= done + 2

    await eventually(twice, "two more resyncs")
    assert [await house.figure(name) for name in names] == before


async def test_asterisk_dies_in_mid_call_and_comes_back(furnish: Furnish) -> None:
    house = await furnish()
    await house.serve()
    anna, ben, _ = await house.at_work("anna", "ben", "sue")
    await ben.be("paused", "lunch")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=60.0))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    calling = house.call()
    conversation = (await pop_of(anna, "talking"))["conversation"]
    await in_sync(anna)  # the lamps follow at an easy pace
    await house.asterisk.kill()
    await anna.until(lambda: pbx_lamp(anna) == "down", "the desk to show that Asterisk is gone")
    assert not await house.ready()
    calling.cancel()
    # It forgets everything, the members it keeps for restarts included: those are told again, pause and reason too.
    for kept in house.asterisk.folders.state.rglob("astdb.sqlite3"):
        kept.unlink()
    await house.asterisk.start()
    await house.asterisk.wait_booted()
    await in_sync(anna)
    await pop_of(anna, "wrap_up")
    assert anna.presence == "after_call_work"
    await house.member("phone1", lambda line: "after-call-work" in line, "is paused for her writing")
    await house.member("phone2", lambda line: "lunch" in line, "is paused for his lunch")
    await wrap_up(anna, conversation)
    await house.member("phone1", lambda line: "paused" not in line, "may be rung again")
    await quiet_resyncs(house)
    kept_call = (await eventually(lambda: house.calls(), "the call in the records"))[conversation]
    assert kept_call["ended_at"] is not None
    assert await house.figure("conversations") == 0


async def test_a_link_that_hangs_is_cut_and_made_anew(furnish: Furnish) -> None:
    house = await furnish()
    await house.serve()
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=8.0))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    calling = house.call()
    conversation = (await pop_of(anna, "talking"))["conversation"]
    await in_sync(anna)
    pid = house.asterisk.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await anna.until(lambda: pbx_lamp(anna) == "down", "the silence to be noticed", 5)
        # A wish that Asterisk cannot hear now.
        await anna.ask("PUT", "/api/v1/presence", {"presence": "paused", "reason": "lunch"})
    finally:
        os.kill(pid, signal.SIGCONT)
    await in_sync(anna)
    assert anna.entities["pop"][conversation]["state"] in ("talking", "wrap_up")
    await house.member("phone1", lambda line: "paused" in line, "has heard of the pause")
    await quiet_resyncs(house)
    assert await house.figure("ami_reconnects_total") >= 1, house.log
    await calling
    await pop_of(anna, "wrap_up")
    await wrap_up(anna, conversation)
    await anna.until(lambda: anna.presence == "paused", "the pause after it")
    await house.member("phone1", lambda line: "lunch" in line, "is at lunch")


@contextlib.contextmanager
def locked(house: House) -> Iterator[None]:
    """Another process's write lock on the database."""
    connection = sqlite3.connect(house.folder / "callfloor.db", isolation_level=None, timeout=5)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


async def test_a_locked_database_delays_records_and_nothing_else(furnish: Furnish) -> None:
    house = await furnish()
    await house.serve()
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    with locked(house):
        began = time.time()
        await house.call()
        conversation = (await pop_of(anna, "wrap_up"))["conversation"]
        assert anna.seen[conversation].latency < 1.0
        typing = asyncio.create_task(wrap_up(anna, conversation, "PARCEL", "typed while it was locked"))
        await eventually(lambda: time.time() > began + 4, "the lock to have lasted some seconds")
        assert not typing.done()
        assert await house.figure("records_backlog") >= 1
    await typing
    await anna.until(lambda: anna.presence == "ready", "to be ready again")

    async def caught_up() -> bool:
        call = (await house.calls()).get(conversation, {})
        return call.get("crm_state") == "delivered" and call["ended_at"] is not None

    await eventually(caught_up, "the record and its delivery")
    assert (await house.calls())[conversation]["note"] == "typed while it was locked"


async def test_a_crm_that_answers_503_delays_the_card_and_the_delivery(furnish: Furnish) -> None:
    house = await furnish(webhook=True)
    assert house.crm is not None
    house.crm.out_of_order = True
    await house.serve()
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.3, talk=6.0))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    calling = house.call()
    conversation = (await pop_of(anna, "ringing"))["conversation"]
    assert anna.seen[conversation].latency < 1.0
    assert anna.seen[conversation].value["card"] is None
    await anna.until(lambda: anna.entities["office"]["office"]["crm"] == "down", "the CRM's lamp")
    house.crm.out_of_order = False
    await anna.until(
        lambda: any(pop["card_state"] == "ready" for pop in anna.entities["pop"].values()), "the card, late"
    )
    await anna.until(lambda: anna.entities["office"]["office"]["crm"] == "up", "the CRM's lamp")
    await calling
    await pop_of(anna, "wrap_up")
    house.crm.out_of_order = True
    refused = house.crm.refused
    await wrap_up(anna, conversation, "PARCEL", "the CRM is away")
    await anna.until(lambda: anna.presence == "ready", "to be free although the CRM is away")
    await anna.until(lambda: anna.entities["office"]["office"]["outbox_waiting"] == 1, "the outbox's lamp")
    await eventually(lambda: house.crm is not None and house.crm.refused > refused + 1, "two refused deliveries")
    house.crm.out_of_order = False
    await anna.until(lambda: anna.entities["office"]["office"]["outbox_waiting"] == 0, "the delivery")
    assert await house.crm.calls_with_code() == 1


def control(data: Path) -> list[str]:
    """How to call the running PostgreSQL's control program, as the one who runs it."""
    pid = int((data / "postmaster.pid").read_text().split()[0])
    program = Path(f"/proc/{pid}/exe").resolve().parent / "pg_ctl"
    owner = Path(f"/proc/{pid}").stat().st_uid
    switch = [] if owner == os.getuid() else ["setpriv", f"--reuid={owner}", "--regid=nogroup", "--clear-groups"]
    return [*switch, str(program), "-D", str(data), "-w", "-m", "immediate"]


def run(*command: str, cwd: Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd)


@pytest.mark.postgres
async def test_postgresql_dies_and_comes_back(furnish: Furnish, postgres_server: str) -> None:
    plain = postgres_server.replace("+asyncpg", "")
    admin = await asyncpg.connect(f"{plain}/postgres")
    name = f"faults{os.getpid()}"
    await admin.execute(f"CREATE DATABASE {name}")
    data = Path(await admin.fetchval("SHOW data_directory"))
    await admin.close()
    pg_ctl = control(data)

    house = await furnish(f"{postgres_server}/{name}")
    await house.serve()
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=1.0))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    await asyncio.to_thread(run, *pg_ctl, "stop", cwd=data.parent)
    try:
        calling = house.call()
        conversation = (await pop_of(anna, "talking"))["conversation"]
        assert anna.seen[conversation].latency < 1.0
        await calling
        await pop_of(anna, "wrap_up")
        with pytest.raises(RuntimeError, match="503"):
            await wrap_up(anna, conversation)
        assert anna.presence == "after_call_work"
    finally:
        # "restart" starts it as it was started before.
        await asyncio.to_thread(run, *pg_ctl, "-l", str(data.parent / "log"), "restart", cwd=data.parent)

    async def stored() -> bool:
        with contextlib.suppress(RuntimeError):
            await wrap_up(anna, conversation, "PARCEL", "second try")
            return True
        return False

    await eventually(stored, "the database to take the code")

    async def delivered() -> bool:
        call = (await house.calls()).get(conversation, {})
        return call.get("crm_state") == "delivered" and call["ended_at"] is not None

    await eventually(delivered, "the record and its delivery")
    await anna.until(lambda: anna.presence == "ready", "to be ready")


@pytest.mark.postgres
async def test_a_full_disk_costs_the_journal_and_nothing_else(furnish: Furnish, postgres_url: str) -> None:
    house = await furnish(postgres_url)
    await house.serve(file_bytes=4096)
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    await house.call()
    conversation = (await pop_of(anna, "wrap_up"))["conversation"]
    await wrap_up(anna, conversation)

    async def counted() -> bool:
        return await house.figure("journal_errors_total") >= 2

    await eventually(counted, "errors of the journal to be counted")
    assert house.log.count('"journal_not_written"') == 1
    assert await house.ready()
    await house.stop()
    assert house.service is not None
    assert house.service.returncode == 0


MOMENTS = ("ringing", "talking", "owed", "post", "post", "post", "post", "answered")
"""When the service is killed: while it rings, while they talk, with a code owed, during the POST, after its answer."""


async def test_kill_9_at_any_moment_loses_no_wrap_up_and_delivers_each_once(furnish: Furnish) -> None:
    house = await furnish(webhook=True)
    assert house.crm is not None
    await house.serve()
    anna, sue = await house.at_work("anna", "sue")
    promised: dict[str, str] = {}
    for number, moment in enumerate(MOMENTS):
        script = PhoneScript(answer_after=0.3, talk=4.0 if moment in ("ringing", "talking") else 0.2)
        phone = await house.phone("phone1", script)
        await house.member("phone1", lambda line: "Not in use" in line and "paused" not in line, "may be rung")
        calling = house.call()
        conversation = (await pop_of(anna, "ringing"))["conversation"]
        note = f"{number} {moment}"
        if moment != "ringing":
            await pop_of(anna, "talking" if moment == "talking" else "wrap_up")
        if moment == "post":
            typing = asyncio.create_task(wrap_up(anna, conversation, "PARCEL", note))
            # Dead at once, or so many milliseconds into the request.
            await asyncio.wait({typing}, timeout=(number - MOMENTS.index("post")) * 0.004)
            await house.kill()
            with contextlib.suppress(aiohttp.ClientError):
                await typing
                promised[conversation] = note
        elif moment == "answered":
            await wrap_up(anna, conversation, "PARCEL", note)
            promised[conversation] = note
            await house.kill()
        else:
            await house.kill()
        await house.serve()
        await calling
        if conversation not in promised:
            await anna.until(
                lambda: anna.entities.get("me", {}).get("anna", {}).get("presence") not in ("", "talking", "ringing"),
                "to be back at the desk",
            )

            async def written(conversation: str = conversation, note: str = note) -> bool:
                try:
                    await wrap_up(anna, conversation, "PARCEL", note)
                except RuntimeError as refused:
                    if "wrap-up-not-open" not in str(refused):
                        raise
                    return False  # not asked for yet
                return True

            await eventually(written, f"the code of {note} to be asked for again, or to be on file")
        await anna.until(lambda: anna.presence == "ready", f"to be ready after {note}")
        await phone.stop()

    async def all_delivered() -> bool:
        calls = await house.calls()
        return len(calls) == len(MOMENTS) and all(one["crm_state"] == "delivered" for one in calls.values())

    await eventually(all_delivered, "every call in the CRM")
    calls = await house.calls()
    assert {one["code"] for one in calls.values()} == {"PARCEL"}
    assert {conversation: calls[conversation]["note"] for conversation in promised} == promised
    assert await house.crm.calls_with_code() == len(MOMENTS)
    assert sue.entities["office"]["office"]["outbox_dead"] == 0


async def still_owes(house: House, agent: DemoAgent, conversation: str, note: str) -> None:
    """After a restart the code is asked for again, taken, and in the CRM once."""
    assert house.crm is not None
    before = await house.crm.calls_with_code()
    await agent.until(
        lambda: any(
            pop["conversation"] == conversation and pop["state"] == "wrap_up"
            for pop in agent.entities.get("pop", {}).values()
        ),
        "the code to be asked for again",
    )
    assert agent.presence == "after_call_work"
    await wrap_up(agent, conversation, "PARCEL", note)
    await agent.until(lambda: agent.presence == "ready", "to be ready again")

    async def delivered() -> bool:
        call = (await house.calls()).get(conversation, {})
        return call.get("crm_state") == "delivered" and call["ended_at"] is not None

    await eventually(delivered, "the record and its delivery")
    call = (await house.calls())[conversation]
    assert (call["code"], call["note"], call["agent"]) == ("PARCEL", note, "anna")
    assert 0.1 < call["talked"] < 10
    assert call["started_at"] < call["answered_at"] < call["ended_at"] < time.time()
    assert await house.crm.calls_with_code() == before + 1


def talks_on_disk(house: House, conversation: str) -> list[tuple[float | None]]:
    """The ends of the conversation's talks as the database has them."""
    with contextlib.closing(sqlite3.connect(house.folder / "callfloor.db", timeout=5)) as connection:
        return connection.execute("SELECT ended_at FROM talk WHERE conversation_id = ?", (conversation,)).fetchall()


async def test_kill_9_at_the_very_moment_the_code_is_asked_for_loses_nothing(furnish: Furnish) -> None:
    """Before the batch of records is on disk: the journal has what made the pop."""
    house = await furnish(webhook=True)
    await house.serve()
    anna, _ = await house.at_work("anna", "sue")
    early = 0
    for number in range(3):
        phone = await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
        await house.member("phone1", lambda line: "Not in use" in line and "paused" not in line, "may be rung")
        calling = house.call()
        conversation = (await pop_of(anna, "wrap_up"))["conversation"]
        await house.kill()
        early += all(ended is None for (ended,) in talks_on_disk(house, conversation))
        await calling
        await house.serve()
        await still_owes(house, anna, conversation, f"note {number}")
        await phone.stop()
    assert early, "the kill was never quicker than the batch: this proves nothing"


async def test_kill_9_after_a_call_during_which_the_database_was_locked_loses_nothing(furnish: Furnish) -> None:
    house = await furnish(webhook=True)
    await house.serve()
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    with locked(house):
        calling = house.call()
        conversation = (await pop_of(anna, "wrap_up"))["conversation"]
        done = await house.figure("resyncs_total")

        async def resynced() -> bool:
            return await house.figure("resyncs_total") > done

        await eventually(resynced, "a resync that comes after it")
        await house.kill()
        assert talks_on_disk(house, conversation) == []
    await calling
    await house.serve()
    await still_owes(house, anna, conversation, "it was locked all the time")


async def test_a_call_that_ends_while_the_service_is_down_is_told_as_long_as_it_was_seen(furnish: Furnish) -> None:
    house = await furnish(webhook=True)
    await house.serve()
    anna, _ = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=7.0))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    calling = house.call()
    conversation = (await pop_of(anna, "talking"))["conversation"]
    began, done = time.time(), await house.figure("resyncs_total")

    async def resynced() -> bool:
        return await house.figure("resyncs_total") > done + 1  # so that the first is not only in our own buffer

    await eventually(resynced, "it to have been seen in the middle of the talk")
    await house.kill()
    down = time.time()
    await calling
    await house.serve()
    await still_owes(house, anna, conversation, "ended while nobody looked")
    call = (await house.calls())[conversation]
    assert began < call["ended_at"] <= down
    assert call["talked"] == pytest.approx(call["ended_at"] - call["answered_at"], abs=0.01)
