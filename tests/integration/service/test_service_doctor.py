"""The doctor, before a real Asterisk: what is right is found right, and each fault is named with its mend."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import pytest

from telephony.doctor import examine
from telephony.pbx.process import Asterisk
from telephony.settings import Settings

from .conftest import House

pytestmark = pytest.mark.asterisk


async def test_a_healthy_house_and_each_thing_that_can_be_wrong_with_it(
    furnish: Callable[..., Awaitable[House]],
) -> None:
    house = await furnish()
    await house.serve()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CALLFLOOR_")}
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "telephony.cli", "--config", str(house.config), "doctor"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    said, complaint = (text.decode() for text in await asked.communicate())
    assert (asked.returncode, complaint) == (0, ""), said
    assert [line[:5] + line[5:].partition(":")[0] for line in said.splitlines()] == [
        f"ok   {what}"
        for what in (
            "flow",
            "prompts",
            "database",
            "crm",
            "agi",
            "http port",
            "agi port",
            "service",
            "asterisk",
            "clock",
            "queues",
            "phones",
            "dialplan",
            "rights",
            "least rights",
            "least rights",
        )
    ]

    async def bad(**over: object) -> dict[str, str]:
        document = house.settings.model_dump()
        for table, values in over.items():
            document[table] = {**document[table], **values} if isinstance(values, dict) else values
        return {one.what: str(one) for one in await examine(Settings.model_validate(document)) if not one.ok}

    found = await bad(ami={"secret": "not the password"})
    assert set(found) == {"asterisk"}
    assert "ami.username" in found["asterisk"]
    assert "not the password" not in found["asterisk"]
    more = [*house.settings.model_dump()["queues"], {"name": "orders", "label": {}, "wrap_up": "none"}]
    found = await bad(queues=more)
    assert set(found) == {"queues"}
    assert "has no queue orders; render the configuration again" in found["queues"]
    phones = house.settings.model_dump()["phones"]
    found = await bad(phones=[*phones, {"name": "phone9"}])
    assert set(found) == {"phones"}
    assert "has no endpoint phone9; render the configuration again" in found["phones"]
    found = await bad(ami={"port": house.settings.pbx.ws_port})
    assert set(found) == {"asterisk"}
    found = await bad(ami={"tls": True})
    assert "does not speak TLS" in found["asterisk"]
    found = await bad(agi={"secret": "not-what-the-dialplan-says"})
    assert set(found) == {"dialplan"}
    assert "does not say our agi.secret" in found["dialplan"]
    assert "not-what" not in found["dialplan"]
    await house.asterisk.cli("dialplan remove context callfloor-fallback")
    found = await bad()
    assert set(found) == {"dialplan"}
    assert "callfloor-fallback" in found["dialplan"]


async def test_a_phone_that_has_not_registered(start_asterisk: Callable[..., Awaitable[Asterisk]]) -> None:
    asterisk = await start_asterisk(phones=[{"name": "phone1"}, {"name": "phone2", "webrtc": True}])
    pbx = asterisk.settings.pbx
    (found,) = (str(one) for one in await examine(asterisk.settings) if one.what == "phones")
    assert found == (
        f"BAD  phones: not registered: phone1; register at 127.0.0.1:{pbx.sip_port} with the phone's name as user "
        f"and the password in {pbx.folder}/secrets.json, or the one you set as its secret"
    )
