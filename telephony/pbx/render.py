"""Makes Asterisk's whole configuration out of the settings.

``render`` is a function of its arguments alone; ``write`` puts its result on disk. No value reaches a file
unchecked: every ``{{ value }}`` of a template passes through one gate, and the dialplan, where a comma or a bracket
is code, has a narrower one.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from telephony.pbx.credentials import Secrets
from telephony.pbx.errors import RenderError
from telephony.pbx.image import Image
from telephony.pbx.modules import MODULES
from telephony.settings import Settings

FILES = (
    "acl.conf",
    "asterisk.conf",
    "ccss.conf",
    "cdr.conf",
    "cel.conf",
    "extensions.conf",
    "features.conf",
    "http.conf",
    "indications.conf",
    "logger.conf",
    "manager.conf",
    "modules.conf",
    "musiconhold.conf",
    "pjproject.conf",
    "pjsip.conf",
    "queuerules.conf",
    "queues.conf",
    "res_parking.conf",
    "rtp.conf",
    "stasis.conf",
    "udptl.conf",
)
FIRST_PHONE_NUMBER = 701
FIRST_QUEUE_NUMBER = 801

_SOCKET_PATH_LIMIT = 107
_SPECIAL_EXTENSIONS = frozenset("aehiost")
_RESERVED_SECTIONS = frozenset({"general", "global", "default"})


@dataclass(frozen=True)
class Folders:
    """Where an Asterisk of ours keeps what; all paths are absolute."""

    etc: Path
    state: Path
    spool: Path
    log: Path
    run: Path
    music: Path

    @classmethod
    def of(cls, folder: Path) -> Folders:
        """The folders of an Asterisk whose ``pbx.folder`` is this."""
        base = folder.absolute()
        run = base / "run"
        if len(os.fsencode(run / "asterisk.ctl")) > _SOCKET_PATH_LIMIT:  # the kernel takes no longer socket names
            name = hashlib.sha256(os.fsencode(base)).hexdigest()[:12]
            run = Path(tempfile.gettempdir()) / f"callfloor-{os.getuid()}-{name}"
        return cls(base / "etc", base / "state", base / "spool", base / "log", run, base / "music")

    @classmethod
    def of_debian(cls, etc: Path) -> Folders:
        """The folders that Debian's package has made for its own user; only ``etc`` is rendered into."""
        state, spool, log, run = (Path("/var") / name / "asterisk" for name in ("lib", "spool", "log", "run"))
        return cls(etc.absolute(), state, spool, log, run, etc.absolute() / "music")

    def make(self) -> None:
        """Make those that are missing, readable by nobody else."""
        for folder in (
            self.etc,
            self.state,
            self.state / "agi-bin",
            self.state / "keys",
            self.spool,
            self.log,
            self.run,
            self.music,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.run.stat().st_uid != os.getuid():
            raise RenderError(f"{self.run}: belongs to somebody else; set pbx.folder to a shorter path")


def render(settings: Settings, secrets: Secrets, image: Image, folders: Folders) -> dict[str, str]:
    """All files of ``etc``, by name. Raises ``RenderError`` that names the setting that cannot be rendered."""
    _check(settings)
    there = image.module_names()
    view: dict[str, Any] = {
        "office": settings.office,
        "pbx": settings.pbx,
        "ami": settings.ami,
        "queues": settings.queues,
        "transfers": settings.transfers,
        "callbacks": settings.callbacks,
        "phones": settings.phones,
        "keypad": keypad(settings),
        "agi_servers": agi_servers(settings),
        "modules": [module for module in MODULES if there is None or module in there],
        "secrets": secrets,
        "folders": folders,
        "image": image,
    }
    return {
        name: (_DIALPLAN if name == "extensions.conf" else _PLAIN).get_template(name).render(view) for name in FILES
    }


def write(files: Mapping[str, str], etc: Path) -> frozenset[str]:
    """Write the files; gives the names of those that changed. Others in the folder stay as they are."""
    changed = set()
    try:
        etc.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in files.items():
            path = etc / name
            if path.exists() and path.read_text(encoding="utf-8") == text:
                continue
            fresh = etc / f".{name}.{os.getpid()}"
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            fresh.replace(path)
            changed.add(name)
    except OSError as failed:
        raise RenderError(f"{etc}: cannot be written ({failed.strerror}); check pbx.folder") from None
    return frozenset(changed)


def agi_servers(settings: Settings) -> list[str]:
    """``host:port`` of the FastAGI servers, in the order they are tried."""
    host = settings.agi.host
    first = f"[{host}]:{settings.agi.port}" if ":" in host else f"{host}:{settings.agi.port}"
    return [first] if settings.agi.second is None else [first, settings.agi.second]


def keypad(settings: Settings) -> list[tuple[int, str]]:
    """Numbers for phones and queues whose names no keypad can dial; a phone's own name goes before."""
    names = {phone.name for phone in settings.phones}
    numbers = [(FIRST_PHONE_NUMBER + index, phone.name) for index, phone in enumerate(settings.phones)]
    numbers = [(number, name) for number, name in numbers if number < FIRST_QUEUE_NUMBER]
    numbers += [(FIRST_QUEUE_NUMBER + index, f"q-{queue.name}") for index, queue in enumerate(settings.queues)]
    return [(number, name) for number, name in numbers if number < 900 and str(number) not in names]


def _check(settings: Settings) -> None:
    pbx, ami = settings.pbx, settings.ami
    if ami.tls:
        raise RenderError(
            "ami.tls: the packaged Asterisk serves its AMI on this machine only, without TLS; set it to false"
        )
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", ami.username) or ami.username in _RESERVED_SECTIONS:
        raise RenderError("ami.username: use letters, digits, '_', '.' and '-', and not 'general'")
    for key, value in (("pbx.bind", pbx.bind), ("pbx.ami_bind", pbx.ami_bind)):
        _demand(key, value, ip_address, "an IP address of this machine")
    if pbx.external_address is not None:
        _demand("pbx.external_address", pbx.external_address, ip_address, "an IP address")
    for value in pbx.ami_permit:
        _demand("pbx.ami_permit", value, ip_network, "a network like 10.0.0.0/24")
    for value in pbx.trunk_addresses:
        _demand("pbx.trunk_addresses", value, ip_network, "an address or a network like 203.0.113.7 or 203.0.113.0/28")
    for ours, theirs in pbx.ice_host_candidates.items():
        _demand("pbx.ice_host_candidates", ours, ip_address, "an IP address")
        _demand("pbx.ice_host_candidates", theirs, ip_address, "an IP address")
    if not pbx.trunk_addresses and not re.fullmatch(r"[A-Za-z0-9-]+: *[^\s;]+", pbx.trunk_match_header or ""):
        raise RenderError("pbx.trunk_match_header: write it as 'Header: value', or set pbx.trunk_addresses")
    for server in agi_servers(settings):
        if not re.fullmatch(r"([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}", server):
            raise RenderError("agi.host and agi.second: write a host name or an address (agi.second as host:port)")
    for queue in settings.queues:
        if queue.name in _SPECIAL_EXTENSIONS | _RESERVED_SECTIONS:
            raise RenderError(f"queues: {queue.name!r} has a meaning of its own in Asterisk; use another name")
    for phone in settings.phones:
        if phone.name in _SPECIAL_EXTENSIONS | _RESERVED_SECTIONS or phone.name.startswith(("callfloor-", "q-")):
            raise RenderError(f"phones: {phone.name!r} has a meaning of its own here; use another name")
        if phone.contact is not None and not re.fullmatch(r"sips?:[^\s\"<>,]+", phone.contact):
            raise RenderError(f"phones.{phone.name}.contact: write a SIP address like sip:phone@192.0.2.7:5060")


def _demand(key: str, value: str, reader: Callable[[str], object], wanted: str) -> None:
    try:
        reader(value)
    except ValueError:
        raise RenderError(f"{key}: is not {wanted}") from None


def _plain_value(value: object) -> object:
    """A value for ``key = value``. A semicolon would begin a comment, a line end a new key."""
    text = str(value)
    if not text.isprintable() or text != text.strip():
        raise RenderError("a setting has a control character, or a blank at its start or end, and would break a file")
    return text.replace(";", r"\;")


def _dialplan_value(value: object) -> object:
    """A value for the dialplan, where nearly every sign is code: names, numbers and addresses only."""
    text = str(value)
    if not re.fullmatch(r"[A-Za-z0-9_.:\[\]+!*#-]+", text):
        raise RenderError("a setting has a sign that would be code in the dialplan")
    return text


def _environment(gate: Callable[[object], object]) -> Environment:
    return Environment(
        loader=PackageLoader("telephony.pbx"),
        undefined=StrictUndefined,
        finalize=gate,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML here; the gate stands in for it
    )


_PLAIN = _environment(_plain_value)
_DIALPLAN = _environment(_dialplan_value)
