"""Plain words of a contact, without a number: for who they talk with, about what is open, or the contact's own.

    bot aan Ans: 1 Riet vraagt: "mijn lamp is stuk" Wie pakt het op? [1 Ik pak dit op]
    contact Ans: ik doe het wel
    bot aan Ans: 1 is van jou. Wat je hier schrijft, gaat naar Riet. Klaar? Schrijf 1 klaar. Lukt het niet? 1 terug.
    contact Ans: Heb je een trapje?
    bot aan Riet: Ans: Heb je een trapje?

In the middle of a talk everything goes on. It is asked only when the words may be the contact's own, and what is written
meanwhile is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from flows import casebook, claims, contacts, duty, lookup, pause, silence
from flows import help as asking
from flows.casebook import who
from flows.contract import JUST_NOW_MINUTES, AddToCase, Attachment, Case, Effects, Scene, Slots
from flows.heard import Heard
from flows.say import quote, say, tell
from flows.talk import Answer, Ask, Dialogue, Leave, begin
from flows.times import since

NAMING_WORDS = 2  # "voor Riet" answers "voor wie is dit?"; what is longer may say something else
CASES_MAX = 3  # cases named in one question
KNOW_WORDS = 5  # "die ken ik ook niet": what is longer may be said to somebody
NOTE_MINUTES = 30  # so long after another contact's words, plain words are an answer to those
_SHORT = ("yes", "no", "done", "cancel", "status")  # answers to nothing: what is open is shown
_LIGHT = ("greet_or_vague", "thanks", "question_about_bot_or_privacy", "stop", "delete_my_data", "pause")


def heard_from(scene: Scene, heard: Heard) -> Effects | None:
    """What a contact's plain words do; None when they are the contact's own, and then as a resident's."""
    if not scene.person.helps_in_chat:
        return None
    if heard.named_person and heard.command and heard.command.verb == "talk":
        return contacts.start_talk(scene, heard, heard.named_person, heard.command.rest)
    talking = talked_with(scene)
    mine = claims.mine(scene)
    if "resigns" in heard.signals and scene.person.role == "contact" and "?" not in heard.text:
        return duty.resigns(scene, heard)
    if _is_home(scene, heard):
        return duty.back(scene)
    danger = _in_danger(scene, heard, talking)
    if danger is not None:
        return danger
    told = _told_us(scene, heard, mine, talking)
    if told is not None:
        return told
    if heard.command and heard.command.verb.startswith("bare_"):
        effects = _bare_order(scene, heard, mine, talking)
        if effects is not None:
            return effects
    named = _by_name(scene, heard, mine, talking)
    if named is not None:
        return named
    asked = _asked_by_other(scene)
    if asked is not None and not heard.opening:
        return contacts.relay(scene, heard, asked, heard.text)
    cried = _cried_since(scene, talking) if talking else None
    if cried is not None:  # she cried for help in the meantime: are these words an answer to that?
        return _whose(scene, heard, (cried,), own=False)
    if talking:
        if (_asks_anyone(heard) or _asks_own(heard, talking)) and not _speaks_to(heard, talking):
            return _whose(scene, heard, mine, own=True)
        return contacts.words(scene, heard, talking, heard.text)
    if mourns(heard):
        return None
    if {"me", "am"} & heard.signals and pause.says_away(heard) and heard.command is None:
        return pause.pause(scene, heard)
    effects = _about_what_is_open(scene, heard, mine)
    if effects is not None:
        return effects
    own = heard.clear and heard.intent in ("ask_help", "offer_help", "pause", "question_about_bot_or_privacy")
    if mine:
        return None if own else _whose(scene, heard, mine, own=False)
    return _without_place(scene, heard)


def _is_home(scene: Scene, heard: Heard) -> bool:
    """ "ik ben weer thuis" of a contact who was away; said of nobody else, and in so few words that it is no story."""
    until, few = scene.person.paused_until, len(heard.text.split()) <= pause.HOME_WORDS
    away = until is not None and until > scene.now
    return away and few and "home" in heard.signals and heard.command is None and not heard.about_somebody


def mourns(heard: Heard) -> bool:
    """ "mijn vrouw is overleden": a contact's own grief, as a resident's."""
    return heard.grief and "kin" in heard.signals and heard.command is None


