"""What lies on the disk: nothing readable, migrations that keep data, keys that must fit."""

from __future__ import annotations

import base64
import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.world import World
from storage import roster
from storage.database import NEWEST, Database, DatabaseProblem, make, upgrade
from storage.scene import CASE, PERSON
from storage.seal import KeyProblem, keyring, load_key
from tests.transcript import START

ROOT = Path(__file__).parent.parent
SECRETS = ("Riet", "lamp", "31612341234", "Lutmastraat 12", "driehoog", "Corrie")


def files_of(world: World) -> bytes:
    """The database with its journal, byte for byte."""
    assert world.database.path
    return b"".join(f.read_bytes() for f in sorted(world.database.path.parent.glob(world.database.path.name + "*")))


def test_no_name_number_or_word_is_readable_on_disk(world: World) -> None:
    """A stolen file says nothing about anybody."""
    world.write("Riet", "mijn lamp driehoog is stuk en Corrie weet het")
    world.write("Riet", "ja")
    world.write("Ans", "1 ja")
    world.write("Ans", "Dag Riet, is het de lamp op driehoog?")
    world.write("Toos", "ik ben Toos van de Lutmastraat 12")
    raw = files_of(world)
    readable = [s for s in SECRETS if s.encode() in raw or s.lower().encode() in raw or s.encode("utf-16-le") in raw]
    assert not readable


def test_a_sealed_value_cannot_be_moved_to_another_column() -> None:
    """The column's name is bound in."""
    sealed = keyring.seal("person.name", b"Riet")
    assert keyring.open("person.name", sealed) == b"Riet"
    with pytest.raises(KeyProblem, match="changed outside"):
        keyring.open("person.street", sealed)


def test_the_same_text_is_sealed_differently_each_time() -> None:
    """Two equal messages do not look equal on disk."""
    assert keyring.seal("case.words", b"ja") != keyring.seal("case.words", b"ja")


def test_another_key_says_what_to_do(tmp_path: Path, new_world: Callable[..., World]) -> None:
    """A database opened with a wrong key is not silently empty."""
    sealed = keyring.seal("person.name", b"Riet")
    other = type(keyring)()
    other.use(b"x" * 32)
    with pytest.raises(KeyProblem, match="made with another key"):
        other.open("person.name", sealed)


def test_the_key_file_is_made_once_and_is_private(tmp_path: Path) -> None:
    """Mode 600, and the second start uses the same key."""
    file = tmp_path / "data" / "key"
    load_key("", file)
    first = file.read_text()
    load_key("", file)
    assert file.read_text() == first
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(first)) == 32


def test_a_key_that_did_not_fit_on_the_disk_is_not_left_behind(tmp_path: Path) -> None:
    """Half a key would be taken for the key at the next start, and no other one made."""
    code = (
        "import resource, pathlib, storage.seal as seal\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))\n"
        "seal.load_key('', pathlib.Path('key'))"
    )
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "File too large" in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["not base64!", base64.b64encode(b"short").decode()])
def test_a_malformed_key_is_named(key: str, tmp_path: Path) -> None:
    """One line says which setting and what it must be."""
    with pytest.raises(KeyProblem, match="DATA_KEY"):
        load_key(key, tmp_path / "key")


def test_an_old_file_with_data_is_upgraded(tmp_path: Path) -> None:
    """A database of the first version, with people in it, opens with today's tables and loses nobody."""
    old = Path(__file__).parent / "data" / "first_version.sql"
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(old.read_text(encoding="utf-8"))
    connection.close()
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.transaction() as opened:
        inspector = sa.inspect(opened)
        for table in PERSON.metadata.sorted_tables:
            columns = {c["name"] for c in inspector.get_columns(table.name)}
            assert columns == set(table.columns.keys()), table.name
        assert {i["name"] for i in inspector.get_indexes("audit")} == {"ix_audit_at"}
        names = opened.execute(sa.select(PERSON.c.name)).scalars().all()
        assert sorted(names) == ["Ans", "Henk", "Joop", "Mia", "Riet"]
        assert opened.execute(sa.select(CASE.c.words)).scalars().all() == ["mijn lamp is stuk"]
    world = World(database, START)
    assert any("Ans pakt het op" in line.text for line in world.write("Ans", "1 ja"))
    database.migrate()  # the second start has nothing to do
    database.close()


