"""When somebody is asked "hoe gaat het": each person's own days and hour, on the neighbourhood's clock.

A slot names what is asked for ("2026-W13", or "2026-03-24" for who is asked more than once a week), so that a holiday
may move the moment and never the slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flows.contract import Neighbourhood, Person
from flows.holidays import is_holiday
from flows.times import day, setting

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RHYTHMS = ("weekly", "twice", "daily")
SECOND_DAY = 3  # who is asked twice a week is asked again so many days later
MOVED_MAX = 6  # days a holiday may move a weekly question; Easter, King's Day and Sunday together move it three
SUNDAY = 6


@dataclass(frozen=True, slots=True)
class Beat:
    """One person's rhythm, complete: nothing is left to the neighbourhood. Equal for most of its people."""

    zone: str
    rhythm: str
    weekday: int
    at: time
    sunday_starts: time


def beat_of(person: Person, neighbourhood: Neighbourhood) -> Beat:
    """The person's own day and hour where they chose one, else the neighbourhood's; never outside its day."""
    own = person.check_in_day
    weekday = WEEKDAYS.index(setting(neighbourhood, "check_in_day")) if own is None else own
    at = time.fromisoformat(person.check_in_time or setting(neighbourhood, "check_in_time"))
    starts, ends = day(neighbourhood)
    latest = (datetime.combine(date.min, ends) - timedelta(hours=1)).time()
    return Beat(
        neighbourhood.zone,
        person.rhythm if person.rhythm in RHYTHMS else "weekly",
        weekday,
        min(max(at, starts), latest),
        time.fromisoformat(setting(neighbourhood, "sunday_starts")),
    )


def next_ask(now: datetime, beat: Beat) -> datetime:
    """The first moment after `now` at which a person with this beat is asked; aware UTC."""
    return next(moment for moment, _ in _moments(now, beat) if moment > now)


def slot_at(moment: datetime, beat: Beat) -> str:
    """The slot that was due at that moment, or the latest one before it when the beat has changed since."""
    slot = ""
    for planned, name in _moments(moment, beat):
        if planned > moment and slot:
            break
        slot = name
    return slot


def _moments(around: datetime, beat: Beat) -> Iterator[tuple[datetime, str]]:
    """Moments and their slots in order, from two weeks before until long after."""
    zone = ZoneInfo(beat.zone)
    first = around.astimezone(zone).date() - timedelta(days=14)
    for days in range(60):
        planned = first + timedelta(days=days)
        if not _is_day(planned, beat):
            continue
        on = planned
        while is_holiday(on) and beat.rhythm == "weekly" and (on - planned).days < MOVED_MAX:
            on += timedelta(days=1)
        if is_holiday(on):
            continue  # who is asked often hears from us the day after anyway
        at = max(beat.at, beat.sunday_starts) if on.weekday() == SUNDAY else beat.at
        moment = datetime.combine(on, at, zone).astimezone(UTC)
        week = planned.isocalendar()
        yield moment, f"{week.year}-W{week.week:02}" if beat.rhythm == "weekly" else planned.isoformat()


def _is_day(planned: date, beat: Beat) -> bool:
    match beat.rhythm:
        case "daily":
            return True
        case "twice":
            return planned.weekday() in (beat.weekday, (beat.weekday + SECOND_DAY) % 7)
        case _:
            return planned.weekday() == beat.weekday


def rests_until(now: datetime, neighbourhood: Neighbourhood) -> datetime | None:
    """The end of a Sunday morning or holiday on which nobody is asked; None on an ordinary moment. Aware UTC."""
    zone = ZoneInfo(neighbourhood.zone)
    local = now.astimezone(zone)
    on, at = local.date(), time.fromisoformat(setting(neighbourhood, "check_in_time"))
    if is_holiday(on):
        while is_holiday(on):
            on += timedelta(days=1)
        at = max(at, time.fromisoformat(setting(neighbourhood, "sunday_starts"))) if on.weekday() == SUNDAY else at
        return datetime.combine(on, at, zone).astimezone(UTC)
    noon = time.fromisoformat(setting(neighbourhood, "sunday_starts"))
    if on.weekday() == SUNDAY and local.time() < noon:
        return datetime.combine(on, noon, zone).astimezone(UTC)
    return None
