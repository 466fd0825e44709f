from __future__ import annotations

from pathlib import Path

import pytest

from ivr_flows import CUSTOMER_CARE
from ivr_flows.checks import check
from ivr_flows.engine import Answer, Done, Finish, Played, Recognised, Typed, start, step
from ivr_flows.ports import CallFacts, Recognition, Route
from ivr_flows.schema import load

FOLDER = CUSTOMER_CARE.parent
CARE = load(CUSTOMER_CARE)
KNOWN_DE = Recognition("certain", "number", "id-1", "Erika", "de")
KNOWN_EN = Recognition("certain", "number", "id-2", "Eric", "en")
NONE = Recognition("none", "")
SHARED = Recognition("shared", "")
WITHHELD = Recognition("withheld", "")
P = Played()
WRONG: list[Answer] = [Typed("99999"), Recognised(NONE)]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_nothing_is_wrong_with_it(file: Path) -> None:
    assert [str(problem) for problem in check(file, ["service"])] == []


CASES: dict[str, tuple[list[Answer], Route]] = {
    "known by number": ([P, Recognised(KNOWN_DE), P], Route("service", 5, "de")),
    "known by number, English": ([P, Recognised(KNOWN_EN), Done(), P], Route("service", 5, "en")),
    "withheld, gives her number": (
        [P, Recognised(WITHHELD), Typed("1"), P, Typed("100234"), Recognised(KNOWN_DE), P],
        Route("service", 10, "de"),
    ),
    "unknown, English, skips": ([P, Recognised(NONE), Typed("2"), Done(), P, Typed("*")], Route("service", 0, "en")),
    "shared, silent": ([P, Recognised(SHARED), Typed(""), P, Typed(""), Typed("")], Route("service", 0, "de")),
    "three wrong numbers": (
        [P, Recognised(NONE), Typed("1"), P, *WRONG, *WRONG, *WRONG, P],
        Route("service", 0, "de"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_customer_care_leads_everyone_to_a_person(case: str) -> None:
    answers, route = CASES[case]
    state, command = start(CARE, CallFacts("pbx1-1.1", "+49301234567", "", "allowed", "030", "de"))
    for answer in answers:
        assert not isinstance(command, Finish)
        state, command = step(CARE, state, answer)
    assert isinstance(command, Finish), command
    assert (command.outcome.route, command.outcome.ended, command.outcome.error) == (route, "routed", "")
