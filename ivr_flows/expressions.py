"""The one expression language of flows: Jinja2 expressions in its sandbox, with less in it.

A flow file is an input like any other. So an expression can read the values of the call, compare, calculate and choose;
it cannot call anything, reach attributes of Python objects, or build something big.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.environment import Template, TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ivr_flows.spoken import Kind, Spoken

MAX_EXPRESSION = 500
"""Characters of one expression."""
MAX_TEMPLATE = 2000
"""Characters of one text."""
MAX_NUMBER = 10**9
MAX_RESULT = 2000
"""Characters of what a template may become."""

SPOKEN: tuple[Kind, ...] = ("digits", "number", "amount", "date", "time", "spell", "word")
"""Filters that say how a value of the call is spoken; only texts have them."""
MASKS = ("masked", "last4")
"""Filters that make of a secure value one that may be told."""
_FILTERS = ("default", "d", "int", "first", "last", "length", "lower", "upper", "trim", "string")
_TESTS = ("defined", "undefined", "none", "in", "eq", "ne", "lt", "le", "gt", "ge", "odd", "even", "number", "string")

Value = str | int | bool
Values = Mapping[str, Value | Mapping[str, Value]]
Piece = str | tuple[str, Kind]
"""Of a text: words that are known ahead, or an expression whose value is spoken at the call, and how."""


class ExpressionError(Exception):
    """An expression that cannot be read, or that failed on the values it met. One line, fit to be shown."""


def _never_spoken(value: Any) -> Any:
    """What is spoken piece by piece has no place inside a text that is rendered as a whole."""
    if isinstance(value, Spoken):
        raise SecurityError(f"'{value.kind}' is for what is said, at the end of an expression")
    return value


def _speak(kind: Kind, value: Any, currency: str = "EUR") -> Spoken:
    if not isinstance(value, str | int) or not isinstance(currency, str):
        raise SecurityError(f"'{kind}' is for a plain value")
    return Spoken(kind, value, currency if kind == "amount" else "")


def _last4(value: Any) -> str:
    """Nothing of a short one: four of the six digits of a secret are no mask."""
    text = str(value)
    return text[-4:] if len(text) > 8 else ""


def _masked(value: Any) -> str:
    """All but the last four characters become dots; short ones become dots as a whole."""
    return "•" * 4 + _last4(value)


class _Sandbox(ImmutableSandboxedEnvironment):
    """No calls, no attributes but keys of mappings, no operator that makes much of little."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, cache_size=0, finalize=_never_spoken)
        self.filters = {
            **{name: self.filters[name] for name in _FILTERS},
            **{kind: partial(_speak, kind) for kind in SPOKEN},
            "masked": _masked,
            "last4": _last4,
        }
        self.tests = {name: self.tests[name] for name in _TESTS}
        self.globals.clear()

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def call(self, *_: Any, **__: Any) -> Any:
        raise SecurityError("calls are not allowed")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return left + right
        if not all(isinstance(side, int | float) and abs(side) <= MAX_NUMBER for side in (left, right)):
            raise SecurityError(f"{operator!r} is for numbers up to {MAX_NUMBER}")
        if operator == "**":
            raise SecurityError("'**' is not allowed")
        return super().call_binop(context, operator, left, right)


_SANDBOX = _Sandbox()


@lru_cache(maxsize=4096)
def _expression(source: str) -> TemplateExpression:
    if len(source) > MAX_EXPRESSION:
        raise ExpressionError(f"an expression of {len(source)} characters (at most {MAX_EXPRESSION})")
    try:
        return _SANDBOX.compile_expression(source, undefined_to_none=False)
    except (TemplateError, RecursionError, SyntaxError, MemoryError) as wrong:
        raise ExpressionError(f"cannot be read as an expression: {_line(wrong)}") from wrong


@lru_cache(maxsize=4096)
def _template(source: str) -> Template:
    if len(source) > MAX_TEMPLATE:
        raise ExpressionError(f"a text of {len(source)} characters (at most {MAX_TEMPLATE})")
    try:
        tree = _SANDBOX.parse(source)
        # Loops and macros have no place in a sentence, and a loop in a loop takes for ever.
        if any(
            isinstance(statement, nodes.Stmt) and not isinstance(statement, nodes.Output) for statement in tree.body
        ):
            raise ExpressionError("statements ({% … %}) are not allowed; use {{ … }}")
        return _SANDBOX.from_string(source)
    except (TemplateError, RecursionError, SyntaxError, MemoryError) as wrong:
        raise ExpressionError(f"cannot be read as a template: {_line(wrong)}") from wrong


def check_expression(source: str) -> None:
    """Raise ``ExpressionError`` when ``source`` is no expression."""
    _expression(source)
    _refuse_spoken("{{ " + source + " }}")


