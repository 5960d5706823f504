"""What must always be true, whatever happens: looked at after every message, on every arrival and every hour.

The laws do not ask the code whether it behaved; they look at the rows, at what really arrived on people's phones, and at
what people really wrote.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.simulate.people import LIGHT, Act
from bot.simulate.town import Neighbour, Town
from flows.contract import BURST_SECONDS, TALK_HOURS, Neighbourhood
from flows.ladder import DAILY_MAX
from flows.times import is_night
from storage.outbox import ALARM_AGAIN_MAX, NIGHT_GRACE, Parcel
from storage.seal import keyring

HANDLED_MINUTES = 10  # a message waits no longer than this while the bot is up
TOLD_HOURS = 30  # an open matter has reached a human by then: a night and a morning
KNOWN_HOURS = 78  # of a newcomer: its one message may be lost, and the first reminder comes after Sunday or Christmas
SILENT_DAYS = 8  # 30 hours of steps, 72 of a sign of life just before the question, and Easter: a Sunday and a Monday
STEP_HOURS = 20  # of our own being up, between a question that arrived and the name going to a contact
LATE_HOURS = 3  # a due date is acted on within this, while the bot is up
AWAKE_HOURS = 3  # who wrote this shortly ago may be written to at night (two hours, and one for the sending)
LATEST = 50  # of somebody's words are looked through: a matter may be followed by many an answer to its helper
HONEST = "help.honest_only"  # what was for one contact alone ends with her: she hears that it was not taken
QUESTIONS = ("check_in.how", "check_in.otherwise", "check_in.first")
_NEW_WORDS = ("relay.", "contacts.reopened", "contacts.more_words", "contacts.thanks")  # said to be passed on, later
_QUOTED = re.compile(r'"([^"]*)"')
_NUMBER = re.compile(r"(?<!\d)(?:\+31|06|0031)\d{8,9}|\+\d{9,}")


@dataclass(frozen=True, slots=True)
class Broken:
    """A law that did not hold: which, when, and about whom."""

    law: str
    at: datetime
    about: Neighbour | None


@dataclass(slots=True)
class _Case:
    key: tuple[int, int]
    kind: str
    person: int | None
    nameless: bool
    wordless: bool
    words: str
    opened: datetime
    by_contact: bool
    holder: int | None = None
    told: bool = False


@dataclass(slots=True)
class _Row:
    person: int
    case: tuple[int, int] | None
    urgency: str
    answers: int | None
    check_in: int | None
    created: datetime


class Watch(logging.Handler):
    """Hears the errors of the code that runs: a pretend town has no excuse for one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was logged, with the exception's own words."""
        wrong = record.exc_info[1] if record.exc_info else None
        self.heard.append(f"{record.getMessage()}: {wrong!r}" if wrong else record.getMessage())


def _as_read(text: str) -> str:
    """Words as they count, however many capitals and spaces a phone puts in."""
    return " ".join(text.lower().split())


