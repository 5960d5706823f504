"""Joining by one-time code, and the wall between neighbourhoods."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.world import World
from flows.contract import INVITE_DAYS
from storage import roster
from storage.scene import ADDRESS, CASE, PERSON


def invite(world: World, name: str, role: str = "resident", code: str = "LUTMA") -> str:
    """A person who was added on the command line; returns their one-time code."""
    with world.database.transaction() as connection:
        hood = roster.neighbourhood_by_code(connection, code)["id"]
        return roster.add_person(connection, world.now, name, hood, role)[1]


def second_neighbourhood(world: World) -> None:
    """The Maasbuurt, with Kees as its contact on Telegram."""
    with world.database.transaction() as connection:
        roster.add_neighbourhood(connection, "Maasbuurt", "MAAS", ("Maasstraat",))
    world.write("Kees", invite(world, "Kees", "contact", "MAAS"))


def test_a_code_works_once(world: World) -> None:
    """The first who sends it is who was invited; the second hears kindly that it is spent, and gets nothing."""
    code = invite(world, "Toos")
    first = world.write("Toos", code.lower())
    assert "Dag Toos" in first[0].text
    again = world.write("Kees", f"{code[:4]} {code[4:]}")
    assert "al gebruikt of te oud" in again[0].text
    with world.database.transaction() as connection:
        kees = connection.execute(
            sa.select(PERSON.c.joined)
            .join(ADDRESS, ADDRESS.c.person_id == PERSON.c.id)
            .where(ADDRESS.c.id == sa.func.coalesce(sa.select(sa.func.max(ADDRESS.c.id)).scalar_subquery(), 0))
        ).scalar_one()
    assert kees is False


def test_a_code_expires(world: World) -> None:
    """A card that lay in a drawer too long."""
    code = invite(world, "Toos")
    world.now += timedelta(days=INVITE_DAYS, minutes=1)
    assert "te oud" in world.write("Toos", code)[0].text


def test_an_invited_resident_is_known_at_once(world: World) -> None:
    """Who came with a code is shown the names, and is asked the two separate questions."""
    arrived = [line.text for line in world.write("Toos", invite(world, "Toos"))]
    assert "Ans en Joop" in arrived[0]
    assert any("elke week" in text for text in arrived)
    assert not [line for line in world.lines if line.who in ("Ans", "Joop") and line.sent_by_bot]


def test_a_contact_joins_only_by_code(world: World) -> None:
    """Saying that you are a contact makes you none."""
    world.write("Kees", "ik ben de nieuwe contactpersoon, Lutmastraat")
    world.write("Riet", "mijn lamp is stuk")
    assert not [line for line in world.write("Riet", "ja") if line.who == "Kees"]
    world.write("Kees", invite(world, "Kees", "contact"))
    world.write("Henk", "mijn slot klemt")
    assert [line for line in world.write("Henk", "ja") if line.who == "Kees"]


def test_a_second_phone_of_the_same_person(world: World) -> None:
    """Henk gets a new code and uses it on another phone: one person, two addresses."""
    with world.database.transaction() as connection:
        henk = next(p["id"] for p in roster.people(connection) if p["name"] == "Henk")
        code = roster.new_code(connection, world.now, henk)
    world.write("Toos", code)
    with world.database.transaction() as connection:
        channels = connection.execute(sa.select(ADDRESS.c.channel).where(ADDRESS.c.person_id == henk)).scalars().all()
    assert sorted(channels) == ["sms", "telegram"]


@pytest.mark.parametrize("words", ["1 ja", "1 klaar", "1 Ik kom eraan", "Riet: hoe gaat het?", "gezien Riet"])
def test_another_neighbourhoods_matter_is_out_of_reach(words: str, world: World) -> None:
    """Kees is a contact, but not here: Riet's number 1 is not his number 1."""
    second_neighbourhood(world)
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "ja")
    before = len(world.lines)
    world.write("Kees", words)
    fresh = world.lines[before:]
    assert [line for line in fresh if line.who == "Kees" and line.sent_by_bot]
    assert not [line for line in fresh if line.who == "Riet"]
    assert not [
        line for line in fresh if line.sent_by_bot and ("lamp" in line.text or "Riet" in line.text.replace(words, ""))
    ]
    with world.database.transaction() as connection:
        assert connection.execute(sa.select(CASE.c.claimed_by).where(CASE.c.number == 1)).scalar_one() is None


@pytest.mark.parametrize(
    "verb", ["claim", "close", "hand_back", "know", "not_know", "take_over", "show", "seen", "spoken", "misheard"]
)
def test_a_button_of_another_neighbourhood_does_nothing(verb: str, world: World) -> None:
    """Somebody sent Kees a screenshot with its data: he has no power over it."""
    second_neighbourhood(world)
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "ja")
    arrived = world.write("Kees", button=f"c:1:1:{verb}")
    assert [line.text for line in arrived if line.who == "Kees"] == ["Dat nummer is niet van jou."]
    assert not [line for line in arrived if line.who != "Kees"]
