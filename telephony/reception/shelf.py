"""The flows a running service has at hand: the live one, and those that callers are still in."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

from crm_bridge.database import DatabaseError
from ivr_flows.checks import House, check_flow
from ivr_flows.prompts import PromptError
from ivr_flows.schema import Flow, FlowError
from telephony.reception.library import LIVE, Library

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
KEPT = 16
"""Versions kept at hand."""

Prepare = Callable[[Flow], Awaitable[object]]
"""Have a sound for everything the flow can say; raises ``PromptError``."""


class Shelf:
    """``default``: what is live until something was published."""

    def __init__(self, library: Library, default: Flow, house: House, prepare: Prepare) -> None:
        self._library = library
        self._default = default
        self._house = house
        self._prepare = prepare
        self._meant: tuple[str, int] | None = None
        self._refused: tuple[str, int] | None = None
        self._kept: OrderedDict[str, Flow] = OrderedDict()
        self.live = default
        self._keep(default)

    @property
    def shown(self) -> str:
        """The live flow in words: its name and version."""
        return self.live.document.name if self._meant is None else f"{self._meant[0]} version {self._meant[1]}"

    async def look(self) -> None:
        """Change over if another version is meant now. Raises ``DatabaseError``.

        What cannot be run is not changed over to: what runs goes on, and the log says why.
        """
        meant = await self._library.meant(LIVE)
        if meant in (self._meant, self._refused):
            return
        if meant is None:
            self._meant, self.live = None, self._default
            return
        try:
            flow = await self._library.read(*meant)
            problems = check_flow(flow, self._house) if flow is not None else []
            if flow is None or problems:
                raise FlowError(tuple(problems)) if problems else FlowUnreadable("it is not there")
            await self._prepare(flow)
        except (FlowError, PromptError, FlowUnreadable) as wrong:
            self._refused = meant
            log.error("flow_not_live", flow=meant[0], version=meant[1], why=str(wrong))
            return
        self._meant, self._refused, self.live = meant, None, flow
        self._keep(flow)
        log.info("flow_live", flow=meant[0], version=meant[1])

    async def of(self, fingerprint: str) -> Flow | None:
        """The version with this fingerprint, with its sounds; none if it is not to be had."""
        if fingerprint in self._kept:
            return self._kept[fingerprint]
        try:
            flow = await self._library.with_fingerprint(fingerprint)
            if flow is None:
                return None
            await self._prepare(flow)
        except (FlowError, PromptError, DatabaseError) as wrong:
            log.warning("flow_version_not_had", fingerprint=fingerprint, why=str(wrong))
            return None
        self._keep(flow)
        return flow

    async def run(self) -> None:
        """Look for news until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except DatabaseError as failed:
                log.warning("flows_not_looked_at", why=str(failed))

    def _keep(self, flow: Flow) -> None:
        self._kept[flow.fingerprint] = flow
        self._kept.move_to_end(flow.fingerprint)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


class FlowUnreadable(Exception):
    """A version that an alias means is not there."""
