"""Published flows: versions that never change, aliases that move, callers who stay where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_bridge.database import Database
from ivr_flows.checks import House
from ivr_flows.prompts import PromptError
from ivr_flows.schema import Flow, FlowError, parse
from telephony.reception.library import LIVE, TEST, Library, LibraryError
from telephony.reception.shelf import Shelf

HOUSE = House(queues=["service"])
FLOW = """callfloor_flow: 1
name: {name}
languages: [de]
default: {{queue: service}}
start: away
nodes:
  away: {{type: {kind}, queue: service, priority: {priority}}}
"""
WITH_SUB_FLOW = """callfloor_flow: 1
name: main
languages: [de]
default: {queue: service}
start: inner
nodes:
  inner: {type: subflow, flow: part.yaml, next: away}
  away: {type: route, queue: service}
"""
PART = """callfloor_flow: 1
name: part
languages: [de]
default: {queue: service}
start: done
nodes:
  done: {type: return}
"""


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database, clock=lambda: 1000.0)


def written(folder: Path, priority: int = 1, name: str = "desk", kind: str = "route") -> Path:
    path = folder / "flow.yaml"
    path.write_text(FLOW.format(name=name, kind=kind, priority=priority))
    return path


async def test_each_change_is_a_version_and_the_same_text_is_the_same(library: Library, tmp_path: Path) -> None:
    for priority, version in ((1, 1), (1, 1), (2, 2), (1, 3)):
        made = await library.publish(written(tmp_path, priority), HOUSE, "anna")
        assert (made.version, made.aliases) == (version, (LIVE,))
    assert await library.meant(LIVE) == ("desk", 3)
    assert await library.meant(TEST) is None
    first = await library.read("desk", 1)
    second = await library.read("desk", 2)
    assert first is not None
    assert second is not None
    assert first.fingerprint != second.fingerprint


async def test_back_and_forth(library: Library, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="nothing is live yet"):
        await library.roll_back(LIVE, "anna")
    await library.publish(written(tmp_path, 1), HOUSE, "anna")
    with pytest.raises(LibraryError, match="nothing was live before desk version 1"):
        await library.roll_back(LIVE, "anna")
    await library.publish(written(tmp_path, 1, "other"), HOUSE, "anna")
    assert (await library.roll_back(LIVE, "ben")).flow == "desk"
    assert (await library.roll_back(LIVE, "ben")).flow == "other"
    with pytest.raises(LibraryError, match="no version 9"):
        await library.point(LIVE, "desk", 9, "ben")
    assert [(one.flow, one.version, one.aliases) for one in await library.versions()] == [
        ("other", 1, (LIVE,)),
        ("desk", 1, ()),
    ] or [one.flow for one in await library.versions()] == ["desk", "other"]


async def test_what_is_not_sound_is_not_published(library: Library, tmp_path: Path) -> None:
    await library.publish(written(tmp_path), HOUSE, "anna")
    with pytest.raises(FlowError, match=r"flow\.yaml:7:"):
        await library.publish(written(tmp_path, kind="hangup"), HOUSE, "anna")
    with pytest.raises(FlowError, match="there is no queue 'service'"):
        await library.publish(written(tmp_path, 5), House(queues=["sales"]), "anna")
    assert await library.meant(LIVE) == ("desk", 1)


async def test_sub_flows_are_part_of_the_version(library: Library, tmp_path: Path) -> None:
    main, part = tmp_path / "main.yaml", tmp_path / "part.yaml"
    main.write_text(WITH_SUB_FLOW)
    part.write_text(PART)
    first = await library.publish(main, HOUSE, "anna")
    part.write_text(
        PART.replace("start: done", "start: on").replace(
            "nodes:", "nodes:\n  on: {type: set, values: {x: 1}, next: done}"
        )
    )
    second = await library.publish(main, HOUSE, "anna")
    assert (first.version, second.version) == (1, 2)
    part.unlink()
    flow = await library.read("main", 2)
    assert flow is not None
    assert set(flow.nodes) == {"inner", "inner.on", "inner.done", "away"}


class Prompts:
    """Has a sound for everything, unless told otherwise."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.lacking = ""

    async def __call__(self, flow: Flow) -> None:
        if flow.document.name == self.lacking:
            raise PromptError("no sound")
        self.prepared.append(flow.fingerprint)


async def test_the_shelf_changes_over_when_the_sounds_are_there(library: Library, tmp_path: Path) -> None:
    default = parse(FLOW.format(name="default", kind="route", priority=0))
    prompts = Prompts()
    shelf = Shelf(library, default, HOUSE, prompts)
    await shelf.look()
    assert (shelf.live, shelf.shown) == (default, "default")
    made = await library.publish(written(tmp_path, 1), HOUSE, "anna")
    await shelf.look()
    assert (shelf.live.fingerprint, shelf.shown) == (made.fingerprint, "desk version 1")
    assert prompts.prepared == [made.fingerprint]

    # What has no sounds is not changed over to, and does not keep us busy; the next one is.
    prompts.lacking = "silent"
    await library.publish(written(tmp_path, 1, "silent"), HOUSE, "anna")
    await shelf.look()
    assert shelf.shown == "desk version 1"
    await library.roll_back(LIVE, "anna")
    await shelf.look()
    assert shelf.shown == "desk version 1"
    await library.publish(written(tmp_path, 2), HOUSE, "anna")
    await shelf.look()
    assert shelf.shown == "desk version 2"


async def test_who_is_in_an_earlier_version_finds_it(library: Library, tmp_path: Path) -> None:
    default = parse(FLOW.format(name="default", kind="route", priority=0))
    first = await library.publish(written(tmp_path, 1), HOUSE, "anna")
    await library.publish(written(tmp_path, 2), HOUSE, "anna")
    # A new process: it has never seen the first version.
    shelf = Shelf(library, default, HOUSE, Prompts())
    await shelf.look()
    earlier = await shelf.of(first.fingerprint)
    assert earlier is not None
    assert earlier.fingerprint == first.fingerprint
    assert await shelf.of(default.fingerprint) is default
    assert await shelf.of("0" * 16) is None