def _in_danger(scene: Scene, heard: Heard, talking: Case | None) -> Effects | None:
    """ "ga nu", "ik kan niet", "moet ik ook komen?": while there is danger, a few words are about that. None for others."""
    going, asks = heard.opening == "going" and "away" not in heard.signals, "shall_i" in heard.signals
    declines = heard.opening in ("decline", "hand_back")
    alarms = tuple(c for c in scene.cases if c.kind == "safety" and not _is_one_of(c, (scene.person.id,)))
    if declines:  # only of what nobody took; who has one hands it back as in any talk
        alarms = tuple(c for c in alarms if c.claimed_by is None)
    if not (going or asks or declines) or not alarms or talking in alarms:
        return None
    if talking is not None and not all(_is_newer(scene, c) for c in alarms):
        return None
    if len(alarms) > 1:
        return _which(scene, alarms)
    alarm, me = alarms[0], scene.person
    if asks and alarm.claimed_by is None:
        return [tell(me, "contacts.nobody_goes", alarm, "claim", urgency="reply", number=alarm.number)]
    if declines:
        return contacts.words(scene, heard, alarm, heard.text)
    if alarm.claimed_by is None and not contacts.is_going(heard):  # "ik ga morgen wel even"
        return _whose(scene, heard, alarms, own=False)
    return contacts.words(scene, heard, alarm, heard.text)


def _by_name(scene: Scene, heard: Heard, mine: tuple[Case, ...], talking: Case | None) -> Effects | None:
    """ "riet ik kom om tien uur": for the resident whom these words call, and never to one while they name another.

    A nameless asker is found by no name: who is named there is always asked about, whoever it is.
    """
    if heard.called or not heard.names:
        return None
    told_of = "tells_of" in heard.signals and not {"to_you", "me"} & heard.signals and "?" not in heard.text
    if (
        talking is not None and told_of and contacts.is_named(heard, talking)
    ):  # "die Riet zeurt": not said to Riet herself
        return _whose(scene, heard, (talking,), own=False)
    called = tuple(c for c in mine if _is_one_of(c, heard.calls))
    if called and all(_is_one_of(called[0], {name}) for name in heard.names):
        case = talking if talking in called else called[0] if len(called) == 1 else None
        return contacts.words(scene, heard, case, heard.text) if case else _whose(scene, heard, called, own=False)
    if talking is None or all(_is_one_of(talking, {name}) for name in heard.names):
        return None
    theirs = (*mine, *_of_others(scene, taken=False))
    meant = tuple(c for c in theirs if _is_one_of(c, heard.names))
    return _whose(scene, heard, tuple(dict.fromkeys((*meant, talking, *mine))), own=False)


def _is_one_of(case: Case, people: Collection[int]) -> bool:
    """Whether the one a case is about, as far as we may say so, is among these people."""
    return case.person is not None and not case.nameless and case.person.id in people


def about_another(scene: Scene, heard: Heard) -> bool:
    """Danger in a contact's words to the resident they talk with ("doet hij je pijn?"), and not the contact's own."""
    if not scene.person.helps_in_chat:
        return False
    case = next((c for c in claims.mine(scene) if _is_one_of(c, heard.calls)), talked_with(scene))
    if case is None or (heard.named_person is not None and heard.named_person != case.person):
        return False
    to_you, done_to_me = "to_you" in heard.signals, "done_to_me" in heard.signals
    if heard.danger_kind == "violence":
        return not done_to_me
    return to_you and (case.kind == "safety" or not (done_to_me or "me" in heard.signals))


def about_alarm(scene: Scene, heard: Heard) -> Effects | None:
    """ "ze doet niet open", "ik zie haar liggen": danger a contact sees at the door of who cried is no alarm of the contact.

    Who was warned beside the contact reads it at once, on the alarm that is there; the contact is told to call 112.
    """
    if heard.danger_kind == "violence" or not heard.danger or not scene.person.helps_in_chat or scene.message.button:
        return None
    of_her = {"of_them", "of_her"} & heard.signals or heard.reported or heard.about_somebody
    going = heard.opening == "going" and heard.danger != "sure"  # "de ambulance is er": as in any talk
    calls = "calls_help" in heard.signals  # "bel 112!", "ik bel 112"
    if not (of_her or calls) or going or "done_to_me" in heard.signals:
        return None
    alarms = tuple(c for c in scene.cases if c.kind == "safety" and not _is_one_of(c, (scene.person.id,)))
    meant = tuple(c for c in alarms if _is_one_of(c, {heard.named_person.id})) if heard.named_person else alarms
    alarm = next((c for c in (talked_with(scene),) if c in meant), meant[0] if len(meant) == 1 else None)
    if alarm is None:
        return None
    return contacts.seen_at(scene, alarm, heard.text) if of_her else contacts.relay(scene, heard, alarm, heard.text)


