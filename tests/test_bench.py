"""The bench measures itself against its floors, in the shape that others read."""

from __future__ import annotations

import json
import os

import pytest

from bot import bench
from bot.bench import turns
from bot.bench.figure import Figure


def test_a_figure_is_read_beside_its_floor() -> None:
    """`ratio` is value to floor; without a floor there is none."""
    shapes = [Figure("turn", 900.0, "us", 300.0).as_json(), Figure("pace", 3.0, "per second").as_json()]
    assert shapes == [
        {"name": "turn", "value": 900.0, "unit": "us", "floor": 300.0, "ratio": 3.0},
        {"name": "pace", "value": 3.0, "unit": "per second", "floor": None, "ratio": None},
    ]


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
