"""The people whom a text names: who is meant, who may know and who may not, and of whom something is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from rapidfuzz import fuzz

from flows.naming import NAME_WORDS, SHORT_WORD, STREET_SCORE
from flows.plain import plain

NEAR = 3  # words on either side of a name in which a "not" is about that name


class Mentions:
    """The lists about names of locales/nl/words/commands.toml, ready to be looked up."""

    def __init__(self, words: Mapping[str, Any], common: Set[str]) -> None:
        """`words` is the parsed file, `common` are the words that are no name where they are not written as one."""
        self._calling = {name: {plain(p) for p in phrases} for name, phrases in words["calling"].items()}
        self._before_name = self._calling["before"]
        self._common = common | self._before_name
        self._handover = {name: frozenset(plain(p) for p in phrases) for name, phrases in words["handover"].items()}
        self._suggests = {
            plain(f"{first} {last}") for first in words["suggesting"]["starts"] for last in words["suggesting"]["ends"]
        }
        self._another = {name: frozenset(map(plain, phrases)) for name, phrases in words["another"].items()}
        choosing = words["choosing"]
        self._not = {plain(p) for p in choosing["not"]}
        self._choosing = {
            name: {plain(p) for p in choosing[name]}
            for name in ("alone", "to", "never", "also", "know", "knows", "fears", "harms", "may")
        }

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

    def person_named(self, name: str, people: Iterable[Any]) -> Any | None:
        """The one person whose name this is, tolerantly; None when nobody or more than one fits equally."""
        said = plain(name)
        scored = sorted(((_name_score(said, plain(p.name)), i, p) for i, p in enumerate(people)), key=lambda s: -s[0])
        if not scored or scored[0][0] < STREET_SCORE:
            return None
        if len(scored) > 1 and scored[1][0] == scored[0][0]:
            return None
        return scored[0][2]

    def names_one(self, text: str, people: Iterable[Any]) -> bool:
        """Whether the one-word name of any of these people stands in a text, as `reserved` and `mentioned` look for it."""
        tokens = plain(text).split()
        return any(plain(p.name) in tokens for p in people if p.name)

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
