"""A strict Twilio server on loopback: bots send and look up SMS over HTTP, tests play the phones from Python."""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import secrets
import time
import uuid
import xml.etree.ElementTree as ElementTree
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.doubles import rules_twilio as rules
from tests.doubles.faults import Fault, FaultPlan
from tests.doubles.loopback import Attempt, Delivery, Dropped, Loopback, post

VERSION = "2010-04-01"
PRICE = 0.0965


@dataclass
class Sms:
    """One message in either direction. `at` is the monotonic time of acceptance; lost: its answer never arrived."""

    sid: str
    to: str
    from_: str
    body: str
    at: float
    created: datetime
    direction: str
    status: str
    num_segments: int
    params: dict[str, str] = field(default_factory=dict)
    service: str | None = None
    sent_at: datetime | None = None
    updated: datetime | None = None
    error_code: int | None = None
    price: str | None = None
    lost: bool = False
    redacted: bool = False

    def __contains__(self, words: str) -> bool:
        return words.casefold() in self.body.casefold()


@dataclass
class Call:
    """One call as it came in: `at` is monotonic seconds, `status` the HTTP status given (0: none)."""

    at: float
    method: str
    params: dict[str, str]
    status: int = 0
    code: int | None = None
    fault: str = ""


class FakePhone:
    """A mobile phone. `inbox` holds what arrived on it, from the bot and from Twilio itself."""

    def __init__(self, server: TwilioServer, number: str) -> None:
        self.server = server
        self.number = number
        self.inbox: list[Sms] = []
        self.error: int | None = None
        self.silent = False
        self.line: deque[Sms] = deque()

    @property
    def texts(self) -> list[str]:
        return [message.body for message in self.inbox]

    @property
    def last(self) -> Sms:
        return self.inbox[-1]

    def off(self, error: int = 30003) -> None:
        """From now on nothing arrives: undelivered with this error."""
        self.error = error

    def on(self) -> None:
        """Reachable again (what failed stays failed)."""
        self.error = None

    def mute(self) -> None:
        """The carrier gives no receipts: messages arrive, but their status stays `sent`."""
        self.silent = True

    def send(
        self,
        text: str,
        *,
        times: int = 1,
        sign: str = "right",
        token: str | None = None,
        change: Callable[[dict[str, str]], dict[str, str]] | None = None,
    ) -> Delivery:
        """Text the bot. Gives the delivery of the webhook; `result()` or `await` it for the bot's answer.

        times: how often the same message is posted (a retry whose first answer was lost), one after the other.
        sign: `right`, `wrong` (another token), `other-address` (over the address posted to), `missing`, `empty`.
        token: another idempotency token than a fresh one. change: the form after signing, for tampering.
        """
        return self.server.inbound(self, text, times=times, sign=sign, token=token, change=change)

    def find(self, what: str | Callable[[Sms], bool], after: int = 0) -> Sms | None:
        """The first message from position `after` with these words, or for which the function is true."""
        for message in self.inbox[after:]:
            if what in message if isinstance(what, str) else what(message):
                return message
        return None

    def wait_for(self, what: str | Callable[[Sms], bool], timeout: float = 5, after: int = 0) -> Sms:
        """Block until such a message is there."""
        return self.server.wait_for(lambda: self.find(what, after), timeout, f"{self.number} to receive {what!r}")

    async def until(self, what: str | Callable[[Sms], bool], timeout: float = 5, after: int = 0) -> Sms:
        """`wait_for` for a test whose bot lives in the same event loop."""
        return await asyncio.to_thread(self.wait_for, what, timeout, after)


