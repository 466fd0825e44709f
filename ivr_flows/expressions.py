"""The one expression language of flows: Jinja2 expressions in its sandbox, with less in it.

A flow file is an input like any other. So an expression can read the values of the call, compare, calculate and choose;
it cannot call anything, reach attributes of Python objects, or build something big.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.environment import Template, TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_EXPRESSION = 500
"""Characters of one expression."""
MAX_TEMPLATE = 2000
"""Characters of one text."""
MAX_NUMBER = 10**9
MAX_RESULT = 2000
"""Characters of what a template may become."""

_FILTERS = ("default", "d", "int", "first", "last", "length", "lower", "upper", "trim", "string")
_TESTS = ("defined", "undefined", "none", "in", "eq", "ne", "lt", "le", "gt", "ge", "odd", "even", "number", "string")

Value = str | int | bool
Values = Mapping[str, Value | Mapping[str, Value]]


class ExpressionError(Exception):
    """An expression that cannot be read, or that failed on the values it met. One line, fit to be shown."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """No calls, no attributes but keys of mappings, no operator that makes much of little."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, cache_size=0)
        self.filters = {name: self.filters[name] for name in _FILTERS}
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


def check_template(source: str) -> None:
    """Raise ``ExpressionError`` when ``source`` is no template."""
    _template(source)


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


def names_in_template(source: str) -> frozenset[str]:
    """The names a template uses, ``caller.known`` as one. Raises ``ExpressionError``."""
    _template(source)
    return _names(source)


def names_in_expression(source: str) -> frozenset[str]:
    """The names an expression uses, ``caller.known`` as one. Raises ``ExpressionError``."""
    _expression(source)
    return _names("{{ " + source + " }}")


def _names(template: str) -> frozenset[str]:
    tree = _SANDBOX.parse(template)
    dotted = [node for node in tree.find_all(nodes.Getattr) if isinstance(node.node, nodes.Name)]
    inside = {id(node.node) for node in dotted}
    plain = {node.name for node in tree.find_all(nodes.Name) if id(node) not in inside}
    return frozenset(plain | {f"{node.node.name}.{node.attr}" for node in dotted if isinstance(node.node, nodes.Name)})


def _line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]
