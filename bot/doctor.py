"""`binnenbuurt doctor`: looks at everything a volunteer could have set wrong, and says in plain Dutch what to do."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import sqlalchemy as sa

from bot.language import load_ears, load_texts
from bot.opening import open_database
from bot.operator.backup import newest
from bot.operator.providers import Answer, ask_page, ask_telegram, ask_twilio, ask_twilio_service
from bot.operator.words import fill, operator_words
from bot.settings import MisspeltSetting, SettingProblem, Settings, read_settings
from flows.texts import TextError
from storage import roster, tables
from storage.apply import OUTGOING
from storage.database import Database, DatabaseProblem
from storage.scene import table
from storage.seal import KeyProblem

ROOM = "doctor/advice"
ENV, BACKUPS = Path(".env"), Path("data/backups")
CLOCK_SECONDS = 30  # further off than this, signatures and "ten o'clock" go wrong
SQLITE = "sqlite:///"
DISK_MB, DISK_LOW_MB = 100, 1_000
BACKUP_DAYS = 2
ASLEEP = timedelta(minutes=10)
PENDING = 100  # updates waiting at Telegram: more means that nobody fetches them
TELEGRAM_PORTS = (None, 80, 88, 443, 8443)  # where Telegram posts to (Bot API, setWebhook)
OK, TIP, FIX = "ok", "tip", "fix"
HEARTBEAT = table(tables.Heartbeat)


@dataclass(slots=True)
class Visit:
    """One examination: what was found, and what later checks need."""

    now: datetime
    found: list[dict[str, Any]] = field(default_factory=list)
    clock_off: float | None = None
    began: float = field(default_factory=time.monotonic)

    def say(self, check: str, level: str, key: str, **values: object) -> None:
        """Note a finding: `level` is ok, tip (could be better) or fix (must be done); the words are in the advice."""
        self.found.append({"check": check, "level": level, "advice": key, "text": fill(ROOM, key, **values)})

    def heard(self, answer: Answer) -> Answer:
        """Remember by how many seconds our clock differs from somebody else's."""
        if answer.at is not None:
            present = self.now + timedelta(seconds=time.monotonic() - self.began)
            self.clock_off = abs((present - answer.at).total_seconds())
        return answer


def examine(
    now: datetime | None = None, file: Path = Path(".env"), backups: Path = Path("data/backups")
) -> dict[str, Any]:
    """Everything checked: `{"ok", "checks": [{"check", "level", "advice", "text"}]}`. Raises for nothing it finds."""
    visit = Visit(now or datetime.now(UTC))
    try:
        settings = read_settings(file=file)
    except SettingProblem as wrong:
        _settings_wrong(visit, wrong)
        return _result(visit)
    visit.say("settings", OK, "settings_ok")
    if not settings.telegram_on and not settings.sms_on:
        visit.say("settings", FIX, "no_channel")
    _texts(visit)
    _database(visit, settings, backups)
    _telegram(visit, settings)
    _sms(visit, settings)
    _address(visit, settings)
    _clock(visit)
    return _result(visit)


def as_text(found: dict[str, Any]) -> str:
    """The findings for reading, what must be done first."""
    words = operator_words(ROOM)
    lines = []
    for level in (FIX, TIP, OK):
        rows = [row for row in found["checks"] if row["level"] == level]
        if rows:
            lines.append(words[f"heading_{level}"])
            lines += [f"  - {row['text']}" for row in rows]
            lines.append("")
    lines.append(words["all_well"] if found["ok"] else words["not_well"])
    return "\n".join(lines) + "\n"


def _result(visit: Visit) -> dict[str, Any]:
    return {"ok": all(row["level"] != FIX for row in visit.found), "checks": visit.found}


