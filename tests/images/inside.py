"""What a test does inside the office's network: ``python inside.py get|ami|call …``; prints JSON."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from telephony.pbx.callers import call
from telephony.pbx.provision import provision
from telephony.settings import Pbx, Settings


def get(url: str) -> dict[str, object]:
    """The answer to a GET."""
    try:
        with urlopen(url, timeout=10) as answer:
            return {"status": answer.status, "text": answer.read().decode()}
    except HTTPError as refused:
        return {"status": refused.code, "text": refused.read().decode()}


def ami(host: str, secret_file: str) -> dict[str, object]:
    """Whether AMI lets us in with the right password."""
    secret = Path(secret_file).read_text().strip()
    login = f"Action: Login\r\nUsername: callfloor\r\nSecret: {secret}\r\nEvents: off\r\n\r\n"
    with socket.create_connection((host, 5038), timeout=10) as link, link.makefile("rwb") as lines:
        banner = lines.readline().decode().strip()
        lines.write(login.encode())
        lines.flush()
        return {"banner": banner, "response": lines.readline().decode().strip()}


def dial(number: str, seconds: str) -> dict[str, object]:
    """Call in from the trunk, listen for so long, hang up."""
    pbx = Pbx(bind="127.0.0.1")
    ended = asyncio.run(
        call(
            Settings(pbx=pbx),
            provision(pbx, lambda _: None),
            dial="4930100",
            number=number,
            hang_up_after=float(seconds),
            deadline=60,
        )
    )
    return {"status": ended.status, "ended_by": ended.ended_by, "seconds": ended.seconds}


if __name__ == "__main__":
    print(json.dumps({"get": get, "ami": ami, "call": dial}[sys.argv[1]](*sys.argv[2:])))
