"""The two contacts and a case: what they write about it, and the talk with its resident through the bot.

    bot aan Ans: 12. Riet vraagt: "mijn lamp is stuk".
    contact Ans: 12 Ik kom morgen even langs
    bot aan Riet: Ans: Ik kom morgen even langs
    bewoner Riet: fijn
    bot aan Ans: 12 Riet: fijn

Who has it is decided in `claims`, what they look up is in `lookup`.
"""

from __future__ import annotations

from dataclasses import replace

from flows import join, silence
from flows.casebook import (
    add_to_case,
    all_words,
    allowed,
    case_args,
    contact_names,
    is_private,
    may_visit,
    open_case,
    who,
)
from flows.claims import (
    claim,
    close,
    hand_back,
    hand_over,
    is_handed_to,
    mine,
    others_told,
    take_over,
    talking,
)
from flows.contract import (
    AddToCase,
    Case,
    Copy,
    Effects,
    Focus,
    Misheard,
    MoveCase,
    Note,
    OpenCase,
    Person,
    Say,
    Scene,
    T,
)
from flows.heard import Heard
from flows.lookup import list_cases, list_offers, show, who_can
from flows.say import say, tell
from flows.silence import hood_of
from flows.times import later

REPORT_WORDS = 5  # "niet thuis" of who looks after a silence is for us; what is longer may be said to the silent one
FOCUS_MINUTES = 120  # so long after the last word about a case, plain words of a contact are still about it


def about_case(scene: Scene, heard: Heard, verb: str, case: Case) -> Effects:
    """An order about one case, by button or words; what it may do is looked at again here, whatever the button said."""
    if not scene.person.helps_in_chat or case.state == "draft":
        return [say(scene.person, "contacts.not_yours")]
    if scene.place is not None and scene.place.neighbourhood.id != case.neighbourhood:
        scene = replace(scene, place=None)  # a coordinator who had another one in mind: nobody there hears of this case
    acts = {
        "claim": claim,
        "hand_back": hand_back,
        "close": close,
        "spoken": close,
        "seen": close,
        "know": join.know,
        "not_know": join.not_know,
        "show": show,
        "who_can": who_can,
        "misheard": misheard,
        "take_over": take_over,
    }
    if verb in ("know", "not_know") and case.kind != "newcomer":
        return show(scene, case)
    if verb == "hand_back" and case.kind == "newcomer" and case.claimed_by is None:
        verb = "not_know"  # "1 nee" answers "ken je die?"
    if verb == "not_know" and case.claimed_by is not None:
        return hand_back(scene, case)
    if case.kind == "silence" and verb in (*silence.VERBS, "close"):
        return silence.report(scene, verb, case)
    if verb == "close" and case.kind == "newcomer":
        return join.know(scene, case)
    if verb in acts:
        return acts[verb](scene, case)
    if scene.message.button:  # one that no screen shows, or that fits another kind of case
        return [say(scene.person, "always.old_button")]
    return words(scene, heard, case, heard.command.rest if heard.command and heard.command.rest else heard.text)