def check_template(source: str) -> None:
    """Raise ``ExpressionError`` when ``source`` is no template of a value."""
    _template(source)
    _refuse_spoken(source)


def check_text(source: str) -> None:
    """Raise ``ExpressionError`` when ``source`` is no template of something that is said."""
    for piece in pieces(source):
        if isinstance(piece, tuple):
            _refuse_spoken("{{" + piece[0] + "}}", but_at_its_end=True)
        else:
            _refuse_spoken(piece)


def _refuse_spoken(template: str, *, but_at_its_end: bool = False) -> None:
    found = [one.name for one in _SANDBOX.parse(template).find_all(nodes.Filter) if one.name in SPOKEN]
    if len(found) > but_at_its_end:
        raise ExpressionError(f"{found[-1]!r} is for what is said, at the end of an expression")


def evaluate(source: str, values: Values) -> Any:
    """The value of an expression. Raises ``ExpressionError``, also for names that are not in ``values``."""
    expression = _expression(source)
    try:
        result = expression(values)
        # An undefined name only shows when it is used.
        if isinstance(result, StrictUndefined):
            str(result)
        return result
    except Exception as failed:
        raise ExpressionError(_line(failed)) from failed


def render(source: str, values: Values) -> str:
    """The text of a template. Raises ``ExpressionError``, also for names that are not in ``values``."""
    if "{" not in source:
        return source
    template = _template(source)
    try:
        text = template.render(values)
    except Exception as failed:
        raise ExpressionError(_line(failed)) from failed
    if len(text) > MAX_RESULT:
        raise ExpressionError(f"becomes a text of {len(text)} characters (at most {MAX_RESULT})")
    return text


@lru_cache(maxsize=4096)
def pieces(source: str) -> tuple[Piece, ...]:
    """A text cut at the values that are spoken at the call. Raises ``ExpressionError``."""
    _template(source)
    if "{{" not in source:
        return (source,)
    found: list[Piece] = []
    plain, inside = "", ""
    within = False
    for _, part, text in _SANDBOX.lex(source):
        if part == "variable_begin":
            within, inside = True, ""
        elif part == "variable_end":
            within = False
            kind = _spoken_as(inside)
            if kind is None:
                plain += "{{" + inside + "}}"
            else:
                found += [plain, (inside.strip(), kind)] if plain else [(inside.strip(), kind)]
                plain = ""
        elif within:
            inside += text
        else:
            plain += text
    return (*found, plain) if plain else tuple(found)


def _spoken_as(expression: str) -> Kind | None:
    """How an expression's value is said, by its last filter; none: it is plain text."""
    tree = _SANDBOX.parse("{{" + expression + "}}")
    output = tree.body[0] if tree.body else None
    last = output.nodes[0] if isinstance(output, nodes.Output) and output.nodes else None
    if isinstance(last, nodes.Filter):
        return next((kind for kind in SPOKEN if kind == last.name), None)
    return None


def speak(source: str, values: Values) -> Spoken:
    """The value of an expression that ends with a filter of ``SPOKEN``. Raises ``ExpressionError``."""
    result = evaluate(source, values)
    if not isinstance(result, Spoken):
        raise ExpressionError("is not said in any way; end it with a filter such as 'digits'")
    return result


def names_in_template(source: str) -> frozenset[str]:
    """The names a template uses, ``caller.known`` as one. Raises ``ExpressionError``."""
    _template(source)
    return _names(source)


def names_in_expression(source: str) -> frozenset[str]:
    """The names an expression uses, ``caller.known`` as one. Raises ``ExpressionError``."""
    _expression(source)
    return _names("{{ " + source + " }}")


def bare_names(template: str) -> frozenset[str]:
    """The names whose values a template uses unmasked. Raises ``ExpressionError``."""
    _template(template)
    tree = _SANDBOX.parse(template)
    # What stands under a mask is taken out of the tree, and with it the names in there.
    for parent in [tree, *tree.find_all(nodes.Node)]:
        for child in parent.iter_child_nodes():
            if isinstance(child, nodes.Filter) and child.name in MASKS:
                child.node = nodes.Const("")
    return _names_of(tree)


def _names(template: str) -> frozenset[str]:
    return _names_of(_SANDBOX.parse(template))


def _names_of(tree: nodes.Template) -> frozenset[str]:
    dotted = [node for node in tree.find_all(nodes.Getattr) if isinstance(node.node, nodes.Name)]
    inside = {id(node.node) for node in dotted}
    plain = {node.name for node in tree.find_all(nodes.Name) if id(node) not in inside}
    return frozenset(plain | {f"{node.node.name}.{node.attr}" for node in dotted if isinstance(node.node, nodes.Name)})


def _line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]
