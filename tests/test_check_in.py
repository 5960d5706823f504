"""How it goes, silence, pauses and the rota, where a conversation cannot show it: calendars, races, channels, faults."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from bot import rounds as bot_rounds
from bot.heartbeat import notice_outage
from bot.language import load_ears, load_texts
from bot.turn import Turn
from bot.world import World
from flows import duty
from flows.contract import ChangeRota, Neighbourhood, Person
from flows.heard import Wish
from flows.holidays import is_holiday
from flows.rhythm import beat_of, next_ask, slot_at
from storage import alive, inbox, rounds
from storage.apply import OUTGOING
from storage.scene import ADDRESS, CASE, CHECK_IN, PERSON

pytestmark = pytest.mark.slow  # weeks of pretend time, or real servers

ZONE = ZoneInfo("Europe/Amsterdam")
LUTMA = Neighbourhood(1, "Lutmabuurt", "LUTMA")
ASK_ME = "vraag maar elke week hoe het gaat"


def said_to(world: World, who: str, since: int = 0) -> list[str]:
    """What the bot wrote to somebody, from that line on."""
    return [line.text for line in world.lines[since:] if line.sent_by_bot and line.who == who]


def rows(world: World, who: str = "Riet") -> list[Any]:
    """The check-ins of somebody, oldest first."""
    query = sa.select(CHECK_IN).where(CHECK_IN.c.person_id == person_id(world, who)).order_by(CHECK_IN.c.id)
    with world.database.transaction() as connection:
        return list(connection.execute(query).mappings())


def person_id(world: World, who: str) -> int:
    """The id behind a name."""
    with world.database.transaction() as connection:
        return next(r.id for r in connection.execute(sa.select(PERSON.c.id, PERSON.c.name)) if r.name == who)


def until(world: World, day: int, hour: int, minute: int = 0, month: int = 3) -> int:
    """Live on to that moment of 2026 in Amsterdam; returns how many lines there were before."""
    before = len(world.lines)
    world.pass_time(datetime(2026, month, day, hour, minute, tzinfo=ZONE).astimezone(UTC) - world.now)
    return before


# --- the calendar ---


@pytest.mark.parametrize("rhythm", ["weekly", "twice", "daily"])
@pytest.mark.parametrize("weekday", range(7))
def test_every_slot_has_one_moment_by_day_and_never_on_a_holiday(rhythm: str, weekday: int) -> None:
    """Five years, both clock changes in each: slots never repeat, moments only go on, local hours stay what they are."""
    beat = beat_of(Person(1, "", rhythm=rhythm, check_in_day=weekday), LUTMA)
    moment, seen = datetime(2026, 1, 1, tzinfo=UTC), set()
    while moment.year < 2031:
        after = next_ask(moment, beat)
        slot = slot_at(after, beat)
        local = after.astimezone(ZONE)
        assert after > moment
        assert slot not in seen
        assert not is_holiday(local.date())
        assert local.time() == (time(13) if local.weekday() == 6 else time(10))
        seen.add(slot)
        moment = after
    if rhythm == "weekly":
        assert 5 * 52 <= len(seen) <= 5 * 52 + 2


def test_a_holiday_moves_the_moment_and_not_the_slot() -> None:
    """Easter Monday's question comes on Tuesday, and the week after is the week after."""
    beat = beat_of(Person(1, "", check_in_day=0), LUTMA)
    asked = next_ask(datetime(2026, 4, 5, 12, tzinfo=UTC), beat)
    assert asked.astimezone(ZONE).date() == date(2026, 4, 7)
    assert slot_at(asked, beat) == "2026-W15"
    following = next_ask(asked, beat)
    assert following.astimezone(ZONE).date() == date(2026, 4, 13)


def test_an_own_hour_stays_within_the_day() -> None:
    """Nobody is asked at seven in the morning or in the evening, whatever was wished."""
    assert beat_of(Person(1, "", check_in_time="07:00"), LUTMA).at == time(9, 30)
    assert beat_of(Person(1, "", check_in_time="22:00"), LUTMA).at == time(19)


def test_a_clock_set_back_asks_nobody_again(world: World) -> None:
    """UNIQUE (person, slot), and the next moment is a date that was kept."""
    world.write("Riet", ASK_ME)
    until(world, 31, 12)
    world.now -= timedelta(days=1)
    world.pass_time(timedelta(days=2))
    asked = [t for t in said_to(world, "Riet") if "een computer" in t]
    assert len(asked) == 1
    assert len(rows(world)) == 1


