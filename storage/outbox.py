"""Outgoing rows on their way: taken in order per person, handed to a network, and what came of it written down.

A row is `waiting`, `sending`, and then for ever `sent`, `delivered`, `undelivered`, `maybe_sent`, `failed` or
`dropped`. It is `sending` before the network hears of it, so that a crash in between is seen afterwards: such a row is
`unsure`, looked up where the network can do that, and else repeated at most once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows import reach
from flows.contract import TALK_HOURS, TALKING_HOURS, Neighbourhood
from flows.texts import Texts
from flows.times import into_day
from storage.apply import AUDIT, OUTGOING, Writer
from storage.prepared import Prepared, Row
from storage.reach import close_address
from storage.rows import change
from storage.scene import ADDRESS, HOOD, PERSON, read_case_scene

LEASE = timedelta(seconds=90)  # real time in which a network must have answered; past it the answer is lost
GIVE_UP = timedelta(hours=24)  # real time after the first try; nobody is helped by yesterday's answer
AGAIN_MAX = 1  # how often something is repeated that may have arrived already
ALARM_AGAIN_MAX = 7  # an alarm twice is better than none: about four minutes of trying, longer apart each time
RETRY_SMS = timedelta(minutes=30)  # a phone that was off gets one more try
NIGHT_GRACE = timedelta(minutes=30)  # a talk that began by day and waited longer than this waits for the morning
TOLD_ONCE = timedelta(hours=20)  # a contact hears once in this time that somebody's messages do not arrive
LATE = timedelta(hours=3)  # a neighbour's words that waited longer than this say when they were written

# What has lost its sense when it is this late: a reminder of yesterday is followed by one of today. Everything that
# holds somebody's words is delivered all the same, however late.
STALE: Mapping[str, timedelta] = {
    "ladder.reminder_": timedelta(hours=2),
    "ladder.quiet": timedelta(hours=12),
    "contacts.list_": timedelta(hours=1),
    "always.greeting": timedelta(hours=12),
    "always.empty": timedelta(hours=12),
    "always.old_button": timedelta(hours=12),
}
QUESTION_STALE = timedelta(hours=TALK_HOURS)  # the bookmark is gone by then, so the answer would not fit

# Twilio's word on a message after it was taken, in order: a later one never moves back (callbacks come in any order).
RANK = {"waiting": 0, "sending": 1, "sent": 2, "maybe_sent": 2, "delivered": 3, "undelivered": 3, "failed": 3}
# Delivery errors after which one more try makes sense: 30003 handset off or without coverage, 30008 unknown.
# Source: Twilio's error pages; see also facts on 30005/30006 below.
DELIVERY_RETRY = frozenset({"30003", "30008"})
# Delivery errors that close the address: 30004 blocked, 30005 unknown or inactive, 30006 landline or unreachable; and
# what a messaging service refuses only after it took it: 21211 and 21614 no mobile number, 21610 they said STOP.
DELIVERY_CLOSES = {code: "invalid" for code in ("30004", "30005", "30006", "21211", "21614")} | {"21610": "stopped"}

_OPEN = sa.text("outgoing.state IN ('waiting', 'sending')")  # literal, or the partial indexes are not used
_WAITING = sa.text("outgoing.state = 'waiting' AND outgoing.state IN ('waiting', 'sending')")
_OTHER = OUTGOING.alias("other")
_FIRST = OUTGOING.alias("first")
_IN_HAND = sa.exists().where(
    sa.text("other.state = 'sending' AND other.state IN ('waiting', 'sending')"),
    _OTHER.c.person_id == OUTGOING.c.person_id,
)
_BEHIND = sa.exists().where(
    sa.text("first.state IN ('waiting', 'sending')"),
    _FIRST.c.person_id == OUTGOING.c.person_id,
    _FIRST.c.due_at <= sa.bindparam("now"),
    _FIRST.c.channel.in_(sa.bindparam("known", expanding=True)),
    sa.or_(
        _FIRST.c.due_at < OUTGOING.c.due_at,
        sa.and_(_FIRST.c.due_at == OUTGOING.c.due_at, _FIRST.c.id < OUTGOING.c.id),
    ),
)
_COLUMNS = (
    OUTGOING,
    ADDRESS.c.value,
    ADDRESS.c.state.label("address_state"),
    PERSON.c.stopped_at,
    PERSON.c.form,
    PERSON.c.name,
    PERSON.c.neighbourhood_id.label("home"),
)
_DUE = (
    sa.select(*_COLUMNS)
    .select_from(
        OUTGOING.join(PERSON, PERSON.c.id == OUTGOING.c.person_id).outerjoin(
            ADDRESS, ADDRESS.c.id == OUTGOING.c.address_id
        )
    )
    .where(
        _WAITING,
        OUTGOING.c.due_at <= sa.bindparam("now"),
        sa.or_(OUTGOING.c.held_until.is_(None), OUTGOING.c.held_until <= sa.bindparam("real")),
        OUTGOING.c.channel == sa.bindparam("channel"),
        OUTGOING.c.person_id.not_in(sa.bindparam("resting", expanding=True)),
        ~_IN_HAND,
    )
    .with_for_update(of=OUTGOING, skip_locked=True)
)
_NEXT = Prepared(
    _DUE.where(~_BEHIND).order_by(OUTGOING.c.due_at, OUTGOING.c.id).limit(sa.bindparam("room")),
    lists=("known", "resting"),
)
# Danger does not wait behind a message that is being retried.
_URGENT = Prepared(
    _DUE.where(sa.text("outgoing.urgency = 'safety'")).order_by(OUTGOING.c.id).limit(sa.bindparam("room")),
    lists=("resting",),
)
_LOST = Prepared(
    sa.select(OUTGOING, PERSON.c.name)
    .join(PERSON, PERSON.c.id == OUTGOING.c.person_id)
    .where(
        sa.text("outgoing.state = 'sending' AND outgoing.state IN ('waiting', 'sending')"),
        OUTGOING.c.held_until <= sa.bindparam("real"),
    )
)
_IN_OUR_HAND = Prepared(
    sa.select(*_COLUMNS)
    .select_from(
        OUTGOING.join(PERSON, PERSON.c.id == OUTGOING.c.person_id).outerjoin(
            ADDRESS, ADDRESS.c.id == OUTGOING.c.address_id
        )
    )
    .where(
        OUTGOING.c.id == sa.bindparam("parcel"),
        OUTGOING.c.state == "sending",
        OUTGOING.c.attempts == sa.bindparam("attempts"),
    )
)
_OTHER_ADDRESS = Prepared(
    sa.select(ADDRESS.c.id, ADDRESS.c.channel)
    .where(
        ADDRESS.c.person_id == sa.bindparam("person"),
        ADDRESS.c.state == "active",
        ADDRESS.c.id != sa.bindparam("not_this"),
    )
    .order_by(ADDRESS.c.last_used_at.desc())
)
_PLACE = Prepared(sa.select(HOOD.c.id, HOOD.c.zone, HOOD.c.times).where(HOOD.c.id == sa.bindparam("hood")))
_TARGET = Prepared(sa.select(OUTGOING.c.provider_id, OUTGOING.c.channel).where(OUTGOING.c.id == sa.bindparam("row")))
_OF_NETWORK = sa.select(OUTGOING, PERSON.c.form, PERSON.c.name).select_from(
    OUTGOING.join(PERSON, PERSON.c.id == OUTGOING.c.person_id)
)
_BY_ROW, _BY_PROVIDER = (
    Prepared(_OF_NETWORK.where(which, OUTGOING.c.channel == "sms").with_for_update(of=OUTGOING))
    for which in (OUTGOING.c.id == sa.bindparam("row"), OUTGOING.c.provider_id == sa.bindparam("provider_id"))
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message as a network gets it. `to` is the number or chat, `target` the message an unbutton is about."""

    id: int
    person: int
    channel: str
    to: str
    kind: str
    body: Mapping[str, Any]
    attempts: int
    urgency: str = "reply"
    unsure: bool = False
    again: int = 0
    target: str = ""
    late_since: datetime | None = None
    form: str = "u"
    minutes_left: int | None = None
    tried_at: datetime | None = None


