"""Incoming messages: written before anything is thought, taken in order per sender, handled once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from flows.contract import SAME_WORDS_MAX, WORDS_MAX, Attachment, Message
from storage import codes, pace
from storage.apply import INCOMING, INVITE, OUTGOING
from storage.database import hold
from storage.expected import EXPECTED
from storage.prepared import Prepared, Row
from storage.reach import state_after
from storage.rows import change
from storage.scene import ADDRESS, PERSON, TALK
from storage.seal import keyring

_COLUMNS = ("channel", "external_id", "sender_hash", "body", "received_at", "attempts")
# RETURNING, because psycopg's rowcount of ON CONFLICT DO NOTHING is -1 whether or not the row was new
_NEW = {
    "sqlite": Prepared(sqlite_insert(INCOMING).on_conflict_do_nothing().returning(INCOMING.c.id)),
    "postgresql": Prepared(pg_insert(INCOMING).on_conflict_do_nothing().returning(INCOMING.c.id)),
}
TAKES_MAX = 6  # a message that even the plain way to a human fails on is left lying, visible, until the next start
_EARLIER = INCOMING.alias("earlier")
_WAITS = sa.and_(INCOMING.c.handled_at.is_(None), INCOMING.c.attempts < TAKES_MAX)
_NO_EARLIER = ~sa.exists().where(
    _EARLIER.c.handled_at.is_(None),
    _EARLIER.c.attempts < TAKES_MAX,
    _EARLIER.c.sender_hash == INCOMING.c.sender_hash,
    _EARLIER.c.id < INCOMING.c.id,
)
_FIRST = sa.select(INCOMING).where(_WAITS).order_by(INCOMING.c.id).limit(sa.bindparam("most"))
_OLDEST = {
    "sqlite": Prepared(_FIRST),  # one writer: the oldest of all is the oldest of its sender
    "postgresql": Prepared(_FIRST.where(_NO_EARLIER).with_for_update(skip_locked=True)),
}
_NEXT = (
    sa.select(INCOMING)
    .where(_WAITS, INCOMING.c.sender_hash > sa.bindparam("after"))
    .order_by(INCOMING.c.sender_hash, INCOMING.c.id)
    .limit(1)
)
_OF_NEXT_SENDER = {
    "sqlite": Prepared(_NEXT),
    "postgresql": Prepared(_NEXT.where(_NO_EARLIER).with_for_update(skip_locked=True)),
}
_OTHER = ADDRESS.alias("other")
_ADDRESS = Prepared(
    sa.select(
        ADDRESS.c.id,
        ADDRESS.c.person_id,
        ADDRESS.c.state,
        PERSON.c.neighbourhood_id,
        PERSON.c.joined,
        PERSON.c.heard_at,
        sa.exists().where(_OTHER.c.person_id == ADDRESS.c.person_id, _OTHER.c.id != ADDRESS.c.id).label("has_other"),
        pace.so_many_before(ADDRESS.c.person_id, SAME_WORDS_MAX - 1).scalar_subquery().label("some_before"),
    )
    .join(PERSON, PERSON.c.id == ADDRESS.c.person_id)
    .where(ADDRESS.c.channel == sa.bindparam("channel"), ADDRESS.c.value_hash == sa.bindparam("hash"))
)
_REPLIED = Prepared(
    sa.select(OUTGOING.c.neighbourhood_id, OUTGOING.c.case_number).where(
        OUTGOING.c.provider_id == sa.bindparam("provider_id"), OUTGOING.c.address_id == sa.bindparam("address")
    )
)
_CASE_BUTTON = re.compile(r"c:([0-9]{1,9}):([0-9]{1,9}):\w+")


def receive(
    connection: Connection, now: datetime, channel: str, external_id: str, address: str, body: dict[str, Any]
) -> bool:
    """Write an incoming message; False when it was written before (the same webhook twice is a no-op).

    `body` holds `text` and, where there are any, `button`, `reply_to`, `start_code`, `attachment`, `opt_out`, `edited`.
    """
    values = dict(
        zip(
            _COLUMNS,
            (
                channel,
                external_id,
                keyring.find_by(f"{channel}:{address}"),
                {"text": "", **body, "address": address},
                now,
                0,
            ),
            strict=True,
        )
    )
    return _NEW[connection.dialect.name].first(connection, values) is not None


def take_oldest(connection: Connection) -> Row | None:
    """The oldest unhandled message whose sender has no older one waiting; locked for this transaction."""
    return _OLDEST[connection.dialect.name].first(connection, {"most": 1})


def take_in_order(connection: Connection, most: int) -> list[Row]:
    """So many of the oldest unhandled messages, to be handled in this order. SQLite only: nobody else takes one."""
    return _OLDEST["sqlite"].all(connection, {"most": most})


def take_of_next(connection: Connection, after: bytes) -> Row | None:
    """The oldest unhandled message of the next sender who has one, after this one, by their hashes; None at the end.

    However much one sender has waiting, each of the others has a turn: an alarm does not stand behind a flood.
    """
    return _OF_NEXT_SENDER[connection.dialect.name].first(connection, {"after": after})


def handled(connection: Connection, row_id: int, now: datetime, person_id: int) -> None:
    """The message is done with."""
    change(connection, INCOMING, row_id, handled_at=now, person_id=person_id)


def forget(connection: Connection, row_id: int, now: datetime) -> None:
    """The message is done with, and nothing stays of who sent it: what asked for that goes like all before it."""
    change(connection, INCOMING, row_id, handled_at=now, body=None, sender_hash=b"")


def try_again(connection: Connection) -> int:
    """At a start: messages that were left lying get another chance, because this version may know better; how many."""
    lying = sa.and_(INCOMING.c.handled_at.is_(None), INCOMING.c.attempts >= TAKES_MAX)
    return int(connection.execute(INCOMING.update().where(lying).values(attempts=0)).rowcount)


def failed_once_more(connection: Connection, row_id: int) -> int:
    """Count a failure of ours on this message; returns how often by now."""
    connection.execute(INCOMING.update().where(INCOMING.c.id == row_id).values(attempts=INCOMING.c.attempts + 1))
    return int(connection.execute(sa.select(INCOMING.c.attempts).where(INCOMING.c.id == row_id)).scalar_one())


class Sender(NamedTuple):
    """Who sent a message: `invite` is what became of a one-time code in it, `words` are then those beside the code.

    `heard_before` is when we heard from them last before this message, `some_before` when the message came that is
    `SAME_WORDS_MAX` before it; None for who is new here. `back`: nothing went to that address any more.
    """

    person: int
    address: int
    invite: str = ""
    words: str | None = None
    heard_before: datetime | None = None
    some_before: datetime | None = None
    back: bool = False


def sender(connection: Connection, now: datetime, row: Mapping[str, Any]) -> Sender:
    """Who sent it. Unknown senders become a person of their own here.

    A one-time code that was not used before moves this address to the invited person: invite is then "used". A number
    that was invited and writes for the first time is as good as the code: then it is "expected". A code that somebody
    else used, or that is too old, is "spent"; who sends the code they came with once more has their "own"; who tried too
    many of them has "many".
    """
    body = row["body"]
    found = _ADDRESS.first(connection, {"channel": row["channel"], "hash": row["sender_hash"]})
    if found is None:
        person_id = _new_person(connection, now)
        address_id = _new_address(connection, now, person_id, row["channel"], body["address"])
    else:
        person_id, address_id = found["person_id"], found["id"]
        hold(connection, found["neighbourhood_id"])
        state = state_after(found["state"], str(body.get("opt_out", "")), str(body.get("text", "")))
        if found["has_other"] or state != found["state"]:  # which was used last is asked of two
            change(connection, ADDRESS, address_id, last_used_at=now, state=state)
    invite, words, many = codes.find(connection, person_id, body, in_sentence=found is None or not found["joined"])
    expected = found is not None and found["state"] == EXPECTED
    if expected and invite is None:  # who came by code joins in the flow, where the code may turn out to be spent
        connection.execute(PERSON.update().where(PERSON.c.id == person_id).values(joined=True, known=True))
    change(connection, PERSON, person_id, heard_at=row["received_at"])
    back = found is not None and found["state"] not in ("active", EXPECTED)
    before = (found["heard_at"], found["some_before"], back) if found is not None else (None, None)
    if invite is None:
        return Sender(person_id, address_id, "expected" if expected else "many" if many else "", None, *before)
    if invite["used_at"] is not None or invite["expires_at"] <= now:
        same = invite["person_id"] == person_id
        return Sender(person_id, address_id, "own" if same else "spent", words, *before)
    stranger = connection.execute(sa.select(PERSON.c.joined, PERSON.c.role).where(PERSON.c.id == person_id)).one()
    invited = int(invite["person_id"])
    connection.execute(INVITE.update().where(INVITE.c.id == invite["id"]).values(used_at=now))
    connection.execute(ADDRESS.update().where(ADDRESS.c.id == address_id).values(person_id=invited, last_used_at=now))
    connection.execute(PERSON.update().where(PERSON.c.id == invited).values(heard_at=now))
    if not stranger.joined and person_id != invited:
        _let_go(connection, now, person_id)
    return Sender(invited, address_id, "used", words)


def waiting(connection: Connection) -> int:
    """How many messages have not been handled yet."""
    unhandled = sa.select(sa.func.count()).select_from(INCOMING).where(INCOMING.c.handled_at.is_(None))
    return int(connection.execute(unhandled).scalar_one())


def has_joined(connection: Connection, person_id: int) -> bool:
    """True for who takes part."""
    return bool(connection.execute(sa.select(PERSON.c.joined).where(PERSON.c.id == person_id)).scalar())


def message_of(connection: Connection, row: Mapping[str, Any], by: Sender) -> Message:
    """The incoming row as the flows see it; a reply or button is turned into the case it is about.

    A correction comes with the words it corrects. What was sent along with those is known already.
    """
    body = row["body"]
    before = _before(connection, row, by.person) if body.get("edited") else None
    case = None
    button = str(body.get("button", ""))
    if button.startswith("c:"):
        named = _CASE_BUTTON.fullmatch(button)
        case = (int(named[1]), int(named[2])) if named else None
        button = button if case else "?"
    elif body.get("reply_to"):
        about = _REPLIED.first(connection, {"provider_id": str(body["reply_to"]), "address": by.address})
        case = (about["neighbourhood_id"], about["case_number"]) if about and about["case_number"] else None
    attachment = body.get("attachment") if before is None else None
    return Message(
        text=clean(body.get("text", "") if by.words is None else by.words),
        channel=row["channel"],
        kind=body.get("kind", "text"),
        button=button,
        case=case,
        attachment=Attachment(**attachment) if attachment else None,
        start_code=body.get("start_code", ""),
        opt_out=body.get("opt_out", ""),
        edited=bool(body.get("edited")),
        before=clean(before.get("text", ""))[:WORDS_MAX] if before else "",
        back=by.back,
        again=pace.is_again(connection, row, by.person, by.heard_before),
    )


def _before(connection: Connection, row: Mapping[str, Any], person_id: int) -> dict[str, Any] | None:
    """The last version of a message before this correction of it; None when it never came, or is wiped.

    The versions of one message have one stored id, each correction with a dot and its own mark behind it.
    """
    first = row["external_id"].partition(".")[0]
    found: dict[str, Any] | None = connection.execute(
        sa.select(INCOMING.c.body)
        .where(
            INCOMING.c.person_id == person_id,
            INCOMING.c.channel == row["channel"],
            INCOMING.c.id < row["id"],
            sa.or_(INCOMING.c.external_id == first, INCOMING.c.external_id.startswith(f"{first}.")),
        )
        .order_by(INCOMING.c.id.desc())
        .limit(1)
    ).scalar()
    return found


def clean(text: str) -> str:
    """Words as they were sent, without what no screen shows: control characters and direction overrides.

    U+202E and its kin turn the rest of a line around, so that a contact would read something else than was written.
    """
    if text.isprintable():  # nearly always; what turns a line around is not printable
        return text.strip()
    return "".join(
        ch for ch in text if ch == "\n" or (ch.isprintable() and ch not in _TURNERS) or ch == "\u200d"
    ).strip()


_TURNERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def _new_person(connection: Connection, now: datetime) -> int:
    values = {
        "name": "",
        "street": "",
        "role": "resident",
        "form": "u",
        "joined": False,
        "known": False,
        "created_at": now,
        "heard_at": now,
        "welcome_due": False,
        "rhythm": "weekly",
        "patience": "",
    }
    return int(connection.execute(PERSON.insert().returning(PERSON.c.id), values).scalar_one())


def _new_address(connection: Connection, now: datetime, person_id: int, channel: str, value: str) -> int:
    values = {
        "person_id": person_id,
        "channel": channel,
        "value": value,
        "value_hash": keyring.find_by(f"{channel}:{value}"),
        "state": "active",
        "last_used_at": now,
    }
    return int(connection.execute(ADDRESS.insert().returning(ADDRESS.c.id), values).scalar_one())


def _let_go(connection: Connection, now: datetime, person_id: int) -> None:
    """A stranger turned out to be somebody who was invited: the empty row makes place, its messages go along."""
    connection.execute(TALK.delete().where(TALK.c.person_id == person_id))
    if connection.execute(sa.select(INVITE.c.id).where(INVITE.c.person_id == person_id).limit(1)).first():
        return  # no stranger: somebody else was expected under this number, and is still invited
    left = connection.execute(sa.select(OUTGOING.c.id).where(OUTGOING.c.person_id == person_id).limit(1)).first()
    if left is None:
        connection.execute(PERSON.delete().where(PERSON.c.id == person_id))
    else:
        connection.execute(PERSON.update().where(PERSON.c.id == person_id).values(left_at=now, name=""))
