"""Dutch as people text it: from words and the question just asked to what was meant, and who may be in danger."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.heard import SAFETY, Heard
from flows.understand.danger import LISTS as DANGER_LISTS
from flows.understand.danger import Cuts, is_whole, kind_of, verdict, weigh
from flows.understand.features import Noticed, Seen, notice_after, see
from flows.understand.lexicon import Lexicon
from flows.understand.model import Model, Scores
from flows.understand.moments import Moments
from flows.understand.normalise import HEAD, TAIL
from flows.understand.optout import KINDS as LEAVING_KINDS
from flows.understand.optout import asks_to_leave
from flows.understand.phrases import Hit, PhraseLists
from flows.understand.reasons import reasons

CLEAR, MARGIN = 0.40, 0.15
"""A reading is clear from this share of the votes on, if the next one stays this far behind."""

NEVER_BY_VOTE = SAFETY | {"stop"}
"""Intents that have a detector of their own."""

UNEASY = 2.0
"""So little short of likely danger, a message that sounds like leaving may be about leaving life."""

FEW = 5
"""In so few different words only a listed phrase makes danger sure; the same word six hundred times is one."""

PIECE, PIECES = 350, 5
"""The middle of a very long message is searched for danger in pieces of so many characters, at most so many of them."""


def _toml(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Looked:
    """A text taken apart, to be read after one question or another."""

    seen: Seen
    hits: tuple[Hit, ...]


class Reader:
    """Reads messages. Made once, by `Reader.load`, and then used for every message; reading changes nothing."""

    def __init__(self, model: Model, lexicon: Lexicon, lists: PhraseLists, leaving: PhraseLists, words: Path) -> None:
        self.model = model
        self.lexicon = lexicon
        self.lists = lists
        self.leaving = leaving
        self.moments = Moments(_toml(words / "moments.toml"))
        self.time_words: dict[str, tuple[str, float]] = _toml(words / "urgency.toml")
        self.known = frozenset(model.vocabulary)
        cuts = model.about["cuts"]
        self.cuts = Cuts(tuple(cuts["weights"]), cuts["start"], cuts["likely"], cuts["sure"])
        lexicon.teach(model.vocabulary)
        lexicon.listen_for(lists.words())

    @classmethod
    def load(cls, locales_folder: Path) -> Reader:
        """The reader of one language's folder (`locales/nl`). Raises `OSError` or `ValueError` if it is incomplete."""
        model = Model.load(locales_folder / "understanding.model")
        words = locales_folder / "words"
        lexicon = Lexicon(words)
        lists = PhraseLists(words / "danger.txt", DANGER_LISTS, lexicon)
        leaving = PhraseLists(words / "stop.txt", LEAVING_KINDS, lexicon)
        return cls(model, lexicon, lists, leaving, words)

    def look(self, text: str) -> Looked:
        """The part of `read` that does not depend on the question, for a text that is read after more than one."""
        seen = see(text, self.lexicon)
        hits = self.lists.hits(seen.said)
        if seen.typed != seen.said:
            hits += [hit for hit in self.lists.hits(seen.typed) if hit not in hits]
        return Looked(seen, tuple(hits))

    def read(self, text: str | Looked, context: str = "", now: datetime | None = None, *, why: bool = False) -> Heard:
        """What was meant by `text`, `context` being the text of the question just asked ("" if none).

        `now` places moments ("morgen"); without it no moment is looked for. `why` also fills in what decided.
        """
        looked = self.look(text) if isinstance(text, str) else text
        seen, hits = looked.seen, looked.hits
        text = seen.text
        noticed = notice_after(seen, context, self.lexicon)
        active = self.model.active(noticed)
        scores = self.model.scores(active)
        weight = weigh(scores, hits, self.cuts)
        whole = is_whole(noticed.tokens, hits, self.lexicon.roles["beside"])
        danger = verdict(weight, hits, self.cuts, whole=whole, open_question=noticed.kind not in ("", "checkin"))
        if len(text) > HEAD + TAIL and danger != "sure":
            danger, scores, hits = self._middle(text, context, danger, scores, hits)
        if danger == "sure" and len(set(noticed.tokens)) <= FEW and not any(hit.kind in SAFETY for hit in hits):
            danger = "likely"  # votes alone, over a few words: asked once, before two neighbours are alarmed
        if danger == "likely" and not hits and self.known.isdisjoint(noticed.tokens):
            danger = ""  # not one word that we know: letters alone say nothing
        shares = _shares(scores["intent"], self.model.about["warmth"])
        if danger == "sure":
            intent = kind_of(scores, hits, whole=whole)
        elif asks_to_leave(noticed.tokens, scores["intent"], self.leaving, weight > self.cuts.likely - UNEASY):
            intent = "stop"
        else:
            intent = max((label for label in shares if label not in NEVER_BY_VOTE), key=shares.__getitem__)
        best, second = sorted(shares.values())[:-3:-1]
        topics = self._topics(scores) if intent in ("ask_help", "offer_help") else ()
        return Heard(
            text=text,
            intent=intent,
            topics=topics,
            urgency=self._urgency(intent, scores, noticed),
            for_other=scores["for_other"]["yes"] > 0,
            when=self.moments.find(text, now) if now is not None else None,
            clear=danger == "sure" or (shares[intent] >= CLEAR and best - second >= MARGIN and best == shares[intent]),
            danger=danger,
            danger_kind=kind_of(scores, hits, whole=whole) if danger else "",
            why=reasons(self.model, noticed, active, intent, hits) if why else (),
        )

    def _middle(
        self, text: str, context: str, danger: str, scores: Scores, hits: tuple[Hit, ...]
    ) -> tuple[str, Scores, tuple[Hit, ...]]:
        """Danger in the part of a very long message that the reading itself leaves out."""
        middle = text[HEAD:-TAIL]
        step = max(PIECE, len(middle) // PIECES)
        for start in range(0, len(middle), step):
            looked = self.look(middle[start : start + PIECE])
            own = self.model.scores(self.model.active(notice_after(looked.seen, context, self.lexicon)))
            found = looked.hits
            weight = weigh(own, found, self.cuts)
            verdict_here = verdict(weight, found, self.cuts, whole=False, open_question=True)
            if verdict_here == "sure":
                return verdict_here, own, found
            danger = danger or verdict_here
        return danger, scores, hits

    def _topics(self, scores: Scores) -> tuple[str, ...]:
        votes = scores["topics"]
        return tuple(t for t in votes if votes[t] > 0) or (max(votes, key=votes.__getitem__),)

    def _urgency(self, intent: str, scores: Scores, noticed: Noticed) -> str:
        if intent in ("emergency", "crisis"):
            return "now"
        votes = dict(scores["urgency"])
        for group in {name for name, _ in noticed.found}:
            if group in self.time_words:
                label, weight = self.time_words[group]
                votes[label] += weight
        return max(votes, key=votes.__getitem__)


def _shares(scores: dict[str, float], warmth: float) -> dict[str, float]:
    top = max(scores.values())
    raw = {label: math.exp((score - top) * warmth) for label, score in scores.items()}
    total = sum(raw.values())
    return {label: value / total for label, value in raw.items()}
