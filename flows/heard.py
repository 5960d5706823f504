"""What was heard: a message turned into meaning, and nothing decided yet."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from flows.frozen import frozen

if TYPE_CHECKING:
    from flows.contract import Person, Place

SAFETY = frozenset({"emergency", "crisis", "violence"})


@frozen
class Moment:
    """A moment somebody named, as local wall-clock times (`2026-03-24T14:30`) in the neighbourhood's zone.

    `start` equals `end` for a clock time; a day runs to midnight of the next; None means open on that side.
    `words` are the resident's own, because a contact should read what was said, not what was made of it.
    """

    start: str | None
    end: str | None
    words: str


@frozen
class Command:
    """Words that are an order to the bot rather than a sentence: `12 ja`, `open`, `namens Riet: …`.

    `verb` is the name of the order in locales/nl/words/commands.toml; `rest` what follows, as it was written. `numbers`
    are all of them when one order names several ("1 en 2 ja").
    """

    verb: str
    number: int | None = None
    name: str = ""
    rest: str = ""
    numbers: tuple[int, ...] = ()


@frozen
class Wish:
    """How somebody wants to be asked how it goes: `rhythm` "daily", "twice", "weekly", "never", or patience "quick",
    "slow", "normal"; a weekday (0 is Monday); an hour ("14:00"). `about`: the words name the question itself.
    """

    rhythm: str = ""
    weekday: int | None = None
    at: str = ""
    about: bool = False


@frozen
class Heard:
    """One message, understood as far as it goes.

    `clear` is False when the best reading is below its threshold or too close to the next one: then nothing is
    assumed and the words themselves go on. `danger` is the separate safety detector's verdict: "" for none,
    "likely" to ask once, "sure" to act; `danger_kind` is then one of `SAFETY`.
    `command` and `signals` come from the word lists: orders, and small phrases ("zonder mijn naam") inside an answer;
    `rest` is what follows an opening yes ("ja maar pas na vieren"), `after_no` what follows an opening no,
    `second` how that second half reads by itself, where a question of ours is open, `as_answer` what friendly words mean
    as more of an answer to "hoe gaat het?", right after it. `name` is what could be somebody's own name,
    `named_place` the neighbourhood, street and words that were recognised, `typed_street` a street nobody
    entered, `named_person` who an order speaks of, or whom a contact's words about danger name,
    `wish` is what was said about being asked how it goes, `weekdays` the days that an order of the rota names;
    `opening` the order that a contact's sentence begins with and `after` what follows it ("klaar hoor" opens with close),
    `reported` what a contact says of somebody in the middle of a sentence ("ik heb haar gebeld" is spoken), `called` the
    other contact, when a contact's words begin by calling that one, `handed_to` who is asked to take a matter over,
    `suggested` a neighbour named as somebody to ask ("vraag Henk maar"), `about_somebody`: any neighbour is named;
    `calls` the residents whom a contact's words begin by calling and `names` all whom they name, by id;
    `until` the end of the moment that was named (aware UTC); `mentions` the contacts who are named, `spares` the ones
    who are named as not to know; `alone_for` and `kept_from` the ones of whom a whole sentence says so ("alleen aan Ans",
    "niet aan Joop vertellen"), there or away. `numbers` are the ones of a list that were named, when nothing else was said.
    `lasting` is a length in days ("twee weken"), `farewell`: the person of this phone has died, as family says; `grief`:
    a death is spoken of, `alive`: a death was a mistake; `introduced` is the name of who says no more than that, `called_self`
    the name in a sentence that says more ("ik heet Toos en woon in de Lutmastraat, kan iemand ...").
    `corrected_to` is the one number in a text that takes another answer back ("o nee ik bedoel 3"), or that is a number only.
    `why` are the words and features that decided, strongest first.
    """

    text: str
    intent: str
    topics: tuple[str, ...] = ()
    urgency: str = "none"
    for_other: bool = False
    when: Moment | None = None
    clear: bool = True
    danger: str = ""
    danger_kind: str = ""
    why: tuple[str, ...] = ()
    command: Command | None = None
    signals: frozenset[str] = frozenset()
    rest: str = ""
    name: str = ""
    named_place: tuple[Place, str, str] | None = None
    typed_street: str = ""
    named_person: Person | None = None
    until: datetime | None = None
    mentions: frozenset[int] = frozenset()
    spares: frozenset[int] = frozenset()
    alone_for: frozenset[int] = frozenset()
    kept_from: frozenset[int] = frozenset()
    numbers: tuple[int, ...] = ()
    lasting: int = 0
    farewell: bool = False
    grief: bool = False
    alive: bool = False
    introduced: str = ""
    called_self: str = ""
    wish: Wish | None = None
    named_people: tuple[Person, ...] = ()
    weekdays: tuple[int, ...] = ()
    opening: str = ""
    after: str = ""
    after_no: str = ""
    second: Heard | None = None
    as_answer: str = ""
    reported: str = ""
    called: Person | None = None
    handed_to: Person | None = None
    suggested: Person | None = None
    about_somebody: bool = False
    corrected_to: str = ""
    calls: frozenset[int] = frozenset()
    names: frozenset[int] = frozenset()
