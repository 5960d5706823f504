"""Ready-made scenes: what somebody writes or presses, step by step, with a caption for who watches.

Their sentences are in `locales/nl/tryout/scenes.toml`. A button is named by what it does ("claim", "yes"), so that a
volunteer who rewords a button breaks no scene.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bot.language import LOCALES, read_toml
from bot.world import Line, World
from flows.texts import TextError


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens: words, a button, a voice note or passing time (`minutes`); or only a caption.

    `quiet` says that no answer is expected, which a test compares with what the engine really does.
    """

    caption: str = ""
    who: str = ""
    says: str = ""
    press: str = ""
    kind: str = ""
    minutes: int = 0
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene: a short name for the address, a title for the button, and its steps."""

    name: str
    title: str
    about: str
    steps: tuple[Step, ...] = field(default=())


def load(folder: Path = LOCALES) -> tuple[Scene, ...]:
    """All scenes, in the order of the file. Raises TextError for one that has an unknown or missing word."""
    try:
        return tuple(
            Scene(s["name"], s["title"], s["about"], tuple(Step(**step) for step in s["step"]))
            for s in read_toml(folder / "tryout" / "scenes.toml")["scene"]
        )
    except (KeyError, TypeError) as wrong:
        raise TextError(f"locales/nl/tryout/scenes.toml: {wrong}") from None


def perform(step: Step, world: World) -> list[Line]:
    """Let one step happen; returns what arrived. Raises LookupError when the button is on no phone of theirs."""
    if step.minutes:
        return world.pass_time(timedelta(minutes=step.minutes))
    if step.press:
        return world.write(step.who, "", button=button(world, step.who, step.press))
    if step.kind:
        return world.write(step.who, step.says, kind=step.kind)
    return world.write(step.who, step.says) if step.says else []


def button(world: World, who: str, does: str) -> str:
    """The data of the newest button on somebody's phone that does this, also when it was taken by another meanwhile."""
    for line in reversed(world.lines):
        if line.who == who and line.sent_by_bot:
            for _, data in line.buttons:
                if data.rpartition(":")[2].partition("=")[0] == does:
                    return data
    raise LookupError(f"{who} has no button that does {does}")
