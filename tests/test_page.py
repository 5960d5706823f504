"""The page of `binnenbuurt try` in a real Chromium, as somebody with a mouse, a keyboard or a small screen meets it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.test_tryout import Served, start, stop

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt install chromium)"),
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    """One server for all tests of this file; scenes play ten times as fast."""
    served = start(pace=0.1)
    yield served
    assert stop(served) == 0


@pytest.fixture
def served(shared: Served) -> Served:
    """The server with a fresh neighbourhood."""
    shared.do("stop")
    shared.do("reset")
    return shared


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; no browser is downloaded."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """The page on a desktop screen. Any error on its console fails the test."""
    yield from _opened(browser, served, DESKTOP)


@pytest.fixture
def small(browser: Browser, served: Served) -> Iterator[Page]:
    """The page on a telephone's screen."""
    yield from _opened(browser, served, PHONE)


def _opened(browser: Browser, served: Served, size: dict[str, int]) -> Iterator[Page]:
    context = browser.new_context(viewport=size, locale="nl-NL")  # type: ignore[arg-type]  # a TypedDict of the same shape
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("dialog", lambda dialog: wrong.append("a dialog opened"))
    tab.goto(served.url)
    expect(tab.locator(".phone")).to_have_count(5)
    yield tab
    context.close()
    assert not [text for text in wrong if "400 (Bad Request)" not in text]  # a refused order is shown, not an error


def write(page: Page, name: str, text: str) -> None:
    """Type on somebody's phone and press Enter."""
    field = page.get_by_role("textbox", name=f"Bericht van {name}")
    field.fill(text)
    field.press("Enter")


def phone(page: Page, name: str):  # type: ignore[no-untyped-def]  # playwright's Locator, said by the name
    """Somebody's phone."""
    return page.get_by_role("article", name=f"Telefoon van {name}")


def test_a_talk_from_lamp_to_thanks(page: Page) -> None:
    """Riet types, Ans presses, they talk, it is done; every phone shows its own side."""
    write(page, "Riet", "mijn lamp is stuk")
    expect(phone(page, "Riet")).to_contain_text("Zal ik dit doorgeven aan Ans en Joop?")
    expect(phone(page, "Riet")).to_contain_text(re.compile(r"1 sms · €\s0,10"))
    write(page, "Riet", "ja")
    phone(page, "Ans").get_by_role("button", name="1 Ik pak dit op").click()
    expect(phone(page, "Joop")).to_contain_text("Ans pakt 1 op")
    expect(phone(page, "Joop").get_by_role("button", name="1 Ik pak dit op")).to_be_disabled()
    expect(page.locator("#matters")).to_contain_text("bij Ans")
    write(page, "Ans", "Dag Riet, is drie uur goed?")
    expect(phone(page, "Riet")).to_contain_text("Ans: Dag Riet, is drie uur goed?")
    phone(page, "Ans").get_by_role("button", name="1 klaar").click()
    expect(page.locator("#matters")).to_contain_text("klaar")
    expect(page.locator("#outbox")).to_contain_text("aan Riet")


def test_replying_to_a_message_names_its_matter(page: Page) -> None:
    """The little arrow beside a message; Escape lets it go again."""
    write(page, "Henk", "mijn lamp is stuk")
    phone(page, "Henk").get_by_role("button", name="Ja", exact=True).click()
    arrow = phone(page, "Joop").get_by_role("button", name="Antwoord hierop")
    arrow.focus()
    page.keyboard.press("Enter")
    expect(phone(page, "Joop").locator(".replying")).to_be_visible()
    page.keyboard.press("Escape")
    expect(phone(page, "Joop").locator(".replying")).to_be_hidden()
    arrow.click()
    write(page, "Joop", "Ik kom zo langs")
    expect(phone(page, "Henk")).to_contain_text("Joop: Ik kom zo langs")
    expect(phone(page, "Joop").locator(".quote")).to_contain_text("Henk vraagt")


