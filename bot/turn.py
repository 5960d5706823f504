"""One message in: one transaction, one pure call, outgoing rows. Sending comes after, from the rows."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.engine import Connection

from flows import join, ladder, plain, route
from flows.contract import TALKING_HOURS, Effects, Message, Scene
from flows.ears import Ears
from flows.help import left_open
from flows.texts import Texts
from storage import due, inbox, pace, reach
from storage.apply import Writer
from storage.database import Conflict, Database, savepoint
from storage.prepared import Row
from storage.scene import read_case_scene, read_scene

log = logging.getLogger("binnenbuurt.turn")

TRIES = 5  # a conflict means that somebody was first; five in a row on one message means a fault of ours
TOGETHER = 32  # messages in one commit, so that none waits long for the others
IN_TURN = 8  # of these and more, behind a full commit, one each of the senders in turn: a flood holds nobody up
LATE = timedelta(hours=TALKING_HOURS)  # for longer than that nobody is taken to be awake still
FAILURES_MAX = 3  # past this the words go to a human as they are

Rows = TypeVar("Rows")


class Turn:
    """Handles messages and due dates, one at a time."""

    def __init__(
        self, database: Database, ears: Ears, texts: Texts, zone: str = "Europe/Amsterdam", *, paced: bool = True
    ) -> None:
        """`zone` is where people live who have no neighbourhood yet; `paced` is False on a clock that stands still."""
        self.database, self.ears, self.texts, self._zone, self._paced = database, ears, texts, zone, paced
        self._takes, self._last_sender = 0, b""

    def handle_next(self, now: datetime) -> bool:
        """Handle the oldest waiting message; False when none waits. Never raises for a message: a human gets it."""
        for _ in range(TRIES):
            row_id = 0
            try:
                with self.database.transaction() as connection:
                    row = self._take(connection)
                    if row is None:
                        return False
                    row_id = row["id"]
                    self._one(connection, now, row)
                return True
            except Conflict:
                continue
            except Exception:
                if not row_id:
                    raise
                log.exception("a message failed", extra={"incoming": row_id})
                self._failed(now, row_id)
                return True
        log.error("a message met a conflict every time", extra={"incoming": row_id})
        self._failed(now, row_id)
        return True

    def _take(self, connection: Connection) -> Row | None:
        self._takes += 1
        in_turn = self._in_turn(connection) if self._takes % IN_TURN == 0 else None
        return in_turn or inbox.take_oldest(connection)

    def _in_turn(self, connection: Connection) -> Row | None:
        row = inbox.take_of_next(connection, self._last_sender)
        self._last_sender = row["sender_hash"] if row else b""
        return row

    def handle_some(self, now: datetime) -> int:
        """Handle what waits, many messages in one commit where there is one writer anyway; returns how many, 0 for none.

        Each is a savepoint of its own. One that meets a conflict or fails ends the row, and `handle_next` has it alone.
        """
        done = 0
        if self.database.is_sqlite:
            with self.database.transaction() as connection:
                rows = inbox.take_in_order(connection, TOGETHER)
                for row in rows:
                    if not self._within(connection, now, row):
                        break
                    done += 1
                if done == TOGETHER:
                    for _ in range(IN_TURN):
                        next_one = self._in_turn(connection)
                        if next_one is not None:
                            done += self._within(connection, now, next_one)
                if done >= len(rows):
                    return done
        return done or int(self.handle_next(now))

    def _within(self, connection: Connection, now: datetime, row: Row) -> bool:
        try:
            with savepoint(connection):
                self._one(connection, now, row)
        except Exception:
            return False
        return True

    def _one(self, connection: Connection, now: datetime, row: Row) -> None:
        if "event" in row["body"]:  # the network speaks, not the person
            reach.event(connection, self.texts, now, row)
            inbox.forget(connection, row["id"], now)  # it has no words, and nobody would find it to erase it
            return
        by = inbox.sender(connection, now, row)
        person = by.person
        if row["attempts"] >= FAILURES_MAX:
            self._by_hand(connection, now, row, person)
            return
        if "own_phone" in row["body"] and inbox.has_joined(connection, person):
            reach.keep_phone(connection, self.texts, now, row, person)
            inbox.handled(connection, row["id"], now, person)
            return
        scene = read_scene(connection, now, person, inbox.message_of(connection, row, by), by.invite)
        heard = self.ears.hear(scene, scene.place.neighbourhood.zone if scene.place else self._zone)
        late = now - row["received_at"] > LATE
        writer = Writer(connection, self.texts, now, row["id"], late=late)
        haste = pace.past_limit(connection, row, person, by.some_before) if self._paced else ""
        writer.apply(scene, route.too_many(scene, heard, haste) if haste else route.route(scene, heard))
        if writer.erased:
            inbox.forget(connection, row["id"], now)
            plain.forget()
        else:
            inbox.handled(connection, row["id"], now, person)

    def _failed(self, now: datetime, row_id: int) -> None:
        with self.database.transaction() as connection:
            inbox.failed_once_more(connection, row_id)

    def _by_hand(self, connection: Connection, now: datetime, row: Row, person: int) -> None:
        """Our own fault, three times: her words go to the contacts as they are, and she is told so."""
        message = Message(inbox.clean(row["body"].get("text", "")), channel=row["channel"])
        scene = read_scene(connection, now, person, message)
        Writer(connection, self.texts, now, row["id"]).apply(scene, route.broken(scene))
        inbox.handled(connection, row["id"], now, person)

    def handle_all(self, now: datetime) -> int:
        """Handle everything that waits; returns how many messages."""
        count = 0
        while handled := self.handle_some(now):
            count += handled
        return count

    def tick(self, now: datetime) -> int:
        """Climb what is due at this moment; returns how many rungs. Two ticks at once climb each rung once."""
        climbed = 0
        for hood, number in self._read(lambda connection: due.cases(connection, now)):
            climbed += self._climb(now, hood, number)
        for person in self._read(lambda connection: due.welcomes(connection)):
            climbed += self._welcome(now, person)
        for person in self._read(lambda connection: due.unanswered(connection, now)):
            look = functools.partial(read_scene, now=now, person_id=person, message=Message(""))
            climbed += self.react(now, look, left_open)
        return climbed

    def react(
        self, now: datetime, read: Callable[[Connection], Scene | None], think: Callable[[Scene], Effects]
    ) -> bool:
        """A due date that is no case: read its scene, think, write; False when nothing was due or another was first."""

        def step(connection: Connection) -> bool:
            scene = read(connection)
            effects = think(scene) if scene is not None else []
            if scene is None or not effects:
                return False
            Writer(connection, self.texts, now).apply(scene, effects)
            return True

        return self._apart(step)

    def _climb(self, now: datetime, hood: int, number: int) -> bool:
        def step(connection: Connection) -> bool:
            found = read_case_scene(connection, now, hood, number)
            if found is None:
                return False
            scene, case = found
            Writer(connection, self.texts, now).apply(scene, ladder.climb(scene, case))
            return True

        return self._apart(step)

    def _welcome(self, now: datetime, person: int) -> bool:
        def step(connection: Connection) -> bool:
            scene = read_scene(connection, now, person, Message(""))
            if scene.talk is not None or not ladder.may_speak(scene):
                return False
            Writer(connection, self.texts, now).apply(scene, join.welcome(scene))
            return True

        return self._apart(step)

    def _apart(self, step: Callable[[Connection], bool]) -> bool:
        """One due date in a transaction of its own. What fails in it is due again at the next tick, and harms no other."""
        try:
            with self.database.transaction() as connection:
                return step(connection)
        except Conflict:
            return False  # another tick was first, or a contact was: the next look sees what is true now
        except Exception:
            log.exception("a due date failed")
            return False

    def _read(self, query: Callable[[Connection], Rows]) -> Rows:
        with self.database.transaction() as connection:
            return query(connection)
