"""Servers that speak the real protocols of Telegram and Twilio over HTTP, for tests."""

from tests.doubles.faults import FaultPlan
from tests.doubles.telegram_server import FakeGroup, FakeUser, TelegramServer
from tests.doubles.twilio_server import FakePhone, TwilioServer

__all__ = ["FakeGroup", "FakePhone", "FakeUser", "FaultPlan", "TelegramServer", "TwilioServer"]
