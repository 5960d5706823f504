"""Pauses: no question from our side until a day, by the resident or by a contact, and a soft welcome back.

    bewoner Riet: ik ben weg tot zondag
    bot aan Riet: Goed. Ik laat u met rust tot en met zondag 29 maart. Eerder terug? Schrijf TERUG. …
    bot aan Ans: Riet is weg tot en met zondag 29 maart. Ik vraag zolang niets.
    contact Ans: pauze Henk tot zondag

Both contacts see a pause, because an absence that nobody knows of looks like a silence. It ends by itself.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from flows import casebook, duty, silence
from flows import help as asking
from flows.contract import PAUSE_DAYS, Effects, PauseOffers, Person, Scene, SetPerson, Slots
from flows.heard import Heard
from flows.say import say, tell
from flows.talk import Answer, Ask, Dialogue, Leave, begin
from flows.times import is_night


def pause(scene: Scene, heard: Heard) -> Effects:
    """PAUZE, or "ik ben weg tot zondag": nothing from our side until then, offers rest too, asking stays possible."""
    if scene.person.helps_in_chat:
        return duty.away(scene, heard)
    until = _until(scene, _named_end(scene, heard))
    said = say(scene.person, "pause.begun_grief" if heard.grief else "pause.begun", last=_last(scene, until))
    known = scene.person.paused_until == until  # said before, and told before
    told = [] if known else _tell(scene, until, away="away" in heard.signals)
    return [*_rest(scene.person, until), said, *told]


HOME_WORDS = 6  # "ik ben weer thuis" needs no human; what is longer may say more


def says_away(heard: Heard) -> bool:
    """Whether somebody says to be away until a moment: "ik ben tot zondag bij mijn zus"."""
    ends = bool(heard.lasting) or (heard.when is not None and heard.until is not None)
    asked = heard.intent == "pause" and heard.clear
    return (asked or (ends and "away" in heard.signals)) and "hospital" not in heard.signals


def about_being_away(scene: Scene, heard: Heard) -> Effects | None:
    """What is said about being away beside other news, or after a pause began; None for other words.

    The last word counts: "toch maar tot vrijdag" makes a pause shorter, and "ik ben weer thuis" ends it.
    """
    person, home = scene.person, "home" in heard.signals
    if any(c.claimed_by for c in scene.own_cases) or (heard.intent == "ask_help" and heard.clear and heard.topics):
        return None  # to the contact she talks with, or a matter of its own
    paused = person.paused_until is not None and person.paused_until > scene.now
    named = _named_end(scene, heard)
    ends = named is not None and named > scene.now
    if paused and ends and (home or says_away(heard) or (heard.when is not None and heard.when.start is None)):
        return pause(scene, heard)
    if home and heard.when is None and heard.intent not in ("offer_help", "call_me_back"):
        if paused:
            return back(scene)
        only = "hospital" in heard.signals or len(heard.text.split()) <= HOME_WORDS
        return [say(person, "pause.home")] if only and not scene.own_cases else None
    return pause(scene, heard) if heard.grief and ends and says_away(heard) else None


def _named_end(scene: Scene, heard: Heard) -> datetime | None:
    """The end that was named, by a moment or as a length: "morgen twee weken" begins tomorrow and ends after two weeks."""
    begins = heard.when.start if heard.when else None
    if not heard.lasting or (heard.when and begins is None):
        return heard.until
    zone = _zone(scene)
    first = datetime.fromisoformat(begins).date() if begins else scene.now.astimezone(zone).date()
    end = first + timedelta(days=heard.lasting + (0 if begins else 1))
    return datetime(end.year, end.month, end.day, tzinfo=zone).astimezone(UTC)


def _until(scene: Scene, named: datetime | None) -> datetime:
    """The end of a pause: the moment that was named, or a midnight four weeks on."""
    if named and named > scene.now:
        return named
    later = (scene.now + timedelta(days=PAUSE_DAYS)).astimezone(_zone(scene))
    return later.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _last(scene: Scene, until: datetime) -> date:
    """The last day of a pause, as it is said: "tot en met zondag"."""
    return (until - timedelta(minutes=1)).astimezone(_zone(scene)).date()


def _zone(scene: Scene) -> ZoneInfo:
    hood = silence.hood_of(scene)
    return ZoneInfo(hood.zone if hood else "Europe/Amsterdam")


def _rest(person: Person, until: datetime) -> Effects:
    return [SetPerson(person.id, {"paused_until": until}), PauseOffers(person.id, until)]


def _tell(scene: Scene, until: datetime, *, away: bool = True) -> Effects:
    """The contacts see the pause of who is asked how it goes; of others only who has or reads an open matter of theirs."""
    person = scene.person
    if not person.known:
        return []
    if "check_in" not in person.consents:
        return _tell_helpers(scene, until) if away else []
    people = tuple(p for p in scene.contacts if p.id != person.id)
    key = "pause.seen" if away else "pause.seen_rest"
    return [tell(p, key, None, who=person.name, last=_last(scene, until)) for p in people]


def _tell_helpers(scene: Scene, until: datetime) -> Effects:
    """Who would ring at a closed door: the contacts of what she asked with her name, and nobody else."""
    effects: Effects = []
    for case in scene.own_cases:
        if case.kind not in ("help", "worry") or case.nameless or case.behalf_of or scene.place is None:
            continue
        people = (case.claimed_by,) if case.claimed_by else casebook.told_about(scene.place, scene.coordinators, case)
        args = {"number": case.number, "who": casebook.who(case), "last": _last(scene, until)}
        effects += [tell(p, "pause.seen_case", case, **args) for p in people]
    return effects


def by_contact(scene: Scene, heard: Heard) -> Effects:
    """ "pauze Riet tot zondag", "Riet ligt in het ziekenhuis": a contact knows it before we do."""
    me, person = scene.person, heard.named_person
    if person is None:
        return [say(me, "silence.who")]
    until = _until(scene, _named_end(scene, heard))
    closed: Effects = []
    for case in scene.cases:
        if case.kind == "silence" and case.person and case.person.id == person.id:
            closed += silence.explained(scene, case, "paused")
    others = tuple(p for p in scene.contacts if p.id not in (me.id, person.id))
    return [
        *closed,
        *_rest(person, until),
        say(me, "pause.noted", who=person.name, last=_last(scene, until)),
        *(tell(p, "pause.seen_by", None, who=person.name, last=_last(scene, until), contact=me.name) for p in others),
    ]


def back_by_contact(scene: Scene, heard: Heard) -> Effects:
    """ "Riet is weer thuis" of a contact ends the pause, when there is one."""
    me, person = scene.person, heard.named_person
    if person is None:
        return [say(me, "silence.who")]
    if person.paused_until is None or person.paused_until <= scene.now:
        return [say(me, "pause.back_noted", who=person.name)]
    others = tuple(p for p in scene.contacts if p.id not in (me.id, person.id))
    return [
        SetPerson(person.id, {"paused_until": None}),
        PauseOffers(person.id, scene.now),
        say(me, "pause.back_noted", who=person.name),
        *(tell(p, "pause.back_seen", None, who=person.name, contact=me.name) for p in others),
    ]


def back(scene: Scene) -> Effects:
    """TERUG: the pause ends."""
    person = scene.person
    if person.helps_in_chat:
        return duty.back(scene)
    if person.paused_until is None:
        return [say(person, "pause.none")]
    return [
        SetPerson(person.id, {"paused_until": None}),
        PauseOffers(person.id, scene.now),
        say(person, "pause.back", name=person.name),
    ]


def over(scene: Scene) -> Effects:
    """The tick's word when a pause is over; [] while it is too early in the day to say so."""
    person = scene.person
    if person.paused_until is None or person.paused_until > scene.now:
        return []
    ended: Effects = [SetPerson(person.id, {"paused_until": None})]
    if not person.reachable or not person.joined:
        return ended
    if is_night(scene.now, silence.hood_of(scene)):
        return []
    if person.helps_in_chat:
        return [*ended, *duty.returned(scene, person)]
    key = "pause.over_check_in" if "check_in" in person.consents else "pause.over"
    return [*ended, tell(person, key, None, name=person.name)]


