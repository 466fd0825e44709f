"""Flows are published, rolled back and refused while the service runs; who is in one stays in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from telephony.pbx.scenarios import Keys, PhoneScript

from .conftest import House, eventually, passed, seen_of

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

FLOW = """
callfloor_flow: 1
name: shop
languages: [de]
default: {queue: service}
start: choose
nodes:
  choose: {type: menu, text: {de: Wahl}, silences: 9, choices: {1: VERSION}}
  VERSION: {type: say, text: {de: gut}, next: away}
  away: {type: route, queue: service}
"""
MORE = {"[[queues]]": 'wrap_up = "none"'}


async def test_a_call_stays_on_its_version_and_the_next_one_gets_the_new_one(furnish: Furnish) -> None:
    house = await furnish(flow=FLOW.replace("VERSION", "zero"), more=MORE)
    for name in ("one", "two"):
        (house.folder / f"{name}.yaml").write_text(FLOW.replace("VERSION", name))
    (house.folder / "bad.yaml").write_text(FLOW.replace("VERSION", "three").replace("next: away", "next: nowhere"))
    await house.serve()
    anna, sue = await house.at_work("anna", "sue")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")

    async def live(shown: str) -> None:
        async def so() -> bool:
            return bool((await sue.ask("GET", "/api/v1/flow"))["shown"] == shown)

        await eventually(so, f"{shown} to be live", 5)

    async def publish(name: str) -> tuple[int, str]:
        return await house.callfloor("flow", "publish", str(house.folder / f"{name}.yaml"))

    assert await publish("one") == (0, "shop version 1 is live\n")
    await live("shop version 1")
    # She is in the first version, and presses her key only much later, again and again.
    patient = house.call("+493023125501", keys=(Keys(14.0, "1"), *(Keys(1.5, "1") for _ in range(8))))
    await eventually(lambda: passed(sue, "choose", "here"), "the caller in the menu")
    assert await publish("two") == (0, "shop version 2 is live\n")
    status, said = await publish("bad")
    assert status != 0
    assert "nowhere" in said
    assert "bad.yaml:9:" in said
    await live("shop version 2")
    await house.kill()
    await house.serve()
    await house.agents["anna"].until(lambda: anna.presence == "ready", "to be at her desk again")
    newcomer = house.call("+493023125502", keys=(Keys(1.5, "1"), Keys(1.5, "1")))
    new = await seen_of(anna, "+493023125502")
    assert new["path"] == ["choose", "two", "away"]
    old = await seen_of(anna, "+493023125501")
    assert old["path"] == ["choose", "one", "away"]
    for calling in (patient, newcomer):
        await calling

    assert await house.callfloor("flow", "roll-back") == (0, "shop version 1 is live\n")
    await live("shop version 1")
    await house.call("+493023125503", keys=(Keys(1.5, "1"),))
    back = await seen_of(anna, "+493023125503")
    assert back["path"] == ["choose", "one", "away"]
    shown = await sue.ask("GET", "/api/v1/flow")
    assert [(one["version"], one["aliases"]) for one in shown["versions"]] == [(2, []), (1, ["live"])]
