"""Every conversation of tests/transcripts once more, over the real protocols, word for word."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import pytest

from storage.database import Database
from tests.live import Live, quick_servers
from tests.test_transcripts import LONG
from tests.transcript import START, cast_of, play

# When an outage began is known as finely as the heart beats, which is coarser in a World than in the real bot.
_LAST_BEAT = re.compile(r"Ik was weg van .*? tot")

FILES = sorted(Path(__file__).parent.glob("transcripts/*.txt"))
EVERYTHING = bool(os.environ.get("BINNENBUURT_EVERYTHING"))
"""Else each conversation of a day goes over one of the two ways, in turn, and the ones that last for weeks are left out."""
PLAYED = (
    [(file, mode) for file in FILES for mode in ("polling", "webhook")]
    if EVERYTHING
    else [(f, ("polling", "webhook")[n % 2]) for n, f in enumerate(f for f in FILES if not f.stem.startswith(LONG))]
)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "mode"), PLAYED, ids=lambda part: part.stem if isinstance(part, Path) else part)
def test_the_conversation_goes_the_same_over_the_networks(file: Path, mode: str, tmp_path: Path) -> None:
    """The written sentences to the same people in the same order, as without networks, and no rule of either is broken."""
    expected = [line.rstrip() for line in file.read_text(encoding="utf-8").splitlines()]
    database = Database(f"sqlite:///{tmp_path}/live.db")
    database.migrate()
    telegram, twilio = quick_servers()
    twilio.default_handling = False  # as the handleiding has it: else Twilio answers STOP itself, in English
    with telegram, twilio:
        live = Live(database, telegram, twilio, START, cast=cast_of(file), mode=mode)
        try:
            went = play(file, live)  # type: ignore[arg-type]  # it has the methods of a World that are used
        finally:
            live.stop()
            database.close()
        assert telegram.violations == [] == twilio.violations
        assert telegram.own_429 == 0
        assert all(attempt.ok for attempt in telegram.delivered)
        assert all(callback.answered for callback in telegram.callbacks.values())
        assert len(live.copies) == sum(1 for line in live.lines if line.kind == "copy" and line.channel == "telegram")
    went, expected = ([_LAST_BEAT.sub("Ik was weg tot", line) for line in lines] for lines in (went, expected))
    if went != expected:
        pytest.fail("\n".join(difflib.unified_diff(expected, went, "written", "over the networks", lineterm="")))
