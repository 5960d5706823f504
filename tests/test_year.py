"""A year of one neighbourhood: habits, holidays, both clock changes, restarts, outages and lost messages at random.

The laws are looked at from what really reached the phones and what stands in the tables, not from what was intended.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

import bot.world
from bot.cast import Actor
from bot.language import load_ears, load_texts
from bot.turn import Turn
from bot.world import World
from flows.contract import Neighbourhood, Person
from flows.rhythm import beat_of, next_ask, slot_at
from storage.scene import CASE, CHECK_IN, PERSON

ZONE = ZoneInfo("Europe/Amsterdam")
HOUR = timedelta(hours=1)
LUTMA = Neighbourhood(1, "Lutmabuurt", "LUTMA")
SILENCE = timedelta(hours=26)  # Tuesday 10:00 to Wednesday 16:00 is 30; a question asked in the afternoon gets 26
SLACK = timedelta(days=5)  # postponed by a message before, a Sunday morning and a row of holidays

WEEKLY = ("Annie", "Bep", "Cor", "Dirk", "Els", "Frits", "Greet", "Harm")
STAFF = (
    Actor("Ans", "contact", "telegram", "1001", "Lutmastraat"),
    Actor("Joop", "contact", "sms", "+31612341002", "Lutmastraat"),
    Actor("Mia", "coordinator", "telegram", "1003"),
)
PEOPLE = tuple(
    Actor(
        name,
        "resident",
        "sms" if n % 2 else "telegram",
        f"+3161234{3000 + n}" if n % 2 else str(3000 + n),
        "Lutmastraat",
    )
    for n, name in enumerate((*WEEKLY, "Ineke", "Jopie"))
)
RHYTHM = {"Ineke": "elke dag", "Jopie": "twee keer per week"}
ANSWERS = ("1", "goed", "prima hoor", "2", "gaat wel", "goed en met u?", "3")


@dataclass(slots=True)
class Year:
    """The world and what we did to it."""

    world: World
    chance: random.Random
    wrote: list[tuple[datetime, str]] = field(default_factory=list)
    stopped: dict[str, datetime] = field(default_factory=dict)
    paused: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    lost: list[tuple[str, datetime, datetime]] = field(default_factory=list)

    def write(self, who: str, text: str) -> None:
        """Somebody writes now."""
        self.wrote.append((self.world.now, who))
        self.world.write(who, text)

    def hour(self) -> None:
        """One hour of this neighbourhood's life."""
        world, chance = self.world, self.chance
        if chance.random() < 1 / 900:  # an outage of hours, rarely of days
            began = world.now
            world.sleep(timedelta(hours=chance.choice((4, 5, 9, 26, 70))))
            self.outages.append((began - HOUR, world.now))
        else:
            world.pass_time(HOUR)
        if chance.random() < 1 / 200:  # a restart
            world.turn = Turn(world.database, load_ears(), load_texts())
        self._lose()
        for actor in PEOPLE:
            self._live(actor.name)
        self._staff()

    def _lose(self) -> None:
        world, chance = self.world, self.chance
        if chance.random() < 1 / 300:
            who = chance.choice(WEEKLY)
            if who not in world.unreachable:
                world.unreachable.add(who)
                self.lost.append((who, world.now, datetime.max.replace(tzinfo=UTC)))
        for index, (who, began, ended) in enumerate(self.lost):
            if ended.year == 9999 and world.now - began > timedelta(days=2):
                world.unreachable.discard(who)
                self.lost[index] = (who, began, world.now)

    def _live(self, who: str) -> None:
        world, chance = self.world, self.chance
        local = world.now.astimezone(ZONE)
        if not 8 <= local.hour < 22 or who in self.stopped:
            return
        last = next((line for line in reversed(world.lines[-400:]) if line.who == who), None)
        asked = last is not None and last.sent_by_bot and "1 Goed" in (last.text + "1 " + str(last.buttons))
        if asked and last is not None and world.now - last.at < 40 * HOUR and chance.random() < 0.15:
            self.write(who, chance.choice(ANSWERS))
        elif last is not None and last.sent_by_bot and "even belt?" in last.text and chance.random() < 0.5:
            self.write(who, chance.choice(("ja graag", "nee hoor")))
        elif chance.random() < 1 / 4000:
            days = chance.randint(3, 12)
            until = (local + timedelta(days=days)).date()
            self.write(who, f"pauze tot {until.day} {MONTHS[until.month - 1]}")
            self.write(who, f"ik ben weg tot {until.day} {MONTHS[until.month - 1]}")
        elif chance.random() < 1 / 15_000 and len(self.stopped) < 2:
            self.write(who, "stop")
            self.stopped[who] = world.now

    def _staff(self) -> None:
        """The contacts look once in a while, and say what they found."""
        world, chance = self.world, self.chance
        if not 9 <= world.now.astimezone(ZONE).hour < 21 or chance.random() > 0.1:
            return
        with world.database.transaction() as connection:
            open_ = connection.execute(
                sa.select(CASE.c.number, CASE.c.kind).where(CASE.c.state.in_(("open", "claimed")))
            ).all()
        who = chance.choice(("Ans", "Joop"))
        for number, kind in open_:
            self.write(who, f"{number} {chance.choice(('gezien', 'gesproken')) if kind == 'silence' else 'klaar'}")