def moment(text: str | None) -> datetime | None:
    """A moment as the database keeps it; aware UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


@dataclass(slots=True)
class Laws:
    """All laws of one simulation. `reading` is a connection of its own to the same file; `up` says how long we were up."""

    town: Town
    reading: sqlite3.Connection
    up: Callable[[datetime, datetime], timedelta]
    lost_answer: Callable[[int], bool]
    broken: list[Broken] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    rows: dict[int, _Row] = field(default_factory=dict)
    cases: dict[tuple[int, int], _Case] = field(default_factory=dict)
    questions: dict[tuple[int, int], list[datetime]] = field(default_factory=dict)
    sendings: dict[int, int] = field(default_factory=dict)
    accepted: dict[str, list[datetime]] = field(default_factory=dict)
    waiting: dict[str, tuple[Act, datetime]] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    asked: dict[tuple[int, int, str], int] = field(default_factory=dict)
    flagged: set[tuple[int, int]] = field(default_factory=set)
    _last: dict[str, int] = field(default_factory=dict)
    _names: re.Pattern[str] = field(init=False)
    _said: set[str] = field(default_factory=set)
    _before: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _wrote: dict[str, str] = field(default_factory=dict)  # everything each of them wrote

    def __post_init__(self) -> None:
        names = sorted((p.name for p in self.town.people), key=len, reverse=True)
        self._names = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")

    def break_(self, law: str, now: datetime, about: Neighbour | None) -> None:
        """A law did not hold. Each is kept once per person, so that one fault does not fill the page."""
        mark = f"{law.partition(':')[0]}|{about.name if about else ''}"
        if mark not in self._said:
            self._said.add(mark)
            self.broken.append(Broken(law, now, about))

    # --- after every turn and tick: the rows it wrote ---

    def look(self, now: datetime) -> None:
        """Read what is new in the tables, and hold it against the laws of writing."""
        self._new_cases()
        self._new_rows(now)
        self._new_audit(now)
        self._new_words(now)
        for error in self.watch.heard:
            self.break_(f"no error of ours: {error}", now, None)
        self.watch.heard.clear()

    def _new(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        last = self._last.get(table, 0)
        rows = self.reading.execute(f"SELECT id, {columns} FROM {table} WHERE id > ? ORDER BY id", (last,)).fetchall()
        if rows:
            self._last[table] = rows[-1][0]
        return rows

    def _new_cases(self) -> None:
        columns = "neighbourhood_id, number, kind, person_id, nameless, wordless, words, opened_at, claimed_by"
        for _, hood, number, kind, person, nameless, wordless, words, opened, holder in self._new('"case"', columns):
            plain = keyring.open("case.words", words).decode() if words else ""
            at = moment(opened)
            assert at is not None
            self.cases[hood, number] = _Case(
                (hood, number), kind, person, bool(nameless), bool(wordless), plain, at, holder is not None, holder
            )

    def _new_rows(self, now: datetime) -> None:
        columns = "person_id, neighbourhood_id, case_number, urgency, answers_id, check_in_id, created_at"
        for row_id, person, hood, number, urgency, answers, check_in, created in self._new("outgoing", columns):
            at = moment(created)
            assert at is not None
            case = (hood, number) if number is not None else None
            self.rows[row_id] = _Row(person, case, urgency, answers, check_in, at)
            if answers:
                self.answered.add(answers)
            who = self.town.by_person.get(person)
            if who is not None and case is not None and who.role != "coordinator" and who.hood != case[0]:
                self.break_("nobody hears of another neighbourhood", now, who)

    def _new_audit(self, now: datetime) -> None:
        """One claimer per case: the audit of each case is walked, move by move."""
        for _, by, action, hood, number in self._new("audit", "person_id, action, neighbourhood_id, case_number"):
            case = self.cases.get((hood, number))
            if case is None or action not in _MOVES:
                continue
            before, after = _MOVES[action]
            if before == "free" and case.holder is not None:
                self.break_(f"one claimer per case: {number} was taken twice", now, self.town.by_person.get(by))
            case.holder = by if after == "held" else None

    def _new_words(self, now: datetime) -> None:
        """Every handled message left a trace: a word to her or to who reads her matter, or a bookmark that keeps it."""
        rows = self.reading.execute(
            "SELECT id, external_id, person_id, handled_at FROM incoming WHERE id > ? ORDER BY id",
            (self._last.get("incoming", 0),),
        ).fetchall()
        for row_id, name, person, handled in rows:
            if handled is None:
                break
            self._last["incoming"] = row_id
            act, stored = self.waiting.pop(name, (None, None))
            if act is None or stored is None:
                continue
            at = moment(handled)
            assert at is not None
            if self.up(stored, at) > timedelta(minutes=HANDLED_MINUTES):
                self.break_("a message is handled in time", now, act.who)
            text, when = self._before.get(act.who.name, ("", stored))
            twice = act.text == text and stored - when <= timedelta(seconds=BURST_SECONDS)  # needs no second answer
            self._before[act.who.name] = (act.text, stored)
            self._wrote[act.who.name] = f"{self._wrote.get(act.who.name, '')}\n{_as_read(act.text)}"
            if row_id not in self.answered and not twice and not self._kept(act, person):
                self.break_(f"no words vanish: {act.sense} {act.text!r}", now, act.who)

    def _kept(self, act: Act, person: int | None) -> bool:
        if act.sense in LIGHT or act.button or act.who.stopped or act.who.blocked or person is None:
            return True
        offers = "SELECT 1 FROM offer WHERE person_id = ? AND ended_at IS NULL"
        if act.sense == "limit" and self.reading.execute(offers, (person,)).fetchone():
            return True  # how often, said once more: it is written down already
        row = self.reading.execute("SELECT dialogue, slots FROM talk WHERE person_id = ?", (person,)).fetchone()
        slots = keyring.open("talk.slots", row[1]).decode() if row and row[0] and row[1] else ""
        return _as_read(act.text.split("\n")[0])[:20] in _as_read(slots) or (
            act.kind != "text" and "attachment" in slots
        )

    # --- on every arrival ---

    def arrived(self, parcel: Parcel, who: Neighbour, text: str, now: datetime) -> None:
        """A message is on a phone."""
        row, key = self.rows.get(parcel.id), str(parcel.body.get("key", ""))
        times = self.sendings[parcel.id] = self.sendings.get(parcel.id, 0) + 1
        most = 2 if parcel.urgency != "safety" else 1 + ALARM_AGAIN_MAX
        if times > most or (times > 1 and not self.lost_answer(parcel.id)):
            self.break_(f"nothing is doubled: {key}", now, who)
        if who.stopped and parcel.urgency != "safety":
            self.break_(f"nobody hears us after STOP: {key}", now, who)
        if row is None:
            return
        self._at_night(parcel, row, who, key, now)
        self._leaks(row, who, key, text, now)
        if row.case in self.cases and (who.helps or key == HONEST):
            self.cases[row.case].told = True
        if key.startswith("contacts.list_open"):
            for case in self.cases.values():
                case.told = case.told or bool(re.search(rf"\b{case.key[1]}\b", text) and who.hood in (case.key[0], 0))
        if row.check_in is not None and key.startswith("check_in."):
            self.questions.setdefault((row.check_in, row.person), []).append(now)
            if times == 1:
                kind = "how" if key.startswith(QUESTIONS) else key
                count = self.asked[row.check_in, row.person, kind] = (
                    self.asked.get((row.check_in, row.person, kind), 0) + 1
                )
                if count > 1:
                    self.break_(f"asked once per slot: {key}", now, who)

    def passed_on(self, who: Neighbour, parcel: Parcel, now: datetime) -> None:
        """She was told that it is passed on: then her last words of a matter are with a case, every word of them.

        What she asked before, in capitals, and asks again is a draft that is kept as she first typed it.

        Words of hers since we said so are of the next matter: a network may hold our answer up for so long.
        """
        row = self.rows.get(parcel.id)
        until = row.created if row else now
        said = [words for at, words in who.matter if at <= until and now - at < timedelta(hours=TALK_HOURS)]
        who.matter[:] = [(at, words) for at, words in who.matter if at > until]
        if not said:
            return
        words = said[-1]
        for table, author in (("case", "opened_by"), ("case_words", "author_id")):
            query = f'SELECT words FROM "{table}" WHERE {author} = ? ORDER BY id DESC LIMIT {LATEST}'
            for (sealed,) in self.reading.execute(query, (who.person,)).fetchall():
                if sealed and _as_read(words) in _as_read(keyring.open(f"{table}.words", sealed).decode()):
                    return
        self.break_(f"no words vanish: passed on without {words!r}", now, who)

    def _at_night(self, parcel: Parcel, row: _Row, who: Neighbour, key: str, now: datetime) -> None:
        hood = who.hood or (row.case[0] if row.case else 0)
        if row.urgency == "safety" or not hood or not is_night(now, Neighbourhood(hood, "", "")):
            return
        recent = [t for t in self.accepted.get(who.name, ()) if t <= row.created]
        awake = bool(recent) and now - recent[-1] < timedelta(hours=AWAKE_HOURS)
        if row.urgency == "reply" and now - row.created < timedelta(hours=AWAKE_HOURS):
            return  # an answer that a network held up since the evening
        if (
            row.urgency == "talk"
            and now - row.created <= NIGHT_GRACE + timedelta(minutes=HANDLED_MINUTES)
            and not is_night(row.created, Neighbourhood(hood, "", ""))
        ):
            return  # words of the last minutes of the day
        if not awake:
            self.break_(f"nothing at night but answers and safety: {key} ({row.urgency})", now, who)

    def _without_own(self, who: Neighbour, text: str) -> str:
        """A text without what it quotes of her own words: a name that she wrote herself is no news to her."""
        wrote = self._wrote.get(who.name, "")

        def own(quoted: re.Match[str]) -> str:
            return "" if all(_as_read(line) in wrote for line in quoted[1].split(" / ")) else quoted[0]

        return _QUOTED.sub(own, text)

    def _leaks(self, row: _Row, who: Neighbour, key: str, text: str, now: datetime) -> None:
        if _NUMBER.search(text):
            self.break_(f"no number is shown: {key}", now, who)
        if who.role == "coordinator":
            return
        for name in self._names.findall(self._without_own(who, text)):
            named = next(p for p in self.town.people if p.name == name)
            if named is who:
                continue
            if named.role != "coordinator" and named.hood != who.hood:
                self.break_(f"no name of another neighbourhood: {key}", now, who)
            if not who.helps and (not named.helps or not self._is_known(row.person)):
                self.break_(f"no name to who may not see it: {key}", now, who)
        if key.startswith("contacts.list_"):
            said = {c.words for c in self.cases.values() if not c.wordless}
            if any(c.wordless and c.words and c.words not in said and c.words in text for c in self.cases.values()):
                self.break_(f"no words that were kept back: {key}", now, who)
        case = self.cases.get(row.case) if row.case else None
        if case is None or not who.helps or case.person in (None, row.person):
            return
        asker = self.town.by_person.get(case.person or 0)
        if case.nameless and asker is not None and re.search(rf"\b{re.escape(asker.name)}\b", text):
            self.break_(f"no name that was kept back: {key}", now, who)

        if case.wordless and case.words and case.words in text and not key.startswith(_NEW_WORDS):
            self.break_(f"no words that were kept back: {key}", now, who)

    def _is_known(self, person: int) -> bool:
        row = self.reading.execute("SELECT known FROM person WHERE id = ?", (person,)).fetchone()
        return bool(row and row[0])

    # --- every hour ---

    def hour(self, now: datetime) -> None:
        """What must be true of all rows at any time, while the bot is up."""
        self.look(now)
        self._climbing(now)
        self._told(now)
        self._silences(now)
        for name, (act, stored) in list(self.waiting.items()):
            if self.up(stored, now) > timedelta(minutes=HANDLED_MINUTES):
                self.break_("a message is handled in time", now, act.who)
                del self.waiting[name]

    def _climbing(self, now: datetime) -> None:
        rows = self.reading.execute(
            'SELECT neighbourhood_id, number, kind, state, due_at, rung, claimed_by, person_id FROM "case" '
            "WHERE state IN ('open', 'claimed')"
        ).fetchall()
        for hood, number, kind, state, due, rung, claimed_by, person in rows:
            about = self.town.by_person.get(person or 0)
            if (state == "claimed") != (claimed_by is not None):
                self.break_(f"one claimer per case: {number} is {state} by {claimed_by}", now, about)
            at = moment(due)
            if at is None and not (state == "open" and rung > DAILY_MAX):
                self.break_(f"every open case climbs: {kind} {state} at rung {rung} has no due date", now, about)
            elif at is not None and self.up(at, now) > timedelta(hours=LATE_HOURS):
                self.break_(f"every open case climbs: {kind} {hood}/{number} is late", now, about)

    def _told(self, now: datetime) -> None:
        for key, case in list(self.cases.items()):
            if case.told or case.by_contact:
                continue
            state = self.reading.execute(
                'SELECT state FROM "case" WHERE neighbourhood_id = ? AND number = ?', key
            ).fetchone()
            if (state and state[0] == "draft") or not self._somebody_reads(key[0], case.person):
                case.opened = now  # passed on later, or never: its hours begin then
                continue
            patience = timedelta(hours=KNOWN_HOURS if case.kind == "newcomer" else TOLD_HOURS)
            lost = "SELECT COUNT(*) FROM outgoing WHERE neighbourhood_id = ? AND case_number = ? AND state = 'failed'"
            patience += timedelta(days=self.reading.execute(lost, key).fetchone()[0])  # the next rung is a day later
            if state and state[0] == "open" and self.up(case.opened, now) < patience:
                continue
            case.told = True
            if state and state[0] == "open":
                self.break_(
                    f"every open case reached a human: {case.kind}", now, self.town.by_person.get(case.person or 0)
                )

    def _somebody_reads(self, hood: int, asker: int | None) -> bool:
        """Whether there is anybody to tell in that neighbourhood: all of them may have said STOP."""
        query = (
            "SELECT 1 FROM person JOIN address ON address.person_id = person.id AND address.state = 'active' "
            "WHERE joined AND left_at IS NULL AND stopped_at IS NULL AND person.id IS NOT ? "
            "AND (role = 'coordinator' OR (role = 'contact' AND neighbourhood_id = ?)) LIMIT 1"
        )
        return self.reading.execute(query, (asker, hood)).fetchone() is not None

    def _silences(self, now: datetime) -> None:
        for row_id, person, state, asked_at, case_id in self.reading.execute(
            "SELECT id, person_id, state, asked_at, case_id FROM check_in WHERE state IN ('asked', 'flagged')"
        ).fetchall():
            who, asked = self.town.by_person.get(person), moment(asked_at)
            if who is None or asked is None:
                continue
            if state == "asked":
                if self.questions.get((row_id, person)) and self.up(asked, now) > timedelta(days=SILENT_DAYS):
                    self.break_("a silence reaches a human in time", now, who)
            elif (row_id, person) not in self.flagged:
                self.flagged.add((row_id, person))
                self._flag(row_id, person, who, case_id, asked, now)

    def _flag(
        self, row_id: int, person: int, who: Neighbour, case_id: int | None, asked: datetime, now: datetime
    ) -> None:
        """A silence that a contact was told of was one: the question came, time passed, and no word was accepted since."""
        found = self.reading.execute('SELECT opened_at FROM "case" WHERE id = ?', (case_id,)).fetchone()
        opened = moment(found[0]) if found else None
        if opened is None:
            self.break_("a silence reaches a human in time: flagged without a case", now, who)
            return
        if opened < asked:
            opened = now  # it joined a silence that was open already
        came = [t for t in self.questions.get((row_id, person), ()) if t < opened]
        if not came:
            self.break_("no flag from our own failure: the question never came", now, who)
        elif self.up(came[0], opened) < timedelta(hours=STEP_HOURS):
            self.break_("no flag from our own outage: there was no time to answer", now, who)
        if came and any(
            came[0] < t < opened - timedelta(minutes=HANDLED_MINUTES) for t in self.accepted.get(who.name, ())
        ):
            self.break_("no flag for who answered", now, who)

    # --- in the end ---

    def settled(self, now: datetime) -> None:
        """Faults have stopped and time has passed: nothing waits, nothing is in hand, nothing is unsure."""
        self.hour(now)
        for state, person, due, channel, kind in self.reading.execute(
            "SELECT state, person_id, due_at, channel, kind FROM outgoing WHERE state IN ('waiting', 'sending')"
        ).fetchall():
            at = moment(due)
            if state == "sending" or (at is not None and at < now - timedelta(hours=LATE_HOURS)):
                self.break_(f"all settles: a {kind} on {channel} is {state}", now, self.town.by_person.get(person))
        unhandled = self.reading.execute("SELECT count(*) FROM incoming WHERE handled_at IS NULL").fetchone()[0]
        if unhandled:
            self.break_(f"all settles: {unhandled} messages wait", now, None)


_MOVES = {
    "open_claimed": ("free", "held"),
    "closed_claimed": ("", "held"),
    "claimed_claimed": ("", "held"),
    "claimed_open": ("", "free"),
    "open_open": ("free", "free"),
    "open_closed": ("", "free"),
    "claimed_closed": ("", "free"),
    "open_draft": ("", "free"),
    "claimed_draft": ("", "free"),
    "draft_open": ("", "free"),
    "draft_closed": ("", "free"),
    "closed_open": ("", "free"),
}
"""What a move in the audit says about who holds the case before and after it."""
