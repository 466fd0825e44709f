"""Starts the services of the compose file by hand: the same images, commands, settings, volumes and secrets.

They share a network namespace in which each service has an address and a name of its own. PostgreSQL is this machine's,
in the place of the image from outside. What a volume holds and whose it is comes from the image, as with Docker.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from images.buildah import Buildah
from images.compose import FILE, Mount, mounts, read, scratch

STOP_LIMIT = 15.0
_STARTERS = ("nsenter", "buildah", "memfd:buildah", "exe")
"""Programs that start a service's own: buildah calls itself by more than one name."""
ROOT = FILE.parent.parent


def until(what: str, condition: Callable[[], bool], deadline: float) -> None:
    """Wait for a condition."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline:.0f} s: {what}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Process:
    """A process: what it is called, and its user ids (real, effective, saved, of files)."""

    program: str
    users: frozenset[int]


class Service:
    """A running service of the compose file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """All it has said."""
        return self._log.read_text(errors="replace")

    def processes(self) -> dict[int, Process]:
        """Its processes; those that only start it are left out."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            number = int(folder.name)
            try:
                if os.getsid(number) != self.process.pid:
                    continue
                lines = (folder / "status").read_text().splitlines()
            except (ProcessLookupError, FileNotFoundError):
                continue
            status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
            program = status["Name"][0]
            if not program.startswith(_STARTERS):
                found[number] = Process(program, frozenset(int(user) for user in status["Uid"]))
        return found

    def execute(self, program: str, user: int, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where that program of the service runs: with its files, network, user and environment."""
        number = next(number for number, process in self.processes().items() if process.program == program)
        variables = Path(f"/proc/{number}/environ").read_text().rstrip("\0").split("\0")
        enter = ["nsenter", f"--target={number}", "--mount", "--net", "--root", "--wd"]
        whole = [*enter, f"--setuid={user}", f"--setgid={user}", "--", "env", "-i", *variables, *command]
        return subprocess.run(whole, capture_output=True, text=True, timeout=120, check=False)

    def stop(self) -> int:
        """End it as an engine does, by a signal to its own program; gives the exit status."""
        if self.process.poll() is None:
            for number in self.processes() or [self.process.pid]:
                os.kill(number, signal.SIGTERM)
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise
        return self.process.returncode


