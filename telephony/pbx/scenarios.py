"""SIPp scenarios for callers and phones, made by code. Pure: values in, XML out.

Every value is checked against the signs it may consist of before it goes into a message: square brackets are
keywords to SIPp, line ends are headers to SIP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import quoteattr

from telephony.pbx.errors import CallError

Withheld = Literal["", "anonymous", "privacy"]
"""How a caller hides: not at all; by an anonymous From alone; or by ``Privacy: id`` with the number in PAI."""
DtmfWay = Literal["rtp", "info"]

INFO_GAP = 0.12
"""Seconds between two digits sent by SIP INFO."""
RTP_LEAD = 0.85
"""Seconds between SIPp's order to play digits in RTP and the first of them: it sends something else before."""
RTP_DIGIT = 0.4
"""Seconds SIPp needs for one digit in RTP, tone and gap. A new order ends the one before."""

# Every final refusal that Asterisk gives: SIPp wants each one named.
REFUSALS = (
    400,
    401,
    403,
    404,
    408,
    410,
    415,
    420,
    480,
    481,
    482,
    484,
    486,
    487,
    488,
    500,
    501,
    502,
    503,
    504,
    600,
    603,
)

_REASONS = {180: "Ringing", 200: "OK", 480: "Temporarily Unavailable", 486: "Busy Here", 603: "Decline"}
_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_HERE = "[local_ip]:[local_port]"
_THERE = "[remote_ip]:[remote_port]"


@dataclass(frozen=True)
class Keys:
    """Digits a caller presses."""

    after: float
    """Seconds after the call was answered, or after the keys before."""
    digits: str


@dataclass(frozen=True)
class CallerScript:
    """What a caller does. Times in seconds."""

    dial: str
    number: str | None
    """None: not even the network knows it."""
    name: str = ""
    withheld: Withheld = ""
    headers: Sequence[str] = ()
    keys: Sequence[Keys] = ()
    hang_up_after: float | None = None
    """Seconds after the answer and the last keys; none: stay until the other end hangs up."""


@dataclass(frozen=True)
class PhoneScript:
    """What a phone does with every call it gets. Times in seconds."""

    answer_after: float | None = 0.0
    """None: let it ring until the other end gives up."""
    reject: int | None = None
    """Refuse with this status, such as 486."""
    talk: float | None = None
    """Hang up after this; none: stay until the other end does."""
    transfer_to: str | None = None
    """After ``talk``, do not hang up but transfer the other end, blind, to this extension."""


def caller(script: CallerScript, dtmf: DtmfWay, audio: str | None = None) -> str:
    """The scenario of one call. ``audio``: a file of A-law samples that the caller "says" over and over."""
    who = _from(script)
    bye_sequence = 2 + (sum(len(keys.digits) for keys in script.keys) if dtmf == "info" else 0)
    steps = [_invite(script, who, "[rtpstream_audio_port]" if audio else "[media_port]"), _receive(100, optional=True)]
    steps += [_receive(status, f"progress {status}", optional=True) for status in (180, 183)]
    steps += [_receive(status, f"refused {status}", optional=True, then="refused") for status in REFUSALS]
    steps += [_receive(200, "answered", record_route=True), _in_dialog("ACK", 1, who)]
    if audio is not None:
        steps.append(f"<nop><action><exec rtp_stream={quoteattr(f'{audio},-1,8,PCMA/8000')}/></action></nop>")
    sequence = 2
    for number, keys in enumerate(script.keys):
        digits = _digits(keys.digits)
        steps += _wait(keys.after, f"keys-{number}")
        if dtmf == "rtp":
            steps.append(f'<nop><action><exec play_dtmf="{digits}"/></action></nop>')
            steps += _wait(RTP_LEAD + len(digits) * RTP_DIGIT, f"played-{number}")
            continue
        for place, digit in enumerate(digits):
            steps += [_info(digit, sequence, who), _receive(200), *_wait(INFO_GAP, f"gap-{number}-{place}")]
            sequence += 1
    steps += _ending(script.hang_up_after, _in_dialog("BYE", bye_sequence, who))
    steps += ['<label id="refused"/>', _acknowledge_refusal(script, who), *_END]
    return _scenario(steps)


