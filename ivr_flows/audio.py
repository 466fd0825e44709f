"""WAV of a speech synthesiser into the one WAV that Asterisk plays: 8 kHz, 16 bit, mono.

In plain Python, because it runs ahead of the calls, and nothing that resamples is in the standard library.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Sequence
from functools import lru_cache
from operator import mul

RATE = 8000
"""Samples a second in Asterisk's ``.wav`` (format_wav.c)."""
MAX_SECONDS = 120
"""Longest prompt."""
_ZERO_CROSSINGS = 16
"""Half the filter's width; with this the aliases are some 70 dB down."""
_PASS = 0.94
"""Where the filter begins to close, as part of half the lower rate."""


class AudioError(Exception):
    """Bytes that are not the WAV we can use."""


def to_telephone(wav: bytes) -> bytes:
    """Any 16-bit mono WAV as 8 kHz WAV. Raises ``AudioError``."""
    rate, samples = _parse(wav)
    return _wav(resample(samples, rate))


def resample(samples: Sequence[int], rate: int) -> array[int]:
    """Samples at ``rate`` as samples at ``RATE``, by a windowed sinc, one filter per phase."""
    if rate == RATE:
        return array("h", samples)
    divisor = math.gcd(rate, RATE)
    up, down = RATE // divisor, rate // divisor
    filters, reach = _filters(up, down)
    padded = array("d", bytes(8 * reach)) + array("d", samples) + array("d", bytes(8 * (reach + 1)))
    taps = 2 * reach
    made = array("h")
    for index in range(len(samples) * up // down):
        whole, phase = divmod(index * down, up)
        value = sum(map(mul, filters[phase], padded[whole + 1 : whole + 1 + taps]))
        made.append(max(-32768, min(32767, round(value))))
    return made


@lru_cache(maxsize=8)
def _filters(up: int, down: int) -> tuple[tuple[array[float], ...], int]:
    """One filter for each of ``up`` phases, and how many input samples it reaches to either side."""
    cut = _PASS * min(1.0, up / down)
    reach = math.ceil(_ZERO_CROSSINGS / cut)
    found = []
    for phase in range(up):
        offset = phase / up
        taps = [_tap(index - reach + 1 - offset, cut, reach) for index in range(2 * reach)]
        total = sum(taps)
        found.append(array("d", (tap / total for tap in taps)))
    return tuple(found), reach


def _tap(distance: float, cut: float, reach: int) -> float:
    if abs(distance) >= reach:
        return 0.0
    sinc = 1.0 if distance == 0 else math.sin(math.pi * cut * distance) / (math.pi * cut * distance)
    turn = math.pi * distance / reach
    return sinc * (0.42 + 0.5 * math.cos(turn) + 0.08 * math.cos(2 * turn))


def _parse(wav: bytes) -> tuple[int, array[int]]:
    """Rate and samples. Sizes in the header may be too big: a synthesiser that streams does not know them."""
    if wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
        raise AudioError("is no WAV")
    rate, at = 0, 12
    while at + 8 <= len(wav):
        kind, size = wav[at : at + 4], int.from_bytes(wav[at + 4 : at + 8], "little")
        body = wav[at + 8 : at + 8 + size]
        if kind == b"fmt " and len(body) >= 16:
            form, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if (form, channels, bits) != (1, 1, 16) or not 4000 <= rate <= 192_000:
                raise AudioError("is no WAV with 16 bit and one channel")
        elif kind == b"data":
            if not rate:
                break
            if len(body) > MAX_SECONDS * rate * 2:
                raise AudioError(f"is longer than {MAX_SECONDS} s")
            samples = array("h", body[: len(body) // 2 * 2])
            if sys.byteorder == "big":
                samples.byteswap()
            if not samples:
                break
            return rate, samples
        at += 8 + size + size % 2
    raise AudioError("holds no sound")


def _wav(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    body = samples.tobytes()
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 2, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(body))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + (struct.pack("<I", len(body)) + body)
    )