def words(scene: Scene, heard: Heard, case: Case, said: str) -> Effects:
    """A contact's words about a case: an order they begin with, something told to us, or words to somebody.

    What we cannot place goes to the resident, except while the case is about somebody who did not ask for it.
    """
    numbered = heard.command is not None and heard.command.number is not None
    if numbered and heard.suggested:  # "1 vraag Henk" is for us, and no word to Riet
        return [say(scene.person, "contacts.ask_how", name=heard.suggested.name)]
    kept = AddToCase(case.key, scene.person.id, said)
    few = case.kind == "silence" and len(said.split()) <= REPORT_WORDS
    if heard.reported in _REPORTS.get(case.kind, ()) and (numbered or few or is_about(case)):
        return [kept, *about_case(scene, heard, heard.reported, case)]
    if heard.handed_to and case in mine(scene):
        return [kept, *hand_over(scene, case, heard.handed_to, said)]
    other = heard.called or heard.handed_to
    if other and other.reachable and other != case.person and not is_private(case):
        return [kept, *_to_other(scene, case, other, said)]
    if heard.opening == "take_over":
        return [kept, *take_over(scene, case)]
    if is_handed_to(scene, case) and heard.opening in ("claim", "decline", "hand_back"):
        return [kept, *about_case(scene, heard, "claim" if heard.opening == "claim" else "hand_back", case)]
    if case.kind == "safety" and case.claimed_by is None and is_going(heard):
        return [kept, *claim(scene, case)]
    if case.state == "closed" and heard.opening in ("close", "hand_back", "decline"):
        return [say(scene.person, "contacts.already_closed", number=case.number)]
    if case.claimed_by is None and heard.opening in ("decline", "hand_back"):
        return [kept, *about_case(scene, heard, "hand_back", case)]
    if is_about(case):
        return [kept, _not_sent(scene, case)]
    if heard.opening == "claim" and speaks_about(heard, case) and (case.claimed_by is None or case in mine(scene)):
        noted = say(scene.person, "contacts.noted", number=case.number)
        return [kept, *claim(scene, case)] if case.claimed_by is None else [kept, noted]
    if case.claimed_by is None and heard.opening == "close":
        return [kept, *close(scene, case)]
    if case in mine(scene) and heard.opening == "close" and "?" not in said:
        return [*relay(scene, heard, case, said), *close(scene, case)]
    doubts = heard.opening == "hand_back" or ("no_time" in heard.signals and "?" not in said)
    if case in mine(scene) and doubts:
        if heard.opening == "hand_back" and heard.when is None:
            return [kept, *hand_back(scene, case)]
        offered = tell(scene.person, "contacts.sent_back", case, "hand_back", urgency="reply", **case_args(case))
        return [*relay(scene, heard, case, said), offered]  # "het lukt niet om vier uur" may well be for her
    return relay(scene, heard, case, said)


def is_named(heard: Heard, case: Case) -> bool:
    """Whether the one a case is about is called by name, in the first sentence."""
    name = case.person.name.lower() if case.person else ""
    return name != "" and name in heard.text.lower().split(".")[0]


def of_them(heard: Heard) -> bool:
    """Words about somebody and to nobody: "ik bel haar wel even"."""
    return "of_them" in heard.signals and "to_you" not in heard.signals


def is_going(heard: Heard) -> bool:
    """ "ga nu", "ben er": somebody goes there now, or is there; said of tomorrow, or asked, it is nothing of the kind."""
    return heard.opening == "going" and "no_going" not in heard.signals and "?" not in heard.text


def speaks_about(heard: Heard, case: Case) -> bool:
    """ "ik bel haar zo": about the one of the case, so not for that one; a moment in it is worth knowing all the same."""
    about = of_them(heard) or (is_named(heard, case) and not case.nameless and "to_you" not in heard.signals)
    return about and heard.when is None


_REPORTS = {"newcomer": ("know", "not_know"), "silence": silence.VERBS}


def is_about(case: Case) -> bool:
    """True while words about this case are for us: it is about somebody who did not write to us about it.

    Somebody of an unknown street is written to by number, because there is no other way yet.
    """
    if case.kind not in _REPORTS or case.person is None or not case.person.joined:
        return False
    return case.claimed_by is None or case.outcome == "not_reached"


def _not_sent(scene: Scene, case: Case) -> Say:
    verbs = silence.VERBS if case.kind == "silence" else ("know", "not_know")
    return tell(scene.person, f"contacts.kept_{case.kind}", case, *verbs, urgency="reply", **case_args(case))


def _to_other(scene: Scene, case: Case, other: Person, said: str) -> Effects:
    """ "1 Joop, kan jij?": for the other contact, who may take it; nobody's case changes."""
    verbs = ("claim",) if case.claimed_by is None and case.kind not in _REPORTS else ()
    args = {"contact": scene.person.name, "number": case.number, "words": said}
    return [
        tell(other, "contacts.note", case, *verbs, urgency=talking(case), **args),
        Focus(other.id, case.key),
        say(scene.person, "contacts.to_other", contact=other.name, who=who(case)),
    ]


