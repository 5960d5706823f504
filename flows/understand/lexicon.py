"""The word lists volunteers edit, in the form the reading needs: groups of words, shorthand, question kinds, repair."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from sys import intern

from rapidfuzz.distance import OSA

from flows.understand.normalise import fold, has_run, stems, tokens

Phrase = tuple[tuple[str, ...], str]

ROLES = ("spelled", "self", "speaker", "asked", "denied", "filler", "none", "beside")

PUNCTUATION = frozenset(".,?!")

_PLAIN = re.compile(r"[a-z]+(?: [a-z]+)*").fullmatch


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a word list that say something, with their numbers."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


class WordListError(ValueError):
    """A line in a word list that cannot be read; the message names file, line and what is wrong."""


class Lexicon:
    """Word groups by word and by phrase, shorthand, kinds of question, and a vocabulary to repair typing errors with.

    In: the folder with the lists (`locales/nl/words`). Raises `WordListError` for a line it cannot read.
    """

    def __init__(self, folder: Path) -> None:
        self.shorthand = self._read_shorthand(folder / "shorthand.txt")
        self._words: dict[str, tuple[str, ...]] = {}
        self._phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._lengths: dict[str, tuple[int, ...]] = {}  # of the phrases that begin with a word, the longest first
        self._read_groups(folder / "concepts.txt")
        self.kinds = self._read_kinds(folder / "questions.txt")
        self.roles = self._read_roles(folder / "roles.txt")
        self._cache: dict[str, tuple[str, ...]] = {}
        self._nearest = lru_cache(maxsize=50_000)(self._nearest_known)
        self._by_start: dict[tuple[str, int], list[str]] = defaultdict(list)
        self._known: set[str] = set()
        self.teach(self._words)
        self.teach(word for words in self._phrases for word in words)

    @staticmethod
    def _read_shorthand(path: Path) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for number, line in read_lines(path):
            short, sign, full = line.partition("=")
            if not sign or not short.strip() or not full.strip():
                raise WordListError(f"{path.name}, line {number}: expected 'short = full words', found {line!r}")
            found[fold(short.strip())] = tuple(fold(full.strip()).split())
        return found

    def _entries(self, path: Path) -> Iterator[tuple[str, list[str]]]:
        for number, line in read_lines(path):
            name, colon, rest = line.partition(":")
            if not colon or not name.strip().replace("_", "").isalnum():
                raise WordListError(f"{path.name}, line {number}: expected 'group: word, word', found {line[:60]!r}")
            name = name.strip()
            for entry in map(str.strip, rest.split(",")):
                if entry:
                    yield name, self.words_of(entry)

    def words_of(self, entry: str) -> list[str]:
        """The words of a listed word or phrase as a message's would be; nearly all are plain already, and are many."""
        words = entry.split(" ")
        is_plain = _PLAIN(entry) and self.shorthand.keys().isdisjoint(words) and not has_run(entry)
        # the same few thousand words stand in all these phrases: kept once, they take megabytes less
        return [intern(word) for word in (words if is_plain else tokens(fold(entry), self.shorthand))]

    def _read_groups(self, path: Path) -> None:
        by_start: dict[str, list[Phrase]] = defaultdict(list)
        for name, words in self._entries(path):
            if len(words) == 1:
                had = self._words.get(words[0], ())
                if name not in had:
                    self._words[words[0]] = (*had, name)
            elif words:
                forms = [tuple(words)]
                if "mij" in words or "mijn" in words:
                    forms.append(tuple("me" if word in ("mij", "mijn") else word for word in words))
                for form in forms:
                    if (form, name) not in by_start[form[0]]:
                        by_start[form[0]].append((form, name))
        shared: dict[tuple[int, ...], tuple[int, ...]] = {}  # a few dozen, for thousands of words
        for start, phrases in by_start.items():
            for form, name in sorted(phrases, key=lambda phrase: -len(phrase[0])):
                self._phrases[form] = (*self._phrases.get(form, ()), name)
            lengths = tuple(sorted({len(form) for form, _ in phrases}, reverse=True))
            self._lengths[start] = shared.setdefault(lengths, lengths)

    def _read_kinds(self, path: Path) -> list[Phrase]:
        return [(tuple(words), name) for name, words in self._entries(path)]

    def _read_roles(self, path: Path) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {name: set() for name in ROLES}
        for name, words in self._entries(path):
            if name not in found:
                raise WordListError(f"{path.name}: no such list {name!r}; there are {', '.join(ROLES)}")
            found[name].update(words)
        return {name: frozenset(words) for name, words in found.items()}

    def teach(self, words: Iterable[str]) -> None:
        """Add words to the vocabulary that typing errors are repaired towards."""
        self._nearest.cache_clear()
        for word in words:
            if word not in self._known:
                self._known.add(word)
                if len(word) > 3:
                    self._by_start[word[0], len(word)].append(word)

    def kind_of(self, question: str) -> str:
        """The kind of question ("checkin", "proposal", ...), "" for no question, "other" when no list knows it."""
        if not question.strip():
            return ""
        padded = f" {' '.join(w for w in tokens(fold(question[:400]), self.shorthand) if w not in PUNCTUATION)} "
        for words, name in self.kinds:
            if f" {' '.join(words)} " in padded:
                return name
        return "other"

    def groups_of(self, word: str) -> tuple[str, ...]:
        """The groups a word belongs to, by itself, by a shorter form, or by the last part of a compound."""
        found = self._cache.get(word)
        if found is None:
            if len(self._cache) > 50_000:
                self._cache.clear()
            found = self._cache[word] = self._look_up(word)
        return found

    def _look_up(self, word: str) -> tuple[str, ...]:
        if word in self._words:
            return self._words[word]
        if len(word) < 4:
            return ()
        for stem in stems(word):
            if stem in self._words:
                return self._words[stem]
        for start in range(3, len(word) - 3):
            end = word[start:]
            for part in (end, *stems(end)):
                if len(part) >= 4 and part in self._words:
                    # the head of a compound says what it is; what it is made of or for does not. Danger only when the
                    # head stands there letter by letter: "transporten" has nothing to do with a "spoor".
                    kinds = ("t_", "g_") if part == end else ("t_",)
                    things = tuple(name for name in self._words[part] if name[:2] in kinds)
                    if things:
                        return things
        return ()

    def phrases_at(self, words: list[str], start: int) -> list[Phrase]:
        """Every listed phrase that begins at this word, longest first."""
        found: list[Phrase] = []
        for length in self._lengths.get(words[start], ()):
            phrase = tuple(words[start : start + length])
            if len(phrase) == length:
                found.extend((phrase, name) for name in self._phrases.get(phrase, ()))
        return found

    def repair(self, word: str) -> str:
        """The word itself if it is known or short, else the one known word that it is a small slip away from."""
        if len(word) < 5 or word in self._known or not word.isalpha():
            return word
        return self._nearest(word)

    def _nearest_known(self, word: str) -> str:
        if len(word) > 24 or any(stem in self._known for stem in stems(word)):
            return word
        allowed = 1 if len(word) < 9 else 2
        best, best_distance = word, allowed + 1
        for length in range(len(word) - allowed, len(word) + allowed + 1):
            for known in self._by_start.get((word[0], length), ()):
                distance = OSA.distance(word, known, score_cutoff=allowed)
                if distance < best_distance:
                    best, best_distance = known, distance
        return best
