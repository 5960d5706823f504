"""The real bot against servers that speak the real protocols, with the handles of a World: what is played is said.

A `Live` has the methods of `bot.world.World` that `tests/transcript.py` uses, so every transcript can be played over
HTTP. Only the calendar is ours: it stands still until it is pushed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bot.cast import CAST, Actor, settle
from bot.channels import telegram as telegram_channel
from bot.channels.channel import Channel, Pace
from bot.channels.sms import Sms
from bot.channels.telegram import Telegram
from bot.run import House, listen
from bot.settings import Settings
from bot.world import TICK, Line
from storage import inbox
from storage.apply import OUTGOING
from storage.database import Database
from tests.doubles.telegram_server import FakeUser, Received, TelegramServer
from tests.doubles.twilio_server import FakePhone, TwilioServer

QUICK = Pace(per_second=5000.0, burst=500, per_person=0.0, at_once=30)
SECRET = "a-made-up-secret"


class StillClock:
    """A calendar that stands where it is put; the real time stays real."""

    speed = 1.0

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def real(self) -> datetime:
        return datetime.now(UTC)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def settings_for(telegram: TelegramServer, twilio: TwilioServer, url: str, **more: Any) -> Settings:
    """Settings that point at the two servers."""
    values: dict[str, Any] = {
        "database_url": url,
        "telegram_bot_token": telegram.token,
        "telegram_api_base": telegram.base_url,
        "twilio_account_sid": twilio.account_sid,
        "twilio_auth_token": twilio.auth_token,
        "twilio_from": twilio.number,
        "twilio_api_base": twilio.base_url,
        "public_base_url": twilio.public_url,
        "port": free_port(),
    }
    return Settings(**{**values, **more})


def quick_servers() -> tuple[TelegramServer, TwilioServer]:
    """Servers that set no limits, for tests that are not about pace."""
    telegram = TelegramServer(chat_rate=1000, chat_burst=1000, overall_rate=10_000, overall_burst=10_000)
    return telegram, TwilioServer(status_delay=0.0)


def channels_for(settings: Settings, pace: Pace | None = QUICK, call_seconds: float = 15.0) -> dict[str, Channel]:
    """Channels with a pace of the test's own; None keeps their real one."""
    telegram = Telegram(
        settings.telegram_bot_token, settings.telegram_api_base, pace or telegram_channel.PACE, call_seconds
    )
    sms = Sms(
        settings.twilio_account_sid,
        settings.twilio_auth_token,
        settings.twilio_from,
        settings.public_base_url,
        settings.twilio_api_base,
        settings.sms_per_second,
        call_seconds,
    )
    if pace is not None:
        sms.pace = pace
    return {"telegram": telegram, "sms": sms}


