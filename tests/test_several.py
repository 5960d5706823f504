"""Two `run` processes on one PostgreSQL: they share the work, each message is handled once, and one may die."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.cast import Actor, settle
from storage import inbox
from storage.apply import INCOMING, OUTGOING
from storage.database import Database
from tests.live import free_port, quick_servers, settings_for, until
from tests.process import Bot, end_all
from tests.test_moving import postgres, server  # noqa: F401  # fixtures; pytest finds them by name
from tests.transcript import START


def _is_quiet(database: Database) -> bool:
    with database.reading() as connection:
        if inbox.waiting(connection):
            return False
        open_ = OUTGOING.c.state.in_(("waiting", "sending"))
        return connection.execute(sa.select(OUTGOING.c.id).where(open_).limit(1)).first() is None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_share_the_work_and_one_may_die(
    postgres: str,  # noqa: F811
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Webhooks at both, polling by one of them; the other is killed half-way and its rows are not lost."""
    phones = tuple(Actor(f"Riet{i}", "resident", "sms", f"+3161234{5000 + i}") for i in range(40))
    users = tuple(Actor(f"Henk{i}", "resident", "telegram", str(900_000 + i)) for i in range(20))
    database = Database(postgres)
    database.migrate()
    settle(database, START, (*phones, *users))
    telegram, twilio = quick_servers()
    with telegram, twilio:
        first = settings_for(telegram, twilio, postgres, sms_per_second=100)
        second = dataclasses.replace(first, port=free_port())
        for user in users:
            telegram.user(user.name, int(user.address)).started = True
        request.addfinalizer(end_all)
        bots = []
        for name, settings in (("a", first), ("b", second)):
            (tmp_path / name).mkdir()
            bots.append(Bot(settings, tmp_path / name))
            bots[-1].start()
        deliveries = []
        for round_ in range(3):
            for index, phone in enumerate(phones):
                port = (first, second)[index % 2].port if round_ < 2 else second.port
                twilio.connect(f"http://127.0.0.1:{port}")
                delivery = twilio.phone(phone.address).send("hulp")
                deliveries.append(delivery)
                delivery.result()  # the address is the server's, not the message's
            for user in users:
                telegram.user(user.name, int(user.address)).send("hulp")
            if round_ == 1:
                time.sleep(0.2)
                bots[0].kill()
        until(lambda: _is_quiet(database) and not telegram.pending, 200, "everything", telegram.describe)
        assert bots[1].stop() == 0, bots[1].words()
        with database.transaction() as connection:
            mine = INCOMING.c.external_id.not_like("cast-%")
            rows = connection.execute(sa.select(INCOMING.c.id, INCOMING.c.channel).where(mine)).all()
            answers = connection.execute(sa.select(OUTGOING.c.answers_id, OUTGOING.c.channel, OUTGOING.c.again)).all()
        per_message = Counter(a.answers_id for a in answers)
        assert {per_message[r.id] for r in rows} == {1}
        assert Counter(r.channel for r in rows) == {"sms": 120, "telegram": 60}
        assert all(d.result().status == 200 for d in deliveries)
        assert len(twilio.sent) == 120
        assert 60 <= len(telegram.sent) <= 60 + sum(a.again for a in answers if a.channel == "telegram")
        assert telegram.violations == [] == twilio.violations
    database.close()
