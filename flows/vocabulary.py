"""Orders and small phrases, matched on words alone: what a volunteer can edit and nobody has to train."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

from flows.contract import NAME_MAX
from flows.heard import Command, Wish
from flows.mentions import Mentions
from flows.naming import Naming
from flows.plain import Within, plain

UNIT_DAYS = {"day": 1, "week": 7, "month": 30}
DAYS_MAX = 180  # who is away for longer says so with a date
EARLIEST_HOUR = 8  # "om 2 uur" is the afternoon: nobody is asked at night
# "goed" is a yes, "goed dat u belt" is none
ALONE = ("yes", "no", "bare", "cries_again", "meant", "greeting", "network", "everyday")
_HOUR = re.compile(r"\b(?:om |rond )?(\d{1,2})(?:[:.](\d\d))? ?(?:uur|u)\b", re.IGNORECASE)
_AROUND_HOUR = ("om", "rond", "uur", "u")
_DRAWN_OUT = re.compile(r"([^\W\d])\1{2,}")  # "jaaaa"
ANSWER_WORDS = 8  # the longest yes of the list: "als het niet te veel moeite is"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NUMBERED = re.compile(r"^(\d{1,4})(?:[\s:.,;)-]*(?<![\s:.,;)-])(?=[^\W\d])(.*)|[\s:.,;)-]+(.*))?$", re.DOTALL)


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
        self._within = Within({name: phrases for name, phrases in self._signals.items() if name not in ALONE})
        prefixes = (f"{p} " for verb, phrases in self._prefix.items() if verb != "number" for p in phrases)
        self._prefix_starts = tuple(prefixes)
        self._opens = {name: tuple(f"{plain(p)} " for p in words[f"opening_{name}"]) for name in ("yes", "no")}
        self._case_starts = tuple(f"{p} " for p in self._case)
        self._begins = _index(words["begins"], "begins")
        self._begin_words = max(len(p.split()) for p in self._begins)
        self._reports = tuple(words["reports"])
        self._reported = Within({verb: map(plain, phrases) for verb, phrases in words["reports"].items()})
        self._late = {name: {plain(p) for p in phrases} for name, phrases in words["late"].items()}
        self._late_words = self._late["around"] | {word for p in self._late["says"] for word in p.split()}
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
        choosing = words["choosing"]
        self._numbers = {plain(p): n for n, phrases in enumerate(choosing["numbers"], 1) for p in phrases}
        self._around_number = {plain(p) for p in choosing["filler"]}
        self._answers = _answers(words)
        self._answer_words = frozenset(word for phrase in self._answers for word in phrase.split())
        self._answer_starts = frozenset(phrase.partition(" ")[0] for phrase in self._answers)
        self._turns = {plain(p) for p in words["answers"]["turns"]}
        self._farewell = farewell = {name: tuple(map(plain, phrases)) for name, phrases in words["farewell"].items()}
        family = [f"{speaks} {who}" for speaks in farewell["speaks"] for who in farewell["family"]]
        about_death = {name: farewell[name] for name in ("words", "people", "long_ago", "alive")}
        self._of_death = Within({**about_death, "family": family})
        lasting = words["lasting"]
        self._counts = {plain(p): n for n, phrases in enumerate(lasting["counts"], 1) for p in phrases}
        self._lasting = {plain(p): days for unit, days in UNIT_DAYS.items() for p in lasting[unit]}
        self._few = {plain(p) for p in lasting["few"]}
        self._not_lasting = ({plain(p) for p in lasting["not_before"]}, {plain(p) for p in lasting["not_after"]})
        self.naming = Naming(words["naming"])
        phrases = (*(p for said in self._signals.values() for p in said), *self._begins)
        common = {word for phrase in phrases for word in phrase.split()}
        self.mentions = Mentions(words, common | self.naming.not_a_name | self._units | set(self._days))

    def wish(self, text: str) -> Wish | None:
        """What a text says about being asked how it goes, when it says nothing else; else None.

        "elke dag graag", "liever op vrijdag om 2 uur", "niet meer vragen hoe het gaat".
        """
        others = {word.lstrip("#/") for word in plain(text).replace("?", " ").split()} - self._wish_words
        if any(word not in _AROUND_HOUR and not word[:1].isdigit() for word in others):
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

    def corrected_to(self, text: str, signals: Set[str]) -> str:
        """The number a text gives instead of an earlier one ("o nee ik bedoel 3"), or is; "" when it gives none."""
        numbers = [token for token in plain(text).split() if token.isdecimal()]
        if len(numbers) != 1:
            return ""
        return numbers[0] if plain(text) == numbers[0] or "corrects" in signals else ""

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
        return self.mentions.person_named(" ".join(rest), people) if rest else None

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

    def says_late(self, text: str) -> bool:
        """Whether a text is why an answer is late and nothing else: "sorry telefoon was leeg"."""
        said = f" {plain(text)} "
        if not self._late_words.issuperset(said.split()):
            return False
        found = [p for p in self._late["says"] if f" {p} " in said]
        for phrase in sorted(found, key=len, reverse=True):
            said = said.replace(f" {phrase} ", " ")
        return bool(found) and set(said.split()) <= self._late["around"]

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