def test_two_processes_at_once_ask_once(world: World) -> None:
    """The same ticks by two engines on one database."""
    other = Turn(world.database, load_ears(), load_texts())
    world.write("Riet", ASK_ME)
    world.write("Henk", ASK_ME)
    until(world, 31, 9, 45)
    at = datetime(2026, 3, 31, 8, tzinfo=UTC)
    bot_rounds.begin_rounds(other, at)
    bot_rounds.begin_rounds(world.turn, at)
    with world.database.transaction() as connection:
        due = rounds.due(connection, at, 100)
    bot_rounds.follow_up(other, at)
    bot_rounds.follow_up(world.turn, at)
    world.now = at
    world.deliver()
    assert len(due) == 2
    assert len(rows(world)) == len(rows(world, "Henk")) == 1
    assert sum("Hoe gaat het" in t for t in said_to(world, "Riet")) == 1


def test_a_round_goes_on_where_it_was_broken_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of one, and a crash after the first: the second is made later, the first not twice."""
    monkeypatch.setattr(rounds, "BATCH", 1)
    world.write("Riet", ASK_ME)
    world.write("Henk", ASK_ME)
    until(world, 31, 9, 45)
    at = datetime(2026, 3, 31, 8, tzinfo=UTC)
    with world.database.engine.connect() as connection, connection.begin() as begun:
        assert rounds.make_rows(connection, at) == 1
        begun.rollback()  # the crash
    assert bot_rounds.begin_rounds(world.turn, at, 1) == 1
    assert bot_rounds.begin_rounds(world.turn, at) == 1
    assert len(rows(world)) == len(rows(world, "Henk")) == 1


# --- what is no silence ---


def blocked(world: World, who: str, channel: str) -> None:
    """That address is gone, as the outbox writes it after a permanent error."""
    its = sa.and_(ADDRESS.c.person_id == person_id(world, who), ADDRESS.c.channel == channel)
    with world.database.transaction() as connection:
        connection.execute(ADDRESS.update().where(its).values(state="blocked"))


def test_a_blocked_address_is_neutral_and_said_once(world: World) -> None:
    """Henk blocked the bot: the contact on duty hears that it did not arrive, once, and no case is opened."""
    world.write("Henk", ASK_ME)
    blocked(world, "Henk", "telegram")
    until(world, 22, 12, month=4)
    told = [t for t in said_to(world, "Ans") if "Henk" in t]
    assert told == ["Mijn vraag aan Henk kwam niet aan. Dat ligt aan de telefoon of het netwerk. Bel gerust even."]
    assert {r["state"] for r in rows(world, "Henk")} == {"unreached"}
    with world.database.transaction() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(CASE)).scalar() == 0


def second_address(world: World, who: str, channel: str, value: str) -> None:
    """Somebody has another way to be reached, used longer ago than the first."""
    person = person_id(world, who)
    with world.database.transaction() as connection:
        assert inbox._new_address(connection, world.now - timedelta(days=30), person, channel, value)


def sent_to(world: World, who: str) -> list[tuple[str, str]]:
    """Channel and first words of all questions to somebody, in order."""
    person = person_id(world, who)
    with world.database.transaction() as connection:
        found = connection.execute(
            sa.select(OUTGOING.c.channel, OUTGOING.c.body)
            .where(OUTGOING.c.person_id == person, OUTGOING.c.check_in_id.is_not(None))
            .order_by(OUTGOING.c.id)
        ).all()
        return [(row.channel, row.body["key"].partition(".")[2]) for row in found]


def test_the_next_morning_comes_on_the_other_channel(world: World) -> None:
    """Riet has both: the question and the soft one by SMS, where she wrote last; the second one on Telegram."""
    second_address(world, "Riet", "telegram", "9001")
    world.write("Riet", ASK_ME)
    until(world, 1, 12, month=4)
    assert sent_to(world, "Riet") == [("sms", "how_first"), ("sms", "soft"), ("telegram", "soft_other")]


@pytest.mark.parametrize(
    ("asked", "on", "seen"),
    [("soft", {"day": 31, "hour": 19}, {"day": 1, "hour": 10, "month": 4}),
     ("soft_other", {"day": 1, "hour": 11, "month": 4}, {"day": 1, "hour": 13, "month": 4})],
)  # fmt: skip
def test_a_question_that_never_went_is_put_again_as_it_was(
    asked: str, on: dict[str, int], seen: dict[str, int], world: World
) -> None:
    """We were away until it had lost its sense: she does not read for the second time what she read the day before."""
    world.write("Riet", ASK_ME)
    until(world, **on)
    before = sent_to(world, "Riet")
    assert before[-1] == ("sms", asked)
    with world.database.transaction() as connection:
        last = sa.select(sa.func.max(OUTGOING.c.id)).where(OUTGOING.c.check_in_id.is_not(None)).scalar_subquery()
        connection.execute(OUTGOING.update().where(OUTGOING.c.id == last).values(state="dropped", error="expired"))
        connection.execute(CHECK_IN.update().values(due_at=world.now))
    until(world, **seen)
    assert sent_to(world, "Riet")[: len(before) + 1] == [*before, ("sms", asked)]


def test_an_undelivered_question_is_put_on_the_other_channel(world: World) -> None:
    """The SMS did not arrive: that is no silence, so the same question goes to Telegram before anybody is told."""
    second_address(world, "Riet", "telegram", "9001")
    world.write("Riet", ASK_ME)
    world.unreachable.add("Riet")
    before = until(world, 31, 20)
    assert [channel for channel, _ in sent_to(world, "Riet")] == ["sms", "telegram"]
    assert said_to(world, "Ans", before) == [t for t in said_to(world, "Ans", before) if "draai nog" in t]


def test_an_answer_on_either_channel_counts(world: World) -> None:
    """Asked by SMS, answered on Telegram."""
    second_address(world, "Riet", "telegram", "9001")
    world.write("Riet", ASK_ME)
    until(world, 31, 10)
    with world.database.transaction() as connection:
        inbox.receive(connection, world.now, "telegram", "both-1", "9001", {"text": "goed hoor"})
    world.turn.handle_all(world.now)
    assert [(r["state"], r["answer"]) for r in rows(world)] == [("answered", "good")]


def test_any_message_in_the_days_before_is_a_sign_of_life(world: World) -> None:
    """She asked for a lamp on Monday: no soft question on Tuesday, and no name on Wednesday."""
    world.write("Riet", ASK_ME)
    until(world, 30, 15)
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "laat maar")
    before = until(world, 1, 20, month=4)
    assert [t for t in said_to(world, "Riet", before) if "hoorde nog niets" in t] == []
    assert [r["state"] for r in rows(world)] == ["asked"]
    until(world, 4, 20, month=4)  # a day later than else: nobody is asked on Good Friday
    assert [r["state"] for r in rows(world)] == ["flagged"]


def test_a_question_that_could_not_be_sent_starts_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our outbox stood still all day: the question expired, and is asked again instead of counted as silence."""
    world.write("Riet", ASK_ME)
    until(world, 31, 9, 45)
    with monkeypatch.context() as patched:
        patched.setattr(World, "deliver", lambda _: [])
        until(world, 1, 9, 45, month=4)
    until(world, 1, 20, month=4)
    states = [r["state"] for r in rows(world)]
    assert states == ["asked"]
    assert rows(world)[0]["asked_at"] > datetime(2026, 4, 1, tzinfo=UTC)


