"""The images, built from a copy of this checkout that is full of things that must not get into them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from images.buildah import Buildah
from images.machine import Sources, apt_options, sources

from telephony.pbx.provision import KEYRING, machine_mirror

ROOT = Path(__file__).parents[2]
MARK = f"callfloor-canary-{os.urandom(12).hex()}"
"""Stands in for every secret: planted wherever one could lie, and looked for in every layer."""
BASES = {"debian:trixie-slim": "trixie", "debian:forky-slim": "forky"}
BASE_DAYS = 7
IMAGES = {"callfloor": "callfloor.Dockerfile", "callfloor-asterisk": "asterisk.Dockerfile"}
PLANTED = (
    ".env",
    ".git/config",
    "callfloor.toml",
    "docker/.env",
    "docker/secrets/agi_secret",
    "docker/secrets/ami_secret",
    "docker/secrets/database_password",
    "telephony/desk/web/.env",
    "telephony/pbx/secrets.json",
    "telephony/office.db",
    "var/callfloor.db",
    "var/pbx/secrets.json",
)
"""Where people keep secrets, rightly or not."""


@dataclass(frozen=True)
class Built:
    """The storage with the built images, and how long each took."""

    buildah: Buildah
    seconds: dict[str, float]


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """A storage of our own, gone afterwards. Nothing here is skipped: who asks for it wants to know."""
    if os.geteuid() != 0 or shutil.which("buildah") is None or shutil.which("mmdebstrap") is None:
        pytest.fail("the image tests need root, buildah and mmdebstrap: run 'make test-images' as root", pytrace=False)
    folder = tmp_path_factory.mktemp("buildah")
    yield Buildah(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def bases(buildah: Buildah) -> None:
    """Debian's slim images, under their own names, out of the packages that this machine's apt gets."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callfloor" / "images"
    cache.mkdir(parents=True, exist_ok=True)
    for name, suite in BASES.items():
        tar = cache / f"{suite}.tar"
        if not tar.exists() or time.time() - tar.stat().st_mtime > BASE_DAYS * 86400:
            fresh = cache / f".{suite}.{os.getpid()}.tar"
            _debian(suite, fresh)
            fresh.replace(tar)
        buildah.base(name, tar)


def _debian(suite: str, tar: Path) -> None:
    # A mirror's copy of a testing suite may be past its date; its signature is checked all the same.
    options = [f"--aptopt={line}" for line in (*apt_options(), 'Acquire::Check-Valid-Until "false";')]
    for folder in ("doc", "man", "locale"):  # as in the slim images
        options.append(f"--dpkgopt=path-exclude=/usr/share/{folder}/*")
    # As in Debian's images: no daemon is started by its package.
    start = 'printf "#!/bin/sh\\nexit 101\\n" > "$1/usr/sbin/policy-rc.d"; chmod +x "$1/usr/sbin/policy-rc.d"'
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--keyring={KEYRING}", *options]
    command += [f"--customize-hook={start}", suite, str(tar), machine_mirror()]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert made.returncode == 0, made.stderr[-2000:]


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout as it is now, with secrets lying about in it."""
    folder = tmp_path_factory.mktemp("checkout")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    for name in PLANTED:
        target = folder / name
        assert not target.exists(), f"{name} is in the repository"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{MARK}\n")
    return folder


@pytest.fixture(scope="session")
def package_sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """The machine's own indexes and certificates; a mark is in each file."""
    return sources(tmp_path_factory.mktemp("sources"), MARK)


@pytest.fixture(scope="session")
def built(buildah: Buildah, bases: None, context: Path, package_sources: Sources) -> Built:
    """Both images."""
    seconds = {}
    for name, dockerfile in IMAGES.items():
        began = time.monotonic()
        buildah.build(name, context / "docker" / dockerfile, context, package_sources.secrets, package_sources.folders)
        seconds[name] = time.monotonic() - began
    return Built(buildah, seconds)
