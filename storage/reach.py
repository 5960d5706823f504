"""What a network tells about an address itself: blocked, let in again, or a phone number proven to be theirs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows import always, claims, reach
from flows.contract import Message
from flows.say import say
from flows.texts import Texts
from storage.apply import Writer
from storage.expected import EXPECTED, owner_of
from storage.prepared import Row
from storage.scene import ADDRESS, CASE, PERSON, read_case_scene, read_hood_scene, read_scene
from storage.seal import keyring

OPT_IN_WORDS = frozenset({"START", "UNSTOP", "YES"})  # what Twilio itself takes for an opt-in, as whole message
_SECOND_CHOICE = timedelta(days=3650)  # a number that was only given is used when nothing else works


def state_after(state: str, opt_out: str, text: str) -> str:
    """What an address is once somebody wrote from it: alive; but a STOP at the network ends only by its own START."""
    if state == "stopped" and opt_out != "START" and text.strip().upper() not in OPT_IN_WORDS:
        return "stopped"
    return "active"


def event(connection: Connection, texts: Texts, now: datetime, row: Row) -> None:
    """An incoming row without words, in its place between the messages: "blocked" or "unblocked"."""
    address = connection.execute(
        sa.select(ADDRESS.c.id, ADDRESS.c.person_id, PERSON.c.name)
        .join(PERSON, PERSON.c.id == ADDRESS.c.person_id)
        .where(ADDRESS.c.channel == row["channel"], ADDRESS.c.value_hash == row["sender_hash"])
    ).first()
    if address is None:
        return
    if row["body"]["event"] != "blocked":
        connection.execute(ADDRESS.update().where(ADDRESS.c.id == address.id).values(state="active"))
        scene = read_scene(connection, now, address.person_id, Message(""))
        Writer(connection, texts, now, row["id"]).apply(scene, always.what_waits(scene))
        return
    close_address(connection, texts, now, address.id, "blocked")
    if _has_another(connection, address.person_id):
        return
    cases = connection.execute(
        sa.select(CASE.c.neighbourhood_id, CASE.c.number).where(
            sa.or_(CASE.c.person_id == address.person_id, CASE.c.claimed_by == address.person_id),
            CASE.c.state.in_(("open", "claimed")),
        )
    ).all()
    for hood, number in cases:
        found = read_case_scene(connection, now, hood, number)
        if found is not None:
            scene, case = found
            effects = reach.gone(scene, case, address.person_id, address.name, row["channel"])
            Writer(connection, texts, now, row["id"]).apply(scene, effects)


def close_address(connection: Connection, texts: Texts, now: datetime, address: int, state: str) -> None:
    """Nothing goes to this address any more. If it was the last way to somebody who helps, their matters are for all again.

    The others of a neighbourhood hear that there is one contact fewer.
    """
    closed = ADDRESS.update().where(ADDRESS.c.id == address, ADDRESS.c.state == "active").values(state=state)
    person = connection.execute(closed.returning(ADDRESS.c.person_id)).scalar()
    if person is None or _has_another(connection, person):
        return
    _give_back(connection, texts, now, person)
    working = sa.and_(PERSON.c.id == person, PERSON.c.role == "contact", PERSON.c.stopped_at.is_(None), PERSON.c.joined)
    hood = connection.execute(sa.select(PERSON.c.neighbourhood_id).where(working)).scalar()
    if hood is not None:
        scene = read_hood_scene(connection, now, hood)
        gone = next((p for p in scene.place.all_contacts if p.id == person), None) if scene.place else None
        if gone is not None:
            Writer(connection, texts, now).apply(scene, always.one_fewer(replace(scene, person=gone)))


def _give_back(connection: Connection, texts: Texts, now: datetime, person: int) -> None:
    """Whoever cannot be reached holds nothing: what is written about it would go to nobody."""
    held = sa.or_(
        sa.and_(CASE.c.claimed_by == person, CASE.c.state == "claimed"),
        sa.and_(CASE.c.only_contact == person, CASE.c.state == "open"),
    )
    for hood, number in connection.execute(sa.select(CASE.c.neighbourhood_id, CASE.c.number).where(held)).all():
        found = read_case_scene(connection, now, hood, number)
        if found is not None and person in found[0].everybody:
            scene, case = found
            holder = replace(scene, person=scene.everybody[person])
            Writer(connection, texts, now).apply(holder, claims.hand_back(holder, case))


def keep_phone(connection: Connection, texts: Texts, now: datetime, row: Row, person: int) -> None:
    """A number that Telegram says is the sender's own becomes the second way to reach them. Nobody is merged by it."""
    number = row["body"]["own_phone"]
    owner = owner_of(connection, "sms", number)
    if owner is None:
        values = {
            "person_id": person,
            "channel": "sms",
            "value": number,
            "value_hash": keyring.find_by(f"sms:{number}"),
            "state": "active",
            "last_used_at": now - _SECOND_CHOICE,
        }
        connection.execute(ADDRESS.insert(), values)
    elif owner == person:
        mine = sa.and_(
            ADDRESS.c.person_id == person,
            ADDRESS.c.value_hash == keyring.find_by(f"sms:{number}"),
            ADDRESS.c.state == EXPECTED,
        )
        connection.execute(ADDRESS.update().where(mine).values(state="active"))
    key = "telegram.phone_kept" if owner in (None, person) else "telegram.phone_taken"
    scene = read_scene(connection, now, person, Message(""))
    Writer(connection, texts, now, row["id"]).apply(scene, [say(scene.person, key)])


def _has_another(connection: Connection, person: int) -> bool:
    other = sa.select(ADDRESS.c.id).where(ADDRESS.c.person_id == person, ADDRESS.c.state == "active").limit(1)
    return connection.execute(other).first() is not None
