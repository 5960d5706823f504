"""The process itself: how fast it starts, how much memory it needs, and two of it on one PostgreSQL."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from bot.bench.figure import Figure
from bot.bench.ground import KEY, NOW, conversation, folder, settled
from storage import inbox, roster
from storage.database import Database

_COUNT = itertools.count()
ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 30.0  # seconds for a process to answer
IDLE = 3.0  # seconds of doing nothing before memory is looked at


def measure(seconds: float) -> Iterator[Figure]:
    """Start, memory, and PostgreSQL where its programs are installed."""
    bare_began = time.perf_counter()
    bare = subprocess.run(
        [sys.executable, "-c", "print(open('/proc/self/status').read())"], capture_output=True, text=True, check=True
    )
    floor = (time.perf_counter() - bare_began, _resident(bare.stdout))
    yield Figure("help: until it is printed", _help(), "s", floor[0])
    for command in ("run", "try"):
        with folder() as place:
            yield from _starting(place, command, *floor)
    with _server() as address:
        if address is not None:
            yield from _postgres(address, max(20, int(seconds * 2)))


def _help() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bot", "--help"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _starting(place: Path, command: str, bare_seconds: float, bare_megabytes: float) -> Iterator[Figure]:
    """How soon a command answers after it was typed, and how much memory it holds when nobody asks it anything."""
    port = _free_port()
    environment = {
        "PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "DATA_KEY": base64.b64encode(KEY).decode(),
        "DATABASE_URL": f"sqlite:///{place}/run.db", "PORT": str(port), "TELEGRAM_BOT_TOKEN": "1:bench",
        "TELEGRAM_API_BASE": "http://127.0.0.1:9",
    }  # fmt: skip
    options = ["--no-browser", "--port", str(port)] if command == "try" else []
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", command, *options],
        cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port, "/" if command == "try" else "/health"):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise RuntimeError("the process that is measured did not start")
            time.sleep(0.02)
        yield Figure(f"{command}: until it answers", time.perf_counter() - began, "s", bare_seconds)
        time.sleep(IDLE)
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            yield Figure(f"{command}: memory when idle", _resident(status.read_text()), "MB", bare_megabytes)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _resident(status: str) -> float:
    return next(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmRSS"))


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- PostgreSQL ---


@contextmanager
def _server() -> Iterator[str | None]:
    """A throw-away server of the installed programs; None where there are none or they cannot be started."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: int(f.parent.name))
    programs = Path(found).parent if found else folders[-1] if folders else None
    as_other: list[str] = []
    if os.getuid() == 0:  # it refuses root
        can = shutil.which("setpriv") and subprocess.run(["id", "postgres"], capture_output=True, check=False)
        if not can or can.returncode:
            programs = None
        as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    if programs is None:
        yield None
        return
    place = Path(tempfile.mkdtemp(prefix="binnenbuurt-bench-"))
    place.chmod(0o777)
    data = str(place / "data")
    initdb = [str(programs / "initdb"), "-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8"]
    options = f"-k {place} -c listen_addresses=''"
    control = [str(programs / "pg_ctl"), "-D", data]
    try:
        for command in (initdb, [*control, "-o", options, "-l", str(place / "log"), "-w", "start"]):
            subprocess.run([*as_other, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")
        try:
            yield f"postgresql+psycopg://bench@/{{name}}?host={place}"
        finally:
            stop = [*as_other, *control, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, cwd="/")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _postgres(address: str, conversations: int) -> Iterator[Figure]:
    """Turns per second with one process and with two; they share the messages of many neighbourhoods."""
    alone = _with_processes(address, 1, conversations)
    yield Figure("PostgreSQL: 1 process", alone, "turns per second")
    yield Figure("PostgreSQL: 2 processes", _with_processes(address, 2, conversations), "turns per second", alone)


def _fill(database: Database, conversations: int) -> None:
    """Requests of as many people in as many neighbourhoods, all of them waiting to be understood and answered."""
    words = conversation()
    asks, agrees = words[0][1], words[1][1]
    with database.transaction() as connection:
        for number in range(conversations):
            hood = roster.add_neighbourhood(connection, f"B{number}", f"B{number:03}", ())
            for role, address in (("contact", f"c{number}"), ("resident", f"r{number}")):
                _, code = roster.add_person(connection, NOW, f"N{number}", hood, role)
                inbox.receive(connection, NOW, "telegram", f"{role}{number}", address, {"text": code})
            for text in (asks, agrees, asks, agrees):
                name = f"m{number}-{next(_COUNT)}"
                inbox.receive(connection, NOW, "telegram", name, f"r{number}", {"text": text})
    database.close()


def _with_processes(address: str, count: int, conversations: int) -> float:
    name = f"bench{count}"
    engine = sa.create_engine(address.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    url = address.format(name=name)
    _fill(settled(url), conversations)
    command = [sys.executable, "-m", "bot.bench.worker", url]
    workers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()  # it is ready
    began = time.perf_counter()
    done = 0
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        said, _ = worker.communicate(timeout=120)
        done += int(said)
    return done / (time.perf_counter() - began)
