"""Minutes and hours of a neighbourhood: the ladder's steps and the day in which we speak, all data with defaults."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
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
    "silence_remind": 24 * 60,  # the contact on duty did not take it: the other one is asked too
    "silence_both": 24 * 60,  # then both, once more
    "silence_coordinator": 24 * 60,  # and then the coordinator as well
    "silence_again": 24 * 60,  # and once a day to all, until someone says how it is
    "silence_look": 4 * 60,  # not reached: who went to look is asked after so long
    "sunday_starts": "13:00",  # nobody is asked on a Sunday morning
    "check_in_day": "tuesday",
    "check_in_time": "10:00",
    "sign_of_life": 72 * 60,  # a message this shortly ago is an answer too; shorter for who is asked more often
    "sign_of_life_twice": 48 * 60,
    "sign_of_life_daily": 20 * 60,
    "line_day": "monday",  # the weekly line to the contacts
    "look_time": "10:00",  # when the calendar is looked at, every day
    "away_told_days": 3,  # residents hear so many days before that both contacts will be away
    # What happens when somebody stays silent, after the question: so many minutes later, or at an hour some days later.
    # "again" asks softly on the same channel, "other" on another one, "contact" puts the name with the contact on duty.
    "silence_apart": 3 * 60,  # two steps are never closer than this
    "silence_steps": [
        {"do": "again", "after": 7 * 60},
        {"do": "other", "days": 1, "at": "10:00"},
        {"do": "contact", "days": 1, "at": "16:00"},
    ],
    "silence_steps_quick": [{"do": "again", "after": 3 * 60}, {"do": "contact", "after": 6 * 60}],
    "silence_steps_slow": [
        {"do": "again", "days": 1, "at": "10:00"},
        {"do": "other", "days": 2, "at": "10:00"},
        {"do": "contact", "days": 3, "at": "10:00"},
    ],
}


def setting(neighbourhood: Neighbourhood | None, name: str) -> Any:
    """The neighbourhood's own value of that name, or the default one."""
    own = neighbourhood.times if neighbourhood else {}
    return own.get(name, DEFAULTS[name])


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
    own = neighbourhood.times
    return _clock(own.get("day_starts", DEFAULTS["day_starts"])), _clock(own.get("day_ends", DEFAULTS["day_ends"]))


_clock = lru_cache(maxsize=64)(time.fromisoformat)  # the same few for every message


def since(now: datetime, then: datetime | None) -> float:
    """Minutes since that moment; a very long time when there was none."""
    return (now - then).total_seconds() / 60 if then else float("inf")
