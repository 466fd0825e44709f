"""Every main state of the desk on both kinds of screen, in both languages, light and dark: it fits, and nothing is cut.

``DESK_SCREENS=folder`` keeps the pictures.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param(1280, 800, "light", "de-DE", "anna", id="1280-light-de"),
    pytest.param(1280, 800, "dark", "en-GB", "ben", id="1280-dark-en"),
    pytest.param(1920, 1080, "light", "en-GB", "ben", id="1920-light-en"),
    pytest.param(1920, 1080, "dark", "de-DE", "anna", id="1920-dark-de"),
]

TOO_WIDE = """() => [...document.querySelectorAll('.bar-row, .call-head, .facts, .card, .wrap, .desk')]
  .filter((box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1)
  .map((box) => `${box.className}: ${box.scrollWidth}x${box.scrollHeight} in ${box.clientWidth}x${box.clientHeight}`)"""


@pytest.mark.parametrize(("width", "height", "scheme", "language", "login"), LOOKS)
async def test_every_state_fits_the_screen(
    floor: Any, tmp_path: Path, width: int, height: int, scheme: str, language: str, login: str
) -> None:
    folder = Path(os.environ.get("DESK_SCREENS", tmp_path))
    office, options = floor.office, {"width": width, "height": height, "scheme": scheme, "language": language}

    entry = await floor.page(**options)
    await entry.goto(floor.base)
    await entry.locator("#login:focus").wait_for()
    await entry.screenshot(path=folder / f"log-in-{width}-{scheme}-{language[:2]}.png")

    page = await floor.sign_in(login, **options)
    wide: list[Any] = []

    async def look(state: str) -> None:
        await page.screenshot(path=folder / f"{state}-{width}-{scheme}-{language[:2]}.png")
        cut = await page.evaluate(TOO_WIDE)
        if cut:
            wide.append((state, cut))

    office.past = floor.past()
    await page.keyboard.press("F2")
    await page.locator(".presence.is-ready").wait_for()
    await page.reload()
    await page.locator(".rows tbody tr").first.wait_for()
    office.queue("service", waiting=3, longest=floor.now() - 74)
    await page.locator(".queue-chip.has-waiting").wait_for()
    await look("idle")

    office.ring("pbx1-1.1", login)
    await page.locator(".call.is-ringing .bone").first.wait_for()
    await look("ringing-loading")
    office.fill("pbx1-1.1")
    await page.locator(".call.is-ringing .lines.contacts").wait_for()
    await look("ringing")
    office.ring("pbx1-9.9", login, certainty="none")
    await page.locator(".call-tab").nth(1).wait_for()
    await look("two-ringing")
    office.withdraw("pbx1-9.9")
    office.answer("pbx1-1.1", login)
    await page.locator(".call.is-talking").wait_for()
    await page.keyboard.press("n")
    await page.keyboard.type("Paket seit fünf Tagen ohne Bewegung, Nachforschung beim Zusteller angestoßen.")
    await page.get_by_text("Notiz gespeichert" if language == "de-DE" else "Note saved").wait_for()
    await look("talking")
    office.hang_up("pbx1-1.1", seconds=95)
    await page.locator(".wrap.is-due").wait_for()
    await page.keyboard.press("Escape")
    await page.keyboard.press("1")
    await look("wrap-up")
    await page.keyboard.press("Control+Enter")
    await page.locator(".idle").wait_for()

    office.ring("pbx1-1.2", login, certainty="shared")
    await page.locator(".candidates").wait_for()
    await look("shared")
    office.withdraw("pbx1-1.2")
    office.ring("pbx1-1.3", login, certainty="withheld")
    await page.locator(".call-head.is-withheld").wait_for()
    await look("withheld")
    office.withdraw("pbx1-1.3")

    await page.keyboard.press("?")
    await page.locator("dialog[open]").wait_for()
    await look("help")
    await page.keyboard.press("Escape")
    await page.keyboard.press("F4")
    await page.locator("dialog[open] .reasons").wait_for()
    await look("pause")
    await page.keyboard.press("Escape")

    await page.context.set_offline(True)
    await floor.server.sockets.close_all()
    await page.locator(".link").wait_for()
    await look("disconnected")
    assert wide == []
