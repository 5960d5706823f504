"""The tables: everything the bot remembers. Names and words are sealed; all moments are aware UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from storage.seal import Sealed, SealedJson


def _now() -> datetime:
    return datetime.now(UTC)


def sealed(column: str, *, nullable: bool = False, is_name: bool = False) -> Any:
    """A sealed text field."""
    kind = Sealed(column, is_name=is_name)
    return Field(default=None if nullable else "", sa_column=sa.Column(kind, nullable=nullable))


def sealed_json(column: str) -> Any:
    """A sealed JSON field."""
    return Field(default=None, sa_column=sa.Column(SealedJson(column), nullable=True))


def plain_json() -> Any:
    """A JSON field that says nothing about anybody."""
    return Field(default_factory=dict, sa_column=sa.Column(sa.JSON, nullable=False))


class Organisation(SQLModel, table=True):
    """A stadsdorp: one deployment."""

    id: int | None = Field(default=None, primary_key=True)
    name: str


class Neighbourhood(SQLModel, table=True):
    """A binnenbuurt with its own times (`flows/times.py`) and duty rota."""

    id: int | None = Field(default=None, primary_key=True)
    organisation_id: int = Field(foreign_key="organisation.id")
    name: str
    code: str = Field(unique=True)
    zone: str = "Europe/Amsterdam"
    times: dict[str, Any] = plain_json()
    rota: dict[str, Any] = plain_json()
    look_at: datetime | None = None  # when its calendar (who is away, the weekly line) is looked at next

    __table_args__ = (sa.Index("ix_neighbourhood_look", "look_at"),)


class Street(SQLModel, table=True):
    """A street of a neighbourhood."""

    id: int | None = Field(default=None, primary_key=True)
    neighbourhood_id: int = Field(foreign_key="neighbourhood.id", index=True)
    name: str


class Person(SQLModel, table=True):
    """One human: resident, contact or coordinator."""

    id: int | None = Field(default=None, primary_key=True)
    neighbourhood_id: int | None = Field(default=None, foreign_key="neighbourhood.id", index=True)
    name: str = sealed("person.name", is_name=True)
    street: str = sealed("person.street", is_name=True)
    role: str = "resident"
    form: str = "u"
    joined: bool = False
    known: bool = False
    stopped_at: datetime | None = None
    paused_until: datetime | None = None
    welcome_due: bool = Field(default=False)
    invited_back: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    rhythm: str = "weekly"
    check_in_day: int | None = None
    check_in_time: str | None = None
    household_id: int | None = None
    patience: str = ""
    asks_at: datetime | None = None  # when the next "hoe gaat het" is due; None without a yes to it
    focus_neighbourhood: int | None = None
    focus_number: int | None = None
    focus_at: datetime | None = None
    heard_at: datetime | None = None
    created_at: datetime = Field(default_factory=_now)
    left_at: datetime | None = None

    __table_args__ = (
        sa.Index(
            "ix_person_welcome", "id", sqlite_where=sa.text("welcome_due"), postgresql_where=sa.text("welcome_due")
        ),
        sa.Index("ix_person_role", "role", "neighbourhood_id"),
        sa.Index(
            "ix_person_asks",
            "asks_at",
            sqlite_where=sa.text("asks_at IS NOT NULL"),
            postgresql_where=sa.text("asks_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_person_paused",
            "paused_until",
            sqlite_where=sa.text("paused_until IS NOT NULL"),
            postgresql_where=sa.text("paused_until IS NOT NULL"),
        ),
    )


class Address(SQLModel, table=True):
    """A phone number or Telegram chat of a person, found by its keyed hash."""

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    channel: str
    value: str = sealed("address.value")
    value_hash: bytes
    state: str = "active"
    last_used_at: datetime = Field(default_factory=_now)

    __table_args__ = (sa.UniqueConstraint("channel", "value_hash"),)


class Consent(SQLModel, table=True):
    """A yes or no to one thing, with the version of the text that asked; the latest of a kind counts."""

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    kind: str
    given: bool
    text_version: str
    at: datetime = Field(default_factory=_now)


class Invite(SQLModel, table=True):
    """A one-time code for one person; only its keyed hash is kept."""

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    code_hash: bytes = Field(unique=True)
    expires_at: datetime
    used_at: datetime | None = None


class Talk(SQLModel, table=True):
    """The bookmark in a dialogue, one row per person; an empty dialogue is no talk. The serial only grows."""

    person_id: int = Field(primary_key=True, foreign_key="person.id")
    dialogue: str = ""
    step: str = ""
    slots: Any = sealed_json("talk.slots")
    question: str = sealed("talk.question")
    serial: int = 0
    misses: int = 0
    asked_at: datetime | None = None

    __table_args__ = (
        sa.Index(
            "ix_talk_waits",
            "asked_at",
            sqlite_where=sa.text("dialogue = 'help'"),
            postgresql_where=sa.text("dialogue = 'help'"),
        ),
    )


class Incoming(SQLModel, table=True):
    """One message as it arrived, before anything was thought about it."""

    id: int | None = Field(default=None, primary_key=True)
    channel: str
    external_id: str
    sender_hash: bytes
    body: Any = sealed_json("incoming.body")
    received_at: datetime = Field(default_factory=_now)
    handled_at: datetime | None = None
    attempts: int = 0
    person_id: int | None = Field(default=None, index=True)

    __table_args__ = (
        sa.UniqueConstraint("channel", "external_id"),
        sa.Index(
            "ix_incoming_oldest",
            "id",
            sqlite_where=sa.text("handled_at IS NULL"),
            postgresql_where=sa.text("handled_at IS NULL"),
        ),
        sa.Index(
            "ix_incoming_waiting",
            "sender_hash",
            "id",
            sqlite_where=sa.text("handled_at IS NULL"),
            postgresql_where=sa.text("handled_at IS NULL"),
        ),
    )


class Outgoing(SQLModel, table=True):
    """One message to one person, written in the turn's transaction and sent after it."""

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    address_id: int | None = None
    channel: str = ""
    kind: str = "text"
    body: Any = sealed_json("outgoing.body")
    neighbourhood_id: int | None = None
    case_number: int | None = None
    urgency: str = "reply"
    state: str = "waiting"
    due_at: datetime = Field(default_factory=_now)
    expires_at: datetime | None = None
    attempts: int = 0
    error: str = ""
    provider_id: str | None = None
    segments: int = 0
    price_millicents: int | None = None
    buttons: bool = False
    check_in_id: int | None = None
    answers_id: int | None = None
    created_at: datetime = Field(default_factory=_now)
    sent_at: datetime | None = None
    # These two are on the real clock, also in a rehearsal: waiting for a network is never played faster.
    tried_at: datetime | None = None  # when it was first handed to the network
    held_until: datetime | None = None  # not tried again before; while "sending": when that try is given up for lost
    unsure: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})  # perhaps sent: look first
    again: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # sent once more though it may have arrived

    __table_args__ = (
        sa.Index(
            "ix_outgoing_queue",
            "person_id",
            "due_at",
            "id",
            sqlite_where=sa.text("state IN ('waiting', 'sending')"),
            postgresql_where=sa.text("state IN ('waiting', 'sending')"),
        ),
        sa.Index(
            "ix_outgoing_safety",
            "id",
            sqlite_where=sa.text("urgency = 'safety' AND state IN ('waiting', 'sending')"),
            postgresql_where=sa.text("urgency = 'safety' AND state IN ('waiting', 'sending')"),
        ),
        sa.Index(
            "ix_outgoing_waiting",
            "due_at",
            "id",
            sqlite_where=sa.text("state IN ('waiting', 'sending')"),
            postgresql_where=sa.text("state IN ('waiting', 'sending')"),
        ),
        sa.Index("ix_outgoing_provider", "provider_id"),
        sa.Index("ix_outgoing_case", "neighbourhood_id", "case_number"),
        sa.Index(
            "ix_outgoing_check_in",
            "check_in_id",
            sqlite_where=sa.text("check_in_id IS NOT NULL"),
            postgresql_where=sa.text("check_in_id IS NOT NULL"),
        ),
    )


