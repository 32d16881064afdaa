"""What the person wants done next, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Said:
    """A message to the model."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command for the sandbox."""

    command: str

    def __str__(self) -> str:
        return f"!{self.command}"


Item: TypeAlias = Said | Ordered


class Inbox:
    """A queue that can be held: after an interruption nothing goes on by itself."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._items: deque[Item] = deque()
        self._is_held = False
        self._has_work = asyncio.Event()

    def put(self, item: Item) -> None:
        """Append it, and go on where it was held."""
        self._items.append(item)
        self._is_held = False
        self._has_work.set()
        self._on_change()

    def hold(self) -> None:
        self._is_held = True
        self._has_work.clear()

    def take(self) -> Item | None:
        """The next one, if there is any and nothing holds it."""
        if not self.waits:
            return None
        item = self._items.popleft()
        self._on_change()
        return item

    async def next(self) -> Item:
        """Wait for the next one."""
        while (item := self.take()) is None:
            self._has_work.clear()
            await self._has_work.wait()
        return item

    def clear(self) -> tuple[str, ...]:
        """Take everything out: how it reads, oldest first."""
        texts = self.texts
        self._items.clear()
        self._on_change()
        return texts

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(str(item) for item in self._items)

    @property
    def waits(self) -> bool:
        """Whether anything will go on by itself."""
        return bool(self._items) and not self._is_held
