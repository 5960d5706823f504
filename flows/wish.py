"""How often and when somebody wants to be asked, in plain words, with or without having been asked before.

    bewoner Riet: vraag maar elke week hoe het gaat
    bot aan Riet: Goed. Ik vraag elke dinsdag rond 10 uur hoe het gaat. Het is geen alarm.
    bewoner Riet: liever op vrijdag
    bot aan Riet: Goed. Ik vraag elke vrijdag rond 10 uur hoe het gaat. Het is geen alarm.
    bewoner Riet: niet meer vragen hoe het gaat
    bot aan Riet: Goed. Ik vraag het niet meer. Schrijven mag altijd.

Asking for it in her own words is the yes; taking it back is one sentence and has nothing to do with STOP.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows.check_in import CHECK_IN
from flows.contract import Effects, EndTalk, Person, Scene, SetConsent, SetPerson, T
from flows.heard import Heard, Wish
from flows.join import WELCOME
from flows.rhythm import SECOND_DAY, beat_of
from flows.say import say
from flows.talk import begin

ASKED = ((CHECK_IN.name, "how"), (WELCOME.name, "check_in_ask"))  # questions that "liever op vrijdag" may answer
PATIENCE = ("quick", "slow", "normal")


def heard(scene: Scene, heard: Heard) -> Effects | None:
    """What was wished about being asked; None when the words are no such wish in this scene."""
    wish, person, talk = heard.wish, scene.person, scene.talk
    if wish is None or not person.joined or scene.place is None:
        return None
    if "no_helper" in heard.signals and scene.own_offers and not wish.about:
        return None  # "niet meer gevraagd worden", of who offered something: about that
    asked = "check_in" in person.consents
    about_it = talk is not None and (talk.dialogue, talk.step) in ASKED
    free = talk is None and not scene.own_cases
    if not wish.about and not (about_it or (asked and free)):
        return None  # "liever op vrijdag" may answer something else entirely
    if talk is not None and talk.dialogue == WELCOME.name:
        return _in_welcome(scene, wish)
    ended: Effects = [EndTalk(person.id, talk.serial)] if talk and talk.dialogue == CHECK_IN.name else []
    if wish.rhythm == "never":
        return [*ended, *_never(scene, asked)]
    return [*ended, *_changed(scene, wish), *_consent(scene, asked), _said(scene, wish)]


def _never(scene: Scene, asked: bool) -> Effects:
    person = scene.person
    if not asked:
        return [say(person, "check_in.not_asked")]
    return [SetConsent(person.id, "check_in", False, "check_in.no_more"), say(person, "check_in.no_more")]


def _consent(scene: Scene, asked: bool) -> Effects:
    return [] if asked else [SetConsent(scene.person.id, "check_in", True, "welcome.check_in_ask")]


def _changed(scene: Scene, wish: Wish) -> Effects:
    changes = _changes(wish)
    return [SetPerson(scene.person.id, changes)] if changes else []


def _changes(wish: Wish) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if wish.rhythm in PATIENCE:
        changes["patience"] = "" if wish.rhythm == "normal" else wish.rhythm
    elif wish.rhythm:
        changes["rhythm"] = wish.rhythm
    if wish.weekday is not None:
        changes["check_in_day"] = wish.weekday
    if wish.at:
        changes["check_in_time"] = wish.at
    return changes


def _said(scene: Scene, wish: Wish) -> Any:
    if wish.rhythm in PATIENCE:
        return say(scene.person, f"check_in.patience_{wish.rhythm}")
    changes = _changes(wish)
    changed: Person = replace(scene.person, **changes)
    return say(scene.person, f"check_in.planned_{changed.rhythm}", **_when(scene, changed))


def _when(scene: Scene, person: Person) -> dict[str, Any]:
    assert scene.place is not None
    beat = beat_of(person, scene.place.neighbourhood)
    return {
        "day": T(f"duty.day_{beat.weekday}"),
        "second": T(f"duty.day_{(beat.weekday + SECOND_DAY) % 7}"),
        "time": f"{beat.at.hour}.{beat.at.minute:02}" if beat.at.minute else str(beat.at.hour),
    }


def _in_welcome(scene: Scene, wish: Wish) -> Effects:
    """An answer to "zal ik elke week vragen?" that says more than yes: the rhythm is kept and the welcome goes on."""
    talk = scene.talk
    assert talk is not None
    answer = "no" if wish.rhythm == "never" else "yes"
    kept = {**talk.slots, "check_in": answer, "done:check_in_ask": True}
    changed = [] if answer == "no" else [*_changed(scene, wish), _said(scene, wish)]
    return [*changed, *begin(WELCOME, scene, kept)]
