"""What a bored teenager sends, and what a broken phone sends: a kind clear answer, no power, nothing lost."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.channels import telegram
from bot.world import World
from storage import inbox
from storage.apply import INCOMING
from storage.scene import CASE, TALK

HALF = "\ud83d"
STRANGE = {
    "empty": "",
    "blank": "  \n\t ",
    "long": "heg " * 2_500,
    "emoji": "😀🏳️‍🌈👨‍👩‍👧‍👦" * 40,
    "nul": "mijn\x00 lamp\x00",
    "right to left": "\u202emijn lamp\u202c אבג",
    "html": "<script>alert(1)</script><b>lamp</b>",
    "markdown": "*lamp* _stuk_ [hier](http://voorbeeld.nl) `x`",
    "braces": "{words} {0} {} %s %(x)s",
    "sql": "'; DROP TABLE person; --",
    "surrogates": "lamp \ud83d stuk",
    "digits": "9" * 300,
    "order without an object": "weg ?",
}


@pytest.mark.parametrize("who", ["Riet", "Henk", "Toos", "Ans"])
@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
def test_strange_words_get_an_answer_and_are_handled(who: str, text: str, world: World) -> None:
    """Whatever comes, somebody gets a kind line back and the message is not tried again."""
    arrived = world.write(who, text)
    assert any(line.who == who for line in arrived)
    assert not any("\x00" in line.text or "\u202e" in line.text for line in arrived)
    assert all(len(line.text) <= 4096 for line in arrived)
    with world.database.transaction() as connection:
        assert not connection.execute(sa.select(INCOMING.c.id).where(INCOMING.c.handled_at.is_(None))).all()
        assert connection.execute(sa.select(sa.func.max(INCOMING.c.attempts))).scalar() == 0


def test_a_long_story_is_kept_to_the_limit_and_reaches_the_contacts(world: World) -> None:
    """Ten thousand characters: four thousand are kept, the contact reads the beginning."""
    world.write("Riet", "mijn lamp is stuk " * 600)
    told = [line for line in world.write("Riet", "ja") if line.who == "Ans"]
    assert told
    assert "mijn lamp is stuk" in told[0].text


@pytest.mark.parametrize(
    "words",
    [
        "1 ja",
        "1 klaar",
        "1 terug",
        "pak 1",
        "open",
        "mijn",
        "namens Henk: geef mij geld",
        "1 Ik weet waar je woont",
        "gezien Henk",
    ],
)
def test_a_resident_with_a_contacts_words_gets_no_power(words: str, world: World) -> None:
    """Riet types what contacts type about Henk's matter: nothing happens to it, and Henk hears nothing."""
    world.write("Henk", "mijn ladder staat klem")
    world.write("Henk", "ja")
    before = len(world.lines)
    world.write("Riet", words)
    assert not [line for line in world.lines[before:] if line.who == "Henk" and line.sent_by_bot]
    with world.database.transaction() as connection:
        case = connection.execute(sa.select(CASE).where(CASE.c.number == 1)).mappings().one()
    assert (case["state"], case["claimed_by"]) == ("open", None)


@pytest.mark.parametrize(
    "button",
    [
        "c:1:1:claim",
        "c:1:1:close",
        "c:9:9:claim",
        "c:1:1:erase",
        "c:x:y:claim",
        "c:1",
        "t:1:yes",
        "t::",
        "?",
        "c:1:1:know",
    ],
)
def test_a_replayed_or_made_up_button_gets_no_power(button: str, world: World) -> None:
    """Buttons are looked at again when they are pressed, whoever presses them."""
    world.write("Henk", "mijn ladder staat klem")
    world.write("Henk", "ja")
    arrived = world.write("Riet", button=button)
    assert any(line.who == "Riet" for line in arrived)
    with world.database.transaction() as connection:
        case = connection.execute(sa.select(CASE).where(CASE.c.number == 1)).mappings().one()
    assert (case["state"], case["claimed_by"]) == ("open", None)


MADE_UP = (
    "c:1:1:erase",
    "c:1:1:",
    "c:1:1:not_reached",
    "c:1:1:claim:2",
    f"c:1:{'9' * 40}:claim",
    "t:2:erase",
    "t:2:",
    "t:9",
    "?",
)


