"""The doctor, before a real Asterisk: what is right is found right, and each fault is named with its mend."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import pytest

from telephony.doctor import examine
from telephony.settings import Settings

from .conftest import House

pytestmark = pytest.mark.asterisk


async def test_a_healthy_house_and_each_thing_that_can_be_wrong_with_it(
    furnish: Callable[..., Awaitable[House]],
) -> None:
    house = await furnish()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CALLFLOOR_")}
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "telephony.cli", "--config", str(house.config), "doctor"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    said, complaint = (text.decode() for text in await asked.communicate())
    assert (asked.returncode, complaint) == (0, ""), said
    assert [line.split()[:2] for line in said.splitlines()] == [
        ["ok", what]
        for what in ("flow:", "database:", "crm:", "agi:", "asterisk:", "clock:", "queues:", "dialplan:", "rights:")
    ] + [["ok", "least"], ["ok", "least"]]

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
