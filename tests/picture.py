"""Takes the README's picture of the page: `uv run python -m tests.picture` writes docs/beeld/try.png."""

from __future__ import annotations

import time

from playwright.sync_api import sync_playwright

from tests.test_page import ARGUMENTS, CHROMIUM
from tests.test_tryout import ROOT, start, stop

SIZE = {"width": 1440, "height": 1330}
TALK = (
    {"who": "Henk", "text": "Ik kan wel lampen ophangen"},
    {"who": "Riet", "text": "mijn lamp is stuk"},
    {"who": "Riet", "text": "ja"},
    {"who": "Ans", "button": "c:1:1:claim"},
    {"who": "Ans", "text": "Dag Riet, is drie uur goed?"},
    {"who": "Riet", "text": "o wat fijn. ik zet thee"},
)


def take() -> None:
    """Play a short talk and take the picture when all of it has arrived."""
    served = start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(viewport=SIZE, locale="nl-NL")  # type: ignore[arg-type]  # a TypedDict of this shape
            page.goto(served.url)
            page.wait_for_selector(".phone")
            for step in TALK:
                assert served.do("write", **step).status_code == 200
            time.sleep(1.5)
            (ROOT / "docs" / "beeld").mkdir(parents=True, exist_ok=True)
            page.screenshot(path=ROOT / "docs" / "beeld" / "try.png")
            browser.close()
    finally:
        stop(served)


if __name__ == "__main__":
    take()
