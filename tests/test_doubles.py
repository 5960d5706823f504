"""The protocol servers are driven by the real client libraries, and their rules held against the providers' own."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
from requests.exceptions import ConnectionError as RequestsConnectionError
from telegram import (
    Bot,
    BotCommand,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    LinkPreviewOptions,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
    ReplyParameters,
    Update,
)
from telegram.error import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.doubles import FakePhone, FakeUser, TelegramServer, TwilioServer, faults, rules_telegram, rules_twilio
from tests.doubles.twilio_server import Sms

pytestmark = pytest.mark.slow  # real processes and real servers

RIET = "+31612345601"
KEYS = InlineKeyboardMarkup(
    [[InlineKeyboardButton("Ja", callback_data="12:ja")], [InlineKeyboardButton("Nee", callback_data="12:nee")]]
)


# -- what the tests need ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _durations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this the library warns at every RetryAfter it raises."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture
def twilio() -> Iterator[TwilioServer]:
    with TwilioServer() as server:
        yield server


class Hook:
    """A bot's web server, as bare as can be: keeps what is posted and answers what it is told to."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.body = b'<?xml version="1.0" encoding="UTF-8"?><Response />'
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posts.append((self.path, dict(self.headers), body))
                self.send_response(hook.answers.pop(0) if hook.answers else 200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(hook.body)))
                self.end_headers()
                self.wfile.write(hook.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def forms(self, path: str) -> list[dict[str, str]]:
        return [dict(parse_qsl(body.decode(), keep_blank_values=True)) for at, _, body in self.posts if at == path]


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


def with_bot(server: TelegramServer, work: Callable[[Bot], Coroutine[Any, Any, Any]], timeout: float = 5) -> Any:
    """Run a coroutine with a real Bot that talks to the server."""

    async def run() -> Any:
        def request() -> HTTPXRequest:
            return HTTPXRequest(read_timeout=timeout, connection_pool_size=64)

        bot = Bot(
            server.token,
            base_url=f"{server.base_url}/bot",
            base_file_url=f"{server.base_url}/file/bot",
            request=request(),
            get_updates_request=request(),
        )
        async with bot:
            return await work(bot)

    return asyncio.run(run())


class Local(TwilioHttpClient):
    """The stock client, with host and scheme replaced."""

    def __init__(self, base: str, timeout: float = 5) -> None:
        super().__init__(timeout=timeout)
        self.base = urlsplit(base)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> TwilioResponse:
        parts = urlsplit(url)._replace(scheme=self.base.scheme, netloc=self.base.netloc)
        return super().request(method, urlunsplit(parts), *args, **kwargs)


def client_of(server: TwilioServer, timeout: float = 5) -> Client:
    return Client(server.account_sid, server.auth_token, http_client=Local(server.base_url, timeout))


def raw(server: TelegramServer, method: str, body: bytes | None = None, kind: str = "application/json") -> Any:
    """A call without a library: status and JSON."""
    request = urllib.request.Request(
        f"{server.base_url}/bot{server.token}/{method}", data=body, headers={"Content-Type": kind}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def raw_twilio(server: TwilioServer, params: list[tuple[str, str]]) -> Any:
    login = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
    request = urllib.request.Request(
        f"{server.base_url}/2010-04-01/Accounts/{server.account_sid}/Messages.json",
        data=urlencode(params).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def started(server: TelegramServer, name: str = "Riet") -> FakeUser:
    user = server.user(name)
    user.start()
    return user


# -- Telegram: the protocol ------------------------------------------------------------------------------------------


def test_telegram_real_bot_speaks_every_method(telegram: TelegramServer) -> None:
    riet = started(telegram)
    ans = started(telegram, "Ans")
    voice_id = riet.voice(data=b"OggS hallo")

    async def work(bot: Bot) -> None:
        assert (await bot.get_me()).username == "binnenbuurt_test_bot"
        quiet = LinkPreviewOptions(is_disabled=True)
        first = await bot.send_message(
            riet.id, "Zal ik het <b>doorgeven</b>?", parse_mode="HTML", reply_markup=KEYS, link_preview_options=quiet,
            disable_notification=True, protect_content=False,
        )  # fmt: skip
        assert first.text == "Zal ik het doorgeven?"
        assert first.entities[0].type == "bold"
        await bot.edit_message_text("Doorgegeven.", riet.id, first.message_id, reply_markup=KEYS)
        await bot.edit_message_reply_markup(riet.id, first.message_id, reply_markup=None)
        copied = await bot.copy_message(ans.id, riet.id, voice_id, caption="Van Riet")
        reply = ReplyParameters(message_id=copied.message_id, allow_sending_without_reply=True)
        await bot.send_message(ans.id, "Dit sprak Riet in.", reply_parameters=reply)
        assert await bot.set_my_commands([BotCommand("hulp", "Wat kan ik vragen?")], language_code="nl")
        assert await bot.set_my_description("Ik ben een computer.", language_code="nl")
        assert await bot.set_my_short_description("Uw buren, dichtbij.")
        assert (await bot.get_chat(riet.id)).first_name == "Riet"
        file = await bot.get_file(telegram.messages[riet.id, voice_id]["voice"]["file_id"])
        assert bytes(await file.download_as_bytearray()) == b"OggS hallo"
        again = await bot.send_photo(riet.id, photo=b"\xff\xd8 foto", caption="Kijk")
        await bot.send_voice(riet.id, voice=telegram.messages[riet.id, voice_id]["voice"]["file_id"])
        assert await bot.delete_message(riet.id, again.message_id)
        for markup in (ReplyKeyboardRemove(), ForceReply(input_field_placeholder="Typ hier")):
            await bot.send_message(ans.id, "Nog iets?", reply_markup=markup)
            await asyncio.sleep(1)

    with_bot(telegram, work)
    assert telegram.violations == []
    assert riet.texts[0] == "Doorgegeven."
    assert riet.inbox[0].earlier == ["Zal ik het doorgeven?"]
    assert riet.inbox[0].buttons == []
    assert riet.inbox[0].silent
    assert riet.inbox[1].deleted
    assert (ans.inbox[0].kind, ans.inbox[0].text) == ("voice", "Van Riet")
    assert ans.inbox[1].reply_to == ans.inbox[0].message_id
    assert telegram.descriptions == {"nl": "Ik ben een computer."}


def test_telegram_users_become_updates(telegram: TelegramServer) -> None:
    riet = telegram.user("Riet")
    riet.start("LUTMA_12")
    asked = riet.send("lamp kapot")
    riet.edit(asked, "lamp en ladder")
    riet.send("die dus", reply_to=asked)
    riet.photo("deze")
    riet.location()
    riet.sticker()
    riet.share_contact()
    riet.share_contact(own=False)
    riet.group_message("/hulp")
    assert riet.group_message("gewoon gepraat") is None
    riet.block()
    riet.unblock()

    async def work(bot: Bot) -> tuple[Update, ...]:
        sent = await bot.send_message(riet.id, "Doorgeven?", reply_markup=KEYS)
        press = riet.press("Ja")
        await bot.answer_callback_query(press.id, "Gelukt")
        with pytest.raises(BadRequest, match="Query is too old"):
            await bot.answer_callback_query(press.id)
        with pytest.raises(BadRequest, match="Query is too old"):
            await bot.answer_callback_query(riet.press("12:nee", expired=True).id)
        await bot.edit_message_reply_markup(riet.id, sent.message_id)
        with pytest.raises(AssertionError, match="sees no button"):
            riet.press("Ja")
        riet.press("Ja", stale=True)
        assert press.text == "Gelukt"
        return await bot.get_updates()

    updates = with_bot(telegram, work)
    messages = [update.message for update in updates if update.message]
    assert messages[0].text == "/start LUTMA_12"
    assert messages[0].from_user.id > 2**32
    assert updates[2].edited_message.text == "lamp en ladder"
    # A reply quotes the message as it is now.
    assert messages[2].reply_to_message.message_id == asked
    assert messages[3].photo[-1].width == 1280
    assert messages[4].location
    assert messages[5].sticker
    assert messages[6].contact.user_id == riet.id
    assert messages[7].contact.user_id != riet.id
    assert messages[-1].chat.type == "group"
    changes = [update.my_chat_member for update in updates if update.my_chat_member]
    assert [change.new_chat_member.status for change in changes] == ["member", "kicked", "member"]
    assert [update.callback_query.data for update in updates if update.callback_query] == ["12:ja", "12:nee", "12:ja"]
    assert telegram.violations == []


def test_telegram_keeps_updates_until_confirmed(telegram: TelegramServer) -> None:
    riet = started(telegram)
    for text in "abc":
        riet.send(text)

    async def work(bot: Bot) -> None:
        first = await bot.get_updates(limit=2)
        again = await bot.get_updates()
        assert [u.update_id for u in again][:2] == [u.update_id for u in first]
        assert [u.message.text for u in again if u.message] == ["/start", "a", "b", "c"]
        rest = await bot.get_updates(offset=first[-1].update_id + 1)
        assert [u.message.text for u in rest if u.message] == ["b", "c"]
        assert await bot.get_updates(offset=rest[-1].update_id + 1) == ()
        # Long polling answers as soon as there is something.
        began = time.monotonic()
        poll = asyncio.create_task(bot.get_updates(offset=rest[-1].update_id + 1, timeout=4))
        await asyncio.sleep(0.2)
        riet.send("d")
        (late,) = await poll
        assert 0.2 <= time.monotonic() - began < 1
        await bot.get_updates(offset=late.update_id + 1)
        # After a week of quiet the ids start elsewhere; an offset far ahead then confirms nothing.
        for jump in (late.update_id - 50_000_000, late.update_id + 50_000_000):
            telegram.jump(jump)
            riet.send("weer")
            (weer,) = await bot.get_updates(offset=late.update_id + 1)
            assert weer.update_id == jump
            assert await bot.get_updates(offset=jump + 1) == ()

    with_bot(telegram, work)
    assert telegram.violations == []


def test_telegram_lets_one_bot_poll(telegram: TelegramServer) -> None:
    async def work(bot: Bot) -> None:
        first = asyncio.create_task(bot.get_updates(timeout=3))
        await asyncio.sleep(0.2)
        second = asyncio.create_task(bot.get_updates(timeout=1))
        with pytest.raises(Conflict, match="terminated by other getUpdates"):
            await first
        assert await second == ()
        await bot.set_webhook(f"{telegram.base_url}/nowhere")
        with pytest.raises(Conflict, match="webhook is active"):
            await bot.get_updates()
        await bot.delete_webhook()
        assert await bot.get_updates() == ()

    with_bot(telegram, work)
    assert telegram.conflicts == 2


def test_telegram_webhook_posts_in_order_and_again(telegram: TelegramServer, hook: Hook) -> None:
    riet = started(telegram)
    hook.answers = [500, 403]
    hook.body = b""

    async def work(bot: Bot) -> None:
        await bot.set_webhook(f"{hook.url}/telegram", secret_token="geheim_1", max_connections=4)
        riet.send("een")
        riet.send("twee")
        await telegram.until(lambda: len(telegram.confirmed) == 3)
        info = await bot.get_webhook_info()
        assert info.pending_update_count == 0
        assert info.url == f"{hook.url}/telegram"
        assert "500" in (info.last_error_message or "") or "403" in (info.last_error_message or "")

    with_bot(telegram, work)
    texts = [json.loads(body)["message"]["text"] for _, _, body in hook.posts]
    assert texts == ["/start", "/start", "/start", "een", "twee"]
    assert {headers["X-Telegram-Bot-Api-Secret-Token"] for _, headers, _ in hook.posts} == {"geheim_1"}
    telegram.repeat(telegram.confirmed[0])
    telegram.wait_for(lambda: len(hook.posts) == 6)


def test_telegram_errors_are_the_real_ones(telegram: TelegramServer) -> None:
    riet = started(telegram)
    stranger = telegram.user("Vreemde")

    async def work(bot: Bot) -> None:
        sent = await bot.send_message(riet.id, "Dag", reply_markup=KEYS)
        with pytest.raises(BadRequest, match="Message is not modified"):
            await bot.edit_message_text("Dag", riet.id, sent.message_id, reply_markup=KEYS)
        with pytest.raises(BadRequest, match="Message to edit not found"):
            await bot.edit_message_text("Dag", riet.id, 1)
        with pytest.raises(BadRequest, match="Chat not found"):
            await bot.send_message(stranger.id, "Dag")
        stranger.group_message("/hulp")
        with pytest.raises(Forbidden, match="can't initiate conversation"):
            await bot.send_message(stranger.id, "Dag")
        with pytest.raises(BadRequest, match="Message to be replied not found"):
            await bot.send_message(riet.id, "Dag", reply_to_message_id=1)
        with pytest.raises(BadRequest, match="Message to copy not found"):
            await bot.copy_message(riet.id, riet.id, 1)
        riet.block()
        with pytest.raises(Forbidden, match="blocked by the user"):
            await bot.send_message(riet.id, "Dag")
        riet.blocked, riet.deactivated = False, True
        with pytest.raises(Forbidden, match="deactivated"):
            await bot.send_message(riet.id, "Dag")

    with_bot(telegram, work)
    assert telegram.violations == []
    telegram.token = "7000000001:" + "B" * 35
    with_token = TelegramServer()
    with_token.port = telegram.port
    with pytest.raises(InvalidToken):
        with_bot(with_token, Bot.get_me)


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("sendMessage", {"chat_id": 1, "text": "x" * 4097}, "message is too long"),
        ("sendMessage", {"chat_id": 1, "text": " \n"}, "message text is empty"),
        ("sendMessage", {"chat_id": 1, "text": 5}, "String belongs"),
        ("sendMessage", {"text": "x"}, "chat_id is empty"),
        ("sendMessage", {"chat_id": True, "text": "x"}, "Integer belongs"),
        ("sendMessage", {"chat_id": 2**60, "text": "x"}, "52"),
        ("sendMessage", {"chat_id": 1, "text": "x", "disable_web_page_preview": True}, "unknown parameter"),
        ("sendMessage", {"chat_id": 1, "text": "x", "parse_mode": "html"}, "not one of"),
        ("sendMessage", {"chat_id": 1, "text": "<b>x", "parse_mode": "HTML"}, "can't parse entities"),
        ("sendMessage", {"chat_id": 1, "text": "1 < 2", "parse_mode": "HTML"}, "can't parse entities"),
        ("sendMessage", {"chat_id": 1, "text": "<p>x</p>", "parse_mode": "HTML"}, "Unsupported start tag"),
        ("sendMessage", {"chat_id": 1, "text": "x", "reply_markup": {"keys": []}}, "no field keys"),
        ("answerCallbackQuery", {"callback_query_id": "1", "text": "x" * 201}, "MESSAGE_TOO_LONG"),
        ("getUpdates", {"limit": 101}, "over the limit"),
        ("getUpdates", {"allowed_updates": ["mesage"]}, "not one of"),
        ("setWebhook", {"url": "http://buurt.example/telegram"}, "HTTPS"),
        ("setWebhook", {"url": "https://buurt.example:9000/telegram"}, "ports"),
        ("setWebhook", {"url": "https://buurt.example/telegram", "secret_token": "a b"}, "does not match"),
        ("setMyCommands", {"commands": [{"command": "Hulp", "description": "x"}]}, "does not match"),
        ("setMyDescription", {"description": "x" * 513}, "over the limit"),
        ("setMyShortDescription", {"short_description": "x" * 121}, "over the limit"),
        ("sendPhoto", {"chat_id": 1, "photo": "x", "caption": "x" * 1025}, "caption is too long"),
        ("editMessageText", {"chat_id": 1, "text": "x"}, "message_id"),
        ("sendDice", {"chat_id": 1}, "method not found"),
    ],
)
def test_telegram_refuses_and_remembers(
    telegram: TelegramServer, method: str, params: dict[str, Any], words: str
) -> None:
    telegram.user("Riet", 1).start()
    status, answer = raw(telegram, method, json.dumps(params).encode())
    assert status in (400, 404)
    assert answer["ok"] is False
    assert words in answer["description"]
    assert len(telegram.violations) == 1
    assert telegram.sent == []


@pytest.mark.parametrize(
    ("button", "words"),
    [
        ({"text": "Ja", "callback_data": "é" * 33}, "BUTTON_DATA_INVALID"),
        ({"text": "Ja", "callback_data": ""}, "BUTTON_DATA_INVALID"),
        ({"text": "Ja"}, "exactly one"),
        ({"text": "Ja", "callback_data": "1", "url": "https://x.example"}, "exactly one"),
        ({"text": "Bel", "url": "tel:112"}, "only http"),
        ({"text": "Ja", "callback_data": 5}, "String belongs"),
        ({"callback_data": "1"}, "without text"),
    ],
)
def test_telegram_looks_at_every_button(telegram: TelegramServer, button: dict[str, Any], words: str) -> None:
    started(telegram)
    markup = json.dumps({"inline_keyboard": [[button]]})
    form = urlencode({"chat_id": next(iter(telegram.users)), "text": "Doorgeven?", "reply_markup": markup}).encode()
    status, answer = raw(telegram, "sendMessage", form, "application/x-www-form-urlencoded")
    assert status == 400
    assert words in answer["description"]
    assert telegram.violations


def test_telegram_limits(telegram: TelegramServer) -> None:
    users = [started(telegram, f"buur {number}") for number in range(40)]
    riet = users[0]
    group = telegram.group("Lutmabuurt praat", riet)

    async def work(bot: Bot) -> None:
        for number in range(3):
            await bot.send_message(riet.id, f"snel {number}")
        with pytest.raises(RetryAfter) as caught:
            await bot.send_message(riet.id, "te snel")
        assert caught.value.retry_after == timedelta(seconds=1)
        with pytest.raises(RetryAfter):
            await bot.send_message(riet.id, "niet gewacht")
        await asyncio.sleep(1.1)
        await bot.send_message(riet.id, "gewacht")
        assert telegram.own_429 == 2
        # A burst of thirty people at once is fine, forty is not.
        sends = [bot.send_message(user.id, "dag") for user in users[1:]]
        begun = time.monotonic()
        answers = await asyncio.gather(*sends, return_exceptions=True)
        most = 32 + 30 * (time.monotonic() - begun)  # thirty at once, and thirty more each second that it took
        assert 28 <= sum(not isinstance(answer, RetryAfter) for answer in answers) <= most
        await asyncio.sleep(1.1)
        before = telegram.own_429
        said = await asyncio.gather(*(bot.send_message(group.id, f"nr {n}") for n in range(22)), return_exceptions=True)
        assert sum(isinstance(answer, RetryAfter) for answer in said) == 2
        assert telegram.own_429 == before + 2

    with_bot(telegram, work)
    assert telegram.violations == []


def test_telegram_reply_keyboard_and_contact(telegram: TelegramServer) -> None:
    riet = started(telegram)
    keys = ReplyKeyboardMarkup(
        [[KeyboardButton("Mijn nummer", request_contact=True)], ["Liever niet"]], resize_keyboard=True
    )

    async def work(bot: Bot) -> tuple[Update, ...]:
        await bot.send_message(riet.id, "Uw nummer?", reply_markup=keys)
        riet.type_keyboard("Mijn nummer")
        riet.type_keyboard("Liever niet")
        return await bot.get_updates()

    updates = with_bot(telegram, work)
    assert updates[1].message.contact.user_id == riet.id
    assert updates[2].message.text == "Liever niet"
    assert telegram.violations == []


def test_telegram_faults_reach_the_library(telegram: TelegramServer) -> None:
    ans = started(telegram, "Ans")

    async def work(bot: Bot) -> None:
        def send() -> Coroutine[Any, Any, Any]:
            return bot.send_message(ans.id, "Dag")

        expected: list[tuple[faults.Fault, type[BaseException], int]] = [
            (faults.server_error(), NetworkError, 0),
            (faults.bad_gateway(), NetworkError, 0),
            (faults.too_many(None), NetworkError, 0),
            (faults.garbage(), TelegramError, 0),
            (faults.html_ok(), TelegramError, 0),
            (faults.ok_false(), KeyError, 0),
            (faults.null(), (TypeError, AttributeError), 0),  # type: ignore[list-item]  # raises takes a tuple too
            (faults.reset(), NetworkError, 0),
            (faults.hang(2), TimedOut, 0),
            (faults.answer_lost(), NetworkError, 1),
            (faults.garbage().but_processed(), TelegramError, 1),
        ]
        for fault, error, processed in expected:
            before = len(telegram.sent)
            telegram._chats.clear()
            telegram.faults.next(fault)
            with pytest.raises(error):
                await send()
            assert len(telegram.sent) - before == processed, fault
            assert all(message.lost for message in telegram.sent[before:])
        assert telegram.faults.left == 0
        telegram._chats.clear()
        telegram.faults.next(faults.slow(0.2))
        began = time.monotonic()
        await send()
        assert time.monotonic() - began >= 0.2
        assert not telegram.sent[-1].lost
        # Calls before an injected retry_after has passed are counted apart from the bot's own pacing.
        telegram._chats.clear()
        telegram.faults.next(faults.too_many(1))
        for _ in range(2):
            with pytest.raises(RetryAfter):
                await send()
        assert (telegram.impatient, telegram.own_429) == (1, 0)
        telegram.faults.next(faults.server_error(), methods=["getFile"])
        assert await bot.get_me()
        assert telegram.faults.left == 1

    with_bot(telegram, work, timeout=1)


def test_telegram_outage_keeps_everything(telegram: TelegramServer) -> None:
    riet = started(telegram)
    port = telegram.port

    async def work(bot: Bot) -> None:
        poll = asyncio.create_task(bot.get_updates(offset=2_000_000_000, timeout=4))
        await poll
        telegram.stop()
        riet.send("nog daar?")
        with pytest.raises(NetworkError):
            await bot.get_updates()
        telegram.start()
        assert [u.message.text for u in await bot.get_updates() if u.message] == ["/start", "nog daar?"]

    with_bot(telegram, work)
    assert telegram.port == port


def test_faults_by_chance_are_the_same_again() -> None:
    def drawn() -> list[str]:
        plan = faults.FaultPlan()
        plan.chance(0.3, faults.every_class(), seed=7)
        found = [plan.pick("sendMessage", {}) for _ in range(200)]
        assert sum(plan.taken.values()) == sum(fault is not None for fault in found)
        return [fault.name if fault else "" for fault in found]

    assert drawn() == drawn()
    assert 30 < sum(name != "" for name in drawn()) < 90


# -- Twilio: the protocol --------------------------------------------------------------------------------------------


def test_twilio_signature_vector() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
        "Caller": "+14158675309",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert rules_twilio.signature("12345", url, form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("text", "alphabet", "count"),
    [
        ("", "GSM-7", 1),
        ("a" * 160, "GSM-7", 1),
        ("a" * 161, "GSM-7", 2),
        ("a" * 306, "GSM-7", 2),
        ("a" * 307, "GSM-7", 3),
        ("€" * 80, "GSM-7", 1),
        ("€" * 81, "GSM-7", 2),
        # 152 letters and a euro do not fit in the first 153 septets: the euro moves on whole.
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 3),
        ("één café, coördinator, à la", "GSM-7", 1),
        ("geïnteresseerd", "UCS-2", 1),
        ("ë" * 70, "UCS-2", 1),
        ("ë" * 71, "UCS-2", 2),
        ("👍" * 35, "UCS-2", 1),
        ("👍" * 36, "UCS-2", 2),
        ("façade", "UCS-2", 1),
    ],
)
def test_twilio_segments(text: str, alphabet: str, count: int) -> None:
    assert rules_twilio.segments(text) == (alphabet, count)


