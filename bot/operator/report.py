"""Anonymous counts for a meeting: nothing below five is shown, and no total from which it could be worked out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.language import LOCALES, read_toml
from bot.operator.words import fill, operator_words
from storage import tables
from storage.apply import AUDIT, INCOMING, OUTGOING
from storage.scene import CASE, HOOD, OFFER, PERSON, table

CHECK_IN = table(tables.CheckIn)
SMALLEST = 5  # fewer than five could be somebody you know
MONTHS = 12
ROOM = "cli/report"
Rows = list[dict[str, Any]]


def counts(connection: Connection, now: datetime, zone: str, neighbourhood: int | None = None) -> dict[str, Any]:
    """The counts of the last twelve months, of one neighbourhood or all; a hidden count is None."""
    months = _months(now, zone)
    local = ZoneInfo(zone)
    start = datetime.fromisoformat(f"{months[0]}-01").replace(tzinfo=local)
    here = CASE.c.neighbourhood_id == neighbourhood if neighbourhood else sa.true()
    cases = connection.execute(
        sa.select(
            CASE.c.neighbourhood_id, CASE.c.number, CASE.c.kind, CASE.c.topics, CASE.c.opened_at, CASE.c.escalated
        ).where(CASE.c.opened_at >= start, CASE.c.state != "draft", here)
    ).all()
    lives = PERSON.c.neighbourhood_id == neighbourhood if neighbourhood else sa.true()
    people = connection.execute(
        sa.select(PERSON.c.role, sa.func.count())
        .where(PERSON.c.joined, PERSON.c.left_at.is_(None), lives)
        .group_by(PERSON.c.role)
    ).all()
    offers = connection.execute(
        sa.select(sa.func.count())
        .select_from(OFFER.join(PERSON, PERSON.c.id == OFFER.c.person_id))
        .where(OFFER.c.ended_at.is_(None), lives)
    ).scalar_one()
    code = connection.execute(sa.select(HOOD.c.code).where(HOOD.c.id == (neighbourhood or 0))).scalar()
    return {
        "from": months[0],
        "until": months[-1],
        "neighbourhood": code,
        "smallest": SMALLEST,
        "people": [{"role": role, "count": _alone(n)} for role, n in sorted(people)],  # no total of these is shown
        "offers": _alone(offers),
        "cases_per_month": _per_month(months, (_month(case.opened_at, local) for case in cases)),
        "cases_per_kind": _tallied("kind", (case.kind for case in cases)),
        "cases_per_topic": _tallied("topic", (topic for case in cases for topic in case.topics)),
        "to_coordinator": _alone(sum(1 for case in cases if case.escalated)),
        "hours_until_taken": _hours(connection, cases),
        "check_ins_per_week": _check_ins(connection, now, lives),
        "texts_per_month": _texts(connection, months, start, local, lives),
        "sms": _sms(connection, start, lives),
    }


def _months(now: datetime, zone: str) -> list[str]:
    local = now.astimezone(ZoneInfo(zone))
    last = local.year * 12 + local.month - 1
    return [f"{m // 12:04}-{m % 12 + 1:02}" for m in range(last - MONTHS + 1, last + 1)]


def _month(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m}"


def _alone(count: int) -> int | None:
    return count if count == 0 or count >= SMALLEST else None


def _hidden(rows: Rows) -> Rows:
    """Counts below five become None; when that is one, the next smallest too, or subtracting would tell it."""
    small = [row for row in rows if 0 < row["count"] < SMALLEST]
    if len(small) == 1:
        others = [row for row in rows if row["count"] >= SMALLEST]
        small += sorted(others, key=lambda row: row["count"])[:1]
    return [{**row, "count": None} if row in small else row for row in rows]


def _tallied(name: str, values: Iterable[str]) -> Rows:
    return _hidden([{name: value, "count": n} for value, n in sorted(Counter(values).items())])


def _per_month(months: list[str], values: Iterable[str]) -> Rows:
    tally = Counter(values)
    return _hidden([{"month": month, "count": tally[month]} for month in months])


def _hours(connection: Connection, cases: Iterable[Any]) -> dict[str, Any]:
    """The middle of how long it took until somebody took a matter, by the audit; None below five."""
    opened = {(case.neighbourhood_id, case.number): case.opened_at for case in cases}
    taken: dict[tuple[int, int], float] = {}
    for row in connection.execute(
        sa.select(AUDIT.c.neighbourhood_id, AUDIT.c.case_number, AUDIT.c.at)
        .where(AUDIT.c.action == "open_claimed")
        .order_by(AUDIT.c.id)
    ):
        key = (row.neighbourhood_id, row.case_number)
        if key in opened and key not in taken:
            taken[key] = (row.at - opened[key]).total_seconds() / 3600
    hours = sorted(taken.values())
    enough = len(hours) >= SMALLEST
    return {"count": _alone(len(hours)), "median": round(hours[len(hours) // 2], 1) if enough else None}


def _check_ins(connection: Connection, now: datetime, lives: Any) -> Rows:
    asked = connection.execute(
        sa.select(CHECK_IN.c.asked_at, CHECK_IN.c.answered_at)
        .select_from(CHECK_IN.join(PERSON, PERSON.c.id == CHECK_IN.c.person_id))
        .where(CHECK_IN.c.asked_at.is_not(None), lives)
    ).all()
    weeks: dict[str, list[int]] = {}
    for row in asked:
        if (now - row.asked_at).days < 8 * 7:
            year, week, _ = row.asked_at.isocalendar()
            pair = weeks.setdefault(f"{year}-W{week:02}", [0, 0])
            pair[0] += 1
            pair[1] += row.answered_at is not None
    return [
        # who answered and who did not are each other's remainder: both are shown or neither
        {"week": week, "asked": _alone(n), "answered": answered if _both(n, answered) else None}
        for week, (n, answered) in sorted(weeks.items())
    ]


def _both(asked: int, answered: int) -> bool:
    return _alone(answered) is not None and _alone(asked - answered) is not None


def _texts(connection: Connection, months: list[str], start: datetime, zone: ZoneInfo, lives: Any) -> Rows:
    tally: dict[str, Counter[str]] = {"received": Counter(), "sent": Counter()}
    for name, rows, at in (("received", INCOMING, INCOMING.c.received_at), ("sent", OUTGOING, OUTGOING.c.sent_at)):
        source = rows.outerjoin(PERSON, PERSON.c.id == rows.c.person_id)
        for moment in connection.execute(sa.select(at).select_from(source).where(at >= start, lives)).scalars():
            tally[name][_month(moment, zone)] += 1
    return [
        {"month": month, "received": _alone(tally["received"][month]), "sent": _alone(tally["sent"][month])}
        for month in months
    ]


def _sms(connection: Connection, start: datetime, lives: Any) -> dict[str, Any]:
    """What SMS cost: no person in it, so nothing hidden. `cents` is None until the provider told a price."""
    row = connection.execute(
        sa.select(sa.func.sum(OUTGOING.c.segments), sa.func.sum(OUTGOING.c.price_millicents))
        .select_from(OUTGOING.join(PERSON, PERSON.c.id == OUTGOING.c.person_id))
        .where(OUTGOING.c.sent_at >= start, OUTGOING.c.channel == "sms", lives)
    ).one()
    return {"segments": int(row[0] or 0), "cents": round(int(row[1]) / 1000) if row[1] is not None else None}


# --- shown ---


def _named(kind: str, value: str) -> str:
    words = operator_words(ROOM)
    if kind == "month":
        return f"{words['months'][int(value[5:]) - 1]} {value[:4]}"
    if kind == "topic":
        return str(read_toml(LOCALES / "topics.toml").get(value, value))
    return str(words.get(kind, {}).get(value, value))


def _shown(count: int | None) -> str:
    return f"< {SMALLEST}" if count is None else str(count)


def _sections(report: dict[str, Any]) -> list[tuple[str, list[tuple[str, int | None]]]]:
    words = operator_words(ROOM)
    made = []
    for key, name in (
        ("cases_per_month", "month"),
        ("cases_per_kind", "kind"),
        ("cases_per_topic", "topic"),
        ("people", "role"),
    ):
        made.append((words[key], [(_named(name, row[name]), row["count"]) for row in report[key]]))
    weeks = [(f"{row['week']}", row["answered"]) for row in report["check_ins_per_week"]]
    made.append((words["check_ins_per_week"], weeks))
    sent = [(_named("month", row["month"]), row["sent"]) for row in report["texts_per_month"]]
    made.append((words["texts_per_month"], sent))
    return [(title, rows) for title, rows in made if any(count != 0 for _, count in rows)]


def _lines(report: dict[str, Any]) -> list[str]:
    words = operator_words(ROOM)
    hours, sms = report["hours_until_taken"], report["sms"]
    lines = [fill(ROOM, "offers", count=_shown(report["offers"]))]
    lines.append(fill(ROOM, "to_coordinator", count=_shown(report["to_coordinator"])))
    if hours["median"] is not None:
        lines.append(fill(ROOM, "hours", hours=str(hours["median"]).replace(".", ",")))
    cost = "" if sms["cents"] is None else fill(ROOM, "cost", euro=f"{sms['cents'] / 100:.2f}".replace(".", ","))
    lines.append(fill(ROOM, "segments", count=sms["segments"]) + cost)
    return [*lines, words["hidden"]]


def as_text(report: dict[str, Any], width: int = 40) -> str:
    """The counts as bars for a terminal."""
    parts = [fill(ROOM, "title", start=_named("month", report["from"]), end=_named("month", report["until"]))]
    for title, rows in _sections(report):
        most = max((count or 0 for _, count in rows), default=0) or 1
        left = max(len(name) for name, _ in rows)
        bars = [f"  {name:<{left}}  {_shown(n):>5} {'█' * round((n or 0) / most * width)}".rstrip() for name, n in rows]
        parts.append("\n".join([title, *bars]))
    return "\n\n".join([*parts, "\n".join(_lines(report))]) + "\n"


def as_page(report: dict[str, Any]) -> str:
    """The counts as an HTML page with plots, that needs nothing from elsewhere."""
    title = fill(ROOM, "title", start=_named("month", report["from"]), end=_named("month", report["until"]))
    plots = "".join(
        f"<section><h2>{escape(name)}</h2>{_plot(name, rows)}</section>" for name, rows in _sections(report)
    )
    lines = "".join(f"<li>{escape(line)}</li>" for line in _lines(report))
    return _PAGE.format(title=escape(title), plots=plots, lines=lines)


def _plot(title: str, rows: list[tuple[str, int | None]]) -> str:
    """One bar per row, its number beside it; a hidden count is an open, dashed bar and not a bar of nothing."""
    most = max((count or 0 for _, count in rows), default=0) or 1
    bars = []
    for place, (name, count) in enumerate(rows):
        top = place * 28
        wide = max(2, round((count or 0) / most * 330)) if count else 0
        bar = (
            f'<rect x="200" y="{top + 4}" width="24" height="18" class="hidden"/>'
            if count is None
            else f'<rect x="200" y="{top + 4}" width="{wide}" height="18"/>'
        )
        at = 200 + (24 if count is None else wide) + 8
        bars.append(
            f'<text x="192" y="{top + 18}" text-anchor="end">{escape(name)}</text>{bar}'
            f'<text x="{at}" y="{top + 18}">{escape(_shown(count))}</text>'
        )
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 600 {len(rows) * 28}" '
        f'width="600">{"".join(bars)}</svg>'
    )


_PAGE = """<!doctype html>
<html lang="nl"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 17px/1.5 system-ui, sans-serif; color: #1d2b2a; background: #fff; max-width: 680px; margin: 24px auto;
  padding: 0 16px }}
h1 {{ font-size: 26px; line-height: 1.2 }}
h2 {{ font-size: 18px; margin: 28px 0 8px }}
svg {{ max-width: 100%; height: auto; font-size: 15px }}
rect {{ fill: #2f7d6d }}
rect.hidden {{ fill: none; stroke: #6b7c7a; stroke-dasharray: 3 3 }}
section {{ break-inside: avoid }}
</style></head><body><h1>{title}</h1>{plots}<ul>{lines}</ul></body></html>
"""
