"""Finds the moment a resident names, as an interval on the neighbourhood's calendar, or none at all.

What the contract (docs, `when`) leaves open is settled here as follows.

- "Now" and "at once" are no moment: they say how urgent it is, and nothing about the calendar.
- A clock time or a date without a day or a year is the next one to come; a clock time said for a day that is named
  and on which it has passed is none.
- An hour that is unclear (7 to 9 without a part of the day) makes the moment unclear, also with a day beside it.
- "Before Friday" ends where Friday begins, "after the weekend" begins where it has ended; "before tomorrow" is read
  as "for tomorrow". "Within an hour" ends then and has no beginning.
- The night of a named day is the one that follows it, as everybody says it.
- "In three weeks" is a day; "in an hour" a clock time, counted in real hours across the clock change.
- Alternatives and lists ("Tuesday or Wednesday") are none, because one interval cannot hold them truthfully.
- The beginning or the end of a week or month is none, except as the end of an absence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.heard import Moment
from flows.understand.moments_grammar import Phrase, Reader
from flows.understand.moments_points import Interval, Judge
from flows.understand.moments_words import Lexicon

_NEAR = 4
# Past these a message is no longer about one moment; they keep reading linear. 4,000 characters is what is kept of one.
_LONGEST = 4000
_PHRASES = 16
_CLAUSE = 40


@dataclass(slots=True)
class _Named:
    """A phrase that came through: where it stands, when it is, and whether somebody asks something there."""

    phrase: Phrase
    interval: Interval
    begin: int
    end: int


class Moments:
    """Reads moments with the given words (the parsed word file); raises KeyError when a list is missing from it."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self._lex = Lexicon(words)

    def find(self, text: str, now: datetime) -> Moment | None:
        """The moment named in `text`, or None when there is none or it cannot be known.

        `now` is local wall-clock time; when it carries its zone, the clock change is taken into account.
        `words` of the answer is an exact piece of `text`. Never raises for any text.
        """
        wall = now.replace(tzinfo=None, second=0, microsecond=0)
        try:
            reader = Reader(self._lex, text[:_LONGEST], now.replace(second=0, microsecond=0), wall)
            phrases = reader.phrases(_PHRASES + 1)
            if not phrases or len(phrases) > _PHRASES:
                return None
            judge = Judge(reader.now, wall)
            chosen = _Sense(reader, judge, phrases).chosen()
        except (OverflowError, ValueError):
            # Beyond the calendar's first or last year.
            return None
        if chosen is None:
            return None
        start, end = chosen.interval
        begin, finish = (
            reader.tokens[chosen.begin].start,
            reader.tokens[chosen.end - 1].end,
        )
        return Moment(_written(start), _written(end), text[begin:finish])


def _written(wall: datetime | None) -> str | None:
    return None if wall is None else wall.isoformat(timespec="minutes")


