"""What a flow file says, and how it is read: YAML text into frozen dataclasses, every error with its place.

    FlowError   the file is no flow; holds all problems found, each with file, line and column

A branch that a node leaves out is the flow's ``default``: a queue, which means a person.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as model

from ivr_flows import yaml_text
from ivr_flows.expressions import ExpressionError, check_expression, check_template
from ivr_flows.yaml_text import Place

Language = Literal["de", "en"]
LANGUAGES: tuple[str, ...] = get_args(Language)

_STRICT = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


def _expression(source: str) -> str:
    try:
        check_expression(source)
    except ExpressionError as wrong:
        raise ValueError(str(wrong)) from None
    return source


def _template(source: str) -> str:
    try:
        check_template(source)
    except ExpressionError as wrong:
        raise ValueError(str(wrong)) from None
    return source


NodeId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
QueueName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,38}$")]
ValueName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Expression = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_expression)]
Template = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_template)]
Texts = Annotated[dict[Language, Template], Field(min_length=1)]
"""What is said, by language."""
Digit = Annotated[str, Field(pattern=r"^[0-9*#]$")]
Seconds = Annotated[int, Field(ge=1, le=60)]
Tries = Annotated[int, Field(ge=1, le=9)]
Visits = Annotated[int, Field(ge=1, le=50)]
Priority = Annotated[int, Field(ge=0, le=1000)]
Scalar = Annotated[str, Field(max_length=64)] | Annotated[int, Field(ge=-(10**9), le=10**9)] | bool


@model(frozen=True, config=_STRICT, kw_only=True)
class _Node:
    error: NodeId | None = None
    """Where to go when this node fails; default: the flow's default queue."""
    visits: Visits | None = None
    """How often a caller may come here; the next time goes to ``exhausted``. What makes a loop end."""
    exhausted: NodeId | None = None


@model(frozen=True, config=_STRICT, kw_only=True)
class Say(_Node):
    """Say something, and digits after it."""

    type: Literal["say"]
    text: Texts
    digits: Expression | None = None
    """Digits that are spoken one by one after the text."""
    interrupt: bool = True
    """A key ends it, and counts as the first key of the next question."""
    next: NodeId | None = None


@model(frozen=True, config=_STRICT, kw_only=True)
class ChooseLanguage(_Node):
    """Ask for the language by a key; every text is said in its own language."""

    type: Literal["language"]
    text: Texts
    choices: Annotated[dict[Digit, Language], Field(min_length=1)]
    default: Language
    """Taken after silence or a wrong key."""
    seconds: Seconds = 5
    next: NodeId | None = None


@model(frozen=True, config=_STRICT, kw_only=True)
class Recognise(_Node):
    """Look the caller up by number."""

    type: Literal["recognise"]
    speak_language: bool = True
    """Go on in the customer's language, when it is known."""
    known: NodeId | None = None
    """One customer has this number."""
    shared: NodeId | None = None
    """Several have; default: ``unknown``."""
    withheld: NodeId | None = None
    """The caller does not show the number; default: ``unknown``."""
    unknown: NodeId | None = None


@model(frozen=True, config=_STRICT, kw_only=True)
class Collect(_Node):
    """Ask for the customer number, and look it up."""

    type: Literal["collect"]
    text: Texts
    wrong: Texts | None = None
    """Said before asking again."""
    verify: Literal["customer_number"] = "customer_number"
    least: Annotated[int, Field(ge=1, le=32)] = 1
    most: Annotated[int, Field(ge=1, le=32)] = 12
    seconds: Seconds = 6
    tries: Tries = 3
    silences: Tries = 2
    """After so many silences: ``timeout``."""
    skip: Digit | None = "*"
    """A key that goes to ``skipped`` at once."""
    speak_language: bool = False
    next: NodeId | None = None
    invalid: NodeId | None = None
    """After the last try."""
    timeout: NodeId | None = None
    """After the last silence; default: ``invalid``."""
    skipped: NodeId | None = None
    """Default: ``timeout``."""


@model(frozen=True, config=_STRICT, kw_only=True)
class Condition(_Node):
    """Go one way or the other."""

    type: Literal["condition"]
    when: Expression
    then: NodeId | None = None
    otherwise: NodeId | None = None


