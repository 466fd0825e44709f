"""A SIP phone on a string: it does what the recorder says, when the recorder says so.

Just enough SIP for recordings on loopback: no audio, no retransmissions of its own, one transport. SIPp plays the
callers; it cannot play somebody who talks to two people and then joins them.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
from dataclasses import dataclass, field
from urllib.parse import quote

Headers = dict[str, list[str]]

DEADLINE = 10.0
_OK = {"BYE": "200 OK", "UPDATE": "200 OK", "NOTIFY": "200 OK", "OPTIONS": "200 OK", "INFO": "200 OK"}
_counter = itertools.count(1)


def _sdp(port: int, direction: str) -> str:
    lines = ["v=0", f"o=- 1 {next(_counter)} IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP 8", "a=rtpmap:8 PCMA/8000", f"a={direction}"]
    return "\r\n".join([*lines, ""])


def _parse(data: bytes) -> tuple[str, Headers]:
    head, *lines = data.partition(b"\r\n\r\n")[0].decode(errors="replace").split("\r\n")
    headers: Headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return head, headers


def _tag(value: str) -> str:
    found = re.search(r";tag=([^;>]+)", value)
    return found[1] if found else ""


@dataclass
class Call:
    """One dialogue of a phone, in either direction."""

    phone: SipPhone
    call_id: str
    here: str
    """Our end, as it stands in From or To."""
    there: str
    target: str
    """Where requests go: the other end's Contact."""
    invite: Headers = field(default_factory=dict)
    sequence: int = 10
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    last: str = ""

    async def answer(self) -> None:
        self.phone.reply(self.invite, "200 OK", self.here, _sdp(self.phone.port + 1, "sendrecv"))
        self.last = "200 OK"
        await self.until(self.answered)

    def reject(self, status: str) -> None:
        self.last = status
        self.phone.reply(self.invite, status, self.here)

    async def until(self, event: asyncio.Event) -> None:
        async with asyncio.timeout(DEADLINE):
            await event.wait()

    async def hold(self) -> None:
        await self._expect("INVITE", _sdp(self.phone.port + 1, "sendonly"))

    async def resume(self) -> None:
        await self._expect("INVITE", _sdp(self.phone.port + 1, "sendrecv"))

    async def keys(self, digits: str) -> None:
        for digit in digits:
            await self._expect("INFO", f"Signal={digit}\r\nDuration=160\r\n", "Content-Type: application/dtmf-relay")

    async def refer(self, extension: str, replaces: Call | None = None) -> None:
        """Transfer the other end: blind, or to the far end of another call of ours."""
        target = f"sip:{extension}@127.0.0.1:{self.phone.server_port}"
        if replaces is not None:
            named = f"{replaces.call_id};to-tag={_tag(replaces.there)};from-tag={_tag(replaces.here)}"
            target += f"?Replaces={quote(named, safe='')}"
        await self._expect("REFER", "", f"Refer-To: <{target}>", f"Referred-By: <{self.phone.uri}>")

    async def hang_up(self) -> None:
        await self._expect("BYE", "")
        self.ended.set()

    async def _expect(self, method: str, body: str, *extra: str) -> None:
        status, _ = await self.phone.request(self, method, body, *extra)
        if not status.startswith("2"):
            raise RuntimeError(f"{method}: {status}")


