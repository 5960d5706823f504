"""Running a Starlette application on loopback in a thread, and posting webhooks from it: common to both servers."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

T = TypeVar("T")


class _OpenProtocol(HttpToolsProtocol):
    """Hands the transport to the application: cutting the line is not something ASGI can say."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class _Server(uvicorn.Server):
    """Ends at once: the stock loop looks ten times a second, which adds up over hundreds of tests."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self.stopping = stopping

    async def main_loop(self) -> None:
        while not self.should_exit:
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), 1)


class Dropped(Response):
    """A "response" that closes the connection without a byte; `reset` makes it a TCP reset."""

    def __init__(self, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope["state"]["transport"]
        sock = transport.get_extra_info("socket")
        if self.reset and sock is not None:
            # Linger 0: the kernel answers with RST, which is what a crashed or restarted peer does.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        # uvicorn answers 500 for an application that returns before it knows the peer is gone.
        while (await receive())["type"] != "http.disconnect":
            pass


@dataclass
class Attempt:
    """One POST to the bot: when (monotonic), how long it took, and the status or the error."""

    at: float
    seconds: float = 0.0
    status: int | None = None
    error: str = ""
    body: bytes = b""
    content_type: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Delivery:
    """A webhook on its way to the bot. `result()` blocks, `await` does not; both give the last attempt."""

    future: Future[Attempt]
    attempts: list[Attempt] = field(default_factory=list)
    sid: str = ""

    def result(self, timeout: float = 10) -> Attempt:
        return self.future.result(timeout)

    def __await__(self) -> Generator[Any, None, Attempt]:
        return asyncio.wrap_future(self.future).__await__()


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Attempt:
    """One POST over a new connection (providers seldom reuse one). Never raises; redirects are not followed."""
    parts = urlsplit(url)
    attempt = Attempt(at=time.monotonic())
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body, dict(headers))
        answer = connection.getresponse()
        attempt.body = answer.read()
        attempt.status = answer.status
        attempt.content_type = answer.getheader("Content-Type") or ""
    except TimeoutError:
        attempt.error = "timeout"
    except (OSError, http.client.HTTPException) as error:
        attempt.error = f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    attempt.seconds = time.monotonic() - attempt.at
    return attempt


class Loopback(ABC):
    """A server thread with its own event loop, one lock around all state, and a condition to wait on.

    `stop()` and `start()` again give an outage: the port and everything remembered stay the same.
    """

    def __init__(self) -> None:
        self.port = 0
        self.changed = threading.Condition(threading.RLock())
        self.executor = ThreadPoolExecutor(max_workers=64, thread_name_prefix="webhook")
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self._stopping: asyncio.Event | None = None
        self._sleepers: set[asyncio.Event] = set()

    @abstractmethod
    def application(self) -> Starlette:
        """What this server answers with."""

    @property
    def base_url(self) -> str:
        """Where it listens, for TELEGRAM_API_BASE or TWILIO_API_BASE; no slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Any:
        """Listen, and return when calls are answered."""
        # With the protocol named asyncio switches Nagle's algorithm off; without it each answer takes 40 ms.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        config = uvicorn.Config(
            self.application(),
            http=_OpenProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            backlog=1024,
        )
        self._server = None

        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            self._server = _Server(config, self._stopping)
            await self._server.serve(sockets=[sock])

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), name=type(self).__name__, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 5
        while not self.running:
            if time.monotonic() > deadline:
                raise RuntimeError("the test server did not start")
            time.sleep(0.002)
        self.on_start()
        return self

    def on_start(self) -> None:  # noqa: B027  # most have nothing more to begin
        """What else begins with the server."""

    def stop(self) -> None:
        """Stop listening; waiting calls are cut off, state is kept."""
        server, thread, loop = self._server, self._thread, self.loop
        if server is None or thread is None or loop is None:
            return

        def end() -> None:
            assert self._stopping is not None
            self._stopping.set()
            for sleeper in self._sleepers:
                sleeper.set()
            server.should_exit = True

        loop.call_soon_threadsafe(end)
        thread.join(10)
        self._server = self._thread = self.loop = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self.executor.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Any:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.started

    @property
    def stopping(self) -> bool:
        return self._stopping is None or self._stopping.is_set()

    async def pause(self, seconds: float) -> None:
        """Sleep inside a handler, cut short by `stop()` or `wake()`."""
        event = asyncio.Event()
        self._sleepers.add(event)
        try:
            if not self.stopping:
                await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            self._sleepers.discard(event)

    def call_in_loop(self, function: Callable[[], object]) -> None:
        """Run something soon in the server's loop, from any thread; nothing happens when it is down."""
        loop = self.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(function)

    def wait_for(self, predicate: Callable[[], T | None], timeout: float = 5, what: str = "") -> T:
        """Block until the predicate gives something true (looked at after every change) and return it."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = predicate()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"waited {timeout} s for {what or predicate}\n{self.describe()}")
                # Also looked at between changes: a predicate may be about time or about the bot's own state.
                self.changed.wait(min(left, 0.05))

    async def until(self, predicate: Callable[[], T | None], timeout: float = 5, what: str = "") -> T:
        """`wait_for` for a test whose bot lives in the same event loop."""
        return await asyncio.to_thread(self.wait_for, predicate, timeout, what)

    def describe(self) -> str:
        """The state, for a failed wait."""
        return ""
