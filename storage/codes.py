"""One-time codes: found in a message, alone or among other words, and tried only a few times a day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows.contract import CODES_A_DAY
from storage import tables
from storage.apply import INVITE
from storage.prepared import Prepared, Row
from storage.scene import table
from storage.seal import keyring

SETTING = table(tables.Setting)
CODE_LENGTH = 8  # letters and digits of an invitation
CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without I, O, 0 and 1, which look alike on paper
_SPELT_OUT = 40  # characters that a code alone may take, with marks between its letters
_IN_A_SENTENCE = 3  # so many of its words are tried
_MARKS = re.compile(r"[\W_]+")
_SO_LONG = re.compile(rf"[\W_]*(?:[^\W_][\W_]*){{{CODE_LENGTH}}}")
_HALF = rf"[^\W_]{{{CODE_LENGTH // 2}}}"
_CODE_LIKE = re.compile(rf"(?<!\w)(?=({_HALF}[ -]?{_HALF})(?!\w))")
_INVITE = Prepared(sa.select(INVITE).where(INVITE.c.code_hash == sa.bindparam("hash")))
_COUNT = Prepared(sa.select(SETTING.c.value).where(SETTING.c.name == sa.bindparam("name")))
_TRIED = "codes:"  # and the person's number: how many wrong ones since the last daily cleaning


class Found(NamedTuple):
    """The invitation whose code a message holds, if any, and the words beside it; `many`: it was not looked for."""

    invite: Row | None = None
    words: str = ""
    many: bool = False


def find(connection: Connection, person: int, body: Mapping[str, Any], *, in_sentence: bool) -> Found:
    """Look for a one-time code in a message of this person.

    `in_sentence` also finds it among other words, as who is new may write it. Whoever has joined may only send it by
    itself: a contact who tells a neighbour the code must not become that neighbour.

    Of 32^8 codes a handful is open. Past `CODES_A_DAY` wrong ones no code of this person is looked at until the next
    day. A word of eight letters is no try: whoever guesses with those only, at the pace we allow, needs centuries.
    """
    text = str(body.get("start_code") or body.get("text", ""))
    whole = normal_code(text) if len(text) <= _SPELT_OUT else ""
    tried = [(whole, "")] if whole else _codes_in(text)[:_IN_A_SENTENCE] if in_sentence else []
    tried = [(code, words) for code, words in tried if set(code) <= set(CODE_ALPHABET)]
    if not tried:
        return Found()
    name = f"{_TRIED}{person}"
    count = int(_COUNT.scalar(connection, {"name": name}) or 0)
    if count >= CODES_A_DAY:
        return Found(many=bool(whole))
    for code, words in tried:
        invite = _INVITE.first(connection, {"hash": keyring.find_by(f"invite:{code}")})
        if invite is not None:
            return Found(invite, words)
    if any(character.isdigit() for code, _ in tried for character in code):
        connection.execute(SETTING.delete().where(SETTING.c.name == name))
        connection.execute(SETTING.insert(), {"name": name, "value": str(count + 1)})
    return Found()


def forget_tries(connection: Connection) -> int:
    """Once a day: everybody may try again; returns how many had tried."""
    return int(connection.execute(SETTING.delete().where(SETTING.c.name.startswith(_TRIED))).rowcount)


def normal_code(text: str) -> str:
    """A typed code as it was printed: capitals, without spaces or dashes; "" when it cannot be one."""
    return _MARKS.sub("", text.upper()) if _SO_LONG.fullmatch(text) else ""  # nearly every message is longer


def _codes_in(text: str) -> list[tuple[str, str]]:
    """What could be a code in a sentence, also in two halves, with the words around it; the most likely one first."""
    found: list[tuple[tuple[bool, bool, bool], str, str]] = []
    for match in _CODE_LIKE.finditer(text):
        typed, code = match[1], normal_code(match[1])
        plain = (not any(c.isdigit() for c in code), typed != typed.upper(), len(typed) > CODE_LENGTH)
        around = f"{text[: match.start(1)].rstrip(' :-')} {text[match.end(1) :].lstrip(' .,;:!-')}".strip()
        found.append((plain, code, around))
    return [(code, around) for _, code, around in sorted(found, key=lambda one: one[0])]
