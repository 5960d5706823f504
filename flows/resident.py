"""A resident's words without an open question: about what she has open or asked before, or something new.

bewoner Riet: is er al iemand voor mijn lamp?
bot aan Riet: Ik heb het aan Ans en Joop gevraagd. Nog niemand heeft het opgepakt. Ik blijf vragen.
bewoner Riet: laat maar
bot aan Riet: Goed. Ik heb dit gestopt: "mijn lamp is stuk" Een reden hoeft niet.
"""

from __future__ import annotations

from flows import alarm, always, casebook, more, offer, pause, reactions
from flows import help as asking
from flows.contract import ANSWER_HOURS, NEW_MATTER_MINUTES, TALK_HOURS, Case, Effects, MoveCase, Scene, T
from flows.heard import Heard
from flows.say import say, tell
from flows.talk import begin
from flows.times import since


def by_intent(scene: Scene, heard: Heard) -> Effects | None:
    """A resident's words without an open question."""
    if not scene.person.joined:
        return None
    if "human" in heard.signals:
        return always.human(scene)
    if "secret" in heard.signals and scene.drafts and heard.intent == "question_about_bot_or_privacy":
        return [say(scene.person, "help.kept")]
    own = tuple(c for c in scene.own_cases if c.kind in ("help", "worry", "safety", "silence"))
    asks = heard.clear and heard.intent == "ask_help"
    if asks and alarm.live_alarm(scene) is None:
        own = tuple(c for c in own if c.kind != "safety")  # an alarm that nobody closed for days takes in no new matter
    claimed = tuple(c for c in own if c.claimed_by)
    if "no" in heard.signals and own and _just_offered_a_call(scene, own[-1]):
        return take_back(scene, heard)
    if heard.clear and not scene.message.attachment:
        effects = _clear_intent(scene, heard, own)
        if effects is not None:
            return effects
    if claimed and not is_new(scene, heard, claimed):
        return more.words(scene, heard, _talked_about(scene, claimed))
    if own and (heard.alone_for or heard.kept_from):
        only = casebook.keep_from(scene, heard, own[-1])
        if only is not None:
            return only
    if own and not is_new(scene, heard, own):
        return more.words(scene, heard, own[-1])
    if own and heard.intent == "ask_help" and not (heard.kept_from or heard.alone_for):
        return begin(more.SAME, scene, {**asking.matter(scene, heard), "number": own[-1].number})
    draft = scene.drafts[-1] if scene.drafts else None
    if draft and since(scene.now, draft.touched_at) > TALK_HOURS * 60:
        draft = None  # kept long ago: only her own DOORGEVEN finds it, no polite "dat is goed"
    other = draft is not None and heard.clear and bool(heard.topics) and not set(heard.topics) & set(draft.topics)
    if draft and asking.yes_or_no(heard) == "yes" and "nameless" in heard.signals:
        return asking.send_draft(scene, draft, nameless=True)
    if draft and not other and (heard.intent in ("ask_help", "small_talk_or_other") or not heard.clear):
        slots = asking.add(asking.draft_slots(draft), scene, heard)
        return [
            MoveCase(draft.key, "draft", "closed", by=scene.person.id, outcome="said_again"),
            *asking.take_up(scene, slots),
        ]
    if draft and asking.yes_or_no(heard) == "yes":
        return asking.send_draft(scene, draft)
    last = more.ended_lately(scene)
    other = last is not None and asks and _is_other(heard, last)
    if (
        last
        and (heard.intent != "offer_help" or more.is_about_it(scene, heard))
        and not other
        and not (asks and last.kind == "safety")
    ):
        return more.after(scene, heard, last)
    if heard.clear and heard.intent in reactions.INTENTS:
        return reactions.INTENTS[heard.intent](scene, heard)
    return reactions.nothing_open(scene, heard) if {"yes", "no"} & heard.signals else None


def _just_offered_a_call(scene: Scene, case: Case) -> bool:
    """She just read "liever niet? schrijf LAAT MAAR": a plain no is then the same word."""
    return (
        case.kind == "worry"
        and case.claimed_by is None
        and case.opened_at is not None
        and since(scene.now, case.opened_at) <= ANSWER_HOURS * 60
    )


def _clear_intent(scene: Scene, heard: Heard, own: tuple[Case, ...]) -> Effects | None:
    match heard.intent:
        case "stop":
            return always.asks_to_stop(scene) if scene.person.helps_in_chat else always.stop(scene)
        case "delete_my_data" if wants_erasing(heard):
            return always.forget(scene)
        case "pause" if not any(c.claimed_by for c in own):
            return pause.pause(scene, heard)
        case "cancel" | "no" if own and heard.kept_from:  # "niet door Joop graag" is no "laat maar"
            return casebook.keep_from(scene, heard, own[-1])
        case "cancel" | "no" if own and heard.when and "corrects" in heard.signals and not asking.is_never_mind(heard):
            return more.words(scene, heard, own[-1])  # "o nee het is vrijdag": another day, and no "laat maar"
        case "cancel" | "no" if own and (heard.intent == "cancel" or asking.is_never_mind(heard)):
            return take_back(scene, heard)
        case "done" if own:
            return always.solved(scene, heard.topics)
        case "status" if own:
            return status(scene, own[-1])
        case "status":
            return asking.still_here(scene) or reactions.nothing_open(scene, heard)
        case "offer_help" if not any(c.claimed_by for c in own) and not more.is_about_it(scene, heard):
            return offer.start(scene, heard)
        case "question_about_bot_or_privacy" if not any(c.claimed_by for c in own):
            return always.question(scene, heard)
    return None


def take_back(scene: Scene, heard: Heard) -> Effects:
    """ "laat maar": a matter ends by her word, but an alarm does not: who was warned reads what she says now."""
    rings = next((c for c in scene.own_cases if c.kind == "safety"), None)
    return more.words(scene, heard, rings) if rings else always.never_mind(scene, heard.topics)


def wants_erasing(heard: Heard) -> bool:
    """ "haal al mijn gegevens weg", in so many words; it is asked about before anything goes."""
    said = {"about_me", "erase"} <= heard.signals and "dont_forget" not in heard.signals
    return said and heard.clear and heard.intent == "delete_my_data"


def status(scene: Scene, case: Case) -> Effects:
    """ "al iets gehoord?": who has it, or that nobody has yet."""
    if case.claimed_by:
        name = case.claimed_by.name if scene.person.known else T("help.a_contact")
        told = tell(
            case.claimed_by, "contacts.asks_after", case, urgency="news", number=case.number, who=casebook.who(case)
        )
        return [say(scene.person, "help.status_claimed", contact=name), told]
    return [say(scene.person, "help.status_open", contacts=asking.readers(scene, {"only": case.only_contact}))]


def is_new(scene: Scene, heard: Heard, cases: tuple[Case, ...]) -> bool:
    """Another subject, clearly asked, some time after the open matter: perhaps another matter."""
    case = _talked_about(scene, cases)
    asks = heard.clear and heard.intent == "ask_help" and _is_other(heard, case)
    return asks and since(scene.now, case.touched_at) > NEW_MATTER_MINUTES


def _is_other(heard: Heard, case: Case) -> bool:
    """True when the subjects of both are known and have nothing in common."""
    return bool(heard.topics) and bool(case.topics) and not set(heard.topics) & set(case.topics)


def _talked_about(scene: Scene, cases: tuple[Case, ...]) -> Case:
    focused = scene.case(scene.focus)
    return focused if focused in cases and focused is not None else cases[-1]
