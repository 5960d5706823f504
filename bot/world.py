"""A whole neighbourhood in one process: the real engine, storage and texts; only the channel and the clock are pretend.

`try`, `console` and the transcripts all live in a World, so what is shown is what is tested.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bot.cast import CAST, Actor, settle
from bot.channels.gsm7 import segments
from bot.channels.wording import sms_text, telegram_buttons, telegram_text
from bot.heartbeat import notice_outage
from bot.language import load_ears, load_texts
from bot.rounds import begin_rounds, follow_up
from bot.turn import Turn
from storage import alive, due, inbox
from storage.apply import OUTGOING
from storage.database import Database
from storage.scene import ADDRESS, PERSON
from storage.seal import keyring

TICK = timedelta(minutes=15)  # how finely pushed time is lived through
SEGMENT_CENTS = 10  # a Dutch segment costs about ten cents; the real price comes from the provider

NEVER = datetime.min.replace(tzinfo=UTC)
FAR = datetime(9999, 1, 1, tzinfo=UTC)

_WAITS = sa.select(sa.func.min(OUTGOING.c.due_at)).where(OUTGOING.c.state == "waiting")


@dataclass(frozen=True, slots=True)
class Line:
    """One message that arrived on somebody's phone, or that somebody sent."""

    id: int
    at: datetime
    who: str
    channel: str
    text: str
    sent_by_bot: bool
    buttons: tuple[tuple[str, str], ...] = ()
    segments: int = 0
    row: int = 0
    kind: str = "text"


