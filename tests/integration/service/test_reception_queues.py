"""Out of the flow and back: waiting limits, empty queues, exit keys, skills, preferred agents, transfers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest

from telephony.pbx.scenarios import Keys, PhoneScript

from .conftest import SLOW, House, eventually, passed, pop_of, seen_of, wrap_up

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

FLOW = """
callfloor_flow: 1
name: queues
languages: [de]
default: {queue: service}
start: choose
nodes:
  choose:
    type: menu
    text: {de: Wahl}
    choices: {1: limited, 2: keyed, 3: skilled, 4: preferred, 5: outside, 6: deeper}
  limited: {type: route, queue: service, wait: 5, priority: 7, overflow: overflowed, empty: nobody}
  keyed: {type: route, queue: service, overflow: overflowed, keys: {1: pressed, "*": starred}}
  skilled: {type: route, queue: service, penalty: {most: 0}}
  preferred: {type: route, queue: service, prefer: {agent: "'ben'", seconds: 4}}
  outside: {type: transfer, to: office}
  deeper: {type: subflow, flow: below.yaml, next: limited}
  overflowed: {type: say, text: {de: voll}, next: bye}
  nobody: {type: say, text: {de: leer}, next: bye}
  pressed: {type: say, text: {de: eins}, next: bye}
  starred: {type: say, text: {de: Stern}, next: bye}
  bye: {type: hangup}
"""
BELOW = """
callfloor_flow: 1
name: below
languages: [de]
default: {queue: service}
start: more
nodes:
  more: {type: say, text: {de: mehr}, next: done}
  done: {type: return}
"""
FILES = {"below.yaml": BELOW}
CALLER = "+493023125501"


async def priorities(house: House) -> list[int]:
    return [int(found) for found in re.findall(r"prio: (\d+)\)", await house.asterisk.cli("queue show service"))]


async def test_a_caller_comes_back_into_the_flow_when_no_agent_is_had(furnish: Furnish) -> None:
    house = await furnish(flow=FLOW, files=FILES, more={"[[queues]]": 'exit_keys = "1*"', "": TRANSFER})
    await house.serve()
    (sue,) = await house.at_work("sue")
    # Nobody is at work: she does not even begin to wait.
    await house.call(CALLER, keys=(Keys(1.0, "6"),))
    await eventually(lambda: passed(sue, "nobody"), "the way for an empty queue")
    assert await passed(sue, "deeper.more") == 1
    await house.at_work("anna")
    await house.phone("phone1", SLOW)
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    limited = house.call(CALLER, keys=(Keys(1.0, "1"),))
    keyed = [
        house.call(f"+49302312550{number}", keys=(Keys(1.0, "2"), Keys(3.0, key)))
        for number, key in ((2, "1"), (3, "*"))
    ]

    async def waiting() -> bool:
        return sorted(await priorities(house)) == [0, 0, 7]

    await eventually(waiting, "three callers in the queue, one before the others")
    for calling in (limited, *keyed):
        assert (await calling).ended_by == "far-end"
    for node in ("overflowed", "pressed", "starred"):
        await eventually(lambda node=node: passed(sue, node), f"the way of {node}")
        assert await passed(sue, node) == 1
    assert (await limited).seconds > 6


TRANSFER = '[[transfers]]\nname = "office"\nphone = "phone2"\nring_seconds = 5'
MORE = {
    "[[queues]]": "penalty_steps = [{ after = 4, most = 5 }]",
    "": TRANSFER,
}


async def test_skills_the_preferred_agent_and_a_transfer_to_a_phone(furnish: Furnish) -> None:
    more = {**MORE, "[[queues]]": f'exit_keys = "1*"\n{MORE["[[queues]]"]}'}
    house = await furnish(flow=FLOW, files=FILES, more=more, penalties={"ben": 5}, ring=3)
    await house.serve()
    anna, ben, _ = await house.at_work("anna", "ben", "sue")
    phone1 = await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    phone2 = await house.phone("phone2", SLOW)
    for name in ("phone1", "phone2"):
        await house.member(name, lambda line: "Not in use" in line, "may be rung")

    # A phone outside the queues, where nobody answers: the default queue, which anna serves alone.
    calling = house.call(CALLER, keys=(Keys(1.0, "5"),))
    outside = await seen_of(anna, CALLER)
    rang = await phone2.wait_for("rang")
    answered = await phone1.wait_for("answered")
    assert answered.at - rang.at > 4.5
    await calling
    await wrap_up(anna, outside["conversation"])

    # The preferred agent alone is rung first; he does not answer, so everybody's turn comes.
    calling = house.call("+493023125502", keys=(Keys(1.0, "4"),))
    his = await seen_of(ben, "+493023125502")
    assert his["queue"] == "service"
    hers = await seen_of(anna, "+493023125502")
    assert anna.seen[hers["conversation"]].first_at - ben.seen[his["conversation"]].first_at > 3
    await calling
    await wrap_up(anna, hers["conversation"])
    await phone2.stop()

    # He answers: the card is his, and so is the code.
    phone2 = await house.phone("phone2", PhoneScript(answer_after=0.5, talk=0.5))
    calling = house.call("+493023125042", keys=(Keys(1.0, "4"),))
    pop = await pop_of(ben, "talking")
    await ben.until(lambda: any(one["card"] for one in ben.entities["pop"].values()), "the card")
    await calling
    wrapping = await pop_of(ben, "wrap_up")
    assert wrapping["conversation"] == pop["conversation"]
    assert pop["conversation"] not in anna.seen
    await wrap_up(ben, pop["conversation"])
    await ben.until(lambda: ben.presence == "ready", "to be ready again")
    written = await eventually(lambda: house.calls(), "the records")
    assert pop["conversation"] in written

    # Skills: only anna at first, who does not answer; after four seconds ben, too.
    await phone1.stop()
    await house.phone("phone1", SLOW)
    await house.member("phone1", lambda line: "Not in use" in line and "paused" not in line, "may be rung")
    await house.member("phone2", lambda line: "Not in use" in line and "paused" not in line, "may be rung")
    calling = house.call("+493023125503", keys=(Keys(1.0, "3"),))
    hers = await seen_of(anna, "+493023125503")
    his = await seen_of(ben, "+493023125503")
    assert ben.seen[his["conversation"]].first_at - anna.seen[hers["conversation"]].first_at > 3
    await calling
    await wrap_up(ben, his["conversation"])
    calls = await house.calls()
    one = calls[pop["conversation"]]
    assert (one["agent"], one["queue"], one["code"], one["customer_name"]) == (
        "ben",
        "service",
        "PARCEL",
        "Annegret Sommerfeld",
    )
    assert "Invalid value" not in (house.asterisk.folders.log / "messages.log").read_text()
