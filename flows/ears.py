"""From a frozen scene to what was heard: the reading of words, with the open question as context, and the orders in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from flows.contract import AFTERTHOUGHTS, JUST_NOW_MINUTES, WORDS_MAX, Person, Scene
from flows.heard import Command, Heard, Moment
from flows.vocabulary import Vocabulary

LEADING = ("pause_for", "back_for", "this_week", "next_week", "household")  # orders whose name may be followed by more
CRY_WORDS = 3  # a cry is this short; "de muis zit in de val" is a sentence
_MATTERS = ("ask_help", "offer_help")
_FRIENDLY = ("greet_or_vague", "small_talk_or_other")
NAME_COLON_MAX = 40  # "Riet: hoe is het?": a colon further on than this is part of a sentence


class Reading(Protocol):
    """Whoever turns words into meaning; `flows.understand.Reader` does."""

    def look(self, text: str) -> Any:
        """What a text says whatever the question was, to be read after more than one."""
        ...

    def read(self, text: Any, context: str = "", now: datetime | None = None) -> Heard:
        """The meaning of a text, or of what was looked at, after a question, at a local wall-clock time."""
        ...


class Ears:
    """Everything that is needed to hear a message: the reader and the word lists."""

    def __init__(self, reader: Reading, vocabulary: Vocabulary) -> None:
        """Both are made once, from locales/nl, and hold no state."""
        self.reader = reader
        self.vocabulary, self.naming, self.mentions = vocabulary, vocabulary.naming, vocabulary.mentions

    def hear(self, scene: Scene, zone: str) -> Heard:
        """What this message means in this scene; never raises, whatever was sent."""
        message, words, person = scene.message, self.vocabulary, scene.person
        text = message.text[:WORDS_MAX]
        if message.button or (not text.strip() and not message.start_code):
            return Heard(text=text, intent="small_talk_or_other", clear=not message.attachment)
        local = scene.now.astimezone(ZoneInfo(zone))
        signals = self._signals(scene, text)
        heard = self._meaning(scene, text, signals, local)
        death = words.speaks_of_death(text)
        died = words.died(text, (*scene.people, person)) if death and person.joined else None
        command, named = self._order(scene, text, signals, died) if person.helps_in_chat else (self._own(text), None)
        if command and command.verb == "away" and heard.clear and heard.intent in ("cancel", "delete_my_data"):
            command = None  # "weg met mijn gegevens" is no journey
        if command is None and heard.danger and person.helps_in_chat:
            named = self._resident(text, scene)
        wish = words.wish(text) if command is None else None
        if wish is not None and heard.danger == "likely":  # every word of it is accounted for
            heard = replace(heard, danger="", danger_kind="")
        if heard.danger and self.mentions.about_another(text, _known_names(scene)):
            signals |= {"of_another"}
        mentioned = self.mentions.named_in(text, scene.people)
        if mentioned and self.mentions.tells_of(text, (p for p in mentioned if not p.helps_in_chat)):
            signals |= {"tells_of"}
        after_yes, after_no = words.opens_with("yes", text), words.opens_with("no", text)
        half = after_yes or after_no
        return replace(
            heard,
            text=text,
            command=command,
            signals=signals,
            wish=wish,
            named_person=named,
            rest=after_yes,
            after_no=after_no,
            second=self.reader.read(half, "", local) if half and scene.talk is not None else None,
            as_answer=self._as_answer(scene, heard, local),
            until=_until(heard.when, zone),
            numbers=words.numbers(text),
            corrected_to=words.corrected_to(text, signals),
            lasting=words.days_long(text),
            farewell=death and (words.family_says_died(text) or (died is not None and died.id == person.id)),
            grief=death and words.grieves(text),
            alive=death and words.says_alive(text),
            **self._named_contacts(scene, text),
            **(self._between_contacts(scene, text, command, mentioned) if person.helps_in_chat else {}),
            **self._whereabouts(scene, text),
        )

    def _signals(self, scene: Scene, text: str) -> frozenset[str]:
        """The small phrases in a text, and what it is beside who sent it and what it corrects."""
        message, words = scene.message, self.vocabulary
        signals = words.signals(text)
        if scene.invite and self.naming.introduces_only(text, f"{scene.person.name} {scene.person.street}"):
            signals |= {"introduction"}
        if message.before and words.answer(message.before) and words.answer(message.before) == words.answer(text):
            signals |= {"same_answer"}
        if not scene.person.joined and self.naming.is_code(text):
            signals |= {"code"}
        if words.says_late(text):
            signals |= {"late"}
        if scene.person.joined and self.naming.is_own_name(text, scene.person.name, scene.person.street):
            signals |= {"own_name"}
        return signals

    def _meaning(self, scene: Scene, text: str, signals: frozenset[str], local: datetime) -> Heard:
        """The reading of a text, where the word lists know better than the votes."""
        words = self.vocabulary
        heard = self._unmuffled(scene, text, signals, local)
        if heard.danger and not _about_danger(scene):
            if "everyday" in signals:  # a volunteer listed the whole text
                heard = replace(
                    heard, intent="small_talk_or_other", danger="", danger_kind="", clear=False, urgency="none"
                )
            elif "nameless" in signals and "kin" not in signals:
                # "niet zeggen dat ik het ben" sounds as fear does: what else she says decides whether there is danger
                heard = replace(self.reader.read(words.without("nameless", text), _context(scene), local), text=text)
        if scene.places and not heard.danger and (body := self.naming.unsigned(text)) != text:  # as under a letter
            heard = replace(self.reader.read(body, _context(scene), local), text=text)
        if heard.intent == "offer_help" and "ails" in signals and "offers" not in signals:
            heard = replace(heard, intent="ask_help")
        if not heard.danger and _cries(scene, heard, signals):
            heard = replace(heard, danger="likely", danger_kind="emergency")
        if heard.intent == "pause" and heard.when is None and "enough" in signals:  # "even niet deze week" is that week
            heard = replace(heard, when=self.reader.read(words.without("enough", text), "", local).when)
        if heard.intent == "pause" and heard.when is None:
            heard = replace(heard, when=self._away_until(text, local))
        if heard.when is None and "absent" in signals:  # "ik ben er volgende week niet" is all of that week
            heard = replace(heard, when=self.reader.read(words.without("denies", text), "", local).when)
        return heard

    def _away_until(self, text: str, local: datetime) -> Moment | None:
        """ "volgende week naar mijn zus tot vrijdag": two moments, read apart; the end is the first such day after the start."""
        before, after = self.vocabulary.ends_at(text)
        end = self.reader.read(after, "", local).when if after else None
        if end is None or end.end is None:
            return None
        start = self.reader.read(before, "", local).when
        first, last = start.start if start else None, datetime.fromisoformat(end.end)
        while first and last <= datetime.fromisoformat(first):
            last += timedelta(days=7)
        return replace(end, start=first, end=last.isoformat(timespec="minutes"), words=text)

    def _own(self, text: str) -> Command | None:
        """A resident's order to the bot, or None."""
        return self.vocabulary.command(text, contact=False) or self._away(text)

    def _order(
        self, scene: Scene, text: str, signals: frozenset[str], died: Person | None
    ) -> tuple[Command | None, Person | None]:
        """A contact's order to the bot and whom it names, each None when there is none."""
        words, people, message = self.vocabulary, scene.people, scene.message
        about = message.case[1] if message.case else None
        command = words.command(text, contact=True, about=about) or self._away(text) or _talk(text)
        if (
            command is None
            and "hospital" in signals
            and "home" not in signals
            and self.mentions.leading_name(text, people)
        ):
            command = Command("pause_for", name=text, rest=text)
        if (
            command is None
            and "home" in signals
            and not {"me", "to_you"} & signals
            and self.mentions.leading_name(text, people)
        ):
            command = Command("back_for", name=text, rest=text)
        if command is None and died in people:
            return Command("died"), died
        if command is None and (lives := words.alive(text, people)) is not None:
            return Command("alive"), lives
        named: Person | None = None
        if command and command.name:
            find = self.mentions.leading_name if command.verb in LEADING else self.mentions.person_named
            named = find(command.name, people)
        if command and command.verb == "talk" and named is None:
            command = None
        return command, named

    def _between_contacts(
        self, scene: Scene, text: str, command: Command | None, mentioned: tuple[Person, ...]
    ) -> dict[str, Any]:
        """What a contact tells us or the other one about a matter, beside any order in it; `mentioned`: whom it names."""
        words = self.vocabulary

        def after(verb: str) -> str:
            return command.rest if command and command.verb == verb else ""

        spoken = _spoken(command, text)
        of_her = self.mentions.without_names(spoken, [p.name for p in mentioned])  # "ik bel Riet" is "ik bel haar"
        opening, rest = words.opening(spoken)
        if not opening:
            opening, rest = words.opening(of_her)
        calls, names = self.mentions.residents_named(spoken, (p for p in mentioned if not p.helps_in_chat))
        return {
            "calls": calls,
            "names": names,
            "named_people": self.mentions.people_named(after("household"), scene.people),
            "weekdays": words.weekdays(after("together")),
            "opening": opening,
            "after": rest,
            "reported": words.reported(of_her),
            "called": self._called(scene, spoken),
            "handed_to": self.mentions.handed_to(spoken, _other_contacts(scene)),
            "suggested": self.mentions.suggested(spoken, mentioned),
            "about_somebody": of_her != " ".join(spoken.split()),
        }

    def _named_contacts(self, scene: Scene, text: str) -> dict[str, Any]:
        """The contacts whom a text names, and what it says of who may know."""
        everyone = scene.place.all_contacts if scene.place else ()  # also who is away: what is kept from them stays so
        if not self.mentions.names_one(text, (*scene.contacts, *everyone)):
            return {}
        yes, no = self.mentions.mentioned(text, [c.name for c in scene.contacts if c.name])
        alone, kept = self.mentions.reserved(text, [c.name for c in everyone if c.name])
        return {
            "mentions": _ids(scene.contacts, yes),
            "spares": _ids(scene.contacts, no),
            "alone_for": _ids(everyone, alone),
            "kept_from": _ids(everyone, kept),
        }

    def _whereabouts(self, scene: Scene, text: str) -> dict[str, Any]:
        """Who somebody is and where they live, as long as we do not know it."""
        person = scene.person
        unsaid = person.joined and not person.street and scene.place is not None
        places = (scene.place,) if unsaid and scene.place else scene.places
        found = self.naming.street(text, places) if places else None
        if not scene.places:
            return {"named_place": found}
        return {
            "named_place": found,
            "name": self.naming.name(text, without=found[2] if found else ""),
            "typed_street": "" if found else self.naming.typed_street(text),
            "introduced": self.naming.introduced(text),
            "called_self": self.naming.called_self(text),
        }

    def _unmuffled(self, scene: Scene, text: str, signals: frozenset[str], local: datetime) -> Heard:
        """The reading of a text after our question, with danger as it is without it: a question never makes that less.

        Only an emergency is then acted upon at once. The other dangers are asked about, and so is every answer to
        "hoe gaat het": people name their ills there, and "lig op bed" is no cry for help.
        """
        context, looked = _context(scene), self.reader.look(text)
        heard = self.reader.read(looked, context, local)
        if not context or heard.danger == "sure" or signals & {"yes", "no"}:
            return heard
        alone = self.reader.read(looked, "", local)
        asks_how = scene.talk is not None and scene.talk.dialogue == "check_in"
        if heard.danger and not alone.danger and not asks_how:  # only "hoe gaat het" makes calm words a worry
            heard = replace(heard, danger="", danger_kind="")
        if alone.danger != "sure":
            if (
                heard.intent in ("yes", "no")
                and alone.clear
                and alone.intent in _MATTERS
                and not self._says(text, signals)
            ):
                # that answer is only read into words which ask or offer something by themselves
                return replace(alone, danger=heard.danger, danger_kind=heard.danger_kind)
            return heard
        asked = alone.danger_kind != "emergency" or asks_how
        return replace(heard, danger="likely" if asked else "sure", danger_kind=alone.danger_kind)

    def _as_answer(self, scene: Scene, heard: Heard, local: datetime) -> str:
        """What words that are friendly by themselves mean right after her answer to "hoe gaat het?"; "" at other moments."""
        row = scene.check_in
        if scene.talk or row is None or row.answered_at is None or heard.intent not in _FRIENDLY:
            return ""
        if (scene.now - row.answered_at).total_seconds() > JUST_NOW_MINUTES * 60:
            return ""
        meant = self.reader.read(self.reader.look(scene.message.text[:WORDS_MAX]), self.vocabulary.question, local)
        return meant.intent if meant.clear else ""

    def _says(self, text: str, signals: frozenset[str]) -> bool:
        """Whether a yes or no is said in so many words: at the beginning, or as a refusal."""
        opens = self.vocabulary.opens_with("yes", text) or self.vocabulary.opens_with("no", text)
        return bool(opens) or bool(signals & {"refuses", "never_mind"})

    def _resident(self, text: str, scene: Scene) -> Person | None:
        """The one neighbour whom a contact's words about danger name; None when it is nobody or more than one."""
        names = frozenset().union(*self.mentions.mentioned(text, [p.name for p in scene.people if p.name]))
        found = [p for p in scene.people if p.name in names]
        return found[0] if len(found) == 1 else None

    def _called(self, scene: Scene, text: str) -> Person | None:
        """The other contact, when the words ask or call that one: "Joop kan jij?", "Joop, ik ben er niet"."""
        named: Person | None = self.mentions.leading_name(self.mentions.addressed(text), _other_contacts(scene))
        if named is not None:
            return named
        first = text.split()[0] if text.split() else ""
        if not first.endswith((",", ":")) and not self.mentions.asks_you(text):
            return None
        named = self.mentions.leading_name(text, _other_contacts(scene))
        return named

    def _away(self, text: str) -> Command | None:
        command = self.vocabulary.prefixed(text)
        return command if command and command.verb == "away" else None


