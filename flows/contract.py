"""What goes into a flow (a Scene and what was Heard) and what comes out (effects); all frozen, all plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final

from flows.frozen import frozen

Slots = Mapping[str, Any]
CaseKey = tuple[int, int]
"""A case is named by its neighbourhood's id and its short number there."""

# Every limit in one place; what is past it ends with a human.
MISSES_MAX: Final = 2  # a question not understood this often brings the words to a contact
WORDS_MAX: Final = 4_000  # characters kept of one incoming message
QUOTE_MAX: Final = 90  # characters of her own words shown back in a question, so that an SMS stays short
NAME_MAX: Final = 40
MESSAGES_PER_MINUTE: Final = 60  # of one sender, more than anybody types; past it: stored, answered once
SAME_WORDS_MAX: Final = 20  # in a row within an hour: a phone that answers by itself, and would cost money all night
CODES_A_DAY: Final = 10  # wrong one-time codes of one person; past it: no code until tomorrow, ask a contact
OPEN_CASES_WARN: Final = 5  # past this a contact is told how much is on the plate
JUST_NOW_MINUTES: Final = 10  # so long after an answer a few more words are still about that
BURST_SECONDS: Final = 120  # texts this soon after a question join it without a word from us
NEW_MATTER_MINUTES: Final = 30  # after this, other words about another subject may be another matter
AFTERTALK_DAYS: Final = 14  # this long after "klaar" a message is still taken to be about it
ANSWER_HOURS: Final = 12  # so long after a contact wrote to her, what she writes is an answer to that contact
TALKING_HOURS: Final = 2  # who wrote this shortly ago is awake: words of a neighbour go on at once, also at night
TALK_HOURS: Final = 48  # an unanswered question of ours is let go after this; so long words are about an alarm
AGAIN_HOURS: Final = 12  # so long after an alarm was closed her words still go to who closed it
LEFT_OPEN_HOURS: Final = 20  # a matter that waits so long for her yes is a draft; she hears that nobody has it yet
AFTERTHOUGHT_HOURS: Final = 2  # so long after her no, "toch wel" still finds what it was about
CHECK_IN_TALK_HOURS: Final = 13 * 24  # "hoe gaat het" may be answered as long as somebody still waits for the answer
INVITE_DAYS: Final = 30
AFTERTHOUGHTS: Final = ("dropped", "no_call")  # dialogues that ask nothing and only wait for a second thought
PAUSE_DAYS: Final = 28  # a pause without an end ends by itself, and the person is told when


@frozen
class Person:
    """One human, as the flows may see them. `consents` are the kinds given and not taken back.

    `written_off`: somebody wrote that this person has died, and since then we are quiet.
    `channels` are those on which somebody can be reached, the one used last first; `addresses` are their numbers.
    """

    id: int
    name: str
    role: str = "resident"
    form: str = "u"
    street: str = ""
    neighbourhood: int | None = None
    joined: bool = True
    known: bool = True
    stopped: bool = False
    paused_until: datetime | None = None
    channels: tuple[str, ...] = ()
    addresses: tuple[int, ...] = ()
    consents: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    rhythm: str = "weekly"
    invited_back: bool = False
    check_in_day: int | None = None
    check_in_time: str | None = None
    patience: str = ""
    household: int | None = None
    heard_at: datetime | None = None
    written_off: bool = False

    @property
    def helps_in_chat(self) -> bool:
        """True for who may see and claim cases."""
        return self.role in ("contact", "coordinator")

    @property
    def reachable(self) -> bool:
        """True when a message can be sent and would be read."""
        return bool(self.channels) and not self.stopped


@frozen
class Neighbourhood:
    """A binnenbuurt with its own times and rota. `times` are named in `flows/times.py`, `rota` in `flows/duty.py`."""

    id: int
    name: str
    code: str
    zone: str = "Europe/Amsterdam"
    times: Mapping[str, Any] = field(default_factory=dict)
    rota: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Place:
    """A neighbourhood as somebody meets it: its streets, its contacts on duty first, its next case number.

    `contacts` are who is there now, or the coordinators who stand in when all are away; `all_contacts` is everybody.
    """

    neighbourhood: Neighbourhood
    streets: tuple[str, ...]
    contacts: tuple[Person, ...]
    next_number: int
    all_contacts: tuple[Person, ...] = ()