def shape(database: Database, way: Callable[[sa.Connection], None]) -> dict[str, object]:
    """What an empty database looks like once it was brought to today's version in this way. It is empty again after."""
    with database.engine.connect() as connection:
        way(connection)
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == NEWEST
        inspector = sa.inspect(connection)
        found: dict[str, object] = {
            table: (
                {
                    (c["name"], repr(c["type"]), c["nullable"], str(c["default"]).replace("false", "0"))
                    for c in inspector.get_columns(table)
                },
                {
                    (i["name"], *i["column_names"], i["unique"], str(i["dialect_options"].get(where)))
                    for i in inspector.get_indexes(table)
                    for where in ("sqlite_where", "postgresql_where")
                },
                {(u["name"], *u["column_names"]) for u in inspector.get_unique_constraints(table)},
                {(*f["constrained_columns"], f["referred_table"]) for f in inspector.get_foreign_keys(table)},
            )
            for table in inspector.get_table_names()
        }
        connection.rollback()
    return found


def test_made_at_once_is_the_same_as_migrated(tmp_path: Path) -> None:
    """A first start makes the tables that the migrations lead to, and the newest of those is known by name."""
    database = Database(f"sqlite:///{tmp_path}/new.db")
    made = shape(database, make)
    assert len(made) > 15
    assert made == shape(database, upgrade)
    database.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://x/y", "must begin with sqlite"),
        ("what", "not a database address"),
        ("postgresql+psycopg://u@h:port/x", "not a database address"),
        ("sqlite+aiosqlite:///here.db", "must begin with sqlite"),
        ("sqlite://data/here.db", "must begin with sqlite"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///here.db?mode=ro", "must name a file"),
        ("sqlite:////proc/nothing/here.db", "cannot be made"),
    ],
)
def test_a_database_that_cannot_be_used_says_so(url: str, says: str) -> None:
    """One clear line, no traceback of a driver."""
    with pytest.raises(DatabaseProblem, match=says):
        Database(url).migrate()


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """Somebody pointed at a photo."""
    (tmp_path / "photo.db").write_bytes(b"\x89PNG\r\n" * 500)
    with pytest.raises(DatabaseProblem, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path}/photo.db").migrate()


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('soep')",
        "CREATE TABLE recipe (name TEXT); CREATE TABLE alembic_version (version_num TEXT)",
        "CREATE TABLE person (id INTEGER); CREATE TABLE alembic_version (version_num TEXT);"
        "INSERT INTO alembic_version VALUES ('9999')",
    ],
)
def test_a_database_of_somebody_else_or_a_newer_one_is_left_alone(made: str, tmp_path: Path) -> None:
    """Somebody pointed at their recipes, or put an older version of the program back."""
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.executescript(made)
        before = list(raw.iterdump())
    database = Database(f"sqlite:///{path}")
    with pytest.raises(DatabaseProblem, match="newer Binnenbuurt, or of something else"):
        database.migrate()
    database.close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert list(raw.iterdump()) == before


def test_a_new_file_is_its_owners_from_the_start(tmp_path: Path) -> None:
    """Whoever made it: also a restore or a move, after which nothing else may be done with it."""
    before = os.umask(0o022)
    try:
        database = Database(f"sqlite:///{tmp_path}/new.db")
        database.migrate()
        with database.transaction():
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}, modes
    database.close()


def test_what_is_written_is_safe_when_the_power_goes(tmp_path: Path) -> None:
    """WAL with FULL: every commit is on disk before we answer."""
    with Database(f"sqlite:///{tmp_path}/new.db").transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_look_waits_for_no_writer(tmp_path: Path) -> None:
    """An operator's list while the bot is in the middle of writing: what was committed is shown, at once."""
    ours, theirs = Database(f"sqlite:///{tmp_path}/a.db"), Database(f"sqlite:///{tmp_path}/a.db")
    ours.migrate()
    with ours.transaction() as writing:
        roster.add_neighbourhood(writing, "Lutmabuurt", "LUTMA", ())
        with theirs.reading() as looking:
            assert roster.neighbourhoods(looking) == []
    with theirs.reading() as looking:
        assert [hood["code"] for hood in roster.neighbourhoods(looking)] == ["LUTMA"]
    ours.close()
    theirs.close()
