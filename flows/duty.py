"""Who is there: a calendar for two volunteers (or one, or five), kept in the chat.

    contact Ans: deze week ik
    bot aan Ans: Goed. Deze week: Ans.
    contact Joop: weg van 3 tot 17 augustus
    bot aan Joop: Genoteerd: weg van maandag 3 augustus tot en met maandag 17 augustus. Ans vangt op.
    bot aan Ans: Joop is weg van maandag 3 augustus tot en met maandag 17 augustus. Jij vangt op.

The rota is data of the neighbourhood: {"weeks": {"2026-W13": person}, "turns": true, "together": [0], "away": [[person,
first day, last day]]}. Without one the contact who came first is named first, and a help request goes to all anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flows.casebook import case_args, contact_names, hers_again, is_private, loud_text, may_meet
from flows.contract import (
    Calendar,
    Case,
    ChangeRota,
    Effects,
    MoveCase,
    Note,
    Once,
    PauseOffers,
    Person,
    Place,
    Scene,
    SetLook,
    SetPerson,
    T,
    Unbutton,
)
from flows.heard import Heard
from flows.say import quote, say, tell
from flows.times import later, setting

Rota = Mapping[str, Any]
WEEKS_SHOWN = 4
AWAY_MAX_DAYS = 370


def week_of(day: date) -> str:
    """The name of a day's week, "2026-W13"."""
    week = day.isocalendar()
    return f"{week.year}-W{week.week:02}"


def is_away(rota: Rota, person: Person, day: date) -> bool:
    """True on a day that the person named as one of absence."""
    return any(who == person.id and first <= day.isoformat() <= last for who, first, last in rota.get("away", ()))


def there(rota: Rota, contacts: Iterable[Person], now: datetime, zone: str) -> tuple[Person, ...]:
    """The contacts who are reachable and neither away nor paused at this moment, in the order of their turn."""
    known = sorted((c for c in contacts if c.reachable), key=lambda c: c.id)
    present = [c for c in known if c.paused_until is None or c.paused_until <= now]
    if not rota:
        return tuple(present)
    today = now.astimezone(ZoneInfo(zone)).date()
    first = turn_of(rota, known, today)
    present = [c for c in present if not is_away(rota, c, today)]
    return tuple(sorted(present, key=lambda c: (c.id != first, c.id)))


def turn_of(rota: Rota, contacts: Iterable[Person], day: date) -> int:
    """The id of whose week it is: named for that week, or by turns, or simply the first; 0 without contacts."""
    ids = sorted(c.id for c in contacts)
    weeks = rota.get("weeks")
    named = weeks.get(week_of(day)) if weeks else None
    if named in ids:
        return int(named)
    if rota.get("turns") and ids:
        since = rota.get("since", {"week": week_of(day), "person": ids[0]})
        start = ids.index(since["person"]) if since["person"] in ids else 0
        return ids[(start + _weeks_between(since["week"], week_of(day))) % len(ids)]
    return ids[0] if ids else 0


def _weeks_between(first: str, second: str) -> int:
    def monday(week: str) -> date:
        year, number = week.split("-W")
        return date.fromisocalendar(int(year), int(number), 1)

    return (monday(second) - monday(first)).days // 7


def on_duty(scene: Scene) -> tuple[Person, ...]:
    """Who hears of a worry or a silence first: whose turn it is, or all on a day that they do together."""
    place = scene.place
    people = tuple(p for p in (place.contacts if place else ()) if p.id != scene.person.id)
    if not people:
        return tuple(p for p in scene.coordinators if p.id != scene.person.id)[:1]
    assert place is not None
    today = scene.now.astimezone(ZoneInfo(place.neighbourhood.zone))
    together = today.weekday() in place.neighbourhood.rota.get("together", ())
    return people if together else people[:1]


