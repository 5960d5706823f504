"""Where messages come in: written down first, thought about later."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from bot.channels import telegram
from bot.channels.channel import brief
from bot.channels.sms import Status, Text
from bot.channels.telegram import Arrived, InGroup, Telegram
from bot.clock import Clock
from bot.opening import read_setting, write_setting
from bot.writer import WriteThread
from flows.texts import Texts
from storage import inbox, outbox
from storage.seal import keyring

log = logging.getLogger("binnenbuurt.reception")

LEAVING = timedelta(minutes=10)  # what is said in a group so soon after we declined came before we were gone


class Reception:
    """Keeps what networks bring. Every method returns after the commit, and raises when there was none."""

    def __init__(self, writer: WriteThread, texts: Texts, clock: Clock, mail: asyncio.Event) -> None:
        """`mail` is set when there is something to think about."""
        self._writer, self._texts, self._clock, self._mail = writer, texts, clock, mail
        self.counts: Counter[str] = Counter()

    async def keep(self, channel: str, arrived: Sequence[Arrived | Text]) -> None:
        """Store messages; one that was stored before is a no-op."""
        if not arrived:
            return
        now = self._clock.now()

        def change(connection: Connection) -> int:
            return sum(inbox.receive(connection, now, channel, m.external_id, m.address, dict(m.body)) for m in arrived)

        new = await self._writer.write(change)
        self.counts[channel] += new
        self.counts[f"{channel} again"] += len(arrived) - new
        self._mail.set()

    async def telegram(self, channel: Telegram, updates: Sequence[Mapping[str, Any]]) -> None:
        """Store updates, then stop the waiting sign of pressed buttons and decline groups."""
        arrived: list[Arrived] = []
        groups: set[int] = set()
        for update in updates:
            try:
                meaning = telegram.parse(update)
            except Exception as wrong:  # never a reason to lose the others, or to fetch this one for ever
                self.counts["telegram unreadable"] += 1
                log.error("an update cannot be read", extra={"error": brief(wrong)})
                continue
            if isinstance(meaning, Arrived):
                arrived.append(meaning)
            elif isinstance(meaning, InGroup):
                groups.add(meaning.chat)
        await self.keep("telegram", arrived)
        for message in arrived:
            if message.callback:
                channel.answer_later(message.callback)
        for chat in groups:
            if await self._is_new_group(chat):
                channel.decline_later(chat, self._texts.render("telegram.group", "je", {}))

    async def _is_new_group(self, chat: int) -> bool:
        """False while we are leaving it anyway; who puts us back later is answered once more, and left once more."""
        name = "group:" + keyring.find_by(f"telegram group:{chat}").hex()[:32]
        now = self._clock.now()

        def change(connection: Connection) -> bool:
            before = read_setting(connection, name)
            if before is not None and now - datetime.fromisoformat(before) < LEAVING:
                return False
            write_setting(connection, name, now.isoformat())
            return True

        return await self._writer.write(change)

    async def status(self, said: Status) -> bool:
        """Keep what Twilio says about a message of ours; False when it was nothing new."""
        now, real = self._clock.now(), self._clock.real()
        return await self._writer.write(
            lambda connection: outbox.status(
                connection, self._texts, now, real, said.row, said.sid, said.word, said.error
            )
        )
