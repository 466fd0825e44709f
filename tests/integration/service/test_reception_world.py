"""What a flow asks of the world: opening hours, the emergency switch, web services good and bad, a CRM that fails."""

from __future__ import annotations

import asyncio
import datetime
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from holidays import country_holidays, list_supported_countries

from crm_bridge.adapters.webhook import sign
from telephony.pbx.scenarios import Keys, PhoneScript

from .conftest import KNOWN, House, eventually, passed, seen_of

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

HOURS = """
callfloor_flow: 1
name: hours
languages: [de]
default: {queue: service}
start: choose
nodes:
  choose: {type: menu, text: {de: Wahl}, choices: {1: always, 2: today, 3: feast}}
  always: {type: hours, hours: always, open: is_open, closed: bye, emergency: shut}
  today: {type: hours, hours: today, open: bye, closed: is_closed}
  feast: {type: hours, hours: feast, open: bye, closed: bye, holiday: is_holiday}
  is_open: {type: say, text: {de: offen}, next: bye}
  is_closed: {type: say, text: {de: "{{ hours.opens_at | time }}"}, next: bye}
  is_holiday: {type: say, text: {de: Feiertag}, next: bye}
  shut: {type: say, text: {de: zu}, next: bye}
  bye: {type: hangup}
"""
WEEK = "{ " + ", ".join(f'{day} = ["00:00-24:00"]' for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")) + " }"


def closed_today(today: datetime.date) -> str:
    """Hours of three kinds; the last one has a public holiday today, wherever there is one."""
    feasts = [one for one in sorted(list_supported_countries(include_aliases=False)) if today in country_holidays(one)]
    kinds = (("always", ""), ("today", f"exceptions = [{{ date = {today} }}]"))
    kinds += (("feast", f'holidays = "{feasts[0]}"' if feasts else ""),)
    return "\n".join(f'[[hours]]\nname = "{name}"\nweek = {WEEK}\n{more}' for name, more in kinds)


async def test_hours_and_the_switch_that_closes_the_office_at_once(furnish: Furnish) -> None:
    today = datetime.datetime.now(ZoneInfo("Europe/Berlin")).date()
    settings = closed_today(today)
    house = await furnish(flow=HOURS, more={"": settings})
    await house.serve()
    (sue, anna) = await house.at_work("sue", "anna")
    calls = [house.call(f"+49302312555{key}", keys=(Keys(1.0, key),)) for key in ("1", "2", "3")]
    await asyncio.gather(*calls)

    async def counted(**wanted: int) -> None:
        async def so() -> bool:
            return {node: await passed(sue, node) for node in wanted} == wanted

        await eventually(so, f"the callers to come by: {wanted}")

    await counted(is_open=1, is_closed=1, is_holiday=1 if "holidays" in settings else 0, shut=0)
    with pytest.raises(RuntimeError, match="403"):
        await anna.ask("PUT", "/api/v1/closure", {"closed": True, "reason": "Wasserschaden"})
    shut = await sue.ask("PUT", "/api/v1/closure", {"closed": True, "reason": "Wasserschaden"})
    assert (shut["closed"], shut["by"]) == (True, "sue")
    await house.call("+493023125551", keys=(Keys(1.0, "1"),))
    await counted(is_open=1, shut=1)
    await anna.until(lambda: anna.entities["office"]["office"]["closed"] is not None, "the lamp")
    await sue.ask("PUT", "/api/v1/closure", {"closed": False})
    await house.call("+493023125551", keys=(Keys(1.0, "1"),))
    await counted(is_open=2, shut=1)


HTTP = """
callfloor_flow: 1
name: web
languages: [de]
default: {queue: service}
start: choose
nodes:
  choose: {type: menu, text: {de: Wahl}, choices: {1: good, 2: slow, 3: bad, 4: big, 5: sly}}
  good: {type: http, url: "{{ base }}good", body: {key: "{{ call.dialled }}"}, take: [case, state], into: got, next: it}
  it: {type: say, text: {de: "{{ got.case | digits }}"}, next: yes_it_is}
  yes_it_is: {type: condition, when: "got.state == 'ok'", then: used, otherwise: away}
  used: {type: say, text: {de: gut}, next: away}
  slow: {type: http, url: "{{ base }}slow", take: [case], into: late, seconds: 1, next: bye, timeout: timed_out}
  timed_out: {type: say, text: {de: langsam}, next: away}
  bad: {type: http, url: "{{ base }}bad", take: [case], into: junk, next: bye, error: failed}
  big: {type: http, url: "{{ base }}big", take: [case], into: heap, next: bye, error: failed}
  sly: {type: http, url: "{{ base }}moved", take: [case], into: sly, next: bye, error: failed}
  failed: {type: say, text: {de: leider}, next: away}
  away: {type: route, queue: service}
  bye: {type: hangup}
"""


