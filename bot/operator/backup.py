"""A consistent copy while the bot runs, sealed with the data key; and the way back."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from bot.operator.moving import Told, copy, make_ready, shown_url
from bot.operator.problem import OperatorProblem
from bot.settings import Settings
from storage.database import Database
from storage.scene import HOOD, PERSON
from storage.seal import KeyProblem, keyring, load_key

MAGIC = b"BINNENBUURT BACKUP 1\n"
CHUNK = 1 << 20
_SALT = 16
ENDING = ".backup"
UNFINISHED = ".backup-"  # the folder in which one is being made
UNFINISHED_SECONDS = 86_400.0  # past it whatever made it was killed


def make_backup(database: Database, to: Path, now: datetime, keep_days: int, told: Told) -> dict[str, Any]:
    """Write a sealed copy to a file, or with a name and time of its own to a folder; returns what was written.

    Copies of before `keep_days` ago in that folder are removed: what somebody had erased must leave the backups too.
    Raises OperatorProblem when the file is there already, and when there is nobody to keep: an empty database is the
    wrong one, and its copies would in the end push out those of the right one.
    """
    with database.reading() as connection:
        if not any(connection.execute(sa.select(rows.c.id).limit(1)).first() for rows in (HOOD, PERSON)):
            raise OperatorProblem(
                f"There is nobody in {shown_url(database.url)}, so there is nothing to back up. Check DATABASE_URL."
            )
    in_folder = to.is_dir() or not to.suffix
    file = to / f"binnenbuurt-{now:%Y-%m-%dT%H%M%S}{ENDING}" if in_folder else to
    if file.exists():
        raise OperatorProblem(f"{file} is there already. Nothing was overwritten.")
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=file.parent) as folder:
        plain = Path(folder) / "copy.db"
        _copy_out(database, plain, told)
        part = Path(folder) / "sealed"
        with plain.open("rb") as reading, part.open("xb") as writing:
            os.chmod(part, 0o600)
            _seal(reading, writing)
            writing.flush()
            os.fsync(writing.fileno())
        size = part.stat().st_size
        os.replace(part, file)
    removed = _remove_old(file, now, keep_days) if in_folder else 0
    return {"file": str(file), "bytes": size, "at": now.isoformat(timespec="seconds"), "removed": removed}


def load_key_of_then(settings: Settings, key_file: Path | None) -> None:
    """Make the key ready that a backup was sealed with: the one in `key_file`, else that of the settings.

    Raises KeyProblem when it is not there: a fresh one would open nothing, and hide that the real one is missing.
    """
    file = key_file or Path(settings.data_key_file)
    key = "" if key_file else settings.data_key
    if not key and not file.exists():
        raise KeyProblem(f"There is no key {file}. Put the key of that backup there, or name it with --key-file.")
    load_key(key, file)


def restore(file: Path, url: str, told: Told) -> dict[str, Any]:
    """Put a backup back into an empty database; returns how many rows there are.

    Raises OperatorProblem for a file that is not a whole backup and for a database with data in it, KeyProblem for
    the wrong key.
    """
    with tempfile.TemporaryDirectory(prefix="binnenbuurt-") as folder:
        plain = Path(folder) / "copy.db"
        with file.open("rb") as reading, plain.open("xb") as writing:
            os.chmod(plain, 0o600)
            for chunk in _opened(reading, file.name):
                writing.write(chunk)
        source, target = Database(f"sqlite:///{plain}"), Database(url)
        try:
            source.migrate()  # a backup of an older version becomes one of this version first
            target.migrate()
            with source.transaction() as reading_from, target.transaction() as writing_to:
                make_ready(writing_to, url)
                moved = copy(reading_from, writing_to, told)
        finally:
            source.close()
            target.close()
    return {"file": str(file), "rows": sum(entry["rows"] for entry in moved)}


def newest(folder: Path) -> Path | None:
    """The newest backup in a folder, by its name; None when there is none."""
    return max(folder.glob(f"binnenbuurt-*{ENDING}"), default=None) if folder.is_dir() else None


def _copy_out(database: Database, plain: Path, told: Told) -> None:
    if database.path is not None:
        source = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
        target = sqlite3.connect(plain)
        try:
            # all pages in one step: a read transaction, so the bot goes on writing and the copy is of one moment
            source.backup(target)
            if target.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise OperatorProblem("The copy is not whole, so the database is damaged. Keep the last good backup.")
            target.execute("PRAGMA journal_mode=DELETE")
        finally:
            target.close()
            source.close()
        return
    target_database = Database(f"sqlite:///{plain}")
    try:
        target_database.migrate()
        with database.transaction() as reading, target_database.transaction() as writing:
            copy(reading, writing, told)
    finally:
        target_database.close()
    with contextlib.closing(sqlite3.connect(plain)) as raw:  # all in the one file that is sealed, nothing in a log
        raw.execute("PRAGMA journal_mode=DELETE")


def _seal(reading: BinaryIO, writing: BinaryIO) -> None:
    """`magic, salt, (length, sealed chunk)…`: each chunk is bound to its file, place and to being the last or not."""
    salt = secrets.token_bytes(_SALT)
    writing.write(MAGIC + salt)
    number, chunk = 0, reading.read(CHUNK)
    while True:
        following = reading.read(CHUNK)
        sealed = keyring.seal(_place(salt, number, last=not following), chunk)
        writing.write(struct.pack(">I", len(sealed)) + sealed)
        if not following:
            return
        number, chunk = number + 1, following


def _opened(reading: BinaryIO, name: str) -> Iterator[bytes]:
    if reading.read(len(MAGIC)) != MAGIC:
        raise OperatorProblem(f"{name} is not a backup of Binnenbuurt.")
    salt, number, frame = reading.read(_SALT), 0, _frame(reading, name)
    while frame is not None:
        following = _frame(reading, name)
        yield keyring.open(_place(salt, number, last=following is None), frame)
        number, frame = number + 1, following
    if not number:
        raise OperatorProblem(f"{name} ends too early. Use another copy.")


def _frame(reading: BinaryIO, name: str) -> bytes | None:
    head = reading.read(4)
    if not head:
        return None
    length = struct.unpack(">I", head)[0] if len(head) == 4 else 0
    frame = reading.read(length) if 0 < length < 2 * CHUNK else b""
    if len(frame) != length or not length:
        raise OperatorProblem(f"{name} ends too early or is damaged. Use another copy.")
    return frame


def _place(salt: bytes, number: int, *, last: bool) -> str:
    return f"backup:{salt.hex()}:{number}:{'last' if last else 'more'}"


def _remove_old(file: Path, now: datetime, keep_days: int) -> int:
    """Backups past their days go by the time in their name, which copying around does not change; never the new one."""
    removed = 0
    for other in file.parent.glob(f"binnenbuurt-*{ENDING}"):
        try:
            made = datetime.strptime(other.stem, "binnenbuurt-%Y-%m-%dT%H%M%S").replace(tzinfo=now.tzinfo)
        except ValueError:
            continue  # somebody's own name: theirs to remove
        if other != file and (now - made).days >= keep_days:
            other.unlink()
            removed += 1
    for left in file.parent.glob(f"{UNFINISHED}*"):
        if now.timestamp() - left.stat().st_mtime > UNFINISHED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    return removed
