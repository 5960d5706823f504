"""Joining by one-time code, and the wall between neighbourhoods."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.world import World
from flows.contract import CODES_A_DAY, INVITE_DAYS
from storage import inbox, retention, roster
from storage.expected import expect_number
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


@pytest.mark.parametrize("typed", ["text", "start_code"])
def test_the_own_code_once_more_is_a_greeting(typed: str, world: World) -> None:
    """The link is pressed again, or the code is typed twice: the open question stays, and nothing counts as misheard."""
    code = invite(world, "Kees")
    world.write("Kees", code)
    for n in range(3):
        arrived = sent(
            world, "Kees", f"again-{n}", {"text": code} if typed == "text" else {"text": "", "start_code": code}
        )
        assert arrived == ["Dag Kees. Is er iets? Schrijf het gewoon. Twee woorden is genoeg."]
    assert "Mogen zij dan ook uw woorden lezen?" in world.write("Kees", "ja")[0].text
    unknown = sent(world, "Kees", "unknown", {"text": "", "start_code": "QQQQ2222"})
    assert "ken ik niet" in unknown[0]


def sent(world: World, name: str, number: str, body: dict[str, Any]) -> list[str]:
    """What comes back for a message as a channel stores it."""
    actor = world.actor(name)
    with world.database.transaction() as connection:
        inbox.receive(connection, world.now, actor.channel, number, actor.address, body)
    world.turn.handle_all(world.now)
    return [line.text for line in world.deliver()]


def test_codes_cannot_be_guessed(world: World) -> None:
    """Ten wrong ones a day; after that not even the right one, until the next day. Words of eight letters are no tries."""
    code = invite(world, "Toos")
    for word in ("sleutels", "Mijn sleutels zijn weg"):
        for _ in range(CODES_A_DAY):
            world.write("Kees", word)
    for n in range(CODES_A_DAY):
        assert not any("te veel" in line.text for line in world.write("Kees", f"ABCD234{n % 8 + 2}"))
    refused = world.write("Kees", code)
    assert [line.text for line in refused if line.who == "Kees"] == [
        "Er zijn vandaag te veel verkeerde codes geprobeerd. Vraag uw contactpersoon om een nieuwe. Morgen werkt die hier."
    ]
    assert "Dag Toos" in world.write("Toos", code)[0].text, "whoever the code is for is not held up"
    another = invite(world, "Truus")
    with world.database.transaction() as connection:
        retention.clean(connection, world.now)
    assert "Dag Truus" in world.write("Kees", another)[0].text


def test_a_neighbourhood_fits_in_an_sms(world: World) -> None:
    """Its name is part of the welcome."""
    with world.database.transaction() as connection, pytest.raises(roster.RosterProblem, match="at most 40 letters"):
        roster.add_neighbourhood(connection, "Buurt" * 9, "LANG", [])


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


BESIDE = [
    "mijn code is {}",
    "{} Toos",
    "code: {}.",
    "Hallo, ik ben Toos. Mijn code is {}",
    "de code op mijn kaart is {}!",
]


@pytest.mark.parametrize("spelt", ["whole", "halves", "small"])
@pytest.mark.parametrize("sentence", BESIDE)
def test_a_code_inside_a_sentence_is_seen(sentence: str, spelt: str, world: World) -> None:
    """However it is typed, whoever was invited is let in at once and hears that it is a computer, and who reads along."""
    code = invite(world, "Toos")
    typed = {"whole": code, "halves": f"{code[:4]}-{code[4:]}", "small": code.lower()}[spelt]
    arrived = [line.text for line in world.write("Toos", sentence.format(typed))]
    assert "Dag Toos. Ik ben Binnenbuurt, een computer." in arrived[0]
    assert "Ans en Joop" in arrived[0]
    assert "elke week" in arrived[1]
    assert len(arrived) == 2


@pytest.mark.parametrize("sentence", ["{} mijn lamp is stuk", "Mijn lamp is stuk. Code {}", "mijn lamp\nis stuk\n{}"])
def test_what_she_asks_beside_her_code_is_heard_too(sentence: str, world: World) -> None:
    """First who we are, then her matter; the two questions of the welcome come when that is done."""
    arrived = [line.text for line in world.write("Toos", sentence.format(invite(world, "Toos")))]
    assert arrived[0] == "Dag Toos. Ik ben Binnenbuurt, een computer. Wat u laat doorgeven, gaat naar Ans en Joop."
    assert "Zal ik dit doorgeven aan Ans en Joop?" in arrived[1]
    assert [line for line in world.write("Toos", "ja") if line.who == "Ans" and "is stuk" in line.text]
    assert any("elke week" in line.text for line in world.pass_time(timedelta(hours=1)) if line.who == "Toos")


def test_danger_beside_a_code_comes_first(world: World) -> None:
    """112 before any welcome."""
    arrived = world.write("Toos", f"{invite(world, 'Toos')} help ik ben gevallen en kan niet opstaan")
    assert "112" in next(line for line in arrived if line.who == "Toos").text
    assert any(line.who == "Ans" for line in arrived)


def test_a_spent_code_in_a_sentence_loses_no_word(world: World) -> None:
    """The code is too old; what she asks is kept as any stranger's first words are."""
    code = invite(world, "Toos")
    world.now += timedelta(days=INVITE_DAYS, minutes=1)
    arrived = [line.text for line in world.write("Toos", f"{code} mijn lamp is stuk")]
    assert "te oud" in arrived[0]
    assert "Hoe heet u?" in arrived[1]


