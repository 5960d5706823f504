"""What Twilio accepts: the parameters of the Messages API we use, its error codes, and how it counts SMS segments.

Sources: Twilio's 2010-04-01 API description for the parameters (a test holds this table against it when it is at
hand), Twilio's error pages for the codes, 3GPP TS 23.038 for the alphabet. Written apart from the bot's own code, so
that each checks the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Param:
    """A form or query parameter: kind is one of text, phone, url, integer, boolean, date, or sid:XX."""

    kind: str = "text"
    required: bool = False
    min: int | None = None
    max: int | None = None
    choices: tuple[str, ...] | None = None
    many: bool = False
    unused: bool = False


def _unused(kind: str = "text", many: bool = False) -> Param:
    return Param(kind, unused=True, many=many)


CREATE_MESSAGE: dict[str, Param] = {
    "To": Param("phone", required=True),
    "From": Param("phone"),
    "MessagingServiceSid": Param("sid:MG"),
    "Body": Param("text", max=1600),
    "StatusCallback": Param("url"),
    "ValidityPeriod": Param("integer", min=1, max=36000),
    "SmartEncoded": Param("boolean"),
    "ProvideFeedback": Param("boolean"),
    "ForceDelivery": Param("boolean"),
    "Attempt": Param("integer"),
    "MaxPrice": Param("number"),
    "ContentRetention": Param(choices=("retain", "discard")),
    "AddressRetention": Param(choices=("retain", "obfuscate")),
    "RiskCheck": Param(choices=("enable", "disable")),
    "ShortenUrls": Param("boolean"),
    "TrafficType": Param(choices=("free",)),
    "ApplicationSid": _unused("sid:AP"),
    "PersistentAction": _unused(many=True),
    "ScheduleType": _unused(),
    "SendAt": _unused("date"),
    "SendAsMms": _unused("boolean"),
    "ContentVariables": _unused(),
    "ContentSid": _unused("sid:HX"),
    "MediaUrl": _unused("url", many=True),
    "FallbackFrom": _unused("phone"),
}
UPDATE_MESSAGE: dict[str, Param] = {"Body": Param("text", max=0), "Status": Param(choices=("canceled",))}
_PAGING = {"PageSize": Param("integer", min=1, max=1000), "Page": Param("integer", min=0), "PageToken": Param()}
LIST_MESSAGES: dict[str, Param] = {
    "To": Param("phone"),
    "From": Param("phone"),
    "DateSent": Param("date"),
    "DateSent<": Param("date"),
    "DateSent>": Param("date"),
    **_PAGING,
}
LIST_NUMBERS: dict[str, Param] = {
    "PhoneNumber": Param("text"),
    "FriendlyName": Param(),
    "Beta": Param("boolean"),
    "Origin": Param(),
    **_PAGING,
}

STATUSES = (
    "queued", "sending", "sent", "failed", "delivered", "undelivered", "receiving", "received", "accepted",
    "scheduled", "read", "partially_delivered", "canceled",
)  # fmt: skip
FINAL = ("delivered", "undelivered", "failed", "read", "canceled", "received")

# HTTP status and words by error code. The words are for people; only the codes mean something.
ERRORS: dict[int, tuple[int, str]] = {
    20001: (400, "Unknown parameters"),
    20003: (401, "Authenticate"),
    20009: (409, "Cannot delete message because delivery has not been completed."),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    21211: (400, "The 'To' number is not a valid phone number."),
    21212: (400, "Invalid From Number"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' or 'MessagingServiceSid' parameter is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number provided is not a valid message-capable Twilio phone number"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "Message cannot be sent with the current combination of 'To' and/or 'From' parameters"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21701: (404, "The Messaging Service does not exist"),
}
DELIVERY_ERRORS: dict[int, str] = {
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
}

OPT_OUT = ("STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT")
OPT_IN = ("START", "YES", "UNSTOP")
HELP = ("HELP", "INFO")
REPLIES = {
    "STOP": (
        "You have successfully been unsubscribed. You will not receive any more messages from this number. "
        "Reply START to resubscribe."
    ),
    "START": (
        "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
        "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
    ),
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


class Refused(Exception):
    """A request Twilio answers with an error: the code, and whether it is the caller's mistake."""

    def __init__(self, code: int, detail: str = "", violation: bool = True) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.detail = detail
        self.violation = violation


