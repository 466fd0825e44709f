"""Brings an Asterisk to a machine that has none.

The distribution's packages are downloaded with the machine's own apt, whose signature check stays on, but with an
apt state of our own, so that nothing is installed and no root is needed. They are unpacked into one folder in the
user's cache. A folder appears under its final name only when it is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from telephony.pbx.errors import ProvisionError
from telephony.pbx.image import Image, check_version, installed, unpacked
from telephony.settings import Pbx

SUITE = "forky"
"""The suite of Debian that carries Asterisk 22."""
PACKAGES = ("asterisk", "asterisk-core-sounds-en-gsm", "asterisk-prompt-de", "sip-tester", "espeak-ng")
LAYOUT = "1"
"""Changed whenever this module unpacks differently, so that older folders are left alone."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ROOM_NEEDED = 700 * 1024 * 1024
"""Bytes that packages and tree take at the worst moment, with some air."""

Progress = Callable[[str], None]

_OWN_ASTERISK = "or install Asterisk 20.20.1 / 22.10.1 or newer yourself and set pbx.asterisk to its program"
_MERGED = ("bin", "sbin", "lib", "lib64")


def recipe_digest() -> str:
    """Names the folder: a changed recipe makes a new one beside the old."""
    return hashlib.sha256("\n".join((LAYOUT, SUITE, *PACKAGES)).encode()).hexdigest()[:12]


def image_folder(pbx: Pbx) -> Path:
    """Where the packaged Asterisk is, or will be."""
    if pbx.image is not None:
        return pbx.image.absolute()
    return cache_folder() / f"asterisk-{recipe_digest()}"


def cache_folder() -> Path:
    """Callfloor's place in the user's cache (XDG Base Directory Specification)."""
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    base = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
    return base / "callfloor"


def provision(pbx: Pbx, progress: Progress) -> Image:
    """The Asterisk to use: the one in the settings, else the packaged one, made now if it is not there yet.

    ``progress`` gets lines for people. Raises ``ProvisionError`` with one line that names cause and mend.
    """
    if pbx.asterisk is not None:
        image = installed(pbx.asterisk)
        check_version(image.version())
        return image
    folder = image_folder(pbx)
    if folder.is_dir():
        return unpacked(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, progress):
            if not folder.is_dir():
                _make(folder, pbx.mirror, progress)
    except OSError as failed:
        raise ProvisionError(
            f"{folder}: cannot be made ({failed.strerror or failed}); free room there, or set pbx.image elsewhere"
        ) from None
    return unpacked(folder)


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Let one run at a time make the folder; the lock goes with the process that holds it."""
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("asterisk: another run is getting it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path, mirror: str | None, progress: Progress) -> None:
    missing = [program for program in ("apt-get", "apt-config", "dpkg", "dpkg-deb") if shutil.which(program) is None]
    if missing:
        raise ProvisionError(
            f"the packaged Asterisk needs Debian's {missing[0]}, which is not here: use Debian, {_OWN_ASTERISK}"
        )
    if not KEYRING.is_file():
        raise ProvisionError(f"{KEYRING} is missing: install the package debian-archive-keyring, {_OWN_ASTERISK}")
    free = shutil.disk_usage(folder.parent).free
    if free < ROOM_NEEDED:
        raise ProvisionError(
            f"{folder.parent}: {_megabytes(free)} free, {_megabytes(ROOM_NEEDED)} needed; "
            "free some room, or set pbx.image to another place"
        )
    for leftover in folder.parent.glob(f".{folder.name}.*"):  # we hold the lock: whoever made it is dead
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        packages = _download(Path(work), mirror or machine_mirror(), progress)
        tree = Path(work) / "root"
        _unpack(packages, tree, progress)
        check_version(unpacked(tree).version())
        tree.rename(folder)
    progress(f"asterisk: ready in {folder}")


def machine_mirror() -> str:
    """The Debian archive that this machine's own apt uses."""
    listing = _run(["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)"], "apt's sources cannot be read")
    for line in listing.splitlines():
        site, _, label = line.partition(" ")
        if label == "Debian" and "security" not in site:
            return site
    # Not every machine has fetched its lists yet, and then the labels are not known: go by the sources' suites.
    listing = _run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"], "apt's sources cannot be read")
    for line in listing.splitlines():
        site, _, release = line.partition(" ")
        if "debian" in site and "security" not in f"{site} {release}":
            return site
    raise ProvisionError(f"this machine's apt knows no Debian mirror: set pbx.mirror to one, {_OWN_ASTERISK}")


