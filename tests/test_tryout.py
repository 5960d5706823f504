"""`binnenbuurt try` over HTTP and `binnenbuurt console` through a pipe: real processes, the real engine."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.tryout import scenes, stage
from bot.tryout.server import PAGE, PortTaken, serve
from bot.world import World
from tests.transcript import cast_of, line_of, play

pytestmark = pytest.mark.slow  # real processes and real servers

ROOT = Path(__file__).parent.parent
WORDS = ROOT / "locales" / "nl" / "tryout"


@dataclass
class Served:
    """A running `try`: its address, and what a page would do."""

    url: str
    process: subprocess.Popen[str]

    def do(self, what: str, **body: Any) -> httpx.Response:
        """What a control of the page sends."""
        return httpx.post(f"{self.url}/do/{what}", json=body, timeout=60)

    def look(self, since: str = "", until: Callable[[dict[str, Any]], bool] = bool) -> tuple[list[Any], Any, str, int]:
        """What a tab gets from the stream: its lines, the newest state, the last id and how often it began afresh."""
        lines: list[Any] = []
        last, fresh, event = since, 0, ""
        with httpx.stream("GET", f"{self.url}/events", headers={"Last-Event-ID": since}, timeout=30) as stream:
            for row in stream.iter_lines():
                name, _, value = row.partition(": ")
                if name == "id":
                    last = value
                elif name == "event":
                    event = value
                elif name == "data" and event == "fresh":
                    fresh, lines = fresh + 1, []
                elif name == "data" and event == "lines":
                    lines += json.loads(value)
                elif name == "data" and event == "state":
                    state = json.loads(value)
                    if state["ready"] and until(state):
                        return lines, state, last, fresh
        raise AssertionError("the stream ended")


def start(pace: float = 0) -> Served:
    """A process of its own on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from bot.tryout.server import serve; serve(0, False, pace={pace})"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found, "it says its address"
    return Served(found[0], process)


def stop(served: Served) -> int:
    """Ctrl-C; returns the exit code."""
    served.process.send_signal(signal.SIGINT)
    code = served.process.wait(15)
    assert served.process.stdout is not None
    served.process.stdout.close()
    return code


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    """One server for all tests of this file."""
    served = start()
    yield served
    assert stop(served) == 0


@pytest.fixture
def served(shared: Served) -> Served:
    """The server with a fresh neighbourhood."""
    assert shared.do("reset").status_code == 200
    return shared


# --- the page's server ---


def test_a_text_reaches_both_contacts(served: Served) -> None:
    """Somebody types on Riet's phone, and it is live on the others."""
    served.do("write", who="Riet", text="mijn lamp is stuk")
    served.do("write", who="Riet", text="ja")
    lines, state, _, _ = served.look()
    told = {line["who"] for line in lines if line["bot"] and line["text"].startswith("1 Riet vraagt")}
    assert told == {"Ans", "Joop"}
    assert [(c["number"], c["who"], c["state"]) for c in state["cases"]] == [(1, "Riet", "open")]
    assert state["cases"][0]["due"], "the ladder's next step is known"
    riet = next(p for p in state["phones"] if p["name"] == "Riet")
    assert riet["segments"] == sum(line["segments"] for line in lines if line["who"] == "Riet") > 0


def test_a_button_and_a_reply_are_about_that_matter(served: Served) -> None:
    """The button claims, its twin on the other phone dies, and a reply goes to the one who asked."""
    served.do("write", who="Henk", text="mijn lamp is stuk")
    lines, _, _, _ = served.look()
    yes = next(data for line in lines for label, data in line["buttons"] if label == "Ja")
    served.do("write", who="Henk", button=yes)
    lines, _, _, _ = served.look()
    joop = next(line for line in lines if line["who"] == "Joop")
    served.do("write", who="Joop", text="Ik kom zo, Henk", reply_to=joop["row"])
    lines, state, _, _ = served.look()
    assert lines[-1]["who"] == "Henk"
    assert lines[-1]["text"].endswith("Ik kom zo, Henk")
    assert [c["claimed_by"] for c in state["cases"]] == ["Joop"]
    assert joop["row"] in state["dead"]
    assert next(line["reply"] for line in lines if line["text"] == "Ik kom zo, Henk") == joop["text"]


def test_a_tab_that_was_away_gets_what_it_missed_and_no_more(served: Served) -> None:
    """Last-Event-ID is honoured within one neighbourhood; after a reset everything is new."""
    served.do("write", who="Riet", text="mijn lamp is stuk")
    first, _, last, fresh = served.look()
    assert (len(first), fresh) == (2, 1)
    served.do("write", who="Riet", text="ja")
    missed, _, last, fresh = served.look(since=last)
    assert fresh == 0
    assert [line["id"] for line in missed] == sorted({line["id"] for line in missed} - {line["id"] for line in first})
    assert missed[0]["text"] == "ja"
    served.do("reset")
    lines, _, _, fresh = served.look(since=last)
    assert (lines, fresh) == ([], 1)
    assert served.look(since="nonsense.999")[3] == 1
    assert served.look(since="nonsense." + "9" * 5_000)[3] == 1


