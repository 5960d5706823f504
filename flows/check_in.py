""" "Hoe gaat het?": the question of the week, for who said yes to it.

    -- dinsdag 10:00 --
    bot aan Riet: Dag Riet. Hoe gaat het? / 1 Goed / 2 Gaat wel / 3 Niet zo goed
    bewoner Riet: 2
    bot aan Riet: Dank u. Wilt u dat Ans even belt? / 1 Ja, graag / 2 Nee, dat hoeft niet
    bewoner Riet: nee
    bot aan Riet: Goed. U mag altijd schrijven.

"Goed" is only counted. "Niet zo goed" goes to the contact on duty, and she hears who. Whatever she writes is an answer:
a request becomes a request, an offer is kept, and any word at all is a sign of life.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flows import alarm, always, casebook, duty, farewell, offer, pause, silence
from flows import help as asking
from flows.contract import (
    JUST_NOW_MINUTES,
    AddToCase,
    AskNext,
    Case,
    CheckIn,
    Effects,
    EndTalk,
    Erase,
    MoveCase,
    MoveCheckIn,
    Note,
    OpenCase,
    Person,
    Scene,
    SetConsent,
    SetPerson,
    Slots,
    StopPerson,
    T,
)
from flows.heard import Heard
from flows.say import quote, say, tell
from flows.talk import Answer, Ask, Dialogue, Filled, Leave, begin, chosen
from flows.times import into_day, since

FEW_WORDS = 3  # of an answer that is not understood: "weet niet"
MOODS = ("good", "so_so", "bad")
VARIANTS = 4  # ways to ask, so that it does not read like a form
EXPIRES_MINUTES = 8 * 60  # a question that could not be sent all day is not sent in the evening
BUSY_MINUTES = 60  # another question is open, or two people are talking: later today is early enough
BUT_WORDS = 3  # "goed hoor, alleen moe": fewer words around a "maar" say nothing more
PLEASANTRY_WORDS = 5  # what is longer, shortly after "klaar", may be about what is not done after all
AFTER_DONE_HOURS = 48
_MOODS = {
    "checkin_good": "good",
    "checkin_so_so": "so_so",
    "checkin_bad": "bad",
    "call_me_back": "call",
    "yes": "good",
    "thanks": "good",
}


def ask(scene: Scene) -> Effects:
    """The tick's word to somebody whose row of the round is due."""
    now, person, row = scene.now, scene.person, scene.check_in
    assert row is not None
    heard = silence.on_duty(scene) is not None  # nobody is asked how it goes when nobody hears the answer
    if not heard or not silence.is_asked(scene):
        return [MoveCheckIn(row.id, "due", row.rung, "passed")]
    if not person.reachable:
        return silence.not_arrived(scene)
    later = silence.not_now(scene) or _busy(scene)
    if later:
        return [MoveCheckIn(row.id, "due", row.rung, "due", row.rung, later)]
    variant = (row.variant or person.id) % VARIANTS + 1
    key = "first" if not row.habit and not row.quiet and not row.unreached_before and row.variant == 0 else str(variant)
    if row.quiet >= silence.QUIET_WEEKS:
        key = "otherwise"
    due = silence.due_at(scene, 0, now)
    moved = MoveCheckIn(row.id, "due", row.rung, "asked", due_at=due, asked=True, variant=variant)
    return [moved, *question(scene, f"how_{key}" if key != "otherwise" else key)]


def _busy(scene: Scene) -> datetime | None:
    """When to look again while another question is open or she is talking with a contact; None when she is free."""
    talking = any(c.claimed_by and since(scene.now, c.touched_at) < 2 * BUSY_MINUTES for c in scene.own_cases)
    if talking or (scene.talk is not None and scene.talk.dialogue != CHECK_IN.name):
        return into_day(scene.now + timedelta(minutes=BUSY_MINUTES), silence.hood_of(scene))
    return None


