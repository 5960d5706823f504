"""Making the understanding model again from the corpus: `python -m bot.train` (`--judge` and `--cross` measure it).

Needs scikit-learn, which the running bot does not. The same corpus and word lists give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # scipy ships no types
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from flows.heard import SAFETY
from flows.understand import Reader
from flows.understand.danger import LISTS, Cuts, witnesses
from flows.understand.features import Ids, hashed, notice
from flows.understand.lexicon import Lexicon
from flows.understand.model import BUNDLES, Model
from flows.understand.phrases import Hit, PhraseLists

LOCALE = Path(__file__).resolve().parent.parent / "locales" / "nl"
HELD_OUT = "held_out*.txt"
"""Files that never train: with these it is measured, each by itself."""

INTENTS = [
    "ask_help",
    "offer_help",
    "emergency",
    "crisis",
    "violence",
    "checkin_good",
    "checkin_so_so",
    "checkin_bad",
    "yes",
    "no",
    "stop",
    "pause",
    "cancel",
    "done",
    "status",
    "thanks",
    "call_me_back",
    "delete_my_data",
    "question_about_bot_or_privacy",
    "complaint_or_anger",
    "greet_or_vague",
    "small_talk_or_other",
]
TOPICS = [
    "boodschappen",
    "klusje",
    "tuin",
    "vervoer",
    "gezelschap",
    "zorg_licht",
    "computer_telefoon",
    "administratie",
    "koken_maaltijd",
    "huishouden",
    "huisdier",
    "lenen_spullen",
    "verhuizen_tillen",
    "oppas_kinderen",
    "taal",
    "overig",
]
URGENCIES = ("none", "now", "today", "this_week")
QUESTIONS: dict[str, str] = {
    "": "",
    **tomllib.loads((LOCALE / "corpus" / "questions.toml").read_text(encoding="utf-8")),
}
"""What each context key of the corpus stands for; a context that ends with ? is the question in its own words."""

RAREST = (2, 2, 3)
"""A feature of words, groups, letters must stand in at least so many messages to be learned."""
SHARE = (1.0, 1.0, 1.0)
STRENGTH = {"intent": 0.6, "danger": 0.6, "topics": 0.5, "for_other": 0.3, "urgency": 0.5}


WEAKEST = 6
"""A feature whose weights are all this small (of 127) is left out: it fills the file and changes nothing."""
FOLDS = 5
FALSE_ALARMS = 0.0185
"""Of messages without danger, so many may be taken for sure danger."""
ASKED = 0.07
"""Of messages without danger, at most so many get the one gentle question: asked more often, it would frighten. The
corpus is full of look-alikes; among ordinary messages it is less than half of this."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled message of the corpus, and where it stands."""

    where: str
    intent: str
    topics: tuple[str, ...]
    urgency: str
    for_other: bool
    near_miss: bool
    also: tuple[str, ...]
    context: str
    text: str

    @property
    def question(self) -> str:
        return QUESTIONS.get(self.context, self.context)


def read_corpus(path: Path) -> tuple[list[Example], list[str]]:
    """The legal lines of a corpus file, and for every other line what is wrong with it, by file and line."""
    examples: list[Example] = []
    wrong: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{path.name}:{number}"
        fields = [field.strip() for field in line.split("|", 5)]
        if len(fields) < 6 or not fields[5]:
            wrong.append(f"{where}: six fields expected, {len(fields)} found")
            continue
        intent, topics, urgency, flags, context, text = fields
        named = tuple(topic.strip() for topic in topics.split(",") if topic.strip() not in ("", "-"))
        also = tuple(flag[1:] for flag in flags.split() if flag.startswith("+"))
        strange = [flag for flag in flags.split() if flag not in ("o", "n", "-") and flag[1:] not in INTENTS]
        urgency = "none" if urgency in ("", "-") else urgency
        context = "" if context == "-" else context
        faults = [f"no such intent {name!r}" for name in (intent, *also) if name not in INTENTS]
        faults += [f"no such topic {name!r}" for name in named if name not in TOPICS]
        faults += [f"no such urgency {urgency!r}"] * (urgency not in URGENCIES)
        faults += [f"no such context {context!r}"] * (context not in QUESTIONS and not context.endswith("?"))
        faults += [f"no such flag {flag!r}" for flag in strange]
        if intent in ("ask_help", "offer_help") and not named:
            faults.append("an ask or offer without topic")
        if named and intent not in ("ask_help", "offer_help"):
            faults.append(f"topics on {intent}")
        if faults:
            wrong.append(f"{where}: {'; '.join(faults)}")
            continue
        other, near = "o" in flags.split(), "n" in flags.split()
        examples.append(Example(where, intent, named, urgency, other, near, also, context, text))
    return examples, wrong


