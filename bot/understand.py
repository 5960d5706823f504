"""The body of `binnenbuurt understand`: JSON lines in, JSON lines out, in order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from bot.settings import read_settings
from flows.understand import Reader

LOCALE = Path(__file__).resolve().parent.parent / "locales" / "nl"


def run(lines_in: Iterable[str], out: TextIO, why: bool = False) -> None:
    """Read `{"text","context","now"?}` per line, write `{"intent","topics","urgency","for_other","when",...}`.

    `now` is a local wall-clock time; without it, the present. Raises `ValueError`, naming the line, for a line that
    is not such an object.
    """
    reader, zone = Reader.load(LOCALE), ZoneInfo(read_settings().timezone)
    for number, line in enumerate(lines_in, 1):
        if not line.strip():
            continue
        try:
            asked = json.loads(line.removeprefix("\ufeff"))
            text, context = asked["text"], asked.get("context") or ""
            if not isinstance(text, str) or not isinstance(context, str):
                raise TypeError("text and context are strings")
            now = _local(datetime.fromisoformat(asked["now"]), zone) if asked.get("now") else datetime.now(zone)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'line {number}: expected {{"text", "context", "now"?}}: {error}') from error
        heard = reader.read(text, context, now, why=why)
        when = heard.when
        said = {
            "intent": heard.intent,
            "topics": list(heard.topics),
            "urgency": heard.urgency,
            "for_other": heard.for_other,
            "when": None if when is None else {"from": when.start, "to": when.end, "words": when.words},
        }
        if why:
            said |= {"clear": heard.clear, "danger": heard.danger, "why": list(heard.why)}
        out.write(json.dumps(said, ensure_ascii=False) + "\n")


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time in our zone, so that "over een uur" is a real hour also on the night the clock changes."""
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


if __name__ == "__main__":
    run(sys.stdin, sys.stdout, why="--why" in sys.argv[1:])
