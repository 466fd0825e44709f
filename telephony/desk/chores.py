"""Chores: work begun in the read loop and not waited for. One owner, named tasks, one way to end.

And ``going_on``, for the work that never ends: the service must not end for one value that nobody foresaw.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


PAUSE_SECONDS = 1.0
"""Between a fault that nobody foresaw and the next try: it may be there again at once."""


async def going_on(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do work that is not meant to end, and begin it again when a fault has ended it all the same."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("task_failed", task=name)
        else:
            log.error("task_ended", task=name)
        await asyncio.sleep(PAUSE_SECONDS)


class Chores:
    """The tasks under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def close(self) -> None:
        """Stop what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failed := task.exception()) is not None:
            log.error("task_failed", task=task.get_name(), exc_info=failed)
