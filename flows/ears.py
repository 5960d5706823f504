"""From a frozen scene to what was heard: the reading of words, with the open question as context, and the orders in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from flows.contract import AFTERTHOUGHTS, WORDS_MAX, Person, Scene
from flows.heard import Command, Heard, Moment
from flows.vocabulary import Vocabulary

LEADING = ("pause_for", "this_week", "next_week", "household")  # orders whose name may be followed by more
NAME_COLON_MAX = 40  # "Riet: hoe is het?": a colon further on than this is part of a sentence


class Reading(Protocol):
    """Whoever turns words into meaning; `flows.understand.Reader` does."""

    def read(self, text: str, context: str = "", now: datetime | None = None) -> Heard:
        """The meaning of a text after a question, at a local wall-clock time."""
        ...


class Ears:
    """Everything that is needed to hear a message: the reader and the word lists."""

    def __init__(self, reader: Reading, vocabulary: Vocabulary) -> None:
        """Both are made once, from locales/nl, and hold no state."""
        self.reader = reader
        self.vocabulary = vocabulary

    def hear(self, scene: Scene, zone: str) -> Heard:
        """What this message means in this scene; never raises, whatever was sent."""
        message, words = scene.message, self.vocabulary
        text = message.text[:WORDS_MAX]
        if message.button or (not text.strip() and not message.start_code):
            return Heard(text=text, intent="small_talk_or_other", clear=not message.attachment)
        contact = scene.person.helps_in_chat
        local = scene.now.astimezone(ZoneInfo(zone))
        heard = self.reader.read(text, _context(scene), local)
        about = message.case[1] if message.case and contact else None
        command = words.command(text, contact=contact, about=about) or self._away(text)
        found = words.street(text, scene.places) if scene.places else None
        named: Person | None = None
        if contact and command is None:
            command = _talk(text)
        signals = words.signals(text)
        if contact and command is None and "hospital" in signals and words.leading_name(text, scene.people):
            command = Command("pause_for", name=text, rest=text)
        died = words.died(text, (*scene.people, scene.person)) if scene.person.joined else None
        if contact and command is None and died in scene.people:
            command, named = Command("died"), died
        if command and command.name:
            find = words.leading_name if command.verb in LEADING else words.person_named
            named = find(command.name, scene.people)
        wish = words.wish(text) if command is None else None
        if wish is not None and heard.danger == "likely":  # every word of it is accounted for
            heard = replace(heard, danger="", danger_kind="")
        if command and command.verb == "talk" and named is None:
            command = None

        def after(verb: str) -> str:
            return command.rest if command and command.verb == verb else ""

        yes, no = words.mentioned(text, [c.name for c in scene.contacts if c.name])
        everyone = scene.place.all_contacts if scene.place else ()  # also who is away: what is kept from them stays so
        alone, kept = words.reserved(text, [c.name for c in everyone if c.name])
        return replace(
            heard,
            text=text,
            command=command,
            signals=signals,
            wish=wish,
            named_people=words.people_named(after("household"), scene.people),
            weekdays=words.weekdays(after("together")),
            rest=words.opens_with_yes(text),
            name=words.name(text, without=found[2] if found else "") if scene.places else "",
            named_place=found,
            typed_street=words.typed_street(text) if scene.places and not found else "",
            named_person=named,
            until=_until(heard.when, zone),
            mentions=_ids(scene, yes),
            spares=_ids(scene, no),
            alone_for=frozenset(c.id for c in everyone if c.name in alone),
            kept_from=frozenset(c.id for c in everyone if c.name in kept),
            numbers=words.numbers(text),
            lasting=words.days_long(text),
            farewell=words.family_says_died(text) or (died is not None and died.id == scene.person.id),
            grief=words.grieves(text),
            introduced=words.introduced(text) if scene.places else "",
        )

    def _away(self, text: str) -> Command | None:
        command = self.vocabulary.prefixed(text)
        return command if command and command.verb == "away" else None


def _context(scene: Scene) -> str:
    """The question just asked, where it says something about the answer; who somebody is can be answered with anything."""
    return scene.talk.question if scene.talk and scene.talk.dialogue not in ("join", *AFTERTHOUGHTS) else ""


def _talk(text: str) -> Command | None:
    name, colon, rest = text.partition(":")
    if not colon or not rest.strip() or not name.strip() or len(name) > NAME_COLON_MAX:
        return None
    return Command("talk", name=name.strip(), rest=rest.strip())


def _ids(scene: Scene, names: frozenset[str]) -> frozenset[int]:
    return frozenset(c.id for c in scene.contacts if c.name in names)


def _until(when: Moment | None, zone: str) -> datetime | None:
    if when is None or when.end is None:
        return None
    return datetime.fromisoformat(when.end).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
