"""The word lists volunteers edit, in the form the reading needs: groups of words, shorthand, question kinds, repair."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from functools import lru_cache
from pathlib import Path

from rapidfuzz.distance import OSA

from flows.understand.normalise import fold, stems, tokens
from flows.understand.sound import sound

ROLES = ("spelled", "self", "speaker", "asked", "denied", "filler", "none", "beside")

PUNCTUATION = frozenset(".,?!")

_MINE = frozenset({"mij", "mijn"})
"""Words that many people say and write shorter: "me"."""

_STRANGE = re.compile(r"[^a-z]|(.)\1\1").search
"""In a word: what `fold` or `tokens` may change."""


def read_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a word list that say something, with their numbers."""
    for number, line in enumerate(text.splitlines(), 1):
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
        self._phrases: dict[str, tuple[str, ...]] = {}
        self._lengths: dict[str, tuple[int, ...]] = {}  # of the phrases that begin with a word, the longest first
        in_phrases = self._read_groups(folder / "concepts.txt")
        self.kinds = self._read_kinds(folder / "questions.txt")
        self.roles = self._read_roles(folder / "roles.txt")
        self._cache: dict[str, tuple[str, ...]] = {}
        self._nearest = lru_cache(maxsize=50_000)(self._nearest_known)
        self._by_start: dict[tuple[str, int], list[str]] = defaultdict(list)
        self._known: set[str] = set()
        self._by_sound: dict[str, str] = {}
        self.teach(self._words)
        self.teach(in_phrases)

    @staticmethod
    def _read_shorthand(path: Path) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for number, line in read_lines(path.read_text(encoding="utf-8")):
            short, sign, full = line.partition("=")
            if not sign or not short.strip() or not full.strip():
                raise WordListError(f"{path.name}, line {number}: expected 'short = full words', found {line!r}")
            found[fold(short.strip())] = tuple(fold(full.strip()).split())
        return found

    def _groups(self, path: Path) -> Iterator[tuple[str, list[list[str]]]]:
        """The lines `name: entry, entry` of a list, each entry as its words."""
        text = path.read_text(encoding="utf-8")
        strange = self.strange_in(text)
        for number, line in read_lines(text):
            name, colon, rest = line.partition(":")
            if not colon or not name.strip().replace("_", "").isalnum():
                raise WordListError(f"{path.name}, line {number}: expected 'group: word, word', found {line[:60]!r}")
            entries = [entry.split() for entry in rest.split(",")]
            plain = [words if strange.isdisjoint(words) else self.words_of(" ".join(words)) for words in entries]
            yield name.strip(), [words for words in plain if words]

    def strange_in(self, text: str) -> Set[str]:
        """The words of a list that may not stand in a message as they are written here; all others are plain."""
        words = set(text.replace(",", " ").split())
        return {word for word in words if word in self.shorthand or _STRANGE(word)}

    def words_of(self, entry: str) -> list[str]:
        """The words of a listed word or phrase as a message would have them."""
        return tokens(fold(entry), self.shorthand)

    def _read_groups(self, path: Path) -> list[str]:
        """Fill the groups of words and of phrases; returns the words that stand in phrases."""
        of_word, of_phrase = self._words, self._phrases
        by_start: dict[str, list[str]] = defaultdict(list)
        for name, entries in self._groups(path):
            only = (name,)  # one for the whole line: most words have no other group
            for words in entries:
                if len(words) == 1:
                    _put(of_word, words[0], only)
                    continue
                for form in (words,) if _MINE.isdisjoint(words) else (words, _spoken(words)):
                    phrase = " ".join(form)
                    if phrase not in of_phrase:
                        by_start[form[0]].append(phrase)
                    _put(of_phrase, phrase, only)
        in_phrases: list[str] = []
        for start, phrases in by_start.items():
            by_length: dict[int, list[str]] = defaultdict(list)
            for phrase in phrases:
                by_length[phrase.count(" ") + 1].append(phrase)
            self._lengths[start] = tuple(sorted(by_length, reverse=True))
            for length in self._lengths[start]:
                in_phrases += by_length[length]
        return " ".join(in_phrases).split()

    def _read_kinds(self, path: Path) -> list[tuple[str, str]]:
        return [(f" {' '.join(words)} ", name) for name, entries in self._groups(path) for words in entries]

    def _read_roles(self, path: Path) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {name: set() for name in ROLES}
        for name, entries in self._groups(path):
            if name not in found:
                raise WordListError(f"{path.name}: no such list {name!r}; there are {', '.join(ROLES)}")
            found[name].update(*entries)
        return {name: frozenset(words) for name, words in found.items()}

    def teach(self, words: Iterable[str]) -> None:
        """Add words to the vocabulary that typing errors are repaired towards."""
        self._nearest.cache_clear()
        for word in words:
            if word not in self._known:
                self._known.add(word)
                if len(word) > 3:
                    self._by_start[word[0], len(word)].append(word)

    def listen_for(self, words: Iterable[str]) -> None:
        """Words that are also understood when somebody writes them by ear; the first one of a sound counts."""
        for word in words:
            if len(word) > 3 and word.isalpha():
                self._by_sound.setdefault(sound(word), word)

    def kind_of(self, question: str) -> str:
        """The kind of question ("checkin", "proposal", ...), "" for no question, "other" when no list knows it."""
        if not question.strip():
            return ""
        padded = f" {' '.join(w for w in tokens(fold(question[:400]), self.shorthand) if w not in PUNCTUATION)} "
        return next((name for words, name in self.kinds if words in padded), "other")

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

    def phrases_at(self, words: list[str], start: int) -> list[tuple[str, str]]:
        """Every listed phrase that begins at this word, longest first, with its group."""
        lengths = self._lengths.get(words[start])
        if lengths is None:
            return []
        phrases = [" ".join(words[start : start + length]) for length in lengths if start + length <= len(words)]
        return [(phrase, name) for phrase in phrases for name in self._phrases.get(phrase, ())]

    def repair(self, word: str) -> str:
        """The word itself if it is known or short, else a word that sounds like it or is a small slip away from it."""
        if len(word) < 4 or word in self._known or not word.isalpha():
            return word
        return self._by_sound.get(sound(word)) or (self._nearest(word) if len(word) > 4 else word)

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


def _put(groups: dict[str, tuple[str, ...]], entry: str, name: tuple[str]) -> None:
    """Add a group to those of a word or phrase, unless it is there."""
    had = groups.setdefault(entry, name)
    if had is not name and name[0] not in had:
        groups[entry] = had + name


def _spoken(words: list[str]) -> list[str]:
    return ["me" if word in _MINE else word for word in words]
