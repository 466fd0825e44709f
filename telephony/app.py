"""The composition root: makes every part from the settings, starts them in order, and ends them in reverse.

Nothing else in the house knows all the parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import structlog
from asterisk.ami import SimpleAction
from prometheus_client import CollectorRegistry, ProcessCollector

from crm_bridge import outbox as crm_outbox
from crm_bridge import sealing
from crm_bridge.adapters.embedded import EmbeddedAdapter
from crm_bridge.adapters.webhook import WebhookAdapter
from crm_bridge.bridge import Bridge, Health
from crm_bridge.database import Database, DatabaseError
from crm_bridge.outbox import OutboxWorker, RetryPolicy
from crm_bridge.pins import Lock, Pins
from crm_bridge.ports import CrmAdapter
from crm_bridge.requests import Requests
from ivr_flows import FRONT_DESK, schema
from ivr_flows.checks import check_flow
from ivr_flows.prompts import Espeak, PromptLibrary, Render
from ivr_flows.schema import Flow, FlowError
from telephony import migrations
from telephony.agi.server import AgiServer
from telephony.ami.client import AmiClient
from telephony.ami.errors import AmiError, Misconfigured
from telephony.ami.probe import linked
from telephony.conversations.aftermath import Aftermath, aftermath
from telephony.conversations.events import Happening, TalkEnded
from telephony.conversations.journal import Journal
from telephony.conversations.watch import Watch
from telephony.desk.chores import going_on
from telephony.desk.lobby import Lobby
from telephony.desk.office import LiveOffice
from telephony.desk.pops import Pops
from telephony.desk.reception_api import ReceptionApi, Stores
from telephony.desk.records import Records
from telephony.desk.server import DeskServer
from telephony.desk.sockets import text_frame
from telephony.desk.stream import PACED_KINDS, Board
from telephony.floor.accounts import Accounts
from telephony.floor.keeper import Keeper
from telephony.floor.model import QueueRules
from telephony.floor.policy import Floor
from telephony.metrics import Figure, Figures
from telephony.pbx.credentials import load_or_make
from telephony.pbx.image import Image
from telephony.pbx.provision import image_folder, provision
from telephony.reception.answers import FrontOffice
from telephony.reception.callbacks import CallBacks
from telephony.reception.caller_out import CallerOut
from telephony.reception.colleagues import Colleagues
from telephony.reception.counts import FlowCounts
from telephony.reception.house import hours_of, house_of
from telephony.reception.library import Library
from telephony.reception.messages import Messages
from telephony.reception.places import Places
from telephony.reception.reception import Caught, Reception
from telephony.reception.shelf import Shelf
from telephony.reception.switches import Switches
from telephony.reception.waits import Waits
from telephony.reception.web_calls import WebCalls
from telephony.settings import Settings, WebhookCrm

log = structlog.get_logger(__name__)

LAMP_SECONDS = 1.0
SWITCH_SECONDS = 0.0005
"""How long a look-up or a batch of records may keep the interpreter from the loop; a tenth of Python's default."""
CRM_CHECK_SECONDS = 10.0
ACTION_SECONDS = 5.0
LOG_IN_SECONDS = 3.0
"""How long a start waits for Asterisk's word on our log-in."""


def ami_secret(settings: Settings) -> str:
    """The password for AMI: the settings' own, or the one the packaged Asterisk was given."""
    if settings.ami.secret is not None:
        return settings.ami.secret.get_secret_value()
    return load_or_make(settings).ami


def agi_secret(settings: Settings) -> str:
    """What the dialplan says to our FastAGI server; empty when nothing is asked of an Asterisk of one's own."""
    if settings.agi.secret is not None:
        return settings.agi.secret.get_secret_value()
    return load_or_make(settings).agi if settings.pbx.managed else ""


def queue_rules(settings: Settings) -> list[QueueRules]:
    """After-call work as the settings want it."""
    return [
        QueueRules(
            queue.name,
            queue.wrap_up,
            queue.wrap_up_seconds,
            queue.wrap_up_expiry,
            queue.wrap_up_expiry_code,
            frozenset(code.code for code in queue.wrap_up_codes),
        )
        for queue in settings.queues
    ]


def load_flow(settings: Settings) -> Flow:
    """The flow to run, proven. Raises ``FlowError`` with every fault's file, line and column."""
    flow = schema.load(settings.flows.file or FRONT_DESK, settings.flows.constants)
    problems = check_flow(flow, house_of(settings))
    if problems:
        raise FlowError(tuple(problems))
    return flow


def synthesiser(settings: Settings) -> Espeak:
    """espeak-ng out of the packaged image if there is one, else the installed one."""
    image = packaged_image(settings)
    if image is None:
        return Espeak()
    return Espeak(command=tuple(image.command("espeak-ng")), environment=dict(image.env))