def test_two_tabs_see_the_same(served: Served) -> None:
    """One writes, both get it."""
    served.do("write", who="Riet", text="mijn lamp is stuk")
    assert served.look()[0] == served.look()[0]


@pytest.mark.parametrize(
    ("to", "day", "clock"),
    [
        ("hour", "dinsdag 24 maart", "11:30"),
        ("tomorrow", "woensdag 25 maart", "10:00"),
        ("tuesday", "dinsdag 31 maart", "10:00"),
    ],
)
def test_the_clock_can_be_pushed(served: Served, to: str, day: str, clock: str) -> None:
    """An hour, tomorrow at ten, next Tuesday at ten."""
    assert served.do("clock", to=to).status_code == 200
    assert served.look()[1]["clock"] == f"{day}, {clock}"


def test_the_ladder_climbs_while_the_clock_runs(served: Served) -> None:
    """Nobody takes it: both are reminded, then Mia hears it and Riet is told."""
    served.do("write", who="Riet", text="mijn lamp is stuk")
    served.do("write", who="Riet", text="ja")
    served.do("clock", to="tomorrow")
    served.do("clock", to="hour")
    lines, state, _, _ = served.look()
    assert any(line["who"] == "Mia" for line in lines)
    assert state["cases"][0]["rung"] >= 2


def test_somebody_new_can_be_added(served: Served) -> None:
    """A number that never wrote; there are two, then no more."""
    assert served.do("write", who="Toos", text="dag").status_code == 400
    assert served.do("phone").status_code == 200
    served.do("write", who="Toos", text="mijn lamp is stuk")
    lines, state, _, _ = served.look()
    assert lines[-1]["who"] == "Toos"
    assert [p["name"] for p in state["phones"]] == ["Riet", "Henk", "Toos", "Ans", "Joop", "Mia"]
    assert served.do("phone").status_code == 200
    assert served.do("phone").status_code == 400


TEENAGER = [
    "",
    " \n ",
    "<script>alert(1)</script><b>vet</b> *ster* [link](http://x)",
    "\u202egnirts sdrawkcab",
    "مرحبا كيف حالك",
    "😀" * 200,
    "nul\u0000hier\u0001",
    "x" * 10_000,
    "\ud800 half",
    "'; DROP TABLE person; --",
    "{name} {0} %s ${x} {{words}}",
    "VERGEET MIJ",
    "99 klaar",
    "STOP",
]


@pytest.mark.parametrize("who", ["Riet", "Henk", "Ans"])
def test_a_bored_teenager_breaks_nothing(served: Served, who: str) -> None:
    """Whatever is typed is taken, and after it the page still works."""
    for text in TEENAGER:
        body = json.dumps({"who": who, "text": text})  # escapes half a pair of an emoji, as a script can
        answer = httpx.post(
            f"{served.url}/do/write", content=body, headers={"Content-Type": "application/json"}, timeout=60
        )
        assert answer.status_code == 200, (text[:20], answer.text)
    lines, state, _, _ = served.look()
    assert len([line for line in lines if not line["bot"]]) == len(TEENAGER)
    assert state["ready"]
    assert not any("\u202e" in line["text"] or "\x00" in line["text"] for line in lines if line["bot"])


BAD = [
    ("write", {"who": "Piet", "text": "dag"}),
    ("write", {"who": 7, "text": ["x"]}),
    ("write", {"who": "Riet", "text": "x" * 30_000}),
    ("write", {"who": "Henk", "button": "c:1:1:claim"}),
    ("write", {"who": "Henk", "button": "t:x"}),
    ("write", {"who": "Henk", "text": "x", "reply_to": 99}),
    ("write", {"who": "Henk", "kind": "bomb"}),
    ("clock", {"to": "yesterday"}),
    ("scene", {"name": "geen"}),
    ("nothing", {}),
]


@pytest.mark.parametrize(("what", "body"), BAD)
def test_what_cannot_be_done_is_said_kindly(served: Served, what: str, body: dict[str, Any]) -> None:
    """One Dutch sentence, and nothing happened."""
    answer = served.do(what, **body)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")
    assert served.look()[0] == []


