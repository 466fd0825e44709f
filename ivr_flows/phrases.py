"""Everything a flow can say, known before any call: that is what is rendered ahead.

Texts may use the flow's constants, and nothing of the call: what depends on the call is spoken digit by digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ivr_flows import schema
from ivr_flows.expressions import render
from ivr_flows.schema import ChooseLanguage, Collect, Flow, HangUp, Menu, Node, Say

DIGITS = "0123456789"

# As a clerk reads a number out on the telephone: "zwo" cannot be taken for "drei".
_SPOKEN: Mapping[str, tuple[str, ...]] = {
    "de": ("null", "eins", "zwo", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something to say, in one language."""

    id: str
    """Names the recorded file that may stand in for it: the node, ``node.wrong``, or ``digit-3``."""
    language: str
    text: str


def texts_of(node: Node) -> dict[str, Mapping[str, str]]:
    """The texts of a node by the key they stand under."""
    found: dict[str, Mapping[str, str]] = {}
    if isinstance(node, Say | ChooseLanguage | Collect | Menu):
        found["text"] = _plain(node.text)
    if isinstance(node, Collect | Menu) and node.wrong is not None:
        found["wrong"] = _plain(node.wrong)
    if isinstance(node, HangUp) and node.text is not None:
        found["text"] = _plain(node.text)
    return found


def _plain(texts: Mapping[schema.Language, str]) -> Mapping[str, str]:
    return {str(language): text for language, text in texts.items()}


def phrase(flow: Flow, node_id: str, key: str, language: str) -> Phrase | None:
    """What the node says there; in the language asked for, or in the first it has. None: it says nothing.

    Raises ``ExpressionError`` for a text that uses what is no constant.
    """
    texts = texts_of(flow.document.nodes[node_id]).get(key)
    if not texts:
        return None
    spoken = language if language in texts else next(iter(texts))
    name = node_id if key == "text" else f"{node_id}.{key}"
    return Phrase(name, spoken, render(texts[spoken], flow.document.constants))


def digit(character: str, language: str) -> Phrase:
    """A spoken digit."""
    words = _SPOKEN.get(language, _SPOKEN["en"])
    return Phrase(f"digit-{character}", language, words[DIGITS.index(character)])


def phrases(flow: Flow) -> Iterator[Phrase]:
    """Everything the flow can say. Raises ``ExpressionError``."""
    for node_id, node in flow.document.nodes.items():
        for key, texts in texts_of(node).items():
            for language in texts:
                found = phrase(flow, node_id, key, language)
                assert found is not None
                yield found
    if any(isinstance(node, Say) and node.digits is not None for node in flow.document.nodes.values()):
        for language in flow.document.languages:
            for character in DIGITS:
                yield digit(character, language)
