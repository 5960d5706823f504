"""`binnenbuurt console`: the pretend neighbourhood in a terminal, where you can be anyone and save the talk.

    Riet> mijn lamp is stuk
    bot aan Riet: "mijn lamp is stuk" Zal ik dit doorgeven aan Ans en Joop? / 1 Ja / 2 Ja, zonder mijn naam / ...
    Riet> Ans: /1
    Ans> /uur
    Ans> /bewaar gesprek.txt

A saved talk is a transcript that the tests can play: the same world, the same first moment, the same words.
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from bot.cast import Actor
from bot.language import LOCALES, in_words
from bot.tryout import stage
from bot.world import Line, World
from storage.inbox import clean

MOST = {"minutes": 600, "hour": 200, "day": 60}  # as far as the clock goes in one order
SPANS = {"minutes": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
MISTAKES_CODE = 2  # what a script gets back when an order of it was wrong

_NAMED = re.compile(r"^(\w+):(?: (.*)|(.*))$", re.DOTALL)
_BUTTON = re.compile(r"^/(\d{1,2})$")


class Mistake(ValueError):
    """An order that cannot be done; the message says why, in the words of the language file."""


def main() -> None:
    """Read orders from standard input until it ends. From a pipe, a mistake makes the exit code 2."""
    words = tomllib.loads((LOCALES / "tryout" / "console.toml").read_text(encoding="utf-8"))
    for stream in (sys.stdin, sys.stdout):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")
    with tempfile.TemporaryDirectory(prefix="binnenbuurt-") as folder:
        console = Console(words, Path(folder), typed=sys.stdin.isatty())
        try:
            mistakes = console.run()
        finally:
            console.close()
    if mistakes and not console.typed:
        raise SystemExit(MISTAKES_CODE)


class Console:
    """One session: who you are now, and the talk so far as transcript lines."""

    def __init__(self, words: dict[str, Any], folder: Path, *, typed: bool) -> None:
        """`words` is console.toml, `folder` holds the database; `typed` means that a person sits at a terminal."""
        self.typed = typed
        self._words, self._folder, self._worlds = words, folder, 0
        self._orders = {word: name for name, word in words["commands"].items()}
        self._begin()

    def _begin(self) -> None:
        self._worlds += 1
        self._world = World.new(f"sqlite:///{self._folder}/{self._worlds}.db", stage.START, stage.EVERYBODY)
        self._me = self._world.actor("Riet")
        self._talk: list[str] = []

    def close(self) -> None:
        """Give the database back."""
        self._world.database.close()

    def run(self) -> int:
        """Follow orders until they end; returns how many were mistakes."""
        mistakes = 0
        self._print(self._words["says"]["hello"])
        try:
            for line in self._lines():
                try:
                    self._follow(line)
                except Mistake as wrong:
                    mistakes += 1
                    self._print(str(wrong), error=True)
        except (EOFError, KeyboardInterrupt):
            if self.typed:
                self._print("")
        return mistakes

    def _lines(self) -> Iterator[str]:
        if not self.typed:
            yield from sys.stdin
        else:
            import readline  # noqa: F401  # gives input() its history and arrow keys

            while True:
                yield input(f"{self._me.name}> ")

    def _follow(self, line: str) -> None:
        """Do what one line says. Raises Mistake, and EOFError for the order to leave."""
        text = line.removeprefix("\ufeff").strip("\r\n")
        if not text.strip():
            return
        named = _NAMED.match(text.lstrip())
        actor = self._find(named[1]) if named else None
        if named and actor:
            self._me = actor
            said = named[2] or named[3] or ""
            pressed = _BUTTON.match(said.strip())
            self._press(int(pressed[1])) if pressed else self._say(said)
        elif text.lstrip().startswith("/"):
            self._order(text.strip())
        else:
            self._say(text)

    def _order(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        pressed = _BUTTON.match(word)
        if pressed:
            return self._press(int(pressed[1]))
        match self._orders.get(word.lower(), ""):
            case "be":
                self._me = self._find(rest) or self._fail(
                    "person", name=rest, names=", ".join(a.name for a in self._world.cast)
                )
                self._tell("now_is", name=self._me.name)
            case "reply":
                self._reply(rest)
            case "voice" | "photo" as kind:
                self._did("sent", self._world.write(self._me.name, kind=kind), kind=self._words["kind"][kind])
            case "minutes" | "hour" | "day" as unit:
                self._wait(unit, rest or "1")
            case "tomorrow":
                self._did("tomorrow", self._world.pass_time(stage.tomorrow(self._world.now) - self._world.now))
            case "tuesday":
                self._did("tuesday", self._world.pass_time(stage.next_tuesday(self._world.now) - self._world.now))
            case "clock":
                self._tell("clock", now=in_words(self._world.now, stage.ZONE))
            case "who":
                for actor in self._world.cast:
                    channel = self._words["channel"][actor.channel]
                    self._tell("who", name=actor.name, role=self._role(actor), channel=channel)
            case "save":
                self._save(rest)
            case "again":
                self.close()
                self._begin()
                self._tell("again")
            case "help":
                self._tell("help")
            case "leave":
                raise EOFError
            case _:
                self._fail("command", word=clean(word)[:40])

    # --- what somebody does on a phone ---

    def _say(self, said: str) -> None:
        text = clean(said.replace(" / ", "\n"))
        self._did("said", self._world.write(self._me.name, text), text=text.replace("\n", " / "))

    def _press(self, number: int) -> None:
        """Press the button with that number on the newest message of theirs that still has living buttons."""
        for line in reversed(self._world.lines):
            alive = line.sent_by_bot and line.row not in self._world.dead_buttons and line.channel == "telegram"
            if line.who == self._me.name and alive and line.buttons:
                if 1 <= number <= len(line.buttons):
                    label = line.buttons[number - 1][0]
                    return self._did("pressed", self._world.press(self._me.name, label), label=label)
                break
        self._fail("button", name=self._me.name, number=number)

    def _reply(self, rest: str) -> None:
        number, _, said = rest.partition(" ")
        if not number.isdecimal():
            self._fail("reply")
        for line in reversed(self._world.lines):
            if line.sent_by_bot and line.who == self._me.name and line.text.startswith(f"{number} "):
                text = clean(said.replace(" / ", "\n"))
                arrived = self._world.write(self._me.name, text, reply_to=line.row)
                return self._did("replied", arrived, number=number, text=text.replace("\n", " / "))
        self._fail("number", name=self._me.name, number=number)

    def _wait(self, unit: str, count: str) -> None:
        if not count.isdecimal() or not 1 <= int(count) <= MOST[unit]:
            self._fail("count", most=MOST[unit])
        self._did(unit, self._world.pass_time(SPANS[unit] * int(count)), count=count)

    def _did(self, how: str, arrived: list[Line], **values: str) -> None:
        """Note what was done and what arrived, as the transcript says it."""
        template = self._words["transcript"][how]
        done = template.format(role=self._role(self._me), name=self._me.name, **values).rstrip()
        lines = [self._line(line) for line in arrived]
        self._talk += [done, *lines]
        for line in lines if self.typed else [done, *lines]:
            self._print(line)
        if self.typed and not lines:
            self._tell("nothing")

    def _line(self, line: Line) -> str:
        buttons = "".join(f" [{label}]" for label, _ in line.buttons) if line.channel == "telegram" else ""
        text = line.text.replace("\n", " / ")
        return str(self._words["transcript"]["bot"].format(name=line.who, text=text, buttons=buttons))

    def _save(self, name: str) -> None:
        if not name:
            self._fail("no_file")
        file = Path(name).expanduser()
        text = "\n".join([self._words["transcript"]["title"], "", *self._talk]) + "\n"
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
        except FileExistsError:
            self._fail("exists", file=name)
        except (OSError, ValueError) as wrong:  # ValueError: a NUL in the name
            self._fail("cannot_write", file=clean(name), why=getattr(wrong, "strerror", None) or wrong)
        self._tell("saved", file=name)

    # --- small things ---

    def _find(self, name: str) -> Actor | None:
        return next((a for a in self._world.cast if a.name.lower() == name.lower()), None)

    def _role(self, actor: Actor) -> str:
        return str(self._words["role"][actor.role])

    def _tell(self, key: str, **values: str) -> None:
        self._print(self._words["says"][key].format(**values).strip("\n"))

    def _fail(self, key: str, **values: object) -> NoReturn:
        raise Mistake(self._words["wrong"][key].format(**values))

    def _print(self, text: str, *, error: bool = False) -> None:
        out = sys.stderr if error else sys.stdout
        out.write(text + "\n")
        out.flush()


if __name__ == "__main__":
    main()
