"""What can be proven of a flow before a caller hears it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ivr_flows import catalogue, graph, names, nodes, phrases, schema
from ivr_flows.branches import WITH_CALLER, edges
from ivr_flows.expressions import ExpressionError, names_in_template, pieces, render
from ivr_flows.schema import Flow, FlowError, Problem
from ivr_flows.spoken import OTHER
from ivr_flows.yaml_text import Path as TreePath


@dataclass(frozen=True, slots=True)
class House:
    """What flows can name: the settings' part of a proof."""

    queues: Collection[str]
    hours: Collection[str] = ()
    transfers: Collection[str] = ()
    exit_keys: Mapping[str, str] = field(default_factory=dict)
    """The keys that leave each queue."""
    http: Collection[str] = ()
    """Beginnings of addresses that may be called."""
    constants: Mapping[str, str | int | bool] = field(default_factory=dict)
    """They go before those in the flow files."""


def check(path: Path, house: House) -> list[Problem]:
    """All problems of a flow file, in the order of the file; none: it can be run."""
    try:
        flow = schema.load(path, house.constants)
    except FlowError as wrong:
        return list(wrong.problems)
    return check_flow(flow, house)


def check_flow(flow: Flow, house: House) -> list[Problem]:
    """All problems of a flow that was read, in the order of the files."""
    examinations = (_targets, _hang_ups, _loops, _texts, _languages, _names, _secrets, _limits, _catalogue)
    found = {problem for examine in examinations for problem in examine(flow)}
    return sorted(found | set(_house(flow, house)))


def _targets(flow: Flow) -> Iterator[Problem]:
    for key in ("start", "hangup"):
        target = getattr(flow.document, key)
        if target is not None and target not in flow.nodes:
            yield flow.problem((key,), f"{key}: there is no node {target!r}")
            if key == "start":
                return
    for node_id, node in flow.nodes.items():
        for edge in edges(node):
            if edge.target is not None and edge.target not in flow.nodes:
                # A branch that is left out has the place of the one that stands in for it; that one is reported itself.
                path = graph.branch_path(node_id, edge.branch)
                if path in flow.places:
                    yield flow.problem(path, f"{edge.branch}: there is no node {edge.target.rpartition('.')[2]!r}")
    for node_id in flow.nodes.keys() - graph.reachable(flow):
        yield flow.problem(("nodes", node_id), f"{node_id}: no caller can come here; use it, or remove it")


def _hang_ups(flow: Flow) -> Iterator[Problem]:
    """After a hang-up there is nobody to talk to, and nobody to queue."""
    ends = (*WITH_CALLER, nodes.ToQueue, nodes.Transfer)
    named: list[tuple[TreePath, str | None]] = [(("hangup",), flow.document.hangup)]
    named += [(("nodes", node_id, "hangup"), node.hangup) for node_id, node in flow.nodes.items()]
    for path, target in named:
        if target is not None and isinstance(flow.nodes.get(target), ends):
            yield flow.problem(path, f"hangup: {target!r} needs a caller, who is gone by then")


def _loops(flow: Flow) -> Iterator[Problem]:
    for loop in graph.endless(flow):
        way = " > ".join([*loop, loop[0]])
        yield flow.problem(("nodes", loop[0]), f"a loop without a limit: {way}; give one of them 'visits'")


def _texts(flow: Flow) -> Iterator[Problem]:
    wanted = [str(language) for language in flow.document.languages]
    for node_id, node in flow.nodes.items():
        for key, texts in phrases.texts_of(node).items():
            path: TreePath = ("nodes", node_id, key)
            for language in wanted:
                if language not in texts:
                    yield flow.problem(path, f"{node_id}.{key}: the text in {language!r} is missing")
            for language, text in texts.items():
                if language not in wanted:
                    yield flow.problem((*path, language), f"{language!r} is not among the flow's languages {wanted}")
                yield from _text(flow, (*path, language), text)
    for word, said in flow.words.items():
        for language in wanted:
            if language not in said:
                yield flow.problem(("words", word), f"{word}: the word in {language!r} is missing")


def _text(flow: Flow, path: TreePath, text: str) -> Iterator[Problem]:
    whole = ""
    for piece in pieces(text):
        if isinstance(piece, tuple):
            whole += "x"
            if piece[1] == "word" and OTHER not in flow.words:
                yield flow.problem(path, f"'word' needs a word {OTHER!r} in the flow's 'words', for values not in it")
            continue
        unknown = sorted(names_in_template(piece) - flow.constants.keys())
        if unknown:
            yield flow.problem(
                path,
                f"{unknown[0]!r} is no constant; say how it is spoken, for instance {{{{ {unknown[0]} | digits }}}}",
            )
            return
        try:
            whole += render(piece, flow.constants)
        except ExpressionError as wrong:
            yield flow.problem(path, f"the text cannot be rendered: {wrong}")
            return
    if not whole.strip():
        yield flow.problem(path, "the text is empty")


def _languages(flow: Flow) -> Iterator[Problem]:
    wanted = flow.document.languages
    for node_id, node in flow.nodes.items():
        named: list[tuple[TreePath, str]] = []
        if isinstance(node, nodes.ChooseLanguage):
            named = [(("default",), node.default)]
            named += [(("choices", digit), language) for digit, language in node.choices.items()]
        elif isinstance(node, nodes.ToQueue) and node.language is not None:
            named = [(("language",), node.language)]
        for path, language in named:
            if language not in wanted:
                yield flow.problem(
                    ("nodes", node_id, *path), f"{language!r} is not among the flow's languages {list(wanted)}"
                )