def prompt_library(settings: Settings, render: Render) -> PromptLibrary:
    """Where the flow's phrases are, and ``render`` for those that are missing."""
    rendered = settings.flows.rendered or settings.storage.folder / "prompts"
    return PromptLibrary(rendered, render, Espeak().voice, settings.flows.prompts)


def voice_is_here(settings: Settings) -> bool:
    """Whether ``synthesiser`` would have to fetch nothing."""
    return not settings.pbx.managed or settings.pbx.asterisk is not None or image_folder(settings.pbx).is_dir()


def packaged_image(settings: Settings) -> Image | None:
    """The packaged Asterisk's files, brought here if the settings ask for them."""
    if not settings.pbx.managed or settings.pbx.asterisk is not None:
        return None
    quiet: Callable[[str], None] = lambda line: log.info("provisioning", step=line)  # noqa: E731
    return provision(settings.pbx, quiet if not image_folder(settings.pbx).exists() else lambda _: None)


def make_adapter(
    settings: Settings, database: Database, http: httpx.AsyncClient, clock: Callable[[], float]
) -> CrmAdapter:
    """The CRM that the settings name."""
    crm = settings.crm.adapter
    if isinstance(crm, WebhookCrm):
        return _webhook(crm, http, clock)
    return EmbeddedAdapter(database, language=settings.office.language)


def _webhook(crm: WebhookCrm, http: httpx.AsyncClient, clock: Callable[[], float]) -> WebhookAdapter:
    return WebhookAdapter(http, url=crm.url, secret=crm.secret.get_secret_value(), timeout=crm.timeout, clock=clock)


@contextlib.asynccontextmanager
async def crm_adapter(settings: Settings) -> AsyncIterator[CrmAdapter]:
    """The CRM alone, for those who only want to ask it something. Raises ``DatabaseError``; makes no database."""
    crm = settings.crm.adapter
    if isinstance(crm, WebhookCrm):
        async with httpx.AsyncClient(follow_redirects=False) as http:
            yield _webhook(crm, http, time.time)
        return
    database = Database(settings.storage.url, create=False)
    try:
        yield EmbeddedAdapter(database, language=settings.office.language)
    finally:
        await database.close()


