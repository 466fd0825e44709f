"""Logging of the shell's tests: rendered plainly, and kept where a test can read it."""

from __future__ import annotations

import io
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
import structlog


@pytest.fixture(autouse=True)
def logged(logging_of_this_test: None) -> io.StringIO:
    """Everything that is logged, one line of JSON each, exceptions as plain tracebacks."""
    text = io.StringIO()

    def write(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        text.write(json.dumps(event, default=repr) + "\n")
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.format_exc_info, write])
    return text