def read_all(folder: Path) -> tuple[list[Example], dict[str, list[Example]], list[str]]:
    """Training examples, held-out examples by file, and the bad lines. A held-out text never trains, whoever wrote it."""
    held: dict[str, list[Example]] = {}
    wrong: list[str] = []
    for path in sorted(folder.glob(HELD_OUT)):
        held[path.stem], faults = read_corpus(path)
        wrong += faults
    seen = {(example.text.lower(), example.context) for examples in held.values() for example in examples}
    train: list[Example] = []
    for path in sorted(folder.glob("*.txt")):
        if path.match(HELD_OUT):
            continue
        examples, faults = read_corpus(path)
        wrong += faults
        for example in examples:
            key = (example.text.lower(), example.context)
            if key not in seen:
                seen.add(key)
                train.append(example)
    return train, held, wrong


Scores = dict[str, dict[str, float]]
Bundles = tuple[Ids, Ids, Ids]


def look(examples: Sequence[Example], lexicon: Lexicon) -> list[Bundles]:
    """The hashed features of every example."""
    found: list[Bundles] = []
    for example in examples:
        noticed = notice(example.text, example.question, lexicon)
        found.append((hashed(noticed.words), hashed(noticed.groups), noticed.letters))
    return found


def vocabulary(examples: Sequence[Example], lexicon: Lexicon) -> tuple[str, ...]:
    """The words that stand in enough messages to repair typing errors towards."""
    counted: Counter[str] = Counter()
    for example in examples:
        counted.update(set(notice(example.text, "", lexicon).tokens))
    return tuple(sorted(word for word, count in counted.items() if count >= 3 and len(word) >= 5 and word.isalpha()))


class Space:
    """The features that stand in enough training messages, each with its rarity: the model's columns before weights."""

    def __init__(self, seen: Sequence[Bundles]) -> None:
        self.keys: list[Ids] = []
        self.rarity: list[npt.NDArray[np.float32]] = []
        for bundle, least in enumerate(RAREST):
            keys, counts = np.unique(np.concatenate([ids[bundle] for ids in seen]), return_counts=True)
            enough = counts >= least
            self.keys.append(keys[enough])
            rarity = np.log((1 + len(seen)) / (1 + counts[enough])) + 1
            self.rarity.append(rarity.astype(np.float16).astype(np.float32))

    def matrix(self, seen: Sequence[Bundles]) -> csr_matrix:
        """One row per message, as `Model.active` would see it."""
        parts = []
        for bundle, keys in enumerate(self.keys):
            columns, values, ends = [], [], [0]
            for ids in seen:
                places = np.searchsorted(keys, ids[bundle])
                places[places == len(keys)] = 0
                places = places[keys[places] == ids[bundle]]
                rarity = self.rarity[bundle][places]
                size = float(np.sqrt(rarity @ rarity)) or 1.0
                columns.append(places)
                values.append(rarity * (SHARE[bundle] / size))
                ends.append(ends[-1] + len(places))
            shape = (len(seen), len(keys))
            parts.append(csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape=shape))
        return hstack(parts).tocsr()


