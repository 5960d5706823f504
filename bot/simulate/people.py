"""What pretend people do: begin something by themselves, and react to what arrives on their phone. All chance is handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from bot.simulate.town import Neighbour, Town, sentences

ZONE = ZoneInfo("Europe/Amsterdam")
MATTER = frozenset({"ask", "ask_timed", "ask_when", "ask_other"})  # words that must reach a human once agreed
LIGHT = frozenset(
    {
        "thanks",
        "greeting",
        "good",
        "stop",
        "start",
        "yes",
        "no",
        "talk_back",
        "chat",
        "order",
        "strange",
        "never_mind",
        "pick",
    }
)
"""Words after which silence of the bot is no loss: nothing was asked of anybody."""


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody writes, presses or speaks at a moment. `sense` is what they mean; `text` of a press says the same in words."""

    at: datetime
    who: Neighbour
    text: str = ""
    sense: str = ""
    button: str = ""
    reply_to: str = ""
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message on somebody's phone: which text it is, its words, its choices and the network's name for it."""

    key: str
    text: str
    choices: tuple[tuple[str, str], ...]
    provider_id: str
    kind: str
    case: tuple[int, int] | None


class People:
    """Everybody's mind. Draws from one Random, in the order of events, so that a seed is one history."""

    def __init__(self, chance: Random, town: Town) -> None:
        self._chance, self._town = chance, town
        words = sentences()
        self._resident: Mapping[str, Any] = words["resident"]
        self._contact: Mapping[str, Any] = words["contact"]
        self.calm = False

    # --- what people begin by themselves ---

    def arrive(self, now: datetime) -> list[Act]:
        """Everybody's first message: the invited within three days, strangers some time in the first weeks."""
        acts: list[Act] = []
        for who in self._town.people:
            if who.role == "stranger":
                at = self._by_day(now + timedelta(days=self._chance.uniform(3, 25)))
                acts.append(self._says(who, at, "first"))
            else:
                first = 0.02 if who.helps else 3
                at = now + timedelta(days=self._chance.uniform(0.001, first))
                acts.append(Act(at if who.helps else self._by_day(at), who, who.code, "code"))
        return acts

    def day(self, now: datetime) -> list[Act]:
        """What everybody begins within the next 24 hours; nothing once all is calm."""
        if self.calm:
            return []
        acts: list[Act] = []
        for who in self._town.people:
            if not who.joined:
                continue
            acts += self._contact_day(who, now) if who.helps else self._resident_day(who, now)
        return acts

    def _resident_day(self, who: Neighbour, now: datetime) -> list[Act]:
        chance, habits = self._chance, who.habits
        if who.stopped:
            return [self._order(who, self._hour(now), "start")] if chance.random() < 0.05 else []
        acts: list[Act] = []
        begins = (
            (habits.asks, self._asks),
            (habits.offers, lambda w, at: self._says(w, at, "offer")),
            (habits.chats, self._chats),
            (habits.danger, lambda w, at: self._says(w, at, chance.choice(("danger", "hidden_danger")))),
            (habits.pauses, lambda w, at: self._says(w, at, "pause", typo=False)),
            (habits.stops, lambda w, at: self._order(w, at, "stop")),
            (habits.leaves, lambda w, at: self._order(w, at, "forget")),
            (habits.voice, lambda w, at: Act(at, w, "", "voice", kind="voice")),
        )
        for rate, make in begins:
            if chance.random() < rate / 7:
                act = make(who, self._hour(now))
                acts.append(act)
                acts += self._after(act)
        return acts

    def _after(self, act: Act) -> list[Act]:
        """Some send it twice, some send it in pieces."""
        chance, who = self._chance, act.who
        if act.kind != "text" or act.sense in ("stop", "start", "forget", "pause"):
            return []
        soon = act.at + timedelta(seconds=chance.uniform(5, 90))
        if chance.random() < who.habits.doubles:
            return [Act(soon, who, act.text, act.sense)]
        if act.sense.startswith("ask") and chance.random() < 0.15:
            return [self._says(who, soon, "more")]
        return []

    def _asks(self, who: Neighbour, at: datetime) -> Act:
        sense = self._chance.choices(("ask", "ask_timed", "ask_when", "ask_other"), (12, 2, 3, 2))[0]
        return self._says(who, at, sense)

    def _chats(self, who: Neighbour, at: datetime) -> Act:
        sense = self._chance.choice(
            (
                "chat",
                "greeting",
                "strange",
                "question",
                "status",
                "help",
                "privacy",
                "my_data",
                "solved",
                "angry",
                "back",
            )
        )
        return self._says(who, at, sense, typo=False)

    def _contact_day(self, who: Neighbour, now: datetime) -> list[Act]:
        chance = self._chance
        at = self._by_day(self._hour(now))
        neighbours = [p for p in self._town.people if p.hood == who.hood and p.joined and not p.helps]
        if who.role == "coordinator" or not neighbours or chance.random() > 0.12:
            return []
        name = chance.choice(neighbours).name
        sense = chance.choice(
            ("saw", "talk", "behalf", "behalf_known", "open", "mine", "offers", "people", "away", "back")
        )
        return [Act(at, who, self._line(self._contact[sense]).format(name=name), "order")]

    # --- what people do with a message ---

    def react(self, who: Neighbour, now: datetime, message: Arrived) -> list[Act]:
        """What somebody does about a message, sooner, later or not at all."""
        if message.kind in ("unbutton", "media"):
            return []
        if who.role == "coordinator" or who.role == "contact":
            found = self._as_contact(who, now, message)
            if found is not None:
                return found
        return self._as_resident(who, now, message)

    def _as_resident(self, who: Neighbour, now: datetime, message: Arrived) -> list[Act]:
        chance, key = self._chance, message.key
        if self._ends_matter(key):
            who.matter.clear()
        if chance.random() < who.habits.stops / 3:
            return [self._order(who, now + timedelta(seconds=chance.uniform(1, 60)), "stop")]
        forgets = chance.random() > who.habits.answers and not key.startswith(("join.", "welcome."))
        if forgets:
            return []
        at = now + self._delay(who)
        group, _, name = key.partition(".")
        answer: Callable[[], list[Act]] | None = {
            "join": lambda: self._join(who, at, name),
            "welcome": lambda: self._consent(who, at, message, name),
            "help": lambda: self._help(who, at, message, name),
            "offer": lambda: self._words(who, at, message, ("limit",), name),
            "check_in": lambda: self._check_in(who, at, message, name),
            "same": lambda: self._pick(who, at, message, chance.choice(("same", "new"))) if name else [],
            "safety": lambda: self._pick(who, at, message, chance.choice(("yes", "no"))),
            "relay": lambda: [self._says(who, at, "talk_back")] if chance.random() < 0.6 else [],
            "forget": lambda: self._pick(who, at, message, chance.choice(("yes", "yes", "no"))),
            "pause": lambda: self._pick(who, at, message, "yes") if message.choices else [],
        }.get(group)
        if answer is not None:
            return answer()
        return self._pick(who, at, message, "") if any(d.startswith("t:") for _, d in message.choices) else []

    @staticmethod
    def _ends_matter(key: str) -> bool:
        return key.startswith(("safety.", "offer.")) or key in (
            "help.dropped",
            "help.taken_back",
            "help.solved",
            "help.kept",
            "always.stopped",
            "always.forgotten",
        )

    def _join(self, who: Neighbour, at: datetime, name: str) -> list[Act]:
        words = self._resident
        if name.startswith("street"):
            return [Act(at, who, words["street_only"].format(street=who.street), "who")]
        if name.startswith("who"):
            return [Act(at, who, words["who"].format(name=who.name, street=who.street), "who")]
        return []

    def _consent(self, who: Neighbour, at: datetime, message: Arrived, name: str) -> list[Act]:
        if not message.choices:
            return []
        share = who.habits.check_in if name.startswith("check_in") else 0.6
        return self._pick(who, at, message, "yes" if self._chance.random() < share else "no")

    def _help(self, who: Neighbour, at: datetime, message: Arrived, name: str) -> list[Act]:
        chance = self._chance
        if name.startswith("sure"):
            how = chance.choices(
                ("yes", "yes_more", "nameless", "only", "never_mind", "not_yet", "more", "strange", "no"),
                (60, 8, 7, 5, 5, 2, 6, 2, 1),
            )[0]
            if how in ("yes", "nameless", "never_mind", "only") and chance.random() < 0.6:
                return self._pick(who, at, message, how)
            if how == "only":
                contact = next((p.name for p in self._town.people if p.hood == who.hood and p.role == "contact"), "")
                return [Act(at, who, self._resident["only"].format(name=contact), "yes")]
            if how in ("yes_more", "more"):
                return [self._says(who, at, how)]
            return [self._says(who, at, how, typo=how == "strange")]
        if name.startswith("when"):
            return [self._says(who, at, chance.choice(("when", "unsure")), typo=False)]
        if name.startswith("what"):
            return [self._asks(who, at)]
        if name.startswith("other"):
            return self._pick(who, at, message, chance.choice(("yes", "yes", "no")))
        if name in ("closed", "taken") and chance.random() < 0.5:
            return [self._says(who, at, chance.choice(("thanks", "thanks", "more", "ask")))]
        return []

    def _check_in(self, who: Neighbour, at: datetime, message: Arrived, name: str) -> list[Act]:
        chance = self._chance
        if not message.choices:
            return []
        if name.startswith("call"):
            return self._pick(who, at, message, chance.choice(("yes", "no")))
        if chance.random() < who.habits.inside:
            return [self._asks(who, at)]
        mood = chance.choices(("good", "so_so", "bad"), (75, 18, 7))[0]
        if chance.random() < 0.6:
            return self._pick(who, at, message, mood)
        return [self._says(who, at, mood)]

    def _words(self, who: Neighbour, at: datetime, message: Arrived, senses: tuple[str, ...], name: str) -> list[Act]:
        return [self._says(who, at, self._chance.choice(senses), typo=False)] if message.choices else []

    def _pick(self, who: Neighbour, at: datetime, message: Arrived, wish: str) -> list[Act]:
        """Choose by button, by number or in words; an empty wish takes any."""
        choices = [(label, data) for label, data in message.choices if data.startswith("t:")]
        if not choices:
            return []
        names = [data.split(":", 2)[2].partition("=")[0] for _, data in choices]
        place = names.index(wish) if wish in names else self._chance.randrange(len(choices))
        label, data = choices[place]
        sense = "never_mind" if names[place] == "never_mind" else "pick"
        if who.channel == "telegram":
            return [Act(at, who, label, sense, button=data)]
        return [Act(at, who, str(place + 1), sense)]

    # --- contacts and the coordinator ---

    def _as_contact(self, who: Neighbour, now: datetime, message: Arrived) -> list[Act] | None:
        """The reaction to a message about a case; None when it is about something else."""
        chance, key, case = self._chance, message.key, message.case
        if key.startswith("contacts.yours_") and case:
            return self._works_on(who, now, case[1])
        if case is None:
            return None
        if key.startswith("relay."):
            if chance.random() > 0.4:
                return []
            words = self._line(self._contact["relay_plain"])
            return [Act(now + self._delay(who), who, words, "relay", reply_to=message.provider_id)]
        verbs = {data.rsplit(":", 1)[1]: data for _, data in message.choices if data.startswith("c:")}
        if not verbs:
            return []
        verb = self._verb(who, verbs)
        if verb is None:
            return []
        at = now + self._claim_delay(who, key)
        order = self._line(self._contact[verb]).format(n=case[1])
        data = verbs[verb]
        if who.channel == "telegram" and chance.random() < 0.8:
            return [Act(at, who, order, "order", button=data)]
        return [Act(at, who, order, "order")]

    def _verb(self, who: Neighbour, verbs: Mapping[str, str]) -> str | None:
        chance = self._chance
        if "claim" in verbs:
            return "claim" if chance.random() < who.habits.claims else None
        if "know" in verbs:
            return "know" if chance.random() < 0.75 or "not_know" not in verbs else "not_know"
        if "spoken" in verbs or "seen" in verbs:
            if chance.random() > 0.85:
                return None
            wish = chance.choices(("spoken", "seen", "not_reached"), (6, 3, 2))[0]
            return wish if wish in verbs else "seen" if "seen" in verbs else "spoken"
        if "close" in verbs:
            return "close" if chance.random() < 0.7 else None
        return None

    def _works_on(self, who: Neighbour, now: datetime, number: int) -> list[Act]:
        """A taken case: a word to the resident, and in the end done, handed back, or forgotten."""
        chance, habits = self._chance, who.habits
        acts: list[Act] = []
        at = now + timedelta(minutes=chance.uniform(1, 40))
        if chance.random() < 0.7:
            acts.append(Act(at, who, self._line(self._contact["relay"]).format(n=number), "relay"))
        later = at + timedelta(hours=chance.expovariate(1 / 20))
        roll = chance.random()
        if roll < habits.closes:
            acts.append(Act(self._by_day(later), who, self._line(self._contact["close"]).format(n=number), "order"))
        elif roll < habits.closes + habits.hands_back:
            acts.append(Act(self._by_day(later), who, self._contact["hand_back"].format(n=number), "order"))
        return acts

    def _claim_delay(self, who: Neighbour, key: str) -> timedelta:
        """At once, together with the other one (the same round minute), or late."""
        chance = self._chance
        if key.startswith("safety") or "safety" in key:
            return timedelta(minutes=chance.uniform(0.5, 15))
        if chance.random() < who.habits.together:
            return timedelta(minutes=10)
        return timedelta(minutes=chance.expovariate(1 / (15 if chance.random() > who.habits.slow else 400)))

    # --- small parts ---

    def _delay(self, who: Neighbour) -> timedelta:
        mean = 4.0 if self._chance.random() > who.habits.slow else 240.0
        return timedelta(minutes=0.2 + self._chance.expovariate(1 / mean))

    def _hour(self, now: datetime) -> datetime:
        """Some moment of the coming day, mostly when people are awake."""
        if self._chance.random() < 0.04:
            return now + timedelta(hours=self._chance.uniform(0, 24))
        return self._by_day(now + timedelta(hours=self._chance.uniform(0, 24)))

    def _by_day(self, at: datetime) -> datetime:
        local = at.astimezone(ZONE)
        if 7 <= local.hour < 23:
            return at
        morning = datetime.combine(local.date() + timedelta(days=local.hour >= 23), time(8), ZONE)
        return morning.astimezone(at.tzinfo) + timedelta(minutes=self._chance.uniform(0, 240))

    def _line(self, lines: Any) -> str:
        return str(self._chance.choice(lines) if isinstance(lines, list) else lines)

    def _order(self, who: Neighbour, at: datetime, sense: str) -> Act:
        return Act(at, who, self._resident[sense], sense)

    def _says(self, who: Neighbour, at: datetime, sense: str, *, typo: bool = True) -> Act:
        text = self._line(self._resident[sense])
        if typo and self._chance.random() < who.habits.typos:
            text = self._mistyped(text)
        return Act(at, who, text, sense)

    def _mistyped(self, text: str) -> str:
        place = self._chance.randrange(len(text))
        kind = self._chance.choice(("drop", "double", "swap", "capitals"))
        if kind == "capitals":
            return text.upper()
        if kind == "double":
            return text[:place] + text[place] + text[place:]
        if kind == "swap" and place + 1 < len(text):
            return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        return text[:place] + text[place + 1 :] if len(text) > 3 else text