@model(frozen=True, config=_STRICT, kw_only=True)
class Menu(_Node):
    """Ask, and go where the key says."""

    type: Literal["menu"]
    text: Texts
    wrong: Texts | None = None
    choices: Annotated[dict[Digit, NodeId], Field(min_length=1)]
    seconds: Seconds = 6
    tries: Tries = 3
    silences: Tries = 2
    """After so many silences: ``timeout``."""
    invalid: NodeId | None = None
    """After the last wrong key."""
    timeout: NodeId | None = None
    """After the last silence; default: ``invalid``."""


@model(frozen=True, config=_STRICT, kw_only=True)
class Set(_Node):
    """Set values: plain ones, or ``{{ expressions }}``."""

    type: Literal["set"]
    values: Annotated[dict[ValueName, Scalar], Field(min_length=1, max_length=16)]
    next: NodeId | None = None


@model(frozen=True, config=_STRICT, kw_only=True)
class ToQueue(_Node):
    """The end: a queue."""

    type: Literal["route"]
    queue: QueueName
    priority: Priority | Expression = 0
    """Higher is served earlier; a number or an expression."""
    language: Language | None = None


@model(frozen=True, config=_STRICT, kw_only=True)
class HangUp(_Node):
    """The end: hang up."""

    type: Literal["hangup"]
    text: Texts | None = None
    """Said before."""


Node: TypeAlias = Say | ChooseLanguage | Recognise | Collect | Condition | Menu | Set | ToQueue | HangUp


@model(frozen=True, config=_STRICT, kw_only=True)
class Default:
    """Where a caller goes for whom nothing else is said."""

    queue: QueueName
    priority: Priority = 0


@model(frozen=True, config=_STRICT, kw_only=True)
class Document:
    """A flow file."""

    callfloor_flow: Literal[1]
    """Version of this format."""
    name: NodeId | Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,38}$")]
    languages: Annotated[list[Language], Field(min_length=1)]
    """The first one is spoken until another is chosen."""
    default: Default
    start: NodeId
    step_limit: Annotated[int, Field(ge=1, le=150)] = 60
    """After so many nodes the caller goes to the default queue, whatever the flow says."""
    constants: dict[ValueName, Scalar] = field(default_factory=dict)
    """Fixed values that texts may use as ``{{ name }}``."""
    nodes: Annotated[dict[NodeId, Annotated[Node, Field(discriminator="type")]], Field(min_length=1, max_length=2000)]


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
    """A flow that was read: what it says, where it says it, and which text it was."""

    document: Document
    file: str
    fingerprint: str
    """Of the file's meaning: comments and layout do not change it."""
    places: Mapping[yaml_text.Path, Place] = field(repr=False)
    order: tuple[str, ...] = field(repr=False)
    """The node ids in the order of the file."""

    def problem(self, path: yaml_text.Path, message: str) -> Problem:
        """A problem at that path, or at the nearest place above it."""
        return Problem(self.file, _nearest(self.places, path), message)


def load(path: Path) -> Flow:
    """Read a flow file. Raises ``FlowError``."""
    try:
        with path.open("rb") as source:
            raw = source.read(yaml_text.MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "no such file; check flows.file in the settings") from None
    except OSError as failed:
        raise _unreadable(path, f"cannot be read ({failed.strerror}); check its permissions") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "is not UTF-8 text; save it as UTF-8") from None
    return parse(text, str(path))


def parse(text: str, file: str = "flow") -> Flow:
    """Read the text of a flow file; ``file`` is its name in errors. Raises ``FlowError``."""
    try:
        tree = yaml_text.read(text)
    except yaml_text.TextProblem as wrong:
        raise FlowError((Problem(file, wrong.place, wrong.message),)) from wrong
    meaning = json.dumps(tree.data).encode()
    try:
        # By way of JSON, because only there strict means "no guessing of types" and nothing more.
        document = _adapter().validate_json(meaning)
    except ValidationError as invalid:
        raise FlowError(_problems(invalid, tree.places, file)) from invalid
    return Flow(
        document=document,
        file=file,
        fingerprint=hashlib.sha256(meaning).hexdigest()[:16],
        places=tree.places,
        order=tuple(document.nodes),
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of flow files, for editors."""
    schema = _adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Callfloor flow"}


@cache
def _adapter() -> TypeAdapter[Document]:
    return TypeAdapter(Document)


def _unreadable(path: Path, message: str) -> FlowError:
    return FlowError((Problem(str(path), Place(1, 1), message),))


def _problems(invalid: ValidationError, places: Mapping[yaml_text.Path, Place], file: str) -> tuple[Problem, ...]:
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
