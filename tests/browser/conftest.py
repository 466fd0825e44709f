"""The agent's page in a real Chromium, against the real desk server; only the office behind it follows a script."""

from __future__ import annotations

import asyncio
import datetime
import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from argon2 import PasswordHasher
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from prometheus_client import CollectorRegistry

from crm_bridge.database import Database
from crm_bridge.pins import Lock, Pins
from crm_bridge.requests import NewRequest, Requests
from crm_bridge.sealing import Sealer
from ivr_flows import schema
from ivr_flows.schema import Flow
from telephony.desk.entities import SHAPES
from telephony.desk.ports import Conflict, NotFound, OutboxItem, Readiness, RecentConversation
from telephony.desk.reception_api import ReceptionApi, Stores
from telephony.desk.server import DeskServer
from telephony.desk.sockets import text_frame
from telephony.desk.stream import EVERYONE, SUPERVISION, Audience, Board, only, supervision_and
from telephony.floor.accounts import Accounts, Membership, Role, User
from telephony.migrations import upgrade
from telephony.reception.callbacks import CallBacks, Wanted
from telephony.reception.counts import FlowCounts
from telephony.reception.house import house_of
from telephony.reception.library import Library
from telephony.reception.messages import Left, Messages, Recipient
from telephony.reception.shelf import Shelf
from telephony.reception.switches import Switches
from telephony.reception.tables import FlowCount
from telephony.settings import Settings

PASSWORD = "a good password"
PEOPLE = (
    ("anna", "Anna Berg", Role.AGENT, "de"),
    ("ben", "Ben Hughes", Role.AGENT, "en"),
    ("sue", "Susanne Vogt", Role.SUPERVISOR, "de"),
    ("ada", "Ada Stein", Role.ADMIN, "de"),
)
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
WEB = Path(__file__).parents[2] / "telephony" / "desk" / "web"
STATIC = WEB.parent / "static"
FLOWS = Path(__file__).parents[2] / "ivr_flows" / "flows"
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

ERIKA = {"id": "6f1c2f5e-0000-4000-8000-000000000001", "number": "100231", "name": "Erika Lindqvist", "company": ""}
KONRAD = {"id": "6f1c2f5e-0000-4000-8000-000000000002", "number": "100498", "name": "Konrad Weber", "company": ""}
MIRA = {
    "id": "6f1c2f5e-0000-4000-8000-000000000003",
    "number": "100499",
    "name": "Mira Weber",
    "company": "Atelier Weber",
}
CUSTOMERS = {customer["id"]: customer for customer in (ERIKA, KONRAD, MIRA)}


def card_of(customer: dict[str, str], now: float) -> dict[str, Any]:
    def order(number: str, status: str, days: int, cents: int, tracking: str = "") -> dict[str, Any]:
        return {
            "number": number, "status": status, "placed_at": now - days * 86400, "total_minor": cents,
            "currency": "EUR", "tracking": tracking,
        }  # fmt: skip

    def invoice(number: str, status: str, due: int, cents: int, open_cents: int) -> dict[str, Any]:
        day = lambda days: time.strftime("%Y-%m-%d", time.gmtime(now + days * 86400))  # noqa: E731
        return {
            "number": number, "status": status, "issued": day(due - 14), "due": day(due), "total_minor": cents,
            "residual_minor": open_cents, "currency": "EUR",
        }  # fmt: skip

    def contact(days: int, kind: str, text: str, agent: str) -> dict[str, Any]:
        return {"at": now - days * 86400, "kind": kind, "text": text, "agent": agent}

    return {
        "customer": {**customer, "language": "de"},
        "email": f"{customer['name'].split()[0].lower()}@example.org",
        "phones": ["+49 30 23125001", "+49 1522 8817386"],
        "blocked": customer is MIRA,
        "orders": [
            order("B-2026-11874", "shipped", 4, 12_990, "00340434161094015902"),
            order("B-2026-11920", "processing", 1, 4_995),
        ],
        "invoices": [
            invoice("R-2026-5521", "open", -9, 8_995, 8_995),
            invoice("R-2026-5603", "partial", 12, 12_990, 6_990),
        ],
        "activities": [
            contact(3, "call", "Fragt nach dem Paket, Nachforschung gestellt", "Ben Hughes"),
            contact(9, "return", "Mantel, Größe 40, zu klein", ""),
            contact(40, "mail", "Neue Lieferadresse", "Susanne Vogt"),
        ],
        "source": "embedded",
        "fetched_at": now,
    }  # fmt: skip


