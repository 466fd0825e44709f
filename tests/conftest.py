"""Fixtures that several kinds of test share: databases, SQLite in a file and a real PostgreSQL of our own."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from crm_bridge.database import Database
from telephony.migrations import upgrade

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin")


def _postgres_programs() -> Path | None:
    found = [Path(folder) for place in _PLACES for folder in glob.glob(place)]
    return next((folder for folder in sorted(found, reverse=True) if (folder / "initdb").exists()), None)


def _as_server_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root; as root it runs as nobody."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command] if os.getuid() == 0 else command


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# At home hypothesis looks for new cases each time; what it finds there must not break somebody else's build. A machine
# that is busy is no fault of the code, so nothing is timed.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.fixture(autouse=True)
def logging_of_this_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that sets up logging leaves nothing behind: loggers that keep its output would write to a closed one."""
    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", lambda **how: configure(**{**how, "cache_logger_on_first_use": False}))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A throw-away PostgreSQL cluster on loopback; yields the URL of its server without a database name."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    # Not below pytest's own temporary folder: that one is closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="callfloor-postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    data, port = folder / "data", _free_port()

    def run(*command: str) -> None:
        done = subprocess.run(_as_server_user(list(command)), cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"

    control = [str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "60"]
    started = False
    try:
        run(str(programs / "initdb"), "-D", str(data), "-U", "callfloor", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        started = True
        run(*control, "-l", str(folder / "log"), "-o", options, "start")
        yield f"postgresql+asyncpg://callfloor@127.0.0.1:{port}"
    finally:
        if started:
            run(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def postgres_url(postgres_server: str) -> AsyncIterator[str]:
    """The URL of a new, empty PostgreSQL database."""
    import asyncpg

    name = f"t{uuid.uuid4().hex}"
    admin = await asyncpg.connect(postgres_server.replace("+asyncpg", "") + "/postgres")
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_server}/{name}"
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database: each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/test.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database with this version's tables."""
    opened = Database(database_url, busy_seconds=5)
    await upgrade(opened)
    yield opened
    await opened.close()