def test_twilio_real_client_sends_and_looks_up(twilio: TwilioServer, hook: Hook) -> None:
    twilio.connect(hook.url)
    phone = twilio.phone(RIET)
    client = client_of(twilio)
    made = client.messages.create(
        to=RIET, from_=twilio.number, body="Dag Riet", status_callback="https://buurt.example/sms/status",
        validity_period=3600,
    )  # fmt: skip
    assert (made.status, made.num_segments, made.price) == ("queued", "1", None)
    phone.wait_for("Dag Riet")
    twilio.wait_for(lambda: len(hook.forms("/sms/status")) == 2)
    assert [form["MessageStatus"] for form in hook.forms("/sms/status")] == ["sent", "delivered"]
    path, headers, body = hook.posts[-1]
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    validator = RequestValidator(twilio.auth_token)
    assert validator.validate(f"https://buurt.example{path}", form, headers["X-Twilio-Signature"])
    found = client.messages(made.sid).fetch()
    assert (found.status, found.price, found.price_unit) == ("delivered", "-0.09650", "USD")
    for number in range(4):
        client.messages.create(to=RIET, from_=twilio.number, body=f"nr {number}")
    client.messages.create(to="+31612345602", messaging_service_sid=twilio.service_sid, body="via de dienst")
    assert [m.body for m in client.messages.list(to=RIET, page_size=2)] == ["nr 3", "nr 2", "nr 1", "nr 0", "Dag Riet"]
    today = made.date_created.date()
    assert len(client.messages.list(to=RIET, date_sent=today)) == 5 or made.date_created.hour == 23
    assert len(client.messages.list(date_sent_after=made.date_created)) == 6
    twilio.wait_for(lambda: twilio.messages[made.sid].status == "delivered")
    assert client.messages(made.sid).update(body="").body == ""
    assert twilio.messages[made.sid].redacted
    assert client.api.accounts(twilio.account_sid).fetch().status == "active"
    (number,) = client.incoming_phone_numbers.list(phone_number=twilio.number)
    assert number.sms_url == "https://buurt.example/sms"
    service = client.messaging.v1.services(twilio.service_sid)
    assert service.fetch().inbound_request_url == "https://buurt.example/sms"
    assert [n.phone_number for n in service.phone_numbers.list()] == [twilio.number]
    assert twilio.violations == []


