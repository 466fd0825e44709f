"""Everything a flow can say, known before any call: that is what is rendered ahead.

Texts may use the flow's constants as they are. What depends on the call is a gap in the text, filled word by word from
a closed vocabulary (``spoken``): ``{{ order.total | amount }}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ivr_flows import spoken
from ivr_flows.expressions import ExpressionError, Values, pieces, render, speak
from ivr_flows.nodes import Authenticate, ChooseLanguage, Collect, HangUp, Menu, Message, Node, Say
from ivr_flows.schema import Flow


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something to say, in one language."""

    id: str
    """Names the recorded file that may stand in for it: the node, ``node.wrong``, ``node-2`` for a text's second piece,
    or a word of the vocabulary such as ``digit-3``."""
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A value of the call that is spoken here."""

    expression: str
    kind: str


def texts_of(node: Node) -> dict[str, Mapping[str, str]]:
    """The texts of a node by the key they stand under."""
    found = {key: getattr(node, key) for key in _TEXTS.get(type(node), ())}
    return {key: dict(texts) for key, texts in found.items() if texts is not None}


_TEXTS: Mapping[type, tuple[str, ...]] = {
    Say: ("text",),
    ChooseLanguage: ("text",),
    Menu: ("text", "wrong"),
    Collect: ("text", "wrong"),
    Authenticate: ("text", "wrong", "pin_text", "pin_wrong"),
    Message: ("text",),
    HangUp: ("text",),
}


def parts(flow: Flow, node_id: str, key: str, language: str) -> tuple[Phrase | Gap, ...]:
    """What the node says there; in the language asked for, or in the first it has. Empty: it says nothing.

    Raises ``ExpressionError`` for a text that uses what is no constant without saying how it is spoken.
    """
    texts = texts_of(flow.nodes[node_id]).get(key)
    if not texts:
        return ()
    tongue = language if language in texts else next(iter(texts))
    name = node_id if key == "text" else f"{node_id}.{key}"
    cut = pieces(texts[tongue])
    found: list[Phrase | Gap] = []
    for place, piece in enumerate(cut, start=1):
        if isinstance(piece, tuple):
            found.append(Gap(*piece))
            continue
        text = render(piece, flow.constants).strip()
        # A full stop after a value is nothing to say.
        if any(character.isalnum() for character in text) or len(cut) == 1:
            found.append(Phrase(name if len(cut) == 1 else f"{name}-{place}", tongue, text))
    return tuple(found)


def filled(flow: Flow, found: tuple[Phrase | Gap, ...], language: str, values: Values) -> tuple[Phrase, ...]:
    """The phrases with every gap filled. Raises ``ExpressionError``."""
    out: list[Phrase] = []
    for part in found:
        if isinstance(part, Phrase):
            out.append(part)
            continue
        try:
            said = spoken.words(speak(part.expression, values), language, flow.words)
        except spoken.Unspeakable as wrong:
            raise ExpressionError(f"{part.expression}: {wrong}") from None
        out += [Phrase(word.id, language, word.text) for word in said]
    return tuple(out)


def phrases(flow: Flow) -> Iterator[Phrase]:
    """Everything the flow can say. Raises ``ExpressionError``."""
    kinds: set[str] = set()
    for node_id, node in flow.nodes.items():
        for key, texts in texts_of(node).items():
            for language in texts:
                for part in parts(flow, node_id, key, language):
                    if isinstance(part, Phrase):
                        yield part
                    else:
                        kinds.add(part.kind)
    for language in flow.document.languages:
        for word in spoken.vocabulary(kinds, language, flow.words):
            yield Phrase(word.id, language, word.text)
