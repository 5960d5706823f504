"""The one thread that writes. Small writes that wait together are one transaction, so that a burst costs few commits.

SQLite has one writer; a second thread would only wait for it, unfairly (measured: up to a second). Everything that is
slow on its own (a turn, the minute tick) takes its place in the same line.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from storage.database import Database

Result = TypeVar("Result")
TOGETHER_MAX = 64  # writes in one transaction, so that none of them waits long for the others


class WriteThread:
    """Runs writes in a thread of its own. Use from one event loop; `close` ends it when the line is empty."""

    def __init__(self, database: Database) -> None:
        """`database` is open; the thread starts at once."""
        self.database = database
        self._small: deque[tuple[Callable[[Connection], Any], Future[Any]]] = deque()
        self._whole: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    async def write(self, change: Callable[[Connection], Result]) -> Result:
        """Do a small write; returns after the commit. `change` may be run again, so it only touches the database."""
        future: Future[Result] = Future()
        with self._changed:
            self._small.append((change, future))
            self._changed.notify()
        return await asyncio.wrap_future(future)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do something that opens transactions of its own; it is begun when no small write waits."""
        future: Future[Result] = Future()
        with self._changed:
            self._whole.append((work, future))
            self._changed.notify()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread after what waits; blocks until then."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._small and not self._whole:
                    if self._closing:
                        return
                    self._changed.wait()
                batch = [self._small.popleft() for _ in range(min(len(self._small), TOGETHER_MAX))]
                whole = self._whole.popleft() if self._whole else None
            if batch:
                self._together(batch)
            if whole is not None:
                _settle(whole[1], whole[0])

    def _together(self, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        alive = [(change, future) for change, future in batch if future.set_running_or_notify_cancel()]
        try:
            with self.database.transaction() as connection:
                results = [change(connection) for change, _ in alive]
        except Exception as wrong:
            if len(alive) == 1:
                alive[0][1].set_exception(wrong)
                return
            for change, future in alive:  # one of them failed: each on its own, so that the others are not its victims
                _settle(future, functools.partial(self._alone, change), begun=True)
            return
        for (_, future), result in zip(alive, results, strict=True):
            future.set_result(result)

    def _alone(self, change: Callable[[Connection], Any]) -> Any:
        with self.database.transaction() as connection:
            return change(connection)


def _settle(future: Future[Any], work: Callable[[], Any], *, begun: bool = False) -> None:
    if not begun and not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as wrong:
        future.set_exception(wrong)
