"""The doctor looks at everything Callfloor needs, part by part, and says how to mend what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

import httpx
from asterisk.ami import SimpleAction

from crm_bridge.database import Database, DatabaseError
from crm_bridge.ports import CrmError
from ivr_flows.prompts import PromptError, RenderError
from ivr_flows.schema import Flow, FlowError
from telephony import migrations
from telephony.ami.client import AmiClient
from telephony.ami.codec import Event
from telephony.ami.errors import AmiError, NotReady, Rejected
from telephony.ami.probe import linked
from telephony.ami.session import release_problem
from telephony.app import crm_adapter, load_flow, prompt_library, synthesiser, voice_is_here
from telephony.desk.connections import is_loopback
from telephony.pbx.credentials import kept_agi_secret, kept_ami_secret
from telephony.pbx.errors import PbxError
from telephony.settings import Settings

CONNECT_SECONDS = 8.0
ASK_SECONDS = 3.0
CLOCK_SECONDS = 2.0
"""More than this between our clock and Asterisk's makes waiting times and pop latencies lie."""

CONTEXTS = (
    "callfloor-in",
    "callfloor-ivr",
    "callfloor-route",
    "callfloor-transfer",
    "callfloor-callback",
    "callfloor-fallback",
    "callfloor-phones",
)

REFUSED = (SimpleAction("Command", Command="core show version"), SimpleAction("ModuleCheck", Module="app_queue"))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``text``: what is; ``mend``: what to do when it is not right."""

    what: str
    ok: bool
    text: str
    mend: str = ""

    def __str__(self) -> str:
        mark = "ok  " if self.ok else "BAD "
        return f"{mark} {self.what}: {self.text}" + (f"; {self.mend}" if self.mend and not self.ok else "")


async def examine(settings: Settings) -> list[Finding]:
    """Everything, in the order in which things depend on each other. Changes nothing."""
    found = [*await _flow(settings), await _database(settings), await _crm(settings), _agi(settings)]
    found += await _service(settings)
    found += await _asterisk(settings)
    return found


async def _flow(settings: Settings) -> list[Finding]:
    try:
        flow = load_flow(settings)
    except FlowError as wrong:
        return [Finding("flow", False, str(wrong).splitlines()[0], "callfloor flow check names every fault")]
    return [Finding("flow", True, f"{flow.document.name} is sound"), await _prompts(settings, flow)]


async def _prompts(settings: Settings, flow: Flow) -> Finding:
    """Whether everything the flow says can be had: recorded, rendered earlier, or by a voice that works now."""
    wanting: list[tuple[str, str]] = []

    async def look(text: str, language: str) -> bytes:
        # The library asks for what it has not got. It gets nothing, so that it writes nothing.
        wanting.append((text, language))
        raise RenderError("not now")

    try:
        await prompt_library(settings, look).prepare(flow)
        return Finding("prompts", True, "every phrase is recorded or rendered")
    except PromptError as wrong:
        if not wanting:
            return Finding("prompts", False, str(wrong))
    missing = f"{len(wanting)} phrases are neither recorded nor rendered yet"
    if not voice_is_here(settings):
        return Finding("prompts", True, f"{missing}; the packaged Asterisk, fetched at the start, brings a voice")
    try:
        espeak = synthesiser(settings)
        for language, text in {language: text for text, language in wanting}.items():
            await espeak(text, language)
    except (RenderError, PbxError) as failed:
        mend = "install espeak-ng, or record them all in the folder flows.prompts"
        return Finding("prompts", False, f"{missing}, and {failed}", mend)
    return Finding("prompts", True, f"{missing}; espeak-ng will render them")


async def _database(settings: Settings) -> Finding:
    try:
        database = Database(settings.storage.url, create=False)
    except DatabaseError as wrong:
        return Finding("database", False, str(wrong))
    try:
        await database.check()
        await migrations.require_current(database)
    except DatabaseError as wrong:
        return Finding("database", False, str(wrong))
    finally:
        await database.close()
    return Finding("database", True, f"{database.shown_url} has this version's tables")


async def _crm(settings: Settings) -> Finding:
    try:
        async with crm_adapter(settings) as adapter:
            try:
                await adapter.check()
            except CrmError as wrong:
                mend = "check crm.adapter in the settings, and the CRM"
                return Finding("crm", False, f"{adapter.name}: {wrong}", mend)
            return Finding("crm", True, f"{adapter.name} answers and lets us in")
    except DatabaseError as wrong:
        return Finding("crm", False, str(wrong))


def _agi(settings: Settings) -> Finding:
    agi = settings.agi
    where = f"{agi.host}:{agi.port}"
    if settings.pbx.managed or settings.agi.secret is not None:
        return Finding("agi", True, f"{where} listens to nobody who does not know its secret")
    said = f"{where} has no secret: who may connect (agi.allow) can say of any caller who is calling"
    mend = "set agi.secret, render the configuration again (callfloor pbx render) and reload Asterisk"
    return Finding("agi", agi.host == "localhost" or is_loopback(agi.host), said, mend)


async def _service(settings: Settings) -> list[Finding]:
    """Whether our service runs and is ready; while it does not, whether it could: its ports are free."""
    http, agi = settings.http, settings.agi
    where = f"{_reachable(http.host)}:{http.port}"
    try:
        async with httpx.AsyncClient(timeout=ASK_SECONDS, trust_env=False) as client:
            answer = await client.get(f"http://{where}/readyz")
    except httpx.ConnectError:
        down = Finding("service", False, f"does not run: nobody listens on {where}", "start it: callfloor serve")
        return [
            await _free("http port", http.host, http.port, "set http.host and http.port"),
            await _free("agi port", agi.host, agi.port, "set agi.host and agi.port"),
            down,
        ]
    except httpx.HTTPError:
        answer = None
    if answer is None or answer.headers.get("Server") != "Callfloor":
        taken = f"{where} is held by something that is not Callfloor"
        mend = "end what listens there, or set http.host and http.port"
        return [Finding("http port", False, taken, mend), Finding("service", False, "cannot listen", mend)]
    found = [Finding("http port", True, f"our service listens on {where}")]
    if await _listens(agi.host, agi.port):
        found.append(Finding("agi port", True, f"our service listens on {agi.host}:{agi.port}"))
    else:
        mend = "restart callfloor serve: it may have begun with other settings"
        found.append(Finding("agi port", False, f"nobody listens on {agi.host}:{agi.port}", mend))
    if answer.status_code == 200:
        return [*found, Finding("service", True, "runs and is ready")]
    with contextlib.suppress(ValueError, KeyError, TypeError):
        reasons = "; ".join(map(str, answer.json()["reasons"]))
        return [
            *found,
            Finding("service", False, f"runs and is not ready: {reasons}", "mend that; it needs no restart"),
        ]
    return [*found, Finding("service", False, f"runs and answers {answer.status_code}", "look at its log")]


def _reachable(host: str) -> str:
    """Where to find on this machine what listens on ``host``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


