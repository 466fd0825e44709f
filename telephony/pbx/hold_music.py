"""The music that waiting callers hear: made here, so that nobody has to clear its rights."""

from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path

RATE = 8000
SECONDS_PER_CHORD = 2.5
LEVEL = 3200
"""Peak of one tone; three of them stay well below a voice."""

# A slow descent in C, in Hz. Three tones a chord.
_CHORDS = (
    (261.63, 329.63, 392.00),
    (246.94, 329.63, 392.00),
    (220.00, 261.63, 329.63),
    (196.00, 246.94, 329.63),
    (174.61, 220.00, 261.63),
    (196.00, 261.63, 329.63),
    (174.61, 220.00, 293.66),
    (196.00, 246.94, 293.66),
)


def write_hold_music(folder: Path) -> Path:
    """Put the piece into the folder, unless it is there. It takes about a quarter of a second."""
    path = folder / "callfloor-hold.wav"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        samples = array("h")
        for chord in _CHORDS:
            samples.extend(_chord(chord))
        fresh = path.with_suffix(".part")
        with wave.open(str(fresh), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        fresh.replace(path)
    return path


def _chord(tones: tuple[float, ...]) -> array[int]:
    count = int(RATE * SECONDS_PER_CHORD)
    samples = array("h")
    for n in range(count):
        # Swells and fades, and is silent at both ends: no clicks between chords.
        envelope = math.sin(math.pi * n / count)
        samples.append(int(LEVEL * envelope * sum(math.sin(2 * math.pi * tone * n / RATE) for tone in tones)))
    return samples
