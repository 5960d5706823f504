"""One history: the real engine, storage, outbox rules, schedule and texts; clock, networks and people are pretend.

Everything happens in one thread, in the order of a list of moments. All chance comes from one seed, no clock is read, so
a seed is one history, on every machine.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from bot.channels.channel import Found, LockedOut, Outcome, Wait
from bot.channels.wording import sms_text, telegram_buttons, telegram_text
from bot.clock import Clock
from bot.heartbeat import notice_outage
from bot.language import load_ears, load_texts
from bot.outbox import HOLD_MAX, LOCKED_OUT_SECONDS, settling
from bot.rounds import begin_rounds, follow_up
from bot.simulate.history import History, Line
from bot.simulate.laws import Laws
from bot.simulate.network import Networks
from bot.simulate.people import MATTER, Act, Arrived, People
from bot.simulate.town import Neighbour, found
from bot.turn import Turn
from storage import alive, due, inbox, outbox, retention
from storage.outbox import Parcel
from storage.prepared import Prepared, watched

STARTS = (
    datetime(2026, 3, 2, 8, tzinfo=UTC),
    datetime(2026, 10, 5, 7, tzinfo=UTC),
    datetime(2026, 12, 7, 8, tzinfo=UTC),
)
"""Mondays before a clock change in spring and in autumn, and before Christmas."""
CALM_DAYS = 4  # after the faults have stopped, all must settle within this
TICK_MINUTES = 15  # how often something that is due and may not be done yet is looked at again
ROOM = {"sms": 20, "telegram": 30}
READ_SECONDS, WRITE_SECONDS = 12, 35  # of a contact's time: to read a message, to write or press one


class Crash(BaseException):
    """The process dies here."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one seed."""

    seed: int
    digest: str
    broken: tuple[Mapping[str, str], ...]
    counts: Mapping[str, float]


class _Moment:
    """A clock that stands where the simulation stands."""

    speed = 1.0

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        """The calendar's moment."""
        return self.at

    def real(self) -> datetime:
        """The same: nothing is played faster."""
        return self.at