class ScriptedOffice:
    """The office's port. Tests say what happens on the line; what people ask for is carried out, or noted."""

    def __init__(self, settings: Settings, board: Board) -> None:
        self.settings = settings
        self.board = board
        self.me: dict[str, dict[str, Any]] = {}
        self.roles: dict[str, Role] = {}
        self.pops: dict[str, dict[str, Any]] = {}
        self.owners: dict[str, tuple[str, ...]] = {}
        self.notes: list[tuple[str, str]] = []
        self.wrapped: list[tuple[str, str, str]] = []
        self.chosen: list[tuple[str, str]] = []
        self.presences: list[tuple[str, str, str]] = []
        self.shown: list[tuple[str, str]] = []
        self.retried: list[str] = []
        self.refusal: Exception | None = None
        """Raised by the next wish of a person, once."""
        self.dead: list[OutboxItem] = []
        self.past: list[RecentConversation] = []
        for queue in settings.queues:
            self.queue(queue.name)
        self.office()

    # -- what happens ----------------------------------------------------------------------------------------------

    def put(self, kind: str, id: str, value: dict[str, Any], audience: Audience) -> None:
        SHAPES[kind].model_validate(value)
        self.board.put(kind, id, value, audience)

    def office(self, **changes: Any) -> None:
        value = {"pbx": "in_sync", "crm": "up", "outbox_waiting": 0, "outbox_dead": 0, **RECEPTION, **changes}
        pauses = [{"code": one.code, "label": one.label} for one in self.settings.pauses]
        self.put("office", "office", {**value, "pauses": pauses}, EVERYONE)

    def queue(self, name: str, waiting: int = 0, longest: float | None = None) -> None:
        queue = self.settings.queue(name)
        assert queue is not None
        codes = [{"code": one.code, "label": one.label} for one in queue.wrap_up_codes]
        value = {
            "name": name, "label": queue.label, "waiting": waiting, "longest_since": longest, "ready": 3, "talking": 2,
            "wrap_up": queue.wrap_up, "codes": codes,
        }  # fmt: skip
        self.put("queue", name, value, EVERYONE)

    def ring(self, conversation: str, *logins: str, certainty: str = "certain", **changes: Any) -> dict[str, Any]:
        """A call rings at these people. ``changes`` replace fields of the pop."""
        known = certainty in ("certain", "likely")
        reasons = {"certain": "number_unique", "likely": "loose_number", "shared": "number_shared",
                   "none": "number_unknown", "withheld": "number_withheld"}  # fmt: skip
        withheld = certainty == "withheld"
        now = time.time()
        number, display = ("", "") if withheld else ("+493023125001", "+49 30 23125001")
        pop = {
            "conversation": conversation, "state": "ringing", "queue": "service",
            "caller": {"number": number, "display": display, "name": "", "withheld": withheld},
            "match": {"certainty": certainty, "reason": reasons[certainty], "source": "embedded"},
            "candidates": [ERIKA] if known else [KONRAD, MIRA] if certainty == "shared" else [],
            "customer": ERIKA["id"] if known else None,
            "card": None, "card_state": "loading" if known else "none",
            "level": "number", "filed": 0, "language": "de",
            "path": ["greeting", "recognise", "privacy", "to_service"],
            "joined_at": now - 17, "rang_at": now, "answered_at": None, "ended_at": None, "held": False, "note": "",
            **changes,
        }  # fmt: skip
        self.pops[conversation], self.owners[conversation] = pop, logins
        for login in logins:
            self._be(login, "ringing", wish="ready")
        self._show(conversation)
        return pop

    def change(self, conversation: str, **changes: Any) -> None:
        self.pops[conversation].update(changes)
        self._show(conversation)

    def fill(self, conversation: str, customer: dict[str, str] = ERIKA, **changes: Any) -> None:
        """The CRM has answered. ``changes`` replace fields of the card."""
        card = {**card_of(customer, time.time()), **changes}
        self.change(conversation, customer=customer["id"], card=card, card_state="ready")

    def answer(self, conversation: str, login: str) -> None:
        for other in self.owners[conversation]:
            self._be(other, "talking" if other == login else self.me[other]["wish"])
        self.owners[conversation] = (login,)
        self.change(conversation, state="talking", answered_at=time.time())

    def hang_up(self, conversation: str, *, required: bool = True, seconds: float | None = None) -> None:
        """The call is over, and its agent owes a code."""
        (login,) = self.owners[conversation]
        self.change(conversation, state="wrap_up", ended_at=time.time())
        deadline = None if seconds is None else time.time() + seconds
        queue = self.pops[conversation]["queue"]
        due = {"conversation": conversation, "queue": queue, "required": required, "deadline": deadline}
        self._be(login, "after_call_work", wrap_up=due)

    def withdraw(self, conversation: str) -> None:
        self.pops.pop(conversation)
        for login in self.owners.pop(conversation):
            self._be(login, self.me[login]["wish"])
        self.board.drop("pop", conversation)

    def caller_waits(self, conversation: str, name: str) -> None:
        value = {"queue": "service", "joined_at": time.time() - 42, "name": name, "display": "+49 30 23125 009",
                 "certainty": "likely"}  # fmt: skip
        self.put("waiting", conversation, value, SUPERVISION)

    def _show(self, conversation: str) -> None:
        self.put("pop", conversation, dict(self.pops[conversation]), only(*self.owners[conversation]))
        for login in self.owners[conversation]:
            self._show_agent(login)

    def _be(self, login: str, presence: str, **changes: Any) -> None:
        me = self.me[login]
        me.update(presence=presence, since=time.time(), **changes)
        self.put("me", login, dict(me), only(login))
        self._show_agent(login)

    def _show_agent(self, login: str) -> None:
        me = self.me[login]
        if me["interface"] is None:
            return
        agent = {key: me[key] for key in ("login", "name", "presence", "wish", "reason", "since", "queues")}
        mine = [pop for id, pop in self.pops.items() if self.owners[id] == (login,) and pop["state"] != "ringing"]
        front = mine[0] if mine else {"conversation": None, "queue": "", "candidates": [], "caller": {"display": ""}}
        known = [one["name"] for one in front["candidates"]]
        caller = known[0] if len(known) == 1 else front["caller"]["display"]
        value = {**agent, "conversation": front["conversation"], "queue": front["queue"], "caller": caller}
        self.put("agent", login, value, supervision_and(login))

    # -- what people ask for ---------------------------------------------------------------------------------------

    def _wish(self) -> None:
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise refusal

    def unheard(self, login: str, count: int) -> None:
        """So many voice messages wait for this person."""
        self._be(login, self.me[login]["presence"], messages=count)

    async def signed_in(self, user: User) -> None:
        self.roles[user.login] = user.role
        self.me[user.login] = {
            "login": user.login, "name": user.name, "role": user.role, "language": user.language,
            "interface": user.interface, "queues": [one.queue for one in user.queues], "messages": 0, "wrap_up": None,
            "wish": "offline", "reason": "",
        }  # fmt: skip
        self._be(user.login, "offline")

    async def signed_out(self, user: User) -> None:
        self.me.pop(user.login, None)
        self.board.drop("me", user.login)

    async def set_presence(self, login: str, presence: str, reason: str) -> None:
        self._wish()
        self.presences.append((login, presence, reason))
        me = self.me[login]
        busy = me["presence"] in ("ringing", "talking", "after_call_work")
        me.update(wish=presence, reason=reason)
        self._be(login, me["presence"] if busy else presence)

    async def wrap_up(self, login: str, conversation: str, code: str, note: str) -> None:
        self._wish()
        due = self.me[login]["wrap_up"]
        if due is None or due["conversation"] != conversation:
            raise NotFound("wrap-up-not-open")
        self.wrapped.append((conversation, code, note))
        self.pops.pop(conversation)
        self.board.drop("pop", conversation)
        self._be(login, self.me[login]["wish"], wrap_up=None)

    async def save_note(self, login: str, conversation: str, note: str) -> None:
        self._wish()
        self.notes.append((conversation, note))
        self.change(conversation, note=note)

    async def choose_customer(self, login: str, conversation: str, customer: str) -> None:
        self._wish()
        if customer not in {one["id"] for one in self.pops[conversation]["candidates"]}:
            raise Conflict("customer-not-offered")
        self.chosen.append((conversation, customer))
        match = {"certainty": "certain", "reason": "chosen_by_agent", "source": "embedded"}
        self.change(conversation, customer=customer, match=match, card_state="loading")

    async def recent_conversations(self, login: str, role: str, limit: int) -> Sequence[RecentConversation]:
        return self.past[:limit]

    async def outbox(self) -> Sequence[OutboxItem]:
        return self.dead

    async def retry_outbox(self, id: str) -> None:
        self.retried.append(id)
        self.dead = [item for item in self.dead if item.id != id]

    def pop_shown(self, login: str, conversation: str) -> None:
        self.shown.append((login, conversation))

    def readiness(self) -> Readiness:
        return Readiness(True)


