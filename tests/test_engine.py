"""The engine: dialogues that survive a deploy, conflicts that are thought again, messages that are handled once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot import language
from bot.turn import Turn
from bot.world import World
from flows import claims, route
from flows import help as asking
from flows import reach as unreached
from flows.contract import (
    MESSAGES_PER_MINUTE,
    SAME_WORDS_MAX,
    Case,
    Message,
    MoveCase,
    Neighbourhood,
    Person,
    Place,
    Say,
    Scene,
    Talk,
)
from flows.heard import Heard
from flows.talk import Ask, Dialogue, Filled
from storage import due, inbox, reach, roster
from storage.apply import CASE_WORDS, INCOMING, OUTGOING, TALK
from storage.prepared import watched
from storage.scene import ADDRESS, CASE, CONSENT, PERSON, read_scene
from tests.transcript import START


def texts_to(world: World, name: str) -> list[str]:
    """What the bot said to somebody so far."""
    return [line.text for line in world.lines if line.sent_by_bot and line.who == name]


def test_a_question_inserted_by_a_deploy_is_asked_and_the_talk_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Riet was half-way when a new version brought one more question: it is asked, and nothing she said is lost."""
    world.write("Riet", "mijn lamp is stuk")
    extra = Ask("floor", lambda *_: Filled({"floor": True}), says=lambda *_: "help.what")
    longer = replace(asking.HELP, steps=(extra, *asking.HELP.steps))
    monkeypatch.setitem(route.DIALOGUES, "help", longer)
    asked = world.write("Riet", "ja")
    assert [line.text for line in asked] == [language.load_texts().render("help.what", "u", {})]
    after = world.write("Riet", "op de derde verdieping")
    assert any("mijn lamp is stuk" in line.text and line.who == "Ans" for line in after)


def test_a_step_that_a_deploy_took_away_hurts_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bookmark stands at a question that is gone: the next one that is open is asked."""
    world.write("Riet", "kan iemand mij naar het ziekenhuis brengen")
    shorter = replace(asking.HELP, steps=tuple(s for s in asking.HELP.steps if s.step != "when"))
    monkeypatch.setitem(route.DIALOGUES, "help", shorter)
    assert "doorgeven aan Ans en Joop" in world.write("Riet", "dinsdag")[-1].text


def test_a_dialogue_that_is_gone_altogether_lets_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bookmark in a dialogue of another day does not catch her words."""
    with world.database.transaction() as connection:
        person = connection.execute(
            sa.select(inbox.ADDRESS.c.person_id).where(inbox.ADDRESS.c.channel == "sms")
        ).scalar_one()
        connection.execute(
            TALK.insert(),
            {
                "person_id": person,
                "dialogue": "old",
                "step": "x",
                "slots": {},
                "question": "",
                "serial": 4,
                "misses": 0,
                "asked_at": START,
            },
        )
    assert "doorgeven" in world.write("Riet", "mijn lamp is stuk")[-1].text


def test_every_step_can_be_reached_and_has_its_text() -> None:
    """The lists of questions are whole: each step has a text of its own and a name that is not used twice."""
    texts = language.load_texts()
    for dialogue in route.DIALOGUES.values():
        names = [step.step for step in dialogue.steps]
        assert len(names) == len(set(names)), dialogue.name
        for step in dialogue.steps:
            if isinstance(step, Ask) and step.says is None:
                assert f"{dialogue.name}.{step.step}" in texts


def test_the_docstrings_of_the_flows_are_their_conversations() -> None:
    """A flow opens with its transcript."""
    for module in (asking, route.join, route.offer, route.contacts, route.resident, claims, route.always):
        assert "bot aan" in (module.__doc__ or "") or "bot:" in (module.__doc__ or ""), module.__name__


def test_the_same_webhook_twice_is_once(world: World) -> None:
    """A message is unique by channel and id; the second time is a no-op."""
    with world.database.transaction() as connection:
        first = inbox.receive(connection, START, "sms", "SM1", "+31612341234", {"text": "mijn lamp is stuk"})
        again = inbox.receive(connection, START, "sms", "SM1", "+31612341234", {"text": "mijn lamp is stuk"})
    assert (first, again) == (True, False)
    assert world.turn.handle_all(START) == 1


