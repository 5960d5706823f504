"""The heartbeat's other end: an outage of ours is seen at the start, or after a sleep, before anything else is due."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from bot.turn import Turn
from storage import outages
from storage.alive import GAP

log = logging.getLogger("binnenbuurt.heartbeat")


def notice_outage(turn: Turn, now: datetime, gap: timedelta = GAP) -> timedelta | None:
    """How long we were away, None when we were not; called before the due dates of every tick."""
    with turn.database.transaction() as connection:
        away = outages.notice(connection, turn.texts, now, gap)
    if away is not None:
        log.warning("was away", extra={"seconds": int(away.total_seconds())})
    return away
