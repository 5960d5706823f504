"""Encryption at rest: AES-GCM for names and words, keyed HMAC to find an address, keys from outside the database.

Telegram's terms ask for it (Bot Developer ToS 4.2: user data encrypted, the key kept apart), and these are neighbours' troubles.
A sealed value is `key id (4) + nonce (12) + ciphertext and tag`; the column's name is bound in, so that a value cannot be
moved to another column. The key id says which key opens it, so that keys can be changed while the bot runs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NAMES_KEPT = 4096  # of names, people and addresses each: every message reads those of a neighbourhood
_ID_BYTES, _NONCE_BYTES = 4, 12


class KeyProblem(ValueError):
    """The key is missing, malformed or not the one the data was sealed with; the message says what to do."""


def _bytes(text: str) -> bytes:
    """Any text as bytes: half of a character pair, as a broken phone sends it, becomes a question mark."""
    return text.encode(errors="replace")


def _json_bytes(value: Any) -> bytes:
    """Any JSON as bytes; the same for texts in it as `_bytes`."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return _bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


Kept = TypeVar("Kept", bound=Callable[..., Any])
_kept: list[Any] = []


def keeps_names(function: Kept) -> Kept:
    """A function whose answers stay in memory until `forget_names`: it gives or is given what was opened, as names are."""
    kept = lru_cache(maxsize=NAMES_KEPT)(function)
    _kept.append(kept)
    return cast(Kept, kept)


def forget_names() -> None:
    """Empty what is kept in memory: somebody is erased, or the keys are others."""
    for function in _kept:
        function.cache_clear()


def names_kept() -> int:
    """How many answers are kept in memory now."""
    return sum(function.cache_info().currsize for function in _kept)


class Keyring:
    """The keys of this process: one seals, all of them open."""

    def __init__(self) -> None:
        self._boxes: dict[bytes, AESGCM] = {}
        self._keys: dict[bytes, bytes] = {}
        self._current = b""

    def use(self, key: bytes, source: str = "DATA_KEY") -> None:
        """Seal with this key from now on; keys used before still open. Raises KeyProblem for a key of the wrong length."""
        if len(key) != KEY_BYTES:
            raise KeyProblem(f"{source} must be base64 of {KEY_BYTES} bytes, this is {len(key)}. See .env.example.")
        key_id = hashlib.sha256(b"binnenbuurt key id" + key).digest()[:_ID_BYTES]
        self._boxes[key_id] = AESGCM(key)
        self._keys[key_id] = hmac.digest(key, b"binnenbuurt address", "sha256")
        self._current = key_id
        forget_names()

    @property
    def current(self) -> bytes:
        """The id of the key that seals now."""
        return self._current

    def seal(self, column: str, plain: bytes) -> bytes:
        """Plain bytes to sealed ones, for that column only."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._current + nonce + self._boxes[self._current].encrypt(nonce, plain, column.encode())

    def open(self, column: str, sealed: bytes) -> bytes:
        """Sealed bytes to plain ones. Raises KeyProblem when no key of this process fits."""
        key_id, nonce = sealed[:_ID_BYTES], sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        box = self._boxes.get(key_id)
        if box is None:
            raise KeyProblem(
                "This database was made with another key. Put that key back: DATA_KEY or the file data/key."
            )
        try:
            return box.decrypt(nonce, sealed[_ID_BYTES + _NONCE_BYTES :], column.encode())
        except InvalidTag:
            raise KeyProblem(f"A value in {column} was changed outside Binnenbuurt. Restore the last backup.") from None

    def find_by(self, text: str) -> bytes:
        """The keyed hash by which an address or code is found without being readable."""
        return _hash(self._keys[self._current], text)


keyring = Keyring()
"""The process's keys: like a setting, one per process, made ready by `load_key` before a database is opened."""


def load_key(key: str, file: Path) -> None:
    """Make the key ready: from `key` (base64) or else the file, which is made once with mode 600.

    Raises KeyProblem with what to do when either is malformed.
    """
    if not key and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_key(file, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    source = "DATA_KEY" if key else str(file)
    try:
        raw = base64.b64decode((key.encode() or file.read_bytes()).strip(), validate=True)
    except ValueError:
        raise KeyProblem(f"{source} is not base64. It must be base64 of {KEY_BYTES} bytes.") from None
    keyring.use(raw, source)


def write_key(file: Path, text: bytes) -> None:
    """A new key file, for its owner's eyes only, and safe when the power goes: the data is nothing without it.

    One that could not be written whole, as on a full disk, is not left behind: it would pass for the key.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as made:
            made.write(text)
            made.flush()
            os.fsync(made.fileno())
    except BaseException:
        file.unlink(missing_ok=True)
        raise


@keeps_names
def _hash(key: bytes, text: str) -> bytes:
    return hmac.digest(key, _bytes(text), "sha256")


@keeps_names
def _name(column: str, sealed: bytes) -> str:
    return keyring.open(column, sealed).decode()


class Sealed(sa.types.TypeDecorator[str]):
    """A text column that only this bot can read. An empty text stays empty: a sealed one shows its length as well."""

    impl = sa.LargeBinary
    cache_ok = True

    def __init__(self, column: str = "", *, is_name: bool = False) -> None:
        """`column` is the full name (`person.name`), bound into every value; `is_name` keeps what was opened in memory."""
        super().__init__()
        self.column, self.is_name = column, is_name

    def seal(self, value: str | None) -> bytes | None:
        """As it is stored."""
        if value is None:
            return None
        return keyring.seal(self.column, _bytes(value)) if value else b""

    def open(self, value: bytes | None) -> str | None:
        """As it was given."""
        if value is None:
            return None
        if not value:
            return ""
        return _name(self.column, bytes(value)) if self.is_name else keyring.open(self.column, bytes(value)).decode()

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> bytes | None:
        """Seal on the way in."""
        return self.seal(value)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> str | None:
        """Open on the way out."""
        return self.open(value)


class SealedJson(sa.types.TypeDecorator[Any]):
    """A JSON column that only this bot can read."""

    impl = sa.LargeBinary
    cache_ok = True

    def __init__(self, column: str = "") -> None:
        """`column` is the full name (`talk.slots`), bound into every value."""
        super().__init__()
        self.column = column

    def seal(self, value: Any) -> bytes | None:
        """As it is stored."""
        return None if value is None else keyring.seal(self.column, _json_bytes(value))

    def open(self, value: bytes | None) -> Any:
        """As it was given."""
        return None if value is None else orjson.loads(keyring.open(self.column, value))

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> bytes | None:
        """Seal on the way in."""
        return self.seal(value)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> Any:
        """Open on the way out."""
        return self.open(value)
