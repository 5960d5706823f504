"""`binnenbuurt run`: server, channels, sender and schedule in one process, and an end that finishes what was begun."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import secrets
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import sqlalchemy as sa
import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.engine import Connection

from bot import logs, schedule
from bot.channels.channel import Channel, brief
from bot.channels.sms import Sms
from bot.channels.telegram import Telegram
from bot.clock import Clock, RealClock, RehearsalClock
from bot.heartbeat import notice_outage
from bot.language import load_ears, load_texts
from bot.opening import guard_key, open_database, read_setting, write_setting
from bot.outbox import Outbox
from bot.reception import Reception
from bot.rounds import ASKED_A_TICK, ASKED_AT_ONCE, begin_rounds, follow_up
from bot.server import Views, application
from bot.settings import SettingProblem, Settings, read_settings
from bot.turn import Turn
from bot.writer import WriteThread
from storage import alive, inbox, outbox, retention
from storage.apply import INCOMING
from storage.database import Database
from storage.rounds import BATCH

log = logging.getLogger("binnenbuurt.run")

LOOK_SECONDS = 1.0  # messages may have come in by another process
STOP_SECONDS = 30.0  # past it an end is an end; what is in hand then is looked up at the next start
LEAD_SECONDS = 10.0  # how often the process that fetches from Telegram says that it still does
PROBE_SECONDS = 5.0  # so old may the answer to "can the database be written" be
REHEARSAL = "rehearsal"
SPEED_MAX = 100_000  # past it more than half a day lies between two ticks, and nothing can be seen
REHEARSABLE = (2000, 2100)


class RunProblem(RuntimeError):
    """The bot cannot run like this; the message says why and what to do."""


def main(rehearse_from: str | datetime | None = None, speed: float | None = None) -> None:
    """Run until SIGTERM or Ctrl-C. Raises a problem of settings, key, database or run, each one clear line.

    `rehearse_from` is local time in TIMEZONE: a dress rehearsal on real channels whose calendar begins there and runs
    `speed` times faster.
    """
    settings = read_settings()
    clock = _clock(settings, rehearse_from, speed)
    logs.set_up(None if isinstance(clock, RealClock) else clock)
    database = open_database(settings)
    try:
        with alone(database), listen(settings) as door:
            house = House(settings, database, clock)  # before the mark of a rehearsal: what cannot start leaves none
            with database.transaction() as connection:
                guard_key(connection)
                _guard_rehearsal(connection, rehearsal=not isinstance(clock, RealClock))
                lying = inbox.try_again(connection)
            if lying:
                log.warning("messages that could not be handled get another chance", extra={"count": lying})
            with asyncio.Runner(loop_factory=_loop()) as runner:
                runner.run(house.live(door))
    finally:
        database.close()


def _clock(settings: Settings, rehearse_from: str | datetime | None, speed: float | None) -> Clock:
    if rehearse_from is None:
        if speed not in (None, 1, 1.0):
            raise RunProblem("--speed is for a rehearsal: add --rehearse-from.")
        return RealClock()
    try:
        start = datetime.fromisoformat(rehearse_from) if isinstance(rehearse_from, str) else rehearse_from
    except ValueError:
        raise RunProblem(f"--rehearse-from {rehearse_from!r} is no moment. Write it as 2026-03-24T09:55.") from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=ZoneInfo(settings.timezone))
    if speed is not None and not 0 < speed <= SPEED_MAX:
        raise RunProblem(f"--speed must be above 0 and at most {SPEED_MAX}.")
    if not REHEARSABLE[0] <= start.year <= REHEARSABLE[1]:
        raise RunProblem(f"--rehearse-from must be in a year from {REHEARSABLE[0]} to {REHEARSABLE[1]}.")
    return RehearsalClock(start, speed or 1.0)


def _loop() -> Any:
    try:
        import uvloop
    except ImportError:  # not made for Windows; the standard loop does the same, slower
        return None
    return uvloop.new_event_loop


@contextlib.contextmanager
def alone(database: Database) -> Iterator[None]:
    """Holds a SQLite database for one process; PostgreSQL is made for several. Raises RunProblem for a second copy."""
    if database.path is None:
        yield
        return
    # A lock of SQLite itself: it works on every system, and the system takes it away when this process dies.
    guard = sqlite3.connect(f"{database.path}.lock", timeout=0.2, isolation_level=None)
    try:
        try:
            guard.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise RunProblem(
                f"Binnenbuurt runs already on {database.path}. Stop the other copy first. Several need PostgreSQL."
            ) from None
        yield
    finally:
        guard.close()


@contextlib.contextmanager
def listen(settings: Settings) -> Iterator[socket.socket]:
    """The socket at HOST and PORT. Raises RunProblem when it is taken, before anything else has begun."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((settings.host, settings.port))
        except OSError as wrong:
            raise RunProblem(
                f"Cannot listen at HOST={settings.host} PORT={settings.port}: {wrong.strerror}. "
                "Check HOST, or choose another PORT."
            ) from None
        yield door


