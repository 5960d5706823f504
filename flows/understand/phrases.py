"""Lists of phrases in a small notation: `..` for up to three words in between, `*` for any ending.

There are thousands, and a message needs only a few: a phrase stays as it is written, kept by its longest word, until a
message has that word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from flows.understand.lexicon import PUNCTUATION, Lexicon, WordListError, read_lines

HOME = "nl"

_SPOKEN = {"mij": "(?:mij|me)", "mijn": "(?:mijn|me)"}
"""Words that many people say and write shorter."""

_VARIED = PUNCTUATION | _SPOKEN.keys()
"""What a message with the phrase in it may lack."""

_UNFINISHED = re.compile(r"\S+ *\*")
"""A word that may end in any way."""

_Listed = tuple[str, int, str, str, str]
"""A space and another word, or its beginning; the number of the phrase, the phrase as written, its kind and language."""


@dataclass(frozen=True, slots=True)
class _Parsed:
    """The first word of a phrase that must stand there as it is ("" if none), every word or beginning, what finds it."""

    first: str
    words: list[str]
    pattern: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One listed phrase found in a message."""

    kind: str
    language: str
    words: str


class PhraseLists:
    """Phrases per kind and language, from lines `kind [language]: phrase, phrase`.

    Between the words of a phrase the lexicon's fillers may stand ("wil echt dood" is "wil dood"), and a word of its list
    `none` straight before a phrase takes it back ("geen hartaanval"). Raises `WordListError` for a line that cannot be
    read or whose kind is not one of `kinds`.
    """

    def __init__(self, path: Path, kinds: Collection[str], lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._by_word: dict[str, list[_Listed]] = {}
        self._parsed: dict[str, _Parsed] = {}
        self._compiled: dict[str, re.Pattern[str]] = {}
        self._whole: dict[str, set[str]] = {kind: set() for kind in kinds}
        fillers = sorted(lexicon.roles["filler"])
        self._between = f"(?: (?:{'|'.join(fillers)}))*" if fillers else ""
        self._denied = "".join(f"(?<! {re.escape(word)})" for word in sorted(lexicon.roles["none"]))
        text = path.read_text(encoding="utf-8")
        strange = lexicon.strange_in(text.replace("..", " "))
        entries = count()
        for number, line in read_lines(text):
            head, colon, rest = line.partition(":")
            kind, _, language = head.strip().partition(" ")
            if not colon or kind not in kinds:
                raise WordListError(f"{path.name}, line {number}: expected one of {', '.join(sorted(kinds))}, then ':'")
            for entry in map(str.strip, rest.split(",")):
                if not entry:
                    continue
                words = (_UNFINISHED.sub("", entry) if "*" in entry else entry).replace("..", " ").split()
                if not strange.isdisjoint(words):
                    words = lexicon.words_of(" ".join(words))
                if ".." not in entry and "*" not in entry:
                    self._whole[kind].add(" ".join(words))
                sure = [word for word in words if word not in _VARIED] or [""]
                longest = max(sure, key=len)
                other = sure[0] if sure[0] != longest else sure[-1]
                if "*" in entry:
                    begun = lexicon.words_of(entry.replace("..", " ").replace("*", " "))
                    other = max(other, *(word for word in begun if word not in _VARIED), key=len)
                self._by_word.setdefault(longest, []).append(
                    (f" {other}", next(entries), entry, kind, language or HOME)
                )

    def words(self) -> list[str]:
        """Every word of the phrases in our own language, in the order of the list."""
        listed = sorted(
            (number, entry) for found in self._by_word.values() for _, number, entry, _, at in found if at == HOME
        )
        return [word for _, entry in listed for word in entry.replace("..", " ").split() if "*" not in word]

    def hits(self, words: Sequence[str]) -> list[Hit]:
        """Every phrase that stands in these words, with the words it was found in."""
        plain = [word for word in words if word not in PUNCTUATION]
        said = {"", *plain}
        text = f" {' '.join(plain)} "
        found: list[tuple[int, int, Hit]] = []
        for word in self._by_word.keys() & said:
            for other, number, entry, kind, language in self._by_word[word]:
                if other in text and (match := self._find(entry, text)):
                    first = self._parsed[entry].first
                    place = plain.index(first) if first else -1
                    found.append((place, number, Hit(kind, language, match[0].strip())))
        return [hit for _, _, hit in sorted(found)]

    def _find(self, entry: str, text: str) -> re.Match[str] | None:
        parsed = self._parsed.get(entry) or self._parsed.setdefault(entry, self._parse(entry))
        after = 0
        for word in parsed.words:  # before anything is compiled: that takes longer than all the rest of a reading
            after = text.find(word, after) + 1
            if not after:
                return None
        pattern = self._compiled.get(entry) or self._compiled.setdefault(entry, re.compile(parsed.pattern))
        return pattern.search(text)

    def _parse(self, entry: str) -> _Parsed:
        first = ""
        needed: list[str] = []
        parts: list[str] = []
        pieces = re.split(r"(\.\.|\*)", entry)
        for piece, following in zip(pieces, (*pieces[1:], ""), strict=True):
            if piece == "..":
                parts.append(r"(?: \S+){0,3}")
            elif piece == "*":
                parts.append(r"\S*")
            else:
                words = [word for word in self._lexicon.words_of(piece) if word not in PUNCTUATION]
                parts.append(self._between.join(f" {_SPOKEN.get(word) or re.escape(word)}" for word in words))
                needed += [f" {word}" for word in words if word not in _SPOKEN]
                whole = words[:-1] if following == "*" else words
                first = first or next((word for word in whole if word not in _SPOKEN), "")
        return _Parsed(first, needed, f"{self._denied}{''.join(parts)}(?= )")

    def is_whole(self, kind: str, words: Sequence[str]) -> bool:
        """Whether these words together are one listed phrase without wildcards."""
        return " ".join(words) in self._whole[kind]