class _Sense:
    """Weighs the phrases of one message: what is denied, past or habitual goes, what belongs together is joined."""

    def __init__(self, reader: Reader, judge: Judge, phrases: list[Phrase]) -> None:
        self.r = reader
        self.lex = reader.lex
        self.judge = judge
        self.phrases = phrases
        self.clause = self._clauses()

    def chosen(self) -> _Named | None:
        alive = [phrase for phrase in self.phrases if not self._spoiled(phrase)]
        named: list[_Named] = []
        for phrase in self._joined(alive):
            if self._either(phrase):
                return None
            interval = self.judge.interval(phrase.relation, phrase.first, phrase.second)
            if interval is not None:
                named.append(_Named(phrase, interval, phrase.begin, phrase.end))
            elif (
                not phrase.first.has_day and phrase.first.clock is not None and len(alive) > 1 and self._unclear(phrase)
            ):
                return None  # a day with an hour nobody can tell is not that whole day
        return self._preferred(named)

    # Clauses ------------------------------------------------------------------------------------------------------

    def _clauses(self) -> list[int]:
        """The number of the clause each token is in."""
        covered = bytearray(self.r.count + 1)
        for phrase in self.phrases:
            for index in range(phrase.begin, phrase.end):
                covered[index] = 1
        number = 0
        clauses: list[int] = []
        for index in range(self.r.count):
            if not covered[index] and self._opens_clause(index, covered):
                number += 1
            clauses.append(number)
        return clauses

    def _opens_clause(self, index: int, covered: bytearray) -> bool:
        word, kind = self.r.words[index], self.r.tokens[index].kind
        ends = self.r.kind(index + 2) in ("", "stop", "sep")
        if word in self.lex.sets["judge.but"] and self.r.within(index + 1, "judge.not") and ends:
            return False
        if kind == "stop" or (kind == "sep" and word in ",;:()/") or word in self.lex.sets["judge.split"]:
            return True
        if word in self.lex.sets["and"]:
            return not covered[index + 1]
        if not index or covered[index - 1] or word not in self.lex.ask_heads:
            return False
        return f"{word} {self.r.word(index + 1)}" in self.lex.sets["judge.ask_pairs"]

    def _around(self, phrase: Phrase) -> tuple[int, int]:
        """First token of the phrase's clause and the one after its last."""
        begin, end = phrase.begin, phrase.end
        first, last = self.clause[begin], self.clause[end - 1]
        lowest, highest = max(0, begin - _CLAUSE), min(self.r.count, end + _CLAUSE)
        while begin > lowest and self.clause[begin - 1] == first:
            begin -= 1
        while end < highest and self.clause[end] == last:
            end += 1
        return begin, end

    # What spoils a moment -----------------------------------------------------------------------------------------

    def _spoiled(self, phrase: Phrase) -> bool:
        if phrase.first.past or phrase.first.habit:
            return True
        begin, end = self._around(phrase)
        return (
            self._greeting(phrase)
            or self._recurring(phrase, begin, end)
            or self._denied(phrase, begin, end)
            or self._gone(phrase, begin, end)
        )

    def _greeting(self, phrase: Phrase) -> bool:
        r, begin, end = self.r, phrase.begin, phrase.end
        if r.within(begin - 1, "judge.greeting"):
            return True
        if begin == 0 and phrase.relation == "until" and "!" in r.word(end):
            return True  # "until tomorrow!" takes leave
        if begin or end != 1 or not r.within(0, "tomorrow"):
            return False
        if r.within(end, "judge.greeting_after") or "!" in r.word(end):
            return True
        # Nobody says good morning with this word after noon.
        return r.word(end) == "," and self.judge.wall.hour < 12 and end + 1 < r.count

    def _recurring(self, phrase: Phrase, begin: int, end: int) -> bool:
        r = self.r
        if phrase.first.weekday is not None and r.within(phrase.begin - 1, "judge.some"):
            return True
        for back in (1, 2):
            if r.within(phrase.begin - back, "judge.every" if back == 1 else "judge.every_plain"):
                return True
        habits = self.lex.habits
        for index in range(begin, end):
            if r.within(index, "judge.recurring") or r.words[index] in habits:
                return True
            if r.within(index, "judge.per") and r.word(index + 1) in self.lex.units:
                return True
            if r.within(index, "judge.every_plain") and self._times(index + 1):
                return True
        # A habit named just before: "elke dinsdag, om 3 uur".
        if phrase.dayless:
            for other in self.phrases:
                if other is not phrase and (other.first.habit or r.within(other.begin - 1, "judge.every_plain")):
                    return True
        for text in self.lex.sets["judge.every_other"]:
            parts = text.split()
            size = len(parts)
            if any(r.words[index : index + size] == parts for index in range(begin, end)):
                return True
        return False

    def _times(self, index: int) -> bool:
        word = self.r.word(index)
        lex = self.lex
        return (
            word in lex.weekdays
            or word in lex.parts
            or word in lex.weekday_parts
            or word in lex.units
            or (word in lex.spans or word in lex.sets["early.morning"])
        )

    def _denied(self, phrase: Phrase, begin: int, end: int) -> bool:
        r = self.r
        before = phrase.begin - 1
        while before > begin and (r.within(before, "glue") or r.within(before, "article")):
            before -= 1
        if before >= 0 and (
            r.within(before, "judge.not") or r.within(before, "judge.no") or r.within(before, "judge.except")
        ):
            follows = any(r.within(index, "judge.not_after") for index in range(begin, before))
            taken = any(other.end == before for other in self.phrases)
            if not follows and not taken:
                return True
        if r.within(phrase.begin - 1, "judge.than") and any(
            r.within(index, "judge.than_after") for index in range(begin, phrase.begin)
        ):
            return True
        excused = any(r.within(index, "judge.not_after") for index in range(begin, end))
        for index in range(begin, end):
            if phrase.begin <= index < phrase.end:
                continue
            if r.within(index, "judge.not_meant"):
                return True
            if r.within(index, "judge.too") and r.within(index + 1, "judge.too_much"):
                return True
            if (
                r.within(index, "judge.no")
                and (index >= phrase.end or index < phrase.begin)
                and (r.within(index + 1, "judge.no_with"))
            ):
                return True
            if r.within(index, "judge.not") and not excused and not r.within(index + 1, "judge.not_otherwise"):
                # It belongs to the moment it follows at once, if there is one.
                owner = next((other for other in self.phrases if other.end == index), None)
                if owner is None or owner is phrase:
                    return True
        return False

    def _gone(self, phrase: Phrase, begin: int, end: int) -> bool:
        r = self.r
        if phrase.first.sure:
            return False
        if any(r.within(index, "judge.ago") for index in range(begin, end)):
            return True
        if phrase.dayless and any(
            other.first.past and self.clause[other.begin] == self.clause[phrase.begin] for other in self.phrases
        ):
            return True
        excused = any(
            r.within(index, "judge.past_excused") or r.within(index, "judge.passive") for index in range(begin, end)
        )
        # "Vannacht slecht geslapen": so near to now a participle alone tells what happened.
        perfect = phrase.first.relative
        participle = False
        for index in range(begin, end):
            if phrase.begin <= index < phrase.end:
                continue
            if r.within(index, "judge.past_verbs") and not excused and not r.within(index - 1, "judge.past_nouns"):
                return True
            perfect = perfect or r.within(index, "judge.perfect")
            participle = participle or self._participle(r.words[index])
        return perfect and participle and not excused

    def _participle(self, word: str) -> bool:
        sets = self.lex.sets
        if word in sets["judge.participles"]:
            return True
        if len(word) < 5 or word in sets["judge.not_participles"]:
            return False
        return word.endswith(self.lex.participle_tails) and word.startswith(self.lex.participle_heads)

    # What belongs together ----------------------------------------------------------------------------------------

    def _joined(self, phrases: list[Phrase]) -> list[Phrase]:
        """A day and an hour found apart make one moment, if there is one of each and they stand near each other."""
        days = [phrase for phrase in phrases if phrase.first.has_day and not phrase.timed and phrase.second is None]
        hours = [phrase for phrase in phrases if phrase.dayless]
        timed = [phrase for phrase in phrases if phrase.first.has_day and phrase.timed]
        if len(days) == 2 and not hours and not timed:
            return self._week_and_day(days, phrases)
        if len(days) != 1 or len(hours) != 1 or timed:
            return phrases
        day, hour = days[0], hours[0]
        if day.relation or not self._near(day, hour):
            return phrases
        if hour.first.part and not hour.first.clock and day.first.part not in (None, hour.first.part):
            return phrases
        hour.first.day_from(day.first)
        joined = Phrase(
            hour.relation,
            hour.first,
            hour.second,
            min(day.begin, hour.begin),
            max(day.end, hour.end),
        )
        return [
            joined,
            *(phrase for phrase in phrases if phrase is not day and phrase is not hour),
        ]

    def _week_and_day(self, days: list[Phrase], phrases: list[Phrase]) -> list[Phrase]:
        """ "Volgende week kan ik wel, dinsdag bijvoorbeeld" is one day."""
        week = next(
            (phrase for phrase in days if phrase.first.unit == "week" and phrase.first.weekday is None),
            None,
        )
        day = next((phrase for phrase in days if phrase.first.weekday is not None), None)
        if week is None or day is None or day.first.span or day.first.date or week.relation or day.relation:
            return phrases
        if week.first.vague or not self._near(week, day):
            return phrases
        day.first.span, day.first.unit = week.first.span, week.first.unit
        return [Phrase("", day.first, None, min(week.begin, day.begin), max(week.end, day.end))]

    def _near(self, one: Phrase, two: Phrase) -> bool:
        """In one sentence, or in the next when little else is said there."""
        first, last = sorted((one, two), key=lambda phrase: phrase.begin)
        stops = [i for i in range(first.end, last.begin) if self.r.tokens[i].kind == "stop"]
        if not stops:
            return True
        end = last.end
        while end < self.r.count and self.r.tokens[end].kind != "stop":
            end += 1
        others = end - stops[-1] - 1 - (last.end - last.begin)
        return len(stops) == 1 and others <= _NEAR

    def _either(self, phrase: Phrase) -> bool:
        """Whether this is one of two that are offered as alternatives."""
        r = self.r
        for other in self.phrases:
            if other.begin >= phrase.end and other.begin - phrase.end <= 3:
                gap = range(phrase.end, other.begin)
            elif other.end <= phrase.begin and phrase.begin - other.end <= 3:
                gap = range(other.end, phrase.begin)
            else:
                continue
            if (
                any(r.within(index, "or") for index in gap)
                and not any(r.within(index, "judge.not") for index in gap)
                and not self._spoiled(other)
            ):
                return True
        # "24 en 25 december", "de 14e of 15e": the other is a bare number
        if phrase.first.date is not None and not phrase.first.relative:
            for link, number in (
                (phrase.begin - 1, phrase.begin - 2),
                (phrase.end, phrase.end + 1),
            ):
                if (r.within(link, "or") or r.within(link, "and")) and (
                    r.kind(number) == "nth" or (number < link and r.number(number) is not None)
                ):
                    return True
        # "om 2 of 3 uur": so it is here
        if not phrase.timed:
            return False
        after = r.within(phrase.end, "or") and r.number(phrase.end + 1) is not None
        return after or (r.within(phrase.begin - 1, "or") and r.number(phrase.begin - 2) is not None)

    def _unclear(self, phrase: Phrase) -> bool:
        return any(other.first.has_day and self._near(other, phrase) for other in self.phrases if other is not phrase)

    def _preferred(self, named: list[_Named]) -> _Named | None:
        """The appointment among several: the exact one inside a wider one, else the one somebody asks about."""
        kept = [one for one in named if not any(_inside(two, one) for two in named if two is not one)]
        unique: list[_Named] = []
        for one in kept:
            if all(one.interval != two.interval for two in unique):
                unique.append(one)
        if len(unique) <= 1:
            return unique[0] if unique else None
        for cue in ("judge.rather", "judge.ask"):
            asked = [one for one in unique if self._cue(one.phrase, cue)]
            if len(asked) == 1:
                return asked[0]
        return None

    def _cue(self, phrase: Phrase, name: str) -> bool:
        begin, end = self._around(phrase)
        return any(self.r.within(i, name) for i in range(begin, end) if not phrase.begin <= i < phrase.end)


def _inside(small: _Named, wide: _Named) -> bool:
    """Whether one interval lies in another that is wider."""
    (start, end), (from_, to) = small.interval, wide.interval
    if start is None or end is None or from_ is None or to is None or small.interval == wide.interval:
        return False
    return from_ <= start and end <= to
