"""Somebody corrects a message of before, as Telegram lets them: the new words take the place of the old ones.

    bewoner Henk: mijn lamp is stuk
    bot aan Henk: "mijn lamp is stuk" Zal ik dit doorgeven aan Ans en Joop?
    bewoner Henk verbetert: mijn ladder is stuk
    bot aan Henk: "mijn ladder is stuk" Zal ik dit doorgeven aan Ans en Joop?

What was passed on already reaches its readers as a correction. A correction of anything else is a message like another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows import casebook, contacts
from flows import help as asking
from flows.contract import AFTERTHOUGHTS, AddToCase, AskNext, Case, Effects, KeepTalk, Scene, Slots
from flows.heard import Heard
from flows.say import say
from flows.talk import Dialogue, again


def says_nothing_new(scene: Scene, heard: Heard) -> bool:
    """A correction that changes no word, or only how a yes or no was put: Telegram sends those as well."""
    message = scene.message
    return message.edited and (message.before == message.text or "same_answer" in heard.signals)


def of_talk(scene: Scene, heard: Heard) -> dict[str, Any] | None:
    """What the open talk remembers once these words are corrected; None when it does not hold them."""
    talk = scene.talk
    if talk is None or not scene.message.edited or heard.command or {"yes", "no"} & heard.signals:
        return None
    if not scene.message.before:  # words that were put under a photo later belong to it
        return asking.add(talk.slots, scene, heard) if talk.slots.get("attachments") else None
    return asking.instead(talk.slots, scene, heard)


def in_talk(scene: Scene, dialogue: Dialogue | None, slots: Slots, *, aloud: bool) -> Effects:
    """The talk with its corrected words. Its question is put again only where it would now be another.

    `aloud`: a question about danger, which stays as it was put.
    """
    talk = scene.talk
    assert talk is not None
    kept: Effects = [KeepTalk(scene.person.id, slots, talk.serial, talk.misses)]
    if dialogue is None or aloud or dialogue.name in AFTERTHOUGHTS:
        return kept
    before, now = (again(dialogue, replace(scene, talk=replace(talk, slots=s)), s) for s in (talk.slots, slots))
    asked = [e.say for e in (*before, *now) if isinstance(e, AskNext)]
    return kept if len(asked) == 2 and asked[0] == asked[1] else now


def of_case(scene: Scene, heard: Heard) -> Effects | None:
    """A matter whose own words are corrected: who reads it hears so; None when no matter of hers holds them."""
    if not scene.message.before or heard.command or {"yes", "no"} & heard.signals:
        return None
    if heard.kept_from or heard.alone_for:  # who may read it is more than a wording
        return None
    for case in reversed((*scene.own_cases, *scene.drafts)):
        words = asking.in_place(case.words, scene.message.before, heard.text)
        if words is not None:
            kept = AddToCase(case.key, scene.person.id, heard.text, instead=words)
            return [kept, *_told(scene, heard, case)]
    return None


def _told(scene: Scene, heard: Heard, case: Case) -> Effects:
    unread = case.wordless and case.kind != "safety"  # what came after a cry was read
    if case.state == "draft" or unread:  # nobody read the words, and nobody does now
        return [say(scene.person, "help.corrected")]
    told = contacts.from_resident if case.claimed_by else casebook.add_to_case
    return [e for e in told(scene, heard, case) if not isinstance(e, AddToCase)]
