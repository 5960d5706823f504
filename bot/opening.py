"""Opening the house: key and database of the settings, with a guard against a key that does not belong to the data."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.settings import Settings
from storage import tables
from storage.database import Database
from storage.scene import table
from storage.seal import KeyProblem, keyring, load_key

SETTING = table(tables.Setting)
KEY_ID, KEY_CHANGE = "key_id", "key_change"


def open_database(settings: Settings) -> Database:
    """The database of the settings, its key loaded and its tables of this version.

    Raises KeyProblem when the data was sealed with another key: a bot that went on with a fresh key would know nobody.
    Raises DatabaseProblem when the database cannot be opened.
    """
    file = Path(settings.data_key_file)
    is_new = not settings.data_key and not file.exists()
    load_key(settings.data_key, file)
    database = Database(settings.database_url)
    try:
        database.migrate()
        if database.path is not None and database.path.stat().st_uid == os.getuid():
            database.path.chmod(0o600)  # sealed or not, who answers whom when is nobody else's business
        with database.transaction() as connection:
            guard_key(connection)
    except BaseException:
        database.close()
        if is_new:
            file.unlink(missing_ok=True)  # made a moment ago, sealed nothing, and would hide that the real one is lost
        raise
    return database


def read_setting(connection: Connection, name: str) -> str | None:
    """What the deployment remembers under that name, or None."""
    return connection.execute(sa.select(SETTING.c.value).where(SETTING.c.name == name)).scalar()


def write_setting(connection: Connection, name: str, value: str | None) -> None:
    """Remember a value under that name; None forgets it."""
    connection.execute(SETTING.delete().where(SETTING.c.name == name))
    if value is not None:
        connection.execute(SETTING.insert(), {"name": name, "value": value})


def guard_key(connection: Connection) -> None:
    """The first look of a transaction that seals: a change of key may have begun since the database was opened.

    Raises KeyProblem then, and when the data was sealed with another key.
    """
    if read_setting(connection, KEY_CHANGE):
        raise KeyProblem("A change of key was begun and not finished. Finish it with: binnenbuurt rekey")
    known = read_setting(connection, KEY_ID)
    if known is None:
        write_setting(connection, KEY_ID, keyring.current.hex())
    elif known != keyring.current.hex():
        raise KeyProblem("This database was made with another key. Put that key back: DATA_KEY or the file data/key.")