# Parameters whose breach has a code of its own.
_CODES = {"To": 21211, "From": 21212, "Body": 21617, "StatusCallback": 21609, "MessagingServiceSid": 21701}


def check(rules: Mapping[str, Param], sent: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name, or Refused: unknown, doubled, missing, of the wrong type or past a limit."""
    values: dict[str, str] = {}
    for name, value in sent:
        rule = rules.get(name)
        if rule is None:
            raise Refused(20001, f"unknown parameter {name}")
        if name in values:
            raise Refused(20001, f"parameter {name} given twice")
        if rule.unused:
            raise Refused(20001, f"{name}: not something this project sends, so the double has no answer to it")
        wrong = _wrong(rule, value)
        if wrong:
            raise Refused(_CODES.get(name, 20001), f"{name}: {wrong}")
        values[name] = value
    missing = [name for name, rule in rules.items() if rule.required and name not in values]
    if missing:
        raise Refused(21604 if missing == ["To"] else 20001, f"{', '.join(missing)} missing")
    return values


def _wrong(rule: Param, value: str) -> str:
    """What is wrong with a value, or nothing."""
    if rule.kind == "phone" and not is_e164(value):
        return f"{value!r} is not in E.164 form"
    if rule.kind == "boolean" and value not in ("true", "false"):
        return f"{value!r} is not true or false"
    if rule.kind == "number" and not re.fullmatch(r"\d+(\.\d+)?", value):
        return f"{value!r} is not a number"
    if rule.kind == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|\+00:00))?", value):
        return f"{value!r} is not a date or a UTC time"
    if rule.kind.startswith("sid:") and not re.fullmatch(rule.kind.removeprefix("sid:") + "[0-9a-fA-F]{32}", value):
        return f"{value!r} is not a {rule.kind.removeprefix('sid:')} identifier"
    if rule.kind == "url":
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname:
            return f"{value!r} is not an address Twilio calls (no underscore in the host)"
    if rule.choices is not None and value not in rule.choices:
        return f"{value!r} is not one of {rule.choices}"
    size = len(value)
    if rule.kind == "integer":
        if not re.fullmatch(r"\d+", value):
            return f"{value!r} is not an integer"
        size = int(value)
    if rule.max is not None and size > rule.max:
        return f"{size} is over the limit of {rule.max}"
    if rule.min is not None and size < rule.min:
        return f"{size} is under the minimum of {rule.min}"
    return ""


def is_e164(number: str) -> bool:
    """Plus, country, at most 15 digits. For the Netherlands also the right number of digits."""
    if number.startswith("+31"):
        return re.fullmatch(r"\+31(6\d{8}|97\d{7,9}|[1-57]\d{8}|8\d{8}|9\d{8})", number) is not None
    return re.fullmatch(r"\+[1-9]\d{6,14}", number) is not None


def is_dutch_landline(number: str) -> bool:
    """A Dutch number that takes no SMS: neither 06 nor machine-to-machine 097."""
    return number.startswith("+31") and not number.startswith(("+316", "+3197"))


_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
# What Twilio's smart encoding replaces: typography, never letters with accents.
_SMART = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-",
        "\u2026": "...", "\u00a0": " ", "\u2022": "*",
    }
)  # fmt: skip


def smart(text: str) -> str:
    """The text as SmartEncoded sends it."""
    return text.translate(_SMART)


def segments(text: str) -> tuple[str, int]:
    """Alphabet ("GSM-7" or "UCS-2") and number of SMS segments of a text.

    One segment holds 160 septets or 70 code units; of several, each holds 153 or 67. An extension character (two
    septets) or a surrogate pair is never cut in two, so a segment may stay one short.
    """
    if all(letter in _BASIC or letter in _EXTENSION for letter in text):
        alphabet, single, part = "GSM-7", 160, 153
        costs = [2 if letter in _EXTENSION else 1 for letter in text]
    else:
        alphabet, single, part = "UCS-2", 70, 67
        costs = [2 if ord(letter) > 0xFFFF else 1 for letter in text]
    if sum(costs) <= single:
        return alphabet, 1
    count, room = 1, part
    for cost in costs:
        if cost > room:
            count, room = count + 1, part
        room -= cost
    return alphabet, count


def signature(token: str, url: str, params: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a form post: the public address, then every name and value in order of name."""
    signed = url + "".join(name + params[name] for name in sorted(params))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
