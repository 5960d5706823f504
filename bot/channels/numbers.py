"""Phone numbers: what can exist at all, and what can be answered without a stranger making us pay for it."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

# Numbers that take money from who calls or texts them. A sender's number is easily made up, and we are the one who answers.
_COSTLY = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.UAN})


def e164(number: str) -> str:
    """A phone number with country code, with or without its plus, in E.164; "" when there is no such number."""
    try:
        parsed = phonenumbers.parse("+" + number.lstrip("+"), None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def can_be_answered(sender: str) -> bool:
    """True for a number as a network gives it that can exist and is nobody's till; a name and a short code are no number."""
    if not sender.startswith("+") or e164(sender) != sender:
        return False
    return phonenumbers.number_type(phonenumbers.parse(sender, None)) not in _COSTLY
