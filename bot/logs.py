"""Logs as JSON lines, without a name, number or word of anybody: only what our own code says about itself."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType

from bot.clock import Clock

# The only extra fields that are written; each is a count, an id of a row or a class of error.
FIELDS = (
    "row", "incoming", "channel", "attempt", "outcome", "error", "failures", "path", "count", "seconds", "port", "host",
    "mode",
)  # fmt: skip


class JsonLines(logging.Formatter):
    """One line a record. Other libraries' records are reduced to who and where: their words may hold anything."""

    def __init__(self, clock: Clock | None = None) -> None:
        """A `clock` is given in a rehearsal, which every line then says."""
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        ours = record.name.startswith("binnenbuurt")
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
        }
        if self._clock is not None:
            line["rehearsal"] = self._clock.now().isoformat(timespec="seconds")
        if ours:
            # the sentence as it stands in our code; whatever was to be filled in stays out
            line["what"] = str(record.msg)
            line |= {name: record.__dict__[name] for name in FIELDS if name in record.__dict__}
        else:
            line["what"] = f"{os.path.basename(record.pathname)}:{record.lineno}"
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["place"] = place(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False)


def place(trace: TracebackType | None) -> str:
    """Where an exception came from, innermost last, as file:line; never the lines themselves or their values."""
    frames = traceback.extract_tb(trace)[-4:]
    return " ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in frames)


def set_up(clock: Clock | None = None) -> None:
    """Log to stderr from now on. Libraries that log addresses (httpx writes the bot's token) speak only of trouble."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("binnenbuurt").setLevel(logging.INFO)
    for name in ("httpx", "httpcore", "telegram", "uvicorn", "apscheduler", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)
