"""The settings: from the environment or `.env`, checked once, each with what to do when it is wrong."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class SettingProblem(ValueError):
    """A setting that cannot be used; the message names it and says what to do."""


class MisspeltSetting(SettingProblem):
    """A name in `.env` that is almost one of ours: left aside, its value would silently be the default."""


_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")  # what Telegram allows (setWebhook)
_SENDER = re.compile(r"\+\d{5,15}|MG\w+")
_QUOTED = re.compile(r"""\s*(["'])(.*?)\1\s*(?:#.*)?""")
_ALMOST = 0.85  # of its letters a name shares with one of ours
_OF_OTHERS = frozenset({"TELEGRAM_API_HASH", "DATABASE_USER"})  # names of other programs that share as many


@dataclass(frozen=True, slots=True)
class Settings:
    """One field per name in the environment, in lower case; `.env.example` explains each."""

    database_url: str = "sqlite:///data/binnenbuurt.db"
    data_key: str = ""
    data_key_file: str = "data/key"
    telegram_bot_token: str = ""
    telegram_mode: str = "polling"
    telegram_webhook_secret: str = ""
    telegram_api_base: str = "https://api.telegram.org"
    twilio_account_sid: str = ""
    twilio_auth_token: str = ""
    twilio_from: str = ""
    twilio_api_base: str = "https://api.twilio.com"
    sms_per_second: float = 10.0
    public_base_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    timezone: str = "Europe/Amsterdam"
    heartbeat_url: str = ""

    @property
    def telegram_on(self) -> bool:
        """True when Telegram has what it needs."""
        return bool(self.telegram_bot_token)

    @property
    def sms_on(self) -> bool:
        """True when SMS has what it needs."""
        return bool(self.twilio_account_sid and self.twilio_auth_token and self.twilio_from)


def read_settings(environment: Mapping[str, str] | None = None, file: Path = Path(".env")) -> Settings:
    """Settings from `.env` and the environment, which wins. Raises SettingProblem with one clear line."""
    given = {**_dotenv(file), **(os.environ if environment is None else environment)}
    values: dict[str, str | int | float] = {}
    for field in fields(Settings):
        text = given.get(field.name.upper(), "").strip()
        if text:
            values[field.name] = _number(field.name, text) if field.name in ("port", "sms_per_second") else text
    settings = Settings(**values)  # type: ignore[arg-type]  # each value was made to its field's type just above
    _check(settings)
    return settings


def _dotenv(file: Path) -> dict[str, str]:
    pairs: dict[str, str] = {}
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as wrong:  # left aside, every setting in it would be the default
        raise SettingProblem(f"{file} cannot be read: {wrong.strerror}. Look whose file it is.") from None
    except UnicodeDecodeError:
        raise SettingProblem(f"The letters of {file} cannot be read. Save it as UTF-8.") from None
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        name, equals, value = bare.removeprefix("export ").partition("=")
        if not equals:
            raise SettingProblem(f"{file} line {number}: write NAME=value.")
        name = name.strip()
        _check_spelling(name, f"{file} line {number}")
        quoted = _QUOTED.fullmatch(value)
        pairs[name] = quoted[2] if quoted else re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    return pairs


def _check_spelling(name: str, where: str) -> None:
    names = [field.name.upper() for field in fields(Settings)]
    almost = difflib.get_close_matches(name.upper(), names, 1, _ALMOST)
    if name not in names and name not in _OF_OTHERS and almost:
        raise MisspeltSetting(f"{where}: there is no setting {name}. Did you mean {almost[0]}?")


def _number(name: str, text: str) -> int | float:
    try:
        number = int(text) if name == "port" else float(text)
    except ValueError:
        raise SettingProblem(f"{name.upper()} must be a number, not {text!r}.") from None
    if not math.isfinite(number) or number <= 0 or (name == "port" and number > 65535):
        raise SettingProblem(f"{name.upper()} must be above 0{' and at most 65535' if name == 'port' else ''}.")
    return number


def _is_address(text: str, *, plain: bool) -> bool:
    """True for a web address with a host; a `plain` one has paths put behind it, so it ends there."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not (plain and (parts.query or parts.fragment))
        )
    except ValueError:
        return False


def _check(settings: Settings) -> None:
    for name in ("telegram_api_base", "twilio_api_base", "public_base_url", "heartbeat_url"):
        address = getattr(settings, name)
        if address and not _is_address(address, plain=name != "heartbeat_url"):
            raise SettingProblem(f"{name.upper()} must be an address like https://example.org, not {address!r}.")
    secret = settings.telegram_webhook_secret
    if secret and not _SECRET.fullmatch(secret):
        raise SettingProblem("TELEGRAM_WEBHOOK_SECRET may hold letters, digits, _ and - only, at most 256 of them.")
    if settings.telegram_mode not in ("polling", "webhook"):
        raise SettingProblem("TELEGRAM_MODE must be polling or webhook.")
    if settings.telegram_mode == "webhook" and settings.telegram_on:
        if not settings.telegram_webhook_secret:
            raise SettingProblem(
                "TELEGRAM_WEBHOOK_SECRET is needed with TELEGRAM_MODE=webhook. Any long random word will do."
            )
        if not settings.public_base_url:
            raise SettingProblem(
                "PUBLIC_BASE_URL is needed with TELEGRAM_MODE=webhook: the https address the world sees."
            )
    some = [settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_from]
    if any(some) and not all(some):
        raise SettingProblem("SMS needs all of TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM, or none.")
    if settings.sms_on and not settings.public_base_url:
        raise SettingProblem("PUBLIC_BASE_URL is needed for SMS: Twilio signs every message with that address.")
    if settings.twilio_from and not _SENDER.fullmatch(settings.twilio_from):
        raise SettingProblem("TWILIO_FROM must be a number like +3197010200300, or a messaging service (MG...).")
    try:
        ZoneInfo(settings.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingProblem(f"TIMEZONE {settings.timezone!r} is unknown. Use Europe/Amsterdam.") from None
