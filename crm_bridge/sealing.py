"""Secrets at rest: AES-256-GCM under a key that lies beside the database, never in it.

Each sealed text names its key, so that a new key can be added and old texts stay readable. What it is about (a number
of a request, for instance) is authenticated with it: a text that is moved to another row does not open.

SealError   the key file cannot be used, or a text does not open; fit to be shown
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FILE = "keys.json"
_NONCE = 12


class SealError(Exception):
    """A sealed text cannot be made or opened."""


class Sealer:
    """Seals with the newest key, opens with whichever it was. ``keys``: 32 bytes each, by name, the newest last."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        self._newest = next(reversed(list(keys)))

    def seal(self, text: str, about: str) -> str:
        """``<key>.<base64>``; ``about`` must be given again to open it."""
        nonce = os.urandom(_NONCE)
        sealed = self._keys[self._newest].encrypt(nonce, text.encode(), about.encode())
        return f"{self._newest}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, about: str) -> str:
        """Raises ``SealError``."""
        name, _, body = sealed.partition(".")
        key = self._keys.get(name)
        if key is None:
            raise SealError(f"the key {name[:16]!r} is not in {FILE}: restore it from a backup")
        try:
            raw = base64.b64decode(body, validate=True)
            return key.decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except (ValueError, InvalidTag):
            raise SealError("a sealed text was altered, or belongs to something else") from None


def load_or_make(folder: Path) -> Sealer:
    """The keys in ``folder``; a first one is made where there is none. Raises ``SealError``."""
    path = folder / FILE
    keys = _read(path)
    if not keys:
        keys = {f"k{secrets.token_hex(3)}": secrets.token_bytes(32)}
        _write(path, keys)
    return Sealer(keys)


def _read(path: Path) -> dict[str, bytes]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        keys = {str(name): base64.b64decode(key, validate=True) for name, key in tree.items()}
        if keys and all(len(key) == 32 and "." not in name for name, key in keys.items()):
            return keys
    except FileNotFoundError:
        return {}
    except OSError as failed:
        raise SealError(f"{path}: cannot be read ({failed.strerror}); check its owner and permissions") from None
    except (ValueError, AttributeError, TypeError):
        pass
    # Never replaced by itself: what was sealed under the lost key would be lost with it.
    raise SealError(f"{path}: is damaged; restore it from a backup")


def _write(path: Path, keys: Mapping[str, bytes]) -> None:
    tree = {name: base64.b64encode(key).decode() for name, key in keys.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive: of two processes that start at once, one must not write over the other's key.
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(tree, file)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise SealError(f"{path}: another process is just making it; start again") from None
    except OSError as failed:
        raise SealError(f"{path}: cannot be written ({failed.strerror}); check storage.folder") from None
