"""Effects become rows: each one guarded write, all in the turn's transaction, texts rendered inside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows import contract as c
from flows import duty
from flows.say import whole
from flows.texts import Texts
from flows.times import into_day
from storage import rounds, tables
from storage.database import Conflict
from storage.prepared import Prepared
from storage.rows import change
from storage.scene import (
    ADDRESS,
    CASE,
    CHECK_IN,
    CONSENT,
    HOOD,
    OFFER,
    PERSON,
    TALK,
    hood_of,
    neighbourhood,
    read_people,
    table,
)  # fmt: skip
from storage.seal import forget_names

OUTGOING, INCOMING = table(tables.Outgoing), table(tables.Incoming)
CASE_WORDS, AUDIT = table(tables.CaseWords), table(tables.Audit)
INVITE, MISHEARD, ROUND = table(tables.Invite), table(tables.Misheard), table(tables.Round)

MENTION = 20  # letters of her words in quotes by which a list is known to show them: it shortens the rest
NAME_PART = 3  # "Riet" of "Riet de Vries" is sought by itself as well; "de" is not

_SEND = Prepared(OUTGOING.insert())
_CASE_NEW, _WORDS_NEW, _AUDIT_NEW = Prepared(CASE.insert()), Prepared(CASE_WORDS.insert()), Prepared(AUDIT.insert())
_TALK_NEW, _ROUND_NEW, _CONSENT_NEW = Prepared(TALK.insert()), Prepared(ROUND.insert()), Prepared(CONSENT.insert())
_TALK_MOVE = Prepared(
    TALK.update()
    .where(TALK.c.person_id == sa.bindparam("p_person"), TALK.c.serial == sa.bindparam("p_serial"))
    .values(
        dialogue=sa.bindparam("p_dialogue"),
        step=sa.bindparam("p_step"),
        slots=sa.bindparam("p_slots"),
        question=sa.bindparam("p_question"),
        serial=sa.bindparam("p_next"),
        misses=sa.bindparam("p_misses"),
        asked_at=sa.bindparam("p_at"),
    )
)
_TALK_END = Prepared(
    TALK.update()
    .where(TALK.c.person_id == sa.bindparam("p_person"), TALK.c.serial == sa.bindparam("p_serial"))
    .values(dialogue="", step="", slots=None, question="")
)
_CASE_KEY = sa.and_(CASE.c.neighbourhood_id == sa.bindparam("p_hood"), CASE.c.number == sa.bindparam("p_number"))
_TALK_KEEP = Prepared(
    TALK.update()
    .where(TALK.c.person_id == sa.bindparam("p_person"), TALK.c.serial == sa.bindparam("p_serial"))
    .values(slots=sa.bindparam("p_slots"), misses=sa.bindparam("p_misses"))
)
_ALIVE = sa.and_(
    OUTGOING.c.neighbourhood_id == sa.bindparam("p_hood"),
    OUTGOING.c.case_number == sa.bindparam("p_number"),
    OUTGOING.c.buttons,
)
_NO_BUTTONS = Prepared(
    OUTGOING.update()
    .where(_ALIVE)
    .values(buttons=False)
    .returning(OUTGOING.c.id, OUTGOING.c.person_id, OUTGOING.c.address_id, OUTGOING.c.channel, OUTGOING.c.provider_id)
)


@cache
def _case_touch(names: tuple[str, ...]) -> Prepared:
    """A case gets these columns; gives its id."""
    columns = {name: sa.bindparam(f"v_{name}", type_=CASE.c[name].type) for name in names}
    return Prepared(CASE.update().where(_CASE_KEY).values(columns).returning(CASE.c.id))


@cache
def _case_move(names: tuple[str, ...], *, claimed: bool) -> Prepared:
    """A case from one state to another, setting these columns, if it still is in the first one and with that claimer."""
    before = CASE.c.claimed_by == sa.bindparam("p_before") if claimed else CASE.c.claimed_by.is_(None)
    columns = {name: sa.bindparam(f"v_{name}", type_=CASE.c[name].type) for name in names}
    return Prepared(CASE.update().where(_CASE_KEY, CASE.c.state == sa.bindparam("p_state"), before).values(columns))


@cache
def _check_in_move(names: tuple[str, ...]) -> Prepared:
    """A check-in from one state and rung to another, setting these columns; gives whose it is."""
    before = (
        CHECK_IN.c.id == sa.bindparam("p_id"),
        CHECK_IN.c.state == sa.bindparam("p_state"),
        CHECK_IN.c.rung == sa.bindparam("p_rung"),
    )
    columns = {name: sa.bindparam(f"v_{name}", type_=CHECK_IN.c[name].type) for name in names}
    return Prepared(CHECK_IN.update().where(*before).values(columns).returning(CHECK_IN.c.person_id))


_OPEN_CHECK_IN = ("asked", "flagged")
# What still waits to be sent about a check-in that moved on has lost its use.
_ASKING_DROP = Prepared(
    OUTGOING.update()
    .where(OUTGOING.c.check_in_id == sa.bindparam("p_id"), OUTGOING.c.state == "waiting")
    .values(state="dropped", error="answered")
)
# An older question that nobody closed is answered with the newer one.
_OLDER_ANSWER = Prepared(
    CHECK_IN.update()
    .where(
        CHECK_IN.c.person_id == sa.bindparam("p_person"),
        CHECK_IN.c.id < sa.bindparam("p_id"),
        CHECK_IN.c.state.in_(_OPEN_CHECK_IN),
    )
    .values(state="answered", answer="later", due_at=None)
)
_BEATS = frozenset({"rhythm", "check_in_day", "check_in_time", "neighbourhood"})  # what moves the next question


class Writer:
    """Applies the effects of one turn in its transaction."""

    def __init__(
        self, connection: Connection, texts: Texts, now: datetime, answers: int | None = None, *, late: bool = False
    ) -> None:
        """`answers` is the incoming row this turn is about, kept with what goes out for tracing without words.

        `late` says that it waited so long, by our doing, that whoever sent it may be asleep by now.
        """
        self._connection, self._texts, self._now, self._answers = connection, texts, now, answers
        self._late = late
        self._changed: dict[int, c.Person | None] = {}  # people who are not any more as the scene has them
        self.erased = False

    def apply(self, scene: c.Scene, effects: Iterable[c.Effect]) -> None:
        """Write them all, in order. Raises Conflict when somebody was first, TextError for a text that is wrong."""
        erase: list[c.Erase] = []
        for effect in effects:
            if isinstance(effect, c.Erase):
                erase.append(effect)  # last, so that the goodbye still finds its address
                continue
            _WRITES[type(effect)](self, scene, effect)
        for effect in erase:
            self._erase(effect)

    # --- what is said ---

    def _say(self, scene: c.Scene, say: c.Say, kind: str = "text", attachment: Any = None) -> str:
        to = self._recipient(scene, say.to)
        if to is None or not to.addresses or (to.stopped and say.urgency != "safety"):
            return ""
        if self._late and say.urgency == "reply":
            say = replace(say, urgency="talk")
        which = len(to.addresses) > 1 if say.other_channel else 0
        text = self._texts.render(say.text, to.form, say.args)
        body: dict[str, Any] = {"text": text, "key": say.text, "choices": []}
        if say.choices:
            body |= self._choices(say, to.form)
        if attachment:
            body["attachment"] = attachment
        due = self._now
        awake = to.heard_at is not None and self._now - to.heard_at < timedelta(hours=c.TALKING_HOURS)
        if say.urgency == "news" or (say.urgency == "talk" and not awake):
            due = into_day(self._now, self._home(scene, to))
        expires = due + timedelta(minutes=say.expires_minutes) if say.expires_minutes else None
        _SEND.run(
            self._connection,
            {
                "person_id": say.to,
                "address_id": to.addresses[which],
                "channel": to.channels[which],
                "kind": kind,
                "body": body,
                "neighbourhood_id": say.case[0] if say.case else None,
                "case_number": say.case[1] if say.case else None,
                "urgency": say.urgency,
                "state": "waiting",
                "due_at": due,
                "expires_at": expires,
                "attempts": 0,
                "error": "",
                "segments": 0,
                "buttons": bool(say.choices),
                "check_in_id": say.check_in,
                "answers_id": self._answers,
                "created_at": self._now,
            },
        )
        return text

    def _choices(self, say: c.Say, form: str) -> dict[str, Any]:
        """The buttons below a text, and how the orders among them are written where there are no buttons."""
        labels = [[self._texts.render(ch.label, form, ch.args), ch.data] for ch in say.choices]
        orders = tuple(
            c.T(f"sms.{verb}", ch.args)
            for ch in say.choices
            if (verb := ch.data.rpartition(":")[2]) and ch.data.startswith("c:") and f"sms.{verb}" in self._texts
        )
        written = {"orders": self._texts.render("sms.write", form, {"orders": orders})} if orders else {}
        return {"choices": labels, **written}

    def _copy(self, scene: c.Scene, copy: c.Copy) -> None:
        kind = c.T(f"help.kind_{copy.attachment.kind}")
        said = c.Say(copy.to, copy.described, {**copy.args, "kind": kind}, case=copy.case, urgency=copy.urgency)
        self._say(scene, said, kind="copy", attachment=asdict(copy.attachment))

    def _unbutton(self, _scene: c.Scene, effect: c.Unbutton) -> None:
        hood, number = effect.case
        for row in _NO_BUTTONS.all(self._connection, {"p_hood": hood, "p_number": number}):
            if row["channel"] != "telegram":
                continue
            _SEND.run(
                self._connection,
                {
                    "person_id": row["person_id"],
                    "address_id": row["address_id"],
                    "channel": row["channel"],
                    "kind": "unbutton",
                    "body": {"target": row["id"]},
                    "neighbourhood_id": hood,
                    "case_number": number,
                    "urgency": "reply",
                    "state": "waiting",
                    "due_at": self._now,
                    "expires_at": self._now + timedelta(hours=12),
                    "attempts": 0,
                    "error": "",
                    "segments": 0,
                    "buttons": False,
                    "answers_id": self._answers,
                    "created_at": self._now,
                },
            )

    def _recipient(self, scene: c.Scene, person: int) -> c.Person | None:
        if person in scene.everybody and person not in self._changed:
            return scene.everybody[person]
        if self._changed.get(person) is None:
            self._changed[person] = read_people(self._connection, (person,)).get(person)
        return self._changed[person]

    def _home(self, scene: c.Scene, person: c.Person) -> c.Neighbourhood:
        """Whose day and night count for somebody. A coordinator has no neighbourhood, but sleeps as well."""
        if scene.place is not None and scene.place.neighbourhood.id == person.neighbourhood:
            return scene.place.neighbourhood
        row = hood_of(self._connection, person.neighbourhood) if person.neighbourhood else None
        return neighbourhood(row) if row else c.Neighbourhood(0, "", "")

    # --- talks ---

    def _ask_next(self, scene: c.Scene, effect: c.AskNext) -> None:
        text = self._say(scene, effect.say)
        serial = scene.next_serial - 1
        values = {
            "dialogue": effect.dialogue,
            "step": effect.step,
            "slots": dict(effect.slots),
            "question": text,
            "misses": effect.misses,
        }
        moved = _TALK_MOVE.run(
            self._connection,
            {
                "p_person": effect.to,
                "p_serial": serial,
                "p_next": serial + 1,
                "p_at": self._now,
                **{f"p_{k}": v for k, v in values.items()},
            },
        )
        if moved:
            return
        if serial:
            raise Conflict
        self._insert(_TALK_NEW, {"person_id": effect.to, "serial": 1, "asked_at": self._now, **values})

    def _keep_talk(self, _scene: c.Scene, effect: c.KeepTalk) -> None:
        talk = {"p_person": effect.person, "p_serial": effect.serial}
        if not _TALK_KEEP.run(self._connection, {**talk, "p_slots": dict(effect.slots), "p_misses": effect.misses}):
            raise Conflict

    def _end_talk(self, _scene: c.Scene, effect: c.EndTalk) -> None:
        _TALK_END.run(self._connection, {"p_person": effect.person, "p_serial": effect.serial})

    # --- people ---

    def _set_person(self, _scene: c.Scene, effect: c.SetPerson) -> None:
        changes = {k: v for k, v in effect.changes.items() if k != "neighbourhood"}
        if "neighbourhood" in effect.changes:
            changes["neighbourhood_id"] = effect.changes["neighbourhood"]
        change(self._connection, PERSON, effect.person, **changes)
        self._changed[effect.person] = None
        if _BEATS & set(effect.changes):
            rounds.plan(self._connection, effect.person, self._now)

    def _set_consent(self, _scene: c.Scene, effect: c.SetConsent) -> None:
        version = f"{effect.text}@{self._texts.version(effect.text)}"
        given = {"kind": effect.kind, "given": effect.given, "text_version": version}
        _CONSENT_NEW.run(self._connection, {"person_id": effect.person, "at": self._now, **given})
        if effect.kind == "check_in":
            rounds.plan(self._connection, effect.person, self._now)

    def _stop_person(self, _scene: c.Scene, effect: c.StopPerson) -> None:
        at = self._now if effect.stopped else None
        self._connection.execute(PERSON.update().where(PERSON.c.id == effect.person).values(stopped_at=at))
        if effect.stopped:  # what still waits is not sent any more; safety and the goodbye are
            waiting = sa.and_(
                OUTGOING.c.person_id == effect.person, OUTGOING.c.state == "waiting", OUTGOING.c.urgency != "safety"
            )
            self._connection.execute(OUTGOING.update().where(waiting).values(state="dropped", error="stopped"))
        self._changed[effect.person] = None

    def _focus(self, _scene: c.Scene, effect: c.Focus) -> None:
        hood, number = effect.case or (None, None)
        change(
            self._connection, PERSON, effect.person,
            focus_neighbourhood=hood, focus_number=number, focus_at=self._now,
        )  # fmt: skip

    # --- cases ---

    def _open_case(self, _scene: c.Scene, e: c.OpenCase) -> None:
        self._insert(
            _CASE_NEW,
            {
                "neighbourhood_id": e.key[0],
                "number": e.key[1],
                "kind": e.kind,
                "state": e.state,
                "person_id": e.person,
                "opened_by": e.opened_by,
                "behalf_of": e.behalf_of,
                "words": e.words,
                "topics": list(e.topics),
                "urgency": e.urgency,
                "when_words": e.when,
                "nameless": e.nameless,
                "wordless": e.wordless,
                "only_contact": e.only_contact,
                "attachments": [asdict(a) for a in e.attachments],
                "claimed_by": e.claimed_by,
                "rung": 0,
                "due_at": e.due_at,
                "escalated": e.escalated,
                "outcome": "",
                "opened_at": self._now,
                "touched_at": self._now,
            },
        )

    def _move_case(self, _scene: c.Scene, e: c.MoveCase) -> None:
        values = {
            "state": e.to_state,
            "claimed_by": e.claimed_by,
            "rung": e.rung,
            "due_at": e.due_at,
            "outcome": e.outcome,
            "touched_at": self._now,
            "closed_at": self._now if e.to_state == "closed" else None,
            **e.changes,
        }
        claimed = e.claimed_by_before is not None
        args = {"p_hood": e.key[0], "p_number": e.key[1], "p_state": e.from_state}
        args |= {f"v_{name}": value for name, value in values.items()}
        if claimed:
            args["p_before"] = e.claimed_by_before
        if not _case_move(tuple(values), claimed=claimed).run(self._connection, args):
            raise Conflict
        self._audit(e.by, f"{e.from_state}_{e.to_state}", e.key)

    def _climb(self, _scene: c.Scene, e: c.ClimbLadder) -> None:
        changes: dict[str, Any] = {"rung": e.from_rung + 1, "due_at": e.due_at, **e.changes}
        if e.escalated:
            changes["escalated"] = True
        climbed = self._connection.execute(
            CASE.update()
            .where(_CASE_KEY, CASE.c.rung == e.from_rung, CASE.c.due_at <= self._now, CASE.c.state != "closed")
            .values(**changes),
            {"p_hood": e.key[0], "p_number": e.key[1]},
        )
        if not climbed.rowcount:
            raise Conflict

    def _add_to_case(self, _scene: c.Scene, e: c.AddToCase) -> None:
        changes: dict[str, Any] = {"touched_at": self._now}
        if e.due_at:
            changes |= {"due_at": e.due_at, "rung": 0}
        if e.instead is not None:
            changes["words"] = e.instead
        args = {"p_hood": e.key[0], "p_number": e.key[1], **{f"v_{name}": value for name, value in changes.items()}}
        case_id = _case_touch(tuple(changes)).one(self._connection, args)["id"]
        attachment = asdict(e.attachment) if e.attachment else None
        _WORDS_NEW.run(
            self._connection,
            {"case_id": case_id, "author_id": e.author, "words": e.words, "attachment": attachment, "at": self._now},
        )

    def _misheard(self, _scene: c.Scene, e: c.Misheard) -> None:
        row = self._connection.execute(
            sa.select(CASE.c.words, CASE.c.topics, CASE.c.kind).where(_CASE_KEY),
            {"p_hood": e.key[0], "p_number": e.key[1]},
        ).one()
        self._connection.execute(
            MISHEARD.insert(),
            {"words": row.words, "heard_as": " ".join([row.kind, *row.topics]), "person_id": e.by, "at": self._now},
        )

    # --- how somebody is, and who is on duty ---

    def _move_check_in(self, _scene: c.Scene, e: c.MoveCheckIn) -> None:
        changes: dict[str, Any] = {"state": e.to_state, "rung": e.rung, "due_at": e.due_at}
        if e.answer:
            changes["answer"] = e.answer
        if e.asked:
            changes["asked_at"] = self._now
        if e.variant:
            changes["variant"] = e.variant
        if e.to_state == "answered":
            changes["answered_at"] = self._now
        if e.case:
            key = {"p_hood": e.case[0], "p_number": e.case[1]}
            changes["case_id"] = self._connection.execute(sa.select(CASE.c.id).where(_CASE_KEY), key).scalar_one()
        args = {"p_id": e.id, "p_state": e.from_state, "p_rung": e.from_rung}
        args |= {f"v_{name}": value for name, value in changes.items()}
        moved = _check_in_move(tuple(changes)).first(self._connection, args)
        if moved is None:
            raise Conflict
        if e.to_state != "asked":
            _ASKING_DROP.run(self._connection, {"p_id": e.id})
        if e.to_state == "answered":
            _OLDER_ANSWER.run(self._connection, {"p_person": moved["person_id"], "p_id": e.id})

    def _saw_person(self, _scene: c.Scene, e: c.SawPerson) -> None:
        # a sign of life, but no word of hers: texts that go at once to who just wrote still wait for the day
        at = self._now - timedelta(hours=c.TALKING_HOURS)
        longer_ago = sa.or_(PERSON.c.heard_at.is_(None), PERSON.c.heard_at < at)
        self._connection.execute(PERSON.update().where(PERSON.c.id == e.person, longer_ago).values(heard_at=at))
        self._connection.execute(
            CHECK_IN.update()
            .where(CHECK_IN.c.person_id == e.person, CHECK_IN.c.state.in_(_OPEN_CHECK_IN))
            .values(state="seen", due_at=None)
        )
        self._audit(e.by, "saw_person", None)

    def _change_rota(self, _scene: c.Scene, e: c.ChangeRota) -> None:
        # the row is locked while it is read and written, so two contacts who change it at once both count
        row = self._connection.execute(
            sa.select(HOOD.c.rota).where(HOOD.c.id == e.neighbourhood).with_for_update()
        ).scalar_one()
        self._connection.execute(
            HOOD.update().where(HOOD.c.id == e.neighbourhood).values(rota=duty.changed(row or {}, e, self._now.date()))
        )

    def _set_look(self, _scene: c.Scene, e: c.SetLook) -> None:
        before = HOOD.c.look_at.is_(None) if e.before is None else HOOD.c.look_at == e.before
        moved = self._connection.execute(HOOD.update().where(HOOD.c.id == e.neighbourhood, before).values(look_at=e.at))
        if not moved.rowcount:
            raise Conflict

    def _once(self, _scene: c.Scene, e: c.Once) -> None:
        self._insert(_ROUND_NEW, {"neighbourhood_id": e.neighbourhood, "slot": e.slot, "done_at": self._now})

    # --- offers and notes ---

    def _add_offer(self, _scene: c.Scene, e: c.AddOffer) -> None:
        self._connection.execute(
            OFFER.insert(),
            {
                "person_id": e.person,
                "words": e.words,
                "topics": list(e.topics),
                "times_at_most": e.limit,
                "created_at": self._now,
            },
        )

    def _pause_offers(self, _scene: c.Scene, e: c.PauseOffers) -> None:
        changes = {"paused_until": e.until} if e.until else {"ended_at": self._now}
        alive = sa.and_(OFFER.c.person_id == e.person, OFFER.c.ended_at.is_(None))
        self._connection.execute(OFFER.update().where(alive).values(**changes))

    def _note(self, _scene: c.Scene, e: c.Note) -> None:
        self._audit(e.person, e.action, e.case)

    def _audit(self, person: int, action: str, key: c.CaseKey | None) -> None:
        hood, number = key or (None, None)
        _AUDIT_NEW.run(
            self._connection,
            {"person_id": person, "action": action, "neighbourhood_id": hood, "case_number": number, "at": self._now},
        )

    def _erase(self, effect: c.Erase) -> None:
        erase_person(self._connection, effect.person, self._now, keep_answers_to=self._answers)
        self.erased = True

    def _insert(self, statement: Prepared, values: dict[str, Any]) -> None:
        """An insert that another writer may have done first: its unique key makes that a Conflict."""
        try:
            statement.run(self._connection, values)
        except sa.exc.IntegrityError:
            raise Conflict from None


_WRITES: dict[type, Callable[[Writer, c.Scene, Any], Any]] = {
    c.Say: Writer._say,
    c.Copy: Writer._copy,
    c.Unbutton: Writer._unbutton,
    c.AskNext: Writer._ask_next,
    c.KeepTalk: Writer._keep_talk,
    c.EndTalk: Writer._end_talk,
    c.SetPerson: Writer._set_person,
    c.SetConsent: Writer._set_consent,
    c.StopPerson: Writer._stop_person,
    c.OpenCase: Writer._open_case,
    c.MoveCase: Writer._move_case,
    c.ClimbLadder: Writer._climb,
    c.AddToCase: Writer._add_to_case,
    c.Focus: Writer._focus,
    c.AddOffer: Writer._add_offer,
    c.PauseOffers: Writer._pause_offers,
    c.Note: Writer._note,
    c.Misheard: Writer._misheard,
    c.MoveCheckIn: Writer._move_check_in,
    c.SawPerson: Writer._saw_person,
    c.ChangeRota: Writer._change_rota,
    c.SetLook: Writer._set_look,
    c.Once: Writer._once,
}


def _forget_mentions(connection: Connection, person: int) -> None:
    """Wipe what her contacts and coordinators wrote about her, and lists with her matters among others, once that is done
    with. What belongs to a matter of her own goes with it; what a neighbour wrote about her is the neighbour's.
    """
    name, home = connection.execute(
        sa.select(PERSON.c.name, PERSON.c.neighbourhood_id).where(PERSON.c.id == person)
    ).one()
    cases = connection.execute(sa.select(CASE.c.words, CASE.c.neighbourhood_id).where(CASE.c.person_id == person)).all()
    called = {name, next((part for part in name.split() if len(part) >= NAME_PART), name)} - {""}
    signs = [rf"(?<!\w){re.escape(one)}s?(?!\w)" for one in sorted(called)]
    signs += [re.escape(f'"{whole(row.words)[:MENTION]}') for row in cases if row.words]
    if not signs:
        return
    hers = re.compile("|".join(signs), re.IGNORECASE)
    hoods = {home, *(row.neighbourhood_id for row in cases)} - {None}
    helps = sa.or_(
        sa.and_(PERSON.c.role == "contact", PERSON.c.neighbourhood_id.in_(hoods)), PERSON.c.role == "coordinator"
    )
    readers = sa.select(PERSON.c.id).where(helps, PERSON.c.id != person)
    told = sa.and_(OUTGOING.c.state.not_in(("waiting", "sending")), OUTGOING.c.case_number.is_(None))
    wiped: dict[str, Any] = {"body": None}
    for rows, done, changes in (
        (OUTGOING, told, wiped),
        (INCOMING, INCOMING.c.handled_at.is_not(None), wiped | {"sender_hash": b"", "person_id": None}),
    ):
        kept = sa.select(rows.c.id, rows.c.body).where(rows.c.person_id.in_(readers), done, rows.c.body.is_not(None))
        gone = [row.id for row in connection.execute(kept) if hers.search(row.body.get("text", ""))]
        for start in range(0, len(gone), 500):
            connection.execute(rows.update().where(rows.c.id.in_(gone[start : start + 500])).values(**changes))


def erase_person(connection: Connection, person: int, now: datetime, keep_answers_to: int | None = None) -> None:
    """Forget a person: every word, name, address and hash. What stays says nothing: that a row was there, and counts.

    `keep_answers_to` is the incoming row whose answer (the goodbye) still has to be sent; it is wiped once it is.
    """
    _forget_mentions(connection, person)
    forget_names()
    own = sa.select(CASE.c.id).where(CASE.c.person_id == person)
    keys = connection.execute(sa.select(CASE.c.neighbourhood_id, CASE.c.number).where(CASE.c.person_id == person)).all()
    connection.execute(
        CASE_WORDS.delete().where(sa.or_(CASE_WORDS.c.case_id.in_(own), CASE_WORDS.c.author_id == person))
    )
    connection.execute(
        CASE.update()
        .where(CASE.c.person_id == person)
        .values(
            person_id=None, words="", behalf_of="", when_words="", attachments=None, topics=[], state="closed",
            outcome="left", due_at=None, closed_at=now, wiped_at=now,
        )
    )  # fmt: skip
    connection.execute(
        CASE.update()
        .where(CASE.c.claimed_by == person, CASE.c.state == "claimed")
        .values(state="open", claimed_by=None, rung=0, due_at=now)
    )
    goodbye = (
        # most rows answer nobody, and "not equal" says nothing about those
        sa.and_(OUTGOING.c.answers_id.is_not_distinct_from(keep_answers_to), OUTGOING.c.state == "waiting")
        if keep_answers_to
        else sa.false()
    )
    mine = sa.and_(OUTGOING.c.person_id == person, sa.not_(goodbye))
    about = [
        sa.and_(OUTGOING.c.neighbourhood_id == hood, OUTGOING.c.case_number == number, sa.not_(goodbye))
        for hood, number in keys
    ]
    for those in (mine, *about):  # what waits for the morning would tell others what she asked
        connection.execute(
            OUTGOING.update().where(those, OUTGOING.c.state == "waiting").values(state="dropped", error="left")
        )
    for those in about:
        connection.execute(OUTGOING.update().where(those).values(body=None))
    # the check-ins go, and SQLite may give their numbers to others
    gone = {"body": None, "address_id": None, "provider_id": None, "check_in_id": None}
    connection.execute(OUTGOING.update().where(mine).values(**gone))
    for address in connection.execute(
        sa.select(ADDRESS.c.value, ADDRESS.c.id).where(ADDRESS.c.person_id == person)
    ).all():
        for row in connection.execute(
            sa.select(OUTGOING.c.id, OUTGOING.c.body).where(
                OUTGOING.c.address_id == address.id, OUTGOING.c.state == "waiting"
            )
        ).all():
            connection.execute(
                OUTGOING.update()
                .where(OUTGOING.c.id == row.id)
                .values(body={**row.body, "to": address.value}, address_id=None)
            )
    connection.execute(
        INCOMING.update().where(INCOMING.c.person_id == person).values(body=None, sender_hash=b"", person_id=None)
    )
    for rows in (ADDRESS, INVITE, CONSENT, OFFER, TALK):
        connection.execute(rows.delete().where(rows.c.person_id == person))
    connection.execute(CHECK_IN.delete().where(CHECK_IN.c.person_id == person))
    connection.execute(MISHEARD.delete().where(MISHEARD.c.person_id == person))
    connection.execute(
        PERSON.update()
        .where(PERSON.c.id == person)
        .values(
            name="", street="", joined=False, known=False, role="resident", neighbourhood_id=None, left_at=now,
            stopped_at=now, welcome_due=False, focus_neighbourhood=None, focus_number=None, paused_until=None,
            asks_at=None, household_id=None,
        )
    )  # fmt: skip