class Live:
    """A bot in a thread of its own, its servers, and everybody's phones."""

    def __init__(
        self,
        database: Database,
        telegram: TelegramServer,
        twilio: TwilioServer,
        now: datetime,
        *,
        cast: tuple[Actor, ...] = CAST,
        mode: str = "polling",
        pace: Pace | None = QUICK,
        call_seconds: float = 15.0,
        settled: bool = True,
        **settings: Any,
    ) -> None:
        self.database, self.telegram, self.twilio, self.cast = database, telegram, twilio, cast
        self.clock = StillClock(now)
        self.lines: list[Line] = []
        self.copies: list[Received] = []
        self.unreachable = _Unreachable(self)
        self._seen: set[int] = set()
        self._pace, self._call_seconds = pace, call_seconds
        self.settings = settings_for(telegram, twilio, database.url, telegram_mode=mode, **settings)
        if mode == "webhook":
            self.settings = dataclasses.replace(
                self.settings,
                telegram_webhook_secret=SECRET,
                public_base_url=f"http://127.0.0.1:{self.settings.port}",
            )
            twilio.public_url = self.settings.public_base_url
            twilio.number_settings["sms_url"] = f"{twilio.public_url}/sms"
        if settled:
            settle(database, now, tuple(a for a in cast if a.known))
        self.people: dict[str, FakeUser | FakePhone] = {}
        for actor in cast:
            if actor.channel == "telegram":
                user = telegram.user(actor.name, int(actor.address))
                user.started = actor.known
                self.people[actor.name] = user
            else:
                self.people[actor.name] = twilio.phone(actor.address)
        self.start()

    @property
    def now(self) -> datetime:
        return self.clock.at

    def start(self) -> None:
        """Start the bot and wait until it listens."""
        self.house = House(
            self.settings, self.database, self.clock, channels_for(self.settings, self._pace, self._call_seconds)
        )
        self.house.patience = 3 * TICK  # pushed time jumps further than a minute
        self._loop = asyncio.new_event_loop()
        self.died: BaseException | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        until(lambda: _listens(self.settings.port) or self.died, 15, "the bot to listen")
        if self.died:
            raise self.died
        self.twilio.connect(f"http://127.0.0.1:{self.settings.port}")

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with listen(self.settings) as door:
                self._loop.run_until_complete(self.house.live(door))
        except BaseException as wrong:
            self.died = wrong
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def stop(self, timeout: float = 30) -> None:
        """Stop as SIGTERM does, and wait for the end."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.house.stopping.set)
            self._thread.join(timeout)
        assert not self._thread.is_alive(), "the bot does not stop"
        if self.died:
            raise self.died

    def run(self, work: Coroutine[Any, Any, Any], timeout: float = 30) -> Any:
        """Run a coroutine in the bot's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    # --- what a transcript does ---

    def actor(self, name: str) -> Actor:
        """Somebody of the cast by name."""
        return next(a for a in self.cast if a.name.lower() == name.lower())

    def write(
        self, name: str, text: str = "", *, button: str = "", reply_to: int = 0, kind: str = "text", channel: str = ""
    ) -> list[Line]:
        """Somebody sends a text or something without words; returns what arrived after it."""
        actor = self.actor(name)
        person = self.people[actor.name]
        if isinstance(person, FakePhone):
            assert kind == "text", "an old phone sends words"
            assert person.send(text).result(15).status == 200
        elif kind != "text":
            _send_kind(person, kind)
        elif button:
            person.press(button)
        else:
            person.send(text, reply_to=self._message_of(reply_to) if reply_to else None)
        shown = text or f"[{kind}]"
        self.lines.append(Line(0, self.now, actor.name, actor.channel, shown, sent_by_bot=False, kind=kind))
        return self.settle()

    def edit(self, name: str, text: str) -> list[Line]:
        """Somebody corrects the last message they typed; returns what arrived after it."""
        user = self.people[self.actor(name).name]
        assert isinstance(user, FakeUser)
        own = [n for (chat, n), m in self.telegram.messages.items() if chat == user.id and m["from"]["id"] == user.id]
        user.edit(max(own), text)
        self.lines.append(Line(0, self.now, name, "telegram", text, sent_by_bot=False))
        return self.settle()

    def press(self, name: str, label: str, *, late: bool = False) -> list[Line]:
        """Somebody presses the latest living button with that label; `late` allows one that was just taken away."""
        user = self.people[self.actor(name).name]
        assert isinstance(user, FakeUser)
        for shown in reversed(user.inbox):
            for words, data in shown.seen_buttons if late else shown.buttons:
                if words.lower() == label.lower():
                    user.press(data, shown, stale=late)
                    return self.settle()
        raise KeyError(f"{name} has no button {label!r}")

    def sleep(self, span: timedelta) -> list[Line]:
        """The bot is really down for that long, and comes back; returns what arrived when it did."""
        self.stop()
        self.clock.at += span
        self.start()
        until(lambda: self.house.ticks > 0, 15, "the first tick")
        return self.settle()

    def pass_time(self, span: timedelta) -> list[Line]:
        """Push the calendar, a quarter of an hour at a time; returns what arrived meanwhile."""
        end, arrived = self.now + span, []
        while self.now < end:
            self.clock.at = min(self.now + TICK, end)
            self.run(self.house._tick())
            arrived += self.settle()
        return arrived

    def settle(self, timeout: float = 60) -> list[Line]:
        """Wait until everything is handled and sent; returns what arrived, in the order in which it was said."""
        until(self._is_quiet, timeout, "everything to be handled and sent", self.telegram.describe)
        return self._arrived()

    def _is_quiet(self) -> bool:
        with self.telegram.changed:
            if self.telegram.pending or self.telegram._busy:
                return False
        if self.twilio.on_their_way:
            return False
        with self.database.transaction() as connection:
            if inbox.waiting(connection):
                return False
            open_ = sa.and_(OUTGOING.c.state.in_(("waiting", "sending")), OUTGOING.c.due_at <= self.now)
            # a phone that is off says so only afterwards, so what it was sent is not quiet before its receipt
            unheard = sa.and_(
                OUTGOING.c.channel == "sms", OUTGOING.c.state == "sent", OUTGOING.c.provider_id.is_not(None)
            )
            if self.unreachable and connection.execute(sa.select(OUTGOING.c.id).where(unheard).limit(1)).first():
                return False
            return connection.execute(sa.select(OUTGOING.c.id).where(open_).limit(1)).first() is None

    def _arrived(self) -> list[Line]:
        with self.database.transaction() as connection:
            rows = (
                connection.execute(
                    sa.select(OUTGOING)
                    .where(OUTGOING.c.state.in_(("sent", "delivered", "undelivered")))
                    .order_by(OUTGOING.c.due_at, OUTGOING.c.id)
                )
                .mappings()
                .all()
            )
        new = [row for row in rows if row["id"] not in self._seen]
        lines = []
        for row in new:
            self._seen.add(row["id"])
            if row["kind"] == "unbutton":
                continue
            line = self._line_of(row)
            if line is not None:
                lines.append(line)
        self.lines += lines
        return lines

    def _line_of(self, row: Any) -> Line | None:
        if row["channel"] == "sms":
            sms = self.twilio.messages.get(row["provider_id"])
            if sms is None:  # a goodbye: its row forgot where it went
                sms = next(m for m in reversed(self.twilio.sent) if m.sid not in self._known_ids())
            name = next((a.name for a in self.cast if a.address == sms.to), sms.to)
            if name in self.unreachable:
                return None
            return self._line(row, name, sms.body, (), sms.num_segments)
        got = [m for m in self.telegram.sent if str(m.message_id) == row["provider_id"]]
        if not got:
            got = [m for m in self.telegram.sent if str(m.message_id) not in self._known_ids()][-1:]
        message = got[0]
        if row["kind"] == "media":
            self.copies.append(message)
            return None
        name = next(a.name for a in self.cast if a.address == str(message.chat_id))
        return self._line(row, name, message.text, tuple(message.seen_buttons), 0)

    def _known_ids(self) -> set[str]:
        with self.database.transaction() as connection:
            return {i for i in connection.execute(sa.select(OUTGOING.c.provider_id)).scalars() if i}

    def _line(self, row: Any, name: str, text: str, buttons: tuple[tuple[str, str], ...], segments: int) -> Line:
        channel = row["channel"]
        return Line(row["id"], self.now, name, channel, text, True, buttons, segments, row["id"], row["kind"])

    def _message_of(self, row: int) -> int:
        with self.database.transaction() as connection:
            found = connection.execute(sa.select(OUTGOING.c.provider_id).where(OUTGOING.c.id == row)).scalar_one()
        return int(found)


class _Unreachable(set[str]):
    """Who cannot be reached: the carrier refuses each message of theirs, and the number itself stays good."""

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live

    def add(self, name: str) -> None:
        super().add(name)
        phone = self._live.people[name]
        assert isinstance(phone, FakePhone)
        phone.off(30007)

    def discard(self, name: str) -> None:
        super().discard(name)
        phone = self._live.people[name]
        assert isinstance(phone, FakePhone)
        phone.on()


def until(true: Callable[[], Any], timeout: float, what: str, describe: Callable[[], str] = lambda: "") -> None:
    """Wait for something to become true. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}\n{describe()}")
        time.sleep(0.005)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _send_kind(user: FakeUser, kind: str) -> None:
    plain = {"voice": user.voice, "photo": user.photo, "location": user.location, "sticker": user.sticker}
    if kind in plain:
        plain[kind]()
        return
    sent = user.server.store_file(b"made up", kind, "bin")
    size = {"width": 10, "height": 10, "duration": 3} if kind == "video" else {}
    user._message({kind: {**sent, **size}}, None)
