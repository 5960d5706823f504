"""A case as its readers see it: who they are, what it says of whom, and the words that are added to it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flows.contract import (
    QUOTE_MAX,
    WORDS_MAX,
    AddToCase,
    Attachment,
    Case,
    Copy,
    Effects,
    MoveCase,
    OpenCase,
    Person,
    Place,
    Scene,
    Slots,
    T,
    Unbutton,
)
from flows.heard import Heard
from flows.say import quote, quote_ends, say, tell
from flows.times import later

WORDS_SMS, WORDS_TELEGRAM, WORDS_ALL = 300, 1500, 3500  # of her words, to a contact: at first, at first, when asked for


def allowed(scene: Scene, heard: Heard) -> tuple[Person, ...]:
    """The contacts who may know, as she says herself; who is there now comes first."""
    place = scene.place
    if place is None:
        return ()
    there = tuple(p for p in place.contacts if p.role == "contact")
    everyone = (*there, *(p for p in place.all_contacts if p not in there))
    left = tuple(p for p in everyone if p.id not in heard.kept_from and p.id != scene.person.id)
    return tuple(p for p in left if p.id in heard.alone_for) or left


def contact_names(people: tuple[Person, ...]) -> Any:
    """ "Ans en Joop", as a text, so that the language decides how names are joined."""
    names = [p.name for p in people]
    if not names:
        return T("help.no_contacts_name")
    if len(names) == 1:
        return names[0]
    return T("help.names", {"first": ", ".join(names[:-1]), "last": names[-1]})


def names_for(scene: Scene) -> Any:
    """The contacts as this person may name them, without the person."""
    if scene.place is None or not scene.person.known:
        return T("help.the_contacts")
    return contact_names(tuple(c for c in scene.contacts if c.id != scene.person.id) or scene.contacts)


def shown_words(slots: Slots, limit: int = QUOTE_MAX) -> Any:
    """Her words on one line, or what she sent instead of words."""
    words = quote(slots.get("words", ""), limit)
    if words:
        return words
    attachments = slots.get("attachments", ())
    return T(f"help.kind_{attachments[0]['kind']}") if attachments else ""


def open_case(scene: Scene, place: Place, case: Case, *, behalf_of: str = "") -> OpenCase:
    """The effect that opens this case, with the first due date of its ladder."""
    urgent = "help_urgent_remind" if case.urgency in ("now", "today") else "help_remind"
    name = urgent if case.kind == "help" else f"{case.kind}_remind"
    return OpenCase(
        key=case.key,
        kind=case.kind,
        words=case.words,
        person=case.person.id if case.person else None,
        opened_by=scene.person.id,
        behalf_of=behalf_of,
        topics=case.topics,
        urgency=case.urgency,
        when=case.when,
        nameless=case.nameless,
        wordless=case.wordless,
        only_contact=case.only_contact,
        due_at=later(scene.now, place.neighbourhood, name, at_night=case.kind == "safety"),
        attachments=case.attachments,
        escalated=all(p.role == "coordinator" for p in place.contacts),
    )


def told_about(place: Place, coordinators: tuple[Person, ...], case: Case) -> tuple[Person, ...]:
    """Who hears of a new case: both contacts, the one she chose, or the coordinator where there is no contact."""
    asker = case.person.id if case.person else None
    if is_private(case):  # her choice stands, also when that one is away: nobody else reads it
        return tuple(p for p in place.all_contacts if p.id == case.only_contact)
    people = tuple(p for p in place.contacts if case.only_contact in (None, p.id) and p.id != asker)
    return people or tuple(p for p in coordinators if p.id != asker and p.reachable)


def is_private(case: Case) -> bool:
    """True when she chose the one contact who may read it; only she can widen that."""
    return case.kind == "help" and case.only_contact is not None


def may_meet(case: Case, person: Person) -> bool:
    """False for words that only one contact was told: the other one meets them by no list, number or name.

    A worry is for who is on duty until its ladder widens it; a silence and a newcomer carry no words of hers. Danger
    that only one was to hear of climbs to the coordinator all the same.
    """
    if case.kind == "safety" and case.escalated and person.role == "coordinator":
        return True
    if case.only_contact in (None, person.id) or case.kind not in ("help", "worry", "safety"):
        return True
    return any(p is not None and p.id == person.id for p in (case.person, case.claimed_by))


def may_visit(case: Case) -> bool:
    """False where nobody is told to call or to come by: no name is known, or who opens her door may be the reason."""
    return not case.nameless and not is_private(case)


def tell_new(case: Case, people: tuple[Person, ...]) -> Effects:
    """The message to each contact that there is something new, with the button to take it."""
    text = case_text(case)
    key = f"contacts.new_{text}{'_only' if text == 'help' and is_private(case) else ''}"
    return [tell(person, key, case, "claim", **case_args(case, words_for(person))) for person in people]


def words_for(person: Person) -> int:
    """How many characters of somebody's words this person is sent at once: on Telegram a whole story, by SMS the begin."""
    return WORDS_TELEGRAM if "telegram" in person.channels else WORDS_SMS


