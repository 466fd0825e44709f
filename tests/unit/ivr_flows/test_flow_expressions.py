from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_flows.expressions import (
    ExpressionError,
    Values,
    check_expression,
    evaluate,
    names_in_expression,
    names_in_template,
    render,
)

VALUES: Values = {"caller": {"known": True, "certainty": "likely"}, "language": "de", "tries": 3}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("caller.known", True),
        ("caller.certainty in ('certain', 'likely')", True),
        ("10 if caller.known else 0", 10),
        ("tries * 2 + 1", 7),
        ("language ~ '!'", "de!"),
        ("missing | default('x')", "x"),
        ("language is defined and not (tries > 3)", True),
    ],
)
def test_reads_and_calculates(source: str, expected: object) -> None:
    assert evaluate(source, VALUES) == expected


@pytest.mark.parametrize(
    "source",
    [
        "nothing",
        "caller.nothing",
        "caller.__class__",
        "''.__class__.__mro__",
        "caller.items()",
        "language.upper()",
        "range(3)",
        "'a' * 100000000",
        "[1] * 100000000",
        "9 ** 9",
        "'%999999999d' % 1",
        "tries * 1000000000000",
        "language | center(100000000)",
        "1 / 0",
        "caller.known +",
        "(" * 300,
        "tries" * 200,
    ],
)
def test_refuses_what_is_not_there_or_not_safe(source: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        evaluate(source, VALUES)
    assert "\n" not in str(refused.value)


def test_a_text_takes_values_and_no_statements() -> None:
    assert render("Hallo {{ language }}, {{ tries + 1 }}", VALUES) == "Hallo de, 4"
    assert render("plain", {}) == "plain"
    for source in ("{% for x in [1] %}{{ x }}{% endfor %}", "{% set x = 1 %}", "{{ x", "{{ nothing }}"):
        with pytest.raises(ExpressionError):
            render(source, VALUES)


def test_a_text_does_not_grow_without_bound() -> None:
    with pytest.raises(ExpressionError, match="becomes a text of"):
        render("{{ a }}{{ a }}", {"a": "x" * 1500})


def test_names_are_found_with_their_field() -> None:
    assert names_in_expression("caller.known and tries > limit") == {"caller.known", "tries", "limit"}
    assert names_in_template("{{ house }} {{ caller.name }}") == {"house", "caller.name"}


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_a_clean_error(source: str) -> None:
    with contextlib.suppress(ExpressionError):
        check_expression(source)
        evaluate(source, VALUES)