def _settings_wrong(visit: Visit, wrong: SettingProblem) -> None:
    """A wrong setting in Dutch, by its name; what has no advice of its own is shown as it is."""
    problem = str(wrong)
    if isinstance(wrong, MisspeltSetting):
        visit.say("settings", FIX, "misspelt_setting", problem=problem)
        return
    names = {name.upper() for name in Settings.__dataclass_fields__}
    named = next((word for word in re.findall(r"[A-Z][A-Z_]+", problem) if word in names), "")
    key = f"setting_{named}" if f"setting_{named}" in operator_words(ROOM) else "setting"
    visit.say("settings", FIX, key, problem=problem)


def _texts(visit: Visit) -> None:
    try:
        count = len(load_texts().keys())
        load_ears()
        visit.say("texts", OK, "texts_ok", count=count)
    except (TextError, OSError, ValueError) as wrong:
        visit.say("texts", FIX, "texts_wrong", problem=wrong)


# --- database, key, disk ---


def _database(visit: Visit, settings: Settings, backups: Path) -> None:
    key = Path(settings.data_key_file)
    makes_key = not settings.data_key and not key.exists()
    if not makes_key and not _key(visit, settings):
        return
    try:
        database = open_database(settings)
    except KeyProblem as wrong:
        visit.say("key", FIX, "key_change" if "rekey" in str(wrong) else "key_other", problem=wrong)
        return
    except (DatabaseProblem, sa.exc.DBAPIError) as wrong:
        visit.say("database", FIX, "database_wrong", problem=wrong)
        if settings.database_url.startswith(SQLITE):  # a full disk may be why
            _space(visit, Path(settings.database_url.removeprefix(SQLITE)).parent)
        return
    except OSError as wrong:
        if makes_key and not key.exists():
            visit.say("key", FIX, "key_not_made", file=key, problem=wrong.strerror)
        else:
            visit.say("database", FIX, "database_wrong", problem=wrong.strerror)
        return
    if makes_key:
        visit.say("key", TIP, "key_new", file=key)
    lives = True
    try:
        lives = _inside(visit, database)
    except (KeyProblem, sa.exc.DBAPIError) as wrong:
        visit.say("database", FIX, "database_wrong", problem=wrong)
    finally:
        database.close()
    _disk(visit, database, backups, lives)


def _key(visit: Visit, settings: Settings) -> bool:
    file = Path(settings.data_key_file)
    if settings.data_key:
        visit.say("key", OK, "key_in_settings")
        return True
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        file.read_bytes()
    except OSError as wrong:
        visit.say("key", FIX, "key_unreadable", file=file, problem=wrong.strerror)
        return False
    if mode & 0o077:
        visit.say("key", FIX, "key_open", file=file)
    else:
        visit.say("key", OK, "key_ok", file=file)
    return True


def _inside(visit: Visit, database: Database) -> bool:
    """Look into the database; returns whether there is anything in it to keep."""
    with database.reading() as connection:
        if database.is_sqlite:
            whole = connection.exec_driver_sql("PRAGMA quick_check").scalar()
            if whole != "ok":
                visit.say("database", FIX, "database_damaged", problem=whole)
                return True
        hoods = roster.neighbourhoods(connection)
        people = roster.people(connection)  # opens every name: the key fits all of them, or it shows here
        visit.say("database", OK, "database_ok", count=len(hoods))
        if not hoods:
            visit.say("people", TIP, "no_neighbourhood")
        for hood in hoods:
            if hood["contacts"] < 2:
                visit.say("people", TIP, "few_contacts", name=hood["name"], count=hood["contacts"], code=hood["code"])
        beat = connection.execute(sa.select(sa.func.max(HEARTBEAT.c.at))).scalar()
        if beat is None:
            visit.say("running", TIP, "never_ran")
        elif visit.now - beat > ASLEEP:
            visit.say("running", TIP, "asleep", hours=round((visit.now - beat).total_seconds() / 3600, 1))
        else:
            visit.say("running", OK, "awake")
        late = sa.and_(OUTGOING.c.state == "waiting", OUTGOING.c.due_at < visit.now - timedelta(hours=1))
        waiting = connection.execute(sa.select(sa.func.count()).select_from(OUTGOING).where(late)).scalar_one()
        if waiting:
            visit.say("running", TIP, "waiting", count=waiting)
        return bool(hoods or people)