def _context(scene: Scene) -> str:
    """The question just asked, where it says something about the answer; anything may follow "who are you" or danger."""
    silent = ("join", "alarm", "violence", *AFTERTHOUGHTS)
    return scene.talk.question if scene.talk and scene.talk.dialogue not in silent else ""


def _about_danger(scene: Scene) -> bool:
    """True while there is talk of danger: then no listed phrase makes it less."""
    alarm = any(case.kind == "safety" for case in scene.own_cases)
    return alarm or (scene.talk is not None and scene.talk.dialogue in ("alarm", "safety", "violence"))


def _cries(scene: Scene, heard: Heard, signals: frozenset[str]) -> bool:
    """ "help val", "gvln": who lies on the floor types no more than that, so we ask. "help" alone says little, twice a lot."""
    few = len(heard.text.split()) <= CRY_WORDS and not set(heard.topics) - {"overig"}
    again = "cries_again" in signals and scene.talk is not None and scene.talk.dialogue in ("help", "join")
    return few and ("cries" in signals or again)


def _known_names(scene: Scene) -> tuple[str, ...]:
    """The names of others that we may know here: the contacts, and for a contact everybody."""
    contacts = scene.place.all_contacts if scene.place else ()
    return tuple(p.name for p in (*contacts, *scene.people) if p.name and p.id != scene.person.id)


def _other_contacts(scene: Scene) -> tuple[Person, ...]:
    return tuple(p for p in (scene.place.all_contacts if scene.place else ()) if p.id != scene.person.id)


def _spoken(command: Command | None, text: str) -> str:
    """A contact's own words, without the number before them."""
    return command.rest if command and command.number is not None and command.rest else text


def _talk(text: str) -> Command | None:
    name, colon, rest = text.partition(":")
    if not colon or not rest.strip() or not name.strip() or len(name) > NAME_COLON_MAX:
        return None
    return Command("talk", name=name.strip(), rest=rest.strip())


def _ids(contacts: tuple[Person, ...], names: frozenset[str]) -> frozenset[int]:
    return frozenset(c.id for c in contacts if c.name in names)


def _until(when: Moment | None, zone: str) -> datetime | None:
    if when is None or when.end is None:
        return None
    return datetime.fromisoformat(when.end).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
