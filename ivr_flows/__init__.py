"""IVR flows: schema, checks, engine (pure), prompts, and the shipped flows as data."""

from pathlib import Path

CUSTOMER_CARE = Path(__file__).with_name("flows") / "customer-care.yaml"
"""The shipped flow."""
