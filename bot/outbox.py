"""Sending: rows go out in order per person, at a pace that no network has to slow down, and every failure has a class.

Each row is marked as in hand and committed before a network hears of it, and settled in a second commit; the write
thread makes one commit of what many rows need at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

from bot.channels.channel import (
    Channel,
    Found,
    LockedOut,
    MaybeSent,
    NotThere,
    Outcome,
    Pace,
    Permanent,
    Sent,
    Stopped,
    Temporary,
    Wait,
    brief,
)
from bot.clock import Clock
from bot.writer import WriteThread
from flows.texts import Texts
from storage import outbox
from storage.outbox import LEASE, Parcel

log = logging.getLogger("binnenbuurt.outbox")

LOOK_SECONDS = 1.0  # rows may come from another process, or a held one may be due again
SEND_SECONDS = LEASE.total_seconds() - 20  # well within the time after which the row would be given up for lost
BACK_OFF_MAX = 300.0  # seconds between two tries of one row
LOOK_UP_AFTER = 2.0  # seconds; Twilio needs a moment before its own list knows a message
HOLD_MAX = 30.0  # a channel that says "wait" waits at most this long as a whole; the row itself as long as it was told
LOCKED_OUT_SECONDS = 60.0
SHAKY = 5  # failures in a row after which one message at a time feels whether the network is back
LOST_SECONDS = 5.0  # how often rows are looked for that somebody had in hand and let fall
RECORD_TRIES = 20


class Pacer:
    """Keeps one channel below its limits. Times are monotonic seconds."""

    def __init__(self, pace: Pace) -> None:
        """Starts with a full burst."""
        self.pace = pace
        self.under_way = 0
        self.failures = 0
        self.share = 1  # how many processes send together
        self._tokens = float(pace.burst)
        self._filled = time.monotonic()
        self._held_until = 0.0

    def room(self, now: float) -> int:
        """How many messages may go at this moment."""
        self._tokens = min(
            float(self.pace.burst), self._tokens + (now - self._filled) * self.pace.per_second / self.share
        )
        self._filled = now
        if now < self._held_until:
            return 0
        most = 1 if self.failures >= SHAKY else self.pace.at_once
        return max(0, min(int(self._tokens), most - self.under_way))

    def begin(self) -> None:
        """One message goes."""
        self._tokens -= 1
        self.under_way += 1

    def end(self, *, well: bool) -> None:
        """It came back. After some failures in a row the whole channel waits, longer each time."""
        self.under_way -= 1
        self.failures = 0 if well else self.failures + 1
        if self.failures >= SHAKY:
            self.hold(min(2.0 ** (self.failures - SHAKY), HOLD_MAX))

    def hold(self, seconds: float) -> None:
        """Nothing goes for so long."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)

    def opens_in(self, now: float) -> float:
        """Seconds until there may be room again, as far as time decides it."""
        if now < self._held_until:
            return self._held_until - now
        return max(0.0, (1 - self._tokens) / (self.pace.per_second / self.share))