def test_other_sites_cannot_use_it(served: Served) -> None:
    """A page elsewhere can post plain forms, or point its own name here: both are refused."""
    url = f"{served.url}/do/write"
    form = httpx.post(url, data={"who": "Riet", "text": "dag"})
    assert form.status_code == 400
    plain = httpx.post(url, content='{"who":"Riet","text":"dag"}', headers={"Content-Type": "text/plain"})
    assert plain.status_code == 400
    rebound = httpx.post(url, json={"who": "Riet", "text": "dag"}, headers={"Host": "evil.example"})
    assert rebound.status_code == 400
    for body in ("[]", "no json", '{"who": "Riet", ', "[" * 5000):
        broken = httpx.post(url, content=body, headers={"Content-Type": "application/json"})
        assert broken.status_code == 400
    huge = httpx.post(url, content=b" " * 400_000, headers={"Content-Type": "application/json"})
    assert huge.status_code == 400
    assert served.look()[0] == []


def test_the_page_needs_nothing_from_elsewhere(served: Served) -> None:
    """Every asset is its own, and the browser is told to allow no other."""
    page = httpx.get(served.url)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("", "page.css", "page.js"):
        text = httpx.get(f"{served.url}/{name}").text
        assert not re.findall(r"""(?:src|href|url\(|import)\s*=?\s*["'(]?https?://""", text)
    assert "{{" not in page.text
    for name in ("server.py", "..%2fserver.py", "%2e%2e/show.py", "index.html"):
        assert httpx.get(f"{served.url}/{name}").status_code == 404


def test_every_scene_can_be_played_and_stopped(served: Served) -> None:
    """All of them to their end without pauses; typing on a phone takes a playing scene over."""
    for scene in scenes.load():
        assert served.do("scene", name=scene.name).status_code == 200
        lines, state, _, _ = served.look(until=lambda state: bool(state["scene"]["done"]))
        assert state["scene"]["name"] == scene.name
        assert [line["text"] for line in lines if not line["bot"] and line["text"] == scene.steps[-1].says] or (
            not scene.steps[-1].says
        )
    served.do("stop")
    assert served.look()[1]["scene"]["name"] == ""


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    """Another program listens there."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"{port}"):
            serve(port, open_browser=False)


@pytest.mark.slow
def test_it_leaves_nothing_behind() -> None:
    """Ctrl-C in the middle of a scene, with a tab that looks on: it ends well, and no file is left."""
    served = start(pace=1)
    try:
        served.look()
        process = Path(f"/proc/{served.process.pid}")
        opened = {os.readlink(fd) for fd in (process / "fd").iterdir() if fd.exists()} if process.exists() else set()
        folders = {Path(name).parent.parent for name in opened if name.endswith("pretend.db")}
        assert folders or not process.exists()  # only Linux shows what another process has open
        served.do("scene", name="klein")
        with httpx.stream("GET", f"{served.url}/events", timeout=30) as stream:
            next(stream.iter_lines())
            assert stop(served) == 0
        assert not any(folder.exists() for folder in folders)
    finally:
        served.process.kill()
        served.process.wait()


def test_every_word_of_the_page_is_used() -> None:
    """No text that nobody sees: a volunteer would translate it for nothing."""
    words = tomllib.loads((WORDS / "page.toml").read_text(encoding="utf-8"))
    code = "".join(f.read_text(encoding="utf-8") for f in (*PAGE.iterdir(), *(ROOT / "bot" / "tryout").glob("*.py")))
    looked_up = {"role", "channel", "suggest", "kind", "step", "state", "consent"}  # by what the engine calls it
    for section, texts in words.items():
        if section not in looked_up:
            for key in texts:
                assert re.search(rf"\b{key}\b", code) or key.startswith("is_"), f"[{section}] {key}"


# --- scenes ---


@pytest.mark.parametrize("scene", scenes.load(), ids=lambda scene: scene.name)
def test_a_scene_goes_as_its_captions_say(scene: scenes.Scene, new_world: Callable[..., World]) -> None:
    """Every step is answered, except the ones that are marked as quiet."""
    world = new_world(stage.EVERYBODY)
    for step in scene.steps:
        arrived = scenes.perform(step, world)
        if step.who or step.minutes:
            assert bool(arrived) != step.quiet, step
        assert len(step.caption) <= 120, "a caption is read while it stands there"


@pytest.mark.parametrize(
    ("now", "tomorrow", "tuesday"),
    [
        ("2026-03-24T08:59", "2026-03-25T09:00", "2026-03-24T09:00"),  # a Tuesday, just before ten in Amsterdam
        ("2026-03-24T09:00", "2026-03-25T09:00", "2026-03-31T08:00"),  # ten sharp; summer time begins on the 29th
        ("2026-03-28T23:30", "2026-03-30T08:00", "2026-03-31T08:00"),  # already the 29th there
        ("2026-10-24T12:00", "2026-10-25T09:00", "2026-10-27T09:00"),  # and ends on the 25th
    ],
)
def test_ten_o_clock_is_ten_o_clock_there(now: str, tomorrow: str, tuesday: str) -> None:
    """Across both changes of the clock."""

    def utc(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert stage.tomorrow(utc(now)) == utc(tomorrow)
    assert stage.next_tuesday(utc(now)) == utc(tuesday)


# --- the console ---


def console(orders: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """The console with these orders through a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "bot.console"],
        cwd=ROOT,
        input=orders,
        capture_output=True,
        text=True,
        timeout=60,
        **kwargs,
    )


