"""The same words twice within two minutes: a slow phone invites it, and the second time says nothing new.

    bewoner Riet: mijn lamp is stuk
    bot aan Riet: "mijn lamp is stuk" Zal ik dit doorgeven aan Ans en Joop?
    bewoner Riet: mijn lamp is stuk
    bewoner Riet: ja

What the first time brought about stands: its question is still open, its words are with who reads them.
"""

from __future__ import annotations

from flows import alarm
from flows.contract import AFTERTHOUGHTS, BURST_SECONDS, Scene
from flows.heard import Heard
from flows.plain import plain


def says_nothing_new(scene: Scene, heard: Heard) -> bool:
    """Whether these words were said just before and need no second answer. Danger and orders are heard every time.

    An answer that is as short as the one before it ("weet niet" to two questions) is an answer: only words which the
    open question was asked about are the same message. So are words that a contact may have asked for in between.
    """
    message, person, talk = scene.message, scene.person, scene.talk
    if not message.again or message.button or message.attachment or message.opt_out or message.edited:
        return False
    if scene.invite or person.helps_in_chat or person.stopped or heard.command or heard.danger:
        return False
    if alarm.live_alarm(scene) is not None or _written_to(scene):
        return False
    if talk is None or talk.dialogue in AFTERTHOUGHTS:
        return True
    return plain(str(talk.slots.get("words", "")).rpartition("\n")[2]) == plain(message.text)


def _written_to(scene: Scene) -> bool:
    return scene.focus_at is not None and (scene.now - scene.focus_at).total_seconds() <= BURST_SECONDS