# --- in hospital ---


def in_hospital(scene: Scene, heard: Heard) -> Effects:
    """ "ik lig in het ziekenhuis": good wishes first, and one light question; telling a contact is hers to say."""
    return begin(HOSPITAL, scene, {"words": heard.text, "until": heard.until.isoformat() if heard.until else ""})


def _hospital(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    answer = choice or asking.yes_or_no(heard)
    if answer == "yes":
        given = datetime.fromisoformat(slots["until"]) if slots.get("until") else None
        until = _until(scene, given)
        said = say(scene.person, "pause.begun", last=_last(scene, until))
        return Leave([*_rest(scene.person, until), said, *_tell(scene, until), *asking.beside(scene, slots)])
    if answer == "no" or "never_mind" in heard.signals:
        return Leave([say(scene.person, "pause.not_begun"), *asking.beside(scene, slots)])
    return None


def _hospital_not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    said = asking.add(slots.get("beside", {}), scene, heard)
    return begin(asking.HELP, scene, {**said, "words": f"{slots['words']}\n{said['words']}", "unclear": True})


HOSPITAL = Dialogue(
    "pause",
    (
        Ask(
            "hospital",
            _hospital,
            choices=lambda *_: ("yes", "no"),
            args=lambda scene, _: {"contacts": asking.readers(scene, {})},
        ),
    ),
    _hospital_not_heard,
    keeps=asking.keep_beside,
)