@dataclass(frozen=True, slots=True)
class Columns:
    """The weights of every head side by side, before packing."""

    heads: dict[str, tuple[str, ...]]
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    def scores(self, rows: csr_matrix) -> list[Scores]:
        """Every head's scores for every row, in the form `Model.scores` gives."""
        found = []
        for values in (rows @ self.weights + self.bias).tolist():
            start, one = 0, {}
            for head, labels in self.heads.items():
                one[head] = dict(zip(labels, values[start : start + len(labels)], strict=True))
                start += len(labels)
            found.append(one)
        return found


def columns(matrix: csr_matrix, examples: Sequence[Example]) -> Columns:
    """Train every head on these rows."""
    wants = [i for i, e in enumerate(examples) if e.intent in ("ask_help", "offer_help")]
    wanted = matrix[wants]
    danger = [e.intent in SAFETY for e in examples]
    fits: dict[str, list[tuple[Sequence[str], Any]]] = {
        "danger": [(["yes"], _regression("danger", "balanced").fit(matrix, danger))],
        "for_other": [(["yes"], _regression("for_other").fit(matrix, [e.for_other for e in examples]))],
        "intent": [_votes("intent", matrix, [e.intent for e in examples])],
        "topics": [
            ([topic], _votes("topics", wanted, [topic in examples[i].topics for i in wants])[1]) for topic in TOPICS
        ],
        "urgency": [_votes("urgency", wanted, [examples[i].urgency for i in wants])],
    }
    flat = [fitted for parts in fits.values() for _, fitted in parts]
    return Columns(
        heads={head: tuple(label for labels, _ in parts for label in labels) for head, parts in fits.items()},
        weights=np.concatenate([fitted.coef_ for fitted in flat]).T,
        bias=np.concatenate([np.atleast_1d(fitted.intercept_) for fitted in flat]),
    )


def _votes(head: str, matrix: csr_matrix, target: Sequence[Any]) -> tuple[Sequence[str], LinearSVC]:
    fitted = LinearSVC(C=STRENGTH[head], random_state=1).fit(matrix, target)
    return [str(label) for label in fitted.classes_], fitted


def _regression(head: str, balance: str | None = None) -> LogisticRegression:
    return LogisticRegression(C=10 * STRENGTH[head], solver="liblinear", class_weight=balance, random_state=1)


def unseen(matrix: csr_matrix, examples: Sequence[Example]) -> list[Scores]:
    """For every example the scores of heads that were trained without it."""
    fold = np.random.default_rng(1).permutation(len(examples)) % FOLDS
    found: list[Scores] = [{} for _ in examples]
    for part in range(FOLDS):
        known, new = np.flatnonzero(fold != part).tolist(), np.flatnonzero(fold == part).tolist()
        trained = columns(matrix[known], [examples[i] for i in known])
        for i, scores in zip(new, trained.scores(matrix[new]), strict=True):
            found[i] = scores
    return found


def cuts(examples: Sequence[Example], scores: Sequence[Scores], hits: Sequence[Sequence[Hit]]) -> Cuts:
    """Weigh the witnesses of danger, and put the cuts where the allowed false alarms (sure) and misses (likely) are."""
    seen = np.array([witnesses(one, found) for one, found in zip(scores, hits, strict=True)])
    danger = np.array([e.intent in SAFETY for e in examples])
    plain = np.array([danger[i] or not SAFETY & set(e.also) for i, e in enumerate(examples)])
    fitted = LogisticRegression(C=1.0, max_iter=5_000).fit(seen[plain], danger[plain])
    weight = seen @ fitted.coef_[0] + fitted.intercept_[0]
    sure = float(np.quantile(weight[plain & ~danger], 1 - FALSE_ALARMS))
    likely = float(min(np.quantile(weight[~danger], 1 - ASKED), sure))
    weights = tuple(round(float(value), 4) for value in fitted.coef_[0])
    return Cuts(weights, float(fitted.intercept_[0]), likely, sure)