def changed(rota: Rota, change: ChangeRota, today: date) -> dict[str, Any]:
    """The rota after a change, without what is long over."""
    away = [list(a) for a in rota.get("away", ()) if a[2] >= today.isoformat()]
    weeks = {w: p for w, p in rota.get("weeks", {}).items() if w >= week_of(today)}
    new: dict[str, Any] = {**rota, "away": away, "weeks": weeks}
    if change.away:
        new["away"] = [*(a for a in away if tuple(a) != change.away), list(change.away)]
    if change.back is not None:
        own = sorted((a for a in away if a[0] == change.back), key=lambda a: a[1])
        ended = [a for a in own if a[1] <= today.isoformat()] or own[:1]  # or the first one that is still to come
        new["away"] = [a for a in away if a not in ended]
    if change.week:
        new["weeks"] = {**weeks, change.week[0]: change.week[1]}
    if change.turns:
        start = change.week or (week_of(today), 0)
        new |= {"turns": True, "since": {"week": start[0], "person": start[1]}}
    if change.turns is False:
        new["turns"] = False
    if change.together is not None:
        new["together"] = list(change.together)
    return new


# --- what contacts say about it ---


def order(scene: Scene, heard: Heard) -> Effects | None:
    """An order about the rota; None when the words are something else after all."""
    command, place, me = heard.command, scene.place, scene.person
    if command is None or place is None or me.role != "contact":
        return None
    hood = place.neighbourhood
    match command.verb:
        case "rota":
            return [say(me, "duty.rota", lines=_shown(scene, place))]
        case "turns" | "no_turns":
            change = ChangeRota(hood.id, turns=command.verb == "turns", week=(week_of(_today(scene)), me.id))
            return _said(scene, change, f"duty.{command.verb}", week=T("duty.this_week"), name=me.name)
        case "this_week" | "next_week":
            who = _whose(scene, heard)
            if who is None:
                return None
            later_days = 7 if command.verb == "next_week" else 0
            week = week_of(_today(scene) + timedelta(days=later_days))
            change = ChangeRota(hood.id, week=(week, who.id))
            return _said(scene, change, "duty.week", week=T(f"duty.{command.verb}"), name=who.name)
        case "together":
            if not heard.weekdays:
                return None
            days = tuple(T(f"duty.day_{d}") for d in heard.weekdays)
            return _said(scene, ChangeRota(hood.id, together=heard.weekdays), "duty.together", days=days)
        case "not_together":
            return _said(scene, ChangeRota(hood.id, together=()), "duty.not_together")
    return None


def _whose(scene: Scene, heard: Heard) -> Person | None:
    if "me" in heard.signals:
        return scene.person
    place, named = scene.place, heard.named_person
    return named if place and named and named.id in {c.id for c in place.all_contacts} else None


def _said(scene: Scene, change: ChangeRota, key: str, **args: Any) -> Effects:
    me = scene.person
    told = [tell(p, f"{key}_other", None, contact=me.name, **args) for p in _colleagues(scene, me)]
    return [change, say(me, key, **args), *told, Note(me.id, "rota")]


def _shown(scene: Scene, place: Place) -> T:
    rota = place.neighbourhood.rota
    names = {c.id: c.name for c in place.all_contacts}
    monday = _today(scene) - timedelta(days=_today(scene).weekday())
    lines = [
        T(
            "duty.rota_week",
            {"monday": monday + timedelta(days=7 * n), "name": names[turn]},
        )
        for n in range(WEEKS_SHOWN)
        if (turn := turn_of(rota, place.all_contacts, monday + timedelta(days=7 * n))) in names
    ]
    lines += [
        T("duty.rota_away", {"name": names[who], "first": date.fromisoformat(first), "last": date.fromisoformat(last)})
        for who, first, last in rota.get("away", ())
        if who in names and last >= _today(scene).isoformat()
    ]
    lines += [
        T("duty.rota_now", {"name": c.name, "until": c.paused_until})
        for c in place.all_contacts
        if c.paused_until and c.paused_until > scene.now
    ]
    days = tuple(T(f"duty.day_{d}") for d in rota.get("together", ()))
    lines += [T("duty.rota_together", {"days": days})] if days else []
    return T("contacts.lines", {"lines": tuple(lines)})


