from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_flows.expressions import (
    ExpressionError,
    Values,
    bare_names,
    check_expression,
    check_template,
    check_text,
    evaluate,
    names_in_expression,
    names_in_template,
    pieces,
    render,
    speak,
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


@pytest.mark.parametrize(
    ("value", "masked", "last4"),
    [
        ("DE89370400440532013000", "••••3000", "3000"),
        ("123456789", "••••6789", "6789"),
        ("12345678", "••••", ""),
        ("1234", "••••", ""),
        ("", "••••", ""),
    ],
)
def test_a_mask_leaves_no_more_than_the_end_of_what_is_long(value: str, masked: str, last4: str) -> None:
    assert render("{{ v | masked }}/{{ v | last4 }}", {"v": value}) == f"{masked}/{last4}"


@pytest.mark.parametrize(
    ("template", "bare"),
    [
        ("{{ pin }}", {"pin"}),
        ("{{ pin | masked }}", set()),
        ("{{ pin | last4 | upper }}", set()),
        ("{{ pin | upper | last4 }}", set()),
        ("{{ (pin | masked) ~ pin }}", {"pin"}),
        ("{{ (pin ~ other) | masked }} {{ third }}", {"third"}),
        ("{{ (pin if known else 'x') | masked }}", set()),
        ("{{ 'x' if pin == '1' else (pin | masked) }}", {"pin"}),
        ("{{ house[pin] }}", {"house", "pin"}),
        ("{{ order.number }}", {"order.number"}),
        ("{{ 'x' | default(pin) }}", {"pin"}),
        ("plain", set()),
    ],
)
def test_names_that_are_read_unmasked(template: str, bare: set[str]) -> None:
    assert bare_names(template) == bare


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("plain", ("plain",)),
        ("Hallo {{ house }}!", ("Hallo {{ house }}!",)),
        ("{{ n | digits }}", (("n | digits", "digits"),)),
        ("A {{ n | digits }} B {{ house }} C.", ("A ", ("n | digits", "digits"), " B {{ house }} C.")),
        ("{{ o.total | amount(o.currency) }}", (("o.total | amount(o.currency)", "amount"),)),
        ("{{ n | last4 | digits }}{{ d | date }}", (("n | last4 | digits", "digits"), ("d | date", "date"))),
        ("{{ '}}' }}", ("{{ '}}' }}",)),
    ],
)
def test_a_text_is_cut_at_what_is_spoken_at_the_call(text: str, cut: tuple[object, ...]) -> None:
    assert pieces(text) == cut


@pytest.mark.parametrize(
    "expression",
    ["tries", "caller | digits", "missing | digits", "tries | amount(caller)", "tries | amount(7)", "[1] | spell"],
)
def test_what_is_no_plain_value_is_not_spoken(expression: str) -> None:
    with pytest.raises(ExpressionError):
        speak(expression, VALUES)


def test_what_is_spoken_has_no_place_inside_a_text_or_a_value() -> None:
    with pytest.raises(ExpressionError):
        render("x {{ tries | digits }}", VALUES)
    for expression in ("tries | digits", "(tries | digits) ~ 'x'", "tries | digits | upper", "tries | number > 3"):
        with pytest.raises(ExpressionError, match="is for what is said"):
            check_expression(expression)
        with pytest.raises(ExpressionError, match="is for what is said"):
            check_template("x {{ " + expression + " }}")
    for text in ("{{ (tries | digits) ~ 'x' }}", "{{ tries | digits | digits }}", "{{ tries | digits | upper }}"):
        with pytest.raises(ExpressionError, match="is for what is said"):
            check_text(text)
    check_text("x {{ tries | last4 | digits }} {{ tries | amount(language) }} {{ tries }}")


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_a_clean_error(source: str) -> None:
    with contextlib.suppress(ExpressionError):
        check_expression(source)
        evaluate(source, VALUES)
