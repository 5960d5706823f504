"""SMS by Twilio: signed webhooks in, plain HTTPS out, and a look at Twilio's own list when an answer was lost.

The calls are made with httpx and not with Twilio's client: its async client ignores its own time-out and hides the
Retry-After header (measured, 9.13), and a call is one form post. The signature is checked by Twilio's own validator.
Source of parameters and codes: Twilio's 2010-04-01 API and its error pages.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # it ships no types

from bot.channels.channel import (
    Found,
    LockedOut,
    MaybeSent,
    NotThere,
    Outcome,
    Pace,
    Permanent,
    Sent,
    Stopped,
    Temporary,
    Wait,
    brief,
)
from bot.channels.gsm7 import segments
from bot.channels.numbers import can_be_answered
from bot.channels.wording import sms_text
from storage.outbox import Parcel

log = logging.getLogger("binnenbuurt.sms")

VERSION = "2010-04-01"
CALL_SECONDS = 15.0
BODY_MAX = 1600  # characters; past it Twilio refuses with 21617
VALID_REPLY = 4 * 3600  # seconds in Twilio's queue; past it an answer to somebody who wrote is old news
VALID_NEWS = 2 * 3600  # news is sent by day until 20:00 at the latest, so it never arrives at night
VALID_MIN, VALID_MAX = 60, 36_000  # Twilio's own limit is 36,000
LOOK_BACK = timedelta(minutes=2)  # Twilio's clock and ours differ, and its times are whole seconds

# What becomes of the address, by Twilio's error code; every code not named here and not below is about this message
# (21408 a country that is off, 21612 route, 21617 length): permanent, and the number keeps its state.
INVALID_NUMBER = frozenset({21211, 21214, 21217, 21614, 21635})  # no number, or a landline
STOPPED = frozenset({21610})  # they said STOP to this sender
BUSY = frozenset({20429, 21611, 30001})  # too many requests, or the sender's queue is full
# About our account or sender, so that every message would fare the same: nothing goes until somebody repairs that.
# 20003 who are you; 20005 suspended; 20006, 20403 no access; 20008 test credentials; 20404 no such account; 21212, 21603,
# 21606, 21659, 21660 not our number; 21701, 21703, 21705 no such messaging service, or one without a number.
LOCKED_OUT = frozenset(
    {20003, 20005, 20006, 20008, 20403, 20404, 21212, 21603, 21606, 21659, 21660, 21701, 21703, 21705}
)
BUSY_SECONDS = 5.0  # a 429 that does not say how long

OPT_OUTS = frozenset({"STOP", "START", "HELP"})  # what Twilio answers itself, and then says that it did
ROW_DIGITS = 18  # a row of ours has fewer; more would not even fit into the database's numbers


@dataclass(frozen=True, slots=True)
class Text:
    """An SMS that came in, as an incoming row."""

    external_id: str
    address: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """What Twilio says about a message of ours; `row` is our own number of it, which it sends back."""

    row: int | None
    sid: str
    word: str
    error: str


class Sms:
    """The network SMS."""

    name = "sms"
    can_look_up = True

    def __init__(
        self,
        account: str,
        token: str,
        sender: str,
        public_url: str,
        api_base: str = "https://api.twilio.com",
        per_second: float = 10.0,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`sender` is a number or a messaging service (MG…); `public_url` is what Twilio signs."""
        # Twilio queues what its sender cannot do at once; one call at a time per person is all that order needs
        self.pace = Pace(per_second=per_second, burst=max(1, int(per_second)), per_person=0.0, at_once=20)
        self.healthy = True
        self.sender, self.public_url = sender, public_url.rstrip("/")
        self._validator = RequestValidator(token)
        self._messages = f"{api_base.rstrip('/')}/{VERSION}/Accounts/{account}/Messages.json"
        self._client = httpx.AsyncClient(
            auth=(account, token),
            timeout=httpx.Timeout(call_seconds, connect=min(call_seconds, 10.0)),
            limits=httpx.Limits(max_connections=self.pace.at_once + 5),
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # --- what comes in ---

    def form(self, path: str, query: str, body: bytes, signature: str | None) -> Mapping[str, str] | None:
        """The fields of a webhook that Twilio signed, blank ones too; None when the signature is missing or wrong.

        Signed is the address the world sees, so `path` and `query` are put behind our public one; the address of the
        request itself is whatever a proxy made of it. As much is computed without a signature as with a wrong one.
        """
        url = self.public_url + path + (f"?{query}" if query else "")
        try:
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            pairs = []
        fields = _Fields(pairs)
        if not self._validator.validate(url, fields, signature or "") or not signature:
            return None
        return {name: values[0] for name, values in fields.items()}

    def text(self, form: Mapping[str, str], idempotency: str = "") -> Text | None:
        """A signed form as an incoming row; None for what nobody could be answered on (a name, a short code), or ourselves."""
        address = form.get("From", "")
        if address == self.sender or not can_be_answered(address):
            return None
        opt_out = form.get("OptOutType", "").upper()
        body: dict[str, Any] = {"text": form.get("Body", "")}
        if opt_out in OPT_OUTS:
            body["opt_out"] = opt_out
        sid = form.get("MessageSid") or form.get("SmsSid") or idempotency
        if form.get("NumMedia", "0") not in (
            "",
            "0",
        ):  # in the Netherlands a picture comes as a link; abroad it may not
            kind = "photo" if form.get("MediaContentType0", "").startswith("image/") else "other"
            body |= {"kind": kind, "attachment": {"channel": "sms", "chat": address, "message": sid, "kind": kind}}
        return Text(sid, address, body) if sid else None

    def status(self, form: Mapping[str, str], query: str) -> Status | None:
        """A signed status callback; None when it is about no message."""
        row = dict(parse_qsl(query)).get("row", "")
        sid = form.get("MessageSid") or form.get("SmsSid") or ""
        word = form.get("MessageStatus") or form.get("SmsStatus") or ""
        if not sid.isalnum() or not word:
            return None
        ours = row.isascii() and row.isdecimal() and len(row) <= ROW_DIGITS
        return Status(int(row) if ours else None, sid, word, form.get("ErrorCode", ""))

    # --- what goes out ---

    async def send(self, parcel: Parcel) -> Outcome:
        """One message, one call."""
        if parcel.kind in ("unbutton", "media"):
            return Permanent("not on sms")
        words = wording(parcel.body)
        form = {
            "To": parcel.to,
            "Body": words,
            "ValidityPeriod": str(_validity(parcel)),
            "StatusCallback": f"{self.public_url}/sms/status?row={parcel.id}",
        }
        form["MessagingServiceSid" if self.sender.startswith("MG") else "From"] = self.sender
        try:
            answer = await self._client.post(self._messages, data=form)
        except httpx.HTTPError as wrong:
            return _cut(wrong)
        outcome = _outcome(answer)
        if isinstance(outcome, Sent) and not outcome.segments:
            return Sent(outcome.provider_id, segments(words))  # a messaging service counts them later
        return outcome

    async def look_up(self, parcel: Parcel, taken: frozenset[str]) -> Found:
        """Twilio's own list of what we sent to this number: the same words, not before we tried, of no other row."""
        try:
            answer = await self._client.get(self._messages, params={"To": parcel.to, "PageSize": "100"})
        except httpx.HTTPError as wrong:
            return Temporary(brief(wrong))
        if answer.status_code != 200:
            outcome = _outcome(answer)
            return outcome if isinstance(outcome, (Wait, LockedOut)) else Temporary(f"list {answer.status_code}")
        try:
            messages = answer.json()["messages"]
            words = wording(parcel.body)
            since = (parcel.tried_at - LOOK_BACK) if parcel.tried_at else None
            for message in messages:
                made = parsedate_to_datetime(message["date_created"])
                ours = message["direction"].startswith("outbound") and message["body"] == words
                if ours and message["sid"] not in taken and (since is None or made >= since):
                    return Sent(message["sid"], int(message["num_segments"] or 0) or segments(words))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Temporary("list unreadable")
        return NotThere()

    async def prices(self, day: datetime) -> Mapping[str, int]:
        """What each message of a day cost, by Twilio's id, in thousandths of a cent; left out while not known."""
        found: dict[str, int] = {}
        url: str | None = self._messages
        params: dict[str, str] | None = {"DateSent": day.strftime("%Y-%m-%d"), "PageSize": "1000"}
        for _ in range(20):
            try:
                answer = await self._client.get(url or "", params=params)
                page = answer.json() if answer.status_code == 200 else {}
                for message in page["messages"]:
                    if message.get("price"):
                        found[message["sid"]] = round(abs(float(message["price"])) * 100_000)
                following = page.get("next_page_uri")
            except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
                break
            if not following:
                break
            url, params = str(httpx.URL(self._messages).join(following)), None
        return found


def wording(body: Mapping[str, Any]) -> str:
    """The row as one SMS within Twilio's own limit; our texts are far below it, somebody's story may not be."""
    words = sms_text(body)
    return words if len(words) <= BODY_MAX else words[: BODY_MAX - 3] + "..."


def _validity(parcel: Parcel) -> int:
    longest = VALID_REPLY if parcel.urgency in ("reply", "safety") else VALID_NEWS
    if parcel.minutes_left is not None:
        longest = min(longest, parcel.minutes_left * 60)
    return max(VALID_MIN, min(longest, VALID_MAX))


def _cut(wrong: httpx.HTTPError) -> Outcome:
    if isinstance(wrong, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Temporary(brief(wrong))  # no connection was made, so nothing was asked
    return MaybeSent(brief(wrong))


def _outcome(answer: httpx.Response) -> Outcome:
    """The class of an answer. Twilio says not to read its words, so only status and code count."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    status = answer.status_code
    if not isinstance(said, dict):
        return MaybeSent(f"{status} unreadable")  # a proxy's page, or an answer cut short
    if status in (200, 201) and str(said.get("sid", "")).startswith(("SM", "MM")):
        count = said.get("num_segments")
        return Sent(str(said["sid"]), int(str(count)) if str(count).isdecimal() else 0)
    raw = said.get("code")
    code = raw if isinstance(raw, int) else 0
    if code in STOPPED:
        return Stopped(str(code))
    if status == 429 or code in BUSY:
        return Wait(str(code or status), _retry_after(answer))
    if status == 401 or code in LOCKED_OUT or (status == 403 and not code):
        return LockedOut(str(code or status))
    if status >= 500:
        return Temporary(str(status))  # in Twilio's own words: it failed
    if 400 <= status < 500:
        return Permanent(str(code or status), "invalid" if code in INVALID_NUMBER else "")
    return MaybeSent(f"{status} unexpected")


def _retry_after(answer: httpx.Response) -> float:
    given = answer.headers.get("Retry-After", "")
    return float(given) if given.isdecimal() else BUSY_SECONDS


class _Fields(dict[str, list[str]]):
    """Form fields as the validator wants them: all values of a name."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        return self[name]
