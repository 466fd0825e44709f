"""A caller's position as one channel variable, and back.

It holds nothing that was collected ``secure``, no number of a phone and no name. Whatever comes back is checked: from
another flow, cut off, or altered, it is as if there were none, and the caller begins anew.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as model

from ivr_flows.ports import CallFacts, Level, Recognition
from ivr_flows.schema import MAX_NODES, Flow
from ivr_flows.state import State
from ivr_flows.walk import MAX_VALUE

MAX_CHARACTERS = 900
"""More than this does not fit the AGI arguments and the dialplan's lines with ease."""
MAX_UNPACKED = 8192
_FORMAT = "2"
_DIGEST = 16

_Count = Annotated[int, Field(ge=0, le=1000)]
_Number = Annotated[int, Field(ge=0, lt=MAX_NODES)]
"""Of a node, in the order of the flow."""
_Word = Annotated[str, Field(max_length=64)]


@model(frozen=True, config=ConfigDict(extra="forbid", strict=True), kw_only=True)
class _Saved:
    flow: str
    node: _Number
    language: _Word
    tries: _Count = 0
    silences: _Count = 0
    wrong: bool = False
    who: tuple[_Word, _Word, _Word, _Word] | None = None
    """certainty, reason, customer, language"""
    level: Level = "none"
    sources: dict[_Word, _Number] = field(default_factory=dict)
    values: dict[_Word, Annotated[str, Field(max_length=MAX_VALUE)] | int | bool] = field(default_factory=dict)
    visits: dict[_Number, _Count] = field(default_factory=dict)
    path: tuple[_Number, ...] = ()
    steps: _Count = 0


_SAVED = TypeAdapter(_Saved)


def checkpoint(flow: Flow, state: State) -> str:
    """The position as ``[A-Za-z0-9_=.-]``, at most ``MAX_CHARACTERS``; empty when there is none to keep.

    Where it would not fit, the beginning of the path is left out, never what decides how the flow goes on.
    """
    # What was collected secure is lost with the server: its caller begins again where it was asked.
    node = state.anchor or state.node
    if node not in flow.nodes:
        return ""
    again = node == state.node
    number = {node: index for index, node in enumerate(flow.order)}
    known = state.recognition
    fixed = {
        "flow": flow.fingerprint,
        "node": number[node],
        "language": state.language,
        "tries": state.tries if again else 0,
        "silences": state.silences if again else 0,
        "wrong": state.wrong and again,
        "who": None
        if known is None
        else [part[:64] for part in (known.certainty, known.reason, known.customer, known.language)],
        "level": state.level,
        "sources": {name: number[source] for name, source in state.sources.items()},
        "values": dict(state.values),
        "visits": {number[node]: count for node, count in state.visits.items()},
        "steps": state.steps,
    }
    path = [number[node] for node in state.path]
    while len(text := _pack({**fixed, "path": path})) > MAX_CHARACTERS:
        if not path:
            return ""
        path = path[len(path) // 2 + 1 :]
    return text


def resume(flow: Flow, text: str, facts: CallFacts) -> State | None:
    """The state that was kept, for ``engine.again`` or ``engine.come_back``; none when the text is no good."""
    saved = _unpack(text)
    if saved is None or saved.flow != flow.fingerprint:
        return None
    indices = (saved.node, *saved.path, *saved.sources.values(), *saved.visits)
    if max(indices) >= len(flow.order) or saved.language not in flow.document.languages:
        return None
    return State(
        facts=facts,
        language=saved.language,
        node=flow.order[saved.node],
        tries=saved.tries,
        silences=saved.silences,
        wrong=saved.wrong,
        recognition=_recognition(saved),
        level=saved.level,
        sources={name: flow.order[index] for name, index in saved.sources.items()},
        values=saved.values,
        visits={flow.order[index]: count for index, count in saved.visits.items()},
        path=tuple(flow.order[index] for index in saved.path),
        steps=min(saved.steps, flow.document.step_limit),
    )


def fingerprint_of(text: str) -> str:
    """The fingerprint of the flow a checkpoint belongs to; empty when the text is no good."""
    saved = _unpack(text)
    return saved.flow if saved is not None else ""


def _recognition(saved: _Saved) -> Recognition | None:
    if saved.who is None:
        return None
    certainty, reason, customer, language = saved.who
    return Recognition(certainty=certainty, reason=reason, customer=customer, language=language)


def _pack(data: Mapping[str, object]) -> str:
    packed = zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9)
    body = base64.urlsafe_b64encode(packed).decode()
    return f"{_FORMAT}.{body}.{_digest(body)}"


def _unpack(text: str) -> _Saved | None:
    parts = text.split(".")
    if len(text) > MAX_CHARACTERS or len(parts) != 3 or parts[0] != _FORMAT or parts[2] != _digest(parts[1]):
        return None
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.urlsafe_b64decode(parts[1]), MAX_UNPACKED)
        if not unpacker.eof:
            return None
        return _SAVED.validate_json(data)
    except (binascii.Error, ValueError, zlib.error, ValidationError):
        return None


def _digest(body: str) -> str:
    """Against accidents. Asterisk keeps the variable; a caller has no way to write it."""
    return hashlib.sha256(f"{_FORMAT}.{body}".encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
