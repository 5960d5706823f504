"""Small ways to say something: one place that makes Say effects, names and quotes."""

from __future__ import annotations

from typing import Any

from flows.contract import QUOTE_MAX, Case, CaseKey, Choice, Person, Say


def say(to: Person, text: str, choices: tuple[Choice, ...] = (), **args: Any) -> Say:
    """A reply: text `text` of locales/nl to this person, now."""
    return Say(to.id, text, args, choices)


def tell(to: Person, text: str, case: Case | CaseKey | None, *verbs: str, urgency: str = "news", **args: Any) -> Say:
    """News about a case, with the case's buttons for these verbs ("claim", "done", …)."""
    key = case.key if isinstance(case, Case) else case
    buttons = tuple(case_choice(key, verb) for verb in verbs) if key else ()
    return Say(to.id, text, args, buttons, key, urgency)


def case_choice(key: CaseKey, verb: str) -> Choice:
    """A button on a case. Its state is looked at again when it is pressed."""
    return Choice(f"buttons.{verb}", f"c:{key[0]}:{key[1]}:{verb}", {"number": key[1]})


def quote(words: str, limit: int = QUOTE_MAX) -> str:
    """Somebody's own words on one line, cut at a word with "..." so that a question stays one SMS."""
    line = " / ".join(part.strip() for part in words.splitlines() if part.strip())
    if len(line) <= limit:
        return line
    cut = line[: limit - 3].rsplit(" ", 1)[0] or line[: limit - 3]
    return cut.rstrip(" ,.;:") + "..."


def whole(words: str) -> str:
    """Somebody's own words on one line, as `quote` shows them, and none of them cut off."""
    return quote(words, len(words) + 3 * words.count("\n"))


def quote_ends(words: str, limit: int = QUOTE_MAX) -> str:
    """Like `quote`, but what was said last stays as well: behind a cry comes where it is."""
    line = whole(words)
    if len(line) <= limit:
        return line
    half = (limit - 5) // 2
    return f"{line[:half].rsplit(' ', 1)[0]} ... {line[-half:].partition(' ')[2]}"
