"""Words as they are compared: small letters, no accents, no marks; and phrases found among them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

_PLAIN = re.compile(r"[#/?]?[^\W_]+(?:'[^\W_]+)?|\?")


@lru_cache(maxsize=512)  # one message is looked at by a dozen questions
def plain(text: str) -> str:
    """Lower case, without accents and marks, words one space apart: "Ja, graag!" is "ja graag"."""
    bare = text.lower()
    if not bare.isascii():
        bare = "".join(c for c in unicodedata.normalize("NFKD", bare) if not unicodedata.combining(c))
    return " ".join(_PLAIN.findall(bare.replace("\u2019", "'")))


def forget() -> None:
    """Let go of the texts that were looked at: somebody asked to be forgotten."""
    plain.cache_clear()


class Within:
    """Phrases under names, found among other words by the first of theirs: it costs what is said, not what is listed."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        """The phrases are plain."""
        self._by_word: dict[str, list[tuple[str, str]]] = {}
        for name, phrases in lists.items():
            for phrase in phrases:
                self._by_word.setdefault(phrase.partition(" ")[0], []).append((f" {phrase} ", name))

    def names(self, said: str) -> set[str]:
        """The names of all phrases that stand in a plain text."""
        padded, by_word = f" {said} ", self._by_word
        return {name for word in said.split() for phrase, name in by_word.get(word, ()) if phrase in padded}