class Case(SQLModel, table=True):
    """Help, worry, silence, danger or a newcomer: one noun, one claim, one ladder."""

    id: int | None = Field(default=None, primary_key=True)
    neighbourhood_id: int = Field(foreign_key="neighbourhood.id")
    number: int
    kind: str
    state: str = "open"
    person_id: int | None = Field(default=None, foreign_key="person.id")
    opened_by: int | None = None
    behalf_of: str = sealed("case.behalf_of")
    words: str = sealed("case.words")
    topics: list[str] = Field(default_factory=list, sa_column=sa.Column(sa.JSON, nullable=False))
    urgency: str = "none"
    when_words: str = sealed("case.when_words")
    nameless: bool = False
    wordless: bool = False
    only_contact: int | None = None
    attachments: Any = sealed_json("case.attachments")
    claimed_by: int | None = None
    rung: int = 0
    due_at: datetime | None = None
    escalated: bool = False
    outcome: str = ""
    opened_at: datetime = Field(default_factory=_now)
    touched_at: datetime = Field(default_factory=_now)
    closed_at: datetime | None = None
    wiped_at: datetime | None = None

    __table_args__ = (
        sa.UniqueConstraint("neighbourhood_id", "number"),
        sa.Index("ix_case_of_neighbourhood", "neighbourhood_id", "closed_at"),
        sa.Index("ix_case_of_person", "person_id", "closed_at"),
        sa.Index("ix_case_of_claimer", "claimed_by", "closed_at"),
        sa.Index("ix_case_escalated", "escalated", "closed_at"),
        sa.Index(
            "ix_case_open",
            "neighbourhood_id",
            "state",
            sqlite_where=sa.text("state != 'closed'"),
            postgresql_where=sa.text("state != 'closed'"),
        ),
        sa.Index(
            "ix_case_due",
            "due_at",
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        ),
    )


