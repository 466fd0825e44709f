"""A customer who called and was not served: the next agent reads it among the last contacts."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from crm_bridge.database import Database
from crm_bridge.ports import CallReport
from crm_bridge.samples import SAMPLES, load_samples
from telephony.app import make_adapter
from telephony.settings import Settings

NOW = 1_700_000_000.0
MISSED = CallReport(
    "pbx1-1.1", SAMPLES[0].id, "in", SAMPLES[0].phones[0][0], "service", "", "", NOW, None, NOW + 75.4, 0.0,
    "", "", "", ("hello", "route"), "certain",
)  # fmt: skip


@pytest.mark.parametrize(
    ("language", "over", "shown"),
    [
        ("de", {}, "verpasst nach 1:15"),
        ("en", {}, "missed after 1:15"),
        ("de", {"ended_at": NOW + 0.4}, "verpasst nach 0:00"),
        ("en", {"ended_at": NOW - 3.0}, "missed after 0:00"),
        # Who lost sight of the call does not know whether somebody picked up in the end.
        ("de", {"ended_at": None}, "ohne Verbindung zu Callfloor beendet"),
        ("en", {"ended_at": None}, "ended while Callfloor was not connected"),
        # Not ours to judge: somebody talked, and left no code.
        ("de", {"answered_at": NOW + 5, "agent": "eva"}, ""),
    ],
)
async def test_a_missed_call_is_no_blank_line(
    database: Database, language: str, over: dict[str, object], shown: str
) -> None:
    await load_samples(database, now=NOW - 86400)
    settings = Settings.model_validate({"office": {"language": language}})
    async with httpx.AsyncClient() as http:
        adapter = make_adapter(settings, database, http, lambda: NOW)
        await adapter.record_call(replace(MISSED, **over), "key")  # type: ignore[arg-type]
        card = await adapter.card(SAMPLES[0].id)
    assert card is not None
    newest = card.activities[0]
    assert (newest.kind, newest.text) == ("call", shown)