def _guard_rehearsal(connection: Connection, *, rehearsal: bool) -> None:
    """A rehearsal never touches real people's data, and real people never meet a database with a false calendar."""
    marked = read_setting(connection, REHEARSAL) is not None
    if rehearsal and not marked:
        if connection.execute(sa.select(INCOMING.c.id).limit(1)).first() is not None:
            raise RunProblem("This database has real messages. Give the rehearsal its own: set DATABASE_URL.")
        if alive.has_run(connection):
            raise RunProblem("The real bot has run on this database. Give the rehearsal its own: set DATABASE_URL.")
        write_setting(connection, REHEARSAL, "1")
    elif marked and not rehearsal:
        raise RunProblem("This database was made for a rehearsal. Set DATABASE_URL to the real one.")


def make_channels(settings: Settings) -> dict[str, Channel]:
    """The channels that have settings. Raises SettingProblem when there are none."""
    channels: dict[str, Channel] = {}
    if settings.telegram_on:
        channels["telegram"] = Telegram(settings.telegram_bot_token, settings.telegram_api_base)
    if settings.sms_on:
        channels["sms"] = Sms(
            settings.twilio_account_sid,
            settings.twilio_auth_token,
            settings.twilio_from,
            settings.public_base_url,
            settings.twilio_api_base,
            settings.sms_per_second,
        )
    if not channels:
        raise SettingProblem(
            "No channel has settings. Fill in TELEGRAM_BOT_TOKEN or the three TWILIO_ settings, or look around first: "
            "binnenbuurt try"
        )
    return channels


