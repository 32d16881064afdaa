"""The main screen: conversation, prompt, status line, and the keys that only concern the view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from rnj_agent.agent.live.status import Status
from rnj_agent.agent.modes import Answer, Question
from rnj_agent.agent.tui.blocks import ReplyBlock
from rnj_agent.agent.tui.draw.block import text_of
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.tui.draw.welcome import draw_welcome, start_notes
from rnj_agent.agent.tui.input_history import InputHistory, history_path
from rnj_agent.agent.tui.keymap import KEYS, Key, bindings
from rnj_agent.agent.tui.plan import Plan, stated_plan
from rnj_agent.agent.tui.screens.diff import DiffScreen
from rnj_agent.agent.tui.screens.help import HelpScreen
from rnj_agent.agent.tui.screens.pick import PickScreen
from rnj_agent.agent.tui.screens.text import TextScreen
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.agent.tui.widgets.composer import Composer
from rnj_agent.agent.tui.widgets.prompt import Prompt
from rnj_agent.agent.tui.widgets.question import QuestionPanel
from rnj_agent.agent.tui.widgets.queued import Queued
from rnj_agent.agent.tui.widgets.status_bar import StatusBar
from rnj_agent.agent.tui.widgets.transcript import Transcript

_TWICE_S: Final = 2.0


class ChatScreen(Screen[None]):
    """Without a repository there is no prompt: a session is only looked at."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("anywhere")]

    class InterruptWanted(Message):
        """Escape, with nothing left on the screen to close."""

    class QuitWanted(Message):
        """The person wants to leave."""

    def __init__(self, palette: Palette, repository: Path | None) -> None:
        super().__init__()
        self.keys: Sequence[Key] = KEYS
        """As they are bound, for the help."""
        self._palette = palette
        self._repository = repository
        self._sent = InputHistory(history_path(repository) if repository else None)
        self._conversation = Conversation()
        self._plan: Plan | None = None
        self._stop_pressed_s = 0.0

    def compose(self) -> ComposeResult:
        yield Static(id="welcome")
        yield Transcript(self._palette)
        yield Static(id="plan")
        if self._repository is not None:
            yield Composer(self._repository, self._sent)
        yield StatusBar(self._palette)

    def on_mount(self) -> None:
        self._focus_prompt()

    def show(self, conversation: Conversation) -> None:
        """Show another session."""
        self._conversation = conversation
        self.query_one(Transcript).show(conversation)

    def draw(self, status: Status | None) -> None:
        """Draw what has changed: a frame."""
        self.query_one(Transcript).update_blocks()
        conversation = self._conversation
        self.query_one(StatusBar).show(status, conversation.progress, conversation.num_pieces)
        self._welcome(status)
        self._show_plan_line()
        for queued in self.query(Queued):
            queued.show(status.queued if status else ())

    def _welcome(self, status: Status | None) -> None:
        welcome = self.query_one("#welcome", Static)
        notes = start_notes(self._conversation.blocks)
        was_run = bool(self._conversation.progress.session_id)
        welcome.display = status is not None and notes is not None and not was_run
        self.query_one(Transcript).display = not welcome.display
        if welcome.display:
            welcome.update(draw_welcome(status, self._palette, note=notes or ""))

    def _show_plan_line(self) -> None:
        plan, line = stated_plan(self._conversation.blocks), self.query_one("#plan", Static)
        if plan != self._plan:
            self._plan = plan
            line.display = plan is not None
            line.update(Text(str(plan), no_wrap=True, overflow="ellipsis"))

    def show_plan(self) -> None:
        """All of the plan whose line is shown."""
        if self._plan is None:
            self.notify("The model has stated no plan: no checklist, no numbered steps.")
        else:
            title = f"plan {self._plan.num_done}/{len(self._plan.items)}"
            self.app.push_screen(TextScreen(title, self._plan.listing()))

    def set_palette(self, palette: Palette) -> None:
        self._palette = palette
        self.query_one(Transcript).set_palette(palette)
        self.query_one(StatusBar).set_palette(palette)

    def write(self, text: str) -> None:
        """Let this stand in the prompt, in front of what stands there."""
        prompt = self.query_one(Prompt)
        prompt.set_text("\n".join(part for part in (text, prompt.text) if part))

    async def ask(self, question: Question) -> Answer:
        """Ask in place of the prompt; cancelled, the question goes away."""
        panel = QuestionPanel(question, self._palette, self.keys)
        await self.mount(panel, after=self.query_one(Transcript))
        self._show_composer(False)
        try:
            return await panel.answer
        finally:
            self._show_composer(True)
            await panel.remove()
            self._focus_prompt()

    def _show_composer(self, is_shown: bool) -> None:
        for composer in self.query(Composer):
            composer.display = is_shown
        self.query_one(StatusBar).is_asking = not is_shown

    def _focus_prompt(self) -> None:
        for prompt in self.query(Prompt):
            prompt.focus()

    @on(Prompt.HelpWanted)
    def action_help(self) -> None:
        self.app.push_screen(HelpScreen(self._palette, self.keys))

    def action_show_diff(self) -> None:
        if self._conversation.patch:
            self.app.push_screen(DiffScreen(self._conversation.patch, self._palette))
        else:
            self.notify("Nothing has been changed.")

    def action_search_history(self) -> None:
        def taken(entry: str | None) -> None:
            if entry is not None:
                self.query_one(Prompt).set_text(entry)

        pick = PickScreen(
            "What was sent here before", lambda w: [(e, e) for e in self._sent.search(w)]
        )
        self.app.push_screen(pick, taken)

    def action_interrupt(self) -> None:
        transcript = self.query_one(Transcript)
        if any(composer.close_choice() for composer in self.query(Composer)):
            return
        if any(panel.take_back_word() for panel in self.query(QuestionPanel)):
            return
        if transcript.cursor is not None:
            transcript.clear_cursor()
        else:
            self.post_message(self.InterruptWanted())

    def action_scroll_page(self, step: int) -> None:
        self.query_one(Transcript).scroll_page(step)

    def action_go_to_start(self) -> None:
        self.query_one(Transcript).go_to_start()

    def action_go_to_end(self) -> None:
        self.query_one(Transcript).go_to_end()

    def action_mark(self, step: int) -> None:
        self.query_one(Transcript).move_cursor(step)

    def action_open(self) -> None:
        self.query_one(Transcript).toggle_marked()

    def action_copy(self) -> None:
        replies = (b for b in reversed(self._conversation.blocks) if isinstance(b, ReplyBlock))
        block = self.query_one(Transcript).cursor_block or next(replies, None)
        if block is None:
            self.notify("There is nothing to copy yet.")
            return
        self.app.copy_to_clipboard(text_of(block))
        self.notify("Copied.")

    def action_stop(self) -> None:
        """Copy what is selected; clear what is written; the second time, leave."""
        written = [prompt for prompt in self.query(Prompt) if prompt.text]
        now_s = time.monotonic()
        if selected := self.get_selected_text():
            self.app.copy_to_clipboard(selected)
            self.clear_selection()
            self.notify("Copied.")
        elif written:
            written[0].set_text("")
        elif now_s - self._stop_pressed_s < _TWICE_S:
            self.post_message(self.QuitWanted())
        else:
            self._stop_pressed_s = now_s
            self.post_message(self.InterruptWanted())
            self.notify("Once more to quit.", timeout=_TWICE_S)

    def action_quit_if_empty(self) -> None:
        if not any(prompt.text for prompt in self.query(Prompt)):
            self.post_message(self.QuitWanted())
