"""Every main state of the desk on both kinds of screen, in both languages, light and dark: it fits, and nothing is cut.

``DESK_SCREENS=folder`` keeps the pictures.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.desk.ports import OutboxItem, Unavailable
from telephony.reception.messages import Recipient

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param(1280, 800, "light", "de-DE", "anna", id="1280-light-de"),
    pytest.param(1280, 800, "dark", "en-GB", "ben", id="1280-dark-en"),
    pytest.param(1920, 1080, "light", "en-GB", "ben", id="1920-light-en"),
    pytest.param(1920, 1080, "dark", "de-DE", "anna", id="1920-dark-de"),
    pytest.param(1024, 700, "light", "de-DE", "anna", id="1280-at-125-percent"),
    pytest.param(960, 540, "dark", "de-DE", "anna", id="1920-at-200-percent"),
    pytest.param(2560, 1440, "light", "en-GB", "ben", id="2560-light-en"),
]

TOO_WIDE = """() => ['.bar-row', '.call-head', '.facts', '.card-head', '.card', '.wrap', '.wrap form', '.desk', 'html']
  .flatMap((name) => [...document.querySelectorAll(name)].map((box) => [name, box]))
  // The page itself may be longer than the screen, where that is low; nothing may be wider.
  .filter(([name, box]) => box.scrollWidth > box.clientWidth + 1
    || (name !== 'html' && box.scrollHeight > box.clientHeight + 1))
  .map(([name, box]) => `${name}: ${box.scrollWidth}x${box.scrollHeight} in ${box.clientWidth}x${box.clientHeight}`)"""

# Text that ends before its last letter. The few that may (`.cut`, `.what`: all of it is in the title) are left out.
CUT = """() => [...document.querySelectorAll('.desk *:not(.cut):not(.what):not(.unseen):not(.unseen *):not(textarea)')]
  .filter((box) => [...box.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== ''))
  .filter((box) => getComputedStyle(box).overflowX === 'hidden' || getComputedStyle(box).whiteSpace === 'nowrap')
  .filter((box) => box.scrollWidth > box.clientWidth + 1 && box.clientWidth > 0)
  .map((box) => `${box.className} cuts ${box.textContent}`)"""

# Text over other text, or out of its own panel.
OUT = """() => [...document.querySelectorAll('.card-facts > div, .facts > div')].filter((box) => {
    const place = box.parentElement.getBoundingClientRect(), range = document.createRange();
    range.selectNodeContents(box);
    const own = box.getBoundingClientRect(), text = range.getBoundingClientRect();
    return text.right > own.right + 1 || own.right > place.right + 1;
  }).map((box) => `${box.textContent} leaves its place`)"""

LONG = {
    "id": "6f1c2f5e-0000-4000-8000-000000000009",
    "number": "60023117",
    "name": "Maximiliane Freifrau von Hohenlohe-Waldenburg-Schillingsfürst",
    "company": "Haferkamp Moden Handelsgesellschaft mbH",
}
LONG_CARD = {
    "email": "maximiliane.von-hohenlohe-waldenburg@haferkamp-moden.example",
    "phones": ["+49 221 4710208", "+49 1522 8817386", "+44 20 7946 0321"],
}
LONG_PATH = ["greeting", "recognise", "language", "privacy", "customer_number", "thanks", "line", "to_service"]


def looking(page: Any, folder: Path, suffix: str, wide: list[Any]) -> Callable[[str], Awaitable[None]]:
    """Takes a picture of a state, and adds to ``wide`` what does not fit in it."""

    async def look(state: str) -> None:
        await page.screenshot(path=folder / f"{state}-{suffix}.png")
        found = [one for check in (TOO_WIDE, CUT, OUT) for one in await page.evaluate(check)]
        if found:
            wide.append((state, found))

    return look


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
    look = looking(page, folder, f"{width}-{scheme}-{language[:2]}", wide)

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
    office.refusal = Unavailable("pbx-down")
    floor.expected.append("status of 503")
    await page.keyboard.press("F2")
    await page.locator(".trouble").wait_for()
    await look("trouble")
    await page.keyboard.press("Control+Enter")
    await page.locator(".idle").wait_for()

    office.ring("pbx1-1.4", login, candidates=[LONG], customer=LONG["id"], path=LONG_PATH)
    office.fill("pbx1-1.4", LONG, **LONG_CARD)
    office.answer("pbx1-1.4", login)
    await page.locator(".call.is-talking .lines.contacts").wait_for()
    await page.keyboard.press("F4")
    await page.keyboard.press("1")
    await page.locator(".presence-wish").wait_for()
    await look("long")
    office.withdraw("pbx1-1.4")

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
    assert wide == [], wide


@pytest.mark.parametrize(("width", "height", "scheme", "language", "login"), LOOKS)
async def test_the_supervisors_pages_fit_the_screen(
    floor: Any, tmp_path: Path, width: int, height: int, scheme: str, language: str, login: str
) -> None:
    folder = Path(os.environ.get("DESK_SCREENS", tmp_path))
    office, options = floor.office, {"width": width, "height": height, "scheme": scheme, "language": language}
    for other in ("anna", "ben"):
        await floor.sign_in(other)
    office.queue("service", waiting=3, longest=floor.now() - 74)
    office.ring("pbx1-1.1", "anna", candidates=[LONG])
    office.answer("pbx1-1.1", "anna")
    for number in range(4):
        office.caller_waits(f"pbx1-5.{number}", "Paula Jansen" if number else LONG["name"])
    office.past = floor.past()
    page = await floor.sign_in("sue", **options)
    if language != "de-DE":
        await page.keyboard.press("l")
    wide: list[Any] = []
    look = looking(page, folder, f"{width}-{scheme}-{language[:2]}", wide)

    await page.locator(".people tbody tr").nth(1).wait_for()
    await look("team")
    await page.keyboard.press("h")
    await page.locator(".history tbody tr").first.wait_for()
    await look("team-history")
    office.dead = [OutboxItem("7", "pbx1-1.1", "anna", "PARCEL", floor.now(), 60, None, True, "503 from the CRM")]
    office.office(outbox_dead=1)
    await page.keyboard.press("b")
    await page.get_by_text("503 from the CRM").wait_for()
    await look("outbox")
    await page.keyboard.press("?")
    await page.locator("dialog[open]").wait_for()
    await look("team-help")
    assert wide == [], wide


@pytest.mark.parametrize(("width", "height", "scheme", "language", "login"), LOOKS)
async def test_the_reception_fits_the_screen(
    floor: Any, tmp_path: Path, width: int, height: int, scheme: str, language: str, login: str
) -> None:
    folder = Path(os.environ.get("DESK_SCREENS", tmp_path))
    office, house = floor.office, floor.house
    options = {"width": width, "height": height, "scheme": scheme, "language": language}
    for customer, level in ((LONG, "number"), (floor.office_mira, "pin")):
        await house.files("bank_details", customer, level, iban="DE89370400440532013000")
        await house.files("return", customer, level, order="B-2026-11874")
        await house.files("complaint", customer, level)
    for number, kind in enumerate(("greeting", "complaint", "message", "message")):
        await house.speaks(
            Recipient(agent=login) if number == 0 else Recipient(queue="service"), kind, LONG, 40 + number
        )
    await house.promises("+493023125009", LONG)
    await house.promises("+4915228817386")
    await house.callers()
    await house.publishes(3)
    page = await floor.sign_in(login, **options)
    wide: list[Any] = []
    look = looking(page, folder, f"{width}-{scheme}-{language[:2]}", wide)

    await house.look()
    office.queue("service", waiting=3, longest=floor.now() - 74)
    await page.locator(".badge").nth(2).wait_for()
    await page.keyboard.press("m")
    await page.locator(".item.is-chosen").wait_for()
    await look("reception")
    await page.keyboard.press("v")
    await page.locator("dialog[open]").wait_for()
    await look("reception-promise")
    await page.keyboard.press("Escape")
    await house.stores.switches.close("Feueralarm im Haupthaus, alle Arbeitsplätze bitte sofort räumen", "sue")
    await house.look()
    await page.locator(".closed-banner").wait_for()
    await page.keyboard.press("ArrowRight")
    await look("reception-closed")
    office.ring("pbx1-1.4", login, candidates=[LONG], customer=LONG["id"], path=LONG_PATH)
    office.fill("pbx1-1.4", LONG, **LONG_CARD)
    office.answer("pbx1-1.4", login)
    await page.locator(".card-requests .request").first.wait_for()
    await look("card-requests-closed")
    await house.stores.switches.reopen("sue")
    await house.look()
    await page.locator(".closed-banner").wait_for(state="detached")
    await look("card-requests")
    await page.keyboard.press("a")
    await page.locator("dialog[open] .decide").wait_for()
    for _ in range(2):
        if await page.locator(".lock").count() == 0:
            await page.keyboard.press("ArrowDown")
    await page.locator(".lock").wait_for()
    await page.keyboard.press("1")
    await look("decide-locked")
    await page.keyboard.press("3")
    await look("decide-vouched")

    page = await floor.sign_in("ada", **options)
    if language != "de-DE":
        await page.keyboard.press("l")
    await page.keyboard.press("f")
    await page.locator(".picture img").wait_for()
    await page.locator(".nodes tbody tr").first.wait_for()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await look("flow")
    await page.keyboard.press("d")
    await page.locator("dialog[open]").wait_for()
    await look("flow-live")
    await page.keyboard.press("Escape")
    await page.keyboard.press("o")
    await page.locator("dialog[open] input:focus").wait_for()
    await look("closure")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await page.locator("dialog[open]").wait_for()
    await look("admin-help")
    assert wide == [], wide