def calm_garbage_collector() -> None:
    """Let the collector leave alone what lives as long as we do, and come by less often.

    Its default is a round for every 700 new objects: at 200 calls/s that is many times a second, in front of pops.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(SWITCH_SECONDS)


def raise_file_limit() -> None:
    """Let this process have as many files and connections as the system allows it: the usual limit is a low one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Not every system takes its own "no limit" for an answer.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class App:
    """The service. ``async with App.started(settings)`` runs it; ``wait`` returns when a part of it has failed."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.clock = clock
        self._look_at_lamps = asyncio.Event()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.database = Database(settings.storage.url)
        self.accounts = Accounts(self.database, session_seconds=settings.http.session_hours * 3600.0, clock=clock)
        self.board = Board(frame=text_frame, paced=PACED_KINDS)
        self.floor = Floor(queue_rules(settings))
        self.lobby = Lobby(self.board, settings)
        self.http = httpx.AsyncClient(follow_redirects=False)
        self.adapter = make_adapter(settings, self.database, self.http, clock)
        self.bridge = Bridge(
            self.adapter,
            region=settings.office.region,
            budget=settings.crm.budget_ms / 1000,
            clock=clock,
            on_health=self._crm_health,
        )
        self.worker = OutboxWorker(
            self.database,
            self.adapter,
            RetryPolicy(settings.crm.retry_first, settings.crm.retry_cap, settings.crm.attempts),
            clock=clock,
            observe=self.bridge.observe,
        )
        journal, folder = settings.journal, settings.storage.folder / "journal"
        self.journal = Journal(folder, journal.file_bytes, journal.files) if journal.enabled else None
        self.records = Records(self.database, settings, self.adapter.name, self._login_at, self.journal)
        phones = [f"PJSIP/{phone.name}" for phone in settings.phones]
        self.keeper = Keeper(self.floor, self._act, phones)
        self.office = LiveOffice(
            settings=settings,
            floor=self.floor,
            pops=Pops(self.board),
            lobby=self.lobby,
            keeper=self.keeper,
            bridge=self.bridge,
            records=self.records,
            accounts=self.accounts,
            clock=clock,
            why_down=lambda: self.ami.state.reason,
            recorded=lambda: self.watch.recorded,
            aftermath=partial(aftermath, folder) if journal.enabled else Aftermath,
        )
        self.watch = Watch(
            journal=self.journal,
            listener=self._happened,
            on_link=self.office.link,
            clock=clock,
            interval=settings.ami.resync_interval,
        )
        self.ami = AmiClient(
            settings.ami,
            ami_secret(settings),
            on_batch=self.watch.on_batch,
            on_link=self.watch.on_state,
            clock=clock,
        )
        self.flow = load_flow(settings)
        self.prompts = prompt_library(settings, synthesiser(settings))
        self._receive(settings)
        self.desk = DeskServer(
            settings,
            self.accounts,
            self.office,
            self.board,
            self.registry,
            clock=clock,
            more=ReceptionApi(settings, self._stores, self._look_at_lamps.set).routes(),
        )
        self.agi = AgiServer(settings.agi, self.reception.welcome, secret=agi_secret(settings))
        self._tasks: list[asyncio.Task[None]] = []
        self._figures()

    def _receive(self, settings: Settings) -> None:
        """Make the parts of the reception."""
        database, clock, zone = self.database, self.clock, ZoneInfo(settings.office.time_zone)
        flows = settings.flows
        sealer = sealing.load_or_make(settings.storage.folder)
        self.pins = Pins(database, Lock(flows.pin_tries, flows.pin_lock_minutes * 60.0), clock=clock)
        self.requests = Requests(database, sealer, clock)
        self.callbacks = CallBacks(database, settings.callbacks, clock)
        self.messages = Messages(database, settings.storage.folder / "messages", clock)
        self.switches = Switches(database, clock)
        self.library = Library(database, clock, flows.constants)
        self.shelf = Shelf(self.library, self.flow, house_of(settings), self.prompts.prepare)
        self.flow_counts = FlowCounts(database, zone, clock)
        self.waits = Waits()
        colleagues = Colleagues(settings, self.floor, self.lobby.users, self.records.last_agent)
        secret = flows.http_secret.get_secret_value().encode() if flows.http_secret is not None else b""
        front = FrontOffice(
            bridge=self.bridge,
            pins=self.pins,
            requests=self.requests,
            callbacks=self.callbacks,
            messages=self.messages,
            switches=self.switches,
            web=WebCalls(self.http, flows.http_allow, secret, clock),
            waits=self.waits,
            hours=hours_of(settings),
            levels=flows.levels,
            queues=self.lobby.queues,
            people=colleagues,
            proofs=self.office,
            zone=zone,
            clock=clock,
            can_call=settings.pbx.trunk_out is not None,
        )
        self._stores = Stores(
            requests=self.requests,
            messages=self.messages,
            callbacks=self.callbacks,
            switches=self.switches,
            library=self.library,
            shelf=self.shelf,
            counts=self.flow_counts,
            pins=self.pins,
            source=self.bridge.source,
        )
        self.reception = Reception(
            shelf=self.shelf,
            sound=self.prompts.sound,
            office=front,
            counts=self.flow_counts,
            places=Places(database, flows.return_seconds, clock),
            bridge=self.bridge,
            seat=colleagues.seat,
            walked=lambda *how_far: self.office.walked(*how_far),
        )
        self.caller_out = CallerOut(
            settings,
            self.callbacks,
            self.lobby.queues,
            self._act,
            clock,
            in_sync=lambda: self.office.readiness().ready,
            agent_at=self._login_at,
            alive=lambda conversation: conversation in self.watch.tracker.conversations,
            changed=self._look_at_lamps.set,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, settings: Settings) -> AsyncIterator[App]:
        """The running service; everything has ended when the block has.

        Raises the error of the part that cannot start (settings, database, flow, prompts, ports); see ``cli.ERRORS``.
        """
        raise_file_limit()
        app = cls(settings)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(app.accounts.close)
            stack.push_async_callback(app.database.close)
            stack.push_async_callback(app.http.aclose)
            stack.push_async_callback(app.bridge.close)
            await migrations.upgrade(app.database)
            stack.callback(app.pins.close)
            # Before the prompts: rendering takes a while, and what people must mend is said at once.
            await app._not_turned_away()
            await app.prompts.prepare(app.flow)
            await app.shelf.look()
            await app.office.begin()
            stack.push_async_callback(app._end)
            stack.push_async_callback(app.reception.close)
            await app.agi.start()
            stack.push_async_callback(app.agi.stop, 1.0)
            await app.desk.start()
            stack.push_async_callback(app.desk.stop)
            app._begin()
            calm_garbage_collector()
            yield app

    async def wait(self) -> None:
        """Return never, unless a part fails for good: then raise its error."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _not_turned_away(self) -> None:
        """Raises ``Misconfigured`` when Asterisk does not let us in. One that is down is no reason not to start."""
        try:
            async with linked(self.settings.ami, ami_secret(self.settings), LOG_IN_SECONDS):
                pass
        except Misconfigured:
            raise
        except (AmiError, TimeoutError) as down:
            log.info("ami_not_there_yet", why=str(down))

    def _begin(self) -> None:
        for name, work in (
            ("records", self.records.run),
            ("membership", self.keeper.run),
            ("watch", partial(self.watch.run, self.ami)),
            ("journal", self.watch.flush_journal),
            ("outbox", self.worker.run),
            ("lamps", self._lamps),
            ("crm check", self._check_crm),
            ("flows", self.shelf.run),
            ("flow counts", self.flow_counts.run),
            ("call-backs", self.caller_out.run),
        ):
            self._start(name, going_on(name, work))
        # The one part whose failure is for people to mend (``Misconfigured``), and ends the service at its start.
        self._start("ami", self.ami.run(fail_fast=True))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.office.close()
        if self.journal is not None:
            with contextlib.suppress(OSError):  # the disk is full; that was said when it happened
                self.journal.close()

    def _happened(self, happenings: list[Happening]) -> None:
        """What one read brought changes each desk once."""
        self.reception.happened(happenings, self._who_was_cut_off)
        with self.board.gathered():
            self.office.happened(happenings)
        self.caller_out.happened(happenings)
        for happening in happenings:
            if isinstance(happening, TalkEnded) and happening.queue:
                self.waits.took(happening.queue, happening.talked)

    def _who_was_cut_off(self, conversation: str) -> Caught | None:
        case = self.office.cases.get(conversation)
        if case is None:
            return None
        history = case.history
        talk = history.talks[-1] if history.talks else None
        agent = self._login_at(talk.interface) if talk is not None else ""
        return Caught(history.number, history.presentation, talk.queue if talk is not None else "", agent)

    def _login_at(self, interface: str) -> str:
        agent = self.floor.agent_at(interface)
        return agent.login if agent is not None else ""

    async def _act(self, action: SimpleAction) -> object:
        return await self.ami.send(action, timeout=ACTION_SECONDS)

    def _crm_health(self, health: Health) -> None:
        self.lobby.crm(health.up)

    async def _lamps(self) -> None:
        """Keep the lamps true: what the CRM is owed, what waits for people, whether the office is closed."""
        while True:
            self._look_at_lamps.clear()
            try:
                counts = await crm_outbox.counts(self.database, self.adapter.name)
                self.lobby.outbox(counts.waiting, counts.dead)
                self.lobby.waits_for_people(
                    requests=await self.requests.count(),
                    callbacks=len(await self.callbacks.open()),
                    closed=await self.switches.closure(),
                )
                self.lobby.messages(await self.messages.unheard())
            except DatabaseError as failed:
                log.warning("lamps_not_counted", why=str(failed))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAMP_SECONDS):
                    await self._look_at_lamps.wait()

    async def _check_crm(self) -> None:
        """A CRM that was down is found to be up again even when nobody calls."""
        while True:
            if not self.bridge.health.up:
                with contextlib.suppress(Exception):
                    await self.bridge.check()
            await asyncio.sleep(CRM_CHECK_SECONDS)

    def _figures(self) -> None:
        stats, watch, office = self.ami.stats, self.watch, self.office
        count = partial(Figure, counter=True)
        Figures(
            self.registry,
            Figure(
                "ami_up", "1 when both connections to Asterisk are logged in", lambda: self.ami.state.status == "up"
            ),
            Figure("ami_lag_seconds", "From an event's time-stamp to its arrival", lambda: stats.lag or 0.0),
            Figure("ami_ping_seconds", "Round trip of the last ping", lambda: stats.ping_rtt or 0.0),
            count("ami_messages", "AMI messages read", lambda: stats.messages),
            count("ami_malformed", "AMI frames skipped", lambda: stats.malformed, "kind"),
            count("ami_reconnects", "Connections to Asterisk that were lost", lambda: stats.reconnects),
            count("resyncs", "Comparisons with Asterisk's own lists", lambda: watch.resyncs),
            count("resync_corrections", "Beliefs a resync found wrong", lambda: watch.corrections),
            count("membership_corrections", "Queue members found unlike our truth", lambda: self.keeper.corrections),
            count("journal_bytes", "Bytes written to the journal", lambda: self.journal.written if self.journal else 0),
            count("journal_errors", "Writes the journal could not make", lambda: watch.journal_errors),
            count("happenings", "Domain events", lambda: office.counts, "kind"),
            count("anomalies", "Things that should not happen", lambda: office.anomalies, "kind"),
            Figure("conversations", "Live conversations", lambda: len(watch.tracker.conversations)),
            Figure("waiting", "Callers waiting", self._waiting, "queue"),
            Figure("records_backlog", "Conversations not yet on disk", lambda: self.records.backlog),
            count("record_failures", "Batches of records that failed", lambda: self.records.failures),
            count("flows", "IVR flows by how they ended", lambda: self.reception.counts, "ended"),
            Figure("crm_up", "1 when the CRM answered last time", lambda: self.bridge.health.up),
        )

    def _waiting(self) -> dict[str, float]:
        return {queue.name: self.lobby.waiting(queue.name) for queue in self.settings.queues}
