"""Reading a Scene: everything one message can depend on, in one transaction, with statements built once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows import duty, farewell
from flows.casebook import may_meet
from flows.contract import (
    AFTERTALK_DAYS,
    AFTERTHOUGHT_HOURS,
    AFTERTHOUGHTS,
    CHECK_IN_TALK_HOURS,
    TALK_HOURS,
    Attachment,
    Case,
    CheckIn,
    Message,
    Neighbourhood,
    Offer,
    Person,
    Place,
    Scene,
    Talk,
)
from flows.help import HELP
from storage import tables
from storage.database import hold
from storage.prepared import Prepared, Row

_JUST_ANSWERED = timedelta(hours=1)  # so long an answered check-in still belongs to what is said


def table(model: Any) -> sa.Table:
    """The Core table behind a SQLModel class."""
    return cast(sa.Table, model.__table__)


PERSON, ADDRESS, CONSENT = table(tables.Person), table(tables.Address), table(tables.Consent)
HOOD, STREET, TALK = table(tables.Neighbourhood), table(tables.Street), table(tables.Talk)
CASE, OFFER, CHECK_IN = table(tables.Case), table(tables.Offer), table(tables.CheckIn)

# A person's row with one of the addresses that work, the one that was used last first: a row for each, or one without.
_READ = (
    PERSON.c.id,
    PERSON.c.neighbourhood_id,
    PERSON.c.name,
    PERSON.c.street,
    PERSON.c.role,
    PERSON.c.form,
    PERSON.c.joined,
    PERSON.c.known,
    PERSON.c.stopped_at,
    PERSON.c.paused_until,
    PERSON.c.invited_back,
    PERSON.c.rhythm,
    PERSON.c.check_in_day,
    PERSON.c.check_in_time,
    PERSON.c.patience,
    PERSON.c.household_id,
    PERSON.c.heard_at,
    ADDRESS.c.id.label("address_id"),
    ADDRESS.c.channel,
)
_REACHED = PERSON.outerjoin(ADDRESS, sa.and_(ADDRESS.c.person_id == PERSON.c.id, ADDRESS.c.state == "active"))
_IN_ORDER = (PERSON.c.id, ADDRESS.c.last_used_at.desc())
_ANYBODY = sa.select(*_READ).select_from(_REACHED).order_by(*_IN_ORDER)
_LAST_NUMBER = (
    sa.select(sa.func.max(CASE.c.number)).where(CASE.c.neighbourhood_id == HOOD.c.id).scalar_subquery().label("last")
)
_HOME = (HOOD.c.id, HOOD.c.name, HOOD.c.code, HOOD.c.zone, HOOD.c.times, HOOD.c.rota, _LAST_NUMBER)
_OPEN_CHECK_IN = sa.or_(CHECK_IN.c.state.in_(("asked", "flagged")), CHECK_IN.c.answered_at > sa.bindparam("since"))
# What most people do not have is only looked for: a statement that finds nothing costs as much as one that does.
_WRITER = Prepared(
    sa.select(
        *_READ,
        sa.exists().where(CHECK_IN.c.person_id == PERSON.c.id, _OPEN_CHECK_IN).label("asked_how"),
        sa.exists().where(OFFER.c.person_id == PERSON.c.id, OFFER.c.ended_at.is_(None)).label("offers"),
        PERSON.c.focus_neighbourhood,
        PERSON.c.focus_number,
        PERSON.c.focus_at,
        *(column.label(f"home_{column.name}") for column in _HOME),
        TALK.c.dialogue,
        TALK.c.step,
        TALK.c.slots,
        TALK.c.question,
        TALK.c.serial,
        TALK.c.misses,
        TALK.c.asked_at,
    )
    .select_from(
        _REACHED.outerjoin(TALK, TALK.c.person_id == PERSON.c.id).outerjoin(
            HOOD, HOOD.c.id == PERSON.c.neighbourhood_id
        )
    )
    .where(PERSON.c.id == sa.bindparam("person"))
    .order_by(*_IN_ORDER)
)


def _person(row: Row, **more: Any) -> Person:
    """The person of one row with one address, with `more` about them."""
    reached = row["address_id"] is not None
    return Person(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        form=row["form"],
        street=row["street"],
        neighbourhood=row["neighbourhood_id"],
        joined=row["joined"],
        known=row["known"],
        stopped=row["stopped_at"] is not None,
        paused_until=row["paused_until"],
        channels=(row["channel"],) if reached else (),
        addresses=(row["address_id"],) if reached else (),
        rhythm=row["rhythm"],
        invited_back=row["invited_back"],
        check_in_day=row["check_in_day"],
        check_in_time=row["check_in_time"],
        patience=row["patience"],
        household=row["household_id"],
        heard_at=row["heard_at"],
        **more,
    )


_PEOPLE = Prepared(_ANYBODY.where(PERSON.c.id.in_(sa.bindparam("ids", expanding=True))), lists=("ids",), make=_person)
_STAFF = Prepared(
    _ANYBODY.where(
        PERSON.c.left_at.is_(None),
        sa.or_(
            sa.and_(PERSON.c.neighbourhood_id == sa.bindparam("hood"), PERSON.c.role == "contact"),
            PERSON.c.role == "coordinator",
        ),
    ),
    make=_person,
)
_STAFF_AND_RESIDENTS = Prepared(
    _ANYBODY.where(
        PERSON.c.left_at.is_(None),
        sa.or_(
            sa.and_(
                PERSON.c.neighbourhood_id == sa.bindparam("hood"), sa.or_(PERSON.c.role == "contact", PERSON.c.joined)
            ),
            PERSON.c.role == "coordinator",
        ),
    ),
    make=_person,
)
_CONSENTS = Prepared(
    sa.select(CONSENT.c.kind, CONSENT.c.given, CONSENT.c.text_version)
    .where(CONSENT.c.person_id == sa.bindparam("person"))
    .order_by(CONSENT.c.id)
)
_HOODS = Prepared(sa.select(HOOD).order_by(HOOD.c.id))
_HOOD_STREETS = Prepared(
    sa.select(STREET.c.name).where(STREET.c.neighbourhood_id == sa.bindparam("hood")).order_by(STREET.c.id)
)
_HOOD = Prepared(sa.select(HOOD, _LAST_NUMBER).where(HOOD.c.id == sa.bindparam("hood")))
_STREETS = Prepared(sa.select(STREET.c.neighbourhood_id, STREET.c.name).order_by(STREET.c.id))
_ALL_CONTACTS = Prepared(_ANYBODY.where(PERSON.c.role == "contact", PERSON.c.left_at.is_(None)), make=_person)
_LAST_NUMBERS = Prepared(
    sa.select(CASE.c.neighbourhood_id, sa.func.max(CASE.c.number).label("last")).group_by(CASE.c.neighbourhood_id)
)


def _cases_of(*whose: sa.ColumnElement[bool]) -> sa.CompoundSelect[Any]:
    """Their cases that are not closed, or were not long ago; by index, however many they have had in all these years."""
    closed_at = CASE.c.closed_at
    when = (closed_at.is_(None), closed_at > sa.bindparam("since"))
    return sa.union_all(*(sa.select(CASE).where(who, then) for who in whose for then in when)).order_by("id")


_OWN_CASES = Prepared(_cases_of(CASE.c.person_id == sa.bindparam("person")))
_HOOD_CASES = Prepared(_cases_of(CASE.c.neighbourhood_id == sa.bindparam("hood")))
_ESCALATED = Prepared(
    _cases_of(CASE.c.escalated, sa.and_(CASE.c.claimed_by == sa.bindparam("person"), sa.not_(CASE.c.escalated)))
)
_ONE_CASE = Prepared(
    sa.select(CASE).where(CASE.c.neighbourhood_id == sa.bindparam("hood"), CASE.c.number == sa.bindparam("number"))
)
_HOOD_OFFERS = Prepared(
    sa.select(OFFER)
    .join(PERSON, PERSON.c.id == OFFER.c.person_id)
    .where(PERSON.c.neighbourhood_id == sa.bindparam("hood"), OFFER.c.ended_at.is_(None), PERSON.c.stopped_at.is_(None))
    .order_by(OFFER.c.id)
)
_CHECK_IN = Prepared(
    sa.select(CHECK_IN, CASE.c.neighbourhood_id, CASE.c.number)
    .select_from(CHECK_IN.outerjoin(CASE, CASE.c.id == CHECK_IN.c.case_id))
    .where(CHECK_IN.c.person_id == sa.bindparam("person"), _OPEN_CHECK_IN)
    .order_by(CHECK_IN.c.id.desc())
    .limit(1)
)
_HOUSEHOLD = Prepared(
    sa.select(PERSON.c.id).where(
        PERSON.c.household_id == sa.bindparam("household"),
        PERSON.c.id != sa.bindparam("person"),
        PERSON.c.left_at.is_(None),
    )
)
_OWN_OFFERS = Prepared(sa.select(OFFER).where(OFFER.c.person_id == sa.bindparam("person"), OFFER.c.ended_at.is_(None)))


def read_scene(connection: Connection, now: datetime, person_id: int, message: Message, invite: str = "") -> Scene:
    """The scene of one message of one person, as it stands in this transaction."""
    writer = _WRITER.all(connection, {"person": person_id, "since": now - _JUST_ANSWERED})
    row = writer[0]
    role, hood_id = row["role"], row["neighbourhood_id"]
    hold(connection, hood_id)
    cases, case_hood = _cases(connection, now, row, message)
    if role == "coordinator":
        hood_id = case_hood
    elif hood_id is None and cases:  # a stranger in danger: the people who were told are where the case is
        hood_id = cases[-1]["neighbourhood_id"]
    consents = _consented(_CONSENTS.all(connection, {"person": person_id}), stopped=row["stopped_at"] is not None)
    me = _people(_person(r, **consents) for r in writer)[person_id]
    nearby = _STAFF_AND_RESIDENTS if role != "resident" and hood_id else _STAFF
    people = _people(nearby.made(connection, {"hood": hood_id or 0}))
    staff = tuple(p.id for p in people.values() if p.role != "resident")
    people[person_id] = me
    offers = _HOOD_OFFERS.all(connection, {"hood": hood_id}) if role != "resident" and hood_id else []
    _add_named(connection, people, cases)
    talk, serial = _talk(now, row)
    unjoined = not row["joined"]
    seen = tuple(_case(c, people) for c in cases)
    mine = tuple(c for c in seen if c.state == "draft" and c.person is not None and c.person.id == person_id)
    return Scene(
        now=now,
        person=me,
        message=message,
        place=_with_streets(connection, row, _place(now, *_home(connection, row, hood_id), people))
        if hood_id
        else None,
        coordinators=_coordinators(people[i] for i in staff),
        talk=talk,
        cases=tuple(c for c in seen if c.state in ("open", "claimed") and may_meet(c, me)),
        drafts=mine,
        recent=tuple(
            sorted((c for c in seen if c.state == "closed" and _concerns(c, me)), key=lambda c: c.closed_at or now)
        ),
        offers=tuple(
            Offer(
                o["id"], people[o["person_id"]], o["words"], tuple(o["topics"]), o["times_at_most"], o["paused_until"]
            )
            for o in offers
            if o["person_id"] in people and (o["paused_until"] is None or o["paused_until"] <= now)
        ),
        own_offers=tuple(
            Offer(o["id"], me, o["words"], tuple(o["topics"]), o["times_at_most"], o["paused_until"])
            for o in (_OWN_OFFERS.all(connection, {"person": person_id}) if row["offers"] else ())
        ),
        people=tuple(p for i, p in people.items() if i != person_id and p.joined) if role != "resident" else (),
        places=_places(connection, now) if unjoined else (),
        next_serial=serial + 1,
        focus=(row["focus_neighbourhood"], row["focus_number"]) if row["focus_number"] else None,
        focus_at=row["focus_at"],
        invite=invite,
        check_in=own_check_in(connection, now, me) if row["asked_how"] else None,
        household=_household(connection, now, me),
        everybody=people,
    )


def _cases(
    connection: Connection, now: datetime, row: Mapping[str, Any], message: Message
) -> tuple[list[Row], int | None]:
    since = now - timedelta(days=AFTERTALK_DAYS)
    args = {"person": row["id"], "since": since}
    if row["role"] == "contact" and row["neighbourhood_id"]:
        found = _HOOD_CASES.all(connection, args | {"hood": row["neighbourhood_id"]})
    elif row["role"] == "coordinator":
        found = _ESCALATED.all(connection, args)
    else:
        found = _OWN_CASES.all(connection, args)
    if row["role"] != "coordinator":
        return found, None
    focus = message.case[0] if message.case else row["focus_neighbourhood"]
    number = next((word.strip("#.:,") for word in message.text.split()[:2] if word.strip("#.:,").isdecimal()), "")
    named = [c for c in found if str(c["number"]) == number]
    return found, named[0]["neighbourhood_id"] if len(named) == 1 else focus


def _concerns(case: Case, person: Person) -> bool:
    """A closed case stays visible to who asked it and who did it; a silence to every contact, who may still answer it."""
    mine = case.person is not None and case.person.id == person.id
    silence = case.kind == "silence" and person.role == "contact"
    return mine or silence or (case.claimed_by is not None and case.claimed_by.id == person.id)


def _people(found: Iterable[Person]) -> dict[int, Person]:
    """The people of these rows by number; who has two addresses has two rows."""
    people: dict[int, Person] = {}
    for person in found:
        before = people.setdefault(person.id, person)
        if before is not person and person.channels[0] not in before.channels:
            channels, addresses = (*before.channels, *person.channels), (*before.addresses, *person.addresses)
            people[person.id] = replace(before, channels=channels, addresses=addresses)
    return people


def read_people(connection: Connection, ids: Iterable[int]) -> dict[int, Person]:
    """These people by number, as they are now; without their consents."""
    return _people(_PEOPLE.made(connection, {"ids": sorted(ids)}))


def _add_named(connection: Connection, people: dict[int, Person], cases: Iterable[Row]) -> None:
    """Read who is named in these cases and is not among the people yet."""
    missing = {i for c in cases for i in (c["person_id"], c["claimed_by"]) if i} - people.keys()
    if missing:
        people |= read_people(connection, missing)


def _coordinators(staff: Iterable[Person]) -> tuple[Person, ...]:
    return tuple(p for p in staff if p.role == "coordinator" and p.reachable and p.joined)


def _consents(connection: Connection, person_id: int) -> dict[str, bool]:
    return {r["kind"]: r["given"] for r in _CONSENTS.all(connection, {"person": person_id})}


def _consented(rows: Iterable[Mapping[str, Any]], *, stopped: bool) -> dict[str, Any]:
    """What a person said yes and no to, as fields; the no that we wrote down at a death is not theirs."""
    own: dict[str, bool] = {}
    written_off = False
    for row in rows:
        if row["kind"] == "check_in":
            written_off = row["text_version"].partition("@")[0] == farewell.QUIET
        if not (row["kind"] == "check_in" and written_off):
            own[row["kind"]] = row["given"]
    given = frozenset([kind for kind, yes in own.items() if yes])
    return {"consents": given, "asked": frozenset(own), "written_off": written_off and stopped}


def _home(connection: Connection, writer: Row, hood_id: int) -> tuple[Neighbourhood, int]:
    """The neighbourhood and its last number: the writer's own came along with theirs."""
    if writer["neighbourhood_id"] != hood_id:
        return _hood_by(connection, hood_id)
    times, rota = writer["home_times"] or {}, writer["home_rota"] or {}
    found = Neighbourhood(hood_id, writer["home_name"], writer["home_code"], writer["home_zone"], times, rota)
    return found, writer["home_last"] or 0


