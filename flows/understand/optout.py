"""Opting out for good, guarded: nobody leaves by accident, and who says STOP is gone at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flows.understand.lexicon import PUNCTUATION
from flows.understand.phrases import PhraseLists

KINDS = ("word", "phrase", "keep", "doubt", "polite")

LISTED, SURE, DOUBTED = -0.9, 0.6, 0.75
"""How far the votes for stop must be ahead: with a phrase, without one, and when something speaks against it."""

PLAIN = 0.5
"""Without a phrase, the votes for stop must also be this much in favour by themselves, not only ahead of all others."""

_STOP = sorted("stop")


def asks_to_leave(words: Sequence[str], votes: Mapping[str, float], lists: PhraseLists, uneasy: bool = False) -> bool:
    """Whether these words, with these votes per intent, are an opt-out for good; `uneasy` asks more of the votes."""
    plain = [word for word in words if word not in PUNCTUATION]
    if lists.is_whole("word", plain):
        return True
    short = [word for word in plain if not lists.is_whole("polite", [word])]
    if short and lists.is_whole("word", short):
        return True
    if len(short) == 1 and _is_swapped(short[0]):
        return True
    ahead = votes["stop"] - max(value for name, value in votes.items() if name != "stop")
    if ahead < LISTED:
        return False  # whatever is listed
    hits = {hit.kind for hit in lists.hits(words)}
    if "keep" in hits:
        return False
    if "doubt" in hits:
        return ahead >= (SURE if "phrase" in hits else DOUBTED)
    if "phrase" in hits:
        return True
    return ahead >= (DOUBTED if uneasy else SURE) and votes["stop"] >= PLAIN


def _is_swapped(word: str) -> bool:
    """Stop with its letters in the wrong order or one twice; never another word such as stap or step."""
    once = "".join(letter for place, letter in enumerate(word) if place == 0 or word[place - 1] != letter)
    return word[0] in "st" and sorted(once) == _STOP and once != "pots"
