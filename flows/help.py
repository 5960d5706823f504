"""A resident asks for something small.

    bewoner Riet: mijn lamp is stuk
    bot aan Riet: "mijn lamp is stuk". Zal ik dit doorgeven aan Ans en Joop?
    bewoner Riet: ja
    bot aan Ans: 1. Riet vraagt: "mijn lamp is stuk".
    bot aan Joop: 1. Riet vraagt: "mijn lamp is stuk".
    bot aan Riet: Doorgegeven aan Ans en Joop. U hoort het als een van hen het oppakt.

Nothing reaches anyone before the light yes. At most two questions come before it, and none when the words said it already.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flows.casebook import allowed, case_args, contact_names, is_private, open_case, shown_words, tell_new, told_about
from flows.contract import (
    Attachment,
    Case,
    Effects,
    EndTalk,
    MoveCase,
    Note,
    OpenCase,
    Place,
    Say,
    Scene,
    Slots,
    T,
)
from flows.heard import Heard
from flows.plain import plain
from flows.say import say, tell
from flows.talk import Answer, Ask, Dialogue, Do, Filled, Leave, Stay, begin
from flows.times import is_night, later

TIMED_TOPICS = frozenset(
    {"vervoer", "oppas_kinderen"}
)  # topic codes, fixed by the label rules; no use without a moment
BURST_WORDS = 3  # fewer words than this are more likely a doubt than a part of her story
NO_WORDS_MAX = 4  # "ik durf niet op de trap" is more of her matter, however much it looks like a no


def matter(scene: Scene, heard: Heard) -> dict[str, Any]:
    """The slots a message gives by itself: her words, and what was understood of them."""
    attachment = scene.message.attachment
    return {
        "words": heard.text,
        "topics": list(heard.topics),
        "urgency": heard.urgency,
        "when": heard.when.words if heard.when else "",
        "for_other": heard.for_other and heard.clear,
        "unclear": not heard.clear,
        "attachments": [asdict(attachment)] if attachment else [],
        **{flag: True for flag in _PRIVATE if flag in heard.signals},
        **({"nameless": True} if "nameless" in heard.signals and scene.person.joined else {}),
        **_reserved(scene, heard),
    }


_PRIVATE = ("secret", "shy")
"""Signals of words that never go to somebody unless she says so."""


def _reserved(scene: Scene, heard: Heard) -> dict[str, Any]:
    """What her first words say about who may read them: "alleen aan Ans", "niet aan Joop vertellen"."""
    if scene.place is None or not scene.person.joined:
        return {}
    may = allowed(scene, heard) if scene.person.known else ()
    if heard.kept_from and not may:  # nobody is left, or she does not know yet who they are
        return {"secret": True, "unclear": True}
    return {"only": may[0].id, "reserved": True} if len(may) == 1 and (heard.kept_from or heard.alone_for) else {}


def add(slots: Slots, scene: Scene, heard: Heard) -> dict[str, Any]:
    """The slots with one more message joined to the matter; its words are kept as they are, on a line of their own."""
    more = matter(scene, heard)
    words = str(slots.get("words", ""))
    again = plain(more["words"]) in map(plain, words.split("\n"))  # the same words once more, later
    return {
        **slots,
        "words": words if again else "\n".join(w for w in (words, more["words"]) if w),
        "topics": list(dict.fromkeys([*slots.get("topics", ()), *more["topics"]])),
        "urgency": max(slots.get("urgency", "none"), more["urgency"], key=_URGENCIES.index),
        "when": more["when"] or slots.get("when", ""),
        "unclear": slots.get("unclear", False) and more["unclear"],
        "attachments": [*slots.get("attachments", ()), *more["attachments"]],
        **{name: more[name] for name in (*_PRIVATE, "only", "reserved") if name in more},
    }


def instead(slots: Slots, scene: Scene, heard: Heard) -> dict[str, Any] | None:
    """The slots with a message's corrected words in place of the ones it had; None when those are not among them.

    Of a matter that was this message alone everything is read anew; of one in several messages the words of the others stay.
    """
    before, name = scene.message.before, slots.get("name")
    if name and name == before and heard.name:
        return {**slots, "name": heard.name}
    words = in_place(slots.get("words", ""), before, heard.text)
    if words is None:
        return None
    new = {**matter(scene, heard), "attachments": slots.get("attachments", [])}
    if words != heard.text:
        new |= {k: v for k, v in add(slots, scene, heard).items() if k in ("topics", "urgency", "unclear")}
    new["when"] = new["when"] or slots.get("when", "")
    return {**slots, **{k: v for k, v in new.items() if k in slots or k in _PRIVATE}, "words": words}


def in_place(words: str, before: str, now: str) -> str | None:
    """Words with one message of them replaced, the latest that reads like that; None when there is none."""
    around, sep, behind = f"\n{words}\n".rpartition(f"\n{before}\n")
    return f"{around}\n{now}\n{behind}"[1:-1] if sep and before else None


_URGENCIES = ("none", "this_week", "today", "now")


def place_of(scene: Scene, slots: Slots) -> Place | None:
    """The place the matter goes to: the person's own, or the one a newcomer just named."""
    if scene.person.joined:
        return scene.place
    return next((p for p in scene.places if p.neighbourhood.id == slots.get("neighbourhood")), None)