def _hood_by(connection: Connection, hood_id: int) -> tuple[Neighbourhood, int]:
    row = _HOOD.one(connection, {"hood": hood_id})
    return neighbourhood(row), row["last"] or 0


def _place(now: datetime, hood: Neighbourhood, last: int, people: Mapping[int, Person]) -> Place:
    contacts = [p for p in people.values() if p.role == "contact" and p.neighbourhood == hood.id and p.joined]
    stand_ins = [p for p in people.values() if p.role == "coordinator" and p.joined]
    everyone = tuple(sorted(contacts, key=lambda c: c.id))
    return Place(hood, (), on_duty(contacts, now, hood, stand_ins), last + 1, everyone)


def _with_streets(connection: Connection, row: Mapping[str, Any], place: Place) -> Place:
    """The streets are only looked up for a resident who gave none yet and may still write it."""
    if row["street"] or not row["joined"] or row["role"] != "resident":
        return place
    found = _HOOD_STREETS.all(connection, {"hood": place.neighbourhood.id})
    return replace(place, streets=tuple(street["name"] for street in found))


def on_duty(
    contacts: Iterable[Person], now: datetime, hood: Neighbourhood, stand_ins: Iterable[Person] = ()
) -> tuple[Person, ...]:
    """The contacts who are there now, whose turn it is first.

    When all are away the coordinators stand in; without those all contacts, because nobody would be worse.
    """
    contacts = [c for c in contacts if c.reachable]
    there = duty.there(hood.rota, contacts, now, hood.zone)
    if there or not contacts:
        return there
    above = tuple(c for c in stand_ins if c.reachable and (c.paused_until is None or c.paused_until <= now))
    return above or tuple(sorted(contacts, key=lambda c: c.id))