def case_text(case: Case) -> str:
    """Which of the texts about a case fits: with her words, without them, or on behalf of somebody."""
    if case.behalf_of:
        return "behalf"
    return "wordless" if case.wordless else case.kind


def case_args(case: Case, limit: int = WORDS_SMS) -> dict[str, Any]:
    """What every text about a case may name. A name, and words, only where she let them be passed on."""
    says_when = case.when and case.when not in case.words and not case.wordless
    return {
        "number": case.number,
        "who": who(case),
        "words": case_words(case, limit),
        "when": T("contacts.when", {"when": case.when}) if says_when else "",
        "topics": _topics(case),
        "do": what_to_do(case),
    }


def what_to_do(case: Case) -> T:
    """What a contact does at danger: call or go there, or write back to who gave no name."""
    if case.person is not None and not case.person.name:
        return T("contacts.danger_write_back", {"number": case.number})
    return T("contacts.danger_call") if case.words else T("contacts.danger_call_who", {"who": who(case)})


def case_words(case: Case, limit: int) -> Any:
    """The words of a case as contacts may see them; of who did not agree to words only what it is about."""
    if case.kind == "safety" and case.words:  # where her first words stay here, what came after them does not
        return quote_ends(case.words, limit)
    if case.wordless:
        return T("contacts.urgent_message") if case.kind == "safety" else _topics(case)
    words = quote(case.words, limit)
    if not case.attachments:
        unsaid = {"silence": "contacts.no_answer_yet", "worry": "contacts.not_well"}.get(case.kind)
        return words or (T(unsaid) if unsaid else "")
    kind = T(f"help.kind_{case.attachments[0].kind}")
    return T("help.words_and_kind", {"words": words, "kind": kind}) if words else kind


def _topics(case: Case) -> T:
    if not case.topics:
        return T("contacts.no_topics")
    return T("contacts.topics", {"topics": tuple(T(f"topics.{t}") for t in case.topics)})


def who(case: Case) -> Any:
    """How the asker is called to the contacts."""
    if case.behalf_of:
        return case.behalf_of
    if case.nameless or case.person is None:
        return T("contacts.a_neighbour")
    return case.person.name or T("contacts.a_neighbour")


def add_to_case(scene: Scene, heard: Heard, case: Case) -> Effects:
    """More words about a case that nobody took yet: to all who were told of it; about danger at any hour."""
    people = tuple(p for p in readers_of(scene, case) if may_read(p, heard))
    if not people:
        return unread(scene, heard, case)
    kept = AddToCase(case.key, scene.person.id, heard.text, scene.message.attachment, instead=all_words(case, heard))
    args = {**case_args(case), "words": words_sent(heard.text, scene.message.attachment)}
    loud, edited = case.kind == "safety", scene.message.edited
    key = "contacts.corrected_words" if edited else "contacts.more_words"
    told: Effects = [tell(p, key, case, "claim", urgency="safety" if loud else "news", **args) for p in people]
    told += sent_along(scene, case, people)
    if not loud:
        return [kept, *told, say(scene.person, "help.corrected" if edited else "help.added")]
    names = contact_names(people) if scene.person.known else T("help.the_contacts")
    return [kept, *told, replace(say(scene.person, "safety.added", contacts=names), urgency="safety")]


def words_sent(text: str, sent: Attachment | None) -> Any:
    """Words to a contact, or what came instead of words."""
    return quote(text, 300) or (T(f"help.kind_{sent.kind}") if sent else "")


def sent_along(scene: Scene, case: Case, people: tuple[Person, ...]) -> Effects:
    """A voice note or photo that comes later than her request: to all who are told of it, because no claim hands it on."""
    sent = scene.message.attachment
    if sent is None or scene.message.edited:
        return []
    urgency = "safety" if case.kind == "safety" else "talk"
    return [Copy(p.id, sent, "contacts.sent_along", {"who": who(case)}, case.key, urgency) for p in people]


