"""`binnenbuurt try`: the page over HTTP, for this computer only. The page is up at once; the engine loads behind it."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import logging
import re
import socket
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bot.tryout.show import NotPossible, Show

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
WORDS = Path(__file__).parent.parent.parent / "locales" / "nl" / "tryout"
BODY_MAX = 256 * 1024  # bytes of one request
FILES = {"page.css": "text/css", "page.js": "text/javascript"}
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")

log = logging.getLogger("binnenbuurt.tryout")


class PortTaken(RuntimeError):
    """The port cannot be used; the message says what to do."""


def serve(port: int = 8321, open_browser: bool = True, *, pace: float = 1.0) -> None:
    """Show the pretend neighbourhood on http://127.0.0.1:PORT until Ctrl-C; port 0 takes a free one.

    `pace` 0 plays the scenes without pauses. Raises PortTaken when another program listens there.
    """
    words = read_words()
    listening = _listen(port, words)
    address = f"http://{HOST}:{listening.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="binnenbuurt-") as folder:
        show = Show(Path(folder), pace)
        server = _Server(show, _app(show, words))
        sys.stdout.write(words["page"]["says_address"].format(address=address) + "\n")
        sys.stdout.flush()
        server.open_when_up = address if open_browser else ""
        server.run(sockets=[listening])
    if server.failed:
        raise server.failed


def read_words(folder: Path = WORDS) -> dict[str, Any]:
    """The page's words and the scenes' titles, as the page gets them."""
    page = tomllib.loads((folder / "page.toml").read_text(encoding="utf-8"))
    scenes = tomllib.loads((folder / "scenes.toml").read_text(encoding="utf-8"))["scene"]
    return {**page, "scenes": [{k: s[k] for k in ("name", "title", "about")} for s in scenes]}


class _Server(uvicorn.Server):
    """Ends quietly on Ctrl-C: the tabs' open streams are closed first, and the temporary folder goes after it."""

    def __init__(self, show: Show, app: Starlette) -> None:
        # plain asyncio and h11: one visitor needs no faster ones, and they cost memory
        super().__init__(
            uvicorn.Config(app, loop="asyncio", http="h11", ws="none", log_level="warning", access_log=False)
        )
        self._show = show
        self.open_when_up = ""
        self.failed: BaseException | None = None
        app.state.server = self

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop without raising the signal once more, so that the way out of `serve` is walked."""
        self.should_exit = True
        self._show.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the browser once the page can be had."""
        await super().startup(sockets)
        if self.open_when_up and self.started:
            import webbrowser

            await asyncio.get_running_loop().run_in_executor(None, webbrowser.open, self.open_when_up)


def _listen(port: int, words: dict[str, Any]) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # who opens the address as soon as it is printed waits, and is not refused
    except (OSError, OverflowError):
        listening.close()
        raise PortTaken(words["page"]["port_taken"].format(port=port)) from None
    return listening


def _app(show: Show, words: dict[str, Any]) -> Starlette:
    index = _index(words)

    async def page(_request: Request) -> Response:
        return Response(index, media_type="text/html; charset=utf-8", headers=HEADERS)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return Response(status_code=404)
        return Response((PAGE / name).read_bytes(), media_type=f"{FILES[name]}; charset=utf-8", headers=HEADERS)

    async def events(request: Request) -> Response:
        last = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return StreamingResponse(show.events(last), media_type="text/event-stream", headers=HEADERS)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/events", events),
            Route("/do/{what}", _doing(show, words["errors"]), methods=["POST"]),
            Route("/{name}", file),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        lifespan=lambda app: _life(show, app),
    )


def _index(words: dict[str, Any]) -> str:
    """The page with its words filled in, and all words for its script; nothing in it can close the script block."""
    data = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    return _PLACEHOLDER.sub(lambda m: data if m[1] == "words" else html.escape(words["page"][m[1]]), text)


@contextlib.asynccontextmanager
async def _life(show: Show, app: Starlette) -> AsyncIterator[None]:
    """The engine starts behind the page; when it cannot, the server stops with that error."""
    starting = asyncio.create_task(show.start())

    def started(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            app.state.server.failed = task.exception()
            app.state.server.handle_exit(0, None)

    starting.add_done_callback(started)
    yield
    await show.ended()


def _doing(show: Show, errors: dict[str, str]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            await _do(show, request.path_params["what"], await _body(request))
        except NotPossible as wrong:
            return JSONResponse({"error": errors[str(wrong)]}, status_code=400, headers=HEADERS)
        except Exception:
            log.exception("the page asked for %s", request.path_params["what"])
            return JSONResponse({"error": errors["ours"]}, status_code=500, headers=HEADERS)
        return JSONResponse({}, headers=HEADERS)

    return endpoint


async def _do(show: Show, what: str, body: dict[str, Any]) -> None:
    """What the page's controls do. Raises NotPossible for anything else."""
    match what:
        case "write":
            reply = body.get("reply_to")
            await show.write(
                _text(body, "who"),
                _text(body, "text"),
                _text(body, "button"),
                reply if isinstance(reply, int) else 0,
                _text(body, "kind") or "text",
            )
        case "clock":
            await show.push(_text(body, "to"))
        case "phone":
            await show.add_phone()
        case "reset":
            await show.reset()
        case "stop":
            await show.stop()
        case "scene":
            from bot.tryout import scenes

            scene = next((s for s in scenes.load() if s.name == _text(body, "name")), None)
            if scene is None:
                raise NotPossible("unknown")
            await show.play(scene)
        case _:
            raise NotPossible("unknown")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    return value if isinstance(value, str) else ""


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request. Another site's page cannot send this content type here without asking first."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise NotPossible("unknown")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > BODY_MAX:
            raise NotPossible("too_long")
    try:
        body = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        raise NotPossible("unknown") from None
    if not isinstance(body, dict):
        raise NotPossible("unknown")
    return body