def _places(connection: Connection, now: datetime) -> tuple[Place, ...]:
    streets: dict[int, list[str]] = {}
    for street in _STREETS.all(connection):
        streets.setdefault(street["neighbourhood_id"], []).append(street["name"])
    last = {r["neighbourhood_id"]: r["last"] for r in _LAST_NUMBERS.all(connection)}
    hoods = _HOODS.all(connection)
    contacts: dict[int | None, list[Person]] = {}
    for person in _people(_ALL_CONTACTS.made(connection, {})).values():
        if person.joined:
            contacts.setdefault(person.neighbourhood, []).append(person)
    return tuple(
        Place(
            neighbourhood(h),
            tuple(streets.get(h["id"], ())),
            on_duty(contacts.get(h["id"], ()), now, neighbourhood(h)),
            last.get(h["id"], 0) + 1,
            tuple(contacts.get(h["id"], ())),
        )
        for h in hoods
    )


def hood_of(connection: Connection, hood_id: int) -> Row | None:
    """The row of a neighbourhood, None when there is none with that id."""
    return _HOOD.first(connection, {"hood": hood_id})


def neighbourhood(row: Mapping[str, Any]) -> Neighbourhood:
    """A row of the table as the flows see it."""
    return Neighbourhood(row["id"], row["name"], row["code"], row["zone"], row["times"] or {}, row["rota"] or {})