class TwilioServer(Loopback):
    """The server, its phones and its memory.

    `connect(bot_url)` says where the bot really listens; it is told the `public_url`, which is what gets signed.
    `calls` has every call, `sent` every message that was really accepted (with monotonic times, also those whose
    answer was lost), `violations` every call that broke a rule, `webhook_errors` what Twilio's debugger would show.
    """

    def __init__(
        self,
        *,
        public_url: str = "https://buurt.example",
        number: str = "+3197010200300",
        account_sid: str = "AC" + "0123456789abcdef" * 2,
        auth_token: str = "f" * 32,
        service_sid: str = "MG" + "abcdef0123456789" * 2,
        webhook_timeout: float = 15.0,
        retries: int = 1,
        retry_on: tuple[str, ...] = ("ct",),
        status_delay: float = 0.01,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.public_url = public_url.rstrip("/")
        self.bot_url = ""
        self.number = number
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.service_sid = service_sid
        self.webhook_timeout = webhook_timeout
        self.retries = retries
        self.retry_on = retry_on
        self.status_delay = status_delay
        self.status_times = 1
        self.status_order = "right"
        self.random = random.Random(seed)
        self.faults = FaultPlan()
        self.default_handling = True
        self.advanced_opt_out: dict[str, tuple[tuple[str, ...], str]] = {}
        self.countries_off: set[str] = set()
        self.opted_out: set[str] = set()
        self.phones: dict[str, FakePhone] = {}
        self.messages: dict[str, Sms] = {}
        self.sent: list[Sms] = []
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.webhook_errors: list[str] = []
        self.inbound_posts: list[Attempt] = []
        self.status_posts: list[tuple[str, str, Attempt]] = []
        self.account_status = "active"
        self.number_settings: dict[str, Any] = {
            "sms_url": f"{self.public_url}/sms",
            "sms_method": "POST",
            "sms_fallback_url": "",
            "status_callback": "",
            "bundle_sid": "BU" + "1" * 32,
        }
        self.service_settings: dict[str, Any] = {
            "inbound_request_url": f"{self.public_url}/sms",
            "inbound_method": "POST",
            "use_inbound_webhook_on_number": False,
            "smart_encoding": False,
            "validity_period": 36000,
            "sticky_sender": True,
        }

    # -- what a test does ------------------------------------------------------------------------------------------

    def connect(self, bot_url: str) -> None:
        """Where the bot listens: posts for `public_url` go there."""
        self.bot_url = bot_url.rstrip("/")

    def phone(self, number: str) -> FakePhone:
        """The phone with this number, in E.164."""
        if not rules.is_e164(number):
            raise AssertionError(f"{number} is not E.164")
        with self.changed:
            return self.phones.setdefault(number, FakePhone(self, number))

    def use_advanced_opt_out(self, **words: tuple[tuple[str, ...], str]) -> None:
        """Switch Advanced Opt-Out on: STOP=(("STOP", "STOPPEN"), "reply"), START=…, HELP=….

        Kinds left out keep Twilio's English words and reply. The webhook then carries OptOutType.
        """
        standard = {"STOP": rules.OPT_OUT, "START": rules.OPT_IN, "HELP": rules.HELP}
        self.advanced_opt_out = {kind: words.get(kind, (standard[kind], rules.REPLIES[kind])) for kind in standard}

    @property
    def inbox(self) -> list[Sms]:
        """Everything the bot sent and the server accepted, in order."""
        return self.sent

    def sent_to(self, phone: FakePhone | str) -> list[Sms]:
        number = phone if isinstance(phone, str) else phone.number
        return [message for message in self.sent if message.to == number]

    def calls_of(self, *methods: str) -> list[Call]:
        return [call for call in self.calls if call.method in methods]

    def describe(self) -> str:
        with self.changed:
            calls = "\n".join(f"  {c.method} -> {c.status} {c.code or ''} {c.fault}" for c in self.calls[-8:])
            shown = "\n".join(f"  to {m.to} [{m.status}]: {m.body[:90]!r}" for m in self.sent[-8:])
            return f"calls:\n{calls}\nsent:\n{shown}\nviolations {self.violations}, webhooks {self.webhook_errors}"

    # -- from phone to bot -----------------------------------------------------------------------------------------

    def inbound(
        self,
        phone: FakePhone,
        text: str,
        *,
        times: int = 1,
        sign: str = "right",
        token: str | None = None,
        change: Callable[[dict[str, str]], dict[str, str]] | None = None,
    ) -> Delivery:
        """A text from a phone: opt-out handling first, then the webhook, always."""
        assert self.bot_url, "connect() first: Twilio has no address to post to"
        now = datetime.now(UTC)
        sid = self._sid("SM")
        _, count = rules.segments(text)
        message = Sms(sid, self.number, phone.number, text, time.monotonic(), now, "inbound", "received", count)
        message.sent_at = message.updated = now
        with self.changed:
            self.messages[sid] = message
            kind = self._keyword(phone, text)
        form = {
            "ToCountry": _country(self.number), "ToState": "", "SmsMessageSid": sid, "NumMedia": "0", "ToCity": "",
            "FromZip": "", "SmsSid": sid, "FromState": "", "SmsStatus": "received", "FromCity": "", "Body": text,
            "FromCountry": _country(phone.number), "To": self.number, "ToZip": "", "NumSegments": str(count),
            "MessageSid": sid, "AccountSid": self.account_sid, "From": phone.number, "ApiVersion": VERSION,
        }  # fmt: skip
        if self.advanced_opt_out:
            form["MessagingServiceSid"] = self.service_sid
            if kind:
                form["OptOutType"] = kind
        url = str(self.number_settings["sms_url"])
        headers = {"I-Twilio-Idempotency-Token": token or str(uuid.UUID(int=self.random.getrandbits(128), version=4))}
        delivery = Delivery(Future(), sid=sid)
        self.executor.submit(self._run, delivery, url, form, headers, times, sign, change, phone)
        return delivery

    def _keyword(self, phone: FakePhone, text: str) -> str:
        """STOP, START or HELP when Twilio itself reacts to this text, after doing so; a single word only."""
        word = text.strip().upper()
        if self.advanced_opt_out:
            words = {
                kind: (tuple(own.upper() for own in found), reply)
                for kind, (found, reply) in self.advanced_opt_out.items()
            }
        elif self.default_handling:
            standard = {"STOP": rules.OPT_OUT, "START": rules.OPT_IN, "HELP": rules.HELP}
            words = {kind: (found, rules.REPLIES[kind]) for kind, found in standard.items()}
        else:
            return ""
        kind = next((kind for kind, (found, _) in words.items() if word in found), "")
        if word == "YES" and phone.number not in self.opted_out:
            # Everyone answers yes to something; without an opt-out it is a text like any other.
            return ""
        if kind == "STOP":
            self.opted_out.add(phone.number)
        elif kind == "START":
            self.opted_out.discard(phone.number)
        if kind:
            body = words[kind][1]
            now = datetime.now(UTC)
            reply = Sms(
                self._sid("SM"), phone.number, self.number, body, time.monotonic(), now, "outbound-reply", "delivered",
                rules.segments(body)[1],
            )  # fmt: skip
            phone.inbox.append(reply)
            self.changed.notify_all()
        return kind

    def _run(
        self,
        delivery: Delivery,
        url: str,
        form: dict[str, str],
        headers: dict[str, str],
        times: int,
        sign: str,
        change: Callable[[dict[str, str]], dict[str, str]] | None,
        phone: FakePhone,
    ) -> None:
        """Post an inbound message, with retries by Twilio's rules, in a thread of the pool."""
        try:
            for _ in range(times):
                for _ in range(1 + self.retries):
                    attempt = self._post(url, form, headers, sign, change)
                    delivery.attempts.append(attempt)
                    with self.changed:
                        self.inbound_posts.append(attempt)
                    reason = "rt" if attempt.error == "timeout" else "ct" if attempt.error else ""
                    if attempt.status and attempt.status >= 400:
                        reason = "5xx" if attempt.status >= 500 else "4xx"
                    if not reason or not ({reason, "all"} & set(self.retry_on)):
                        break
            self._twiml(attempt, phone)
            delivery.future.set_result(attempt)
        except BaseException as error:
            delivery.future.set_exception(error)
            raise
        finally:
            with self.changed:
                self.changed.notify_all()

    def _post(
        self,
        url: str,
        form: dict[str, str],
        extra: Mapping[str, str],
        sign: str = "right",
        change: Callable[[dict[str, str]], dict[str, str]] | None = None,
    ) -> Attempt:
        """One signed POST for an address under the public one, to where the bot listens."""
        public = url.split("#")[0]
        parts = urlsplit(public)
        real = f"{self.bot_url}{parts.path}{'?' + parts.query if parts.query else ''}"
        signed = {
            "right": rules.signature(self.auth_token, public, form),
            "wrong": rules.signature("0" * 32, public, form),
            "other-address": rules.signature(self.auth_token, real, form),
            "empty": "",
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Cache-Control": "max-age=259200",
            "X-Home-Region": "us1",
            "Host": parts.netloc,
            "X-Forwarded-Proto": parts.scheme,
            **extra,
        }
        if sign != "missing":
            headers["X-Twilio-Signature"] = signed[sign]
        body = urlencode(change(dict(form)) if change else form).encode()
        return post(real, body, headers, self.webhook_timeout)

    def _twiml(self, attempt: Attempt, phone: FakePhone) -> None:
        """Read the answer as Twilio does; a Message in it is a text to the phone."""
        with self.changed:
            if not attempt.ok:
                self.webhook_errors.append(f"11200 {attempt.status or attempt.error}")
                return
            if not attempt.body.strip():
                return
            if attempt.content_type.split(";")[0] not in ("text/xml", "application/xml"):
                self.webhook_errors.append(f"12300 {attempt.content_type}")
                return
            try:
                root = ElementTree.fromstring(attempt.body)
            except ElementTree.ParseError as error:
                self.webhook_errors.append(f"12100 {error}")
                return
            if root.tag != "Response":
                self.webhook_errors.append(f"12100 {root.tag}")
                return
            for verb in root:
                body = "".join(verb.itertext())
                if verb.tag != "Message":
                    self.webhook_errors.append(f"12200 {verb.tag}")
                elif phone.number not in self.opted_out:
                    now = datetime.now(UTC)
                    reply = Sms(
                        self._sid("SM"), phone.number, self.number, body, time.monotonic(), now, "outbound-reply",
                        "delivered", rules.segments(body)[1],
                    )  # fmt: skip
                    self.messages[reply.sid] = reply
                    self.sent.append(reply)
                    phone.inbox.append(reply)

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def application(self) -> Starlette:
        account = f"/{VERSION}/Accounts/{{account}}"
        return Starlette(
            routes=[
                Route(f"{account}/Messages.json", self._answer("create", self._create), methods=["POST"]),
                Route(f"{account}/Messages.json", self._answer("list", self._list), methods=["GET"]),
                Route(f"{account}/Messages/{{sid}}.json", self._answer("fetch", self._fetch), methods=["GET"]),
                Route(f"{account}/Messages/{{sid}}.json", self._answer("update", self._update), methods=["POST"]),
                Route(f"{account}/Messages/{{sid}}.json", self._answer("delete", self._delete), methods=["DELETE"]),
                Route(f"{account}/IncomingPhoneNumbers.json", self._answer("numbers", self._numbers), methods=["GET"]),
                Route(f"{account}.json", self._answer("account", self._account), methods=["GET"]),
                Route("/v1/Services/{service}", self._answer("service", self._service), methods=["GET"]),
                Route(
                    "/v1/Services/{service}/PhoneNumbers",
                    self._answer("service numbers", self._service_numbers),
                    methods=["GET"],
                ),
            ],
            exception_handlers={404: self._nowhere, 405: self._nowhere},
        )

    async def _nowhere(self, request: Request, error: Exception) -> Response:
        with self.changed:
            self.violations.append(f"no such resource: {request.method} {request.url.path}")
        return _error(20404, f"The requested resource {request.url.path} was not found")

    def _answer(self, name: str, handler: Callable[..., Any]) -> Callable[[Request], Any]:
        """An endpoint: authentication, faults, rules, the handler, and the record of it all."""

        async def endpoint(request: Request) -> Response:
            call = Call(time.monotonic(), name, {})
            with self.changed:
                self.calls.append(call)
            query = parse_qsl(request.url.query, keep_blank_values=True)
            body = await request.body()
            form: list[tuple[str, str]] = []
            wrong_type = False
            if request.method == "POST":
                kind = request.headers.get("content-type", "").split(";")[0]
                wrong_type = kind != "application/x-www-form-urlencoded"
                form = parse_qsl(body.decode(), keep_blank_values=True)
            call.params = dict(form or query)
            account = request.path_params.get("account", self.account_sid)
            if not self._authenticated(request) or account != self.account_sid:
                call.status, call.code = 401, 20003
                return _error(20003)
            fault = self.faults.pick(name, call.params)
            if fault is not None:
                call.fault = fault.name
                if not fault.processed:
                    return await self._faulty(fault, call, None)
            try:
                if wrong_type or (query and request.method == "POST"):
                    raise rules.Refused(20001, f"{name}: parameters belong in a form body")
                with self.changed:
                    answer = handler(request.path_params, form if request.method == "POST" else query, fault)
                    self.changed.notify_all()
                call.status = answer.status_code
            except rules.Refused as refusal:
                call.code, call.status = refusal.code, rules.ERRORS[refusal.code][0]
                with self.changed:
                    if refusal.violation:
                        self.violations.append(f"{name}: {refusal}")
                    self.changed.notify_all()
                answer = _error(refusal.code, refusal.detail)
            return answer if fault is None else await self._faulty(fault, call, answer)

        return endpoint

    def _authenticated(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return scheme.lower() == "basic" and (user, password) == (self.account_sid, self.auth_token)

    async def _faulty(self, fault: Fault, call: Call, answer: Response | None) -> Response:
        """The answer, or the lack of one, that a fault asks for."""
        if fault.kind in ("slow", "hang"):
            await self.pause(fault.seconds)
        if fault.kind == "slow" and answer is not None:
            return answer
        if fault.kind in ("hang", "lost", "reset", "slow"):
            call.status = 0
            return Dropped(reset=fault.kind == "reset")
        call.status = fault.status
        if fault.kind == "body":
            return Response(fault.body, fault.status, media_type=fault.content_type)
        codes = {401: 20003, 404: 20404, 429: 20429}
        return _error(codes.get(fault.status, 20500), status=fault.status, retry_after=fault.retry_after)

    # -- resources -------------------------------------------------------------------------------------------------

    def _create(self, path: Mapping[str, str], form: list[tuple[str, str]], fault: Fault | None) -> Response:
        values = rules.check(rules.CREATE_MESSAGE, form)
        to, sender, service = values["To"], values.get("From"), values.get("MessagingServiceSid")
        if sender is None and service is None:
            raise rules.Refused(21603)
        if sender is not None and sender != self.number:
            raise rules.Refused(21606, sender)
        if service is not None and service != self.service_sid:
            raise rules.Refused(21701, service)
        if not values.get("Body", "").strip():
            raise rules.Refused(21602)
        if to == self.number:
            raise rules.Refused(21266)
        callback = values.get("StatusCallback")
        if callback is not None and not callback.startswith(self.public_url + "/"):
            self.violations.append(f"create: StatusCallback {callback} is not under {self.public_url}")
        # From here on it is about the receiver, not about a mistake in the call.
        if _country(to) in self.countries_off:
            raise rules.Refused(21408, to, violation=False)
        if rules.is_dutch_landline(to):
            raise rules.Refused(21614, to, violation=False)
        if to in self.opted_out:
            raise rules.Refused(21610, "", violation=False)
        body = values["Body"]
        if values.get("SmartEncoded") == "true":
            body = rules.smart(body)
        now = datetime.now(UTC)
        message = Sms(
            sid=self._sid("SM"),
            to=to,
            from_=self.number,
            body=body,
            at=time.monotonic(),
            created=now,
            updated=now,
            direction="outbound-api",
            status="queued" if service is None else "accepted",
            num_segments=rules.segments(body)[1],
            params=values,
            service=service,
            lost=fault is not None and fault.kind != "slow",
        )
        self.messages[message.sid] = message
        self.sent.append(message)
        self.phone(to).line.append(message)
        answer = JSONResponse(self._json(message), 201)
        self.executor.submit(self._travel, message)
        return answer

    def _list(self, path: Mapping[str, str], query: list[tuple[str, str]], fault: Fault | None) -> Response:
        values = rules.check(rules.LIST_MESSAGES, query)
        found = [message for message in reversed(self.messages.values()) if _matches(message, values)]
        path_only = f"/{VERSION}/Accounts/{self.account_sid}/Messages.json"
        return _page("messages", path_only, values, [self._json(message) for message in found])

    def _fetch(self, path: Mapping[str, str], query: list[tuple[str, str]], fault: Fault | None) -> Response:
        rules.check({}, query)
        return JSONResponse(self._json(self._message(path["sid"])))

    def _update(self, path: Mapping[str, str], form: list[tuple[str, str]], fault: Fault | None) -> Response:
        values = rules.check(rules.UPDATE_MESSAGE, form)
        message = self._message(path["sid"])
        if "Body" in values:
            if message.status not in rules.FINAL:
                raise rules.Refused(20009, violation=False)
            message.body, message.redacted = "", True
        message.updated = datetime.now(UTC)
        return JSONResponse(self._json(message))

    def _delete(self, path: Mapping[str, str], query: list[tuple[str, str]], fault: Fault | None) -> Response:
        message = self._message(path["sid"])
        if message.status not in rules.FINAL:
            raise rules.Refused(20009, violation=False)
        del self.messages[message.sid]
        return Response(status_code=204)

    def _message(self, sid: str) -> Sms:
        if sid not in self.messages:
            raise rules.Refused(20404, sid, violation=False)
        return self.messages[sid]

    def _account(self, path: Mapping[str, str], query: list[tuple[str, str]], fault: Fault | None) -> Response:
        rules.check({}, query)
        made = _rfc2822(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
        uri = f"/{VERSION}/Accounts/{self.account_sid}"
        names = {"messages": "Messages", "incoming_phone_numbers": "IncomingPhoneNumbers", "balance": "Balance"}
        return JSONResponse(
            {
                "auth_token": self.auth_token,
                "date_created": made,
                "date_updated": made,
                "friendly_name": "Stadsdorp",
                "owner_account_sid": self.account_sid,
                "sid": self.account_sid,
                "status": self.account_status,
                "subresource_uris": {name: f"{uri}/{part}.json" for name, part in names.items()},
                "type": "Full",
                "uri": f"{uri}.json",
            }
        )

    def _numbers(self, path: Mapping[str, str], query: list[tuple[str, str]], fault: Fault | None) -> Response:
        values = rules.check(rules.LIST_NUMBERS, query)
        made = _rfc2822(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
        base = f"/{VERSION}/Accounts/{self.account_sid}/IncomingPhoneNumbers"
        sid = "PN" + "2" * 32
        number = {
            "account_sid": self.account_sid,
            "address_requirements": "none",
            "address_sid": None,
            "api_version": VERSION,
            "beta": False,
            "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False},
            "date_created": made,
            "date_updated": made,
            "emergency_address_sid": None,
            "emergency_address_status": "unregistered",
            "emergency_status": "Inactive",
            "friendly_name": self.number,
            "identity_sid": None,
            "origin": "twilio",
            "phone_number": self.number,
            "sid": sid,
            "sms_application_sid": "",
            "sms_fallback_method": "POST",
            "status": "in-use",
            "status_callback_method": "POST",
            "trunk_sid": None,
            "type": "mobile",
            "uri": f"{base}/{sid}.json",
            "voice_application_sid": "",
            "voice_caller_id_lookup": False,
            "voice_fallback_method": "POST",
            "voice_fallback_url": "",
            "voice_method": "POST",
            "voice_receive_mode": "voice",
            "voice_url": "",
            **self.number_settings,
        }
        wanted = values.get("PhoneNumber", "").replace("*", "")
        found = [number] if wanted in self.number else []
        return _page("incoming_phone_numbers", f"{base}.json", values, found)

    def _service(self, path: Mapping[str, str], query: list[tuple[str, str]], fault: Fault | None) -> Response:
        rules.check({}, query)
        if path["service"] != self.service_sid:
            raise rules.Refused(20404, path["service"], violation=False)
        url = f"{self.base_url}/v1/Services/{self.service_sid}"
        made = "2026-01-05T09:00:00Z"
        return JSONResponse(
            {
                "account_sid": self.account_sid,
                "sid": self.service_sid,
                "friendly_name": "Buurtbot",
                "date_created": made,
                "date_updated": made,
                "area_code_geomatch": True,
                "fallback_method": "POST",
                "fallback_to_long_code": False,
                "fallback_url": None,
                "mms_converter": True,
                "scan_message_content": "inherit",
                "status_callback": None,
                "synchronous_validation": False,
                "us_app_to_person_registered": False,
                "usecase": "notifications",
                "url": url,
                "links": {"phone_numbers": f"{url}/PhoneNumbers"},
                **self.service_settings,
            }
        )

    def _service_numbers(self, path: Mapping[str, str], query: list[tuple[str, str]], fault: Fault | None) -> Response:
        rules.check({name: rules.LIST_NUMBERS[name] for name in ("PageSize", "Page", "PageToken")}, query)
        if path["service"] != self.service_sid:
            raise rules.Refused(20404, path["service"], violation=False)
        url = f"{self.base_url}/v1/Services/{self.service_sid}/PhoneNumbers"
        sid, made = "PN" + "2" * 32, "2026-01-05T09:00:00Z"
        number = {
            "account_sid": self.account_sid,
            "service_sid": self.service_sid,
            "sid": sid,
            "phone_number": self.number,
            "country_code": _country(self.number),
            "capabilities": ["SMS", "Voice"],
            "date_created": made,
            "date_updated": made,
            "url": f"{url}/{sid}",
        }
        meta = {"page": 0, "page_size": 50, "first_page_url": url, "previous_page_url": None, "url": url}
        meta |= {"next_page_url": None, "key": "phone_numbers"}
        return JSONResponse({"meta": meta, "phone_numbers": [number]})

    def _json(self, message: Sms) -> dict[str, Any]:
        uri = f"/{VERSION}/Accounts/{self.account_sid}/Messages/{message.sid}"
        undecided = message.service is not None and message.status == "accepted"
        return {
            "account_sid": self.account_sid,
            "api_version": VERSION,
            "body": message.body,
            "date_created": _rfc2822(message.created),
            "date_sent": _rfc2822(message.sent_at) if message.sent_at else None,
            "date_updated": _rfc2822(message.updated or message.created),
            "direction": message.direction,
            "error_code": message.error_code,
            "error_message": rules.DELIVERY_ERRORS.get(message.error_code or 0),
            "from": None if undecided else message.from_,
            "messaging_service_sid": message.service,
            "num_media": "0",
            "num_segments": "0" if undecided else str(message.num_segments),
            "price": message.price,
            "price_unit": "USD",
            "sid": message.sid,
            "status": message.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }

    @property
    def on_their_way(self) -> int:
        """How many messages were accepted and have not left for their phone yet."""
        with self.changed:
            return sum(len(phone.line) for phone in self.phones.values())

    # -- from Twilio to phone, and word of it to the bot -------------------------------------------------------------

    def _travel(self, message: Sms) -> None:
        """Carry a message to its phone and call back each status after the first (in a thread of the pool)."""
        phone = self.phone(message.to)
        with self.changed:
            error, silent = phone.error, phone.silent
        steps = ["sent"] if message.service is None else ["queued", "sent"]
        last = "undelivered" if error else "delivered"
        if error or not silent:
            steps.append(last)
        told: list[dict[str, str]] = []
        for step in steps:
            time.sleep(self.status_delay)
            with self.changed:
                # One phone receives in the order of acceptance. The first in line was also first into the pool.
                while step == "sent" and phone.line[0] is not message:
                    self.changed.wait()
                message.status = step
                message.updated = datetime.now(UTC)
                if step == "sent":
                    phone.line.popleft()
                    message.sent_at = message.updated
                    message.price = f"-{PRICE * message.num_segments:.5f}"
                    if not error:
                        phone.inbox.append(message)
                if step == "undelivered":
                    message.error_code = error
                self.changed.notify_all()
            told.append(self._status_form(message))
            if self.status_order == "right":
                self._call_back(message, told.pop())
        if self.status_order == "reversed":
            told.reverse()
        elif self.status_order == "shuffled":
            self.random.shuffle(told)
        for form in told:
            self._call_back(message, form)

    def _status_form(self, message: Sms) -> dict[str, str]:
        form = {
            "SmsSid": message.sid,
            "SmsStatus": message.status,
            "MessageStatus": message.status,
            "To": message.to,
            "MessageSid": message.sid,
            "AccountSid": self.account_sid,
            "From": message.from_,
            "ApiVersion": VERSION,
        }
        if message.service is not None:
            form["MessagingServiceSid"] = message.service
        if message.error_code is not None:
            form["ErrorCode"] = str(message.error_code)
        if message.status in ("delivered", "undelivered"):
            form["RawDlrDoneDate"] = datetime.now(UTC).strftime("%y%m%d%H%M")
        return form

    def _call_back(self, message: Sms, form: dict[str, str]) -> None:
        url = message.params.get("StatusCallback") or str(self.number_settings["status_callback"])
        if not url or not self.bot_url:
            return
        token = {"I-Twilio-Idempotency-Token": str(uuid.uuid4())}
        for _ in range(self.status_times):
            for _ in range(1 + self.retries):
                attempt = self._post(url, form, token)
                with self.changed:
                    self.status_posts.append((message.sid, form["MessageStatus"], attempt))
                    if not attempt.ok:
                        self.webhook_errors.append(f"11200 {attempt.status or attempt.error}")
                    self.changed.notify_all()
                if not attempt.error or "ct" not in self.retry_on:
                    break

    def tell_status(self, sid: str, status: str, error: int | None = None, sign: str = "right") -> Attempt:
        """Call back a status of one's choosing for a message, and wait for the bot's answer."""
        message = self.messages[sid]
        form = self._status_form(message) | {"SmsStatus": status, "MessageStatus": status}
        if error is not None:
            form["ErrorCode"] = str(error)
        url = message.params.get("StatusCallback") or f"{self.public_url}/sms/status"
        return self._post(url, form, {"I-Twilio-Idempotency-Token": str(uuid.uuid4())}, sign)

    def _sid(self, prefix: str) -> str:
        return prefix + secrets.token_hex(16)


def _country(number: str) -> str:
    codes = {"+31": "NL", "+32": "BE", "+49": "DE", "+44": "GB", "+1": "US"}
    return next((code for start, code in codes.items() if number.startswith(start)), "")


def _rfc2822(moment: datetime) -> str:
    return format_datetime(moment)


def _matches(message: Sms, values: Mapping[str, str]) -> bool:
    """Whether a message belongs in a filtered list. DateSent is that whole day; bounds include themselves."""
    if values.get("To", message.to) != message.to or values.get("From", message.from_) != message.from_:
        return False
    # A message not sent yet is listed by when it was made: whether Twilio leaves it out is not documented.
    moment = (message.sent_at or message.created).replace(microsecond=0)
    for name in ("DateSent", "DateSent<", "DateSent>"):
        if name not in values:
            continue
        given = values[name]
        bound = datetime.fromisoformat(given.replace("Z", "+00:00"))
        whole_day = len(given) == 10
        bound = bound.replace(tzinfo=UTC)
        # The client library sends a date as its midnight, so an exact moment cannot be what is meant.
        if name == "DateSent" and moment.date() != bound.date():
            return False
        if name == "DateSent<" and (moment.date() > bound.date() if whole_day else moment > bound):
            return False
        if name == "DateSent>" and moment < bound:
            return False
    return True


def _page(key: str, path: str, values: Mapping[str, str], found: list[dict[str, Any]]) -> Response:
    """One page of a list in Twilio's form; a later page needs the PageToken the earlier one gave."""
    size, page = int(values.get("PageSize", 50)), int(values.get("Page", 0))
    if page and not values.get("PageToken"):
        raise rules.Refused(20001, "Page without PageToken: follow next_page_uri")
    # The token names the last one seen: a list that grows meanwhile does not shift.
    after = values.get("PageToken", "").removeprefix("PA")
    start = next((index + 1 for index, item in enumerate(found) if item["sid"] == after), 0)
    shown = found[start : start + size]

    def uri(number: int, token: str = "") -> str:
        filters = {name: value for name, value in values.items() if name not in ("PageSize", "Page", "PageToken")}
        query = {**filters, "PageSize": str(size), "Page": str(number)}
        if token:
            query["PageToken"] = token
        return f"{path}?{urlencode(query, quote_via=quote)}"

    more = start + size < len(found)
    return JSONResponse(
        {
            "end": page * size + max(len(shown) - 1, 0),
            "first_page_uri": uri(0),
            "next_page_uri": uri(page + 1, f"PA{shown[-1]['sid']}") if more else None,
            "page": page,
            "page_size": size,
            "previous_page_uri": uri(page - 1) if page == 1 else None,
            "start": page * size,
            "uri": uri(page, values.get("PageToken", "")),
            key: shown,
        }
    )


def _error(code: int, detail: str = "", status: int | None = None, retry_after: int | None = None) -> JSONResponse:
    usual, words = rules.ERRORS[code]
    body = {
        "code": code,
        "message": f"{words} {detail}".strip(),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status or usual,
    }
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
    return JSONResponse(body, status or usual, headers)