@pytest.fixture(scope="session")
def built_pages() -> Path:
    """The pages, built once when they are missing or older than their sources."""
    npm = shutil.which("npm")
    # The machine may run several test processes; two builds at once would empty the folder under each other.
    with (Path(tempfile.gettempdir()) / "callfloor-desk-pages.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        index = STATIC / "index.html"
        sources = [WEB / "package-lock.json", WEB / "index.html", WEB / "vite.config.ts", *(WEB / "src").rglob("*")]
        newest = max(source.stat().st_mtime for source in sources)
        if not index.exists() or index.stat().st_mtime < newest:
            assert npm is not None, "the desk's pages are not built and there is no npm: run `make pages`"
            if not (WEB / "node_modules" / "vite").exists():
                subprocess.run([npm, "ci"], cwd=WEB, check=True, capture_output=True)
            subprocess.run([npm, "run", "build"], cwd=WEB, check=True, capture_output=True)
    return STATIC


RECEPTION: dict[str, Any] = {"requests": 0, "callbacks": 0, "closed": None}
"""What of the reception everybody sees: nothing."""


class House:
    """The reception's real stores, and what happens in the house."""

    def __init__(self, settings: Settings, database: Database, office: ScriptedOffice, folder: Path) -> None:
        self.office = office
        self.folder = folder
        self.database = database
        library = Library(database)
        flow = schema.load(FLOWS / "customer-care.yaml")
        self.stores = Stores(
            requests=Requests(database, Sealer({"k": bytes(32)})),
            messages=Messages(database, folder),
            callbacks=CallBacks(database, settings.callbacks),
            switches=Switches(database),
            library=library,
            shelf=Shelf(library, flow, house_of(settings), _no_sounds),
            counts=FlowCounts(database, ZoneInfo("Europe/Berlin"), time.time),
            pins=Pins(database, Lock()),
            source="embedded",
        )
        self.routes = ReceptionApi(settings, self.stores, self._changed).routes()
        self._settings = settings
        self._looks: set[asyncio.Task[None]] = set()

    def _changed(self) -> None:
        look = asyncio.create_task(self.look())
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def look(self) -> None:
        """What everybody sees of the reception is counted anew."""
        closed = await self.stores.switches.closure()
        names = {login: name for login, name, *_ in PEOPLE}
        shown = None
        if closed is not None:
            shown = {"reason": closed.reason, "by": names[closed.by], "at": closed.at}
        self.office.office(
            requests=await self.stores.requests.count(), callbacks=len(await self.stores.callbacks.open()), closed=shown
        )
        agents, queues = await self.stores.messages.unheard()
        for login, me in self.office.me.items():
            count = agents.get(login, 0) + sum(queues.get(queue, 0) for queue in me["queues"])
            if count != me["messages"]:
                self.office.unheard(login, count)

    async def settle(self) -> None:
        await asyncio.gather(*self._looks)

    async def files(
        self, kind: str, customer: dict[str, str] = ERIKA, level: str = "pin", **fields: str | int | bool
    ) -> str:
        """A caller asks for something in the menu; its reference."""
        request = NewRequest(
            f"pbx1-0.{secrets.token_hex(3)}", f"{kind}_file", kind, "embedded", customer["id"], customer["name"], level,
            fields,
        )  # fmt: skip
        reference = await self.stores.requests.file(request)
        await self.look()
        return reference

    async def speaks(
        self, recipient: Recipient, kind: str = "message", customer: dict[str, str] = ERIKA, seconds: int = 2
    ) -> str:
        """A caller leaves a message; its id."""
        place, path = self.stores.messages.place()
        with wave.open(f"{path}.wav", "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(bytes(16000 * seconds))
        left = Left(
            "pbx1-0.1", kind, recipient, place, seconds, "+4915228817386", customer.get("id", ""), customer["name"]
        )
        assert await self.stores.messages.keep(left)
        await self.look()
        return place.rpartition("/")[2]

    async def promises(self, number: str, customer: dict[str, str] = KONRAD) -> None:
        wanted = Wanted("service", number, "de", customer["id"], customer["name"])
        assert await self.stores.callbacks.promise(wanted) == "next"
        await self.look()

    async def publishes(self, versions: int) -> None:
        """So many versions of the live flow, the last one live."""
        for version in range(1, versions + 1):
            path = self.folder.parent / "published" / str(version)
            shutil.copytree(FLOWS, path)
            text = (path / "front-desk.yaml").read_text("utf-8")
            (path / "front-desk.yaml").write_text(f"{text}\n# version {version}\n", "utf-8")
            await self.stores.library.publish(path / "front-desk.yaml", house_of(self._settings), "ada")

    async def callers(self) -> None:
        """A week in the flow: most go on, some give up."""
        live = self.stores.shelf.live
        day = datetime.datetime.now(ZoneInfo("Europe/Berlin")).date().isoformat()
        counts = {
            ("open", "open"): 412, ("greeting", "next"): 405, ("greeting", "hangup"): 7, ("main", "1"): 190,
            ("main", "hangup"): 31, ("parcel_tell", "next"): 171, ("parcel_tell", "hangup"): 3,
            ("waiting", "hangup"): 12, ("waiting", "next"): 160, ("wait_or_call_back", "hangup"): 22,
            ("parcel_who.number", "hangup"): 9, ("parcel_who.number", "next"): 140,
        }  # fmt: skip
        async with self.database.transaction() as session:
            session.add_all(
                FlowCount(
                    flow=live.document.name,
                    fingerprint=live.fingerprint,
                    day=day,
                    node=node,
                    branch=branch,
                    count=count,
                )
                for (node, branch), count in counts.items()
            )
        here = ("main", "main", "parcel_who.number", "waiting", "wait_or_call_back")
        self.stores.counts.here.update({f"pbx1-9.{n}": (live.document.name, node) for n, node in enumerate(here)})


async def _no_sounds(flow: Flow) -> None:
    """Nothing is spoken here."""


@dataclass
class Floor:
    """The server, its office, and the browsers that look at it."""

    base: str
    office: ScriptedOffice
    server: DeskServer
    browser: Browser
    house: House
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What any page wrote to its console as an error or warning."""
    expected: list[str] = field(default_factory=lambda: ["status of 401"])
    """Parts of what browsers note by themselves: "am I signed in?" is answered with 401 before the log-in."""

    office_erika = ERIKA
    office_mira = MIRA

    def now(self) -> float:
        return time.time()

    def past(self) -> list[RecentConversation]:
        """A morning's work."""
        now = time.time()

        def row(
            minutes: int, talked: float, number: str, name: str, code: str, note: str, crm: str
        ) -> RecentConversation:
            start = now - minutes * 60
            answered = start + 21 if talked else None
            return RecentConversation(
                f"pbx1-0.{minutes}", start, answered, start + 21 + talked, talked, "service", "anna", number, name,
                "certain", code, note, crm, f"A-{90000 + minutes}" if crm == "delivered" else "",
            )  # fmt: skip

        return [
            row(6, 184, "+49 30 23125 014", "Mira Weber", "RETURN", "Rücksendeschein per E-Mail geschickt", "waiting"),
            row(15, 421, "+49 152 28817386", "Erika Lindqvist", "PARCEL", "Nachforschung gestellt", "delivered"),
            row(29, 0, "+49 89 99998 120", "", "", "", ""),
            row(34, 96, "", "Konrad Weber", "INVOICE", "Ratenzahlung erklärt", "delivered"),
            row(52, 263, "+44 20 7946 0958", "Ada Fielding", "COMPLAINT", "Naht offen, Ersatz bestellt", "delivered"),
        ]

    async def page(self, width: int = 1280, height: int = 800, scheme: str = "light", language: str = "de-DE") -> Page:
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale=language,  # type: ignore[arg-type]
        )
        self.contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        return page

    def unexpected(self) -> list[str]:
        return [line for line in self.complaints if not any(part in line for part in self.expected)]

    async def sign_in(self, login: str = "anna", **options: Any) -> Page:
        """A desk of this person, entered by keys only."""
        page = await self.page(**options)
        await page.goto(self.base)
        await page.locator("#login:focus").wait_for()
        await page.keyboard.type(login)
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator("main[aria-busy=false]").wait_for()  # the stream has said what there is
        return page


async def eventually(true: Callable[[], object], what: str, seconds: float = 5.0) -> None:
    """Wait until something on the server's side has come true."""
    end = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually


@pytest.fixture(scope="session")
def chromium() -> str:
    path = os.environ.get("DESK_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path is not None, "no Chromium: install the package chromium, or set DESK_CHROMIUM"
    return path


@pytest.fixture(scope="session")
def axe_source(built_pages: Path) -> str:
    """The accessibility checker's own program, to be run inside a page."""
    return (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8") + "\nundefined"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "desk.db"
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
async def floor(built_pages: Path, chromium: str, migrated_file: Path, tmp_path: Path) -> AsyncIterator[Floor]:
    shutil.copy(migrated_file, tmp_path / "desk.db")
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'desk.db'}")
    accounts = Accounts(database, hasher=CHEAP)
    for number, (login, name, role, language) in enumerate(PEOPLE):
        phone = f"agent{number}" if role is Role.AGENT else None
        queues = [Membership("service")] if role is Role.AGENT else []
        await accounts.create(login, name, PASSWORD, role, language, phone=phone, queues=queues)
    settings = Settings.model_validate({"pbx": {"trunk_out": "sip:sbc.example.org:5060"}})
    board = Board(frame=text_frame)
    office = ScriptedOffice(settings, board)
    house = House(settings, database, office, tmp_path / "messages")
    server = DeskServer(settings, accounts, office, board, CollectorRegistry(), static=built_pages, more=house.routes)
    await server.start(port=0)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        floor = Floor(f"http://127.0.0.1:{server.port}", office, server, browser, house)
        yield floor
        for context in floor.contexts:
            await context.close()
        await browser.close()
    await server.stop()
    await house.settle()
    accounts.close()
    await database.close()
