"""The command line as scripts and operators meet it: real processes, one JSON value or one clear line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.__main__ import main
from bot.operator.keys import rekey
from bot.run import alone
from bot.settings import Settings
from storage import alive
from storage.database import Database
from tests.doubles import faults
from tests.doubles.telegram_server import TelegramServer
from tests.live import until

pytestmark = pytest.mark.slow  # real processes and real servers

ROOT = Path(__file__).parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = (
    "try", "console", "run", "doctor", "neighbourhood", "person", "import", "export", "invite", "inzage", "erase",
    "report", "backup", "restore", "rekey", "migrate-database", "retention", "understand", "simulate", "bench",
)  # fmt: skip


def runs_in(folder: Path) -> Run:
    """Runs `binnenbuurt …` in a folder, with warnings as errors and none of our own environment's settings."""

    def call(*arguments: str, rc: int = 0, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "bot", *arguments],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **settings},
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == rc, (arguments, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return call


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `binnenbuurt …` in an empty folder."""
    return runs_in(tmp_path)


def read(done: subprocess.CompletedProcess[str]) -> Any:
    """What a `--json` command said: one value, and nothing on stderr."""
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the Lutmabuurt was added; to be copied, not used."""
    folder = tmp_path_factory.mktemp("lutma")
    runs_in(folder)("neighbourhood", "add", "Lutmabuurt", "--code", "LUTMA", "--street", "Lutmastraat")
    return folder


@pytest.fixture
def lutma(run: Run, made_once: Path, tmp_path: Path) -> Run:
    """A folder of one's own in which the Lutmabuurt is there already."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return run


def test_help_names_every_command(run: Run) -> None:
    """Who only types --help sees all there is."""
    said = run("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", said, re.MULTILINE), command


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, bot.cli; bot.cli.command(); print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"sqlalchemy", "sqlmodel", "telegram", "httpx", "numpy", "alembic", "starlette", "pydantic"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("words", [(c,) for c in COMMANDS] + [("person", "add"), ("neighbourhood", "add")])
def test_every_command_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    said = capsys.readouterr().out
    assert "Usage: binnenbuurt " + " ".join(words) in said


def test_person_add_says_what_scripts_read(lutma: Run) -> None:
    made = read(lutma("person", "add", "Riet", "--neighbourhood", "LUTMA", "--json"))
    assert set(made) == {"id", "name", "role", "neighbourhood", "invite_code", "telegram_link"}
    assert (made["name"], made["role"], made["neighbourhood"]) == ("Riet", "resident", "LUTMA")
    assert re.fullmatch(r"[A-HJ-NP-Z2-9]{8}", made["invite_code"])
    assert made["telegram_link"] is None


def test_the_link_names_the_bot_of_that_server(lutma: Run) -> None:
    with TelegramServer() as telegram:
        token = {"TELEGRAM_BOT_TOKEN": telegram.token, "TELEGRAM_API_BASE": telegram.base_url}
        made = read(lutma("person", "add", "Henk", "--neighbourhood", "lutma", "--json", **token))
        assert made["telegram_link"] == f"https://t.me/binnenbuurt_test_bot?start={made['invite_code']}"
        assert not telegram.violations
        assert not telegram.sent


def test_without_an_answer_of_telegram_the_code_is_given_all_the_same(lutma: Run) -> None:
    token = {"TELEGRAM_BOT_TOKEN": "7000000001:" + "A" * 35, "TELEGRAM_API_BASE": "http://127.0.0.1:9"}
    done = lutma("person", "add", "Henk", "--neighbourhood", "LUTMA", "--json", **token)
    assert json.loads(done.stdout)["telegram_link"] is None
    assert done.stderr.count("\n") == 1


def test_lists_are_arrays(lutma: Run) -> None:
    lutma("person", "add", "Mia", "--role", "coordinator")
    assert [row["code"] for row in read(lutma("neighbourhood", "list", "--json"))] == ["LUTMA"]
    assert [row["name"] for row in read(lutma("person", "list", "--json"))] == ["Mia"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense",), "nonsense"),
        (("person", "add"), "name"),
        (("person", "add", "Riet"), "--neighbourhood"),
        (("person", "add", "Riet", "--neighbourhood", "DAPPER"), "LUTMA"),
        (("person", "add", "Riet", "--neighbourhood", "LUTMA", "--role", "queen"), "resident"),
        (("person", "add", " ", "--neighbourhood", "LUTMA"), "name"),
        (("person", "add", "R" * 81, "--neighbourhood", "LUTMA"), "too long"),
        (("person", "add", "Riet\n12 klaar", "--neighbourhood", "LUTMA"), "printed"),
        (("person", "add", "Riet", "--neighbourhood", "LUTMA", "--street", "L" * 121), "street"),
        (("person", "add", "Riet", "--neighbourhood", "LUTMA", "--phone", "twelve"), "phone"),
        (("person", "add", "Riet", "--neighbourhood", "LUTMA", "--phone", "020 123 4567"), "landline"),
        (("neighbourhood", "add", "Another", "--code", "lutma"), "taken"),
        (("neighbourhood", "add", "Another", "--code", "A B"), "letters"),
        (("neighbourhood", "add", "Another", "--code", "afmelden"), "order"),
        (("neighbourhood", "add", "Another", "--code", "hulp"), "order"),
        (("neighbourhood", "add", "Another", "--code", "112"), "number"),
        (("inzage", "Nobody"), "Nobody"),
        (("erase", "99"), "99"),
        (("import", "none.csv"), "none.csv"),
        (("restore", "none.backup"), "none.backup"),
        (("report", "--neighbourhood", "DAPPER"), "DAPPER"),
        (("invite",), "number"),
        (("migrate-database", "sqlite:///no.db", "sqlite:///new.db"), "no.db"),
        (("migrate-database", "mysql://a/b", "sqlite:///new.db"), "sqlite"),
        (("rekey", "--new-key-file", "data/key"), "key"),
        (("run", "--speed", "600"), "--rehearse-from"),
        (("run", "--rehearse-from", "yesterday"), "yesterday"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(lutma: Run, arguments: tuple[str, ...], says: str) -> None:
    done = lutma(*arguments, rc=2)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"PORT": "x"}, "PORT"),
        ({"DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none"}, "database"),
        ({"DATABASE_URL": "sqlite:////proc/none/a.db"}, "/proc/none"),
        ({"DATA_KEY": "c2hvcnQ="}, "DATA_KEY"),
        ({"DATA_KEY": "?"}, "DATA_KEY"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_2(run: Run, settings: dict[str, str], says: str) -> None:
    done = run("person", "list", "--json", rc=2, **settings)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr


def test_a_lost_key_is_noticed_and_no_new_one_takes_its_place(lutma: Run, tmp_path: Path) -> None:
    key = tmp_path / "data" / "key"
    key.rename(tmp_path / "elsewhere")
    assert "another key" in lutma("person", "list", rc=2).stderr
    assert not key.exists()
    (tmp_path / "elsewhere").rename(key)
    lutma("person", "list")


def test_the_key_and_database_are_for_their_owner_alone(lutma: Run, tmp_path: Path) -> None:
    for name in ("key", "binnenbuurt.db"):
        assert (tmp_path / "data" / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(("export",), "--out"), (("report",), "--html"), (("invite", "--number", "+3197010200300"), "--out")],
)
def test_a_written_file_is_for_its_owner_and_never_takes_the_place_of_the_key(
    arguments: tuple[str, ...], option: str, lutma: Run, tmp_path: Path
) -> None:
    before = (tmp_path / "data" / "key").read_bytes()
    assert "another file" in lutma(*arguments, option, "data/../data/key", rc=2).stderr
    assert (tmp_path / "data" / "key").read_bytes() == before
    (tmp_path / "written").write_text("of before, for everybody")
    (tmp_path / "written").chmod(0o644)
    lutma(*arguments, option, "written")
    assert (tmp_path / "written").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "name", ["data/key.until-2026-01-01", "data/binnenbuurt.db", "data/binnenbuurt.db-wal", ".env"]
)
def test_nothing_is_written_over_the_settings_an_old_key_or_the_database(name: str, lutma: Run, tmp_path: Path) -> None:
    if not (tmp_path / name).exists():
        (tmp_path / name).write_bytes(b"PORT=8080")
    before = (tmp_path / name).read_bytes() if not name.endswith("-wal") else None
    assert "another file" in lutma("export", "--out", name, rc=2).stderr
    assert before is None or (tmp_path / name).read_bytes() == before


def test_inzage_shows_all_and_erase_leaves_no_byte(lutma: Run, tmp_path: Path) -> None:
    """Sealed or not: the sealed bytes go too, from the file and from its log."""
    made = read(
        lutma("person", "add", "Riet", "--neighbourhood", "LUTMA", "--phone", "0612341234", "--street", "X", "--json")
    )
    known = read(lutma("inzage", "riet", "--json"))
    assert known["person"]["name"] == "Riet"
    assert known["addresses"][0]["value"] == "+31612341234"
    assert "Riet" in lutma("inzage", str(made["id"])).stdout
    file = tmp_path / "data" / "binnenbuurt.db"
    raw = sqlite3.connect(file)
    sealed = [
        raw.execute("SELECT name FROM person").fetchone()[0],
        *raw.execute("SELECT value, value_hash FROM address").fetchone(),
    ]
    raw.close()
    assert all(piece in file.read_bytes() for piece in sealed)
    assert read(lutma("erase", str(made["id"]), "--json")) == {"id": made["id"], "erased": True}
    left = b"".join(part.read_bytes() for part in file.parent.glob("binnenbuurt.db*"))
    assert not any(piece in left for piece in sealed)
    assert read(lutma("person", "list", "--json")) == []


@pytest.mark.parametrize("asks", [("person", "code", "1"), ("invite", "--person", "1", "--number", "+3197010200300")])
def test_who_was_forgotten_gets_no_code(asks: tuple[str, ...], lutma: Run) -> None:
    """Whoever used it would be nobody: never written to, and forgotten once more within a week."""
    lutma("person", "add", "Riet", "--neighbourhood", "LUTMA")
    lutma("erase", "1", "--yes")
    assert "person add" in lutma(*asks, rc=2).stderr


def test_report_hides_what_is_below_five(lutma: Run, tmp_path: Path) -> None:
    for name in ("Riet", "Henk", "Kees"):
        lutma("person", "add", name, "--neighbourhood", "LUTMA")
    raw = sqlite3.connect(tmp_path / "data" / "binnenbuurt.db")
    raw.execute("UPDATE person SET joined = 1")
    raw.commit()
    raw.close()
    found = read(lutma("report", "--json"))
    assert found["people"] == [{"role": "resident", "count": None}]
    assert len(found["cases_per_month"]) == 12
    lutma("report", "--html", "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "&lt; 5" in page
    assert "http" not in page


def test_the_card_stands_on_its_own(lutma: Run, tmp_path: Path) -> None:
    lutma("person", "add", "Riet <b>", "--neighbourhood", "LUTMA")
    done = lutma("invite", "--person", "1", "--number", "0612341234")
    assert done.stdout.startswith("<!doctype html>")
    assert "06 12341234" in done.stdout
    assert "Riet &lt;b&gt;" in done.stdout
    assert done.stdout.count("<li>") == 5
    assert not re.search(r'(src|href)="http', done.stdout)
    lutma("invite", "--number", "0612341234", "--out", "card.html")
    assert "LUTMA" in (tmp_path / "card.html").read_text(encoding="utf-8")


def test_a_backup_comes_back_whole(lutma: Run, tmp_path: Path) -> None:
    lutma("person", "add", "Riet", "--neighbourhood", "LUTMA", "--phone", "0612341234")
    made = read(lutma("backup", "--json"))
    copy = Path(tmp_path / made["file"])
    assert copy.stat().st_mode & 0o077 == 0
    assert b"SQLite" not in copy.read_bytes()
    assert b"LUTMA" not in copy.read_bytes()
    assert "data in it" in lutma("restore", made["file"], rc=2).stderr
    for part in (tmp_path / "data").glob("binnenbuurt.db*"):
        part.unlink()
    lutma("restore", made["file"])
    assert [row["name"] for row in read(lutma("person", "list", "--json"))] == ["Riet"]


def test_a_new_computer_takes_the_backup_also_after_a_look_of_the_doctor(lutma: Run, tmp_path: Path) -> None:
    """As the guide says it: settings, doctor, the copy of the key, restore. The doctor made a database and a key."""
    lutma("person", "add", "Riët", "--neighbourhood", "LUTMA")
    lutma("backup", "all.backup")
    new = tmp_path / "new"
    new.mkdir()
    there = runs_in(new)
    there("doctor", rc=1)
    assert "changed" not in there("restore", "../all.backup", rc=2).stderr
    shutil.copy(tmp_path / "data" / "key", new / "data" / "key")
    there("restore", "../all.backup")
    assert [row["name"] for row in read(there("person", "list", "--json"))] == ["Riët"]
    assert "data in it" in there("restore", "../all.backup", rc=2).stderr
    assert [row["name"] for row in read(there("person", "list", "--json"))] == ["Riët"]


def test_a_restore_makes_no_key_of_its_own(lutma: Run, tmp_path: Path) -> None:
    """It would fit nothing, and stand where the copy of the real one belongs."""
    lutma("backup", "all.backup")
    key = tmp_path / "data" / "key"
    key.rename(tmp_path / "usb")
    other = {"DATABASE_URL": "sqlite:///other.db"}
    assert "--key-file" in lutma("restore", "all.backup", rc=2, **other).stderr
    assert not key.exists()
    lutma("restore", "all.backup", "--key-file", "usb", **other)
    assert not key.exists()


def test_a_damaged_backup_is_refused(lutma: Run, tmp_path: Path) -> None:
    made = read(lutma("backup", "my.backup", "--json"))
    whole = (tmp_path / made["file"]).read_bytes()
    other = {"DATABASE_URL": "sqlite:///other.db"}
    (tmp_path / "cut.backup").write_bytes(whole[:-30])
    assert "ends too early" in lutma("restore", "cut.backup", rc=2, **other).stderr
    (tmp_path / "bent.backup").write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert "changed" in lutma("restore", "bent.backup", rc=2, **other).stderr
    (tmp_path / "strange.backup").write_text("hello")
    assert "not a backup" in lutma("restore", "strange.backup", rc=2, **other).stderr


def test_old_backups_go(lutma: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "backups"
    folder.mkdir()
    (folder / "binnenbuurt-2026-01-01T000000.backup").write_bytes(b"old")
    (folder / "mine.backup").write_bytes(b"own name")
    assert read(lutma("backup", "--json"))["removed"] == 1
    assert len(list(folder.iterdir())) == 2


def test_nothing_is_no_backup_and_pushes_none_out(lutma: Run, tmp_path: Path) -> None:
    """The wrong folder, or a setting that points elsewhere: every night it would have looked like a backup."""
    folder = tmp_path / "data" / "backups"
    folder.mkdir()
    (folder / "binnenbuurt-2026-01-01T000000.backup").write_bytes(b"the last good one")
    assert "nothing to back up" in lutma("backup", rc=2, DATABASE_URL="sqlite:///other.db").stderr
    assert [file.name for file in folder.iterdir()] == ["binnenbuurt-2026-01-01T000000.backup"]


def test_what_a_killed_backup_left_goes_too(lutma: Run, tmp_path: Path) -> None:
    """Its unfinished copy would keep for ever what somebody had erased; one that is being made stays."""
    lutma("backup")
    for name, days in (("old", 3), ("new", 0)):
        left = tmp_path / "data" / "backups" / f".backup-{name}"
        left.mkdir()
        (left / "copy.db").write_bytes(b"everybody")
        then = time.time() - days * 86_400
        os.utime(left, (then, then))
    time.sleep(1.1)  # the name of a backup is its second
    lutma("backup")
    assert [left.name for left in (tmp_path / "data" / "backups").glob(".backup-*")] == [".backup-new"]


def test_rekey_changes_every_value_and_the_number_is_still_known(lutma: Run, tmp_path: Path) -> None:
    lutma("person", "add", "Riet", "--neighbourhood", "LUTMA", "--phone", "0612341234")
    before = (tmp_path / "data" / "key").read_text()
    old_copy = read(lutma("backup", "old.backup", "--json"))["file"]
    done = read(lutma("rekey", "--json"))
    assert done["values"] > 0
    assert done["codes_stopped"] == 1
    assert (tmp_path / "data" / "key").read_text() != before
    assert Path(tmp_path / done["old_key_file"]).read_text() == before
    assert [row["name"] for row in read(lutma("person", "list", "--json"))] == ["Riet"]
    taken = lutma("person", "add", "Kees", "--neighbourhood", "LUTMA", "--phone", "0612341234", rc=2)
    assert "already" in taken.stderr
    other = {"DATABASE_URL": "sqlite:///other.db"}
    assert "another key" in lutma("restore", old_copy, rc=2, **other).stderr
    lutma("restore", old_copy, "--key-file", done["old_key_file"], **other)


def test_rekey_goes_on_after_an_interruption(lutma: Run, tmp_path: Path) -> None:
    """Some rows under the new key, some under the old, the files not changed yet: as a kill half-way leaves it."""
    for name in ("Riet", "Henk", "Kees"):
        lutma("person", "add", name, "--neighbourhood", "LUTMA")
    data = tmp_path / "data"
    raw = sqlite3.connect(data / "binnenbuurt.db")
    old_row = raw.execute("SELECT name, street FROM person WHERE id = 3").fetchone()
    raw.close()
    old_key = (data / "key").read_bytes()
    lutma("rekey")
    new_id = (data / "key").read_bytes()
    raw = sqlite3.connect(data / "binnenbuurt.db")
    (sealed_by,) = raw.execute("SELECT substr(name, 1, 4) FROM person WHERE id = 1").fetchone()
    raw.execute("UPDATE person SET name = ?, street = ? WHERE id = 3", old_row)
    raw.execute("DELETE FROM setting WHERE name = 'key_id'")
    raw.execute("INSERT INTO setting VALUES ('key_change', ?)", (sealed_by.hex(),))
    raw.commit()
    raw.close()
    (data / "key.new").write_bytes(new_id)
    (data / "key").write_bytes(old_key)
    assert "rekey" in lutma("person", "list", rc=2).stderr
    lutma("rekey")
    assert [row["name"] for row in read(lutma("person", "list", "--json"))] == ["Riet", "Henk", "Kees"]


def test_the_old_key_is_kept_once_also_when_its_change_took_two_days(lutma: Run, tmp_path: Path) -> None:
    """Interrupted on Monday, it made its copy already; a second one would be a key too many to look after."""
    data = tmp_path / "data"
    old = (data / "key").read_bytes()
    (data / "key.until-2026-01-05").write_bytes(old)
    assert read(lutma("rekey", "--json"))["old_key_file"] == "data/key.until-2026-01-05"
    assert [file.name for file in data.glob("key*") if file.read_bytes() == old] == ["key.until-2026-01-05"]


def test_a_second_change_of_key_on_one_day_keeps_both_old_keys(lutma: Run, tmp_path: Path) -> None:
    """Backups of the first key are still readable after the second change."""
    lutma("person", "add", "Riet", "--neighbourhood", "LUTMA")
    lutma("backup", "first.backup")
    kept = [read(lutma("rekey", "--json"))["old_key_file"] for _ in range(3)]
    assert len({(tmp_path / file).read_text() for file in kept}) == 3
    lutma("restore", "first.backup", "--key-file", kept[0], DATABASE_URL="sqlite:///other.db")


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no second disk here")
def test_the_new_key_may_lie_on_another_disk(lutma: Run, tmp_path: Path) -> None:
    """A USB stick: the file cannot be moved from there, and its copy stays."""
    lutma("person", "add", "Riet", "--neighbourhood", "LUTMA")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as stick:
        made = read(lutma("rekey", "--new-key-file", f"{stick}/new", "--json"))
        assert Path(stick, "new").read_bytes() == (tmp_path / "data" / "key").read_bytes()
    assert made["key_file"] == "data/key"
    assert {file.name for file in (tmp_path / "data").glob("key*")} == {"key", Path(made["old_key_file"]).name}
    assert (tmp_path / "data" / "key").stat().st_mode & 0o077 == 0
    assert [row["name"] for row in read(lutma("person", "list", "--json"))] == ["Riet"]


def test_who_waited_for_telegram_seals_nothing_with_the_old_key(lutma: Run) -> None:
    """The key changed meanwhile: what was sealed with the one before could never be read again."""
    lutma("person", "add", "Riet", "--neighbourhood", "LUTMA")
    with TelegramServer() as server, ThreadPoolExecutor(1) as beside:
        server.faults.next(faults.slow(6.0))
        on = {"TELEGRAM_BOT_TOKEN": server.token, "TELEGRAM_API_BASE": server.base_url}
        waiting = beside.submit(lutma, "person", "add", "Henk", "--neighbourhood", "LUTMA", rc=2, **on)
        until(lambda: server.calls, 20, "the question to Telegram")
        lutma("rekey")
        assert "another key" in waiting.result().stderr
    assert [row["name"] for row in read(lutma("person", "list", "--json"))] == ["Riet"]


@pytest.mark.parametrize("moment", [1, 2])
def test_rekey_goes_on_after_a_kill_between_two_files(
    moment: int, lutma: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is sealed, and the key's file has not got, or has just lost, its name."""
    lutma("person", "add", "Riet", "--neighbourhood", "LUTMA")
    settings = Settings(f"sqlite:///{tmp_path}/data/binnenbuurt.db", data_key_file=f"{tmp_path}/data/key")
    moved: list[str] = []

    def replace(old: str, new: str) -> None:
        moved.append(new)
        if len(moved) == moment:
            raise KeyboardInterrupt
        Path(old).rename(new)

    monkeypatch.setattr("bot.operator.keys.os.replace", replace)
    with contextlib.suppress(KeyboardInterrupt):
        rekey(settings, tmp_path / "data" / "key.new", datetime.now(UTC), lambda *_: None)
    monkeypatch.undo()
    if moment <= len(moved):
        lutma("rekey")
    assert [row["name"] for row in read(lutma("person", "list", "--json"))] == ["Riet"]


def test_a_rehearsal_that_did_not_start_leaves_no_mark(lutma: Run) -> None:
    """Else the real bot would never start again on this database."""
    for start in (("2026-03-24T09:55",), ("2026-03-24T09:55", "--speed", "inf"), ("0001-01-01T00:00",)):
        assert "Unexpected" not in lutma("run", "--rehearse-from", *start, rc=2).stderr
    assert "No channel has settings" in lutma("run", rc=2).stderr


def test_a_rehearsal_is_refused_where_the_real_bot_has_run(lutma: Run, tmp_path: Path) -> None:
    """Also when nobody wrote yet: people were invited here for real."""
    now = datetime.now(UTC)
    database = Database(f"sqlite:///{tmp_path}/data/binnenbuurt.db")
    with database.transaction() as connection:
        alive.beat(connection, now, now, "me", timedelta(minutes=3))
    database.close()
    token = {"TELEGRAM_BOT_TOKEN": "123:abc", "TELEGRAM_API_BASE": "http://127.0.0.1:1"}
    said = lutma("run", "--rehearse-from", "2026-03-24T09:55", rc=2, **token).stderr
    assert "Give the rehearsal its own" in said


def test_nothing_is_moved_while_the_bot_works(lutma: Run, tmp_path: Path) -> None:
    with alone(Database(f"sqlite:///{tmp_path}/data/binnenbuurt.db")):
        for command in (("rekey",), ("migrate-database", "sqlite:///data/binnenbuurt.db", "sqlite:///new.db")):
            assert "Stop the other copy" in lutma(*command, rc=2).stderr
        lutma("backup")


def test_retention_runs(lutma: Run) -> None:
    assert read(lutma("retention", "--json")) == {"changed": 0}


def test_understand_reads_lines_in_order(run: Run) -> None:
    lines = [{"text": "mijn lamp is stuk", "context": ""}, {"text": "ja", "context": "Zal ik het doorgeven?"}]
    done = run("understand", given="".join(json.dumps(line) + "\n" for line in lines))
    heard = [json.loads(line) for line in done.stdout.splitlines()]
    assert [h["intent"] for h in heard] == ["ask_help", "yes"]
    assert "line 1" in run("understand", given="no json\n", rc=2).stderr


def test_the_doctor_exits_1_when_something_must_be_done(run: Run) -> None:
    found = read(run("doctor", "--json", rc=1))
    assert found["ok"] is False
    assert {"check", "level", "advice", "text"} == set(found["checks"][0])