class Erp:
    """A web service of the house, with good days and bad ones."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.asked: list[dict[str, Any]] = []
        self.strangers = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        signature = sign(self.secret, request.headers["X-Callfloor-Timestamp"], body)
        if not hmac.compare_digest(request.headers["X-Callfloor-Signature"], f"v1={signature}"):
            self.strangers += 1
            return web.Response(status=401)
        name = request.match_info["name"]
        if name == "good":
            self.asked.append(await request.json())
            return web.json_response({"case": "4711", "state": "ok", "more": ["ignored"]})
        if name == "slow":
            await asyncio.sleep(5)
        if name == "moved":
            raise web.HTTPFound("/secret")
        return web.Response(body=b"x" * (10_000_000 if name == "big" else 20), content_type="application/json")


async def test_web_services_answer_late_garbage_or_too_much(furnish: Furnish) -> None:
    erp = Erp(b"between us")
    app = web.Application()
    app.router.add_post("/ivr/{name}", erp.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/ivr/"
    flow = HTTP.replace("start: choose", f"constants: {{base: '{base}'}}\nstart: choose")
    more = {"[flows]": f'http_allow = ["{base}"]\nhttp_secret = "between us"', "[[queues]]": 'wrap_up = "none"'}
    house = await furnish(flow=flow, more=more)
    house.stack.push_async_callback(runner.cleanup)
    await house.serve()
    (anna,) = await house.at_work("anna")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.2))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    ways = {
        "1": ["choose", "good", "it", "yes_it_is", "used", "away"],
        "2": ["choose", "slow", "timed_out", "away"],
        "3": ["choose", "bad", "failed", "away"],
        "4": ["choose", "big", "failed", "away"],
        "5": ["choose", "sly", "failed", "away"],
    }
    calls = [house.call(f"+49302312555{key}", keys=(Keys(1.0, key),)) for key in ways]
    for key, path in ways.items():
        assert (await seen_of(anna, f"+49302312555{key}"))["path"] == path
    await asyncio.gather(*calls)
    assert ([one["key"] for one in erp.asked], erp.strangers) == (["+493023125000"], 0)
    assert house.log.count('"flow_office_unable"') == 3
    # An address that the settings do not allow does not even get published.
    other = house.folder / "other.yaml"
    other.write_text(flow.replace('"{{ base }}good"', '"http://127.0.0.1:1/ivr/good"'))
    status, said = await house.callfloor("flow", "publish", str(other))
    assert status != 0
    assert "http_allow" in said


CARE = """
callfloor_flow: 1
name: care
languages: [de]
default: {queue: service}
start: who
nodes:
  who: {type: recognise, known: ask, unknown: ask, error: ask}
  ask: {type: authenticate, text: {de: Nummer}, tries: 1, next: orders, error: sorry}
  orders: {type: lookup, what: orders, into: order, next: away, error: sorry}
  sorry: {type: say, text: {de: leider}, next: away}
  away: {type: route, queue: service}
"""


@pytest.mark.parametrize("how", ["garbage", "slow", "down"])
async def test_a_crm_that_fails_costs_nobody_the_way_to_a_person(furnish: Furnish, how: str) -> None:
    house = await furnish(flow=CARE, more={"[[queues]]": 'wrap_up = "none"'}, webhook=True)
    assert house.crm is not None
    await house.serve()
    (anna,) = await house.at_work("anna")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.2))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")

    async def garbage(_question: dict[str, Any], _key: str) -> dict[str, Any]:
        return {"customers": "x" * 1_000_000, "card": ["\r\nEvent: x"]}

    async def slow(_question: dict[str, Any], _key: str) -> dict[str, Any]:
        await asyncio.sleep(8)
        return {}

    house.crm.out_of_order = how == "down"
    if how != "down":
        house.crm._requests.update(dict.fromkeys(("lookup", "card"), garbage if how == "garbage" else slow))
    calling = house.call(KNOWN, keys=(Keys(2.5, "204117#"),))
    pop = await seen_of(anna, KNOWN)
    assert pop["path"] == ["who", "ask", "sorry", "away"]
    assert (pop["level"], pop["card"]) == ("none", None)
    await calling
    assert re.search("flow_office_(unable|slow)", house.log)
