"""YAML of a flow file into plain data, with the place of everything kept.

Only the part of YAML that a flow needs: mappings, lists, strings, whole numbers, true and false. No anchors (a few
lines of them can unfold into gigabytes), no tags, no second meaning of ``no`` or ``12:30``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 512 * 1024
"""Size of a flow file. A flow of 500 nodes takes about 150 KiB."""
MAX_DEPTH = 12
"""Mappings and lists inside each other."""

_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\Z")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: line and column, both counted from 1."""

    line: int
    column: int


class TextProblem(Exception):
    """The text cannot be read as YAML, or as the YAML we allow."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


@dataclass(frozen=True, slots=True)
class Tree:
    """Plain data and the place of every key and list item, by path."""

    data: Any
    places: Mapping[Path, Place]


def read(text: str) -> Tree:
    """Raises ``TextProblem``."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise TextProblem(f"more than {MAX_BYTES // 1024} KiB; split the flow", Place(1, 1))
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as wrong:
        raise TextProblem(wrong.problem or "not valid YAML", _place(wrong.problem_mark)) from wrong
    except yaml.reader.ReaderError as wrong:
        before = text[: wrong.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise TextProblem("a character that is not allowed in YAML", place) from wrong
    if root is None:
        raise TextProblem("the file is empty", Place(1, 1))
    places: dict[Path, Place] = {(): _place(root.start_mark)}
    return Tree(_plain(root, (), places), places)


class _Loader(yaml.SafeLoader):
    """Refuses while composing what must not be composed."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise TextProblem("anchors (&) and aliases (*) are not allowed; write it out", _place(event.start_mark))
        # "!" is how PyYAML marks a quoted string that has no tag of its own.
        if getattr(event, "tag", None) not in (None, "!"):
            raise TextProblem("tags (!) are not allowed", _place(event.start_mark))
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TextProblem(f"nested more than {MAX_DEPTH} deep", _place(event.start_mark))
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _plain(node: Node, path: Path, places: dict[Path, Place]) -> Any:
    if isinstance(node, ScalarNode):
        return _scalar(node)
    if isinstance(node, SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            places[(*path, str(index))] = _place(item.start_mark)
            items.append(_plain(item, (*path, str(index)), places))
        return items
    assert isinstance(node, MappingNode)
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise TextProblem("a key must be a word", _place(key.start_mark))
        name = key.value
        if name in found:
            first = places[(*path, name)]
            raise TextProblem(f"{name!r} is there already (line {first.line})", _place(key.start_mark))
        places[(*path, name)] = _place(key.start_mark)
        found[name] = _plain(value, (*path, name), places)
    return found


def _scalar(node: ScalarNode) -> str | int | bool | None:
    text: str = node.value
    if node.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE_NUMBER.match(text) else text


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
