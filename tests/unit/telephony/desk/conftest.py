"""A desk that runs: a real server on loopback, real accounts on a real SQLite file, and an office made of notes."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry

from crm_bridge.database import Database
from telephony.desk.bodies import ProblemDocument
from telephony.desk.ports import (
    Conflict,
    NotFound,
    OutboxItem,
    Readiness,
    RecentConversation,
)
from telephony.desk.routes import Route
from telephony.desk.server import DeskServer
from telephony.desk.sockets import text_frame
from telephony.desk.stream import Board, only
from telephony.floor.accounts import Accounts, Membership, Role, User
from telephony.migrations import upgrade
from telephony.settings import Settings

DEADLINE = 5.0
PASSWORD = "a good password"
PEOPLE = {"anna": Role.AGENT, "ben": Role.AGENT, "sue": Role.SUPERVISOR, "adi": Role.ADMIN}
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""The test is of the protocol, not of the processor."""


class Clock:
    """Time that passes when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class NotedOffice:
    """The office's port, with just enough behind it to see that the desk asks the right things."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.asked: list[tuple[Any, ...]] = []
        self.changed = asyncio.Event()
        self.owners: dict[str, str] = {}
        self.people: dict[str, User] = {}
        self.state = Readiness(True)
        self.failure: Exception | None = None

    def _note(self, *call: Any) -> None:
        self.asked.append(call)
        self.changed.set()
        if self.failure is not None:
            raise self.failure

    async def until(self, *call: Any) -> None:
        """Return when the desk has made this call."""
        async with asyncio.timeout(DEADLINE):
            while call not in self.asked:
                self.changed.clear()
                await self.changed.wait()

    def put_me(self, user: User, presence: str = "paused", reason: str = "") -> None:
        self.people[user.login] = user
        value = {
            "login": user.login,
            "name": user.name,
            "role": user.role,
            "language": user.language,
            "interface": user.interface,
            "presence": presence,
            "wish": presence,
            "reason": reason,
            "since": 1.0,
            "queues": [entry.queue for entry in user.queues],
            "messages": 0,
            "wrap_up": None,
        }
        self.board.put("me", user.login, value, only(user.login))

    async def signed_in(self, user: User) -> None:
        self._note("signed_in", user.login)
        self.put_me(user)

    async def signed_out(self, user: User) -> None:
        self._note("signed_out", user.login)
        self.board.drop("me", user.login)

    async def set_presence(self, login: str, presence: str, reason: str) -> None:
        self._note("set_presence", login, presence, reason)
        if self.people[login].phone is None:
            raise Conflict("no-phone")
        self.put_me(self.people[login], presence, reason)

    def _own(self, login: str, conversation: str) -> None:
        if self.owners.get(conversation) != login:
            raise NotFound("conversation-unknown")

    async def wrap_up(self, login: str, conversation: str, code: str, note: str) -> None:
        self._note("wrap_up", login, conversation, code, note)
        self._own(login, conversation)
        if code != "PARCEL":
            raise Conflict("code-unknown", code=code, queue="service")

    async def save_note(self, login: str, conversation: str, note: str) -> None:
        self._note("save_note", login, conversation, note)
        self._own(login, conversation)

    async def choose_customer(self, login: str, conversation: str, customer: str) -> None:
        self._note("choose_customer", login, conversation, customer)
        self._own(login, conversation)

    async def recent_conversations(self, login: str, role: str, limit: int) -> Sequence[RecentConversation]:
        self._note("recent_conversations", login, role, limit)
        return [
            RecentConversation(
                "pbx1-1.1", 1.0, 2.0, 3.5, 1.5, "service", login, "030 23125 001", "Erika Muster", "certain", "PARCEL",
                "", "waiting", "",
            )
        ][:limit]  # fmt: skip

    async def outbox(self) -> Sequence[OutboxItem]:
        self._note("outbox")
        return [OutboxItem("7", "pbx1-1.1", "anna", "PARCEL", 1.0, 60, None, True, "503")]

    async def retry_outbox(self, id: str) -> None:
        self._note("retry_outbox", id)
        if id != "7":
            raise NotFound("outbox-item-unknown")

    def pop_shown(self, login: str, conversation: str) -> None:
        self._note("pop_shown", login, conversation)

    def readiness(self) -> Readiness:
        return self.state


