"""The command as people run it, and a manager interface that says whatever it is told to."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from telephony import cli


@dataclass
class Said:
    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of a mistake: status 2, nothing else on standard error, no traceback."""
        assert self.status == 2, (self.status, self.out, self.err)
        (line,) = self.err.splitlines()
        assert line.startswith("callfloor: ")
        return line


Callfloor = Callable[..., Said]


@pytest.fixture
def callfloor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callfloor]:
    """Runs ``callfloor`` with these arguments in an empty folder; keywords are variables without their prefix."""
    monkeypatch.chdir(tmp_path)
    before = logging.root.handlers[:]

    def run(*arguments: str, **variables: object) -> Said:
        structlog.reset_defaults()
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["callfloor", *arguments])
            patch.setenv("CALLFLOOR_LOG__LEVEL", "error")
            for name, value in variables.items():
                patch.setenv(f"CALLFLOOR_{name.upper()}", str(value))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    yield run
    structlog.reset_defaults()
    logging.root.handlers[:] = before


@dataclass
class Manager:
    port: int


@pytest.fixture
def manager() -> Iterator[Callable[[str, str], Manager]]:
    """Starts a manager interface with a banner and one answer to everything."""
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(server: socket.socket, banner: str, answer: str) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    connection.sendall(f"{banner}\r\n".encode())
                    data = b""
                    while b"\r\n\r\n" not in data and (more := connection.recv(4096)):
                        data += more
                    fields = dict(line.split(": ", 1) for line in data.decode().split("\r\n") if ": " in line)
                    connection.sendall(answer.format(id=fields.get("ActionID", "")).encode())
                    connection.recv(4096)
                except OSError:
                    continue

    def start(banner: str, answer: str) -> Manager:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        thread = threading.Thread(target=serve, args=(server, banner, answer), daemon=True)
        threads.append(thread)
        thread.start()
        return Manager(server.getsockname()[1])

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(10)