def test_twilio_inbound_is_signed_over_the_public_address(twilio: TwilioServer, hook: Hook) -> None:
    twilio.connect(hook.url)
    riet = twilio.phone(RIET)
    assert riet.send("lamp kapot, ideeën?", times=2).result().ok
    (path, headers, body), (_, again, _) = hook.posts
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    assert path == "/sms"
    assert headers["Host"] == "buurt.example"
    assert form["FromCity"] == ""
    assert form["FromCountry"] == "NL"
    assert form["SmsMessageSid"] == form["MessageSid"]
    assert headers["I-Twilio-Idempotency-Token"] == again["I-Twilio-Idempotency-Token"]
    validator = RequestValidator(twilio.auth_token)
    assert validator.validate("https://buurt.example/sms", form, headers["X-Twilio-Signature"])
    for sign in ("wrong", "other-address", "empty"):
        riet.send("nep", sign=sign).result()
        path, headers, body = hook.posts[-1]
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        assert not validator.validate("https://buurt.example/sms", form, headers["X-Twilio-Signature"])
    riet.send("nep", sign="missing").result()
    assert "X-Twilio-Signature" not in hook.posts[-1][1]
    riet.send("echt", change=lambda form: form | {"Body": "vals"}).result()
    _, headers, body = hook.posts[-1]
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    assert form["Body"] == "vals"
    assert not validator.validate("https://buurt.example/sms", form, headers["X-Twilio-Signature"])
    assert [m.direction for m in client_of(twilio).messages.list(from_=RIET, limit=1)] == ["inbound"]