class Outbox:
    """The sender of one process."""

    def __init__(
        self,
        writer: WriteThread,
        channels: Mapping[str, Channel],
        texts: Texts,
        clock: Clock,
        chance: random.Random | None = None,
    ) -> None:
        """`channels` by name: those that have settings. `chance` spreads the retries; a simulation hands in its own."""
        self._writer, self._channels, self._texts, self._clock = writer, channels, texts, clock
        self._chance = chance or random.Random()
        self.pacers = {name: Pacer(channel.pace) for name, channel in channels.items()}
        self.wake = asyncio.Event()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.looked_at = time.monotonic()
        self.locked_out: set[str] = set()
        self._resting: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._lost_at = 0.0

    async def run(self) -> None:
        """Send for ever; returns after `stop()`, when everything under way is settled."""
        failures = 0
        while not self._stopping:
            self.wake.clear()
            try:
                moved = await self._round()
                failures = 0
            except Exception as wrong:  # the database is away or full: nothing is lost, and it is tried again
                failures += 1
                log.error("cannot read what to send", extra={"error": brief(wrong)})
                await self._sleep(min(2.0**failures, 30.0))
                continue
            if not moved:
                await self._sleep(self._until_next())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SEND_SECONDS)

    def stop(self) -> None:
        """Take nothing new; what is under way is finished."""
        self._stopping = True
        self.wake.set()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), seconds)

    def _until_next(self) -> float:
        now = time.monotonic()
        waits = [LOOK_SECONDS]
        waits += [until - now for until in self._resting.values()]
        waits += [pacer.opens_in(now) for pacer in self.pacers.values() if pacer.opens_in(now) > 0]
        return max(0.005, min(waits))

    async def _round(self) -> bool:
        """Take what may go and begin to send it; True when there may be more at once."""
        now = time.monotonic()
        self.looked_at = now
        self._resting = {person: until for person, until in self._resting.items() if until > now}
        if now - self._lost_at > LOST_SECONDS:
            self._lost_at = now
            looked_up = [name for name, channel in self._channels.items() if channel.can_look_up]
            moment, real = self._clock.now(), self._clock.real()
            await self._writer.write(
                lambda connection: outbox.give_up_lost(connection, self._texts, moment, real, looked_up)
            )
        room = {name: pacer.room(now) for name, pacer in self.pacers.items()}
        if not any(room.values()):
            return False
        resting = list(self._resting)
        moment, real = self._clock.now(), self._clock.real()
        taken = await self._writer.write(
            lambda connection: outbox.take(connection, self._texts, moment, real, room, resting)
        )
        for reason, count in taken.dropped.items():
            self.counts["dropped", reason] += count
        for parcel in taken.parcels:
            self.pacers[parcel.channel].begin()
            rest = self._channels[parcel.channel].pace.per_person
            if rest and parcel.kind != "unbutton":  # taking buttons away does not count as a message
                self._resting[parcel.person] = time.monotonic() + rest
            task = asyncio.create_task(self._deliver(parcel))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(taken.parcels or taken.settled)

    async def _deliver(self, parcel: Parcel) -> None:
        channel, pacer = self._channels[parcel.channel], self.pacers[parcel.channel]
        outcome: Outcome | Found
        try:
            if parcel.unsure:
                ids = await self._writer.write(lambda connection: outbox.ids_taken(connection, parcel))
                outcome = await asyncio.wait_for(channel.look_up(parcel, ids), SEND_SECONDS)
            else:
                outcome = await asyncio.wait_for(channel.send(parcel), SEND_SECONDS)
        except Exception as wrong:  # a channel does not raise; if it does, the safe belief is that it may be sent
            log.error("a channel failed", extra={"row": parcel.id, "channel": parcel.channel, "error": brief(wrong)})
            outcome = MaybeSent(brief(wrong))
        pacer.end(well=isinstance(outcome, (Sent, Permanent, Stopped, Wait, NotThere)))
        self._note(parcel, outcome)
        if isinstance(outcome, Wait):
            pacer.hold(min(outcome.seconds, HOLD_MAX))
            self._resting[parcel.person] = time.monotonic() + outcome.seconds
        elif isinstance(outcome, LockedOut):
            pacer.hold(LOCKED_OUT_SECONDS)
        await self._record(parcel, outcome)
        self.wake.set()

    def _note(self, parcel: Parcel, outcome: Outcome | Found) -> None:
        kind = type(outcome).__name__
        self.counts[parcel.channel, kind] += 1
        about = {"row": parcel.id, "channel": parcel.channel, "attempt": parcel.attempts}
        error = getattr(outcome, "error", "")
        if isinstance(outcome, LockedOut):
            self.locked_out.add(parcel.channel)
            log.error("the network refuses our account or sender: run doctor", extra={**about, "error": error})
        elif isinstance(outcome, (Permanent, Stopped, MaybeSent)):
            log.warning("not sent", extra={**about, "outcome": kind, "error": error})
        elif isinstance(outcome, (Wait, Temporary)):
            log.info("sent later", extra={**about, "outcome": kind, "error": error})
        else:
            self.locked_out.discard(parcel.channel)

    async def _record(self, parcel: Parcel, outcome: Outcome | Found) -> None:
        """Write down what came of it; while the database is away it is tried for a while, then the lease runs out."""
        can_look_up = self._channels[parcel.channel].can_look_up
        for attempt in range(RECORD_TRIES):
            change = settling(parcel, outcome, self._texts, self._clock, self._chance, can_look_up=can_look_up)
            try:
                await self._writer.write(change)
                return
            except Exception as wrong:
                log.error("cannot write down a sending", extra={"row": parcel.id, "error": brief(wrong)})
                await asyncio.sleep(min(0.2 * 2**attempt, 5.0))


def settling(
    parcel: Parcel, outcome: Outcome | Found, texts: Texts, clock: Clock, chance: random.Random, *, can_look_up: bool
) -> Callable[..., object]:
    """The write that follows from an outcome. `can_look_up`: the network tells afterwards whether it took a message."""
    moment, real = clock.now(), clock.real()
    soon = real + timedelta(seconds=_back_off(parcel.attempts, chance))
    match outcome:
        case Sent(provider_id, segments):
            return functools.partial(
                outbox.was_sent, now=moment, parcel=parcel, provider_id=provider_id, segments=segments
            )
        case Permanent(error, address):
            return functools.partial(
                outbox.has_failed, texts=texts, now=moment, parcel=parcel, error=error, address=address
            )
        case Stopped(error):
            return functools.partial(
                outbox.has_failed,
                texts=texts,
                now=moment,
                parcel=parcel,
                error=f"stopped {error}",
                address="stopped",
            )
        case Wait(error, seconds):
            until = real + timedelta(seconds=seconds)
            return functools.partial(outbox.put_back, parcel=parcel, error=error, until=until, unsure=parcel.unsure)
        case Temporary(error):
            return functools.partial(outbox.put_back, parcel=parcel, error=error, until=soon, unsure=parcel.unsure)
        case LockedOut(error):
            until = real + timedelta(seconds=LOCKED_OUT_SECONDS)
            return functools.partial(outbox.put_back, parcel=parcel, error=error, until=until, unsure=parcel.unsure)
        case NotThere():
            return functools.partial(outbox.put_back, parcel=parcel, error="not there", until=real)
        case MaybeSent(error):
            if can_look_up:
                until = real + timedelta(seconds=LOOK_UP_AFTER)
                return functools.partial(outbox.put_back, parcel=parcel, error=error, until=until, unsure=True)
            return functools.partial(outbox.once_more, texts=texts, now=moment, parcel=parcel, error=error, until=soon)


def _back_off(attempts: int, chance: random.Random) -> float:
    """1, 2, 4 … seconds with some chance in it, so that what failed together does not come back together."""
    seconds = min(2.0 ** min(attempts - 1, 12), BACK_OFF_MAX)
    return seconds * chance.uniform(0.8, 1.2)
