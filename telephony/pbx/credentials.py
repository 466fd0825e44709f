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


def load_or_make(settings: Settings) -> Secrets:
    """The passwords: those in the settings, else those made up earlier, else new ones, which are kept.

    Raises ``RenderError`` when the file cannot be used.
    """
    path = settings.pbx.folder / FILE
    kept = _read(path)
    phones = {
        phone.name: phone.secret.get_secret_value()
        if phone.secret is not None
        else kept.phones.get(phone.name) or secrets.token_urlsafe(18)
        for phone in settings.phones
    }
    given = settings.ami.secret
    result = Secrets(ami=given.get_secret_value() if given else kept.ami or secrets.token_urlsafe(24), phones=phones)
    if result != kept:
        # Passwords of phones that are not in the settings now are kept: a phone may come back.
        _write(path, Secrets(ami=result.ami, phones={**kept.phones, **phones}))
    return result


def kept_ami_secret(settings: Settings) -> str:
    """The password for AMI, or nothing while none was made. Makes none. Raises ``RenderError`` as above."""
    given = settings.ami.secret
    return given.get_secret_value() if given else _read(settings.pbx.folder / FILE).ami


def _read(path: Path) -> Secrets:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        ami, phones = tree["ami"], tree["phones"]
        if isinstance(ami, str) and isinstance(phones, dict) and all(isinstance(word, str) for word in phones.values()):
            return Secrets(ami=ami, phones=phones)
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
            json.dump({"ami": content.ami, "phones": dict(content.phones)}, file, indent=2)
        fresh.replace(path)
    except OSError as failed:
        raise RenderError(f"{path}: cannot be written ({failed.strerror}); check pbx.folder") from None
