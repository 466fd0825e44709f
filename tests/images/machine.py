"""What this machine says about where packages come from; it goes into a build for its duration, and into no layer."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CA_INSIDE = "/run/ca.crt"
"""Where the Dockerfiles mount the machine's certificates."""
_CA_HERE = Path("/etc/ssl/certs/ca-certificates.crt")
_AUTHORITY_KEYS = {"cert", "cafile"}
_POINTLESS = {"constraint"}
"""A file on this machine that limits versions: the lock file names each one already."""


@dataclass(frozen=True)
class Sources:
    """Build secrets by id, and folders that the package managers read from."""

    secrets: dict[str, Path]
    folders: tuple[Path, ...]


def sources(folder: Path, mark: str) -> Sources:
    """The machine's settings, written for the inside of a build. ``mark`` is put into each, to be looked for later."""
    pip = _pip()
    files = {
        "pip.conf": "\n".join([f"# {mark}", "[global]", *(f"{key} = {value}" for key, value in pip.items())]),
        "npmrc": "\n".join([f"; {mark}", *_npm()]),
        "ca.crt": f"{_CA_HERE.read_text()}\n# {mark}" if _CA_HERE.exists() else f"# {mark}",
    }
    for name, text in files.items():
        (folder / name).write_text(text + "\n")
    words = [word for value in pip.values() for word in value.split()]
    paths = {Path(urlsplit(word).path) for word in words if word.startswith(("file:", "/")) and word != CA_INSIDE}
    # A simple index lies beside the files that it points to.
    folders = {path.parent if path.name == "simple" else path for path in paths if path.is_dir()}
    return Sources({name: folder / name for name in files}, tuple(sorted(folders)))


def _pip() -> dict[str, str]:
    """pip's settings; what the environment says wins, as it does in pip."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    pairs = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in _POINTLESS:
            continue
        pairs[name] = CA_INSIDE if name in _AUTHORITY_KEYS else " ".join(str(ast.literal_eval(value)).split())
    return pairs


def _npm() -> list[str]:
    npm = shutil.which("npm", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert npm is not None, "npm is missing: make builds the pages before"
    lines = []
    for which in ("globalconfig", "userconfig"):
        file = Path(
            subprocess.run([npm, "config", "get", which], capture_output=True, text=True, check=True).stdout.strip()
        )
        if file.is_file():
            lines += [line for line in file.read_text().splitlines() if line and not line.startswith((";", "#"))]
    return [f"cafile={CA_INSIDE}" if line.partition("=")[0].strip() in _AUTHORITY_KEYS else line for line in lines]


def apt_options() -> list[str]:
    """apt's settings for getting packages (its proxies above all), as lines of apt.conf."""
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return [line for line in dumped.splitlines() if line.startswith(("Acquire::http", "Acquire::Retries"))]