def readers_of(scene: Scene, case: Case) -> tuple[Person, ...]:
    """Who was told of a case and still reads: nobody is promised words that go to who said STOP."""
    people = told_about(scene.place, scene.coordinators, case) if scene.place else scene.coordinators
    return tuple(p for p in people if p.reachable)


def may_read(person: Person, heard: Heard) -> bool:
    """Whether these words are not kept from this one ("niet aan Joop vertellen", "alleen aan Ans")."""
    return person.id not in heard.kept_from and (not heard.alone_for or person.id in heard.alone_for)


def unread(scene: Scene, heard: Heard, case: Case) -> Effects:
    """More words about a case that nobody reads now: they are kept with it, and she hears that it is so.

    What she gave to one contact alone who said STOP is hers again, and she may let another read it.
    """
    kept = AddToCase(case.key, scene.person.id, heard.text, scene.message.attachment)
    hidden = readers_of(scene, case)  # she keeps these words from everybody who was told
    if case.kind == "safety":
        text = "safety.kept_back" if hidden else "safety.nobody_yet"
        return [kept, replace(say(scene.person, text), urgency="safety")]
    if hidden:
        return [kept, say(scene.person, "check_in.not_told")]
    if not is_private(case):
        return [kept, say(scene.person, "help.nobody_there")]
    return back_to_her(scene, case, heard.text)


def hers_again(case: Case, contact: Person) -> Effects:
    """What she gave to one contact alone who will not do it: a draft of hers, which she may let another read."""
    before = case.claimed_by.id if case.claimed_by else None
    hers = {"only_contact": None}
    moved = MoveCase(case.key, case.state, "draft", contact.id, claimed_by_before=before, changes=hers)
    asker = case.person
    name = contact.name if asker and asker.known else T("help.a_contact")
    told = [tell(asker, "help.handed_back_only", case, contact=name)] if asker else []
    return [moved, Unbutton(case.key), *told]


def back_to_her(scene: Scene, case: Case, more: str) -> Effects:
    """A matter for one contact who does not read any more becomes a draft, with what she wrote now."""
    before = case.claimed_by.id if case.claimed_by else None
    words = "\n".join(filter(None, (case.words, more)))[:WORDS_MAX]
    everyone = scene.place.all_contacts if scene.place else ()
    chosen = [p.name for p in everyone if p.id == case.only_contact and scene.person.known]
    name = chosen[0] if chosen else T("help.a_contact")
    sent = (*case.attachments, *((scene.message.attachment,) if scene.message.attachment else ()))
    hers: dict[str, Any] = {"only_contact": None, "attachments": [asdict(a) for a in sent]}
    return [
        MoveCase(case.key, case.state, "draft", scene.person.id, claimed_by_before=before, changes=hers),
        AddToCase(case.key, scene.person.id, more, scene.message.attachment, instead=words),
        Unbutton(case.key),
        say(scene.person, "help.only_gone", contact=name),
    ]


def all_words(case: Case, heard: Heard) -> str | None:
    """What an alarm says from now on wherever it is told again: a street written after the cry must not get lost.

    What is kept from somebody stands in no repeat: that goes to everybody.
    """
    if heard.kept_from or heard.alone_for:
        return None
    return "\n".join(filter(None, (case.words, heard.text)))[:WORDS_MAX] if case.kind == "safety" else None


def loud_text(key: str, case: Case) -> str:
    """A text about danger, with the words of a case that has them: they may say that it is about another."""
    return f"{key}_words" if case.words else key


def keep_from(scene: Scene, heard: Heard, case: Case) -> Effects | None:
    """ "niet door Joop graag", after it was passed on: the other one does it, if nobody took it yet; who read it, read it."""
    may = allowed(scene, heard)
    if case.kind != "help" or case.state != "open" or len(may) != 1:
        return None
    only = replace(case, only_contact=may[0].id)
    if not may[0].reachable:  # said STOP: nobody is left who may read it
        told = [
            tell(p, "contacts.taken_back", case, number=case.number, who=who(case)) for p in readers_of(scene, case)
        ]
        return [*told, *back_to_her(scene, only, heard.text)]
    due = later(scene.now, scene.place.neighbourhood if scene.place else None, "help_remind")
    moved = MoveCase(
        case.key, "open", "open", by=scene.person.id, due_at=due, rung=case.rung, changes={"only_contact": may[0].id}
    )
    words = {**case_args(only), "words": quote(heard.text, 300)}
    return [
        moved,
        AddToCase(case.key, scene.person.id, heard.text),
        tell(may[0], "contacts.more_words", only, "claim", **words),
        say(scene.person, "help.only_now", contact=may[0].name if scene.person.known else T("help.a_contact")),
    ]