class _Server(uvicorn.Server):
    """uvicorn without its own idea of signals: it would end the process before the sender has finished."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class House:
    """Everything that runs in one process, made and ended in one event loop."""

    def __init__(
        self, settings: Settings, database: Database, clock: Clock, channels: Mapping[str, Channel] | None = None
    ) -> None:
        """`channels` are made from the settings unless they are given."""
        self.settings, self.database, self.clock = settings, database, clock
        self.me = secrets.token_hex(6)
        self.texts = load_texts(settings.timezone)
        self.turn = Turn(database, load_ears(), self.texts, settings.timezone)
        self.channels = dict(channels) if channels is not None else make_channels(settings)
        telegram, sms = self.channels.get("telegram"), self.channels.get("sms")
        self.telegram = telegram if isinstance(telegram, Telegram) else None
        self.sms = sms if isinstance(sms, Sms) else None
        self.stopping = asyncio.Event()
        self.ticked_at = self.thought_at = time.monotonic()
        self._kept = (-PROBE_SECONDS, True)
        self.turns = self.failed_turns = self.ticks = 0
        # In a fast rehearsal many minutes lie between two ticks; that is no outage.
        self.patience = max(alive.GAP, timedelta(seconds=3 * schedule.tick_seconds(clock) * clock.speed))

    async def live(self, door: socket.socket) -> None:
        """Run until `stopping` is set or a signal comes, then end in order. Raises what a part of it died of."""
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(RuntimeError, ValueError):  # not in a thread, not on Windows
                loop.add_signal_handler(sign, self.stopping.set)
        self.writer = WriteThread(self.database)
        self.mail = asyncio.Event()
        self.outbox = Outbox(self.writer, self.channels, self.texts, self.clock)
        self.reception = Reception(self.writer, self.texts, self.clock, self.mail)
        if self.database.is_sqlite:  # we are the only one, so nothing is in anybody's hand
            await self.writer.write(lambda connection: outbox.let_go(connection, self.clock.real()))
        config = uvicorn.Config(
            self._application(), log_config=None, access_log=False, lifespan="off", ws="none", server_header=False,
            timeout_graceful_shutdown=10, backlog=512,
        )  # fmt: skip
        server = _Server(config)
        parts = {
            "server": asyncio.create_task(server.serve(sockets=[door])),
            "turns": asyncio.create_task(self._think()),
            "outbox": asyncio.create_task(self.outbox.run()),
            "telegram": asyncio.create_task(self._fetch()),
        }
        scheduler = schedule.start(self.clock, self._tick, self._daily)
        await self._tick()  # what came due while we were away does not wait another minute
        gc.collect()
        gc.freeze()  # what is loaded by now lives as long as we do: looking at it again and again costs 5 % of a turn
        log.info("running", extra={"host": self.settings.host, "port": door.getsockname()[1]})
        stop = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait([stop, *parts.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            await self._end(server, parts, scheduler)
        for name, part in parts.items():
            if not part.cancelled() and (wrong := part.exception()) is not None:
                raise RunProblem(f"{name} died of {brief(wrong)}; see the log.") from wrong

    async def _end(self, server: _Server, parts: dict[str, asyncio.Task[None]], scheduler: AsyncIOScheduler) -> None:
        """First nothing new comes in, then what is thought or sent is finished and written down."""
        log.info("stopping")
        self.stopping.set()
        scheduler.shutdown(wait=False)
        server.should_exit = True
        parts["telegram"].cancel()
        self.mail.set()
        await asyncio.wait([parts["server"], parts["telegram"], parts["turns"]], timeout=STOP_SECONDS)
        self.outbox.stop()
        await asyncio.wait([parts["outbox"]], timeout=STOP_SECONDS)
        for channel in self.channels.values():
            await channel.close()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.writer.write(lambda c: alive.leave(c, self.me, "telegram")), 5)
        await asyncio.to_thread(self.writer.close)
        log.info("stopped")

    def _application(self) -> Any:
        webhook = self.settings.telegram_mode == "webhook"
        secret = self.settings.telegram_webhook_secret if webhook and self.telegram else ""
        return application(self.reception, self.sms, self.telegram, secret, Views(self._ready, self._metrics))

    # --- thinking ---

    async def _think(self) -> None:
        """Handle what came in as soon as it is there; what waits together is one commit."""
        failures = 0
        while not self.stopping.is_set():
            self.mail.clear()
            self.thought_at = time.monotonic()
            try:
                while done := await self.writer.run(lambda: self.turn.handle_some(self.clock.now())):
                    self.turns += done
                    self.thought_at = time.monotonic()
                    self.outbox.wake.set()
                    if self.stopping.is_set():
                        return
                failures = 0
                wait = LOOK_SECONDS
            except Exception as wrong:  # the database: nothing is lost, it is all in rows
                failures += 1
                self.failed_turns += 1
                log.error("cannot handle messages", extra={"error": brief(wrong), "failures": failures})
                wait = min(2.0**failures, 30.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.mail.wait(), wait)

    # --- Telegram ---

    async def _fetch(self) -> None:
        """Have Telegram post to us, or fetch from it; on a database with several processes only one fetches."""
        telegram = self.telegram
        if telegram is None:
            await asyncio.Event().wait()
            return
        if self.settings.telegram_mode == "webhook":
            url = self.settings.public_base_url.rstrip("/") + "/telegram"
            await telegram.use_webhook(url, self.settings.telegram_webhook_secret)
            await telegram.dress(self.texts)
            await telegram.watch_webhook(url, self.settings.telegram_webhook_secret)
            return
        dressed = False
        while True:
            if self.database.is_sqlite or await self._leads():
                if not dressed:
                    dressed = True
                    self._dressing = asyncio.create_task(telegram.dress(self.texts))
                await self._fetch_while_leading(telegram)
            await asyncio.sleep(LEAD_SECONDS)

    async def _fetch_while_leading(self, telegram: Telegram) -> None:
        fetching = asyncio.create_task(telegram.poll(lambda updates: self.reception.telegram(telegram, updates)))
        try:
            while not fetching.done():
                await asyncio.wait([fetching], timeout=LEAD_SECONDS)
                if not self.database.is_sqlite and not await self._leads():
                    return
            fetching.result()
        finally:
            fetching.cancel()
            await asyncio.wait([fetching])

    async def _leads(self) -> bool:
        try:
            return await self.writer.write(lambda c: alive.lead(c, self.clock.real(), self.me, "telegram"))
        except Exception as wrong:
            log.error("cannot tell who fetches", extra={"error": brief(wrong)})
            return False

    # --- the ticks ---

    async def _tick(self) -> None:
        """Once a minute: the steps that are due, the round, our own heartbeat."""
        try:
            now = self.clock.now()
            await self.writer.run(functools.partial(self._due, now))
            while await self.writer.run(functools.partial(begin_rounds, self.turn, now, 1)) == BATCH:
                pass  # a big round lets replies come first between its batches
            for _ in range(ASKED_A_TICK // ASKED_AT_ONCE):
                if await self.writer.run(functools.partial(follow_up, self.turn, now, ASKED_AT_ONCE)) < ASKED_AT_ONCE:
                    break
            await self._beat()
        except Exception as wrong:  # the next tick does all of it again
            log.error("a tick failed", extra={"error": brief(wrong), "failures": 1})
            return
        self.outbox.wake.set()
        self.ticked_at = time.monotonic()
        self.ticks += 1
        if self.settings.heartbeat_url and all((await self._ready()).values()):
            await self._ping()

    def _due(self, now: datetime) -> None:
        """What is due on the calendar, in the writing thread. Every step is its own transaction and may be repeated."""
        notice_outage(self.turn, now, self.patience)
        self.turn.tick(now)

    async def _beat(self) -> None:
        now, real = self.clock.now(), self.clock.real()
        gap = await self.writer.write(lambda c: alive.beat(c, now, real, self.me, self.patience))
        if gap is not None:
            log.warning("was away", extra={"seconds": int(gap.total_seconds())})
        if not self.database.is_sqlite:
            share = await self.writer.write(lambda c: alive.processes(c, real))
            for pacer in self.outbox.pacers.values():
                pacer.share = share

    async def _ping(self) -> None:
        """Tell the watch outside that we are really at work; that it cannot be reached is its own business."""
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                await client.get(self.settings.heartbeat_url)
        except Exception as wrong:
            log.warning("heartbeat not delivered", extra={"error": brief(wrong)})

    async def _daily(self) -> None:
        """Once a day: forget what is past its term, and note what yesterday's SMS cost."""
        try:
            now = self.clock.now()
            changed = await self.writer.write(lambda c: retention.clean(c, now))
            await self.writer.run(lambda: retention.scrub(self.database))  # also of who was erased since yesterday
            log.info("forgot what is past its term", extra={"count": changed})
            if self.sms is not None:
                for days in (0, 1):
                    prices = await self.sms.prices(self.clock.real() - timedelta(days=days))
                    await self.writer.write(functools.partial(outbox.note_prices, prices=prices))
        except Exception as wrong:
            log.error("the daily work failed", extra={"error": brief(wrong)})

    # --- for who watches ---

    async def _ready(self) -> Mapping[str, bool]:
        now = time.monotonic()
        patience = 3 * schedule.tick_seconds(self.clock) + 10
        parts = {
            "database": await self._database_keeps(),
            "turns": now - self.thought_at < 30,
            "outbox": now - self.outbox.looked_at < 30,
            "scheduler": now - self.ticked_at < patience,
        }
        if self.telegram is not None:
            parts["telegram"] = self.telegram.healthy and "telegram" not in self.outbox.locked_out
        if self.sms is not None:
            parts["sms"] = self.sms.healthy and "sms" not in self.outbox.locked_out
        return parts

    async def _database_keeps(self) -> bool:
        """A real write, because a full disk can still be read. Looked at now and then: anybody may ask how we are."""
        if time.monotonic() - self._kept[0] < PROBE_SECONDS:
            return self._kept[1]
        try:
            real = self.clock.real()
            await asyncio.wait_for(self.writer.write(lambda c: alive.here(c, real, self.me)), 5)
            self._kept = (time.monotonic(), True)
        except Exception:
            self._kept = (time.monotonic(), False)
        return self._kept[1]

    async def _metrics(self) -> str:
        now = self.clock.now()
        waits = await self.writer.write(lambda c: outbox.waiting(c, now))
        mail = await self.writer.write(lambda c: inbox.waiting(c))
        lines = [
            "# TYPE binnenbuurt_received_total counter",
            *(f'binnenbuurt_received_total{{what="{k}"}} {n}' for k, n in sorted(self.reception.counts.items())),
            "# TYPE binnenbuurt_turns_total counter",
            f"binnenbuurt_turns_total {self.turns}",
            f"binnenbuurt_turn_failures_total {self.failed_turns}",
            f"binnenbuurt_ticks_total {self.ticks}",
            "# TYPE binnenbuurt_sendings_total counter",
            *(
                f'binnenbuurt_sendings_total{{channel="{c}",outcome="{o}"}} {n}'
                for (c, o), n in sorted(self.outbox.counts.items())
            ),
            "# TYPE binnenbuurt_incoming_waiting gauge",
            f"binnenbuurt_incoming_waiting {mail}",
            "# TYPE binnenbuurt_outgoing_waiting gauge",
            *(f'binnenbuurt_outgoing_waiting{{channel="{c}"}} {n}' for c, n in sorted(waits["waiting"].items())),
            "# TYPE binnenbuurt_outgoing_late_seconds gauge",
            f"binnenbuurt_outgoing_late_seconds {waits['late_seconds']:.0f}",
        ]
        return "\n".join(lines) + "\n"
