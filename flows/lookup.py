"""What a contact looks up in the chat: one case, a list of them, who can do it."""

from __future__ import annotations

from flows.casebook import WORDS_ALL, case_args, case_words
from flows.claims import mine
from flows.contract import Case, Effects, Focus, Note, Scene, T
from flows.say import quote, say, tell
from flows.times import since

LIST_MAX = 8  # cases named in one list; a contact with more hears how many more


def show(scene: Scene, case: Case) -> Effects:
    """What a case is about, with the buttons that are alive."""
    verbs: tuple[str, ...] = ("claim",) if case.claimed_by is None else ()
    if case.claimed_by and case.claimed_by.id == scene.person.id:
        verbs = ("close", "hand_back")
    if case.state == "closed":
        verbs = ()
    if case.kind == "newcomer" and case.state != "closed":
        verbs = ("know", "not_know")
    holder = case.claimed_by.name if case.claimed_by else T("contacts.nobody")
    return [
        tell(
            scene.person,
            f"contacts.show_{case.state}",
            case,
            *verbs,
            urgency="reply",
            holder=holder,
            **case_args(case, WORDS_ALL),
        ),
        *([Focus(scene.person.id, case.key)] if case in mine(scene) else []),
        Note(scene.person.id, "looked", case.key),
    ]


def who_can(scene: Scene, case: Case) -> Effects:
    """Who offered something like it and lets a contact ask."""
    names = tuple(o.person.name for o in scene.offers if not case.topics or set(o.topics) & set(case.topics))
    key = "contacts.who_can" if names else "contacts.who_can_nobody"
    return [say(scene.person, key, names=names[:LIST_MAX], number=case.number)]


def list_cases(scene: Scene, cases: tuple[Case, ...], key: str) -> Effects:
    """One line a case, oldest first, with its age in the words of the language file."""
    if not cases:
        return [say(scene.person, f"{key}_none")]
    lines = tuple(
        T(
            "contacts.list_line",
            {**case_args(c), "words": case_words(c, 50), "age": _age(scene, c), "kind": T(f"contacts.kind_{c.kind}")},
        )
        for c in cases[:LIST_MAX]
    )
    more = T("contacts.list_more", {"count": len(cases) - LIST_MAX}) if len(cases) > LIST_MAX else ""
    return [
        say(scene.person, key, lines=T("contacts.lines", {"lines": lines}), more=more),
        Note(scene.person.id, "listed"),
    ]


def _age(scene: Scene, case: Case) -> T:
    hours = int(since(scene.now, case.opened_at) // 60)
    if hours < 1:
        return T("contacts.age_new")
    return T("contacts.age_hours", {"count": hours}) if hours < 24 else T("contacts.age_days", {"count": hours // 24})


def list_offers(scene: Scene) -> Effects:
    """Who offers what, of those who let themselves be asked."""
    if not scene.offers:
        return [say(scene.person, "contacts.offers_none")]
    lines = tuple(
        T("contacts.offer_line", {"name": o.person.name, "words": quote(o.words, 60)}) for o in scene.offers[:LIST_MAX]
    )
    return [say(scene.person, "contacts.offers", lines=T("contacts.lines", {"lines": lines}))]
