"""The settings of one Callfloor: a file ``callfloor.toml``, with ``CALLFLOOR_*`` variables on top.

An environment variable names its key by its path, joined with two underscores: ``CALLFLOOR_AMI__PORT=5039``
is ``port`` in ``[ami]``. Its value is plain text, or TOML where it is a quoted string, a list or a table.
``CALLFLOOR_AMI__SECRET_FILE`` names a file that holds the value: passwords stay out of the environment that way.
Unknown keys are errors, in the file and in the environment: a misspelt key that is silently ignored costs a night.
A relative path counts from the folder of the settings file, so that a file means the same office from wherever it is
named; one in a variable counts from the current folder, as people expect of what they type there.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import quote, urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

ENVIRONMENT_PREFIX = "CALLFLOOR_"
CONFIG_FILE_VARIABLE = "CALLFLOOR_CONFIG"
NEW_PERSON_VARIABLE = "CALLFLOOR_NEW_PASSWORD"
"""The password of ``callfloor user add``, for scripts."""
NOT_SETTINGS = frozenset({CONFIG_FILE_VARIABLE, NEW_PERSON_VARIABLE})
FROM_FILE = "_FILE"
"""A variable with this ending names a file that holds the value."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._:-]+")

Language = Literal["de", "en"]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,38}$")]
"""A name that is safe in a dialplan, a file name and a URL."""


class SettingsError(Exception):
    """The settings cannot be used; each line of the text is one fault, with its place, its key and its mend."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Office(_Section):
    """Where the office is, and what it speaks."""

    name: str = "Callfloor"
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "DE"
    """Numbers without a country code are read as numbers of this country (ISO 3166 code)."""
    time_zone: str = "Europe/Berlin"
    language: Language = "de"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"no such time zone; use a name like Europe/Berlin, not {value!r}") from unknown
        return value


class Pbx(_Section):
    """The Asterisk: Callfloor's own packaged one (``managed``), or one that runs already."""

    managed: bool = True
    folder: Path = Path("var/pbx")
    """Rendered configuration, run state and logs of the packaged Asterisk."""
    image: Path | None = None
    """Where the packaged Asterisk is unpacked; default: the user's cache folder, shared by all checkouts."""
    mirror: str | None = None
    """A Debian mirror; default: the one this machine's own apt uses."""
    asterisk: Path | None = None
    """An installed ``asterisk`` program to start with the rendered configuration, in place of the packaged one."""
    system_name: Name = "pbx1"
    bind: str = "127.0.0.1"
    """The address SIP, WebSocket and audio are served on."""
    external_address: str | None = None
    """The address that phones and the trunk reach Asterisk at, when it is not ``bind``: in a container, behind NAT."""
    ami_bind: str = "127.0.0.1"
    """The address the AMI is served on; anything but loopback only inside a private network."""
    ami_permit: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    """Networks the AMI user may come from."""
    sip_port: Port = 5060
    ws_port: Port = 8088
    rtp_start: Port = 20000
    rtp_end: Port = 20999
    ice_host_candidates: dict[str, str] = {}
    """Addresses of this machine that browsers are told others for (``"10.99.0.1" = "127.0.0.1"``)."""
    trunk_match_header: str | None = "X-Callfloor-Trunk: yes"
    """Calls with this SIP header come from the trunk. Set ``trunk_addresses`` instead for a real provider."""
    trunk_addresses: tuple[str, ...] = ()
    ivr_limit: Annotated[int, Field(ge=10, le=3600)] = 120
    """Seconds after which a caller is taken out of the IVR and put into the fallback queue."""
    fallback_queue: Name = "service"


