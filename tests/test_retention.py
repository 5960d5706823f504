"""Forgetting on time: each promise of the privacy text, a day before its term and a day after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import schedule
from bot.clock import RehearsalClock
from bot.operator.insight import erase
from bot.world import World
from flows import plain
from storage import inbox, roster, tables
from storage.apply import AUDIT, CASE_WORDS, INCOMING, INVITE, MISHEARD, OUTGOING, erase_person
from storage.database import Database
from storage.expected import expect_number
from storage.retention import BATCH, clean, scrub
from storage.scene import ADDRESS, CASE, CONSENT, OFFER, PERSON, TALK, table
from storage.seal import keyring, names_kept

NOW = datetime(2026, 3, 24, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
CHECK_IN = table(tables.CheckIn)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/retention.db")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def riet(database: Database) -> int:
    """A joined resident."""
    with database.transaction() as connection:
        hood = roster.add_neighbourhood(connection, "Lutmabuurt", "LUTMA", [])
        person, _ = roster.add_person(connection, NOW, "Riet", hood, street="Lutmastraat")
        connection.execute(PERSON.update().values(joined=True, heard_at=NOW))
    return person


def put(connection: Connection, rows: sa.Table, **values: Any) -> int:
    """A row with only what matters; the rest as empty as it may be."""
    filled: dict[str, Any] = {}
    for column in rows.columns:
        if column.name in values or column.nullable or column.server_default is not None or column.name == "id":
            continue
        kinds: tuple[tuple[type, Any], ...] = (
            (sa.Boolean, False), (sa.Integer, 0), (sa.LargeBinary, b""), (sa.JSON, []), (sa.DateTime, NOW),
        )  # fmt: skip
        kind = column.type.impl if isinstance(column.type, sa.types.TypeDecorator) else column.type
        text = type(column.type).__name__ in ("Sealed", "AutoString")
        moment = type(column.type).__name__ == "UTCDateTime"
        filled[column.name] = "" if text else NOW if moment else next((v for t, v in kinds if isinstance(kind, t)), "")
    return int(connection.execute(rows.insert().returning(rows.c.id), {**filled, **values}).scalar_one())


def after(database: Database, span: timedelta) -> int:
    """One cleaning, that long after NOW."""
    with database.transaction() as connection:
        return clean(connection, NOW + span)


def one(database: Database, rows: sa.Table) -> dict[str, Any]:
    with database.transaction() as connection:
        return dict(connection.execute(sa.select(rows)).mappings().one())


def count(database: Database, rows: sa.Table) -> int:
    with database.transaction() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one())


def test_texts_go_after_thirty_days(database: Database, riet: int) -> None:
    with database.transaction() as connection:
        put(
            connection, INCOMING, channel="sms", external_id="SM1", body={"text": "mijn lamp", "address": "+31"},
            sender_hash=b"h", received_at=NOW, handled_at=NOW, person_id=riet,
        )  # fmt: skip
        put(connection, OUTGOING, person_id=riet, body={"text": "Goed."}, state="sent", sent_at=NOW, created_at=NOW)
    assert after(database, 29 * DAY) == 0
    assert after(database, 30 * DAY) == 2
    row = one(database, INCOMING)
    assert (row["body"], row["sender_hash"], row["person_id"]) == (None, b"", None)
    assert one(database, OUTGOING)["body"] is None
    assert after(database, 31 * DAY) == 0


def test_what_still_waits_is_kept_and_goes_later(database: Database, riet: int) -> None:
    """The mark does not pass a row that is still in use."""
    with database.transaction() as connection:
        body = {"text": "x", "address": "+31"}
        put(connection, INCOMING, external_id="1", body=body, received_at=NOW, handled_at=None)
        put(connection, INCOMING, external_id="2", body=body, received_at=NOW, handled_at=NOW)
    after(database, 40 * DAY)
    with database.transaction() as connection:
        bodies = connection.execute(sa.select(INCOMING.c.body).order_by(INCOMING.c.id)).scalars().all()
        assert [b is None for b in bodies] == [False, True]
        connection.execute(INCOMING.update().where(INCOMING.c.body.is_not(None)).values(handled_at=NOW + 41 * DAY))
    after(database, 72 * DAY)
    with database.transaction() as connection:
        assert connection.execute(sa.select(INCOMING.c.body)).scalars().all() == [None, None]


@pytest.mark.parametrize("kind", ["help", "safety"])
def test_a_matter_keeps_its_words_until_thirty_days_after_closing(database: Database, riet: int, kind: str) -> None:
    words = {"words": "mijn lamp", "when_words": "morgen", "behalf_of": "buurvrouw", "topics": ["klusje"]}
    with database.transaction() as connection:
        case = put(connection, CASE, neighbourhood_id=1, number=1, kind=kind, state="open", person_id=riet, **words)
        put(connection, CASE_WORDS, case_id=case, author_id=riet, words="de keukenlamp")
    after(database, 300 * DAY)
    assert one(database, CASE)["words"] == "mijn lamp"
    with database.transaction() as connection:
        connection.execute(CASE.update().values(state="closed", closed_at=NOW + 300 * DAY))
    after(database, 329 * DAY)
    assert one(database, CASE)["words"] == "mijn lamp"
    after(database, 330 * DAY)
    row = one(database, CASE)
    assert (row["words"], row["when_words"], row["behalf_of"], row["topics"]) == ("", "", "", ["klusje"])
    assert row["wiped_at"] == NOW + 330 * DAY
    assert count(database, CASE_WORDS) == 0
    assert row["person_id"] == riet
    after(database, 390 * DAY)
    assert one(database, CASE)["person_id"] is None


def test_a_draft_goes_thirty_days_after_her_last_word_about_it(database: Database, riet: int) -> None:
    """What she told nobody else has no contact who closes it."""
    with database.transaction() as connection:
        put(
            connection,
            CASE,
            neighbourhood_id=1,
            number=1,
            kind="help",
            state="draft",
            person_id=riet,
            words="niemand zeggen",
            touched_at=NOW,
        )
    after(database, 29 * DAY)
    assert (one(database, CASE)["state"], one(database, CASE)["words"]) == ("draft", "niemand zeggen")
    after(database, 30 * DAY)
    assert (one(database, CASE)["state"], one(database, CASE)["words"]) == ("closed", "")


def test_answers_go_after_eight_weeks_and_that_there_was_one_stays(database: Database, riet: int) -> None:
    with database.transaction() as connection:
        put(connection, CHECK_IN, person_id=riet, slot="2026-W13", state="answered", answer="so_so", asked_at=NOW)
    after(database, 55 * DAY)
    assert one(database, CHECK_IN)["answer"] == "so_so"
    after(database, 56 * DAY)
    assert (one(database, CHECK_IN)["answer"], one(database, CHECK_IN)["state"]) == ("", "answered")


def test_leavers_go_after_seven_days(database: Database, riet: int) -> None:
    with database.transaction() as connection:
        put(connection, ADDRESS, person_id=riet, channel="sms", value="+31612341234", value_hash=b"a")
        put(connection, CONSENT, person_id=riet, kind="check_in", given=True)
        connection.execute(PERSON.update().values(left_at=NOW))
    after(database, 6 * DAY)
    assert one(database, PERSON)["name"] == "Riet"
    after(database, 7 * DAY)
    assert (one(database, PERSON)["name"], count(database, ADDRESS), count(database, CONSENT)) == ("", 0, 0)
    assert after(database, 8 * DAY) == 0


def test_a_stranger_who_stayed_silent_is_forgotten(database: Database) -> None:
    with database.transaction() as connection:
        inbox.receive(connection, NOW, "sms", "SM1", "+31612341234", {"text": "hoi"})
        row = inbox.take_oldest(connection)
        assert row is not None
        person = inbox.sender(connection, NOW, row).person
        inbox.handled(connection, row["id"], NOW, person)
    after(database, 29 * DAY)
    assert count(database, ADDRESS) == 1
    after(database, 30 * DAY)
    assert count(database, ADDRESS) == 0


def test_who_was_invited_and_never_wrote_is_forgotten(database: Database, riet: int) -> None:
    with database.transaction() as connection:
        kees, _ = roster.add_person(connection, NOW, "Kees", 1)
        expect_number(connection, NOW, kees, "+31612341235")
        expect_number(connection, NOW, riet, "+31612341234")
    after(database, 89 * DAY)
    assert count(database, ADDRESS) == 2
    after(database, 90 * DAY)
    assert count(database, ADDRESS) == 0
    with database.transaction() as connection:
        names = connection.execute(sa.select(PERSON.c.name).order_by(PERSON.c.id)).scalars().all()
    assert names == ["Riet", ""]


def test_small_things_beside_go_too(database: Database, riet: int) -> None:
    with database.transaction() as connection:
        put(connection, MISHEARD, words="lamp", at=NOW)
        put(connection, OFFER, person_id=riet, words="fietsen maken", ended_at=NOW)
        put(connection, OFFER, person_id=riet, words="soep koken")
        connection.execute(
            TALK.insert(),
            {"person_id": riet, "dialogue": "help", "step": "when", "slots": {"words": "lamp"}, "question": "Wanneer?",
             "serial": 4, "misses": 0, "asked_at": NOW},
        )  # fmt: skip
    after(database, 60 * DAY)
    assert (count(database, MISHEARD), count(database, INVITE)) == (0, 0)
    assert one(database, OFFER)["words"] == "soep koken"
    talk = one(database, TALK)
    assert (talk["slots"], talk["question"], talk["serial"]) == (None, "", 4)


def test_counts_go_after_a_year_and_a_month(database: Database, riet: int) -> None:
    with database.transaction() as connection:
        put(connection, AUDIT, action="open_claimed", at=NOW)
        put(connection, INCOMING, external_id="1", body={"address": "x"}, received_at=NOW, handled_at=NOW)
    after(database, 399 * DAY)
    assert (count(database, AUDIT), count(database, INCOMING)) == (1, 1)
    after(database, 400 * DAY)
    assert (count(database, AUDIT), count(database, INCOMING)) == (0, 0)


def test_a_great_many_go_in_batches(database: Database, riet: int) -> None:
    with database.transaction() as connection:
        base = {"channel": "sms", "sender_hash": b"h", "body": {"address": "x"}, "received_at": NOW, "handled_at": NOW}
        rows = [{**base, "external_id": str(i), "attempts": 0, "person_id": riet} for i in range(BATCH + 10)]
        connection.execute(INCOMING.insert(), rows)
    assert after(database, 31 * DAY) == BATCH
    assert after(database, 31 * DAY) == 10
    assert after(database, 31 * DAY) == 0


def test_a_lived_world_forgets_and_goes_on(world: World) -> None:
    """After a real conversation and two months, no word of it is left, and the next one works."""
    world.write("Riet", "mijn keukenlamp is stuk")
    world.write("Riet", "ja")
    with world.database.transaction() as connection:
        number = connection.execute(sa.select(sa.func.max(CASE.c.number))).scalar_one()
    world.write("Ans", f"{number} ja")
    world.write("Ans", f"{number} klaar")
    world.pass_time(timedelta(hours=1))
    world.now += 62 * DAY
    with world.database.transaction() as connection:
        assert clean(connection, world.now) > 0
        said = connection.execute(sa.select(CASE.c.words)).scalars().all()
        kept = [*connection.execute(sa.select(INCOMING.c.body)), *connection.execute(sa.select(OUTGOING.c.body))]
    assert not any(said)
    assert kept
    assert not any("keukenlamp" in str(row) for row in kept)
    assert world.write("Riet", "mijn kraan lekt")


def test_scrub_empties_the_log(database: Database, riet: int, tmp_path: Path) -> None:
    assert (tmp_path / "retention.db-wal").stat().st_size > 0
    assert scrub(database)
    assert (tmp_path / "retention.db-wal").stat().st_size == 0


def test_a_log_that_somebody_reads_is_not_called_empty(
    database: Database, riet: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow backup holds the log as it was; what was erased stays in it until the next cleaning, and that is said."""
    with database.reading() as reader:
        assert reader.execute(sa.select(PERSON.c.id)).scalars().all() == [riet]
        with database.transaction() as connection:
            erase_person(connection, riet, NOW)
        assert not scrub(database, patience_ms=50)
        assert "reads the database" in caplog.text
        assert (tmp_path / "retention.db-wal").stat().st_size > 0
    assert scrub(database)
    assert (tmp_path / "retention.db-wal").stat().st_size == 0


