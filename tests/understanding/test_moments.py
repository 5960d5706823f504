"""Moments: every line of moments.txt, the calendar behind them checked by others, and laws that hold for any text."""

from __future__ import annotations

import statistics
import time
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.holidays import easter, is_holiday
from flows.understand.moments import Moments
from flows.understand.moments_calendar import feast_start

HERE = Path(__file__).parent
WORDS = tomllib.loads((HERE.parents[1] / "locales/nl/words/moments.toml").read_text("utf-8"))
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
MOMENTS = Moments(WORDS)
WEEKDAYS = (
    "maandag",
    "dinsdag",
    "woensdag",
    "donderdag",
    "vrijdag",
    "zaterdag",
    "zondag",
)

Case = tuple[str, datetime, str | None, str | None]


def _cases() -> Iterator[Case]:
    now = datetime(2026, 3, 24, 9, 55, tzinfo=AMSTERDAM)
    for line in (HERE / "moments.txt").read_text("utf-8").splitlines():
        if line.startswith("@"):
            now = datetime.fromisoformat(line[1:].strip()).replace(tzinfo=AMSTERDAM)
        elif line and not line.startswith("#"):
            text, start, end = (field.strip() for field in line.split("|"))
            if start == "-":
                yield text, now, None, None
            else:
                end = end or start
                yield (
                    text,
                    now,
                    None if start == "open" else start,
                    None if end == "open" else end,
                )


CASES = list(_cases())


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 250
    assert len({(text, now) for text, now, _, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("text", "now", "start", "end"),
    CASES,
    ids=[f"{t}@{n:%y%m%d-%H%M}" for t, n, _, _ in CASES],
)
def test_moment(text: str, now: datetime, start: str | None, end: str | None) -> None:
    found = MOMENTS.find(text, now)
    if start is None and end is None:
        assert found is None
        return
    assert found is not None
    assert (found.start, found.end) == (start, end)
    assert found.words in text


@pytest.mark.parametrize(("text", "now", "start", "end"), [case for case in CASES if case[2] and case[3]])
def test_the_file_itself_keeps_to_the_calendar(text: str, now: datetime, start: str, end: str) -> None:
    begin, finish = datetime.fromisoformat(start), datetime.fromisoformat(end)
    assert now.replace(tzinfo=None) <= finish
    named = [index for index, name in enumerate(WEEKDAYS) if name in text]
    if (
        len(named) == 1
        and "goede" not in text
        and "nacht" not in text
        and not {"niet", "dan", "elke"} & set(text.split())
    ):
        assert begin.weekday() == named[0]
    if "week" in text.split() and begin.hour == 0 and finish - begin == timedelta(days=7):
        assert begin.weekday() == 0
    if "weekend" in text:
        assert begin.weekday() == 5


@pytest.mark.parametrize("year", range(2020, 2060))
def test_feasts_against_the_holidays_library(year: int) -> None:
    public = holidays.country_holidays("NL", years=year)
    rules = {name: feast for feast in WORDS["feasts"] for name in feast["names"]}
    for name in (
        "eerste paasdag",
        "tweede paasdag",
        "hemelvaart",
        "eerste pinksterdag",
        "koningsdag",
        "nieuwjaarsdag",
    ):
        assert feast_start(rules[name], year) in public
    assert easter(year).weekday() == 6
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    assert {day for day in days if day.year == year and is_holiday(day)} == set(public)


@pytest.mark.parametrize("day", [date(2026, 3, 23) + timedelta(days=n) for n in range(14)])
@pytest.mark.parametrize("weekday", range(7))
def test_a_weekday_is_the_next_one_and_never_today(day: date, weekday: int) -> None:
    found = MOMENTS.find(WEEKDAYS[weekday], datetime(day.year, day.month, day.day, 12, tzinfo=AMSTERDAM))
    assert found is not None
    assert found.start is not None
    start = date.fromisoformat(found.start[:10])
    assert start.weekday() == weekday
    assert 1 <= (start - day).days <= 7


def test_a_clock_without_a_zone_is_read_as_it_stands() -> None:
    now = datetime.fromisoformat("2026-03-29T01:30")
    found = MOMENTS.find("over een uur", now)
    assert found is not None
    assert found.start == "2026-03-29T02:30"


PIECE_WORDS = """
maandag dinsdag woensdag donderdag vrijdag zaterdag zondag vandaag morgen overmorgen vanavond vannacht gisteren volgende
komende deze week weekend om over tot t/m vanaf voor na tussen van en of niet elke half kwart drie uur 14e 3-1 31-12-26
14:30 10u 's middags met kerst eind de maand januari 29 februari , . ! - kan iemand was ma zo 2027 9999 dagen weken jaar
binnen een in pasen oud nieuw eerste kerstdag 0 24 vroeg 2-4 liever dan geen begin mei 30 tien avond wo 23:59 a.s. maar
"""
PIECES = PIECE_WORDS.split()
NOWS = st.datetimes(
    min_value=datetime.fromisoformat("2020-01-01"),
    max_value=datetime.fromisoformat("2040-01-01"),
)
ENDS = [datetime.fromisoformat("0001-01-01T00:00"), datetime.fromisoformat("9999-12-31T23:59")]
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))


