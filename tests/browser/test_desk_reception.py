"""Requests, voice messages, call-backs, the emergency closure and the flow, without a mouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from telephony.reception.messages import Recipient

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="document.title=1">'
IBAN = "DE89370400440532013000"


@pytest.fixture(autouse=True)
async def quiet_console(floor: Any) -> AsyncIterator[None]:
    """No page may complain."""
    yield
    assert floor.unexpected() == []


async def text_of(page: Any, selector: str) -> str:
    return " ".join((await page.locator(selector).inner_text()).split())


async def call_of_erika(floor: Any, page: Any, **changes: Any) -> None:
    floor.office.ring("pbx1-1.1", "anna", **changes)
    floor.office.fill("pbx1-1.1")
    floor.office.answer("pbx1-1.1", "anna")
    await page.locator(".call.is-talking .lines.contacts").wait_for()


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("none", "Nichts bewiesen"),
        ("number", "Bewiesen: Kundennummer"),
        ("pin", "Bewiesen: Kundennummer und PIN"),
    ],
)
async def test_what_the_caller_has_proven_stands_beside_the_certainty(floor: Any, level: str, words: str) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna", level=level)
    await page.locator(f".certainty .level.is-{level}").wait_for()
    assert await text_of(page, ".certainty .level") == words


async def test_a_customers_requests_are_on_the_card_and_decided_by_key(floor: Any) -> None:
    reference = await floor.house.files("bank_details", iban=IBAN)
    await floor.house.files("return", floor.office_mira, order="B-1")
    page = await floor.sign_in()
    await call_of_erika(floor, page, level="pin")
    await page.locator(".card-requests .request").wait_for()
    shown = await text_of(page, ".card-requests")
    assert "Bankverbindung" in shown
    assert reference in shown
    assert "•••• 3000" in shown
    assert "B-1" not in shown
    await page.keyboard.press("a")
    await page.locator("dialog[open] .decide").wait_for()
    assert await page.locator(".lock").count() == 0
    await page.keyboard.press("n")
    await page.keyboard.type("Konto 1 verglichen")
    await page.keyboard.press("Escape")
    await page.keyboard.press("1")
    await page.locator("dialog[open]").wait_for(state="detached")
    await page.locator(".card-requests .request.is-approved").wait_for()
    (row,) = await floor.house.stores.requests.of("embedded", floor.office_erika["id"])
    assert (row.state, row.decided_by, row.note) == ("approved", "anna", "Konto 1 verglichen")


async def test_bank_details_are_locked_until_the_agent_vouches(floor: Any) -> None:
    await floor.house.files("bank_details", iban=IBAN)
    page = await floor.sign_in()
    await call_of_erika(floor, page, level="number")
    await page.locator(".card-requests .request").wait_for()
    await page.keyboard.press("a")
    await page.locator("dialog[open] .lock").wait_for()
    assert "nur die Kundennummer bewiesen" in await text_of(page, ".lock")
    await page.keyboard.press("2")
    await page.get_by_text("bitte zuerst die Identität prüfen", exact=False).wait_for()
    assert await floor.house.stores.requests.count() == 1
    await page.keyboard.press("3")
    await page.locator(".lock.is-open").wait_for()
    await page.keyboard.press("2")
    await page.locator(".card-requests .request.is-rejected").wait_for()
    assert await floor.house.stores.requests.count() == 0


async def test_what_comes_in_during_the_call_appears(floor: Any) -> None:
    page = await floor.sign_in()
    await call_of_erika(floor, page)
    await page.get_by_text("Keine Anliegen").wait_for()
    await floor.house.files("return", order=HOSTILE)
    floor.office.change("pbx1-1.1", filed=1)
    await page.locator(".card-requests .request").wait_for()
    assert HOSTILE in await text_of(page, ".card-requests")


async def test_who_is_second_is_told_who_decided(floor: Any) -> None:
    reference = await floor.house.files("return", order="B-1")
    page = await floor.sign_in()
    await call_of_erika(floor, page)
    await page.locator(".card-requests .request").wait_for()
    await page.keyboard.press("a")
    await page.locator("dialog[open] .decide").wait_for()
    await floor.house.stores.requests.decide(reference, "approved", "ben")
    floor.expected.append("status of 409")
    await page.keyboard.press("2")
    await page.get_by_text("hat „ben“ schon entschieden").first.wait_for()
    await page.locator(".card-requests .request.is-approved").wait_for()


async def test_the_way_through_the_new_flow_can_be_read(floor: Any) -> None:
    page = await floor.sign_in()
    path = ["main", "parcel_tell", "parcel_who.number", "waiting", "house_own"]
    floor.office.ring("pbx1-1.1", "anna", path=path)
    await page.locator(".path").wait_for()
    assert await text_of(page, ".path") == (
        "Hauptmenü Paket angesagt nach Kundennummer gefragt Wartezeit geprüft house own"
    )


async def test_voice_messages_are_played_and_done_by_key(floor: Any, eventually: Any) -> None:
    page = await floor.sign_in()
    mine = await floor.house.speaks(Recipient(agent="anna"), kind="greeting", seconds=30)
    await floor.house.speaks(Recipient(queue="service"), customer=floor.office_mira)
    await floor.house.speaks(Recipient(agent="ben"))
    await page.locator(".badge.is-message").wait_for()
    assert "2 neue Nachrichten" in await text_of(page, ".badges")
    await page.keyboard.press("Shift+F8")
    await page.locator(".item.is-chosen").wait_for()
    assert "für Sie" in await text_of(page, ".item.is-chosen")
    assert await page.locator("[aria-labelledby=list-messages] .item").count() == 2
    await page.keyboard.press("s")
    await page.wait_for_function("() => document.querySelector('progress')?.value > 0")
    await page.keyboard.press("s")
    await page.locator("progress").wait_for(state="detached")
    await page.keyboard.press("g")
    await page.locator(".item.is-dealt").wait_for()
    assert "Mira Weber" in await text_of(page, ".item.is-chosen"), "the next one is at hand"
    assert await floor.house.stores.messages.unheard() == ({"ben": 1}, {"service": 1})
    row = (await floor.house.stores.messages.one(mine, "anna", []))[0]
    assert row.heard_by == "anna"


async def test_a_ringing_phone_stops_a_message(floor: Any) -> None:
    page = await floor.sign_in()
    await floor.house.speaks(Recipient(agent="anna"), seconds=30)
    await page.keyboard.press("m")
    await page.locator(".item.is-chosen").wait_for()
    await page.keyboard.press("s")
    await page.locator("progress").wait_for()
    floor.office.ring("pbx1-1.1", "anna")
    await page.locator(".call.is-ringing").wait_for()
    await page.keyboard.press("m")
    await page.locator(".item.is-chosen").wait_for()
    assert await page.locator("progress").count() == 0


async def test_requests_of_everybody_are_decided_in_the_reception(floor: Any) -> None:
    await floor.house.files("return", order="B-1")
    await floor.house.files("bank_details", floor.office_mira, level="number", iban=IBAN)
    page = await floor.sign_in("ben", language="en-GB")
    assert "2 pending requests" in await text_of(page, ".badges")
    await page.keyboard.press("m")
    await page.locator("#list-requests .figure").wait_for()
    await page.locator(".item.is-chosen").wait_for()
    await page.keyboard.press("a")
    await page.locator("dialog[open] .decide").wait_for()
    assert "1 of 2" in await text_of(page, "dialog[open]")
    await page.keyboard.press("ArrowDown")
    await page.locator("dialog[open] .lock").wait_for()
    assert "when this was filed" in await text_of(page, ".lock")
    await page.keyboard.press("ArrowUp")
    await page.locator("dialog[open] .lock").wait_for(state="detached")
    await page.keyboard.press("1")
    await page.locator("dialog[open]").wait_for(state="detached")
    await page.wait_for_function(
        "() => document.querySelectorAll('[aria-labelledby=list-requests] .item').length === 1"
    )
    assert await floor.house.stores.requests.count() == 1


async def test_call_backs_are_promised_and_withdrawn_by_key(floor: Any, eventually: Any) -> None:
    await floor.house.promises("+49301234567")
    page = await floor.sign_in()
    await page.keyboard.press("m")
    await page.locator("[aria-labelledby=list-callbacks] .item.is-chosen").wait_for()
    await page.keyboard.press("v")
    await page.locator("dialog[open] input:focus").wait_for()
    await page.keyboard.type("12")
    floor.expected.append("status of 422")
    await page.keyboard.press("Enter")
    await page.locator("dialog[open] .wrong:not(:empty)").wait_for()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("030 7654321")
    await page.keyboard.press("Control+Enter")
    await page.locator("dialog[open]").wait_for(state="detached")
    await page.wait_for_function(
        "() => document.querySelectorAll('[aria-labelledby=list-callbacks] .item').length === 2"
    )
    assert "Konrad Weber" in await text_of(page, ".item.is-chosen"), "what is new takes no key from the chosen row"
    await page.keyboard.press("x")
    await page.locator("dialog[open]").wait_for()
    assert "Konrad Weber" in await text_of(page, "dialog[open]")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_function(
        "() => document.querySelectorAll('[aria-labelledby=list-callbacks] .item').length === 1"
    )
    (left,) = await floor.house.stores.callbacks.open()
    assert left.number == "+49307654321"


async def test_the_house_is_closed_by_a_supervisor_and_everybody_sees_it(floor: Any) -> None:
    page = await floor.sign_in()
    sue = await floor.sign_in("sue")
    await page.keyboard.press("o")
    assert await page.locator("dialog[open]").count() == 0, "agents do not close the house"
    await sue.keyboard.press("o")
    await sue.locator("dialog[open] input:focus").wait_for()
    await sue.keyboard.type("Feueralarm")
    await sue.keyboard.press("Escape")
    assert await floor.house.stores.switches.closure() is None
    await sue.keyboard.press("o")
    await sue.locator("dialog[open] input:focus").wait_for()
    await sue.keyboard.type("Feueralarm")
    await sue.keyboard.press("Control+Enter")
    await page.locator(".closed-banner").wait_for()
    banner = await text_of(page, ".closed-banner")
    assert "Das Haus ist geschlossen" in banner
    assert "„Feueralarm“" in banner
    assert "Susanne Vogt" in banner
    assert "Das Haus ist geschlossen" in await page.locator("[role=alert].unseen").inner_text()
    await sue.locator(".closed-banner .button").wait_for()
    await sue.keyboard.press("o")
    await sue.locator("dialog[open]").wait_for()
    await sue.keyboard.press("Control+Enter")
    await page.locator(".closed-banner").wait_for(state="detached")
    assert await floor.house.stores.switches.closure() is None


async def test_supervisors_see_the_flow_and_admins_change_its_version(floor: Any) -> None:
    await floor.house.callers()
    await floor.house.publishes(2)
    sue = await floor.sign_in("sue")
    await sue.keyboard.press("f")
    await sue.locator(".picture img").wait_for()
    await sue.locator(".nodes tbody tr").first.wait_for()
    assert await text_of(sue, ".nodes tbody tr:has-text('Hauptmenü')") == "Hauptmenü main 2 221 31 14 %"
    await sue.keyboard.press("z")
    await sue.locator(".picture.is-large:focus").wait_for()
    await sue.keyboard.press("z")
    await sue.locator(".picture:not(.is-large)").wait_for()
    await sue.keyboard.press("ArrowDown")
    assert await sue.locator(".item.is-chosen").count() == 0, "supervisors publish nothing"
    first = await sue.evaluate("document.querySelector('.picture img').src")
    await sue.wait_for_function("(was) => document.querySelector('.picture img').src !== was", arg=first, timeout=9000)
    ada = await floor.sign_in("ada")
    await ada.keyboard.press("f")
    await ada.locator("#version-front-desk-1").wait_for()
    await ada.keyboard.press("ArrowDown")
    await ada.keyboard.press("ArrowDown")
    await ada.locator("#version-front-desk-1:focus").wait_for()
    await ada.keyboard.press("d")
    await ada.locator("dialog[open]").wait_for()
    await ada.keyboard.press("Control+Enter")
    await ada.locator(".item:has(#version-front-desk-1) .live-tag").wait_for()
    assert await floor.house.stores.library.meant("live") == ("front-desk", 1)


AXE = """async () => {
  const found = await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']});
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(', ')}`);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_the_reception(floor: Any, axe_source: str, scheme: str) -> None:
    house = floor.house

    async def clean(page: Any, state: str) -> None:
        await page.evaluate(axe_source)
        assert await page.evaluate(AXE) == [], state

    await house.files("bank_details", iban=IBAN)
    await house.speaks(Recipient(queue="service"), seconds=30)
    await house.promises("+49301234567")
    await house.stores.switches.close("Feueralarm", "sue")
    await house.callers()
    await house.publishes(2)
    page = await floor.sign_in(scheme=scheme)
    await house.look()
    await page.locator(".closed-banner").wait_for()
    await call_of_erika(floor, page)
    await page.locator(".card-requests .request").wait_for()
    await clean(page, "card")
    await page.keyboard.press("a")
    await page.locator("dialog[open] .lock").wait_for()
    await clean(page, "locked")
    await page.keyboard.press("3")
    await clean(page, "vouched")
    await page.keyboard.press("Escape")
    await page.keyboard.press("m")
    await page.locator(".item.is-chosen").wait_for()
    await clean(page, "reception")
    await page.keyboard.press("v")
    await page.locator("dialog[open]").wait_for()
    await clean(page, "promise")
    ada = await floor.sign_in("ada", scheme=scheme)
    await ada.keyboard.press("f")
    await ada.locator(".picture img").wait_for()
    await ada.locator(".nodes tbody tr").first.wait_for()
    await ada.keyboard.press("ArrowDown")
    await clean(ada, "flow")
    await ada.keyboard.press("o")
    await ada.locator("dialog[open]").wait_for()
    await clean(ada, "closure")
