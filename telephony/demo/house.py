"""The demo's house: settings, flow, people and lines. Made-up names; numbers from ranges kept free for fiction."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import yaml

from ivr_flows import CUSTOMER_CARE, FLOWS
from telephony.pbx.callers import free_udp_port
from telephony.pbx.provision import cache_folder
from telephony.settings import Settings, load

SERVICE_LINE = "+493023125000"
ORDERS_LINE = "+493023125001"
"""Two lines of the house; both numbers are from the range the Bundesnetzagentur keeps free for media productions."""

VISITOR = "clara"
"""Whose place is left to the visitor when the demo goes on and on: her phone answers, the rest is by hand."""
RTP_START = 20000
"""Below the range from which systems give out ports by themselves."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works in the demo's office."""

    login: str
    name: str
    role: str
    language: str
    phone: str | None
    queues: tuple[tuple[str, int], ...]


PEOPLE = (
    Person("anna", "Anna Lindqvist", "agent", "de", "phone1", (("service", 0), ("orders", 0))),
    Person("ben", "Ben Okafor", "agent", "en", "phone2", (("service", 0), ("orders", 0))),
    Person("clara", "Clara Vogt", "agent", "de", "phone3", (("service", 0),)),
    Person("sabine", "Sabine Reuter", "supervisor", "de", None, ()),
)


@dataclass(frozen=True, slots=True)
class House:
    """Where everything of the demo is."""

    folder: Path
    config: Path
    settings: Settings
    crm_port: int
    crm_secret: str
    password: str
    phone_ports: dict[str, int]


class DemoError(Exception):
    """The demo cannot begin; one line, fit to be shown."""


def claim(folder: Path) -> int:
    """Take the folder for this demo alone, and empty it. Returns the lock, which holds as long as this process lives.

    Raises ``DemoError`` while another demo works in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DemoError(f"{folder}: another demo works in this folder; end it, or name another with --folder") from None
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()
    return lock


def furnish(folder: Path, port: int | None) -> House:
    """Write the settings and the flow of the demo into ``folder``; every port is one that is free now.

    Raises ``DemoError`` when ``port`` is wanted and taken.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if port is not None and not _is_free(port):
        raise DemoError(f"port {port} is taken; end what listens there, or leave --port out for a free one")
    flow, config = folder / "flow.yaml", folder / "callfloor.toml"
    flow.write_text(_flow(), encoding="utf-8")
    shutil.copyfile(FLOWS / "identify.yaml", folder / "identify.yaml")
    ports = _free_tcp_ports(4)
    crm_secret, password = secrets.token_urlsafe(24), secrets.token_urlsafe(9)
    phone_ports = {person.phone: free_udp_port() for person in PEOPLE if person.phone is not None}
    text = _SETTINGS.format(
        folder=_quoted(folder),
        pbx=_quoted(folder / "pbx"),
        database=_quoted(f"sqlite+aiosqlite:///{folder / 'callfloor.db'}"),
        flow=_quoted(flow),
        # Some hundred phrases: kept, so that only the first demo of all takes the time.
        rendered=_quoted(cache_folder() / "prompts"),
        http=port if port is not None else _wanted_or_free(8080),
        ami=ports[0],
        agi=ports[1],
        ws=ports[2],
        crm=ports[3],
        sip=free_udp_port(),
        rtp=RTP_START,
        rtp_end=RTP_START + 400,
        crm_secret=_quoted(crm_secret),
        phones="\n".join(_PHONE.format(name=name, port=number) for name, number in phone_ports.items()),
    )
    config.touch(mode=0o600)
    config.write_text(text, encoding="utf-8")
    return House(folder, config, load(config, {}), ports[3], crm_secret, password, phone_ports)


def _flow() -> str:
    """The shipped flow, with two nodes more: who dialled the orders' line goes to its queue."""
    document = yaml.safe_load(CUSTOMER_CARE.read_text(encoding="utf-8"))
    nodes = document["nodes"]
    nodes["privacy"]["next"] = "line"
    nodes["line"] = {
        "type": "condition",
        "when": f"call.dialled == '{ORDERS_LINE}'",
        "then": "to_orders",
        "otherwise": "main",
    }
    nodes["to_orders"] = {"type": "route", "queue": "orders", "priority": 5}
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


def _quoted(value: object) -> str:
    """A TOML basic string."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _free_tcp_ports(count: int) -> list[int]:
    with_all: list[socket.socket] = []
    try:
        for _ in range(count):
            probe = socket.socket()
            probe.bind(("127.0.0.1", 0))
            with_all.append(probe)
        return [probe.getsockname()[1] for probe in with_all]
    finally:
        for probe in with_all:
            probe.close()


def _wanted_or_free(port: int) -> int:
    return port if _is_free(port) else _free_tcp_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_PHONE = """
[[phones]]
name = "{name}"
contact = "sip:{name}@127.0.0.1:{port}"
"""

_SETTINGS = """# The demo's settings, written anew at each start.

[office]
name = "Modehaus Linden"

[pbx]
folder = {pbx}
sip_port = {sip}
ws_port = {ws}
rtp_start = {rtp}
rtp_end = {rtp_end}
ivr_limit = 90

[ami]
port = {ami}
resync_interval = 15
reconnect_first = 0.1
reconnect_cap = 2

[agi]
port = {agi}

[http]
port = {http}

[storage]
folder = {folder}
url = {database}

[crm]
retry_first = 0.5
retry_cap = 5

[crm.adapter]
kind = "webhook"
url = "http://127.0.0.1:{crm}"
secret = {crm_secret}
timeout = 2

[flows]
file = {flow}
rendered = {rendered}
constants = {{ erp = "http://127.0.0.1:{crm}/ivr" }}
http_allow = ["http://127.0.0.1:{crm}/ivr/"]
http_secret = {crm_secret}

[[transfers]]
name = "reception"
phone = "phone3"

[log]
format = "json"

[[queues]]
name = "service"
label = {{ de = "Kundenservice", en = "Customer care" }}
strategy = "ringall"
ring_seconds = 15
exit_keys = "1"
wrap_up_codes = [
  {{ code = "PARCEL", label = {{ de = "Paket / Sendung", en = "Parcel" }} }},
  {{ code = "INVOICE", label = {{ de = "Rechnung", en = "Invoice" }} }},
  {{ code = "RETURN", label = {{ de = "Rücksendung", en = "Return" }} }},
  {{ code = "COMPLAINT", label = {{ de = "Reklamation", en = "Complaint" }} }},
  {{ code = "BANK", label = {{ de = "Bankverbindung", en = "Bank details" }} }},
  {{ code = "OTHER", label = {{ de = "Sonstiges", en = "Other" }} }},
]

[[queues]]
name = "orders"
label = {{ de = "Bestellannahme", en = "Orders" }}
strategy = "linear"
ring_seconds = 10
wrap_up_seconds = 120
wrap_up_codes = [
  {{ code = "ORDER", label = {{ de = "Bestellung", en = "Order" }} }},
  {{ code = "ADVICE", label = {{ de = "Beratung", en = "Advice" }} }},
]
{phones}
"""