def away(scene: Scene, heard: Heard) -> Effects:
    """ "weg tot 3 augustus", "weg van 3 tot 17 augustus": the other one covers, and nobody there is said out loud."""
    me, place = scene.person, scene.place
    zone = ZoneInfo(place.neighbourhood.zone if place else "Europe/Amsterdam")
    today = scene.now.astimezone(zone).date()
    first, last = _days(heard, today, zone)
    if last is None:
        return [say(me, "duty.away_how")]
    last = min(last, today + timedelta(days=AWAY_MAX_DAYS))
    until = datetime.combine(last + timedelta(days=1), time(0), zone).astimezone(UTC)
    args: dict[str, Any] = {"first": first, "last": last}
    if place is None:  # a coordinator has no rota, only a pause
        return [SetPerson(me.id, {"paused_until": until}), say(me, "duty.away_nobody", **args)]
    change: Effects = [ChangeRota(place.neighbourhood.id, away=(me.id, first.isoformat(), last.isoformat()))]
    if first <= today:
        change += [*_leave(scene, place, me, until)]
    cover = tuple(p for p in _colleagues(scene, me) if not _gone(scene, place, p, max(first, today)))
    said = say(me, "duty.away" if cover else "duty.away_nobody", names=contact_names(cover), **args)
    told = [
        tell(p, "duty.away_other" if p in cover else "duty.away_other_gone", None, contact=me.name, **args)
        for p in _colleagues(scene, me)
    ]
    return [*change, said, *told, *_nobody_there(scene, place, first, last), Note(me.id, "away")]


def resigns(scene: Scene, heard: Heard) -> Effects:
    """ "ik wil geen contactpersoon meer zijn": only the coordinator can arrange that; STOP works at once."""
    me, place = scene.person, scene.place
    people = tuple(p for p in scene.coordinators if p.id != me.id and p.reachable)
    if not people or place is None:
        return [say(me, "duty.resigns_nobody")]
    args = {"neighbourhood": place.neighbourhood.name, "contact": me.name, "words": quote(heard.text, 200)}
    told = [tell(p, "duty.resigns_coordinator", None, **args) for p in people]
    return [say(me, "duty.resigns", names=contact_names(people)), *told, Note(me.id, "resigns")]


def _days(heard: Heard, today: date, zone: ZoneInfo) -> tuple[date, date | None]:
    when = heard.when
    if heard.lasting and (when is None or when.start):  # "vanaf maandag twee weken"
        first = datetime.fromisoformat(when.start).date() if when and when.start else today
        return first, first + timedelta(days=heard.lasting - (1 if when else 0))
    if when is None or when.end is None:
        return today, None
    end = datetime.fromisoformat(when.end)
    last = end.date() - timedelta(days=1) if end.time() == time(0) else end.date()
    start = datetime.fromisoformat(when.start).date() if when.start else today
    single = when.start is not None and (last - start).days < 1 and start > today
    if single:  # "weg tot zondag" read as the Sunday itself: away from now on
        start = today
    return (start, last) if last >= today else (today, None)


def _leave(scene: Scene, place: Place, person: Person, until: datetime) -> Effects:
    """Somebody is away from now on: what was theirs is for who is there, and who asked knows that it is not forgotten."""
    effects: Effects = [SetPerson(person.id, {"paused_until": until}), PauseOffers(person.id, until)]
    for case in scene.cases:
        if case.claimed_by is not None and case.claimed_by.id == person.id and case.state == "claimed":
            effects += _not_while_away(case, person) if is_private(case) else _passed_on(scene, place, person, case)
    return effects


def _not_while_away(case: Case, person: Person) -> Effects:
    """ "Alleen aan Ans", and Ans goes: nobody else reads it."""
    return [tell(person, "contacts.handed_back_only", case, number=case.number), *hers_again(case, person)]


