"""Lists of phrases in a small notation: `..` for up to three words in between, `*` for any ending."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.understand.lexicon import PUNCTUATION, Lexicon, WordListError, read_lines

HOME = "nl"

_SPOKEN = {"mij": "(?:mij|me)", "mijn": "(?:mijn|me)"}
"""Words that many people say and write shorter."""

_HERE = "\0"
"""Where fillers may stand; written out only in the patterns that are needed, because there are thousands."""


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
        self._by_word: dict[str, list[tuple[str, str, Hit]]] = {}
        """By one word of the phrase: another one that must stand there too, the pattern, and what is hit."""
        self._compiled: dict[str, re.Pattern[str]] = {}
        fillers = sorted(lexicon.roles["filler"])
        self._between = f"(?: (?:{'|'.join(fillers)}))*" if fillers else ""
        self._denied = "".join(f"(?<! {re.escape(word)})" for word in sorted(lexicon.roles["none"]))
        self._whole: dict[str, set[str]] = {kind: set() for kind in kinds}
        for number, line in read_lines(path):
            head, colon, rest = line.partition(":")
            kind, _, language = head.strip().partition(" ")
            if not colon or kind not in kinds:
                raise WordListError(f"{path.name}, line {number}: expected one of {', '.join(sorted(kinds))}, then ':'")
            for entry in rest.split(","):
                if entry.strip():
                    self._add(entry.strip(), Hit(kind, language or HOME, entry.strip()), lexicon)

    def _add(self, entry: str, hit: Hit, lexicon: Lexicon) -> None:
        parts: list[str] = []
        anchor = must = ""
        pieces = re.split(r"(\.\.|\*)", entry)
        for place, piece in enumerate(pieces):
            if piece == "..":
                parts.append(r"(?: \S+){0,3}")
            elif piece == "*":
                parts.append(r"\S*")
            else:
                words = [word for word in lexicon.words_of(piece.strip()) if word and word not in PUNCTUATION]
                parts.append(_HERE.join(f" {_SPOKEN.get(word) or re.escape(word)}" for word in words))
                whole = words[:-1] if pieces[place + 1 : place + 2] == ["*"] else words
                anchor = anchor or next((word for word in whole if word not in _SPOKEN), "")
                must = max(must, *(f" {word}" for word in words if word not in (anchor, *_SPOKEN)), "", key=len)
        if len(pieces) == 1:
            self._whole[hit.kind].add(" ".join(lexicon.words_of(entry)))
        self._by_word.setdefault(anchor, []).append((must, "".join(parts) + "(?= )", hit))

    def hits(self, words: Sequence[str]) -> list[Hit]:
        """Every phrase that stands in these words, with the words it was found in."""
        plain = [word for word in words if word not in PUNCTUATION]
        text = f" {' '.join(plain)} "
        found: list[Hit] = []
        for anchor in ("", *dict.fromkeys(plain)):
            for must, pattern, hit in self._by_word.get(anchor, ()):
                if must in text and (match := self._pattern(pattern).search(text)):
                    found.append(Hit(hit.kind, hit.language, match[0].strip()))
        return found

    def _pattern(self, source: str) -> re.Pattern[str]:
        # compiled when first needed: most phrases never are, and loading must be quick
        found = self._compiled.get(source)
        if found is None:
            found = self._compiled[source] = re.compile(self._denied + source.replace(_HERE, self._between))
        return found

    def is_whole(self, kind: str, words: Sequence[str]) -> bool:
        """Whether these words together are one listed phrase without wildcards."""
        return " ".join(words) in self._whole[kind]
