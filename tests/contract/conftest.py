"""Every adapter, filled with the same customers, behind one fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from contract.subjects import NOW, SECRET, URL, Subject, sample_crm
from contract.webhook_crm import WebhookCrm
from sqlalchemy import func, select

from crm_bridge.adapters.embedded import EmbeddedAdapter
from crm_bridge.adapters.webhook import WebhookAdapter
from crm_bridge.database import Database
from crm_bridge.samples import load_samples
from crm_bridge.tables import Activity
from telephony.migrations import upgrade


@pytest.fixture
def webhook_crm() -> WebhookCrm:
    return sample_crm()


@pytest.fixture
def wire(webhook_crm: WebhookCrm) -> Any:
    """The webhook's URL, answered by its CRM."""

    def answer(request: httpx.Request) -> httpx.Response:
        said = webhook_crm.answer(request.url.path, dict(request.headers), request.content, NOW)
        return httpx.Response(said.status, content=said.body, headers=said.headers)

    with respx.mock(assert_all_called=False) as router:
        router.post(url__startswith=URL, name="crm").mock(side_effect=answer)
        yield router


@pytest.fixture
async def webhook(wire: respx.MockRouter) -> AsyncIterator[WebhookAdapter]:
    async with httpx.AsyncClient() as client:
        yield WebhookAdapter(client, url=URL, secret=SECRET, timeout=0.5, clock=lambda: NOW)


async def _embedded(url: str) -> AsyncIterator[Subject]:
    database = Database(url)
    await upgrade(database)
    await load_samples(database, now=NOW)

    async def written() -> int:
        async with database.session() as session:
            query = select(func.count()).select_from(Activity).where(Activity.kind == "call")  # type: ignore[arg-type]
            return int(await session.scalar(query) or 0)

    async def take_away() -> None:
        # A database of the same kind whose server or file is not usable any more.
        await database.close()
        lost = Database("postgresql://nobody@127.0.0.1:1/gone")
        adapter._database = lost

    adapter = EmbeddedAdapter(database, now=lambda: NOW)
    yield Subject(adapter, written, take_away)
    await database.close()
    await adapter._database.close()


@pytest.fixture(params=["embedded-sqlite", pytest.param("embedded-postgres", marks=pytest.mark.postgres), "webhook"])
def embedded_url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """The database of the embedded adapter; none when it is the webhook's turn."""
    if request.param == "webhook":
        return None
    if request.param == "embedded-sqlite":
        return f"sqlite:///{tmp_path}/contract.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def subject(
    embedded_url: str | None, webhook: WebhookAdapter, wire: respx.MockRouter, webhook_crm: WebhookCrm
) -> AsyncIterator[Subject]:
    if embedded_url is not None:
        async for one in _embedded(embedded_url):
            yield one
        return

    async def written() -> int:
        return len(webhook_crm.calls)

    async def take_away() -> None:
        wire["crm"].mock(side_effect=httpx.ConnectError("refused"))

    yield Subject(webhook, written, take_away)
