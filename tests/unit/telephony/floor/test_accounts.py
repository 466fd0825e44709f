"""Accounts, passwords and sessions, on both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlmodel import select

from crm_bridge.database import Database
from telephony.floor.accounts import (
    AccountExists,
    AccountInvalid,
    Accounts,
    AccountUnknown,
    LoginLocked,
    Membership,
    Role,
    WrongCredentials,
    production_hasher,
)
from telephony.floor.tables import DeskSession, UserAccount

PASSWORD = "a good password"
HOME = "192.0.2.1"


class CountingHasher(PasswordHasher):
    """Cheap, and it counts the work that an attacker could measure."""

    def __init__(self, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_cost=8, parallelism=1)
        self.verified: list[str] = []

    def verify(self, hash: Any, password: Any) -> Any:
        self.verified.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        return super().verify(hash, password)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make(database: Database, clock: Clock) -> AsyncIterator[Callable[..., Accounts]]:
    made: list[Accounts] = []

    def build(**options: Any) -> Accounts:
        options.setdefault("hasher", CountingHasher())
        made.append(Accounts(database, clock=clock, **options))
        return made[-1]

    yield build
    for accounts in made:
        accounts.close()


@pytest.fixture
async def accounts(make: Callable[..., Accounts]) -> Accounts:
    return make()


async def anna(accounts: Accounts) -> Any:
    return await accounts.create("anna", "Anna Beispiel", PASSWORD, Role.AGENT, "de", phone="agent1",
                                 queues=[Membership("vip", 2), Membership("service")])  # fmt: skip


async def test_a_person_is_kept_as_given(accounts: Accounts) -> None:
    created = await anna(accounts)
    assert (created.name, created.role, created.interface) == ("Anna Beispiel", Role.AGENT, "PJSIP/agent1")
    assert created.queues == (Membership("service", 0), Membership("vip", 2))
    assert await accounts.get("anna") == created
    await accounts.create("adi", "Adi", PASSWORD, "admin", "en")
    assert [user.login for user in await accounts.list()] == ["adi", "anna"]
    assert (await accounts.get("adi")).interface is None


async def test_a_login_is_taken_once(accounts: Accounts) -> None:
    await anna(accounts)
    with pytest.raises(AccountExists, match="anna"):
        await anna(accounts)
    with pytest.raises(AccountUnknown, match="nobody"):
        await accounts.get("nobody")
    with pytest.raises(AccountUnknown, match="nobody"):
        await accounts.update("nobody", name="X")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login", "Anna"), ("login", ""), ("login", "a;b"), ("login", "a|b"), ("login", "x" * 33), ("login", "a\n"),
        ("name", ""), ("name", "  "), ("name", "A;B"), ("name", "A|B"), ("name", "A\r\nB"), ("name", "x" * 81),
        ("password", "short"), ("password", "x" * 257), ("role", "boss"), ("language", "fr"), ("phone", "PJSIP/a"),
        ("phone", "-a"),
    ],
)  # fmt: skip
async def test_what_asterisk_or_people_could_trip_over_is_refused(accounts: Accounts, field: str, value: str) -> None:
    fields: dict[str, Any] = {
        "login": "anna", "name": "Anna", "password": PASSWORD, "role": "agent", "language": "de", "phone": "agent1",
    }  # fmt: skip
    with pytest.raises(AccountInvalid) as refused:
        await accounts.create(**{**fields, field: value})
    assert refused.value.field == field
    assert field != "password" or value not in str(refused.value)
    assert await accounts.list() == []
    if field != "login":
        await accounts.create(**fields)
        with pytest.raises(AccountInvalid):
            await accounts.update("anna", **{field: value})


async def test_passwords_are_hashed_with_argon2id_and_told_to_nobody(database: Database, accounts: Accounts) -> None:
    user = await anna(accounts)
    async with database.session() as session:
        row = (await session.exec(select(UserAccount))).one()
    assert row.password_hash.startswith("$argon2id$")
    assert PASSWORD not in row.password_hash
    assert "argon2" not in repr(user)
    assert production_hasher().type.name == "ID"


async def test_only_the_right_password_of_an_open_account_lets_in(accounts: Accounts) -> None:
    user = await anna(accounts)
    assert await accounts.authenticate("anna", PASSWORD, HOME) == user
    for login, password in (("anna", "wrong"), ("nobody", PASSWORD), ("anna", ""), ("anna", PASSWORD + "\0")):
        with pytest.raises(WrongCredentials):
            await accounts.authenticate(login, password, HOME)
    await accounts.update("anna", active=False)
    with pytest.raises(WrongCredentials):
        await accounts.authenticate("anna", PASSWORD, HOME)


async def test_an_unknown_login_costs_the_same_work_as_a_wrong_password(make: Callable[..., Accounts]) -> None:
    hasher = CountingHasher()
    accounts = make(hasher=hasher)
    await anna(accounts)
    for login in ("anna", "nobody", "somebody"):
        with pytest.raises(WrongCredentials):
            await accounts.authenticate(login, "wrong", HOME)
    assert len(hasher.verified) == 3
    assert len(set(hasher.verified)) == 1


async def test_a_hash_of_older_strength_is_renewed_at_the_next_log_in(
    database: Database, make: Callable[..., Accounts]
) -> None:
    await anna(make(hasher=CountingHasher(time_cost=1)))
    stronger = make(hasher=CountingHasher(time_cost=2))
    await stronger.authenticate("anna", PASSWORD, HOME)
    async with database.session() as session:
        row = (await session.exec(select(UserAccount))).one()
    assert ",t=2," in row.password_hash
    await stronger.authenticate("anna", PASSWORD, HOME)


class GatedHasher(CountingHasher):
    """Hashes once the loop has opened the gate; a loop that waits for the hash never gets to open it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def hash(self, password: Any, *, salt: bytes | None = None) -> str:
        assert self.gate.wait(5.0), "the loop stood still"
        return super().hash(password, salt=salt)


