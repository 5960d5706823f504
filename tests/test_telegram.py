"""Telegram's updates as rows, and its errors as classes; what goes over the line is in test_outbox and test_run."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
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

from bot.channels.channel import LockedOut, MaybeSent, Outcome, Permanent, Temporary, Wait
from bot.channels.numbers import e164
from bot.channels.telegram import ALLOWED, Arrived, InGroup, outcome_of, parse
from bot.channels.wording import telegram_text

HENK = {"id": 1004, "is_bot": False, "first_name": "Henk"}
PRIVATE = {"id": 1004, "type": "private"}


def message(**more: Any) -> dict[str, Any]:
    """An update with a message of Henk."""
    return {"update_id": 5, "message": {"message_id": 7, "from": HENK, "chat": PRIVATE, "date": 1, **more}}


def arrived(update: dict[str, Any]) -> Arrived:
    """What it means, when it means a row."""
    found = parse(update)
    assert isinstance(found, Arrived)
    return found


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ({"text": "mijn lamp"}, {"text": "mijn lamp"}),
        ({"text": "/start ABCD2345"}, {"text": "", "start_code": "ABCD2345"}),
        ({"text": "/start LUTMA"}, {"text": "LUTMA"}),
        ({"text": "/start"}, {"text": "/start"}),
        ({"text": "/hulp@onze_bot"}, {"text": "hulp"}),
        ({"text": "/stop"}, {"text": "stop"}),
        ({"text": "ja", "reply_to_message": {"message_id": 12}}, {"text": "ja", "reply_to": "12"}),
        ({"photo": [{}], "caption": "deze lamp"}, {"text": "deze lamp", "kind": "photo"}),
        ({"video_note": {}}, {"text": "", "kind": "video"}),
        ({"venue": {}, "location": {}}, {"text": "", "kind": "location"}),
        ({"animation": {}, "document": {}}, {"text": "", "kind": "document"}),
        ({"poll": {}}, {"text": "", "kind": "other"}),
    ],
)
def test_a_message_becomes_a_row(more: dict[str, Any], body: dict[str, Any]) -> None:
    """Words, captions, codes, replies, and what stays where it was sent."""
    found = arrived(message(**more))
    attachment = {"channel": "telegram", "chat": "1004", "message": "7", "kind": body.get("kind")}
    body |= {"sent": 1}
    assert found.body == (body | {"attachment": attachment} if "kind" in body else body)
    assert found.address == "1004"


def test_a_phone_number_counts_only_when_it_is_the_senders_own() -> None:
    """Anybody can send anybody's card."""
    own = {"phone_number": "31612341234", "user_id": 1004, "first_name": "Henk"}
    assert arrived(message(contact=own)).body["own_phone"] == "+31612341234"
    assert "own_phone" not in arrived(message(contact=own | {"user_id": 1005})).body
    assert "own_phone" not in arrived(message(contact={"phone_number": "31612341234", "first_name": "Riet"})).body
    assert "own_phone" not in arrived(message(contact=own | {"phone_number": "12"})).body
    assert e164("+31 6 12341234") == "+31612341234"


def test_the_stored_id_is_the_messages_own_and_says_nothing() -> None:
    """The same message, or the same correction, under another update id is the same row; no chat can be read from it."""
    first = arrived(message(text="hallo")).external_id
    assert arrived(message(text="hallo") | {"update_id": 99}).external_id == first
    other = message(text="hallo")
    other["message"]["message_id"] = 8
    edit = {"update_id": 6, "edited_message": {**message(text="halo")["message"], "edit_date": 2}}
    at_once = {"update_id": 6, "edited_message": {**edit["edited_message"], "text": "hallo!"}}
    ids = {first, arrived(other).external_id, arrived(edit).external_id, arrived(at_once).external_id}
    assert len(ids) == 4
    assert arrived({**edit, "update_id": 7}).external_id in ids
    assert arrived(edit).external_id.startswith(first + ".")
    assert arrived(edit).body["edited"] is True
    assert all("1004" not in i for i in ids)


def test_a_story_in_emoji_fits_too() -> None:
    """Counted as Telegram's own apps count, so that it is never refused as too long; no half emoji is left."""
    assert telegram_text({"text": "x" * 4096}) == "x" * 4096
    assert telegram_text({"text": "x" * 4097}) == "x" * 4093 + "..."
    assert telegram_text({"text": "x" + "😀" * 4000}) == "x" + "😀" * 2046 + "..."


