"""Callers who do anything, as a ``hypothesis`` strategy: none of them must find a dead end.

@given(random_caller(flow))
def test_nobody_gets_stuck(script):
    assert not simulate(flow, script).fault
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ivr_flows import catalogue, nodes
from ivr_flows.branches import WITH_CALLER
from ivr_flows.schema import Flow
from ivr_flows.scripts import FAILS, KINDS, WORDS, Ahead, Canned, HangUpAt, Office, Person, Press, Script, Speak, Step

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

MAX_STEPS = 40
_QUEUE = ("TIMEOUT", "FULL", "JOINEMPTY", "LEAVEEMPTY")


def random_caller(flow: Flow) -> SearchStrategy[Script]:
    """Scripts for this flow: any keys, silences and hang-ups, and an office that answers anything, or not at all.

    Raises ``ImportError`` where ``hypothesis`` is not installed.
    """
    # Only those who test this way need it.
    from hypothesis import strategies as st

    keys = st.text("0123456789*#", min_size=1, max_size=12)
    pressed = st.sampled_from(sorted({key for node in flow.nodes.values() for key in _keys(node)} or {"1"}))
    talking = [name for name, node in flow.nodes.items() if isinstance(node, WITH_CALLER)]
    step: SearchStrategy[Step] = st.one_of(
        # Keys that are asked for, most of all: else nobody gets far.
        st.builds(Press, press=pressed),
        st.builds(Press, press=pressed),
        st.builds(Press, press=pressed),
        st.builds(Press, press=keys),
        st.builds(Ahead, ahead=keys),
        st.builds(Speak, speak=st.integers(1, 300)),
        st.just("silence"),
    )
    last: list[SearchStrategy[list[Step]]] = [st.just([]), st.just(["hangup"])]
    if talking:
        last.append(st.builds(HangUpAt, hangup=st.sampled_from(talking)).map(lambda one: [one]))

    def canned(kind: str) -> SearchStrategy[Canned]:
        word = st.sampled_from((*WORDS[kind], FAILS))
        return st.one_of(word, st.lists(word, min_size=1, max_size=4))

    def some(of: Mapping[str, SearchStrategy[Canned]]) -> SearchStrategy[dict[str, Canned]]:
        # Few, so that the rest is well: who is refused everywhere sees little of a flow.
        if not of:
            return st.just({})
        chosen = st.lists(st.sampled_from(sorted(of)), max_size=3, unique=True)
        return chosen.flatmap(lambda names: st.fixed_dictionaries({name: of[name] for name in names}))

    by_node = {
        name: canned(KINDS[type(node)]) if type(node) in KINDS else st.just(FAILS)
        for name, node in flow.nodes.items()
        if type(node) in KINDS or isinstance(node, WITH_CALLER)
    }
    by_kind = {kind: canned(kind) for kind in WORDS if kind not in ("lookups", "requests")}
    office = st.tuples(
        st.sampled_from((False,) * 9 + (True,)),
        some(by_kind),
        some({what: canned("lookups") for what in catalogue.LOOKUPS}),
        some({what: canned("requests") for what in catalogue.REQUESTS}),
        some(by_node),
    ).map(lambda one: Office(down=one[0], **one[1], lookups=one[2], requests=one[3], nodes=one[4]))
    left = [f"KEY-{key}" for node in flow.nodes.values() if isinstance(node, nodes.ToQueue) for key in node.keys]
    return st.builds(
        Script,
        caller=st.builds(
            Person,
            withheld=st.booleans(),
            certainty=st.sampled_from((None, "certain", "likely", "shared", "none")),
            customer=st.sampled_from(("", "204117")),
            pin=st.sampled_from(("", "1234")),
            language=st.sampled_from((None, *flow.document.languages)),
        ),
        steps=st.tuples(st.lists(step, max_size=MAX_STEPS), st.one_of(last)).map(lambda two: [*two[0], *two[1]]),
        office=office,
        queue=st.lists(st.sampled_from((*_QUEUE, *left)), max_size=8),
    )


def _keys(node: nodes.Node) -> list[str]:
    """What a caller who listens would press there."""
    match node:
        case nodes.Menu() | nodes.ChooseLanguage():
            return list(node.choices)
        case nodes.Collect():
            # A German IBAN's digits with right check digits, where one is wanted.
            whole = "89370400440532013000" if node.form == "iban_de" else "204117"[: node.most].ljust(node.least, "1")
            return [whole, *([node.skip] if node.skip else [])]
        case nodes.Authenticate():
            return ["204117", "1234", *([node.skip] if node.skip else [])]
        case _:
            return []
