"""The library of flows: versions that never change, and aliases that say which one is live.

Publishing writes a new version and moves an alias; rolling back moves the alias. A running service looks at the aliases
and has every text rendered before it changes over, so no caller ever waits for a prompt. Who is in a flow stays in that
version of it.

LibraryError    nothing was published or moved; fit to be shown
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from crm_bridge.database import Database
from ivr_flows import schema
from ivr_flows.checks import House, check_flow
from ivr_flows.schema import Constants, Flow, FlowError
from telephony.reception.tables import FlowAlias, FlowVersion

LIVE, TEST = "live", "test"
ALIASES = (LIVE, TEST)


class LibraryError(Exception):
    """Nothing was published or moved."""


@dataclass(frozen=True, slots=True)
class Version:
    """One published version."""

    flow: str
    version: int
    fingerprint: str
    published_at: float
    published_by: str
    aliases: tuple[str, ...] = ()


class Library:
    """``clock``: Unix seconds. ``constants``: the house's, which go before those of the flow files."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, constants: Constants | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._constants = constants

    async def publish(self, path: Path, house: House, by: str, alias: str | None = LIVE) -> Version:
        """Prove a flow file with its sub-flows, store it as the next version, and point ``alias`` to it.

        The same text again is the same version. Raises ``FlowError`` with everything that is wrong; ``DatabaseError``.
        """
        files = _files(path)
        flow = _parse(files, path.name, str(path), self._constants)
        problems = check_flow(flow, house)
        if problems:
            raise FlowError(tuple(problems))
        name = flow.document.name
        async with self._database.transaction() as session:
            newest = select(func.max(FlowVersion.version)).where(FlowVersion.flow == name)
            latest = await session.get(FlowVersion, (name, (await session.exec(newest)).one() or 0))
            if latest is None or latest.files != files:
                latest = FlowVersion(
                    flow=name,
                    version=(latest.version if latest is not None else 0) + 1,
                    fingerprint=flow.fingerprint,
                    files=files,
                    main=path.name,
                    published_at=self._clock(),
                    published_by=by,
                )
                session.add(latest)
            if alias is not None:
                await self._set(session, alias, name, latest.version, by)
            return Version(
                name, latest.version, latest.fingerprint, latest.published_at, by, (alias,) if alias is not None else ()
            )

    async def point(self, alias: str, flow: str, version: int, by: str) -> None:
        """Have an alias mean a version that was published. Raises ``LibraryError`` and ``DatabaseError``."""
        async with self._database.transaction() as session:
            if await session.get(FlowVersion, (flow, version)) is None:
                raise LibraryError(f"there is no version {version} of {flow!r}; see: callfloor flow versions")
            await self._set(session, alias, flow, version, by)

    async def _set(self, session: AsyncSession, alias: str, flow: str, version: int, by: str) -> None:
        row = await session.get(FlowAlias, alias)
        if row is None:
            row = FlowAlias(alias=alias, flow=flow, version=version, set_at=self._clock(), set_by=by)
        elif (row.flow, row.version) != (flow, version):
            row.before_flow, row.before_version = row.flow, row.version
        row.flow, row.version, row.set_at, row.set_by = flow, version, self._clock(), by
        session.add(row)

    async def roll_back(self, alias: str, by: str) -> Version:
        """Have an alias mean again what it meant before. Raises ``LibraryError`` and ``DatabaseError``."""
        async with self._database.session() as session:
            row = await session.get(FlowAlias, alias)
            if row is None:
                raise LibraryError(f"nothing is {alias} yet; publish a flow first")
            before = await session.get(FlowVersion, (row.before_flow, row.before_version))
        if before is None:
            raise LibraryError(f"nothing was {alias} before {row.flow} version {row.version}")
        await self.point(alias, before.flow, before.version, by)
        return Version(
            before.flow, before.version, before.fingerprint, before.published_at, before.published_by, (alias,)
        )

    async def versions(self) -> Sequence[Version]:
        """Everything that was published, the newest first."""
        async with self._database.session() as session:
            rows = (await session.exec(select(FlowVersion).order_by(col(FlowVersion.published_at).desc()))).all()
            aliases = (await session.exec(select(FlowAlias))).all()
        return [
            Version(
                row.flow,
                row.version,
                row.fingerprint,
                row.published_at,
                row.published_by,
                tuple(one.alias for one in aliases if (one.flow, one.version) == (row.flow, row.version)),
            )
            for row in rows
        ]

    async def meant(self, alias: str) -> tuple[str, int] | None:
        """The flow and version that an alias means now."""
        async with self._database.session() as session:
            row = await session.get(FlowAlias, alias)
        return None if row is None else (row.flow, row.version)

    async def read(self, flow: str, version: int) -> Flow | None:
        """A published version. Raises ``FlowError`` if this Callfloor cannot read it any more."""
        async with self._database.session() as session:
            row = await session.get(FlowVersion, (flow, version))
        return None if row is None else _parse(row.files, row.main, f"{flow} version {version}", self._constants)

    async def with_fingerprint(self, fingerprint: str) -> Flow | None:
        """The version a caller is in, by its checkpoint's fingerprint."""
        query = select(FlowVersion).where(FlowVersion.fingerprint == fingerprint).limit(1)
        async with self._database.session() as session:
            row = (await session.exec(query)).first()
        if row is None:
            return None
        return _parse(row.files, row.main, f"{row.flow} version {row.version}", self._constants)


def _files(path: Path) -> dict[str, str]:
    """The texts of a flow and of all its sub-flows, by name."""
    found = {path.name: schema.read(path)}
    schema.parse(found[path.name], str(path), lambda name: found.setdefault(name, schema.read(path.with_name(name))))
    return found


def _parse(files: dict[str, str], main: str, shown: str, constants: Constants | None) -> Flow:
    return schema.parse(files[main], shown, lambda name: files[name], constants)
