"""`run` as a process: load, refusals, a second copy, a rehearsal, and an end that finishes what was begun."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from bot.cast import CAST, Actor, settle
from storage import inbox, roster
from storage.apply import INCOMING, OUTGOING
from storage.database import Database
from tests.doubles import faults, rules_twilio
from tests.doubles.loopback import post
from tests.doubles.telegram_server import TelegramServer
from tests.doubles.twilio_server import TwilioServer
from tests.live import SECRET, quick_servers, settings_for, until
from tests.process import Bot, end_all
from tests.transcript import START

pytestmark = pytest.mark.slow  # real processes and real servers


@pytest.fixture
def servers() -> Iterator[tuple[TelegramServer, TwilioServer]]:
    """Both networks."""
    telegram, twilio = quick_servers()
    with telegram, twilio:
        yield telegram, twilio
        end_all()


def _database(tmp_path: Path, cast: tuple[Actor, ...] = CAST) -> Database:
    database = Database(f"sqlite:///{tmp_path}/run.db")
    database.migrate()
    settle(database, START, cast)
    return database


def _is_quiet(database: Database) -> bool:
    with database.transaction() as connection:
        if inbox.waiting(connection):
            return False
        open_ = OUTGOING.c.state.in_(("waiting", "sending"))
        return connection.execute(sa.select(OUTGOING.c.id).where(open_).limit(1)).first() is None


@pytest.mark.slow
def test_three_hundred_sms_in_ten_seconds(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """Fifty at a time, all answered 200 and none lost; how soon is printed here and measured by `bench`."""
    telegram, twilio = servers
    phones = [Actor(f"Riet{i}", "resident", "sms", f"+3161234{6000 + i}") for i in range(300)]
    database = _database(tmp_path, tuple(phones))
    settings = settings_for(telegram, twilio, database.url, sms_per_second=1000)
    with Bot(settings, tmp_path) as bot:
        twilio.connect(f"http://127.0.0.1:{settings.port}")
        until(lambda: all(bot.ready().values()) and bot.ready(), 10, "ready", bot.words)
        deliveries = []
        begin = time.monotonic()
        for group in range(6):
            wait = begin + group * 10 / 6 - time.monotonic()
            time.sleep(max(0.0, wait))
            deliveries += [
                twilio.phone(p.address).send("mijn lamp is stuk") for p in phones[group * 50 : group * 50 + 50]
            ]
        attempts = [d.result(30) for d in deliveries]
        assert {a.status for a in attempts} == {200}
        seconds = sorted(a.seconds for a in attempts)
        p99 = seconds[int(len(seconds) * 0.99) - 1]
        until(lambda: _is_quiet(database), 60, "all answers", bot.words)
        assert len(twilio.sent) == 300
        assert all("doorgeven" in m.body for m in twilio.sent)
        with database.transaction() as connection:
            handled = sa.select(sa.func.count()).select_from(INCOMING).where(INCOMING.c.handled_at.is_not(None))
            assert connection.execute(handled.where(INCOMING.c.channel == "sms")).scalar() == 600  # with the 300 codes
        sys.stdout.write(f"\nwebhook: median {seconds[150] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms\n")
        assert bot.stop() == 0
    database.close()


def test_who_is_not_let_in_leaves_nothing(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """Missing, empty, wrong or misplaced signatures and secrets: 403, and no row."""
    telegram, twilio = servers
    database = _database(tmp_path)
    settings = settings_for(telegram, twilio, database.url, telegram_mode="webhook", telegram_webhook_secret=SECRET)
    settings = dataclasses.replace(settings, public_base_url=f"http://127.0.0.1:{settings.port}")
    twilio.public_url = "http://127.0.0.1:1"  # what is signed for another address is not for us
    twilio.number_settings["sms_url"] = f"{twilio.public_url}/sms"
    with Bot(settings, tmp_path) as bot:
        url = f"http://127.0.0.1:{settings.port}"
        twilio.connect(url)
        before = _rows(database)
        riet = twilio.phone("+31612341234")
        for sign in ("right", "wrong", "missing", "empty"):
            assert riet.send("hallo", sign=sign).result().status == 403, sign
        twilio.public_url = url
        twilio.number_settings["sms_url"] = f"{url}/sms"
        assert riet.send("hallo", change=lambda form: form | {"Body": "iets anders"}).result().status == 403
        assert riet.send("hallo", change=lambda form: form | {"Extra": ""}).result().status == 403
        form = b"MessageSid=SM1&MessageStatus=delivered"
        assert post(f"{url}/sms/status", form, {"Content-Type": "application/x-www-form-urlencoded"}, 5).status == 403
        update = json.dumps({"update_id": 1, "message": {"chat": {"id": 1004, "type": "private"}}}).encode()
        for secret in ({}, {"X-Telegram-Bot-Api-Secret-Token": ""}, {"X-Telegram-Bot-Api-Secret-Token": SECRET + "x"}):
            headers = {"Content-Type": "application/json", **secret}
            assert post(f"{url}/telegram", update, headers, 5).status == 403
        assert post(f"{url}/sms", b"x" * 300_000, {}, 5).status == 413
        assert _rows(database) == before
        assert riet.send("hallo").result().status == 200
        assert _rows(database) == before + 1
        form = {"MessageSid": "SM" + "1" * 32, "MessageStatus": "delivered"}
        for row in ("9" * 5_000, "-1", "x", ""):
            path = f"/sms/status?row={row}"
            signed = {
                "X-Twilio-Signature": rules_twilio.signature(twilio.auth_token, url + path, form),
                "Content-Type": "application/x-www-form-urlencoded",
            }
            assert post(url + path, urlencode(form).encode(), signed, 5).status == 204, row[:5]
        assert _rows(database) == before + 1
        bad = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET}
        assert post(f"{url}/telegram", b"{no json", bad, 5).status == 200  # else it would be brought again for a day
        bot.stop()
    database.close()


def _rows(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(INCOMING)).scalar_one())


def test_polling_has_no_webhook_to_knock_at(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """Without a secret there is no empty secret that fits."""
    telegram, twilio = servers
    database = _database(tmp_path)
    settings = settings_for(telegram, twilio, database.url)
    with Bot(settings, tmp_path) as bot:
        headers = {"X-Telegram-Bot-Api-Secret-Token": ""}
        assert post(f"http://127.0.0.1:{settings.port}/telegram", b"{}", headers, 5).status == 403
        assert bot.stop() == 0
    database.close()


@pytest.mark.slow
def test_the_same_words_twice_are_one_message(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """A webhook that is repeated because its answer was lost is a no-op, also when both come together."""
    telegram, twilio = servers
    database = _database(tmp_path)
    settings = settings_for(telegram, twilio, database.url)
    with Bot(settings, tmp_path):
        url = f"http://127.0.0.1:{settings.port}"
        twilio.connect(url)
        riet = twilio.phone("+31612341234")
        assert riet.send("hulp", times=3).result().status == 200
        form = {"MessageSid": "SM" + "1" * 32, "From": riet.number, "To": twilio.number, "Body": "hulp", "ToCity": ""}
        signature = rules_twilio.signature(twilio.auth_token, f"{twilio.public_url}/sms", form)
        body = "&".join(f"{k}={v.replace('+', '%2B')}" for k, v in form.items()).encode()
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: post(f"{url}/sms", body, headers, 5).status, range(16)))
        assert found == [200] * 16
        until(lambda: _is_quiet(database), 20, "both answers")
        assert len(riet.inbox) == 2
    database.close()


@pytest.mark.slow
def test_a_second_copy_is_noticed(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """Two on one SQLite database: the second says so in one line and leaves; the first goes on."""
    telegram, twilio = servers
    database = _database(tmp_path)
    settings = settings_for(telegram, twilio, database.url)
    (tmp_path / "second").mkdir()
    with Bot(settings, tmp_path) as first:
        second = Bot(dataclasses.replace(settings, port=settings.port + 1), tmp_path / "second")
        second.start(wait=False)
        assert second.process is not None
        assert second.process.wait(20) == 2
        assert second.words().strip().startswith("Binnenbuurt runs already on")
        third = Bot(dataclasses.replace(settings, database_url=f"sqlite:///{tmp_path}/other.db"), tmp_path / "second")
        third.start(wait=False)
        assert third.process is not None
        assert third.process.wait(20) == 2
        assert "choose another PORT" in third.words()
        assert first.get("/health")[0] == 200
    database.close()


@pytest.mark.slow
def test_a_stop_finishes_what_was_begun(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """SIGTERM under load: exit 0, and after the next start nothing is missing and nothing came twice."""
    telegram, twilio = servers
    phones = tuple(Actor(f"Riet{i}", "resident", "sms", f"+3161234{7000 + i}") for i in range(40))
    users = tuple(Actor(f"Henk{i}", "resident", "telegram", str(800_000 + i)) for i in range(40))
    database = _database(tmp_path, (*phones, *users))
    settings = settings_for(telegram, twilio, database.url, sms_per_second=20)
    for user in users:
        telegram.user(user.name, int(user.address)).started = True
    bot = Bot(settings, tmp_path)
    bot.start()
    twilio.connect(f"http://127.0.0.1:{settings.port}")
    deliveries = []

    def load() -> None:
        for phone, user in zip(phones, users, strict=True):
            deliveries.append(twilio.phone(phone.address).send("hulp"))
            telegram.user(user.name, int(user.address)).send("hulp")
            time.sleep(0.01)

    sender = threading.Thread(target=load)
    sender.start()
    time.sleep(0.3)
    assert bot.stop() == 0, bot.words()
    with database.transaction() as connection:
        assert connection.execute(sa.select(OUTGOING.c.id).where(OUTGOING.c.state == "sending")).first() is None
    sender.join()
    bot.start()
    until(lambda: _is_quiet(database) and not telegram.pending, 60, "the rest", telegram.describe)
    assert bot.stop() == 0
    accepted = sum(1 for d in deliveries if d.result().status == 200)
    assert len(telegram.sent) == 40
    assert len(twilio.sent) == accepted
    database.close()


@pytest.mark.slow
def test_what_it_shows_to_who_watches(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """/ready says which part is wrong, /metrics counts, and no log line holds a name, a number, a word or the token."""
    telegram, twilio = servers
    database = _database(tmp_path)
    settings = settings_for(telegram, twilio, database.url)
    with Bot(settings, tmp_path) as bot:
        twilio.connect(f"http://127.0.0.1:{settings.port}")
        until(lambda: bot.ready().get("ready"), 10, "ready", bot.words)
        riet = twilio.phone("+31612341234")
        riet.send("mijn lamp is stuk").result()
        riet.wait_for("doorgeven")
        telegram.faults.next(faults.server_error(), faults.garbage(), methods=["getUpdates"])
        twilio.faults.next(faults.server_error(), faults.garbage(), methods=["create"])
        riet.send("ja").result()
        riet.wait_for("aan Ans en Joop", timeout=20, after=1)  # now, or tomorrow morning
        status, metrics = bot.get("/metrics")
        assert status == 200
        assert 'binnenbuurt_received_total{what="sms"} 2' in metrics
        assert "binnenbuurt_turns_total 2" in metrics
        assert bot.get("/sms")[0] == 405
        assert bot.get("/nowhere")[0] == 404
        telegram.faults.always(faults.refused(401))
        until(lambda: bot.ready().get("telegram") is False, 60, "the lost token to show", bot.words)
        assert bot.get("/ready")[0] == 503
        bot.stop()
    words = bot.words()
    for secret in ("Riet", "lamp", "31612341234", "1001", telegram.token, twilio.auth_token, "Lutma"):
        assert secret not in words
    for line in words.splitlines():
        assert {"at", "level", "from", "what"} <= set(json.loads(line))
    database.close()


def test_a_full_disk_shows(tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]) -> None:
    """Nothing can be written any more, though all can be read: not ready, a text is not accepted, and later all is well."""
    resource: Any = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("only Linux can take the disk from a running process")
    telegram, twilio = servers
    database = _database(tmp_path)
    settings = settings_for(telegram, twilio, database.url)
    with Bot(settings, tmp_path) as bot:
        assert bot.process is not None
        twilio.connect(f"http://127.0.0.1:{settings.port}")
        until(lambda: bot.ready().get("ready"), 10, "ready", bot.words)
        limit = resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, (0, limit[1]))
        until(lambda: bot.ready().get("database") is False, 15, "the full disk to show", bot.words)
        assert bot.get("/health")[0] == 200
        assert twilio.phone("+31612341234").send("hulp").result().status == 503
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, limit)
        until(lambda: bot.ready().get("database"), 15, "the room to show", bot.words)
        assert twilio.phone("+31612341234").send("hulp").result().status == 200
        bot.stop()
    database.close()


@pytest.mark.slow
def test_a_rehearsal_has_its_own_calendar_and_database(
    tmp_path: Path, servers: tuple[TelegramServer, TwilioServer]
) -> None:
    """The ladder climbs in seconds, every line says that it is a rehearsal, and real data is refused, both ways."""
    telegram, twilio = servers
    database = Database(f"sqlite:///{tmp_path}/rehearsal.db")
    database.migrate()
    settings = settings_for(telegram, twilio, database.url)
    with database.transaction() as connection:
        hood = roster.add_neighbourhood(connection, "Lutmabuurt", "LUTMA", ("Lutmastraat",))
        _, code = roster.add_person(connection, START, "Ans", hood, "contact", "Lutmastraat")
        _, hers = roster.add_person(connection, START, "Riet", hood, "resident", "Lutmastraat")
    bot = Bot(settings, tmp_path, "--rehearse-from", "2026-03-24T09:55", "--speed", "3600")
    bot.start()
    twilio.connect(f"http://127.0.0.1:{settings.port}")
    ans, riet = telegram.user("Ans"), twilio.phone("+31612341234")
    ans.start(code)
    riet.send(hers).result()
    riet.wait_for("elke week", timeout=15)
    for question in (3, 4):
        riet.send("nee").result()
        twilio.wait_for(lambda wanted=question: len(riet.inbox) >= wanted, 15, "her no to be heard")
    seen = len(riet.inbox)
    riet.send("mijn lamp is stuk").result()
    riet.wait_for("doorgeven", timeout=15, after=seen)
    riet.send("ja").result()
    ans.wait_for("staat nog open", timeout=60)  # three hours, at an hour a second
    assert bot.stop() == 0
    assert all("rehearsal" in json.loads(line) for line in bot.words().splitlines())
    real = Bot(settings, tmp_path)
    real.log = tmp_path / "real.log"
    real.start(wait=False)
    assert real.process is not None
    assert real.process.wait(20) == 2
    assert "made for a rehearsal" in real.words()
    database.close()
    other = _database(tmp_path)
    mixed = Bot(dataclasses.replace(settings, database_url=other.url), tmp_path, "--rehearse-from", "2026-03-24T09:55")
    mixed.log = tmp_path / "mixed.log"
    mixed.start(wait=False)
    assert mixed.process is not None
    assert mixed.process.wait(20) == 2
    assert "has real messages" in mixed.words()
    other.close()
