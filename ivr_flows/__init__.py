"""IVR flows: schema, checks, engine (pure), simulator, drawing, prompts, and the shipped flows as data."""

from pathlib import Path

FLOWS = Path(__file__).with_name("flows")
"""The shipped flows."""
FRONT_DESK = FLOWS / "front-desk.yaml"
"""What runs until a flow is published: who calls, in which language, then to a person."""
CUSTOMER_CARE = FLOWS / "customer-care.yaml"
"""A mail-order house's self-service; the demo plays it."""
