"""The body of `binnenbuurt understand`: JSON lines in, JSON lines out, in order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from flows.understand import Reader

LOCALE = Path(__file__).resolve().parent.parent / "locales" / "nl"


def run(lines_in: Iterable[str], out: TextIO, why: bool = False) -> None:
    """Read `{"text","context","now"?}` per line, write `{"intent","topics","urgency","for_other","when",...}`.

    `now` is a local wall-clock time; without it, the present. Raises `ValueError`, naming the line, for a line that
    is not such an object.
    """
    reader = Reader.load(LOCALE)
    for number, line in enumerate(lines_in, 1):
        if not line.strip():
            continue
        try:
            asked = json.loads(line)
            text, context = str(asked["text"]), str(asked.get("context") or "")
            now = datetime.fromisoformat(asked["now"]) if asked.get("now") else _present()
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
            "clear": heard.clear,
            "danger": heard.danger,
        }
        if why:
            said["why"] = list(heard.why)
        out.write(json.dumps(said, ensure_ascii=False) + "\n")


def _present() -> datetime:
    return datetime.now(ZoneInfo(os.environ.get("TIMEZONE") or "Europe/Amsterdam"))


if __name__ == "__main__":
    run(sys.stdin, sys.stdout, why="--why" in sys.argv[1:])