def readers(scene: Scene, slots: Slots) -> Any:
    """Who will read it, as she may know them: names only for who is known in the neighbourhood."""
    place = place_of(scene, slots)
    people = place.contacts if place else ()
    if not scene.person.known:
        return T("help.two_contacts") if len(people) == 2 else T("help.the_contacts")
    if slots.get("only") and place:
        people = tuple(p for p in place.all_contacts if p.id == slots["only"])
    return contact_names(tuple(p for p in people if p.id != scene.person.id))


# --- the questions ---


def _what(scene: Scene, heard: Heard, slots: Slots, _choice: str) -> Answer:
    if is_never_mind(heard):
        return dropped(scene, slots)
    if "no" in heard.signals or plain_no(heard):
        return dropped(scene, slots)
    if "yes" in heard.signals or (not heard.text.strip() and not scene.message.attachment):
        return None
    return Filled(add(slots, scene, heard))


def _other(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    answer = choice or yes_or_no(heard) or ("yes" if "knows" in heard.signals else "")
    if is_never_mind(heard):
        return dropped(scene, slots)
    if "knows_not" in heard.signals and not choice:
        answer = "no"
    if answer == "yes":
        return Filled({"agreed": True})
    if answer == "no":
        return Filled({"wordless": True})
    return None


def _when(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    if is_never_mind(heard):
        return dropped(scene, slots)
    no = yes_or_no(heard) == "no" and "no_hurry" not in heard.signals
    if choice == "unsure" or "unsure" in heard.signals or "no" in heard.signals:
        return Filled({"when": ""})
    if no:
        return Filled({**add(slots, scene, heard), "when": ""})
    subjects = set(heard.topics) - {"overig"} if heard.clear and heard.intent == "ask_help" else set()
    if subjects:  # a question of its own: it stands among her words, and another matter's day is not this one's
        same = not subjects.isdisjoint(slots.get("topics", ()))
        return Filled({**add(slots, scene, heard), "when": heard.when.words if heard.when and same else ""})
    if heard.when:
        return Filled({"when": heard.text, "urgency": _sooner(slots, heard)})
    return Filled(add({**slots, "when": heard.text}, scene, heard) | {"when": heard.text})


def _sure(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    """Her light yes, asked once more where her own name stands in the words that are to go without it."""
    answer = _yes_or_more(scene, heard, slots, choice)
    if not isinstance(answer, Filled) or slots.get("named_inside"):
        return answer
    agreed = {**slots, **answer.slots}
    if not agreed.get("nameless") or agreed.get("wordless") or not _names_herself(scene, agreed):
        return answer
    kept = {name: value for name, value in answer.slots.items() if name != "how"}
    return Stay({**kept, "named_inside": True}, [say(scene.person, "help.sure_named_inside")])


def _yes_or_more(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    """Her yes, in a number, a button or words; or more words about the matter."""
    talk = scene.talk
    assert talk is not None
    if choice == "yes":
        return Filled({"how": "yes"})
    if choice == "never_mind" or (not choice and "not_for_you" in heard.signals):
        return dropped(scene, slots)
    wordless = not any(c.isalpha() for c in heard.text) and heard.when is None  # "14:30" is a part of her matter
    if not choice and not scene.message.attachment and wordless:
        return None  # a number by itself, a code perhaps: nothing to send on unasked
    gone = [p for p in scene.place.all_contacts if p.id in heard.alone_for and not p.reachable] if scene.place else []
    if gone and not choice and scene.person.known:  # said STOP, perhaps for good
        others = contact_names(scene.contacts)
        return Stay({}, [say(scene.person, "help.only_not_there", contact=gone[0].name, others=others)])
    nameless = choice == "nameless" or (not choice and "nameless" in heard.signals)
    agrees = bool(choice) or yes_or_no(heard) == "yes"
    if nameless and not agrees and len(heard.text.split()) > NO_WORDS_MAX:  # a condition is no yes yet
        return Stay({"nameless": True}, [say(scene.person, "help.sure_nameless_then")])
    only = int(choice.partition("=")[2]) if choice.startswith("only=") else _only_contact(scene, heard, slots)
    chosen_how = {"how": "yes", **({"nameless": True} if nameless else {}), **({"only": only} if only else {})}
    if choice or nameless:
        return Filled({**chosen_how, **({"when": heard.when.words} if heard.when else {})})
    if only and (yes_or_no(heard) == "yes" or not heard.spares | heard.kept_from):
        return Filled(chosen_how)
    if only:  # "liever niet aan Ans": that is no yes to Joop yet
        first = next(p.name for p in scene.contacts if p.id == only)
        return Stay({"only": only}, [say(scene.person, "help.sure_only_then", first=first)])
    if "not_yet" in heard.signals:
        return Leave(keep_draft(scene, slots))
    if "no_hurry" in heard.signals and yes_or_no(heard) != "yes":  # a moment, and no no
        return Stay(add(slots, scene, heard), [say(scene.person, "help.added_not_sent")])
    if is_never_mind(heard) or plain_no(heard):
        return dropped(scene, slots)
    named = heard.spares | heard.kept_from | heard.alone_for
    if named or ("alone" in heard.signals and heard.mentions):  # we cannot tell who may know
        return None
    if "secret" in heard.signals:  # "ja maar het blijft onder ons" is asked once more
        more = add(slots, scene, heard) if slots.get("unclear") else slots
        return None if heard.rest else Leave(keep_draft(scene, more))
    if yes_or_no(heard) == "yes":
        return Filled({"how": "yes", **_second_half(slots, heard)})  # `only`, once said, is among the slots already
    told = heard.clear and (heard.intent == "ask_help" or (heard.intent == "no" and not refuses(heard)))
    if (
        slots.get("unclear")
        and not told
        and not (heard.clear and heard.intent == "thanks")
        and not scene.message.attachment
        and heard.intent != "question_about_bot_or_privacy"
    ):
        return Leave(
            verbatim(scene, add(slots, scene, heard))
        )  # the second text that we do not understand: a human reads both
    more = add(slots, scene, heard)
    if "human" in heard.signals or (heard.clear and heard.intent == "question_about_bot_or_privacy"):
        return None
    if heard.clear and heard.intent in ("yes", "no", "status", "cancel", "thanks") and not told:
        return None  # about our question, and no plain yes: put it once more, and leave the matter as it is
    if talk.is_young(scene.now) and len(heard.text.split()) >= BURST_WORDS:
        return Stay(more, [])
    return Stay(more, [say(scene.person, "help.added_not_sent")])


def _second_half(slots: Slots, heard: Heard) -> dict[str, Any]:
    """ "ja maar pas na vieren": the yes is heard, and the rest goes along with her words."""
    if not heard.rest:
        return {}
    return {
        "words": f"{slots.get('words', '')}\n{heard.rest}".strip(),
        "when": heard.when.words if heard.when else slots.get("when", ""),
    }


def _names_herself(scene: Scene, slots: Slots) -> bool:
    """Whether her own name stands in the words that are to go without it."""
    name = plain(slots.get("name") or scene.person.name)
    return bool(name) and f" {name} " in f" {plain(slots.get('words', ''))} "


def _only_contact(scene: Scene, heard: Heard, slots: Slots) -> int | None:
    """The one contact she chose in words: "alleen aan Joop", "niet tegen Ans"; None when that is not clear."""
    place = place_of(scene, slots)
    if place is None or not scene.person.known:
        return None
    contacts = {p.id for p in place.contacts}
    spares = heard.spares | heard.kept_from  # also who said STOP: that one may come back and read what waits
    left = contacts - spares
    if spares and len(left) == 1:
        return left.pop()
    if "alone" in heard.signals and len(heard.mentions) == 1 and heard.mentions <= contacts:
        return next(iter(heard.mentions))
    return None


def _sure_choices(scene: Scene, slots: Slots) -> tuple[str, ...]:
    place = place_of(scene, slots)
    contacts = tuple(p for p in (place.contacts if place else ()) if p.id != scene.person.id)
    if slots.get("wordless") or (slots.get("nameless") and _sure_text(scene, slots) == "help.sure_without_name"):
        return ("yes", "never_mind")
    if not scene.person.known or len(contacts) < 2 or slots.get("reserved"):
        return ("yes", "nameless", "never_mind")
    return ("yes", "nameless", f"only={contacts[0].id}", "never_mind")


def _sure_text(scene: Scene, slots: Slots) -> str:
    if slots.get("wordless"):
        return "help.sure_wordless"
    if not scene.person.known:
        return "help.sure_newcomer"
    if slots.get("unclear"):
        return "help.sure_unclear"
    if slots.get("nameless"):
        return "help.sure_without_name"
    return "help.sure_reserved" if slots.get("reserved") else "help.sure"


def _sure_args(scene: Scene, slots: Slots) -> dict[str, Any]:
    place = place_of(scene, slots)
    first = place.contacts[0].name if place and place.contacts else ""
    return {"words": shown_words(slots), "contacts": readers(scene, slots), "first": first}


def _asks_when(scene: Scene, slots: Slots) -> bool:
    timed = bool(TIMED_TOPICS & set(slots.get("topics", ())))
    known = bool(slots.get("when")) or slots.get("urgency", "none") != "none"
    return timed and not known and not slots.get("unclear")


WHAT = Ask(
    "what",
    _what,
    applies=lambda _, slots: not slots.get("words") and not slots.get("attachments"),
    says=lambda *_: "help.what",
)
OTHER = Ask(
    "other",
    _other,
    choices=lambda *_: ("yes", "no"),
    applies=lambda _, slots: bool(slots.get("for_other")),
    says=lambda *_: "help.other",
)
WHEN = Ask("when", _when, choices=lambda *_: ("unsure",), applies=_asks_when, says=lambda *_: "help.when")
SURE = Ask(
    "sure",
    _sure,
    choices=_sure_choices,
    args=_sure_args,
    says=_sure_text,
    applies=lambda _, slots: not slots.get("agreed_by_street"),
)


def pass_on(scene: Scene, slots: Slots, told_her: Say | None = None) -> Effects:
    """Open the case, tell the contacts and tell her; the number is free because her neighbourhood's next one was read.

    `told_her` replaces the usual word to her.
    """
    place = place_of(scene, slots)
    if place is None:
        return [say(scene.person, "help.nobody_there")]
    number = place.next_number + (1 if slots.get("newcomer") == place.next_number else 0)
    case = Case(
        neighbourhood=place.neighbourhood.id,
        number=number,
        kind="help",
        state="open",
        words=slots.get("words", ""),
        person=replace(scene.person, name=slots.get("name") or scene.person.name),
        topics=tuple(slots.get("topics", ())),
        urgency=slots.get("urgency", "none"),
        when=slots.get("when", ""),
        nameless=bool(slots.get("nameless")),
        wordless=bool(slots.get("wordless")),
        only_contact=slots.get("only"),
        attachments=tuple(Attachment(**a) for a in slots.get("attachments", ())),
    )
    chosen = next((p for p in place.all_contacts if is_private(case) and p.id == case.only_contact), None)
    if chosen is not None and not chosen.reachable:  # said STOP, perhaps for good: only she can choose another
        kept = [e for e in keep_draft(scene, {**slots, "only": None}) if isinstance(e, OpenCase)]
        return [*kept, say(scene.person, "help.only_gone", contact=chosen.name)]
    told = told_about(place, scene.coordinators, case)
    if not told:  # her words stay, as a draft, for when somebody is there again
        kept = [e for e in keep_draft(scene, slots) if isinstance(e, OpenCase) and scene.person.joined]
        return [*kept, say(scene.person, "help.nobody_there")]
    names = readers(scene, slots) if place.contacts else T("help.the_coordinator")
    passed = told_her or say(scene.person, _passed_text(scene, place), contacts=names)
    return [open_case(scene, place, case), *tell_new(case, told), passed]


def _passed_text(scene: Scene, place: Place) -> str:
    if is_night(scene.now, place.neighbourhood):
        return "help.passed_on_night"
    return "help.passed_on" if scene.person.known else "help.passed_on_newcomer"


def keep_draft(scene: Scene, slots: Slots) -> Effects:
    """Her words stay hers: kept, shown to nobody, and she is told how they can go on after all."""
    place = place_of(scene, slots)
    if place is None:
        return [say(scene.person, "help.dropped")]
    number = place.next_number
    return [
        OpenCase(
            key=(place.neighbourhood.id, number),
            kind="help",
            words=slots.get("words", ""),
            person=scene.person.id,
            opened_by=scene.person.id,
            state="draft",
            topics=tuple(slots.get("topics", ())),
            urgency=slots.get("urgency", "none"),
            when=slots.get("when", ""),
            nameless=bool(slots.get("nameless")),
            wordless=bool(slots.get("wordless")),
            only_contact=slots.get("only"),
            attachments=tuple(Attachment(**a) for a in slots.get("attachments", ())),
        ),
        say(scene.person, "help.kept"),
    ]


def draft_slots(case: Case) -> dict[str, Any]:
    """A kept matter as slots again, for when more is said about it."""
    return {
        "words": case.words,
        "topics": list(case.topics),
        "urgency": case.urgency,
        "when": case.when,
        "wordless": case.wordless,
        "nameless": case.nameless,
        "only": case.only_contact,
        "reserved": case.only_contact is not None,
        "attachments": [asdict(a) for a in case.attachments],
    }


def send_draft(scene: Scene, draft: Case, *, nameless: bool = False) -> Effects:
    """ "doorgeven": a matter that was kept goes to the contacts after all; `nameless` when she says so now."""
    place, changes = scene.place, {"nameless": True} if nameless else {}
    draft = replace(draft, nameless=draft.nameless or nameless)
    people = told_about(place, scene.coordinators, draft) if place else ()
    if place is None or not people:
        return [say(scene.person, "help.nobody_there")]
    due = later(scene.now, place.neighbourhood, "help_remind")
    return [
        MoveCase(draft.key, "draft", "open", by=scene.person.id, due_at=due, changes=changes),
        *tell_new(draft, people),
        say(scene.person, "help.passed_on", contacts=readers(scene, {"only": draft.only_contact})),
    ]


def drop_draft(scene: Scene, draft: Case) -> Effects:
    """ "laat maar": a kept matter goes, and nobody ever knew."""
    return [
        MoveCase(draft.key, "draft", "closed", by=scene.person.id, outcome="dropped"),
        say(scene.person, "help.dropped"),
    ]


def not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    """A question was not understood twice: everything she wrote goes to the contacts, and she is told so.

    A doubt that was understood well enough ("moet dat?") is no such case: then her words are kept, and go to nobody.
    """
    doubts = heard.clear and heard.intent in ("yes", "no", "status", "cancel", "thanks") and not slots.get("unclear")
    if doubts or heard.numbers:
        return keep_draft(scene, slots)
    return verbatim(scene, add(slots, scene, heard))


def verbatim(scene: Scene, slots: Slots) -> Effects:
    """Pass her words on as they are, because we did not understand them; never what she wants to keep to herself."""
    place = place_of(scene, slots)
    if place is None:
        return stranger(scene, slots)
    if scene.person.joined and any(slots.get(flag) for flag in _PRIVATE):
        return keep_draft(scene, slots)
    names = readers(scene, slots) if place.contacts else T("help.the_coordinator")
    return pass_on(scene, {**slots, "unclear": True}, say(scene.person, "help.passed_on_verbatim", contacts=names))


def stranger(scene: Scene, slots: Slots) -> Effects:
    """Somebody whose street we do not know even after asking twice: the coordinator of the whole stadsdorp reads it."""
    if not scene.coordinators or not scene.places:
        return [say(scene.person, "join.nobody_there")]
    place = scene.places[0]
    case = Case(
        neighbourhood=place.neighbourhood.id,
        number=place.next_number,
        kind="newcomer",
        state="open",
        words=slots.get("words", ""),
        person=scene.person,
        escalated=True,
    )
    return [
        replace(open_case(scene, place, case), escalated=True),  # the coordinator has it, and nobody else
        *(tell(p, "contacts.stranger", case, "claim", **case_args(case)) for p in scene.coordinators),
        Note(scene.person.id, "stranger", case.key),
        say(scene.person, "join.coordinator_reads"),
    ]


HELP = Dialogue("help", (WHAT, OTHER, WHEN, SURE, Do("passed", pass_on)), not_heard, keeps=add)


def left_open(scene: Scene) -> Effects:
    """Our question about her matter got no answer: she may think that it was passed on, so she hears, once, that it was not.

    Her words become a draft. What is nobody's business, or is known to nobody yet, ends without a word.
    """
    talk = scene.talk
    if talk is None or talk.dialogue != HELP.name:
        return []
    ended: Effects = [EndTalk(scene.person.id, talk.serial)]
    slots = talk.slots
    if not scene.person.joined or place_of(scene, slots) is None:
        return ended
    if not slots.get("words") and not slots.get("attachments"):
        return [*ended, replace(say(scene.person, "help.left_open_bare"), urgency="news")]
    kept = [e for e in keep_draft(scene, slots) if isinstance(e, OpenCase)]
    if any(slots.get(flag) for flag in _PRIVATE):
        return [*ended, *kept]
    return [*ended, *kept, replace(say(scene.person, "help.left_open", words=shown_words(slots)), urgency="news")]


def still_here(scene: Scene) -> Effects:
    """ "is het al gebeurd?" while her words wait for her own DOORGEVEN: she hears that, and how."""
    draft = scene.drafts[-1] if scene.drafts else None
    return [say(scene.person, "help.left_open", words=shown_words(draft_slots(draft)))] if draft else []


def take_up(scene: Scene, slots: Slots) -> Effects:
    """A matter begins with its first question; what she wants nobody to know, and asks nothing, is only kept."""
    if slots.get("secret") and slots.get("unclear") and scene.place is not None:
        return keep_draft(scene, slots)
    return begin(HELP, scene, slots)


# --- what was said beside a question about something else ---


def keep_beside(slots: Slots, scene: Scene, heard: Heard) -> dict[str, Any]:
    """Words that were no answer to a question about something else: asked about once that one is answered."""
    light = len(heard.text.split()) < BURST_WORDS or (heard.clear and heard.intent in _LIGHT)
    if light and scene.message.attachment is None:
        return dict(slots)
    return {**slots, "beside": add(slots.get("beside", {}), scene, heard)}


_LIGHT = ("yes", "no", "thanks", "greet_or_vague", "delete_my_data")


def beside(scene: Scene, slots: Slots) -> Effects:
    """The question about what was said beside another one; joined to a matter of hers which that one broke off."""
    said, kept = slots.get("beside"), slots.get("kept")
    if not said or not scene.person.joined:
        return []
    if kept and kept["dialogue"] == HELP.name:
        words = "\n".join(w for w in (kept["slots"].get("words", ""), said["words"]) if w)
        return begin(HELP, replace(scene, talk=None), {**said, **kept["slots"], "words": words})
    return take_up(replace(scene, talk=None), said)


# --- a second thought after a no ---


def dropped(scene: Scene, slots: Slots) -> Leave:
    """Nothing is passed on, and for a short while "ja toch wel" still finds what it was about."""
    if place_of(scene, slots) is None or not scene.person.joined or not slots.get("words"):
        return Leave([say(scene.person, "help.dropped")])
    asked = scene.talk is not None and scene.talk.step == SURE.step
    kept = {name: value for name, value in slots.items() if not name.startswith("done:")}
    return Leave(begin(DROPPED, replace(scene, talk=None), {**kept, "asked": asked}))


def is_after_all(heard: Heard) -> bool:
    """ "ja toch wel", or a bare "ja", after a no; a polite "prima" is neither."""
    return "meant" in heard.signals or ("after_all" in heard.signals and yes_or_no(heard) == "yes")


def _again(scene: Scene, heard: Heard, slots: Slots, _choice: str) -> Answer:
    alone = replace(scene, talk=None)
    kept = {name: value for name, value in slots.items() if not name.startswith("done:")}
    if "after_all" in heard.signals and yes_or_no(heard) == "yes" and slots.get("asked"):
        nameless = {"nameless": True} if "nameless" in heard.signals else {}
        return Leave(begin(HELP, alone, {**kept, **nameless, **_second_half(slots, heard), "done:sure": True}))
    if is_after_all(heard):  # "ja" alone may only be polite: asked once more
        return Leave(begin(HELP, alone, kept))
    return None


DROPPED = Dialogue("dropped", (Ask("again", _again, says=lambda *_: "help.dropped"),), not_heard)


def yes_or_no(heard: Heard) -> str:
    """ "yes", "no" or "" for an answer.

    A yes counts only in so many words, because it sends her words to others; a no may also be understood.
    """
    if "yes" in heard.signals and "no" not in heard.signals:
        return "yes"
    if "no" in heard.signals and "yes" not in heard.signals:
        return "no"
    if heard.rest and heard.intent not in ("no", "cancel") and "never_mind" not in heard.signals:
        return "yes"
    return "no" if heard.intent == "no" and heard.clear else ""


def plain_no(heard: Heard) -> bool:
    """A no that may throw her words away: said in so many words, not read into a longer story."""
    few = len(heard.text.split()) <= NO_WORDS_MAX
    return yes_or_no(heard) == "no" and ("no" in heard.signals or (few and refuses(heard)))


def refuses(heard: Heard) -> bool:
    """Whether a no is said in it: "hij doet het niet" only sounds like one, and is more about her matter."""
    return bool({"no", "refuses"} & heard.signals)


def is_never_mind(heard: Heard) -> bool:
    """ "laat maar", as an order or inside a sentence."""
    return "never_mind" in heard.signals or (heard.command is not None and heard.command.verb == "never_mind")


def _sooner(slots: Slots, heard: Heard) -> str:
    return max(str(slots.get("urgency", "none")), heard.urgency, key=_URGENCIES.index)