def test_a_conflict_rolls_back_what_would_have_been_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joop is thought to be first, Ans was: nothing Joop's lost turn said survives, and he hears who has it."""
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "ja")
    thought: list[int] = []
    real = route.route

    def late(scene: Scene, heard: Heard) -> list[object]:
        effects = real(scene, heard)
        thought.append(len(effects))
        if (
            len(thought) == 1
        ):  # between Joop's reading and writing, Ans's claim is committed in his own transaction's stead
            stolen = [e if not isinstance(e, MoveCase) else replace(e, from_state="never") for e in effects]
            return list(stolen)
        return list(effects)

    monkeypatch.setattr(route, "route", late)
    world.write("Joop", "1 ja")
    assert len(thought) == 2
    assert texts_to(world, "Riet").count("Joop pakt het op. U kunt hier gewoon terugschrijven.") == 1


@pytest.mark.slow
def test_two_contacts_claim_at_once_a_hundred_times(new_world: Callable[..., World], tmp_path: Path) -> None:
    """Two threads, one file, a hundred cases: each has one winner, who is told, and one who hears who was first."""
    world = new_world()
    contacts = ("1001", "1002")
    for number in range(1, 101):
        world.write("Ans", "namens mevrouw De Vries: mijn lamp is stuk")
        barrier = threading.Barrier(2)
        turns = [Turn(world.database, language.load_ears(), language.load_texts()) for _ in contacts]
        with world.database.transaction() as connection:
            for address in contacts:
                inbox.receive(
                    connection, world.now, "telegram", f"race{number}-{address}", address, {"text": f"{number} ja"}
                )

        def race(turn: Turn, gate: threading.Barrier = barrier) -> None:
            gate.wait()
            while turn.handle_next(world.now):
                pass

        threads = [threading.Thread(target=race, args=(turn,)) for turn in turns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world.deliver()
        with world.database.transaction() as connection:
            case = connection.execute(sa.select(CASE).where(CASE.c.number == number)).mappings().one()
            assert case["state"] == "claimed"
        won = [line for line in world.lines if line.text.startswith(f"{number} is van jou")]
        lost = [line for line in world.lines if f"was je net voor met {number}." in line.text]
        assert (len(won), len(lost)) == (1, 1)
        world.write(won[0].who, f"{number} klaar")
        world.pass_time(timedelta(hours=1))
        world.lines.clear()


def test_a_message_that_breaks_us_goes_to_a_human(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own fault, three times: the contacts read her words as they are, and she is told so."""

    def broken(_scene: Scene, _heard: Heard) -> list[object]:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(route, "route", broken)
    arrived = world.write("Riet", "mijn lamp is stuk")
    assert any(line.who == "Ans" and "mijn lamp is stuk" in line.text for line in arrived)
    assert any(line.who == "Riet" and "Een mens leest ze" in line.text for line in arrived)
    with world.database.transaction() as connection:
        assert not connection.execute(sa.select(INCOMING.c.id).where(INCOMING.c.handled_at.is_(None))).all()


def test_two_ticks_climb_a_rung_once(world: World) -> None:
    """Two clocks see the same due date; the contacts are reminded once."""
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "ja")
    later = world.now + timedelta(hours=3, minutes=1)
    assert (world.turn.tick(later), world.turn.tick(later)) == (1, 0)
    with world.database.transaction() as connection:
        assert (
            connection.execute(
                sa.select(sa.func.count()).select_from(OUTGOING).where(OUTGOING.c.state == "waiting")
            ).scalar()
            == 2
        )


def test_flows_do_not_change_what_they_get() -> None:
    """The same pure function on the same scene says the same, so a turn may be thought again."""
    from flows.talk import begin

    dialogue = Dialogue("help", asking.HELP.steps, asking.not_heard)
    scene = Scene(START, Person(1, "Riet"), Message("lamp"), talk=Talk("help", "sure", {}, "", 1, START))
    slots = {"words": "lamp"}
    assert begin(dialogue, scene, slots) == begin(dialogue, scene, slots)
    assert slots == {"words": "lamp"}


def test_what_even_a_human_cannot_be_told_does_not_block_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything fails on one message: it is left lying, later ones go on, and the next start tries it again."""
    real = route.route

    def broken(_scene: Scene, _heard: Heard | None = None) -> list[object]:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(route, "route", broken)
    monkeypatch.setattr(route, "broken", broken)
    world.write("Riet", "mijn lamp is stuk")
    monkeypatch.setattr(route, "route", real)
    assert "ladder" in world.write("Henk", "ik zoek een ladder")[-1].text
    assert "radio" in world.write("Riet", "mijn radio is stuk")[-1].text
    with world.database.transaction() as connection:
        assert inbox.try_again(connection) == 1
    world.turn.handle_all(world.now)
    assert (
        any("lamp" in line.text for line in world.deliver() if line.who == "Riet")
        or world.turn.handle_all(world.now) == 0
    )


def test_what_happens_every_minute_or_with_every_message_reads_by_index(world: World) -> None:
    """A query that passes by everybody would be slow only in a large town, where nobody could mend it quickly."""
    seen: dict[str, Any] = {}

    for text in ("mijn lamp is stuk", "ja"):
        world.write("Riet", text)
    with watched(world.database.engine, seen.setdefault):
        world.write("Ans", "1 ja")
        world.write("Riet", "dank u")
        world.write("Mia", "open")
        world.tick()
    with world.database.engine.connect() as connection:
        plans = {
            f"{statement}: {step[3]}"
            for statement, parameters in seen.items()
            if statement.startswith("SELECT")
            and "outgoing" not in statement  # the made-up networks read it their own way
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
        }
    assert len(plans) > 20
    assert [p for p in plans if re.search(r": SCAN \w+$", p)] == []


def test_more_than_anybody_types_is_kept_and_answered_once(world: World) -> None:
    """A flood of one sender: told once, no word lost, nobody else bothered; danger and STOP are heard all the same."""
    paced = Turn(world.database, language.load_ears(), language.load_texts())
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "ja")
    world.turn = paced
    said = [len(world.write("Riet", f"stoel {n} wiebelt ook")) for n in range(MESSAGES_PER_MINUTE + 20)]
    assert said[-19:] == [0] * 19
    told = [line.text for line in world.lines if line.who == "Riet" and "veel berichten" in line.text]
    assert len(told) == 1
    with world.database.transaction() as connection:
        kept = {row["words"] for row in connection.execute(sa.select(CASE_WORDS.c.words)).mappings()}
    assert kept >= {f"stoel {n} wiebelt ook" for n in range(MESSAGES_PER_MINUTE + 20)}
    assert "lad" in world.write("Henk", "ik zoek een ladder")[-1].text, "somebody else waits for her"
    assert any(
        "112" in line.text and line.who == "Riet" for line in world.write("Riet", "ik ben gevallen en kan niet op")
    )
    assert any("geen berichten meer" in line.text for line in world.write("Riet", "STOP"))


def test_a_flood_without_a_matter_goes_to_nobody(world: World) -> None:
    """Words past the limit are a draft: shown in GEGEVENS, and with the contacts only after her yes."""
    world.turn = Turn(world.database, language.load_ears(), language.load_texts())
    world.pass_time(timedelta(minutes=2))
    for _ in range(MESSAGES_PER_MINUTE):
        world.write("Riet", button="t:1:ok")
    before = len([line for line in world.lines if line.who in ("Ans", "Joop")])
    world.write("Riet", "mijn lamp is stuk")
    world.write("Riet", "de grote in de gang")
    assert len([line for line in world.lines if line.who in ("Ans", "Joop")]) == before
    world.pass_time(timedelta(minutes=2))
    assert any("lamp is stuk" in line.text for line in world.write("Riet", "GEGEVENS"))
    assert any("lamp is stuk" in line.text and line.who == "Ans" for line in world.write("Riet", "doorgeven"))


def test_a_phone_that_answers_by_itself_is_answered_no_more(world: World) -> None:
    """Each of our answers brings the same words back: after twenty we are silent, and other words are heard again."""
    world.turn = Turn(world.database, language.load_ears(), language.load_texts())
    away = "Ik ben met vakantie en lees dit later."
    answered = []
    for _ in range(SAME_WORDS_MAX + 10):
        world.pass_time(timedelta(seconds=20))
        answered.append(any(line.who == "Riet" for line in world.write("Riet", away)))
    assert answered[-9:] == [False] * 9
    assert any("veel berichten" in line.text for line in world.lines)
    assert world.write("Riet", "mijn lamp is stuk")[-1].who == "Riet"


def test_who_cannot_be_reached_is_not_welcomed_again_and_again(world: World) -> None:
    """Blocked before the welcome: not due at every tick, which many such people would fill; due once they are back."""
    world.tick()
    with world.database.transaction() as connection:
        corrie = roster.add_person(connection, world.now, "Corrie", 1, "resident")[0]
        connection.execute(PERSON.update().where(PERSON.c.id == corrie).values(joined=True, welcome_due=True))

        def gone(state: str | None, stopped: bool = False) -> list[int]:
            """Who is due to be welcomed when that person's address is in this state."""
            at = world.now if stopped else None
            connection.execute(PERSON.update().where(PERSON.c.id == corrie).values(stopped_at=at))
            connection.execute(ADDRESS.delete().where(ADDRESS.c.person_id == corrie))
            if state is not None:
                values = {"person_id": corrie, "channel": "sms", "value_hash": b"c", "last_used_at": world.now}
                connection.execute(ADDRESS.insert(), {**values, "value": "", "state": state})
            return due.welcomes(connection)

        assert (gone(None), gone("blocked"), gone("active", stopped=True)) == ([], [], [])
        assert due.following(connection, world.now) != world.now
        assert gone("active") == [corrie]
        assert due.following(connection, world.now) == world.now


def test_one_damaged_matter_does_not_stop_the_ladders_of_the_others(world: World) -> None:
    """A value that cannot be opened any more: everybody else's matter still climbs, and check-ins still go."""
    for who in ("Riet", "Henk"):
        world.write(who, "mijn lamp is stuk")
        world.write(who, "ja")
    with world.database.transaction() as connection:
        first = connection.execute(sa.select(sa.func.min(CASE.c.id))).scalar_one()
        connection.execute(sa.text('UPDATE "case" SET words = :no WHERE id = :id'), {"no": b"damaged", "id": first})
    said = [line.text for line in world.pass_time(timedelta(hours=4)) if line.who == "Ans"]
    assert any("Henk" in text and "staat nog open" in text for text in said), said


def test_a_flood_of_danger_does_not_bury_the_alarm_of_another(world: World) -> None:
    """Her alarm is told, and sixty messages with it; what comes on top is kept with it and rings no phone."""
    world.turn = Turn(world.database, language.load_ears(), language.load_texts())
    rung = [
        sum(line.who == "Ans" for line in world.write("Riet", f"help ik bloed heel erg {n}"))
        for n in range(MESSAGES_PER_MINUTE + 20)
    ]
    assert sum(rung[:MESSAGES_PER_MINUTE]) >= MESSAGES_PER_MINUTE - 1
    assert sum(rung[MESSAGES_PER_MINUTE + 1 :]) == 0
    assert any(line.who == "Ans" for line in world.write("Henk", "help ik ben gevallen en ik bloed heel erg"))
    with world.database.transaction() as connection:
        kept = {row.words for row in connection.execute(sa.select(CASE_WORDS.c.words))}
    assert f"help ik bloed heel erg {MESSAGES_PER_MINUTE + 19}" in kept


def test_somebody_is_one_and_the_same_in_a_scene(world: World) -> None:
    """Whoever writes is met as herself wherever she stands in it: who is told twice would be somebody else to `in`."""
    with world.database.transaction() as connection:
        mia = connection.execute(sa.select(PERSON.c.id).where(PERSON.c.role == "coordinator")).scalar_one()
        ans = connection.execute(sa.select(PERSON.c.id).where(PERSON.c.role == "contact").limit(1)).scalar_one()
        for person in (mia, ans):
            values = {"person_id": person, "kind": "check_in", "given": True, "text_version": "t", "at": world.now}
            connection.execute(CONSENT.insert(), values)
        scene = read_scene(connection, world.now, mia, Message(""))
        assert scene.coordinators == (scene.person,)
        scene = read_scene(connection, world.now, ans, Message(""))
        assert scene.place is not None
        assert scene.person in scene.place.all_contacts
        assert scene.everybody[ans] == scene.person
        assert scene.person.consents == {"check_in"}


def test_an_alarm_does_not_stand_behind_a_flood(world: World) -> None:
    """Somebody's thousand stored messages are taken in turn with the others' one."""
    with world.database.transaction() as connection:
        for n in range(1_000):
            flood = {"text": f"hallo {n}"}
            inbox.receive(connection, world.now, "telegram", f"flood-{n}", world.actor("Henk").address, flood)
        alarm = {"text": "ik ben gevallen en kan niet meer opstaan"}
        inbox.receive(connection, world.now, "sms", "alarm", world.actor("Riet").address, alarm)
    world.turn.handle_some(world.now)
    world.turn.handle_some(world.now)
    assert any("DRINGEND" in line.text and line.who == "Ans" for line in world.deliver())


def test_a_message_that_missed_the_only_contact_goes_to_the_coordinator() -> None:
    """Nobody else is there: the coordinator hears it at once, except about what only that contact may read."""
    hood = Neighbourhood(1, "Lutmabuurt", "LUTMA")
    ans, joop = Person(2, "Ans", "contact", channels=("sms",)), Person(3, "Joop", "contact", stopped=True)
    mia, riet = Person(4, "Mia", "coordinator", channels=("telegram",)), Person(1, "Riet", channels=("sms",))
    place = Place(hood, (), (ans,), 2, (ans, joop))
    scene = Scene(START, riet, Message(""), place=place, coordinators=(mia,))
    case = Case(1, 1, "help", "open", "mijn lamp", riet)
    told = unreached.not_arrived(scene, case, ans.id, "Ans", "sms", "failed")
    assert [effect.to for effect in told if isinstance(effect, Say)] == [mia.id]
    private = unreached.not_arrived(scene, replace(case, only_contact=ans.id), ans.id, "Ans", "sms", "failed")
    assert not [effect for effect in private if isinstance(effect, Say)]


def test_what_waited_at_the_network_is_no_haste(world: World) -> None:
    """A night's messages that are fetched in one go after an outage of ours are answered, each of them."""
    world.turn = Turn(world.database, language.load_ears(), language.load_texts())
    henk, many = world.actor("Henk").address, MESSAGES_PER_MINUTE + 20
    with world.database.transaction() as connection:
        for n in range(many):
            inbox.receive(
                connection, world.now, "telegram", f"night-{n}", henk, {"text": "hulp", "sent": 1_000 + 30 * n}
            )
    world.turn.handle_all(world.now)
    assert sum(line.who == "Henk" for line in world.deliver()) == many


@pytest.mark.parametrize(("cry", "answer"), [("mijn lamp is stuk", "ja"), ("ik ben gevallen en kan niet opstaan", "")])
def test_nobody_writes_to_a_contact_who_cannot_be_reached_any_more(world: World, cry: str, answer: str) -> None:
    """Ans took it, and her phone takes in nothing more: the others get the matter back, with what Riet writes now."""
    for who, text in (("Riet", cry), ("Riet", answer), ("Ans", "1 ja")):
        if text:
            world.write(who, text)
    with world.database.transaction() as connection:
        ans = sa.select(sa.func.min(PERSON.c.id)).where(PERSON.c.role == "contact")
        its = ADDRESS.c.person_id == ans.scalar_subquery()
        connection.execute(ADDRESS.update().where(its).values(state="blocked"))
    said = [line for line in world.write("Riet", "ik ben na vieren thuis") if line.sent_by_bot]
    told = [line.text for line in said if line.who == "Joop"]
    assert any("Riet" in text for text in told)
    assert any("ik ben na vieren thuis" in text for text in told)
    assert any(line.who == "Riet" for line in said)
    assert any(line.who == "Joop" and "van jou" in line.text for line in world.write("Joop", "1 ja"))


@pytest.mark.parametrize(
    ("answer", "taken", "said"),
    [
        ("ja", "1 ja", {"Joop": "Ans geeft 1 terug", "Riet": "opnieuw"}),
        ("alleen aan Ans", "", {"Riet": "Ans toch niet"}),
    ],
)
def test_the_last_way_to_a_contact_closes_and_what_rests_there_moves_on(
    world: World, answer: str, taken: str, said: dict[str, str]
) -> None:
    """The network says that Ans cannot be reached any more: who waits for her hears it, not after days but now."""
    for who, text in (("Riet", "mijn lamp is stuk"), ("Riet", answer), ("Ans", taken)):
        if text:
            world.write(who, text)
    with world.database.transaction() as connection:
        ans = sa.select(sa.func.min(PERSON.c.id)).where(PERSON.c.role == "contact")
        address = connection.execute(
            sa.select(ADDRESS.c.id).where(ADDRESS.c.person_id == ans.scalar_subquery())
        ).scalar_one()
        reach.close_address(connection, world.turn.texts, world.now, address, "blocked")
    lines = world.deliver()
    for who, text in said.items():
        assert any(line.who == who and text in line.text for line in lines), lines
    assert not any("lamp" in line.text for line in lines if line.who == "Joop" and not taken)


def test_a_contact_whose_phone_works_again_reads_what_waits(world: World) -> None:
    """While nothing reached Ans, something may have been asked: her next word brings what is open, once."""
    for text in ("mijn lamp is stuk", "ja"):
        world.write("Riet", text)
    with world.database.transaction() as connection:
        ans = sa.select(sa.func.min(PERSON.c.id)).where(PERSON.c.role == "contact").scalar_subquery()
        connection.execute(ADDRESS.update().where(ADDRESS.c.person_id == ans).values(state="blocked"))

    def reads(said: str) -> int:
        """How often Ans reads of the lamp after these words."""
        lines = world.write("Ans", said)
        return sum("mijn lamp is stuk" in line.text for line in lines if line.who == "Ans" and line.sent_by_bot)

    assert (reads("wat een weer"), reads("tot morgen")) == (1, 0)
