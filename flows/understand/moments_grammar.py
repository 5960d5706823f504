"""The grammar of moments: from words in a row to the points and relations they name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from flows.understand import moments_calendar as cal
from flows.understand.moments_points import Clock, Point
from flows.understand.moments_words import Lexicon, Token, tokens

_HALF = 30
_QUARTER = 15


@dataclass(slots=True)
class Phrase:
    """One named moment: its relation to time, its points, and the first and last token it took."""

    relation: str
    first: Point
    second: Point | None
    begin: int
    end: int

    @property
    def timed(self) -> bool:
        return self.first.clock is not None or self.first.instant is not None

    @property
    def dayless(self) -> bool:
        return not self.first.has_day and (self.second is None or not self.second.has_day)


class Reader:
    """Reads one message: its tokens, their repaired words, and the phrases in them."""

    def __init__(self, lexicon: Lexicon, text: str, now: datetime, wall: datetime) -> None:
        self.lex = lexicon
        self.now = now
        self.today = wall.date()
        self.tokens: list[Token] = tokens(text)
        self.words = [lexicon.repaired(t.word) if t.kind == "word" else t.word for t in self.tokens]
        self.count = len(self.words)

    # Small looks around -------------------------------------------------------------------------------------------

    def word(self, index: int) -> str:
        """The repaired word at a place, empty outside the message."""
        return self.words[index] if 0 <= index < self.count else ""

    def kind(self, index: int) -> str:
        return self.tokens[index].kind if 0 <= index < self.count else ""

    def within(self, index: int, name: str) -> bool:
        """Whether the word at a place is in the named list."""
        return 0 <= index < self.count and self.words[index] in self.lex.sets[name]

    def number(self, index: int) -> int | None:
        """A whole number in digits or letters."""
        if self.kind(index) == "num":
            word = self.words[index]
            return int(word) if len(word) <= 4 and word.isdigit() else None
        return self.lex.numbers.get(self.word(index)) if self.kind(index) == "word" else None

    # Phrases ------------------------------------------------------------------------------------------------------

    def phrases(self, limit: int) -> list[Phrase]:
        """The moments named, in order, none overlapping; stops after `limit` of them."""
        found: list[Phrase] = []
        index = 0
        while index < self.count and len(found) < limit:
            phrase = self._phrase(index)
            if phrase is None:
                index += 1
                continue
            found.append(phrase)
            index = max(phrase.end, index + 1)
        return found

    def _relation(self, index: int) -> tuple[str, int]:
        """The relation word(s) at a place and how many tokens they take."""
        word = self.words[index] if index < self.count else ""
        if word not in self.lex.relation_heads:
            return "", 0
        for parts, relation in self.lex.relation_phrases.get(word, ()):
            if tuple(self.words[index : index + len(parts)]) == parts:
                return relation, len(parts)
        relation = self.lex.relation_words.get(word, "")
        return relation, 1 if relation else 0

    def _phrase(self, index: int) -> Phrase | None:
        if self.words[index] not in self.lex.hot and self.tokens[index].kind in (
            "word",
            "sep",
            "stop",
        ):
            return None
        if self.tokens[index].kind == "num" and not self._number_tells(index):
            return None
        relation, taken = self._relation(index)
        if relation == "ranging" and self.within_parts(index + 1):
            relation, taken = "", 0
        begin = index
        start = index + taken
        if relation == "until":
            more, extra = self._relation(start)
            if more == "after":
                relation, start = "until_after", start + extra
        dates = self._day_range(start)
        if dates is not None:
            first, second, end = dates
            return Phrase("", first, second, begin, end)
        clocks = self._dashed_hours(start)
        if clocks is not None:
            first, second, end = clocks
            end = self._fill_rest(first, end)
            return Phrase("", first, second, begin, end)
        first = Point()
        end = self._fill(first, start, relation)
        if first.empty or end == start:
            return None
        if self.word(index) in self.lex.sets["within"] and first.instant is None and first.date is None:
            return None
        if self.within(start, "within"):
            relation = "through" if first.instant is None else "until"
        if not relation and (self.within(begin - 1, "around") or self.within(begin - 1, "genitive")):
            begin -= 1
        if relation in ("before", "after") and self.within(begin - 1, "judge.not"):
            relation = "from" if relation == "before" else "until"
            begin -= 1
        return self._ends(Phrase(relation, first, None, begin, end), start)

    def _number_tells(self, index: int) -> bool:
        """Whether a number has anything beside it that could make it a moment; most have not."""
        after = self.word(index + 1)
        if after in self.lex.links:
            ahead = self.words[index + 2 : index + 7]
            return any(word in self.lex.after_number for word in ahead)
        return after in self.lex.after_number or self.within(index - 1, "around")

    def within_parts(self, index: int) -> bool:
        return self.word(index) in self.lex.parts

    def _ends(self, phrase: Phrase, start: int) -> Phrase | None:
        """The second half of a phrase, if it has one: "... to 4", "... between 2 and 4", "... after 3"."""
        first = phrase.first
        relation = phrase.relation
        if relation == "before" and first.clock is None and self._is_for(phrase):
            phrase.relation = ""  # "something for tomorrow" is about tomorrow, not about the time before it
        if relation in ("", "ranging", "from", "between"):
            taken = self._link(phrase.end, relation == "between")
            if taken:
                second = Point()
                end = self._fill(second, phrase.end + taken, "until")
                if not second.empty and end > phrase.end + taken:
                    if second.clock and not second.has_day and not first.clock and first.has_day:
                        if relation == "between":
                            return None
                        first.clock, first.part = (
                            second.clock,
                            second.part or first.part,
                        )
                        phrase.relation = "until"
                    else:
                        phrase.second, phrase.relation = second, ""
                    phrase.end = end
                    return phrase
        if relation == "between":
            return None
        if relation == "ranging":
            if not first.has_day and not first.part:
                return None
            phrase.relation = ""
            if (
                first.date is not None
                and not first.relative
                and self.lex.spans.get(self.word(phrase.begin - 1)) == "week"
            ):
                first.span = (cal.monday(first.date), cal.monday(first.date) + cal.WEEK)
                first.date, first.unit = None, "week"
        if phrase.relation == "" and first.has_day and not first.clock and first.instant is None:
            self._hours_after(phrase)
        return phrase

    def _is_for(self, phrase: Phrase) -> bool:
        """Whether "voor" means "for" here, as it mostly does with tomorrow, next week, and someone wanted."""
        first = phrase.first
        return (
            first.relative or first.unit in ("week", "month", "year") or self.within(phrase.begin - 1, "judge.wanted")
        )

    def _hours_after(self, phrase: Phrase) -> None:
        """Hours that follow their day: "dinsdag van 10 tot 12", "morgen na vieren"."""
        at = phrase.end
        while at < phrase.end + 3 and (self.within(at, "glue") or self.word(at) == ","):
            at += 1
        begin = at
        flipped = self.within(at, "judge.not") and self._relation(at + 1)[0] in (
            "before",
            "after",
        )
        at += flipped
        clocks = self._dashed_hours(at)
        if clocks is not None and not clocks[0].has_day:
            phrase.first.clock = clocks[0].clock
            phrase.second, phrase.end = clocks[1], clocks[2]
            return
        relation, taken = self._relation(at)
        if not taken or relation not in (
            "from",
            "after",
            "before",
            "between",
            "ranging",
        ):
            return
        dashed = self._dashed_hours(at + taken)
        if dashed is not None:
            phrase.first.clock = dashed[0].clock
            phrase.second, phrase.end = dashed[1], dashed[2]
            return
        hours = Point()
        end = self._fill(hours, at + taken, relation)
        if hours.clock is None or hours.has_day or hours.past or hours.habit:
            return
        second: Point | None = None
        link = self._link(end, relation == "between")
        if link:
            second = Point()
            after = self._fill(second, end + link, "until")
            if second.clock is None or second.has_day:
                second = None
            else:
                end = after
        if second is None and relation in ("between", "ranging"):
            return
        if flipped:
            relation = "from" if relation == "before" else "until"
        phrase.first.clock = hours.clock
        phrase.first.part = phrase.first.part or hours.part
        phrase.second = second
        phrase.relation = "" if second is not None else relation
        phrase.end = max(end, begin)

    def _link(self, index: int, between: bool) -> int:
        """How many tokens link two ends of a range here."""
        if between:
            return 1 if self.within(index, "and") or self.word(index) == "-" else 0
        if self.word(index) == "-":
            return 1
        relation, taken = self._relation(index)
        return taken if relation in ("until", "through") else 0

    # Points -------------------------------------------------------------------------------------------------------

    def _fill(self, point: Point, index: int, relation: str) -> int:
        """Take everything that belongs to one point; returns where it ends."""
        end = self._take_first(point, index, relation)
        if end == index:
            return index
        return self._fill_rest(point, end)

    def _take_first(self, point: Point, index: int, relation: str) -> int:
        at = index
        while at < index + 2:
            end = self._take(
                point,
                at,
                relation if at == index else "around" if self.within(at - 1, "around") else "",
            )
            if end > at:
                return end
            if relation and (self.within(at, "article") or self.within(at, "glue")):
                at += 1
                continue
            break
        return index

    def _fill_rest(self, point: Point, end: int) -> int:
        while end < self.count:
            taken = self._take(point, end, "")
            at = end
            while taken == at and at < end + 3 and (self.within(at, "glue") or self.word(at) in (",", "(")):
                at += 1
                taken = self._take(point, at, "") if at < self.count else at
            if taken == at:
                break
            end = taken
        return end

    def _take(self, point: Point, index: int, relation: str) -> int:
        """Take one item into the point; returns the place after it, or the same place when there is none."""
        if index >= self.count:
            return index
        if self.words[index] not in self.lex.hot and self.tokens[index].kind in (
            "word",
            "sep",
            "stop",
        ):
            return index
        if point.clock is None and point.instant is None:
            clock, end = self._clock(point, index, relation)
            if clock is not None:
                point.clock = clock
                return end
        for take in _TAKES:
            end = take(self, point, index)
            if end > index:
                return end
        return index

    def _take_past(self, point: Point, index: int) -> int:
        if self.within(index, "past_days"):
            point.past = True
        elif self.words[index] in self.lex.habits:
            point.habit = True
        elif self.within(index, "past"):
            point.past = True
            if self.word(index + 1) in self.lex.spans or self.word(index + 1) in self.lex.months:
                return index + 2
        else:
            return index
        return index + 1

    def _take_offset(self, point: Point, index: int) -> int:
        """Today, tomorrow, this afternoon, tonight."""
        if point.date is not None or point.span is not None or point.instant is not None:
            return self._morning_after(point, index)
        word = self.words[index]
        if point.weekday is not None:
            return self._morning_after(point, index)
        if word in self.lex.sets["night_now"]:
            return self._tonight(point, index + 1)
        this_part = word == self.lex.this_day or self.within(index, "this")
        if this_part:
            part = self.lex.parts.get(self.word(index + 1))
            if part is None and self.within(index, "this") and self.within(index + 1, "early.morning"):
                part = "morning"
            if part == "night":
                return self._tonight(point, index + 2)
            if part is not None:
                point.date, point.relative, point.part = self.today, True, part
                return index + 2
            return index
        if self.within(index, "early.morning") and self.within(index - 1, "article"):
            if point.part is None:
                point.part = "morning"
                return index + 1
            return index
        if word in self.lex.offset_parts:
            offset, part = self.lex.offset_parts[word]
            if offset == 0 and part == "night":
                return self._tonight(point, index + 1)
            point.part = part
            end = index + 1
        elif word in self.lex.offsets:
            offset = self.lex.offsets[word]
            end = index + 1
            if offset and self.within(end, "early.after_tomorrow"):
                point.part = "morning"
                end += 1
        else:
            return index
        point.date, point.relative = self.today + cal.DAY * offset, True
        point.sure = offset > 0
        return end

    def _morning_after(self, point: Point, index: int) -> int:
        """ "Dinsdag morgen" is a morning, not a second day."""
        if self.within(index, "early.morning") and point.part is None and point.clock is None and not point.relative:
            point.part = "morning"
            return index + 1
        return index

    def _tonight(self, point: Point, end: int) -> int:
        point.date = self.today if self.now.hour < 6 else self.today + cal.DAY
        point.relative, point.part, point.here = True, "night", True
        return end

    def _take_weekday(self, point: Point, index: int) -> int:
        if point.weekday is not None or point.instant is not None:
            return index
        at = index
        which = ""
        if self.within(at, "this"):
            which, at = "this", at + 1
        elif self.within(at, "next"):
            which, at = "next", at + 1
        elif self.within(at, "coming"):
            which, at = "coming", at + 1
        word = self.word(at)
        part: str | None = None
        if word in self.lex.weekdays:
            weekday = self.lex.weekdays[word]
        elif word in self.lex.weekday_parts:
            weekday, part = self.lex.weekday_parts[word]
        elif word in self.lex.short_weekdays and self._short_is_day(point, at, which in ("next", "coming")):
            weekday = self.lex.short_weekdays[word]
        elif which == "coming" and point.weekday is None:
            return index
        else:
            return index
        if part is not None and point.part not in (None, part):
            return index
        point.weekday, point.part = weekday, part or point.part
        at += 1
        if self.within(at, "coming"):
            which, at = which or "coming", at + 1
        if which in ("this", "next"):
            point.which = which
        point.sure = point.sure or which in ("coming", "next")
        return at

    def _short_is_day(self, point: Point, index: int, announced: bool) -> bool:
        """Whether "ma" or "zo" here is a day: its neighbours must say so."""
        everyday = self.within(index, "weekdays_everyday")
        if announced or point.unit == "week":
            return True
        before_relation = self._relation(index - 1)[0] if index else ""
        if before_relation == "through" or (before_relation in ("until", "from") and not everyday):
            return True
        if not everyday and self.within(index - 1, "on_day"):
            return True
        if not everyday and (self.count == 1 or ((not index or self.kind(index - 1) == "stop") and self._has_time())):
            return True
        link = self._link(index + 1, False)
        if link and self._is_weekday(index + 1 + link) and self.word(index + 1 + link) != self.word(index):
            return True
        if self.word(index - 1) == "-" or self._relation(index - 1)[0] in (
            "until",
            "through",
        ):
            return self._is_weekday(index - 2) and self.word(index - 2) != self.word(index)
        if self.within(index - 1, "or") or self.within(index + 1, "or"):
            other = index - 2 if self.within(index - 1, "or") else index + 2
            if not everyday and self._is_weekday(other):
                return True
        kind = self.kind(index + 1)
        if kind in ("date", "iso", "dots", "nth"):
            return True
        if self.number(index + 1) is not None and self.word(index + 2) in self.lex.months:
            return True
        zo = self.within(index, "weekdays_everyday") and kind not in ("time", "hour")
        if zo or self.word(index) == self.lex.soon:
            return False
        if kind in ("time", "hour") or self.within_parts(index + 1):
            return True
        after = index + 2 if self.within(index + 1, "around") else index + 1
        return self.number(after) is not None and (after > index + 1 or self.within(after + 1, "clock.hour"))

    def _has_time(self) -> bool:
        return any(token.kind in ("time", "hour") for token in self.tokens)

    def _is_weekday(self, index: int) -> bool:
        word = self.word(index)
        return word in self.lex.weekdays or word in self.lex.short_weekdays

    def _take_span(self, point: Point, index: int) -> int:
        """Weeks, weekends, months, years: this, the next, the coming, or by number."""
        if point.span is not None or point.date is not None or point.instant is not None:
            return index
        at = index
        which = ""
        for name in ("this", "coming", "next"):
            if self.within(at, name):
                which, at = name, at + 1
                break
        if not which and (self.within(at, "late_in") or self.within(at, "vague_in")):
            return self._take_vague(point, index)
        word = self.word(at)
        unit = self.lex.spans.get(word, "")
        if unit == "week" and not which:
            number = self.number(at + 1)
            if number is None or self.kind(at + 1) != "num" or self.number(at - 1) is not None:
                return index
            span = cal.iso_week(number, self.today)
            if span is None:
                return index
            point.span, point.unit = span, "week"
            return at + 2
        if word in self.lex.months and (which or self.within(index - 1, "inside")) and at >= index:
            point.span, point.unit = (
                self._month_named(self.lex.months[word], which),
                "month",
            )
            return at + 1
        if unit == "weekend" and not which and self.number(at - 1) is not None:
            return index
        if unit != "weekend" and (not which or not unit):
            return index
        if unit == "year" and which == "this":
            return index  # said of how things are, not of when
        point.span, point.unit = self._span(unit, which), unit
        point.sure = which in ("next", "coming")
        return at + 1

    def _span(self, unit: str, which: str) -> tuple[date, date]:
        ahead = 1 if which in ("next", "coming") else 0
        week = cal.monday(self.today)
        if unit == "week":
            week += cal.WEEK * ahead
            return week, week + cal.WEEK
        if unit == "weekend":
            weekend_now = self.today.weekday() >= 5
            week += cal.WEEK * (1 if which == "next" or (which == "coming" and weekend_now) else 0)
            return week + 5 * cal.DAY, week + cal.WEEK
        if unit == "month":
            return cal.month_span(self.today.year, self.today.month + ahead)
        year = self.today.year + ahead
        return date(year, 1, 1), date(year + 1, 1, 1)

    def _month_named(self, month: int, which: str) -> tuple[date, date]:
        year = self.today.year
        passed = month <= self.today.month if which in ("next", "coming") else month < self.today.month
        return cal.month_span(year + 1 if passed else year, month)

    def _take_vague(self, point: Point, index: int) -> int:
        """ "Eind van de maand": known as an end only to who is away until then."""
        at = index + 1
        while at < index + 4 and self.within(at, "vague_link"):
            at += 1
        part = self.lex.parts.get(self.word(at))
        if part is not None and point.part is None:
            point.part = part
            return at + 1
        which = ""
        for name in ("this", "coming", "next"):
            if self.within(at, name):
                which, at = name, at + 1
                break
        word = self.word(at)
        if word in self.lex.months:
            span, unit = self._month_named(self.lex.months[word], which), "month"
        elif word in self.lex.spans:
            unit = self.lex.spans[word]
            span = self._span(unit, which)
        else:
            return index
        point.vague, point.span, point.unit, point.late = (
            True,
            span,
            unit,
            self.within(index, "late_in"),
        )
        return at + 1

    def _take_date(self, point: Point, index: int) -> int:
        if point.date is not None or point.instant is not None or point.span is not None:
            return index
        kind = self.tokens[index].kind
        if kind in ("date", "iso", "dots"):
            return self._take_numeric(point, index)
        if kind == "nth":
            return self._take_nth(point, index)
        day = self.lex.day_ordinals.get(self.words[index])
        if self.word(index + 1) not in self.lex.months:
            clear = day is not None and (day > 12 or self.within(index - 2, "on_day") or point.weekday is not None)
            if (
                day is None
                or not clear
                or not self.within(index - 1, "article")
                or self.within(index + 1, "not_a_date")
            ):
                return index
            point.date = cal.next_day_of_month(day, self.today)
            return index + 1
        if day is None:
            day = self.number(index)
            if day is None or (day == 1 and kind == "word"):
                return index  # "een mei" is no date
        return self._dated(point, day, self.lex.months[self.words[index + 1]], index + 2)

    def _dated(self, point: Point, day: int, month: int, end: int) -> int:
        if (
            self.kind(end) == "stop"
            and self.word(end) == "."
            and end + 1 < self.count
            and (len(self.words[end - 1]) <= 4 and self.kind(end + 1) == "num" and len(self.words[end + 1]) == 4)
        ):
            end += 1
        year = self.number(end) if self.kind(end) == "num" and len(self.word(end)) == 4 else None
        if year is not None and 2000 <= year <= 2199:
            return self._on(point, year, month, day, end + 1)
        found = cal.next_date(month, day, self.today)
        point.date = found
        if found is None:
            point.span, point.vague = (self.today, self.today), True
        if self.within(end, "coming"):
            end += 1
        return end

    def _on(self, point: Point, year: int, month: int, day: int, end: int) -> int:
        try:
            point.date = date(year, month, day)
        except ValueError:
            point.span, point.vague = (self.today, self.today), True
        return end

    def _take_numeric(self, point: Point, index: int) -> int:
        word = self.words[index]
        kind = self.tokens[index].kind
        if kind == "date":
            if self._dashed_hours(index) is not None:
                return index
            mark = "/" if "/" in word else "-"
            fields = [int(field) for field in word.split(mark)]
            if len(fields) == 2 and self._not_a_date(index):
                return index
            day, month = fields[0], fields[1]
            if not 1 <= month <= 12 or not 1 <= day <= 31:
                return index
            if len(fields) == 2:
                return self._dated(point, day, month, index + 1)
            year = fields[2] if fields[2] >= 1000 else 2000 + fields[2]
            return self._on(point, year, month, day, index + 1)
        if kind == "iso":
            year, month, day = (int(field) for field in word.split("-"))
        else:
            day, month, year = (int(field) for field in word.split("."))
        return self._on(point, year, month, day, index + 1)

    def _not_a_date(self, index: int) -> bool:
        """Whether "3-1" is a floor, a fraction or an amount."""
        if self.within(index, "judge.fractions") and "/" in self.words[index]:
            return True
        if self.within(index + 1, "clock.amounts") or self.within(index + 1, "judge.street_floor"):
            return True
        if self.word(index + 1) in self.lex.units or self.word(index - 1) in (
            "€",
            "£",
            "$",
        ):
            return True
        for back in (1, 2):
            before = self.word(index - back)
            if before in self.lex.sets["judge.numbered"]:
                return True
        return self._is_street(index - 1)

    def _is_street(self, index: int) -> bool:
        word = self.word(index)
        return self.kind(index) == "word" and word.endswith(self.lex.street_tails) and len(word) > 4

    def _take_nth(self, point: Point, index: int) -> int:
        word = self.words[index]
        day = _digits(word)
        after = index + 1
        if self.word(after) in self.lex.months:
            return self._dated(point, day, self.lex.months[self.word(after)], after + 1)
        if self.within(after, "ranging"):
            at = after + 1
            while at < after + 3 and self.within(at, "vague_link"):
                at += 1
            which = ""
            for name in ("this", "coming", "next"):
                if self.within(at, name):
                    which, at = name, at + 1
            if self.lex.spans.get(self.word(at)) != "month":
                return index
            first, end = self._span("month", which)
            found = first + timedelta(days=day - 1)
            if found < end:
                point.date = found
            else:
                point.span, point.vague = (self.today, self.today), True
            return at + 1
        if self.within(after, "not_a_date") or not 1 <= day <= 31 or self._is_street(index - 1):
            return index
        announced = index == 0 or self.within(index - 1, "article") or self.within(index - 1, "on_day")
        announced = announced or self.kind(index - 1) == "stop" or bool(self._relation(index - 1)[0])
        if not announced and point.weekday is None:
            return index
        if day <= 3 and index == 0 and after < self.count and point.weekday is None:
            return index  # "1e hulp", "2e keer": too often an order
        point.date = cal.next_day_of_month(day, self.today)
        return after

    def _take_feast(self, point: Point, index: int) -> int:
        longest = self.lex.feast_heads.get(self.words[index], 0)
        if not longest or point.date is not None or point.span is not None or point.instant is not None:
            return index
        for length in range(longest, 0, -1):
            feast = self.lex.feasts.get(tuple(self.words[index : index + length]))
            if feast is None:
                continue
            needed = feast.get("with")
            if needed is not None and self.word(index - 1) not in needed:
                return index
            start, end = cal.feast_span(feast, self.today)
            if end - start == cal.DAY:
                point.date = start
            else:
                point.span, point.unit = (start, end), "feast"
            part = feast.get("part")
            if part is not None:
                point.part = str(part)
            return index + length
        return index

    def _take_ahead(self, point: Point, index: int) -> int:
        """ "Over drie weken", "binnen een uur"."""
        if not (self.within(index, "in_time") or self.within(index, "within")) or point.instant is not None:
            return index
        minutes, days, months, end = self._amount(index + 1)
        if end == index + 1:
            return index
        if point.date is not None or point.weekday is not None:
            if days and days % 7 == 0 and not point.weeks and days <= 7 * 520:
                if point.date is not None and point.weekday is None:
                    point.date += timedelta(days=days)
                elif point.date is None and point.span is None:
                    point.weeks = days // 7
                else:
                    return index
                point.sure = True
                return end
            return index
        if point.span is not None:
            return index
        if minutes:
            if point.clock is not None or point.part is not None:
                return index
            point.instant = cal.later(self.now, timedelta(minutes=minutes))
        elif months:
            point.date = cal.months_later(self.today, months)
        else:
            ahead = self.today + timedelta(days=days)
            if days % 7 == 0 and self._weekday_follows(end):
                point.span, point.unit = (
                    (cal.monday(ahead), cal.monday(ahead) + cal.WEEK),
                    "week",
                )
            else:
                point.date = ahead
        point.sure = True
        point.relative = True
        return end

    def _weekday_follows(self, index: int) -> bool:
        if self.within(index, "on_day"):
            index += 1
        return self.word(index) in self.lex.weekdays or self.word(index) in self.lex.weekday_parts

    def _amount(self, index: int) -> tuple[int, int, int, int]:
        """A stretch of time as (minutes, days, months, place after it); only one of the three is not zero."""
        nothing = (0, 0, 0, index)
        if self.within(index, "units.half_hour"):
            return _HALF, 0, 0, index + 1
        if self.within(index, "units.three_quarters"):
            return 3 * _QUARTER, 0, 0, index + 1
        at = index
        number = self.number(at)
        if number is not None:
            at += 1
        if self.within(at, "units.half_hour") and number in (None, 1):
            return _HALF, 0, 0, at + 1
        if self.within(at, "units.half"):
            half = self.lex.units.get(self.word(at + 1))
            return (_HALF, 0, 0, at + 2) if half == "hour" and number in (None, 1) else nothing
        if self.within(at, "units.one_and_half") and number is None:
            half = self.lex.units.get(self.word(at + 1))
            return (3 * _HALF, 0, 0, at + 2) if half == "hour" else nothing
        if self.kind(at) == "hour" and number is None:
            return _digits(self.words[at]) * 60, 0, 0, at + 1
        unit = self.lex.units.get(self.word(at))
        if number is None and unit == "quarter":
            number = 1
        if number is None or unit is None or number == 0:
            return nothing
        at += 1
        if unit == "hour" and number == 1 and self.within(at, "or") and self.number(at + 1) is not None:
            number, at = (
                self.number(at + 1) or 1,
                at + 2,
            )  # "een uur of drie" is about three hours
        elif self.within(at, "or") and self.number(at + 1) is not None:
            return nothing
        if unit in ("minute", "quarter", "hour"):
            return (
                number * {"minute": 1, "quarter": _QUARTER, "hour": 60}[unit],
                0,
                0,
                at,
            )
        if unit in ("day", "week"):
            return 0, number * (7 if unit == "week" else 1), 0, at
        return 0, 0, number * (12 if unit == "year" else 1), at

    def _take_part(self, point: Point, index: int) -> int:
        part = self.lex.parts.get(self.words[index])
        if part is None or point.part not in (None, part) or point.instant is not None:
            return index
        point.part = part
        # "Zondag om 3 uur 's nachts" is on that date; "zondagnacht" is the night that follows.
        point.here = point.here or part == "night"
        return index + 1

    # Ranges written as numbers -------------------------------------------------------------------------------------

    def _day_range(self, index: int) -> tuple[Point, Point, int] | None:
        """ "3 tot 10 januari", "3-10 januari"."""
        if self.kind(index) == "date" and "-" in self.words[index] and self.word(index + 1) in self.lex.months:
            fields = self.words[index].split("-")
            if len(fields) != 2:
                return None
            begin, end, at = int(fields[0]), int(fields[1]), index + 1
        elif self.kind(index) in ("num", "nth"):
            link = self._link(index + 1, False)
            at = index + 1 + link
            if not link or self.kind(at) not in ("num", "nth") or self.word(at + 1) not in self.lex.months:
                return None
            begin, end = _digits(self.words[index]), _digits(self.words[at])
            at += 1
        else:
            return None
        first, second = Point(), Point()
        after = self._dated(second, end, self.lex.months[self.words[at]], at + 1)
        if second.date is None:
            return None
        try:
            first.date = second.date.replace(day=begin)
        except ValueError:
            return None
        if begin >= end:
            return None
        return first, second, after

    def _dashed_hours(self, index: int) -> tuple[Point, Point, int] | None:
        """ "10-12 uur", "tussen 2-4", "dinsdag 10-12"."""
        if self.kind(index) != "date" or "-" not in self.words[index]:
            return None
        link = self._link(index + 1, False)
        if link and self.kind(index + 1 + link) == "date":
            return None  # from one date to another
        fields = self.words[index].split("-")
        begin, end = int(fields[0]), int(fields[1])
        if len(fields) != 2 or begin > 24 or end > 24:
            return None
        before = self.word(index - 1)
        marked = self.within(index + 1, "clock.hour")
        announced = before in self.lex.sets["around"] or before in self.lex.sets["between"]
        announced = announced or before in self.lex.sets["ranging"]
        weekday = self.lex.weekdays.get(before)
        day = before in self.lex.offsets or before in self.lex.offset_parts or before in self.lex.weekday_parts
        if weekday is not None:
            named = cal.next_date(end, begin, self.today) if 1 <= end <= 12 else None
            day = named is None or named.weekday() != weekday
        if not (announced or day or (marked and not self.within(index + 2, "clock.stretch_after"))):
            return None
        if self.within(index + 1, "clock.amounts") and not marked:
            return None
        first, second = Clock(begin, 0, begin > 12), Clock(end, 0, end > 12)
        return Point(clock=first), Point(clock=second), index + 1 + marked

    # Clock times --------------------------------------------------------------------------------------------------

    def _clock(self, point: Point, index: int, relation: str) -> tuple[Clock | None, int]:
        """A clock time at this place, and where it ends."""
        kind = self.tokens[index].kind
        before = self.word(index - 1)
        at_hour = before in self.lex.sets["around"]
        hourly = at_hour or relation in (
            "from",
            "until",
            "through",
            "before",
            "after",
            "between",
            "ranging",
        )
        if kind == "time":
            return self._digital(index)
        if kind == "hour":
            hour = _digits(self.words[index])
            if hour > 24 or (not hourly and self._is_stretch(index - 1, index + 1)):
                return None, index
            return _clock_of(hour, 0, len(self.words[index]) > 2 and self.words[index][0] == "0"), index + 1
        if kind not in ("num", "word"):
            return None, index
        word = self.words[index]
        if word in self.lex.sets["clock.midnight"]:
            return Clock(24, 0, True), index + 1
        if word in self.lex.half_hours:
            return _clock_before(self.lex.half_hours[word], _HALF), self._past_hour(index + 1)
        if word in self.lex.sets["clock.half"]:
            next_hour = self.number(index + 1)
            if next_hour is not None and 1 <= next_hour <= 12 and not self.within(index + 2, "clock.amounts"):
                return _clock_before(next_hour, _HALF), self._past_hour(index + 2)
            return None, index
        if word in self.lex.hour_forms:
            return (_clock_of(self.lex.hour_forms[word], 0), index + 1) if hourly else (None, index)
        minutes, at = self._minutes(index)
        if minutes:
            found, end = self._beside(minutes, at, at_hour or point.has_day or at > index + 1)
            if found is not None:
                return found, end
        number = self.number(index)
        if number is None:
            return None, index
        if number == 1 and self.word(index + 1) in self.lex.sets["units.hour"] and self.within(index + 2, "or"):
            about = self.number(index + 3)
            if about is not None and 1 <= about <= 24 and (hourly or point.has_day):
                return _clock_of(about, 0), self._past_hour(index + 4)
        return self._whole_hour(point, index, number, at_hour, hourly, relation)

    def _whole_hour(
        self,
        point: Point,
        index: int,
        number: int,
        at_hour: bool,
        hourly: bool,
        relation: str,
    ) -> tuple[Clock | None, int]:
        zero = self.kind(index) == "num" and self.words[index].startswith("0") and len(self.words[index]) == 2
        if self.kind(index) == "num" and len(self.words[index]) == 4 and point.has_day and number <= 2359:
            clock = Clock(number // 100, number % 100, True)
            whole = number >= 1000 and clock.minute % 5 == 0 and clock.minute < 60
            return (clock, index + 1) if whole else (None, index)
        if number > 24:
            return None, index
        if self.within(index + 1, "clock.hour"):
            if number == 1 and self.kind(index) == "word" and not hourly:
                return None, index  # "een uur" is an hour long
            if number == 24 and not at_hour:
                return None, index
            if not at_hour and self._is_stretch(-1 if hourly else index - 1, index + 2):
                return None, index
            end = index + 2
            return _clock_of(number, 0, zero), end
        if number == 1 and self.kind(index) == "word":
            return None, index  # "om een filmpje"
        if at_hour:
            other = self.within(index + 1, "clock.amounts") or self.kind(index + 1) == "num"
            return (
                (None, index)
                if other or self.word(index + 1) in self.lex.months
                else (
                    _clock_of(number, 0, zero),
                    index + 1,
                )
            )
        if self._opens_range(index, relation, point):
            return _clock_of(number, 0, zero), index + 1
        if relation in ("from", "until", "through", "after") and number >= 1 and self._closes(index + 1):
            return _clock_of(number, 0, zero), index + 1
        return None, index

    def _opens_range(self, index: int, relation: str, point: Point) -> bool:
        """ "10" in "van 10 tot 12", "2" in "tussen 2 en 4", "10" in "10 tot 12 uur"."""
        link = self._link(index + 1, relation == "between")
        if not link:
            return False
        other = index + 1 + link
        number = self.number(other)
        if number is None:
            return relation in ("between", "ranging") and (
                self.kind(other) in ("time", "hour") or self.within(other, "clock.half")
            )
        if number > 24:
            return False
        if self.within(other + 1, "clock.hour"):
            return relation in ("between", "ranging") or not self._is_stretch(index - 1, other + 2)
        return (relation in ("between", "ranging") or point.has_day) and self._closes(other + 1)

    def _closes(self, index: int) -> bool:
        """Whether a bare number can end here as an hour rather than an amount of something."""
        if index >= self.count or self.kind(index) in ("stop", "sep"):
            return True
        word = self.words[index]
        if word in self.lex.sets["clock.amounts"] or word in self.lex.months:
            return False
        return word in self.lex.sets["clock.after_hour"] or word in self.lex.hot_days or word in self.lex.parts

    def _is_stretch(self, before: int, after: int) -> bool:
        """Whether "3 uur" is how long something lasts."""
        if before >= 0 and self.within(before, "clock.stretch_before"):
            return True
        return self.within(after, "clock.stretch_after")

    def _past_hour(self, index: int) -> int:
        return index + 1 if self.within(index, "clock.hour") else index

    def _minutes(self, index: int) -> tuple[int, int]:
        """Minutes before or past an hour, and the place after them."""
        if self.within(index, "clock.quarter"):
            return _QUARTER, index + 1
        number = self.number(index)
        if number is None or not 1 <= number < _HALF:
            return 0, index
        if self.within(index + 1, "clock.minutes"):
            return number, index + 2
        return number, index + 1

    def _beside(self, minutes: int, index: int, clear: bool) -> tuple[Clock | None, int]:
        """ "... over half vier", "... voor drie"."""
        past = self.within(index, "clock.past")
        if not past and not self.within(index, "clock.to"):
            return None, index
        at = index + 1
        half = self.within(at, "clock.half")
        at += half
        hour = self.number(at)
        if hour is None or not 1 <= hour <= 12:
            return None, index
        end = self._past_hour(at + 1)
        round_minutes = minutes in (5, 10, _QUARTER, 20, 25)
        if not (clear or half or end > at + 1 or round_minutes) or self.within(at + 1, "clock.amounts"):
            return None, index
        base = hour * 60 - (_HALF if half else 0) + (minutes if past else -minutes)
        return Clock(base // 60 % 12, base % 60), end

    def _digital(self, index: int) -> tuple[Clock | None, int]:
        word = self.words[index]
        digits = [part for part in _split_digits(word) if part]
        hour, minute = int(digits[0]), int(digits[-1])
        end = self._past_hour(index + 1)
        money = self.within(index + 1, "clock.money") or self.word(index - 1) in self.lex.sets["clock.money_signs"]
        amount = "." in word and self.within(index + 1, "clock.amounts")
        if money or amount or minute > 59 or hour > 24 or (hour == 24 and minute):
            return None, index
        zero = len(digits[0]) == 2 and digits[0][0] == "0"
        return replace(_clock_of(hour, minute, zero), written=True), end


def _split_digits(word: str) -> list[str]:
    return "".join(c if c.isdigit() else " " for c in word).split()


def _digits(word: str) -> int:
    """The number at the head of a word, 0 when that is not a short one."""
    found = _split_digits(word)
    return int(found[0]) if found and len(found[0]) <= 4 else 0


def _clock_of(hour: int, minute: int, exact: bool = False) -> Clock:
    """A time as written; past noon, at 0 or with a leading zero it can only be the 24-hour clock."""
    return Clock(hour, minute, exact or hour > 12 or hour == 0)


def _clock_before(hour: int, minutes: int) -> Clock:
    """Dutch "half vier" is half an hour before four."""
    return Clock((hour - 1) % 12, minutes)


_TAKES: tuple[Callable[[Reader, Point, int], int], ...] = (
    Reader._take_past,
    Reader._take_ahead,
    Reader._take_feast,
    Reader._take_offset,
    Reader._take_weekday,
    Reader._take_date,
    Reader._take_span,
    Reader._take_part,
)
