"""``callfloor flow``: what operators see when they prove, try and draw their flows."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from crm_bridge.database import Database
from ivr_flows import schema
from telephony import migrations
from telephony.reception.tables import FlowCount

FLOW = """callfloor_flow: 1
name: shop
languages: [de]
default: {queue: service}
start: hours
nodes:
  hours: {type: hours, hours: service, open: menu, closed: bye}
  menu: {type: menu, text: {de: Bitte wählen}, choices: {1: queue, 2: out}, visits: 3}
  queue: {type: route, queue: service, keys: {1: menu}}
  out: {type: transfer, to: shop}
  bye: {type: hangup, text: {de: Auf Wiederhören}}
"""
SCRIPTS = """callers:
  quick:
    steps: [press: 1]
    expect: {route: service, said: [Bitte wählen]}
  night:
    office: {hours: closed}
    expect: {ended: hung_up}
"""
SETTINGS = """
[[phones]]
name = "shop"
[[transfers]]
name = "shop"
phone = "shop"
[[queues]]
name = "service"
exit_keys = "1"
label = {de = "Service", en = "Service"}
wrap_up = "none"
"""
Callfloor = Callable[..., Any]


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(FLOW)
    (tmp_path / "shop.scripts.yaml").write_text(SCRIPTS)
    (tmp_path / "callfloor.toml").write_text(SETTINGS)


def test_a_flow_is_proven_against_the_settings(callfloor: Callfloor, tmp_path: Path) -> None:
    assert callfloor("flow", "check", "shop.yaml").out == "shop.yaml: sound\n"
    (tmp_path / "callfloor.toml").write_text(SETTINGS.replace('exit_keys = "1"', "").replace("shop", "desk"))
    said = callfloor("flow", "check", "shop.yaml")
    assert (said.status, said.out) == (2, "")
    assert [line.partition(": ")[2] for line in said.err.splitlines()] == [
        "no key '1' leaves the queue 'service'; see its exit_keys in the settings",
        "there is no transfer 'shop' in the settings (have: desk)",
    ]


def test_callers_are_told_one_a_line_with_what_nobody_took(callfloor: Callfloor) -> None:
    said = callfloor("flow", "simulate", "shop.yaml")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [
        "quick  hours > menu > queue  = queue service (priority 0)",
        "night  hours > bye  = the flow hung up",
        "shop.yaml: 23 % of the branches (3 of 13)",
        "shop.yaml:7:3: hours: nobody took the branch 'emergency'",
        "shop.yaml:7:3: hours: nobody took the branch 'holiday'",
        "shop.yaml:8:3: menu: nobody took the branch 'exhausted'",
        "shop.yaml:8:3: menu: nobody took the branch 'invalid'",
        "shop.yaml:8:3: menu: nobody took the branch 'timeout'",
        "shop.yaml:8:68: menu: nobody took the branch 'choices.2'",
        "shop.yaml:9:3: queue: nobody took the branch 'empty'",
        "shop.yaml:9:3: queue: nobody took the branch 'full'",
        "shop.yaml:9:3: queue: nobody took the branch 'overflow'",
        "shop.yaml:9:47: queue: nobody took the branch 'keys.1'",
    ]


def test_one_caller_word_by_word(callfloor: Callfloor) -> None:
    said = callfloor("flow", "simulate", "shop.yaml", "--caller", "quick")
    assert said.status == 0
    assert "menu   » Bitte wählen\nmenu   < 1\nqueue  ~ queue service: answered\n" in said.out
    assert "nobody took" not in said.out
    everybody = callfloor("flow", "simulate", "shop.yaml", "--verbose").out
    assert "» Bitte wählen" in everybody
    assert "» Auf Wiederhören" in everybody


@pytest.mark.parametrize(
    ("scripts", "arguments", "says"),
    [
        (SCRIPTS.replace("route: service", "route: x"), (), "shop.scripts.yaml:4:14: quick: route is service, not x"),
        (SCRIPTS.replace("[press: 1]", "[press: 1, hangup, hangup]"), (), "quick: the call ended before: hangup"),
        (SCRIPTS, ("--cover", "24"), "shop.yaml: 23 % is below 24 %"),
    ],
)
def test_what_fails_ends_with_status_2(
    callfloor: Callfloor, tmp_path: Path, scripts: str, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "shop.scripts.yaml").write_text(scripts)
    said = callfloor("flow", "simulate", "shop.yaml", *arguments)
    assert said.status == 2
    assert "23 % of the branches" in said.out
    (line,) = said.err.splitlines()
    assert says in line


def test_enough_coverage_is_enough(callfloor: Callfloor) -> None:
    assert callfloor("flow", "simulate", "shop.yaml", "--cover", "23").status == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("simulate", "none.yaml"), "none.yaml: no such file"),
        (("simulate", "shop.yaml", "--scripts", "none.yaml"), "none.yaml:1:1: no such file; write it, or name another"),
        (("simulate", "shop.yaml", "--scripts", "shop.yaml"), "shop.yaml:1:1: 'callers' is missing (and 6 more)"),
        (("simulate", "shop.yaml", "--caller", "x"), "shop.scripts.yaml has no caller 'x' (have: quick, night)"),
        (("simulate", "shop.yaml", "--cover", "101"), "101 is not in the range"),
        (("draw", "shop.scripts.yaml"), "shop.scripts.yaml:1:1: "),
        (("draw", "shop.yaml", "--format", "gif"), "'gif' is not one of 'svg', 'mermaid'"),
        (("draw", "shop.yaml", "--to", "no/where.svg"), "cannot be written"),
        (("paint",), "No such command 'paint'. See: callfloor flow --help"),
    ],
)
def test_mistakes_cost_one_line(callfloor: Callfloor, arguments: tuple[str, ...], says: str) -> None:
    assert says in callfloor("flow", *arguments).complaint


def test_flows_are_tried_and_drawn_without_settings(callfloor: Callfloor, tmp_path: Path) -> None:
    (tmp_path / "callfloor.toml").write_text("[nonsense]\n")
    assert callfloor("flow", "simulate", "shop.yaml").status == 0
    assert "flowchart TD" in callfloor("flow", "draw", "shop.yaml", "--format", "mermaid").out
    assert "nonsense" in callfloor("flow", "check", "shop.yaml").complaint


def test_a_picture_goes_to_a_file_or_to_the_terminal(callfloor: Callfloor, tmp_path: Path) -> None:
    shown = callfloor("flow", "draw", "shop.yaml").out
    assert ElementTree.fromstring(shown).tag.endswith("svg")
    said = callfloor("flow", "draw", "shop.yaml", "--to", "shop.svg")
    assert said.out == "shop.svg: 5 nodes drawn\n"
    assert (tmp_path / "shop.svg").read_text(encoding="utf-8") == shown


def test_a_picture_with_how_often_each_way_was_taken(callfloor: Callfloor, tmp_path: Path) -> None:
    (tmp_path / "callfloor.toml").write_text(
        SETTINGS + f'[storage]\nurl = "sqlite+aiosqlite:///{tmp_path}/office.db"\n'
    )
    draw = ("flow", "draw", "shop.yaml", "--format", "mermaid", "--counts")
    assert "no caller has been through this version of it in these 7 days" in callfloor(*draw).err
    flow, today = schema.load(tmp_path / "shop.yaml"), datetime.date.today()

    async def seed() -> None:
        await migrations.upgrade(f"sqlite+aiosqlite:///{tmp_path}/office.db")
        database = Database(f"sqlite+aiosqlite:///{tmp_path}/office.db")
        async with database.transaction() as session:
            for days, branch, count in ((0, "choices.1", 471), (20, "choices.2", 815)):
                day = (today - datetime.timedelta(days=days)).isoformat()
                session.add(
                    FlowCount(
                        flow="shop", fingerprint=flow.fingerprint, day=day, node="menu", branch=branch, count=count
                    )
                )
        await database.close()

    asyncio.run(seed())
    drawn = callfloor(*draw)
    assert (drawn.err, "471" in drawn.out, "815" in drawn.out) == ("", True, False)
    assert "815" in callfloor(*draw, "--days", "30").out
