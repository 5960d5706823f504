"""The address on the web: webhooks of both networks, and how we are for who watches. Nothing else."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.channels.channel import brief
from bot.channels.sms import Sms
from bot.channels.telegram import Telegram
from bot.reception import Reception

log = logging.getLogger("binnenbuurt.server")

BODY_MAX = 256 * 1024  # bytes; an update or a form is a few thousand
NO_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response />'
SECRET = "X-Telegram-Bot-Api-Secret-Token"


@dataclass(frozen=True, slots=True)
class Views:
    """What the server asks about the rest of the process."""

    ready: Callable[[], Awaitable[Mapping[str, bool]]]
    metrics: Callable[[], Awaitable[str]]


def application(
    reception: Reception, sms: Sms | None, telegram: Telegram | None, telegram_secret: str, views: Views
) -> Starlette:
    """The web application. `telegram_secret` is "" when Telegram is off or polled: then nothing is let in there."""
    app = Starlette(
        routes=[
            Route("/sms", _Door(lambda r, b: _sms(reception, sms, r, b)), methods=["POST"]),
            Route("/sms/status", _Door(lambda r, b: _status(reception, sms, r, b)), methods=["POST"]),
            Route(
                "/telegram", _Door(lambda r, b: _telegram(reception, telegram, telegram_secret, r, b)), methods=["POST"]
            ),
            Route("/health", _health, methods=["GET"]),
            Route("/ready", _ready(views), methods=["GET"]),
            Route("/metrics", _metrics(views), methods=["GET"]),
        ]
    )
    app.router.redirect_slashes = False  # /sms/ is no door of ours, signed or not
    return app


class _Door:
    """One webhook: reads the body within its limit, and answers 503 when what came could not be kept."""

    def __init__(self, inside: Callable[[Request, bytes], Awaitable[Response]]) -> None:
        self._inside = inside

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]  # ASGI's own three
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_MAX:
                return Response(status_code=413)
        try:
            return await self._inside(request, body)
        except Exception as wrong:  # disk full, database away: not accepted, so the network keeps it or says so
            log.error("a webhook could not be kept", extra={"path": request.url.path, "error": brief(wrong)})
            return Response(status_code=503, headers={"Retry-After": "5"})


async def _sms(reception: Reception, sms: Sms | None, request: Request, body: bytes) -> Response:
    form = _signed(sms, request, body)
    if sms is None or form is None:
        return Response(status_code=403)
    text = sms.text(form, request.headers.get("I-Twilio-Idempotency-Token", ""))
    if text is None:
        reception.counts["sms unanswerable"] += 1  # who it came from is nobody's business
        log.warning("an sms of a sender that cannot be answered; passed by")
    else:
        await reception.keep("sms", [text])
    return Response(NO_TWIML, media_type="text/xml")


async def _status(reception: Reception, sms: Sms | None, request: Request, body: bytes) -> Response:
    form = _signed(sms, request, body)
    if sms is None or form is None:
        return Response(status_code=403)
    status = sms.status(form, request.url.query)
    if status is not None:
        await reception.status(status)
    return Response(status_code=204)


def _signed(sms: Sms | None, request: Request, body: bytes) -> Mapping[str, str] | None:
    if sms is None:
        return None
    return sms.form(request.url.path, request.url.query, body, request.headers.get("X-Twilio-Signature"))


async def _telegram(
    reception: Reception, telegram: Telegram | None, secret: str, request: Request, body: bytes
) -> Response:
    given = request.headers.get(SECRET, "")
    if not hmac.compare_digest(given.encode(), secret.encode()) or not secret or telegram is None:
        return Response(status_code=403)
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        update = None
    if isinstance(update, dict):
        await reception.telegram(telegram, [update])
    else:  # 200 all the same: Telegram would bring it again for a day
        log.error("a webhook of Telegram is no update")
    return Response(status_code=200)


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


def _ready(views: Views) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        parts = await views.ready()
        return JSONResponse({"ready": all(parts.values()), **parts}, status_code=200 if all(parts.values()) else 503)

    return answer


def _metrics(views: Views) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return PlainTextResponse(await views.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return answer