def _names(flow: Flow) -> Iterator[Problem]:
    settable, there = names.settable(flow), names.assigned(flow)
    for node_id, node in flow.nodes.items():
        for reading in names.readings(node):
            path = ("nodes", node_id, *reading.path)
            for name in sorted(reading.names - names.CALL_NAMES):
                if name not in settable:
                    yield flow.problem(path, f"nothing is called {name!r} in a flow")
                elif node_id in there and name not in there[node_id]:
                    yield flow.problem(path, f"{name!r} is not there on every way that leads here")


def _secrets(flow: Flow) -> Iterator[Problem]:
    """A secure value is said to the caller, goes into a request (which is encrypted), or is masked."""
    secure = names.secure_names(flow)
    for node_id, node in flow.nodes.items():
        if isinstance(node, nodes.Collect):
            if node.form == "iban_de" and not node.secure:
                yield flow.problem(("nodes", node_id, "form"), "an IBAN is collected with 'secure: true'")
            if node.into in secure and not node.secure:
                yield flow.problem(
                    ("nodes", node_id, "into"), f"{node.into!r} is kept secure elsewhere; use another name"
                )
        if isinstance(node, nodes.Set):
            for name in secure & node.values.keys():
                yield flow.problem(("nodes", node_id, "values", name), f"{name!r} is kept secure; use another name")
        for reading in names.readings(node):
            if reading.spoken or (isinstance(node, nodes.Request) and reading.path[0] == "fields"):
                continue
            for name in sorted(reading.bare & secure):
                path = ("nodes", node_id, *reading.path)
                yield flow.problem(path, f"{name!r} is secure: it may be said, go into a request, or be masked")


def _limits(flow: Flow) -> Iterator[Problem]:
    for node_id, node in flow.nodes.items():
        if isinstance(node, nodes.Collect | nodes.Authenticate) and node.least > node.most:
            yield flow.problem(("nodes", node_id, "least"), f"least ({node.least}) is more than most ({node.most})")
        if node.exhausted is not None and node.visits is None:
            yield flow.problem(("nodes", node_id, "exhausted"), "exhausted never happens without 'visits'")
        if isinstance(node, nodes.Set):
            for name in node.values.keys() & names.TAKEN:
                yield flow.problem(("nodes", node_id, "values", name), f"{name!r} cannot be set")
        elif isinstance(node, nodes.Collect | nodes.LookUp | nodes.Http) and node.into in names.TAKEN:
            yield flow.problem(("nodes", node_id, "into"), f"{node.into!r} cannot be set")
        if isinstance(node, nodes.ToQueue) and node.penalty is not None and node.penalty.least > node.penalty.most:
            yield flow.problem(("nodes", node_id, "penalty"), "least is more than most")


def _catalogue(flow: Flow) -> Iterator[Problem]:
    for node_id, node in flow.nodes.items():
        if isinstance(node, nodes.LookUp):
            if node.what not in catalogue.LOOKUPS:
                have = ", ".join(sorted(catalogue.LOOKUPS))
                yield flow.problem(("nodes", node_id, "what"), f"there is no look-up {node.what!r} (have: {have})")
                continue
            for name in node.arguments.keys() - catalogue.ARGUMENTS[node.what]:
                yield flow.problem(("nodes", node_id, "arguments", name), f"{node.what} has no argument {name!r}")
            if node.what == "queue" and "queue" not in node.arguments:
                yield flow.problem(("nodes", node_id), "the look-up 'queue' needs the argument 'queue'")
        elif isinstance(node, nodes.Request):
            must, may = catalogue.REQUESTS[node.kind]
            for name in sorted(must - node.fields.keys()):
                yield flow.problem(("nodes", node_id), f"a request {node.kind!r} needs the field {name!r}")
            for name in node.fields.keys() - must - may:
                yield flow.problem(("nodes", node_id, "fields", name), f"{node.kind} has no field {name!r}")


def _beginning(flow: Flow, url: str) -> str:
    """What is known of an address before any call."""
    for name, value in flow.constants.items():
        url = url.replace(f"{{{{ {name} }}}}", str(value))
    return url.partition("{")[0]


def _house(flow: Flow, house: House) -> Iterator[Problem]:
    named: list[tuple[TreePath, str, str, Collection[str]]] = [
        (("default", "queue"), "queue", flow.document.default.queue, house.queues)
    ]
    for node_id, node in flow.nodes.items():
        path = ("nodes", node_id)
        if isinstance(node, nodes.ToQueue | nodes.CallBack):
            named.append(((*path, "queue"), "queue", node.queue, house.queues))
        elif isinstance(node, nodes.Hours):
            named.append(((*path, "hours"), "hours", node.hours, house.hours))
        elif isinstance(node, nodes.Transfer):
            named.append(((*path, "to"), "transfer", node.to, house.transfers))
        elif isinstance(node, nodes.LookUp) and node.what == "queue":
            queue = node.arguments.get("queue")
            if isinstance(queue, str) and "{" not in queue:
                named.append(((*path, "arguments", "queue"), "queue", queue, house.queues))
        elif isinstance(node, nodes.Http):
            known = _beginning(flow, node.url)
            if not any(known.startswith(beginning) for beginning in house.http):
                yield flow.problem((*path, "url"), "the settings (flows.http_allow) do not allow this address")
        if isinstance(node, nodes.ToQueue):
            for key in node.keys.keys() - set(house.exit_keys.get(node.queue, "")):
                yield flow.problem(
                    (*path, "keys", key),
                    f"no key {key!r} leaves the queue {node.queue!r}; see its exit_keys in the settings",
                )
    for where, kind, name, have in named:
        if name not in have:
            yield flow.problem(where, f"there is no {kind} {name!r} in the settings (have: {', '.join(sorted(have))})")
