"""What a resident's words get by their meaning alone, while nothing is open that they may be about."""

from __future__ import annotations

from collections.abc import Callable

from flows import check_in, offer
from flows import help as asking
from flows.contract import Effects, Scene
from flows.heard import Heard
from flows.say import say
from flows.talk import begin

Reaction = Callable[[Scene, Heard], Effects]
SHORT_WORDS = 5  # a greeting or a loose word; what is longer may be something for a human


def verbatim(scene: Scene, heard: Heard) -> Effects:
    """Not understood: asked once, lightly, whether a contact should read it."""
    if not heard.text.strip() and not scene.message.attachment:
        return [say(scene.person, "always.empty")]
    return small_talk(scene, heard)


def _ask_help(scene: Scene, heard: Heard) -> Effects:
    slots = asking.matter(scene, heard)
    if "bare" in heard.signals:  # "ik heb hulp nodig": the one thing to ask is with what
        slots = {**slots, "words": ""}
    return asking.take_up(scene, slots)


def _call_me(scene: Scene, heard: Heard) -> Effects:
    return begin(asking.HELP, scene, asking.matter(scene, heard))


def greeting(scene: Scene, heard: Heard) -> Effects:
    """A greeting back; what is longer is read as words for somebody."""
    if len(heard.text.split()) > SHORT_WORDS or heard.topics:  # more than a greeting
        return verbatim(scene, heard)
    return [say(scene.person, "always.greeting", name=scene.person.name)]


def small_talk(scene: Scene, heard: Heard) -> Effects:
    """Asked once, lightly, whether a contact should read it."""
    return asking.take_up(scene, {**asking.matter(scene, heard), "unclear": True})


def thanks(scene: Scene, _heard: Heard) -> Effects:
    """Thanks for nothing in particular."""
    return [say(scene.person, "always.welcome")]


def _complaint(scene: Scene, heard: Heard) -> Effects:
    return [say(scene.person, "always.sorry"), *small_talk(scene, heard)]


def nothing_open(scene: Scene, heard: Heard) -> Effects:
    """An answer to no question; a story is not answered with "nothing is open"."""
    if len(heard.text.split()) > SHORT_WORDS:
        return verbatim(scene, heard)
    return [say(scene.person, "always.nothing_open")]


INTENTS: dict[str, Reaction] = {
    "ask_help": _ask_help,
    "call_me_back": _call_me,
    "offer_help": offer.start,
    "greet_or_vague": greeting,
    "thanks": thanks,
    "complaint_or_anger": _complaint,
    "small_talk_or_other": small_talk,
    "cancel": nothing_open,
    "done": nothing_open,
    "yes": nothing_open,
    "no": nothing_open,
    "status": nothing_open,
    "checkin_good": check_in.unasked,
    "checkin_so_so": check_in.unasked,
    "checkin_bad": check_in.unasked,
}
