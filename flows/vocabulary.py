"""Orders and small phrases, matched on words alone: what a volunteer can edit and nobody has to train."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Set
from functools import lru_cache
from typing import Any

from rapidfuzz import fuzz, process

from flows.contract import NAME_MAX, Place
from flows.heard import Command, Wish

STREET_SCORE = 84  # of 100; "lutmastrat" scores 95, the nearest other street in a real list of Amsterdam 80
NEAR = 3  # words on either side of a name in which a "not" is about that name
SHORT_WORD = 5  # words under five letters are compared exactly: one wrong letter makes another word (stop, stap)
NAME_WORDS = 3  # "mevrouw De Vries" is the longest name an order begins with
UNIT_DAYS = {"day": 1, "week": 7, "month": 30}
DAYS_MAX = 180  # who is away for longer says so with a date
EARLIEST_HOUR = 8  # "om 2 uur" is the afternoon: nobody is asked at night
# "goed" is a yes, "goed dat u belt" is none
ALONE = ("yes", "no", "bare", "cries_again", "meant", "greeting", "network", "everyday")
_HOUR = re.compile(r"\b(?:om |rond )?(\d{1,2})(?:[:.](\d\d))? ?(?:uur|u)\b", re.IGNORECASE)
_AROUND_HOUR = ("om", "rond", "uur", "u", "?")
_DRAWN_OUT = re.compile(r"([^\W\d])\1{2,}")  # "jaaaa"
ANSWER_WORDS = 8  # the longest yes of the list: "als het niet te veel moeite is"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NUMBERED = re.compile(r"^(\d{1,4})(?:[\s:.,;)-]*(?<![\s:.,;)-])(?=[^\W\d])(.*)|[\s:.,;)-]+(.*))?$", re.DOTALL)
_CODE = re.compile(r"(?=.*\d)[^\W_]{4}[ -]?[^\W_]{4}")  # as on an invitation; a name holds no digit
_HOUSE_NUMBER = re.compile(r"\b\d{1,4}\s?(?:[a-zA-Z]|[IVX]{1,4}|hs)?\b")


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


class _Within:
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


class Vocabulary:
    """The word lists of locales/nl/words/commands.toml, ready to be looked up."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        """`words` is the parsed file. Raises ValueError when one phrase stands for two orders of the same kind."""
        self._resident = _index(words["resident"], "resident")
        self._case = _index(words["case"], "case")
        self._contact = _index(words["contact"], "contact")
        self._prefix = {
            verb: sorted((plain(p) for p in phrases), key=len, reverse=True)
            for verb, phrases in words["prefix"].items()
        }
        self._signals = {name: frozenset(plain(p) for p in phrases) for name, phrases in words["signals"].items()}
        self._within = _Within({name: phrases for name, phrases in self._signals.items() if name not in ALONE})
        prefixes = (f"{p} " for verb, phrases in self._prefix.items() if verb != "number" for p in phrases)
        self._prefix_starts = tuple(prefixes)
        self._opens = {name: tuple(f"{plain(p)} " for p in words[f"opening_{name}"]) for name in ("yes", "no")}
        self._case_starts = tuple(f"{p} " for p in self._case)
        self._begins = _index(words["begins"], "begins")
        self._begin_words = max(len(p.split()) for p in self._begins)
        self._reports = tuple(words["reports"])
        self._reported = _Within({verb: map(plain, phrases) for verb, phrases in words["reports"].items()})
        self._handover = {name: frozenset(plain(p) for p in phrases) for name, phrases in words["handover"].items()}
        self._suggests = {
            plain(f"{first} {last}") for first in words["suggesting"]["starts"] for last in words["suggesting"]["ends"]
        }
        self._late = {name: {plain(p) for p in phrases} for name, phrases in words["late"].items()}
        self._late_words = self._late["around"] | {word for p in self._late["says"] for word in p.split()}
        self._calling = {name: {plain(p) for p in phrases} for name, phrases in words["calling"].items()}
        self._before_name = self._calling["before"]
        self._units = {plain(p) for p in words["numbers"]["units"]}
        self._and = {plain(p) for p in words["numbers"]["and"]}
        self._takes = {plain(p) for p in words["numbers"]["takes"]}
        self._around_takes = {plain(p) for p in words["numbers"]["around_takes"]}
        self._days = {plain(p): day for day, phrases in enumerate(words["days"].values()) for p in phrases}
        asking = words["asking"]
        self.question: str = asking["question"]
        self._about = sorted((f" {plain(p)} " for p in asking["about"]), key=len, reverse=True)
        self._asks = tuple(plain(p) for p in asking["asks"])
        self._filler = {plain(p) for p in asking["filler"]}
        self._rhythms = sorted(
            ((f" {plain(p)} ", name) for name, phrases in asking["rhythm"].items() for p in phrases),
            key=lambda pair: -len(pair[0]),
        )
        phrases = (*self._filler, *self._days, *self._about, *(phrase for phrase, _ in self._rhythms))
        self._wish_words = {word for phrase in phrases for word in phrase.replace("?", " ").split()}
        self._another = {name: frozenset(map(plain, phrases)) for name, phrases in words["another"].items()}
        choosing = words["choosing"]
        self._not = {plain(p) for p in choosing["not"]}
        self._choosing = {
            name: {plain(p) for p in choosing[name]}
            for name in ("alone", "to", "never", "also", "know", "knows", "fears", "harms", "may")
        }
        self._numbers = {plain(p): n for n, phrases in enumerate(choosing["numbers"], 1) for p in phrases}
        self._around_number = {plain(p) for p in choosing["filler"]}
        self._answers = _answers(words)
        self._answer_words = frozenset(word for phrase in self._answers for word in phrase.split())
        self._answer_starts = frozenset(phrase.partition(" ")[0] for phrase in self._answers)
        self._turns = {plain(p) for p in words["answers"]["turns"]}
        self._farewell = farewell = {name: tuple(map(plain, phrases)) for name, phrases in words["farewell"].items()}
        family = [f"{speaks} {who}" for speaks in farewell["speaks"] for who in farewell["family"]]
        about_death = {name: farewell[name] for name in ("words", "people", "long_ago", "alive")}
        self._of_death = _Within({**about_death, "family": family})
        lasting = words["lasting"]
        self._counts = {plain(p): n for n, phrases in enumerate(lasting["counts"], 1) for p in phrases}
        self._lasting = {plain(p): days for unit, days in UNIT_DAYS.items() for p in lasting[unit]}
        self._few = {plain(p) for p in lasting["few"]}
        self._not_lasting = ({plain(p) for p in lasting["not_before"]}, {plain(p) for p in lasting["not_after"]})
        naming = words["naming"]
        self._greets = {plain(p) for p in naming["greets"]}
        self._around_code = {plain(p) for p in naming["around_code"]}
        self._introduces = tuple(plain(p).split() for p in naming["introduces"])
        self._introduces_capital = tuple(plain(p).split() for p in naming["introduces_capital"])
        self._signs = tuple(plain(p).split() for p in naming["signs"])
        self._before = sorted((plain(p) for p in naming["before"]), key=len, reverse=True)
        self._between = sorted((plain(p).split() for p in naming["between"]), key=len, reverse=True)
        self._not_a_name = {plain(p) for p in naming["not_a_name"]}
        self._not_a_name_starts = tuple(plain(p) for p in naming["not_a_name_starts"])
        phrases = (*(p for said in self._signals.values() for p in said), *self._begins)
        common = {word for phrase in phrases for word in phrase.split()}
        self._common = common | self._before_name | self._not_a_name | self._units | set(self._days)
        self._street_ends = tuple(naming["street_ends"])
        self._shortened = {short: plain(whole) for short, whole in naming["shortened"].items()}

    def wish(self, text: str) -> Wish | None:
        """What a text says about being asked how it goes, when it says nothing else; else None.

        "elke dag graag", "liever op vrijdag om 2 uur", "niet meer vragen hoe het gaat".
        """
        others = set(plain(text).split()) - self._wish_words
        if any(word not in _AROUND_HOUR and not word[0].isdigit() for word in others):
            return None  # nearly every sentence
        bare = plain(_HOUR.sub(" ", text))
        if any(word not in self._wish_words for word in bare.replace("?", " ").split()):
            return None
        hour = _HOUR.search(text)
        said = f" {bare} "
        about = next((p for p in self._about if p in said), "")
        said = said.replace(about, " ") if about else said
        phrase, rhythm = next(((p, name) for p, name in self._rhythms if p in said), ("", ""))
        said = said.replace(phrase, " ") if phrase else said
        tokens = said.replace("?", " ").split()
        days = [self._days[t] for t in tokens if t in self._days]
        if len(days) > 1 or any(t not in self._filler and t not in self._days for t in tokens):
            return None
        if not (rhythm or days or hour or about):
            return None
        if rhythm == "never" and not about and not any(t.startswith(self._asks) for t in plain(text).split()):
            return None  # "hoeft niet" alone is a no to whatever was asked
        at = ""
        if hour:
            clock = int(hour.group(1)) + (12 if int(hour.group(1)) < EARLIEST_HOUR else 0)
            at = f"{clock:02}:{hour.group(2) or '00'}" if clock < 24 else ""
        return Wish(rhythm, days[0] if days else None, at, bool(about))

    def weekdays(self, text: str) -> tuple[int, ...]:
        """The days of the week a text names, 0 for Monday, in order."""
        return tuple(sorted({self._days[t] for t in plain(text).split() if t in self._days}))

    def people_named(self, text: str, people: Iterable[Any]) -> tuple[Any, ...]:
        """Everybody whose name stands in a text, in its order."""
        people = tuple(people)
        found = [self.person_named(word, people) for word in text.replace(",", " ").split()]
        return tuple(dict.fromkeys(p for p in found if p is not None))

    def leading_name(self, text: str, people: Iterable[Any]) -> Any | None:
        """The person whose name a text begins with ("Riet tot zondag"); None when it is nobody's."""
        people, words = tuple(people), text.split()
        names = (" ".join(words[:count]) for count in range(min(NAME_WORDS, len(words)), 0, -1))
        return next((found for n in names if (found := self.person_named(n, people)) is not None), None)

    def command(self, text: str, *, contact: bool, about: int | None = None) -> Command | None:
        """The order that the whole message is, or None.

        Contacts have more of them; `about` is the case whose message a contact replied to, so that "ja" is enough.
        """
        said = plain(text)
        if not contact:
            return self._plain_order(said, self._resident)
        if about is not None:
            return Command(self._case.get(said, "relay"), number=about, rest=text.strip())
        return (
            self._about_case(text, said)
            or self._plain_order(said, self._contact)
            or self._prefixed(text, said)
            or self._bare_order(said)
            or self._plain_order(said, self._resident)
        )

    def prefixed(self, text: str) -> Command | None:
        """An order with something behind it that residents may use too ("weg tot zondag")."""
        return self._prefixed(text, plain(text))

    def signals(self, text: str) -> frozenset[str]:
        """The small phrases in an answer. Yes and no count only when nothing else is said: then the last one wins."""
        said = plain(text)
        answer = self.answer(text)
        alone = [name for name in ALONE[2:] if said in self._signals[name]]
        return frozenset([*alone, *self._within.names(said), *([answer] if answer else ())])

    def without(self, signal: str, text: str) -> str:
        """A plain text without the phrases of a signal: what else was said."""
        said = f" {plain(text)} "
        for phrase in sorted(self._signals[signal], key=len, reverse=True):
            said = said.replace(f" {phrase} ", " ")
        return said.strip()

    def ends_at(self, text: str) -> tuple[str, str]:
        """What stands before "tot" and what from there on, without a "niet"; two empty texts when nothing does."""
        words = self.without("denies", text).split()
        at = next((i for i, word in enumerate(words) if word in self._signals["until"]), len(words))
        return (" ".join(words[:at]), " ".join(words[at:])) if at < len(words) else ("", "")

    def answer(self, text: str) -> str:
        """ "yes" or "no" for a text that says nothing but that; the last one wins ("nee toch maar wel"), else "".

        A no is taken back only by a word that says so: "nee hoor, is goed zo" is still a no.
        """
        return self._verdict(plain(text)) or ""

    def _verdict(self, said: str) -> str | None:
        """ "yes", "no", "" for a text that only waits ("ja wacht"); None when it says anything else."""
        first = said.partition(" ")[0]
        if said and first not in self._answer_starts and not _DRAWN_OUT.search(first):
            return None  # nearly every sentence
        if _DRAWN_OUT.search(said):
            said = _DRAWN_OUT.sub(r"\1\1", said)
        if said in self._signals["yes"]:
            return "yes"
        tokens, verdict, at = said.split(), "", 0
        if not self._answer_words.issuperset(tokens):
            return None
        while at < len(tokens):
            if tokens[at] not in self._answer_starts:
                return None
            ends = range(min(len(tokens), at + ANSWER_WORDS), at, -1)
            end = next((e for e in ends if " ".join(tokens[at:e]) in self._answers), 0)
            if not end:
                return None
            kind = self._answers[" ".join(tokens[at:end])]
            if kind == "waits":
                verdict = ""
            elif kind == "no" or (kind == "yes" and (verdict != "no" or self._turns & set(tokens[at:end]))):
                verdict = kind
            at = end
        return verdict

    def numbers(self, text: str) -> tuple[int, ...]:
        """The numbers of a list that a text names, when nothing else is said: "optie 2" is (2,), "1 en 3" (1, 3)."""
        tokens = [t.lstrip("#/") for t in plain(text).split()]
        if any(t not in self._numbers and t not in self._around_number for t in tokens):
            return ()
        return tuple(dict.fromkeys(self._numbers[t] for t in tokens if t in self._numbers))

    def names_one(self, text: str, people: Iterable[Any]) -> bool:
        """Whether the one-word name of any of these people stands in a text, as `reserved` and `mentioned` look for it."""
        tokens = plain(text).split()
        return any(plain(p.name) in tokens for p in people if p.name)

    def corrected_to(self, text: str, signals: Set[str]) -> str:
        """The number a text gives instead of an earlier one ("o nee ik bedoel 3"), or is; "" when it gives none."""
        numbers = [token for token in plain(text).split() if token.isdecimal()]
        if len(numbers) != 1:
            return ""
        return numbers[0] if plain(text) == numbers[0] or "corrects" in signals else ""

    def reserved(self, text: str, names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Of these names, who alone may know ("alleen aan Ans") and who may not ("niet aan Joop vertellen")."""
        tokens, lists = plain(text).split(), self._choosing
        known = {plain(n): n for n in names}
        found: dict[str, str] = {}
        last = ""
        for i, token in enumerate(tokens):
            if token not in known:
                last = last if token in lists["also"] | lists["to"] else ""
                continue
            before, behind = tokens[max(0, i - NEAR) : i], tokens[i + 1 : i + 1 + NEAR * 2]
            told = bool(before) and before[-1] in lists["to"]
            if (told and lists["fears"] & set(before)) or lists["harms"] & {*before[-1:], *behind[:2]}:
                found[known[token]] = last = "not"  # "ik ben bang voor Joop", "niet Joop, die steelt"
                continue
            said_before = (before and before[-1] in lists["never"]) or (told and self._not & set(before))
            said_before = said_before or (self._not & set(before) and (lists["know"] | lists["knows"]) & set(behind))
            if said_before or (self._not & set(behind) and lists["know"] & set(behind)):
                last = "not"
            elif (told and lists["alone"] & set(before)) or (
                lists["alone"] & set(before[-1:]) and lists["may"] & set(behind)
            ):
                last = "alone"
            if last:
                found[known[token]] = last
        alone = frozenset(n for n, how in found.items() if how == "alone")
        return alone, frozenset(n for n, how in found.items() if how == "not")

    def days_long(self, text: str) -> int:
        """How many days a text names as a length ("twee weken" is 14, "een paar dagen" about 4); 0 when it names none."""
        tokens = plain(text).split()
        for i, token in enumerate(tokens):
            unit = self._lasting.get(token)
            if not unit or i == 0 or (tokens[i + 1 : i + 2] and tokens[i + 1] in self._not_lasting[1]):
                continue
            count = self._counts.get(tokens[i - 1], int(tokens[i - 1]) if tokens[i - 1].isdecimal() else 0)
            first = i - 2 if tokens[i - 1] in self._few and tokens[max(0, i - 2)] in self._counts else i - 1
            if 0 < count <= DAYS_MAX and not (first > 0 and tokens[first - 1] in self._not_lasting[0]):
                return min(count * unit, DAYS_MAX)
        return 0

    def speaks_of_death(self, text: str) -> bool:
        """Whether any phrase of the lists about a death stands in a text: without one, nothing below is in it."""
        return bool(self._of_death.names(plain(text)))

    def died(self, text: str, people: Iterable[Any]) -> Any | None:
        """Who a text says has died, when it says nothing else ("Riet is vannacht overleden"); None if nobody."""
        return self._only_named(text, "words", people)

    def alive(self, text: str, people: Iterable[Any]) -> Any | None:
        """Who a text says is alive after all, when it says nothing else ("Riet leeft nog"); None if nobody."""
        return self._only_named(text, "alive", people)

    def _only_named(self, text: str, phrases: str, people: Iterable[Any]) -> Any | None:
        """The person named beside one of these phrases, in a text that says little else."""
        if phrases not in self._of_death.names(plain(text)):
            return None
        said = f" {plain(text)} "
        word = next(w for w in self._farewell[phrases] if f" {w} " in said)
        rest = [t for t in said.replace(f" {word} ", " ").split() if t not in self._farewell["filler"]]
        return self.person_named(" ".join(rest), people) if rest else None

    def says_alive(self, text: str) -> bool:
        """Whether somebody writes that a death was a mistake ("ik leef nog hoor")."""
        return "alive" in self._of_death.names(plain(text))

    def family_says_died(self, text: str) -> bool:
        """Whether somebody of the family writes it ("U spreekt met haar zoon. Mijn moeder is overleden.")."""
        return {"words", "family"} <= self._of_death.names(plain(text))

    def grieves(self, text: str) -> bool:
        """Whether a text speaks of a person's death, not long ago: a television dies as well, and grief has its years."""
        found = self._of_death.names(plain(text))
        return {"words", "people"} <= found and "long_ago" not in found

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

    def opens_with(self, answer: str, text: str) -> str:
        """The rest of an answer that opens with a yes ("ja maar pas na vieren" → "maar pas na vieren") or no, else ""."""
        said = plain(text)
        if not said.startswith(self._opens[answer]) or self._verdict(said) is not None:
            return ""
        first = max((p for p in self._opens[answer] if said.startswith(p)), key=len)
        words = list(_WORD.finditer(text))
        skip = len(first.split())
        return text[words[skip].start() :].strip() if len(words) > skip else ""

    def opening(self, text: str) -> tuple[str, str]:
        """The order that a contact's sentence begins with, and what follows it: ("close", "was een makkie"), else two ""."""
        tokens = plain(text).split()
        for count in range(min(self._begin_words, len(tokens)), 0, -1):  # the longest one that fits
            verb = self._begins.get(" ".join(tokens[:count]))
            if verb:
                words = list(_WORD.finditer(text))
                return verb, text[words[count].start() :].strip() if len(words) > count else ""
        return "", ""

    def reported(self, text: str) -> str:
        """What a contact tells of somebody ("ik ken haar van de kerk" is know); "" for a question or a memory.

        What is uncertain comes first in the list, so that "gebeld, nam niet op" is never read as spoken.
        """
        if "?" in text:
            return ""
        told = self._reported.names(plain(text))
        found = next((verb for verb in self._reports if verb in told), "")
        return "" if found == "no_report" else found

    def without_names(self, text: str, names: Iterable[str]) -> str:
        """A contact's words with the names in them as "haar", so that one list of phrases serves for everybody."""
        known = {plain(n) for n in names}
        return " ".join("haar" if plain(word) in known else word for word in text.split())

    def residents_named(self, text: str, people: Iterable[Any]) -> tuple[frozenset[int], frozenset[int]]:
        """Whom a contact's words begin by calling ("voor Riet: ik kom zo"), and everybody whom they name, by id.

        A name that is a word as well ("wil je komen?") counts only where it is written as a name.
        """
        raw = text.split()
        said = [plain(word) for word in raw]
        first = next((i for i, word in enumerate(said) if word not in self._before_name), len(said))
        seen, called, named = set(said), set(), set()
        for person in people:
            name = plain(person.name).split()
            if not name or not {name[0], f"{name[0]}s"} & seen:
                continue
            short = name[0] if len(name) == 1 or name[0] not in self._common else ""
            for i, word in enumerate(said):
                if said[i : i + len(name)] != name and word not in ((short, f"{short}s") if short else ()):
                    continue
                if word in self._common and said[i : i + 2] != name[:2] and not _is_written_as_name(raw, i):
                    continue
                named.add(person.id)
                if i <= first and word != f"{short}s":
                    called.add(person.id)
        return frozenset(called), frozenset(named)

    def says_late(self, text: str) -> bool:
        """Whether a text is why an answer is late and nothing else: "sorry telefoon was leeg"."""
        said = f" {plain(text)} "
        if not self._late_words.issuperset(said.split()):
            return False
        found = [p for p in self._late["says"] if f" {p} " in said]
        for phrase in sorted(found, key=len, reverse=True):
            said = said.replace(f" {phrase} ", " ")
        return bool(found) and set(said.split()) <= self._late["around"]

    def addressed(self, text: str) -> str:
        """What follows an opening that calls somebody: "zeg Joop, ..." is "Joop, ..."; "" without one."""
        first, _, rest = text.strip().partition(" ")
        return rest if plain(first) in self._calling["address"] else ""

    def named_in(self, text: str, people: Iterable[Any]) -> tuple[Any, ...]:
        """Those of whose name any word stands in a text, also with an s behind it: for nobody else need it be looked at."""
        said = set(plain(text).split())
        said |= {word[:-1] for word in said if word.endswith("s")}
        return tuple(p for p in people if p.name and not said.isdisjoint(plain(p.name).split()))

    def tells_of(self, text: str, people: Iterable[Any]) -> bool:
        """Whether a text tells something of one of these people: "die Riet zeurt", "Riet is niet thuis"."""
        said, names = plain(text).split(), {plain(p.name).split()[0] for p in people if plain(p.name)}
        before, after = self._calling["of_before"], self._calling["of_after"]
        return any(
            word in names and (said[i - 1 : i] in [[b] for b in before] or said[i + 1 : i + 2] in [[a] for a in after])
            for i, word in enumerate(said)
        )

    def asks_you(self, text: str) -> bool:
        """Whether a question that begins with a name is for that person ("Joop heb jij tijd"), and not about them."""
        tokens = plain(text).replace("?", " ").split()
        if tokens[2:3] == ["jij"]:  # also without a question mark
            return True
        return "?" in text and (len(tokens) == 1 or "jij" in tokens or tokens[2:3] == ["je"])

    def handed_to(self, text: str, others: Iterable[Any]) -> Any | None:
        """The other contact who is asked to take a matter over ("kan Joop deze doen", "Joop pak jij hem?"), else None.

        "Joop kan het doen" and "Joop gaat mee" are news for whoever is talked with.
        """
        others, said, lists = tuple(others), plain(text).replace("?", " "), self._handover
        tokens = said.split()
        named = [p for p in others if plain(p.name) in tokens]
        if len(named) != 1:
            padded = f" {' '.join(tokens)} "
            alone = len(others) == 1 and any(f" {p} " in padded for p in lists["without_name"])
            return others[0] if alone and not named else None
        at = tokens.index(plain(named[0].name))
        left = [*tokens[:at], *tokens[at + 1 :]]
        asked = bool(lists["you"] & set(left)) or (at > 0 and left[:1] and left[0] in lists["asks"])
        words = set(left)
        takes = lists["takes"] & words or (lists["what"] & words and lists["does"] & words)
        return named[0] if asked and (takes or " ".join(left) in lists["whole"]) else None

    def suggested(self, text: str, people: Iterable[Any]) -> Any | None:
        """The neighbour whom a contact's few words name as somebody to ask ("vraag het Henk maar"), else None."""
        said = f" {plain(text)} "
        found = [p for p in people if p.name and f" {plain(p.name)} " in said]
        rest = " ".join(said.replace(f" {plain(found[0].name)} ", " ").split()) if len(found) == 1 else ""
        return found[0] if rest in self._suggests else None

    def mentioned(self, text: str, names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Which of these names a text mentions, and which beside a "not": "niet tegen Joop", "Joop mag het niet weten"."""
        tokens = plain(text).split()
        yes: set[str] = set()
        no: set[str] = set()
        for name in names:
            places = [i for i, token in enumerate(tokens) if token == plain(name)]
            near = {t for i in places for t in (*tokens[max(0, i - NEAR) : i], *tokens[i + 1 : i + 1 + NEAR])}
            if places:
                (no if near & self._not else yes).add(name)
        return frozenset(yes), frozenset(no)

    def about_another(self, text: str, names: Iterable[str]) -> bool:
        """Whether words about danger are plainly about somebody else, perhaps one of these names.

        "Riet ligt op de grond zie ik", "ik zie rook bij Riet"; not "lig op de grond", nor "mijn been bloedt".
        """
        lists, known = self._another, {plain(n) for n in names}
        said = f" {plain(text)} "
        for phrase in lists["sees"]:
            said = said.replace(f" {phrase} ", " , ")
        seen, tokens = " , " in said, said.split()
        if lists["first"] & set(tokens):
            return False
        at = tokens.index("bij") + 1 if "bij" in tokens[:-1] else 0
        beside = tokens[at : at + 2] if at else []
        if set(beside) & (lists["near"] | known) or (seen and beside and beside[0] not in lists["not_near"]):
            return True
        return any(self._is_subject(tokens[:i], tokens[i:]) for i in range(1, len(tokens)))

    def _is_subject(self, before: list[str], said: list[str]) -> bool:
        """Whether these words end in somebody of whom it is said that they lie, fell or do not breathe."""
        lists = self._another
        fell = said[0] == "is" and any(f" {state} " in f" {' '.join(said)} " for state in lists["is"])
        if not fell and said[0] not in lists["does"]:
            return False
        breaks = [i for i, token in enumerate(before) if token in lists["between"] | {","}]
        subject = before[breaks[-1] + 1 :] if breaks else before
        return bool(subject) and (subject[-1] in lists["somebody"] or not set(subject) & lists["things"])

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
        return word in self._not_a_name or word.startswith(self._not_a_name_starts)

    def typed_street(self, text: str) -> str:
        """A word that looks like a street nobody entered ("Verwegstraat"), as it was typed; "" if none."""
        return next((m.group(0) for m in _WORD.finditer(text) if self._is_street(m.group(0))), "")

    def _is_street(self, word: str) -> bool:
        return len(word) > SHORT_WORD + 2 and plain(word).endswith(self._street_ends)

    def person_named(self, name: str, people: Iterable[Any]) -> Any | None:
        """The one person whose name this is, tolerantly; None when nobody or more than one fits equally."""
        said = plain(name)
        scored = sorted(((_name_score(said, plain(p.name)), i, p) for i, p in enumerate(people)), key=lambda s: -s[0])
        if not scored or scored[0][0] < STREET_SCORE:
            return None
        if len(scored) > 1 and scored[1][0] == scored[0][0]:
            return None
        return scored[0][2]

    def _street_key(self, street: str) -> str:
        """How a street is compared: plain, in one word, its shortened ending written out."""
        key = plain(street).replace(" ", "").replace("'", "")
        return next((key[: -len(s)] + whole for s, whole in self._shortened.items() if key.endswith(s)), key)

    def _plain_order(self, said: str, orders: Mapping[str, str]) -> Command | None:
        verb = orders.get(said)
        return Command(verb) if verb else None

    def _about_case(self, text: str, said: str) -> Command | None:
        bare = text.strip().lstrip("#").lstrip()
        for word in self._prefix["number"]:
            if plain(bare).startswith(word) and plain(bare)[len(word) :].lstrip()[:1].isdigit():
                bare = bare[len(word) :].lstrip()
        several = self._several(bare)
        if several:
            return several
        numbered = _NUMBERED.match(bare)
        if numbered and not self._is_amount(numbered.group(2) or numbered.group(3) or ""):
            rest = (numbered.group(2) or numbered.group(3) or "").strip()
            verb = self._case.get(plain(rest), "relay" if rest else "show")
            return Command(verb, number=int(numbered.group(1)), rest=rest)
        for phrase, verb in self._case.items() if said.startswith(self._case_starts) else ():
            if said.startswith(phrase + " ") and said[len(phrase) :].strip().isdecimal():
                number = said[len(phrase) :].strip()
                if len(number) <= 4:
                    return Command(verb, number=int(number))
        return self._takes_number(text, said)

    def _takes_number(self, text: str, said: str) -> Command | None:
        """ "ok ik doe 1 ook wel": a claim with the number inside it, and nothing else said."""
        tokens = said.split()
        numbers = [t for t in tokens if t.isdecimal() and len(t) <= 4]
        rest = {t for t in tokens if t not in numbers}
        if len(numbers) != 1 or not rest & self._takes or rest - self._takes - self._around_takes:
            return None
        return Command("claim", number=int(numbers[0]), rest=text.strip())

    def _several(self, text: str) -> Command | None:
        """ "1 en 2 ja": one order for a list of numbers; anything but an order behind them is no list."""
        tokens = plain(text).split()
        count = next((i for i, t in enumerate(tokens) if not t.isdecimal() and t not in self._and), len(tokens))
        numbers = tuple(dict.fromkeys(int(t) for t in tokens[:count] if t.isdecimal() and len(t) <= 4))
        verb = self._case.get(" ".join(tokens[count:]))
        return Command(verb, number=numbers[0], numbers=numbers) if verb and len(numbers) > 1 else None

    def _is_amount(self, rest: str) -> bool:
        """ "1 uur is prima" is a time, not a case."""
        return bool(rest) and (plain(rest).split() or [""])[0] in self._units

    def _bare_order(self, said: str) -> Command | None:
        """ "klaar" or "ik pak het" without a number: for who can mean only one case."""
        verb = self._case.get(said)
        said_no = verb == "hand_back" and said in self._signals["no"]
        return Command(f"bare_{verb}") if verb in ("claim", "close", "hand_back") and not said_no else None

    def _prefixed(self, text: str, said: str) -> Command | None:
        if not said.startswith(self._prefix_starts):
            return None
        for verb, phrases in self._prefix.items():
            if verb == "number":
                continue
            for phrase in phrases:
                if said.startswith(phrase + " "):
                    words = list(_WORD.finditer(text))[len(phrase.split()) :]
                    if not words:  # "weg ?" asks something
                        continue
                    rest = text[words[0].start() :].strip()
                    name, colon, tail = rest.partition(":")
                    if verb == "behalf":
                        if not colon or not tail.strip():
                            return Command(verb, rest=rest)
                        return Command(verb, name=name.strip()[:NAME_MAX], rest=tail.strip())
                    return Command(verb, name=rest[:NAME_MAX], rest=rest)
        return None


def _is_written_as_name(words: list[str], at: int) -> bool:
    """Whether this word has a capital that no sentence gives it, or is called by a mark behind it: "Wil, ..."."""
    begins = at == 0 or words[at - 1].endswith((".", "?", "!"))
    return words[at].endswith((",", ":")) or (words[at][0].isupper() and not begins)


def _name_score(said: str, name: str) -> float:
    if said == name:
        return 101.0
    parts = name.split()
    if said in parts:
        return 100.0
    if min(len(said), len(name)) < SHORT_WORD:
        return 0.0
    return float(fuzz.ratio(said, name))


def _answers(words: Mapping[str, Any]) -> dict[str, str]:
    """What each phrase of a plain answer is: "yes", "no", "waits" or "filler"; a no is looked up before a yes."""
    signals, around = words["signals"], words["answers"]
    kinds = {"filler": around["filler"], "waits": around["waits"], "yes": signals["yes"]}
    kinds["no"] = [*signals["no"], *signals["never_mind"]]
    return {plain(p): kind for kind, phrases in kinds.items() for p in phrases}


def _index(orders: Mapping[str, Any], where: str) -> dict[str, str]:
    index: dict[str, str] = {}
    for verb, phrases in orders.items():
        for phrase in phrases:
            key = plain(phrase)
            if index.setdefault(key, verb) != verb:
                raise ValueError(f'words/commands.toml: "{phrase}" stands under {index[key]} and {verb} of [{where}]')
    return index