def _talk(now: datetime, row: Row) -> tuple[Talk | None, int]:
    if row["serial"] is None:
        return None, 0
    hours = CHECK_IN_TALK_HOURS if row["dialogue"] == "check_in" else TALK_HOURS
    patience = timedelta(hours=AFTERTHOUGHT_HOURS if row["dialogue"] in AFTERTHOUGHTS else hours)
    lasting = row["dialogue"] == HELP.name  # ends by `help.left_open`, not by itself: an outage of ours takes no words
    if not row["dialogue"] or (now - row["asked_at"] > patience and not lasting):
        return None, row["serial"]
    talk = Talk(
        row["dialogue"], row["step"], row["slots"], row["question"], row["serial"], row["asked_at"], row["misses"]
    )
    return talk, row["serial"]


def _case(row: Mapping[str, Any], people: Mapping[int, Person]) -> Case:
    return Case(
        neighbourhood=row["neighbourhood_id"],
        number=row["number"],
        kind=row["kind"],
        state=row["state"],
        words=row["words"],
        person=people.get(row["person_id"]) if row["person_id"] else None,
        opened_by=row["opened_by"],
        behalf_of=row["behalf_of"],
        topics=tuple(row["topics"]),
        urgency=row["urgency"],
        when=row["when_words"],
        nameless=row["nameless"],
        wordless=row["wordless"],
        only_contact=row["only_contact"],
        claimed_by=people.get(row["claimed_by"]) if row["claimed_by"] else None,
        rung=row["rung"],
        opened_at=row["opened_at"],
        touched_at=row["touched_at"],
        closed_at=row["closed_at"],
        outcome=row["outcome"],
        escalated=row["escalated"],
        attachments=tuple(Attachment(**a) for a in row["attachments"] or ()),
    )