def test_twilio_retries_and_reads_twiml(twilio: TwilioServer, hook: Hook) -> None:
    twilio.connect(hook.url)
    riet = twilio.phone(RIET)
    twilio.retries, twilio.retry_on = 2, ("ct", "rt", "5xx")
    hook.answers = [500, 502, 200]
    delivery = riet.send("hallo")
    delivery.result()
    assert [attempt.status for attempt in delivery.attempts] == [500, 502, 200]
    assert len({headers["I-Twilio-Idempotency-Token"] for _, headers, _ in hook.posts}) == 1
    hook.body = b"<Response><Message>Dag</Message></Response>"
    riet.send("nog eens").result()
    assert riet.texts == ["Dag"]
    hook.body = b"<Response><Message>"
    riet.send("stuk").result()
    hook.server.shutdown()
    hook.server.server_close()
    assert riet.send("niemand thuis").result().error
    assert [error.split()[0] for error in twilio.webhook_errors] == ["12100", "11200"]


def test_twilio_opt_out(twilio: TwilioServer, hook: Hook) -> None:
    twilio.connect(hook.url)
    riet = twilio.phone(RIET)
    client = client_of(twilio)

    def send() -> None:
        client.messages.create(to=RIET, from_=twilio.number, body="Dag")

    riet.send("stop please").result()
    riet.send("ja").result()
    assert riet.inbox == []
    riet.send(" stop ").result()
    assert "unsubscribed" in riet.last.body
    with pytest.raises(TwilioRestException) as caught:
        send()
    assert (caught.value.status, caught.value.code) == (400, 21610)
    riet.send("START").result()
    send()
    assert riet.wait_for(lambda message: message.body == "Dag")  # it arrives in its own time
    riet.send("help").result()
    assert "Reply STOP" in riet.last.body
    assert all("OptOutType" not in form for form in hook.forms("/sms"))
    twilio.use_advanced_opt_out(STOP=(("STOP", "STOPPEN"), "U krijgt geen berichten meer."))
    riet.send("Stoppen").result()
    assert riet.last.body == "U krijgt geen berichten meer."
    assert hook.forms("/sms")[-1]["OptOutType"] == "STOP"
    assert hook.forms("/sms")[-1]["MessagingServiceSid"] == twilio.service_sid
    with pytest.raises(TwilioRestException):
        send()
    assert twilio.violations == []


