"""Looking things up at Telegram and Twilio, for the operator only: what the bot sends goes by its channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from bot.settings import Settings

TIMEOUT = 10.0  # seconds; a doctor who waits longer than this for an answer has found the illness
TWILIO_API, TWILIO_MESSAGING = "https://api.twilio.com", "https://messaging.twilio.com"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said: `status` 0 means that it could not be reached, and then `error` says why."""

    status: int
    data: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """True for a 2xx answer."""
        return 200 <= self.status < 300


def ask_telegram(settings: Settings, method: str) -> Answer:
    """The result of a Bot API method without parameters. Never raises for the network."""
    answer = _get(f"{settings.telegram_api_base.rstrip('/')}/bot{settings.telegram_bot_token}/{method}")
    result = answer.data.get("result")
    return Answer(answer.status, result if isinstance(result, dict) else {}, answer.at, answer.error)


def ask_twilio(settings: Settings, path: str, **parameters: str) -> Answer:
    """A Twilio resource below the account (`.json`, `/IncomingPhoneNumbers.json`). Never raises for the network."""
    base = f"{settings.twilio_api_base.rstrip('/')}/2010-04-01/Accounts/{settings.twilio_account_sid}"
    return _get(base + path, parameters, (settings.twilio_account_sid, settings.twilio_auth_token))


def ask_twilio_service(settings: Settings, path: str = "") -> Answer:
    """The messaging service in TWILIO_FROM (`MG…`), or what is below it. Never raises for the network."""
    base = settings.twilio_api_base.rstrip("/")
    base = TWILIO_MESSAGING if base == TWILIO_API else base
    login = (settings.twilio_account_sid, settings.twilio_auth_token)
    return _get(f"{base}/v1/Services/{settings.twilio_from}{path}", None, login)


def ask_page(url: str) -> Answer:
    """Whether a page answers. Never raises for the network."""
    return _get(url)


def bot_username(settings: Settings) -> str | None:
    """The bot's name on Telegram; None when Telegram is off or does not answer."""
    if not settings.telegram_on:
        return None
    name = ask_telegram(settings, "getMe").data.get("username")
    return str(name) if name else None


def sms_number(settings: Settings) -> str | None:
    """The number that residents text, also when TWILIO_FROM is a messaging service; None when SMS is off or unknown."""
    if not settings.sms_on:
        return None
    if not settings.twilio_from.startswith("MG"):
        return settings.twilio_from
    numbers = ask_twilio_service(settings, "/PhoneNumbers").data.get("phone_numbers") or [{}]
    number = numbers[0].get("phone_number")
    return str(number) if number else None


def _get(url: str, parameters: dict[str, str] | None = None, login: tuple[str, str] | None = None) -> Answer:
    try:
        got = httpx.get(url, params=parameters, auth=login, timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as wrong:
        return Answer(0, error=type(wrong).__name__)  # never the message: it may hold the address with its token
    try:
        data = got.json()
    except ValueError:
        data = {}
    at = got.headers.get("date")
    try:
        moment = parsedate_to_datetime(at) if at else None
    except ValueError:
        moment = None
    return Answer(got.status_code, data if isinstance(data, dict) else {}, moment)