class Office:
    """The services, their volumes and their network."""

    def __init__(self, buildah: Buildah, folder: Path, holder: int, addresses: Mapping[str, str]) -> None:
        self.buildah = buildah
        self.folder = folder
        self.addresses = addresses
        self.document = read()
        self._enter = ["nsenter", f"--net=/proc/{holder}/ns/net", "--"]
        self._containers: dict[str, str] = {}
        self._made: dict[str, float] = {}
        self._running: dict[str, Service] = {}

    def service(self, name: str) -> dict[str, Any]:
        """What the compose file says about it."""
        service: dict[str, Any] = self.document["services"][name]
        return service

    def container(self, name: str) -> str:
        """The service's container."""
        if name not in self._containers:
            self._containers[name] = self.buildah.container(self.service(name)["image"], self.addresses)
            self._made[name] = time.time()
        return self._containers[name]

    def command(self, name: str, *command: str) -> list[str]:
        """The command line that runs a command in the service's container, on the office's network."""
        service, container = self.service(name), self.container(name)
        image_root = self.buildah.root(container)
        places: dict[str, Path] = {}
        for mount in sorted(mounts(service), key=lambda mount: mount.target):
            here = self._volume(mount, image_root) if mount.is_volume else FILE.parent / mount.source
            places[mount.target if mount.writable else f"{mount.target}:ro"] = here
        for secret in service.get("secrets", ()):
            places[f"/run/secrets/{secret}:ro"] = self.folder / "secrets" / secret
        given = self.buildah.command(
            container, command, service.get("environment", {}), places, hostname=service.get("hostname", name)
        )
        return [*self._enter, *given]

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the service's container, to its end: beside the service while that runs."""
        running = self._running.get(name)
        if running is not None and running.process.poll() is None:
            # Not by buildah: a second run would take the first one's mounts away when it ends.
            user = int(self.service(name)["user"].partition(":")[0])
            return running.execute(name, user, *command)
        return subprocess.run(self.command(name, *command), capture_output=True, text=True, timeout=120, check=False)

    def healthy(self, name: str) -> bool:
        """What the service's health check says now."""
        check = self.service(name)["healthcheck"]["test"]
        return self.run(name, *check[1:]).returncode == 0

    def start(self, name: str) -> Service:
        """Start the service's own command, and wait until it is healthy."""
        service = self.service(name)
        own = service.get("command") or self.buildah.config(service["image"])["Cmd"]
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(name, *own), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        started = Service(process, log)
        self._running[name] = started

        def up() -> bool:
            assert process.poll() is None, f"{name} has ended:\n{started.log[-3000:]}"
            there = any(one.program == name for one in started.processes().values())
            return there and self.healthy(name)

        until(f"{name} is healthy: {started.log[-3000:]}", up, 90)
        return started

    def inside(self, *words: str) -> dict[str, Any]:
        """Do something of ``inside.py`` on the office's network."""
        script = [sys.executable, str(Path(__file__).with_name("inside.py")), *words]
        done = subprocess.run(
            [*self._enter, *script], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def start_postgres(self) -> None:
        """This machine's PostgreSQL, set up as the compose file wants the image's."""
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        environment = self.service("postgres")["environment"]
        folder = self.folder / "postgres"
        folder.mkdir()
        shutil.copy(self.folder / "secrets" / Path(environment["POSTGRES_PASSWORD_FILE"]).name, folder / "password")
        for path in (folder, folder / "password"):
            shutil.chown(path, "nobody", "nogroup")
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        user, password = environment["POSTGRES_USER"], folder / "password"
        how = ["--auth=scram-sha-256", f"--pwfile={password}", f"--username={user}", "--encoding=UTF8", "--no-sync"]
        subprocess.run(
            [*as_nobody, programs / "initdb", "-D", folder / "data", *how], cwd=folder, check=True, capture_output=True
        )
        with (folder / "data" / "pg_hba.conf").open("a") as access:  # as the image does
            access.write("host all all all scram-sha-256\n")
        options = ["-c", "listen_addresses=*", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        with (self.folder / "postgres.log").open("wb") as output:
            process = subprocess.Popen(
                [*self._enter, *as_nobody, programs / "postgres", "-D", folder / "data", *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._running["postgres"] = Service(process, self.folder / "postgres.log")
        client = {**os.environ, "PGPASSWORD": password.read_text().strip()}
        make = [*self._enter, programs / "createdb", "-h", "127.0.0.1", "-U", user, environment["POSTGRES_DB"]]
        until(
            "PostgreSQL takes a database",
            lambda: subprocess.run(make, env=client, capture_output=True, check=False).returncode == 0,
            30,
        )

    def written(self, name: str) -> set[str]:
        """What the service's user has written into the container itself, not into a volume."""
        root, user = self.buildah.root(self.container(name)), int(self.service(name)["user"].partition(":")[0])
        found = set()
        for folder, folders, files in os.walk(root):
            here = Path("/") / Path(folder).relative_to(root)
            if str(here) in ("/proc", "/sys", "/dev"):
                folders.clear()
                continue
            for entry in [*folders, *files]:
                status = (Path(folder) / entry).lstat()
                if status.st_uid == user and status.st_ctime > self._made[name]:
                    found.add(str(here / entry))
        return found

    def strays(self, name: str) -> set[str]:
        """What of it lies where the compose file leaves no room for it: a read-only root would refuse it."""
        room = [*scratch(self.service(name)), *(mount.target for mount in mounts(self.service(name)) if mount.writable)]
        return {path for path in self.written(name) if not any(Path(path).is_relative_to(place) for place in room)}

    def stop(self) -> None:
        """End everything that still runs, the last first."""
        for service in reversed(self._running.values()):
            service.stop()

    def _volume(self, mount: Mount, image_root: Path) -> Path:
        """A volume's folder. As with Docker, an empty one gets what the image has there, its owner and its rights."""
        folder = self.folder / "volumes" / mount.source
        folder.mkdir(parents=True, exist_ok=True)
        if mount.copies and not any(folder.iterdir()):
            subprocess.run(["cp", "-a", f"{image_root}{mount.target}/.", f"{folder}/"], check=True)
        return folder


@contextmanager
def opened(buildah: Buildah, folder: Path) -> Iterator[Office]:
    """An office with a network and secrets, in which nothing runs yet; everything in it has ended afterwards."""
    subnet = ip_network(read()["networks"]["inner"]["ipam"]["config"][0]["subnet"])
    addresses = dict(zip(sorted(read()["services"]), map(str, list(subnet.hosts())[1:]), strict=False))
    shutil.copy(FILE.parent / "make-secrets", folder)
    subprocess.run(["sh", str(folder / "make-secrets")], check=True, capture_output=True)
    words = " ".join(f"{address}/{subnet.prefixlen}" for address in addresses.values())
    script = f"ip link set lo up && for a in {words}; do ip addr add $a dev lo; done && echo up && exec cat"
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-ec", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"up\n"
            office = Office(buildah, folder, holder.pid, addresses)
            try:
                yield office
            finally:
                office.stop()
        finally:
            holder.stdin.close()
            holder.wait(10)
