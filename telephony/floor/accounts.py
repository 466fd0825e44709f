"""The people who may log in: accounts, passwords, sessions.

Passwords are kept as argon2id hashes, computed in threads of our own so that nobody's call waits for a log-in. A
session is a random token that only the browser knows; we keep its hash, so that a stolen database opens no desk.

AccountError
├── AccountInvalid    a field cannot be used; ``field`` and a text fit to be shown
├── AccountExists     the login is taken
├── AccountUnknown    there is no such login
├── WrongCredentials  login and password do not fit, or the account is closed
└── LoginLocked       too many attempts; ``retry_after`` seconds
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from crm_bridge.database import Database
from telephony.floor import lockout
from telephony.floor.tables import DeskSession, QueueMembership, UserAccount

log = structlog.get_logger(__name__)

LOGIN = re.compile(r"[a-z0-9._-]{1,32}")
PHONE = re.compile(r"[a-z0-9][a-z0-9_-]{0,38}")
UNSAFE_IN_NAME = re.compile(r"[;|\x00-\x1f\x7f]")
"""``;`` and ``|`` divide fields in Asterisk's queue log and member lists; control characters divide AMI lines."""
LANGUAGES = ("de", "en")
PASSWORD_SHORTEST = 8
PASSWORD_LONGEST = 256
LAST_SEEN_STEP = 60.0
"""Seconds; ``last_seen`` is written no more often, so that reading does not turn into writing."""
REMEMBERED_TRIES = 20_000


class Role(StrEnum):
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class AccountError(Exception):
    """The root of what can go wrong with accounts."""


