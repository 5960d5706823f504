"""Every conversation of tests/transcripts once more, over the real protocols, word for word."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from storage.database import Database
from tests.live import Live, quick_servers
from tests.transcript import START, cast_of, play

FILES = sorted(Path(__file__).parent.glob("transcripts/*.txt"))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["polling", "webhook"])
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_the_conversation_goes_the_same_over_the_networks(file: Path, mode: str, tmp_path: Path) -> None:
    """The bot says the same sentences to the same people, and breaks no rule of either network while it does."""
    database = Database(f"sqlite:///{tmp_path}/live.db")
    database.migrate()
    telegram, twilio = quick_servers()
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
    written = [line.rstrip() for line in file.read_text(encoding="utf-8").splitlines()]
    if went != written:
        pytest.fail("\n".join(difflib.unified_diff(written, went, "as written", "over the networks", lineterm="")))
