"""Every sentence the bot can say, held against the rules of docs/design.md: B1, short, GSM-7, u and je, nothing unused."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bot.channels.gsm7 import EXTENSION, is_gsm7, segments
from bot.language import LOCALES, load_texts, read_toml
from flows.contract import T
from flows.texts import TextError, Texts, placeholders

TEXTS = load_texts()
ROOT = Path(__file__).parent.parent
TO_CONTACTS = {"contacts", "ladder", "buttons", "speaker", "sms", "duty", "silence", "outbox"}
TO_CONTACTS_TOO = ("check_in.worry_",)  # texts to contacts that live with the conversation they belong to
BEFORE_WE_MEET = {"telegram"}  # what stands on our card at Telegram, before we know who reads it
"""Files that speak to volunteers, who are always "je"."""
WORD_BUDGET = {"mean": 8.0, "most": 12}
FORBIDDEN = (
    "hulpvrager",
    "cliënt",
    "client",
    "zorgvrager",
    "melding",
    "eenzaam",
    "klik ",
    "gebruiker",
    "niet gereageerd",
    "verplicht",
)
# The longest that usually fills a placeholder. Words of people themselves are cut or go in a message of their own size.
FILLED = {
    "words": "mijn lamp is stuk", "contacts": "Margriet en Joop", "contact": "Margriet", "name": "Margriet", "who": "Margriet",
    "first": "Margriet", "last": "Joop", "number": "112", "coordinator": "Margriet", "street": "Lutmastraat",
    "neighbourhood": "Lutmabuurt", "until": "zondag 29 november", "when": "dinsdag om 3 uur", "topics": "een klusje",
}  # fmt: skip


def filled(template: str) -> str:
    """A text as it usually goes out."""
    return template.format_map({name: FILLED.get(name, "Margriet") for name in placeholders(template)})


def sentences(text: str) -> list[list[str]]:
    """The words of each sentence; a quoted or filled-in part counts as written, a line of a list on its own."""
    bare = re.sub(r'"[^"]*"', "", text)
    parts = re.split(r"(?<=[.?:!])\s+|\n", bare)
    return [words for part in parts if (words := re.findall(r"[\w'-]+", part))]


KEYS = sorted(TEXTS.keys())


@pytest.mark.parametrize("key", KEYS)
def test_a_text_is_sendable_and_short(key: str) -> None:
    """GSM-7, at most two SMS, sentences of at most twelve words, no word that labels a resident."""
    for form in TEXTS.forms(key):
        said = filled(form)
        assert is_gsm7(said), f"{key}: {[c for c in said if not is_gsm7(c)]} costs double"
        assert not set(form.replace("{", "").replace("}", "")) & EXTENSION, f"{key}: a sign that counts twice"
        assert segments(said) <= 2, f"{key}: {segments(said)} SMS"
        longest = max(sentences(said), key=len, default=[])
        assert len(longest) <= WORD_BUDGET["most"], f"{key}: {' '.join(longest)}"
        assert not [w for w in FORBIDDEN if w in said.lower()], key
        assert "!" not in said, f"{key}: no exclamation marks"


def test_sentences_are_short_on_average() -> None:
    """Eight words is the mean over everything the bot says."""
    lengths = [len(s) for key in KEYS for s in sentences(filled(TEXTS.forms(key)[0]))]
    assert sum(lengths) / len(lengths) <= WORD_BUDGET["mean"]


def test_most_texts_fit_one_sms() -> None:
    """Two segments are the exception."""
    double = [key for key in KEYS if segments(filled(TEXTS.forms(key)[0])) > 1]
    assert len(double) <= len(KEYS) * 0.05, double


ABOUT_FORMS = {"always.say_u", "always.say_je"}  # these two name the forms themselves


@pytest.mark.parametrize(
    "key",
    [
        k
        for k in KEYS
        if k.partition(".")[0] not in TO_CONTACTS | BEFORE_WE_MEET
        and k not in ABOUT_FORMS
        and not k.startswith(TO_CONTACTS_TOO)
    ],
)
def test_a_resident_is_spoken_to_as_they_like(key: str) -> None:
    """A text that says u has a je form, and neither form mixes them."""
    u, je = (f" {re.sub(r'[^a-z]+', ' ', form.lower())} " for form in TEXTS.forms(key))
    assert not re.search(r" (je|jij|jou|jouw) ", u), f"{key}: je in the u form"
    assert not re.search(r" (u|uw|uzelf) ", je), f"{key}: u in the je form"


def test_both_forms_want_the_same_placeholders() -> None:
    """Nothing that one form says is missing in the other."""
    for key in KEYS:
        u, je = TEXTS.forms(key)
        assert placeholders(u) == placeholders(je), key


def keys_in_code(*folders: str) -> set[str]:
    """Every string in the code that could name a text, with what f-strings leave open as a wildcard."""
    found: set[str] = set()
    for file in [f for folder in folders for f in ROOT.glob(f"{folder}/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(p.value if isinstance(p, ast.Constant) else "*" for p in node.values))
    return found


def test_every_text_is_used_and_every_key_exists() -> None:
    """No dead text, and no key that would fail in the middle of a talk."""
    from flows.route import DIALOGUES
    from flows.talk import Ask

    code = keys_in_code("flows", "storage", "bot")
    said = {key for key in code if key in TEXTS}
    patterns = [re.compile("^" + re.escape(p).replace(r"\*", r"[\w-]+") + "$") for p in code if "*" in p and "." in p]
    asked = set()
    for dialogue in DIALOGUES.values():
        for step in dialogue.steps:
            if isinstance(step, Ask):
                asked.add(f"{dialogue.name}.{step.step}")
    bases = {k for k in KEYS if k in said | asked or any(p.match(k) for p in patterns)}
    unused = [k for k in KEYS if k not in bases and not any(k.startswith(b + "_") for b in bases)]
    assert not unused, f"never said: {unused}"
    named = {
        k
        for k in keys_in_code("flows")
        if re.fullmatch(r"(help|join|welcome|offer|safety|always|contacts|relay|ladder|topics)\.[a-z_]*[a-z]", k)
    }
    missing = [k for k in named if k not in TEXTS and not any(t.startswith(k + "_") for t in KEYS)]
    assert not missing, f"no such text: {missing}"


def test_a_question_has_all_its_texts() -> None:
    """Each question that is asked again has its `_again`, and a choice its label."""
    for key in KEYS:
        if key.endswith("_again"):
            base = key.removesuffix("_again")
            assert base in TEXTS or any(k.startswith(base + "_") and k != key for k in KEYS), key


def test_a_wrong_placeholder_fails_loudly_with_file_and_key() -> None:
    """A volunteer's slip is found when the text is said, by name."""
    texts = Texts({"help": {"sure": "Zal ik dit doorgeven aan {contact}?"}}, str)
    with pytest.raises(TextError, match=r"locales/nl/help\.toml: sure needs 'contact'"):
        texts.render("help.sure", "u", {"contacts": "Ans"})


