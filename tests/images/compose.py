"""The compose file, read as compose reads it: variables filled in, mounts taken apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "docker" / "compose.yaml"
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Mount:
    """What a service sees at ``target``. ``source``: a volume's name, or a path beside the compose file."""

    source: str
    target: str
    writable: bool
    copies: bool = True
    """Whether a volume that is still empty gets what the image has there."""

    @property
    def is_volume(self) -> bool:
        return not self.source.startswith((".", "/"))


def filled(value: Any, variables: Mapping[str, str]) -> Any:
    """The value with its ``${NAME:-default}`` filled in; a variable without value and default is an error."""
    if isinstance(value, dict):
        return {key: filled(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part, variables) for part in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: variables.get(found[1]) or _default(found), value)
    return value


def _default(found: re.Match[str]) -> str:
    if found[2] is None:
        raise KeyError(f"{found[1]} has no default")
    return found[2]


def read(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The whole document."""
    document: dict[str, Any] = filled(yaml.safe_load(FILE.read_text(encoding="utf-8")), variables or {})
    return document


def mounts(service: Mapping[str, Any]) -> list[Mount]:
    """The volumes and files that a service is given."""
    found = []
    for entry in service.get("volumes", ()):
        if isinstance(entry, str):
            source, target, *rest = entry.split(":")
            found.append(Mount(source, target, "ro" not in rest))
        else:
            copies = not entry.get("volume", {}).get("nocopy", False)
            found.append(Mount(entry["source"], entry["target"], not entry.get("read_only", False), copies))
    return found


def scratch(service: Mapping[str, Any]) -> list[str]:
    """Where a service may write what is gone with it."""
    return [entry.partition(":")[0] for entry in service.get("tmpfs", ())]


def is_one_shot(document: Mapping[str, Any], name: str) -> bool:
    """Whether others wait for the service's end: then it is none that stays."""
    conditions = [
        service["depends_on"][name]["condition"]
        for service in document["services"].values()
        if name in service.get("depends_on", {})
    ]
    return "service_completed_successfully" in conditions