def _told_us(scene: Scene, heard: Heard, mine: tuple[Case, ...], talking: Case | None) -> Effects | None:
    """What is for us and not for a resident, also in the middle of a talk: about a new neighbour, or to the other contact."""
    new = _newcomer(scene, heard, talking)
    if new is not None:
        return new
    if heard.handed_to:
        about = (talking,) if talking else mine or _of_others(scene, taken=False) or _of_others(scene, taken=True)
        if about:
            return contacts.words(scene, heard, about[0], heard.text) if len(about) == 1 else _which(scene, about)
    if talking and heard.opening == "claim":
        return _takes_another(scene, heard, talking)
    newer = tuple(c for c in _of_others(scene, taken=False) if _is_newer(scene, c))
    if heard.opening == "decline" and heard.when is None and mine and len(newer) == 1:
        return contacts.words(scene, heard, newer[0], heard.text)  # "ik kan niet": of what came in since the last words
    if heard.opening == "been_there" and not heard.after:
        there = (talking,) if talking else mine or _of_others(scene, taken=False)
        if len(there) != 1:
            return _which(scene, there) if there else None
        told = there[0].kind == "silence" and heard.reported in silence.VERBS
        return (
            contacts.about_case(scene, heard, heard.reported, there[0])
            if told
            else contacts.been_there(scene, there[0])
        )
    return None


def _takes_another(scene: Scene, heard: Heard, talking: Case) -> Effects | None:
    """ "ik bel Henk wel", in the middle of a talk with Riet: about what Henk asked, and never said to Riet."""
    free = _of_others(scene, taken=False)
    named = tuple(c for c in free if not c.nameless and contacts.is_named(heard, c))
    newer = tuple(c for c in free if _is_newer(scene, c)) if contacts.of_them(heard) else ()
    if named or newer:
        return _takes(scene, heard, named or newer)
    return contacts.words(scene, heard, talking, heard.text) if contacts.is_named(heard, talking) else None


def _newcomer(scene: Scene, heard: Heard, talking: Case | None) -> Effects | None:
    """ "ken ik" or "ik ook niet" about the one new neighbour we asked about since the contact's own last words."""
    new = _newcomers(scene)
    if talking is not None:
        new = tuple(c for c in new if _is_newer(scene, c))
    few = len(heard.text.split()) <= KNOW_WORDS
    if not new or not few or heard.reported not in ("know", "not_know"):
        return None
    free = _of_others(scene, taken=False)
    if heard.opening and free:  # "ik ook niet": about the new neighbour, or about what is asked?
        return _which(scene, (*new, *free))
    possible = tuple(c for c in new if contacts.is_named(heard, c)) or new
    if len(possible) > 1:
        return _which(scene, possible)
    return contacts.about_case(scene, heard, heard.reported, possible[0])


def _is_newer(scene: Scene, case: Case) -> bool:
    """Opened after the contact's last words about another matter."""
    return scene.focus_at is None or case.opened_at is None or case.opened_at > scene.focus_at


def _newcomers(scene: Scene) -> tuple[Case, ...]:
    """The new neighbours of whom nobody said yet whether they are known, as far as this contact is asked."""
    asked = (None, scene.person.id)
    return tuple(c for c in scene.cases if c.kind == "newcomer" and c.state == "open" and c.only_contact in asked)


def talked_with(scene: Scene) -> Case | None:
    """The contact's own case that the last words were about, not long ago."""
    focused = scene.case(scene.focus)
    fresh = since(scene.now, scene.focus_at) <= contacts.FOCUS_MINUTES
    return focused if fresh and focused is not None and focused in claims.mine(scene) else None


def _cried_since(scene: Scene, talking: Case) -> Case | None:
    """The alarm nobody took of who is talked with about another matter, by name."""
    free = _of_others(scene, taken=False)
    same = (c for c in free if c.kind == "safety" and c.person == talking.person and not talking.nameless)
    return next((c for c in same if c is not talking), None)