def phone(script: PhoneScript) -> str:
    """The scenario of every call to one phone."""
    # Requests of the phone's own have the INVITE's two ends swapped: they are kept in variables.
    keep = _extract("From:", "peer") + _extract("To:", "self") + _extract("CSeq:", "sequence", "[0-9]+")
    steps = [
        f'<recv request="INVITE" rrs="true"><action>{keep}{_log_call("rang")}</action></recv>',
        # SIPp refuses scenarios with a variable that is set and not used.
        '<Reference variables="peer,self,sequence"/>',
    ]
    if script.reject is not None:
        if script.reject not in REFUSALS:
            raise CallError(f"a phone cannot refuse a call with status {script.reject}")
        return _scenario([*steps, _answer(script.reject), '<recv request="ACK"/>', *_END])
    steps.append(_answer(180))
    patience = "" if script.answer_after is None else f' timeout="{_ms(script.answer_after)}" ontimeout="answer"'
    steps += [
        f'<recv request="CANCEL" next="cancelled"{patience}><action>{_log_call("cancelled")}</action></recv>',
        '<label id="answer"/>',
        _answer(200, _sdp("[media_port]")),
        f'<recv request="ACK"><action>{_log_call("answered")}</action></recv>',
    ]
    if script.transfer_to is not None:
        steps += _wait(script.talk or 0.0, "transfer")
        steps += _transfer(script.transfer_to)
    steps += _ending(None if script.transfer_to else script.talk, _of_phone("BYE", 20))
    steps += ['<label id="cancelled"/>', _reply(), _cancelled_invite(), '<recv request="ACK"/>', *_END]
    return _scenario(steps)


# ---- Parts of a scenario ----

_END = ['<label id="end"/>', "<nop/>"]


def _scenario(steps: Sequence[str]) -> str:
    body = "\n".join(steps)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="callfloor">\n{body}\n</scenario>\n'


def _send(lines: Sequence[str], body: str = "", then: str = "") -> str:
    reliable = lines[0].startswith(("INVITE", "BYE", "INFO", "REFER", "SIP/2.0 2", "SIP/2.0 4", "SIP/2.0 6"))
    kind = ["Content-Type: application/sdp"] if body.startswith("v=0") else []
    message = "\n".join([*lines, *kind, "Content-Length: [len]", "", *body.splitlines()])
    attributes = (' retrans="500"' if reliable and lines[0] != _OK_LINE else "") + (f' next="{then}"' if then else "")
    return f"<send{attributes}><![CDATA[\n\n{message}\n\n]]></send>"


_OK_LINE = "SIP/2.0 200 OK"


def _receive(status: int, log: str = "", *, optional: bool = False, then: str = "", record_route: bool = False) -> str:
    attributes = ' optional="true"' if optional else ""
    attributes += f' next="{then}"' if then else ""
    attributes += ' rrs="true"' if record_route else ""
    return f'<recv response="{status}"{attributes}>{f"<action>{_log_call(log)}</action>" if log else ""}</recv>'


def _log_call(event: str) -> str:
    return f'<log message="{event} [call_id] [timestamp]"/>'


def _extract(header: str, variable: str, expression: str = ".*") -> str:
    return f'<ereg regexp={quoteattr(expression)} search_in="hdr" header="{header}" assign_to="{variable}"/>'


def _wait(seconds: float, label: str) -> list[str]:
    """A pause that is not deaf: a BYE in between ends the call in good order."""
    heard = f"<action>{_log_call('far-end-hung-up')}</action>"
    return [
        f'<recv request="BYE" timeout="{_ms(seconds)}" ontimeout="{label}" next="far-end-hung-up">{heard}</recv>',
        f'<label id="{label}"/>',
    ]


def _ending(after: float | None, bye: str) -> list[str]:
    """Hang up after some time, unless the other end does so before."""
    if after is None:
        steps = [f'<recv request="BYE" next="far-end-hung-up"><action>{_log_call("far-end-hung-up")}</action></recv>']
    else:
        steps = _wait(after, "hang-up")
    return [
        *steps,
        f"<nop><action>{_log_call('hung-up')}</action></nop>",
        bye,
        '<recv response="481" optional="true" next="end"/>',
        '<recv response="200" next="end"/>',
        '<label id="far-end-hung-up"/>',
        _reply(then="end"),
    ]


def _invite(script: CallerScript, who: str, port: str) -> str:
    extra = [_header(header) for header in script.headers]
    if script.withheld == "privacy":
        extra += [f"P-Asserted-Identity: <sip:{_number(script.number or '')}@[local_ip]>", "Privacy: id"]
    to = f"sip:{_number(script.dial)}@{_THERE}"
    head = [f"INVITE {to} SIP/2.0", _VIA, who, f"To: <{to}>", "Call-ID: [call_id]", "CSeq: 1 INVITE"]
    return _send(
        [*head, f"Contact: <sip:caller@{_HERE}>", "Max-Forwards: 70", "Allow: ACK, BYE, INFO", *extra], _sdp(port)
    )


