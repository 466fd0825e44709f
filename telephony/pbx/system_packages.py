"""What is missing that only the system's package manager can bring.

``python -m telephony.pbx.system_packages --section test [--install]`` runs before anything is installed: it needs the
standard library only, and any Python 3.9 or newer. Run the file itself where ``telephony`` is not importable.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

LIST = Path(__file__).with_name("system-packages.txt")
SECTIONS = ("run", "test", "images")
# PostgreSQL's server programs are not on the path in Debian.
_MORE_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/bin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))


def needed(text: str, section: str) -> list[tuple[str, str]]:
    """The pairs (program or path, package) of a section, with those of ``run`` before them.

    Raises ``ValueError`` for a line that is no pair, and for a pair outside any section.
    """
    pairs: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
    current = None
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.lstrip("#").strip()
        if line.startswith("#") and word in pairs:
            current = word
        elif line.strip() and not line.startswith("#"):
            thing, colon, package = line.strip().partition(":")
            if current is None or not (thing and colon and package):
                raise ValueError(f"line {number}: is not <program>:<package> under a section: {line.strip()!r}")
            pairs[current].append((thing, package))
    return pairs["run"] + (pairs[section] if section != "run" else [])


def is_there(thing: str) -> bool:
    """Whether a program can be started, or a path exists."""
    if thing.startswith("/"):
        return Path(thing).exists()
    return shutil.which(thing) is not None or any(os.access(Path(folder) / thing, os.X_OK) for folder in _MORE_FOLDERS)


def missing(section: str) -> list[str]:
    """The packages to install, each once."""
    pairs = needed(LIST.read_text(encoding="utf-8"), section)
    return list(dict.fromkeys(package for thing, package in pairs if not is_there(thing)))


def install_command(packages: list[str]) -> str:
    """What to copy into a shell."""
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def main(arguments: list[str] | None = None) -> int:
    """0: all is there, or has been installed; 1: something is missing, and the command is printed."""
    parser = argparse.ArgumentParser(prog="system_packages", description="Check what the system must bring.")
    parser.add_argument("--section", choices=SECTIONS, default="run")
    parser.add_argument("--install", action="store_true", help="install what is missing, when run as root")
    options = parser.parse_args(arguments)
    packages = missing(options.section)
    if not packages:
        return 0
    if options.install and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"system packages: installing {' '.join(packages)}", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
            if subprocess.run(["apt-get", *command], env=environment, check=False).returncode != 0:
                print(f"system packages: apt-get {command[0]} failed; see above", file=sys.stderr)
                return 1
        return 0
    print(f"missing: {' '.join(packages)}; install with: {install_command(packages)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