def _download(work: Path, mirror: str, progress: Progress) -> list[Path]:
    if not re.fullmatch(
        r"(https?|file|copy)://?[!-Z^-~]+", mirror
    ):  # no blanks, no brackets: it goes into sources.list
        raise ProvisionError("pbx.mirror: is not an address like https://host/debian")
    environment = _private_apt(work, mirror)
    mend = f"check the network, set pbx.mirror to a Debian mirror that answers, {_OWN_ASTERISK}"
    progress(f"asterisk: reading the package lists of {SUITE}")
    _run(["apt-get", "-q", "update", "--error-on=any"], mend, environment)
    install = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *PACKAGES]
    listing = _run([*install, "--print-uris"], mend, environment)
    sizes = [int(size) for size in re.findall(r"^'[^']+' \S+ (\d+) ", listing, re.MULTILINE)]
    progress(f"asterisk: downloading {len(sizes)} packages, {_megabytes(sum(sizes))}")
    _run_with_percents([*install, "--download-only"], mend, environment, progress)
    return sorted((work / "cache/archives").glob("*.deb"))


def _private_apt(work: Path, mirror: str) -> dict[str, str]:
    """An apt of our own: empty package state, one source, none of the machine's hooks and pins.

    The machine's ``Acquire`` settings (its proxy, above all) are taken over.
    """
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    architecture = _run(["dpkg", "--print-architecture"], "dpkg does not work").strip()
    # A mirror's copy of a testing suite may be past its date; its signature is checked all the same.
    options = f"arch={architecture} signed-by={KEYRING} check-valid-until=no"
    (work / "sources.list").write_text(f"deb [{options}] {mirror} {SUITE} main\n", encoding="utf-8")
    acquire = "\n".join(
        line for line in _run(["apt-config", "dump"], "apt does not work").splitlines() if line.startswith("Acquire::")
    )
    (work / "apt.conf").write_text(
        f"""{acquire}
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{work}/state";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
APT::Architecture "{architecture}";
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Debug::NoLocking "true";
""",
        encoding="utf-8",
    )
    return {**os.environ, "APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _unpack(packages: list[Path], tree: Path, progress: Progress) -> None:
    # Made first: a package that still ships /lib would otherwise put a real folder in the link's place.
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    done = 0
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as workers:
        for _ in workers.map(lambda package: _unpack_one(package, tree), packages):
            done += 1
            if done % 50 == 0:
                progress(f"asterisk: unpacking, {100 * done // len(packages)} %")
    sounds = tree / "usr/share/asterisk/sounds"
    english = sounds / "en"
    if not english.exists():
        voice = next(iter(sorted(sounds.glob("en_*"))), None)
        if voice is None:
            raise ProvisionError(f"{SUITE}'s packages brought no English prompts: report this, {_OWN_ASTERISK}")
        english.symlink_to(voice.name)


def _unpack_one(package: Path, tree: Path) -> None:
    _run(["dpkg-deb", "-x", str(package), str(tree)], "remove the folder and try again")
    package.unlink()  # as we go: packages and tree together would need half as much room again


def _run(command: list[str], mend: str, environment: dict[str, str] | None = None) -> str:
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    if ended.returncode != 0:
        raise _failure(command, ended.stderr, mend)
    return ended.stdout


def _run_with_percents(command: list[str], mend: str, environment: dict[str, str], progress: Progress) -> None:
    """Run apt and turn its status lines (``dlstatus:<n>:<percent>:<text>``) into a line per quarter."""
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        command = [*command, "-o", "APT::Status-Fd=1"]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment, stdin=subprocess.DEVNULL
        )
        with child:
            assert child.stdout is not None
            told = 0
            for line in child.stdout:
                found = re.match(r"dlstatus:\d+:(\d+)", line)
                if found and int(found[1]) // 25 > told // 25:
                    told = int(found[1])
                    progress(f"asterisk: downloading, {told} %")
        if child.returncode != 0:
            complaints.seek(0)
            raise _failure(command, complaints.read(), mend)


def _failure(command: list[str], complaints: str, mend: str) -> ProvisionError:
    lines = [
        line for line in complaints.splitlines() if line.startswith(("E:", "W:", "dpkg"))
    ] or complaints.splitlines()
    reason = lines[0].removeprefix("E: ").removeprefix("W: ")[:300] if lines else "no reason given"
    return ProvisionError(f"{command[0]} failed: {reason}; {mend}")


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.0f} MB"