async def test_a_computer_that_is_off_every_night_forgets_too() -> None:
    """What is done daily does not wait for a whole day of work on end, which such a computer never reaches."""
    forgot = asyncio.Event()

    async def daily() -> None:
        forgot.set()

    async def tick() -> None:
        """Nothing is due."""

    scheduler = schedule.start(RehearsalClock(NOW, 600), tick, daily)
    try:
        await asyncio.wait_for(forgot.wait(), 5)
    finally:
        scheduler.shutdown(wait=False)


def test_who_asks_to_be_forgotten_leaves_no_number_behind(world: World) -> None:
    """Nor in the very message that asked for it."""
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "VERGEET MIJ")
    assert "gewist" in world.write("Riet", "ja")[-1].text
    with world.database.transaction() as connection:
        kept = connection.execute(sa.select(INCOMING.c.body, INCOMING.c.sender_hash).order_by(INCOMING.c.id)).all()
    assert not any("31612341234" in str(body) for body, _ in kept)
    assert [tuple(row) for row in kept[-3:]] == [(None, b"")] * 3
    assert plain.plain.cache_info().currsize == 0, "also the process keeps no words"


@pytest.mark.parametrize("by", ["herself", "the operator"])
def test_lists_and_orders_that_name_who_is_forgotten_go_too(by: str, world: World) -> None:
    """What a contact asked and heard about her belongs to no matter of hers; what a neighbour wrote is the neighbour's."""
    world.write("Riet", "mijn keukenlamp is stuk")
    world.write("Riet", "ja, zonder mijn naam")
    world.write("Henk", "ik vraag hulp voor Riet, want haar fiets is stuk")
    for who, text in (
        ("Joop", "open"),
        ("Ans", "gezien Riet"),
        ("Ans", "wie is Riet"),
        ("Ans", "mijn"),
        ("Mia", "open"),
    ):
        world.write(who, text)
    if by == "herself":
        world.write("Riet", "VERGEET MIJ")
        assert "gewist" in next(line.text for line in world.write("Riet", "ja") if line.who == "Riet")
    else:
        with world.database.transaction() as connection:
            riet = next(row["id"] for row in roster.people(connection) if row["name"] == "Riet")
        erase(world.database, world.now, riet)
    henk = world.actor("Henk")
    with world.database.transaction() as connection:
        bodies = [
            *connection.execute(sa.select(OUTGOING.c.body, OUTGOING.c.case_number)).all(),
            *connection.execute(sa.select(INCOMING.c.body, sa.null())).all(),
        ]
    said = [row.body["text"] for row in bodies if row.body and row.body.get("address") != henk.address]
    assert not [text for text in said if "keukenlamp" in text]
    assert not [text for text in said if "Riet" in text and "fiets" not in text]
    assert [row for row in bodies if row.body and "fiets" in row.body["text"]], "his words are his"