def seen_at(scene: Scene, alarm: Case, said: str) -> Effects | None:
    """What a contact sees of an alarm, for all who were warned beside them; None when there is nobody else."""
    warned = {p.id: p for p in (*others_told(scene, alarm), *((alarm.claimed_by,) if alarm.claimed_by else ()))}
    out = {scene.person.id, alarm.person.id if alarm.person else 0}
    people = tuple(p for p in warned.values() if p.id not in out)
    people = people or tuple(p for p in scene.coordinators if p.id not in out)
    if not people:
        return None
    args = {"contact": scene.person.name, "number": alarm.number, "words": said}
    told = [tell(p, "contacts.note", alarm, urgency="safety", **args) for p in people]
    answer = tell(scene.person, "safety.again_emergency", alarm, urgency="safety", contacts=contact_names(people))
    return [AddToCase(alarm.key, scene.person.id, said), Focus(scene.person.id, alarm.key), *told, answer]


def been_there(scene: Scene, case: Case) -> Effects:
    """ "ben er al geweest": done, perhaps; whoever was there says so with one tap."""
    if case.kind == "silence":
        return [_not_sent(scene, case)]
    verbs = ("close",) if case in mine(scene) else ("close", "claim")
    return [tell(scene.person, "contacts.been_there", case, *verbs, urgency="reply", number=case.number)]


def misheard(scene: Scene, case: Case) -> Effects:
    """ "12 anders": we understood these words wrongly; kept as an example to learn from."""
    return [Misheard(case.key, scene.person.id), say(scene.person, "contacts.misheard", number=case.number)]


def relay(scene: Scene, heard: Heard, case: Case, words: str) -> Effects:
    """Words from a contact to the resident of a case. Answering is taking it: nobody answers beside another."""
    me, person = scene.person, case.person
    if case.claimed_by and case.claimed_by.id != me.id:
        return [
            AddToCase(case.key, me.id, words),
            tell(
                case.claimed_by,
                "contacts.note",
                case,
                urgency=talking(case),
                contact=me.name,
                number=case.number,
                words=words,
            ),
            say(me, "contacts.note_left", contact=case.claimed_by.name, number=case.number),
        ]
    effects: Effects = []
    if case.state == "closed":
        effects.append(
            MoveCase(
                case.key,
                "closed",
                "claimed",
                by=me.id,
                claimed_by_before=case.claimed_by.id if case.claimed_by else None,
                claimed_by=me.id,
                due_at=later(scene.now, hood_of(scene), "claimed_quiet"),
            )
        )
    elif case.claimed_by is None:
        effects += [*claim(scene, case)]
    if person is None and not case.behalf_of:  # she had herself erased: nobody reads this any more
        return [*effects, say(me, "contacts.person_left", number=case.number)]
    if person is None or case.behalf_of or person.id == me.id:
        return [*effects, AddToCase(case.key, me.id, words), say(me, "contacts.noted", number=case.number)]
    if not person.reachable:
        unread = "contacts.not_reachable" if may_visit(case) else "contacts.not_reachable_only"
        return [*effects, AddToCase(case.key, me.id, words), say(me, unread, who=who(case))]
    due = later(scene.now, hood_of(scene), "claimed_quiet")
    key = f"relay.{'corrected_' if scene.message.edited else ''}to_{'resident' if person.known else 'newcomer'}"
    sent = tell(person, key, case, urgency=talking(case), contact=me.name, words=words)
    effects += [
        AddToCase(case.key, me.id, words, scene.message.attachment, due_at=due),
        Focus(me.id, case.key),
        Focus(person.id, case.key),
    ]
    if words:
        effects.append(sent)
    if scene.message.attachment:
        effects.append(Copy(person.id, scene.message.attachment, "relay.sent_along", {"who": me.name}, case.key))
    return effects


def from_resident(scene: Scene, heard: Heard, case: Case) -> Effects:
    """Words from a resident to the contact who has the case. The bot itself keeps quiet.

    A contact who said STOP or cannot be reached any more reads nothing: then it is for the others again, words and all.
    """
    claimer = case.claimed_by
    assert claimer is not None
    if not claimer.reachable:
        free = replace(case, claimed_by=None, state="open")
        return [*hand_back(replace(scene, person=claimer), case), *add_to_case(scene, heard, free)]
    due = later(scene.now, hood_of(scene), "claimed_quiet")
    effects: Effects = [
        AddToCase(
            case.key,
            scene.person.id,
            heard.text,
            scene.message.attachment,
            due_at=due,
            instead=all_words(case, heard),
        ),
        Focus(claimer.id, case.key),
        *_closes_to_others(scene, heard, case, claimer),
    ]
    if heard.text.strip():
        key = "relay.corrected_to_contact" if scene.message.edited else "relay.to_contact"
        effects.append(
            tell(claimer, key, case, urgency=talking(case), who=who(case), number=case.number, words=heard.text)
        )
    if scene.message.attachment:
        effects.append(
            Copy(
                claimer.id,
                scene.message.attachment,
                "contacts.sent_along",
                {"who": who(case)},
                case.key,
                talking(case),
            )
        )
    return effects


