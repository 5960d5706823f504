"""The vocabulary of moments and the cutting of a message into words, read from a parsed word file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from rapidfuzz.distance import OSA

# One character becomes one character, so that places in the cleaned text are places in the message.
_PLAIN = str.maketrans(
    "\u2019\u2018`\u00b4áàâäãéèêëíìîïóòôöõúùûüçñ\u2013\u2014\u00a0ÁÀÂÄÉÈÊËÍÌÎÏÓÒÔÖÚÙÛÜÇÑ",
    "''''aaaaaeeeeiiiiooooouuuucn-- AAAAEEEEIIIIOOOOUUUUCN",
)
_TOKEN = re.compile(  # words first, because nearly all are
    r"(?P<word>'s(?![^\W_])|t/m|v/d|a\.s\.?(?![^\W_])|[^\W\d_]+(?:'[^\W\d_]+)*)"
    r"|(?P<iso>(?<![\d/-])\d{4}-\d{1,2}-\d{1,2}(?![\d/-]))"
    r"|(?P<date>(?<![\d/.,:+-])\d{1,2}(?P<mark>[-/])\d{1,2}(?:(?P=mark)(?:\d{4}|\d{2}))?(?![\d/-]|[.,:]\d))"
    r"|(?P<dots>(?<![\d.,])\d{1,2}\.\d{1,2}\.\d{4}(?!\d))"
    r"|(?P<time>(?<![\d.,:/-])\d{1,2}(?:[:.]|\s?[uh](?=\d))\d{2}(?![\d]|[.,:/-]\d))"
    r"|(?P<nth>(?<!\d)\d{1,2}(?:ste|de|e)(?![^\W_]))"
    r"|(?P<hour>(?<![\d.,:/-])\d{1,2}(?:uur|uir|uu|u)(?![^\W_]))"
    r"|(?P<num>\d+(?:[.,]\d+)*)"
    r"|(?P<stop>[.!?\n\r…]+)"
    r"|(?P<mark2>[,;:()€£$+/\"-])"
)
_LONG = 8
# The word file's lists, and the relation to time that each stands for.
_RELATIONS = {
    "until": "until",
    "through": "through",
    "starting": "from",
    "before": "before",
    "after": "after",
    "between": "between",
    "ranging": "ranging",
}


@dataclass(slots=True)
class Token:
    """A word, number or mark: its kind, its cleaned form, and its place in the message."""

    kind: str
    word: str
    start: int
    end: int


def plain(text: str) -> str:
    """Text without accents and curly quotes, every character still in its place."""
    return text.translate(_PLAIN)


def tokens(text: str) -> list[Token]:
    """Words, numbers and marks of a message, in order."""
    found: list[Token] = []
    for match in _TOKEN.finditer(plain(text)):
        kind = match.lastgroup or "word"
        if kind == "mark":
            kind = "date"
        found.append(
            Token(
                "sep" if kind == "mark2" else kind,
                match.group().lower(),
                match.start(),
                match.end(),
            )
        )
    return found


def _fold(words: Iterable[str]) -> frozenset[str]:
    return frozenset(plain(word).lower() for word in words)


def _by_kind(table: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {plain(word).lower(): kind for kind, words in table.items() for word in words}


@dataclass(slots=True)
class Lexicon:
    """The word file, made quick to look up.

    `sets` holds the plain lists by name, those of [judge] and [clock] as `judge.x` and `clock.x`.
    Raises KeyError when a list is missing, so that a damaged word file is noticed when it is read.
    """

    source: Mapping[str, Any]
    sets: dict[str, frozenset[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    hour_forms: dict[str, int] = field(default_factory=dict)
    months: dict[str, int] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    spans: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    weekdays: dict[str, int] = field(default_factory=dict)
    short_weekdays: dict[str, int] = field(default_factory=dict)
    weekday_parts: dict[str, tuple[int, str]] = field(default_factory=dict)
    offset_parts: dict[str, tuple[int, str]] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    day_ordinals: dict[str, int] = field(default_factory=dict)
    half_hours: dict[str, int] = field(default_factory=dict)
    habits: frozenset[str] = frozenset()
    this_day: str = ""
    soon: str = ""
    street_tails: tuple[str, ...] = ()
    participle_heads: tuple[str, ...] = ()
    participle_tails: tuple[str, ...] = ()
    relation_heads: frozenset[str] = frozenset()
    hot_days: frozenset[str] = frozenset()
    hot: frozenset[str] = frozenset()
    after_number: frozenset[str] = frozenset()
    ask_heads: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    relation_words: dict[str, str] = field(default_factory=dict)
    relation_phrases: dict[str, list[tuple[tuple[str, ...], str]]] = field(default_factory=dict)
    feasts: dict[tuple[str, ...], Mapping[str, Any]] = field(default_factory=dict)
    feast_heads: dict[str, int] = field(default_factory=dict)
    _known: frozenset[str] = frozenset()
    _near: dict[str, list[str]] = field(default_factory=dict)
    _nearest: Callable[[str], str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._nearest = lru_cache(maxsize=20_000)(self._nearest_known)
        for name, value in self.source.items():
            if isinstance(value, list) and value and isinstance(value[0], str):
                self.sets[name] = _fold(value)
        for table in ("judge", "clock", "early", "units"):
            for name, value in self.source[table].items():
                self.sets[f"{table}.{name}"] = _fold(value)
        self.numbers = {plain(k): int(v) for k, v in self.source["numbers"].items()}
        self.hour_forms = {plain(k): int(v) for k, v in self.source["hour_forms"].items()}
        self.months = {plain(k): int(v) for k, v in self.source["months"].items()}
        self.units = _by_kind(self.source["units"])
        self.spans = _by_kind(self.source["spans"])
        self.parts = _by_kind(self.source["parts"])
        self.day_ordinals = {plain(w): n for n, w in enumerate(self.source["day_ordinals"], 1)}
        self.half_hours = {
            half + word: number for half in self.sets["clock.half"] for word, number in self.numbers.items()
        }
        suffixes = _by_kind(self.source["part_suffixes"])
        habits: set[str] = set(_fold(self.source["weekday_prefix"]))
        for index, names in enumerate(self.source["weekdays"]):
            for name in _fold(names):
                self.weekdays[name] = index
                habits.update(name + ending for ending in self.source["weekday_plural"])
                for suffix, part in suffixes.items():
                    self.weekday_parts[name + suffix] = (index, part)
                    habits.update(name + suffix + ending for ending in self.source["weekday_plural"])
        self.habits = frozenset(habits)
        for index, names in enumerate(self.source["weekdays_short"]):
            self.short_weekdays.update(dict.fromkeys(_fold(names), index))
        for offset, name in enumerate(("today", "tomorrow", "day_after")):
            for word in self.sets[name]:
                self.offsets[word] = offset
                for suffix, part in suffixes.items():
                    self.offset_parts[word + suffix] = (offset, part)
        for suffix, part in suffixes.items():
            self.offset_parts[plain(self.source["this_day"]) + suffix] = (0, part)
        for feast in self.source["feasts"]:
            for name in feast["names"]:
                key = tuple(plain(name).lower().split())
                self.feasts[key] = feast
                self.feast_heads[key[0]] = max(len(key), self.feast_heads.get(key[0], 0))
        self.this_day = plain(self.source["this_day"])
        self.soon = plain(self.source["soon"])
        self.street_tails = tuple(self.sets["judge.numbered_tails"])
        self.participle_heads = tuple(self.sets["judge.participle_heads"])
        self.participle_tails = tuple(self.sets["judge.participle_tails"])
        self.ask_heads = frozenset(pair.split()[0] for pair in self.sets["judge.ask_pairs"])
        self._heads()
        self._spelling()

    def _heads(self) -> None:
        """The words a moment can begin with, so that all others cost one look."""
        for name, relation in _RELATIONS.items():
            self.relation_words.update(dict.fromkeys(self.sets[name], relation))
            for text in sorted(self.sets.get(f"{name}_phrases", ())):
                parts = tuple(text.split())
                self.relation_phrases.setdefault(parts[0], []).append((parts, relation))
        heads = {*self.relation_words, *self.relation_phrases}
        self.relation_heads = frozenset(heads)
        self.hot_days = frozenset(
            {
                *self.weekdays,
                *self.weekday_parts,
                *self.offsets,
                *self.offset_parts,
                *self.sets["night_now"],
            }
        )
        heads.update(
            self.hot_days,
            self.parts,
            self.spans,
            self.months,
            self.short_weekdays,
            self.habits,
        )
        heads.update(
            self.numbers,
            self.half_hours,
            self.hour_forms,
            self.day_ordinals,
            self.feast_heads,
        )
        for name in (
            "this",
            "coming",
            "next",
            "past",
            "past_days",
            "in_time",
            "within",
            "late_in",
            "vague_in",
        ):
            heads.update(self.sets[name])
        heads.update(
            self.sets["clock.half"],
            self.sets["clock.quarter"],
            self.sets["clock.midnight"],
        )
        self.hot = frozenset(heads)
        after = set(self.months).union(*(self.sets[f"clock.{name}"] for name in ("hour", "minutes", "past", "to")))
        self.after_number = frozenset(after)
        self.links = frozenset({*self.sets["until"], *self.sets["through"], "-"})

    def _spelling(self) -> None:
        correct: set[str] = {
            *self.weekdays,
            *self.weekday_parts,
            *self.offsets,
            *self.offset_parts,
        }
        correct.update(word for word in (*self.months, *self.sets["past_days"]) if len(word) >= 6)
        correct.update(*(self.sets[name] for name in ("coming", "next")))
        correct.update(word for word, kind in self.spans.items() if kind == "weekend")
        correct.update(word for key in self.feasts for word in key if len(word) >= 8)
        known = correct | self.habits | _fold(self.source["spelling"]["own_words"])
        known.update(
            *self.sets.values(),
            self.parts,
            self.units,
            self.spans,
            self.months,
            self.numbers,
        )
        known.update(word for key in self.feasts for word in key)
        self._known = frozenset(known)
        for word in sorted(correct):
            if len(word) >= 5 and word.isalpha():
                self._near.setdefault(word[0], []).append(word)

    def repaired(self, word: str) -> str:
        """The moment word this is a typing error of, or the word itself; short words are taken as they are."""
        if not 5 <= len(word) <= 20 or word in self._known:
            return word
        return self._nearest(word)

    def _nearest_known(self, word: str) -> str:
        length = len(word)
        best, distance = word, 3
        for candidate in self._near.get(word[0], ()):
            allowed = 2 if len(candidate) >= _LONG else 1
            if abs(len(candidate) - length) > allowed:
                continue
            apart = OSA.distance(word, candidate, score_cutoff=min(allowed, distance - 1))
            if apart < distance and apart <= allowed:
                best, distance = candidate, apart
        return best
