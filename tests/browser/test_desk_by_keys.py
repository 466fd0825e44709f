"""An agent's day without a mouse. No test here clicks, hovers or scrolls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from telephony.desk.ports import OutboxItem, Unavailable

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="document.title=1"><b>Eve</b>'


@pytest.fixture(autouse=True)
async def quiet_console(floor: Any) -> AsyncIterator[None]:
    """No page may complain: a refused script or style, an error in our own code, anything."""
    yield
    assert floor.unexpected() == []


async def text_of(page: Any, selector: str) -> str:
    return " ".join((await page.locator(selector).inner_text()).split())


async def focused(page: Any) -> str:
    return str(await page.evaluate("document.activeElement.id"))


async def test_a_wrong_password_is_said_and_the_next_try_works(floor: Any) -> None:
    page = await floor.page()
    await page.goto(floor.base)
    await page.locator("#login:focus").wait_for()
    await page.keyboard.press("Enter")
    assert await text_of(page, "#log-in-wrong") == "Bitte Anmeldename und Kennwort eingeben."
    await page.keyboard.type("anna")
    await page.keyboard.press("Tab")
    await page.keyboard.type("not the password")
    await page.keyboard.press("Enter")
    await page.get_by_text("Anmeldename oder Kennwort ist falsch.").wait_for()
    assert await focused(page) == "password"
    await page.keyboard.type("a good password")
    await page.keyboard.press("Enter")
    await page.locator(".desk").wait_for()
    assert await text_of(page, ".me") == "Anna Berg"


async def test_a_ringing_phone_pops_the_caller_and_says_how_certain_that_is(floor: Any, eventually: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna", certainty="likely")
    await page.locator(".call.is-ringing").wait_for()
    assert await text_of(page, "#call-who") == "Erika Lindqvist"
    assert await text_of(page, ".certainty strong") == "Wahrscheinlich"
    assert "ohne Ländervorwahl" in await text_of(page, ".certainty")
    assert "Begrüßung Nummer geprüft Datenschutz gehört zum Kundenservice" in await text_of(page, ".facts")
    assert "+49 30 23125001" in await text_of(page, ".facts")
    said = await page.locator("[role=alert].unseen").inner_text()
    assert "Erika Lindqvist" in said
    assert "Wahrscheinlich" in said
    assert await page.title() == "☎ Es klingelt: Erika Lindqvist – Callfloor"
    await eventually(lambda: ("anna", "pbx1-1.1") in floor.office.shown, "the desk acknowledges the pop")
    assert floor.office.shown == [("anna", "pbx1-1.1")]
    floor.office.withdraw("pbx1-1.1")
    await page.locator(".idle").wait_for()


@pytest.mark.parametrize(
    ("certainty", "words"),
    [
        ("certain", "Sicher erkannt"),
        ("shared", "Mehrere möglich – bitte wählen"),
        ("none", "Unbekannt"),
        ("withheld", "Nummer unterdrückt"),
    ],
)
async def test_certainty_is_words_and_a_sign_not_a_colour_alone(floor: Any, certainty: str, words: str) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna", certainty=certainty)
    await page.locator(f".certainty.is-{certainty} > svg").wait_for()
    assert await text_of(page, ".certainty strong") == words


async def test_the_card_arrives_without_moving_anything(floor: Any) -> None:
    page = await floor.sign_in()
    looking_up = {"certainty": "none", "reason": "looking_up", "source": ""}
    floor.office.ring("pbx1-1.1", "anna", match=looking_up, customer=None, candidates=[], card_state="none")
    await page.locator(".certainty.is-seeking").wait_for()
    assert await text_of(page, ".certainty strong") == "Wird nachgeschlagen …"
    await page.evaluate(
        """() => {
          window.shifts = [];
          const moved = ({node, previousRect: was, currentRect: is}) =>
            `${node?.className ?? node?.nodeName}: ${was.x},${was.y} ${was.width}x${was.height} -> ` +
            `${is.x},${is.y} ${is.width}x${is.height}`;
          const note = (list) => window.shifts.push(...list.getEntries().flatMap((one) => one.sources.map(moved)));
          new PerformanceObserver(note).observe({type: 'layout-shift', buffered: false});
        }"""
    )
    found = {"certainty": "certain", "reason": "number_unique", "source": "embedded"}
    floor.office.change("pbx1-1.1", match=found, customer=floor.office_erika["id"], card_state="loading")
    await page.locator(".certainty.is-certain").wait_for()
    floor.office.fill("pbx1-1.1")
    await page.locator(".lines.contacts").wait_for()
    # Two frames, so that what was laid out has been painted and reported.
    painted = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    await page.evaluate(painted)
    assert await page.evaluate("window.shifts") == []
    assert "überfällig" in await text_of(page, ".card-invoices")
    assert "129,90 €" in await text_of(page, ".card-orders")
    # The observer does see shifts: one that is made on purpose.
    await page.evaluate(
        "document.querySelector('.front').prepend(Object.assign(document.createElement('p'), {textContent: 'x'}))"
    )
    await page.evaluate(painted)
    await page.wait_for_function("window.shifts.length > 0")


async def test_a_crm_that_does_not_answer_is_said_and_filled_in_later(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.office(crm="down")
    floor.office.ring("pbx1-1.1", "anna", card_state="failed")
    await page.get_by_text("Das CRM antwortet nicht.", exact=True).wait_for()
    assert "nachgetragen" in await text_of(page, ".card-head")
    await page.locator(".lamp.is-bad").wait_for()
    floor.office.fill("pbx1-1.1")
    await page.locator(".lines.contacts").wait_for()


async def test_a_shared_number_opens_nothing_until_a_digit_chooses(floor: Any, eventually: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna", certainty="shared")
    await page.locator(".candidates").wait_for()
    assert await text_of(page, "#call-who") == "+49 30 23125001"
    assert await page.locator(".card").count() == 0
    await page.keyboard.press("3")
    await page.keyboard.press("2")
    await eventually(lambda: floor.office.chosen, "the choice arrives")
    floor.office.fill("pbx1-1.1", floor.office_mira)
    await page.locator(".lines.contacts").wait_for()
    assert floor.office.chosen == [("pbx1-1.1", floor.office_mira["id"])]
    assert await text_of(page, "#call-who") == "Mira Weber"
    assert "Konto gesperrt" in await text_of(page, ".card-head")


async def test_wrap_up_by_digits_note_and_enter(floor: Any, eventually: Any) -> None:
    office = floor.office
    page = await floor.sign_in()
    office.ring("pbx1-1.1", "anna")
    office.answer("pbx1-1.1", "anna")
    await page.locator(".call.is-talking").wait_for()
    # The first letters follow the key at once: none of them may be lost, or taken for a key.
    await page.keyboard.press("n")
    await page.keyboard.type("Paket hat Risse; bekommt Ersatz?")
    await page.get_by_text("Notiz gespeichert").wait_for()
    assert office.notes[-1] == ("pbx1-1.1", "Paket hat Risse; bekommt Ersatz?")
    assert len(office.notes) < 10, "saved after a pause, not at every key"
    office.hang_up("pbx1-1.1", seconds=300)
    await page.locator(".wrap.is-due").wait_for()
    assert await focused(page) == "note", "nobody's typing is interrupted by the end of a call"
    await page.keyboard.press("Control+Enter")
    await page.get_by_text("Bitte zuerst ein Ergebnis wählen.").first.wait_for()
    assert office.wrapped == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("4")
    assert await page.locator("#code-COMPLAINT").is_checked()
    # What is typed after the key is the note, its digits and capitals, too.
    await page.keyboard.type(" Lieferung 2 von Quelle O.")
    assert await page.locator("#code-COMPLAINT").is_checked()
    await page.keyboard.press("Shift+Tab")
    assert await focused(page) == "code-COMPLAINT"
    await page.keyboard.press("1")
    assert await page.locator("#code-PARCEL").is_checked()
    await page.keyboard.press("Control+Enter")
    await page.locator(".idle").wait_for()
    note = "Paket hat Risse; bekommt Ersatz? Lieferung 2 von Quelle O."
    assert office.wrapped == [("pbx1-1.1", "PARCEL", note)]
    assert office.presences == []
    assert await page.evaluate("document.documentElement.lang") == "de"


async def test_the_way_back_to_the_outcome_is_shown_and_listed(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna")
    floor.office.answer("pbx1-1.1", "anna")
    await page.locator(".call.is-talking").wait_for()
    assert await page.locator(".other-code").count() == 0
    # With the mouse as with the key.
    await page.locator("label:has(#code-INVOICE)").click()
    assert await focused(page) == "note"
    assert await text_of(page, ".other-code") == "Ergebnis ändern ⇧ Tab"
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("ArrowDown")
    assert await page.locator("#code-RETURN").is_checked()
    assert await focused(page) == "code-RETURN", "the arrows go on through the list"
    await page.keyboard.press("?")
    assert "Von der Notiz zurück zum Ergebnis" in await text_of(page, "dialog[open]")


async def test_the_end_of_a_call_brings_the_hands_to_the_outcome(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna")
    floor.office.answer("pbx1-1.1", "anna")
    floor.office.hang_up("pbx1-1.1")
    await page.locator("#code-PARCEL:focus").wait_for()
    await page.keyboard.press("ArrowDown")
    assert await page.locator("#code-INVOICE").is_checked()
    assert await text_of(page, ".codes .tag") == "Pflicht"


async def test_a_wrap_up_that_fails_says_so_and_can_be_sent_again(floor: Any) -> None:
    office = floor.office
    page = await floor.sign_in()
    office.ring("pbx1-1.1", "anna")
    office.answer("pbx1-1.1", "anna")
    office.hang_up("pbx1-1.1")
    await page.locator(".wrap.is-due").wait_for()
    office.refusal = Unavailable("database-down")
    floor.expected.append("status of 503")
    await page.keyboard.press("2")
    await page.keyboard.press("Control+Enter")
    await page.get_by_text("Nicht gespeichert. Die Datenbank antwortet nicht.").wait_for()
    await page.keyboard.press("Control+Enter")
    await page.locator(".idle").wait_for()
    assert office.wrapped == [("pbx1-1.1", "INVOICE", "")]


async def test_a_call_that_rings_does_not_push_the_note_aside(floor: Any) -> None:
    office = floor.office
    page = await floor.sign_in()
    office.ring("pbx1-1.1", "anna")
    office.answer("pbx1-1.1", "anna")
    office.hang_up("pbx1-1.1", required=False)
    await page.locator(".wrap.is-due").wait_for()
    await page.keyboard.press("n")
    await page.keyboard.type("Ruft morgen ")
    office.ring("pbx1-2.2", "anna", certainty="none")
    await page.locator(".call-tab.is-ringing").wait_for()
    await page.keyboard.type("wieder an")
    assert await page.locator("#note").input_value() == "Ruft morgen wieder an"
    assert await text_of(page, "#call-who") == "Erika Lindqvist"
    await page.keyboard.press("2")
    assert await page.locator("#note").input_value() == "Ruft morgen wieder an2"
    await page.keyboard.press("F8")
    assert await text_of(page, "#call-who") == "+49 30 23125001"
    await page.keyboard.press("w")
    assert await text_of(page, "#call-who") == "Erika Lindqvist"
    office.answer("pbx1-2.2", "anna")
    await page.locator(".call.is-talking").wait_for()
    assert await text_of(page, "#call-who") == "+49 30 23125001"


async def test_a_closed_browser_loses_no_note(floor: Any, eventually: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna")
    floor.office.answer("pbx1-1.1", "anna")
    await page.locator(".call.is-talking").wait_for()
    await page.keyboard.press("F9")
    await page.keyboard.type("halber Satz")
    await page.reload()
    await eventually(lambda: ("pbx1-1.1", "halber Satz") in floor.office.notes, "the note was saved on leaving")
    await page.locator(".call.is-talking").wait_for()
    await page.wait_for_function("document.querySelector('#note').value === 'halber Satz'")


async def test_presence_by_keys_and_a_pause_with_its_reason(floor: Any, eventually: Any) -> None:
    office = floor.office
    page = await floor.sign_in()
    await page.keyboard.press("r")
    await page.locator(".presence.is-ready").wait_for()
    await page.keyboard.press("p")
    await page.locator("dialog[open]").wait_for()
    await page.keyboard.press("Escape")
    await page.locator("dialog[open]").wait_for(state="detached")
    await page.keyboard.press("F4")
    await page.locator("dialog[open] .reasons").wait_for()
    await page.keyboard.press("2")
    await page.locator(".presence.is-paused").wait_for()
    assert "Mittag" in await text_of(page, ".presence")
    await page.keyboard.press("o")
    await page.keyboard.press("Shift+F2")
    await page.locator(".presence.is-offline").wait_for()
    await page.keyboard.press("F2")
    await page.locator(".presence.is-ready").wait_for()
    wanted = [("ready", ""), ("paused", "lunch"), ("offline", ""), ("ready", "")]
    assert office.presences == [("anna", *wish) for wish in wanted]


async def test_a_held_key_fires_once(floor: Any) -> None:
    page = await floor.sign_in()
    for _ in range(6):
        await page.keyboard.down("r")
    await page.keyboard.up("r")
    await page.locator(".presence.is-ready").wait_for()
    assert floor.office.presences == [("anna", "ready", "")]


async def test_a_refused_wish_is_explained(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.refusal = Unavailable("pbx-down")
    floor.expected.append("status of 503")
    await page.keyboard.press("r")
    sentence = "Die Verbindung zur Telefonanlage fehlt. Sie wird wieder aufgebaut."
    await page.locator(".trouble", has_text=sentence).wait_for()
    await page.keyboard.press("Escape")
    await page.locator(".trouble").wait_for(state="detached")


async def test_a_trouble_goes_when_its_cause_is_gone_or_it_has_been_read(floor: Any) -> None:
    page = await floor.sign_in()
    await page.clock.install()
    floor.expected.append("status of 503")
    trouble = page.locator(".trouble")

    async def refused() -> None:
        floor.office.refusal = Unavailable("pbx-down")
        await page.keyboard.press("F2")
        await trouble.wait_for()

    floor.office.ring("pbx1-1.1", "anna")
    floor.office.answer("pbx1-1.1", "anna")
    floor.office.hang_up("pbx1-1.1")
    await page.locator(".wrap.is-due").wait_for()
    await refused()
    covered = """() => [...document.querySelectorAll('button:not([disabled])')].filter((button) => {
      const {x, y, width, height} = button.getBoundingClientRect();
      return !button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    }).map((button) => button.textContent)"""
    assert await page.evaluate(covered) == []
    await page.keyboard.press("1")
    await page.keyboard.press("Control+Enter")
    await trouble.wait_for(state="detached")
    await refused()
    await page.keyboard.press("F2")
    await trouble.wait_for(state="detached")
    await refused()
    await trouble.hover()
    await page.clock.run_for(500)
    await page.clock.fast_forward(60_000)
    assert await trouble.is_visible(), "whoever is reading keeps it"
    await page.mouse.move(5, 500)
    await page.clock.run_for(500)
    await page.clock.fast_forward(15_000)
    assert await trouble.is_visible()
    await page.clock.fast_forward(6_000)
    await trouble.wait_for(state="detached")
    log = await page.locator("[role=log]").inner_text()
    assert log.count("Die Verbindung zur Telefonanlage fehlt.") == 3


async def test_a_pause_wished_for_during_a_call_is_shown_until_it_comes(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna")
    floor.office.answer("pbx1-1.1", "anna")
    await page.locator(".presence.is-talking").wait_for()
    await page.keyboard.press("F4")
    await page.keyboard.press("1")
    await page.get_by_text("Pause nach diesem Gespräch").first.wait_for()
    assert "Im Gespräch" in await text_of(page, ".presence")
    assert await text_of(page, ".sets [aria-pressed=true]") == "Pause F4"
    assert await page.locator("[role=status].unseen").inner_text() == "Pause nach diesem Gespräch"
    await page.keyboard.press("Shift+F2")
    await page.locator(".presence-wish", has_text="Offline nach diesem Gespräch").wait_for()
    await page.locator(".sets [aria-disabled=true]").first.wait_for(state="detached")
    await page.keyboard.press("F2")
    await page.locator(".presence-wish").wait_for(state="detached")
    await page.locator(".sets [aria-disabled=true]").first.wait_for(state="detached")
    await page.keyboard.press("F4")
    await page.keyboard.press("1")
    floor.office.hang_up("pbx1-1.1")
    await page.locator(".presence-wish", has_text="Pause nach der Nacharbeit").wait_for()
    await page.keyboard.press("1")
    await page.keyboard.press("Control+Enter")
    await page.locator(".presence.is-paused").wait_for()
    assert await page.locator(".presence-wish").count() == 0


async def test_a_long_way_through_the_menu_shows_its_ends_and_all_of_it_on_demand(floor: Any) -> None:
    page = await floor.sign_in()
    path = ["greeting", *(f"question_about_{number}" for number in range(18)), "line", "to_service"]
    floor.office.ring("pbx1-1.1", "anna", path=path)
    await page.locator(".call.is-ringing").wait_for()
    assert await text_of(page, ".fact .path") == (
        "Begrüßung 17 weitere question about 17 gewählte Rufnummer zum Kundenservice"
    )
    more = page.get_by_role("button", name="17 weitere")
    assert "question about 3, question about 4" in await more.get_attribute("aria-label")
    await more.focus()
    assert "question about 3 question about 4" in await text_of(page, ".path-whole")
    await page.keyboard.press("Escape")
    await page.locator(".path-whole").wait_for(state="detached")
    await more.hover()
    await page.locator(".path-whole").wait_for()
    floor.office.withdraw("pbx1-1.1")
    floor.office.ring("pbx1-2.2", "anna", path=path)
    await page.locator(".call.is-ringing").wait_for()
    await page.mouse.move(5, 500)
    await page.locator(".path-whole").wait_for(state="detached")


async def test_of_a_call_that_is_over_nothing_is_left_to_be_read_out(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna")
    await page.locator(".call.is-ringing").wait_for()
    assert "Erika Lindqvist" in await page.locator("[role=alert].unseen").inner_text()
    floor.office.answer("pbx1-1.1", "anna")
    await page.locator(".call.is-talking").wait_for()
    assert await page.locator("[role=alert].unseen").inner_text() == ""
    floor.office.withdraw("pbx1-1.1")
    await page.locator(".idle").wait_for()
    assert "Erika Lindqvist" not in await page.locator("[role=status].unseen").inner_text()


async def test_lists_end_with_a_whole_line_and_say_what_is_below(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna")
    orders = [{"number": f"B-{number}", "status": "shipped", "placed_at": floor.now(), "total_minor": 100,
               "currency": "EUR", "tracking": "00340434161094015902"} for number in range(6)]  # fmt: skip
    floor.office.fill("pbx1-1.1", orders=orders)
    await page.locator(".card-orders .fold").wait_for()
    whole = """() => {
      const fold = document.querySelector('.card-orders .fold'), {bottom} = fold.getBoundingClientRect();
      return [...fold.querySelectorAll('li')].map((line) => line.getBoundingClientRect())
        .every((line) => line.top > bottom - 1 || line.bottom < bottom + 1);
    }"""
    for height in (800, 760, 700, 900):
        await page.set_viewport_size({"width": 1280, "height": height})
        await page.wait_for_function(whole)
    assert "weitere" in await text_of(page, ".card-orders .fold-more")
    await page.locator(".card-orders .fold").focus()
    await page.keyboard.press("End")
    await page.locator(".card-orders .fold-more").wait_for(state="detached")


async def test_help_lists_the_keys_and_single_keys_can_be_switched_off(floor: Any) -> None:
    page = await floor.sign_in()
    await page.keyboard.press("?")
    await page.locator("dialog[open]").wait_for()
    assert "Nacharbeit abschließen" in await text_of(page, "dialog[open]")
    await page.keyboard.press("h")
    assert await text_of(page, ".tab[aria-current=page]") == "Anruf C", "keys are the dialog's now"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_text("Einzeltasten sind aus.").wait_for()
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await page.keyboard.press("F4")
    await page.locator("dialog[open] .reasons").wait_for()
    assert floor.office.presences == []


async def test_language_and_pages_by_keys(floor: Any) -> None:
    floor.office.past = floor.past()
    page = await floor.sign_in()
    assert await page.evaluate("document.documentElement.lang") == "de"
    await page.keyboard.press("l")
    assert await page.evaluate("document.documentElement.lang") == "en"
    await page.keyboard.press("h")
    await page.locator(".whole .rows").wait_for()
    assert "Complaint" in await text_of(page, ".whole .rows")
    await page.keyboard.press("c")
    await page.locator(".idle").wait_for()
    await page.keyboard.press("Shift+Q")
    await page.keyboard.press("Shift+F4")
    await page.locator("#login:focus").wait_for()
    assert await text_of(page, "h1") == "Log in"


async def test_a_cut_is_shown_and_what_was_missed_arrives(floor: Any) -> None:
    page = await floor.sign_in()
    floor.office.ring("pbx1-1.1", "anna")
    await page.locator(".call.is-ringing").wait_for()
    floor.expected.append("ERR_INTERNET_DISCONNECTED")
    await page.context.set_offline(True)
    await floor.server.sockets.close_all()
    await page.locator(".link").wait_for()
    assert "Verbindung unterbrochen" in await text_of(page, ".link")
    assert await text_of(page, "#call-who") == "Erika Lindqvist", "what is known stays on the screen"
    floor.office.withdraw("pbx1-1.1")
    floor.office.ring("pbx1-3.3", "anna", certainty="withheld")
    await page.context.set_offline(False)
    await page.locator(".link").wait_for(state="detached")
    await page.locator(".call-head.is-withheld").wait_for()
    assert await page.locator(".call-tab").count() == 0
    assert await page.locator("[role=status].unseen").inner_text() != ""


async def test_a_session_that_was_ended_leads_back_to_the_log_in(floor: Any) -> None:
    page = await floor.sign_in()
    keys = list(floor.server.sockets.roles())
    for key in keys:
        await floor.server.accounts.end_session(key)
    floor.server.sockets.close_sessions(keys)
    await page.get_by_text("Ihre Sitzung ist beendet. Bitte neu anmelden.").wait_for()


async def test_what_people_and_networks_typed_is_only_ever_text(floor: Any) -> None:
    page = await floor.sign_in()
    eve = {"id": "x", "number": HOSTILE, "name": HOSTILE, "company": HOSTILE}
    caller = {"number": "+49301", "display": "+49 30 1", "name": HOSTILE, "withheld": False}
    floor.office.ring(
        "pbx1-1.1", "anna", certainty="shared", candidates=[eve, eve | {"id": "y"}], caller=caller, path=[HOSTILE]
    )
    await page.locator(".candidates").wait_for()
    assert HOSTILE in await text_of(page, ".candidates li:first-child")
    assert HOSTILE in await text_of(page, ".facts")
    floor.office.fill("pbx1-1.1", eve)
    await page.locator(".lines.contacts").wait_for()
    assert await text_of(page, "#call-who") == HOSTILE
    assert await page.locator("main img, main b:text-is('Eve')").count() == 0


async def test_supervisors_see_the_team_the_waiting_and_the_dead_letters(floor: Any, eventually: Any) -> None:
    office = floor.office
    anna = await floor.sign_in("anna")
    assert await anna.locator(".tab").count() == 3
    office.ring("pbx1-1.1", "anna")
    office.answer("pbx1-1.1", "anna")
    page = await floor.sign_in("sue")
    office.caller_waits("pbx1-5.5", "Paula Jansen")
    assert await text_of(page, ".tab[aria-current=page]") == "Team T", "the team is a supervisor's first page"
    await page.get_by_text("Paula Jansen").wait_for()
    assert "Anna Berg Im Gespräch" in await text_of(page, ".people")
    assert "Erika Lindqvist Kundenservice" in await text_of(page, ".people")
    assert "Susanne" not in await text_of(page, ".people"), "who has no phone is no agent"
    assert "Kundenservice Wartend 0 Längste – Bereit 3 Sprechen 2" in await text_of(page, ".queue-figures")
    # Who has no phone is neither offered nor given what is for those who have one.
    assert await page.locator(".sets, .presence").count() == 0
    for key in ("c", "F2", "Shift+F2", "F4", "r"):
        await page.keyboard.press(key)
    assert await page.locator("dialog[open]").count() == 0
    assert office.presences == []
    office.past = floor.past()
    await page.keyboard.press("h")
    await page.locator(".whole .history").wait_for()
    assert "Anna Berg" in await text_of(page, ".whole"), "people go by their names"
    await page.keyboard.press("t")
    office.dead = [OutboxItem("7", "pbx1-1.1", "anna", "PARCEL", floor.now(), 60, None, True, "503 from the CRM")]
    office.office(outbox_dead=1)
    await page.locator(".lamp.is-bad").wait_for()
    await page.keyboard.press("b")
    await page.get_by_text("503 from the CRM").wait_for()
    assert "Anna Berg" in await text_of(page, ".whole")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await eventually(lambda: office.retried == ["7"], "the dead letter is sent again")
    await page.get_by_text("Alles ist im CRM.").wait_for()


AXE = """async () => {
  const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const found = await axe.run(document, {runOnly: rules});
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_any_state(floor: Any, axe_source: str, scheme: str) -> None:
    office = floor.office
    office.past = floor.past()

    async def clean(page: Any, state: str) -> None:
        await page.evaluate(axe_source)
        assert await page.evaluate(AXE) == [], state

    entry = await floor.page(scheme=scheme)
    await entry.goto(floor.base)
    await entry.locator("#login:focus").wait_for()
    await clean(entry, "log-in")
    # The checker does check: a picture without a text is found.
    await entry.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert any(line.startswith("image-alt") for line in await entry.evaluate(AXE))
    page = await floor.sign_in("anna", scheme=scheme)
    await page.locator(".rows tbody tr").first.wait_for()
    await clean(page, "idle")
    office.ring("pbx1-1.1", "anna")
    await page.locator(".bone").first.wait_for()
    await clean(page, "loading")
    office.fill("pbx1-1.1", floor.office_mira)
    office.answer("pbx1-1.1", "anna")
    await page.locator(".call.is-talking .blocked").wait_for()
    office.ring("pbx1-2.2", "anna", certainty="shared")
    await page.locator(".call-tab").nth(1).wait_for()
    await clean(page, "talking, and another rings")
    await page.keyboard.press("F8")
    await page.locator(".candidates").wait_for()
    await clean(page, "shared")
    office.withdraw("pbx1-2.2")
    office.hang_up("pbx1-1.1", required=False, seconds=60)
    await page.locator(".wrap.is-due").wait_for()
    await page.keyboard.press("1")
    await clean(page, "wrap-up")
    await page.keyboard.press("Escape")
    for key in ("?", "F4"):
        await page.keyboard.press(key)
        await page.locator("dialog[open]").wait_for()
        await clean(page, f"dialog of {key}")
        await page.keyboard.press("Escape")
    await page.keyboard.press("h")
    await page.locator(".whole .rows").wait_for()
    await clean(page, "history")
    await floor.server.sockets.close_all()
    floor.expected.append("ERR_INTERNET_DISCONNECTED")
    await page.context.set_offline(True)
    await page.locator(".link").wait_for()
    await clean(page, "disconnected")
    sue = await floor.sign_in("sue", scheme=scheme)
    office.caller_waits("pbx1-5.5", "Paula Jansen")
    await sue.get_by_text("Paula Jansen").wait_for()
    await clean(sue, "team")