def read_case_scene(connection: Connection, now: datetime, hood_id: int, number: int) -> tuple[Scene, Case] | None:
    """The scene of a due date on a case: its asker (or who opened it), the contacts and the coordinator."""
    hold(connection, hood_id)
    row = _ONE_CASE.first(connection, {"hood": hood_id, "number": number})
    if row is None:
        return None
    people = _people(_STAFF.made(connection, {"hood": hood_id}))
    staff = tuple(people.values())
    _add_named(connection, people, (row, {**row, "person_id": row["opened_by"]}))
    person = people.get(row["person_id"]) or people.get(row["opened_by"]) or Person(0, "", channels=())
    scene = Scene(
        now=now,
        person=person,
        message=Message(""),
        place=_place(now, *_hood_by(connection, hood_id), people),
        coordinators=_coordinators(staff),
        everybody=people,
    )
    return scene, _case(row, people)


def own_check_in(connection: Connection, now: datetime, person: Person) -> CheckIn | None:
    """The person's check-in that is open, or was answered within the hour."""
    args = {"person": person.id, "since": now - _JUST_ANSWERED}
    row = _CHECK_IN.first(connection, args)
    return check_in_of(row, person) if row else None


def check_in_of(row: Mapping[str, Any], person: Person) -> CheckIn:
    """A row of the table as the flows see it, without what only a due date needs."""
    return CheckIn(
        id=row["id"],
        person=person,
        slot=row["slot"],
        state=row["state"],
        rung=row["rung"],
        asked_at=row["asked_at"],
        answered_at=row["answered_at"],
        variant=row["variant"],
        case=(row["neighbourhood_id"], row["number"]) if row["number"] else None,
    )