def test_twilio_status_out_of_order_and_failures(twilio: TwilioServer, hook: Hook) -> None:
    twilio.connect(hook.url)
    riet = twilio.phone(RIET)
    client = client_of(twilio)

    def send() -> str:
        callback = "https://buurt.example/sms/status#rc=2"
        return str(client.messages.create(to=RIET, from_=twilio.number, body="x", status_callback=callback).sid)

    twilio.status_order, twilio.status_times = "reversed", 2
    send()
    twilio.wait_for(lambda: len(hook.forms("/sms/status")) == 4)
    assert [f["MessageStatus"] for f in hook.forms("/sms/status")] == ["delivered", "delivered", "sent", "sent"]
    twilio.status_order, twilio.status_times = "right", 1
    riet.off(30005)
    sid = send()
    twilio.wait_for(lambda: twilio.messages[sid].status == "undelivered")
    assert client.messages(sid).fetch().error_code == 30005
    twilio.wait_for(lambda: len(hook.forms("/sms/status")) == 6)
    assert hook.forms("/sms/status")[-1]["ErrorCode"] == "30005"
    assert twilio.tell_status(sid, "sent").ok
    assert hook.forms("/sms/status")[-1]["MessageStatus"] == "sent"
    assert len(riet.inbox) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": "0612345601"}, 21211),
        ({"To": "+3161234560"}, 21211),
        ({"To": None}, 21604),
        ({"From": None}, 21603),
        ({"From": "+31612345699"}, 21606),
        ({"Body": "x" * 1601}, 21617),
        ({"Body": ""}, 21602),
        ({"Body": None}, 21602),
        ({"ValidityPeriod": "36001"}, 20001),
        ({"ValidityPeriod": "0"}, 20001),
        ({"SmartEncoded": "True"}, 20001),
        ({"StatusCallback": "https://my_host.example/sms"}, 21609),
        ({"StatusCallback": "buurt.example/sms"}, 21609),
        ({"Onzin": "1"}, 20001),
        ({"MediaUrl": "https://buurt.example/x.png"}, 20001),
    ],
)
def test_twilio_refuses_and_remembers(twilio: TwilioServer, change: dict[str, str | None], code: int) -> None:
    params: dict[str, str | None] = {"To": RIET, "From": twilio.number, "Body": "Dag"}
    form = [(name, value) for name, value in (params | change).items() if value is not None]
    status, answer = raw_twilio(twilio, form)
    assert (status, answer["code"]) == (400, code)
    assert len(twilio.violations) == 1
    assert twilio.sent == []