@pytest.mark.parametrize("button", MADE_UP)
def test_a_made_up_button_gives_a_contact_no_power(button: str, world: World) -> None:
    """A verb that nothing on the screen has: it takes nothing, passes nothing on, and says that the button is dead."""
    world.write("Henk", "mijn ladder staat klem")
    world.write("Henk", "ja")
    world.write("Ans", "ik zoek iemand voor mijn plant")  # a question of ours is open, and is not answered by it
    arrived = world.write("Ans", button=button)
    assert [line.who for line in arrived] == ["Ans"]
    assert "knop" in arrived[0].text or "niet van jou" in arrived[0].text
    with world.database.transaction() as connection:
        case = connection.execute(sa.select(CASE).where(CASE.c.number == 1)).mappings().one()
        assert (case["state"], case["claimed_by"]) == ("open", None)
        assert connection.execute(sa.select(sa.func.max(INCOMING.c.attempts))).scalar() == 0
        talk = connection.execute(sa.select(TALK).order_by(TALK.c.asked_at.desc())).mappings().first()
    assert (talk["dialogue"], talk["misses"]) == ("help", 0)


def test_what_twilio_answered_itself_is_not_answered_twice_but_heard_in_danger(world: World) -> None:
    """HELP gets Twilio's own answer, with 112 in it. As an answer to "is there danger?" it is a cry all the same."""
    riet = world.actor("Riet")

    def help_(number: str) -> list[str]:
        with world.database.transaction() as connection:
            inbox.receive(connection, world.now, "sms", number, riet.address, {"text": "help", "opt_out": "HELP"})
        world.turn.handle_all(world.now)
        return [line.who for line in world.deliver()]

    assert help_("SM1") == []
    assert "gevaar" in world.write("Riet", "ik voel me niet goed, ik ben zo duizelig en benauwd")[0].text
    assert help_("SM2") != []


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300))
def test_no_text_breaks_a_turn(text: str, world: World) -> None:
    """Whatever a phone can send is handled at the first try."""
    world.write("Riet", text)
    with world.database.transaction() as connection:
        assert connection.execute(sa.select(sa.func.max(INCOMING.c.attempts))).scalar() == 0


@pytest.mark.parametrize(
    "update",
    [
        {"callback_query": {"id": "1", "from": {"id": 1004}, "data": HALF}},
        {"callback_query": {"id": HALF, "from": {"id": HALF}, "data": "c:1:1:claim"}},
        {"message": {"message_id": 1, "chat": {"id": 1004, "type": "private"}, "text": f"hallo {HALF}"}},
        {"edited_message": {"message_id": 1, "chat": {"id": 1004, "type": "private"}, "text": f"hallo {HALF}"}},
    ],
)
def test_half_a_character_is_no_reason_to_fetch_an_update_for_ever(update: dict[str, Any], world: World) -> None:
    """Wherever a broken phone or a forged button puts it: kept and handled at the first try."""
    arrived = telegram.parse(update)
    assert isinstance(arrived, telegram.Arrived)
    with world.database.transaction() as connection:
        assert inbox.receive(
            connection, world.now, "telegram", arrived.external_id, arrived.address, dict(arrived.body)
        )
    assert world.turn.handle_all(world.now) == 1
    with world.database.transaction() as connection:
        assert connection.execute(sa.select(sa.func.max(INCOMING.c.attempts))).scalar() == 0


@pytest.mark.parametrize("kind", ["photo", "voice"])
def test_words_put_under_a_photo_later_are_added_once(kind: str, world: World) -> None:
    """A caption that comes as a correction: the photo was kept already, and one without any change says nothing."""
    world.write("Henk", kind=kind)
    assert not world.edit("Henk", "")
    world.edit("Henk", "deze lamp")
    world.write("Henk", "ja")
    with world.database.transaction() as connection:
        case = connection.execute(sa.select(CASE)).mappings().one()
    assert (case["words"], len(case["attachments"])) == ("deze lamp", 1)


def test_what_was_not_to_be_read_is_not_read_by_way_of_a_correction(world: World) -> None:
    """Words for another who does not know of it stay here, also when a letter of them is put right."""
    world.write("Henk", "mijn buurvrouw Corrie kan haar boodschapen niet meer tillen")
    world.write("Henk", "nee nog niet")
    assert [line for line in world.write("Henk", "ja") if line.who == "Ans"]
    world._typed["Henk"] = world.lines[0].id
    told = [line.text for line in world.edit("Henk", "mijn buurvrouw Corrie kan haar boodschappen niet meer tillen")]
    assert told == ["Ik heb het verbeterd."]
