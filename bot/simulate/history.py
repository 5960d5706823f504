"""What happened in a simulation: every line once into the hash, and the last ones kept to be printed as a transcript."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.simulate.town import Neighbour, sentences

KEPT = 4_000  # lines; enough to find the last twenty about one neighbourhood
SHOWN = 20
_NUMBER = re.compile(r"^(\D{0,4})(\d+)\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One message on its way in (`by_bot` false) or on somebody's phone; `case` is the number it is about, if any."""

    at: datetime
    who: Neighbour
    text: str
    by_bot: bool
    case: int = 0
    label: str = ""
    reply: bool = False
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
        self.note(line.at, f"{line.who.name}|{line.by_bot}|{line.text}|{line.label}|{line.kind}")

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
        people = {x.who.name: x.who for x in chosen}
        local = chosen[0].at.astimezone(ZoneInfo(zone))
        title = words["title"].format(seed=seed, at=chosen[-1].at.isoformat(), law=law)
        lines = [
            title,
            *(
                words["with"].format(who=p.name, role=words["roles"][p.role], channel=p.channel)
                for p in sorted(people.values(), key=lambda p: p.address)
            ),
            "",
            words["at"].format(day=words["days"][local.weekday()], time=f"{local:%H:%M}"),
        ]
        renumbered = _numbers(chosen)
        before = chosen[0].at
        for line in chosen:
            gap = int((line.at - before) / timedelta(minutes=1))
            if gap:
                lines.append(words["minutes"].format(count=gap))
                before = line.at
            lines.append(_shown(line, words, renumbered))
        return "\n".join(lines) + "\n"


def _numbers(lines: list[Line]) -> dict[int, int]:
    """The case numbers as they will be when only these lines are played: in the order in which contacts hear of them."""
    found: dict[int, int] = {}
    for line in lines:
        if line.by_bot and line.case and line.who.helps:
            found.setdefault(line.case, len(found) + 1)
    return found


def _shown(line: Line, words: dict[str, Any], numbers: dict[int, int]) -> str:
    text = line.text.replace("\n", " / ")
    role = words["roles"][line.who.role]
    if line.by_bot:
        return words["bot"].format(who=line.who.name, text=text)
    if line.kind != "text":
        return words["attachment"].format(role=role, who=line.who.name)
    if line.label:
        begun = _NUMBER.match(line.label)
        known = begun is None or int(begun[2]) in numbers
        label = _NUMBER.sub(lambda m: m[1] + str(numbers.get(int(m[2]), int(m[2]))), line.label) if begun else line.label
        pressed = words["press"].format(role=role, who=line.who.name, label=label)
        return pressed if known else f"# {pressed}"
    if line.who.helps:
        text = _NUMBER.sub(lambda m: m[1] + str(numbers.get(int(m[2]), int(m[2]))), text)
    return words[line.who.role].format(who=line.who.name, text=text)