def test_twilio_refusals_that_are_not_the_callers(twilio: TwilioServer) -> None:
    twilio.countries_off.add("BE")
    for number, code in (("+31201234567", 21614), ("+32470123456", 21408)):
        form = [("To", number), ("From", twilio.number), ("Body", "Dag")]
        assert raw_twilio(twilio, form)[1]["code"] == code
    assert twilio.violations == []
    stranger = Client(twilio.account_sid, "e" * 32, http_client=Local(twilio.base_url))
    with pytest.raises(TwilioRestException) as caught:
        stranger.messages.create(to=RIET, from_=twilio.number, body="Dag")
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_twilio_faults_reach_the_library(twilio: TwilioServer) -> None:
    client = client_of(twilio, timeout=0.5)

    def send() -> None:
        client.messages.create(to=RIET, from_=twilio.number, body="Dag")

    expected: list[tuple[faults.Fault, int | type[BaseException], int]] = [
        (faults.too_many(), 20429, 0),
        (faults.server_error(500), 20500, 0),
        (faults.bad_gateway(), 502, 0),
        (faults.garbage(), ValueError, 0),
        (faults.reset(), OSError, 0),
        (faults.hang(1), OSError, 0),
        (faults.answer_lost(), RequestsConnectionError, 1),
        (faults.server_error(500).but_processed(), 20500, 1),
    ]
    for fault, outcome, processed in expected:
        before = len(twilio.sent)
        twilio.faults.next(fault, methods=["create"])
        if isinstance(outcome, int):
            with pytest.raises(TwilioRestException) as caught:
                send()
            assert caught.value.code == outcome
        else:
            with pytest.raises(outcome):
                send()
        assert len(twilio.sent) - before == processed, fault
    assert len(client.messages.list(to=RIET)) == 2
    assert all(message.lost for message in twilio.sent)
    assert [call.at for call in twilio.calls] == sorted(call.at for call in twilio.calls)