def _closes_to_others(scene: Scene, heard: Heard, case: Case, holder: Person) -> Effects:
    """ "niet tegen Joop hoor", to who has it: then it never goes to Joop again, also when it is handed back."""
    said = bool(heard.kept_from or heard.alone_for)
    if not said or case.kind != "help" or case.only_contact or [p.id for p in allowed(scene, heard)] != [holder.id]:
        return []
    due, only = later(scene.now, hood_of(scene), "claimed_quiet"), {"only_contact": holder.id}
    return [
        MoveCase(case.key, "claimed", "claimed", scene.person.id, holder.id, holder.id, due_at=due, changes=only),
        say(scene.person, "help.only_now", contact=holder.name if scene.person.known else T("help.a_contact")),
    ]


def order(scene: Scene, heard: Heard) -> Effects | None:
    """An order of a contact that names no single case; None when it is none."""
    command = heard.command
    assert command is not None
    match command.verb:
        case "list_open":
            return list_cases(scene, tuple(c for c in scene.cases if c.claimed_by is None), "contacts.list_open")
        case "list_mine":
            return list_cases(scene, mine(scene), "contacts.list_mine")
        case "list_offers":
            return list_offers(scene)
        case "behalf":
            return behalf(scene, heard)
        case _:
            return None


def behalf(scene: Scene, heard: Heard) -> Effects:
    """ "namens mevrouw De Vries: …": a case for somebody without a phone, or for a resident who asked at the door."""
    command = heard.command
    assert command is not None
    if not command.name:
        return [say(scene.person, "contacts.behalf_how")]
    place = scene.place
    if place is None:
        return [say(scene.person, "contacts.no_neighbourhood")]
    person = heard.named_person
    case = Case(
        neighbourhood=place.neighbourhood.id,
        number=place.next_number,
        kind="help",
        state="open",
        words=command.rest,
        person=person,
        opened_by=scene.person.id,
        behalf_of=person.name if person else command.name,
        topics=heard.topics,
        urgency=heard.urgency,
    )
    people = tuple(p for p in place.contacts if p.id != scene.person.id)
    told = [
        tell(p, "contacts.new_behalf_by", case, "claim", contact=scene.person.name, **case_args(case)) for p in people
    ]
    opened = open_case(scene, place, case, behalf_of=case.behalf_of)
    return [
        opened,
        *told,
        tell(scene.person, "contacts.behalf_opened", case, "claim", urgency="reply", **case_args(case)),
    ]


def start_talk(scene: Scene, heard: Heard, person: Person, words: str) -> Effects:
    """ "Riet: hoe is het met de lamp?": a contact begins; the resident's answers come back to this contact."""
    place, me = scene.place, scene.person
    if place is None:
        return [say(me, "contacts.coordinator_how")]
    open_ = next(
        (
            c
            for c in scene.cases
            if c.person
            and c.person.id == person.id
            and not c.nameless
            and c.kind != "newcomer"
            and not c.behalf_of
            and (c.claimed_by in (None, me) or c.opened_by == person.id)  # another contact's own talk is theirs
        ),
        None,
    )
    if open_:
        return relay(scene, heard, open_, words)
    if not person.reachable:
        return [say(me, "contacts.not_reachable", who=person.name)]
    key = (place.neighbourhood.id, place.next_number)
    return [
        OpenCase(
            key,
            "help",
            words,
            person.id,
            me.id,
            state="claimed",
            claimed_by=me.id,
            due_at=later(scene.now, place.neighbourhood, "claimed_quiet"),
        ),
        Focus(me.id, key),
        Focus(person.id, key),
        Say(
            person.id,
            "relay.started" if person.known else "relay.started_newcomer",
            {"contact": me.name, "words": words},
            case=key,
            urgency="talk",
        ),
        say(me, "contacts.talk_started", who=person.name, number=key[1]),
        Note(me.id, "started_talk", key),
    ]
