"""Who calls: the table, and what must never open by itself."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_bridge.matching import MAX_CANDIDATES, Proof, match_number, match_proven, unavailable
from crm_bridge.numbers import NumberStatus, PhoneNumber
from crm_bridge.ports import Certainty, CustomerRef, Match

ANNA = CustomerRef("1", "204117", "Anna")
JAN = CustomerRef("2", "311820", "Jan")
PEOPLE = {0: (), 1: (ANNA,), 2: (ANNA, JAN)}


def number(status: NumberStatus = NumberStatus.OK, exact: bool = True) -> PhoneNumber:
    e164 = "+493023125042" if status is NumberStatus.OK else None
    return PhoneNumber("", e164, status, "", "", exact)


@pytest.mark.parametrize(
    ("status", "exact", "found", "certainty", "reason", "opens"),
    [
        (NumberStatus.OK, True, 0, Certainty.NONE, "number_unknown", None),
        (NumberStatus.OK, True, 1, Certainty.CERTAIN, "number_unique", ANNA),
        (NumberStatus.OK, True, 2, Certainty.SHARED, "number_shared", None),
        (NumberStatus.OK, False, 0, Certainty.NONE, "number_unknown", None),
        (NumberStatus.OK, False, 1, Certainty.LIKELY, "loose_number", ANNA),
        (NumberStatus.OK, False, 2, Certainty.SHARED, "number_shared", None),
        (NumberStatus.WITHHELD, True, 1, Certainty.WITHHELD, "number_withheld", None),
        (NumberStatus.INVALID, True, 1, Certainty.NONE, "number_invalid", None),
        (NumberStatus.INTERNAL, True, 1, Certainty.NONE, "number_invalid", None),
    ],
)
def test_by_number(
    status: NumberStatus, exact: bool, found: int, certainty: Certainty, reason: str, opens: CustomerRef | None
) -> None:
    match = match_number(number(status, exact), PEOPLE[found], source="here")
    assert (match.certainty, match.reason, match.customer, match.source) == (certainty, reason, opens, "here")
    assert match.customers == (PEOPLE[found] if status is NumberStatus.OK else ())


def test_one_customer_listed_twice_is_one_customer() -> None:
    assert match_number(number(), (ANNA, ANNA), source="").reason == "number_unique"


def test_a_switchboard_number_offers_a_choice_of_bounded_length() -> None:
    crowd = tuple(CustomerRef(str(i), str(i), "x") for i in range(500))
    assert len(match_number(number(), crowd, source="").customers) == MAX_CANDIDATES


NOTHING = Match(Certainty.NONE, "number_unknown")
SAYS_ANNA = Match(Certainty.CERTAIN, "number_unique", (ANNA,))
SAYS_JAN = Match(Certainty.CERTAIN, "number_unique", (JAN,))
SAYS_BOTH = Match(Certainty.SHARED, "number_shared", (JAN, ANNA))


@pytest.mark.parametrize(
    ("by_number", "certainty"),
    [
        (None, Certainty.CERTAIN),
        (NOTHING, Certainty.CERTAIN),
        (SAYS_ANNA, Certainty.CERTAIN),
        (SAYS_BOTH, Certainty.CERTAIN),
        (SAYS_JAN, Certainty.LIKELY),
    ],
)
def test_a_typed_customer_number_outranks_the_caller_id(by_number: Match | None, certainty: Certainty) -> None:
    match = match_proven(ANNA, Proof.CUSTOMER_NUMBER, by_number=by_number, source="")
    assert (match.customer, match.certainty, match.reason) == (ANNA, certainty, "customer_number")


@pytest.mark.parametrize(
    ("proof", "by_number"),
    list(
        product((Proof.CUSTOMER_NUMBER_AND_PIN, Proof.CHOSEN_BY_AGENT), (None, NOTHING, SAYS_ANNA, SAYS_JAN, SAYS_BOTH))
    ),
)
def test_pin_and_agent_settle_it(proof: Proof, by_number: Match | None) -> None:
    match = match_proven(ANNA, proof, by_number=by_number, source="")
    assert (match.customer, match.certainty, match.reason) == (ANNA, Certainty.CERTAIN, proof.value)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (NumberStatus.OK, "crm_unavailable"),
        (NumberStatus.WITHHELD, "number_withheld"),
        (NumberStatus.INVALID, "number_invalid"),
    ],
)
def test_without_the_crm_the_rest_is_still_said(status: NumberStatus, reason: str) -> None:
    match = unavailable(number(status), source="")
    assert (match.reason, match.customer) == (reason, None)


@given(
    status=st.sampled_from(NumberStatus),
    exact=st.booleans(),
    people=st.lists(st.sampled_from([ANNA, JAN, CustomerRef("3", "3", "C")]), max_size=5),
)
def test_only_one_candidate_of_a_usable_number_ever_opens(
    status: NumberStatus, exact: bool, people: list[CustomerRef]
) -> None:
    match = match_number(number(status, exact), tuple(people), source="")
    assert (match.customer is not None) == (status is NumberStatus.OK and len(set(people)) == 1)