@frozen
class Attachment:
    """A voice note, photo, location or sticker that stays where it was sent and is copied to who claims."""

    channel: str
    chat: str
    message: str
    kind: str


@frozen
class Message:
    """What arrived. `button` is the data of a pressed button; `case` the case a reply or button names.

    `edited`: it corrects an earlier message; `before` are the words which that one had, "" when we do not know them.
    `again`: the same words as the message before it, at most `BURST_SECONDS` later. `back`: nothing reached this address
    any more until now.
    """

    text: str
    channel: str = "sms"
    kind: str = "text"
    button: str = ""
    case: CaseKey | None = None
    attachment: Attachment | None = None
    start_code: str = ""
    opt_out: str = ""
    edited: bool = False
    before: str = ""
    again: bool = False
    back: bool = False


@frozen
class Talk:
    """The bookmark in a dialogue. It means something by itself, so it survives a restart and a deploy."""

    dialogue: str
    step: str
    slots: Slots
    question: str
    serial: int
    asked_at: datetime
    misses: int = 0

    def is_young(self, now: datetime, seconds: int = BURST_SECONDS) -> bool:
        """True while the question was asked so shortly ago that more words may belong to the ones before it."""
        return (now - self.asked_at).total_seconds() <= seconds


@frozen
class Case:
    """A help request, worry, silence, newcomer or danger: one noun, one claim, one ladder."""

    neighbourhood: int
    number: int
    kind: str
    state: str
    words: str
    person: Person | None
    opened_by: int | None = None
    behalf_of: str = ""
    topics: tuple[str, ...] = ()
    urgency: str = "none"
    when: str = ""
    nameless: bool = False
    wordless: bool = False
    only_contact: int | None = None
    claimed_by: Person | None = None
    rung: int = 0
    opened_at: datetime | None = None
    touched_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: str = ""
    escalated: bool = False
    attachments: tuple[Attachment, ...] = ()

    @property
    def key(self) -> CaseKey:
        """Its name everywhere: neighbourhood and number."""
        return (self.neighbourhood, self.number)


@frozen
class Offer:
    """What someone likes to do, how often at most, and until when it rests."""

    id: int
    person: Person
    words: str
    topics: tuple[str, ...]
    limit: str
    paused_until: datetime | None = None


@frozen
class CheckIn:
    """One "hoe gaat het" of one person: what was asked, what came of it, and what is usual for this person.

    `delivery` is what became of our question: "sent", "waiting" (our own side is late) or "failed". `held` is how long
    we were away ourselves since we asked. `habit` are the hours this person took to answer before, latest first;
    `quiet` is how many of the last ones ended with a contact who saw the person.
    """

    id: int
    person: Person
    slot: str
    state: str
    rung: int = 0
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    variant: int = 0
    case: CaseKey | None = None
    delivery: str = ""
    held: timedelta = timedelta(0)
    habit: tuple[float, ...] = ()
    quiet: int = 0
    unreached_before: bool = False


@frozen
class Calendar:
    """What a neighbourhood's daily look needs: when it was due, what was said before, and the counts of a week."""

    looked_at: datetime | None
    next_look: datetime
    said: frozenset[str]
    residents: tuple[Person, ...]
    answers: int
    asked: int


