"""Minutes and hours of a neighbourhood: the ladder's steps and the day in which we speak, all data with defaults."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flows.contract import Neighbourhood

# Minutes unless named otherwise. A neighbourhood overrides any of them in its `times`.
DEFAULTS: dict[str, Any] = {
    "day_starts": "09:30",
    "day_ends": "20:00",
    "help_remind": 3 * 60,  # nobody took it: both contacts are reminded
    "help_coordinator": 21
    * 60,  # then the coordinator, and the resident is told; a day in all, as we promise ourselves
    "help_again": 24 * 60,  # and then once a day to all, until someone does
    "help_urgent_remind": 45,  # the same when it was said to be for now or today
    "help_urgent_coordinator": 90,
    "claimed_quiet": 48 * 60,  # claimed and nothing heard: the claimer is asked
    "claimed_back": 24 * 60,  # no answer to that: it goes back to both
    "newcomer_remind": 24 * 60,
    "newcomer_coordinator": 48 * 60,
    "newcomer_again": 7 * 24 * 60,
    "safety_remind": 10,
    "safety_coordinator": 10,
    "safety_again": 60,
    "worry_remind": 2 * 60,
    "worry_coordinator": 6 * 60,
    "worry_again": 24 * 60,
    "silence_remind": 24 * 60,
    "silence_coordinator": 48 * 60,
    "silence_again": 24 * 60,
}


def minutes(neighbourhood: Neighbourhood | None, name: str) -> int:
    """The neighbourhood's number of minutes for that step."""
    own = neighbourhood.times if neighbourhood else {}
    return int(own.get(name, DEFAULTS[name]))


def later(now: datetime, neighbourhood: Neighbourhood | None, name: str, *, at_night: bool = False) -> datetime:
    """The moment that many minutes from now, counted from the day on and moved into the day, unless it may be at night.

    What is told in the morning is not reminded of in the same minute. Aware UTC.
    """
    span = timedelta(minutes=minutes(neighbourhood, name))
    return now + span if at_night else into_day(into_day(now, neighbourhood) + span, neighbourhood)


def into_day(moment: datetime, neighbourhood: Neighbourhood | None) -> datetime:
    """The same moment when it is within the neighbourhood's day, else the start of the next day; aware UTC."""
    if neighbourhood is None:
        return moment
    local = moment.astimezone(ZoneInfo(neighbourhood.zone))
    starts, ends = day(neighbourhood)
    if local.time() < starts:
        return datetime.combine(local.date(), starts, local.tzinfo).astimezone(UTC)
    if local.time() >= ends:
        return datetime.combine(local.date() + timedelta(days=1), starts, local.tzinfo).astimezone(UTC)
    return moment


def is_night(moment: datetime, neighbourhood: Neighbourhood | None) -> bool:
    """True when only what was asked for, or safety, may be sent."""
    return into_day(moment, neighbourhood) != moment


def day(neighbourhood: Neighbourhood) -> tuple[time, time]:
    """When the neighbourhood's day starts and ends, on its own clock."""
    own = {**DEFAULTS, **neighbourhood.times}
    return time.fromisoformat(own["day_starts"]), time.fromisoformat(own["day_ends"])
