"""Danger: a detector of its own, beside the reading of intent. Missing one is far worse than asking once too often.

It adds up three witnesses: a head trained on nothing but danger against the rest, the gap between the best safety
intent and the best other one, and the phrase lists. Phrases in other languages than Dutch decide by themselves, because
the model was never taught those languages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.heard import SAFETY
from flows.understand.lexicon import PUNCTUATION, WordListError, read_lines
from flows.understand.normalise import fold, tokens

CALM = "bedaar"
"""The list of words that say: told, seen, played, practised or long past."""

HOME = "nl"


@dataclass(frozen=True, slots=True)
class Hit:
    """One listed phrase found in a message."""

    kind: str
    language: str
    words: str


class DangerLists:
    """The phrase lists per kind and language. Raises `WordListError` for a line that cannot be read."""

    def __init__(self, path: Path, shorthand: Mapping[str, tuple[str, ...]]) -> None:
        self._by_word: dict[str, list[tuple[re.Pattern[str], str, str]]] = {}
        for number, line in read_lines(path):
            head, colon, rest = line.partition(":")
            kind, _, language = head.strip().partition(" ")
            if not colon or (kind not in SAFETY and kind != CALM) or (kind != CALM and not language):
                raise WordListError(f"{path.name}, line {number}: expected 'kind language: phrase, phrase'")
            for entry in rest.split(","):
                if entry.strip():
                    self._add(entry.strip(), kind, language or HOME, shorthand)

    def _add(self, entry: str, kind: str, language: str, shorthand: Mapping[str, tuple[str, ...]]) -> None:
        parts: list[str] = []
        anchor = ""
        pieces = re.split(r"(\.\.|\*)", entry)
        for place, piece in enumerate(pieces):
            if piece == "..":
                parts.append(r"(?: \S+){0,3}")
            elif piece == "*":
                parts.append(r"\S*")
            else:
                words = [word for word in tokens(fold(piece), shorthand) if word not in PUNCTUATION]
                parts.extend(rf" {re.escape(word)}" for word in words)
                whole = words[:-1] if pieces[place + 1 : place + 2] == ["*"] else words
                if whole and not anchor:
                    anchor = whole[0]
        self._by_word.setdefault(anchor, []).append((re.compile("".join(parts) + "(?= )"), kind, language))

    def hits(self, words: Sequence[str]) -> list[Hit]:
        """Every phrase that stands in these words."""
        plain = [word for word in words if word not in PUNCTUATION]
        text = f" {' '.join(plain)} "
        found: list[Hit] = []
        for anchor in ("", *dict.fromkeys(plain)):
            for pattern, kind, language in self._by_word.get(anchor, ()):
                match = pattern.search(text)
                if match:
                    found.append(Hit(kind, language, match[0].strip()))
        return found


@dataclass(frozen=True, slots=True)
class Cuts:
    """How the witnesses are weighed, and from where on danger is likely and sure; decided in training."""

    own_head: float
    gap: float
    listed: float
    calmed: float
    start: float
    likely: float
    sure: float


def weigh(scores: Mapping[str, Mapping[str, float]], hits: Sequence[Hit], cuts: Cuts) -> float:
    """The weight of danger: above `cuts.sure` is sure, above `cuts.likely` is likely."""
    own, gap, listed, calmed = witnesses(scores, hits)
    return cuts.start + cuts.own_head * own + cuts.gap * gap + cuts.listed * listed + cuts.calmed * calmed


def witnesses(scores: Mapping[str, Mapping[str, float]], hits: Sequence[Hit]) -> tuple[float, float, float, float]:
    """What each witness says: the danger head, the gap between intents, phrases found, calming words found."""
    intents = scores["intent"]
    gap = max(intents[name] for name in SAFETY) - max(value for name, value in intents.items() if name not in SAFETY)
    listed = sum(1.0 for hit in hits if hit.kind != CALM and hit.language == HOME)
    calmed = float(any(hit.kind == CALM for hit in hits))
    return scores["danger"]["yes"], gap, min(listed, 2.0), calmed


def verdict(weight: float, hits: Sequence[Hit], cuts: Cuts) -> str:
    """ "" for no danger, "likely" to ask once, "sure" to act."""
    calm = any(hit.kind == CALM for hit in hits)
    foreign = any(hit.kind != CALM and hit.language != HOME for hit in hits)
    if weight >= cuts.sure or (foreign and not calm):
        return "sure"
    listed = any(hit.kind != CALM for hit in hits)
    if weight >= cuts.likely or (listed and not calm and weight >= cuts.likely - 1.5):
        return "likely"
    return ""


def kind_of(scores: Mapping[str, Mapping[str, float]], hits: Sequence[Hit]) -> str:
    """Which of the three dangers it is; a phrase in another language names its own."""
    for hit in hits:
        if hit.kind != CALM and hit.language != HOME:
            return hit.kind
    intents = scores["intent"]
    return max(sorted(SAFETY), key=intents.__getitem__)