@dataclass(slots=True)
class World:
    """The neighbourhood, its clock and what is on every phone. Not thread-safe: one caller at a time."""

    database: Database
    now: datetime
    cast: tuple[Actor, ...] = CAST
    lines: list[Line] = field(default_factory=list)
    dead_buttons: set[int] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    beat_at: datetime = NEVER
    turn: Turn = field(init=False)
    _ids: itertools.count[int] = field(default_factory=itertools.count)
    _typed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.turn = Turn(self.database, load_ears(), load_texts(), paced=False)

    @classmethod
    def new(cls, url: str, now: datetime, cast: tuple[Actor, ...] = CAST) -> World:
        """A fresh world on an empty database, with the cast settled in."""
        if not keyring.current:
            keyring.use(b"a made-up world needs no secrets")
        database = Database(url, synchronous="OFF")
        database.migrate()
        settle(database, now, tuple(a for a in cast if a.known))
        return cls(database, now, cast)

    def actor(self, name: str) -> Actor:
        """Somebody of the cast by name. Raises KeyError naming who there are."""
        for actor in self.cast:
            if actor.name.lower() == name.lower():
                return actor
        raise KeyError(f"{name} is not in the cast: {', '.join(a.name for a in self.cast)}")

    def write(
        self, name: str, text: str = "", *, button: str = "", reply_to: int = 0, kind: str = "text", channel: str = ""
    ) -> list[Line]:
        """Somebody sends a text, presses a button (by its data) or sends a voice note; returns what arrived after it."""
        actor = self.actor(name)
        number = next(self._ids)
        body: dict[str, Any] = {"text": text}
        if button:
            body["button"] = button
        else:
            self._typed[actor.name] = number
        if reply_to:
            body["reply_to"] = f"w{reply_to}"
        if kind != "text":
            body["kind"] = kind
            body["attachment"] = {
                "channel": actor.channel,
                "chat": actor.address,
                "message": f"w{number}",
                "kind": kind,
            }
        shown = text or next(
            (label for line in self.lines for label, data in line.buttons if data == button), f"[{kind}]"
        )
        self.lines.append(Line(number, self.now, actor.name, actor.channel, shown, sent_by_bot=False, kind=kind))
        with self.database.transaction() as connection:
            inbox.receive(connection, self.now, channel or actor.channel, f"w{number}", actor.address, body)
        self.turn.handle_all(self.now)
        return self.deliver()

    def edit(self, name: str, text: str) -> list[Line]:
        """Somebody corrects the last message they typed, as Telegram lets them; returns what arrived after it."""
        actor, number = self.actor(name), next(self._ids)
        self.lines.append(Line(number, self.now, actor.name, actor.channel, text, sent_by_bot=False))
        stored = f"w{self._typed[actor.name]}.{number}"
        with self.database.transaction() as connection:
            body = {"text": text, "edited": True}
            inbox.receive(connection, self.now, actor.channel, stored, actor.address, body)
        self.turn.handle_all(self.now)
        return self.deliver()

    def press(self, name: str, label: str, *, late: bool = False) -> list[Line]:
        """Somebody presses the latest living button with that label; `late` allows one that was just taken away.

        Raises KeyError when there is none.
        """
        actor = self.actor(name)
        for line in reversed(self.lines):
            if line.who == actor.name and line.sent_by_bot and (late or line.row not in self.dead_buttons):
                for shown, data in line.buttons:
                    if shown.lower() == label.lower():
                        return self.write(name, "", button=data)
        raise KeyError(f"{name} has no button {label!r}")

    def deliver(self) -> list[Line]:
        """Everything that may go now arrives; returns the new lines."""
        arrived: list[Line] = []
        actors = {(a.channel, a.address): a for a in self.cast}
        with self.database.transaction() as connection:
            rows = (
                connection.execute(
                    sa.select(OUTGOING, ADDRESS.c.value, PERSON.c.stopped_at)
                    .select_from(
                        OUTGOING.join(PERSON, PERSON.c.id == OUTGOING.c.person_id).outerjoin(
                            ADDRESS, ADDRESS.c.id == OUTGOING.c.address_id
                        )
                    )
                    .where(OUTGOING.c.state == "waiting", OUTGOING.c.due_at <= self.now)
                    .order_by(OUTGOING.c.due_at, OUTGOING.c.id)
                )
                .mappings()
                .all()
            )
            for row in rows:
                state = "sent"
                body = row["body"]
                actor = actors.get((row["channel"], row["value"] or body.get("to", "")))
                if row["expires_at"] and row["expires_at"] <= self.now:
                    state = "dropped"
                elif row["kind"] == "unbutton":
                    self.dead_buttons.add(body["target"])
                elif actor and actor.name in self.unreachable:
                    state = "undelivered"
                elif actor:
                    arrived.append(self._line(row, body, actor))
                connection.execute(
                    OUTGOING.update()
                    .where(OUTGOING.c.id == row["id"])
                    .values(
                        state=state,
                        sent_at=self.now,
                        provider_id=f"w{row['id']}",
                        segments=arrived[-1].segments if arrived else 0,
                    )
                )
        self.lines += arrived
        return arrived

    def _line(self, row: Any, body: dict[str, Any], actor: Actor) -> Line:
        on_sms = actor.channel == "sms"
        text = sms_text(body) if on_sms else telegram_text(body)
        return Line(
            id=next(self._ids),
            at=self.now,
            who=actor.name,
            channel=actor.channel,
            text=text,
            sent_by_bot=True,
            buttons=tuple(telegram_buttons(body)),
            segments=segments(text) if on_sms else 0,
            row=row["id"],
            kind=row["kind"],
        )

    def pass_time(self, span: timedelta) -> list[Line]:
        """Live through a span of time, a quarter of an hour at a time; returns what arrived meanwhile."""
        end, arrived = self.now + span, []
        while self.now < end:
            quiet = self._quiet_ticks()
            if quiet:  # ticks that find nothing to do are not lived through one by one, only said to have been
                self.now = min(self.now + quiet * TICK, end)
                self._was_up()
            if self.now < end:
                self.now = min(self.now + TICK, end)
                arrived += self.tick()
        return arrived

    def _quiet_ticks(self) -> int:
        """How many of the next ticks have nothing to do: nothing on the calendar, and nobody to send anything to."""
        with self.database.transaction() as connection:
            waits = connection.execute(_WAITS).scalar()
            planned = due.following(connection, self.now)
        first = min((max(at, self.now) for at in (waits, planned) if at is not None), default=FAR)
        return max(0, math.ceil((first - self.now) / TICK) - 1)

    def _was_up(self) -> None:
        with self.database.transaction() as connection:
            alive.beat(connection, self.now, self.now, "world", FAR - NEVER)
        self.beat_at = self.now

    def tick(self) -> list[Line]:
        """What is due at this moment, in the order of the real bot: our own outage first. Returns what arrived."""
        notice_outage(self.turn, self.now, 3 * TICK)
        self.turn.tick(self.now)
        begin_rounds(self.turn, self.now)
        follow_up(self.turn, self.now)
        if self.now - self.beat_at >= 2 * TICK:
            with self.database.transaction() as connection:
                alive.beat(connection, self.now, self.now, "world", 3 * TICK)
            self.beat_at = self.now
        return self.deliver()

    def sleep(self, span: timedelta) -> list[Line]:
        """The bot is down for that long, and comes back; returns what arrived when it did."""
        self.now += span
        return self.tick()
