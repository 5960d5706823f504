"""What one named moment says about day, part and hour, and the interval on the calendar that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from flows.understand.moments_calendar import DAY, PARTS, WEEK, exists, monday, next_weekday

Interval = tuple[datetime | None, datetime | None]
Solid = tuple[datetime, datetime]


Day = date  # a field of the same name hides the type inside a class


@dataclass(slots=True, frozen=True)
class Clock:
    """A time as said; `exact` when it is on the 24-hour clock beyond doubt ("15:00", "08:00").

    `written` is hours and minutes in figures ("8.30"): no bare hour, so before noon it is the morning.
    """

    hour: int
    minute: int = 0
    exact: bool = False
    written: bool = False


@dataclass(slots=True)
class Point:
    """Everything said about one end of a moment.

    `span` is a week, weekend, month, year or feast as first day and day after the last. `which` is "this" or "next"
    before a weekday. `here` marks a night already put on its own date. `sure` marks words that cannot be about the
    past. `vague` is a beginning or an end of something; `late` the end, which "until" can use.
    """

    date: Day | None = None
    relative: bool = False
    weekday: int | None = None
    which: str = ""
    span: tuple[Day, Day] | None = None
    unit: str = ""
    part: str | None = None
    here: bool = False
    clock: Clock | None = None
    instant: datetime | None = None
    weeks: int = 0
    sure: bool = False
    past: bool = False
    habit: bool = False
    vague: bool = False
    late: bool = False

    @property
    def has_day(self) -> bool:
        return self.date is not None or self.weekday is not None or self.span is not None or self.instant is not None

    @property
    def empty(self) -> bool:
        return not (self.has_day or self.clock or self.part or self.past or self.habit)

    def day_from(self, other: Point) -> None:
        """Take over the day (and the part, if none is here) that the other point names."""
        self.date, self.relative, self.weekday, self.which = (
            other.date,
            other.relative,
            other.weekday,
            other.which,
        )
        self.span, self.unit, self.weeks, self.here = (
            other.span,
            other.unit,
            other.weeks,
            other.here,
        )
        self.part = self.part or other.part
        self.sure = self.sure or other.sure
        self.vague = self.vague or other.vague


def _hours(clock: Clock, part: str | None) -> list[int]:
    """The hours a clock time can mean: one, two when that is unclear, none when the part contradicts it."""
    low = clock.hour % 12
    high = low + 12
    if clock.exact:
        low_end, high_end = {
            "morning": (4, 12),
            "afternoon": (12, 18),
            "evening": (17, 24),
            "night": (0, 6),
        }.get(part or "", (0, 24))
        if clock.hour in (0, 24) and part in ("evening", "night"):
            return [24 if part == "evening" else clock.hour]
        return [clock.hour] if low_end <= clock.hour <= high_end else []
    if part == "morning":
        return [low] if low else []
    if part == "afternoon":
        return [high] if high <= 18 else []
    if part == "evening":
        return [24] if not low else [high] if high >= 17 else []
    if part == "night":
        return [low] if low <= 6 else []
    if low == 0 or low > 9:
        return [12 if low == 0 else low]
    if low <= 6:
        return [high]
    return [low] if clock.written else [low, high]


def _at(day: date, hour: int, minute: int) -> datetime:
    return datetime.combine(day, time.min) + timedelta(hours=hour, minutes=minute)


@dataclass(slots=True)
class Judge:
    """Turns points into intervals, seen from one moment; `now` may know its zone, `wall` is the clock on the wall."""

    now: datetime
    wall: datetime

    def interval(self, relation: str, first: Point, second: Point | None) -> Interval | None:
        """The interval for one or two points; None when it is past, contradicts itself, or cannot be known."""
        if first.past or first.habit or (second is not None and (second.past or second.habit)):
            return None
        found = self._range(first, second) if second is not None else self._single(relation, first)
        if found is None:
            return None
        start, end = found
        clock = start is not None and start == end
        last = end if end is not None else start
        # A stretch that has ended, or a clock time that has been, is past; one that only began is not.
        if last is None or (last < self.wall if clock else end is not None and end <= self.wall):
            return None
        return found

    def _single(self, relation: str, point: Point) -> Interval | None:
        if relation in ("until", "through", "until_after") and point.late and point.span and not point.clock:
            return None, datetime.combine(point.span[1], time.min)
        if point.vague:
            return None
        solid = self._solid(point)
        if solid is None:
            return None
        start, end = solid
        exact = start == end
        if relation == "from":
            return start, None
        if relation == "after":
            return end, None
        if relation == "before":
            return None, start
        if relation == "until_after":
            return None, end
        if relation == "until":
            # "Until the evening" or "until Christmas" leaves open whether it is counted in.
            whole_day = point.part is None and end - start == DAY
            return (None, end) if exact or whole_day else None
        if relation == "through":
            return None, end
        return start, end

    def _range(self, first: Point, second: Point) -> Interval | None:
        if first.vague or second.vague:
            return None
        if first.clock and second.clock:
            return self._clock_range(first, second)
        start = self._solid(first)
        if start is None:
            return None
        if second.clock and not second.has_day:
            return None
        end = self._solid(second, after=start[0].date())
        if end is None or end[1] <= start[0]:
            return None
        return start[0], end[1]

    def _clock_range(self, first: Point, second: Point) -> Interval | None:
        if first.clock is None or second.clock is None:
            return None
        if not first.has_day:
            first.day_from(second)
        if second.has_day and (first.date, first.weekday) != (
            second.date,
            second.weekday,
        ):
            start, end = self._solid(first), None
            if start is not None:
                end = self._solid(second, after=start[0].date())
            return (start[0], end[1]) if start and end and start[0] < end[1] else None
        part_two = second.part or first.part
        pairs = self._pairs(first.clock, second.clock, first.part or second.part, part_two)
        if len(pairs) != 1:
            return None
        (hour, minute), (hour_two, minute_two) = pairs[0]
        for day in self._days(first, (hour_two, minute_two)):
            start_at, end_at = _at(day, hour, minute), _at(day, hour_two, minute_two)
            if end_at > self.wall and exists(start_at, self.now) and exists(end_at, self.now):
                return start_at, end_at
        return None

    @staticmethod
    def _pairs(
        first: Clock, second: Clock, part: str | None, part_two: str | None
    ) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """The orderly readings of "from 9 to 5"; the second hour may run into the next half of the day."""
        firsts = _hours(first, part)
        for seconds in (
            _hours(second, part_two),
            [second.hour % 12, second.hour % 12 + 12],
        ):
            if seconds and second.exact:
                seconds = _hours(second, None)
            pairs = [
                ((one, first.minute), (two, second.minute))
                for one in firsts
                for two in seconds
                if (one, first.minute) < (two, second.minute)
            ]
            if pairs:
                return pairs
        return []

    def _days(self, point: Point, latest: tuple[int, int]) -> list[date]:
        """The days a clock time may fall on: the one named, or today and tomorrow."""
        if point.has_day:
            day = self._day(point, None)
            if day is None:
                return []
            return [day + DAY if point.part == "night" and not point.here and latest[0] <= 6 else day]
        today = self.wall.date()
        return [today, today + DAY]

    def _day(self, point: Point, after: date | None) -> date | None:
        """The one day a point names; None when it names none, a longer stretch, or one that contradicts itself."""
        today = self.wall.date()
        day = point.date
        if point.weekday is not None:
            if day is not None:
                return day if day.weekday() == point.weekday else None
            if point.span is not None:
                start, end = point.span
                day = start + timedelta(days=(point.weekday - start.weekday()) % 7)
                if day >= end or point.unit not in ("week", "weekend"):
                    return None
            elif point.which == "this":
                day = monday(today) + timedelta(days=point.weekday)
                if day == today:
                    day += WEEK
            elif point.which == "next":
                day = next_weekday(point.weekday, today)
                if day != monday(today) + WEEK + timedelta(days=point.weekday):
                    return None  # some mean the coming one, some the one in the week after
            else:
                if point.weeks and point.weekday == today.weekday():
                    return None  # counted from today or from next week's: both are said
                day = next_weekday(point.weekday, after or today)
        elif day is None and point.span is not None and point.span[1] - point.span[0] == DAY:
            day = point.span[0]
        return None if day is None else day + WEEK * point.weeks

    def _solid(self, point: Point, after: date | None = None) -> Solid | None:
        """Start and end of a single point, equal for a clock time."""
        if point.instant is not None:
            return point.instant, point.instant
        if point.clock is not None:
            return self._clock_time(point, after)
        day = self._day(point, after)
        if day is None:
            if point.span is None or point.weekday is not None or point.date is not None or point.part is not None:
                return None
            return datetime.combine(point.span[0], time.min), datetime.combine(point.span[1], time.min)
        if point.part is None:
            return _at(day, 0, 0), _at(day, 24, 0)
        if point.part == "night" and not point.here:
            day += DAY  # the night of a day is the one that follows it
        begin, end = PARTS[point.part]
        return _at(day, begin, 0), _at(day, end, 0)

    def _clock_time(self, point: Point, after: date | None) -> Solid | None:
        clock = point.clock
        if clock is None:
            return None
        hours = _hours(clock, point.part)
        today = self.wall.date()
        if len(hours) == 2 and point.date == today:
            hours = [hour for hour in hours if _at(today, hour, clock.minute) >= self.wall]
        if len(hours) != 1:
            return None
        if point.has_day:
            day = self._day(point, after)
            if day is None:
                return None
            if point.part == "night" and not point.here and hours[0] <= 6:
                day += DAY
            days = [day]
        else:
            days = [today, today + DAY]
        for day in days:
            found = _at(day, hours[0], clock.minute)
            if found >= self.wall or point.has_day:
                return (found, found) if exists(found, self.now) else None
        return None
