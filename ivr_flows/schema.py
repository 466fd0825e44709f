"""What a flow file says, and how it is read: YAML text into frozen dataclasses, every error with its place.

    FlowError   the file is no flow; holds all problems found, each with file, line and column

Sub-flows are merged in when a file is read: their nodes are called ``node.inner``. So whoever works with a flow sees
one graph.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as model

from ivr_flows import spoken, yaml_text
from ivr_flows.branches import changed, retarget
from ivr_flows.nodes import STRICT, Language, Node, NodeId, Priority, QueueName, Return, Scalar, SubFlow, ValueName
from ivr_flows.yaml_text import Place

MAX_DEPTH = 4
"""Sub-flows inside each other."""
MAX_NODES = 2000

Said = Annotated[dict[Language, Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1)]
AnyNode = Annotated[Node, Field(discriminator="type")]


@model(frozen=True, config=STRICT, kw_only=True)
class Default:
    """Where a caller goes for whom nothing else is said."""

    queue: QueueName
    priority: Priority = 0


@model(frozen=True, config=STRICT, kw_only=True)
class Document:
    """A flow file."""

    callfloor_flow: Literal[1]
    """Version of this format."""
    name: NodeId | Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,38}$")]
    languages: Annotated[list[Language], Field(min_length=1)]
    """The first one is spoken until another is chosen."""
    default: Default
    start: NodeId
    step_limit: Annotated[int, Field(ge=1, le=150)] = 100
    """After so many nodes the caller goes to the default queue, whatever the flow says."""
    hangup: NodeId | None = None
    """Where a caller who hangs up goes, unless the node says otherwise: nodes that need no caller."""
    constants: dict[ValueName, Scalar] = field(default_factory=dict)
    """Fixed values that texts may use as ``{{ name }}``. Those of the flow that calls this one go before."""
    words: Annotated[dict[ValueName, Said], Field(max_length=200)] = field(default_factory=dict)
    """How values are said by ``{{ value | word }}``; ``other`` stands for those that are not here."""
    nodes: Annotated[dict[NodeId, AnyNode], Field(min_length=1, max_length=MAX_NODES)]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong with a flow file, and where."""

    file: str
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.place.line}:{self.place.column}: {self.message}"


class FlowError(Exception):
    """The file is no flow. ``str()`` is its first problem and the count of the others, on one line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        more = len(self.problems) - 1
        return f"{self.problems[0]}" + (f" (and {more} more)" if more else "")


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that was read, sub-flows merged in: what it says, where it says it, and which text it was."""

    document: Document
    """The main file's; its ``nodes`` are only the file's own."""
    nodes: Mapping[str, Node] = field(repr=False)
    """All nodes by id, those of sub-flows as ``node.inner``, in the order of the file."""
    constants: Mapping[str, str | int | bool] = field(repr=False)
    words: spoken.Words = field(repr=False)
    file: str
    fingerprint: str
    """Of the meaning of all files: comments and layout do not change it."""
    places: Mapping[yaml_text.Path, tuple[str, Place]] = field(repr=False)
    """File and place by path; the paths of merged nodes begin with ``("nodes", "node.inner")``."""
    order: tuple[str, ...] = field(repr=False)
    """The node ids in the order of the files."""

    def problem(self, path: yaml_text.Path, message: str) -> Problem:
        """A problem at that path, or at the nearest place above it."""
        while path not in self.places:
            path = path[:-1]
        file, place = self.places[path]
        return Problem(file, place, message)


Read = Callable[[str], str]
"""The text of a file beside the main one, by name; raises ``FlowError``."""


Constants = Mapping[str, str | int | bool]


def load(path: Path, constants: Constants | None = None) -> Flow:
    """Read a flow file and the sub-flows it names. Raises ``FlowError``.

    ``constants``: the house's, which go before those of the files.
    """
    return parse(read(path), str(path), lambda name: read(path.with_name(name)), constants)


def read(path: Path) -> str:
    """The text of a file. Raises ``FlowError``."""
    try:
        with path.open("rb") as source:
            raw = source.read(yaml_text.MAX_BYTES + 1)
        return raw.decode("utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "no such file; check flows.file in the settings") from None
    except OSError as failed:
        raise _unreadable(path, f"cannot be read ({failed.strerror}); check its permissions") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "is not UTF-8 text; save it as UTF-8") from None


def parse(text: str, file: str = "flow", beside: Read | None = None, constants: Constants | None = None) -> Flow:
    """Read the text of a flow file; ``file`` is its name in errors. Raises ``FlowError``."""
    over = dict(constants or {})
    merged = _Merged({}, over, {}, {}, [json.dumps(over, sort_keys=True)], {})
    document = _merge(merged, text, file, beside, "", ())
    return Flow(
        document=document,
        nodes=merged.nodes,
        constants=merged.constants,
        words=merged.words,
        file=file,
        fingerprint=hashlib.sha256("\n".join(merged.meanings).encode()).hexdigest()[:16],
        places=merged.places,
        order=tuple(merged.nodes),
    )


@dataclass(slots=True)
class _Merged:
    nodes: dict[str, Node]
    constants: dict[str, str | int | bool]
    words: dict[str, dict[str, str]]
    places: dict[yaml_text.Path, tuple[str, Place]]
    meanings: list[str]
    read: dict[str, tuple[Document, Mapping[yaml_text.Path, Place], str]]
    """What each file says; one that is called often is read once."""