def test_a_name_of_several_words_and_words_of_several_lines_go_too(world: World) -> None:
    """A list shows her lines behind each other; her contacts call her by her first name."""
    with world.database.transaction() as connection:
        riet = next(row["id"] for row in roster.people(connection) if row["name"] == "Riet")
        connection.execute(PERSON.update().where(PERSON.c.id == riet).values(name="Riet de Vries-V."))
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "die boven de keukentafel hangt")
    world.write("Riet", "ja, zonder mijn naam")
    for who, text in (("Joop", "open"), ("Ans", "gezien Riet"), ("Ans", "Riets zus belde"), ("Ans", "de was is klaar")):
        world.write(who, text)
    erase(world.database, world.now, riet)
    with world.database.transaction() as connection:
        rows = connection.execute(sa.select(INCOMING.c.body, INCOMING.c.sender_hash, INCOMING.c.person_id)).all()
        sent = connection.execute(sa.select(OUTGOING.c.body)).scalars().all()
    said = [body["text"] for body in (*sent, *(row.body for row in rows)) if body]
    assert not [text for text in said if "lamp" in text or "Riet" in text]
    assert "de was is klaar" in said
    assert not [row for row in rows if row.body is None and (row.sender_hash or row.person_id)]


def test_what_the_network_said_of_who_is_forgotten_goes_too(world: World) -> None:
    """That Henk blocked the bot, and let it in again, is written down with his chat and nobody's number."""
    henk = world.actor("Henk")
    for event in ("blocked", "unblocked"):
        with world.database.transaction() as connection:
            inbox.receive(connection, world.now, "telegram", event, henk.address, {"event": event})
        world.turn.handle_all(world.now)
    with world.database.transaction() as connection:
        erase_person(connection, next(r["id"] for r in roster.people(connection) if r["name"] == "Henk"), world.now)
        kept = connection.execute(sa.select(INCOMING.c.body, INCOMING.c.sender_hash)).all()
    hashed = keyring.find_by(f"telegram:{henk.address}")
    assert not [row for row in kept if henk.address in str(row.body) or row.sender_hash == hashed]


