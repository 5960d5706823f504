"""What time it is: really, or in a rehearsal that starts at a given moment and runs faster."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Two times: the calendar's, in which people live, and the real one, in which networks answer. Both aware UTC."""

    speed: float

    def now(self) -> datetime:
        """The calendar's moment."""
        ...

    def real(self) -> datetime:
        """The real moment, for pacing, time-outs and retries: those are never played faster."""
        ...


class RealClock:
    """Both times are the same."""

    speed = 1.0

    def now(self) -> datetime:
        """The moment it is."""
        return datetime.now(UTC)

    def real(self) -> datetime:
        """The moment it is."""
        return datetime.now(UTC)


class RehearsalClock:
    """A calendar that starts at a moment and runs `speed` times faster than life."""

    def __init__(self, start: datetime, speed: float) -> None:
        """`start` is aware; `speed` above 0."""
        if start.tzinfo is None or speed <= 0:
            raise ValueError("a rehearsal needs a moment with a time zone, and a speed above 0")
        self.speed = speed
        self._start, self._began = start.astimezone(UTC), time.monotonic()

    def now(self) -> datetime:
        """The calendar's moment."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self.speed)

    def real(self) -> datetime:
        """The moment it really is."""
        return datetime.now(UTC)
