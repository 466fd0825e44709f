"""Tests of flows, for whoever has Callfloor and pytest installed.

def test_an_impatient_caller(flow_simulator):
    run = flow_simulator("customer-care.yaml").caller({"press": "1"}, "hangup", office={"hours": "open"})
    assert run.ended == "gone"

def test_every_script_and_every_branch(flow_simulator):
    flow = flow_simulator("customer-care.yaml")
    flow.all_callers()
    assert not flow.coverage.missing()

@given(script=random_caller(flow))            # from ivr_flows.random_callers, with hypothesis
def test_nobody_gets_stuck(script): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # The plugin is read in every run of pytest; the rest only where a flow is tested.
    from ivr_flows.coverage import Coverage
    from ivr_flows.runs import Run
    from ivr_flows.schema import Flow
    from ivr_flows.scripts import Script


class FlowSimulator:
    """One flow, and the callers who came so far."""

    def __init__(self, path: Path) -> None:
        """Raises ``FlowError``."""
        from ivr_flows.coverage import Coverage
        from ivr_flows.schema import load

        self.path = path
        self.flow: Flow = load(path)
        self.coverage: Coverage = Coverage(self.flow)
        """Of all callers of this simulator."""

    def caller(self, *steps: Any, **world: Any) -> Run:
        """A caller who does these steps; ``caller``, ``office``, ``queue`` and ``expect`` as in a file of scripts.

        Raises ``FlowError`` for what a file could not hold either, and ``AssertionError`` with the transcript for
        expectations that are not met and for steps that fit no question or are left over.
        """
        from ivr_flows.scripts import script

        return self._proven(script({"steps": list(steps), **world}, self.flow), "caller")

    def run(self, script: Script) -> Run:
        """Whatever comes of this script; ``Run.failures`` and ``Run.fault`` tell what went wrong."""
        from ivr_flows.simulator import simulate

        run = simulate(self.flow, script)
        self.coverage.add(run.trail)
        return run

    def all_callers(self, scripts: Path | None = None) -> Mapping[str, Run]:
        """Every caller of a file of scripts (default: the one beside the flow). Raises as ``caller`` does."""
        from ivr_flows.scripts import beside, load

        return {
            name: self._proven(script, name)
            for name, script in load(scripts or beside(self.path), self.flow).callers.items()
        }

    def _proven(self, script: Script, name: str) -> Run:
        run = self.run(script)
        if run.failures or run.fault:
            told = [f"{'.'.join(failure.path)}: {failure.message}" for failure in run.failures]
            told += [f"the flow failed: {run.fault}"] if run.fault else []
            raise AssertionError("\n".join([f"{name}:", *told, run.transcript()]))
        return run


@pytest.fixture
def flow_simulator(request: pytest.FixtureRequest) -> Callable[[str | Path], FlowSimulator]:
    """Makes a ``FlowSimulator`` of a flow file, which is looked for beside the test first."""

    def make(flow: str | Path) -> FlowSimulator:
        beside = request.path.parent / flow
        return FlowSimulator(beside if beside.is_file() else Path(flow))

    return make