def test_twilio_keeps_up_with_a_burst(twilio: TwilioServer, hook: Hook) -> None:
    twilio.connect(hook.url)
    phones: list[FakePhone] = [twilio.phone(f"+3161234{number:04d}") for number in range(5000, 5100)]
    deliveries = [phone.send("hallo") for phone in phones]
    assert all(delivery.result(20).ok for delivery in deliveries)
    assert len({form["MessageSid"] for form in hook.forms("/sms")}) == 100


# -- the rules against the providers' own descriptions ---------------------------------------------------------------


def described(name: str) -> Any:
    folder = os.environ.get("BINNENBUURT_SPECS")
    if not folder:
        pytest.skip("BINNENBUURT_SPECS does not name a folder with the providers' API descriptions")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return json.loads(path.read_text(encoding="utf-8"))


def test_telegram_rules_follow_the_description() -> None:
    spec = described("telegram-bot-api-10.1.json")

    def compare(where: str, ours: dict[str, rules_telegram.Param], fields: list[dict[str, Any]]) -> None:
        theirs = {field["name"]: field for field in fields}
        assert set(ours) == set(theirs), where
        for name, rule in ours.items():
            field = theirs[name]
            assert set(rule.type.split("|")) == set(field["types"]), (where, name)
            assert rule.required == field["required"], (where, name)
            words = field["description"]
            limits = re.search(r"(\d+)-(\d+) (characters|bytes)|[Vv]alues between (\d+)-(\d+)", words)
            if limits and not rule.unused:
                low, high = (int(number) for number in limits.groups() if number and number.isdigit())
                assert (rule.min, rule.max) == (low, high), (where, name, words)
                assert rule.in_bytes == (limits.group(3) == "bytes"), (where, name)

    for method, params in rules_telegram.METHODS.items():
        compare(method, params, spec["methods"][method].get("fields", []))
    for kind, fields in rules_telegram.OBJECTS.items():
        compare(kind, fields, spec["types"][kind]["fields"])
    updates = {field["name"] for field in spec["types"]["Update"]["fields"]} - {"update_id"}
    assert set(rules_telegram.UPDATE_TYPES) == updates
    default = next(f for f in spec["methods"]["getUpdates"]["fields"] if f["name"] == "allowed_updates")["description"]
    excepted = default.split("except", 1)[1].split("(default)")[0]
    assert all(name in excepted for name in rules_telegram.NOT_BY_DEFAULT)
    scopes: dict[str, tuple[str, ...]] = {}
    for kind in spec["types"]["BotCommandScope"]["subtypes"]:
        parts = {field["name"]: field["description"] for field in spec["types"][kind]["fields"]}
        scopes[parts["type"].rsplit(" ", 1)[1]] = tuple(parts)
    assert scopes == {kind: ("type", *names) for kind, names in rules_telegram.SCOPES.items()}
    answered = {f"_on_{method}" for method in rules_telegram.METHODS} - {"_on_getUpdates"}
    assert all(hasattr(TelegramServer, name) for name in answered)


