"""How much room texts take in a drawing. Fonts differ from machine to machine, so it is rather more than less."""

from __future__ import annotations

import re

NAME, SMALL, TINY = 13.0, 11.0, 10.5
"""Font sizes, in pixels."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """The text without what XML has no way to hold."""
    return _NOT_XML.sub("\ufffd", text)


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """About how wide a text is, in pixels."""
    total = 0.0
    for character in text:
        if character in "iljtfr.,:;'|!()[] ":
            total += 0.36
        elif character in "mwMW@%→…" or ord(character) > 0x2E80:
            total += 1.0
        else:
            total += 0.68 if character.isupper() else 0.58
    return total * size * (1.1 if bold else 1.04)


def wrapped(text: str, width: float, size: float, most: int) -> list[str]:
    """The text in at most ``most`` lines of that width, the rest cut off."""
    lines: list[str] = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width:
            lines.append(cut(word, width, size))
        else:
            lines[-1] = cut(longer, width, size)
    if len(lines) > most:
        lines = [*lines[: most - 1], cut(" ".join(lines[most - 1 :]), width, size)]
    return lines


def cut(text: str, width: float, size: float) -> str:
    """The text, or as much of its beginning as there is room for."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"
