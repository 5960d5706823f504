"""The card for the mat or the doorstep: one A4, large letters, a QR code, the number, five sentences to begin with."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

import phonenumbers
import segno

from bot.operator.problem import OperatorProblem
from bot.operator.words import fill, operator_words

ROOM = "cli/card"


def card(
    neighbourhood: dict[str, Any],
    contacts: list[str],
    number: str | None,
    username: str | None,
    name: str = "",
    code: str = "",
) -> str:
    """The card as an HTML page that prints on one A4 and needs nothing from elsewhere.

    `code` is a person's one-time code; without it the card is for everybody and carries the neighbourhood's join code.
    Raises OperatorProblem when there is neither a number nor a bot to write to.
    """
    if not number and not username:
        raise OperatorProblem("There is no number and no bot yet to put on a card. Run: binnenbuurt doctor")
    words = operator_words(ROOM)
    shown = code or neighbourhood["code"]
    ways = []
    if number:
        ways.append(_way(f"sms:{number}?body={quote(shown)}", words["by_sms"], readable(number)))
    if username:
        link = f"https://t.me/{username}" + (f"?start={code}" if code else "")
        ways.append(_way(link, words["by_telegram"], f"@{username}"))
    hello = fill(ROOM, "hello_name", name=name) if name else words["hello"]
    known = [contact for contact in contacts if contact]
    who = fill(ROOM, "contacts", contacts=words["and"].join(known)) if known else words["contacts_soon"]
    return _PAGE.format(
        title=escape(fill(ROOM, "title", neighbourhood=neighbourhood["name"])),
        hello=escape(hello),
        intro=escape(words["intro"]),
        examples="".join(f"<li>{escape(example)}</li>" for example in words["examples"]),
        ways="".join(ways),
        code=escape(fill(ROOM, "code_once" if code else "code", code=shown)),
        who=escape(who),
        small=escape(words["small"]),
    )


def readable(number: str) -> str:
    """A number as people read it aloud: a Dutch one in groups, another one in international form."""
    parsed = phonenumbers.parse(number, "NL")
    home = parsed.country_code == 31
    style = phonenumbers.PhoneNumberFormat.NATIONAL if home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(parsed, style)


def _way(link: str, label: str, shown: str) -> str:
    code = segno.make(link, error="m", micro=False).svg_inline(scale=5, border=2, omitsize=True)
    return f"<figure>{code}<figcaption>{escape(label)}<br><b>{escape(shown)}</b></figcaption></figure>"


_PAGE = """<!doctype html>
<html lang="nl"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
@page {{ size: A4; margin: 14mm }}
* {{ box-sizing: border-box }}
body {{ font: 19pt/1.3 "Atkinson Hyperlegible", Verdana, "DejaVu Sans", sans-serif; color: #111; background: #fff;
  max-width: 182mm; margin: 0 auto; padding: 4mm }}
h1 {{ font-size: 31pt; line-height: 1.15; margin: 0 0 5mm }}
p {{ margin: 0 0 4mm }}
ul {{ list-style: none; margin: 0 0 5mm; padding: 0; font-size: 23pt; font-weight: bold }}
li {{ margin: 0 0 2mm }}
.ways {{ display: flex; gap: 12mm; justify-content: center; margin: 0 0 4mm }}
figure {{ margin: 0; text-align: center; font-size: 18pt; width: 70mm }}
figure svg {{ width: 46mm; height: 46mm }}
figcaption b {{ white-space: nowrap }}
.code {{ text-align: center }}
.small {{ font-size: 14pt; border-top: 1px solid #111; padding-top: 3mm; margin: 0 }}
</style></head><body>
<h1>{hello}</h1>
<p>{intro}</p>
<ul>{examples}</ul>
<div class="ways">{ways}</div>
<p class="code">{code}</p>
<p>{who}</p>
<p class="small">{small}</p>
</body></html>
"""
