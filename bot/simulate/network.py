"""The pretend networks: what becomes of a message on its way, in every class of failure there is, and what arrived in truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from bot.channels.channel import (
    Found,
    LockedOut,
    MaybeSent,
    NotThere,
    Outcome,
    Permanent,
    Sent,
    Stopped,
    Temporary,
    Wait,
)
from bot.channels.gsm7 import segments
from bot.channels.wording import sms_text
from bot.simulate.town import Neighbour, Town
from storage.outbox import Parcel

FAILS = 0.2
LOCKED_HOURS = 1.0


@dataclass(slots=True)
class Networks:
    """SMS and Telegram. `faults` may be switched off, from then on everything arrives."""

    chance: Random
    town: Town
    faults: bool
    locked_until: datetime | None = None
    sent: dict[int, int] = field(default_factory=dict)
    lost_answers: set[int] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
    count: int = 0

    def send(self, parcel: Parcel, now: datetime) -> tuple[Outcome, bool]:
        """Hand one message over: what the bot hears of it, and whether it really arrived."""
        who = self.town.by_address.get((parcel.channel, parcel.to))
        if who is None:
            return Permanent("nobody there", "invalid"), False
        if not who.phone_works:
            return Permanent("unknown number", "invalid"), False
        if who.blocked:
            return (Permanent("blocked", "blocked") if parcel.channel == "telegram" else Stopped("21610")), False
        if self.faults and (failure := self._failure(parcel, who, now)) is not None:
            return failure
        return self._taken(parcel), True

    def _taken(self, parcel: Parcel) -> Sent:
        self.count += 1
        name = f"n{self.count}"
        self.names[parcel.id] = name
        self.sent[parcel.id] = self.sent.get(parcel.id, 0) + (parcel.kind != "unbutton")
        return Sent(name, segments(sms_text(parcel.body)) if parcel.channel == "sms" and parcel.kind == "text" else 0)

    def _failure(self, parcel: Parcel, who: Neighbour, now: datetime) -> tuple[Outcome, bool] | None:
        chance = self.chance
        if self.locked_until is not None and now < self.locked_until:
            return LockedOut("who are you"), False
        if chance.random() >= FAILS:
            return None
        match chance.choices(
            ("temporary", "wait", "answer lost", "never came", "permanent", "number", "stopped", "locked"),
            (40, 25, 14, 10, 4, 1, 1, 1),
        )[0]:
            case "temporary":
                return Temporary("no connection"), False
            case "wait":
                return Wait("too many", chance.uniform(1, 30)), False
            case "answer lost":
                self._taken(parcel)
                self.lost_answers.add(parcel.id)
                return MaybeSent("answer lost"), True
            case "never came":
                return MaybeSent("time-out"), False
            case "permanent":
                return Permanent("bad request"), False
            case "number" if not who.helps:
                who.phone_works = False
                return Permanent("unknown number", "invalid"), False
            case "stopped" if not who.helps:
                who.blocked = True
                return (Permanent("blocked", "blocked") if parcel.channel == "telegram" else Stopped("21610")), False
            case "locked":
                self.locked_until = now + timedelta(hours=chance.uniform(0.05, LOCKED_HOURS))
                return LockedOut("who are you"), False
        return Temporary("no connection"), False

    def look_up(self, parcel: Parcel, now: datetime) -> Found:
        """Was it taken, though the answer was lost? The network knows."""
        if self.faults and self.locked_until is not None and now < self.locked_until:
            return LockedOut("who are you")
        if self.faults and self.chance.random() < FAILS / 2:
            return Temporary("no connection")
        name = self.names.get(parcel.id)
        return Sent(name) if name else NotThere()
