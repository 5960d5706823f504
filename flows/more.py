"""More words about a matter of hers: one that waits, that somebody took, that is danger, or that ended.

    bot aan Riet: Klaar: "mijn lamp is stuk" Is het niet goed? Schrijf het dan gewoon hier.
    bewoner Riet: hij doet het weer niet
    bot aan Riet: Gaat dit over "mijn lamp is stuk"? Of is het iets nieuws?

They go to who reads the matter. After its end thanks go to who did it, and anything else is asked about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows import alarm, casebook, contacts, reactions
from flows import help as asking
from flows.contract import (
    AFTERTALK_DAYS,
    AddToCase,
    Attachment,
    Case,
    Effects,
    Focus,
    MoveCase,
    Person,
    Scene,
    SetPerson,
    Slots,
    T,
)
from flows.heard import Heard
from flows.say import quote, say, tell
from flows.talk import Answer, Ask, Dialogue, Leave, begin
from flows.times import later, since


def words(scene: Scene, heard: Heard, case: Case) -> Effects:
    """More words about that matter, to who reads it now."""
    if case.state == "closed":
        return after(scene, heard, case)
    if case.kind == "safety":
        return alarm.to_warned(scene, heard, case)
    if case.claimed_by is None:
        return casebook.add_to_case(scene, heard, case)
    if not casebook.may_read(case.claimed_by, heard):  # "niet aan Ans vertellen", while Ans has it: a matter of its own
        return asking.take_up(scene, asking.matter(scene, heard))
    return contacts.from_resident(scene, heard, case)


def _same(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    case = next((c for c in (*scene.own_cases, *scene.recent) if c.number == slots["number"]), None)
    said = replace(heard, text=slots["words"])
    if asking.is_never_mind(heard):
        return asking.dropped(scene, slots)
    sent = tuple(Attachment(**a) for a in slots.get("attachments", ()))
    scene = replace(scene, message=replace(scene.message, attachment=sent[-1] if sent else None))
    same = (choice == "same" or "same" in heard.signals or asking.yes_or_no(heard) == "yes") and case is not None
    apart = same and (slots.get("reserved") or slots.get("secret"))  # who was told of that matter must not read this
    if same and case and not apart:
        return Leave(_reopen(scene, said, case) if case.state == "closed" else words(scene, said, case))
    if apart or choice == "new" or "new" in heard.signals or asking.yes_or_no(heard) == "no":
        kept = {k: v for k, v in slots.items() if k != "number"}
        return Leave(begin(asking.HELP, replace(scene, talk=None), kept))
    return None


def _same_args(scene: Scene, slots: Slots) -> dict[str, Any]:
    case = next((c for c in (*scene.own_cases, *scene.recent) if c.number == slots["number"]), None)
    return {"words": quote(case.words, 40) if case and case.words else T("help.your_question")}


SAME = Dialogue(
    "same",
    (Ask("which", _same, choices=lambda *_: ("same", "new"), args=_same_args),),
    asking.not_heard,
    keeps=asking.add,
)


def ended_lately(scene: Scene) -> Case | None:
    """The matter that ended so shortly ago that words may still be about it."""
    asked = [c for c in scene.recent if c.person is not None and c.person.id == scene.person.id and not c.behalf_of]
    last = asked[-1] if asked else None
    return (
        last
        if last and last.outcome == "done" and since(scene.now, last.closed_at) <= AFTERTALK_DAYS * 24 * 60
        else None
    )


def is_about_it(scene: Scene, heard: Heard) -> bool:
    """ "ik doe het toch wel" after a talk that ended: about that, and no offer of anything that can be named."""
    return ended_lately(scene) is not None and not set(heard.topics) - {"overig"}


def after(scene: Scene, heard: Heard, case: Case) -> Effects:
    """Words after "klaar": thanks go to who did it, anything else is asked about; nothing vanishes."""
    helper = _still_reads(scene, case)
    if case.kind == "safety" and "over_now" in heard.signals and len(heard.text.split()) <= reactions.SHORT_WORDS:
        return [say(scene.person, "check_in.good")]
    thanks = heard.clear and heard.intent == "thanks" and "but" not in heard.signals  # "bedankt maar hij lekt nog"
    if thanks and (helper is None or helper.id == scene.person.id):
        return reactions.thanks(scene, heard)
    if thanks and helper:
        return [
            AddToCase(case.key, scene.person.id, heard.text),
            tell(
                helper,
                "contacts.thanks",
                case,
                urgency="news",
                who=casebook.who(case),
                number=case.number,
                words=quote(heard.text, 200),
            ),
            say(scene.person, "help.thanks_passed", contact=helper.name if scene.person.known else T("help.a_contact")),
            *(_give_back(scene) if case.kind == "help" else []),
        ]
    # "ik ben na vieren thuis" is no greeting, "tot morgen" is
    named = heard.when is not None and heard.when.start is not None
    chat = (
        heard.intent == "small_talk_or_other" and len(heard.text.split()) <= reactions.SHORT_WORDS
    )  # else for a human's eyes
    if heard.clear and not named and (chat or heard.intent in ("greet_or_vague", "status")):
        return reactions.INTENTS[heard.intent](scene, heard)
    return begin(SAME, scene, {**asking.matter(scene, heard), "number": case.number})


def _give_back(scene: Scene) -> Effects:
    """Giving back is invited once, never counted and never owed."""
    if scene.person.invited_back or scene.own_offers:
        return []
    return [say(scene.person, "offer.invited"), SetPerson(scene.person.id, {"invited_back": True})]


def _still_reads(scene: Scene, case: Case) -> Person | None:
    """Who had a matter that ended, unless that one said STOP or is away; whom she chose alone stays the one, also when away."""
    helper = case.claimed_by
    here = {p.id for p in (*scene.contacts, *scene.coordinators)}
    there = helper is not None and helper.reachable and (casebook.is_private(case) or helper.id in here)
    return helper if there else None


def _reopen(scene: Scene, heard: Heard, case: Case) -> Effects:
    """The matter lives again, with who had it while that one still reads along; else with all who were told of it."""
    helper, before = _still_reads(scene, case), case.claimed_by
    people = (helper,) if helper else casebook.readers_of(scene, case)
    if not people:
        return casebook.unread(scene, heard, case)
    hood = scene.place.neighbourhood if scene.place else None
    due = later(scene.now, hood, "claimed_quiet" if helper else "help_remind")
    state = "claimed" if helper else "open"
    moved = MoveCase(
        case.key,
        "closed",
        state,
        by=scene.person.id,
        claimed_by_before=before.id if before else None,
        claimed_by=helper.id if helper else None,
        due_at=due,
    )
    kept = AddToCase(case.key, scene.person.id, heard.text, scene.message.attachment)
    verbs = ("close", "hand_back") if helper else ("claim",)
    told = [
        tell(
            p,
            "contacts.reopened",
            case,
            *verbs,
            urgency="talk",
            number=case.number,
            who=casebook.who(case),
            words=casebook.words_sent(heard.text, scene.message.attachment),
        )
        for p in people
    ]
    return [
        moved,
        kept,
        *([Focus(helper.id, case.key)] if helper else []),
        *told,
        *casebook.sent_along(scene, case, people),
        say(
            scene.person,
            "help.reopened",
            contact=(helper.name if helper and scene.person.known else T("help.the_contacts")),
        ),
    ]
