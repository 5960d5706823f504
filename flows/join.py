"""Somebody writes for the first time. Any first text is welcome, and is kept while we ask who it is.

    onbekend nummer: mijn lamp is stuk
    bot: Dag. Ik ben Binnenbuurt, een computer. Ik breng berichten naar buren. Hoe heet u? En in welke straat woont u?
    onbekend nummer: Riet, Lutmastraat
    bot: Dank u, Riet. In uw buurt lezen twee contactpersonen mee. Dat zijn buren. Zal ik "mijn lamp is stuk" doorgeven?
    onbekend nummer: ja

The contacts hear of a new neighbour as a `newcomer` case. Until one of them says "ken ik" she is shown no names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flows import casebook
from flows import help as asking
from flows import offer as offering
from flows.contract import (
    Case,
    Effects,
    MoveCase,
    Note,
    Person,
    Place,
    Scene,
    SetConsent,
    SetPerson,
    Slots,
    T,
)
from flows.heard import Heard
from flows.say import say, tell
from flows.talk import Answer, Ask, Dialogue, Do, Filled, Leave, Stay, begin
from flows.times import later

MORE_THAN_A_NAME = 7  # "ik ben Toos de Vries van de Lutmastraat": so many words may all be who she is
WORDS_MIN = 3  # fewer words than this, where we asked for a name or street, are a try at just that
STORY_WORDS = 10  # what is longer than this is more than a greeting, however friendly it sounds
UNCLEAR_WORDS = 5  # behind a yes or no, fewer words that are not understood are no matter of their own
ANSWERS_ONLY = frozenset(
    {"greet_or_vague", "small_talk_or_other", "yes", "no", "thanks", "question_about_bot_or_privacy"}
)
"""First texts that carry nothing to pass on; what is unclear is kept all the same."""


def _carries(scene: Scene, heard: Heard) -> bool:
    """Whether a message holds something of hers, beside or instead of an answer to our question."""
    count = len(heard.text.split())
    story = heard.intent in ("greet_or_vague", "small_talk_or_other") and count > STORY_WORDS
    story = story or (heard.intent in ("yes", "no") and not {"yes", "no"} & heard.signals and count > UNCLEAR_WORDS)
    about = bool(set(heard.topics) - {"overig"}) or story
    return scene.message.attachment is not None or not heard.clear or about or heard.intent not in ANSWERS_ONLY


def start(scene: Scene, heard: Heard) -> Effects:
    """The first text of somebody we do not know: keep it, and ask who it is."""
    if "wrong_number" in heard.signals and len(heard.text.split()) < STORY_WORDS:
        return [say(scene.person, "join.wrong_number")]
    slots: dict[str, Any] = {}
    found = heard.named_place
    only_code = found is not None and len(heard.text.split()) <= 2
    if found:
        slots |= {"neighbourhood": found[0].neighbourhood.id, "street": found[1]}
    introduced = _introduced(heard)
    if introduced:
        slots["name"] = introduced
    if heard.intent == "offer_help" and heard.clear:
        slots["offer"] = {"words": heard.text, "topics": list(heard.topics)}
    elif not only_code and (not introduced or _asks(heard)) and _carries(scene, heard):
        slots |= asking.matter(scene, heard)
    return begin(JOIN, scene, slots)


def _asks(heard: Heard) -> bool:
    return heard.clear and heard.intent in ("ask_help", "offer_help")


def _introduced(heard: Heard) -> str:
    """A name in a first text: beside a street or code, as "ik ben Toos" alone, or as "ik heet Toos" beside what is asked."""
    if _asks(heard):
        return heard.called_self
    return heard.introduced if heard.named_place is None else heard.name or heard.called_self


def _who(scene: Scene, heard: Heard, slots: Slots, _choice: str) -> Answer:
    if "never_mind" in heard.signals:
        return Leave([say(scene.person, "help.dropped")])
    found = heard.named_place
    got: dict[str, Any] = {}
    if found:
        got = {"neighbourhood": found[0].neighbourhood.id, "street": found[1]}
    elif slots.get("neighbourhood") is None and len(scene.places) == 1:
        got = {"neighbourhood": scene.places[0].neighbourhood.id, "street": heard.typed_street}
    about_other = (
        bool(slots.get("for_other")) and len(heard.text.split()) > WORDS_MIN
    )  # "Marijke, mijn moeder heet Greet"
    more = about_other or (heard.intent == "ask_help" and len(heard.text.split()) > MORE_THAN_A_NAME)
    said = asking.add(slots, scene, heard) if more else {}  # who she is and what she asks, in one breath
    if heard.name and len(heard.name.split()) <= 3:
        return Filled({**said, **got, "name": heard.name})
    if heard.called_self:
        return Filled({**said, **got, "name": heard.called_self})
    if found and not slots.get("name"):
        name = heard.called_self
        return Filled({**said, **got, "name": name, **({} if name else {"anonymous": True})})
    if asking.yes_or_no(heard) == "no":
        return Leave([say(scene.person, "join.rather_not")])
    talk = scene.talk
    long_enough = len(heard.text.split()) >= asking.BURST_WORDS and heard.intent != "question_about_bot_or_privacy"
    if talk and talk.is_young(scene.now) and long_enough:
        return Stay(asking.add(slots, scene, heard), [])
    if heard.clear and heard.intent in ("ask_help", "call_me_back"):
        return Stay(asking.add(slots, scene, heard), [say(scene.person, "join.who_first")])
    return None


def _street(scene: Scene, heard: Heard, slots: Slots, _choice: str) -> Answer:
    if "never_mind" in heard.signals:
        return Leave([say(scene.person, "help.dropped")])
    found = heard.named_place
    if found is None:
        return None
    agreed = bool(slots.get("words")) and not slots.get("for_other")
    return Filled(
        {
            "neighbourhood": found[0].neighbourhood.id,
            "street": found[1],
            **({"agreed_by_street": True} if agreed else {}),
        }
    )


def _street_text(_scene: Scene, slots: Slots) -> str:
    return "join.street_and_pass_on" if slots.get("words") and not slots.get("for_other") else "join.street"


def _joined(scene: Scene, slots: Slots) -> Effects:
    place = asking.place_of(scene, slots)
    if place is None:
        return asking.stranger(scene, slots)
    name = slots.get("name", "")
    changes = {"name": name, "street": slots.get("street", ""), "neighbourhood": place.neighbourhood.id, "joined": True}
    effects: Effects = [SetPerson(scene.person.id, changes)]
    if not scene.person.known:
        effects += _tell_newcomer(scene, slots, place, name)
    assert isinstance(slots, dict)
    slots["newcomer"] = place.next_number if not scene.person.known else 0
    return effects


def _tell_newcomer(scene: Scene, slots: Slots, place: Place, name: str) -> Effects:
    newcomer = Person(scene.person.id, name)
    case = Case(
        neighbourhood=place.neighbourhood.id,
        number=place.next_number,
        kind="newcomer",
        state="open",
        words=slots.get("street", ""),
        person=newcomer,
    )
    args: dict[str, Any] = {
        "number": case.number,
        "who": name or T("contacts.a_neighbour"),
        "street": slots.get("street") or T("contacts.no_street"),
    }
    people = place.contacts or scene.coordinators
    told = [tell(p, "contacts.newcomer", case, "know", "not_know", **args) for p in people]
    return [casebook.open_case(scene, place, case), *told]


def _welcome(scene: Scene, slots: Slots) -> Effects:
    """The end of joining without a matter: what this is good for, in examples."""
    if slots.get("offer"):
        return offering.keep(scene, slots["offer"]["words"], tuple(slots["offer"]["topics"]), "")
    return [say(scene.person, "join.welcome", name=slots.get("name") or T("join.neighbour"))]


def _has_matter(_scene: Scene, slots: Slots) -> bool:
    return bool(slots.get("words") or slots.get("attachments"))


def _keeps(slots: Slots, scene: Scene, heard: Heard) -> dict[str, Any]:
    """What is not understood while we ask who it is, is kept with the matter, unless it was a try at name or street."""
    tries = len(heard.text.split()) < WORDS_MIN or heard.typed_street != ""
    kept = scene.message.attachment is not None or (not tries and _carries(scene, heard))
    return asking.add(slots, scene, heard) if kept else dict(slots)


def _not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    """Name or street stayed unclear: her words are not lost, a human reads them."""
    return asking.verbatim(scene, asking.add(slots, scene, heard))


def _matter_only(ask: Ask) -> Ask:
    inner = ask.applies
    return replace(ask, applies=lambda scene, slots: _has_matter(scene, slots) and inner(scene, slots))


JOIN = Dialogue(
    "join",
    (
        Ask(
            "who",
            _who,
            applies=lambda _, slots: "name" not in slots,
            says=lambda _, slots: "join.who_kept" if _has_matter(_, slots) else "join.who",
        ),
        Ask(
            "street",
            _street,
            applies=lambda _, slots: slots.get("neighbourhood") is None,
            says=_street_text,
            args=lambda _, slots: {"name": slots.get("name") or T("join.neighbour")},
        ),
        Do("joined", _joined),
        _matter_only(asking.OTHER),
        _matter_only(asking.SURE),
        Do("passed", asking.pass_on, applies=_has_matter),
        Do("welcomed", _welcome, applies=lambda scene, slots: not _has_matter(scene, slots)),
    ),
    _not_heard,
    keeps=_keeps,
)


# --- the welcome: once somebody of the neighbourhood knows her, or she came with an invitation ---


def _consent(kind: str) -> Any:
    def hears(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
        plain = choice or next((a for a in ("yes", "no") if a in heard.signals), "")
        answer = plain or _opening_answer(heard)
        said = {} if plain or heard.second is None else _second_matter(scene, heard, heard.second)
        if answer and (said or _has_matter(scene, slots)):  # the answer stands, and her matter goes first
            matter = {**_kept_matter(slots), **said}
            if said and _has_matter(scene, slots):
                matter["words"] = f"{slots.get('words', '')}\n{said['words']}".strip()
            given = SetConsent(scene.person.id, kind, answer == "yes", f"welcome.{kind}_ask")
            rest: Effects = [SetPerson(scene.person.id, {"welcome_due": True})] if kind != CONSENTS[-1] else []
            return Leave([given, *rest, *begin(asking.HELP, replace(scene, talk=None), matter)])
        if answer:
            return Filled({kind: answer})
        if heard.clear and heard.intent == "ask_help":  # her matter goes first; without a yes nothing is agreed to
            return Leave(begin(asking.HELP, replace(scene, talk=None), asking.add(_kept_matter(slots), scene, heard)))
        return None

    return hears


def _opening_answer(heard: Heard) -> str:
    """A yes or no that her words begin with, or that is said in them; never one that was only read into them."""
    read = asking.yes_or_no(heard)
    said_no = heard.after_no or asking.is_never_mind(heard) or (read == "no" and asking.refuses(heard))
    return "no" if said_no else "yes" if read == "yes" else ""


def _second_matter(scene: Scene, heard: Heard, second: Heard) -> dict[str, Any]:
    """What stands behind a yes or no as a matter of its own; nothing for a reason or a friendly word."""
    if not second.clear and len(second.text.split()) < UNCLEAR_WORDS:
        return {}
    return asking.matter(scene, replace(second, signals=heard.signals)) if _carries(scene, second) else {}


def _kept_matter(slots: Slots) -> dict[str, Any]:
    """What was kept of her words while we asked for consent; the slots of the questions themselves stay behind."""
    return {k: v for k, v in slots.items() if k not in CONSENTS and not k.startswith("done:")}


CONSENTS = ("check_in", "safety")


def _record(kind: str) -> Any:
    def does(scene: Scene, slots: Slots) -> Effects:
        return [SetConsent(scene.person.id, kind, slots[kind] == "yes", f"welcome.{kind}_ask")]

    return does


def _welcome_not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    """No clear yes is no consent. What her words may be about besides gets the ordinary way on."""
    left: Effects = [say(scene.person, "welcome.left")]
    kept = _welcome_keeps(slots, scene, heard)
    return (
        [*left, *begin(asking.HELP, scene, {**_kept_matter(kept), "unclear": True})]
        if _has_matter(scene, kept)
        else left
    )


def _welcome_keeps(slots: Slots, scene: Scene, heard: Heard) -> dict[str, Any]:
    return asking.add(slots, scene, heard) if _carries(scene, heard) else dict(slots)


WELCOME = Dialogue(
    "welcome",
    (
        Ask(
            "check_in_ask",
            _consent("check_in"),
            choices=lambda *_: ("yes", "no"),
            applies=lambda scene, slots: "check_in" not in slots and "check_in" not in scene.person.asked,
        ),
        Do("check_in_kept", _record("check_in"), applies=lambda _, slots: "check_in" in slots),
        Ask(
            "safety_ask",
            _consent("safety"),
            choices=lambda *_: ("yes", "no"),
            applies=lambda scene, slots: "safety" not in slots and "safety" not in scene.person.asked,
        ),
        Do("safety_kept", _record("safety"), applies=lambda _, slots: "safety" in slots),
        Do("done", lambda scene, _slots: [say(scene.person, "welcome.done")]),
    ),
    _welcome_not_heard,
    keeps=_welcome_keeps,
)


def by_invitation(scene: Scene, heard: Heard, onward: Callable[[Scene, Heard], Effects]) -> Effects:
    """Somebody used a one-time code, or writes from a number that was invited: known from the start, because a contact
    or the coordinator made it so. What they say beside it goes the ordinary way, `onward`.
    """
    person = scene.person
    says_more = _says_more(scene, heard)
    if scene.invite == "own":  # the link was pressed once more; whatever question is open stays open
        return [say(person, "always.greeting", name=person.name)]
    if scene.invite == "many":
        return [say(person, "join.code_many")]
    if scene.invite == "spent":
        more = onward(replace(scene, invite=""), heard) if says_more else []
        return [say(person, "join.code_spent"), *more]
    inside = replace(scene, invite="", places=(), person=replace(person, joined=True, known=True))
    effects: Effects = [SetPerson(person.id, {"joined": True, "known": True})]
    resident = person.role == "resident"
    if not resident:
        effects.append(Note(person.id, "joined_as_" + person.role))
    if heard.danger or (heard.command and heard.command.verb in _NO_WELCOME):
        if heard.danger and resident:
            effects.append(SetPerson(person.id, {"welcome_due": True}))
        return [*effects, *onward(inside, heard)]
    names = casebook.contact_names(tuple(c for c in scene.contacts if c.id != person.id))
    args = {
        "name": person.name,
        "contacts": names,
        "neighbourhood": scene.place.neighbourhood.name if scene.place else "",
    }
    hello = (
        f"contacts.invited_{person.role}" if not resident else "join.invited" if says_more else "join.invited_resident"
    )
    effects.append(say(person, hello, **args))
    if says_more:
        due: Effects = [SetPerson(person.id, {"welcome_due": True})] if resident else []
        return [*effects, *due, *onward(inside, heard)]
    return [*effects, *begin(WELCOME, scene, {})] if resident else effects


_NO_WELCOME = ("stop", "forget_me")
"""Orders of who wants nothing of us."""


def _says_more(scene: Scene, heard: Heard) -> bool:
    """Whether there is more in a first message than a code, a name and a greeting."""
    if scene.message.attachment or heard.danger or heard.command:
        return True
    only_polite = heard.clear and heard.intent in ANSWERS_ONLY and "human" not in heard.signals
    return bool(heard.text.strip()) and "introduction" not in heard.signals and not only_polite


# --- the contacts' answer about a newcomer ---


def know(scene: Scene, case: Case) -> Effects:
    """ "ken ik": from now on names are shown to her, and the contacts' names are told."""
    if case.person is None or case.state == "closed":
        return [say(scene.person, "contacts.already_closed", number=case.number)]
    others = tuple(p for p in scene.contacts if p.id != scene.person.id)
    told = [
        tell(p, "contacts.other_knows", case, number=case.number, who=casebook.who(case), contact=scene.person.name)
        for p in others
    ]
    return [
        MoveCase(
            case.key,
            case.state,
            "closed",
            by=scene.person.id,
            claimed_by_before=case.claimed_by.id if case.claimed_by else None,
            outcome="known",
        ),
        SetPerson(case.person.id, {"known": True, "welcome_due": True}),
        Note(scene.person.id, "vouched", case.key),
        say(scene.person, "contacts.known", who=casebook.who(case)),
        *told,
    ]


