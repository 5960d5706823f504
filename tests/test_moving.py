"""Moving to PostgreSQL and back: every row, every byte; backups from either; a new row after it gets a new number."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from bot.operator import backup, moving
from bot.operator.problem import OperatorProblem
from bot.world import World
from storage import roster, tables
from storage.database import Database, make, upgrade
from storage.retention import clean, scrub
from storage.scene import PERSON, table
from tests.test_storage import shape

NOW = datetime(2026, 3, 24, 9, 30, tzinfo=UTC)


def quiet(_what: str, _done: int, _total: int) -> None:
    """Nobody looks."""


def _server_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: int(f.parent.name))
    return Path(found).parent if found else folders[-1] if folders else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A throw-away PostgreSQL of Debian's programs; root starts it as the user postgres, for it refuses root."""
    programs = _server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL programs on this machine (Debian: postgresql)")
    as_other = []
    if os.getuid() == 0:
        if not shutil.which("setpriv") or subprocess.run(["id", "postgres"], capture_output=True).returncode:
            pytest.skip("root cannot start PostgreSQL without setpriv and a user postgres")
        as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    folder = Path(tempfile.mkdtemp(prefix="binnenbuurt-pg-"))
    data, socket = folder / "data", folder
    try:
        folder.chmod(0o777)
        start = ["-o", f"-k {socket} -c listen_addresses='' -c fsync=off", "-l", str(folder / "log"), "-w", "start"]
        for command in (
            [str(programs / "initdb"), "-D", str(data), "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync"],
            [str(programs / "pg_ctl"), "-D", str(data), *start],
        ):
            subprocess.run([*as_other, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")
        try:
            yield f"postgresql+psycopg://tester@/{{name}}?host={socket}"
        finally:
            stop = [str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"]
            subprocess.run([*as_other, *stop], check=True, stdout=subprocess.DEVNULL, cwd="/")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server: str, request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    name = f"t{abs(hash(request.node.name))}"
    engine = sa.create_engine(server.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.format(name=name)


@pytest.fixture
def lived(world: World) -> str:
    """The address of a database in which people talked."""
    world.write("Riet", "mijn keukenlamp is stuk, ë € 👍")
    world.write("Riet", "ja")
    world.pass_time(timedelta(hours=4))
    world.database.close()
    return world.database.url


def rows_of(url: str) -> dict[str, tuple[int, str]]:
    database = Database(url)
    with database.transaction() as connection:
        found = {rows.name: moving.checksum_of(connection, rows) for rows in moving.raw_tables()}
    database.close()
    return found


def test_made_at_once_is_the_same_as_migrated_there_too(postgres: str) -> None:
    """A first start on PostgreSQL."""
    database = Database(postgres)
    made = shape(database, make)
    assert len(made) > 15
    assert made == shape(database, upgrade)
    database.close()


def test_to_postgresql_and_back(lived: str, postgres: str, tmp_path: Path) -> None:
    before = rows_of(lived)
    assert before["outgoing"][0] > 3
    there = moving.migrate_database(lived, postgres, quiet)
    assert {entry["table"]: (entry["rows"], entry["checksum"]) for entry in there} == before
    assert rows_of(postgres) == before
    home = f"sqlite:///{tmp_path}/home.db"
    moving.migrate_database(postgres, home, quiet)
    assert rows_of(home) == before


def test_a_new_row_after_moving_gets_a_new_number(lived: str, postgres: str) -> None:
    moving.migrate_database(lived, postgres, quiet)
    database = Database(postgres)
    with database.transaction() as connection:
        most = connection.execute(sa.select(sa.func.max(PERSON.c.id))).scalar_one()
        person, _ = roster.add_person(connection, NOW, "Kees", None)
        names = [row["name"] for row in roster.people(connection)]
    database.close()
    assert person == most + 1
    assert "Riet" in names
    assert "Kees" in names


def test_a_backup_of_postgresql_comes_back_in_sqlite(lived: str, postgres: str, tmp_path: Path) -> None:
    moving.migrate_database(lived, postgres, quiet)
    database = Database(postgres)
    made = backup.make_backup(database, tmp_path / "pg.backup", NOW, 14, quiet)
    database.close()
    home = f"sqlite:///{tmp_path}/home.db"
    assert backup.restore(tmp_path / "pg.backup", home, quiet)["rows"] == sum(n for n, _ in rows_of(postgres).values())
    assert rows_of(home) == rows_of(lived)
    assert made["bytes"] > 10_000


def test_retention_and_scrub_on_postgresql(lived: str, postgres: str) -> None:
    moving.migrate_database(lived, postgres, quiet)
    database = Database(postgres)
    with database.transaction() as connection:
        assert clean(connection, NOW + timedelta(days=60)) > 0
    with database.transaction() as connection:
        assert clean(connection, NOW + timedelta(days=60)) == 0
    scrub(database)
    database.close()


def test_a_bot_at_work_on_postgresql_is_noticed(postgres: str, tmp_path: Path) -> None:
    database = Database(postgres)
    database.migrate()
    now = datetime.now(UTC)
    with database.transaction() as connection:
        beat = {"name": "run", "at": now, "started_at": now}
        connection.execute(table(tables.Heartbeat).insert(), beat)
    database.close()
    with pytest.raises(OperatorProblem, match="Stop it"):
        moving.migrate_database(postgres, f"sqlite:///{tmp_path}/x.db", quiet)


def test_nothing_is_overwritten(lived: str, world: World, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/full.db"
    moving.migrate_database(lived, target, quiet)
    with pytest.raises(OperatorProblem, match="already has data"):
        moving.migrate_database(lived, target, quiet)
    with pytest.raises(OperatorProblem, match="same"):
        moving.migrate_database(lived, lived, quiet)
    with pytest.raises(OperatorProblem, match="same"):
        moving.migrate_database(lived, lived.replace(str(tmp_path), f"{tmp_path}/../{tmp_path.name}"), quiet)


def test_a_difference_moves_nothing(lived: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = f"sqlite:///{tmp_path}/other.db"
    monkeypatch.setattr(moving, "checksum_of", lambda *_: (0, "another"))
    with pytest.raises(OperatorProblem, match="did not arrive"):
        moving.migrate_database(lived, target, quiet)
    monkeypatch.undo()
    assert all(n == 0 for n, _ in rows_of(target).values())


def test_every_table_is_moved() -> None:
    assert {rows.name for rows in moving.raw_tables()} == set(SQLModel.metadata.tables)
