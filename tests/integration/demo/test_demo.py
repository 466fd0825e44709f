"""The demo, as a newcomer runs it: the whole story, checked by the demo itself, and the one that goes on and on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from telephony.demo.agents import DemoAgent

pytestmark = pytest.mark.asterisk

LONGEST = 420.0


async def test_the_story_comes_out_as_told(tmp_path: Path) -> None:
    demo = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "telephony.cli", "demo", "--once", "--folder", str(tmp_path / "demo")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LONGEST):
            said, _ = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.wait()
    text = said.decode()
    assert demo.returncode == 0, text
    assert re.fullmatch(r"demo: 10 calls, \d+ pops, 8 wrap-ups in the CRM", text.splitlines()[-1]), text
    # What is printed for everybody to see holds nobody's whole number.
    assert "+493023125042" not in text


PLAY_ON = """
import sys
from telephony import cli
from telephony.demo import show
show.STORY = [scene for scene in show.STORY if scene.title in sys.argv[3:]]
show.BETWEEN_ROUNDS, show.TYPES_SECONDS = 0.0, 0.5
sys.argv[1:] = ["demo", "--folder", sys.argv[1], "--port", sys.argv[2]]
cli.main()
"""
KNOWN = "known by number"
CHOOSES = "one number, two customers: the agent chooses"
HANGS_UP = "hangs up while waiting"
NEXT = "the first agent lets it ring, the next one gets it"


@asynccontextmanager
async def playing_on(
    folder: Path, *titles: str, deaf: bool = False
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """The endless demo with these scenes of the story, its temporary files in a folder of their own.

    ``deaf``: as shells start what runs in the background, with Ctrl-C ignored.
    """
    (folder / "tmp").mkdir()
    with socket.socket() as probe:  # other demos here want the usual port, too
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PLAY_ON, str(folder / "demo"), str(port), *titles),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1"},
        preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if deaf else None,
    )
    assert demo.stdout is not None
    try:
        async with asyncio.timeout(LONGEST):
            yield demo, demo.stdout
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.wait()


async def line_with(said: asyncio.StreamReader, text: str) -> str:
    lines = []
    while line := (await said.readline()).decode():
        lines.append(line)
        if text in line:
            return line
    raise AssertionError(f"no line with {text!r} in:\n{''.join(lines)}")


async def test_the_endless_demo_plays_what_it_prints_and_tidies_up(tmp_path: Path) -> None:
    came_of: dict[str, str] = {}
    async with playing_on(tmp_path, CHOOSES, HANGS_UP, NEXT) as (demo, said):
        for title in (CHOOSES, HANGS_UP, NEXT):
            await line_with(said, title)
            came_of[title] = (await said.readline()).decode().strip()
        assert came_of == {
            CHOOSES: "anna answered; Katharina Brandt, certain (chosen_by_agent)",
            HANGS_UP: "nobody answered; Mareike Oltmanns, certain",
            NEXT: "ben answered; Eleanor Whitcombe, certain (number_unique)",
        }
        await line_with(said, CHOOSES)
        demo.send_signal(signal.SIGTERM)
        demo.send_signal(signal.SIGTERM)  # as from a terminal and from make
        await said.read()
        assert await demo.wait() == 128 + signal.SIGTERM
    assert list((tmp_path / "tmp").iterdir()) == []
    replayed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "telephony.cli", "replay", "--json", str(tmp_path / "demo" / "journal")],
        capture_output=True,
        check=True,
    )
    chosen, gone, next_one = [json.loads(line) for line in replayed.stdout.splitlines()][:3]
    assert chosen["outcome"] == next_one["outcome"] == "answered"
    assert (gone["outcome"], gone["talks"]) == ("abandoned", [])
    assert [(ring["interface"], ring["end"]) for ring in next_one["rings"]] == [
        ("PJSIP/phone1", "no_answer"),
        ("PJSIP/phone2", "answered"),
    ]


async def test_the_visitor_s_place_is_in_the_story(tmp_path: Path) -> None:
    async with playing_on(tmp_path, KNOWN, HANGS_UP) as (demo, said):
        base = (await line_with(said, "The desk: ")).split()[-1]
        _, password, *_ = (await line_with(said, "clara")).split()
        await line_with(said, KNOWN)
        visitor = DemoAgent(base, "clara", password, lambda _pop: ("PARCEL", "By hand."))
        try:
            await visitor.start()
            await visitor.be("ready")
            came_of = (await said.readline()).decode().strip()
            assert came_of == "clara answered: the code and the note are yours; Annegret Sommerfeld, certain"
            await line_with(said, HANGS_UP)
            assert (await said.readline()).decode().strip() == "nobody answered; Mareike Oltmanns, certain"
            assert visitor.failures == []
            assert [seen.states[-2:] for seen in visitor.seen.values()] == [["wrap_up", "gone"], ["ringing", "gone"]]
        finally:
            await visitor.stop()
        demo.send_signal(signal.SIGTERM)
        await said.read()


async def test_ctrl_c_ends_the_demo_in_the_background_too(tmp_path: Path) -> None:
    async with playing_on(tmp_path, CHOOSES, deaf=True) as (demo, said):
        await line_with(said, CHOOSES)
        demo.send_signal(signal.SIGINT)
        assert "clearing away" in (await said.read()).decode()
        assert await demo.wait() == 128 + signal.SIGINT
    assert list((tmp_path / "tmp").iterdir()) == []