def test_a_deaf_hour_is_seen_once_and_moves_silences(world: World) -> None:
    """An outage is kept once, however many ticks look for it."""
    world.write("Riet", ASK_ME)
    until(world, 31, 11)
    world.now += timedelta(hours=5)
    assert notice_outage(world.turn, world.now, timedelta(minutes=45)) is not None
    assert notice_outage(world.turn, world.now, timedelta(minutes=45)) is None
    with world.database.transaction() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(alive.OUTAGE)).scalar() == 1


def test_an_answer_and_a_report_at_once(world: World) -> None:
    """Riet answers while Ans says "gesproken": one of them closes it, nobody gets an error, the row is settled."""
    world.write("Riet", ASK_ME)
    until(world, 1, 16, month=4)
    ids = {"Riet": ("sms", "+31612341234", "goed"), "Ans": ("telegram", "1001", "1 gesproken")}
    with world.database.transaction() as connection:
        for who, (channel, address, text) in ids.items():
            inbox.receive(connection, world.now, channel, f"race-{who}", address, {"text": text})
    assert world.turn.handle_all(world.now) == 2
    with world.database.transaction() as connection:
        case = connection.execute(sa.select(CASE)).mappings().one()
        waiting = connection.execute(sa.select(inbox.INCOMING.c.attempts)).scalars().all()
    assert case["state"] == "closed"
    assert rows(world)[0]["state"] in ("answered", "seen")
    assert set(waiting) == {0}


def test_three_silences_that_were_fine_offer_another_day_once(world: World) -> None:
    """After three weeks silent but fine: another day, or not at all, is offered with the question."""
    world.write("Riet", ASK_ME)
    for _ in range(3):
        world.pass_time(timedelta(days=6))
        until_flagged(world)
        case = next(line.text.split()[0] for line in reversed(world.lines) if "geen antwoord" in line.text)
        world.write("Ans", f"{case} gezien")
    before = len(world.lines)
    world.pass_time(timedelta(days=6))
    assert [t for t in said_to(world, "Riet", before) if "andere dag" in t]