def _passed_on(scene: Scene, place: Place, person: Person, case: Case) -> Effects:
    """What was theirs, for who is there or else for the coordinator. A danger that only this one was told goes up."""
    loud, up = case.kind == "safety", case.kind == "safety" and case.only_contact == person.id
    here = tuple(p for p in place.contacts if p.id != person.id and p != case.person and p.reachable)
    others = () if up else here
    escalated = not others
    others = others or tuple(p for p in scene.coordinators if p.id != person.id and p.reachable)
    due = scene.now if up else later(scene.now, place.neighbourhood, f"{case.kind}_remind", at_night=loud)
    changes = {"escalated": escalated} if up else {"only_contact": None, "escalated": escalated}
    moved = MoveCase(
        case.key, "claimed", "open", person.id, claimed_by_before=person.id, rung=int(up), due_at=due, changes=changes
    )
    args = {**case_args(case), "contact": person.name, "neighbourhood": place.neighbourhood.name}
    key = "duty.left_with_you" if here and not up else "duty.left_with_coordinator"
    key, urgency = (loud_text("contacts.open_again", case), "safety") if loud else (key, "news")
    effects: Effects = [moved, Unbutton(case.key)]
    effects += [tell(p, key, case, "claim", urgency=urgency, **args) for p in others]
    if case.person and case.kind in ("help", "worry") and not case.behalf_of and others:
        names = T("help.the_coordinator" if escalated else "help.the_contacts")
        effects.append(tell(case.person, "help.handed_back", case, contacts=names))
    return effects


def _nobody_there(scene: Scene, place: Place, first: date, last: date) -> Effects:
    """A warning for days on which no contact is there: to the contacts and the coordinator, before it happens."""
    me = scene.person
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    empty = [d for d in days if all(_gone(scene, place, p, d) for p in place.all_contacts if p.id != me.id)]
    if not empty:
        return []
    args: dict[str, Any] = {"first": empty[0], "last": empty[-1], "neighbourhood": place.neighbourhood.name}
    cover = contact_names(scene.coordinators[:1]) if scene.coordinators else T("duty.cover_none")
    told = [tell(p, "duty.nobody", None, cover=cover, **args) for p in (me, *_colleagues(scene, me))]
    return [*told, *(tell(p, "duty.nobody_coordinator", None, **args) for p in scene.coordinators)]


def _gone(scene: Scene, place: Place, person: Person, day: date) -> bool:
    zone = ZoneInfo(place.neighbourhood.zone)
    paused = person.paused_until is not None and person.paused_until.astimezone(zone).date() > day
    return not person.reachable or paused or is_away(place.neighbourhood.rota, person, day)


def back(scene: Scene) -> Effects:
    """TERUG of a contact: on duty again, and the other one knows."""
    me, place = scene.person, scene.place
    today = _today(scene)
    change: Effects = [ChangeRota(place.neighbourhood.id, back=me.id)] if place else []
    if me.paused_until is None and not (place and is_away(place.neighbourhood.rota, me, today)):
        planned = place.neighbourhood.rota.get("away", ()) if place else ()
        if not any(who == me.id and first > today.isoformat() for who, first, _ in planned):
            return [say(me, "duty.not_away")]
        told = [tell(p, "duty.stays_other", None, contact=me.name) for p in _colleagues(scene, me)]
        return [*change, say(me, "duty.stays"), *told, *_somebody_again(scene, today)]
    here = SetPerson(me.id, {"paused_until": None}), PauseOffers(me.id, scene.now)
    return [*change, *here, *returned(scene, me), *_somebody_again(scene, today)]


def _somebody_again(scene: Scene, today: date) -> Effects:
    """Days that the coordinator was warned of are no empty days any more."""
    me, place = scene.person, scene.place
    if place is None:
        return []
    spans = [
        map(date.fromisoformat, (first, last))
        for who, first, last in place.neighbourhood.rota.get("away", ())
        if who == me.id
    ]
    days = (first + timedelta(days=n) for first, last in spans for n in range((last - first).days + 1))
    others = [p for p in place.all_contacts if p.id != me.id]
    if not any(day >= today and all(_gone(scene, place, p, day) for p in others) for day in days):
        return []
    args = {"neighbourhood": place.neighbourhood.name, "contact": me.name}
    return [tell(p, "duty.back_coordinator", None, **args) for p in scene.coordinators if p.id != me.id]


def returned(scene: Scene, person: Person) -> Effects:
    """Somebody is back: a short welcome, and the others hear it."""
    told = [tell(p, "duty.back_other", None, contact=person.name) for p in _colleagues(scene, person)]
    return [tell(person, "duty.back", None, urgency="news", name=person.name), *told]


