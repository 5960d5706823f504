"""What Telegram accepts: the parameters of the Bot API methods we use, in our own words, and a checker.

Source: Bot API 10.1 (11 June 2026). A test holds this table against the machine-readable description of that version
when it is at hand. `unused` marks what we never send: the double refuses it, because a silent default would prove
nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import Any, ClassVar
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Param:
    """One parameter or field: its type as the documentation writes it (alternatives by |), and its limits."""

    type: str
    required: bool = False
    min: int | None = None
    max: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] | None = None
    in_bytes: bool = False
    unused: bool = False


UPDATE_TYPES = (
    "message", "edited_message", "channel_post", "edited_channel_post", "business_connection", "business_message",
    "edited_business_message", "deleted_business_messages", "guest_message", "message_reaction",
    "message_reaction_count", "inline_query", "chosen_inline_result", "callback_query", "shipping_query",
    "pre_checkout_query", "purchased_paid_media", "poll", "poll_answer", "my_chat_member", "chat_member",
    "chat_join_request", "chat_boost", "removed_chat_boost", "managed_bot",
)  # fmt: skip
NOT_BY_DEFAULT = ("chat_member", "message_reaction", "message_reaction_count")
PARSE_MODES = ("HTML", "MarkdownV2", "Markdown")
MARKUP = "InlineKeyboardMarkup|ReplyKeyboardMarkup|ReplyKeyboardRemove|ForceReply"
CHAT = Param("Integer|String", required=True)
OPTIONAL_CHAT = Param("Integer|String")
FLAG = Param("Boolean")
NUMBER = Param("Integer")
PARSE_MODE = Param("String", choices=PARSE_MODES)
CAPTION = Param("String", min=0, max=1024)
ENTITIES = Param("Array of MessageEntity", unused=True)
LANGUAGE = Param("String", pattern=r"|[a-z]{2}")
ALLOWED = Param("Array of String", choices=UPDATE_TYPES)


def _unused(kind: str) -> Param:
    return Param(kind, unused=True)


# What every method that sends has in common.
_SENDING: dict[str, Param] = {
    "chat_id": CHAT,
    "message_thread_id": _unused("Integer"),
    "direct_messages_topic_id": _unused("Integer"),
    "disable_notification": FLAG,
    "protect_content": FLAG,
    "allow_paid_broadcast": _unused("Boolean"),
    "message_effect_id": _unused("String"),
    "suggested_post_parameters": _unused("SuggestedPostParameters"),
    "reply_parameters": Param("ReplyParameters"),
    "reply_markup": Param(MARKUP),
}
_BUSINESS = {"business_connection_id": _unused("String")}
_CAPTIONED: dict[str, Param] = {"caption": CAPTION, "parse_mode": PARSE_MODE, "caption_entities": ENTITIES}

METHODS: dict[str, dict[str, Param]] = {
    "getMe": {},
    "getUpdates": {
        "offset": NUMBER,
        "limit": Param("Integer", min=1, max=100),
        "timeout": Param("Integer", min=0),
        "allowed_updates": ALLOWED,
    },
    "setWebhook": {
        "url": Param("String", required=True),
        "certificate": _unused("InputFile"),
        "ip_address": Param("String"),
        "max_connections": Param("Integer", min=1, max=100),
        "allowed_updates": ALLOWED,
        "drop_pending_updates": FLAG,
        "secret_token": Param("String", min=1, max=256, pattern=r"[A-Za-z0-9_-]+"),
    },
    "deleteWebhook": {"drop_pending_updates": FLAG},
    "getWebhookInfo": {},
    "sendMessage": {
        **_BUSINESS,
        **_SENDING,
        "text": Param("String", required=True, min=1, max=4096),
        "parse_mode": PARSE_MODE,
        "entities": ENTITIES,
        "link_preview_options": Param("LinkPreviewOptions"),
    },
    "sendPhoto": {
        **_BUSINESS,
        **_SENDING,
        **_CAPTIONED,
        "photo": Param("InputFile|String", required=True),
        "show_caption_above_media": FLAG,
        "has_spoiler": FLAG,
    },
    "sendVoice": {
        **_BUSINESS,
        **_SENDING,
        **_CAPTIONED,
        "voice": Param("InputFile|String", required=True),
        "duration": NUMBER,
    },
    "copyMessage": {
        **_SENDING,
        **_CAPTIONED,
        "from_chat_id": CHAT,
        "message_id": Param("Integer", required=True),
        "video_start_timestamp": _unused("Integer"),
        "show_caption_above_media": FLAG,
    },
    "editMessageText": {
        **_BUSINESS,
        "chat_id": OPTIONAL_CHAT,
        "message_id": NUMBER,
        "inline_message_id": _unused("String"),
        "text": Param("String", min=1, max=4096),
        "parse_mode": PARSE_MODE,
        "entities": ENTITIES,
        "link_preview_options": Param("LinkPreviewOptions"),
        "rich_message": _unused("InputRichMessage"),
        "reply_markup": Param("InlineKeyboardMarkup"),
    },
    "editMessageReplyMarkup": {
        **_BUSINESS,
        "chat_id": OPTIONAL_CHAT,
        "message_id": NUMBER,
        "inline_message_id": _unused("String"),
        "reply_markup": Param("InlineKeyboardMarkup"),
    },
    "deleteMessage": {"chat_id": CHAT, "message_id": Param("Integer", required=True)},
    "answerCallbackQuery": {
        "callback_query_id": Param("String", required=True),
        "text": Param("String", min=0, max=200),
        "show_alert": FLAG,
        "url": _unused("String"),
        "cache_time": Param("Integer", min=0),
    },
    "setMyCommands": {
        "commands": Param("Array of BotCommand", required=True, max=100),
        "scope": Param("BotCommandScope"),
        "language_code": LANGUAGE,
    },
    "setMyDescription": {"description": Param("String", min=0, max=512), "language_code": LANGUAGE},
    "setMyShortDescription": {"short_description": Param("String", min=0, max=120), "language_code": LANGUAGE},
    "getFile": {"file_id": Param("String", required=True)},
    "getChat": {"chat_id": CHAT},
    "leaveChat": {"chat_id": CHAT},
}

OBJECTS: dict[str, dict[str, Param]] = {
    "InlineKeyboardMarkup": {"inline_keyboard": Param("Array of Array of InlineKeyboardButton", required=True)},
    "InlineKeyboardButton": {
        "text": Param("String", required=True, min=1),
        "icon_custom_emoji_id": _unused("String"),
        "style": Param("String", choices=("danger", "success", "primary")),
        "url": Param("String"),
        "callback_data": Param("String", min=1, max=64, in_bytes=True),
        "web_app": _unused("WebAppInfo"),
        "login_url": _unused("LoginUrl"),
        "switch_inline_query": _unused("String"),
        "switch_inline_query_current_chat": _unused("String"),
        "switch_inline_query_chosen_chat": _unused("SwitchInlineQueryChosenChat"),
        "copy_text": Param("CopyTextButton"),
        "callback_game": _unused("CallbackGame"),
        "pay": _unused("Boolean"),
    },
    "CopyTextButton": {"text": Param("String", required=True, min=1, max=256)},
    "ReplyKeyboardMarkup": {
        "keyboard": Param("Array of Array of KeyboardButton", required=True),
        "is_persistent": FLAG,
        "resize_keyboard": FLAG,
        "one_time_keyboard": FLAG,
        "input_field_placeholder": Param("String", min=1, max=64),
        "selective": FLAG,
    },
    "KeyboardButton": {
        "text": Param("String", required=True, min=1),
        "icon_custom_emoji_id": _unused("String"),
        "style": Param("String", choices=("danger", "success", "primary")),
        "request_users": _unused("KeyboardButtonRequestUsers"),
        "request_chat": _unused("KeyboardButtonRequestChat"),
        "request_managed_bot": _unused("KeyboardButtonRequestManagedBot"),
        "request_contact": FLAG,
        "request_location": FLAG,
        "request_poll": _unused("KeyboardButtonPollType"),
        "web_app": _unused("WebAppInfo"),
    },
    "ReplyKeyboardRemove": {"remove_keyboard": Param("Boolean", required=True), "selective": FLAG},
    "ForceReply": {
        "force_reply": Param("Boolean", required=True),
        "input_field_placeholder": Param("String", min=1, max=64),
        "selective": FLAG,
    },
    "ReplyParameters": {
        "message_id": Param("Integer", required=True),
        "chat_id": OPTIONAL_CHAT,
        "allow_sending_without_reply": FLAG,
        "quote": Param("String", min=0, max=1024),
        "quote_parse_mode": PARSE_MODE,
        "quote_entities": ENTITIES,
        "quote_position": NUMBER,
        "checklist_task_id": _unused("Integer"),
        "poll_option_id": _unused("String"),
    },
    "LinkPreviewOptions": {
        "is_disabled": FLAG,
        "url": Param("String"),
        "prefer_small_media": FLAG,
        "prefer_large_media": FLAG,
        "show_above_text": FLAG,
    },
    "BotCommand": {
        "command": Param("String", required=True, min=1, max=32, pattern=r"[a-z0-9_]+"),
        "description": Param("String", required=True, min=1, max=256),
    },
}

# Scopes differ in their fields by type; the field `type` says which one it is.
SCOPES: dict[str, tuple[str, ...]] = {
    "default": (),
    "all_private_chats": (),
    "all_group_chats": (),
    "all_chat_administrators": (),
    "chat": ("chat_id",),
    "chat_administrators": ("chat_id",),
    "chat_member": ("chat_id", "user_id"),
}
BUTTON_ACTIONS = (
    "url", "callback_data", "web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay",
)  # fmt: skip
WEBHOOK_PORTS = (443, 80, 88, 8443)


class Refused(Exception):
    """A call that breaks a rule: what Telegram answers, and for us always a mistake of the caller."""


def check(method: str, sent: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call as Python values, or Refused.

    sent: values from a query, a form (all strings, compound ones as JSON) or a JSON body (any JSON type).
    files: uploaded parts by name.
    """
    rules = METHODS.get(method)
    if rules is None:
        raise Refused(f"no rules for method {method}")
    extra = [name for name in [*sent, *files] if name not in rules]
    if extra:
        raise Refused(f"{method}: unknown parameter {', '.join(sorted(extra))}")
    values: dict[str, Any] = {}
    for name, rule in rules.items():
        if name in files:
            if "InputFile" not in rule.type.split("|"):
                raise Refused(f"{method}.{name}: a file where {rule.type} belongs")
            values[name] = files[name]
        elif name in sent:
            if name in ("text", "caption") and sent.get("parse_mode"):
                # The limit is on what remains after parsing; `plain` looks again.
                rule = replace(rule, max=None)
            values[name] = value_of(f"{method}.{name}", rule, sent[name])
        elif rule.required:
            raise Refused(f"{method}: parameter {name} is missing")
    _together(method, values)
    return values