def until_flagged(world: World) -> None:
    """Live on until the contact on duty hears of a silence."""
    for _ in range(40):
        before = len(world.lines)
        world.pass_time(timedelta(hours=6))
        if any("geen antwoord" in t for t in said_to(world, "Ans", before)):
            return
    raise AssertionError("nobody heard of the silence")


# --- plain words ---

WISHES = {
    "vraag maar elke week hoe het gaat": Wish("weekly", about=True),
    "Mag ik elke dag hoe het gaat?": Wish("daily", about=True),
    "elke dag graag": Wish("daily"),
    "liever op vrijdag": Wish(weekday=4),
    "Liever op woensdag om 2 uur.": Wish(weekday=2, at="14:00"),
    "kan het om 11:30 uur": Wish(at="11:30"),
    "vrijdag?om 10 uur": Wish(weekday=4, at="10:00"),
    "twee keer per week graag": Wish("twice"),
    "niet meer vragen hoe het gaat": Wish("never", about=True),
    "stop met de weekvraag": Wish("never", about=True),
    "niet meer vragen aub": Wish("never"),
    "let extra op mij": Wish("quick"),
}
NO_WISHES = (
    "nee dat hoeft niet",
    "hoeft niet",
    "kan iemand elke dag de hond uitlaten",
    "vrijdag komt mijn dochter",
    "ik wil niet meer leven",
    "ik wil niet meer",
    "om 2 uur graag de lamp",
    "stop",
    "goed",
    "elke dag pijn",
)


@pytest.mark.parametrize("text", WISHES)
def test_a_wish_about_being_asked_is_heard(text: str) -> None:
    """Every word of it is accounted for."""
    assert load_ears().vocabulary.wish(text) == WISHES[text]


@pytest.mark.parametrize("text", NO_WISHES)
def test_other_words_are_no_such_wish(text: str) -> None:
    """A word more, and it is something else: a story, a request, a cry."""
    assert load_ears().vocabulary.wish(text) is None


# --- the rota ---


def contact(number: int, **more: Any) -> Person:
    """A contact on Telegram."""
    return Person(number, f"C{number}", "contact", channels=("telegram",), **more)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_weeks_go_round_with_any_number_of_contacts(count: int) -> None:
    """Over a year everybody has the same number of weeks, give or take one; also across a year of 53 weeks."""
    people = [contact(n) for n in range(1, count + 1)]
    rota = duty.changed({}, ChangeRota(1, turns=True, week=("2026-W13", 1)), date(2026, 3, 24))
    days = [date(2026, 3, 23) + timedelta(days=7 * n) for n in range(60)]
    turns = [duty.turn_of(rota, people, d) for d in days]
    assert turns[0] == 1
    assert all(abs(turns.count(p.id) - 60 / count) <= 1 for p in people)
    if count > 1:
        assert all(a != b for a, b in pairwise(turns))


def test_who_is_away_is_not_there_and_comes_back() -> None:
    """Days of absence are whole days, the last one included."""
    people = [contact(1), contact(2)]
    rota = duty.changed({}, ChangeRota(1, away=(1, "2026-08-03", "2026-08-17")), date(2026, 7, 1))
    noon = datetime(2026, 8, 17, 12, tzinfo=UTC)
    assert [p.id for p in duty.there(rota, people, noon, "Europe/Amsterdam")] == [2]
    assert [p.id for p in duty.there(rota, people, noon + timedelta(days=1), "Europe/Amsterdam")] == [1, 2]
    assert duty.changed(rota, ChangeRota(1), date(2026, 9, 1))["away"] == []


def test_one_contact_alone_works(new_world: Callable[..., World]) -> None:
    """With one contact the silence goes to that one, then to the coordinator."""
    from bot.cast import CAST

    world = new_world(tuple(a for a in CAST if a.name != "Joop"))
    world.write("Riet", ASK_ME)
    until(world, 5, 20, month=4)
    assert [t for t in said_to(world, "Ans") if "geen antwoord" in t]
    assert [t for t in said_to(world, "Mia") if "geen antwoord" in t]


def test_a_contact_is_asked_too_and_never_told_of_the_own_silence(world: World) -> None:
    """Ans also wants the question; when she is silent, Joop hears it."""
    world.write("Ans", ASK_ME)
    until(world, 1, 20, month=4)
    assert [t for t in said_to(world, "Joop") if "geen antwoord van Ans" in t]
    assert not [t for t in said_to(world, "Ans") if "geen antwoord van Ans" in t]
