"""What happened in a simulation: every line once into the hash, and the last ones kept to be printed as a transcript."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.cast import CAST
from bot.simulate.town import Neighbour, sentences

KEPT = 4_000  # lines; enough to find the last twenty about one neighbourhood
SHOWN = 20
_NUMBER = re.compile(r"^(\D{0,4})(\d+)\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One message on its way in (`by_bot` false) or on somebody's phone.

    `role` is who they were by then, `case` the number it is about. A pressed button is written in the words that do the
    same, because a button lives only as long as the conversation it came in.
    """

    at: datetime
    who: Neighbour
    role: str
    text: str
    by_bot: bool
    case: int = 0
    kind: str = "text"


class History:
    """Everything that was said, in order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.lines: deque[Line] = deque(maxlen=KEPT)
        self.count = 0

    def add(self, line: Line) -> None:
        """One more line."""
        self.lines.append(line)
        self.note(line.at, f"{line.who.name}|{line.by_bot}|{line.text}|{line.kind}")

    def note(self, at: datetime, what: str) -> None:
        """Something that happened which nobody said: a fault, a rung, an outage."""
        self.count += 1
        self._hash.update(f"{at.isoformat()}|{what}\n".encode())

    def digest(self) -> str:
        """The history in 16 characters: the same seed gives the same."""
        return self._hash.hexdigest()[:16]

    def transcript(self, about: Neighbour | None, law: str, seed: int, zone: str = "Europe/Amsterdam") -> str:
        """The last lines of somebody's neighbourhood as `tests/transcript.py` plays them."""
        words = sentences()["transcript"]
        hood = about.hood if about else 0
        chosen = [x for x in self.lines if not hood or x.who.hood in (hood, 0)]
        if about is not None and not about.helps:
            chosen = [x for x in chosen if x.who is about or x.who.helps]
        chosen = chosen[-SHOWN:]
        if not chosen:
            return ""
        roles: dict[str, str] = {}
        for line in chosen:
            roles.setdefault(line.who.name, line.role)
        people = sorted({x.who.name: x.who for x in chosen}.values(), key=lambda p: p.address)
        local = chosen[0].at.astimezone(ZoneInfo(zone))
        lines = [
            words["title"].format(seed=seed, at=f"{chosen[-1].at:%Y-%m-%d %H:%M}", law=law.replace("\n", " ")),
            *(words["with"].format(who=p.name, role=words["roles"][roles[p.name]], channel=p.channel) for p in people),
            *(words["without"].format(who=c.name) for c in CAST if c.name not in roles),
            "",
            words["at"].format(day=words["days"][local.weekday()], time=f"{local:%H:%M}"),
        ]
        numbers, before = _numbers(chosen), chosen[0].at
        for line in chosen:
            gap = int((line.at - before) / timedelta(minutes=1))
            if gap:
                lines.append(words["minutes"].format(count=gap))
                before += timedelta(minutes=gap)
            lines.append(_shown(line, words, roles[line.who.name], numbers))
        return "\n".join(lines) + "\n"


def _numbers(lines: list[Line]) -> dict[int, int]:
    """The case numbers as they will be when only these lines are played: in the order in which contacts hear of them."""
    found: dict[int, int] = {}
    for line in lines:
        if line.by_bot and line.case and line.who.helps:
            found.setdefault(line.case, len(found) + 1)
    return found


def _shown(line: Line, words: dict[str, Any], role: str, numbers: dict[int, int]) -> str:
    text = line.text.replace("\n", " / ")
    if line.who.helps and line.by_bot and line.case:  # "3 is van jou. Klaar? Schrijf 3 klaar."
        text = re.sub(rf"\b{line.case}\b", str(numbers[line.case]), text)
    elif line.who.helps:
        text = _renumbered(text, numbers)
    if line.by_bot:
        return str(words["bot"].format(who=line.who.name, text=text))
    named = {"who": line.who.name, "role": words["roles"][role]}
    if line.kind != "text":
        return str(words["attachment"].format(**named))
    return str(words[role].format(text=text, **named))


def _renumbered(text: str, numbers: dict[int, int]) -> str:
    return _NUMBER.sub(lambda m: m[1] + str(numbers.get(int(m[2]), int(m[2]))), text)
