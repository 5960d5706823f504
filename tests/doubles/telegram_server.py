"""A strict Bot API server on loopback: bots talk to it over HTTP, tests play its users from Python."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.doubles import rules_telegram as rules
from tests.doubles.faults import Fault, FaultPlan
from tests.doubles.loopback import Attempt, Dropped, Loopback, post

MEDIA = ("photo", "voice", "location", "sticker", "contact", "video", "document")
# How far an offset may lie beyond the newest update before the real server takes it for a mistake and starts at the
# oldest unconfirmed one (tdlib's queue does so at 10).
OFFSET_SLACK = 10
MAX_POLL = 50
MAX_DOWNLOAD = 20 * 1024 * 1024


class ApiError(Exception):
    """An answer with ok: false."""

    def __init__(self, code: int, description: str, parameters: dict[str, Any] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


@dataclass
class Call:
    """One call as it came in: `at` is monotonic seconds, `status` the HTTP status given (0: none)."""

    at: float
    method: str
    params: dict[str, Any]
    status: int = 0
    fault: str = ""
    description: str = ""


@dataclass
class Received:
    """A message from the bot as its reader sees it; edits change it in place."""

    message_id: int
    chat_id: int
    text: str
    at: float
    kind: str
    json: dict[str, Any]
    buttons: list[tuple[str, str]] = field(default_factory=list)
    keyboard: list[str] = field(default_factory=list)
    reply_to: int | None = None
    silent: bool = False
    lost: bool = False
    deleted: bool = False
    earlier: list[str] = field(default_factory=list)
    seen_buttons: list[tuple[str, str]] = field(default_factory=list)
    contact_keys: list[str] = field(default_factory=list)

    def __contains__(self, words: str) -> bool:
        return words.casefold() in self.text.casefold()


@dataclass
class Callback:
    """A press of a button, and what the bot answered."""

    id: str
    user_id: int
    data: str
    at: float
    expires: float
    answered: bool = False
    text: str = ""
    alert: bool = False
    answered_after: float | None = None


@dataclass
class Pending:
    """An update not yet confirmed."""

    update_id: int
    kind: str
    json: dict[str, Any]
    queue: int


class Bucket:
    """So many per second, with a store for short bursts."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self.level = burst
        self.last = time.monotonic()

    def wait(self, now: float) -> float:
        """Seconds until one more fits; 0 when it fits now. Takes nothing."""
        self.level = min(self.burst, self.level + (now - self.last) * self.rate)
        self.last = now
        return 0.0 if self.level >= 1 else (1 - self.level) / self.rate

    def take(self) -> None:
        self.level -= 1