def not_know(scene: Scene, case: Case) -> Effects:
    """ "weet ik niet": then it is up to the other one; when neither knows her, the coordinator is asked."""
    others = tuple(p for p in scene.contacts if p.id != scene.person.id)
    if case.only_contact == scene.person.id or not others:
        args = {"number": case.number, "who": casebook.who(case)}
        told = [tell(p, "contacts.newcomer_unknown", case, "know", **args) for p in scene.coordinators]
        hood = scene.place.neighbourhood if scene.place else None
        raised = MoveCase(
            case.key,
            "open",
            "open",
            by=scene.person.id,
            rung=2,
            due_at=later(scene.now, hood, "newcomer_again"),
            changes={"only_contact": None, "escalated": True},
        )
        return [raised, *told, say(scene.person, "contacts.coordinator_asked")]
    args = {"number": case.number, "who": casebook.who(case), "contact": scene.person.name}
    return [
        MoveCase(
            case.key,
            "open",
            "open",
            by=scene.person.id,
            rung=case.rung,
            changes={"only_contact": others[0].id},
            due_at=later(scene.now, scene.place.neighbourhood if scene.place else None, "newcomer_remind"),
        ),
        say(scene.person, "contacts.not_known", who=casebook.who(case), other=others[0].name),
        tell(others[0], "contacts.newcomer_again", case, "know", "not_know", **args),
    ]


def welcome(scene: Scene) -> Effects:
    """The tick's word to somebody who was just vouched for, at a moment when no other question is open.

    Who brought up a matter in the middle of it hears the rest later, without a second welcome.
    """
    begun: Effects = [SetPerson(scene.person.id, {"welcome_due": False})]
    if not scene.person.asked & set(CONSENTS):
        name = scene.place.neighbourhood.name if scene.place else ""
        names = casebook.contact_names(scene.contacts)
        begun += [say(scene.person, "welcome.hello", name=scene.person.name, contacts=names, neighbourhood=name)]
    return [*begun, *begin(WELCOME, scene, {})]