def warmth(examples: Sequence[Example], scores: Sequence[Scores]) -> float:
    """The factor that makes shares of the intent votes come true as often as they say."""
    labels = list(scores[0]["intent"])
    votes = np.array([[one["intent"][label] for label in labels] for one in scores])
    right = np.array([labels.index(e.intent) for e in examples])
    best, least = 1.0, np.inf
    for factor in np.arange(1.0, 8.1, 0.25):
        raised = votes * factor
        top = raised.max(axis=1)
        loss = float(
            np.mean(top + np.log(np.exp(raised - top[:, None]).sum(axis=1)) - raised[np.arange(len(right)), right])
        )
        if loss < least:
            best, least = float(factor), loss
    return best


def fit(examples: Sequence[Example], lexicon: Lexicon, lists: PhraseLists, words: tuple[str, ...]) -> Model:
    """Train every head, decide the cuts on heads that had not seen the message, and pack the weights small.

    `lexicon` must know `words` already.
    """
    seen = look(examples, lexicon)
    space = Space(seen)
    matrix = space.matrix(seen)
    honest = unseen(matrix, examples)
    hits = [lists.hits(notice(e.text, e.question, lexicon).tokens) for e in examples]
    about = {"cuts": asdict(cuts(examples, honest, hits)), "warmth": warmth(examples, honest)}
    return _packed(space, columns(matrix, examples), words, about)


