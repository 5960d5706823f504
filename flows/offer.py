"""A resident offers something, in one sentence, with a limit and a pause.

    bewoner Henk: ik kan wel lampen ophangen
    bot aan Henk: Wat fijn, Henk. Ik schrijf op: klusjes. Hoe vaak mag iemand u hiervoor vragen?
    bewoner Henk: af en toe
    bot aan Henk: Genoteerd: af en toe. U mag altijd nee zeggen. Even niet? Schrijf PAUZE.

    bewoner Henk: ik wil niet meer gevraagd worden
    bot aan Henk: Goed. Ik vraag u niet meer om te helpen. Zelf iets vragen mag altijd.

To be asked as a helper is a consent of its own: answering how often is the yes, "liever niet" the no.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows import help as asking
from flows.contract import AddOffer, Effects, PauseOffers, Scene, SetConsent, Slots, T
from flows.heard import Heard
from flows.plain import plain
from flows.say import say
from flows.talk import Answer, Ask, Dialogue, Do, Filled, Leave, Pass, begin

LIMITS = ("sometimes", "weekly", "often")


def start(scene: Scene, heard: Heard) -> Effects:
    """A message that offers something."""
    return begin(OFFER, scene, {"words": heard.text, "topics": list(heard.topics)})


def taken_back(scene: Scene, heard: Heard) -> Effects | None:
    """ "geen klusjes meer": everything somebody offered ends, in so many words; None when nothing was offered or meant."""
    if "no_helper" not in heard.signals or not scene.own_offers or scene.message.button:
        return None
    if scene.talk is not None and scene.talk.dialogue == OFFER.name:
        return None  # the open question hears it
    person = scene.person.id
    gone: Effects = [SetConsent(person, "helper", False, "offer.taken_back"), PauseOffers(person, None)]
    return [*gone, say(scene.person, "offer.taken_back")]


def _limit(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    if choice in LIMITS:
        return Filled({"limit": choice})
    if heard.clear and heard.intent == "stop":
        return Pass([])
    enough = "enough" in heard.signals and not heard.signals & {*LIMITS, "at_most"}
    paused = heard.intent == "pause" and heard.clear
    if (
        enough
        or paused
        or {"never_mind", "no"} & heard.signals
        or (heard.intent in ("no", "cancel") and heard.clear and "at_most" not in heard.signals)
    ):
        no_consent: Effects = [SetConsent(scene.person.id, "helper", False, "offer.limit")]
        before = bool(scene.own_offers)  # what was offered before stays, with its consent
        if paused and "away" in heard.signals:  # who goes away says more than no
            return Pass([] if before else [*no_consent])
        return Leave([*([] if before else no_consent), say(scene.person, "offer.dropped")])
    for limit in LIMITS:
        if limit in heard.signals:
            return Filled({"limit": limit})
    if plain(heard.text) == plain(slots["words"]):  # what she offers, once more, is not how often
        return None
    if "at_most" in heard.signals:
        return Filled({"limit": "words", "limit_words": heard.text.strip()})
    more = heard.intent == "offer_help" and heard.clear
    if more or _names_what(heard, slots):
        return Filled(
            {
                "words": f"{slots['words']}\n{heard.text}",
                "topics": [*(t for t in slots["topics"] if more or t != "overig"), *heard.topics],
                "limit": "sometimes",
            }
        )
    elsewhere = heard.clear and heard.intent in _ELSEWHERE  # "ik voel me zo eenzaam" is not how often
    if elsewhere or scene.message.attachment:
        return Pass(keep(scene, slots["words"], tuple(slots["topics"]), "sometimes"))
    if heard.clear and heard.intent in _NOT_HOW_OFTEN:
        return None
    if heard.intent == "ask_help" and heard.clear:  # her question goes first; the offer is kept as the least it can be
        kept = keep(scene, slots["words"], tuple(slots["topics"]), "sometimes")
        return Leave([*kept, *asking.take_up(replace(scene, talk=None), asking.matter(scene, heard))])
    if asking.yes_or_no(heard) == "yes":  # "ja" to both questions in one: the least it can be
        return Filled({"limit": "sometimes"})
    if "?" in heard.text or "to_you" in heard.signals:  # "wat bedoel je" is not how often
        return None
    if len(heard.text.split()) > LIMIT_WORDS:  # a story is not how often
        return Pass(keep(scene, slots["words"], tuple(slots["topics"]), "sometimes"))
    if heard.text.strip():
        return Filled({"limit": "words", "limit_words": heard.text.strip()})
    return None


LIMIT_WORDS = 12  # "alleen op dinsdag en donderdag, en liefst niet te ver van huis"
_ELSEWHERE = ("call_me_back", "checkin_so_so", "checkin_bad", "complaint_or_anger", "delete_my_data")
_NOT_HOW_OFTEN = ("status", "done")
WHAT_WORDS = 4  # "boodschappen en koken"


def _names_what(heard: Heard, slots: Slots) -> bool:
    """After "kan ik iets doen?" a few words that name something say what, and ask nothing."""
    vague = not set(slots["topics"]) - {"overig"}
    named = bool(set(heard.topics) - {"overig"}) and "anyone" not in heard.signals
    return vague and named and "?" not in heard.text and len(heard.text.split()) <= WHAT_WORDS


def keep(scene: Scene, words: str, topics: tuple[str, ...], limit: str) -> Effects:
    """Keep the offer, with the consent to be asked for it."""
    shown = T("offer.limit_" + limit) if limit in LIMITS else limit or T("offer.limit_sometimes")
    return [
        AddOffer(scene.person.id, words, topics, limit or "sometimes"),
        SetConsent(scene.person.id, "helper", True, "offer.limit"),
        say(scene.person, "offer.kept", limit=shown),
    ]


def _kept(scene: Scene, slots: Slots) -> Effects:
    limit = slots["limit_words"] if slots["limit"] == "words" else slots["limit"]
    return keep(scene, slots["words"], tuple(dict.fromkeys(slots["topics"])), limit)


def _args(scene: Scene, slots: Slots) -> dict[str, Any]:
    topics = tuple(T(f"topics.{t}") for t in slots["topics"])
    return {"topics": topics or (T("topics.overig"),)}


def _not_heard(scene: Scene, _heard: Heard, slots: Slots) -> Effects:
    return keep(scene, slots["words"], tuple(slots["topics"]), "sometimes")


OFFER = Dialogue("offer", (Ask("limit", _limit, choices=lambda *_: LIMITS, args=_args), Do("kept", _kept)), _not_heard)
