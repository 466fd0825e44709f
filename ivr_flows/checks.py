"""What can be proven of a flow before a caller hears it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from ivr_flows import graph, phrases, schema
from ivr_flows.expressions import ExpressionError, names_in_expression, names_in_template, render
from ivr_flows.schema import Flow, FlowError, Problem
from ivr_flows.yaml_text import Path as TreePath

CALL_NAMES = frozenset(
    {"language", "caller.certainty", "caller.known", "caller.proven", "caller.withheld", "call.dialled"}
)
"""What expressions can read of a call; ``engine.values_of`` supplies it."""


def check(path: Path, queues: Collection[str]) -> list[Problem]:
    """All problems of a flow file, in the order of the file; none: it can be run."""
    try:
        flow = schema.load(path)
    except FlowError as wrong:
        return list(wrong.problems)
    return check_flow(flow, queues)


def check_flow(flow: Flow, queues: Collection[str]) -> list[Problem]:
    """All problems of a flow that was read, in the order of the file."""
    found = [
        problem for examine in (_targets, _loops, _texts, _languages, _names, _limits) for problem in examine(flow)
    ]
    return sorted({*found, *_queues(flow, queues)})


def _targets(flow: Flow) -> Iterator[Problem]:
    nodes = flow.document.nodes
    if flow.document.start not in nodes:
        yield flow.problem(("start",), f"start: there is no node {flow.document.start!r}")
        return
    for node_id, node in nodes.items():
        for edge in graph.edges(node):
            if edge.target is not None and edge.target not in nodes:
                # A branch that is left out has the place of the one that stands in for it; that one is reported itself.
                path = graph.branch_path(node_id, edge.branch)
                if path in flow.places:
                    yield flow.problem(path, f"{edge.branch}: there is no node {edge.target!r}")
    for node_id in nodes.keys() - graph.reachable(flow):
        yield flow.problem(("nodes", node_id), f"{node_id}: no caller can come here; use it, or remove it")


def _loops(flow: Flow) -> Iterator[Problem]:
    for loop in graph.endless(flow):
        way = " > ".join([*loop, loop[0]])
        yield flow.problem(("nodes", loop[0]), f"a loop without a limit: {way}; give one of them 'visits'")


def _texts(flow: Flow) -> Iterator[Problem]:
    wanted = [str(language) for language in flow.document.languages]
    constants = flow.document.constants
    for node_id, node in flow.document.nodes.items():
        for key, texts in phrases.texts_of(node).items():
            path: TreePath = ("nodes", node_id, key)
            for language in wanted:
                if language not in texts:
                    yield flow.problem(path, f"{node_id}.{key}: the text in {language!r} is missing")
            for language, text in texts.items():
                if language not in wanted:
                    yield flow.problem((*path, language), f"{language!r} is not among the flow's languages {wanted}")
                yield from _text(flow, (*path, language), text, frozenset(constants))


def _text(flow: Flow, path: TreePath, text: str, constants: frozenset[str]) -> Iterator[Problem]:
    unknown = sorted(names_in_template(text) - constants)
    if unknown:
        yield flow.problem(
            path, f"{unknown[0]!r} is no constant; texts are rendered ahead of the call, and only know those"
        )
        return
    try:
        if not render(text, flow.document.constants).strip():
            yield flow.problem(path, "the text is empty")
    except ExpressionError as wrong:
        yield flow.problem(path, f"the text cannot be rendered: {wrong}")


def _languages(flow: Flow) -> Iterator[Problem]:
    wanted = flow.document.languages
    for node_id, node in flow.document.nodes.items():
        named: list[tuple[TreePath, str]] = []
        if isinstance(node, schema.ChooseLanguage):
            named = [(("default",), node.default)]
            named += [(("choices", digit), language) for digit, language in node.choices.items()]
        elif isinstance(node, schema.ToQueue) and node.language is not None:
            named = [(("language",), node.language)]
        for path, language in named:
            if language not in wanted:
                yield flow.problem(
                    ("nodes", node_id, *path), f"{language!r} is not among the flow's languages {list(wanted)}"
                )


def _names(flow: Flow) -> Iterator[Problem]:
    given = {
        name for node in flow.document.nodes.values() if isinstance(node, schema.Set) for name in node.values
    } | flow.document.constants.keys()
    for node_id, node in flow.document.nodes.items():
        for key, names in _read_by(node):
            for name in sorted(names - CALL_NAMES - given):
                yield flow.problem(("nodes", node_id, *key), f"nothing is called {name!r} in a flow")


def _read_by(node: schema.Node) -> Iterator[tuple[TreePath, frozenset[str]]]:
    if isinstance(node, schema.Condition):
        yield ("when",), names_in_expression(node.when)
    elif isinstance(node, schema.ToQueue) and isinstance(node.priority, str):
        yield ("priority",), names_in_expression(node.priority)
    elif isinstance(node, schema.Say) and node.digits is not None:
        yield ("digits",), names_in_expression(node.digits)
    elif isinstance(node, schema.Set):
        for name, value in node.values.items():
            if isinstance(value, str):
                yield ("values", name), names_in_template(value)


def _limits(flow: Flow) -> Iterator[Problem]:
    for node_id, node in flow.document.nodes.items():
        if isinstance(node, schema.Collect) and node.least > node.most:
            yield flow.problem(("nodes", node_id, "least"), f"least ({node.least}) is more than most ({node.most})")
        if node.exhausted is not None and node.visits is None:
            yield flow.problem(("nodes", node_id, "exhausted"), "exhausted never happens without 'visits'")
        if isinstance(node, schema.Set):
            for name in node.values:
                if name in ("language", "caller", "call"):
                    yield flow.problem(("nodes", node_id, "values", name), f"{name!r} cannot be set")


def _queues(flow: Flow, queues: Collection[str]) -> Iterator[Problem]:
    named: list[tuple[TreePath, str]] = [(("default", "queue"), flow.document.default.queue)]
    named += [
        (("nodes", node_id, "queue"), node.queue)
        for node_id, node in flow.document.nodes.items()
        if isinstance(node, schema.ToQueue)
    ]
    for path, queue in named:
        if queue not in queues:
            yield flow.problem(path, f"there is no queue {queue!r} in the settings (have: {', '.join(sorted(queues))})")
