"""What every test shares: a world on a real database, and `--rewrite` for the transcripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.cast import CAST, STRANGERS, Actor
from bot.world import World
from storage.seal import keyring
from tests.transcript import START


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --rewrite` writes what the bot really says into the transcripts; `git diff` is the review."""
    parser.addoption("--rewrite", action="store_true", help="renew the bot's lines in tests/transcripts")


@pytest.fixture(autouse=True)
def _key() -> None:
    keyring.use(b"a made-up key for made-up people")


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds on a database file of their own."""
    made: list[World] = []

    def make(cast: tuple[Actor, ...] = (*CAST, *STRANGERS)) -> World:
        made.append(World.new(f"sqlite:///{tmp_path}/world{len(made)}.db", START, cast))
        return made[-1]

    yield make
    for world in made:
        world.database.close()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """The demo's neighbourhood on a Tuesday at half past ten."""
    return new_world()