def _asked_by_other(scene: Scene) -> Case | None:
    """The matter of another contact who wrote to this one just now ("Joop, heb jij een trapje?"): the answer goes there."""
    case = scene.case(scene.focus)
    other = case is not None and case.claimed_by is not None and case.claimed_by.id != scene.person.id
    own = case is not None and case.person is not None and case.person.id == scene.person.id
    fresh = since(scene.now, scene.focus_at) <= NOTE_MINUTES
    return case if other and fresh and not own else None


def _asks_anyone(heard: Heard) -> bool:
    """ "kan iemand mijn band plakken": a request to nobody in particular, so perhaps the contact's own."""
    return heard.clear and heard.intent == "ask_help" and "anyone" in heard.signals


def _asks_own(heard: Heard, talking: Case) -> bool:
    """ "mijn wasmachine lekt", in a talk about another's lamp: perhaps the contact's own, like any neighbour's."""
    other = bool(set(heard.topics) - {"overig"}) and not set(heard.topics) & set(talking.topics)
    mine = "done_to_me" in heard.signals and "to_you" not in heard.signals
    return heard.clear and heard.intent == "ask_help" and other and mine and "?" not in heard.text


def _speaks_to(heard: Heard, case: Case) -> bool:
    """Words that are plainly for the resident of a case: there is danger, or the resident is called by name."""
    return case.kind == "safety" or contacts.is_named(heard, case)


def _bare_order(scene: Scene, heard: Heard, mine: tuple[Case, ...], talking: Case | None) -> Effects | None:
    """ "klaar" or "terug" without a number: about the only case it can be about, else we ask for the number."""
    assert heard.command is not None
    verb = heard.command.verb.removeprefix("bare_")
    if verb == "claim":
        return None  # a yes in the middle of a talk is for the one who is talked with; else see what is open
    if verb == "hand_back" and not mine:
        return None if heard.opening else pause.back(scene)
    if talking:
        return contacts.about_case(scene, heard, verb, talking)
    if len(mine) == 1:
        return contacts.about_case(scene, heard, verb, mine[0])
    if verb == "close" and not mine:
        done = _done_already(scene)
        if done is not None:
            return contacts.about_case(scene, heard, "close", done)
    if mine:
        return _which(scene, mine)
    return lookup.list_cases(scene, _of_others(scene, taken=False), "contacts.list_open")


def _about_what_is_open(scene: Scene, heard: Heard, mine: tuple[Case, ...]) -> Effects | None:
    """ "ik doe het wel", "ik kan niet", or words that may be about what nobody took yet."""
    free = _of_others(scene, taken=False)
    held_by_others = _of_others(scene, taken=True)
    handed = tuple(c for c in held_by_others if claims.is_handed_to(scene, c))
    if heard.opening == "take_over":
        wanted = handed or held_by_others
        return claims.take_over(scene, wanted[0]) if len(wanted) == 1 else _which(scene, wanted) if wanted else None
    if len(handed) == 1 and heard.opening in ("decline", "hand_back") and not free and not mine:
        return contacts.about_case(scene, heard, "hand_back", handed[0])
    taking = heard.opening == "claim" or (heard.command is not None and heard.command.verb == "bare_claim")
    if taking:
        return _takes(scene, heard, (*free, *handed)) if free or handed or not mine else None
    held = tuple(c for c in held_by_others if not c.nameless and contacts.is_named(heard, c))
    if not held and contacts.of_them(heard):  # "heeft ze pijn?", while there is danger
        held = tuple(c for c in held_by_others if c.kind == "safety")
    if len(held) == 1 and not mine:  # "is het goed met Riet?": for the contact who has it
        return contacts.relay(scene, heard, held[0], heard.text)
    others = (*free, *held_by_others)
    silence_only = len(others) == 1 and others[0].kind == "silence" and not mine
    if silence_only and contacts.of_them(heard) and not _asks_anyone(heard):  # "ze is bij haar dochter"
        say_on = contacts.words if others[0].claimed_by is None else contacts.relay
        return say_on(scene, heard, others[0], heard.text)
    if heard.suggested and (mine or free):
        return [say(scene.person, "contacts.ask_how", name=heard.suggested.name)]
    if not mine and not free and heard.opening in ("decline", "hand_back") and held_by_others:
        return [say(scene.person, "contacts.list_open_none")]
    if heard.opening == "close" and not mine and not free and held_by_others:  # who has it is asked
        ours = len(held_by_others) == 1
        return claims.close(scene, held_by_others[0]) if ours else _which(scene, held_by_others)
    if heard.about_somebody and not mine and not free and heard.clear and heard.intent in _SHORT:
        return asking.take_up(scene, {**asking.matter(scene, heard), "unclear": True})  # the other may want to know
    if mine or not free:
        return None
    silent = tuple(c for c in free if c.kind == "silence")
    if len(silent) == 1 and heard.reported in silence.VERBS:
        return contacts.words(scene, heard, silent[0], heard.text)
    if heard.opening in ("decline", "hand_back"):
        return contacts.words(scene, heard, free[0], heard.text) if len(free) == 1 else _which(scene, free)
    if heard.opening == "close":
        done = _done_already(scene)
        if done is None and len(free) == 1 and free[0].kind == "silence":
            return contacts.been_there(scene, free[0])
        return contacts.words(scene, heard, done, heard.text) if done else _which(scene, free)
    if heard.clear and heard.intent in _SHORT:
        return lookup.list_cases(scene, free, "contacts.list_open")
    light = heard.clear and (heard.intent in _LIGHT or heard.intent.startswith("checkin_"))
    free = tuple(c for c in free if c not in silent)  # nothing plain is sent to who is silent
    if not free or light or _asks_anyone(heard) or "human" in heard.signals or _was_asked(scene) or scene.place is None:
        return None
    return _whose(scene, heard, free, own=False)


