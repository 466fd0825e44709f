"""The passwords of the packaged Asterisk: made up once, kept in one file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from telephony.pbx.errors import RenderError
from telephony.settings import Settings

FILE = "secrets.json"


@dataclass(frozen=True)
class Secrets:
    """Passwords by use. They do not show when this is printed or logged."""

    ami: str = field(repr=False)
    phones: Mapping[str, str] = field(repr=False)
    """By the phone's name."""
    agi: str = field(default="", repr=False)
    """What the dialplan says to our FastAGI server; empty for an Asterisk of one's own without ``agi.secret``."""


def load_or_make(settings: Settings) -> Secrets:
    """The passwords: those in the settings, else those made up earlier, else new ones. Only the made-up ones are kept.

    Raises ``RenderError`` when the file cannot be used.
    """
    path = settings.pbx.folder / FILE
    kept = _read(path)
    given = {phone.name: phone.secret.get_secret_value() for phone in settings.phones if phone.secret is not None}
    # Passwords of phones that are not in the settings now are kept: a phone may come back.
    made = {phone.name: secrets.token_urlsafe(18) for phone in settings.phones if phone.name not in given}
    # What dialplan an Asterisk of one's own has is not ours to say: it may be one that knows no such word.
    needs_agi = settings.pbx.managed and settings.agi.secret is None
    fresh = Secrets(
        ami=kept.ami or ("" if settings.ami.secret else secrets.token_urlsafe(24)),
        phones={**made, **kept.phones},
        agi=kept.agi or (secrets.token_urlsafe(24) if needs_agi else ""),
    )
    if fresh != kept:
        _write(path, fresh)
    return Secrets(
        ami=settings.ami.secret.get_secret_value() if settings.ami.secret else fresh.ami,
        phones={phone.name: {**fresh.phones, **given}[phone.name] for phone in settings.phones},
        agi=settings.agi.secret.get_secret_value() if settings.agi.secret else fresh.agi if needs_agi else "",
    )


def kept_ami_secret(settings: Settings) -> str:
    """The password for AMI, or nothing while none was made. Makes none. Raises ``RenderError`` as above."""
    given = settings.ami.secret
    return given.get_secret_value() if given else _read(settings.pbx.folder / FILE).ami


def kept_agi_secret(settings: Settings) -> str:
    """What the dialplan says to our FastAGI server, or nothing while none was made. Makes none. Raises as above."""
    given = settings.agi.secret
    return given.get_secret_value() if given else _read(settings.pbx.folder / FILE).agi


def _read(path: Path) -> Secrets:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        ami, phones, agi = tree["ami"], tree["phones"], tree.get("agi", "")  # earlier versions made no third one
        if isinstance(phones, dict) and all(isinstance(word, str) for word in (ami, agi, *phones.values())):
            return Secrets(ami=ami, phones=phones, agi=agi)
    except FileNotFoundError:
        return Secrets(ami="", phones={})
    except OSError as failed:
        raise RenderError(f"{path}: cannot be read ({failed.strerror}); check its owner and permissions") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise RenderError(f"{path}: is damaged; remove it, so that new passwords are made")


def _write(path: Path, content: Secrets) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump({"ami": content.ami, "agi": content.agi, "phones": dict(content.phones)}, file, indent=2)
        fresh.replace(path)
    except OSError as failed:
        raise RenderError(f"{path}: cannot be written ({failed.strerror}); check pbx.folder") from None
