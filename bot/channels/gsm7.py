"""SMS as networks count it: the GSM-7 alphabet, segments, and our own way to stay inside it.

Source: 3GPP TS 23.038; the table and the 160/153 and 70/67 limits as Twilio documents them. One character outside the
alphabet ("ë", a curly quote, an emoji) turns the whole message into UCS-2 and doubles the price. Twilio's own "smart
encoding" does not help with ë and ï: its replacement map has no accented letters.
"""

from __future__ import annotations

import unicodedata

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")  # each costs two
GSM_SINGLE, GSM_PART = 160, 153
UCS_SINGLE, UCS_PART = 70, 67

_REPLACED = {
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "•": "-", "·": "-", "×": "x", "½": "1/2", "¼": "1/4", "¾": "3/4", "°": " gr", "²": "2", "³": "3", "\t": " ",
    "\u200b": "", "\u200d": "", "\ufe0f": "", "ĳ": "ij", "Ĳ": "IJ", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L",
}  # fmt: skip


def to_gsm7(text: str) -> str:
    """The same words inside GSM-7 where that can be: é à ö ü stay, ë ï ó á ç lose their mark, curly quotes go straight.

    What has no counterpart (emoji, other scripts) stays as it is, because losing somebody's words would be worse.
    """
    return "".join(_letter(c) for c in unicodedata.normalize("NFC", text))


def is_gsm7(text: str) -> bool:
    """True when the text needs no UCS-2."""
    return all(c in BASIC or c in EXTENSION for c in text)


def segments(text: str) -> int:
    """How many SMS this text costs; at least 1."""
    if not is_gsm7(text):
        units = len(text.encode("utf-16-be")) // 2
        return 1 if units <= UCS_SINGLE else -(-units // UCS_PART)
    costs = [2 if c in EXTENSION else 1 for c in text]
    if sum(costs) <= GSM_SINGLE:
        return 1
    parts, room = 1, GSM_PART
    for cost in costs:  # an extension character is never split over two parts
        if cost > room:
            parts, room = parts + 1, GSM_PART
        room -= cost
    return parts


def _letter(c: str) -> str:
    if c in BASIC or c in EXTENSION:
        return c
    if c in _REPLACED:
        return _REPLACED[c]
    bare = "".join(d for d in unicodedata.normalize("NFKD", c) if not unicodedata.combining(d))
    return bare if bare and all(d in BASIC or d in EXTENSION for d in bare) else c