def _done_already(scene: Scene) -> Case | None:
    """The only matter that "geregeld" of who took nothing can be about; never danger or a silence, which need a number."""
    free = _of_others(scene, taken=False)
    return free[0] if len(free) == 1 and free[0].kind in ("help", "worry") else None


def _of_others(scene: Scene, *, taken: bool) -> tuple[Case, ...]:
    """The open cases of others that nobody took, or that another contact took; danger alone while there is any."""
    found = tuple(
        c
        for c in scene.cases
        if (c.claimed_by is not None) == taken
        and c not in claims.mine(scene)
        and c.kind != "newcomer"
        and (c.person is None or c.person.id != scene.person.id)
    )
    return tuple(c for c in found if c.kind == "safety") or found


def _takes(scene: Scene, heard: Heard, free: tuple[Case, ...]) -> Effects:
    """ "ik doe het wel": the only case it can be about, by name or because there is no other; more words go along."""
    possible = free or _of_others(scene, taken=True) or _newcomers(scene)
    named = tuple(c for c in possible if not c.nameless and contacts.is_named(heard, c))
    possible = named or possible
    if not possible:
        return [say(scene.person, "contacts.list_open_none")]
    if len(possible) > 1:
        return _which(scene, possible)
    case = possible[0]
    for_us = not heard.after or contacts.speaks_about(heard, case) or contacts.is_about(case)
    if (case.claimed_by is None and for_us) or claims.is_handed_to(scene, case):
        kept = [AddToCase(case.key, scene.person.id, heard.text)] if heard.after else []
        return [*kept, *contacts.about_case(scene, heard, "claim", case)]
    return contacts.relay(scene, heard, case, heard.text)  # taken already: who has it reads these words


def _which(scene: Scene, cases: tuple[Case, ...]) -> Effects:
    """More than one may be meant: they are named, so that the number is at hand."""
    return lookup.list_cases(scene, tuple(sorted(cases, key=lambda c: c.number)), "contacts.which_number")


def _was_asked(scene: Scene) -> bool:
    row = scene.check_in
    return row is not None and row.state == "answered" and since(scene.now, row.answered_at) <= JUST_NOW_MINUTES


def _without_place(scene: Scene, heard: Heard) -> Effects | None:
    """A coordinator without a neighbourhood of their own cannot ask one: only a number says who is meant."""
    light = heard.clear and heard.intent in _LIGHT
    if scene.place is not None or light or "human" in heard.signals:
        return None
    return [say(scene.person, "contacts.coordinator_how")]


# --- for whom is this? ---


