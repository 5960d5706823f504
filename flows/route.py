"""Where a message goes, in one order that never changes.

danger → an invitation → orders → a button → the open question → talking with each other → something new → verbatim to a contact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from flows import (
    alarm,
    always,
    casebook,
    check_in,
    contacts,
    correction,
    duty,
    farewell,
    join,
    more,
    offer,
    pause,
    reactions,
    resident,
    silence,
    twice,
    unnumbered,
    wish,
)
from flows import help as asking
from flows.contract import (
    AFTERTHOUGHTS,
    ANSWER_HOURS,
    AddToCase,
    AskNext,
    Effects,
    EndTalk,
    Erase,
    Focus,
    KeepTalk,
    MoveCase,
    OpenCase,
    Scene,
    SetPerson,
    Slots,
    StopPerson,
    T,
)
from flows.heard import Command, Heard
from flows.say import say, tell
from flows.talk import Answer, Ask, Dialogue, Leave, begin, chosen, resume
from flows.times import since


def route(scene: Scene, heard: Heard) -> Effects:
    """What the bot says and does about one message; pure, so it may be thought again after a conflict."""
    if correction.says_nothing_new(scene, heard) or twice.says_nothing_new(scene, heard):
        return []
    seen = check_in.before_route(scene)
    effects = check_in.after_route(scene, heard, _first(seen, heard))
    return [*effects, *_waits(scene, effects)] if scene.message.back else effects


def _waits(scene: Scene, effects: Effects) -> Effects:
    """What is left for a contact whose phone works again, beside what these words did."""
    if any(isinstance(e, StopPerson | Erase) for e in effects):
        return []
    moved = {e.key for e in effects if isinstance(e, MoveCase)}
    return always.what_waits(replace(scene, cases=tuple(case for case in scene.cases if case.key not in moved)))


def _first(scene: Scene, heard: Heard) -> Effects:
    talk = scene.talk
    if talk and alarm.is_over(scene):  # what the alarm broke off comes back after these words
        again = alarm.again(scene, heard)
        if again is not None:
            return again
        said = _first(replace(scene, talk=None), heard)
        return [EndTalk(scene.person.id, talk.serial), *_back_to(scene, said)]
    if (
        talk
        and talk.dialogue in AFTERTHOUGHTS
        and (heard.danger or not asking.is_after_all(heard))
        and correction.of_talk(scene, heard) is None
    ):
        return [EndTalk(scene.person.id, talk.serial), *_first(replace(scene, talk=None), heard)]
    for step in _STEPS:
        effects = step(scene, heard)
        if effects is not None:
            return effects
    return reactions.verbatim(scene, heard)


def _danger(scene: Scene, heard: Heard) -> Effects | None:
    if (
        scene.message.button
        or (scene.invite and not scene.person.stopped)
        or (heard.command and heard.command.verb in ("relay", "behalf", "talk"))
    ):
        return None  # a contact's words about somebody else's case are not the contact's own danger
    if heard.command and heard.command.number is not None:  # "12 gesproken" is an order, word for word
        return None
    if unnumbered.about_another(scene, heard):
        return None
    at_the_door = unnumbered.about_alarm(scene, heard)
    if at_the_door is not None:
        return at_the_door
    if scene.person.helps_in_chat and heard.reported and heard.danger_kind == "crisis":
        return None  # "ik heb haar gebeld ze neemt niet op" is about who stayed silent
    if heard.danger == "likely" and (heard.command or scene.person.helps_in_chat or _expected(scene, heard)):
        return None
    return alarm.danger(scene, heard)


def _expected(scene: Scene, heard: Heard) -> bool:
    """An answer we asked for: a number of our list, a name and street, a plain yes or no. Nobody is asked about danger then."""
    if scene.talk is None:
        return False
    named = heard.name and len(heard.text.split()) > 1  # one word that sounds like danger is asked about
    if scene.talk.dialogue == "join" and (heard.named_place or heard.typed_street or named):
        return True
    return _answers_question(scene, heard) or bool({"yes", "no"} & heard.signals)


def _opted_out(scene: Scene, heard: Heard) -> Effects | None:
    """After STOP only START speaks; a person who writes something all the same hears how, once. Danger goes on."""
    if scene.message.opt_out == "HELP" and (scene.talk or scene.invite or alarm.live_alarm(scene)):
        return None  # Twilio answered it; but here it is more than a key word
    if scene.message.opt_out:
        return {"STOP": always.stop, "START": always.start_again}.get(scene.message.opt_out, lambda _: [])(scene)
    verb = heard.command.verb if heard.command else ""
    if not scene.person.stopped or (scene.talk and scene.talk.dialogue in _ALOUD and verb in _TO_ALOUD):
        return None
    if scene.person.written_off and verb not in ("start", "forget_me", "stop") and not alarm.live_alarm(scene):
        return farewell.by_written_off(scene, heard)
    if verb in ("start", "back") or scene.message.text.strip() == "/start":  # Telegram's own button
        return always.start_again(scene)
    if verb == "forget_me":
        return always.forget(scene)
    if verb == "stop":
        return []
    rings = alarm.live_alarm(scene)
    return alarm.to_warned(scene, heard, rings) if rings else [alarm.say_safe(scene, "always.still_stopped")]


_ALOUD = ("forget", "safety", "violence")  # questions that are put to who said STOP as well
_TO_ALOUD = ("", "never_mind", "forget_me")  # words and orders that may answer those


def _invited(scene: Scene, heard: Heard) -> Effects | None:
    mistyped = "code" in heard.signals and heard.named_place is None  # else a code would become somebody's name
    if (scene.message.start_code or mistyped) and not scene.invite:
        return [say(scene.person, "join.code_unknown")]
    return join.by_invitation(scene, heard, _first) if scene.invite else None


def _died(scene: Scene, heard: Heard) -> Effects | None:
    return None if scene.message.button else farewell.from_own_phone(scene, heard)


def _corrected(scene: Scene, heard: Heard) -> Effects | None:
    slots = correction.of_talk(scene, heard)
    if scene.talk is None or slots is None:
        return correction.of_case(scene, heard)
    name = scene.talk.dialogue
    return correction.in_talk(scene, DIALOGUES.get(name), slots, aloud=name in _ALOUD)


ORDERS: dict[str, Callable[[Scene], Effects]] = {
    "stop": always.stop,
    "start": always.start_again,
    "help": always.help_text,
    "privacy": always.privacy,
    "my_data": always.my_data,
    "forget_me": always.forget,
    "back": pause.back,
}


FOR_STRANGERS = ("stop", "help", "privacy", "my_data", "forget_me")
"""Orders that mean something for who has not joined; anything else is a first text like another."""


def _order(scene: Scene, heard: Heard) -> Effects | None:
    command = heard.command
    if command is None or scene.message.button:
        return None
    if scene.talk and (command.verb == "never_mind" or (command.verb, scene.talk.dialogue) == ("forget_me", "forget")):
        return None  # the open question hears it first: it may be about just that
    if not scene.person.joined and command.verb not in FOR_STRANGERS:
        return None
    if command.verb == "stop" and scene.person.helps_in_chat and "network" not in heard.signals:
        return always.asks_to_stop(scene)
    if command.verb in ORDERS:
        return ORDERS[command.verb](scene)
    match command.verb:
        case "never_mind":
            return resident.take_back(scene, heard)
        case "pause" | "away":
            return pause.pause(scene, heard)
        case "say_u" | "say_je":
            return always.address(scene, command.verb.removeprefix("say_"))
        case "household_yes" | "household_no" if scene.person.household is not None:
            return check_in.household(scene, command.verb == "household_yes")
        case "died":
            return farewell.from_contact(scene, heard)
        case "alive":
            return farewell.alive_by_contact(scene, heard)
        case "pass_on" if scene.drafts and (scene.talk is None or scene.talk.dialogue in LIGHT):
            return asking.send_draft(scene, scene.drafts[-1])
    if not scene.person.helps_in_chat:
        return None
    match command.verb:
        case "seen" if command.number is None:
            return silence.seen(scene, heard)
        case "pause_for" if heard.named_person is None:
            return pause.pause(scene, heard)
        case "pause_for":
            return pause.by_contact(scene, heard)
        case "back_for":
            return pause.back_by_contact(scene, heard)
        case "household" | "single":
            return check_in.live_together(scene, heard)
    return duty.order(scene, heard) or contacts.order(scene, heard)


KEPT_ORDERS = ("stop", "start", "forget_me", "privacy", "my_data")
"""What stays an order to us while she talks with a contact; the rest is an answer."""

ANSWERS = ("never_mind", "back", "pause")
"""Orders of a contact which are an answer as well, when another contact just asked something: "even niet"."""


def _answering(scene: Scene, heard: Heard) -> Effects | None:
    """A contact wrote to her not long ago and we asked nothing since: what she writes now is for that contact.

    A light question of ours from before those words does not stand between; any other does.
    """
    case = next((c for c in scene.own_cases if c.key == scene.focus and c.claimed_by), None)
    fresh = since(scene.now, scene.focus_at) <= ANSWER_HOURS * 60
    if case is None or not fresh or scene.message.button or _asked_since(scene, heard):
        return None
    verb = heard.command.verb if heard.command else ""
    named = scene.case(scene.message.case) if scene.message.case else case
    if verb in KEPT_ORDERS or named is not case or resident.is_new(scene, heard, (case,)):
        return None
    if scene.person.helps_in_chat and verb and verb not in ANSWERS and not verb.startswith("bare_"):
        return None  # a contact who asked something herself still has the orders of a contact
    if not scene.person.joined and heard.named_place:
        return None  # a name and a street of somebody we did not know yet
    if case.claimed_by and not casebook.may_read(case.claimed_by, heard):
        return None
    passed = contacts.from_resident(scene, heard, case)
    if verb != "never_mind" or case.kind not in ("help", "worry"):
        return passed
    return [*passed, *begin(ENDING, scene, {"number": case.number})]


def _asked_since(scene: Scene, heard: Heard) -> bool:
    talk = scene.talk
    if talk is None or scene.focus_at is None:
        return talk is not None
    return talk.dialogue not in LIGHT or talk.asked_at > scene.focus_at or _answers_question(scene, heard)


LIGHT = (check_in.CHECK_IN.name, offer.OFFER.name, join.WELCOME.name)
"""Questions of ours that step back when a contact writes after them: what comes then is an answer to the contact."""


def _ending(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    case = next((c for c in scene.own_cases if c.number == slots["number"]), None)
    plain = next((a for a in ("yes", "no") if a in heard.signals), "")  # a longer answer is more for the contact
    answer = choice or plain or ("yes" if heard.command and heard.command.verb == "never_mind" else "")
    if answer == "yes":
        return Leave(always.end(scene, case, "taken_back") if case else [say(scene.person, "always.nothing_open")])
    if answer == "no":
        return Leave([say(scene.person, "help.stays_open")])
    return Leave(_first(replace(scene, talk=None), heard))


def _ending_args(scene: Scene, slots: Slots) -> dict[str, Any]:
    case = next((c for c in scene.own_cases if c.number == slots["number"]), None)
    helper = case.claimed_by if case else None
    return {"contact": helper.name if helper and scene.person.known else T("help.a_contact")}


ENDING = Dialogue(
    "ending",
    (
        Ask(
            "sure",
            _ending,
            choices=lambda *_: ("yes", "no"),
            says=lambda *_: "help.stop_too",
            args=_ending_args,
        ),
    ),
    asking.not_heard,
)


def _about_case(scene: Scene, heard: Heard) -> Effects | None:
    """A button on a case, a number before the words, or a reply to a message about a case."""
    message, command = scene.message, heard.command
    verb = ""
    if message.button.startswith("c:"):
        verb = message.button.rsplit(":", 1)[1]
    elif command and command.number is not None and scene.person.helps_in_chat:
        found = scene.by_number(command.number)
        if _answers_question(scene, heard) and (command.verb == "show" or not found):  # "ja 2" names no case here
            return None
        if command.numbers:
            return _each(scene, heard, command)
        if len(found) == 1:
            own = found[0].person is not None and found[0].person.id == scene.person.id
            if own and command.verb == "relay":  # a contact's own matter: said as who asked, perhaps without a name
                return more.words(scene, replace(heard, text=command.rest or heard.text), found[0])
            return contacts.about_case(scene, heard, command.verb, found[0])
        if found:
            return [say(scene.person, "contacts.which_neighbourhood", number=command.number)]
        if command.verb == "claim" and command.rest == heard.text.strip():  # "ik neem 2", of the cake
            return None
        own = heard.clear and heard.intent in ("ask_help", "offer_help", "pause")
        if command.verb == "relay" and own and not heard.opening:  # "2 eieren graag": that number is just a word
            return None
        return [say(scene.person, "contacts.no_such_number", number=command.number)]
    if message.case is None:
        return None
    case = scene.case(message.case)
    here = scene.place is not None and scene.place.neighbourhood.id == message.case[0]
    if (
        case is None and verb and here and scene.person.helps_in_chat
    ):  # taken back by her, or not for this one: said alike
        return [say(scene.person, "contacts.no_such_number", number=message.case[1])]
    if case is None:
        return [say(scene.person, "contacts.not_yours")] if verb else None
    if scene.person.helps_in_chat and not (case.person and case.person.id == scene.person.id):
        return contacts.about_case(scene, heard, verb or (command.verb if command else "relay"), case)
    if verb:
        return [say(scene.person, "contacts.not_yours")]
    return more.words(scene, heard, case)


def _each(scene: Scene, heard: Heard, command: Command) -> Effects:
    """ "1 en 2 ja": the order for each of them, as if they were sent one by one; then no single one is talked about."""
    effects: Effects = []
    for number in command.numbers:
        one = replace(heard, command=replace(command, number=number, numbers=()))
        effects += _about_case(scene, one) or []
    return [*effects, Focus(scene.person.id, None)]


DIALOGUES: dict[str, Dialogue] = {
    d.name: d
    for d in (
        join.JOIN,
        join.WELCOME,
        asking.HELP,
        offer.OFFER,
        alarm.ALARM,
        alarm.SAFE,
        alarm.VIOLENCE,
        always.FORGET,
        always.QUIT,
    )
}


def _open_talk(scene: Scene, heard: Heard) -> Effects | None:
    talk = scene.talk
    if scene.message.button and not _answers_question(scene, heard):  # of another question, or one that we never made
        return [say(scene.person, "always.old_button")]
    if talk is None or talk.dialogue not in DIALOGUES:
        return None
    if resident.wants_erasing(heard) and talk.dialogue not in (always.FORGET.name, alarm.SAFE.name, alarm.ALARM.name):
        return always.forget(scene)
    if _wants_out(heard) and talk.dialogue in _LEFT_BY_STOP:
        return always.asks_to_stop(scene) if scene.person.helps_in_chat else always.stop(scene)
    if talk.dialogue == always.FORGET.name and _says_something_else(scene, heard):
        return _leave_forget(scene, heard)
    effects = _back_to(scene, resume(DIALOGUES[talk.dialogue], scene, heard, _aside, _first))
    return _loud(scene, effects) if talk.dialogue in _ALOUD else effects


_LEFT_BY_STOP = (asking.HELP.name, join.WELCOME.name, pause.HOSPITAL.name, "same")
"""Questions that a goodbye to us is no answer to; to "hoe gaat het" and "hoe vaak" it is heard already."""


def _wants_out(heard: Heard) -> bool:
    """ "ik wil me afmelden", clearly; "laat me met rust" of who is shy about her matter is about that."""
    return heard.clear and heard.intent == "stop" and not {"shy", "secret", "never_mind"} & heard.signals


def _loud(scene: Scene, effects: Effects) -> Effects:
    """A question about danger that is put again is as loud as before; no other is put to who said STOP."""
    asked = [e for e in effects if isinstance(e, AskNext)]
    quiet = [e for e in asked if e.dialogue not in _ALOUD and e.say.urgency != "safety"]  # an alarm is loud itself
    if scene.person.stopped and quiet:
        return [*(e for e in effects if e not in quiet), alarm.say_safe(scene, "always.still_stopped")]
    return alarm.aloud(effects) if any(e.dialogue in _ALOUD for e in asked) else effects


def _back_to(scene: Scene, effects: Effects) -> Effects:
    """These effects, and the talk that was broken off put again, unless the conversation goes on by itself."""
    kept = scene.talk.slots.get("kept") if scene.talk else None
    goes_on = any(isinstance(e, AskNext | KeepTalk | OpenCase | Erase) for e in effects)
    if kept and not goes_on and kept["dialogue"] in DIALOGUES:
        return [*effects, *begin(DIALOGUES[kept["dialogue"]], replace(scene, talk=None), kept["slots"])]
    return effects


_SOMETHING_ELSE = ("ask_help", "offer_help", "call_me_back", "checkin_so_so", "checkin_bad")


def _says_something_else(scene: Scene, heard: Heard) -> bool:
    return heard.clear and heard.intent in _SOMETHING_ELSE and not _expected(scene, heard) and not heard.command


def _leave_forget(scene: Scene, heard: Heard) -> Effects:
    """ "zal ik alles wissen?" left for another matter: nothing is erased, and what was broken off goes along."""
    talk = scene.talk
    assert talk is not None
    alone, kept = replace(scene, talk=None), talk.slots.get("kept")
    first: Effects = [EndTalk(scene.person.id, talk.serial), say(scene.person, "always.not_forgotten")]
    if kept and kept["dialogue"] == asking.HELP.name:
        return [*first, *begin(asking.HELP, alone, asking.add(kept["slots"], scene, heard))]
    return [*first, *_first(alone, heard)]


def _answers_question(scene: Scene, heard: Heard) -> bool:
    """A bare number is the answer to an open question before it is the number of a case."""
    talk = scene.talk
    question = DIALOGUES[talk.dialogue].ask(talk.step) if talk and talk.dialogue in DIALOGUES else None
    return question is not None and chosen(question, scene, heard) != ""


def _aside(scene: Scene, heard: Heard) -> Effects:
    """What may come between a question and its answer: is this a human, who reads along?"""
    if "human" in heard.signals:
        return always.human(scene)
    if heard.clear and heard.intent == "question_about_bot_or_privacy" and not heard.topics:
        return always.question(scene, heard)
    own = tuple(c for c in scene.own_cases if c.kind in ("help", "worry"))
    asked = scene.talk.dialogue if scene.talk and heard.clear and heard.intent == "status" else ""
    if own and asked in LIGHT:
        return resident.status(scene, own[-1])
    if asked == check_in.CHECK_IN.name:
        return asking.still_here(scene) or [say(scene.person, "always.nothing_open")]
    return []  # a question about something to do is a matter, whatever it was taken for


def _stranger(scene: Scene, heard: Heard) -> Effects | None:
    if scene.person.joined:
        return None
    if "human" in heard.signals:
        return always.human(scene)
    reading = scene.own_cases[-1] if scene.own_cases else None
    if reading and (reading.kind == "safety" or not heard.named_place):  # a human is reading already
        return more.words(scene, heard, reading)
    return join.start(scene, heard)


STREET_WORDS = 6  # "ik woon op de Lutmastraat 12" says where she lives and nothing else


def _street(scene: Scene, heard: Heard) -> Effects | None:
    """The street of who gave only a name: kept, and told to who is asked whether they know this new neighbour."""
    found, person = heard.named_place, scene.person
    few = len(heard.text.split()) <= STREET_WORDS and not heard.danger
    if not person.joined or person.street or found is None or not found[1] or not few or scene.talk is not None:
        return None
    kept: Effects = [SetPerson(person.id, {"street": found[1]}), say(person, "help.added")]
    new = next((c for c in scene.own_cases if c.kind == "newcomer" and c.claimed_by is None), None)
    if new is None or scene.place is None:
        return kept
    people = casebook.told_about(scene.place, scene.coordinators, new)
    args = {"number": new.number, "who": casebook.who(new), "street": found[1]}
    return [*kept, *(tell(p, "contacts.newcomer", new, "know", "not_know", **args) for p in people)]


DIALOGUES |= {
    d.name: d
    for d in (
        unnumbered.SPEAKER,
        more.SAME,
        ENDING,
        asking.DROPPED,
        check_in.CHECK_IN,
        check_in.NO_CALL,
        pause.HOSPITAL,
    )
}


def _wished(scene: Scene, heard: Heard) -> Effects | None:
    return None if scene.message.button else wish.heard(scene, heard)


def _after_check_in(scene: Scene, heard: Heard) -> Effects | None:
    is_resident = scene.person.joined and not scene.person.helps_in_chat
    if is_resident and scene.talk is None:
        away = pause.about_being_away(scene, heard)
        if away is not None:
            return away
    if "hospital" in heard.signals and scene.person.joined and scene.talk is None and heard.intent in _ILL:
        if "kin" in heard.signals:
            return check_in.unasked(scene, heard) if not scene.own_cases else None
        return pause.in_hospital(scene, heard)
    mourns = heard.grief and (is_resident or (scene.person.joined and unnumbered.mourns(heard)))
    if mourns and scene.talk is None and heard.intent in _ILL and not scene.own_cases:
        return check_in.grief(scene, heard)
    return check_in.after(scene, heard)


def _own_name(scene: Scene, heard: Heard) -> Effects | None:
    """Her name and street once more, as an answer to an older question of ours: not for who reads "een buur"."""
    if "own_name" not in heard.signals or scene.talk or not any(case.nameless for case in scene.own_cases):
        return None
    return [say(scene.person, "help.stays_nameless")]


_ILL = ("greet_or_vague", "pause", "checkin_bad", "checkin_so_so", "small_talk_or_other", "complaint_or_anger")
_STEPS = (
    _danger,
    _opted_out,
    _invited,
    _died,
    _corrected,
    _wished,
    _own_name,
    _answering,
    offer.taken_back,
    _order,
    _about_case,
    _open_talk,
    alarm.again,
    _stranger,
    _street,
    unnumbered.heard_from,
    _after_check_in,
    resident.by_intent,
)


def too_many(scene: Scene, heard: Heard, how: str) -> Effects:
    """More than anybody types ("first", "more") or a phone that answers by itself ("same"): kept, and answered once.

    Her words stay with what she has open, or as a draft that goes to nobody without her yes. Danger and STOP go on; only
    what comes on top of an alarm that rings already rings no more, or nobody would hear the alarm of another.
    """
    verb = heard.command.verb if heard.command else ""
    rings = next((case for case in scene.own_cases if case.kind == "safety"), None)
    if heard.danger and rings is not None and how == "more":
        return [AddToCase(rings.key, scene.person.id, scene.message.text, scene.message.attachment)]
    if heard.danger or scene.message.opt_out or verb in KEPT_ORDERS or (how == "same" and verb):
        return route(scene, heard)
    told: Effects = [say(scene.person, "always.too_many")] if how == "first" else []
    words, attachment = scene.message.text, scene.message.attachment
    if how == "same" or scene.person.helps_in_chat or not scene.person.joined or not (words.strip() or attachment):
        return told
    kept = (*scene.drafts, *scene.own_cases)[-1:]
    if kept:
        return [*told, AddToCase(kept[0].key, scene.person.id, words, attachment)]
    slots = {"words": words, "attachments": [asdict(attachment)] if attachment else []}
    return [*told, *(e for e in asking.keep_draft(scene, slots) if isinstance(e, OpenCase))]


def broken(scene: Scene) -> Effects:
    """We failed on this message three times: it goes to the contacts as it is, without any reading."""
    slots = {"words": scene.message.text, "attachments": []}
    if not scene.person.joined or scene.place is None:
        return asking.stranger(scene, slots)
    return asking.verbatim(replace(scene, talk=None), slots)