def _disk(visit: Visit, database: Database, backups: Path, lives: bool) -> None:
    if database.path is None:
        return
    _space(visit, database.path.parent)
    if not os.access(database.path, os.W_OK):
        visit.say("disk", FIX, "database_readonly", file=database.path)
    last = newest(backups)
    if last is None:
        if lives:
            visit.say("backup", TIP, "no_backup")
        return
    days = (visit.now - datetime.fromtimestamp(last.stat().st_mtime, UTC)).days
    if days >= BACKUP_DAYS:
        visit.say("backup", TIP, "backup_old", days=days)
    else:
        visit.say("backup", OK, "backup_ok", file=last.name)


def _space(visit: Visit, folder: Path) -> None:
    if not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free // 1_000_000
    level, key = (FIX, "disk_full") if free < DISK_MB else (TIP, "disk_low") if free < DISK_LOW_MB else (OK, "disk_ok")
    visit.say("disk", level, key, free=free)


# --- the channels ---


def _telegram(visit: Visit, settings: Settings) -> None:
    if not settings.telegram_on:
        visit.say("telegram", TIP, "telegram_off")
        return
    me = visit.heard(ask_telegram(settings, "getMe"))
    if me.status in (401, 404):
        visit.say("telegram", FIX, "telegram_token")
        return
    if not me.ok:
        visit.say("telegram", FIX, "telegram_silent", status=me.error or me.status)
        return
    visit.say("telegram", OK, "telegram_ok", username=me.data.get("username", "?"))
    if me.data.get("can_join_groups"):
        visit.say("telegram", TIP, "telegram_groups")
    visit.say("telegram", TIP, "telegram_policy")
    hook = visit.heard(ask_telegram(settings, "getWebhookInfo"))
    if not hook.ok:
        visit.say("telegram", FIX, "telegram_silent", status=hook.error or hook.status)
        return
    for key, level, values in _hook(visit, settings, hook.data):
        visit.say("telegram", level, key, **values)


def _hook(visit: Visit, settings: Settings, hook: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, object]]]:
    url, wanted = hook.get("url", ""), f"{settings.public_base_url.rstrip('/')}/telegram"
    if settings.telegram_mode == "polling":
        yield ("hook_in_the_way", TIP, {"url": url}) if url else ("polling_ok", OK, {})
    elif not url:
        yield "hook_missing", TIP, {"wanted": wanted}
    elif url != wanted:
        yield "hook_other", FIX, {"url": url, "wanted": wanted}
    else:
        yield "hook_ok", OK, {"url": url}
    at = hook.get("last_error_date")
    if at and visit.now - datetime.fromtimestamp(at, UTC) < timedelta(days=1):
        yield "hook_failed", TIP, {"problem": hook.get("last_error_message", "")}
    if hook.get("pending_update_count", 0) > PENDING:
        yield "hook_pending", TIP, {"count": hook["pending_update_count"]}


def _sms(visit: Visit, settings: Settings) -> None:
    if not settings.sms_on:
        visit.say("sms", TIP, "sms_off")
        return
    account = visit.heard(ask_twilio(settings, ".json"))
    if account.status in (401, 403, 404):
        visit.say("sms", FIX, "twilio_login")
        return
    if not account.ok:
        visit.say("sms", FIX, "twilio_silent", status=account.error or account.status)
        return
    if account.data.get("status") != "active":
        visit.say("sms", FIX, "twilio_inactive", status=account.data.get("status"))
        return
    visit.say("sms", OK, "twilio_ok")
    if account.data.get("type") == "Trial":
        visit.say("sms", FIX, "twilio_trial")
    wanted = f"{settings.public_base_url.rstrip('/')}/sms"
    if settings.twilio_from.startswith("MG"):
        _service(visit, settings, wanted)
    else:
        _number(visit, settings, settings.twilio_from, wanted, by_service=False)
        visit.say("sms", TIP, "no_service")
    visit.say("sms", TIP, "opt_out_words")