def _whose(scene: Scene, heard: Heard, cases: tuple[Case, ...], *, own: bool) -> Effects:
    numbers = sorted(c.number for c in cases[:CASES_MAX])
    slots = {**asking.matter(scene, heard), "cases": numbers, "own": own}
    return begin(SPEAKER, scene, slots)


def _cases(scene: Scene, slots: Slots) -> tuple[Case, ...]:
    """The cases of the question that may still be meant."""
    theirs = (*claims.mine(scene), *_of_others(scene, taken=False))
    return tuple(c for c in theirs if c.number in slots["cases"])


def _speaker(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    said = replace(heard, text=slots["words"], command=None, signals=frozenset())
    answer = asking.yes_or_no(heard) if _is_offered(scene, slots) else ""
    number = _typed_number(scene, heard)
    if number in slots["cases"]:
        choice = f"case={number}"  # its own number, whatever its place in the list
    elif number is not None and choice.startswith("case="):
        return None  # the place of another number: sent to nobody
    if choice == "self" or "to_self" in heard.signals:
        return Leave(_own_matter(scene, slots))
    dropped = heard.command is not None and heard.command.verb == "never_mind"
    if choice == "drop" or answer == "no" or dropped:
        return Leave([say(scene.person, "speaker.dropped")])
    number = int(choice.removeprefix("case=")) if choice.startswith("case=") else 0
    possible = _cases(scene, slots)
    named = tuple(c for c in possible if _is_one_of(c, heard.names)) if len(heard.text.split()) <= NAMING_WORDS else ()
    case = next((c for c in possible if c.number == number), named[0] if len(named) == 1 else None)
    if case is None and possible and ("to_case" in heard.signals or answer == "yes"):
        case = possible[0]
    if case is None:
        return None
    sent = tuple(Attachment(**a) for a in slots["attachments"])
    message = replace(scene.message, attachment=sent[-1] if sent else None)
    return Leave(contacts.relay(replace(scene, message=message), said, case, slots["words"]))


def _typed_number(scene: Scene, heard: Heard) -> int | None:
    """The number of a case in an answer that was typed; None for a button, or a bare place in a list as SMS shows it."""
    placed = scene.message.channel == "sms" and heard.text.strip().isdecimal()
    return heard.numbers[0] if len(heard.numbers) == 1 and not scene.message.button and not placed else None


def _own_matter(scene: Scene, slots: Slots) -> Effects:
    """The contact spoke as a resident after all: the ordinary way, with what was understood when it was said."""
    kept = {name: value for name, value in slots.items() if name not in ("cases", "own")}
    return begin(asking.HELP, replace(scene, talk=None), kept)


def _is_offered(scene: Scene, slots: Slots) -> bool:
    """True when the question is whether this one open case is meant, which nobody took yet."""
    mine = {c.number for c in claims.mine(scene)}
    return len(slots["cases"]) == 1 and slots["cases"][0] not in mine and not slots["own"]


def _speaker_text(scene: Scene, slots: Slots) -> str:
    return "speaker.about" if _is_offered(scene, slots) else "speaker.who"


def _speaker_choices(scene: Scene, slots: Slots) -> tuple[str, ...]:
    dropped = ("drop",) if not {c.number for c in claims.mine(scene)} & set(slots["cases"]) else ()
    return (*(f"case={n}" for n in slots["cases"]), "self", *dropped)


def _speaker_args(scene: Scene, slots: Slots) -> dict[str, Any]:
    case = next(iter(_cases(scene, slots)), None)
    return {
        "words": casebook.shown_words(slots, 60),
        "who": who(case) if case else "",
        "number": case.number if case else 0,
    }


def _kept(slots: Slots, scene: Scene, heard: Heard) -> dict[str, Any]:
    """What is written meanwhile belongs to the words; a number that chose nothing does not."""
    return dict(slots) if heard.numbers else asking.add(slots, scene, heard)


def _let_go(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    """Not answered twice: nothing was sent, and everything that was written is named."""
    return [say(scene.person, "speaker.left", words=quote(_kept(slots, scene, heard)["words"], 160))]


SPEAKER = Dialogue(
    "speaker",
    (Ask("who", _speaker, choices=_speaker_choices, args=_speaker_args, says=_speaker_text, base="speaker.who"),),
    _let_go,
    keeps=_kept,
)
