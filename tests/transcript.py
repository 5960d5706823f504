"""Plays Dutch transcripts against the real engine: every outgoing message listed, in order, as whole sentences.

    # Riet vraagt iets kleins, Ans helpt.
    bewoner Riet: mijn lamp is stuk
    bot aan Riet: "mijn lamp is stuk" Zal ik dit doorgeven aan Ans en Joop? / 1 Ja / 2 Ja, zonder mijn naam / ...
    bewoner Riet: ja
    -- 2 dagen later --
    contact Ans [1 klaar]
    contact Joop [1 Ik pak dit op] te laat
    bewoner Riet (spraakbericht)
    bewoner Henk verbetert: mijn ladder is stuk

`pytest --rewrite` renews the bot's lines; the diff is the review. The scene is written and read back between every two lines,
because every line is a transaction of its own on a real database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.cast import CAST, STRANGERS, Actor
from bot.world import Line, World
from storage.roster import add_neighbourhood

START = datetime(2026, 3, 24, 9, 30, tzinfo=UTC)  # a Tuesday, 10:30 in Amsterdam
ZONE = ZoneInfo("Europe/Amsterdam")
KINDS = {
    "spraakbericht": "voice",
    "foto": "photo",
    "plaatje": "sticker",
    "plek": "location",
    "filmpje": "video",
    "bestand": "document",
}
ROLES = {"bewoner": "resident", "contact": "contact", "coördinator": "coordinator", "onbekend": "stranger"}
DAYS = ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag")

_SAID = re.compile(r"^(?P<role>bewoner|contact|coördinator|onbekend) (?P<who>\w+): ?(?P<text>.*)$")
_EDITED = re.compile(r"^(?P<role>bewoner|contact|coördinator|onbekend) (?P<who>\w+) verbetert: (?P<text>.*)$")
_PRESSED = re.compile(
    r"^(?P<role>bewoner|contact|coördinator|onbekend) (?P<who>\w+) \[(?P<label>.+)\](?P<late> te laat)?$"
)
_REPLIED = re.compile(r"^(?P<role>bewoner|contact|coördinator) (?P<who>\w+) op (?P<nth>\d+): (?P<text>.*)$")
_SENT = re.compile(r"^(?P<role>bewoner|contact|coördinator|onbekend) (?P<who>\w+) \((?P<kind>\w+)\)$")
_LATER = re.compile(r"^-- (?P<count>\d+) (?P<unit>minuten|minuut|uur|dagen|dag|weken|week) later --$")
_OUTAGE = re.compile(r"^-- storing van (?P<count>\d+) (?P<unit>minuten|minuut|uur|dagen|dag|weken|week) --$")
_REACHABLE = re.compile(r"^-- (?P<who>\w+) is (?P<un>on|weer )bereikbaar --$")
_AT = re.compile(r"^-- (?P<day>" + "|".join(DAYS) + r"|morgen) (?P<hour>\d{1,2}):(?P<minute>\d\d) --$")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the file that does something; the bot's lines after it are what it should lead to."""

    line: str
    number: int


def line_of(line: Line) -> str:
    """How a line on somebody's phone reads in a transcript."""
    text = line.text.replace("\n", " / ")
    if not line.sent_by_bot:
        return f"{line.who}: {text}"
    labels = "".join(f" [{label}]" for label, _ in line.buttons) if line.channel == "telegram" else ""
    return f"bot aan {line.who}: {text}{labels}"


def steps(file: Path) -> Iterator[Step]:
    """The lines that do something; comments, blank lines and the bot's lines are passed over."""
    for number, raw in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        if line and not line.startswith("#") and not line.startswith("bot aan "):
            yield Step(line, number)


def play(file: Path, world: World) -> list[str]:
    """Play a file; returns the whole transcript as it really went, comments and blank lines kept in place."""
    prepare(file, world)
    went: list[str] = []
    for raw in file.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if line.startswith("bot aan "):
            continue
        went.append(raw.rstrip())
        if line and not line.startswith("#"):
            went += [line_of(arrived) for arrived in act(line, world)]
    return went


