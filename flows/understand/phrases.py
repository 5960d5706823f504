"""Lists of phrases in a small notation: `..` for up to three words in between, `*` for any ending."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.understand.lexicon import PUNCTUATION, WordListError, read_lines
from flows.understand.normalise import fold, tokens

HOME = "nl"

_SPOKEN = {"mij": "(?:mij|me)", "mijn": "(?:mijn|me)"}
"""Words that many people say and write shorter."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One listed phrase found in a message."""

    kind: str
    language: str
    words: str


class PhraseLists:
    """Phrases per kind and language, from lines `kind [language]: phrase, phrase`.

    Raises `WordListError` for a line that cannot be read or whose kind is not one of `kinds`.
    """

    def __init__(self, path: Path, kinds: Collection[str], shorthand: Mapping[str, tuple[str, ...]]) -> None:
        self._by_word: dict[
            str, list[tuple[str, str, Hit]]
        ] = {}  # by a word, and what must stand there letter by letter
        self._compiled: dict[str, re.Pattern[str]] = {}
        self._whole: dict[str, set[str]] = {kind: set() for kind in kinds}
        for number, line in read_lines(path):
            head, colon, rest = line.partition(":")
            kind, _, language = head.strip().partition(" ")
            if not colon or kind not in kinds:
                raise WordListError(f"{path.name}, line {number}: expected one of {', '.join(sorted(kinds))}, then ':'")
            for entry in rest.split(","):
                if entry.strip():
                    self._add(entry.strip(), Hit(kind, language or HOME, entry.strip()), shorthand)

    def _add(self, entry: str, hit: Hit, shorthand: Mapping[str, tuple[str, ...]]) -> None:
        parts: list[str] = []
        anchor = must = run = ""
        pieces = re.split(r"(\.\.|\*)", entry)
        for place, piece in enumerate(pieces):
            if piece == "..":
                parts.append(r"(?: \S+){0,3}")
                run = ""
            elif piece == "*":
                parts.append(r"\S*")
                run = ""
            else:
                words = [word for word in tokens(fold(piece), shorthand) if word not in PUNCTUATION]
                parts.extend(f" {_SPOKEN.get(word) or re.escape(word)}" for word in words)
                for word in words:
                    run = "" if word in _SPOKEN else f"{run} {word}"
                    must = max(must, run, key=len)
                whole = words[:-1] if pieces[place + 1 : place + 2] == ["*"] else words
                anchor = anchor or next((word for word in whole if word not in _SPOKEN), "")
        if len(pieces) == 1:
            self._whole[hit.kind].add(" ".join(word for word in tokens(fold(entry), shorthand)))
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
            found = self._compiled[source] = re.compile(source)
        return found

    def is_whole(self, kind: str, words: Sequence[str]) -> bool:
        """Whether these words together are one listed phrase without wildcards."""
        return " ".join(words) in self._whole[kind]
