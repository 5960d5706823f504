"""Changing the data key: everything is sealed again, in steps that can be interrupted and taken up."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

from bot.opening import KEY_CHANGE, KEY_ID, read_setting, write_setting
from bot.operator.moving import Told, asleep, raw_tables
from bot.settings import Settings
from storage.apply import INCOMING, INVITE
from storage.database import Database
from storage.retention import scrub
from storage.scene import ADDRESS
from storage.seal import KeyProblem, Sealed, SealedJson, keyring, load_key, write_key

BATCH = 500


def rekey(settings: Settings, new_file: Path, now: datetime, told: Told) -> dict[str, Any]:
    """Seal everything with the key in `new_file` (made when it is not there) and make that the key from now on.

    Every batch is a transaction of its own, and every value says by which key it is sealed: run again after an
    interruption, it goes on where it was. Meanwhile the bot refuses to start. Codes that were not used yet stop
    working, because only their hash under the old key was kept.

    Raises KeyProblem, and what `asleep` raises when the bot runs.
    """
    old_file = Path(settings.data_key_file)
    if not settings.data_key and not old_file.exists():
        raise KeyProblem("There is no key yet, so there is nothing to change.")
    load_key(settings.data_key, old_file)
    old = keyring.current
    load_key("", new_file)
    new = keyring.current
    if new == old:
        raise KeyProblem(f"{new_file} holds the key that is in use. Name another file.")
    database = Database(settings.database_url)
    try:
        database.migrate()
        with asleep(database, now):
            with database.reading() as connection:
                _refuse_other_keys(connection, old, new)
            kept = None if settings.data_key else _keep(old_file, now)  # first: where that cannot be, nothing changes
            codes = _begin(database, old, new, now)
            sealed = sum(_seal_again(database, rows, new, told) for rows in _sealed_tables())
            with database.transaction() as connection:
                write_setting(connection, KEY_ID, new.hex())
                write_setting(connection, KEY_CHANGE, None)
        scrub(database)
    finally:
        database.close()
    if not settings.data_key:
        _take_its_place(new_file, old_file)
    return {
        "values": sealed,
        "codes_stopped": codes,
        "key_file": str(new_file if settings.data_key else old_file),
        "old_key_file": str(kept) if kept else None,
    }


def _keep(old_file: Path, now: datetime) -> Path:
    """A copy of the old key under a name of its own: backups of that time need it, also after a second change that day."""
    text = old_file.read_bytes()
    for before in sorted(old_file.parent.glob(f"{old_file.name}.until-*")):  # of a change that was interrupted
        if before.read_bytes() == text:
            return before
    name = f"{old_file.name}.until-{now:%Y-%m-%d}"
    kept = old_file.with_name(name)
    number = 1
    while kept.exists() and kept.read_bytes() != text:
        number += 1
        kept = old_file.with_name(f"{name}.{number}")
    if not kept.exists():
        write_key(kept, text)
    return kept


def _take_its_place(new_file: Path, old_file: Path) -> None:
    """The new key under the name of the old one, in one step, so that there is a key at every moment.

    A file on another disk, such as a USB stick, cannot be moved like that: it stays there, as a copy.
    """
    try:
        os.replace(new_file, old_file)
    except OSError as wrong:
        if wrong.errno != errno.EXDEV:
            raise
        beside = old_file.with_name(f"{old_file.name}.part")
        beside.unlink(missing_ok=True)
        write_key(beside, new_file.read_bytes())
        os.replace(beside, old_file)


def _refuse_other_keys(connection: Connection, old: bytes, new: bytes) -> tuple[str | None, str | None]:
    """The id of the key in use and of the one it is being changed to. Raises KeyProblem when they are not these."""
    known, busy = read_setting(connection, KEY_ID), read_setting(connection, KEY_CHANGE)
    if busy not in (None, new.hex()):
        raise KeyProblem("Another change of key was begun. Finish it with the key file of that time.")
    if known not in (None, old.hex(), new.hex()):
        raise KeyProblem("This database was made with another key. Put that key back first.")
    return known, busy


def _begin(database: Database, old: bytes, new: bytes, now: datetime) -> int:
    with database.transaction() as connection:
        known, busy = _refuse_other_keys(connection, old, new)
        if known == new.hex():
            return 0  # all was sealed already; only the files had not changed place
        write_setting(connection, KEY_CHANGE, new.hex())
        if busy:
            return 0
        unused = sa.and_(INVITE.c.used_at.is_(None), INVITE.c.expires_at > now)
        codes = connection.execute(sa.select(sa.func.count()).select_from(INVITE).where(unused)).scalar_one()
        connection.execute(INVITE.delete())
        return int(codes)


def _sealed_tables() -> list[sa.TableClause]:
    return [rows for rows in raw_tables() if _sealed_columns(rows.name)]


def _sealed_columns(name: str) -> list[str]:
    full = SQLModel.metadata.tables[name]
    return [c.name for c in full.columns if isinstance(c.type, Sealed | SealedJson)]


def _seal_again(database: Database, rows: sa.TableClause, new: bytes, told: Told) -> int:
    columns = _sealed_columns(rows.name)
    full = SQLModel.metadata.tables[rows.name]
    names = {c.name: c.type.column for c in full.columns if isinstance(c.type, Sealed | SealedJson)}
    key = next(iter(full.primary_key.columns)).name
    changed, done, last = 0, 0, 0
    with database.transaction() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
    while True:
        with database.transaction() as connection:
            part = (
                connection.execute(sa.select(rows).where(rows.c[key] > last).order_by(rows.c[key]).limit(BATCH))
                .mappings()
                .all()
            )
            if not part:
                return changed
            for row in part:
                fresh: dict[str, Any] = {}
                for column in columns:
                    value = row[column]
                    if value and not bytes(value).startswith(new):
                        plain = keyring.open(names[column], bytes(value))
                        fresh[column] = keyring.seal(names[column], plain)
                if fresh:
                    connection.execute(
                        rows.update()
                        .where(rows.c[key] == row[key])
                        .values(**fresh, **_found_by(connection, rows.name, row[key]))
                    )
                    changed += len(fresh)
            last, done = part[-1][key], done + len(part)
            told(rows.name, done, total)


def _found_by(connection: Connection, name: str, row_id: int) -> dict[str, bytes]:
    """The hashes by which a row is found, under the new key."""
    if name == ADDRESS.name:
        row = connection.execute(sa.select(ADDRESS.c.channel, ADDRESS.c.value).where(ADDRESS.c.id == row_id)).one()
        return {"value_hash": keyring.find_by(f"{row.channel}:{row.value}")}
    if name == INCOMING.name:
        row = connection.execute(sa.select(INCOMING.c.channel, INCOMING.c.body).where(INCOMING.c.id == row_id)).one()
        return {"sender_hash": keyring.find_by(f"{row.channel}:{row.body['address']}")}
    return {}
