"""What goes wrong on purpose: a plan of faults that a protocol server consults at every call.

A plan is filled by the test, read by the server's own thread, and keeps count of what it handed out, so a test can
compare "faults injected" with "duplicates seen". Chance is seeded: the same seed and the same order of calls give the
same faults.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Match = Callable[[str, Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Fault:
    """One way in which an answer goes wrong.

    kind: `status` (an HTTP error in the provider's own error format), `body` (a given body, whatever the client
    makes of it), `hang` (no answer for `seconds`, then the connection closes), `lost` (processed, then the connection
    closes without an answer), `reset` (the connection is reset before processing), `slow` (answered after `seconds`).
    processed: whether the call has its effect all the same. `lost` and `slow` always do, `reset` never does.
    """

    kind: str
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    seconds: float = 0.0
    retry_after: int | None = None
    processed: bool = False
    name: str = ""

    def but_processed(self) -> Fault:
        """The same wrong answer to a call that was carried out: what makes blind repeating a duplicate."""
        return replace(self, processed=True, name=f"{self.name} (processed)")


def too_many(retry_after: int | None = 1) -> Fault:
    """429. None leaves the waiting time out, which both providers do now and then."""
    return Fault("status", status=429, retry_after=retry_after, name="429")


def server_error(status: int = 500) -> Fault:
    """5xx in the provider's own JSON error format."""
    return Fault("status", status=status, name=str(status))


def refused(status: int) -> Fault:
    """A 4xx in the provider's own JSON error format, such as 401 while a token is being replaced."""
    return Fault("status", status=status, name=str(status))


def bad_gateway() -> Fault:
    """502 as a proxy in between gives it: HTML, not JSON."""
    page = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"
    return Fault("body", status=502, body=page, content_type="text/html", name="502 html")


def garbage() -> Fault:
    """200 with a body cut off in the middle."""
    return Fault("body", body=b'{"ok":true,"result":{"mess', name="garbage")


def html_ok() -> Fault:
    """200 with an HTML page, as a captive portal gives it."""
    return Fault("body", body=b"<html><body>Welkom</body></html>", content_type="text/html", name="200 html")


def ok_false() -> Fault:
    """200 that says no."""
    return Fault("body", body=b'{"ok":false}', name="ok false")


def null() -> Fault:
    """200 with JSON null."""
    return Fault("body", body=b"null", name="null")


def hang(seconds: float) -> Fault:
    """No answer for so many seconds; not processed unless `.but_processed()`."""
    return Fault("hang", seconds=seconds, name="hang")


def answer_lost() -> Fault:
    """Processed, but the answer never arrives."""
    return Fault("lost", processed=True, name="answer lost")


def reset() -> Fault:
    """TCP reset before anything was done."""
    return Fault("reset", name="reset")


def slow(seconds: float) -> Fault:
    """Processed at once and answered so many seconds later."""
    return Fault("slow", seconds=seconds, processed=True, name="slow")


def every_class(hang_seconds: float = 1.0) -> list[Fault]:
    """One of each passing fault; everything can still arrive when a client handles them all."""
    return [
        too_many(),
        too_many(None),
        server_error(500),
        bad_gateway(),
        garbage(),
        html_ok(),
        ok_false(),
        null(),
        hang(hang_seconds),
        answer_lost(),
        reset(),
        slow(0.05),
    ]


@dataclass
class _Rule:
    faults: Sequence[Fault]
    methods: frozenset[str] | None
    match: Match | None
    times: int | None
    probability: float
    chance: random.Random

    def applies(self, method: str, params: Mapping[str, Any]) -> bool:
        if self.methods is not None and method not in self.methods:
            return False
        return self.match is None or self.match(method, params)


class FaultPlan:
    """Which of the coming calls go wrong, and how. Safe to change while the server runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self.taken: Counter[str] = Counter()

    def next(
        self, *faults: Fault, times: int = 1, methods: Sequence[str] | None = None, match: Match | None = None
    ) -> None:
        """The next calls (of these methods, that match) get these faults in order, the whole row `times` times."""
        names = frozenset(methods) if methods is not None else None
        with self._lock:
            for _ in range(times):
                for fault in faults:
                    self._rules.append(_Rule((fault,), names, match, 1, 1.0, random.Random(0)))

    def always(self, fault: Fault, methods: Sequence[str] | None = None, match: Match | None = None) -> None:
        """Every call goes wrong until `clear()`: an outage."""
        self.chance(1.0, [fault], methods=methods, match=match)

    def chance(
        self,
        probability: float,
        faults: Sequence[Fault],
        seed: int = 0,
        methods: Sequence[str] | None = None,
        match: Match | None = None,
    ) -> None:
        """Each call goes wrong with this probability, in a way drawn from `faults`."""
        names = frozenset(methods) if methods is not None else None
        with self._lock:
            self._rules.append(_Rule(tuple(faults), names, match, None, probability, random.Random(seed)))

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        with self._lock:
            self._rules.clear()

    @property
    def left(self) -> int:
        """How many faults promised by `next()` have not happened yet."""
        with self._lock:
            return sum(rule.times or 0 for rule in self._rules)

    def pick(self, method: str, params: Mapping[str, Any]) -> Fault | None:
        """The fault for this call, or None. Called by the servers, once per call."""
        with self._lock:
            for rule in self._rules:
                if not rule.applies(method, params):
                    continue
                if rule.times is None:
                    if rule.chance.random() >= rule.probability:
                        continue
                    fault = rule.chance.choice(list(rule.faults))
                else:
                    fault = rule.faults[0]
                    self._rules.remove(rule)
                self.taken[fault.name] += 1
                return fault
        return None