def _household(connection: Connection, now: datetime, person: Person) -> tuple[CheckIn, ...]:
    """The open check-ins that this person's answer covers: of who lives there too, when each of them agreed to that."""
    if person.household is None or "household" not in person.consents:
        return ()
    args = {"household": person.household, "person": person.id}
    others = [r["id"] for r in _HOUSEHOLD.all(connection, args) if _consents(connection, r["id"]).get("household")]
    found = (own_check_in(connection, now, Person(i, "")) for i in others)
    return tuple(c for c in found if c is not None and c.state in ("asked", "flagged"))


def read_hood_scene(connection: Connection, now: datetime, hood_id: int) -> Scene:
    """The scene of a due date of a whole neighbourhood: its contacts, the coordinators and its open cases."""
    hold(connection, hood_id)
    people = _people(_STAFF.made(connection, {"hood": hood_id}))
    staff = tuple(people.values())
    cases = _HOOD_CASES.all(connection, {"hood": hood_id, "since": now})
    _add_named(connection, people, cases)
    return Scene(
        now=now,
        person=Person(0, ""),
        message=Message(""),
        place=_place(now, *_hood_by(connection, hood_id), people),
        coordinators=_coordinators(staff),
        cases=tuple(_case(c, people) for c in cases if c["state"] in ("open", "claimed")),
        everybody=people,
    )
