"""The Dutch holidays on which nobody is asked anything: the days of the Algemene termijnenwet, and Good Friday.

Reckoned here because a library for it costs 20 MB and half a second; the tests hold it against that library.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

FIXED = ((1, 1), (12, 25), (12, 26))
FROM_EASTER = (-2, 0, 1, 39, 49, 50)  # Good Friday, Easter, Ascension Day and Pentecost
LIBERATION_YEARS = 5  # 5 May is a holiday once in so many years


def is_holiday(day: date) -> bool:
    """True on a Dutch public holiday."""
    return day in _days_off(day.year)


@cache
def _days_off(year: int) -> frozenset[date]:
    liberation = () if year % LIBERATION_YEARS else (date(year, 5, 5),)
    fixed = (date(year, month, day) for month, day in FIXED)
    moving = (easter(year) + timedelta(days=days) for days in FROM_EASTER)
    return frozenset((*fixed, *moving, kings_day(year), *liberation))


def kings_day(year: int) -> date:
    """27 April, or the day before when that is a Sunday."""
    day = date(year, 4, 27)
    return day - timedelta(days=1) if day.isoweekday() == 7 else day


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of Nature, 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    f = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - f + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)
