"""The whole chain with nothing scripted: a SIP call over the real Asterisk, the real service, the page in Chromium."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from telephony.demo.crm import DemoCrm
from telephony.demo.house import SERVICE_LINE, House, furnish
from telephony.demo.show import Service, hire
from telephony.demo.story import TO_A_PERSON
from telephony.pbx.callers import Phone, call
from telephony.pbx.image import Image
from telephony.pbx.process import Asterisk
from telephony.pbx.provision import provision
from telephony.pbx.scenarios import PhoneScript

pytestmark = [pytest.mark.browser, pytest.mark.asterisk]

RINGS_THEN_TALKS = PhoneScript(answer_after=2.0, talk=2.0)


@dataclass
class Stage:
    house: House
    image: Image
    crm: DemoCrm
    page: Page


@pytest.fixture
async def stage(built_pages: Path, chromium: str, tmp_path: Path) -> AsyncIterator[Stage]:
    house = furnish(tmp_path / "house", free_port())
    image = provision(house.settings.pbx, print)
    crm = DemoCrm(f"sqlite+aiosqlite:///{tmp_path / 'crm.db'}", house.crm_port, house.crm_secret)
    await crm.start()
    await hire(house)
    service = Service(house)
    async with Asterisk(house.settings, image) as asterisk, async_playwright() as playwright:
        await asterisk.wait_booted()
        await service.start()
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 800}, locale="de-DE")
        page.set_default_timeout(20_000)
        yield Stage(house, image, crm, page)
        await browser.close()
        await service.stop()
    await crm.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_call_pops_before_it_is_answered_and_is_wrapped_up_by_keys(stage: Stage) -> None:
    house, page = stage.house, stage.page
    await page.goto(f"http://127.0.0.1:{house.settings.http.port}")
    await page.locator("#login:focus").wait_for()
    await page.keyboard.type("anna")
    await page.keyboard.press("Tab")
    await page.keyboard.type(house.password)
    await page.keyboard.press("Enter")
    await page.locator(".desk .presence").wait_for()
    await page.keyboard.press("F2")
    await page.get_by_text("Bereit", exact=True).first.wait_for()
    async with Phone(stage.image, "127.0.0.1", house.phone_ports["phone1"], RINGS_THEN_TALKS) as phone:
        calling = asyncio.create_task(
            call(house.settings, stage.image, dial=SERVICE_LINE, number="+493023125042", keys=TO_A_PERSON, deadline=60)
        )
        # Past the main menu; then the name is on the screen while the phone still rings.
        await page.locator(".call.is-ringing").wait_for(timeout=45_000)
        await page.locator(".call.is-ringing #call-who", has_text="Annegret Sommerfeld").wait_for()
        assert not [event for event in phone.events if event.what == "answered"]
        if folder := os.environ.get("DESK_SCREENS"):
            await page.screenshot(path=Path(folder) / "real-call.png")
        await page.get_by_text("B204117", exact=False).first.wait_for()
        await phone.wait_for("answered")
        outcome: Any = await calling
        assert outcome.ended_by == "far-end"
    # The call is over: the first code by its number, and done.
    await page.locator(".call.is-wrap_up").wait_for()
    await page.keyboard.press("1")
    await page.keyboard.press("Control+Enter")
    await page.locator(".idle").wait_for()
    until = asyncio.get_running_loop().time() + 15
    while await stage.crm.calls_with_code() < 1:
        assert asyncio.get_running_loop().time() < until, "the CRM has the call within 15 s"
        await asyncio.wait([asyncio.create_task(page.evaluate("0"))])
    assert await stage.crm.calls_with_code() == 1
