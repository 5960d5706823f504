"""When somebody cannot be reached: a human hears it, as such, and never as "reageert niet".

-- Riets telefoon neemt niets meer aan --
bot aan Ans: 1 Niet aangekomen bij Riet (sms). Bel of ga even langs.
"""

from __future__ import annotations

from flows.casebook import is_private, may_visit, told_about, who
from flows.contract import Case, Effects, Note, Person, Say, Scene, T
from flows.say import tell

NOT_ARRIVED = "not_arrived"  # the audit's word, by which it is said once in a while and not at every message


def not_arrived(scene: Scene, case: Case, person: int, name: str, channel: str, what: str) -> Effects:
    """A message about a case did not arrive. `what` is "failed", "stopped" or "maybe" (we do not know)."""
    return _to_humans(scene, case, person, name, channel, what)


def lost(person: int, case: Case, kind: str) -> Effects:
    """A photo or voice note that was announced to this person and could not be handed on."""
    return [Say(person, "outbox.media_lost", {"kind": T(f"help.kind_{kind}")}, case=case.key, urgency="talk")]


def gone(scene: Scene, case: Case, person: int, name: str, channel: str) -> Effects:
    """Somebody with an open matter closed the last way to reach them; said neutrally, because it is their right."""
    return _to_humans(scene, case, person, name, channel, "gone")


def _to_humans(scene: Scene, case: Case, person: int, name: str, channel: str, what: str) -> Effects:
    asked = case.person is not None and case.person.id == person
    people = tuple(p for p in _who_should_know(scene, case) if p.id != person)
    if not people and not is_private(case):  # the only one who is there: then who is away hears it, or the coordinator
        asker = case.person.id if case.person else 0
        others = scene.place.all_contacts if scene.place else ()
        away = tuple(p for p in others if p.reachable and p.id not in (person, asker))
        people = away or tuple(p for p in scene.coordinators if p.reachable and p.id not in (person, asker))
    # A resident is called as she let herself be called; a contact by name, because the other one knows it anyway.
    called = who(case) if asked else name or T("help.a_contact")
    key = f"outbox.{what}" if asked else f"outbox.{what}_contact"
    key = f"{key}_only" if asked and what != "maybe" and not may_visit(case) else key
    urgency = "safety" if case.kind == "safety" else "talk"
    args = {"number": case.number, "who": called, "channel": T(f"always.channel_{channel}")}
    return [*(tell(p, key, case, urgency=urgency, **args) for p in people), Note(person, NOT_ARRIVED, case.key)]


def _who_should_know(scene: Scene, case: Case) -> tuple[Person, ...]:
    if case.claimed_by is not None and case.claimed_by.reachable:
        return (case.claimed_by,)
    people = told_about(scene.place, scene.coordinators, case) if scene.place else ()
    return people or scene.coordinators
