"""The one face the bridge shows to telephony: who calls, what is on the card, and whether the CRM is up.

Nobody waits for a CRM longer than the budget: ``identify`` returns what is known by then, together with a handle to
the answer that may still come.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from crm_bridge.matching import Proof, match_number, match_proven, unavailable
from crm_bridge.numbers import PhoneNumber, parse_number
from crm_bridge.ports import Card, Certainty, CrmAdapter, CrmError, CustomerRef, Match

MAX_CUSTOMER_NUMBER = 32
CACHED_NUMBERS = 10_000

log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Identified:
    """Who calls, as far as it is known within the budget."""

    number: PhoneNumber
    match: Match
    late: asyncio.Task[Match] | None = None
    """When the CRM needed longer: a task that ends with its match (``crm_unavailable`` if it failed after all) and
    never raises. The bridge owns it; ``close`` cancels it."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the CRM answered when it was last asked. ``since``: Unix seconds of the last change."""

    up: bool
    since: float
    error: str = ""


class Bridge:
    """Look-ups in one CRM.

    ``region``: country of numbers without country code. ``budget``: seconds a look-up may keep its caller waiting.
    ``remember``: seconds for which a number's answer is used again. ``clock``: Unix seconds. ``on_health``: called at
    each change between up and down.
    """

    def __init__(
        self,
        adapter: CrmAdapter,
        *,
        region: str = "DE",
        budget: float = 0.3,
        remember: float = 15.0,
        clock: Callable[[], float] = time.time,
        on_health: Callable[[Health], None] = lambda _: None,
    ) -> None:
        self._adapter = adapter
        self._region = region
        self._budget = budget
        self._remember = remember
        self._clock = clock
        self._on_health = on_health
        self._health = Health(True, clock())
        self._known: OrderedDict[str, tuple[float, tuple[CustomerRef, ...]]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[tuple[CustomerRef, ...]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def health(self) -> Health:
        return self._health

    @property
    def source(self) -> str:
        """The adapter's name, as it stands in matches, cards and outbox rows."""
        return self._adapter.name

    def parse(self, raw: str, presentation: str = "") -> PhoneNumber:
        """The number alone, without asking anybody."""
        return parse_number(raw, region=self._region, presentation=presentation)

    async def identify(self, raw: str, presentation: str = "", number: PhoneNumber | None = None) -> Identified:
        """Who calls from this number. Never raises (but for cancellation), never longer than the budget.

        ``number``: what ``parse`` made of it, if the caller has asked before.
        """
        if number is None:
            number = self.parse(raw, presentation)
        if number.e164 is None:
            return Identified(number, match_number(number, (), source=self.source))
        known = self._recall(number.e164)
        if known is not None:
            return Identified(number, match_number(number, known, source=self.source))
        asking = self._asking.get(number.e164)
        if asking is None:
            asking = self._own(self._find(number.e164), f"crm look-up {number.masked}")
            self._asking[number.e164] = asking
        try:
            async with asyncio.timeout(self._budget):
                return Identified(number, await self._judge(number, asking))
        except TimeoutError:
            late = self._own(self._judge(number, asking), f"crm match {number.masked}")
        log.info("crm_lookup_late", number=number.masked, budget=self._budget)
        return Identified(number, unavailable(number, source=self.source), late)

    async def identify_by_customer_number(
        self, digits: str, *, by_number: Match | None = None, pin: bool = False, patience: float = 2.0
    ) -> Match:
        """Who has this customer number; certainty none when nobody has, or the CRM does not answer.

        ``by_number``: what the caller ID said, which the typed number outranks. ``pin``: a PIN was proven, too.
        ``patience``: seconds the caller can be kept waiting. Never raises (but for cancellation).
        """
        typed = re.sub(r"[\s.\-/]", "", digits)
        if not re.fullmatch(rf"[0-9A-Za-z]{{1,{MAX_CUSTOMER_NUMBER}}}", typed):
            return Match(Certainty.NONE, "customer_number_unknown", source=self.source)
        try:
            async with asyncio.timeout(patience):
                customer = await self._asked(self._adapter.find_by_customer_number(typed))
        except (CrmError, TimeoutError):
            return Match(Certainty.NONE, "crm_unavailable", source=self.source)
        except Exception:  # as above
            log.exception("crm_adapter_fault")
            return Match(Certainty.NONE, "crm_unavailable", source=self.source)
        if customer is None:
            return Match(Certainty.NONE, "customer_number_unknown", source=self.source)
        proof = Proof.CUSTOMER_NUMBER_AND_PIN if pin else Proof.CUSTOMER_NUMBER
        return match_proven(customer, proof, by_number=by_number, source=self.source)

    async def choose(self, customer_id: str, *, among: Match | None = None) -> Match | None:
        """The match after an agent chose a customer; none when there is no such customer.

        ``among``: the match that offered the choice; a customer in it is not asked for again. Raises ``CrmError``.
        """
        offered = among.customers if among is not None else ()
        customer = next((person for person in offered if person.id == customer_id), None)
        if customer is None:
            card = await self.card(customer_id)
            customer = card.customer if card is not None else None
        if customer is None:
            return None
        return match_proven(customer, Proof.CHOSEN_BY_AGENT, by_number=among, source=self.source)

    async def card(self, customer_id: str) -> Card | None:
        """A customer's card, fresh from the CRM; none when there is no such customer. Raises ``CrmError``."""
        return await self._asked(self._adapter.card(customer_id))

    async def check(self) -> None:
        """Ask whether the CRM can be reached; the health follows. Raises ``CrmError``."""
        await self._asked(self._adapter.check())

    def observe(self, failure: CrmError | None) -> None:
        """Take note that the CRM answered (None) or did not; the outbox's deliveries count, too."""
        up, error = failure is None, "" if failure is None else str(failure)
        changed = up != self._health.up
        if changed or error != self._health.error:
            self._health = Health(up, self._clock() if changed else self._health.since, error)
        if changed:
            log.warning("crm_down", error=error) if not up else log.info("crm_up")
            self._on_health(self._health)

    async def close(self) -> None:
        """Cancel what is still being asked."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _asked(self, question: Coroutine[Any, Any, _Answer]) -> _Answer:
        try:
            answer = await question
        except CrmError as failure:
            self.observe(failure)
            raise
        self.observe(None)
        return answer

    async def _find(self, e164: str) -> tuple[CustomerRef, ...]:
        try:
            found = await self._asked(self._adapter.find_by_number(e164))
        finally:
            self._asking.pop(e164, None)
        self._known[e164] = (self._clock() + self._remember, found)
        self._known.move_to_end(e164)
        if len(self._known) > CACHED_NUMBERS:
            self._known.popitem(last=False)
        return found

    async def _judge(self, number: PhoneNumber, asking: asyncio.Task[tuple[CustomerRef, ...]]) -> Match:
        try:
            # Shielded: several callers of one number share one question.
            found = await asyncio.shield(asking)
        except CrmError:
            return unavailable(number, source=self.source)
        except Exception:  # a fault in an adapter must not cost the call
            log.exception("crm_adapter_fault", number=number.masked)
            return unavailable(number, source=self.source)
        return match_number(number, found, source=self.source)

    def _recall(self, e164: str) -> tuple[CustomerRef, ...] | None:
        until, found = self._known.get(e164, (0.0, ()))
        return found if self._clock() < until else None

    def _own(self, work: Coroutine[Any, Any, _Answer], name: str) -> asyncio.Task[_Answer]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