def test_a_saved_talk_can_be_played(tmp_path: Path, new_world: Callable[..., World]) -> None:
    """What the console keeps is what the tests play, to the letter."""
    file = tmp_path / "gesprek.txt"
    orders = [
        "Riet: mijn lamp is stuk / in de keuken",
        "ja",
        "Ans: /1",
        "/antwoord 1 Ik kom om drie uur",
        "/uur 3",
        "Joop: 1 ja",
        "/morgen",
        "/als henk",
        "/spraak",
        "/1",
        "toos: hallo\u2028<b>wie</b> bent u\x07",
        "/minuten 30",
        "/dag 2",
        "/dinsdag",
        f"/bewaar {file}",
    ]
    done = console("\n".join(orders))
    assert (done.returncode, done.stderr) == (0, "")
    written = file.read_text(encoding="utf-8").splitlines()
    assert play(file, new_world(cast_of(file))) == written
    assert "contact Ans op 1: Ik kom om drie uur" in written
    assert "bewoner Henk (spraakbericht)" in written
    assert "bewoner Henk [Ja]" in written
    assert [line for line in done.stdout.splitlines() if line in written] == [line for line in written[2:] if line]


def test_its_lines_are_the_transcripts_lines(new_world: Callable[..., World], tmp_path: Path) -> None:
    """The console and the tests write a bot's line the same way."""
    from bot.console import Console

    words = tomllib.loads((WORDS / "console.toml").read_text(encoding="utf-8"))
    one = Console(words, tmp_path, typed=False)
    try:
        for line in new_world().write("Henk", "mijn lamp is stuk\nin de gang"):
            assert one._line(line) == line_of(line)
    finally:
        one.close()


WRONG = [
    ("/vlieg", "Het commando /vlieg ken ik niet. Schrijf /hulp voor de lijst."),
    ("/als Piet", "Piet ken ik niet. Er zijn: Ans, Joop, Mia, Henk, Riet, Toos, Kees."),
    ("/als", "ken ik niet"),
    ("/1", "Riet heeft geen knop 1."),
    ("/antwoord", "Schrijf bijvoorbeeld"),
    ("/antwoord 12 dag", "Riet heeft geen bericht over nummer 12."),
    ("/uur duizend", "getal"),
    ("/dag 9999", "getal"),
    ("/uur -1", "getal"),
    ("/uur ²", "getal"),
    ("/bewaar", "waar"),
    ("/bewaar /nergens/x.txt", "kan ik niet schrijven"),
    ("/bewaar a\x00b", "kan ik niet schrijven"),
    ("/\x1b[31m", "ken ik niet"),
]


def test_a_wrong_order_is_one_clear_line() -> None:
    """It says what is wrong, goes on, and tells a script by its exit code."""
    done = console("\n".join(order for order, _ in WRONG) + "\nRiet: mijn lamp is stuk\n")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "bot aan Riet" in done.stdout
    for (_, says), line in zip(WRONG, done.stderr.splitlines(), strict=True):
        assert says in line


def test_the_console_takes_whatever_is_typed() -> None:
    """Bad bytes, a byte order mark, Windows line ends, empty lines and a very long one."""
    typed = (
        b"\xef\xbb\xbfRiet: \xff\xfe lamp\r\n\r\n   \n/als Henk\r\n"
        + b"x" * 10_000
        + b"\nHenk:\n/wie\n/klok\n/hulp\n/opnieuw\n"
    )
    done = subprocess.run([sys.executable, "-m", "bot.console"], cwd=ROOT, input=typed, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_a_person_at_a_terminal_leaves_with_ctrl_d() -> None:
    """A prompt with the name of who you are; Ctrl-D ends it without a word of error."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bot.console"],
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        os.write(ours, b"Ans: hulp\n/vlieg\n\x04")
        out, wrong = process.communicate(timeout=60)
        os.close(ours)
    assert process.returncode == 0
    assert "Ans> " in out
    assert wrong.splitlines() == ["Het commando /vlieg ken ik niet. Schrijf /hulp voor de lijst."]