def test_twilio_rules_follow_the_description() -> None:
    spec = described("twilio-api-2010.json")
    paths, schemas = spec["paths"], spec["components"]["schemas"]
    base = "/2010-04-01/Accounts/{AccountSid}"

    def kind_of(schema: dict[str, Any]) -> str:
        if "$ref" in schema:
            return "text"
        sid = re.fullmatch(r"\^([A-Z]{2})\[0-9a-fA-F\]\{32\}\$", schema.get("pattern", ""))
        if sid:
            return f"sid:{sid.group(1)}"
        formats = {"phone-number": "phone", "uri": "url", "date-time": "date", "int64": "integer"}
        return str(formats.get(schema.get("format", ""), schema["type"])).replace("string", "text")

    def compare(ours: dict[str, rules_twilio.Param], schema: dict[str, dict[str, Any]], required: list[str]) -> None:
        assert set(ours) == set(schema)
        for name, rule in ours.items():
            theirs = schema[name]
            assert rule.many == (theirs.get("type") == "array"), name
            if rule.many:
                theirs = theirs["items"]
            assert rule.kind == kind_of(theirs), name
            assert rule.required == (name in required), name
            if "$ref" in theirs and not rule.unused:
                values = schemas[theirs["$ref"].rsplit("/", 1)[1]]["enum"]
                assert set(rule.choices or ()) == set(values), name

    def form_of(path: str) -> dict[str, Any]:
        content = paths[path]["post"]["requestBody"]["content"]
        return dict(content["application/x-www-form-urlencoded"]["schema"])

    create = form_of(f"{base}/Messages.json")
    compare(rules_twilio.CREATE_MESSAGE, create["properties"], create["required"])
    compare(rules_twilio.UPDATE_MESSAGE, form_of(f"{base}/Messages/{{Sid}}.json")["properties"], [])
    query = {p["name"]: p["schema"] for p in paths[f"{base}/Messages.json"]["get"]["parameters"] if p["in"] == "query"}
    compare(rules_twilio.LIST_MESSAGES, query, [])
    numbers = paths[f"{base}/IncomingPhoneNumbers.json"]["get"]["parameters"]
    assert set(rules_twilio.LIST_NUMBERS) == {p["name"] for p in numbers if p["in"] == "query"}
    assert set(rules_twilio.STATUSES) == set(schemas["message_enum_status"]["enum"])
    server = TwilioServer()
    sms = server.messages["SM"] = _example(server)
    assert set(server._json(sms)) == set(schemas["api.v2010.account.message"]["properties"])
    examples = paths[f"{base}/IncomingPhoneNumbers.json"]["get"]["responses"]["200"]["content"]["application/json"]
    theirs = examples["examples"]["readFull"]["value"]["incoming_phone_numbers"][0]
    answer = server._numbers({}, [], None)
    assert set(json.loads(bytes(answer.body))["incoming_phone_numbers"][0]) == set(theirs)
    account = json.loads(bytes(server._account({}, [], None).body))
    assert set(account) == set(schemas["api.v2010.account"]["properties"])


def _example(server: TwilioServer) -> Sms:
    form = [("To", RIET), ("From", server.number), ("Body", "Dag")]
    server._create({}, form, None)
    return server.sent[0]
