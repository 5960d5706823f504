"""The bench measures itself against its floors, in the shape that others read."""

from __future__ import annotations

import json
import os

import pytest

from bot import bench
from bot.bench import turns
from bot.bench.figure import Figure
from bot.bench.ground import crowd, folder, history, village
from bot.bench.turns import Village
from storage import inbox
from storage.database import Database


def test_a_figure_is_read_beside_its_floor() -> None:
    """`ratio` is value to floor; without a floor there is none."""
    shapes = [Figure("turn", 900.0, "us", 300.0).as_json(), Figure("pace", 3.0, "per second").as_json()]
    assert shapes == [
        {"name": "turn", "value": 900.0, "unit": "us", "floor": 300.0, "ratio": 3.0},
        {"name": "pace", "value": 3.0, "unit": "per second", "floor": None, "ratio": None},
    ]


def _waits(database: Database) -> tuple[int, int]:
    """How many messages wait to be handled, and to be sent."""
    with database.transaction() as connection:
        sending = connection.exec_driver_sql("SELECT count(*) FROM outgoing WHERE state = 'waiting'").scalar_one()
        return inbox.waiting(connection), sending


def test_a_history_is_behind_everybody_and_nothing_of_it_waits() -> None:
    """Ten messages of each who has an address; a conversation on top of them is held as on an empty database."""
    with folder() as place:
        database = village(place / "h.db")
        crowd(database, 100)
        with database.transaction() as connection:
            people = connection.exec_driver_sql("SELECT count(*) FROM address").scalar_one()
        assert history(database, 10) == people * 10
        assert _waits(database) == (0, 0)
        town = Village(database)
        lines = town.lines()
        assert len(town.converse(lines)) == len(lines)
        incoming, outgoing = _waits(database)
        assert incoming == 0 < outgoing
        database.close()


@pytest.mark.slow
@pytest.mark.skipif(
    "BINNENBUURT_EVERYTHING" not in os.environ, reason="takes a minute; BINNENBUURT_EVERYTHING=1 runs it"
)
def test_a_short_run_measures_everything(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a few seconds, with nothing but JSON on stdout; every figure is above nothing."""
    monkeypatch.setattr(bench.crowds, "FEW", 100)
    monkeypatch.setattr(turns, "WARM", 2)
    assert bench.main(seconds=4) == 0
    figures = json.loads(capsys.readouterr().out)
    assert all(set(f) == {"name", "value", "unit", "floor", "ratio"} for f in figures)
    assert all(f["value"] > 0 for f in figures)
    names = " ".join(f["name"] for f in figures)
    for part in ("turn: CPU", "understanding", "webhook", "outbox", "round", "tick", "help", "answers", "memory"):
        assert part in names
