"""Twilio's webhooks and answers, held against its own vector and classes; what goes over the line is in test_outbox."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import httpx
import pytest

from bot.channels.channel import LockedOut, MaybeSent, Outcome, Permanent, Sent, Stopped, Temporary, Wait
from bot.channels.sms import BODY_MAX, Sms, _outcome, _validity, wording
from storage.outbox import Parcel
from tests.doubles import rules_twilio

URL = "https://buurt.example"


@pytest.fixture
async def sms() -> Sms:
    """A channel that calls nobody."""
    return Sms("AC" + "0" * 32, "12345", "+3197010200300", URL)


def test_the_signature_is_twilios_own() -> None:
    """The vector of Twilio's documentation: its token, address and fields give its signature."""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    channel = Sms("AC" + "0" * 32, "12345", "+31", "https://mycompany.com")
    body = urlencode(fields).encode()
    assert channel.form("/myapp.php", "foo=1&bar=2", body, "RSOYDt4T1cUTdK1PDd93/VVr8B8=") == fields
    for wrong in (None, "", "RSOYDt4T1cUTdK1PDd93/VVr8B9=", "é"):
        assert channel.form("/myapp.php", "foo=1&bar=2", body, wrong) is None
    assert channel.form("/myapp.php", "foo=1", body, "RSOYDt4T1cUTdK1PDd93/VVr8B8=") is None
    assert channel.form("/myapp.php", "foo=1&bar=2", body + b"&Extra=", "RSOYDt4T1cUTdK1PDd93/VVr8B8=") is None


async def test_blank_fields_are_signed_too(sms: Sms) -> None:
    """Twilio sends FromCity= and signs it; dropping it would refuse every message."""
    fields = {"Body": "", "From": "+31612341234", "FromCity": "", "MessageSid": "SM1"}
    signature = rules_twilio.signature("12345", f"{URL}/sms", fields)
    assert sms.form("/sms", "", urlencode(fields).encode(), signature) == fields
    assert sms.form("/sms", "", b"\xff\xfe", signature) is None


async def test_a_form_becomes_a_row(sms: Sms) -> None:
    """Words as they are; Twilio's own STOP, START and HELP as such; no row for what nobody can be answered on."""
    form = {"MessageSid": "SM1", "From": "+31612341234", "Body": "mijn lamp", "NumMedia": "0"}
    text = sms.text(form)
    assert text is not None
    assert (text.external_id, text.address, text.body) == ("SM1", "+31612341234", {"text": "mijn lamp"})
    for kind in ("STOP", "START", "HELP"):
        found = sms.text(form | {"OptOutType": kind, "Body": kind})
        assert found is not None
        assert found.body == {"text": kind, "opt_out": kind}
    assert sms.text(form | {"From": "KPN"}) is None
    assert sms.text(form | {"From": "+3197010200300"}) is None
    picture = sms.text(form | {"NumMedia": "1", "MediaContentType0": "image/jpeg"})
    assert picture is not None
    assert picture.body["attachment"]["kind"] == "photo"


@pytest.mark.parametrize(
    "sender",
    [
        "KPN",
        "Uw-Bank",
        "32665",
        "+1008",
        "1008",
        "",
        "+31",
        "+31612",
        "+99912345678",
        "+3161234123412",
        "anonymous",
        "+319001234567",
    ],
)
async def test_who_cannot_be_answered_is_no_person(sms: Sms, sender: str) -> None:
    """A name, a short code, a number that cannot exist or that costs the caller: no row, and so no answer to pay for."""
    assert sms.text({"MessageSid": "SM1", "From": sender, "Body": "Uw pakket is onderweg"}) is None


@pytest.mark.parametrize("sender", ["+31612341234", "+31201234567", "+4915112345678", "+3197010200301"])
async def test_every_number_that_can_be_answered_is_let_in(sms: Sms, sender: str) -> None:
    """Mobile, a landline that sends texts, abroad, and the numbers of machines."""
    assert sms.text({"MessageSid": "SM1", "From": sender, "Body": "hallo"}) is not None