def _colleagues(scene: Scene, person: Person) -> tuple[Person, ...]:
    place = scene.place
    return tuple(p for p in (place.all_contacts if place else ()) if p.id != person.id and p.reachable)


def _today(scene: Scene) -> date:
    zone = scene.place.neighbourhood.zone if scene.place else "Europe/Amsterdam"
    return scene.now.astimezone(ZoneInfo(zone)).date()


# --- the daily look ---


def look(scene: Scene) -> Effects:
    """Once a day for a neighbourhood: who leaves today, whether residents must know, and the weekly line."""
    calendar, place = scene.calendar, scene.place
    assert calendar is not None
    assert place is not None
    today = _today(scene)
    effects: Effects = [SetLook(place.neighbourhood.id, calendar.looked_at, calendar.next_look)]
    for contact in place.all_contacts:
        ends = [
            last
            for who, first, last in place.neighbourhood.rota.get("away", ())
            if who == contact.id and first <= today.isoformat() <= last
        ]
        if ends and contact.paused_until is None:
            zone = ZoneInfo(place.neighbourhood.zone)
            until = datetime.combine(date.fromisoformat(max(ends)) + timedelta(days=1), time(0), zone).astimezone(UTC)
            effects += _leave(scene, place, contact, until)
    return [*effects, *_tell_residents(scene, calendar, place, today), *_weekly_line(scene, calendar, place, today)]


def _tell_residents(scene: Scene, calendar: Calendar, place: Place, today: date) -> Effects:
    """Before days without any contact residents hear who reads along then; once for each such time.

    When all of them said STOP there is no end to name: then they hear it once a month, until somebody reads again.
    """
    ahead = int(setting(place.neighbourhood, "away_told_days"))
    days = [today + timedelta(days=n) for n in range(AWAY_MAX_DAYS)]
    gone = [all(_gone(scene, place, p, d) for p in place.all_contacts) for d in days]
    if not place.all_contacts or True not in gone[: ahead + 1]:
        return []
    start = gone.index(True)
    end = next((n for n in range(start, len(gone)) if not gone[n]), len(gone)) - 1
    endless = end == len(gone) - 1
    key = ("duty.residents" if scene.coordinators else "duty.residents_nobody") + ("_endless" if endless else "")
    slot = f"{key}-{today:%Y-%m}" if endless else f"away-{days[end].isoformat()}"
    if slot in calendar.said:
        return []
    cover = contact_names(scene.coordinators[:1]) if scene.coordinators else ""
    args: dict[str, Any] = {
        "first": days[start],
        "last": days[end],
        "contacts": contact_names(place.all_contacts),
        "cover": cover,
    }
    return [Once(place.neighbourhood.id, slot), *(tell(p, key, None, **args) for p in calendar.residents if p.known)]


def _weekly_line(scene: Scene, calendar: Calendar, place: Place, today: date) -> Effects:
    """The one message of a quiet week: that the bot still runs."""
    slot = f"line-{week_of(today)}"
    if today.strftime("%A").lower() != setting(place.neighbourhood, "line_day") or slot in calendar.said:
        return []
    rota = place.neighbourhood.rota
    turn = turn_of(rota, place.all_contacts, today)
    name = next((c.name for c in place.all_contacts if c.id == turn), "")
    shown = T("duty.line_turn", {"name": name}) if name and (rota.get("turns") or rota.get("weeks")) else ""
    args: dict[str, Any] = {
        "answers": calendar.answers,
        "asked": calendar.asked,
        "turn": shown,
    }
    people = tuple(p for p in place.all_contacts if p.reachable and not _gone(scene, place, p, today))
    told = []
    for person in people:
        count = sum(1 for c in scene.cases if may_meet(c, person))  # what only the other one may know is not counted
        key = "duty.line" if calendar.asked else "duty.line_open" if count else "duty.line_quiet"
        told.append(tell(person, key, None, open=count, **args))
    return [Once(place.neighbourhood.id, slot), *told]
