"""Dialogues: an ordered list of questions, and a bookmark that survives restarts and deploys.

A dialogue is read from the top every time. What is answered (its slot is filled) or does not apply is passed over, and the
first question left is asked. So a question that a deploy inserts half-way is simply asked next, and a step that is gone
hurts nobody. The bookmark `(dialogue, step, slots)` means something by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from flows.contract import MISSES_MAX, AskNext, Choice, Effects, EndTalk, KeepTalk, Scene, Slots
from flows.frozen import frozen
from flows.heard import Heard
from flows.say import say


@frozen
class Filled:
    """The question is answered: these slots are known now."""

    slots: dict[str, Any]


@frozen
class Leave:
    """The talk ends here, with these effects instead of its own end."""

    effects: Effects


@frozen
class Stay:
    """The words were used, but the question is still open: remember the slots, say the effects, ask nothing again."""

    slots: dict[str, Any]
    effects: Effects


@frozen
class Pass:
    """The words were no answer to this question: the talk ends with these effects, and the words get the ordinary way."""

    effects: Effects


Answer = Filled | Leave | Stay | Pass | None
"""What a question makes of a message; None is "not understood"."""


def always(_scene: Scene, _slots: Slots) -> bool:
    """The condition of a step that is for everyone."""
    return True


def no_choices(_scene: Scene, _slots: Slots) -> tuple[str, ...]:
    """The choices of an open question."""
    return ()


def no_args(_scene: Scene, _slots: Slots) -> dict[str, Any]:
    """The placeholders of a text without any."""
    return {}


@frozen
class Ask:
    """One question. Its text is `<dialogue>.<step>` unless `says` names another; a choice's label is `<text>_<choice>`,
    or `<base>_<choice>` for a question that is put in several ways.

    `hears` gets the choice that was made by button or number ("" when words came) beside the scene and what was heard.
    """

    step: str
    hears: Callable[[Scene, Heard, Slots, str], Answer]
    choices: Callable[[Scene, Slots], tuple[str, ...]] = no_choices
    applies: Callable[[Scene, Slots], bool] = always
    args: Callable[[Scene, Slots], dict[str, Any]] = no_args
    says: Callable[[Scene, Slots], str] | None = None
    base: str = ""


@frozen
class Do:
    """A step without a question: effects between two questions. Done once; its name is kept among the slots."""

    step: str
    does: Callable[[Scene, Slots], Effects]
    applies: Callable[[Scene, Slots], bool] = always


@frozen
class Dialogue:
    """A conversation: its name, its steps in order, and what becomes of words that were not understood twice.

    `keeps` says what words that were not understood once add to the slots, where they may belong to the matter.
    """

    name: str
    steps: tuple[Ask | Do, ...]
    not_heard: Callable[[Scene, Heard, Slots], Effects]
    keeps: Callable[[Slots, Scene, Heard], dict[str, Any]] | None = None

    def ask(self, step: str) -> Ask | None:
        """The question of that name, None when this version of the dialogue has none."""
        return next((s for s in self.steps if isinstance(s, Ask) and s.step == step), None)


def begin(dialogue: Dialogue, scene: Scene, slots: Slots, first: Iterable[Any] = ()) -> Effects:
    """Start a dialogue with what is known already; returns the effects up to the first open question.

    A talk that is still open is replaced, which the write is guarded for.
    """
    replaces = scene.talk.serial if scene.talk else None
    return [*first, *_walk(dialogue, scene, dict(slots), replaces)]


def resume(
    dialogue: Dialogue,
    scene: Scene,
    heard: Heard,
    aside: Callable[[Scene, Heard], Effects],
    onward: Callable[[Scene, Heard], Effects],
) -> Effects:
    """Go on with an open talk: the message answers the question at the bookmark, or does not.

    Words that are no answer may be a question of hers: `aside` answers it, and ours is put again without counting a miss.
    `onward` is the ordinary way of words that a question passes by.
    """
    talk = scene.talk
    assert talk is not None
    slots = dict(talk.slots)
    question = dialogue.ask(talk.step)
    if question is None:  # the step is gone since a deploy: ask what is open now
        return _walk(dialogue, scene, slots, talk.serial)
    choice = chosen(question, scene, heard)
    off_list = bool(heard.numbers) and not choice and bool(question.choices(scene, slots))
    answer = None if off_list else question.hears(scene, heard, slots, choice)  # "1 en 3" is asked again
    if isinstance(answer, Leave):
        return [EndTalk(scene.person.id, talk.serial), *answer.effects]
    if isinstance(answer, Pass):
        return [EndTalk(scene.person.id, talk.serial), *answer.effects, *onward(replace(scene, talk=None), heard)]
    if isinstance(answer, Stay):
        return [KeepTalk(scene.person.id, {**slots, **answer.slots}, talk.serial), *answer.effects]
    if isinstance(answer, Filled):
        return _walk(dialogue, scene, {**slots, **answer.slots, _done(talk.step): True}, talk.serial)
    between = aside(scene, heard)
    if between:
        return [*between, _asked(dialogue, question, scene, slots, misses=talk.misses, replaces=talk.serial)]
    if talk.misses + 1 >= MISSES_MAX:
        return [EndTalk(scene.person.id, talk.serial), *dialogue.not_heard(scene, heard, slots)]
    kept = dialogue.keeps(slots, scene, heard) if dialogue.keeps and not off_list else slots
    return [_asked(dialogue, question, scene, kept, misses=talk.misses + 1, replaces=talk.serial)]


def again(dialogue: Dialogue, scene: Scene, slots: Slots) -> Effects:
    """The open talk with other slots: up to the question that is open now, which may be the same one."""
    assert scene.talk is not None
    return _walk(dialogue, scene, dict(slots), scene.talk.serial)


def _done(step: str) -> str:
    """The slot that says a step was passed; apart from what the steps fill, so that names never meet."""
    return f"done:{step}"


def _walk(dialogue: Dialogue, scene: Scene, slots: dict[str, Any], replaces: int | None) -> Effects:
    effects: Effects = []
    for step in dialogue.steps:
        if _done(step.step) in slots or not step.applies(scene, slots):
            continue
        if isinstance(step, Do):
            effects += step.does(scene, slots)
            slots[_done(step.step)] = True
        else:
            return [*effects, _asked(dialogue, step, scene, slots, misses=0, replaces=replaces)]
    return [EndTalk(scene.person.id, replaces), *effects] if replaces is not None else effects


def _asked(
    dialogue: Dialogue, ask: Ask, scene: Scene, slots: dict[str, Any], *, misses: int, replaces: int | None
) -> AskNext:
    key = ask.says(scene, slots) if ask.says else f"{dialogue.name}.{ask.step}"
    base = ask.base or key
    args = ask.args(scene, slots)
    made = tuple(
        Choice(
            f"{base}_{name.partition('=')[0]}",
            f"t:{scene.next_serial}:{name}",
            {**args, "value": name.partition("=")[2]},
        )
        for name in ask.choices(scene, slots)
    )
    spoken = say(scene.person, f"{base}_again" if misses else key, made, **args)
    return AskNext(scene.person.id, dialogue.name, ask.step, slots, spoken, misses, replaces)


def chosen(ask: Ask, scene: Scene, heard: Heard) -> str:
    """Which choice of the open question was made: by its button, or by its number with nothing else said ("optie 2").

    "" means that words came instead. A button of an older question is no choice here; two numbers, or one past the
    list, are none either, so that it is asked again.
    """
    talk, message = scene.talk, scene.message
    assert talk is not None
    names = ask.choices(scene, talk.slots)
    if message.button:
        return next((name for name in names if message.button == f"t:{talk.serial}:{name}"), "")
    if len(heard.numbers) == 1 and heard.numbers[0] <= len(names):
        return names[heard.numbers[0] - 1]
    return ""