MONTHS = (
    "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december",
)  # fmt: skip


def overlap(began: datetime, ended: datetime, spans: list[tuple[datetime, datetime]]) -> timedelta:
    """How much of a span lies within the others."""
    parts = (min(ended, e) - max(began, b) for b, e in spans)
    return sum((p for p in parts if p > timedelta(0)), timedelta(0))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1])
def test_a_year_keeps_its_laws(seed: int, new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked once per slot, nobody after STOP, nobody at night, every true silence seen, none that is not one."""
    monkeypatch.setattr(bot.world, "TICK", HOUR)
    world = new_world((*STAFF, *PEOPLE))
    world.now = datetime(2026, 1, 5, 11, tzinfo=UTC)
    year = Year(world, random.Random(seed))
    for actor in PEOPLE:
        year.write(actor.name, f"vraag maar {RHYTHM.get(actor.name, 'elke week')} hoe het gaat")
    began = world.now
    while world.now < datetime(2027, 1, 5, 11, tzinfo=UTC):
        year.hour()
    with world.database.transaction() as connection:
        ids = {row.id: row.name for row in connection.execute(sa.select(PERSON.c.id, PERSON.c.name))}
        checks = connection.execute(sa.select(CHECK_IN).order_by(CHECK_IN.c.id)).mappings().all()
        cases = {row["id"]: row for row in connection.execute(sa.select(CASE)).mappings()}
        paused = connection.execute(sa.select(CHECK_IN.c.id).where(CHECK_IN.c.answer == "paused")).scalars().all()
    assert_everybody_asked_once(year, began, ids, checks)
    assert_nobody_at_night(year)
    assert_nobody_after_stop(year)
    assert_silences(year, ids, checks, cases)
    assert len(checks) > 700
    assert len(year.outages) > 3
    assert paused
    assert [c for c in checks if c["state"] == "due"] == []


def assert_everybody_asked_once(year: Year, began: datetime, ids: dict[int, str], checks: Any) -> None:
    """Every weekly slot of who did not stop has exactly one row; the question was sent once for it."""
    for person, who in ids.items():
        if who not in WEEKLY or who in year.stopped:
            continue
        beat = beat_of(Person(1, ""), LUTMA)
        slots, moment = [], began
        while (moment := next_ask(moment, beat)) < year.world.now - timedelta(days=4):
            slots.append(slot_at(moment, beat))
        made = [c["slot"] for c in checks if c["person_id"] == person]
        assert made[: len(slots)] == slots, who
        first_questions = [
            line
            for line in year.world.lines
            if line.sent_by_bot and line.who == who and is_question(line.text) and "nog niets" not in line.text
        ]
        asked = [c for c in checks if c["person_id"] == person and c["asked_at"] is not None]
        assert len(first_questions) <= len(asked), who


def is_question(text: str) -> bool:
    """A first "hoe gaat het", not a soft one."""
    return (
        text.startswith("Dag ")
        and ("oe gaat het" in text or "Hoe is het vandaag" in text)
        and "Nog een keer" not in text
    )


def assert_nobody_at_night(year: Year) -> None:
    """Between 20:00 and 9:30 only answers: lines at the very moment at which somebody wrote."""
    moments = {at for at, _ in year.wrote}
    for line in year.world.lines:
        local = line.at.astimezone(ZONE).time()
        if line.sent_by_bot and line.at not in moments:
            assert time(9, 30) <= local <= time(20), (line.at, line.text)


def assert_nobody_after_stop(year: Year) -> None:
    """Nothing but the answer to STOP itself."""
    for who, at in year.stopped.items():
        later = [line for line in year.world.lines if line.who == who and line.sent_by_bot and line.at > at]
        assert later == [], who


def assert_silences(year: Year, ids: dict[int, str], checks: Any, cases: dict[int, Any]) -> None:
    """Every true silence is with a contact in time, and whatever is with a contact was a true silence."""
    flagged = unflagged = 0
    for check in checks:
        who, asked = ids[check["person_id"]], check["asked_at"]
        if asked is None or who not in WEEKLY:
            continue
        case = cases.get(check["case_id"])
        heard = [at for at, name in year.wrote if name == who]
        if case is not None and case["opened_at"] >= asked:
            flagged += 1
            ours = overlap(asked, case["opened_at"], year.outages)
            assert case["opened_at"] - asked - ours >= SILENCE, (who, asked, case["opened_at"], ours)
            assert not [at for at in heard if asked < at < case["opened_at"]], (who, asked)
            gone = [span for name, *span in year.lost if name == who and span[0] <= asked < span[1]]
            assert not gone, (who, asked, gone)
            continue
        window = asked + SILENCE + SLACK + overlap(asked, asked + SILENCE + SLACK, year.outages)
        answered = any(asked <= at <= window for at in heard)
        seen = check["state"] in ("seen", "unreached", "passed") or check["case_id"] is not None
        if not answered and not seen and window < year.world.now:
            unflagged += 1
            raise AssertionError((who, asked, check["state"], check["answer"], check["due_at"]))
    assert flagged > 20
    assert unflagged == 0
