"""Figures of the running service for Prometheus: read when asked for, so that counting costs the calls nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Read = Callable[[], float | Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric. ``read`` gives a number, or one per value of ``label``."""

    name: str
    text: str
    read: Read
    label: str = ""
    counter: bool = False


class Figures(Collector):
    """All figures, as one collector."""

    def __init__(self, registry: CollectorRegistry, *figures: Figure) -> None:
        self._figures = figures
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        for figure in self._figures:
            family = (CounterMetricFamily if figure.counter else GaugeMetricFamily)(
                f"callfloor_{figure.name}", figure.text, labels=[figure.label] if figure.label else []
            )
            value = figure.read()
            if isinstance(value, Mapping):
                for key, number in sorted(value.items()):
                    family.add_metric([key], number)
            else:
                family.add_metric([], value)
            yield family
