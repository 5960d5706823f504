"""The ticks: once a minute what is due is done. No timers hold what matters: everything due is a date in a row."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.clock import Clock

TICK_SECONDS = 60.0  # on the calendar
TICK_MIN = 0.5  # real seconds: a rehearsal at full speed still breathes between two ticks


def tick_seconds(clock: Clock) -> float:
    """Real seconds between two ticks."""
    return max(TICK_MIN, TICK_SECONDS / clock.speed)


def start(clock: Clock, tick: Callable[[], Awaitable[None]], daily: Callable[[], Awaitable[None]]) -> AsyncIOScheduler:
    """A running scheduler with two jobs: the tick, and what is done daily. Stop it with `shutdown()`.

    The daily work is done a minute after the start and then every 24 hours: a computer that is off at night never runs
    that long, and would forget nothing.

    A late tick runs once, however late (the library would drop it after a second), and never beside itself.
    """
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    scheduler = AsyncIOScheduler(
        event_loop=asyncio.get_running_loop(),
        timezone="UTC",
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    scheduler.add_job(tick, IntervalTrigger(seconds=tick_seconds(clock)), id="tick")
    first = datetime.now(UTC) + timedelta(seconds=tick_seconds(clock))
    scheduler.add_job(daily, IntervalTrigger(seconds=24 * 3600 / clock.speed), next_run_time=first, id="daily")
    scheduler.start()
    return scheduler