class FakeUser:
    """Someone with a Telegram app. Every method is what a finger does; updates are queued at once."""

    def __init__(self, server: TelegramServer, name: str, user_id: int, phone: str | None) -> None:
        self.server = server
        self.name = name
        self.id = user_id
        self.phone = phone
        self.started = False
        self.blocked = False
        self.deactivated = False
        self.inbox: list[Received] = []
        self.callbacks: list[Callback] = []

    @property
    def json(self) -> dict[str, Any]:
        return {"id": self.id, "is_bot": False, "first_name": self.name, "language_code": "nl"}

    @property
    def chat(self) -> dict[str, Any]:
        return {"id": self.id, "first_name": self.name, "type": "private"}

    @property
    def texts(self) -> list[str]:
        """The texts received so far, oldest first, as they read now."""
        return [message.text for message in self.inbox]

    @property
    def last(self) -> Received:
        return self.inbox[-1]

    def start(self, payload: str = "") -> int:
        """Press START, with the payload of a deep link."""
        if payload and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", payload):
            raise AssertionError(f"no deep link can carry {payload!r}")
        if self.blocked:
            self.unblock()
        return self.send(f"/start {payload}".strip())

    def send(self, text: str, reply_to: Received | int | None = None) -> int:
        """Type a text; the app splits one that is over 4096. Gives the message id (of the last part)."""
        parts = [text[at : at + 4096] for at in range(0, len(text), 4096)] or [""]
        return [self._message({"text": part, **_commands(part)}, reply_to) for part in parts][-1]

    def edit(self, message_id: int, text: str) -> None:
        """Correct an own message."""
        with self.server.changed:
            message = self.server.messages[self.id, message_id]
            for name in ("entities", "caption"):
                message.pop(name, None)
            message |= {"text": text, "edit_date": int(time.time()), **_commands(text)}
            self.server.queue("edited_message", dict(message), self.id)

    def press(
        self, button: str, message: Received | int | None = None, stale: bool = False, expired: bool = False
    ) -> Callback:
        """Press an inline button by its words or its data, on the newest message that has it (or on this one).

        stale: also a button the bot has taken away (the screen had not caught up). expired: the query comes so late
        that answering it fails.
        """
        with self.server.changed:
            wanted = message.message_id if isinstance(message, Received) else message
            for shown in reversed(self.inbox):
                if (wanted is not None and shown.message_id != wanted) or shown.deleted:
                    continue
                for words, data in shown.seen_buttons if stale else shown.buttons:
                    if button in (words, data) and data:
                        return self._press(shown, data, expired)
            raise AssertionError(f"{self.name} sees no button {button!r}; {self._visible()}")

    def forge(self, data: str, message: Received | int) -> Callback:
        """A press with data of one's own making, as a modified client can send."""
        with self.server.changed:
            wanted = message.message_id if isinstance(message, Received) else message
            for shown in self.inbox:
                if shown.message_id == wanted:
                    return self._press(shown, data, False)
            raise AssertionError(f"{self.name} has no message {wanted}")

    def type_keyboard(self, words: str) -> int:
        """Tap a key of a reply keyboard: it sends the words, or shares what the key asks for."""
        with self.server.changed:
            for shown in reversed(self.inbox):
                if words in shown.keyboard:
                    if words in shown.contact_keys:
                        return self.share_contact()
                    return self.send(words)
            raise AssertionError(f"{self.name} sees no key {words!r}; {self._visible()}")

    def voice(self, seconds: int = 4, data: bytes = b"OggS voice", reply_to: Received | int | None = None) -> int:
        """Speak a message."""
        sent = self.server.store_file(data, "voice", "oga")
        media = {"voice": {**sent, "duration": seconds, "mime_type": "audio/ogg"}}
        return self._message(media, reply_to)

    def photo(self, caption: str = "", data: bytes = b"\xff\xd8 photo", reply_to: Received | int | None = None) -> int:
        """Send a photo, in two sizes as the server makes them."""
        small = {**self.server.store_file(data[:4], "photos", "jpg"), "width": 90, "height": 67}
        large = {**self.server.store_file(data, "photos", "jpg"), "width": 1280, "height": 960}
        return self._message({"photo": [small, large], **({"caption": caption} if caption else {})}, reply_to)

    def location(self, latitude: float = 52.3525, longitude: float = 4.9041) -> int:
        """Share a place."""
        return self._message({"location": {"latitude": latitude, "longitude": longitude}}, None)

    def sticker(self, emoji: str = "👍") -> int:
        """Send a sticker."""
        sent = self.server.store_file(b"RIFF sticker", "stickers", "webp")
        form = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
        return self._message({"sticker": {**sent, **form, "emoji": emoji, "set_name": "buurt"}}, None)

    def share_contact(self, own: bool = True, phone: str | None = None) -> int:
        """Share one's own number (by the button), or somebody's card. Numbers may lack the +, as in real life."""
        number = phone or (self.phone or "31612345600").removeprefix("+")
        if own:
            contact = {"phone_number": number, "first_name": self.name, "user_id": self.id}
        else:
            contact = {"phone_number": phone or "31612345699", "first_name": "Buurvrouw", "user_id": self.id + 1}
        return self._message({"contact": contact}, None)

    def block(self) -> None:
        """Stop and block the bot."""
        self._membership("member", "kicked")
        self.blocked = True

    def unblock(self) -> None:
        """Let the bot in again."""
        self._membership("kicked", "member")
        self.blocked = False

    def group_message(self, text: str, group: FakeGroup | None = None) -> int | None:
        """Say something in a group the bot is in. None when privacy mode keeps it from the bot."""
        return (group or self.server.group("Lutmabuurt praat", self)).message(self, text)

    def find(self, what: str | Callable[[Received], bool], after: int = 0) -> Received | None:
        """The first message from position `after` with these words, or for which the function is true."""
        for message in self.inbox[after:]:
            if what in message if isinstance(what, str) else what(message):
                return message
        return None

    def wait_for(self, what: str | Callable[[Received], bool], timeout: float = 5, after: int = 0) -> Received:
        """Block until such a message is there."""
        return self.server.wait_for(lambda: self.find(what, after), timeout, f"{self.name} to receive {what!r}")

    async def until(self, what: str | Callable[[Received], bool], timeout: float = 5, after: int = 0) -> Received:
        """`wait_for` for a test whose bot lives in the same event loop."""
        return await asyncio.to_thread(self.wait_for, what, timeout, after)

    def _visible(self) -> str:
        return "; ".join(f"{m.text[:60]!r} {m.buttons or m.keyboard}" for m in self.inbox[-5:]) or "nothing received"

    def _press(self, shown: Received, data: str, expired: bool) -> Callback:
        now = time.monotonic()
        lifetime = 0.0 if expired else self.server.query_lifetime
        callback = Callback(str(secrets.randbelow(2**63)), self.id, data, now, now + lifetime)
        self.callbacks.append(callback)
        self.server.callbacks[callback.id] = callback
        update = {"id": callback.id, "from": self.json, "message": shown.json, "chat_instance": str(self.id * 31)}
        self.server.queue("callback_query", {**update, "data": data}, self.id)
        return callback

    def _message(self, content: dict[str, Any], reply_to: Received | int | None) -> int:
        with self.server.changed:
            if self.blocked:
                raise AssertionError(f"{self.name} has blocked the bot and cannot write to it")
            self.started = True
            return self.server.incoming(self.json, self.chat, content, reply_to)

    def _membership(self, old: str, new: str) -> None:
        with self.server.changed:
            bot = self.server.bot
            states = [{"user": bot, "status": s, **({"until_date": 0} if s == "kicked" else {})} for s in (old, new)]
            change = {"chat": self.chat, "from": self.json, "date": int(time.time())}
            change |= {"old_chat_member": states[0], "new_chat_member": states[1]}
            self.server.queue("my_chat_member", change, self.id)


