"""Reading messages: floors on the held-out part, danger in six languages, opting out, and laws for any text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.train import INTENTS, LOCALE, TOPICS, URGENCIES, judge, make, read_all, read_corpus
from bot.understand import run
from flows.heard import SAFETY
from flows.understand import PIECE, PIECES, Reader
from flows.understand.features import MOST_WORDS, notice
from flows.understand.lexicon import Lexicon, WordListError
from flows.understand.model import Model, _packed, _unpacked
from flows.understand.normalise import HEAD, TAIL, both_ends, fold, stems, tokens

READER = Reader.load(LOCALE)
NOW = datetime(2026, 3, 24, 14, 30, tzinfo=ZoneInfo("Europe/Amsterdam"))
CORPUS = LOCALE / "corpus"
CHECK_IN = "Hoe gaat het deze week? 1 = goed, 2 = gaat wel, 3 = niet zo goed"

DANGER = [
    ("emergency", "mijn man reageert niet meer en hij ademt zo raar"),
    ("emergency", "er is brand in de keuken"),
    ("emergency", "ik lig op de grond en kan niet opstaan"),
    ("emergency", "he is not breathing"),
    ("emergency", "annem bayıldı, ambulans lazım"),
    ("emergency", "mi no man bro"),
    ("emergency", "no por hala rosea, yama ambulans"),
    ("emergency", "kayn cheffar f dar"),
    ("crisis", "ik wil niet meer leven"),
    ("crisis", "I want to die"),
    ("crisis", "artık ölmek istiyorum"),
    ("crisis", "bghit nmout"),
    ("crisis", "mi wani dede"),
    ("crisis", "mi ke muri"),
    ("violence", "mijn man slaat mij"),
    ("violence", "he beats me every night"),
    ("violence", "kocam beni dövüyor"),
    ("violence", "rajli kaydrebni"),
    ("violence", "a e naki mi"),
    ("violence", "mi kasa ta bati mi"),
]

PLAIN = [
    ("emergency", "pijn borst"),
    ("emergency", "Brand in huis!"),
    ("emergency", "er wordt ingebroken"),
    ("emergency", "ambulance nodig snel"),
    ("emergency", "ik heb echt geen lucht"),
    ("crisis", "ik wil echt dood"),
    ("crisis", "ik wil gewoon nu dood"),
    ("crisis", "haha maar ik wil echt dood"),
    ("violence", "ik ben niet veilig thuis"),
    ("violence", "mijn man slaat nu mij"),
    # by ear, as somebody writes who learned Dutch late
    ("emergency", "krijg geen lugt"),
    ("emergency", "ik ben zo benaut"),
    ("emergency", "mn man reageerd niet meer"),
    ("emergency", "het bloet heel erg"),
    ("emergency", "help ik ben gevalen"),
    ("emergency", "stuur een ambulanse"),
    ("crisis", "ik wil doot"),
    ("crisis", "ik maak er een ijnd aan"),
    ("violence", "hij slaad me"),
    ("violence", "je moet met je handen van me af blijven"),
]
"""So few words that only a list can be sure of them, with what people put in between."""

DOUBTFUL = ["ik kan niet meer", "ik wil niet meer", "ben gevallen", "ik stap eruit"]

CALM = [
    "ik ben niet mishandeld",
    "geen hartaanval hoor",
    "er staat een ambulance hier",
    "Joop reageert niet",
    "wie heeft een mes voor mijn tapijt",
    "is er brand?",
    "woord " * 600,
    "ik ben doodmoe maar tevreden",
    "ik lach me dood om die film",
    "we keken naar een film over een zelfmoord",
    "mijn batterij is dood",
    "mijn plant is dood",
    "jullie hebben me enorm uit de brand geholpen",
    "ik schrok me dood van die prijs",
    "die kast is loodzwaar, ik stik van de hitte hier haha",
]

LEAVES = [
    "STOP",
    "stop.",
    "Stop aub",
    "stpo",
    "stoppen graag",
    "schrijf mij maar uit",
    "haal mij van de lijst",
    "unsubscribe",
]

STAYS = [
    ("stop maar met zoeken, het is gelukt", ""),
    ("je kunt stoppen met zoeken, mijn zoon heeft het gedaan", ""),
    ("stop die vraag voor vrijdag maar", "U heeft nog een vraag open staan: boodschappen op vrijdag."),
    ("de stop is doorgeslagen", ""),
    ("de bus stopt hier niet meer", ""),
    ("ik wil stoppen met roken, wie doet er mee", ""),
    ("stap", ""),
    ("kun je even stoppen met de berichten tot na mijn vakantie", ""),
    ("ik stop een briefje in de bus", ""),
]


@pytest.mark.parametrize(("kind", "text"), DANGER)
def test_danger_is_heard_in_every_language(kind: str, text: str) -> None:
    heard = READER.read(text)
    assert heard.danger == "sure"
    assert heard.intent == kind


@pytest.mark.parametrize(("kind", "text"), PLAIN)
def test_danger_in_a_few_plain_words_is_acted_upon(kind: str, text: str) -> None:
    heard = READER.read(text)
    assert (heard.danger, heard.intent) == ("sure", kind)


@pytest.mark.parametrize("text", DOUBTFUL)
def test_what_may_be_danger_is_asked_about(text: str) -> None:
    assert READER.read(text).danger == "likely"


def test_what_answers_our_question_is_no_doubt() -> None:
    assert READER.read("ik hoef niet meer", "Zal ik dit doorgeven aan Ans en Joop?").danger == ""


@pytest.mark.parametrize("text", CALM)
def test_what_sounds_like_danger_is_not_acted_upon(text: str) -> None:
    heard = READER.read(text)
    assert heard.danger != "sure"
    assert heard.intent not in SAFETY


@pytest.mark.parametrize("text", LEAVES)
def test_who_says_stop_leaves(text: str) -> None:
    assert READER.read(text).intent == "stop"


@pytest.mark.parametrize(("text", "question"), STAYS)
def test_nobody_leaves_by_accident(text: str, question: str) -> None:
    assert READER.read(text, question).intent != "stop"


@pytest.mark.parametrize(
    ("text", "question", "intent"),
    [
        ("goed", CHECK_IN, "checkin_good"),
        ("1", CHECK_IN, "checkin_good"),
        ("2", CHECK_IN, "checkin_so_so"),
        ("3", CHECK_IN, "checkin_bad"),
        ("gaat wel", CHECK_IN, "checkin_so_so"),
        ("niet zo best", "Goedemorgen! Hoe gaat het met u vandaag?", "checkin_bad"),
        ("ja graag", "Zal ik dit doorgeven aan Ans en Joop?", "yes"),
        ("doe maar", "Wilt u dat Ans belt?", "yes"),
        ("nee liever niet", "Mag ik uw vraag doorgeven?", "no"),
        ("ja, hij hangt", "Is het gelukt?", "done"),
        ("lamp stuk", "", "ask_help"),
        ("kan iemand mij helpen met de tuin", "", "ask_help"),
        ("ik kan wel iemand helpen met de tuin", "", "offer_help"),
        ("dank je wel lieve mensen", "", "thanks"),
        ("laat maar, het hoeft niet meer", "", "cancel"),
    ],
)
def test_the_question_and_the_roles_decide(text: str, question: str, intent: str) -> None:
    assert READER.read(text, question).intent == intent


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Goedemorgen! Hoe gaat het met u vandaag?", "checkin"),
        (CHECK_IN, "checkin"),
        ("Zal ik dit doorgeven aan Ans en Joop?", "proposal"),
        ("Wilt u dat Ans belt?", "proposal"),
        ("Mag ik uw vraag doorgeven?", "proposal"),
        ("Ik heb iemand gevonden: Ria kan morgen om 10 uur komen. Is dat goed?", "found"),
        ("Is het gelukt?", "solved"),
        ("Wanneer zou het uitkomen?", "when"),
        ("Waar kan ik u mee helpen?", "what"),
        ("Iemand in de buurt zoekt hulp met een boodschap. Kunt u helpen?", "helper"),
        ("Hoe heet u?", "name"),
        ("In welke straat woont u?", "name"),
        ("", ""),
        ("Blauw of groen?", "other"),
    ],
)
def test_every_question_has_its_kind(question: str, kind: str) -> None:
    assert READER.lexicon.kind_of(question) == kind


def test_short_words_are_never_repaired() -> None:
    for word in ("stap", "stip", "step", "nee", "neen"):
        assert READER.lexicon.repair(word) == word
    assert READER.lexicon.repair("boodschapen") == "boodschappen"


def test_words_written_by_ear_are_those_that_sound_so() -> None:
    for written, meant in (
        ("benaut", "benauwd"),
        ("lugt", "lucht"),
        ("ijnd", "eind"),
        ("doot", "dood"),
        ("polisie", "politie"),
    ):
        assert READER.lexicon.repair(written) == meant
    assert READER.lexicon.repair("stap") == "stap", "a word that is known is what it is"


def test_what_is_taught_later_repairs_as_if_it_had_always_been_known() -> None:
    """Training looks at the corpus before it teaches its words; what was noticed then must not be remembered."""
    lexicon = Lexicon(LOCALE / "words")
    assert lexicon.repair("kwibuszaak") == "kwibuszaak"
    lexicon.teach(["kwibuszak"])
    assert lexicon.repair("kwibuszaak") == "kwibuszak"


def test_it_says_why() -> None:
    heard = READER.read("mijn lamp is stuk", why=True)
    assert any("lamp" in reason for reason in heard.why)
    assert READER.read("er is brand", why=True).why[0].startswith("emergency")
    assert READER.read("mijn lamp is stuk").why == ()


def test_topics_belong_to_asks_and_offers_only() -> None:
    assert READER.read("kan iemand mijn hond uitlaten").topics == ("huisdier",)
    assert READER.read("hartelijk dank").topics == ()


def test_urgency_and_moment() -> None:
    heard = READER.read("kan iemand morgen mijn lamp ophangen", now=NOW)
    assert heard.urgency == "this_week"
    assert heard.when is not None
    assert heard.when.start == "2026-03-25T00:00"


def test_danger_in_the_middle_of_a_long_story_is_found() -> None:
    story = "het was een mooie dag in het park en we dronken thee. "
    text = story * 40 + "ik lig nu op de grond en ik krijg geen lucht, help. " + story * 40
    assert READER.read(text).danger


@given(st.text(max_size=400), st.sampled_from(["", CHECK_IN, "Is het gelukt?"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str, question: str) -> None:
    heard = READER.read(text, question, NOW, why=True)
    assert heard.intent in INTENTS
    assert set(heard.topics) <= set(TOPICS)
    assert heard.urgency in URGENCIES
    assert heard.danger in ("", "likely", "sure")
    assert (heard.intent in SAFETY) == (heard.danger == "sure")
    assert (heard.intent in ("ask_help", "offer_help")) == bool(heard.topics)


@given(st.text(alphabet="ab dé?😀.\n'ik", min_size=1, max_size=60))
@settings(max_examples=25, deadline=None)
def test_the_work_for_a_long_text_is_bounded(piece: str) -> None:
    text = (piece * (10_000 // len(piece) + 1))[:10_000]
    # bounded by what is looked at, not by a clock: so many characters, words and pieces and no more
    assert len(both_ends(text)) <= HEAD + TAIL + 3
    assert len(notice(text, "", READER.lexicon).tokens) <= MOST_WORDS
    assert PIECES * PIECE <= 2_000
    READER.read(text, "", NOW)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_folding_leaves_plain_words(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == fold(fold(folded))
    assert all(word == word.lower() for word in tokens(folded, {}))


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", max_size=30))
def test_stems_are_never_longer_by_more_than_a_doubled_vowel(word: str) -> None:
    assert all(3 <= len(stem) <= len(word) + 1 for stem in stems(word))


def test_every_corpus_line_is_legal() -> None:
    _, held, wrong = read_all(CORPUS)
    assert wrong == []
    assert sum(len(examples) for examples in held.values()) > 500


def test_the_corpus_is_large_and_the_held_out_part_never_trains() -> None:
    train, held, _ = read_all(CORPUS)
    assert len(train) >= 4_000
    assert sum(e.intent in SAFETY for e in train) >= 600
    assert sum(e.near_miss and e.intent not in SAFETY for e in train) >= 800
    assert {e.intent for e in train} == set(INTENTS)
    trained = {(e.text.lower(), e.context) for e in train}
    assert not {(e.text.lower(), e.context) for examples in held.values() for e in examples} & trained


def test_a_bad_line_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    lines = [
        "# voice",
        "ask_help | klusje | - |  |  | lamp stuk",
        "ask_help | | - | | | lamp",
        "nope | | x | q | y | hallo",
    ]
    path.write_text("\n".join(lines))
    good, wrong = read_corpus(path)
    assert len(good) == 1
    assert [fault.split(":")[1] for fault in wrong] == ["3", "4"]
    assert "no such intent 'nope'" in wrong[1]


def test_a_bad_word_list_is_named_by_file_and_line(tmp_path: Path) -> None:
    for name in ("shorthand.txt", "concepts.txt", "questions.txt", "roles.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "shorthand.txt").write_text("# x\nmn mijn\n")
    with pytest.raises(WordListError, match=r"shorthand\.txt, line 2"):
        Lexicon(tmp_path)


@pytest.mark.parametrize("name", ["held_out", "held_out_by_another"])
def test_figures_on_the_held_out_part_stay_above_their_floors(name: str) -> None:
    figures = judge(read_all(CORPUS)[1][name], READER)
    assert figures.macro_f1 >= 0.84
    assert figures.danger_found[0] >= 0.87 * figures.danger_found[1]
    assert figures.danger_asked[0] >= 0.94 * figures.danger_asked[1]
    assert figures.false_alarms[0] <= 0.02 * figures.false_alarms[1]
    assert figures.false_alarms_near_miss[0] <= 0.04 * figures.false_alarms_near_miss[1]
    assert figures.false_stops[0] == 0
    assert figures.topics_f1 >= 0.77


def test_the_artefact_is_small() -> None:
    assert (LOCALE / "understanding.model").stat().st_size < 5_000_000


def test_a_text_that_was_looked_at_is_read_as_the_text_itself() -> None:
    for text in (text for _, text in DANGER):
        looked = READER.look(text)
        for question in (CHECK_IN, ""):
            assert READER.read(looked, question, NOW, why=True) == READER.read(text, question, NOW, why=True)


def test_a_model_that_was_loaded_is_saved_as_it_was(tmp_path: Path) -> None:
    first, again = tmp_path / "first.model", tmp_path / "again.model"
    with first.open("wb") as file:
        READER.model.save(file)
    with again.open("wb") as file:
        Model.load(first).save(file)
    assert first.read_bytes() == again.read_bytes()
    assert (Model.load(again).weights == READER.model.weights).all()


@pytest.mark.parametrize("filled", [0.0, 0.4, 1.0])
def test_weights_come_back_as_they_were(filled: float) -> None:
    random = np.random.default_rng(1)
    for shape in ((1, 1), (7, 11), (4_001, 44)):
        weights = random.integers(-127, 128, shape).astype(np.int8)
        weights[random.random(shape) >= filled] = 0
        assert (_unpacked(*_packed(weights), shape) == weights).all()


def test_reading_needs_no_training_library() -> None:
    code = (
        "import sys; from pathlib import Path; from flows.understand import Reader; "
        f"Reader.load(Path({str(LOCALE)!r})).read('lamp stuk'); "
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=LOCALE.parents[1], check=False).returncode == 0


def test_json_lines_in_and_out_in_order() -> None:
    lines = [
        json.dumps({"text": "kan iemand morgen mijn gras maaien", "context": "", "now": "2026-03-24T14:30"}),
        "",
        json.dumps({"text": "goed", "context": CHECK_IN}),
    ]
    out = StringIO()
    run(lines, out, why=True)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["intent"] == "ask_help"
    assert first["topics"] == ["tuin"]
    assert first["when"] == {"from": "2026-03-25T00:00", "to": "2026-03-26T00:00", "words": "morgen"}
    assert first["why"]
    assert second["intent"] == "checkin_good"


def test_an_hour_is_a_real_hour_when_the_clock_changes() -> None:
    nights = {"2026-03-29T01:30": "2026-03-29T03:30", "2026-10-25T02:30": "2026-10-25T02:30"}
    out = StringIO()
    run([json.dumps({"text": "over een uur", "context": "", "now": now}) for now in nights], out)
    assert [json.loads(line)["when"]["from"] for line in out.getvalue().splitlines()] == list(nights.values())


def test_a_line_that_is_not_an_object_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        run(['{"text": "hallo"}', "nonsense"], StringIO())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    "BINNENBUURT_EVERYTHING" not in os.environ, reason="takes a minute; BINNENBUURT_EVERYTHING=1 runs it"
)
def test_the_same_corpus_gives_the_same_bytes_as_the_stored_model() -> None:
    train, _, _ = read_all(CORPUS)
    made = BytesIO()
    make(train).save(made)
    assert made.getvalue() == (LOCALE / "understanding.model").read_bytes()