@dataclass(slots=True)
class Taken:
    """What one look at the rows gave: parcels to hand over now; `settled` rows needed no network at all."""

    parcels: list[Parcel] = field(default_factory=list)
    settled: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


def take(
    connection: Connection,
    texts: Texts,
    now: datetime,
    real: datetime,
    room: Mapping[str, int],
    resting: Collection[int] = (),
) -> Taken:
    """Take the messages that may go now, at most `room` per channel and one per person, and mark them as in hand.

    `now` is the calendar's moment, `real` the clock's; `resting` are people who got one a moment ago. The last look is
    taken here: a STOP, a night, a moment past which it makes no sense, an address that is gone.
    """
    taken = Taken()
    left = {channel: count for channel, count in room.items() if count > 0}
    if not left:
        return taken
    args = {"now": now, "real": real, "known": list(room), "resting": list(resting)}
    seen: set[int] = set()
    for channel, count in left.items():  # each on its own, so that a round on one network does not crowd out the other
        parcels = 0
        for query in (_URGENT, _NEXT):
            for row in query.all(connection, args | {"channel": channel, "room": count}):
                if row["person_id"] in seen or parcels == count:
                    continue
                seen.add(row["person_id"])
                parcel = _look(connection, texts, now, real, row, taken)
                if parcel is None:
                    taken.settled += 1
                    continue
                parcels += 1
                _in_hand(connection, row, parcel, real)
                taken.parcels.append(parcel)
    return taken