def test_presses_blocks_and_groups() -> None:
    """Each its own meaning; a group is never a conversation."""
    query = {"id": "55", "from": HENK, "data": "c:1:2:claim", "message": {"message_id": 3, "chat": PRIVATE}}
    press = arrived({"update_id": 1, "callback_query": query})
    assert (press.address, press.body, press.callback) == ("1004", {"text": "", "button": "c:1:2:claim"}, "55")
    group = {"id": -5, "type": "supergroup"}
    assert parse({"update_id": 1, "callback_query": {**query, "message": {"chat": group}}}) is None
    change = {"chat": PRIVATE, "date": 1, "new_chat_member": {"status": "kicked"}}
    assert arrived({"update_id": 2, "my_chat_member": change}).body["event"] == "blocked"
    change = {"chat": PRIVATE, "date": 1, "new_chat_member": {"status": "member"}}
    assert arrived({"update_id": 2, "my_chat_member": change}).body["event"] == "unblocked"
    said = message(text="hallo")
    said["message"]["chat"] = group
    assert parse(said) == InGroup(-5)
    said["message"]["left_chat_member"] = {}
    assert parse(said) is None
    assert parse({"update_id": 4, "poll": {}}) is None
    assert "message_reaction" not in ALLOWED


def caused(wrong: Exception, cause: Exception) -> Exception:
    """As the library raises it: one error from another."""
    wrong.__cause__ = cause
    return wrong


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (RetryAfter(7), Wait("429", 7.0)),
        (NetworkError("Too Many Requests"), Wait("429", 5.0)),
        (Forbidden("Forbidden: bot was blocked by the user"), Permanent("bot was blocked by the user", "blocked")),
        (Forbidden("Forbidden: user is deactivated"), Permanent("user is deactivated", "blocked")),
        (BadRequest("Chat not found"), Permanent("chat not found", "invalid")),
        (BadRequest("Message is too long"), Permanent("400", "")),
        (InvalidToken("Unauthorized"), LockedOut("401 token")),
        (Conflict("terminated by other getUpdates request"), Temporary("409")),
        (NetworkError("Internal Server Error"), Temporary("5xx")),
        (NetworkError("Bad Gateway"), MaybeSent("NetworkError")),
        (NetworkError("Gateway Timeout"), MaybeSent("NetworkError")),
        (caused(NetworkError("x"), httpx.ConnectError("x")), Temporary("NetworkError/ConnectError")),
        (caused(TimedOut("x"), httpx.PoolTimeout("x")), Temporary("TimedOut/PoolTimeout")),
        (caused(TimedOut(), httpx.ReadTimeout("x")), MaybeSent("TimedOut/ReadTimeout")),
        (caused(NetworkError("x"), httpx.RemoteProtocolError("x")), MaybeSent("NetworkError/RemoteProtocolError")),
        (caused(NetworkError("Bad Gateway"), TelegramError("html")), MaybeSent("NetworkError/TelegramError")),
        (TelegramError("Invalid server response"), MaybeSent("TelegramError")),
        (AttributeError("null"), MaybeSent("AttributeError")),
        (KeyError("result"), MaybeSent("KeyError")),
    ],
    ids=str,
)
def test_every_error_has_a_class(wrong: Exception, outcome: Outcome) -> None:
    """Surely not sent, never to be sent, or maybe sent: the difference between a loss, a loop and a double."""
    assert outcome_of(wrong) == outcome


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["message", "chat", "id", "type", "text", "from", "callback_query", "data", "date"])
                | st.text(max_size=5),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_nonsense_is_refused_and_never_half_read(update: Any) -> None:
    """Whatever arrives: a row, nothing, or one of the errors that the reception passes over."""
    try:
        found = parse(update)
    except (KeyError, TypeError, AttributeError, IndexError):
        return
    assert found is None or isinstance(found, Arrived | InGroup)


@pytest.mark.parametrize(
    "more",
    [
        {"pinned_message": {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}}},
        {"write_access_allowed": {}},
    ],
)
def test_what_telegram_writes_itself_is_nobodys_message(more: dict[str, Any]) -> None:
    """A pinned message or a setting of the chat is passed by: nobody said anything."""
    assert parse(message(**more)) is None