@settings(max_examples=600, deadline=None)
@given(text=TEXTS, now=NOWS, zoned=st.booleans())
def test_laws(text: str, now: datetime, zoned: bool) -> None:
    found = MOMENTS.find(text, now.replace(tzinfo=AMSTERDAM) if zoned else now)
    if found is None:
        return
    assert found.words
    assert found.words in text
    assert found.start is not None or found.end is not None
    start = None if found.start is None else datetime.fromisoformat(found.start)
    end = None if found.end is None else datetime.fromisoformat(found.end)
    minute = now.replace(second=0, microsecond=0)
    # In the hour that comes twice, the clock on the wall may show less than it did.
    twice = minute.month == 10 and minute.hour == 2
    if end is not None:
        assert end >= minute - timedelta(hours=1 if twice else 0)
    if start is not None and end is not None:
        assert start <= end
        if start == end and not twice:
            assert start >= minute
    for moment in (found.start, found.end):
        assert moment is None or len(moment) == 16


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=40), now=st.sampled_from(ENDS))
def test_the_ends_of_the_calendar_do_not_raise(text: str, now: datetime) -> None:
    for words in (
        text,
        "over 9999 jaar",
        "morgen",
        "vorige week",
        "volgende week dinsdag",
        "met pasen",
        "vannacht",
    ):
        MOMENTS.find(words, now)


LONG = [
    *(
        "dinsdag ",
        "a ",
        "1 ",
        "tot ",
        "niet morgen ",
        "morgen of ",
        "vrijwilliger ",
        "12-3 ",
        "van 1 tot 2 ",
        "(",
        "3-",
    ),
    *("0", "over een ", "de de ", "om ", "elke dinsdag ", "vanaf, ", "'s ", "week ", "dinsdag niet, ", "1.1.1.", "wo "),
]


def _seconds(text: str, now: datetime, rounds: int) -> float:
    best = 60.0
    for _ in range(rounds):
        begin = time.thread_time()
        MOMENTS.find(text, now)
        best = min(best, time.thread_time() - begin)
    return best


@pytest.mark.parametrize("piece", LONG)
def test_ten_thousand_characters_stay_quick(piece: str) -> None:
    text = (piece * (10_000 // len(piece) + 1))[:10_000]
    assert _seconds(text, datetime(2026, 3, 24, 9, 55, tzinfo=AMSTERDAM), 7) < 0.020


@settings(max_examples=25, deadline=None)
@given(
    text=st.lists(
        st.one_of(st.sampled_from(PIECES), st.text(max_size=12)),
        min_size=1,
        max_size=30,
    ).map(" ".join)
)
def test_no_text_is_slow(text: str) -> None:
    long = (text * (10_000 // max(1, len(text)) + 1))[:10_000]
    assert _seconds(long, datetime(2026, 3, 24, 9, 55, tzinfo=AMSTERDAM), 5) < 0.020


def test_usual_messages_take_no_time() -> None:
    times = [_seconds(text, now, 3) for text, now, _, _ in CASES]
    assert statistics.median(times) < 0.000150


def test_a_damaged_word_file_is_noticed() -> None:
    with pytest.raises(KeyError):
        Moments({name: value for name, value in WORDS.items() if name != "until"})
