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


LONG = (  # these wait or work for ten seconds and more; begun first, they leave no worker waiting at the end
    "test_several.py",
    "test_killed_at_random_moments",
    "test_what_it_shows_to_who_watches",
    "test_a_year_keeps_its_laws",
    "test_the_laws_hold",
    "test_outbox.py",
    "test_three_hundred_sms",
    "test_page.py",
    "test_a_rehearsal",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; a browser or a server that many tests share stays with one worker."""
    place = {item: next((n for n, name in enumerate(LONG) if name in item.nodeid), len(LONG)) for item in items}
    items.sort(key=lambda item: place[item])
    for item in items:
        shared = {"browser", "server"} & set(getattr(item, "fixturenames", ()))
        if shared:
            item.add_marker(pytest.mark.xdist_group("+".join(sorted(shared))))