def _packed(
    space: Space,
    trained: Columns,
    words: tuple[str, ...],
    about: dict[str, Any],
) -> Model:
    scale = np.maximum(np.abs(trained.weights).max(axis=0), 1e-9) / 127
    small = np.rint(trained.weights / scale).astype(np.int8)
    strong = np.abs(small).max(axis=1) > WEAKEST
    small, ends = small[strong], np.cumsum([len(keys) for keys in space.keys])[:-1]
    parts = np.split(strong, ends)
    return Model(
        keys=tuple(keys[part] for keys, part in zip(space.keys, parts, strict=True)),
        rarity=tuple(rarity[part] for rarity, part in zip(space.rarity, parts, strict=True)),
        share=SHARE,
        weights=small,
        scale=scale.astype(np.float32),
        bias=trained.bias.astype(np.float32),
        heads=trained.heads,
        vocabulary=words,
        about=about,
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a reader does on labelled messages; the counts are (right, of how many)."""

    macro_f1: float
    accepted: float
    danger_found: tuple[int, int]
    danger_asked: tuple[int, int]
    false_alarms: tuple[int, int]
    false_alarms_near_miss: tuple[int, int]
    stop_found: tuple[int, int]
    false_stops: tuple[int, int]
    topics_f1: float
    clear: tuple[int, int]
    clear_and_right: tuple[int, int]

    def lines(self) -> list[str]:
        """The figures as text, one a line."""
        shown = []
        for name, value in asdict(self).items():
            share = (
                f"{value[0]}/{value[1]} = {value[0] / max(1, value[1]):.3f}"
                if isinstance(value, tuple)
                else f"{value:.3f}"
            )
            shown.append(f"{name:24s} {share}")
        return shown


def judge(examples: Sequence[Example], reader: Reader) -> Figures:
    """Read every example and compare with its label."""
    heard = [reader.read(e.text, e.question) for e in examples]
    pairs = list(zip(examples, heard, strict=True))
    scores = []
    for label in sorted({e.intent for e in examples}):
        both = sum(e.intent == label == h.intent for e, h in pairs)
        either = sum(e.intent == label for e in examples) + sum(h.intent == label for h in heard)
        scores.append(2 * both / either if either else 0.0)
    danger = [(e, h) for e, h in pairs if e.intent in SAFETY]
    calm = [(e, h) for e, h in pairs if e.intent not in SAFETY and not SAFETY & set(e.also)]
    near = [(e, h) for e, h in calm if e.near_miss]
    leaving = [(e, h) for e, h in pairs if e.intent == "stop"]
    staying = [(e, h) for e, h in pairs if e.intent != "stop" and "stop" not in e.also]
    wants = [(set(e.topics), set(h.topics)) for e, h in pairs if e.intent in ("ask_help", "offer_help")]
    shared = sum(len(gold & said) for gold, said in wants)
    named = sum(len(gold) + len(said) for gold, said in wants)
    clear = [(e, h) for e, h in pairs if h.clear]
    accepted = [e.intent == h.intent or h.intent in e.also for e, h in pairs]
    return Figures(
        macro_f1=float(np.mean(scores)),
        accepted=float(np.mean(accepted)),
        danger_found=(sum(h.intent in SAFETY for _, h in danger), len(danger)),
        danger_asked=(sum(h.danger != "" for _, h in danger), len(danger)),
        false_alarms=(sum(h.intent in SAFETY for _, h in calm), len(calm)),
        false_alarms_near_miss=(sum(h.intent in SAFETY for _, h in near), len(near)),
        stop_found=(sum(h.intent == "stop" for _, h in leaving), len(leaving)),
        false_stops=(sum(h.intent == "stop" for _, h in staying), len(staying)),
        topics_f1=2 * shared / max(1, named),
        clear=(len(clear), len(pairs)),
        clear_and_right=(sum(e.intent == h.intent or h.intent in e.also for e, h in clear), len(clear)),
    )


def crossed(train: Sequence[Example]) -> list[str]:
    """The figures of five readers that each learned four fifths of the corpus and read the rest."""
    fold = np.random.default_rng(1).permutation(len(train)) % FOLDS
    shown = []
    for part in range(FOLDS):
        known = [e for e, place in zip(train, fold, strict=True) if place != part]
        new = [e for e, place in zip(train, fold, strict=True) if place == part]
        shown += [f"fold {part + 1}", *judge(new, reader_of(make(known))).lines()]
    return shown


def reader_of(model: Model) -> Reader:
    """A reader around a model that was not saved."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "understanding.model"
        with path.open("wb") as file:
            model.save(file)
        (Path(folder) / "words").symlink_to(LOCALE / "words")
        return Reader.load(Path(folder))


def make(train: Sequence[Example]) -> Model:
    """The model of these examples with the word lists as they are.

    On one thread: sums over several are added up in another order on another number of cores, and a weight rounds differently.
    """
    lexicon = Lexicon(LOCALE / "words")
    words = vocabulary(train, lexicon)
    lexicon.teach(words)
    lists = PhraseLists(LOCALE / "words" / "danger.txt", LISTS, lexicon)
    lexicon.listen_for(lists.words())
    with threadpool_limits(limits=1):
        return fit(train, lexicon, lists, words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on the corpus and write the artefact; 2 if a line of the corpus is bad."""
    parser = argparse.ArgumentParser(prog="python -m bot.train", description="Make the understanding model again.")
    parser.add_argument("--judge", action="store_true", help="also print figures on the held-out part")
    parser.add_argument("--cross", action="store_true", help="also print figures of a five-fold cross validation")
    asked = parser.parse_args(arguments)
    train, held, wrong = read_all(LOCALE / "corpus")
    if wrong:
        sys.stderr.write("\n".join(wrong) + "\n")
        return 2
    model = make(train)
    with (LOCALE / "understanding.model").open("wb") as file:
        model.save(file)
    features = sum(len(keys) for keys in model.keys)
    sys.stderr.write(f"{len(train)} messages, {features} features of {', '.join(BUNDLES)}\n")
    if asked.judge:
        reader = Reader.load(LOCALE)
        for name, examples in held.items():
            sys.stdout.write("\n".join([f"{name}, {len(examples)} messages", *judge(examples, reader).lines()]) + "\n")
    if asked.cross:
        sys.stdout.write("\n".join(crossed(train)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