def _merge(merged: _Merged, text: str, file: str, beside: Read | None, prefix: str, above: tuple[str, ...]) -> Document:
    if file not in merged.read:
        merged.read[file] = _document(text, file)
    document, places, meaning = merged.read[file]
    merged.meanings.append(meaning)
    for path, place in places.items():
        if not prefix:
            merged.places[path] = (file, place)
        elif path[:1] == ("nodes",) and len(path) > 1:
            merged.places["nodes", prefix + path[1], *path[2:]] = (file, place)
        elif path[:1] == ("words",):
            merged.places.setdefault(path, (file, place))
    if prefix and document.start not in document.nodes:
        raise FlowError((Problem(file, places["start",], f"start: there is no node {document.start!r}"),))
    # Whoever calls decides: so a flow can hand values to the one it calls.
    merged.constants |= {name: value for name, value in document.constants.items() if name not in merged.constants}
    merged.words |= {
        name: {str(key): word for key, word in words.items()}
        for name, words in document.words.items()
        if name not in merged.words
    }
    if len(merged.nodes) + len(document.nodes) > MAX_NODES:
        # Told before it is merged: a few files that call each other often unfold into millions of nodes.
        raise FlowError((Problem(file, Place(1, 1), f"more than {MAX_NODES} nodes with the sub-flows"),))
    for node_id, node in document.nodes.items():
        inside = retarget(node, lambda target: prefix + target) if prefix else node
        name = prefix + node_id
        merged.nodes[name] = inside
        if not isinstance(inside, SubFlow):
            continue
        why = ""
        if beside is None:
            why = "sub-flows are looked for beside a file"
        elif inside.flow in above:
            why = "sub-flows call each other in a circle"
        elif len(above) >= MAX_DEPTH:
            why = f"sub-flows inside each other (at most {MAX_DEPTH} deep)"
        if beside is None or why:
            raise FlowError((Problem(file, places["nodes", node_id, "flow"], f"{inside.flow}: {why}"),))
        try:
            source = beside(inside.flow)
        except FlowError as unreadable:
            why = f"{inside.flow}: {unreadable.problems[0].message.split(';')[0]}"
            raise FlowError((Problem(file, places["nodes", node_id, "flow"], why),)) from None
        beginning = f"{name}."
        inner = _merge(merged, source, str(Path(file).with_name(inside.flow)), beside, beginning, (*above, inside.flow))
        merged.nodes[name] = changed(inside, {"next": beginning + inner.start})
        for one in inner.nodes:
            ending = merged.nodes[beginning + one]
            if isinstance(ending, Return):
                merged.nodes[beginning + one] = changed(ending, {"next": inside.next})
    return document


def _document(text: str, file: str) -> tuple[Document, Mapping[yaml_text.Path, Place], str]:
    try:
        tree = yaml_text.read(text)
    except yaml_text.TextProblem as wrong:
        raise FlowError((Problem(file, wrong.place, wrong.message),)) from wrong
    meaning = json.dumps(tree.data)
    try:
        # By way of JSON, because only there strict means "no guessing of types" and nothing more.
        return _adapter().validate_json(meaning.encode()), tree.places, meaning
    except ValidationError as invalid:
        raise FlowError(problems_of(invalid, tree.places, file)) from invalid


def json_schema() -> dict[str, Any]:
    """The JSON Schema of flow files, for editors."""
    schema = _adapter().json_schema()
    for kind in get_args(Node):
        # Pydantic reads the docstrings of a class's own fields only.
        for base in kind.__mro__[1:-1]:
            for key, told in TypeAdapter(base).json_schema()["properties"].items():
                if "description" in told:
                    schema["$defs"][kind.__name__]["properties"][key].setdefault("description", told["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Callfloor flow"}


@cache
def _adapter() -> TypeAdapter[Document]:
    return TypeAdapter(Document)


def _unreadable(path: Path, message: str) -> FlowError:
    return FlowError((Problem(str(path), Place(1, 1), message),))


def problems_of(invalid: ValidationError, places: Mapping[yaml_text.Path, Place], file: str) -> tuple[Problem, ...]:
    found = set()
    for error in invalid.errors(include_url=False, include_input=False):
        loc = tuple(str(part) for part in error["loc"])
        path, known = _known_path(loc, places)
        message = error["msg"].removeprefix("Value error, ")
        kind = error["type"]
        if kind == "missing" or kind == "missing_argument":
            message = f"{loc[-1]!r} is missing"
        elif kind in ("extra_forbidden", "unexpected_keyword_argument"):
            message = f"unknown key {loc[-1]!r}; check its spelling, or remove it"
        elif known and path:
            message = f"{path[-1]}: {message}"
        found.add(Problem(file, _nearest(places, path), message))
    return tuple(sorted(found))


def _known_path(loc: yaml_text.Path, places: Mapping[yaml_text.Path, Place]) -> tuple[yaml_text.Path, bool]:
    """Pydantic puts names of union members and ``[key]`` into its locations; only what the file has counts."""
    path: yaml_text.Path = ()
    for part in loc:
        if (*path, part) in places:
            path = (*path, part)
    return path, bool(path)


def _nearest(places: Mapping[yaml_text.Path, Place], path: yaml_text.Path) -> Place:
    while path not in places:
        path = path[:-1]
    return places[path]