def question(scene: Scene, text: str, *, other_channel: bool = False) -> Effects:
    """The question in these words, as the open question of the person; the answer may be 1, 2, 3 or anything."""
    row = scene.check_in
    assert row is not None
    effects = begin(CHECK_IN, scene, {"text": text})
    return [
        replace(
            e,
            say=replace(
                e.say,
                urgency="news",
                check_in=row.id,
                other_channel=other_channel,
                expires_minutes=EXPIRES_MINUTES,
            ),
        )
        if isinstance(e, AskNext)
        else e
        for e in effects
    ]


# --- the answer ---


def mood(scene: Scene, heard: Heard) -> str:
    """What an answer says: "good", "so_so", "bad", "call" (me back), or "" for other words."""
    talk = scene.talk
    if talk is not None and talk.dialogue == CHECK_IN.name and talk.step == HOW.step:
        choice = chosen(HOW, scene, heard)
        if choice:
            return choice
    if "late" in heard.signals:
        return ""
    said = "good" if "yes" in heard.signals else _MOODS.get(heard.intent, "") if heard.clear else ""
    second_half = heard.rest or heard.text
    more = "but" in heard.signals and len(second_half.split()) >= BUT_WORDS
    return "so_so" if said == "good" and more else said


def _how(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    words = str(slots.get("words", "")) if choice else _both(slots, heard)
    if scene.message.attachment:
        return Leave(_sent(scene, heard, slots))
    if not choice and heard.intent != "ask_help" and heard.grief and pause.says_away(heard):
        return Leave(pause.pause(replace(scene, talk=None), heard))
    if not choice and heard.intent != "ask_help" and heard.grief:
        return Filled({"mood": "so_so", "words": words, "grief": True, **_kept(scene, heard)})
    if not choice and heard.intent != "ask_help" and "rest" in heard.signals:
        return Leave(pause.pause(replace(scene, talk=None), heard))
    if not choice and heard.intent != "ask_help" and {"hospital", "kin"} <= heard.signals:
        return Filled({"mood": "so_so", "words": words, **_kept(scene, heard)})  # her husband is away, and she is not
    if not choice and "hospital" in heard.signals and heard.intent != "ask_help":
        return Leave(pause.in_hospital(replace(scene, talk=None), heard))
    ends = asking.is_never_mind(heard) or (heard.clear and heard.intent == "cancel")
    if ends and not choice and (scene.own_cases or scene.drafts):  # "liever niet? schrijf LAAT MAAR"
        return Leave(always.never_mind(replace(scene, talk=None), heard.topics))
    if not choice and "late" in heard.signals:  # "sorry telefoon was leeg" is no reason to call
        return Leave(_fine(scene, heard))
    match choice or mood(scene, heard):
        case "good":
            return Leave([say(scene.person, "check_in.good")])
        case "so_so":
            return Filled({"mood": "so_so", "words": words, **_kept(scene, heard)})
        case "bad":
            return Leave(worry(scene, words, "bad", _not_for(scene, heard)))
        case "call":
            return Leave(worry(scene, words, "call", _not_for(scene, heard)))
    alone = replace(scene, talk=None)
    if not heard.text.strip():
        return None
    if not heard.clear:
        return Leave(begin(asking.HELP, alone, {**asking.matter(scene, heard), "unclear": True}))
    if heard.intent in _INSIDE:
        return Leave(_INSIDE[heard.intent](alone, heard))
    return None


def _fine(scene: Scene, _heard: Heard) -> Effects:
    return [say(scene.person, "check_in.heard")]


def _done(scene: Scene, heard: Heard) -> Effects:
    """ "de lamp doet het weer": what she asked for ends, so that nobody comes for nothing."""
    asked = tuple(c for c in scene.own_cases if c.kind == "help")
    return always.end(scene, asked[-1], "solved") if asked else _fine(scene, heard)


def _request(scene: Scene, heard: Heard) -> Effects:
    """A request; a word about her own family in an answer about herself is no question for another."""
    slots = asking.matter(scene, heard)
    return asking.take_up(scene, {**slots, "for_other": slots["for_other"] and "kin" not in heard.signals})


def _cross(scene: Scene, heard: Heard) -> Effects:
    return [say(scene.person, "always.sorry"), *begin(asking.HELP, scene, asking.matter(scene, heard))]


_INSIDE: dict[str, Callable[[Scene, Heard], Effects]] = {
    "ask_help": _request,
    "offer_help": offer.start,
    "pause": pause.pause,
    "stop": lambda scene, _: always.stop(scene),
    "delete_my_data": lambda scene, _: always.forget(scene),
    "greet_or_vague": _fine,
    "small_talk_or_other": _fine,
    "done": _done,
    "complaint_or_anger": _cross,
}


def _call(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    answer = choice or asking.yes_or_no(heard)
    words = str(slots.get("words", ""))
    if scene.message.attachment:
        return Leave(_sent(scene, heard, slots))
    kept = _not_for(scene, heard) | frozenset(slots.get("kept_from", ()))
    if heard.grief and not choice and not {"yes", "no"} & heard.signals and not pause.says_away(heard):
        mourns = {
            "text": "how_1",
            "mood": "so_so",
            "words": _both(slots, heard),
            "grief": True,
            "kept_from": sorted(kept),
        }
        return Leave(begin(CHECK_IN, replace(scene, talk=None), mourns))
    if not choice and not {"yes", "no"} & heard.signals and heard.intent != "ask_help" and pause.says_away(heard):
        return Leave(pause.pause(replace(scene, talk=None), heard))
    if answer == "yes" or (heard.clear and heard.intent == "call_me_back"):
        more = heard.rest if answer == "yes" else heard.text  # "bel gerust twee keer" is a yes that says more
        return Leave(worry(scene, "\n".join(w for w in (words, more) if w), "call", kept))
    said_no = asking.plain_no(heard) or (answer == "no" and bool(heard.after_no))
    if choice == "no" or said_no or "never_mind" in heard.signals:
        return Leave(begin(NO_CALL, replace(scene, talk=None), dict(slots)))
    if answer == "no":  # a no that was only read into it: "mijn fiets doet het niet" is about something else
        return Leave(_request(replace(scene, talk=None), _with_before(slots, heard)))
    if not heard.clear:  # a few loose words are asked about once more; a sentence is something for a human
        unclear = {**asking.matter(scene, _with_before(slots, heard)), "unclear": True}
        few = len(heard.text.split()) <= FEW_WORDS
        return None if few else Leave(asking.take_up(replace(scene, talk=None), unclear))
    if heard.intent == "checkin_bad":
        return Leave(worry(scene, "\n".join(w for w in (words, heard.text) if w), "bad", kept))
    if heard.intent in ("checkin_good", "thanks"):
        return Leave([say(scene.person, "check_in.no_call")])
    if heard.intent in _INSIDE:
        said = _with_before(slots, heard) if heard.intent == "ask_help" else heard
        return Leave(_INSIDE[heard.intent](replace(scene, talk=None), said))
    if heard.intent == "cancel" and any(c.kind == "help" for c in scene.own_cases):  # "de klusser hoeft niet te komen"
        return Leave(always.never_mind(replace(scene, talk=None), heard.topics))
    return None


def _with_before(slots: Slots, heard: Heard) -> Heard:
    """A request with what she wrote before it, where that was more than a mood, and for everybody who reads it."""
    apart = slots.get("kept_from") or slots.get("grief")
    before = len(str(slots.get("words", "")).split()) > FEW_WORDS and not apart
    return replace(heard, text=_both(slots, heard)) if before else heard


def _sent(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    """A voice note or photo instead of an answer: nobody here hears it, so a contact may."""
    slots = {**asking.matter(scene, heard), "words": _both(slots, heard)}
    return begin(asking.HELP, replace(scene, talk=None), slots)


def _kept(scene: Scene, heard: Heard) -> dict[str, Any]:
    kept = _not_for(scene, heard)
    return {"kept_from": sorted(kept)} if kept else {}


def _not_for(scene: Scene, heard: Heard) -> frozenset[int]:
    """Who may not hear it: "niet tegen Ans", and also "alleen Joop mag bellen"."""
    if not heard.alone_for or scene.place is None:
        return heard.kept_from
    return heard.kept_from | {p.id for p in scene.place.all_contacts if p.id not in heard.alone_for}


def worry(scene: Scene, words: str, why: str, kept_from: frozenset[int] = frozenset()) -> Effects:
    """Somebody does not feel well, or wants to be called: the contact on duty hears it, and she hears who that is.

    Who she does not want to know (`kept_from`) never hears it: then it is for the other one, or for nobody.
    """
    place, person = scene.place, scene.person
    open_ = next((c for c in scene.own_cases if c.kind == "worry"), None)
    if open_ is not None and not kept_from:
        return _once_more(scene, open_, words, why)
    people = _may_hear(scene, kept_from)
    if place is None or not people:
        return [say(person, "check_in.not_told" if kept_from else "help.nobody_there")]
    only = people[0].id if len(people) == 1 and people[0].role == "contact" else None
    kind = "help" if kept_from else "worry"  # a matter for one contact alone stays so when that one is away
    case = Case(place.neighbourhood.id, place.next_number, kind, "open", words, person, only_contact=only)
    key = f"check_in.worry_{why}" if words else f"check_in.worry_{why}_plain"
    args: dict[str, Any] = {"number": case.number, "who": casebook.who(case), "words": quote(words, 300)}
    return [
        casebook.open_case(scene, place, case),
        *(tell(p, key, case, "claim", **args) for p in people),
        say(
            person,
            "check_in.told_night" if silence.is_dark(scene) else "check_in.told",
            contact=on_duty_name(scene, kept_from),
        ),
    ]


def _once_more(scene: Scene, case: Case, words: str, why: str) -> Effects:
    """A worry that is open already: who calls, or who was asked to, hears this as well.

    Nobody must be promised a call that nobody hears of.
    """
    person, holder = scene.person, case.claimed_by
    if holder:
        hear: tuple[Person, ...] = (holder,)
    else:
        hear = casebook.told_about(scene.place, scene.coordinators, case) if scene.place else ()
    key = f"check_in.worry_{why}" if words else f"check_in.worry_{why}_plain"
    args: dict[str, Any] = {"number": case.number, "who": casebook.who(case), "words": quote(words, 300)}
    return [
        *([AddToCase(case.key, person.id, words)] if words else []),
        *(tell(p, key, case, *(() if holder else ("claim",)), **args) for p in hear),
        say(person, "check_in.told", contact=holder.name if holder and person.known else on_duty_name(scene)),
    ]


def _may_hear(scene: Scene, kept_from: frozenset[int]) -> tuple[Person, ...]:
    """Who is on duty, or the other contact where she does not want that one to know."""
    people = duty.on_duty(scene)
    if not kept_from:
        return people
    others = scene.place.all_contacts if scene.place else ()
    may = (p for p in (*people, *others) if p.id not in kept_from)
    return tuple(p for p in may if p.role == "contact" and p.reachable)[:1]


def on_duty_name(scene: Scene, kept_from: frozenset[int] = frozenset()) -> Any:
    """How she may know who is on duty: by name, once somebody knows her."""
    people = _may_hear(scene, kept_from)[:1]
    return people[0].name if people and scene.person.known else T("help.a_contact")


def _not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    return asking.verbatim(scene, {**asking.matter(scene, heard), "words": _both(slots, heard)})


def _both(slots: Slots, heard: Heard) -> str:
    return "\n".join(w for w in (str(slots.get("words", "")), heard.text) if w)


HOW = Ask(
    "how",
    _how,
    choices=lambda *_: MOODS,
    applies=lambda _, slots: "mood" not in slots,
    says=lambda _, slots: f"check_in.{slots['text']}",
    args=lambda scene, _: {"name": scene.person.name, "contact": on_duty_name(scene)},
    base="check_in.how",
)
CALL = Ask(
    "call",
    _call,
    choices=lambda *_: ("yes", "no"),
    applies=lambda _, slots: slots.get("mood") == "so_so",
    says=lambda _, slots: "check_in.call_grief" if slots.get("grief") else "check_in.call",
    base="check_in.call",
    args=lambda scene, slots: {"contact": on_duty_name(scene, frozenset(slots.get("kept_from", ())))},
)
CHECK_IN = Dialogue(
    "check_in",
    (HOW, CALL),
    _not_heard,
    keeps=lambda slots, _scene, heard: {**slots, "words": _both(slots, heard)},
)


def _call_after_all(scene: Scene, heard: Heard, slots: Slots, _choice: str) -> Answer:
    """ "nou ja eigenlijk wel": the call is asked for after all; a bare "ja" may be polite, so it is asked again."""
    if "after_all" in heard.signals:
        kept = frozenset(slots.get("kept_from", ()))
        return Leave(worry(replace(scene, talk=None), str(slots.get("words", "")), "call", kept))
    return Leave(
        begin(CHECK_IN, replace(scene, talk=None), {n: v for n, v in slots.items() if not n.startswith("done:")})
    )


NO_CALL = Dialogue("no_call", (Ask("again", _call_after_all, says=lambda *_: "check_in.no_call"),), _not_heard)


def unasked(scene: Scene, heard: Heard) -> Effects:
    """How it goes, said without being asked: good is good, else one light question whether somebody should call."""
    if heard.intent == "checkin_good" and mood(scene, heard) == "good":
        return [say(scene.person, "check_in.good")]
    return begin(CHECK_IN, scene, {"text": "how_1", "mood": "so_so", "words": heard.text, **_kept(scene, heard)})


def grief(scene: Scene, heard: Heard) -> Effects:
    """Somebody around her has died: one quiet question, whether a contact should call."""
    return begin(
        CHECK_IN, scene, {"text": "how_1", "mood": "so_so", "words": heard.text, "grief": True, **_kept(scene, heard)}
    )


def after(scene: Scene, heard: Heard) -> Effects | None:
    """A few words right after the answer: friendly ones need no answer, worse news is heard. None for other words."""
    row = scene.check_in
    if row is None or row.state != "answered" or scene.talk is not None:
        return None
    if heard.corrected_to in ("2", "3") and not scene.own_cases:  # "o nee ik bedoel 3": the later answer counts
        return unasked(scene, replace(heard, intent="checkin_bad"))
    if since(scene.now, row.answered_at) > JUST_NOW_MINUTES or not heard.clear or scene.message.attachment:
        return None
    if _about_a_matter(scene, heard, row):
        return None
    if heard.intent in ("checkin_so_so", "checkin_bad") or (heard.intent == "checkin_good" and "but" in heard.signals):
        return unasked(scene, heard)
    if not _needs_no_answer(heard) or scene.own_cases or "human" in heard.signals:
        return None
    match heard.as_answer:  # "zo moe van de chemo" is no small talk there, "prettige dag nog" needs no question
        case "checkin_bad":
            return unasked(scene, replace(heard, intent="checkin_bad"))
        case "checkin_so_so":
            return [say(scene.person, "check_in.no_call")]
    return []


def _needs_no_answer(heard: Heard) -> bool:
    """A friendly word after her answer. "nee het lekt nog", "mag ik iets vragen" and "niet aan Joop vertellen" are more."""
    few = len(heard.text.split()) <= PLEASANTRY_WORDS
    if heard.kept_from or heard.alone_for or "secret" in heard.signals or ("but" in heard.signals and not few):
        return False
    match heard.intent:
        case "yes":
            return few or "yes" in heard.signals
        case "no":
            return "no" in heard.signals
        case "greet_or_vague":
            return "me" not in heard.signals
        case _:
            return heard.intent in ("small_talk_or_other", "thanks", "checkin_good")


def _about_a_matter(scene: Scene, heard: Heard, answered: CheckIn) -> bool:
    """ "Klaar? Schrijf het dan gewoon hier": said since her answer; or a day ago, and she writes more than a pleasantry."""
    closed = [
        c.closed_at for c in scene.recent if c.person is not None and c.person.id == scene.person.id and c.closed_at
    ]
    if not closed or answered.answered_at is None:
        return False
    more = len(heard.text.split()) > PLEASANTRY_WORDS and since(scene.now, max(closed)) <= AFTER_DONE_HOURS * 60
    return more or max(closed) >= answered.answered_at


# --- around every message ---


def before_route(scene: Scene) -> Scene:
    """The scene as others should see it: her own silence is no matter of hers, unless a contact talks about it."""
    if scene.check_in is None or scene.person.helps_in_chat:
        return scene
    talking = silence.talking_through(scene)
    kept = tuple(c for c in scene.cases if c.kind != "silence" or c is talking)
    talk = None if talking and scene.talk and scene.talk.dialogue == CHECK_IN.name else scene.talk
    return replace(scene, cases=kept, talk=talk)


def after_route(scene: Scene, heard: Heard, effects: Effects) -> Effects:
    """Whatever was written is a sign of life: the open check-in is answered, and who was told of a silence hears it."""
    row = scene.check_in
    if row is None or row.state not in silence.OPEN or any(isinstance(e, Erase) for e in effects):
        return effects
    passed = MoveCheckIn(row.id, row.state, row.rung, "passed")
    if any(isinstance(e, Note) and e.action == farewell.DIED and e.person == scene.person.id for e in effects):
        # a silence that a contact talks through is among hers, and is closed with those
        gone = {e.key for e in effects if isinstance(e, MoveCase)}
        quiet = silence.quietly_closed(scene, farewell.DIED)
        return [*effects, passed, *(e for e in quiet if not (isinstance(e, MoveCase) and e.key in gone))]
    if any(isinstance(e, StopPerson) and e.stopped and e.person == scene.person.id for e in effects):
        return [*effects, passed, *silence.stopped(scene)]
    said = mood(scene, heard) or "heard"
    first: Effects = [
        MoveCheckIn(r.id, r.state, r.rung, "answered", answer=said if r is row else "household")
        for r in (row, *scene.household)
    ]
    if _in_danger(effects):  # a cry for help is no all-clear: the people who are told now close the silence themselves
        return [*first, *effects]
    if silence.talking_through(scene):
        ended = [EndTalk(scene.person.id, scene.talk.serial)] if scene.talk else []
        return [*first, *ended, *effects]
    return [*first, *effects, *silence.all_clear(scene)]


def _in_danger(effects: Effects) -> bool:
    return any(
        (isinstance(e, OpenCase) and e.kind == "safety")
        or (isinstance(e, AskNext) and e.dialogue == alarm.SAFE.name)
        or (getattr(e, "urgency", "") == "safety")
        for e in effects
    )


# --- one answer for a household ---


def live_together(scene: Scene, heard: Heard) -> Effects:
    """ "huishouden Riet en Henk" of a contact: each is asked whether one answer may count for both."""
    me, command = scene.person, heard.command
    assert command is not None
    people = heard.named_people
    if command.verb == "single":
        if heard.named_person is None:
            return [say(me, "silence.who")]
        same = heard.named_person.household
        together = tuple(p for p in scene.people if same is not None and p.household == same)
        ended: Effects = [SetPerson(p.id, {"household_id": None}) for p in together]
        return [*ended, say(me, "check_in.single", who=heard.named_person.name), Note(me.id, "household")]
    if len(people) < 2:
        return [say(me, "check_in.household_how")]
    number = min(p.id for p in people)
    effects: Effects = []
    for person in people:
        others = casebook.contact_names(tuple(p for p in people if p.id != person.id))
        effects += [
            SetPerson(person.id, {"household_id": number}),
            tell(person, "check_in.household_ask", None, contact=me.name, others=others),
        ]
    return [
        *effects,
        say(me, "check_in.household_asked", names=casebook.contact_names(people)),
        Note(me.id, "household"),
    ]


def household(scene: Scene, agreed: bool) -> Effects:
    """SAMEN JA or SAMEN NEE: her own yes or no to one answer for all who live there."""
    person: Person = scene.person
    key = "check_in.household_yes" if agreed else "check_in.household_no"
    return [SetConsent(person.id, "household", agreed, "check_in.household_ask"), say(person, key)]
