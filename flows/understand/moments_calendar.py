"""The calendar behind moments: feasts, weeks, months and the clock change; no words in it."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flows.holidays import easter, kings_day

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
PARTS: dict[str, tuple[int, int]] = {
    "morning": (6, 12),
    "afternoon": (12, 18),
    "evening": (18, 24),
    "night": (0, 6),
}


def monday(day: date) -> date:
    """The Monday of the week `day` is in."""
    return day - timedelta(days=day.weekday())


def next_weekday(weekday: int, after: date) -> date:
    """The first day strictly after `after` that is `weekday` (Monday = 0)."""
    return after + timedelta(days=(weekday - after.weekday() - 1) % 7 + 1)


def month_span(year: int, month: int) -> tuple[date, date]:
    """First day of a month and first day of the next; `month` may run outside 1-12."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    first = date(year, month, 1)
    return first, first + timedelta(days=calendar.monthrange(year, month)[1])


def months_later(day: date, months: int) -> date:
    """The same day some months on, or the last day of that month when it is shorter."""
    first, end = month_span(day.year, day.month + months)
    return min(first + timedelta(days=day.day - 1), end - DAY)


def next_date(month: int, day: int, today: date) -> date | None:
    """The next such date, today included, this year or the next; None when the calendar has none (31 April)."""
    for year in (today.year, today.year + 1):
        try:
            found = date(year, month, day)
        except ValueError:
            if (month, day) != (2, 29):
                return None
            if date(year, 3, 1) > today:
                return None  # the coming February is a short one, so the writer is mistaken
            continue
        if found >= today:
            return found
    return None


def next_day_of_month(day: int, today: date) -> date | None:
    """The next date with this day number, today included."""
    for ahead in range(3):
        first, end = month_span(today.year, today.month + ahead)
        found = first + timedelta(days=day - 1)
        if today <= found < end:
            return found
    return None


def feast_start(rule: Mapping[str, Any], year: int) -> date:
    """First day of a feast in `year`; raises ValueError for a rule that is not known."""
    kind = rule["rule"]
    if kind == "fixed":
        return date(year, int(rule["month"]), int(rule["day"]))
    if kind == "easter":
        return easter(year) + timedelta(days=int(rule["offset"]))
    if kind == "kingsday":
        return kings_day(year)
    if kind == "nth":
        first = date(year, int(rule["month"]), 1)
        return next_weekday(int(rule["weekday"]), first - DAY) + WEEK * (int(rule["nth"]) - 1)
    raise ValueError(f"unknown feast rule {kind!r}")


def feast_span(rule: Mapping[str, Any], today: date) -> tuple[date, date]:
    """First day and the day after the last of the feast that is on or comes next."""
    days = timedelta(days=int(rule.get("days", 1)))
    # The year before is tried too: a feast of two days may begin on 31 December.
    for year in (today.year - 1, today.year, today.year + 1):
        start = feast_start(rule, year)
        if start + days > today:
            return start, start + days
    raise ValueError("a feast comes every year")


def iso_week(week: int, today: date) -> tuple[date, date] | None:
    """Monday to Monday of the ISO week with this number that is on or comes next; None when there is none."""
    for year in (today.year, today.year + 1):
        try:
            first = date.fromisocalendar(year, week, 1)
        except ValueError:
            continue
        if first + WEEK > today:
            return first, first + WEEK
    return None


def later(now: datetime, delta: timedelta) -> datetime:
    """The wall-clock time that shows `delta` from now, across a clock change when `now` knows its zone."""
    if now.tzinfo is None:
        return now + delta
    return (now.astimezone(UTC) + delta).astimezone(now.tzinfo).replace(tzinfo=None)


def exists(wall: datetime, now: datetime) -> bool:
    """Whether clocks in `now`'s zone ever show `wall`: not so in the hour skipped in spring."""
    if now.tzinfo is None:
        return True
    there = wall.replace(tzinfo=now.tzinfo)
    return there.astimezone(UTC).astimezone(now.tzinfo).replace(tzinfo=None) == wall