@frozen
class Scene:
    """Everything one message (or one due date) can depend on, read in one transaction and then frozen.

    `cases` are the open ones this person has to do with: a resident's own, all of the neighbourhood for a contact,
    the escalated ones for a coordinator. `recent` are the person's own cases closed not long ago.
    `invite` says what became of a one-time code in this message: "" (none), "used" (now), "spent" (before, or too old),
    "own" (the one they came with, once more), "many" (too many wrong ones today); "expected" is the first message from a
    number that was invited.
    `places` are the neighbourhoods, for somebody who has none yet; `place` is the person's own.
    `next_serial` is what the next question of ours will be numbered.
    `rests_until` is the end of a Sunday morning or holiday, for a due date that falls on one.
    `check_in` is the person's own one that is open or was answered just now; `household` those that one answer covers.
    `everybody` are all people who were read, by number: who writes to somebody need not read them again.
    """

    now: datetime
    person: Person
    message: Message
    place: Place | None = None
    coordinators: tuple[Person, ...] = ()
    talk: Talk | None = None
    cases: tuple[Case, ...] = ()
    drafts: tuple[Case, ...] = ()
    recent: tuple[Case, ...] = ()
    offers: tuple[Offer, ...] = ()
    own_offers: tuple[Offer, ...] = ()
    people: tuple[Person, ...] = ()
    places: tuple[Place, ...] = ()
    next_serial: int = 1
    focus: CaseKey | None = None
    focus_at: datetime | None = None
    invite: str = ""
    check_in: CheckIn | None = None
    rests_until: datetime | None = None
    household: tuple[CheckIn, ...] = ()
    calendar: Calendar | None = None
    everybody: Mapping[int, Person] = field(default_factory=dict)

    @property
    def contacts(self) -> tuple[Person, ...]:
        """The contacts of the person's neighbourhood, who is on duty first."""
        return self.place.contacts if self.place else ()

    @property
    def own_cases(self) -> tuple[Case, ...]:
        """The open cases that this person asked for, latest last; what others asked on her behalf is not hers to answer."""
        return tuple(
            case
            for case in self.cases
            if case.person is not None and case.person.id == self.person.id and not case.behalf_of
        )

    def case(self, key: CaseKey | None) -> Case | None:
        """The open or recent case by its key, when this person has to do with it."""
        return next((c for c in (*self.cases, *self.recent) if c.key == key), None)

    def by_number(self, number: int) -> tuple[Case, ...]:
        """The cases with that short number which this person has to do with: one, except for a coordinator."""
        found = tuple(c for c in self.cases if c.number == number)
        return found or tuple(c for c in self.recent if c.number == number)


@frozen
class T:
    """A text inside a text: a placeholder's value that is itself a key of locales/nl ("een buur")."""

    key: str
    args: Mapping[str, Any] = field(default_factory=dict)


# --- effects: verbs, each applied by `storage/apply.py` as one guarded write ---


@frozen
class Choice:
    """A button, or a line of a numbered list on SMS. `label` is a text key; `data` goes round (64 bytes at most)."""

    label: str
    data: str
    args: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Say:
    """Send a text. `urgency`: "reply" (asked for, goes at once), "talk" (at once to who wrote just now, else by day),
    "news" (waits for the day), "safety" (always).
    """

    to: int
    text: str
    args: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    case: CaseKey | None = None
    urgency: str = "reply"
    expires_minutes: int | None = None
    check_in: int | None = None
    other_channel: bool = False


@frozen
class Copy:
    """Hand a voice note or photo on to somebody, without a trace of where it came from."""

    to: int
    attachment: Attachment
    described: str
    args: Mapping[str, Any] = field(default_factory=dict)
    case: CaseKey | None = None
    urgency: str = "talk"


@frozen
class Unbutton:
    """Take the dead buttons off what was sent about a case."""

    case: CaseKey


@frozen
class AskNext:
    """Put the bookmark at a question and send it. `again` means it was asked before and not understood."""

    to: int
    dialogue: str
    step: str
    slots: Slots
    say: Say
    misses: int = 0
    replaces: int | None = None


@frozen
class KeepTalk:
    """Change what the talk remembers and leave the question open."""

    person: int
    slots: Slots
    serial: int
    misses: int = 0


@frozen
class EndTalk:
    """Take the bookmark out. Guarded by the serial: a newer talk stays."""

    person: int
    serial: int


@frozen
class SetPerson:
    """Change columns of a person: name, street, neighbourhood, joined, known, form, rhythm, paused_until …"""

    person: int
    changes: Mapping[str, Any]


@frozen
class SetConsent:
    """Record a yes or a no to one thing, with the version of the question's text."""

    person: int
    kind: str
    given: bool
    text: str


@frozen
class StopPerson:
    """No more messages to this person, on any channel; `stopped=False` is START."""

    person: int
    stopped: bool = True