async def _free(what: str, host: str, port: int, otherwise: str) -> Finding:
    """Whether the service could listen there."""
    try:
        server = await asyncio.start_server(lambda *_: None, host, port, reuse_address=True, start_serving=False)
    except OSError as failed:
        text = f"cannot listen on {host}:{port} ({failed.strerror or failed})"
        return Finding(what, False, text, f"end what listens there, or {otherwise}")
    server.close()
    await server.wait_closed()
    return Finding(what, True, f"{host}:{port} is free")


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            _, writer = await asyncio.open_connection(_reachable(host).strip("[]"), port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


async def _asterisk(settings: Settings) -> list[Finding]:
    where = f"{settings.ami.host}:{settings.ami.port}"
    try:
        secret = kept_ami_secret(settings)
        if not secret:
            text = f"Callfloor's own has not been started yet: {settings.pbx.folder} has no password for it"
            return [Finding("asterisk", False, text, "start it: callfloor pbx run")]
        async with linked(settings.ami, secret, CONNECT_SECONDS) as client:
            return [
                await _release(client, where),
                await _clock(client),
                await _queues(client, settings),
                *await _phones(client, settings),
                *await _dialplan(client, _agi_word(settings)),
                *await _rights(client),
            ]
    except NotReady as down:
        mend = "start it (callfloor pbx run), or correct ami.host and ami.port"
        return [Finding("asterisk", False, str(down), mend)]
    except TimeoutError:
        return [Finding("asterisk", False, f"no log-in at {where} within {CONNECT_SECONDS:g} s", "look at its log")]
    except (AmiError, PbxError) as wrong:
        return [Finding("asterisk", False, str(wrong))]


async def _release(client: AmiClient, where: str) -> Finding:
    # Asked here: the client learns it after it is ready, and may not know it yet.
    reply = await client.send(SimpleAction("CoreSettings"))
    release = reply.response.get("AsteriskVersion")
    if not release:
        return Finding("asterisk", False, f"does not tell its version at {where}", "upgrade Asterisk to 22")
    problem = release_problem(release)
    return Finding("asterisk", problem is None, problem or f"{release} at {where}")


async def _clock(client: AmiClient) -> Finding:
    reply = await client.send(SimpleAction("Ping"))
    text = reply.response.get("Timestamp")
    try:
        apart = abs(time.time() - float(text))
    except ValueError:
        return Finding("clock", False, "Asterisk tells no time", "use Asterisk 20.20.1, 22.10.1 or later")
    mend = "run a time service (chrony, systemd-timesyncd) on both machines"
    return Finding("clock", apart < CLOCK_SECONDS, f"{apart:.3f} s between Asterisk's clock and ours", mend)


async def _queues(client: AmiClient, settings: Settings) -> Finding:
    reply = await client.send(SimpleAction("QueueStatus"))
    have = {item.get("Queue") for item in reply.items if item.name == "QueueParams"}
    missing = sorted({queue.name for queue in settings.queues} - have)
    mend = "render the configuration again (callfloor pbx render) and reload Asterisk"
    if missing:
        return Finding("queues", False, f"Asterisk has no queue {', '.join(missing)}", mend)
    return Finding("queues", True, f"Asterisk has all {len(settings.queues)}")


async def _phones(client: AmiClient, settings: Settings) -> list[Finding]:
    """Whether the phones can be rung. Those in pages come and go with the pages: nothing is said of them."""
    phones = [phone for phone in settings.phones if not phone.webrtc]
    if not phones:
        if settings.phones or not settings.pbx.managed:
            return []
        return [Finding("phones", False, "the settings have none", "add [[phones]] with a name to them")]
    found, absent = [], []
    for phone in phones:
        try:
            reply = await client.send(SimpleAction("Getvar", Variable=f"DEVICE_STATE(PJSIP/{phone.name})"))
        except Rejected as refused:
            mend = "load func_devstate.so, and give the AMI user write = call,agent,originate,reporting"
            return [Finding("phones", False, f"Asterisk does not tell their state ({refused.message})", mend)]
        state = reply.response.get("Value")
        if state == "INVALID":
            mend = "render the configuration again (callfloor pbx render) and reload Asterisk"
            found.append(Finding("phones", False, f"Asterisk has no endpoint {phone.name}", mend))
        elif state == "UNAVAILABLE":
            absent.append(phone.name)
    if absent:
        pbx = settings.pbx
        server = f"{pbx.external_address or pbx.bind}:{pbx.sip_port}" if pbx.managed else "your Asterisk"
        secret = f"the password in {pbx.folder / 'secrets.json'}, or the one you set as its secret"
        mend = f"register at {server} with the phone's name as user and {secret if pbx.managed else 'its password'}"
        found.append(Finding("phones", False, f"not registered: {', '.join(absent)}", mend))
    return found or [Finding("phones", True, f"Asterisk can ring {', '.join(phone.name for phone in phones)}")]


def _agi_word(settings: Settings) -> str:
    """What the dialplan has to say to our FastAGI server."""
    if settings.pbx.managed:
        return kept_agi_secret(settings)
    return settings.agi.secret.get_secret_value() if settings.agi.secret is not None else ""


async def _dialplan(client: AmiClient, secret: str) -> list[Finding]:
    found: list[Finding] = []
    steps: list[Event] = []
    mend = "render the configuration again (callfloor pbx render) and reload Asterisk"
    for context in CONTEXTS:
        try:
            steps += (await client.send(SimpleAction("ShowDialPlan", Context=context))).items
        except Rejected as refused:
            found.append(Finding("dialplan", False, f"{context}: {refused.message}", mend))
    calls = [step.get("AppData").partition(",")[0] for step in steps if step.get("Application") == "AGI"]
    if calls and secret and not all(call.endswith(f"/ivr/{secret}") for call in calls):
        text = "does not say our agi.secret, so that callers skip the IVR"
        found.append(Finding("dialplan", False, text, mend))
    return found or [Finding("dialplan", True, f"has {', '.join(CONTEXTS)}")]


async def _rights(client: AmiClient) -> list[Finding]:
    """What we need is allowed; what would make us root is not."""
    found = []
    try:
        await client.send(SimpleAction("CoreShowChannels"))
        found.append(Finding("rights", True, "may list channels"))
    except Rejected as refused:
        mend = "give the AMI user write = call,agent,originate,reporting"
        found.append(Finding("rights", False, f"may not list channels ({refused})", mend))
    for action in REFUSED:
        try:
            await client.send(action)
        except Rejected:
            found.append(Finding("least rights", True, f"{action.name} is refused, as it should be"))
        else:
            mend = "take command, config and system out of the AMI user's write classes"
            found.append(Finding("least rights", False, f"{action.name} is allowed", mend))
    return found