def _in_dialog(method: str, sequence: int, who: str, *extra: str, body: str = "") -> str:
    head = [f"{method} [next_url] SIP/2.0", _VIA, "[routes]", who, "[last_To:]", "Call-ID: [call_id]"]
    return _send([*head, f"CSeq: {sequence} {method}", "Max-Forwards: 70", *extra], body)


def _info(digit: str, sequence: int, who: str) -> str:
    body = f"Signal={digit}\nDuration=160\n"
    return _in_dialog("INFO", sequence, who, "Content-Type: application/dtmf-relay", body=body)


def _acknowledge_refusal(script: CallerScript, who: str) -> str:
    # The ACK of a refusal belongs to the INVITE's transaction: same branch, and so the same Via.
    to = f"sip:{_number(script.dial)}@{_THERE}"
    head = [f"ACK {to} SIP/2.0", "[last_Via:]", who, "[last_To:]", "Call-ID: [call_id]", "CSeq: 1 ACK"]
    return _send([*head, "Max-Forwards: 70"])


def _answer(status: int, body: str = "") -> str:
    """The phone's answer to the INVITE, which is the last message it has got."""
    head = [
        f"SIP/2.0 {status} {_REASONS.get(status, 'Refused')}",
        "[last_Via:]",
        "[last_Record-Route:]",
        "[last_From:]",
    ]
    tail = ["[last_To:];tag=[pid]-[call_number]", "[last_Call-ID:]", "[last_CSeq:]", f"Contact: <sip:{_HERE}>"]
    text = _send([*head, *tail], body)
    return text.replace("<send>", '<send retrans="500">', 1) if status == 200 else text


def _cancelled_invite() -> str:
    # Via and Call-ID of the CANCEL are the INVITE's; only the CSeq names the other method.
    head = ["SIP/2.0 487 Request Terminated", "[last_Via:]", "From:[$peer]", "To:[$self];tag=[pid]-[call_number]"]
    return _send([*head, "[last_Call-ID:]", "CSeq: [$sequence] INVITE"])


def _reply(then: str = "") -> str:
    return _send([_OK_LINE, "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"], then=then)


def _of_phone(method: str, sequence: int, *extra: str) -> str:
    ends = ["From:[$self];tag=[pid]-[call_number]", "To:[$peer]"]
    head = [f"{method} [next_url] SIP/2.0", _VIA, "[routes]", *ends, "Call-ID: [call_id]", f"CSeq: {sequence} {method}"]
    return _send([*head, f"Contact: <sip:{_HERE}>", "Max-Forwards: 70", *extra])


def _transfer(extension: str) -> list[str]:
    # A phone's SIPp knows no remote host of its own; Asterisk looks at the user part alone.
    # Refer-Sub: without it, NOTIFYs come in while SIPp is sending, which it takes for an error.
    return [
        _of_phone("REFER", 10, f"Refer-To: <sip:{_number(extension)}@[local_ip]>", "Refer-Sub: false"),
        _receive(200, "transferred"),  # 202 is said only with a subscription
    ]


def _sdp(port: str) -> str:
    # 96 is the payload type that SIPp's play_dtmf sends.
    return "\n".join(
        (
            "v=0",
            "o=- 1 1 IN IP[media_ip_type] [media_ip]",
            "s=-",
            "c=IN IP[media_ip_type] [media_ip]",
            "t=0 0",
            f"m=audio {port} RTP/AVP 8 0 96",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:96 telephone-event/8000",
            "a=fmtp:96 0-15",
            "a=ptime:20",
            "a=sendrecv",
        )
    )


# ---- Values ----


def _from(script: CallerScript) -> str:
    if script.withheld or script.number is None:
        return 'From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=[pid]-[call_number]'
    if any(sign in script.name for sign in "[]") or not script.name.isprintable():
        raise CallError("a caller's name cannot have square brackets or control characters")
    name = script.name.replace("\\", "\\\\").replace('"', '\\"')
    shown = f'"{name}" ' if name else ""
    return f"From: {shown}<sip:{_number(script.number)}@{_HERE}>;tag=[pid]-[call_number]"


def _number(text: str) -> str:
    # A percent sign is let through: tests send what hostile callers send.
    if not re.fullmatch(r"[A-Za-z0-9+*#._%-]{1,200}", text):
        raise CallError(f"not a number or name that can be dialled: {text[:40]!r}")
    return text


def _digits(text: str) -> str:
    if not re.fullmatch(r"[0-9*#A-D]{1,64}", text):
        raise CallError(f"not digits that a phone can send: {text[:40]!r}")
    return text


def _header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z-]+: [^\[\]\r\n<>]*", text):
        raise CallError(f"not a header that can be sent: {text[:40]!r}")
    return text


def _ms(seconds: float) -> int:
    # SIPp takes 0 for "no time-out".
    return max(1, round(seconds * 1000))
