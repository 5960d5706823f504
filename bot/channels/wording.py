"""How a message row reads on each network: buttons on Telegram, a numbered list or an order to type on SMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.channels.gsm7 import to_gsm7

TELEGRAM_MAX = 4096  # of one Telegram message (Bot API); counted in UTF-16, as its apps do, an emoji is two


def sms_text(body: Mapping[str, Any]) -> str:
    """The row as one SMS: the text, then "1 Ja" a line for each choice, or the orders that do the same as buttons."""
    lines = [body["text"]]
    questions = [label for label, data, *_ in body.get("choices", ()) if data.startswith("t:")]
    lines += [f"{number} {label}" for number, label in enumerate(questions, 1)]
    orders = body.get("orders", "")
    if orders:
        lines[0] = f"{lines[0]} {orders}"
    return to_gsm7("\n".join(lines))


def telegram_text(body: Mapping[str, Any]) -> str:
    """The row's text within Telegram's limit. It is sent without a parse mode, so nobody's words become markup."""
    text = str(body["text"])
    units = text.encode("utf-16-le")
    if len(units) <= 2 * TELEGRAM_MAX:
        return text
    return units[: 2 * (TELEGRAM_MAX - 3)].decode("utf-16-le", "ignore") + "..."


def telegram_buttons(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The row's buttons as (label, data), one per row on the screen."""
    return [(label, data) for label, data, *_ in body.get("choices", ())]