class FakeGroup:
    """A group with the bot in it."""

    def __init__(self, server: TelegramServer, title: str, chat_id: int) -> None:
        self.server = server
        self.id = chat_id
        self.title = title
        self.bot_present = True
        self.inbox: list[Received] = []

    @property
    def chat(self) -> dict[str, Any]:
        return {"id": self.id, "title": self.title, "type": "group", "all_members_are_administrators": False}

    def message(self, user: FakeUser, text: str) -> int | None:
        """What the user says; reaches the bot only as privacy mode allows: a command, or its name."""
        with self.server.changed:
            content = {"text": text, **_commands(text)}
            to_bot = text.startswith("/") or f"@{self.server.bot['username']}" in text
            if not to_bot or not self.bot_present:
                return None
            return self.server.incoming(user.json, self.chat, content, None)


class TelegramServer(Loopback):
    """The server, its users and its memory.

    `calls` has every call, `sent` every message that was really processed (with monotonic times, also those whose
    answer was lost), `violations` every call that broke a rule, `own_429` counts the times the bot itself went over a
    limit and `impatient` the calls it made before an injected `retry_after` had passed.
    """

    def __init__(
        self,
        token: str = "7000000001:AAtestTESTtestTESTtestTESTtestTESTte",
        *,
        seed: int = 1,
        chat_rate: float = 1.0,
        chat_burst: float = 3.0,
        overall_rate: float = 30.0,
        overall_burst: float = 31.0,
        group_per_minute: float = 20.0,
        query_lifetime: float = 600.0,
        webhook_timeout: float = 10.0,
        webhook_retry: float = 0.2,
    ) -> None:
        super().__init__()
        self.token = token
        self.random = random.Random(seed)
        self.faults = FaultPlan()
        self.query_lifetime = query_lifetime
        self.webhook_timeout = webhook_timeout
        self.webhook_retry = webhook_retry
        self._rates = (chat_rate, chat_burst, group_per_minute)
        self._overall = Bucket(overall_rate, overall_burst)
        self._chats: dict[int, Bucket] = {}
        self._banned: dict[int, tuple[float, bool]] = {}
        self.bot: dict[str, Any] = {
            "id": int(token.split(":")[0]),
            "is_bot": True,
            "first_name": "Buurtbot",
            "username": "binnenbuurt_test_bot",
        }
        self.users: dict[int, FakeUser] = {}
        self.groups: dict[int, FakeGroup] = {}
        self.calls: list[Call] = []
        self.sent: list[Received] = []
        self.violations: list[str] = []
        self.own_429 = 0
        self.impatient = 0
        self.conflicts = 0
        self.callbacks: dict[str, Callback] = {}
        self.commands: dict[str, list[dict[str, Any]]] = {}
        self.descriptions: dict[str, str] = {}
        self.short_descriptions: dict[str, str] = {}
        self.messages: dict[tuple[int, int], dict[str, Any]] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        self.pending: deque[Pending] = deque()
        self.history: list[Pending] = []
        self.confirmed: list[int] = []
        self.delivered: list[Attempt] = []
        self._next_update = self.random.randrange(100_000_000, 900_000_000)
        self._next_message = self.random.randrange(10, 5000)
        self._allowed = _default_updates()
        self._poll: asyncio.Event | None = None
        self.webhook: dict[str, Any] = {}
        self._webhook_error: tuple[int, str] | None = None
        self._busy: set[int] = set()
        self._not_before: dict[int, float] = {}
        self._failures: defaultdict[int, int] = defaultdict(int)

    # -- what a test does ------------------------------------------------------------------------------------------

    def user(self, name: str, user_id: int | None = None, phone: str | None = None) -> FakeUser:
        """Someone new, who has not spoken to the bot yet. Ids do not fit in 32 bits, as in real life."""
        with self.changed:
            number = user_id or self.random.randrange(5_000_000_000, 8_000_000_000)
            return self.users.setdefault(number, FakeUser(self, name, number, phone))

    def group(self, title: str, added_by: FakeUser) -> FakeGroup:
        """The group of this title; the first time, the bot is added to it."""
        with self.changed:
            for group in self.groups.values():
                if group.title == title and group.bot_present:
                    return group
            group = FakeGroup(self, title, -self.random.randrange(100_000_000, 999_999_999))
            self.groups[group.id] = group
            change = {"chat": group.chat, "from": added_by.json, "date": int(time.time())}
            change["old_chat_member"] = {"user": self.bot, "status": "left"}
            change["new_chat_member"] = {"user": self.bot, "status": "member"}
            self.queue("my_chat_member", change, group.id)
            added = {"new_chat_members": [self.bot], "new_chat_member": self.bot}
            self.incoming(added_by.json, group.chat, added, None)
            return group

    def jump(self, update_id: int | None = None) -> int:
        """A week of quiet: the next update gets another id, drawn anew and as often smaller as larger."""
        with self.changed:
            if self.pending:
                raise AssertionError("ids only jump when there was nothing to confirm for a week")
            old = self._next_update
            while update_id is None or abs(update_id - old) <= 10 * OFFSET_SLACK:
                update_id = self.random.randrange(1_000_000, 2_000_000_000)
            self._next_update = update_id
            return update_id

    def forget_pending(self) -> int:
        """Twenty-four hours without the bot: what waits is gone. Gives how many."""
        with self.changed:
            gone = len(self.pending)
            self.pending.clear()
            return gone

    def repeat(self, update_id: int) -> None:
        """Post a confirmed update to the webhook once more, as happens when the answer to it was lost."""
        with self.changed:
            assert self.webhook, "getUpdates never gives a confirmed update again"
            again = next(p for p in self.history if p.update_id == update_id)
            self.pending.append(again)
            self._announce()

    @property
    def inbox(self) -> list[Received]:
        """Everything any user or group received, in order of processing."""
        return self.sent

    def sent_to(self, user: FakeUser | FakeGroup | int) -> list[Received]:
        chat = user if isinstance(user, int) else user.id
        return [message for message in self.sent if message.chat_id == chat]

    def calls_of(self, *methods: str) -> list[Call]:
        return [call for call in self.calls if call.method in methods]

    def describe(self) -> str:
        with self.changed:
            calls = "\n".join(f"  {c.method} -> {c.status} {c.fault} {c.description}" for c in self.calls[-8:])
            shown = "\n".join(f"  to {m.chat_id}: {m.text[:90]!r}" for m in self.sent[-8:])
            return f"calls:\n{calls}\nsent:\n{shown}\npending {len(self.pending)}, violations {self.violations}"

    # -- updates ---------------------------------------------------------------------------------------------------

    def incoming(
        self, sender: dict[str, Any], chat: dict[str, Any], content: dict[str, Any], reply_to: Received | int | None
    ) -> int:
        """Store a message of a user and queue it. Gives its id."""
        with self.changed:
            message_id = self._next_message
            self._next_message += 1
            message: dict[str, Any] = {"message_id": message_id, "from": sender, "chat": chat, "date": int(time.time())}
            target = reply_to.message_id if isinstance(reply_to, Received) else reply_to
            if target is not None:
                message["reply_to_message"] = self._quoted(chat["id"], target)
            message |= content
            self.messages[chat["id"], message_id] = message
            self.queue("message", dict(message), chat["id"])
            return message_id

    def queue(self, kind: str, body: dict[str, Any], queue: int) -> None:
        """Put an update in line, if the bot wants this kind."""
        with self.changed:
            if kind not in self._allowed:
                return
            update = Pending(self._next_update, kind, {"update_id": self._next_update, kind: body}, queue)
            self._next_update += 1
            self.history.append(update)
            self.pending.append(update)
            self._announce()

    def _announce(self) -> None:
        self.changed.notify_all()
        self.call_in_loop(self._wake)

    def _wake(self) -> None:
        if self._poll is not None:
            self._poll.set()
        self._dispatch()

    def on_start(self) -> None:
        self.call_in_loop(self._dispatch)

    def _dispatch(self) -> None:
        """Hand waiting updates to the webhook: one at a time per chat, chats side by side."""
        if self.stopping or self.loop is None:
            return
        with self.changed:
            if not self.webhook:
                return
            now = time.monotonic()
            room = self.webhook["max_connections"] - len(self._busy)
            taken = set(self._busy)
            for update in self.pending:
                if update.queue in taken or room <= 0:
                    continue
                taken.add(update.queue)
                wait = self._not_before.get(update.queue, 0.0) - now
                if wait > 0:
                    self.loop.call_later(wait, self._dispatch)
                    continue
                room -= 1
                self._busy.add(update.queue)
                self.executor.submit(self._post_update, update, dict(self.webhook))

    def _post_update(self, update: Pending, webhook: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
        if webhook["secret"]:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook["secret"]
        attempt = post(webhook["url"], json.dumps(update.json).encode(), headers, self.webhook_timeout)
        with self.changed:
            self._busy.discard(update.queue)
            self.delivered.append(attempt)
            if attempt.ok:
                if update in self.pending:
                    self.pending.remove(update)
                self.confirmed.append(update.update_id)
                self._failures.pop(update.queue, None)
                self._not_before.pop(update.queue, None)
                if attempt.body.strip() and b'"method"' in attempt.body:
                    self.violations.append("a method call in the answer to a webhook: its outcome cannot be seen")
            else:
                failures = self._failures[update.queue] = self._failures[update.queue] + 1
                wait = min(self.webhook_retry * 2 ** min(failures - 1, 6), 5.0)
                self._not_before[update.queue] = time.monotonic() + wait
                reason = f"Wrong response from the webhook: {attempt.status}" if attempt.status else attempt.error
                self._webhook_error = (int(time.time()), reason)
            self.changed.notify_all()
        self.call_in_loop(self._dispatch)

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/bot{token}/{method}", self._method, methods=["GET", "POST"]),
                Route("/file/bot{token}/{path:path}", self._file, methods=["GET"]),
            ]
        )

    def _token_error(self, token: str) -> JSONResponse | None:
        if not re.fullmatch(r"\d+:[A-Za-z0-9_-]{30,}", token):
            return _error(404, "Not Found")
        return None if token == self.token else _error(401, "Unauthorized")

    async def _file(self, request: Request) -> Response:
        wrong = self._token_error(request.path_params["token"])
        if wrong is not None:
            return wrong
        path = request.path_params["path"]
        call = Call(time.monotonic(), "file", {"path": path})
        with self.changed:
            self.calls.append(call)
            data = next((data for data, name in self.files.values() if name == path), None)
        fault = self.faults.pick("file", call.params)
        if fault is not None:
            call.fault = fault.name
            return await self._faulty(fault, call, lambda: Response(data or b""))
        call.status = 404 if data is None else 200
        return _error(404, "Not Found") if data is None else Response(data, media_type="application/octet-stream")

    async def _method(self, request: Request) -> Response:
        at = time.monotonic()
        method = request.path_params["method"]
        wrong = self._token_error(request.path_params["token"])
        if wrong is not None:
            return wrong
        call = Call(at, method, {})
        with self.changed:
            self.calls.append(call)
        refusal: ApiError | None = None
        values: dict[str, Any] = {}
        try:
            sent, files = await self._parameters(request)
            call.params = {**sent, **{name: f"<{len(data)} bytes>" for name, data in files.items()}}
            if method not in rules.METHODS:
                self._violate(f"unknown method {method}")
                refusal = ApiError(404, "Not Found: method not found")
            else:
                values = rules.check(method, sent, files)
        except rules.Refused as error:
            self._violate(str(error))
            refusal = ApiError(400, f"Bad Request: {_real_words(str(error))}")
        fault = self.faults.pick(method, call.params)
        if fault is not None:
            call.fault = fault.name
            if not fault.processed:
                if fault.status == 429 and fault.retry_after and isinstance(values.get("chat_id"), int):
                    self._banned[values["chat_id"]] = (time.monotonic() + fault.retry_after, False)
                return await self._faulty(fault, call, None)
        try:
            if refusal is not None:
                raise refusal
            result = await self._updates(values) if method == "getUpdates" else self._act(method, values, fault)
        except ApiError as error:
            call.status, call.description = error.code, error.description
            answer: Response = _error(error.code, error.description, error.parameters)
        except _Cut:
            return Dropped()
        else:
            call.status = 200
            answer = JSONResponse({"ok": True, "result": result})
        if fault is not None:
            return await self._faulty(fault, call, lambda: answer)
        return answer

    async def _parameters(self, request: Request) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Parameters from the query, a form or a JSON body; uploaded parts apart."""
        sent: dict[str, Any] = dict(parse_qsl(request.url.query, keep_blank_values=True))
        files: dict[str, bytes] = {}
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        if kind == "application/json":
            try:
                body = json.loads(await request.body() or b"{}")
            except ValueError as error:
                raise rules.Refused(f"the body is not JSON: {error}") from error
            if not isinstance(body, dict):
                raise rules.Refused("the JSON body is not an object")
            sent |= body
        elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            async with request.form() as form:
                for name, value in form.multi_items():
                    if name in sent or name in files:
                        raise rules.Refused(f"parameter {name} given twice")
                    if isinstance(value, UploadFile):
                        files[name] = await value.read()
                    else:
                        sent[name] = value
        elif await request.body():
            raise rules.Refused(f"content type {kind!r} is not one Telegram reads")
        return sent, files

    async def _faulty(self, fault: Fault, call: Call, answer: Callable[[], Response] | None) -> Response:
        """The answer, or the lack of one, that a fault asks for."""
        if fault.kind in ("slow", "hang"):
            await self.pause(fault.seconds)
        if fault.kind == "slow" and answer is not None:
            return answer()
        if fault.kind in ("hang", "lost", "reset", "slow"):
            call.status = 0
            return Dropped(reset=fault.kind == "reset")
        call.status = fault.status
        if fault.kind == "body":
            return Response(fault.body, fault.status, media_type=fault.content_type)
        if fault.status == 429:
            after = fault.retry_after
            words = "Too Many Requests" if after is None else f"Too Many Requests: retry after {after}"
            return _error(429, words, None if after is None else {"retry_after": after})
        names = {401: "Unauthorized", 403: "Forbidden: bot was blocked by the user", 409: "Conflict"}
        return _error(fault.status, names.get(fault.status, "Internal Server Error"))

    def _violate(self, what: str) -> None:
        with self.changed:
            self.violations.append(what)
            self.changed.notify_all()

    # -- getUpdates ------------------------------------------------------------------------------------------------

    async def _updates(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        if self.webhook:
            self.conflicts += 1
            words = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise ApiError(409, f"Conflict: {words}")
        if self._poll is not None:
            # The newcomer wins; the call that was waiting gets the conflict.
            self._poll.set()
        mine = self._poll = asyncio.Event()
        deadline = time.monotonic() + min(values.get("timeout", 0), MAX_POLL)
        if "allowed_updates" in values:
            self._allowed = frozenset(values["allowed_updates"]) or _default_updates()
        offset, limit = values.get("offset", 0), values.get("limit", 100)
        try:
            while True:
                with self.changed:
                    ready = self._take(offset, limit)
                left = deadline - time.monotonic()
                if ready or left <= 0:
                    return ready
                mine.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(mine.wait(), min(left, 0.5))
                if self.stopping:
                    raise _Cut
                if self._poll is not mine:
                    self.conflicts += 1
                    only = "make sure that only one bot instance is running"
                    raise ApiError(409, f"Conflict: terminated by other getUpdates request; {only}")
                if self.webhook:
                    self.conflicts += 1
                    raise ApiError(409, "Conflict: terminated by setWebhook request")
        finally:
            if self._poll is mine:
                self._poll = None

    def _take(self, offset: int, limit: int) -> list[dict[str, Any]]:
        if offset < 0:
            while len(self.pending) > -offset:
                self.confirmed.append(self.pending.popleft().update_id)
        elif 0 < offset <= self._next_update + OFFSET_SLACK:
            while self.pending and self.pending[0].update_id < offset:
                self.confirmed.append(self.pending.popleft().update_id)
            self.changed.notify_all()
        # An offset far beyond the newest update is ignored: the ids have jumped since.
        return [update.json for update in list(self.pending)[:limit]]

    # -- the methods -----------------------------------------------------------------------------------------------

    def _act(self, method: str, values: dict[str, Any], fault: Fault | None) -> Any:
        with self.changed:
            try:
                handler: Callable[[dict[str, Any]], Any] = getattr(self, f"_on_{method}")
                before = len(self.sent)
                result = handler(values)
                if fault is not None and fault.kind != "slow":
                    for message in self.sent[before:]:
                        message.lost = True
                return result
            except rules.Refused as error:
                self.violations.append(f"{method}: {error}")
                raise ApiError(400, f"Bad Request: {_real_words(str(error))}") from error
            finally:
                self.changed.notify_all()

    def _flood(self, chat_id: int) -> None:
        """Telegram's limits: per private chat, per group, overall. Whoever does not wait, waits longer."""
        now = time.monotonic()
        rate, burst, per_minute = self._rates
        limit = Bucket(rate, burst) if chat_id > 0 else Bucket(per_minute / 60, per_minute)
        chat = self._chats.setdefault(chat_id, limit)
        until, own = self._banned.get(chat_id, (0.0, True))
        everywhere, own_everywhere = self._banned.get(0, (0.0, True))
        if everywhere > until:
            until, own = everywhere, own_everywhere
        wait = until - now
        if wait > 0 and not own:
            self.impatient += 1
        elif wait <= 0:
            if (wait := chat.wait(now)) > 0:
                scope = chat_id
            elif (wait := self._overall.wait(now)) > 0:
                scope = 0
            else:
                chat.take()
                self._overall.take()
                return
            self._banned[scope] = (now + max(1, -(-wait // 1)), True)
            own = True
        if own:
            self.own_429 += 1
        after = max(1, int(-(-wait // 1)))
        raise ApiError(429, f"Too Many Requests: retry after {after}", {"retry_after": after})

    def _reader(self, chat_id: int | str) -> FakeUser | FakeGroup:
        """Who gets a message for this chat, or the error Telegram gives."""
        if isinstance(chat_id, str) or (chat_id not in self.users and chat_id not in self.groups):
            raise ApiError(400, "Bad Request: chat not found")
        if chat_id in self.groups:
            group = self.groups[chat_id]
            if not group.bot_present:
                raise ApiError(403, "Forbidden: bot was kicked from the group chat")
            return group
        user = self.users[chat_id]
        if user.deactivated:
            raise ApiError(403, "Forbidden: user is deactivated")
        if user.blocked:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if not user.started:
            known = any(key[0] < 0 and m["from"]["id"] == chat_id for key, m in self.messages.items())
            if known:
                raise ApiError(403, "Forbidden: bot can't initiate conversation with a user")
            raise ApiError(400, "Bad Request: chat not found")
        return user

    def _quoted(self, chat_id: int, message_id: int) -> dict[str, Any]:
        """A message as it appears inside a reply: without its own reply."""
        if (chat_id, message_id) not in self.messages:
            raise AssertionError(f"no message {message_id} in chat {chat_id}")
        return {k: v for k, v in self.messages[chat_id, message_id].items() if k != "reply_to_message"}

    def _deliver(self, kind: str, values: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        """Make the message, show it to its reader, and give its JSON."""
        reader = self._reader(values["chat_id"])
        message: dict[str, Any] = {
            "message_id": self._next_message,
            "from": self.bot,
            "chat": reader.chat,
            "date": int(time.time()),
        }
        reply = values.get("reply_parameters")
        if reply is not None:
            if (reader.id, reply["message_id"]) in self.messages:
                message["reply_to_message"] = self._quoted(reader.id, reply["message_id"])
            elif not reply.get("allow_sending_without_reply"):
                raise ApiError(400, "Bad Request: message to be replied not found")
        # Only what could be delivered counts for the limits, and only new messages, not edits.
        self._flood(reader.id)
        message |= content
        if values.get("protect_content"):
            message["has_protected_content"] = True
        markup = values.get("reply_markup") or {}
        if markup.get("inline_keyboard"):
            message["reply_markup"] = markup
        contact_keys = [b["text"] for row in markup.get("keyboard", []) for b in row if b.get("request_contact")]
        if contact_keys and reader.id < 0:
            raise ApiError(400, "Bad Request: phone number can be requested in private chats only")
        self._next_message += 1
        self.messages[reader.id, message["message_id"]] = message
        shown = Received(
            message_id=message["message_id"],
            chat_id=reader.id,
            text=content.get("text", content.get("caption", "")),
            at=time.monotonic(),
            kind=kind,
            json=dict(message),
            buttons=_buttons(markup),
            keyboard=[button["text"] for row in markup.get("keyboard", []) for button in row],
            reply_to=message.get("reply_to_message", {}).get("message_id"),
            silent=bool(values.get("disable_notification")),
            contact_keys=contact_keys,
        )
        shown.seen_buttons = list(shown.buttons)
        reader.inbox.append(shown)
        self.sent.append(shown)
        return message

    def _text(self, values: dict[str, Any], name: str = "text") -> dict[str, Any]:
        """Text or caption after parsing, with the limits on what is left."""
        text, entities = rules.plain(values[name], values.get("parse_mode"))
        limit = 4096 if name == "text" else 1024
        if len(text) > limit:
            raise rules.Refused("message is too long")
        text = text.strip()
        if name == "text" and not text:
            raise rules.Refused("message text is empty")
        found = {"entities" if name == "text" else "caption_entities": entities} if entities else {}
        return {name: text, **found}

    def _on_getMe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **self.bot,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    def _on_sendMessage(self, values: dict[str, Any]) -> dict[str, Any]:
        content = self._text(values)
        if "link_preview_options" in values:
            content["link_preview_options"] = values["link_preview_options"]
        return self._deliver("text", values, content)

    def _media(self, values: dict[str, Any], kind: str) -> dict[str, Any]:
        source = values[kind]
        folder, ending = ("photos", "jpg") if kind == "photo" else ("voice", "oga")
        if isinstance(source, str):
            if source not in self.files:
                raise ApiError(400, "Bad Request: wrong remote file identifier specified: Wrong string length")
            sent = {"file_id": source, "file_unique_id": source[-12:], "file_size": len(self.files[source][0])}
        else:
            sent = self.store_file(source, folder, ending)
        media: dict[str, Any] = {**sent, "duration": values.get("duration", 0), "mime_type": "audio/ogg"}
        content: dict[str, Any] = {"voice": media}
        if kind == "photo":
            content = {"photo": [{**sent, "width": 1280, "height": 960}]}
        if values.get("caption"):
            content |= self._text(values, "caption")
        return self._deliver(kind, values, content)

    def _on_sendPhoto(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._media(values, "photo")

    def _on_sendVoice(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._media(values, "voice")

    def _on_copyMessage(self, values: dict[str, Any]) -> dict[str, Any]:
        source = self.messages.get((values["from_chat_id"], values["message_id"]))
        if source is None:
            raise ApiError(400, "Bad Request: message to copy not found")
        kinds = [kind for kind in ("text", *MEDIA) if kind in source]
        if not kinds or source.get("has_protected_content"):
            raise ApiError(400, "Bad Request: message can't be copied")
        content = {kind: source[kind] for kind in kinds}
        for name in ("entities", "caption", "caption_entities"):
            if name in source:
                content[name] = source[name]
        if "caption" in values and "text" not in content:
            content |= self._text(values, "caption")
        return {"message_id": self._deliver(kinds[0], values, content)["message_id"]}

    def _editable(self, values: dict[str, Any]) -> tuple[dict[str, Any], Received]:
        self._reader(values["chat_id"])
        message = self.messages.get((values["chat_id"], values["message_id"]))
        if message is None:
            raise ApiError(400, "Bad Request: message to edit not found")
        wanted = values["chat_id"], values["message_id"]
        shown = next((m for m in self.sent if (m.chat_id, m.message_id) == wanted), None)
        if shown is None:
            raise ApiError(400, "Bad Request: message can't be edited")
        return message, shown

    def _edited(self, message: dict[str, Any], shown: Received, new: dict[str, Any]) -> dict[str, Any]:
        compared = ("text", "entities", "reply_markup", "link_preview_options")
        if all(message.get(name) == new.get(name) for name in compared):
            same = "specified new message content and reply markup are exactly the same"
            full = f"message is not modified: {same} as a current content and reply markup of the message"
            raise ApiError(400, f"Bad Request: {full}")
        for name in compared:
            message.pop(name, None)
        message |= {name: value for name, value in new.items() if value is not None}
        message["edit_date"] = int(time.time())
        if shown.kind == "text" and shown.text != message["text"]:
            shown.earlier.append(shown.text)
            shown.text = message["text"]
        shown.buttons = _buttons(message.get("reply_markup", {}))
        shown.seen_buttons += [button for button in shown.buttons if button not in shown.seen_buttons]
        shown.json = dict(message)
        return message

    def _on_editMessageText(self, values: dict[str, Any]) -> dict[str, Any]:
        message, shown = self._editable(values)
        if "text" not in message:
            raise ApiError(400, "Bad Request: there is no text in the message to edit")
        new = self._text(values)
        new["reply_markup"] = _shown(values.get("reply_markup"))
        new["link_preview_options"] = values.get("link_preview_options")
        return self._edited(message, shown, new)

    def _on_editMessageReplyMarkup(self, values: dict[str, Any]) -> dict[str, Any]:
        message, shown = self._editable(values)
        new = {name: message.get(name) for name in ("text", "entities", "link_preview_options")}
        return self._edited(message, shown, {**new, "reply_markup": _shown(values.get("reply_markup"))})

    def _on_deleteMessage(self, values: dict[str, Any]) -> bool:
        reader = self._reader(values["chat_id"])
        message = self.messages.get((values["chat_id"], values["message_id"]))
        if message is None:
            raise ApiError(400, "Bad Request: message to delete not found")
        if time.time() - message["date"] > 48 * 3600 or (message["from"] != self.bot and reader.id < 0):
            raise ApiError(400, "Bad Request: message can't be deleted for everyone")
        del self.messages[values["chat_id"], values["message_id"]]
        for shown in reader.inbox:
            if shown.message_id == values["message_id"]:
                shown.deleted = True
        return True

    def _on_answerCallbackQuery(self, values: dict[str, Any]) -> bool:
        callback = self.callbacks.get(values["callback_query_id"])
        now = time.monotonic()
        if callback is None or callback.answered or now >= callback.expires:
            raise ApiError(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        callback.answered = True
        callback.answered_after = now - callback.at
        callback.text = values.get("text", "")
        callback.alert = values.get("show_alert", False)
        return True

    def _on_setMyCommands(self, values: dict[str, Any]) -> bool:
        scope = json.dumps(values.get("scope", {"type": "default"}), sort_keys=True)
        self.commands[f"{values.get('language_code', '')} {scope}".strip()] = values["commands"]
        return True

    def _on_setMyDescription(self, values: dict[str, Any]) -> bool:
        self.descriptions[values.get("language_code", "")] = values.get("description", "")
        return True

    def _on_setMyShortDescription(self, values: dict[str, Any]) -> bool:
        self.short_descriptions[values.get("language_code", "")] = values.get("short_description", "")
        return True

    def _on_getFile(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["file_id"] not in self.files:
            raise ApiError(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        data, path = self.files[values["file_id"]]
        if len(data) > MAX_DOWNLOAD:
            raise ApiError(400, "Bad Request: file is too big")
        return {**_file(values["file_id"], data), "file_path": path}

    def _on_getChat(self, values: dict[str, Any]) -> dict[str, Any]:
        chat = self._reader(values["chat_id"]).chat
        gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
        more = {"accent_color_id": 1, "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(gifts, True)}
        return {**chat, **more}

    def _on_leaveChat(self, values: dict[str, Any]) -> bool:
        group = self._reader(values["chat_id"])
        if not isinstance(group, FakeGroup):
            raise ApiError(400, "Bad Request: chat member status can't be changed in private chats")
        group.bot_present = False
        return True

    def _on_setWebhook(self, values: dict[str, Any]) -> bool:
        if values.get("drop_pending_updates"):
            self.pending.clear()
        if "allowed_updates" in values:
            self._allowed = frozenset(values["allowed_updates"]) or _default_updates()
        self.webhook = {}
        self._webhook_error = None
        if values["url"]:
            self.webhook = {
                "url": values["url"],
                "secret": values.get("secret_token", ""),
                "max_connections": values.get("max_connections", 40),
            }
            self.call_in_loop(self._wake)
        return True

    def _on_deleteWebhook(self, values: dict[str, Any]) -> bool:
        if values.get("drop_pending_updates"):
            self.pending.clear()
        self.webhook = {}
        return True

    def _on_getWebhookInfo(self, values: Mapping[str, Any]) -> dict[str, Any]:
        info: dict[str, Any] = {
            "url": self.webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": len(self.pending),
        }
        if self.webhook:
            info |= {"max_connections": self.webhook["max_connections"], "ip_address": "127.0.0.1"}
            if self._webhook_error is not None:
                info["last_error_date"], info["last_error_message"] = self._webhook_error
        if self._allowed != _default_updates():
            info["allowed_updates"] = sorted(self._allowed)
        return info

    def store_file(self, data: bytes, folder: str, ending: str) -> dict[str, Any]:
        """Keep a file and give its JSON."""
        with self.changed:
            file_id = f"AwACAgQAAxkBAA{secrets.token_urlsafe(40)}"
            self.files[file_id] = (data, f"{folder}/file_{len(self.files)}.{ending}")
            return _file(file_id, data)


class _Cut(Exception):
    """The server goes down under a waiting call."""


def _file(file_id: str, data: bytes) -> dict[str, Any]:
    return {"file_id": file_id, "file_unique_id": file_id[-12:], "file_size": len(data)}


def _default_updates() -> frozenset[str]:
    return frozenset(rules.UPDATE_TYPES) - frozenset(rules.NOT_BY_DEFAULT)


def _commands(text: str) -> dict[str, Any]:
    found = re.match(r"/[A-Za-z0-9_]{1,32}(@\w+)?", text)
    if found is None:
        return {}
    return {"entities": [{"type": "bot_command", "offset": 0, "length": found.end()}]}


def _buttons(markup: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = markup.get("inline_keyboard", [])
    return [(button["text"], button.get("callback_data", "")) for row in rows for button in row]


def _shown(markup: dict[str, Any] | None) -> dict[str, Any] | None:
    """An empty keyboard is no keyboard."""
    return markup if markup and markup["inline_keyboard"] else None


def _real_words(refusal: str) -> str:
    """Telegram's own description for the refusals it is known for; ours for the rest."""
    known = {
        r"message text is empty|text: 0 is under": "message text is empty",
        r"callback_data: \d+ is": "BUTTON_DATA_INVALID",
        r"sendMessage\.text: \d+ is over": "message is too long",
        r"(editMessageText|answerCallbackQuery)\.text: \d+ is over": "MESSAGE_TOO_LONG",
        r"caption: \d+ is over": "message caption is too long",
        r"parameter chat_id is missing": "chat_id is empty",
    }
    return next((real for ours, real in known.items() if re.search(ours, refusal)), refusal)


def _error(code: int, description: str, parameters: dict[str, Any] | None = None) -> JSONResponse:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters
    return JSONResponse(body, code)
