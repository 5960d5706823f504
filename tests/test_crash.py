"""kill -9 at random moments under load: what was accepted is handled once, and sent twice only where it must be."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.cast import Actor, settle
from storage import inbox
from storage.apply import INCOMING, OUTGOING
from storage.database import Database
from tests.doubles.loopback import Delivery
from tests.live import quick_servers, settings_for, until
from tests.process import Bot, end_all
from tests.test_moving import postgres, server  # noqa: F401  # fixtures; pytest finds them by name
from tests.transcript import START

KILLS = int(os.environ.get("BINNENBUURT_KILLS", "15"))


@pytest.mark.slow
@pytest.mark.timeout(180 + KILLS * 14)
@pytest.mark.parametrize(
    "kind",
    [
        "sqlite",
        pytest.param(
            "postgresql",
            marks=pytest.mark.skipif(
                not {"BINNENBUURT_KILLS", "BINNENBUURT_EVERYTHING"} & set(os.environ),
                reason="takes two minutes: what a dead process was sending is given up for lost by the clock; "
                "BINNENBUURT_EVERYTHING=1 runs it",
            ),
        ),
    ],
)
def test_killed_at_random_moments_under_load(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every message answered 200 or fetched is handled exactly once; duplicates only where an answer was cut off."""
    chance = random.Random(int(os.environ.get("BINNENBUURT_SEED", "1")))
    # so many that each of them keeps to what somebody can type in a minute
    phones = [Actor(f"Riet{i}", "resident", "sms", f"+3161234{5000 + i}") for i in range(60)]
    users = [Actor(f"Henk{i}", "resident", "telegram", str(900_000 + i)) for i in range(60)]
    url = f"sqlite:///{tmp_path}/crash.db" if kind == "sqlite" else request.getfixturevalue("postgres")
    database = Database(url)
    database.migrate()
    settle(database, START, (*phones, *users))
    telegram, twilio = quick_servers()
    with telegram, twilio:
        settings = settings_for(telegram, twilio, url, sms_per_second=200)
        twilio.connect(f"http://127.0.0.1:{settings.port}")
        for user in users:
            telegram.user(user.name, int(user.address)).started = True
        deliveries: list[Delivery] = []
        asked: Counter[str] = Counter()
        over = threading.Event()

        def load() -> None:
            draw = random.Random(7)
            while not over.is_set():
                actor = draw.choice((*phones, *users))
                if actor.channel == "sms":
                    deliveries.append(twilio.phone(actor.address).send("hulp"))
                else:
                    telegram.user(actor.name, int(actor.address)).send("hulp")
                asked[actor.address] += 1
                time.sleep(draw.uniform(0.0, 0.05))

        sender = threading.Thread(target=load, daemon=True)
        bot = Bot(settings, tmp_path)
        request.addfinalizer(end_all)
        bot.start()
        sender.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 1.5))
            bot.kill()
            bot.start(wait=chance.random() < 0.7)  # sometimes killed again while it starts
        over.set()
        sender.join()
        until(lambda: bot.get("/health")[0] == 200, 30, "the last start", bot.words)
        drained = 120 + KILLS * 6  # what gathered while it was down goes out at the pace that Telegram allows
        quiet = "everything to be handled"
        until(lambda: _is_quiet(database) and not telegram.pending, drained, quiet, telegram.describe)
        assert bot.stop() == 0, bot.words()
        accepted = {d.sid for d in deliveries if d.result().status == 200}
        with database.transaction() as connection:
            rows = connection.execute(
                sa.select(INCOMING.c.id, INCOMING.c.channel, INCOMING.c.external_id, INCOMING.c.handled_at).where(
                    INCOMING.c.external_id.not_like("cast-%")
                )
            ).all()
            answers = connection.execute(
                sa.select(OUTGOING.c.answers_id, OUTGOING.c.channel, OUTGOING.c.state, OUTGOING.c.again)
            ).all()
        stored = {r.external_id for r in rows if r.channel == "sms"}
        assert accepted <= stored, "an accepted SMS is lost"
        told = sum(1 for p in telegram.history if p.kind == "message")
        assert sum(1 for r in rows if r.channel == "telegram") == told, "an update is lost or doubled"
        assert all(r.handled_at is not None for r in rows)
        per_message = Counter(a.answers_id for a in answers)
        assert {per_message[r.id] for r in rows} == {1}, "a message was handled twice, or not at all"
        assert {a.state for a in answers} <= {"sent", "delivered", "maybe_sent"}
        for channel, sent in (("sms", len(twilio.sent)), ("telegram", len(telegram.sent))):
            wanted = sum(1 for a in answers if a.channel == channel)
            again = sum(a.again for a in answers if a.channel == channel)
            assert wanted <= sent <= wanted + (again if channel == "telegram" else 0), (channel, wanted, sent, again)
        assert telegram.violations == [] == twilio.violations
        again = sum(a.again for a in answers)
        sys.stdout.write(
            f"\n{KILLS} kills on {kind}: {len(rows)} messages, {len(answers)} answers, {again} repeated, "
            f"{len(telegram.sent) + len(twilio.sent) - len(answers)} arrived twice\n"
        )
    database.close()


def _is_quiet(database: Database) -> bool:
    with database.reading() as connection:
        if inbox.waiting(connection):
            return False
        open_ = OUTGOING.c.state.in_(("waiting", "sending"))
        return connection.execute(sa.select(OUTGOING.c.id).where(open_).limit(1)).first() is None
