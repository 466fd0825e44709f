"""The demo, as a newcomer runs it: the whole story, checked by the demo itself."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

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
    assert re.fullmatch(r"demo: 8 calls, \d+ pops, 7 wrap-ups in the CRM", text.splitlines()[-1]), text
    # What is printed for everybody to see holds nobody's whole number.
    assert "+493023125042" not in text
