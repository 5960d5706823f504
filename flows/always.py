"""What is answered whatever the talk is about: danger first, then STOP and START, HULP, PRIVACY, GEGEVENS, VERGEET MIJ.

    bewoner Riet: ik ben gevallen en kan niet opstaan
    bot aan Riet: Is er nu gevaar? Bel 112. Ik ben een computer en kan geen hulp sturen. Ans en Joop krijgen nu bericht.

Danger to life goes to both contacts at once, and she is told so. Violence goes to nobody unless she asks: a contact may
know who does it. Her own words go along only with a consent of their own. Numbers: see docs/privacy.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows import contacts
from flows import help as asking
from flows.contract import (
    AskNext,
    Case,
    Effects,
    EndTalk,
    Erase,
    MoveCase,
    Note,
    Person,
    Place,
    Scene,
    SetPerson,
    Slots,
    StopPerson,
    T,
    Unbutton,
)
from flows.heard import SAFETY, Heard
from flows.say import quote, say, tell
from flows.talk import Answer, Ask, Dialogue, Do, Filled, Leave, Stay, begin


def danger(scene: Scene, heard: Heard) -> Effects | None:
    """The answer to danger, or None. Never depends on the open talk, on pauses, on the hour or on STOP."""
    if heard.danger_kind not in SAFETY:
        return None
    warned = any(c.kind == "safety" for c in scene.own_cases)
    if warned and (heard.danger == "likely" or heard.danger_kind != "violence"):
        return None  # people are warned already: her words go on to them, without a second alarm or a question
    if heard.danger_kind == "violence":
        slots = {"words": heard.text, "sure": heard.danger == "sure", **interrupted(scene)}
        return [*_aloud(begin(VIOLENCE, scene, slots)), Note(scene.person.id, "safety_violence")]
    if heard.danger == "likely":
        slots = {"intent": heard.danger_kind, "words": heard.text, "topics": list(heard.topics)}
        return begin(SAFE, scene, {**slots, **interrupted(scene)})
    return alarm(scene, heard.danger_kind, heard.text)


def alarm(scene: Scene, intent: str, words: str) -> Effects:
    """The number to call first, and both contacts at once; she is told what happens and what does not."""
    place, people = _who_hears(scene)
    if place is None or not people:
        return [say_safe(scene, f"safety.{intent}_alone"), Note(scene.person.id, "safety_" + intent)]
    names = asking.contact_names(people) if scene.person.known else T("help.the_contacts")
    where = "_where" if intent == "emergency" and not scene.person.street else ""
    answer = say_safe(scene, f"safety.{intent}{where}", contacts=names)
    shares = "safety" in scene.person.consents
    name = scene.person.name or T("contacts.a_neighbour")
    open_ = next((c for c in scene.own_cases if c.kind == "safety"), None)
    args: dict[str, Any] = {
        "who": name,
        "words": quote(words, 300),
        "street": scene.person.street or T("contacts.no_street"),
    }
    key = "safety.tell_words" if shares else "safety.tell"
    if open_:
        return [answer, *(tell(p, key, open_, "claim", urgency="safety", number=open_.number, **args) for p in people)]
    case = Case(
        neighbourhood=place.neighbourhood.id,
        number=place.next_number,
        kind="safety",
        state="open",
        words=words if shares else "",
        person=scene.person,
        urgency="now",
        wordless=not shares,
    )
    told = [tell(p, key, case, "claim", urgency="safety", number=case.number, **args) for p in people]
    return [answer, asking.open_case(scene, place, case), *told]


def _who_hears(scene: Scene) -> tuple[Place | None, tuple[Person, ...]]:
    """Who is told of danger: the contacts; of somebody we cannot place yet, the coordinator as well."""
    place = scene.place or (scene.places[0] if scene.places else None)
    placed = scene.place is not None or len(scene.places) == 1
    contacts = place.contacts if place and placed else ()
    people = contacts or scene.coordinators
    return place, tuple(p for p in people if p.id != scene.person.id)


def say_safe(scene: Scene, key: str, **args: Any) -> Any:
    """A safety text: passes quiet hours, pauses and STOP."""
    return replace(say(scene.person, key, **args), urgency="safety")


def interrupted(scene: Scene) -> dict[str, Any]:
    """The slot in which a question that comes between keeps the talk it broke off; `route` goes back to it."""
    talk = scene.talk
    if talk is None:
        return {}
    if "kept" in talk.slots:
        return {"kept": talk.slots["kept"]}
    return {"kept": {"dialogue": talk.dialogue, "slots": dict(talk.slots)}}


def _safe_answer(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    answer = choice or asking.yes_or_no(heard)
    if answer == "yes" or heard.danger == "sure":
        return Leave(alarm(scene, slots["intent"], f"{slots['words']}\n{heard.text}" if not choice else slots["words"]))
    if answer == "no" or "never_mind" in heard.signals:
        good = say(scene.person, "safety.good")
        if (
            slots.get("topics") and "kept" not in slots and scene.person.joined
        ):  # it was about a matter, and we misread it
            matter = {"words": slots["words"], "topics": slots["topics"], "unclear": True}
            return Leave([good, *begin(asking.HELP, replace(scene, talk=None), matter)])
        return Leave([good])
    return None


def _safe_not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    return alarm(scene, slots["intent"], f"{slots['words']}\n{heard.text}")


def _aloud(effects: Effects) -> Effects:
    """Questions that are put at any hour, and also to who said STOP."""
    return [replace(e, say=replace(e.say, urgency="safety")) if isinstance(e, AskNext) else e for e in effects]


def _violence_then(scene: Scene, heard: Heard, slots: Slots, _choice: str) -> Answer:
    """What she says after the numbers: nothing goes on unless she names who may know."""
    if heard.danger_kind == "violence":
        return Stay({"words": f"{slots['words']}\n{heard.text}"}, [say_safe(scene, "safety.violence")])
    if asking.yes_or_no(heard) == "no" or "never_mind" in heard.signals:
        return Leave([say(scene.person, "safety.quiet")])
    if len(heard.mentions) == 1 and not heard.spares:
        return Filled({"only": next(iter(heard.mentions))})
    if heard.clear and heard.intent == "thanks":
        return Leave([say(scene.person, "always.welcome")])
    if heard.clear and heard.intent == "ask_help" and heard.topics:
        return Leave(begin(asking.HELP, replace(scene, talk=None), asking.matter(scene, heard)))
    return Stay({}, [say(scene.person, "safety.violence_who")])


def _violence_sure(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    answer = choice or asking.yes_or_no(heard)
    if answer == "yes":
        return Filled({"how": "yes"})
    return Leave([say(scene.person, "safety.quiet")])


VIOLENCE = Dialogue(
    "violence",
    (
        Ask(
            "then",
            _violence_then,
            says=lambda _, slots: "safety.violence" if slots["sure"] else "safety.violence_likely",
        ),
        Ask(
            "agreed",
            _violence_sure,
            choices=lambda *_: ("yes", "no"),
            says=lambda *_: "safety.violence_pass_on",
            args=lambda scene, slots: {"first": next((p.name for p in scene.contacts if p.id == slots["only"]), "")},
        ),
        Do("passed", asking.pass_on),
    ),
    lambda scene, _heard, _slots: [say(scene.person, "safety.quiet")],
)


SAFE = Dialogue(
    "safety",
    (
        Ask(
            "ask",
            _safe_answer,
            choices=lambda *_: ("yes", "no"),
            says=lambda _, slots: f"safety.ask_{slots['intent']}",
            args=lambda scene, _: {"contacts": _names(scene)},
        ),
    ),
    _safe_not_heard,
)


# --- orders ---


def stop(scene: Scene) -> Effects:
    """No more messages. One confirmation, no question back; a contact hears it only when something is open."""
    person = scene.person
    effects: Effects = [EndTalk(person.id, scene.talk.serial)] if scene.talk else []
    effects += _leave_work(scene)
    for case in scene.own_cases:
        if case.kind != "safety":
            people = (case.claimed_by,) if case.claimed_by else scene.contacts
            effects += [
                tell(p, "contacts.person_stopped", case, number=case.number, who=asking.who(case)) for p in people
            ]
    if not scene.message.opt_out:  # Twilio answered already when it says OptOutType; twice would be rude
        effects.append(say_safe(scene, "always.stopped"))
    return [*effects, StopPerson(person.id), Note(person.id, "stopped")]


def _leave_work(scene: Scene) -> Effects:
    """A contact who stops gives back what is theirs at once, so that nobody writes to who is gone."""
    return [effect for case in contacts.mine(scene) for effect in contacts.hand_back(scene, case)]


def start_again(scene: Scene) -> Effects:
    """START after STOP."""
    effects: Effects = [StopPerson(scene.person.id, stopped=False)]
    if not scene.message.opt_out:
        effects.append(say(scene.person, "always.started", name=scene.person.name))
    return effects


def help_text(scene: Scene) -> Effects:
    """HULP: what this is, in one text; contacts get their orders."""
    person = scene.person
    if person.helps_in_chat:
        return [say(person, "contacts.help")]
    return [say(person, "always.help" if person.joined else "always.help_new", contacts=_names(scene))]


def privacy(scene: Scene) -> Effects:
    """PRIVACY: who reads, what, how long."""
    return [say(scene.person, "always.privacy", contacts=_names(scene))]


def human(scene: Scene) -> Effects:
    """ "ben je een mens?": always the truth."""
    return [say(scene.person, "always.human", contacts=_names(scene))]


def question(scene: Scene, _heard: Heard) -> Effects:
    """Another question about the bot: the short answer, and a person for the rest."""
    return [say(scene.person, "always.question", contacts=_names(scene))]


def my_data(scene: Scene) -> Effects:
    """GEGEVENS: everything we keep about her, in plain words."""
    person = scene.person
    consents = tuple(T(f"always.consent_{kind}") for kind in sorted(person.consents)) or (T("always.consent_none"),)
    cases = tuple(
        T("always.data_case", {"number": c.number, "words": quote(c.words, 60)})
        for c in (*scene.own_cases, *scene.drafts)
    )
    talk = scene.talk  # only a matter of hers: what she wrote about danger is not put on her screen again
    deciding = talk.slots.get("words", "") if talk and talk.dialogue in (asking.HELP.name, "join") else ""
    if deciding:
        cases += (T("always.data_deciding", {"words": quote(deciding, 60)}),)
    offers = tuple(quote(o.words, 60) for o in scene.own_offers)
    return [
        say(
            person,
            "always.data",
            name=person.name or T("always.data_no_name"),
            street=person.street or T("always.data_no_street"),
            channels=tuple(T(f"always.channel_{c}") for c in person.channels),
            consents=consents,
        ),
        say(
            person,
            "always.data_words",
            cases=cases or (T("always.data_nothing"),),
            offers=offers or (T("always.data_nothing"),),
        ),
        Note(person.id, "saw_own_data"),
    ]


def _forget_answer(scene: Scene, heard: Heard, _slots: Slots, choice: str) -> Answer:
    answer = choice or asking.yes_or_no(heard)
    if answer == "yes" or (heard.command and heard.command.verb == "forget_me"):
        effects: Effects = []
        for case in scene.own_cases:
            people = (case.claimed_by,) if case.claimed_by else scene.contacts
            effects += [
                tell(p, "contacts.person_left", None, number=case.number) for p in people if p.id != scene.person.id
            ]
        return Leave([*effects, *_leave_work(scene), say_safe(scene, "always.forgotten"), Erase(scene.person.id)])
    if answer == "no" or "never_mind" in heard.signals:
        return Leave([say(scene.person, "always.not_forgotten")])
    return None


FORGET = Dialogue(
    "forget",
    (Ask("sure", _forget_answer, choices=lambda *_: ("yes", "no")),),
    lambda scene, _heard, _slots: [say(scene.person, "always.not_forgotten")],
)


def forget(scene: Scene) -> Effects:
    """VERGEET MIJ: one confirmation, because it cannot be undone."""
    if any(c.kind == "safety" for c in scene.own_cases):
        return [say_safe(scene, "always.forget_later")]
    return _aloud(begin(FORGET, scene, interrupted(scene)))


def never_mind(scene: Scene, topics: tuple[str, ...] = ()) -> Effects:
    """LAAT MAAR: the last thing she asked ends, without a why."""
    if scene.drafts:
        return asking.drop_draft(scene, scene.drafts[-1])
    return _end_own(scene, "taken_back", topics) or [say(scene.person, "always.nothing_open")]


def solved(scene: Scene, topics: tuple[str, ...] = ()) -> Effects | None:
    """ "het is al gelukt": the matter is done, whoever did it; None when nothing is open."""
    return _end_own(scene, "solved", topics)


def _end_own(scene: Scene, how: str, topics: tuple[str, ...]) -> Effects | None:
    """Her matter about these topics, or else the latest, ends by her own word; who took it, or was told, hears so."""
    own = tuple(c for c in scene.own_cases if c.kind in ("help", "worry"))
    if not own or scene.place is None:
        return None
    case = next((c for c in reversed(own) if set(c.topics) & set(topics)), own[-1])
    holder = case.claimed_by
    told = (holder,) if holder else asking.told_about(scene.place, scene.coordinators, case)
    outcome = "done" if how == "solved" else how
    keeper = holder.id if holder else None
    ended = MoveCase(
        case.key, case.state, "closed", scene.person.id, claimed_by_before=keeper, claimed_by=keeper, outcome=outcome
    )
    args = {"number": case.number, "who": asking.who(case)}
    return [
        ended,
        Unbutton(case.key),
        *(tell(person, f"contacts.{how}", case, **args) for person in told),
        say(scene.person, f"help.{how}", words=quote(case.words, 60) or T("help.your_question")),
    ]


def address(scene: Scene, form: str) -> Effects:
    """ "zeg maar je": the person's own form from now on."""
    return [SetPerson(scene.person.id, {"form": form}), say(scene.person, f"always.say_{form}")]


def _names(scene: Scene) -> Any:
    if scene.place is None or not scene.person.known:
        return T("help.the_contacts")
    return asking.contact_names(tuple(c for c in scene.contacts if c.id != scene.person.id) or scene.contacts)