async def test_hashing_keeps_the_loop_free(make: Callable[..., Accounts]) -> None:
    hasher = GatedHasher()
    creating = asyncio.create_task(anna(make(hasher=hasher)))
    asyncio.get_running_loop().call_soon(hasher.gate.set)
    assert (await creating).login == "anna"


async def test_guesses_are_counted_per_login_from_wherever_they_come(accounts: Accounts, clock: Clock) -> None:
    await anna(accounts)
    for number in range(6):
        with pytest.raises(WrongCredentials):
            await accounts.authenticate("anna", "wrong", f"192.0.2.{number}")
    with pytest.raises(LoginLocked) as locked:
        await accounts.authenticate("anna", PASSWORD, HOME)
    assert locked.value.retry_after == 5.0
    clock.now += 5.0
    await accounts.authenticate("anna", PASSWORD, HOME)
    with pytest.raises(WrongCredentials):
        await accounts.authenticate("anna", "wrong", HOME)


async def test_guesses_are_counted_per_address_whatever_the_login(accounts: Accounts) -> None:
    await anna(accounts)
    for number in range(41):
        with pytest.raises(WrongCredentials):
            await accounts.authenticate(f"guess{number}", "wrong", "203.0.113.9")
    with pytest.raises(LoginLocked):
        await accounts.authenticate("anna", PASSWORD, "203.0.113.9")
    await accounts.authenticate("anna", PASSWORD, HOME)


async def test_guesses_sent_at_once_do_not_slip_through_together(accounts: Accounts) -> None:
    await anna(accounts)
    tried = await asyncio.gather(
        *(accounts.authenticate("anna", "wrong", HOME) for _ in range(30)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in tried) == ["LoginLocked"] * 24 + ["WrongCredentials"] * 6


async def test_a_session_is_found_by_its_token_alone(database: Database, accounts: Accounts, clock: Clock) -> None:
    user = await anna(accounts)
    token, opened = await accounts.open_session(user, "Browser\r\n" + "x" * 500)
    assert len(token) >= 43
    assert await accounts.session(token) == opened
    assert opened.expires_at == clock.now + 12 * 3600
    assert await accounts.session(token[:-1]) is None
    assert await accounts.session(opened.key) is None
    assert await accounts.session("\udcff") is None
    async with database.session() as session:
        row = (await session.exec(select(DeskSession))).one()
    assert token not in (row.token_hash, row.user_agent)
    assert len(row.user_agent) == 120
    assert "\n" not in row.user_agent


async def test_a_session_ends_in_every_way_it_can(accounts: Accounts, clock: Clock) -> None:
    user = await anna(accounts)

    async def begun() -> tuple[str, str]:
        token, session = await accounts.open_session(user)
        assert (await accounts.valid([session.key, "other"])) == {session.key: ("anna", "agent")}
        return token, session.key

    async def over(token: str, key: str) -> None:
        assert await accounts.session(token) is None
        assert await accounts.valid([key]) == {}
        assert await accounts.signed_in() == set()

    token, key = await begun()
    assert await accounts.signed_in() == {"anna"}
    await accounts.end_session(key)
    await accounts.end_session(key)
    await over(token, key)
    token, key = await begun()
    await accounts.revoke("anna")
    await over(token, key)
    for change in ({"password": "a new password"}, {"role": "supervisor"}, {"active": False}):
        await accounts.update("anna", active=True)
        token, session = await accounts.open_session(user)
        await accounts.update("anna", **change)  # type: ignore[arg-type]
        await over(token, session.key)
    await accounts.update("anna", active=True, role="agent")
    token, key = await begun()
    clock.now += 12 * 3600
    await over(token, key)


async def test_harmless_changes_leave_people_signed_in(accounts: Accounts) -> None:
    user = await anna(accounts)
    token, _ = await accounts.open_session(user)
    changed = await accounts.update("anna", name="Anna Neu", language="en", role="agent", queues=[Membership("vip")])
    assert (changed.name, changed.language, changed.queues) == ("Anna Neu", "en", (Membership("vip"),))
    assert (await accounts.update("anna", no_phone=True)).phone is None
    found = await accounts.session(token)
    assert found is not None
    assert found.user.name == "Anna Neu"


async def test_when_somebody_was_last_seen_is_written_now_and_then(
    database: Database, accounts: Accounts, clock: Clock
) -> None:
    token, _ = await accounts.open_session(await anna(accounts))
    seen = []
    for passed in (30.0, 60.0):
        clock.now += passed
        await accounts.session(token)
        async with database.session() as session:
            seen.append((await session.exec(select(DeskSession.last_seen))).one() - clock.now)
    assert seen == [-30.0, 0.0]