class Simulation:
    """One seed, from the first message to the calm after the last."""

    def __init__(self, seed: int, weeks: int, residents: int, faults: bool) -> None:
        """A town of so many residents, and so many weeks of life; `faults` makes networks, machine and bot fail."""
        self.seed, self.faults = seed, faults
        self.chance = Random(f"binnenbuurt {seed}")
        self.start = self.chance.choice(STARTS)
        self.end = self.start + timedelta(weeks=weeks)
        self.clock: Clock = _Moment(self.start)
        self.town = found(self.chance, self.start, residents)
        self.database = self.town.database
        self.texts = load_texts()
        self.turn = Turn(self.database, load_ears(), self.texts)
        self.back_off = Random(seed)
        self.networks = Networks(Random(f"networks {seed}"), self.town, faults)
        self.people = People(Random(f"people {seed}"), self.town)
        self.history = History()
        self.reading = sqlite3.connect(f"{self.town.folder.name}/town.db", isolation_level=None)
        self.laws = Laws(self.town, self.reading, self._up, self.networks.lost_answers.__contains__)
        self.counts: Counter[str] = Counter()
        self.outages: list[tuple[datetime, datetime]] = []
        self.broken: list[Mapping[str, str]] = []
        self._agenda: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = itertools.count()
        self._messages = itertools.count(1)
        self._crash_in = 0
        self._down_until: datetime | None = None
        self._channel_held: dict[str, datetime] = {}
        self._just_back = False

    # --- time ---

    def run(self) -> Result:
        """Live through it; returns what became of it."""
        log = logging.getLogger("binnenbuurt")
        before, propagates = log.level, log.propagate
        log.addHandler(self.laws.watch)
        log.propagate = False
        crashes = watched(self.database.engine, self._maybe_crash) if self.faults else nullcontext()
        try:
            with crashes:
                return self._run()
        finally:
            log.removeHandler(self.laws.watch)
            log.propagate, log.level = propagates, before
            self.reading.close()
            self.town.close()

    def _run(self) -> Result:
        with self.database.transaction() as connection:
            alive.beat(connection, self.start, self.start, "pretend")
        for act in self.people.arrive(self.start):
            self._plan(act.at, self._performing(act))
        self._every(self.start, timedelta(hours=1), self._hour)
        self._every(self.start + timedelta(hours=16), timedelta(days=1), self._day)
        self._every(self.start + timedelta(hours=19), timedelta(days=1), self._forget)
        if self.faults:
            self._plan_outages()
        self._live(self.end)
        self._calm()
        self._live(self.end + timedelta(days=CALM_DAYS))
        self.laws.settled(self._now)
        self._keep_broken()
        return Result(self.seed, self.history.digest(), tuple(self.broken), self._figures())

    @property
    def _now(self) -> datetime:
        return self.clock.now()

    def _live(self, end: datetime) -> None:
        """From moment to moment: what people do, what is due, what may be sent."""
        while True:
            planned = self._agenda[0][0] if self._agenda else end
            if self._down_until is None:
                due, sends = self._next_due(), self._next_sending()
            else:
                due = sends = self._down_until
            moment = min(planned, due, sends, end)
            moment = max(moment, self._now)
            self._set(moment)
            if moment >= end:
                return
            try:
                if self._down_until is not None and moment >= self._down_until:
                    self._begin_again(moment)
                elif planned <= moment:
                    heapq.heappop(self._agenda)[2](moment)
                elif due <= moment:
                    self._tick(moment)
                if self._down_until is None:
                    self._send(moment)
                    self.laws.look(moment)
            except Crash:
                self._crashed(moment)
            if self.laws.broken:
                self._keep_broken()

    def _set(self, moment: datetime) -> None:
        assert isinstance(self.clock, _Moment)
        self.clock.at = moment

    def _plan(self, at: datetime, what: Callable[[datetime], None]) -> None:
        heapq.heappush(self._agenda, (max(at, self._now), next(self._order), what))

    def _every(self, first: datetime, span: timedelta, what: Callable[[datetime], None]) -> None:
        def again(now: datetime) -> None:
            what(now)
            self._plan(now + span, again)

        self._plan(first, again)

    def _next_due(self) -> datetime:
        """When something on the calendar is due: the minute after it, as the tick finds it."""
        now, soon = self._now, self._now + timedelta(minutes=TICK_MINUTES)
        at_once, *moments = self.reading.execute(_DUE).fetchone()
        times = [now] * at_once + [_utc(t) for t in moments if t is not None]
        # what is due and was not done (it is night, a question is open) is looked at again at a later tick
        return min(
            ((t if t > now else soon).replace(second=0, microsecond=0) + timedelta(minutes=1) for t in times),
            default=_NEVER,
        )

    def _next_sending(self) -> datetime:
        """When the first row may be sent, or one that is in hand is given up for lost."""
        soon = self._now + timedelta(seconds=1)
        return min((max(at, soon) for at in self._sendings()), default=_NEVER)

    def _sendings(self) -> Iterator[datetime]:
        """The moments at which each person's first row may go; danger does not wait behind others."""
        heads: set[int] = set()
        for person, channel, due_at, held, state, urgency in self.reading.execute(_QUEUE).fetchall():
            if person in heads and urgency != "safety":
                continue
            heads.add(person)
            at = _utc(held) if held else _utc(due_at)
            if state == "waiting":
                at = max(at, _utc(due_at), self._channel_held.get(channel, at))
            yield at

    def _up(self, since: datetime, until: datetime) -> timedelta:
        """How long the bot was up between two moments."""
        span = max(until - since, timedelta(0))
        for begun, ended in self.outages:
            span -= max(min(until, ended) - max(since, begun), timedelta(0))
        return span

    # --- what the bot does by itself ---

    def _tick(self, now: datetime) -> None:
        self._beat(now)
        notice_outage(self.turn, now)
        self.turn.tick(now)
        begin_rounds(self.turn, now)
        follow_up(self.turn, now)
        self.counts["ticks"] += 1

    def _send(self, now: datetime) -> None:
        """Hand over what may go, as the outbox does: in hand, committed, sent, settled."""
        if self.reading.execute(_IN_HAND).fetchone():
            with self.database.transaction() as connection:
                outbox.give_up_lost(connection, self.texts, now, now, ("sms",))
        while any(at <= now for at in self._sendings()):
            room = {name: 0 if self._channel_held.get(name, now) > now else most for name, most in ROOM.items()}
            with self.database.transaction() as connection:
                taken = outbox.take(connection, self.texts, now, now, room)
            if not taken.parcels and not taken.settled:
                return
            self._die(0.002)
            came = [(parcel, *self._hand_over(parcel, now)) for parcel in taken.parcels]
            if self._chance_of(0.002):
                for parcel, _, arrived in came:
                    if arrived:
                        self.networks.lost_answers.add(parcel.id)
                self._arrive(came, now)
                raise Crash
            with self.database.transaction() as connection:
                for parcel, outcome, _ in came:
                    self.counts[type(outcome).__name__] += 1
                    settled = settling(
                        parcel, outcome, self.texts, self.clock, self.back_off, can_look_up=parcel.channel == "sms"
                    )
                    settled(connection)
                    self._hold(parcel.channel, outcome, now)
            self.laws.look(now)
            self._arrive(came, now)

    def _hold(self, channel: str, outcome: Outcome | Found, now: datetime) -> None:
        """A network that says "wait" or "who are you" is left alone for a while, as the outbox's pacer does."""
        if isinstance(outcome, Wait):
            self._channel_held[channel] = now + timedelta(seconds=min(outcome.seconds, HOLD_MAX))
        elif isinstance(outcome, LockedOut):
            self._channel_held[channel] = now + timedelta(seconds=LOCKED_OUT_SECONDS)

    def _hand_over(self, parcel: Parcel, now: datetime) -> tuple[Outcome | Found, bool]:
        if parcel.unsure:
            return self.networks.look_up(parcel, now), False
        return self.networks.send(parcel, now)

    def _arrive(self, came: list[tuple[Parcel, Outcome | Found, bool]], now: datetime) -> None:
        for parcel, outcome, arrived in came:
            who = self.town.by_address.get((parcel.channel, parcel.to))
            if not arrived or who is None:
                self.history.note(now, f"{parcel.id} {type(outcome).__name__}")
                continue
            if parcel.channel == "sms" and self._status_follows(parcel, now):
                continue
            self._on_phone(parcel, who, now)

    def _status_follows(self, parcel: Parcel, now: datetime) -> bool:
        """Twilio's word on an SMS comes later; True when it says that it never reached the phone."""
        word, error = "delivered", ""
        chance = self.networks.chance
        if self.networks.faults and chance.random() < 0.03:
            word, error = "undelivered", chance.choice(("30003", "30008", "30003", "30005", "30004"))
        name = self.networks.names.get(parcel.id, "")
        for _ in range(2 if self.networks.faults and chance.random() < 0.1 else 1):
            at = now + timedelta(seconds=chance.uniform(2, 60))
            self._plan(at, lambda moment: self._status(parcel.id, name, word, error, moment))
        return word != "delivered"

    def _status(self, row: int, name: str, word: str, error: str, now: datetime) -> None:
        if self._down_until is not None:
            self._plan(self._down_until, lambda moment: self._status(row, name, word, error, moment))
            return
        with self.database.transaction() as connection:
            outbox.status(connection, self.texts, now, now, row, name, word, error)

    def _on_phone(self, parcel: Parcel, who: Neighbour, now: datetime) -> None:
        if parcel.kind == "unbutton":
            return
        text = sms_text(parcel.body) if parcel.channel == "sms" else telegram_text(parcel.body)
        key = str(parcel.body.get("key", ""))
        if who.person != parcel.person:
            who.person = parcel.person
            self.town.by_person[parcel.person] = who
        row = self.laws.rows.get(parcel.id)
        case = row.case if row else None
        self.laws.arrived(parcel, who, text, now)
        buttons = tuple(telegram_buttons(parcel.body))
        self.history.add(Line(now, who, self._role(who), text, True, case[1] if case else 0))
        self.counts["messages out"] += 1
        if who.helps:
            self.counts[f"read by {who.role}"] += 1
        if key == "always.forgotten":
            who.joined = False
            who.matter.clear()
        elif key.startswith(("join.invited", "contacts.invited", "join.welcome", "help.passed_on", "welcome.")):
            who.joined = True
        if key.startswith("help.passed_on"):
            self.laws.passed_on(who, parcel, now)
        message = Arrived(key, text, buttons, self.networks.names.get(parcel.id, ""), parcel.kind, case)
        if who.stopped and parcel.urgency != "safety":
            return
        for act in self.people.react(who, now, message):
            self._plan(act.at, self._performing(act))

    @staticmethod
    def _role(who: Neighbour) -> str:
        return "resident" if who.role == "stranger" and who.joined else who.role

    # --- what people do ---

    def _performing(self, act: Act) -> Callable[[datetime], None]:
        return lambda now: self._perform(act, now)

    def _perform(self, act: Act, now: datetime) -> None:
        """Somebody sends something: the network brings it, perhaps twice, perhaps in another order, or cannot."""
        name = f"m{next(self._messages)}"
        chance = self.networks.chance
        shown = act.text if act.sense != "code" else "(code)"
        self.history.add(Line(now, act.who, self._role(act.who), shown, False, kind=act.kind))
        if act.who.helps:
            self.counts[f"written by {act.who.role}"] += 1
        late = now
        if self.networks.faults:
            if chance.random() < 0.05:
                self._plan(now + timedelta(seconds=chance.uniform(0, 300)), lambda at: self._bring(act, name, at))
            if chance.random() < 0.05:
                late = now + timedelta(seconds=chance.uniform(0, 90))
        if late > now:
            self._plan(late, lambda at: self._bring(act, name, at))
        else:
            self._bring(act, name, now)

    def _bring(self, act: Act, name: str, now: datetime) -> None:
        """A webhook: written down, then thought about. While we are down Telegram keeps it and an SMS is lost."""
        if self._down_until is not None:
            if act.who.channel == "telegram":
                self._plan(self._down_until + timedelta(seconds=1), lambda at: self._bring(act, name, at))
            else:
                self.counts["lost before us"] += 1
                self.history.note(now, f"{name} lost")
            return
        body: dict[str, Any] = {"text": act.text}
        if act.button:
            body = {"text": "", "button": act.button}
        if act.reply_to:
            body["reply_to"] = act.reply_to
        if act.kind != "text":
            attachment = {"channel": act.who.channel, "chat": act.who.address, "message": name, "kind": act.kind}
            body |= {"kind": act.kind, "attachment": attachment}
        with self.database.transaction() as connection:
            new = inbox.receive(connection, now, act.who.channel, name, act.who.address, body)
        if not new:
            self.counts["repeated"] += 1
            return
        self._accepted(act, name, now)
        if self._chance_of(0.002):
            self._crash_in = self.networks.chance.randrange(1, 30)
        self.turn.handle_all(now)
        self._crash_in = 0
        self._die(0.002)

    def _accepted(self, act: Act, name: str, now: datetime) -> None:
        who = act.who
        self.counts["messages in"] += 1
        self.laws.waiting[name] = act, now
        self.laws.accepted.setdefault(who.name, []).append(now)
        if act.sense == "stop":
            who.stopped = True
        elif act.sense in ("start", "back"):
            who.stopped = False
        if act.sense == "never_mind":  # her own word ends it, also when our answer to that is lost on the way
            who.matter.clear()
        if act.sense in MATTER:
            who.matter.append((now, act.text))

    # --- every hour, every day ---

    def _hour(self, now: datetime) -> None:
        if self._down_until is None:
            self.laws.hour(now)

    def _day(self, now: datetime) -> None:
        for act in self.people.day(now):
            self._plan(act.at, self._performing(act))

    def _forget(self, now: datetime) -> None:
        if self._down_until is None:
            with self.database.transaction() as connection:
                retention.clean(connection, now)

    # --- faults ---

    def _chance_of(self, share: float) -> bool:
        return self.networks.faults and self.networks.chance.random() < share

    def _die(self, share: float) -> None:
        if self._chance_of(share):
            raise Crash

    def _maybe_crash(self, *_: Any) -> None:
        if self._crash_in:
            self._crash_in -= 1
            if not self._crash_in:
                raise Crash

    def _crashed(self, now: datetime) -> None:
        """Dead at this moment, and started again after a while by whoever watches."""
        self._crash_in = 0
        self.counts["crashes"] += 1
        self._go_down(now, timedelta(seconds=self.networks.chance.uniform(1, 300)))

    def _plan_outages(self) -> None:
        span = self.end - self.start
        for _ in range(1 + int(span / timedelta(weeks=4))):
            at = self.start + span * self.networks.chance.uniform(0.1, 0.95)
            hours = self.networks.chance.choice((0.5, 2, 8, 20))
            self._plan(at, partial(self._go_down, span=timedelta(hours=hours)))

    def _go_down(self, now: datetime, span: timedelta) -> None:
        if self._down_until is not None:
            return
        self.history.note(now, f"down for {span}")
        self.counts["outages"] += span > timedelta(minutes=10)
        self._down_until = now + span
        self.outages.append((now, now + span))
        self._beat(now)

    def _beat(self, now: datetime) -> None:
        """The last minute's heartbeat: it is not played every minute. Not after an outage, which is to be noticed."""
        if self._just_back:
            self._just_back = False
            return
        with self.database.transaction() as connection:
            _BEAT.run(connection, {"p_at": now})

    def _begin_again(self, now: datetime) -> None:
        """A restart as `run` does it: nothing is in hand, the heartbeat sees the gap, what came due is done at once."""
        self._down_until = None
        with self.database.transaction() as connection:
            outbox.let_go(connection, now)
        self._just_back = True
        self._tick(now)
        self.turn.handle_all(now)

    def _calm(self) -> None:
        """Faults stop and nobody begins anything new."""
        self.networks.faults = False
        self.people.calm = True
        self.history.note(self._now, "calm")

    # --- what came of it ---

    def _keep_broken(self) -> None:
        for broken in self.laws.broken:
            self.broken.append(
                {
                    "law": broken.law,
                    "at": broken.at.astimezone(ZoneInfo("Europe/Amsterdam")).isoformat(),
                    "transcript": self.history.transcript(broken.about, broken.law, self.seed),
                }
            )
        self.laws.broken.clear()

    def _figures(self) -> dict[str, float]:
        """Counts, and what the coordinator asks first: how much work is it for the two?"""
        counts: dict[str, float] = dict(sorted(self.counts.items()))
        weeks = (self.end - self.start) / timedelta(weeks=1)
        for (kind,), number in self._counted("SELECT kind FROM \"case\" WHERE state != 'draft'"):
            counts[f"cases {kind}"] = number
        for (state,), number in self._counted("SELECT state FROM check_in"):
            counts[f"check-ins {state}"] = number
        for role, people in (("contact", 4), ("coordinator", 1)):
            seconds = self.counts[f"read by {role}"] * READ_SECONDS + self.counts[f"written by {role}"] * WRITE_SECONDS
            counts[f"minutes per {role} per week"] = round(seconds / 60 / weeks / people, 1)
        counts["lines"] = self.history.count
        return counts

    def _counted(self, query: str) -> list[tuple[tuple[str, ...], int]]:
        return sorted(Counter(self.reading.execute(query).fetchall()).items())


_QUEUE = """
SELECT person_id, channel, due_at, held_until, state, urgency FROM outgoing
WHERE state IN ('waiting', 'sending') ORDER BY person_id, due_at, id
"""
_IN_HAND = "SELECT 1 FROM outgoing WHERE state = 'sending' AND state IN ('waiting', 'sending') LIMIT 1"
_DUE = str(due.NEXT.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
_BEAT = Prepared(alive.HEARTBEAT.update().where(alive.HEARTBEAT.c.name == alive.ALL).values(at=sa.bindparam("p_at")))
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