class Ami(_Section):
    """The Asterisk Manager Interface."""

    host: str = "127.0.0.1"
    port: Port = 5038
    username: str = "callfloor"
    secret: SecretStr | None = None
    """Required for an Asterisk of your own; the packaged one makes its own."""
    login: Literal["md5", "plain"] = "md5"
    tls: bool = False
    tls_ca: Path | None = None
    """The authority that signed Asterisk's certificate; default: the machine's trusted ones."""
    tls_server_name: str | None = None
    require_tls: bool = False
    """Refuse to send a password over a connection without TLS, unless the host is this machine."""
    ping_interval: Annotated[float, Field(ge=0.05, le=60)] = 5.0
    ping_timeout: Annotated[float, Field(ge=0.05, le=60)] = 5.0
    reconnect_first: Annotated[float, Field(ge=0.01, le=30)] = 0.25
    reconnect_cap: Annotated[float, Field(ge=0.05, le=60)] = 15.0
    resync_interval: Annotated[float, Field(ge=1, le=3600)] = 60.0


class Agi(_Section):
    """Our FastAGI server, which Asterisk connects to for every caller."""

    host: str = "127.0.0.1"
    port: Port = 4573
    second: str | None = None
    """``host:port`` of another Callfloor that the dialplan tries when this one does not answer."""
    allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may connect."""
    secret: SecretStr | None = None
    """A word the dialplan must say when it connects: FastAGI knows no log-in, and who speaks it can say who is calling.

    The packaged Asterisk makes its own. With an Asterisk of your own it is in the dialplan that is rendered for it.
    """

    @field_validator("secret")
    @classmethod
    def _fits_an_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", value.get_secret_value()):
            raise ValueError("use 16 to 128 letters, digits, '_' and '-': it is part of an address in the dialplan")
        return value


class Http(_Section):
    """The desk's HTTP server."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    """The address people use, if a proxy stands before us; it decides the allowed origin and secure cookies."""
    session_hours: Annotated[int, Field(ge=1, le=72)] = 12
    trust_proxy: bool = False
    """Believe ``X-Forwarded-For`` from a proxy on this machine."""
    connections: Annotated[int, Field(ge=16, le=100_000)] = 4096
    """Connections at once; never more than half of the file descriptors this process may have."""
    strangers_per_address: Annotated[int, Field(ge=8, le=100_000)] = 512
    """Connections at once from one address that have shown no session yet; a whole office may share one address."""

    @field_validator("public_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        origin = origin_of(value)
        if origin is None:
            raise ValueError(
                "write it as browsers show it, without a path and without a name, like https://desk.example.org"
            )
        return origin


class Storage(_Section):
    """The database, and the folder for files of ours."""

    password: SecretStr | None = None
    """The database's password, where it is kept apart from ``url``."""
    url: str = "sqlite+aiosqlite:///var/callfloor.db"
    folder: Path = Path("var")

    @field_validator("url")
    @classmethod
    def _with_password(cls, value: str, info: ValidationInfo) -> str:
        password = info.data.get("password")
        if password is None:
            return value
        parts = urlsplit(value)
        user, at, host = parts.netloc.rpartition("@")
        if not at or ":" in user:
            raise ValueError("storage.password needs a user to go with: write postgresql+asyncpg://user@host/name")
        secret = quote(password.get_secret_value(), safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{secret}@{host}"))


class Journal(_Section):
    """The flight recorder: raw AMI frames on disk."""

    enabled: bool = True
    file_bytes: Annotated[int, Field(ge=65536)] = 64 * 1024 * 1024
    files: Annotated[int, Field(ge=2, le=1000)] = 16
    """How many files are kept; the oldest is deleted when a new one begins."""


class WebhookCrm(_Section):
    """A CRM that speaks our documented JSON over HTTP (docs/webhook-crm.md)."""

    kind: Literal["webhook"] = "webhook"
    url: str
    secret: SecretStr
    timeout: Annotated[float, Field(gt=0, le=30)] = 5.0


class EmbeddedCrm(_Section):
    """The customer tables of our own database."""

    kind: Literal["embedded"] = "embedded"


class Crm(_Section):
    """How customers are found and calls are written back."""

    adapter: Annotated[EmbeddedCrm | WebhookCrm, Field(discriminator="kind")] = EmbeddedCrm()
    budget_ms: Annotated[int, Field(ge=10, le=5000)] = 300
    """How long a look-up may take before the pop stays as it is and is filled in later."""
    retry_first: Annotated[float, Field(gt=0, le=600)] = 2.0
    retry_cap: Annotated[float, Field(gt=0, le=86400)] = 300.0
    attempts: Annotated[int, Field(ge=1, le=1000)] = 60
    """After so many failures a write becomes a dead letter, which people see and can retry."""


class WrapUpCode(_Section):
    """One way a call can end, as the agent names it."""

    code: Annotated[str, Field(pattern=r"^[A-Z0-9_]{1,32}$")]
    label: dict[Language, str]


class Queue(_Section):
    """A queue of callers, and the rules of its after-call work."""

    name: Name
    label: dict[Language, str]
    strategy: Literal[
        "ringall", "leastrecent", "fewestcalls", "random", "rrmemory", "linear", "wrandom", "rrordered"
    ] = "ringall"
    ring_seconds: Annotated[int, Field(ge=3, le=120)] = 15
    retry_seconds: Annotated[int, Field(ge=0, le=60)] = 1
    wait_limit: Annotated[int, Field(ge=5, le=7200)] = 600
    """Seconds a caller waits at most before the call goes to ``overflow``."""
    overflow: Name | None = None
    service_level: Annotated[int, Field(ge=1, le=3600)] = 20
    weight: Annotated[int, Field(ge=0, le=100)] = 0
    announce_position: bool = False
    wrap_up: Literal["required", "optional", "none"] = "required"
    wrap_up_seconds: Annotated[int, Field(ge=5, le=3600)] | None = None
    """Limit of the after-call work; none: it ends when the agent ends it."""
    wrap_up_expiry: Literal["ready", "paused"] = "ready"
    """What the agent is after the limit has passed."""
    wrap_up_expiry_code: str = "EXPIRED"
    wrap_up_codes: tuple[WrapUpCode, ...] = ()


class Phone(_Section):
    """A phone that agents use; its name is the PJSIP endpoint."""

    name: Name
    secret: SecretStr | None = None
    """SIP password; the packaged Asterisk makes one up and keeps it in its folder."""
    contact: str | None = None
    """A fixed SIP address; none: the phone registers."""
    webrtc: bool = False


class PauseReason(_Section):
    """Why an agent is paused."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")]
    label: dict[Language, str]


class Flows(_Section):
    """The IVR."""

    file: Path | None = None
    """The flow to run; default: the shipped one."""
    prompts: Path | None = None
    """A folder with recorded prompts that stand in for rendered ones."""


class Log(_Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


def _default_codes() -> tuple[WrapUpCode, ...]:
    return tuple(
        WrapUpCode(code=code, label={"de": german, "en": english})
        for code, german, english in (
            ("PARCEL", "Paket / Sendung", "Parcel"),
            ("INVOICE", "Rechnung", "Invoice"),
            ("RETURN", "Rücksendung", "Return"),
            ("COMPLAINT", "Reklamation", "Complaint"),
            ("BANK", "Bankverbindung", "Bank details"),
            ("OTHER", "Sonstiges", "Other"),
        )
    )


def _default_queues() -> tuple[Queue, ...]:
    return (
        Queue(
            name="service",
            label={"de": "Kundenservice", "en": "Customer care"},
            wrap_up_codes=_default_codes(),
        ),
    )


def _default_pauses() -> tuple[PauseReason, ...]:
    return tuple(
        PauseReason(code=code, label={"de": german, "en": english})
        for code, german, english in (
            ("break", "Pause", "Break"),
            ("lunch", "Mittag", "Lunch"),
            ("meeting", "Besprechung", "Meeting"),
            ("mail", "E-Mails", "E-mail"),
        )
    )


class Settings(_Section):
    """Everything that can be set."""

    office: Office = Office()
    pbx: Pbx = Pbx()
    ami: Ami = Ami()
    agi: Agi = Agi()
    http: Http = Http()
    storage: Storage = Storage()
    journal: Journal = Journal()
    crm: Crm = Crm()
    queues: tuple[Queue, ...] = Field(default_factory=_default_queues)
    phones: tuple[Phone, ...] = ()
    pauses: tuple[PauseReason, ...] = Field(default_factory=_default_pauses)
    flows: Flows = Flows()
    log: Log = Log()

    @model_validator(mode="after")
    def _names_fit(self) -> Settings:
        queues = [queue.name for queue in self.queues]
        faults = [*_twins("queues", queues), *_twins("phones", [phone.name for phone in self.phones])]
        if self.pbx.fallback_queue not in queues:
            faults.append(f"pbx.fallback_queue names no queue: {self.pbx.fallback_queue!r} (have: {queues})")
        for queue in self.queues:
            if queue.overflow is not None and queue.overflow not in queues:
                faults.append(f"queues.{queue.name}.overflow names no queue: {queue.overflow!r} (have: {queues})")
            if queue.wrap_up == "required" and not queue.wrap_up_codes:
                faults.append(
                    f"queues.{queue.name}.wrap_up is 'required' but wrap_up_codes is empty: "
                    "add codes, or set wrap_up to 'none'"
                )
        if self.pbx.rtp_start >= self.pbx.rtp_end:
            faults.append("pbx.rtp_end must be above pbx.rtp_start: every call needs ports of its own")
        if not self.pbx.managed and self.ami.secret is None:
            faults.append("ami.secret is missing: an Asterisk of your own (pbx.managed = false) needs it")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def queue(self, name: str) -> Queue | None:
        """The queue of that name, or none."""
        return next((queue for queue in self.queues if queue.name == name), None)


def origin_of(url: str) -> str | None:
    """The web origin (RFC 6454) of an address as browsers write it; none when it holds anything else, or is no address.

    Browsers leave out the port that goes without saying and write hosts small and in ASCII; people do not.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
    except ValueError:
        return None
    more = parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host) or more:
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def _twins(what: str, names: list[str]) -> list[str]:
    twins = sorted({name for name in names if names.count(name) > 1})
    return [f"{what} has the name {name!r} twice: names are unique" for name in twins]


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    ``path``: the file; else the one named in ``CALLFLOOR_CONFIG``, else ``callfloor.toml`` here if there is one.

    Raises ``SettingsError``, whose text is fit to be shown: one line for each fault.
    """
    named = path or (Path(environment[CONFIG_FILE_VARIABLE]) if CONFIG_FILE_VARIABLE in environment else None)
    source = named or Path("callfloor.toml")
    tree: dict[str, Any] = {}
    if named is not None or source.exists():
        tree = _read(source)
    origin = {key: str(source) for key in tree}
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in NOT_SETTINGS:
            name, value = variable.removeprefix(ENVIRONMENT_PREFIX), _value(text)
            # Not a key that is called so itself: flows.file.
            if name.endswith(FROM_FILE) and not name.endswith("_" + FROM_FILE):
                name, value = name.removesuffix(FROM_FILE), _content(Path(text), variable)
            keys = name.lower().split("__")
            _graft(tree, keys, value, variable)
            origin[".".join(keys)] = variable
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as invalid:
        raise SettingsError("\n".join(_explain(invalid, tree, origin, str(source)))) from invalid
    in_environment = {key for key, place in origin.items() if place != str(source)}
    return settings if source.parent == Path() else _anchored(settings, source.parent, in_environment)


def _anchored(section: Any, folder: Path, fixed: set[str], above: str = "") -> Any:
    """The section with its relative paths counted from ``folder``; the keys in ``fixed`` stay as they are."""
    moved: dict[str, Any] = {}
    for name in type(section).model_fields:
        key, value = f"{above}{name}", getattr(section, name)
        if key in fixed:
            continue
        if isinstance(value, _Section):
            moved[name] = _anchored(value, folder, fixed, f"{key}.")
        elif key == "storage.url":
            moved[name] = _anchored_url(value, folder)
        elif isinstance(value, Path) and not (key == "pbx.asterisk" and value.parent == Path()):
            # A bare pbx.asterisk is a program that is looked for where all programs are.
            moved[name] = folder / value
    return section.model_copy(update=moved)


def _anchored_url(url: str, folder: Path) -> str:
    """A SQLite file's place is a path, too: what follows three slashes."""
    kind, slashes, rest = url.partition(":///")
    if not kind.startswith("sqlite") or not rest or rest.startswith(("/", ":memory:", "file:")):
        return url
    return f"{kind}{slashes}{folder / rest}"


def _read(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{source}: no such file; create it, or name another with --config") from None
    except IsADirectoryError:
        raise SettingsError(f"{source}: is a folder; name the file in it, as {source / 'callfloor.toml'}") from None
    except OSError as failed:
        raise SettingsError(f"{source}: cannot be read ({failed.strerror}); check its permissions") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{source}: is not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as wrong:
        raise SettingsError(f"{source}: is not valid TOML: {wrong}; correct that place (https://toml.io)") from None


def _content(file: Path, variable: str) -> str:
    """What a file of one value holds, without the line end that editors add."""
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as failed:
        raise SettingsError(f"{variable}: {file} cannot be read ({failed.strerror}); correct the path") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: {file} is not UTF-8 text; save it as UTF-8") from None


def _value(text: str) -> Any:
    # Numbers stay text, which the settings read as what they want: a password of digits is no number.
    if not text.startswith(("[", "{", '"', "'")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _graft(tree: dict[str, Any], keys: list[str], value: Any, variable: str) -> None:
    here = tree
    for key in keys[:-1]:
        step = here.setdefault(key, {})
        if not isinstance(step, dict):
            raise SettingsError(f"{variable}: {key} is not a section; check the name of the variable")
        here = step
    here[keys[-1]] = value


_PATTERNS = {
    r"^[A-Z]{2}$": "write two capital letters, the country's ISO 3166 code, like DE",
    r"^[a-z0-9][a-z0-9_-]{0,38}$": "write a name of small letters, digits, - and _, at most 39, like service-1",
    r"^[A-Z0-9_]{1,32}$": "write a code of capital letters, digits and _, at most 32, like PARCEL",
    r"^[a-z0-9_-]{1,32}$": "write a code of small letters, digits, - and _, at most 32, like lunch",
}
"""What fits a pattern, in words."""
_LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_MODEL_STEPS = ("embedded", "webhook", "[key]")
"""Steps of an error's place that are the model's and not the file's."""


def _explain(invalid: ValidationError, tree: dict[str, Any], origin: dict[str, str], source: str) -> list[str]:
    """A line for each fault: where, which key, what is allowed. Values are left out: they may be secrets."""
    lines = []
    for error in invalid.errors(include_url=False, include_input=False):
        path = tuple(part for part in error["loc"] if part not in _MODEL_STEPS)
        prefixes = [".".join(map(str, path[:end])) for end in range(len(path), 0, -1)]
        where = next((origin[prefix] for prefix in prefixes if prefix in origin), source)
        key = _shown(path, tree)
        # What our own checks of several keys say names the keys itself, and may be more than one line.
        for fault in _mend(error["type"], error["msg"], error.get("ctx", {}), path).splitlines():
            lines.append(" ".join((f"{where}: {key}: {fault}" if key else f"{where}: {fault}").split()))
    return lines


def _shown(path: tuple[int | str, ...], tree: Any) -> str:
    """The key as people find it in the file: an item of a list by its name, not by its number."""
    key, here = "", tree
    for step in path:
        here = _step(here, step)
        if isinstance(step, str):
            key += f".{step}" if key else step
            continue
        names = [_step(here, known) for known in ("name", "code")]
        name = next((one for one in names if isinstance(one, str) and one), None)
        if name is None:
            key += f" number {step + 1}"
        else:
            key += f".{name}" if name.replace("-", "").replace("_", "").isalnum() else f".{name[:40]!r}"
    return key


def _step(here: Any, step: int | str) -> Any:
    try:
        return here[step]
    except (KeyError, IndexError, TypeError):
        return None


def _mend(kind: str, said: str, facts: Mapping[str, Any], path: tuple[int | str, ...]) -> str:
    """What is wrong and what is right, in plain words. The library's own words are for those who wrote the model."""
    field = _field(path)
    family = kind.partition("_")[0]
    if kind == "value_error":
        return said.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return "unknown key; check its spelling, or remove it"
    if kind == "missing":
        return "is missing; add it"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(facts["pattern"], f"must fit {facts['pattern']}")
    if kind == "literal_error":
        return f"write one of {facts['expected']}"
    if kind == "union_tag_not_found":
        return f"{facts['discriminator']} is missing; add it"
    if kind == "union_tag_invalid":
        return f"{facts['discriminator']} is not known; write one of {facts['expected_tags']}"
    if family in ("int", "greater", "less", "float", "decimal"):
        whole = family == "int" or (field is not None and int in _types(field.annotation))
        return f"write {'a whole number' if whole else 'a number'}{_limits(field, facts)}{_example(field)}"
    if family == "bool":
        return "write true or false"
    if family in ("string", "path"):
        return f"write text in quotes{_example(field)}"
    if family in ("tuple", "list"):
        tables = field is not None and any(issubclass(one, _Section) for one in _types(field.annotation))
        return f"write [[{path[-1]}]] tables" if tables else f"write a list in square brackets{_example(field)}"
    if family == "dict":
        return f"write a table in braces{_example(field)}"
    if family == "model":
        return f"is a section: write [{'.'.join(map(str, path))}] and its keys below it"
    return said


def _field(path: tuple[int | str, ...]) -> Any:
    """The field that the path leads to, or none."""
    field: Any = None
    models: list[type[_Section]] = [Settings]
    for step in path:
        if isinstance(step, str):
            field = next((model.model_fields[step] for model in models if step in model.model_fields), None)
            if field is None:
                return None
            models = [one for one in _types(field.annotation) if issubclass(one, _Section)]
    return field


def _types(annotation: Any) -> list[type]:
    """All classes that stand in an annotation."""
    inner = [one for argument in get_args(annotation) for one in _types(argument)]
    return [annotation, *inner] if isinstance(annotation, type) and not get_args(annotation) else inner


def _limits(field: Any, facts: Mapping[str, Any]) -> str:
    limits = dict(facts)
    # Where a key may also be left empty, its limits stand one step deeper.
    inner = [deeper for one in get_args(field.annotation) for deeper in get_args(one)[1:]] if field is not None else []
    for mark in [*getattr(field, "metadata", ()), *(mark for one in inner for mark in one.metadata)]:
        limits |= {name: getattr(mark, name) for name in _LIMITS if hasattr(mark, name)}
    if "ge" in limits and "le" in limits:
        return f" from {limits['ge']} to {limits['le']}"
    said = [f" {words} {limits[name]}" for name, words in _LIMITS.items() if name in limits]
    return "," + " and".join(said) if said else ""


def _example(field: Any) -> str:
    """The default, where it says more than nothing."""
    default = None if field is None else field.default
    if isinstance(default, bool) or not isinstance(default, int | float | str | Path | tuple | dict) or not default:
        return ""
    if isinstance(default, dict | tuple) and not all(isinstance(one, str) for one in default):
        return ""
    shown = list(default) if isinstance(default, tuple) else default
    return f", like {json.dumps(str(shown) if isinstance(shown, Path) else shown)}"
