from __future__ import annotations

import asyncio
import io
import math
import os
import shutil
import struct
import wave
from array import array
from pathlib import Path

import pytest

from ivr_flows.audio import AudioError, resample, to_telephone
from ivr_flows.phrases import phrases
from ivr_flows.prompts import Espeak, PromptError, PromptLibrary, RenderError
from ivr_flows.schema import Flow, parse

TEXT = """
callfloor_flow: 1
name: t
languages: [de, en]
default: {queue: service}
constants: {house: Linden}
start: a
nodes:
  a: {type: say, text: {de: "Hallo {{ house }}", en: Hello}, next: b}
  b: {type: collect, text: {de: Nummer, en: Number}, wrong: {de: Falsch, en: Wrong}, into: code}
"""


@pytest.fixture
def flow() -> Flow:
    return parse(TEXT)


def tone(rate: int, hertz: float, seconds: float = 0.5) -> bytes:
    samples = array("h", (int(20000 * math.sin(2 * math.pi * hertz * i / rate)) for i in range(int(rate * seconds))))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


class Synthesiser:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def __call__(self, text: str, language: str) -> bytes:
        self.said.append((text, language))
        await asyncio.sleep(0)
        return tone(22050, 400, 0.05)


def loudness(samples: array[int]) -> float:
    inner = samples[300:-300]
    return math.sqrt(sum(sample * sample for sample in inner) / len(inner)) / (20000 / math.sqrt(2))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_any_rate_becomes_the_telephones(rate: int) -> None:
    with wave.open(io.BytesIO(to_telephone(tone(rate, 1000)))) as made:
        assert (made.getframerate(), made.getsampwidth(), made.getnchannels()) == (8000, 2, 1)
        assert made.getnframes() in (3999, 4000)
        samples = array("h", made.readframes(4000))
    assert loudness(samples) == pytest.approx(1.0, abs=0.01)
    crossings = sum(a < 0 <= b for a, b in zip(samples, samples[1:], strict=False))
    assert crossings == pytest.approx(500, abs=2)


def test_what_the_telephone_cannot_carry_is_not_folded_into_it() -> None:
    for hertz in (5000, 6000, 9000):
        samples = array("h", tone(22050, hertz)[44:])
        assert loudness(resample(samples, 22050)) < 0.001


def test_a_header_with_the_size_of_a_stream_is_understood() -> None:
    plain = tone(22050, 400)
    streamed = plain[:4] + struct.pack("<I", 0x7FFFF024) + plain[8:40] + struct.pack("<I", 0x7FFFF000) + plain[44:]
    assert to_telephone(streamed) == to_telephone(plain)


@pytest.mark.parametrize(
    "wav",
    [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"x" * 100, tone(22050, 400, 0), tone(8000, 400, 121), b"RIFF0000WAVEdata"],
)
def test_what_is_no_sound_is_refused(wav: bytes) -> None:
    with pytest.raises(AudioError):
        to_telephone(wav)


async def test_everything_is_rendered_once_and_found_again(tmp_path: Path, flow: Flow) -> None:
    first = Synthesiser()
    library = PromptLibrary(tmp_path, first, "v1")
    assert await library.prepare(flow) == 6
    assert ("Hallo Linden", "de") in first.said
    for phrase in phrases(flow):
        with wave.open(library.sound(phrase) + ".wav") as made:
            assert made.getframerate() == 8000
    assert not [file for file in os.listdir(tmp_path / "de") if file.startswith(".")]
    second = Synthesiser()
    assert await PromptLibrary(tmp_path, second, "v1").prepare(flow) == 0
    assert await PromptLibrary(tmp_path, second, "v2").prepare(flow) == 6


async def test_one_text_changed_is_one_text_rendered(tmp_path: Path, flow: Flow) -> None:
    await PromptLibrary(tmp_path, Synthesiser(), "v1").prepare(flow)
    again = Synthesiser()
    assert await PromptLibrary(tmp_path, again, "v1").prepare(parse(TEXT.replace("Hello", "Hi"))) == 1
    assert again.said == [("Hi", "en")]


async def test_a_recorded_file_stands_in(tmp_path: Path, flow: Flow) -> None:
    recorded = tmp_path / "recorded"
    for language, file in (("de", "a.gsm"), ("en", "b.wrong.wav")):
        (recorded / language).mkdir(parents=True)
        (recorded / language / file).write_bytes(b"x")
    library = PromptLibrary(tmp_path / "cache", Synthesiser(), "v1", recorded)
    assert await library.prepare(flow) == 4
    sounds = {(phrase.id, phrase.language): library.sound(phrase) for phrase in phrases(flow)}
    assert sounds["a", "de"] == str(recorded / "de" / "a")
    assert sounds["b.wrong", "en"] == str(recorded / "en" / "b.wrong")
    assert sounds["a", "en"].startswith(str(tmp_path / "cache" / "en"))


async def test_without_a_synthesiser_the_prompt_and_the_mend_are_named(tmp_path: Path, flow: Flow) -> None:
    missing = Espeak(command=(str(tmp_path / "no-such-program"),))
    with pytest.raises(PromptError, match=r"^prompt 'a' \(de\): .*/de/a\.wav, or install espeak-ng$") as refused:
        await PromptLibrary(tmp_path, missing, missing.voice, tmp_path / "recorded").prepare(flow)
    assert "cannot be run (No such file or directory)" in str(refused.value)
    with pytest.raises(PromptError, match="nothing can render it"):
        await PromptLibrary(tmp_path, None, "").prepare(flow)


async def test_a_synthesiser_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="false failed"):
        await Espeak(command=("false",))("x", "de")


async def test_a_phrase_that_was_not_prepared_is_an_error(tmp_path: Path, flow: Flow) -> None:
    with pytest.raises(PromptError, match="was not prepared"):
        PromptLibrary(tmp_path, None, "").sound(next(phrases(flow)))


async def test_a_folder_asterisk_could_not_name_is_refused(tmp_path: Path, flow: Flow) -> None:
    with pytest.raises(PromptError, match="Asterisk cannot play from"):
        await PromptLibrary(tmp_path / "a&b", Synthesiser(), "v1").prepare(flow)


async def test_the_digits_are_rendered_where_they_are_spoken(tmp_path: Path) -> None:
    flow = parse(TEXT.replace("de: Nummer", 'de: "{{ code | digits }}"'))
    speaker = Synthesiser()
    assert await PromptLibrary(tmp_path, speaker, "v1").prepare(flow) == 25
    assert ("sieben", "de") in speaker.said


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not on PATH")
async def test_the_real_synthesiser_speaks(tmp_path: Path, flow: Flow) -> None:
    espeak = Espeak()
    library = PromptLibrary(tmp_path, espeak, espeak.voice)
    assert await library.prepare(flow) == 6
    for phrase in phrases(flow):
        with wave.open(library.sound(phrase) + ".wav") as made:
            samples = array("h", made.readframes(made.getnframes()))
        assert 0.2 < len(samples) / 8000 < 10
        assert max(samples) > 3000
