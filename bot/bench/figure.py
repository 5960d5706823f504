"""One figure of the bench, beside what the machine itself could do at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its floor: the same work done as barely as possible in the same run; None where there is none."""

    name: str
    value: float
    unit: str
    floor: float | None = None

    def as_json(self) -> dict[str, object]:
        """The shape that others read; `ratio` is value to floor."""
        ratio = round(self.value / self.floor, 2) if self.floor else None
        floor = None if self.floor is None else _short(self.floor)
        return {"name": self.name, "value": _short(self.value), "unit": self.unit, "floor": floor, "ratio": ratio}


Measure = Callable[[float], Iterator[Figure]]
"""Measures for about so many seconds and yields what came of it."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _short(value: float) -> float:
    return float(f"{value:.4g}")