def _service(visit: Visit, settings: Settings, wanted: str) -> None:
    service = visit.heard(ask_twilio_service(settings))
    if not service.ok:
        visit.say("sms", FIX, "service_unknown", sid=settings.twilio_from)
        return
    by_number = bool(service.data.get("use_inbound_webhook_on_number"))
    url = service.data.get("inbound_request_url")
    if not by_number:
        _sms_address(visit, url, str(service.data.get("inbound_method", "POST")), wanted)
    if service.data.get("smart_encoding"):
        visit.say("sms", TIP, "smart_encoding")
    numbers = ask_twilio_service(settings, "/PhoneNumbers").data.get("phone_numbers") or []
    if not numbers:
        visit.say("sms", FIX, "service_empty")
        return
    for number in numbers:
        _number(visit, settings, number["phone_number"], wanted, by_service=not by_number)


def _number(visit: Visit, settings: Settings, number: str, wanted: str, *, by_service: bool) -> None:
    rows = (
        ask_twilio(settings, "/IncomingPhoneNumbers.json", PhoneNumber=number).data.get("incoming_phone_numbers") or []
    )
    row = next((row for row in rows if row.get("phone_number") == number), None)
    if row is None:
        visit.say("sms", FIX, "number_unknown", number=number)
        return
    visit.say("sms", OK, "number_ok", number=number)
    if not (row.get("capabilities") or {}).get("sms"):
        visit.say("sms", FIX, "number_no_sms", number=number)
    if number.startswith("+31") and not row.get("bundle_sid"):
        visit.say("sms", TIP, "no_bundle", number=number)
    if not by_service:
        _sms_address(visit, row.get("sms_url"), str(row.get("sms_method", "POST")), wanted)
        if not row.get("sms_fallback_url"):
            visit.say("sms", TIP, "no_fallback")


def _sms_address(visit: Visit, url: str | None, method: str, wanted: str) -> None:
    bare = (url or "").partition("#")[0]  # what follows # tells Twilio how often to try; it is not sent and not signed
    if not bare:
        visit.say("sms", FIX, "sms_address_missing", wanted=wanted)
    elif bare != wanted:
        visit.say("sms", FIX, "sms_address_other", url=bare, wanted=wanted)
    elif method.upper() != "POST":
        visit.say("sms", FIX, "sms_method", method=method)
    else:
        visit.say("sms", OK, "sms_address_ok", url=bare)


def _address(visit: Visit, settings: Settings) -> None:
    if not settings.public_base_url:
        return
    parts = urlsplit(settings.public_base_url)
    if parts.scheme != "https" or not parts.hostname:
        visit.say("address", FIX, "address_https", url=settings.public_base_url)
        return
    if settings.telegram_on and settings.telegram_mode == "webhook" and _port(parts) not in TELEGRAM_PORTS:
        visit.say("address", FIX, "address_port", url=settings.public_base_url)
    if "_" in parts.hostname:
        visit.say("address", FIX, "address_underscore", url=settings.public_base_url)
    answer = ask_page(f"{settings.public_base_url.rstrip('/')}/health")
    if answer.ok:
        visit.say("address", OK, "address_ok", url=settings.public_base_url)
    else:
        visit.say("address", TIP, "address_silent", url=settings.public_base_url, status=answer.error or answer.status)


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:  # past 65535
        return -1


def _clock(visit: Visit) -> None:
    if visit.clock_off is None:
        return
    level, key = (FIX, "clock_off") if visit.clock_off > CLOCK_SECONDS else (OK, "clock_ok")
    visit.say("clock", level, key, seconds=round(visit.clock_off))
