"""Telegram by python-telegram-bot's plain `Bot`: no Application, so that nothing is acknowledged before it is ours.

Its stock updater moves the offset before anybody handled what it fetched (measured: a kill loses them). Here the rows
are committed first. Updates are read as plain JSON: one that the library could not parse must not stop the others.
Limits and errors: Bot API 10.1 and its FAQ; descriptions of errors from the telegram-errors collection on GitHub.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from telegram import Bot, BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from bot.channels.channel import (
    Found,
    LockedOut,
    MaybeSent,
    NotThere,
    Outcome,
    Pace,
    Permanent,
    Sent,
    Temporary,
    Wait,
    brief,
)
from bot.channels.numbers import e164
from bot.channels.wording import telegram_buttons, telegram_text
from flows.texts import Texts
from storage.codes import normal_code
from storage.outbox import Parcel
from storage.seal import keyring

log = logging.getLogger("binnenbuurt.telegram")
# The library's own switch to say waiting times as timedelta; without it every 429 comes with a deprecation warning.
os.environ.setdefault("PTB_TIMEDELTA", "true")

ALLOWED = ("message", "edited_message", "callback_query", "my_chat_member")
POLL_SECONDS = 25  # a long poll; Telegram answers at once when there is something
CALL_SECONDS = 15.0  # for every other call; past it the answer counts as lost
WATCH_SECONDS = 300.0  # how often is looked whether the webhook is still ours
RETRY_MAX = 60.0  # seconds between two tries to reach Telegram during an outage
# One a second to one person, 30 a second in all (Bots FAQ); a little below, because clocks and networks wobble.
PACE = Pace(per_second=29.6, burst=10, per_person=1.0, at_once=30)
FLOOD_UNKNOWN = 5.0  # a 429 that does not say how long

# 403: the address is closed, until its owner opens it again (my_chat_member, or a message).
BLOCKED = (
    "bot was blocked by the user",
    "user is deactivated",
    "bot can't initiate conversation with a user",
    "bot was kicked from the group chat",
    "bot is not a member of the channel chat",
)
# 400 about the address: there is no such chat (any more), or it is one that we cannot write to.
NO_SUCH_CHAT = ("chat not found", "user not found", "peer_id_invalid", "input_user_deactivated", "chat_write_forbidden")
# 400 on taking buttons away: they are gone, which is what was wanted.
ALREADY_GONE = ("message is not modified", "message to edit not found", "message can't be edited")
# 400 on a copy: its owner deleted it, or it is of a kind that cannot be copied. Its announcement has arrived.
NO_COPY = ("message to copy not found", "message can't be copied", "message_id_invalid", "wrong message identifier")
# Any other 400 is our own mistake in that message: repeating it would give the same answer, so it is permanent too.

KINDS = ("voice", "photo", "video", "location", "sticker", "document", "contact")
SERVICE = frozenset(
    {
        "pinned_message", "message_auto_delete_timer_changed", "write_access_allowed", "chat_background_set",
        "users_shared", "chat_shared", "boost_added", "connected_website", "new_chat_title", "new_chat_photo",
        "delete_chat_photo", "forum_topic_created", "giveaway_created", "successful_payment", "refunded_payment",
    }
)  # fmt: skip
"""Messages that Telegram writes itself, about the chat (Bot API, "service message"): nobody said anything."""
_ALIKE = {"video_note": "video", "animation": "video", "audio": "voice", "venue": "location"}
VERSION_LENGTH = 16  # letters of a keyed hash: enough to tell the corrections of one message apart
COMMANDS = ("hulp", "privacy", "gegevens", "pauze", "stop")


@dataclass(frozen=True, slots=True)
class Arrived:
    """An update as an incoming row: its stored id, the chat, and the body; `callback` is to be answered at once."""

    external_id: str
    address: str
    body: Mapping[str, Any]
    callback: str = ""


@dataclass(frozen=True, slots=True)
class InGroup:
    """Somebody spoke to us in a group, or put us in one: declined politely, once."""

    chat: int


def parse(update: Mapping[str, Any]) -> Arrived | InGroup | None:
    """An update of the Bot API as what it means to us; None for what means nothing. Raises for what is no update.

    Ids are stored as keyed hashes of chat and message: an update's own id starts anew at random after a quiet week, and
    a chat's id says who somebody is.
    """
    if "message" in update:
        return _message(update["message"], edited=False)
    if "edited_message" in update:
        return _message(update["edited_message"], edited=True)
    if "callback_query" in update:
        return _press(update["callback_query"])
    if "my_chat_member" in update:
        return _membership(update["my_chat_member"], update["update_id"])
    return None


def _stored(*parts: object) -> str:
    return keyring.find_by("telegram id:" + ":".join(map(str, parts))).hex()[:40]


def _message(message: Mapping[str, Any], *, edited: bool) -> Arrived | InGroup | None:
    chat = message["chat"]
    if chat["type"] != "private":
        return (
            InGroup(chat["id"])
            if chat["type"] in ("group", "supergroup") and "left_chat_member" not in message
            else None
        )
    if message.get("from", {}).get("is_bot") or not SERVICE.isdisjoint(message):
        return None
    if edited and "location" in message:  # somebody walks, and shares it: the first place was handed on
        return None
    address, number = str(chat["id"]), message["message_id"]
    body: dict[str, Any] = {"text": _without_our_name(message.get("text") or message.get("caption") or "")}
    if isinstance(sent := message.get("edit_date" if edited else "date"), int):
        body["sent"] = sent  # what waited at Telegram while we were away arrives at once, and was written in hours
    command, _, payload = body["text"].partition(" ")
    if command == "/start" and normal_code(payload):
        body |= {"text": "", "start_code": payload.strip()}
    elif command == "/start" and payload.strip():  # the neighbourhood's own code, on a card for everybody
        body["text"] = payload.strip()
    if (reply := message.get("reply_to_message")) is not None:
        body["reply_to"] = str(reply["message_id"])
    kind = next((k for k in (*KINDS, *_ALIKE) if k in message), "" if body["text"] or "start_code" in body else "other")
    if kind:
        kind = _ALIKE.get(kind, kind)
        body["kind"] = kind
        body["attachment"] = {"channel": "telegram", "chat": address, "message": str(number), "kind": kind}
    card = message.get("contact") or {}
    if card and card.get("user_id") == message["from"]["id"] and (phone := e164(str(card.get("phone_number", "")))):
        body["own_phone"] = phone
    if not edited:
        return Arrived(_stored(address, number), address, body)
    # two corrections within a second have the same date, so the words are part of it; an update's own number is not,
    # because the same correction may come under two of them
    version = _stored(address, number, "edit", message.get("edit_date"), body["text"])[:VERSION_LENGTH]
    return Arrived(f"{_stored(address, number)}.{version}", address, {**body, "edited": True})


def _without_our_name(text: str) -> str:
    """ "/hulp@onze_bot" as "/hulp": Telegram adds the name when a command is picked from a menu."""
    command, space, rest = text.partition(" ")
    if not command.startswith("/"):
        return text
    named = command.partition("@")[0]
    return named + space + rest if rest or named == "/start" else named[1:]


def _press(query: Mapping[str, Any]) -> Arrived | None:
    chat = (query.get("message") or {}).get("chat") or {"type": "private"}
    if chat["type"] != "private" or not query.get("data"):
        return None
    body: dict[str, Any] = {"text": "", "button": str(query["data"])}
    return Arrived(_stored("press", query["id"]), str(query["from"]["id"]), body, callback=str(query["id"]))


def _membership(change: Mapping[str, Any], update_id: int) -> Arrived | InGroup | None:
    status, chat = change["new_chat_member"]["status"], change["chat"]
    if chat["type"] != "private":
        here = status in ("member", "administrator", "restricted")
        return InGroup(chat["id"]) if here and chat["type"] in ("group", "supergroup") else None
    event = "blocked" if status in ("kicked", "left") else "unblocked"
    return Arrived(
        _stored("member", chat["id"], change["date"], update_id), str(chat["id"]), {"text": "", "event": event}
    )


def outcome_of(wrong: Exception) -> Outcome:
    """The class of a failed call. The order matters: BadRequest and TimedOut are both NetworkErrors."""
    said = str(wrong).lower()
    match wrong:
        case RetryAfter():
            after = wrong.retry_after
            return Wait("429", float(after if isinstance(after, int) else after.total_seconds()))
        case Forbidden():
            # an unknown 403 is also final for this chat: Telegram gives none that passes by itself
            return Permanent(_known(said, BLOCKED) or "403", "blocked")
        case ChatMigrated():
            return Permanent("chat migrated", "invalid")
        case BadRequest():
            chat = _known(said, NO_SUCH_CHAT)
            return Permanent(
                chat or f"400 {_known(said, (*ALREADY_GONE, *NO_COPY))}".strip(), "invalid" if chat else ""
            )
        case InvalidToken():
            return LockedOut("401 token")
        case Conflict():
            return Temporary("409")
        case NetworkError():
            return _network(wrong, said)
    # Leaks from inside the library, each after Telegram had answered 200 with something else than JSON that says ok:
    # null or a list (AttributeError), ok false (KeyError), HTML (bare TelegramError). It may well have been done.
    return MaybeSent(brief(wrong))


def _network(wrong: NetworkError, said: str) -> Outcome:
    cause = wrong.__cause__
    if said.startswith("too many requests"):  # a 429 without parameters
        return Wait("429", FLOOD_UNKNOWN)
    if isinstance(cause, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)):
        return Temporary(brief(wrong))  # no connection was made, so nothing was asked
    if cause is None and not isinstance(wrong, (BadRequest, Conflict)) and said.startswith(_SERVER_SAYS_NO):
        return Temporary("5xx")  # Telegram itself says in its own JSON that it failed
    # a time-out, a cut line, a proxy's page or a gateway's word: somebody between us and the answer, who may not know
    return MaybeSent(brief(wrong))


_SERVER_SAYS_NO = ("internal server error", "service unavailable", "request entity")


def _known(said: str, sentences: Sequence[str]) -> str:
    return next((sentence for sentence in sentences if sentence in said), "")


class Telegram:
    """The network Telegram: sending, the menu, and fetching what people wrote."""

    name = "telegram"
    can_look_up = False  # a bot cannot list what it sent

    def __init__(self, token: str, api_base: str, pace: Pace = PACE, call_seconds: float = CALL_SECONDS) -> None:
        """`api_base` is the Bot API server: methods at BASE/bot…, files at BASE/file/bot…"""
        self.pace = pace
        base = api_base.rstrip("/")
        calls = HTTPXRequest(
            connection_pool_size=pace.at_once + 10,
            read_timeout=call_seconds,
            write_timeout=call_seconds,
            connect_timeout=min(call_seconds, 10.0),
            pool_timeout=call_seconds,
        )
        self._calls = calls
        self._polls = HTTPXRequest(connection_pool_size=2, read_timeout=POLL_SECONDS + 10.0, connect_timeout=10.0)
        self.bot = Bot(
            token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=calls,
            get_updates_request=self._polls,
        )
        self.healthy = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Let what was begun end, and close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for request in (self._calls, self._polls):  # the Bot was never initialised (that would need a getMe)
            with contextlib.suppress(Exception):
                await request.shutdown()

    # --- sending ---

    async def send(self, parcel: Parcel) -> Outcome:
        """One message, one call. What may have arrived already is repeated only once Telegram answers again."""
        try:
            if parcel.again and isinstance(silence := await self._silent(), (Temporary, MaybeSent)):
                return Temporary(silence.error)
            match parcel.kind:
                case "unbutton":
                    return await self._unbutton(parcel)
                case "media":
                    return await self._media(parcel)
            sent = await self.bot.send_message(
                int(parcel.to),
                telegram_text(parcel.body),
                reply_markup=_keyboard(parcel.body),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
            return Sent(str(sent.message_id))
        except Exception as wrong:  # the library leaks more than its own errors: see outcome_of
            return outcome_of(wrong)

    async def _silent(self) -> Outcome | None:
        """What is wrong between us and Telegram, felt by a call that does nothing; None when it answers.

        In an outage nearly every call ends in a proxy's page, after which nobody knows whether it was done. Without this
        a message's one repeat (and an alarm's few) would be used up in the first seconds, and it would never arrive.
        """
        try:
            await self.bot.get_me()
        except Exception as wrong:
            return outcome_of(wrong)
        return None

    async def _media(self, parcel: Parcel) -> Outcome:
        attachment = parcel.body["attachment"]
        try:
            copy = await self.bot.copy_message(int(parcel.to), int(attachment["chat"]), int(attachment["message"]))
        except BadRequest as wrong:  # "chat not found" may be the one it comes from: its announcement has just arrived
            return Permanent(f"400 {_known(str(wrong).lower(), (*NO_COPY, *NO_SUCH_CHAT))}".strip())
        return Sent(str(copy.message_id))

    async def _unbutton(self, parcel: Parcel) -> Outcome:
        try:
            await self.bot.edit_message_reply_markup(chat_id=int(parcel.to), message_id=int(parcel.target))
        except BadRequest as wrong:
            if not _known(str(wrong).lower(), ALREADY_GONE):
                return outcome_of(wrong)
        return Sent(parcel.target)

    async def look_up(self, parcel: Parcel, taken: frozenset[str]) -> Found:
        """Telegram has no way to ask; never called, because `can_look_up` says so."""
        return NotThere()

    # --- what everybody sees of the bot ---

    async def dress(self, texts: Texts) -> bool:
        """Set menu and descriptions in Dutch; False when Telegram did not take them (tried again at the next start)."""
        try:
            await self.bot.set_my_commands(
                [BotCommand(name, texts.render(f"telegram.command_{name}", "u", {})) for name in COMMANDS]
            )
            await self.bot.set_my_description(texts.render("telegram.description", "u", {}))
            await self.bot.set_my_short_description(texts.render("telegram.short_description", "u", {}))
        except Exception as wrong:
            log.warning("menu not set", extra={"error": brief(wrong)})
            return False
        return True

    def answer_later(self, callback: str) -> None:
        """Stop the waiting sign on a pressed button, at once and beside everything else."""
        self._beside(self._answer(callback))

    async def _answer(self, callback: str) -> None:
        try:
            await self.bot.answer_callback_query(callback)
        except Exception as wrong:  # too old, or no network: the press itself is stored and handled all the same
            log.info("press not answered", extra={"error": brief(wrong)})

    def decline_later(self, chat: int, text: str) -> None:
        """Say once that we do not work in groups, and leave."""
        self._beside(self._decline(chat, text))

    async def _decline(self, chat: int, text: str) -> None:
        with contextlib.suppress(TelegramError):
            await self.bot.send_message(chat, text)
        with contextlib.suppress(TelegramError):
            await self.bot.leave_chat(chat)

    def _beside(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- fetching ---

    async def use_webhook(self, url: str, secret: str) -> None:
        """Ask Telegram to post to us; tried until it works."""
        await self._insist(
            lambda: self.bot.set_webhook(url, secret_token=secret, allowed_updates=ALLOWED, max_connections=40)
        )

    async def watch_webhook(self, url: str, secret: str) -> None:
        """See for ever that Telegram still posts to us: another copy, or a hand, may have turned it elsewhere."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                posts_to = (await self.bot.get_webhook_info()).url
            except Exception as wrong:
                log.info("webhook not looked at", extra={"error": brief(wrong)})
                continue
            self.healthy = posts_to == url
            if not self.healthy:
                log.error("another copy took the webhook of this token; stop one of them")
                await self.use_webhook(url, secret)

    async def poll(self, store: Callable[[list[Mapping[str, Any]]], Awaitable[None]]) -> None:
        """Fetch for ever. `store` returns once the updates are committed; only then is the offset moved.

        After everything is confirmed we ask without an offset: after a quiet week ids start anew at random, perhaps
        below the last one, and an old offset would then confirm what we never saw.
        """
        await self._insist(lambda: self.bot.delete_webhook())
        offset: int | None = None
        failures = 0
        while True:
            try:
                updates = await self._fetch(offset)
                if updates:
                    await store(updates)
                ids = [u["update_id"] for u in updates if isinstance(u, dict) and isinstance(u.get("update_id"), int)]
                if updates and not ids:
                    raise NetworkError("updates without a number")
            except asyncio.CancelledError:
                if offset is not None:
                    await self._confirm(offset)
                raise
            except Exception as wrong:
                failures += 1
                self.healthy = failures < 3
                await asyncio.sleep(self._pause(wrong, failures))
                continue
            failures, self.healthy = 0, True
            offset = ids[-1] + 1 if ids else None

    async def _fetch(self, offset: int | None) -> list[Mapping[str, Any]]:
        # with an offset there may be more in line already; it is confirmed at once instead of after a long poll
        arguments: dict[str, Any] = {"timeout": 0 if offset else POLL_SECONDS, "allowed_updates": json.dumps(ALLOWED)}
        if offset is not None:
            arguments["offset"] = offset
        return await self._get_updates(arguments)

    async def _get_updates(self, arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The updates as plain JSON: `Bot.get_updates` would fail on all of them for one that it cannot parse."""
        answer: Any = await self._polls.post(f"{self.bot.base_url}/getUpdates?{urlencode(arguments)}")
        if not isinstance(answer, list):
            raise NetworkError("no list of updates")
        return answer

    async def _confirm(self, offset: int) -> None:
        """A last word when we stop: what is committed need not come again. If it fails, it comes again as a no-op."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._get_updates({"offset": offset, "timeout": 0, "limit": 1}), 2)

    async def _insist(self, call: Callable[[], Awaitable[Any]]) -> None:
        failures = 0
        while True:
            try:
                await call()
                return
            except Exception as wrong:
                failures += 1
                self.healthy = failures < 3
                await asyncio.sleep(self._pause(wrong, failures))

    def _pause(self, wrong: Exception, failures: int) -> float:
        """How long to wait after a failure, and a line about it: the first one, and then now and again."""
        outcome = outcome_of(wrong)
        seconds = min(2.0 ** min(failures - 1, 6), RETRY_MAX)
        if isinstance(outcome, Wait):
            seconds = max(seconds, outcome.seconds)
        if isinstance(outcome, LockedOut):
            seconds = RETRY_MAX
        if isinstance(wrong, Conflict):
            log.error("another copy fetches with this token; stop one of them", extra={"failures": failures})
            seconds = max(seconds, 5.0)
        elif failures in (1, 5) or failures % 20 == 0:
            log.warning("cannot fetch", extra={"error": getattr(outcome, "error", ""), "failures": failures})
        return seconds


def _keyboard(body: Mapping[str, Any]) -> InlineKeyboardMarkup | None:
    """One button a row, so that it is large."""
    buttons = telegram_buttons(body)
    if not buttons:
        return None
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=data)] for label, data in buttons])