def value_of(where: str, rule: Param, raw: Any) -> Any:
    """One value checked and converted; `where` is for the message."""
    if rule.unused:
        raise Refused(f"{where}: not something this project sends, so the double has no answer to it")
    failures: list[str] = []
    for kind in rule.type.split("|"):
        try:
            value = _typed(where, kind, raw, rule)
        except Refused as error:
            failures.append(str(error))
            continue
        _limits(where, kind, rule, value)
        return value
    raise Refused("; ".join(failures))


def _typed(where: str, kind: str, raw: Any, rule: Param) -> Any:
    if kind == "String":
        if not isinstance(raw, str):
            raise Refused(f"{where}: {type(raw).__name__} where String belongs")
        return raw
    if kind == "Integer":
        if isinstance(raw, str) and re.fullmatch(r"-?\d{1,19}", raw):
            return int(raw)
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        raise Refused(f"{where}: {raw!r} where Integer belongs")
    if kind == "Boolean":
        if isinstance(raw, bool):
            return raw
        if raw in ("true", "false"):
            return raw == "true"
        raise Refused(f"{where}: {raw!r} where Boolean belongs")
    if kind == "InputFile":
        raise Refused(f"{where}: no file was uploaded")
    value = raw
    if isinstance(raw, str):
        try:
            value = json.loads(raw)
        except ValueError as error:
            raise Refused(f"{where}: not JSON: {error}") from error
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            raise Refused(f"{where}: {type(value).__name__} where {kind} belongs")
        inner = Param(kind.removeprefix("Array of "), choices=rule.choices)
        return [_element(f"{where}[{index}]", inner, item) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise Refused(f"{where}: {type(value).__name__} where {kind} belongs")
    if kind == "BotCommandScope":
        return _scope(where, value)
    return _object(where, kind, value)


def _element(where: str, rule: Param, item: Any) -> Any:
    # Inside JSON a number or an object is never a string.
    if isinstance(item, str) and rule.type != "String":
        raise Refused(f"{where}: String where {rule.type} belongs")
    value = _typed(where, rule.type, item, rule)
    _limits(where, rule.type, rule, value)
    return value


def _object(where: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    fields = OBJECTS[kind]
    extra = [name for name in value if name not in fields]
    if extra:
        raise Refused(f"{where}: {kind} has no field {', '.join(sorted(extra))}")
    checked: dict[str, Any] = {}
    for name, rule in fields.items():
        if name in value:
            item = value[name]
            if isinstance(item, str) and "String" not in rule.type.split("|"):
                raise Refused(f"{where}.{name}: String where {rule.type} belongs")
            checked[name] = value_of(f"{where}.{name}", rule, item)
        elif rule.required:
            raise Refused(f"{where}: {kind} without {name}")
    if kind == "InlineKeyboardButton":
        _button(where, checked)
    if kind in ("ReplyKeyboardRemove", "ForceReply") and not checked[next(iter(fields))]:
        raise Refused(f"{where}: {kind} must be true")
    if kind == "ReplyKeyboardMarkup" and (not checked["keyboard"] or not all(checked["keyboard"])):
        raise Refused(f"{where}: an empty keyboard or row")
    if kind == "KeyboardButton" and checked.get("request_contact") and checked.get("request_location"):
        raise Refused(f"{where}: a button asks for one thing")
    if kind == "InlineKeyboardMarkup":
        rows = checked["inline_keyboard"]
        if not all(rows):
            raise Refused(f"{where}: an empty row")
        if sum(map(len, rows)) > 100 or any(len(row) > 8 for row in rows):
            raise Refused(f"{where}: more than 100 buttons, or 8 in a row")
    return checked


def _button(where: str, button: Mapping[str, Any]) -> None:
    actions = [name for name in BUTTON_ACTIONS if name in button]
    if len(actions) != 1:
        raise Refused(f"{where}: exactly one of {', '.join(BUTTON_ACTIONS)} belongs on a button, not {actions}")
    if "url" in button and urlsplit(button["url"]).scheme not in ("http", "https", "tg"):
        raise Refused(f"{where}.url: only http, https and tg addresses (no tel:)")


def _scope(where: str, value: dict[str, Any]) -> dict[str, Any]:
    needed = SCOPES.get(str(value.get("type")))
    if needed is None or set(value) != {"type", *needed}:
        raise Refused(f"{where}: no such scope: {value}")
    return value


def _limits(where: str, kind: str, rule: Param, value: Any) -> None:
    size: int | None = None
    if isinstance(value, str):
        size = len(value.encode()) if rule.in_bytes else len(value)
    elif isinstance(value, list):
        size = len(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    if size is not None and rule.max is not None and size > rule.max:
        raise Refused(f"{where}: {size} is over the limit of {rule.max}{' bytes' if rule.in_bytes else ''}")
    if size is not None and rule.min is not None and size < rule.min:
        raise Refused(f"{where}: {size} is under the minimum of {rule.min}")
    if isinstance(value, str):
        if rule.choices is not None and kind == "String" and value not in rule.choices:
            raise Refused(f"{where}: {value!r} is not one of {rule.choices}")
        if rule.pattern is not None and not re.fullmatch(rule.pattern, value):
            raise Refused(f"{where}: {value!r} does not match {rule.pattern}")
    if kind == "Integer" and abs(value) >= 2**52:
        raise Refused(f"{where}: identifiers have at most 52 significant bits")


def _together(method: str, values: Mapping[str, Any]) -> None:
    """Rules over more than one parameter."""
    chat = values.get("chat_id")
    if isinstance(chat, str) and not re.fullmatch(r"@[A-Za-z][A-Za-z0-9_]{4,31}", chat):
        raise Refused(f"{method}.chat_id: neither a number nor @username: {chat!r}")
    if method in ("editMessageText", "editMessageReplyMarkup") and not {"chat_id", "message_id"} <= set(values):
        raise Refused(f"{method}: chat_id and message_id are required without inline_message_id")
    if method == "editMessageText" and "text" not in values:
        raise Refused("editMessageText: text is required without rich_message")
    if "text" in values and method != "answerCallbackQuery" and not values["text"].strip():
        raise Refused(f"{method}.text: message text is empty")
    if method == "setWebhook" and values["url"]:
        parts = urlsplit(values["url"])
        # A self-hosted Bot API server takes plain http and any port; on loopback we are such a server.
        local = parts.hostname in ("127.0.0.1", "localhost")
        if not parts.hostname or parts.scheme not in ("http", "https") or (parts.scheme == "http" and not local):
            raise Refused("setWebhook.url: an HTTPS URL must be provided for webhook")
        if not local and (parts.port or 443) not in WEBHOOK_PORTS:
            raise Refused("setWebhook.url: webhook can be set up only on ports 80, 88, 443 or 8443")


class _Markup(HTMLParser):
    """Telegram's HTML: a handful of tags, all closed, nothing else."""

    kinds: ClassVar[dict[str, str]] = {
        "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
        "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "code": "code", "pre": "pre",
        "a": "text_link", "tg-spoiler": "spoiler", "blockquote": "blockquote",
    }  # fmt: skip
    named = ("lt", "gt", "amp", "quot")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.entities: list[dict[str, Any]] = []
        self.open: list[tuple[str, int, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.kinds:
            raise Refused(f'can\'t parse entities: Unsupported start tag "{tag}"')
        given = {name: value or "" for name, value in attrs}
        if set(given) - ({"href"} if tag == "a" else set()):
            raise Refused(f"can't parse entities: attributes {sorted(given)} on {tag}")
        self.open.append((tag, utf16(self.text), given))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            raise Refused(f"can't parse entities: Unmatched end tag {tag}")
        _, start, given = self.open.pop()
        entity: dict[str, Any] = {"type": self.kinds[tag], "offset": start, "length": utf16(self.text) - start}
        if "href" in given:
            entity["url"] = given["href"]
        if entity["length"]:
            self.entities.append(entity)

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise Refused("can't parse entities: an unescaped < in the text")
        self.text += data

    def handle_entityref(self, name: str) -> None:
        self.text += {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}[name] if name in self.named else f"&{name};"

    def handle_charref(self, name: str) -> None:
        self.text += chr(int(name[1:], 16) if name[:1] in "xX" else int(name))

    def _no(self, what: str) -> None:
        raise Refused(f"can't parse entities: {what}")

    def handle_comment(self, data: str) -> None:
        self._no("a comment")

    def handle_decl(self, decl: str) -> None:
        self._no("a declaration")

    def handle_pi(self, data: str) -> None:
        self._no("an instruction")


def utf16(text: str) -> int:
    """Length as Telegram counts entity offsets: UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def plain(text: str, parse_mode: str | None) -> tuple[str, list[dict[str, Any]]]:
    """What the reader sees of a text, and its entities; Refused when the markup is wrong.

    Only HTML is parsed. The Markdown modes are legal but make resident's words into markup sooner, so we do not use
    them and the double refuses them.
    """
    if parse_mode is None:
        return text, []
    if parse_mode != "HTML":
        raise Refused(f"parse_mode {parse_mode}: not something this project sends, so the double has no answer to it")
    parser = _Markup()
    parser.feed(text)
    parser.close()
    if parser.rawdata:
        raise Refused("can't parse entities: an unescaped < in the text")
    if parser.open:
        raise Refused(f"can't parse entities: Can't find end tag corresponding to start tag {parser.open[-1][0]}")
    return parser.text, parser.entities
