"""One pretend neighbourhood that any number of browser tabs look at, live.

The World is single-threaded, so it has a thread of its own; everything else here runs on the event loop. A tab gets the
lines it has not seen yet and the newest picture of the rest, so nothing is lost when its connection was away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the engine takes two seconds to load, and the page must be up before that
    from bot.cast import Actor
    from bot.tryout.scenes import Scene, Step
    from bot.world import Line, World

log = logging.getLogger("binnenbuurt.tryout")

HEARTBEAT_SECONDS = 15  # a comment this often, so that a browser notices a dead connection
LINES_MAX = 2_000  # past this the page asks for a fresh start
COUNT_DIGITS = 9  # of a count of lines that a tab gives back; more of them is no count of ours
TEXT_MAX = 20_000  # characters of one message that the page takes; the engine keeps what it keeps
MESSAGE_COSTS = timedelta(minutes=1)  # every message sent takes a minute of the pretend clock, which else stands still
PUSH_STEP = timedelta(hours=1)  # a pushed clock is shown as it runs
WORDS_PER_SECOND = 3.3  # how fast scenes are read: slowly, aloud
CENTS_PER_EURO = 100


class NotPossible(Exception):
    """Something a phone cannot do; its text is a key of `errors` in locales/nl/tryout/page.toml."""


@dataclass(slots=True)
class Playing:
    """What the tabs see of a scene: its caption, and who is typing what."""

    name: str = ""
    caption: str = ""
    who: str = ""
    typing: str = ""
    done: bool = False


@dataclass(slots=True)
class Picture:
    """The neighbourhood as it stands: `epoch` names this world, `lines` only grow, `state` is the newest."""

    epoch: str = ""
    lines: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)


class Show:
    """The pretend neighbourhood, its clock, its scenes and who is looking."""

    def __init__(self, folder: Path, pace: float = 1.0) -> None:
        """`folder` holds the temporary databases; `pace` 0 plays scenes without pauses."""
        self._folder, self._pace = folder, pace
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="world")
        self._world: World | None = None
        self._picture = Picture()
        self._phones: list[str] = []
        self._replies: dict[int, str] = {}
        self._playing = Playing()
        self._scene: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._pushing = False
        self._closing = False
        self._version = 0
        self._changed = asyncio.Event()

    # --- looking ---

    async def events(self, last_id: str) -> AsyncIterator[str]:
        """Server-sent events for one tab, from the line after `last_id` on; ends when the show closes."""
        epoch, _, count = last_id.partition(".")
        seen, version = int(count) if count.isdecimal() and len(count) <= COUNT_DIGITS else 0, -1
        while not self._closing:
            changed, picture = self._changed, self._picture
            if version != self._version:
                version = self._version
                if epoch != picture.epoch:
                    epoch, seen = picture.epoch, 0
                    yield f"id: {epoch}.0\nevent: fresh\ndata: {{}}\n\n"
                new = picture.lines[seen:]
                if new:
                    seen += len(new)
                    yield f"id: {epoch}.{seen}\nevent: lines\ndata: {json.dumps(new)}\n\n"
                yield f"event: state\ndata: {json.dumps(self._shown())}\n\n"
            try:
                await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield ": still here\n\n"

    def _shown(self) -> dict[str, Any]:
        playing = self._playing
        return {
            **self._picture.state,
            "ready": bool(self._picture.state),
            "running": self._pushing,
            "scene": {
                "name": playing.name,
                "caption": playing.caption,
                "who": playing.who,
                "typing": playing.typing,
                "done": playing.done,
            },
        }

    def _tell(self) -> None:
        self._version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def close(self) -> None:
        """Let every tab go, so that the server can stop; safe to call from a signal handler."""
        self._closing = True
        self._changed.set()

    async def ended(self) -> None:
        """Stop the scene and give the database back."""
        self.close()
        await self._end_scene()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._leave)
        self._thread.shutdown()

    # --- doing ---

    async def start(self) -> None:
        """A fresh neighbourhood: everybody settled in, nothing said yet."""
        await self._in_world(lambda _: [], fresh=True)

    async def reset(self) -> None:
        """Begin again; a running scene is stopped."""
        async with self._beginning:
            await self.stop()
            await self.start()

    async def write(self, who: str, text: str, button: str, reply_to: int, kind: str) -> None:
        """Somebody writes, presses or sends along. Raises NotPossible for what that phone cannot do."""
        if len(text) > TEXT_MAX:
            raise NotPossible("too_long")
        if kind not in ("text", "voice", "photo"):
            raise NotPossible("unknown")
        await self.stop()

        def job(world: World) -> list[Line]:
            lines = [line for line in world.lines if line.who == who and line.sent_by_bot]
            if who not in self._phones:
                raise NotPossible("no_phone")
            if len(world.lines) >= LINES_MAX:
                raise NotPossible("full")
            if button and not any(data == button for line in lines for _, data in line.buttons):
                raise NotPossible("no_button")
            about = next((line for line in lines if reply_to and line.row == reply_to), None)
            if reply_to and about is None:
                raise NotPossible("no_message")
            world.pass_time(MESSAGE_COSTS)
            mine = len(world.lines)
            arrived = world.write(who, _sendable(text), button=button, reply_to=reply_to, kind=kind)
            if about:
                self._replies[world.lines[mine].id] = about.text
            return arrived

        await self._in_world(job)

    async def push(self, how: str) -> None:
        """Push the clock: "hour", "tomorrow" or "tuesday". The tabs see it run. Raises NotPossible."""
        if how not in ("hour", "tomorrow", "tuesday"):
            raise NotPossible("unknown")
        if self._pushing:
            raise NotPossible("clock_runs")
        await self.stop()
        await self._run_clock(how)

    async def _run_clock(self, how: str, minutes: int = 0) -> list[Line]:
        if not self._picture.state:
            raise NotPossible("not_ready")
        epoch, arrived = self._picture.epoch, list[Any]()
        end = _until(how, minutes, self._now())
        step = PUSH_STEP if end - self._now() > 2 * PUSH_STEP else PUSH_STEP / 4

        def job(world: World) -> list[Line]:
            return world.pass_time(min(step, end - world.now)) if self._picture.epoch == epoch else []

        self._pushing = True
        try:
            while self._picture.epoch == epoch and self._now() < end:
                arrived += await self._in_world(job)
        finally:
            self._pushing = False
            self._tell()
        return arrived

    def _now(self) -> datetime:
        return datetime.fromisoformat(self._picture.state["now"])

    async def add_phone(self) -> None:
        """Put the phone of somebody who never wrote before beside the others. Raises NotPossible when all are there."""

        def job(world: World) -> list[Line]:
            new = next((a.name for a in world.cast if not a.known and a.name not in self._phones), None)
            if new is None:
                raise NotPossible("no_more_phones")
            self._phones.append(new)
            return []

        await self._in_world(job)

    # --- scenes ---

    async def play(self, scene: Scene) -> None:
        """Begin again and let a scene play itself; returns at once."""
        async with self._beginning:
            await self.stop()
            await self.start()
            self._playing = Playing(scene.name)
            self._scene = asyncio.create_task(self._play(scene))

    async def stop(self) -> None:
        """Stop the scene that plays, if any: what was said stays said."""
        await self._end_scene()
        if self._playing.name:
            self._playing = Playing()
            self._tell()

    async def _end_scene(self) -> None:
        task, self._scene = self._scene, None
        if task and not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _play(self, scene: Scene) -> None:
        try:
            for step in scene.steps:
                await self._play_step(scene, step)
            self._playing = Playing(scene.name, self._playing.caption, done=True)
        except LookupError:  # the scene names a button that the engine did not show
            log.exception("the scene %s does not fit", scene.name)
            self._playing = Playing()
        self._tell()

    async def _play_step(self, scene: Scene, step: Step) -> None:
        from bot.tryout import scenes

        if step.caption:
            self._playing = Playing(scene.name, step.caption, step.who)
            self._tell()
            await self._pause(1.2 + _reading(step.caption))
        if step.says:
            self._playing = Playing(scene.name, self._playing.caption, step.who, step.says)
            self._tell()
            await self._pause(0.8 + len(step.says) * 0.045)
        if step.minutes:
            arrived = await self._run_clock("", step.minutes)
        else:
            if step.who:
                await self._in_world(lambda world: world.pass_time(MESSAGE_COSTS))
            arrived = await self._in_world(lambda world: scenes.perform(step, world))
        self._playing = Playing(scene.name, self._playing.caption, step.who)
        self._tell()
        await self._pause(min(6.0, 0.8 + max((_reading(line.text) for line in arrived), default=0)))

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._pace)

    # --- on the World's own thread ---

    async def _in_world(self, job: Callable[[World], list[Line]], *, fresh: bool = False) -> list[Line]:
        """Run a job in the World's thread, one at a time, and tell the tabs. What the job raises comes out here."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._job, job, fresh, loop)

    def _job(self, job: Callable[[World], list[Line]], fresh: bool, loop: asyncio.AbstractEventLoop) -> list[Line]:
        world = self._enter() if fresh or self._world is None else self._world
        arrived = job(world)
        before = self._picture
        lines = before.lines if not fresh else []
        lines += [self._line(line) for line in world.lines[len(lines) :]]
        epoch = secrets.token_hex(4) if fresh else before.epoch
        self._picture = Picture(epoch, lines, self._state(world))
        loop.call_soon_threadsafe(self._tell)
        return arrived

    def _enter(self) -> World:
        with _without("pygments"):
            from bot.tryout.stage import EVERYBODY, START
            from bot.world import World

        self._leave()
        folder = self._folder / secrets.token_hex(4)
        self._world = World.new(f"sqlite:///{folder}/pretend.db", START, EVERYBODY)
        self._phones = [actor.name for actor in EVERYBODY if actor.known]
        self._replies = {}
        return self._world

    def _leave(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.database.close()
            if world.database.path:
                shutil.rmtree(world.database.path.parent, ignore_errors=True)

    def _line(self, line: Line) -> dict[str, Any]:
        from bot.language import in_words
        from bot.tryout.stage import ZONE

        day, _, time = in_words(line.at, ZONE).rpartition(", ")
        return {
            "id": line.id,
            "day": day,
            "time": time,
            "who": line.who,
            "text": line.text,
            "bot": line.sent_by_bot,
            "kind": line.kind,
            "row": line.row,
            "buttons": [list(button) for button in line.buttons] if line.channel == "telegram" else [],
            "segments": line.segments,
            "reply": self._replies.get(line.id, ""),
        }

    def _state(self, world: World) -> dict[str, Any]:
        from bot.language import in_words
        from bot.tryout import backstage
        from bot.tryout.stage import ZONE
        from bot.world import SEGMENT_CENTS

        sent: dict[str, int] = {}
        for line in world.lines:
            sent[line.who] = sent.get(line.who, 0) + line.segments
        actors = {actor.name: actor for actor in world.cast}
        phones = sorted((actors[name] for name in self._phones), key=_place)
        return {
            "now": world.now.isoformat(),
            "clock": in_words(world.now, ZONE),
            "euro_per_segment": SEGMENT_CENTS / CENTS_PER_EURO,
            "phones": [
                {
                    "name": a.name,
                    "role": a.role,
                    "channel": a.channel,
                    "number": a.address if a.channel == "sms" else "",
                    "segments": sent.get(a.name, 0),
                }
                for a in phones
            ],
            "can_add": any(not a.known and a.name not in self._phones for a in world.cast),
            **backstage.look(world),
        }


def _place(actor: Actor) -> tuple[int, bool]:
    """Where a phone stands: the neighbours first, then who never wrote, then the contacts, the coordinator last."""
    return ("resident", "stranger", "contact", "coordinator").index(actor.role), actor.channel != "sms"


@contextlib.contextmanager
def _without(module: str) -> Iterator[None]:
    """Imports in this block find no such module. The template engine of the migrations takes pygments along when it
    is there, 5 MB for coloured error pages that nobody sees.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        yield
    finally:
        del sys.modules[module]


def _until(how: str, minutes: int, now: datetime) -> datetime:
    from bot.tryout import stage

    match how:
        case "tomorrow":
            return stage.tomorrow(now)
        case "tuesday":
            return stage.next_tuesday(now)
        case _:
            return now + (timedelta(minutes=minutes) if minutes else timedelta(hours=1))


def _reading(text: str) -> float:
    """Seconds that somebody needs to read this."""
    return len(text.split()) / WORDS_PER_SECOND


def _sendable(text: str) -> str:
    """Text that can be stored: half a pair of an emoji, which a script can send, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