def test_who_has_joined_does_not_become_another_by_naming_a_code(world: World) -> None:
    """Ans writes a neighbour what the code is: she stays Ans, and the code stays good."""
    code = invite(world, "Toos")
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "ja")
    world.write("Ans", f"1 geef Toos deze code: {code}")
    assert "1 " in world.write("Ans", "mijn")[0].text
    assert "Dag Toos" in world.write("Toos", code)[0].text


def test_a_sentence_gives_few_tries_at_a_code(world: World) -> None:
    """Somebody who guesses: of all the words in a message only a few are looked up, the ones that look most like a code."""
    code = invite(world, "Toos")
    guesses = " ".join(f"ABCDEF{n:02d}".replace("0", "X").replace("1", "Y") for n in range(22, 40))
    assert "Dag Toos" not in world.write("Kees", f"{guesses} {code}")[0].text
    assert "Dag Toos" in world.write("Toos", f"mevrouw gevraagd: {code}")[0].text


def test_who_was_invited_by_number_hears_first_that_it_is_a_computer(world: World) -> None:
    """`person add --phone`: her first words are as good as the code, and say nothing that she has not agreed to."""
    expected(world, "Toos")
    arrived = [line.text for line in world.write("Toos", "mijn lamp is stuk")]
    assert arrived[0] == "Dag Toos. Ik ben Binnenbuurt, een computer. Wat u laat doorgeven, gaat naar Ans en Joop."
    assert "Zal ik dit doorgeven" in arrived[1]


@pytest.mark.parametrize("words", ["hallo", "dag, Toos hier", "goedemorgen"])
def test_a_greeting_of_who_was_invited_by_number_is_a_welcome(words: str, world: World) -> None:
    """Nothing is asked yet: the whole welcome, at once."""
    expected(world, "Toos")
    arrived = [line.text for line in world.write("Toos", words)]
    assert "een computer" in arrived[0]
    assert "elke week" in arrived[1]


@pytest.mark.parametrize("words", ["STOP", "stop"])
def test_a_stop_of_who_was_invited_by_number_is_a_stop(words: str, world: World) -> None:
    """No welcome for who wants none."""
    expected(world, "Toos")
    arrived = [line.text for line in world.write("Toos", words)]
    assert len(arrived) == 1
    assert "computer" not in arrived[0]
    assert not [line for line in world.pass_time(timedelta(days=2)) if line.who == "Toos"]


def expected(world: World, name: str) -> None:
    """Somebody who was added by number."""
    with world.database.transaction() as connection:
        hood = roster.neighbourhood_by_code(connection, "LUTMA")["id"]
        person = roster.add_person(connection, world.now, name, hood)[0]
        expect_number(connection, world.now, person, world.actor(name).address)


@pytest.mark.parametrize("words", ["code: lutma.", "kaartje LUTMA", "mijn code is LUTMA"])
def test_the_word_code_is_nobodys_name(words: str, world: World) -> None:
    """The neighbourhood's code inside a sentence: then only the name is left to ask."""
    assert "Hoe heet u?" in world.write("Toos", words)[0].text


def test_a_name_beside_the_neighbourhoods_code_is_not_asked_again(world: World) -> None:
    """All in one sentence."""
    arrived = world.write("Toos", "hallo, mijn code is lutma en ik ben Toos")
    assert "Welkom, Toos." in next(line for line in arrived if line.who == "Toos").text
