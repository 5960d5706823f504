"""What a network must be able to do, and the closed list of what can come of a sending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from storage.outbox import Parcel


@dataclass(frozen=True, slots=True)
class Sent:
    """The network took it. `provider_id` is its own name for the message; segments are an SMS's parts."""

    provider_id: str
    segments: int = 0


@dataclass(frozen=True, slots=True)
class Permanent:
    """It will never work like this. `address` is what the address becomes ("blocked", "invalid"), "" if it is fine."""

    error: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The person told the network to let nothing through any more."""

    error: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not taken: too much at once. Nothing may be tried before so many seconds have passed."""

    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Temporary:
    """Surely not taken; worth another try."""

    error: str


@dataclass(frozen=True, slots=True)
class MaybeSent:
    """The answer was lost: it may have been taken. To be looked up, or repeated at most once."""

    error: str


@dataclass(frozen=True, slots=True)
class LockedOut:
    """The network refuses all we send: token, password, account or sender. Nothing goes until somebody repairs that."""

    error: str


@dataclass(frozen=True, slots=True)
class NotThere:
    """Looked up, and it was never taken."""


Outcome = Sent | Permanent | Stopped | Wait | Temporary | MaybeSent | LockedOut
Found = Sent | NotThere | Wait | Temporary | LockedOut


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a network lets itself be written to, a little below its own limit so that it never has to say 429.

    per_second: over all people. burst: how many may go at once after a quiet time. per_person: seconds between two
    messages to one person. at_once: how many calls may be under way together.
    """

    per_second: float
    burst: int
    per_person: float
    at_once: int


class Channel(Protocol):
    """One network. Nothing here raises for what a network does: every failure is an Outcome."""

    name: str
    pace: Pace
    can_look_up: bool

    async def send(self, parcel: Parcel) -> Outcome:
        """Hand one message over, once. Returns within LEASE seconds (`storage/outbox.py`)."""
        ...

    async def look_up(self, parcel: Parcel, taken: frozenset[str]) -> Found:
        """Was this message taken, though the answer was lost? `taken` are the ids that belong to other rows."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


def brief(wrong: BaseException) -> str:
    """An error as it may be kept and logged: its kind, never its words, which may hold a number or a text."""
    cause: Any = wrong.__cause__
    return type(wrong).__name__ + (f"/{type(cause).__name__}" if cause is not None else "")
