"""Work that goes on in the background."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from telephony.desk import chores
from telephony.desk.chores import going_on


async def test_work_that_must_go_on_does_whatever_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "PAUSE_SECONDS", 0.0)
    rounds = 0
    reached = asyncio.Event()

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise RuntimeError("one bad value")
        if rounds == 3:
            reached.set()
            await asyncio.Event().wait()

    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(going_on("played", work))
        await asyncio.wait_for(reached.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(one["event"], one["task"]) for one in logs] == [("task_failed", "played"), ("task_ended", "played")]
