"""The doctor against servers that speak the real protocols: every mistake a volunteer makes gets its own advice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import doctor
from bot.operator.words import operator_words
from bot.settings import Settings
from storage import roster
from storage.database import Database
from tests.doubles.telegram_server import TelegramServer
from tests.doubles.twilio_server import TwilioServer

NUMBER = "+3197010200300"
Examine = Callable[..., dict[str, Any]]


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Examines an empty folder with these settings and no others."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.__dataclass_fields__:
        monkeypatch.delenv(name.upper(), raising=False)

    def look(now: datetime | None = None, **settings: str) -> dict[str, Any]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return doctor.examine(now)

    return look


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server
        assert not server.violations
        assert not server.sent


@pytest.fixture
def twilio() -> Iterator[TwilioServer]:
    with TwilioServer(number=NUMBER) as server:
        yield server
        assert not server.violations
        assert not server.sent


def on_telegram(server: TelegramServer) -> dict[str, str]:
    return {"TELEGRAM_BOT_TOKEN": server.token, "TELEGRAM_API_BASE": server.base_url}


def on_sms(server: TwilioServer) -> dict[str, str]:
    return {
        "TWILIO_ACCOUNT_SID": server.account_sid,
        "TWILIO_AUTH_TOKEN": server.auth_token,
        "TWILIO_FROM": server.number,
        "TWILIO_API_BASE": server.base_url,
        "PUBLIC_BASE_URL": server.public_url,
    }


def said(found: dict[str, Any], level: str = "") -> set[str]:
    return {row["advice"] for row in found["checks"] if level in ("", row["level"])}


def test_nothing_set_is_told_what_to_do_first(examine: Examine) -> None:
    found = examine()
    assert not found["ok"]
    assert said(found, "fix") == {"no_channel"}
    assert {"telegram_off", "sms_off", "no_neighbourhood", "never_ran", "key_new"} <= said(found, "tip")


def test_a_healthy_house_is_ok(examine: Examine, telegram: TelegramServer, twilio: TwilioServer) -> None:
    found = examine(**on_telegram(telegram), **on_sms(twilio))
    assert found["ok"], said(found, "fix")
    good = {"settings_ok", "texts_ok", "database_ok", "telegram_ok", "polling_ok", "twilio_ok", "number_ok", "clock_ok"}
    assert {*good, "sms_address_ok"} <= said(found, "ok")
    assert {"telegram_policy", "opt_out_words"} <= said(found, "tip")


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"PORT": "many"}, "setting_PORT"),
        ({"TIMEZONE": "Mars"}, "setting_TIMEZONE"),
        ({"TELEGRAM_MODE": "x"}, "setting_TELEGRAM_MODE"),
        ({"TWILIO_FROM": NUMBER}, "setting_TWILIO_ACCOUNT_SID"),
        ({"DATABASE_URL": "sqlite:////proc/none/a.db"}, "database_wrong"),
        ({"DATA_KEY": "c2hvcnQ="}, "key_other"),
        ({"DATA_KEY_FILE": "/proc/none/key"}, "key_not_made"),
    ],
)
def test_a_wrong_setting_has_its_own_advice(examine: Examine, settings: dict[str, str], advice: str) -> None:
    found = examine(**settings)
    assert advice in said(found, "fix")
    assert not found["ok"]


def test_a_misspelt_name_has_its_own_advice(examine: Examine, tmp_path: Path) -> None:
    """Not that of the name it resembles, whose value is fine."""
    (tmp_path / ".env").write_text("TELEGRAM_MOD=webhook\n", encoding="utf-8")
    found = examine()
    assert said(found, "fix") == {"misspelt_setting"}
    assert "TELEGRAM_MOD." in found["checks"][0]["text"]


def test_a_token_that_telegram_does_not_know(examine: Examine, telegram: TelegramServer) -> None:
    found = examine(**{**on_telegram(telegram), "TELEGRAM_BOT_TOKEN": "7000000001:" + "B" * 35})
    assert said(found, "fix") == {"telegram_token"}


def test_no_internet(examine: Examine) -> None:
    token = "7000000001:" + "B" * 35
    found = examine(TELEGRAM_BOT_TOKEN=token, TELEGRAM_API_BASE="http://127.0.0.1:9")
    assert said(found, "fix") == {"telegram_silent"}
    assert token not in str(found)


def test_a_webhook_that_points_elsewhere(examine: Examine, telegram: TelegramServer) -> None:
    telegram.webhook = {"url": "https://old.example/telegram", "max_connections": 40, "secret": ""}
    assert "hook_in_the_way" in said(examine(**on_telegram(telegram)))
    hook = {"TELEGRAM_MODE": "webhook", "TELEGRAM_WEBHOOK_SECRET": "s", "PUBLIC_BASE_URL": "https://buurt.example"}
    assert "hook_other" in said(examine(**on_telegram(telegram), **hook), "fix")
    telegram.webhook["url"] = "https://buurt.example/telegram"
    assert "hook_ok" in said(examine(**on_telegram(telegram), **hook), "ok")


@pytest.mark.parametrize(("port", "advised"), [("", False), (":8443", False), (":8080", True), (":99999", True)])
def test_a_port_that_telegram_does_not_post_to(
    examine: Examine, telegram: TelegramServer, port: str, advised: bool
) -> None:
    hook = {"TELEGRAM_MODE": "webhook", "TELEGRAM_WEBHOOK_SECRET": "s", "PUBLIC_BASE_URL": f"https://127.0.0.1{port}"}
    assert ("address_port" in said(examine(**on_telegram(telegram), **hook), "fix")) is advised


def _set(twilio: TwilioServer, **values: Any) -> None:
    for name, value in values.items():
        setattr(twilio, name, value)


@pytest.mark.parametrize(
    ("number", "advice", "level"),
    [
        ({"sms_url": ""}, "sms_address_missing", "fix"),
        ({"sms_url": "https://demo.twilio.com/welcome/sms/reply"}, "sms_address_other", "fix"),
        ({"sms_method": "GET"}, "sms_method", "fix"),
        ({"capabilities": {"voice": True, "sms": False}}, "number_no_sms", "fix"),
        ({"bundle_sid": None}, "no_bundle", "tip"),
        ({"sms_url": "https://buurt.example/sms#rc=2&rp=ct,rt,5xx"}, "sms_address_ok", "ok"),
        ({}, "no_fallback", "tip"),
    ],
)
def test_the_number_at_twilio(
    examine: Examine, twilio: TwilioServer, number: dict[str, Any], advice: str, level: str
) -> None:
    twilio.number_settings |= number
    assert advice in said(examine(**on_sms(twilio)), level)


def test_the_account_at_twilio(examine: Examine, twilio: TwilioServer) -> None:
    assert "number_unknown" in said(examine(**{**on_sms(twilio), "TWILIO_FROM": "+31612341234"}), "fix")
    assert said(examine(**{**on_sms(twilio), "TWILIO_AUTH_TOKEN": "0" * 32}), "fix") == {"twilio_login"}
    twilio.account_status = "suspended"
    assert said(examine(**on_sms(twilio)), "fix") == {"twilio_inactive"}


def test_a_messaging_service(examine: Examine, twilio: TwilioServer) -> None:
    service = {**on_sms(twilio), "TWILIO_FROM": twilio.service_sid}
    found = examine(**service)
    assert found["ok"]
    assert {"sms_address_ok", "number_ok"} <= said(found, "ok")
    twilio.service_settings["inbound_request_url"] = "https://elsewhere.example/sms"
    assert "sms_address_other" in said(examine(**service), "fix")
    assert "service_unknown" in said(examine(**{**service, "TWILIO_FROM": "MG" + "9" * 32}), "fix")


def test_a_clock_that_is_wrong(examine: Examine, telegram: TelegramServer) -> None:
    found = examine(datetime.now(UTC) + timedelta(minutes=5), **on_telegram(telegram))
    assert "clock_off" in said(found, "fix")


def test_a_key_that_everybody_can_read(examine: Examine, tmp_path: Path) -> None:
    examine()
    os.chmod(tmp_path / "data" / "key", 0o644)
    assert "key_open" in said(examine(), "fix")


def test_the_first_look_makes_a_key_and_asks_for_no_backup_of_nobody(examine: Examine, tmp_path: Path) -> None:
    assert {"key_new", "no_neighbourhood"} <= (first := said(examine(), "tip"))
    assert "no_backup" not in first
    assert (tmp_path / "data" / "key").exists()


def test_a_key_that_cannot_be_made(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("no folder")
    found = examine(DATA_KEY_FILE="blocked/key")
    assert "key_not_made" in said(found, "fix")
    assert "key_new" not in said(found, "tip")


def test_a_key_of_another_database(examine: Examine, tmp_path: Path) -> None:
    examine()
    (tmp_path / "data" / "key").unlink()
    found = examine()
    assert "key_other" in said(found, "fix")
    assert not (tmp_path / "data" / "key").exists()


def test_a_damaged_database(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "binnenbuurt.db").write_bytes(b"this is no database at all" * 200)
    assert "database_wrong" in said(examine(), "fix")


def test_the_room_on_the_disk_is_looked_at_also_when_nothing_opens(examine: Examine, tmp_path: Path) -> None:
    """On a full disk SQLite speaks of an "I/O error" only."""
    (tmp_path / "photo.db").write_bytes(b"\x89PNG\r\n" * 500)
    found = examine(DATABASE_URL="sqlite:///photo.db")
    assert "database_wrong" in said(found, "fix")
    assert "disk" in {row["check"] for row in found["checks"]}


def test_people_backup_and_sleep(examine: Examine, tmp_path: Path) -> None:
    examine()
    database = Database("sqlite:///data/binnenbuurt.db")
    now = datetime.now(UTC)
    with database.transaction() as connection:
        hood = roster.add_neighbourhood(connection, "Lutmabuurt", "LUTMA", [])
        roster.add_person(connection, now, "Ans", hood, "contact")
        connection.execute(
            doctor.HEARTBEAT.insert(), {"name": "run", "at": now - timedelta(hours=3), "started_at": now}
        )
    database.close()
    backups = tmp_path / "data" / "backups"
    backups.mkdir()
    old = backups / "binnenbuurt-2026-01-01T000000.backup"
    old.write_bytes(b"x")
    os.utime(old, (now.timestamp() - 5 * 86400,) * 2)
    assert {"few_contacts", "asleep", "backup_old"} <= said(examine(), "tip")


def test_every_advice_is_used_and_can_be_said() -> None:
    """No advice without a mistake that leads to it, none missing."""
    source = Path(doctor.__file__).read_text(encoding="utf-8")
    words = operator_words(doctor.ROOM)
    dynamic = {key for key in words if key.startswith(("setting_", "heading_"))}
    assert {key for key in words if f'"{key}"' not in source} == dynamic
    settings = {key.removeprefix("setting_") for key in dynamic if key.startswith("setting_")}
    assert settings <= {name.upper() for name in Settings.__dataclass_fields__}


def test_the_text_puts_what_must_be_done_first(examine: Examine) -> None:
    lines = doctor.as_text(examine()).splitlines()
    assert lines[0] == operator_words(doctor.ROOM)["heading_fix"]
    assert lines[-1] == operator_words(doctor.ROOM)["not_well"]