class AccountInvalid(AccountError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class AccountExists(AccountError):
    pass


class AccountUnknown(AccountError):
    pass


class WrongCredentials(AccountError):
    pass


class LoginLocked(AccountError):
    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many attempts; try again in {retry_after:.0f} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Membership:
    queue: str
    penalty: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """A person, without secrets."""

    login: str
    name: str
    role: Role
    language: str
    phone: str | None = None
    active: bool = True
    queues: tuple[Membership, ...] = ()

    @property
    def interface(self) -> str | None:
        """The queue member's interface, if this person has a phone."""
        return None if self.phone is None else f"PJSIP/{self.phone}"


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in that is valid now."""

    key: str
    """The token's hash: names the session, opens nothing."""
    user: User
    expires_at: float


def production_hasher() -> PasswordHasher:
    """19 MiB, two passes, one lane: OWASP's argon2id setting that leaves the other processor to the calls."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def token_key(token: str) -> str:
    """The name under which a session's token is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Accounts:
    """Accounts and sessions in the database. ``close`` ends its threads."""

    def __init__(
        self,
        database: Database,
        *,
        session_seconds: float = 12 * 3600.0,
        hasher: PasswordHasher | None = None,
        clock: Callable[[], float] = time.time,
        per_login: lockout.Rule = lockout.PER_LOGIN,
        per_address: lockout.Rule = lockout.PER_ADDRESS,
    ) -> None:
        self._database = database
        self._session_seconds = session_seconds
        self._hasher = hasher if hasher is not None else production_hasher()
        self._clock = clock
        self._rules = {"login": per_login, "address": per_address}
        self._tries: OrderedDict[tuple[str, str], lockout.Tries] = OrderedDict()
        # Two at a time: more would only take the processors from the calls.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
        self._decoy: str | None = None

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    # -- accounts --------------------------------------------------------------------------------------------------

    async def create(
        self,
        login: str,
        name: str,
        password: str,
        role: Role | str,
        language: str = "de",
        *,
        phone: str | None = None,
        queues: Sequence[Membership] = (),
    ) -> User:
        """Add a person. Raises ``AccountInvalid`` or ``AccountExists``."""
        if not LOGIN.fullmatch(login):
            raise AccountInvalid("login", "use 1 to 32 of a-z, 0-9, dot, underscore and hyphen")
        _check_fields({"name": name, "password": password, "role": role, "language": language, "phone": phone})
        account = UserAccount(
            login=login,
            name=name,
            password_hash=await self._hash(password),
            role=str(Role(role)),
            language=language,
            phone=phone,
            created_at=self._clock(),
        )
        members = [QueueMembership(login=login, queue=entry.queue, penalty=entry.penalty) for entry in queues]
        try:
            async with self._database.transaction() as session:
                session.add(account)
                # Flushed on its own: without a relationship nothing else tells which of the rows goes first.
                await session.flush()
                session.add_all(members)
        except IntegrityError as taken:
            raise AccountExists(f"the login {login!r} is taken; choose another, or update it") from taken
        log.info("account_created", login=login, role=str(role))
        return await self.get(login)

    async def update(
        self,
        login: str,
        *,
        name: str | None = None,
        password: str | None = None,
        role: Role | str | None = None,
        language: str | None = None,
        phone: str | None = None,
        no_phone: bool = False,
        active: bool | None = None,
        queues: Sequence[Membership] | None = None,
    ) -> User:
        """Change what is given. A new password, another role or a closed account ends the person's sessions.

        Raises ``AccountInvalid`` or ``AccountUnknown``.
        """
        given = {"name": name, "password": password, "role": role, "language": language, "phone": phone}
        changes: dict[str, object] = {field: value for field, value in given.items() if value is not None}
        _check_fields(changes)
        if password is not None:
            del changes["password"]
            changes["password_hash"] = await self._hash(password)
        if role is not None:
            changes["role"] = str(Role(role))
        if no_phone:
            changes["phone"] = None
        if active is not None:
            changes["active"] = active
        async with self._database.transaction() as session:
            account = await session.get(UserAccount, login)
            if account is None:
                raise AccountUnknown(f"there is no login {login!r}")
            ends_sessions = (
                password is not None
                or not changes.get("active", True)
                or (role is not None and account.role != str(role))
            )
            for field, value in changes.items():
                setattr(account, field, value)
            if queues is not None:
                await session.exec(delete(QueueMembership).where(col(QueueMembership.login) == login))
                session.add_all(
                    QueueMembership(login=login, queue=entry.queue, penalty=entry.penalty) for entry in queues
                )
            if ends_sessions:
                await session.exec(delete(DeskSession).where(col(DeskSession.login) == login))
        log.info("account_updated", login=login, fields=sorted(changes))
        return await self.get(login)

    async def get(self, login: str) -> User:
        """Raises ``AccountUnknown``."""
        async with self._database.session() as session:
            account = await session.get(UserAccount, login)
            if account is None:
                raise AccountUnknown(f"there is no login {login!r}")
            return _user(account, await _memberships(session, [login]))

    async def list(self) -> list[User]:
        """Everybody, by login; closed accounts too."""
        async with self._database.session() as session:
            accounts = (await session.exec(select(UserAccount).order_by(col(UserAccount.login)))).all()
            queues = await _memberships(session, None)
        return [_user(account, queues) for account in accounts]

    # -- log-in ----------------------------------------------------------------------------------------------------

    async def authenticate(self, login: str, password: str, address: str) -> User:
        """The person whose login and password these are.

        A login that does not exist costs the same work as a wrong password. Raises ``WrongCredentials`` or
        ``LoginLocked``.
        """
        keys = (("login", login[:64]), ("address", address))
        now = self._clock()
        pause = max(lockout.wait(self._tries.get(key, lockout.Tries()), now) for key in keys)
        if pause > 0:
            log.warning("login_locked", address=address, retry_after=round(pause))
            raise LoginLocked(pause)
        for key in keys:
            self._note(key, lockout.attempted(self._tries.get(key, lockout.Tries()), self._rules[key[0]], now))
        async with self._database.session() as session:
            account = await session.get(UserAccount, login)
        known = account is not None and account.active
        stored = account.password_hash if account is not None and known else await self._decoy_hash()
        fits = await self._verify(stored, password[:PASSWORD_LONGEST])
        if account is None or not (known and fits):
            log.warning("login_refused", address=address)
            raise WrongCredentials("login or password is wrong")
        self._tries.pop(keys[0], None)
        if (tries := self._tries.get(keys[1])) is not None:
            self._note(keys[1], lockout.succeeded(tries))
        if self._hasher.check_needs_rehash(stored):
            await self._rehash(login, stored, password)
        return await self.get(login)

    def _note(self, key: tuple[str, str], tries: lockout.Tries) -> None:
        self._tries[key] = tries
        self._tries.move_to_end(key)
        # The oldest go first, so a flood of made-up logins costs memory only up to the cap.
        while len(self._tries) > REMEMBERED_TRIES:
            self._tries.popitem(last=False)

    async def _rehash(self, login: str, old: str, password: str) -> None:
        fresh = await self._hash(password)
        async with self._database.transaction() as session:
            # Only while it is still the hash that was checked: a password changed meanwhile must stay changed.
            await session.exec(
                update(UserAccount)
                .where(col(UserAccount.login) == login, col(UserAccount.password_hash) == old)
                .values(password_hash=fresh)
            )
        log.info("password_rehashed", login=login)

    async def _decoy_hash(self) -> str:
        if self._decoy is None:
            self._decoy = await self._hash(secrets.token_urlsafe(16))
        return self._decoy

    async def _hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def _verify(self, stored: str, password: str) -> bool:
        def verify() -> bool:
            try:
                return self._hasher.verify(stored, password)
            except (VerificationError, InvalidHashError):
                return False

        return await asyncio.get_running_loop().run_in_executor(self._threads, verify)

    # -- sessions --------------------------------------------------------------------------------------------------

    async def open_session(self, user: User, user_agent: str = "") -> tuple[str, Session]:
        """Begin a session; returns its token, which nobody else is told, and the session."""
        token, now = secrets.token_urlsafe(32), self._clock()
        row = DeskSession(
            token_hash=token_key(token),
            login=user.login,
            created_at=now,
            expires_at=now + self._session_seconds,
            last_seen=now,
            user_agent=UNSAFE_IN_NAME.sub(" ", user_agent)[:120],
        )
        opened = Session(row.token_hash, user, row.expires_at)
        async with self._database.transaction() as session:
            session.add(row)
        return token, opened

    async def session(self, token: str) -> Session | None:
        """The session of this token, if it is valid now."""
        key, now = token_key(token), self._clock()
        async with self._database.session() as session:
            found = (
                await session.exec(
                    select(DeskSession, UserAccount)
                    .join(UserAccount, col(UserAccount.login) == col(DeskSession.login))
                    .where(
                        col(DeskSession.token_hash) == key,
                        col(DeskSession.expires_at) > now,
                        col(UserAccount.active),
                    )
                )
            ).first()
            if found is None:
                return None
            row, account = found
            user = _user(account, await _memberships(session, [account.login]))
        if now - row.last_seen >= LAST_SEEN_STEP:
            async with self._database.transaction() as session:
                await session.exec(update(DeskSession).where(col(DeskSession.token_hash) == key).values(last_seen=now))
        return Session(key, user, row.expires_at)

    async def valid(self, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Which of these sessions are valid now, each with its login and role as it is now."""
        wanted = list(keys)
        async with self._database.session() as session:
            rows = (
                await session.exec(
                    select(DeskSession.token_hash, UserAccount.login, UserAccount.role)
                    .join(UserAccount, col(UserAccount.login) == col(DeskSession.login))
                    .where(
                        col(DeskSession.token_hash).in_(wanted),
                        col(DeskSession.expires_at) > self._clock(),
                        col(UserAccount.active),
                    )
                )
            ).all()
        return {key: (login, role) for key, login, role in rows}

    async def end_session(self, key: str) -> None:
        """End one session; one that has ended is no error."""
        async with self._database.transaction() as session:
            await session.exec(delete(DeskSession).where(col(DeskSession.token_hash) == key))

    async def revoke(self, login: str) -> None:
        """End every session of a person."""
        async with self._database.transaction() as session:
            await session.exec(delete(DeskSession).where(col(DeskSession.login) == login))

    async def signed_in(self) -> set[str]:
        """The logins that have a valid session; expired ones are deleted on the way."""
        now = self._clock()
        async with self._database.transaction() as session:
            await session.exec(delete(DeskSession).where(col(DeskSession.expires_at) <= now))
            logins = set(
                await session.exec(
                    select(DeskSession.login)
                    .join(UserAccount, col(UserAccount.login) == col(DeskSession.login))
                    .where(col(UserAccount.active))
                    .distinct()
                )
            )
        for key in [key for key, tries in self._tries.items() if lockout.forgotten(tries, self._rules[key[0]], now)]:
            del self._tries[key]
        return logins


def _check_fields(fields: Mapping[str, object]) -> None:
    """Raise ``AccountInvalid`` for the first field that cannot be used."""
    for field, value in fields.items():
        if value is None:
            continue
        text = str(value)
        message = _CHECKS[field](text)
        if message:
            raise AccountInvalid(field, message)


def _check_name(text: str) -> str:
    if not text.strip() or len(text) > 80:
        return "use 1 to 80 characters"
    return "must not hold ; or | or control characters" if UNSAFE_IN_NAME.search(text) else ""


def _check_password(text: str) -> str:
    fits = PASSWORD_SHORTEST <= len(text) <= PASSWORD_LONGEST
    return "" if fits else f"use {PASSWORD_SHORTEST} to {PASSWORD_LONGEST} characters"


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "name": _check_name,
    "password": _check_password,
    "role": lambda text: "" if text in set(Role) else f"use one of {', '.join(Role)}",
    "language": lambda text: "" if text in LANGUAGES else f"use one of {', '.join(LANGUAGES)}",
    "phone": lambda text: "" if PHONE.fullmatch(text) else "is not the name of a phone (phones.name in the settings)",
}


async def _memberships(session: AsyncSession, logins: Sequence[str] | None) -> dict[str, list[Membership]]:
    query = select(QueueMembership).order_by(col(QueueMembership.queue))
    if logins is not None:
        query = query.where(col(QueueMembership.login).in_(logins))
    found: dict[str, list[Membership]] = {}
    for row in await session.exec(query):
        found.setdefault(row.login, []).append(Membership(row.queue, row.penalty))
    return found


def _user(account: UserAccount, queues: Mapping[str, Sequence[Membership]]) -> User:
    return User(
        login=account.login,
        name=account.name,
        role=Role(account.role),
        language=account.language,
        phone=account.phone,
        active=account.active,
        queues=tuple(queues.get(account.login, ())),
    )