def test_a_wrong_text_inside_another_is_named_itself() -> None:
    """The one that holds it is right."""
    texts = Texts({"help": {"sure": "Zal ik dit doorgeven aan {contact}?", "both": "{name} en {other}"}}, str)
    with pytest.raises(TextError, match=r"^locales/nl/help\.toml: both needs 'other'$"):
        texts.render("help.sure", "u", {"contact": T("help.both", {"name": "Ans"})})


def test_an_unknown_text_names_its_file() -> None:
    """A missing key says in which file it should stand."""
    with pytest.raises(TextError, match=r"locales/nl/help\.toml has no text nope"):
        TEXTS.render("help.nope", "u", {})


def test_a_broken_file_names_itself(tmp_path: Path) -> None:
    """A forgotten quote says which file and line."""
    (tmp_path / "help.toml").write_text('sure = "Zal ik dit doorgeven\n', encoding="utf-8")
    with pytest.raises(TextError, match=r"help\.toml: .*line 1"):
        load_texts(folder=tmp_path)


def test_a_text_with_only_one_form_is_refused() -> None:
    """u without je is half a text."""
    with pytest.raises(TextError, match="u and je"):
        Texts({"help": {"sure": {"u": "Wilt u?"}}}, str)


def test_the_orders_on_sms_are_understood() -> None:
    """What an SMS tells a contact to type is what the word lists know."""
    from flows.vocabulary import Vocabulary

    words = Vocabulary(read_toml(LOCALES / "words" / "commands.toml"))
    for verb in ("claim", "know", "not_know"):
        typed = TEXTS.render(f"sms.{verb}", "je", {"number": 12})
        command = words.command(typed, contact=True)
        assert command is not None
        assert (command.verb, command.number) == (verb, 12)


@pytest.mark.parametrize(
    ("text", "calls", "names"),
    [
        ("riet ik kom om 10 uur", {1}, {1}),
        ("voor Riet: ik kom zo", {1}, {1}),
        ("dag mevrouw De Vries, ik kom zo", {3}, {3}),
        ("ik kom voor Riets lamp", set(), {1}),
        ("wil je morgen komen?", set(), set()),
        ("Wil je morgen komen?", set(), set()),
        ("Wil, ik kom morgen", {2}, {2}),
        ("ik vraag het Wil morgen", set(), {2}),
        ("dag mevrouw, ik ben verdrietig", set(), set()),
    ],
)
def test_a_resident_is_named_by_name_and_not_by_a_word(text: str, calls: set[int], names: set[int]) -> None:
    """ "Wil" is a neighbour and a word: only the neighbour has a capital that no sentence gives."""
    from flows.contract import Person
    from flows.vocabulary import Vocabulary

    words = Vocabulary(read_toml(LOCALES / "words" / "commands.toml"))
    people = [Person(i, name) for i, name in enumerate(("Riet", "Wil", "mevrouw De Vries"), 1)]
    assert words.mentions.residents_named(text, people) == (calls, names)
