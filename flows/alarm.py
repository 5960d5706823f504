"""Danger: what she reads, who is warned, and what follows. It comes before anything else she is talking about.

    bewoner Riet: ik ben gevallen en kan niet opstaan
    bot aan Riet: Is er nu gevaar? Bel 112. Ik ben een computer en kan geen hulp sturen. Ik waarschuw nu Ans en Joop.
    bewoner Riet: mijn been bloedt
    bot aan Riet: Ik geef dit nu aan Ans en Joop.

Danger to life goes to both contacts at once, and she is told so. The words she cried with go along only with a consent of
their own; what she writes after it does go on, at any hour, because place and state may save her and she was told before
she wrote that they read it. What she asks to tell nobody is kept back. Who cries for another is not the one in danger: then
the words go along, and we ask where it is.

Violence goes to nobody unless she asks: a contact may know who does it. While that talk is open nothing she writes goes to
anybody without a plain yes for a contact she named. Numbers: see docs/privacy.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows import casebook, contacts
from flows import help as asking
from flows.contract import (
    AGAIN_HOURS,
    TALK_HOURS,
    AddToCase,
    AskNext,
    Case,
    Effects,
    Focus,
    MoveCase,
    Note,
    Person,
    Place,
    Scene,
    Slots,
    T,
)
from flows.heard import SAFETY, Heard
from flows.say import quote, say, tell
from flows.talk import Answer, Ask, Dialogue, Do, Filled, Leave, Stay, begin
from flows.times import later, since


def danger(scene: Scene, heard: Heard) -> Effects | None:
    """The answer to danger, or None where an open question hears it. Never depends on pauses, on the hour or on STOP."""
    if heard.danger_kind not in SAFETY:
        return None
    talk = scene.talk
    asked = talk.dialogue if talk else ""
    private = asked == VIOLENCE.name or bool(talk and talk.slots.get("private"))
    warned = live_alarm(scene)
    if heard.danger_kind == "violence" and not (warned and heard.danger == "likely"):
        if private:
            return None
        slots = {"words": heard.text, "sure": heard.danger == "sure", **interrupted(scene)}
        return [*aloud(begin(VIOLENCE, scene, slots)), Note(scene.person.id, "safety_violence")]
    if warned:  # no second alarm and no question: people read what she says now
        return to_warned(scene, heard, warned)
    if asked == SAFE.name and not (scene.message.edited and heard.danger == "sure"):
        return None  # the open question hears it; only words put right after it would stay unheard there
    reopened = again(scene, heard) if not private else None
    if reopened is not None:
        return reopened
    slots = {
        "intent": heard.danger_kind,
        "words": heard.text,
        "topics": list(heard.topics),
        "for_other": _is_other(heard),
        "private": private,
        "secret": "secret" in heard.signals,
    }
    if not _who_hears(scene)[1] and heard.danger == "likely":  # no offer that we cannot keep
        return [say_safe(scene, f"safety.ask_{heard.danger_kind}_alone")]
    if heard.danger == "likely" or private:
        return aloud(begin(SAFE, scene, {**slots, **interrupted(scene)}))
    secret, place = "secret" in heard.signals, None if scene.person.joined else heard.named_place
    if place:  # who is new says where: the contacts of that street hear it
        scene = replace(scene, places=(place[0],))
    return alarm(
        scene,
        heard.danger_kind,
        heard.text,
        other=_is_other(heard),
        named=heard.named_person,
        wordless=secret,
        street=_address(heard) if place else "",
    )


def _address(heard: Heard) -> str:
    """Where somebody new says to be: all of a text that is no more than that, else the street and the number behind it."""
    if len(heard.text.split()) <= ADDRESS_WORDS or heard.named_place is None:
        return heard.text
    _, street, said = heard.named_place
    behind = heard.text.lower().partition(said.lower())[2].split()[:1]
    return f"{street} {behind[0].strip('.,;')}" if behind and behind[0][0].isdigit() else street


def _is_other(heard: Heard) -> bool:
    """An emergency of somebody else: "ik heb haar al dagen niet gezien" holds a name that must not get lost."""
    seen = "of_another" in heard.signals or ("of_her" in heard.signals and "done_to_me" not in heard.signals)
    return heard.for_other or (heard.danger_kind == "emergency" and seen)


def alarm(
    scene: Scene,
    intent: str,
    words: str,
    *,
    other: bool = False,
    named: Person | None = None,
    wordless: bool = False,
    only: int = 0,
    now: bool = False,
    street: str = "",
) -> Effects:
    """The number to call first, and both contacts at once; who wrote is told what happens and what does not.

    `other`: it is about somebody else, perhaps `named`; then the words go along, and say whose door it is. `wordless`:
    what she wrote was to be told nobody. `only`: the one contact she says yes to, when we asked whether to warn. `now`:
    she said yes, there is danger, so that the number is no question any more. `street`: where who is new says to be.
    """
    me = scene.person
    place, people = _who_hears(scene, named)
    people = tuple(p for p in people if p.id == only) or people
    only = only if any(p.id == only for p in people) else 0
    now_ = "_now" if now and intent == "emergency" else ""
    if place is None or not people:
        return [say_safe(scene, f"safety.{intent}{now_}_alone"), Note(me.id, "safety_" + intent)]
    other = other or named is not None
    asks_where = other and not (named and named.street)
    where = (
        "_other"
        if asks_where
        else "_where"
        if intent == "emergency" and not (me.street or any(c.isdigit() for c in street)) and not other
        else ""
    )
    shares = other or ("safety" in me.consents and not wordless)
    open_ = next((c for c in scene.own_cases if c.kind == "safety"), None)
    who = me.name or T("contacts.a_neighbour")
    home = named if named else me
    args: dict[str, Any] = {
        "who": who,
        "words": quote(words, 300),
        "street": home.street or street or T("contacts.no_street"),
        "about": named.name if named else "",
    }
    key = (
        "safety.tell_about"
        if named
        else "safety.tell_other"
        if other
        else "safety.tell_words"
        if shares
        else "safety.tell"
    )
    number = open_.number if open_ else place.next_number
    if not me.name and not named:
        args["do"] = T("contacts.danger_write_back", {"number": number})
    else:
        args["do"] = (
            T("contacts.danger_call_ask", {"who": who}) if key == "safety.tell_other" else T("contacts.danger_call")
        )
    answer = aloud(
        begin(ALARM, scene, {"text": f"safety.{intent}{now_}{where}", "told": [p.id for p in people], **_parked(scene)})
    )
    if open_:
        return [*answer, *(tell(p, key, open_, "claim", urgency="safety", number=number, **args) for p in people)]
    case = Case(
        neighbourhood=place.neighbourhood.id,
        number=number,
        kind="safety",
        state="open",
        words=words if shares else "",
        person=me,
        urgency="now",
        wordless=not shares,
        only_contact=only or None,
    )
    told = [tell(p, key, case, "claim", urgency="safety", number=number, **args) for p in people]
    return [*answer, casebook.open_case(scene, place, case), *told]


def _who_hears(scene: Scene, named: Person | None = None) -> tuple[Place | None, tuple[Person, ...]]:
    """Who is told of danger: the contacts, or the coordinator; not who wrote, and not who is in danger."""
    place = scene.place or (scene.places[0] if scene.places else None)
    placed = scene.place is not None or len(scene.places) == 1
    out = {scene.person.id, named.id if named else 0}
    contacts = tuple(p for p in place.contacts if p.id not in out) if place and placed else ()
    return place, contacts or tuple(p for p in scene.coordinators if p.id not in out)


def live_alarm(scene: Scene) -> Case | None:
    """Her open alarm, while her words are still about it; one that nobody closed for days is a matter like another."""
    alarms = [c for c in scene.own_cases if c.kind == "safety"]
    talking = scene.talk is not None and scene.talk.dialogue == ALARM.name
    fresh = [c for c in alarms if talking or c.opened_at is None or since(scene.now, c.opened_at) <= TALK_HOURS * 60]
    return fresh[-1] if fresh else None


def is_over(scene: Scene) -> bool:
    """True when the alarm this talk is about was closed, or a contact who raised one is at work again."""
    talk = scene.talk
    if talk is None or talk.dialogue != ALARM.name:
        return False
    working = scene.person.helps_in_chat and scene.focus_at is not None and scene.focus_at > talk.asked_at
    return working or live_alarm(scene) is None


def to_warned(scene: Scene, heard: Heard, case: Case) -> Effects:
    """Her words after an alarm, to who was warned: at once, at any hour, also after STOP; she knows that they read them."""
    only = _only_one(scene, heard)
    hidden = case.claimed_by is not None and not casebook.may_read(case.claimed_by, heard)
    if ("secret" in heard.signals and not only) or hidden:
        return [say_safe(scene, "safety.kept_back")]
    if only:
        case = replace(case, only_contact=only)
    told = contacts.from_resident(scene, heard, case) if case.claimed_by else casebook.add_to_case(scene, heard, case)
    return (
        [say_safe(scene, "always.human", contacts=casebook.names_for(scene)), *told]
        if "human" in heard.signals
        else told
    )


def again(scene: Scene, heard: Heard) -> Effects | None:
    """Words in the hours after her alarm was closed, perhaps by a mistaken tap: who closed it reads them, and it lives again.

    What sounds like danger is open for everybody who was warned, so that it climbs. None for thanks, for "alles goed", for
    an order, for another matter, and for sure danger, which is an alarm of its own.
    """
    case = _just_closed(scene)
    if case is None or heard.danger == "sure" or heard.danger_kind == "violence" or not _is_word(scene, heard, case):
        return None
    place, here = _who_hears(scene)
    closer = case.claimed_by
    there = closer is not None and closer.id in {p.id for p in (*here, *scene.coordinators)}
    helper = closer if there and not heard.danger else None  # who is away since would not read it
    everyone = {p.id: p for p in (*here, *((closer,) if closer and there else ()))}
    people = (helper,) if helper else tuple(p for p in everyone.values() if case.only_contact in (None, p.id))
    if not people:
        return None
    step = "claimed_quiet" if helper else "safety_remind"
    due = later(scene.now, place.neighbourhood if place else None, step, at_night=helper is None)
    opened = MoveCase(
        case.key,
        "closed",
        "claimed" if helper else "open",
        by=scene.person.id,
        claimed_by_before=closer.id if closer else None,
        claimed_by=helper.id if helper else None,
        due_at=due,
    )
    more = casebook.all_words(case, heard)
    kept = AddToCase(case.key, scene.person.id, heard.text, scene.message.attachment, instead=more)
    text = f"safety.again_{heard.danger_kind}" if heard.danger else "safety.again"
    answer = aloud(begin(ALARM, scene, {"text": text, "told": [p.id for p in people], **_parked(scene)}))
    key, verbs = ("contacts.reopened", ("close", "hand_back")) if helper else ("safety.tell_again", ("claim",))
    args = casebook.case_args(replace(case, words=heard.text))
    args["words"] = casebook.words_sent(heard.text, scene.message.attachment)
    told: Effects = [tell(p, key, case, *verbs, urgency="safety", **args) for p in people]
    told += casebook.sent_along(scene, case, people)
    return [opened, kept, *([Focus(helper.id, case.key)] if helper else []), *told, *answer]


def _just_closed(scene: Scene) -> Case | None:
    """Her alarm that was closed some hours ago, while no contact wrote to her about another matter since."""
    mine = [c for c in scene.recent if c.kind == "safety" and c.person is not None and c.person.id == scene.person.id]
    last = mine[-1] if mine and live_alarm(scene) is None else None
    if last is None or last.closed_at is None or since(scene.now, last.closed_at) > AGAIN_HOURS * 60:
        return None
    elsewhere = scene.focus not in (None, last.key) and scene.focus_at is not None and scene.focus_at > last.closed_at
    return None if elsewhere or scene.person.helps_in_chat else last


def _is_word(scene: Scene, heard: Heard, case: Case) -> bool:
    """Words that may be about the alarm that was closed: no order, no goodbye, no thanks and no other matter."""
    message = scene.message
    if message.button or message.edited or message.opt_out or scene.invite or message.case not in (None, case.key):
        return False
    if (
        heard.farewell
        or heard.wish
        or heard.spares
        or heard.kept_from
        or (heard.command and heard.command.verb != "help")
    ):
        return False
    if heard.danger:
        return True
    if {"secret", "yes", "no", "own_name"} & heard.signals or _says_no(heard) or heard.named_place:
        return False
    other = bool(set(heard.topics) - NO_MATTER) and heard.intent in ("ask_help", "offer_help")
    thanks = heard.intent == "thanks" and "but" not in heard.signals  # "bedankt maar het doet nog pijn" is more
    return not (heard.clear and (other or thanks or heard.intent in ("pause", "delete_my_data")))


def _parked(scene: Scene) -> dict[str, Any]:
    """What an alarm broke off and is taken up again when it is over. A cry is itself the answer to "hoe gaat het"."""
    kept = interrupted(scene)
    return kept if kept and kept["kept"]["dialogue"] not in ("check_in", VIOLENCE.name, ALARM.name) else {}


def _alarm_then(scene: Scene, heard: Heard, _slots: Slots, _choice: str) -> Answer:
    case = live_alarm(scene)
    return Stay({}, to_warned(scene, heard, case)) if case else None


def _alarm_args(scene: Scene, slots: Slots) -> dict[str, Any]:
    told, here = set(slots["told"]), {p.id: p for p in (*scene.coordinators, *scene.contacts)}  # who stands in is both
    people = tuple(here[i] for i in slots["told"] if i in here) or tuple(
        p for place in scene.places for p in place.contacts if p.id in told
    )
    known = scene.person.known
    names = casebook.contact_names(people) if known else T("help.the_contacts")
    one = known and len(people) == 1
    return {"contacts": names, "reads": T("safety.reads_one" if one else "safety.reads", {"contacts": names})}


ALARM = Dialogue(
    "alarm",
    (Ask("then", _alarm_then, says=lambda _, slots: str(slots["text"]), args=_alarm_args),),
    lambda scene, _heard, _slots: [say_safe(scene, "safety.good")],
)


def say_safe(scene: Scene, key: str, **args: Any) -> Any:
    """A safety text: passes quiet hours, pauses and STOP."""
    return replace(say(scene.person, key, **args), urgency="safety")


def interrupted(scene: Scene) -> dict[str, Any]:
    """The slot in which a question that comes between keeps the talk it broke off; `route` goes back to it."""
    talk = scene.talk
    if talk is None:
        return {}
    if talk.dialogue == VIOLENCE.name:  # what she was promised there holds, whatever comes between
        return {"kept": {"dialogue": talk.dialogue, "slots": {**talk.slots, "told": True, "who_asked": True}}}
    if "kept" in talk.slots:
        return {"kept": talk.slots["kept"]}
    return {} if talk.dialogue == ALARM.name else {"kept": {"dialogue": talk.dialogue, "slots": dict(talk.slots)}}


ADDRESS_WORDS = 4  # "lutmastraat 5 twee hoog" is all address; of more words only the street is taken
CALM = ("checkin_good", "done")
"""What says as clearly as a no that there is no danger."""

NO_MATTER = {"overig", "gezelschap"}
"""Topics that any sad sentence may be read with: who said "nee, gewoon moe" is not asked whether to pass that on."""


def _is_ask(heard: Heard) -> bool:
    """A clear ask for something. "help me" is a cry, and "overig" stands for anything."""
    return heard.clear and heard.intent == "ask_help" and bool(set(heard.topics) - {"overig"})


def _says_no(heard: Heard) -> bool:
    """A real no to our question about danger. Nothing else closes it: "waar blijft iedereen" is read as calm talk."""
    if "no" in heard.signals or asking.is_never_mind(heard):
        return True
    calm = not heard.danger and ("over_now" in heard.signals or (heard.clear and heard.intent in CALM))
    return (calm or bool(heard.after_no) or asking.plain_no(heard)) and heard.danger != "sure"


def _says_come(heard: Heard) -> bool:
    """She waits for somebody already, and was never told that nobody knows yet: "wie komt er", "hoe lang duurt het"."""
    return "waits_for_us" in heard.signals or (heard.clear and heard.intent == "status")


def _answers_contact(scene: Scene, heard: Heard, slots: Slots) -> Answer:
    """Who was written to by a contact after our question answers that contact; None when nobody did, or it is not for them."""
    case, at, talk = scene.case(scene.focus), scene.focus_at, scene.talk
    if case is None or at is None or talk is None or at <= talk.asked_at or case.state != "claimed":
        return None
    own = case.person is not None and case.person.id == scene.person.id
    private = heard.danger or heard.mentions or heard.spares or "secret" in heard.signals
    if not own or private or slots.get("answered") == at.isoformat():
        return None
    return Stay({"answered": at.isoformat()}, contacts.from_resident(scene, heard, case))


def _safe_answer(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    """A yes, or a second word of danger, is an alarm; what she kept private goes on by a yes alone."""
    relayed = None if choice else _answers_contact(scene, heard, {})
    if relayed:
        return relayed
    private, secret = slots.get("private"), bool(slots.get("secret")) or "secret" in heard.signals
    yes = choice == "yes" or (not choice and asking.yes_or_no(heard) == "yes")
    only = 0 if choice else _only_one(scene, heard)
    named = bool(only and heard.alone_for and not private)  # "niet aan Joop" is no yes to Ans yet
    calls = slots["intent"] == "crisis" and heard.clear and heard.intent == "call_me_back"  # just what we offered
    new = not scene.person.joined and not _says_no(heard)
    place = heard.named_place if new else None  # who is new says where to come: that is a yes
    cries = heard.danger == "sure" or "bare" in heard.signals or _says_come(heard) or calls or place is not None
    if yes or named or (cries and not private and not choice):
        words = slots["words"] if choice else f"{slots['words']}\n{heard.text}"
        other = bool(slots.get("for_other"))
        where = replace(scene, places=(place[0],)) if place else scene
        street = _address(heard) if place else ""
        return Leave(
            alarm(where, slots["intent"], words, other=other, wordless=secret, only=only, now=yes, street=street)
        )
    calm = "safety.good_crisis" if slots["intent"] == "crisis" else "safety.good"
    good = [] if private else [say_safe(scene, calm)]
    if "secret" in heard.signals:  # whom she wants to tell nothing, we ask no more
        return Leave(good or [say_safe(scene, "safety.quiet")])
    if choice == "no" or _says_no(heard):
        about = set(slots.get("topics", ())) - NO_MATTER
        if "beside" in slots and not private:
            return Leave([*good, *asking.beside(scene, slots)])
        if about and "kept" not in slots and scene.person.joined:  # it was about a matter
            matter = {"words": slots["words"], "topics": slots["topics"], "unclear": True}
            return Leave([*good, *begin(asking.HELP, replace(scene, talk=None), matter)])
        return Leave([*good])
    if heard.danger and not private:
        return Leave(_safe_not_heard(scene, heard, slots))
    return None


def _safe_keeps(slots: Slots, scene: Scene, heard: Heard) -> dict[str, Any]:
    """Words beside our question go along with an alarm; what is asked in them comes back after a no."""
    kept = {**slots, "words": f"{slots['words']}\n{heard.text}"}
    asks = (
        scene.message.attachment is not None
        or _is_ask(heard)
        or (heard.clear and heard.intent in ("call_me_back", "complaint_or_anger"))
    )
    return asking.keep_beside(kept, scene, heard) if asks else kept


def _only_one(scene: Scene, heard: Heard) -> int:
    """The one contact she says may be warned ("ja maar alleen aan Ans"); 0 when she names nobody or several."""
    if not (heard.alone_for or heard.kept_from) or not scene.person.known:
        return 0
    may = casebook.allowed(scene, heard)
    return may[0].id if len(may) == 1 and may[0] in scene.contacts else 0


def _safe_not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    if slots.get("private"):
        return []
    if slots.get("secret"):  # a wish to tell nobody is no riddle that others must solve
        return [say_safe(scene, "safety.good_crisis" if slots["intent"] == "crisis" else "safety.good")]
    words = f"{slots['words']}\n{heard.text}"
    return alarm(scene, slots["intent"], words, other=bool(slots.get("for_other")))


def aloud(effects: Effects) -> Effects:
    """Questions that are put at any hour, and also to who said STOP."""
    return [replace(e, say=replace(e.say, urgency="safety")) if isinstance(e, AskNext) else e for e in effects]


NAMING_WORDS = 2  # "Joop" or "alleen Joop" names who may know; in a longer sentence a word must say so


def _may_know(heard: Heard) -> int:
    """The one contact she plainly lets know: named, beside no "not", in no question. 0 for nobody."""
    if len(heard.mentions) != 1 or heard.spares or heard.danger_kind == "violence" or "?" in heard.text:
        return 0
    plainly = "may_know" in heard.signals or len(heard.text.split()) <= NAMING_WORDS
    return next(iter(heard.mentions)) if plainly else 0


def _violence_then(scene: Scene, heard: Heard, slots: Slots, _choice: str) -> Answer:
    """What she says after the numbers: nothing goes on unless she names who may know."""
    named = _may_know(heard)
    return Filled({"only": named}) if named else _nothing_told(scene, heard, slots)


def _violence_sure(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    """A plain yes for the one she named, and for nobody else; another name asks anew."""
    only, named = slots["only"], _may_know(heard)
    if choice.startswith("yes"):
        return Filled({"how": "yes"})
    if named and named != only:
        return Stay(
            {"only": named}, [say_safe(scene, "safety.violence_pass_on_again", first=_contact_name(scene, named))]
        )
    refused = choice == "no" or only in heard.spares
    if only and not refused and asking.yes_or_no(heard) == "yes" and not _answers_contact(scene, heard, slots):
        return Filled({"how": "yes"})
    return Stay({"only": 0}, [say_safe(scene, "safety.quiet")]) if refused else _nothing_told(scene, heard, slots)


def _nothing_told(scene: Scene, heard: Heard, slots: Slots) -> Answer:
    """Words that tell nobody anything: a yes to danger now, a no, more of her story, a question, or another matter."""
    if heard.danger_kind == "violence":
        words = {"words": f"{slots['words']}\n{heard.text}", "sure": True}
        return Stay(words, [say_safe(scene, "safety.violence_more" if slots["sure"] else "safety.violence")])
    relayed = _answers_contact(scene, heard, slots)
    if relayed:
        return relayed
    answer = asking.yes_or_no(heard)
    if answer == "no" or heard.spares or heard.signals & {"never_mind", "secret"}:
        return Stay({"only": 0}, [say_safe(scene, "safety.quiet")])
    names = tuple(p.name for p in scene.contacts) if scene.person.known else ()
    if answer == "yes" and slots.get("who_asked") and names:
        return Stay({}, [say_safe(scene, "safety.violence_name", names=names)])
    if answer == "yes" and not slots["sure"]:
        return Stay({"sure": True}, [say_safe(scene, "safety.violence")])
    if answer == "yes" or "bare" in heard.signals:
        return Stay({"sure": True}, [say_safe(scene, "safety.violence_now")])
    if heard.clear and heard.intent == "thanks":
        return Stay({}, [say_safe(scene, "always.welcome")])
    if _is_ask(heard):
        return Leave(begin(asking.HELP, replace(scene, talk=None), asking.matter(scene, heard)))  # asks for her yes
    again = not names or (slots.get("who_asked") and not heard.mentions)  # who is new knows no name to give
    return Stay({"who_asked": True}, [say_safe(scene, f"safety.violence_{'more' if again else 'who'}")])


def _contact_name(scene: Scene, person: int) -> str:
    return next((p.name for p in scene.contacts if p.id == person), "")


def _violence_text(_scene: Scene, slots: Slots) -> str:
    if slots.get("told"):
        return "safety.violence_who"
    return "safety.violence" if slots["sure"] else "safety.violence_likely"


VIOLENCE = Dialogue(
    "violence",
    (
        Ask("then", _violence_then, says=_violence_text),
        Ask(
            "agreed",
            _violence_sure,
            choices=lambda _, slots: (f"yes={slots['only']}", "no") if slots["only"] else (),
            says=lambda *_: "safety.violence_pass_on",
            args=lambda scene, slots: {"first": _contact_name(scene, slots["only"])},
        ),
        Do("passed", asking.pass_on),
    ),
    lambda scene, _heard, _slots: [say_safe(scene, "safety.quiet")],
)


SAFE = Dialogue(
    "safety",
    (
        Ask(
            "ask",
            _safe_answer,
            choices=lambda *_: ("yes", "no"),
            says=lambda _, slots: f"safety.ask_{slots['intent']}",
            args=lambda scene, _: {"contacts": casebook.names_for(scene)},
        ),
    ),
    _safe_not_heard,
    keeps=_safe_keeps,
)


# --- orders ---