@pytest.mark.parametrize(
    "query", ["row=" + "9" * 5_000, "row=" + "9" * 19, "row=-1", "row=", "row=x", "row=٣", "row=1.5", ""]
)
async def test_a_status_about_no_row_of_ours_names_none(sms: Sms, query: str) -> None:
    """Whatever stands behind row=, it is one of ours or nothing; the message's own id still counts."""
    found = sms.status({"MessageSid": "SM1", "MessageStatus": "delivered"}, query)
    assert found is not None
    assert (found.row, found.sid) == (None, "SM1")
    assert sms.status({"MessageSid": "SM1", "MessageStatus": "delivered"}, "row=17").row == 17  # type: ignore[union-attr]


def answer(status: int, body: object, **headers: str) -> httpx.Response:
    """An answer of Twilio, or of something in between."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, content=content, headers=headers)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (answer(201, {"sid": "SM1", "num_segments": "2"}), Sent("SM1", 2)),
        (answer(201, {"sid": "SM1", "num_segments": None}), Sent("SM1", 0)),
        (answer(400, {"code": 21211}), Permanent("21211", "invalid")),
        (answer(400, {"code": 21614}), Permanent("21614", "invalid")),
        (answer(400, {"code": 21610}), Stopped("21610")),
        (answer(400, {"code": 21617}), Permanent("21617", "")),
        (answer(403, {"code": 21408}), Permanent("21408", "")),
        (answer(403, {"code": 30007}), Permanent("30007", "")),
        (answer(403, {}), LockedOut("403")),
        (answer(403, {"code": 20005}), LockedOut("20005")),
        (answer(404, {"code": 20404}), LockedOut("20404")),
        (answer(400, {"code": 21606}), LockedOut("21606")),
        (answer(404, {"code": 21701}), LockedOut("21701")),
        (answer(429, {"code": 20429}), Wait("20429", 5.0)),
        (answer(429, {"code": 20429}, **{"Retry-After": "9"}), Wait("20429", 9.0)),
        (answer(429, {"code": 21611}), Wait("21611", 5.0)),
        (answer(401, {"code": 20003}), LockedOut("20003")),
        (answer(500, {"code": 20500}), Temporary("500")),
        (answer(502, b"<html>"), MaybeSent("502 unreadable")),
        (answer(201, b'{"sid": "SM'), MaybeSent("201 unreadable")),
        (answer(200, b"null"), MaybeSent("200 unreadable")),
        (answer(200, {"ok": False}), MaybeSent("200 unexpected")),
        (answer(302, {}), MaybeSent("302 unexpected")),
    ],
)
def test_every_answer_has_a_class(given: httpx.Response, outcome: Outcome) -> None:
    """By status and code only: Twilio asks not to read its words."""
    assert _outcome(given) == outcome


def test_nothing_arrives_at_night_or_too_late() -> None:
    """News leaves Twilio's queue within two hours, an answer within four, and nothing after it expires."""

    def parcel(urgency: str, minutes: int | None = None) -> Parcel:
        return Parcel(1, 1, "sms", "+31612341234", "text", {}, 1, urgency, minutes_left=minutes)

    assert _validity(parcel("reply")) == 4 * 3600
    assert _validity(parcel("news")) == 2 * 3600
    assert _validity(parcel("news", 30)) == 1800
    assert _validity(parcel("safety", 0)) == 60


def test_a_story_is_cut_at_twilios_limit() -> None:
    """1,600 characters; the case keeps all of them."""
    assert wording({"text": "x" * 1600}) == "x" * BODY_MAX
    assert len(wording({"text": "x" * 4000})) == BODY_MAX
    assert wording({"text": "ideeën", "choices": [["Ja", "t:1:0"]]}) == "ideeen\n1 Ja"
