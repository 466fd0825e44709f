"""What integration tests stand on: the packaged Asterisk, settings with free ports, and a bare AMI connection."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.pbx.callers import free_udp_port
from telephony.pbx.image import Image
from telephony.pbx.process import Asterisk
from telephony.pbx.provision import provision
from telephony.settings import Pbx, Settings

StartAsterisk = Callable[..., Awaitable[Asterisk]]


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Settings on top of settings; tables are joined, everything else is replaced."""
    result = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


@pytest.fixture(scope="session")
def image() -> Image:
    """The packaged Asterisk; got now if it is not there."""
    return provision(Pbx(), print)


@pytest.fixture
def pbx_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings for an Asterisk on free ports: two queues, and two phones at fixed addresses.

    Tables given as keyword arguments go on top: ``pbx_settings(pbx={"ivr_limit": 10})``.
    """

    def make(**over: Any) -> Settings:
        rtp = free_udp_port() // 2 * 2 % 50000 + 10000
        base: dict[str, Any] = {
            "pbx": {
                "folder": tmp_path / "pbx",
                "sip_port": free_udp_port(),
                "ws_port": free_tcp_port(),
                "rtp_start": rtp,
                "rtp_end": rtp + 400,
            },
            "ami": {"port": free_tcp_port()},
            "agi": {"port": free_tcp_port()},
            "storage": {"folder": tmp_path, "url": f"sqlite+aiosqlite:///{tmp_path}/callfloor.db"},
            "queues": [
                {"name": "service", "label": {"de": "Kundenservice", "en": "Customer care"}, "wrap_up": "none"},
                {"name": "sales", "label": {"de": "Verkauf", "en": "Sales"}, "wrap_up": "none"},
            ],
            "phones": [
                {"name": name, "contact": f"sip:{name}@127.0.0.1:{free_udp_port()}"} for name in ("phone1", "phone2")
            ],
        }
        return Settings.model_validate(merged(base, over))

    return make


@pytest.fixture
async def start_asterisk(image: Image, pbx_settings: Callable[..., Settings]) -> AsyncIterator[StartAsterisk]:
    """Starts an Asterisk of one's own and waits until it is up; takes ``settings``, or what ``pbx_settings`` takes."""
    started: list[Asterisk] = []

    async def start(settings: Settings | None = None, **over: Any) -> Asterisk:
        asterisk = Asterisk(settings or pbx_settings(**over), image)
        started.append(asterisk)
        await asterisk.start()
        await asterisk.wait_booted()
        return asterisk

    yield start
    for asterisk in started:
        await asterisk.stop()
        shutil.rmtree(asterisk.folders.run, ignore_errors=True)


@pytest.fixture
async def pbx(start_asterisk: StartAsterisk) -> Asterisk:
    """A running Asterisk with the settings of ``pbx_settings()``."""
    return await start_asterisk()


def phone_port(settings: Settings, name: str) -> int:
    """The port a phone of ``pbx_settings`` must listen on."""
    contact = next(phone.contact for phone in settings.phones if phone.name == name)
    assert contact is not None
    return int(contact.rpartition(":")[2])


class RawAmi:
    """A bare AMI connection: what Asterisk itself says, not what our client makes of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.events: list[dict[str, list[str]]] = []
        self._next = 0

    async def action(self, name: str, deadline: float = 5.0, **headers: str) -> dict[str, list[str]]:
        """Send an action; gives its response."""
        self._next += 1
        lines = [f"Action: {name}", f"ActionID: t{self._next}", *(f"{key}: {value}" for key, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(deadline):
            while True:
                message = await self._read()
                if "response" in message and message.get("actionid") == [f"t{self._next}"]:
                    return message
                self.events.append(message)

    async def event(self, name: str, deadline: float = 15.0, **headers: str) -> dict[str, list[str]]:
        """The first event of that name with those header values, of the past or to come; it is given only once."""
        wanted = {"event": name, **{key.lower(): value for key, value in headers.items()}}

        def fits(message: dict[str, list[str]]) -> bool:
            return all(value in message.get(key, []) for key, value in wanted.items())

        for message in self.events:
            if fits(message):
                self.events.remove(message)
                return message
        async with asyncio.timeout(deadline):
            while True:
                message = await self._read()
                if fits(message):
                    return message
                self.events.append(message)

    async def _read(self) -> dict[str, list[str]]:
        message: dict[str, list[str]] = {}
        while line := (await self.reader.readline()).decode(errors="surrogateescape").rstrip("\r\n"):
            key, _, value = line.partition(": ")
            message.setdefault(key.rstrip(":").lower(), []).append(value)
        if not message and self.reader.at_eof():
            raise ConnectionError("Asterisk has closed the AMI connection")
        return message


@pytest.fixture
async def raw_ami() -> AsyncIterator[Callable[[Asterisk], Awaitable[RawAmi]]]:
    """Logs in to an Asterisk's AMI as Callfloor does."""
    writers: list[asyncio.StreamWriter] = []

    async def connect(asterisk: Asterisk) -> RawAmi:
        reader, writer = await asyncio.open_connection("127.0.0.1", asterisk.settings.ami.port, limit=1 << 20)
        writers.append(writer)
        assert (await reader.readline()).startswith(b"Asterisk Call Manager/")
        ami = RawAmi(reader, writer)
        said = await ami.action("Login", Username=asterisk.settings.ami.username, Secret=asterisk.secrets.ami)
        assert said["response"] == ["Success"]
        return ami

    yield connect
    for writer in writers:
        writer.close()