@frozen
class OpenCase:
    """A new case. `state` is "open", "draft" (her own, nobody sees it) or "claimed" when a contact begins the talk."""

    key: CaseKey
    kind: str
    words: str
    person: int | None
    opened_by: int
    state: str = "open"
    behalf_of: str = ""
    topics: tuple[str, ...] = ()
    urgency: str = "none"
    when: str = ""
    nameless: bool = False
    wordless: bool = False
    only_contact: int | None = None
    claimed_by: int | None = None
    due_at: datetime | None = None
    attachments: tuple[Attachment, ...] = ()
    escalated: bool = False


@frozen
class MoveCase:
    """A case from one state to another; applied only if it still is in the first one and with that claimer.

    Count 0 means that somebody was first: the whole turn is rolled back and thought again.
    """

    key: CaseKey
    from_state: str
    to_state: str
    by: int
    claimed_by_before: int | None = None
    claimed_by: int | None = None
    due_at: datetime | None = None
    rung: int = 0
    outcome: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


@frozen
class ClimbLadder:
    """The next rung of a case's ladder; applied only if it still stands on the rung before."""

    key: CaseKey
    from_rung: int
    due_at: datetime | None
    escalated: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


@frozen
class AddToCase:
    """Words said about a case, kept with it. `due_at` None leaves the ladder as it was.

    `instead` are the case's own words as their writer corrected them; None leaves those.
    """

    key: CaseKey
    author: int
    words: str
    attachment: Attachment | None = None
    due_at: datetime | None = None
    instead: str | None = None


@frozen
class Focus:
    """Remember which case a person speaks about, so that the next words need no number."""

    person: int
    case: CaseKey | None


@frozen
class AddOffer:
    """Keep what someone likes to do."""

    person: int
    words: str
    topics: tuple[str, ...]
    limit: str


@frozen
class PauseOffers:
    """Let someone's offers rest until a moment, or for good (None takes them away)."""

    person: int
    until: datetime | None


@frozen
class Erase:
    """Forget a person: every word, name and address."""

    person: int


@frozen
class Note:
    """Who saw or did what, without words: the audit."""

    person: int
    action: str
    case: CaseKey | None = None


@frozen
class Misheard:
    """A contact says that the words of a case meant something else: an example to learn from."""

    key: CaseKey
    by: int


@frozen
class MoveCheckIn:
    """A check-in from one state and rung to the next; applied only if it still stands there.

    `case` is the case that was opened for it. Count 0 means that somebody was first, as with MoveCase.
    """

    id: int
    from_state: str
    from_rung: int
    to_state: str
    rung: int = 0
    due_at: datetime | None = None
    answer: str = ""
    asked: bool = False
    variant: int = 0
    case: CaseKey | None = None


@frozen
class SawPerson:
    """A contact saw or spoke somebody: a sign of life, which ends what was open about their silence."""

    person: int
    by: int


@frozen
class ChangeRota:
    """Change a neighbourhood's rota: `away` adds (person, first day, last day) and `back` ends that person's absence, or else
    the next one planned; `week` says who has a week ("2026-W13"), `together` on which weekdays all are on duty (0 is Monday),
    `turns` whether weeks go round.
    """

    neighbourhood: int
    away: tuple[int, str, str] | None = None
    back: int | None = None
    week: tuple[str, int] | None = None
    together: tuple[int, ...] | None = None
    turns: bool | None = None


@frozen
class SetLook:
    """When a neighbourhood's calendar is looked at next; applied only if it was still due at `before`."""

    neighbourhood: int
    before: datetime | None
    at: datetime


@frozen
class Once:
    """Something a neighbourhood is told once, under this name; count 0 means that it was told before."""

    neighbourhood: int
    slot: str


Effect = (
    Say
    | Copy
    | Unbutton
    | AskNext
    | KeepTalk
    | EndTalk
    | SetPerson
    | SetConsent
    | StopPerson
    | OpenCase
    | MoveCase
    | ClimbLadder
    | AddToCase
    | Focus
    | AddOffer
    | PauseOffers
    | Erase
    | Note
    | Misheard
    | MoveCheckIn
    | SawPerson
    | ChangeRota
    | SetLook
    | Once
)
Effects = list[Effect]
