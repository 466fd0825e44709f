"""The shipped flows: sound, every branch of them taken by a scripted caller, and no caller at all finds a dead end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_flows import CUSTOMER_CARE, FLOWS, FRONT_DESK, nodes, scripts
from ivr_flows.checks import House, check
from ivr_flows.coverage import Coverage
from ivr_flows.random_callers import random_caller
from ivr_flows.schema import load
from ivr_flows.scripts import SUFFIX, Script
from ivr_flows.simulator import simulate

HOUSE = House(
    queues=["service"],
    hours=["service"],
    transfers=["reception"],
    exit_keys={"service": "1"},
    http=["http://127.0.0.1:8099/ivr/"],
)
"""What the big one needs; the others make do with the default settings."""
FILES = sorted(file for file in FLOWS.glob("*.yaml") if not file.name.endswith(SUFFIX))
SUB_FLOWS = {"identify"}
"""Parts of others: what they do after somebody was proven elsewhere is seen there."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_wrong_with_it(file: Path) -> None:
    house = HOUSE if file == CUSTOMER_CARE else House(queues=["service"], hours=["service"])
    assert [str(problem) for problem in check(file, house)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_callers_fare_as_they_should_and_take_every_branch(file: Path) -> None:
    flow = load(file)
    coverage = Coverage(flow)
    for name, script in scripts.load(scripts.beside(file), flow).callers.items():
        run = simulate(flow, script)
        assert (name, [str(failure) for failure in run.failures], run.fault) == (name, [], "")
        coverage.add(run.trail)
    if file.stem not in SUB_FLOWS:
        assert [str(problem) for problem in coverage.missing()] == []


def test_the_big_one_uses_every_kind_of_node() -> None:
    used = {type(node) for node in load(CUSTOMER_CARE).nodes.values()}
    assert set(nodes.Node.__args__) - used == set()


@pytest.mark.parametrize("file", [CUSTOMER_CARE, FRONT_DESK], ids=lambda file: file.stem)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_random_caller_finds_no_dead_end(file: Path, data: st.DataObject) -> None:
    flow = load(file)
    script: Script = data.draw(random_caller(flow))
    run = simulate(flow, script)
    assert run.outcome.ended in ("routed", "hung_up", "gone", "error", "limit")
    assert run.outcome.route is not None or run.outcome.ended in ("hung_up", "gone")