def test_voice_and_photo_reach_who_claims(page: Page) -> None:
    """A voice note is not lost; an old telephone has no such buttons."""
    phone(page, "Henk").get_by_role("button", name="Stuur een spraakbericht").click()
    expect(phone(page, "Henk")).to_contain_text("Spraakbericht")
    phone(page, "Henk").get_by_role("button", name="Ja", exact=True).click()
    phone(page, "Ans").get_by_role("button", name="1 Ik pak dit op").click()
    expect(phone(page, "Ans")).to_contain_text("Henk stuurde een spraakbericht")
    expect(phone(page, "Riet").get_by_role("button", name="Stuur een foto")).to_have_count(0)


def test_the_clock_is_pushed_with_a_button(page: Page) -> None:
    """And it is shown as it runs."""
    page.get_by_role("button", name="Morgen 10.00").click()
    expect(page.locator("#clock")).to_contain_text("woensdag 25 maart")
    expect(page.locator("#time")).to_have_text("10:00")


def test_an_unknown_number_joins(page: Page) -> None:
    """Somebody new: in three texts of hers it is with both contacts."""
    page.get_by_role("button", name="Onbekend nummer erbij").click()
    for text in ("mijn lamp is stuk", "Toos, Lutmastraat", "ja"):
        write(page, "Toos", text)
        expect(phone(page, "Toos").locator("li.out").last).to_contain_text(text)
        expect(phone(page, "Toos").locator("li").last).to_have_class("in")
    for name in ("Ans", "Joop"):
        expect(phone(page, name)).to_contain_text("mijn lamp is stuk")
    expect(page.locator("#known")).to_contain_text("nog door niemand herkend")


def test_a_scene_plays_itself_and_can_be_stopped(page: Page) -> None:
    """With captions; the stop button and typing both end it."""
    page.get_by_role("button", name="Iets kleins vragen").click()
    expect(page.locator("#caption")).to_contain_text("Riet is 81")
    expect(page.get_by_role("button", name="Nog een keer")).to_be_visible(timeout=30_000)
    expect(phone(page, "Ans")).to_contain_text("Riet bedankt je")
    page.get_by_role("button", name="Nog een keer").click()
    expect(phone(page, "Riet").locator("li.out")).to_have_count(1, timeout=15_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#caption")).to_be_hidden()
    page.locator("[data-scene=stil]").click()
    expect(page.locator("#caption")).to_be_visible()
    write(page, "Henk", "Ik kan wel lampen ophangen")
    expect(page.locator("#caption")).to_be_hidden()


def test_two_tabs_are_live_and_a_lost_connection_comes_back(page: Page, served: Served) -> None:
    """The second tab follows; a tab that was away gets what it missed, once."""
    other = page.context.new_page()
    other.goto(served.url)
    expect(other.locator(".phone")).to_have_count(5)
    write(page, "Riet", "mijn lamp is stuk")
    expect(phone(other, "Riet").locator("li.out")).to_have_count(1)
    other.context.set_offline(True)
    other.evaluate("stream.close()")
    served.do("write", who="Riet", text="ja")
    other.context.set_offline(False)
    other.evaluate("connect()")
    for tab in (page, other):
        expect(phone(tab, "Riet").locator("li.out")).to_have_count(2)
        expect(phone(tab, "Ans").locator("li.in")).to_have_count(1)


TEENAGER = {
    "html": "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "turned": "\u202egnirts sdrawkcab",
    "arabic": "مرحبا كيف حالك اليوم",
    "emoji": "👨‍👩‍👧‍👦🏳️‍🌈" * 30,
    "nul": "voor\u0000na",
    "long": "x" * 10_000,
    "lines": "\n".join("regel" for _ in range(300)),
    "braces": "{name} {{words}} ${x}",
}


@pytest.mark.parametrize("kind", TEENAGER)
def test_nothing_that_is_typed_breaks_the_page(page: Page, kind: str) -> None:
    """Text stays text, and nothing grows out of its phone."""
    text = TEENAGER[kind]
    for name in ("Riet", "Henk"):
        page.get_by_role("textbox", name=f"Bericht van {name}").evaluate(
            "(field, text) => { field.value = text; }", text
        )
        page.get_by_role("textbox", name=f"Bericht van {name}").press("Enter")
        expect(phone(page, name).locator("li.out")).to_have_count(1)
    assert page.locator(".phone img, .phone script, .backstage img").count() == 0
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room
    for name in ("Riet", "Henk"):
        assert phone(page, name).evaluate("p => p.scrollWidth <= p.clientWidth + 1")
    if kind == "html":
        expect(phone(page, "Henk").locator("li.out .said")).to_have_text(text)
    if kind == "long":
        phone(page, "Henk").get_by_role("button", name="Toon alles").first.click()
        expect(phone(page, "Henk").locator("li.out .said")).to_have_text(text)


def test_an_error_is_shown_kindly(page: Page, served: Served) -> None:
    """A message that is far too long: it says so, and the words are still in the field."""
    text = "x" * 30_000
    field = page.get_by_role("textbox", name="Bericht van Henk")
    field.evaluate("(field, text) => { field.value = text; }", text)
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("te lang")
    expect(field).to_have_value(text)


def test_it_can_be_used_with_the_keyboard_alone(page: Page) -> None:
    """Tab reaches every control, focus is visible, Enter sends and Space presses."""
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "[document.activeElement.getAttribute('aria-label') || document.activeElement.innerText || '',"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        if page.evaluate("document.activeElement === document.body"):
            break  # once around
        assert outline != "none", name
        seen.append(name.strip())
        if name == "Bericht van Riet":
            page.keyboard.type("mijn lamp is stuk")
            page.keyboard.press("Enter")
    expect(phone(page, "Riet").locator("li.out")).to_have_count(1)
    for wanted in ("Een uur later", "Opnieuw beginnen", "Bericht van Riet", "Bericht van Mia", "Stuur een foto"):
        assert wanted in seen, seen
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, textarea')].filter((e) => !e.closest('[aria-hidden]') && !e.hidden"
        " && !(e.getAttribute('aria-label') || e.innerText || e.textContent).trim()).length"
    )
    assert unnamed == 0