def _look(connection: Connection, texts: Texts, now: datetime, real: datetime, row: Row, taken: Taken) -> Parcel | None:
    """The last look at one row; None when it is settled without the network."""
    reason, body = _no_longer(row, now), row["body"]
    target = ""
    if not reason and row["kind"] == "unbutton":
        about = _TARGET.first(connection, {"row": body["target"]})
        if about is None or not about["provider_id"] or about["channel"] != row["channel"]:
            reason = "nothing to do"
        else:
            target = about["provider_id"]
    if reason:
        _end(connection, row, "dropped", reason)
        taken.dropped[reason] = taken.dropped.get(reason, 0) + 1
        return None
    hood = _home(connection, row)
    if hood is not None and _waits_for_day(row, now) and (day := into_day(now, hood)) != now:
        _change(connection, row["id"], due_at=day, held_until=None)
        return None
    if row["tried_at"] is not None and real - row["tried_at"] > GIVE_UP:
        settle_failed(connection, texts, now, row, "given up")
        return None
    channel, to = row["channel"], row["value"]
    if row["address_id"] is None:
        to = body.get("to", "")  # somebody who is forgotten: the goodbye still goes to the address it had
    elif row["address_state"] != "active":
        if not fall_back(connection, row):
            settle_failed(connection, texts, now, row, f"address {row['address_state'] or 'gone'}")
        return None
    if not to:
        settle_failed(connection, texts, now, row, "no address")
        return None
    expires = row["expires_at"]
    return Parcel(
        id=row["id"],
        person=row["person_id"],
        channel=channel,
        to=to,
        kind=row["kind"],
        body=_said_late(row, texts, now),
        attempts=row["attempts"] + 1,
        urgency=row["urgency"],
        unsure=row["unsure"],
        again=row["again"],
        target=target,
        form=row["form"],
        minutes_left=max(1, int((expires - now).total_seconds() // 60)) if expires else None,
        tried_at=row["tried_at"],
    )


def _no_longer(row: Row, now: datetime) -> str:
    """Why this row should not be sent any more; "" when it should."""
    body = row["body"]
    if body is None:
        return "left"
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return "expired"
    if row["stopped_at"] is not None and row["urgency"] != "safety":
        return "stopped"
    late, key = now - row["due_at"], str(body.get("key", ""))
    limit = next((limit for start, limit in STALE.items() if key.startswith(start)), None)
    if limit is None and any(data.startswith("t:") for _, data, *_ in body.get("choices", ())):
        limit = QUESTION_STALE
    return "stale" if limit is not None and late > limit else ""


def _waits_for_day(row: Row, now: datetime) -> bool:
    """News waits for the day; so does a talk or an answer that was held up, because its reader is asleep by now."""
    late: timedelta = now - row["due_at"]
    grace = {"news": timedelta(0), "talk": NIGHT_GRACE, "reply": timedelta(hours=TALKING_HOURS)}.get(row["urgency"])
    return grace is not None and (row["urgency"] == "news" or late > grace)


def _said_late(row: Row, texts: Texts, now: datetime) -> Mapping[str, Any]:
    """A neighbour's words that were held up say when they were written: "ik kom zo" of yesterday misleads."""
    body: Mapping[str, Any] = row["body"]
    key = str(body.get("key", ""))
    if not key.startswith("relay.") or now - row["due_at"] <= LATE:
        return body
    args = {"at": row["created_at"], "words": body["text"]}
    return {**body, "text": texts.render("outbox.late", row["form"], args)}


def _home(connection: Connection, row: Row) -> Neighbourhood | None:
    """Whose day counts: the reader's own neighbourhood, or for a coordinator the one it is about."""
    hood = row["home"] or row["neighbourhood_id"]
    place = _PLACE.first(connection, {"hood": hood}) if hood else None
    return Neighbourhood(place["id"], "", "", place["zone"], place["times"] or {}) if place else None


def _in_hand(connection: Connection, row: Row, parcel: Parcel, real: datetime) -> None:
    _change(
        connection,
        parcel.id,
        state="sending",
        attempts=parcel.attempts,
        held_until=real + LEASE,
        tried_at=row["tried_at"] or real,
    )


def _change(connection: Connection, row_id: int, **values: Any) -> None:
    change(connection, OUTGOING, row_id, **values)


def _end(connection: Connection, row: Row, state: str, error: str = "", **more: Any) -> None:
    """The row has its last state; what was kept only to send it goes."""
    gone = {"body": None, "provider_id": None} if row["address_id"] is None else {}
    _change(
        connection, row["id"], **{"state": state, "error": error, "held_until": None, "unsure": False, **more, **gone}
    )


def _mine(connection: Connection, parcel: Parcel) -> Row | None:
    """The row of a parcel as long as it is ours: not given up for lost meanwhile, not settled by a status callback."""
    return _IN_OUR_HAND.first(connection, {"parcel": parcel.id, "attempts": parcel.attempts})


# --- what came of it ---


def was_sent(connection: Connection, now: datetime, parcel: Parcel, provider_id: str, segments: int) -> None:
    """The network took it. A voice note or photo follows its own announcement as a row of its own."""
    row = _mine(connection, parcel)
    if row is None:
        return
    _end(connection, row, "sent", provider_id=provider_id, segments=segments, sent_at=now)
    attachment = (row["body"] or {}).get("attachment")
    if row["kind"] == "copy" and attachment and attachment["channel"] == row["channel"] == "telegram":
        _follow(connection, now, row, attachment)


def _follow(connection: Connection, now: datetime, row: Row, attachment: Mapping[str, Any]) -> None:
    connection.execute(
        OUTGOING.insert(),
        {
            "person_id": row["person_id"],
            "address_id": row["address_id"],
            "channel": row["channel"],
            "kind": "media",
            "body": {"text": "", "key": "outbox.media", "attachment": attachment},
            "neighbourhood_id": row["neighbourhood_id"],
            "case_number": row["case_number"],
            "urgency": row["urgency"],
            "state": "waiting",
            # a moment before the announcement was due: nothing that waits may come in between
            "due_at": row["due_at"] - timedelta(microseconds=1),
            "expires_at": row["expires_at"],
            "attempts": 0,
            "error": "",
            "segments": 0,
            "buttons": False,
            "answers_id": row["answers_id"],
            "created_at": now,
        },
    )


def put_back(connection: Connection, parcel: Parcel, error: str, until: datetime, *, unsure: bool = False) -> None:
    """It did not go, or (unsure) may have gone: tried or looked up again after `until` on the real clock."""
    row = _mine(connection, parcel)
    if row is not None:
        _change(connection, parcel.id, state="waiting", error=error, held_until=until, unsure=unsure)


def once_more(connection: Connection, texts: Texts, now: datetime, parcel: Parcel, error: str, until: datetime) -> bool:
    """The answer was lost and cannot be looked up: repeated once, and then left as "maybe sent". True if repeated."""
    row = _mine(connection, parcel)
    if row is None:
        return False
    return _repeat(connection, texts, now, row, error, until)


def _repeat(connection: Connection, texts: Texts, now: datetime, row: Row, error: str, until: datetime) -> bool:
    most = ALARM_AGAIN_MAX if row["urgency"] == "safety" else AGAIN_MAX
    if row["again"] < most:
        _change(connection, row["id"], state="waiting", again=row["again"] + 1, error=error, held_until=until)
        return True
    _end(connection, row, "maybe_sent", error, sent_at=now)
    _tell(connection, texts, now, row, "maybe")
    return False


def has_failed(connection: Connection, texts: Texts, now: datetime, parcel: Parcel, error: str, address: str) -> None:
    """It will never go this way. `address` is what becomes of the address; the person's other one is tried next."""
    row = _mine(connection, parcel)
    if row is None:
        return
    if address and row["address_id"] is not None:
        close_address(connection, texts, now, row["address_id"], address)
    if not fall_back(connection, row):
        settle_failed(connection, texts, now, row, error)


def fall_back(connection: Connection, row: Row) -> bool:
    """Send it to the person's other address instead; False when there is none, or nothing of it would be left there."""
    if row["kind"] in ("unbutton", "media") or row["address_id"] is None:
        return False
    other = _OTHER_ADDRESS.first(connection, {"person": row["person_id"], "not_this": row["address_id"]})
    if other is None:
        return False
    _change(
        connection,
        row["id"],
        state="waiting",
        address_id=other["id"],
        channel=other["channel"],
        tried_at=None,
        held_until=None,
        unsure=False,
        again=0,
    )
    return True


def settle_failed(connection: Connection, texts: Texts, now: datetime, row: Row, error: str) -> None:
    """A dead letter: kept as it is, counted, and where it was about a matter a human hears of it."""
    _end(connection, row, "failed", error)
    if row["kind"] == "media":
        _tell_lost(connection, texts, now, row)
    elif row["kind"] != "unbutton":
        _tell(connection, texts, now, row, "stopped" if "stopped" in error else "failed")


def _tell_lost(connection: Connection, texts: Texts, now: datetime, row: Row) -> None:
    """Its announcement has arrived and the photo itself cannot: its owner took it back. Who waits for it is told."""
    found = (
        read_case_scene(connection, now, row["neighbourhood_id"], row["case_number"]) if row["case_number"] else None
    )
    if found is not None and row["body"] is not None:
        effects = reach.lost(row["person_id"], found[1], row["body"]["attachment"]["kind"])
        Writer(connection, texts, now).apply(found[0], effects)


def _tell(connection: Connection, texts: Texts, now: datetime, row: Row, what: str) -> None:
    """A contact hears that a message about a matter did not arrive; once in a while, and never about this news."""
    number, key = row["case_number"], str((row["body"] or {}).get("key", ""))
    if number is None or key.startswith("outbox."):
        return
    told = sa.select(AUDIT.c.id).where(
        AUDIT.c.person_id == row["person_id"],
        AUDIT.c.action == reach.NOT_ARRIVED,
        AUDIT.c.neighbourhood_id == row["neighbourhood_id"],
        AUDIT.c.case_number == number,
        AUDIT.c.at > now - TOLD_ONCE,
    )
    if connection.execute(told.limit(1)).first():
        return
    found = read_case_scene(connection, now, row["neighbourhood_id"], number)
    if found is not None:
        scene, case = found
        effects = reach.not_arrived(scene, case, row["person_id"], row["name"], row["channel"], what)
        Writer(connection, texts, now).apply(scene, effects)


# --- after a crash, and what the network says later ---


def give_up_lost(
    connection: Connection, texts: Texts, now: datetime, real: datetime, looked_up: Collection[str]
) -> int:
    """Rows that somebody had in hand when it died: looked up on channels that can, else repeated at most once."""
    rows = _LOST.all(connection, {"real": real})
    for row in rows:
        if row["channel"] in looked_up:
            _change(connection, row["id"], state="waiting", unsure=True, error="lost", held_until=None)
        else:
            _repeat(connection, texts, now, row, "lost", real)
    return len(rows)


def let_go(connection: Connection, real: datetime) -> None:
    """At the start of the only process: what was in hand is in nobody's hand any more."""
    connection.execute(OUTGOING.update().where(OUTGOING.c.state == "sending").values(held_until=real))


def ids_taken(connection: Connection, parcel: Parcel) -> frozenset[str]:
    """The network's ids of this person's other messages: none of them can be the one that is looked for."""
    ids = connection.execute(
        sa.select(OUTGOING.c.provider_id)
        .where(
            OUTGOING.c.person_id == parcel.person,
            OUTGOING.c.channel == parcel.channel,
            OUTGOING.c.provider_id.is_not(None),
            OUTGOING.c.id != parcel.id,
        )
        .order_by(OUTGOING.c.id.desc())
        .limit(500)
    ).scalars()
    return frozenset(i for i in ids if i)


def status(
    connection: Connection,
    texts: Texts,
    now: datetime,
    real: datetime,
    row_id: int | None,
    provider_id: str,
    word: str,
    error: str,
) -> bool:
    """What the network says about a message it took; False when it says nothing new.

    Callbacks come late, doubled and in any order: a final state is never moved. One that names a row whose own answer
    was lost proves that it was taken.
    """
    row = (
        _BY_ROW.first(connection, {"row": row_id})
        if row_id is not None
        else _BY_PROVIDER.first(connection, {"provider_id": provider_id})
    )
    if row is None or (row["provider_id"] not in (None, provider_id)):
        return False
    if row["provider_id"] is None and row["state"] not in ("sending", "maybe_sent") and not row["unsure"]:
        return False  # about an earlier try of a row that is being sent again, or one that is wiped
    state = {"delivered": "delivered", "undelivered": "undelivered", "failed": "undelivered"}.get(word, "sent")
    if RANK.get(row["state"], 3) >= RANK[state]:
        return False
    if state != "undelivered":
        _end(connection, row, state, provider_id=provider_id, sent_at=row["sent_at"] or now)
        return True
    if error in DELIVERY_RETRY and row["again"] < AGAIN_MAX and row["body"] is not None:
        _change(
            connection, row["id"], state="waiting", provider_id=None, again=row["again"] + 1, error=error,
            held_until=real + RETRY_SMS, due_at=now + RETRY_SMS, unsure=False,
        )  # fmt: skip
        return True
    closes = DELIVERY_CLOSES.get(error, "")
    if closes and row["address_id"] is not None:
        close_address(connection, texts, now, row["address_id"], closes)
    if row["body"] is not None and fall_back(connection, row):
        return True
    _end(connection, row, "undelivered", error, provider_id=provider_id)
    _tell(connection, texts, now, row, "stopped" if closes == "stopped" else "failed")
    return True


def waiting(connection: Connection, now: datetime) -> dict[str, Any]:
    """Figures for who watches: how many wait per channel, how long the oldest is late, how many are in hand."""
    rows = connection.execute(
        sa.select(OUTGOING.c.channel, OUTGOING.c.state, sa.func.count(), sa.func.min(OUTGOING.c.due_at))
        .where(_OPEN, OUTGOING.c.due_at <= now)
        .group_by(OUTGOING.c.channel, OUTGOING.c.state)
    ).all()
    oldest = min((due for *_, due in rows), default=now)
    return {
        "waiting": {channel: count for channel, state, count, _ in rows if state == "waiting"},
        "sending": {channel: count for channel, state, count, _ in rows if state == "sending"},
        "late_seconds": max(0.0, (now - oldest).total_seconds()),
    }


def note_prices(connection: Connection, prices: Mapping[str, int]) -> None:
    """Keep what messages cost, by the network's id, in thousandths of a cent."""
    for provider_id, price in prices.items():
        connection.execute(
            OUTGOING.update()
            .where(OUTGOING.c.provider_id == provider_id, OUTGOING.c.price_millicents.is_(None))
            .values(price_millicents=price)
        )
