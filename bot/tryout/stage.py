"""Where a pretend neighbourhood begins: its first moment, who else may turn up, and how far its clock is pushed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.cast import CAST, STRANGERS

START = datetime(2026, 3, 24, 9, 30, tzinfo=UTC)
"""A Tuesday, 10:30 in Amsterdam; transcripts begin there too, so that a saved talk can be played."""

ZONE = "Europe/Amsterdam"
EVERYBODY = (*CAST, *STRANGERS)
TEN = time(10, 0)
TUESDAY = 1


def tomorrow(now: datetime) -> datetime:
    """Tomorrow at 10:00 in the neighbourhood; aware UTC."""
    return _at_ten(now, 1)


def next_tuesday(now: datetime) -> datetime:
    """The next Tuesday 10:00 that is still to come, perhaps today; aware UTC."""
    local = now.astimezone(ZoneInfo(ZONE))
    days = (TUESDAY - local.weekday()) % 7
    return _at_ten(now, days if days or local.time() < TEN else 7)


def _at_ten(now: datetime, days: int) -> datetime:
    day = now.astimezone(ZoneInfo(ZONE)).date() + timedelta(days=days)
    return datetime.combine(day, TEN, ZoneInfo(ZONE)).astimezone(UTC)