@pytest.mark.parametrize("how", ["erased here", "a day later, erased by another process"])
def test_a_process_keeps_no_name_of_who_was_erased(how: str, world: World) -> None:
    """Names of a neighbourhood stay open in memory, because every message reads them; not those of who left."""
    world.write("Ans", "open")
    assert names_kept() > 0 < plain.plain.cache_info().currsize
    with world.database.transaction() as connection:
        if how == "erased here":
            named = connection.execute(sa.select(PERSON.c.id, PERSON.c.name)).all()
            erase_person(connection, next(row.id for row in named if row.name == "Riet"), world.now)
        else:
            clean(connection, world.now)
            assert plain.plain.cache_info().currsize == 0
        assert names_kept() == 0


@pytest.mark.parametrize("by", ["herself", "the operator"])
def test_what_waits_for_the_morning_is_not_said_of_who_is_forgotten(by: str, world: World) -> None:
    """She asked at night, and was forgotten before anybody read it: then nobody will."""
    world.pass_time(timedelta(hours=13))
    world.write("Riet", "mijn keukenlamp is stuk")
    assert "morgenochtend" in world.write("Riet", "ja")[-1].text
    with world.database.transaction() as connection:  # and what we would have said by ourselves
        hers = connection.execute(sa.select(ADDRESS).where(ADDRESS.c.channel == "sms")).mappings().one()
        later = {"state": "waiting", "due_at": world.now + timedelta(hours=12), "body": {"text": "keukenlamp?"}}
        own = {"person_id": hers["person_id"], "address_id": hers["id"], "channel": "sms", "kind": "text"}
        put(connection, OUTGOING, **own, **later, urgency="talk", answers_id=None)
    if by == "herself":
        world.write("Riet", "VERGEET MIJ")
        assert "gewist" in world.write("Riet", "ja")[-1].text
    else:
        with world.database.transaction() as connection:
            riet = next(row["id"] for row in roster.people(connection) if row["name"] == "Riet")
        erase(world.database, world.now, riet)
    said = [line.text for line in world.pass_time(timedelta(hours=14))]
    assert not any("keukenlamp" in text or "Riet" in text for text in said), said
    with world.database.transaction() as connection:
        kept = connection.execute(sa.select(OUTGOING.c.body)).scalars().all()
    assert not any("keukenlamp" in str(body) for body in kept)
