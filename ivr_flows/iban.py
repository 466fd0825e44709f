"""German account numbers as a caller can type them: digits only. The check is the field's library's."""

from __future__ import annotations

from stdnum import iban
from stdnum.exceptions import ValidationError

DIGITS = 20
"""A German IBAN after its ``DE``."""


def german_iban(digits: str) -> str | None:
    """``DE`` and the digits, if its check digits are right (ISO 13616, ISO 7064); none if they are not."""
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return str(iban.validate(f"DE{digits}", check_country=False))
    except ValidationError:
        return None