@dataclass
class Answer:
    status: int
    json: Any
    headers: Mapping[str, str]
    cookies: Mapping[str, Any]
    raw: bytes

    @property
    def problem(self) -> str:
        """The problem's id; empty when the answer is none."""
        named = str((self.json or {}).get("type", "")) if self.status >= 400 else ""
        return named.removeprefix("urn:callfloor:problem:")


@dataclass
class Desk:
    """Everything a test of the desk holds in its hands."""

    server: DeskServer
    accounts: Accounts
    office: NotedOffice
    board: Board
    clock: Clock
    database: Database
    password: str = PASSWORD
    clients: list[aiohttp.ClientSession] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def browser(self, *, origin: bool = True, **headers: str) -> aiohttp.ClientSession:
        """Somebody's browser: it keeps cookies and says where its page is from."""
        if origin:
            headers["Origin"] = self.base
        client = aiohttp.ClientSession(
            self.base,
            headers=headers,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=DEADLINE),
        )
        self.clients.append(client)
        return client

    async def call(self, client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Answer:
        """Ask, and hold the answer against what the route table promises."""
        async with client.request(method, path, allow_redirects=False, **options) as answer:
            raw = await answer.read()
            data = None
            if answer.status >= 400 and answer.content_type != "application/json":
                assert answer.content_type == "application/problem+json", raw
                data = json.loads(raw)
                ProblemDocument.model_validate(data)
                assert data["status"] == answer.status
            elif answer.content_type == "application/json" and method != "HEAD":
                data = json.loads(raw)
                model = self.route_of(method, path).answer
                if model is not None:
                    model.model_validate_json(raw)
            return Answer(answer.status, data, answer.headers, answer.cookies, raw)

    def route_of(self, method: str, path: str) -> Route:
        plain = path.partition("?")[0]
        return next(
            route
            for route in self.server.routes
            if route.method == method and re.fullmatch(re.sub(r"{[^}]*}", "[^/]+", route.path), plain)
        )

    async def signed_in(self, login: str, **headers: str) -> aiohttp.ClientSession:
        client = self.browser(**headers)
        async with client.post("/api/v1/session", json={"login": login, "password": PASSWORD}) as answer:
            assert answer.status == 200, await answer.text()
        return client


OpenDesk = Callable[..., Any]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with this version's tables, to be copied: the migrations run once."""
    path = tmp_path_factory.mktemp("migrated") / "desk.db"
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
async def accounts_database(migrated_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "desk.db"
    shutil.copy(migrated_file, path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    yield database
    await database.close()


@pytest.fixture
async def open_desk(accounts_database: Database, tmp_path: Path) -> AsyncIterator[OpenDesk]:
    """Opens a desk with the given settings; closes it at the end."""
    desks: list[Desk] = []

    async def opened(*, http: dict[str, Any] | None = None, **options: Any) -> Desk:
        clock = Clock()
        accounts = Accounts(accounts_database, hasher=CHEAP, clock=clock)
        for number, (login, role) in enumerate(PEOPLE.items()):
            await accounts.create(
                login,
                login.title(),
                PASSWORD,
                role,
                "en" if login == "ben" else "de",
                phone=f"agent{number}" if role is Role.AGENT else None,
                queues=[Membership("service")],
            )
        board = options.pop("board", None) or Board(frame=text_frame)
        office = NotedOffice(board)
        options.setdefault("static", tmp_path / "nothing-built")
        settings = Settings.model_validate({"http": http or {}})
        server = DeskServer(settings, accounts, office, board, CollectorRegistry(), clock=clock, **options)
        desk = Desk(server, accounts, office, board, clock, accounts_database)
        desks.append(desk)
        await server.start(port=0)
        return desk

    yield opened
    for desk in desks:
        for client in desk.clients:
            await client.close()
        await desk.server.stop()
        desk.accounts.close()


@pytest.fixture
async def desk(open_desk: OpenDesk) -> Desk:
    return await open_desk()  # type: ignore[no-any-return]
