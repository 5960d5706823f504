"""The real `binnenbuurt run` as a process of its own: started, killed, and asked how it is."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import fields
from pathlib import Path

from bot.settings import Settings
from tests.live import until

KEY = b"a made-up key for made-up people"
ROOT = Path(__file__).parent.parent
STARTED: list[subprocess.Popen[bytes]] = []


def end_all() -> None:
    """Kill what a test left running."""
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.wait(10)


class Bot:
    """One `run`, in a folder without a `.env`."""

    def __init__(self, settings: Settings, folder: Path, *arguments: str) -> None:
        self.settings, self.folder, self.arguments = settings, folder, arguments
        self.log = folder / "log.jsonl"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait` until it answers."""
        given = {f.name.upper(): str(getattr(self.settings, f.name)) for f in fields(Settings)}
        given["DATA_KEY"] = base64.b64encode(KEY).decode()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot", "run", *self.arguments],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
            STARTED.append(self.process)
        if wait:
            until(lambda: self.get("/health")[0] == 200 or self._gone(), 30, "the bot to answer", self.words)
            assert not self._gone(), self.words()

    def _gone(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET; (0, "") when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as wrong:
            return wrong.code, wrong.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> dict[str, bool]:
        """What /ready says."""
        body = self.get("/ready")[1]
        return dict(json.loads(body)) if body else {}

    def kill(self) -> None:
        """SIGKILL: nothing is finished."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self, timeout: float = 40) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def words(self) -> str:
        """All that it logged."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def __enter__(self) -> Bot:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._gone():
            self.kill()