class CaseWords(SQLModel, table=True):
    """What was said about a case after it was opened."""

    __tablename__ = "case_words"

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="case.id", index=True)
    author_id: int = Field(index=True)
    words: str = sealed("case_words.words")
    attachment: Any = sealed_json("case_words.attachment")
    at: datetime = Field(default_factory=_now)


class Offer(SQLModel, table=True):
    """What someone likes to do."""

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    words: str = sealed("offer.words")
    topics: list[str] = Field(default_factory=list, sa_column=sa.Column(sa.JSON, nullable=False))
    times_at_most: str = sealed("offer.times_at_most")
    paused_until: datetime | None = None
    ended_at: datetime | None = None
    created_at: datetime = Field(default_factory=_now)


class Round(SQLModel, table=True):
    """What a neighbourhood is told once (a weekly line, an absence of both contacts): UNIQUE, so it is said once."""

    id: int | None = Field(default=None, primary_key=True)
    neighbourhood_id: int = Field(foreign_key="neighbourhood.id")
    slot: str
    done_at: datetime = Field(default_factory=_now)

    __table_args__ = (sa.UniqueConstraint("neighbourhood_id", "slot"),)


class CheckIn(SQLModel, table=True):
    """One person, one slot: UNIQUE, so that nobody is asked twice.

    `state`: "due" (a row of the round, not asked yet), "asked", "flagged" (a contact was told), "answered", "seen" (a
    contact saw or spoke the person), "unreached" (our message did not arrive), "passed" (paused or stopped).
    """

    __tablename__ = "check_in"

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id")
    slot: str
    state: str = "due"
    answer: str = ""
    rung: int = 0
    due_at: datetime | None = None
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    variant: int = 0
    case_id: int | None = None

    __table_args__ = (
        sa.UniqueConstraint("person_id", "slot"),
        sa.Index(
            "ix_check_in_due",
            "due_at",
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        ),
    )


class Heartbeat(SQLModel, table=True):
    """When this bot was last really at work, per process; a gap is our own outage."""

    name: str = Field(primary_key=True)
    at: datetime
    started_at: datetime


class Outage(SQLModel, table=True):
    """A time in which the bot was away."""

    id: int | None = Field(default=None, primary_key=True)
    since: datetime
    until: datetime
    told_at: datetime | None = None


class Audit(SQLModel, table=True):
    """Who saw or did what, without words."""

    id: int | None = Field(default=None, primary_key=True)
    person_id: int | None = None
    action: str
    neighbourhood_id: int | None = None
    case_number: int | None = None
    at: datetime = Field(default_factory=_now, index=True)


class Misheard(SQLModel, table=True):
    """Words that we understood wrongly, as a contact told us."""

    id: int | None = Field(default=None, primary_key=True)
    words: str = sealed("misheard.words")
    heard_as: str = ""
    person_id: int | None = None
    at: datetime = Field(default_factory=_now)


class Setting(SQLModel, table=True):
    """A thing the deployment remembers about itself: a Telegram offset, the last weekly line."""

    name: str = Field(primary_key=True)
    value: str
