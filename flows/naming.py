"""Who somebody says they are and where they live, found in their own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rapidfuzz import fuzz, process

from flows.contract import NAME_MAX, Place
from flows.plain import plain

STREET_SCORE = 84  # of 100; "lutmastrat" scores 95, the nearest other street in a real list of Amsterdam 80
SHORT_WORD = 5  # words under five letters are compared exactly: one wrong letter makes another word (stop, stap)
NAME_WORDS = 3  # "mevrouw De Vries" is the longest name an order begins with
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_CODE = re.compile(r"(?=.*\d)[^\W_]{4}[ -]?[^\W_]{4}")  # as on an invitation; a name holds no digit
_HOUSE_NUMBER = re.compile(r"\b\d{1,4}\s?(?:[a-zA-Z]|[IVX]{1,4}|hs)?\b")


class Naming:
    """The lists under [naming] of locales/nl/words/commands.toml, ready to be looked up."""

    def __init__(self, naming: Mapping[str, Any]) -> None:
        """`naming` is that part of the parsed file."""
        self.not_a_name = {plain(p) for p in naming["not_a_name"]}
        self._not_a_name_starts = tuple(plain(p) for p in naming["not_a_name_starts"])
        self._greets = {plain(p) for p in naming["greets"]}
        self._around_code = {plain(p) for p in naming["around_code"]}
        self._introduces = tuple(plain(p).split() for p in naming["introduces"])
        self._introduces_capital = tuple(plain(p).split() for p in naming["introduces_capital"])
        self._signs = tuple(plain(p).split() for p in naming["signs"])
        self._before = sorted((plain(p) for p in naming["before"]), key=len, reverse=True)
        self._between = sorted((plain(p).split() for p in naming["between"]), key=len, reverse=True)
        self._street_ends = tuple(naming["street_ends"])
        self._shortened = {short: plain(whole) for short, whole in naming["shortened"].items()}

    def introduced(self, text: str) -> str:
        """The name of who introduces themselves and says nothing more ("hallo, ik ben Toos"); "" if nobody does."""
        words = [m.group(0) for m in _WORD.finditer(text)]
        while words and plain(words[0]) in self._greets:
            words = words[1:]
        keys = [plain(w) for w in words]
        for phrase in (*self._introduces, *self._introduces_capital):
            if keys[: len(phrase)] != phrase:
                continue
            name = words[len(phrase) :]
            capital = phrase in self._introduces or (bool(name) and name[0][:1].isupper())
            if capital and 0 < len(name) <= NAME_WORDS and self.name(" ".join(name)):
                return self.name(" ".join(name))
        return ""

    def introduces_only(self, text: str, who: str) -> bool:
        """Whether a first text says no more than who writes and that there is a code: "mijn code is", "Riet, Lutmastraat".

        `who` is how they were invited; one word more may be how they call themselves.
        """
        known = {*self._around_code, *self._greets, *plain(who).split()}
        left = [t for t in plain(_HOUSE_NUMBER.sub(" ", text)).split() if t not in known]
        return not left or (len(left) == 1 and bool(self.name(left[0])))

    def is_own_name(self, text: str, name: str, street: str) -> bool:
        """Whether a text says who somebody is and where they live, as we know already, and nothing else."""
        own = {*plain(name).split(), *plain(street).split()}
        if not name or not street or not own <= set(plain(text).split()):
            return False
        return {t for t in plain(_HOUSE_NUMBER.sub(" ", text)).split() if t not in self._greets} == own

    def called_self(self, text: str) -> str:
        """The name after "ik heet", or after "ik ben" or "groetjes" and with a capital, in a text that says more; "" if none."""
        words = [m.group(0) for m in _WORD.finditer(text)]
        keys = [plain(w) for w in words]
        for phrase in (*self._introduces, *self._introduces_capital, *self._signs):
            for at in range(len(keys) - len(phrase)):
                if keys[at : at + len(phrase)] != phrase:
                    continue
                name: list[str] = []
                for word in words[at + len(phrase) :][:NAME_WORDS]:
                    if not word[:1].isupper() or self._is_street(word):
                        break
                    name.append(word)
                if name and self.name(" ".join(name)):
                    return self.name(" ".join(name))
        return ""

    def unsigned(self, text: str) -> str:
        """A text without its end from "groetjes Toos" on; the whole text when nobody signed it."""
        words = list(_WORD.finditer(text))
        keys = [plain(m.group(0)) for m in words]
        for at in range(1, len(keys)):
            signed = any(keys[at : at + len(phrase)] == phrase for phrase in self._signs)
            if signed and self.called_self(text[words[at].start() :]):
                return text[: words[at].start()]
        return text

    def street(self, text: str, places: Iterable[Place]) -> tuple[Place, str, str] | None:
        """The neighbourhood, street name and matched words that a text names, by street or join code; None if none.

        Streets may be misspelt ("lutmastr", "Lutma straat"); a code is matched exactly, whatever its case.
        """
        places = tuple(places)
        said = plain(_HOUSE_NUMBER.sub(" ", text))
        tokens = said.split()
        for place in places:
            if place.neighbourhood.code.lower() in tokens:
                rest = self._best_street(said, (place,))
                return (place, rest[1], rest[2]) if rest else (place, "", place.neighbourhood.code.lower())
        return self._best_street(said, places)

    def _best_street(self, said: str, places: tuple[Place, ...]) -> tuple[Place, str, str] | None:
        streets = {self._street_key(s): (place, s) for place in places for s in place.streets}
        if not streets:
            return None
        tokens = said.split()
        windows = {
            self._street_key(" ".join(tokens[i:j])): " ".join(tokens[i:j])
            for i in range(len(tokens))
            for j in range(i + 1, min(i + 4, len(tokens)) + 1)
        }
        best: tuple[float, str, str] | None = None
        for window, words in windows.items():
            if len(window) < SHORT_WORD:
                continue
            hit = process.extractOne(window, streets.keys(), scorer=fuzz.ratio, score_cutoff=STREET_SCORE)
            if hit and (best is None or hit[1] > best[0]):
                best = (hit[1], hit[0], words)
        if best is None:
            return None
        place, street = streets[best[1]]
        return place, street, best[2]

    def name(self, text: str, without: str = "") -> str:
        """The name in an answer to "hoe heet u", without the street and the words people put around it; "" if none."""
        words = [m.group(0) for m in _WORD.finditer(_HOUSE_NUMBER.sub(" ", text)) if not self._is_street(m.group(0))]
        gone = plain(without).split()
        kept: list[str] = []
        keys = [plain(w) for w in words]
        index = 0
        while index < len(words):
            if gone and keys[index : index + len(gone)] == gone:
                index += len(gone)
                continue
            kept.append(words[index])
            index += 1
        changed = True
        while changed and kept:
            changed = False
            said = " ".join(plain(w) for w in kept)
            for phrase in self._before:
                if said == phrase or said.startswith(phrase + " "):
                    kept = kept[len(phrase.split()) :]
                    changed = True
                    break
            keys = [plain(w) for w in kept]
            for ending in self._between:
                if keys[-len(ending) :] == ending:
                    kept = kept[: -len(ending)]
                    changed = True
                    break
        kept = [w for w in kept if not self._is_street(w)]
        if len(kept) > 1 and "heet" in keys and text.partition(",")[1]:  # "Marijke, en mijn moeder heet Greet"
            return self.name(text.partition(",")[0], without)
        if not kept or len(kept) > 4 or any(self._is_no_name(plain(w)) for w in kept):
            return ""
        name = " ".join(kept)[:NAME_MAX].strip()
        return name if any(c.isalpha() for c in name) else ""

    def is_code(self, text: str) -> bool:
        """Whether a text is a one-time code and nothing more, in capitals and with a digit: "ABCD-1234"."""
        return _CODE.fullmatch(text.strip()) is not None and text == text.upper() and any(c.isalpha() for c in text)

    def _is_no_name(self, word: str) -> bool:
        return word in self.not_a_name or word.startswith(self._not_a_name_starts)

    def typed_street(self, text: str) -> str:
        """A word that looks like a street nobody entered ("Verwegstraat"), as it was typed; "" if none."""
        return next((m.group(0) for m in _WORD.finditer(text) if self._is_street(m.group(0))), "")

    def _is_street(self, word: str) -> bool:
        return len(word) > SHORT_WORD + 2 and plain(word).endswith(self._street_ends)

    def _street_key(self, street: str) -> str:
        """How a street is compared: plain, in one word, its shortened ending written out."""
        key = plain(street).replace(" ", "").replace("'", "")
        return next((key[: -len(s)] + whole for s, whole in self._shortened.items() if key.endswith(s)), key)