class SipPhone(asyncio.DatagramProtocol):
    """A phone at a fixed address, registered nowhere."""

    def __init__(self, name: str, password: str, port: int, server_port: int) -> None:
        self.name, self.password, self.port, self.server_port = name, password, port, server_port
        self.uri = f"sip:{name}@127.0.0.1:{port}"
        self.calls: dict[str, Call] = {}
        self._ringing: asyncio.Queue[Call] = asyncio.Queue()
        self._waiting: dict[tuple[str, str], asyncio.Future[tuple[str, Headers]]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", self.port))

    def stop(self) -> None:
        assert self._transport is not None
        self._transport.close()

    async def rung(self) -> Call:
        """The next call that comes in."""
        async with asyncio.timeout(DEADLINE):
            return await self._ringing.get()

    async def dial(self, extension: str) -> Call:
        """Call; returns when the other end has answered."""
        here = f"<sip:{self.name}@127.0.0.1>;tag=h{next(_counter)}"
        target = f"sip:{extension}@127.0.0.1:{self.server_port}"
        call = self.calls[call_id] = Call(
            self, (call_id := f"{self.name}-{next(_counter)}@recorder"), here, f"<{target}>", target
        )
        status, headers = await self.request(call, "INVITE", _sdp(self.port + 1, "sendrecv"))
        if not status.startswith("200"):
            raise RuntimeError(f"INVITE {extension}: {status}")
        call.there = headers["to"][0]
        call.answered.set()
        return call

    def forget(self) -> None:
        """Calls that nobody has asked for are left alone."""
        self._ringing = asyncio.Queue()

    # --- out ----------------------------------------------------------------------------------------------------

    async def request(self, call: Call, method: str, body: str, *extra: str) -> tuple[str, Headers]:
        """A request within (or opening) a call, and its final answer; answers a challenge, and acknowledges."""
        authorization: tuple[str, ...] = ()
        while True:
            call.sequence += 1
            key = (call.call_id, f"{call.sequence} {method}")
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
            target, branch = call.target, f"z9hG4bK{next(_counter)}{self.name}"
            self._send_request(call, method, target, branch, body, *extra, *authorization)
            async with asyncio.timeout(DEADLINE):
                status, headers = await waiting
            del self._waiting[key]
            if method == "INVITE":
                if status.startswith("2"):
                    call.target = target = _contact(headers) or call.target
                    branch = f"z9hG4bK{next(_counter)}{self.name}"
                # The ACK of a refusal belongs to the INVITE's transaction, that of an acceptance is one of its own.
                self._send_request(call, "ACK", target, branch, "", there=headers["to"][0])
            challenge = headers.get("www-authenticate")
            if challenge is None or authorization:
                return status, headers
            authorization = (self._authorize(challenge[0], method, target),)

    def _send_request(
        self, call: Call, method: str, target: str, branch: str, body: str, *extra: str, there: str = ""
    ) -> None:
        kind = [] if not body.startswith("v=0") else ["Content-Type: application/sdp"]
        self._send(
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch={branch}",
            f"From: {call.here}",
            f"To: {there or call.there}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {call.sequence} {method}",
            f"Contact: <{self.uri}>",
            "Max-Forwards: 70",
            *extra,
            *kind,
            body=body,
        )

    def _authorize(self, challenge: str, method: str, target: str) -> str:
        part = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
        realm, nonce = part["realm"], part["nonce"]

        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        proof = f"{nonce}:00000001:c0ffee:auth:" if "qop" in part else f"{nonce}:"
        answer = md5(f"{md5(f'{self.name}:{realm}:{self.password}')}:{proof}{md5(f'{method}:{target}')}")
        opaque = f', opaque="{part["opaque"]}"' if "opaque" in part else ""
        qop = ', qop=auth, nc=00000001, cnonce="c0ffee"' if "qop" in part else ""
        return (
            f'Authorization: Digest username="{self.name}", realm="{realm}", nonce="{nonce}", uri="{target}", '
            f'response="{answer}", algorithm=MD5{opaque}{qop}'
        )

    def reply(self, request: Headers, status: str, to: str = "", body: str = "") -> None:
        kind = ["Content-Type: application/sdp"] if body else []
        self._send(
            f"SIP/2.0 {status}",
            *(f"Via: {via}" for via in request["via"]),
            *(f"Record-Route: {route}" for route in request.get("record-route", [])),
            f"From: {request['from'][0]}",
            f"To: {to or request['to'][0]}",
            f"Call-ID: {request['call-id'][0]}",
            f"CSeq: {request['cseq'][0]}",
            f"Contact: <{self.uri}>",
            *kind,
            body=body,
        )

    def _send(self, *lines: str, body: str = "") -> None:
        assert self._transport is not None
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(text.encode(), ("127.0.0.1", self.server_port))

    # --- in -----------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, _: object) -> None:
        head, headers = _parse(data)
        if head.startswith("SIP/2.0 "):
            status = head.removeprefix("SIP/2.0 ")
            waiting = self._waiting.get((headers["call-id"][0], headers["cseq"][0]))
            if waiting is not None and not waiting.done() and not status.startswith("1"):
                waiting.set_result((status, headers))
            return
        method, call_id = head.split()[0], headers["call-id"][0]
        call = self.calls.get(call_id)
        if method == "INVITE" and call is None:
            call = Call(self, call_id, f"{headers['to'][0]};tag=h{next(_counter)}", headers["from"][0], "", headers)
            call.target = _contact(headers)
            self.calls[call_id] = call
            self.reply(headers, "180 Ringing", call.here)
            self._ringing.put_nowait(call)
        elif method == "INVITE":
            assert call is not None
            self.reply(
                headers, "200 OK", call.here if not _tag(headers["to"][0]) else "", _sdp(self.port + 1, "sendrecv")
            )
        elif method == "CANCEL" and call is not None:
            self.reply(headers, "200 OK")
            self.reply(call.invite, "487 Request Terminated", call.here)
            call.ended.set()
        elif method == "ACK" and call is not None:
            call.answered.set()
        elif method in _OK:
            self.reply(headers, _OK[method])
            if method == "BYE" and call is not None:
                call.ended.set()


def _contact(headers: Headers) -> str:
    found = re.search(r"<([^>]+)>", headers.get("contact", [""])[0])
    return found[1] if found else ""
