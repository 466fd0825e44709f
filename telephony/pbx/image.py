"""Where an Asterisk lies, and how its programs are started.

There are two kinds. The packaged one is a tree of unpacked distribution packages that nothing was installed from:
its programs run through the tree's own loader, against the tree's own libraries, so that neither a chroot nor root
is needed. The other kind is an Asterisk that the machine has already.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from telephony.pbx.errors import ProvisionError

MINIMUM_VERSIONS = {20: (20, 20, 1), 22: (22, 10, 1)}
"""The oldest release of each long-term series that has the security fixes of June 2026."""

_PROGRAM_FOLDERS = ("usr/sbin", "usr/bin")
_MODULE_FOLDERS = ("usr/lib/{triplet}/asterisk/modules", "usr/lib/asterisk/modules", "usr/lib64/asterisk/modules")
_DATA_FOLDERS = ("usr/share/asterisk", "var/lib/asterisk")


@dataclass(frozen=True)
class Image:
    """An Asterisk that can be started, and what came with it."""

    root: Path
    modules: Path | None
    """None: where the program itself looks for them."""
    data: Path
    """Asterisk's data folder, with ``sounds/en`` and ``sounds/de`` in it."""
    loader: tuple[str, ...] = ()
    """What a program's command line begins with; empty for an installed Asterisk."""
    programs: Mapping[str, Path] = field(default_factory=dict)
    """Programs that lie elsewhere than their name says."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that the programs need on top of the usual ones."""

    def find(self, program: str) -> Path | None:
        """Where the program is, or none."""
        if program in self.programs:
            return self.programs[program]
        for folder in _PROGRAM_FOLDERS:
            path = self.root / folder / program
            if path.is_file():
                return path
        if not self.loader and (found := shutil.which(program)):
            return Path(found)
        return None

    def command(self, program: str, *args: str) -> list[str]:
        """The command line that starts the program. Raises ``ProvisionError`` when there is no such program."""
        path = self.find(program)
        if path is None:
            raise ProvisionError(f"{program} is not there (looked in {self.root}): install the package that has it")
        if not self.loader:
            return [str(path), *args]
        return [*self.loader, "--argv0", program, str(path), *args]

    def module_names(self) -> frozenset[str] | None:
        """The modules that are there, without ``.so``; none when that is not known."""
        if self.modules is None:
            return None
        return frozenset(path.stem for path in self.modules.glob("*.so"))

    def version(self) -> tuple[int, int, int]:
        """The release of its Asterisk. Raises ``ProvisionError`` when it does not start or does not say."""
        command = self.command("asterisk", "-V")
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=dict(self.env))
        except (OSError, subprocess.TimeoutExpired) as failed:
            raise ProvisionError(
                f"{command[-2]}: does not start ({failed}); set pbx.asterisk to one that does"
            ) from None
        return parse_version(said.stdout or said.stderr)


def parse_version(said: str) -> tuple[int, int, int]:
    """``(22, 10, 1)`` for ``Asterisk 22.10.1~dfsg``. Raises ``ProvisionError`` for anything else."""
    found = re.search(r"Asterisk (?:certified/|GIT-)?(\d+)\.(\d+)(?:\.(\d+))?", said)
    if found is None:
        raise ProvisionError(f"Asterisk does not tell its version (it said: {said.strip()[:120]!r})")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def check_version(version: tuple[int, int, int]) -> None:
    """Raises ``ProvisionError`` for a release that is too old: it lacks security fixes we rely on."""
    wanted = MINIMUM_VERSIONS.get(version[0], (22, 10, 1))
    if version < wanted:
        have, least = (".".join(map(str, parts)) for parts in (version, wanted))
        raise ProvisionError(
            f"Asterisk {have} is too old: use {least} or newer, or unset pbx.asterisk to get the packaged one"
        )


def unpacked(root: Path) -> Image:
    """The image in a tree of unpacked packages. Raises ``ProvisionError`` when the tree has no Asterisk."""
    loader = _loader(root)
    modules = _first(root.glob("usr/lib/*/asterisk/modules"))
    if loader is None or modules is None:
        raise ProvisionError(f"{root}: holds no unpacked Asterisk; remove it, so that it is made again")
    libraries = modules.parent.parent
    # pulseaudio: some codec libraries find their private siblings only through a run path of the installed place.
    search = ":".join(str(path) for path in (libraries, libraries / "pulseaudio"))
    return Image(
        root=root,
        modules=modules,
        data=root / "usr/share/asterisk",
        loader=(str(loader), "--library-path", search),
        # The machine's own openssl.cnf may name providers that only the machine's own OpenSSL can load.
        env={"ESPEAK_DATA_PATH": str(libraries), "OPENSSL_CONF": "/dev/null", "LC_ALL": "C.UTF-8"},
    )


def installed(program: Path) -> Image:
    """The image of an Asterisk that the machine has. Raises ``ProvisionError`` when it is not a whole one."""
    path = program if program.is_absolute() else Path(shutil.which(str(program)) or program.absolute())
    if not path.is_file():
        raise ProvisionError(f"pbx.asterisk: no such program: {program}; correct it, or unset it for the packaged one")
    root = path.resolve().parent.parent.parent  # /usr/sbin/asterisk -> /
    triplets = [folder.name for folder in sorted((root / "usr/lib").glob("*-linux-*"))] or [""]
    folders = [pattern.format(triplet=triplet) for triplet in triplets for pattern in _MODULE_FOLDERS]
    modules = _first(root / folder for folder in folders if (root / folder).is_dir())
    data = _first(root / folder for folder in _DATA_FOLDERS if (root / folder / "sounds").is_dir())
    if modules is None or data is None:
        what = "modules" if modules is None else "sounds"
        raise ProvisionError(f"pbx.asterisk: {path} has no {what} under {root}; unset it to get the packaged one")
    return Image(root=root, modules=modules, data=data, programs={"asterisk": path})


def _loader(root: Path) -> Path | None:
    return _first(path for folder in ("usr/lib64", "usr/lib") for path in (root / folder).glob("ld-linux*.so.*"))


def _first(paths: Iterable[Path]) -> Path | None:
    return next(iter(sorted(paths)), None)