def act(line: str, world: World) -> list[Line]:
    """Do what one line says. Raises ValueError for a line that means nothing."""
    if found := _PRESSED.match(line):
        return world.press(found["who"], found["label"], late=bool(found["late"]))
    if found := _EDITED.match(line):
        return world.edit(found["who"], found["text"].replace(" / ", "\n"))
    if found := _SENT.match(line):
        return world.write(found["who"], "", kind=KINDS[found["kind"]])
    if found := _REPLIED.match(line):
        row = replied_row(world, found["who"], int(found["nth"]))
        return world.write(found["who"], found["text"], reply_to=row)
    if found := _SAID.match(line):
        return world.write(found["who"], found["text"].replace(" / ", "\n"))
    if found := _LATER.match(line):
        return world.pass_time(span_of(found["count"], found["unit"]))
    if found := _AT.match(line):
        return world.pass_time(
            next_moment(world.now, found["day"], int(found["hour"]), int(found["minute"])) - world.now
        )
    if found := _OUTAGE.match(line):
        return world.sleep(span_of(found["count"], found["unit"]))
    if found := _REACHABLE.match(line):
        (world.unreachable.add if found["un"] == "on" else world.unreachable.discard)(found["who"])
        return []
    raise ValueError(f"this line of a transcript means nothing: {line}")


def span_of(count: str, unit: str) -> timedelta:
    """ "3 dagen" as a span of time."""
    name = {"minu": "minutes", "uur": "hours", "dag": "days", "dage": "days", "week": "weeks", "weke": "weeks"}[
        unit[:4]
    ]
    return timedelta(**{name: int(count)})


def replied_row(world: World, who: str, number: int) -> int:
    """The last message to somebody that begins with that case number: replying to it is naming the number."""
    for line in reversed(world.lines):
        if line.sent_by_bot and line.who == who and line.text.startswith(f"{number} "):
            return line.row
    raise ValueError(f"{who} has no message about {number} to reply to")


def prepare(file: Path, world: World) -> None:
    """`# met nog een buurt` in the file: a second neighbourhood, so that a street has to be asked."""
    if "# met nog een buurt" in file.read_text(encoding="utf-8"):
        with world.database.transaction() as connection:
            add_neighbourhood(connection, "Maasbuurt", "MAAS", ("Maasstraat", "Rijnstraat"))


def next_moment(now: datetime, day: str, hour: int, minute: int) -> datetime:
    """The next time it is that day and hour in Amsterdam; aware UTC."""
    local = now.astimezone(ZONE)
    at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if day == "morgen":
        return (at + timedelta(days=1)).astimezone(UTC)
    at += timedelta(days=(DAYS.index(day) - local.weekday()) % 7)
    return (at if at > local else at + timedelta(days=7)).astimezone(UTC)


def cast_of(file: Path) -> tuple[Actor, ...]:
    """The demo's cast and the two strangers; `# Joop op sms` in the file gives a contact another phone.

    `# met Truus (bewoner, sms)`, as `simulate` writes it, brings somebody else, or another phone for one of the cast.
    """
    text = file.read_text(encoding="utf-8")
    brought = re.findall(r"^# met (\w+) \((\w+), (\w+)\)", text, re.MULTILINE)
    added = tuple(
        Actor(who, ROLES[role], channel, f"+3161234{3000 + i}" if channel == "sms" else str(3000 + i), "Lutmastraat")
        for i, (who, role, channel) in enumerate(brought)
    )
    named = {a.name for a in added}
    cast = (
        *(replace(a, known=a.role != "stranger") for a in added),
        *(a for a in (*CAST, *STRANGERS) if a.name not in named),
    )
    moved = {m[1]: f"+3161234{2000 + i}" for i, m in enumerate(re.finditer(r"^# (\w+) op sms", text, re.MULTILINE))}
    absent = set(re.findall(r"^# zonder (\w+)", text, re.MULTILINE))
    return tuple(
        Actor(a.name, a.role, "sms", moved[a.name], a.street, a.known) if a.name in moved else a
        for a in cast
        if a.name not in absent
    )
