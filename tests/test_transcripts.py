"""Every conversation in tests/transcripts is played, word for word."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.world import World
from tests.transcript import cast_of, play

FILES = sorted(Path(__file__).parent.glob("transcripts/*.txt"))


LONG = ("stilte_", "week_", "pauze_", "rooster")  # weeks of pretend time, a quarter of an hour at a time


def marked(file: Path) -> object:
    """A conversation as a test, the ones that last for weeks among the slow."""
    return pytest.param(file, id=file.stem, marks=pytest.mark.slow if file.stem.startswith(LONG) else ())


@pytest.mark.parametrize("file", [marked(f) for f in FILES])
def test_the_conversation_goes_as_written(
    file: Path, new_world: Callable[..., World], request: pytest.FixtureRequest
) -> None:
    """The bot says exactly these sentences to exactly these people, in this order."""
    written = [line.rstrip() for line in file.read_text(encoding="utf-8").splitlines()]
    went = play(file, new_world(cast_of(file)))
    if went != written and request.config.getoption("--rewrite") and not os.environ.get("CI"):
        file.write_text("\n".join(went) + "\n", encoding="utf-8")
        written = went
    if went != written:
        pytest.fail(
            "\n".join(difflib.unified_diff(written, went, "as written", "as it went", lineterm="")), pytrace=False
        )


def test_there_are_enough_conversations() -> None:
    """The promise of the house: at least twenty-five."""
    assert len(FILES) >= 25