def test_on_a_small_screen_there_is_one_phone_at_a_time(small: Page) -> None:
    """Tabs choose the phone, count what arrived elsewhere, and nothing sticks out at the side."""
    assert small.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    write(small, "Riet", "mijn lamp is stuk")
    expect(phone(small, "Riet").locator("li.in")).to_have_count(1)
    write(small, "Riet", "ja")
    tab = small.locator("#tabs").get_by_role("button", name="Ans")
    expect(tab).to_contain_text("1")
    tab.click()
    expect(tab).to_have_attribute("aria-pressed", "true")
    expect(phone(small, "Ans")).to_be_in_viewport(ratio=0.4)
    expect(phone(small, "Riet")).not_to_be_in_viewport(ratio=0.1)
    phone(small, "Ans").get_by_role("button", name="1 Ik pak dit op").click()
    expect(small.locator("#tabs").get_by_role("button", name="Riet")).to_contain_text("1")


def test_whoever_wants_no_motion_gets_none(browser: Browser, served: Served) -> None:
    """The system's own setting is honoured."""
    context = browser.new_context(reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(served.url)
    write(tab, "Riet", "mijn lamp is stuk")
    expect(tab.locator(".phone.sms li.in")).to_have_count(1)
    assert tab.locator(".phone.sms li.in").evaluate("li => getComputedStyle(li).animationName") == "none"
    context.close()


def test_words_are_readable(page: Page, served: Served) -> None:
    """Every text has at least the contrast of WCAG AA (4.5 to 1) with what is behind it."""
    served.do("phone")
    write(page, "Riet", "mijn lamp is stuk")
    write(page, "Riet", "ja")
    expect(phone(page, "Ans").locator("li.in")).to_have_count(1)
    page.wait_for_timeout(400)  # until what arrived has faded in
    assert page.evaluate(CONTRAST) == []


CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const color = rgb(style.backgroundColor);
      if (color.length === 3 || color[3] > 0.9) return color;
      const stops = style.backgroundImage.match(/rgb\\([^)]*\\)/g);
      if (stops) return rgb(stops.sort((a, b) => light(rgb(a)) - light(rgb(b)))[Math.floor(stops.length / 2)]);
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll("p, span, b, i, button, h1, h2, h3, textarea, strong")) {
    if (![...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim())) continue;
    if (!node.checkVisibility() || node.disabled || node.closest(":disabled, .closed")) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${node.className} ${node.textContent.slice(0, 30)}`);
  }
  return bad;
}"""
